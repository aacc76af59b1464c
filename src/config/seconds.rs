//! Times as people write them.

use std::time::Duration;

/// Longer times are cut to this, so that arithmetic on times stays in range.
pub(super) const CENTURY: Duration = Duration::from_secs(3_155_760_000);

/// A number of seconds, perhaps with decimals; `None` for anything else.
pub(super) fn parse(text: &str) -> Option<Duration> {
    if !text.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let number: f64 = text.parse().ok()?;
    Duration::try_from_secs_f64(number.min(CENTURY.as_secs_f64())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_may_have_decimals_and_are_a_century_at_most() {
        assert_eq!(parse("1.5"), Some(Duration::from_millis(1500)));
        assert_eq!(parse("0"), Some(Duration::ZERO));
        assert_eq!(parse(&"9".repeat(400)), Some(CENTURY));
        for text in ["", ".", "-1", "1e3", "inf", "NaN", "1.2.3", "1 s"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
