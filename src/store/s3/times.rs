//! Times as servers write them. Pure.

use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};

/// The time that a text means: as AWS writes it in listings or in headers, or as other
/// servers do, with an offset, a blank for the `T`, or without any zone.
pub(super) fn timestamp(text: &str) -> Option<DateTime> {
    let text = text.trim();
    if !text.is_ascii() {
        return None;
    }
    let is_in_words = text.contains(',');
    let mut text = text.to_owned();
    for zone in ["+0000", "-0000", "+00:00", "UTC", "utc", "gmt"] {
        if let Some(time) = text.strip_suffix(zone) {
            text = time.trim_end().to_owned() + if is_in_words { " GMT" } else { "Z" };
        }
    }
    if is_in_words {
        return DateTime::from_str(&text, DateTimeFormat::HttpDate).ok();
    }
    if text.as_bytes().get(10) == Some(&b' ') {
        text.replace_range(10..11, "T");
    }
    let (_, time) = text.split_once(['T', 't'])?;
    match time.rfind(['+', '-']).map(|at| time.len() - at) {
        // `+0100`
        Some(5) => text.insert(text.len() - 2, ':'),
        None if !time.ends_with(['Z', 'z']) => text.push('Z'),
        _ => {}
    }
    DateTime::from_str(&text, DateTimeFormat::DateTimeWithOffset).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_time_is_read_however_it_is_written() {
        for text in [
            "2026-11-28T21:56:10Z",
            "2026-11-28T21:56:10.000Z",
            " 2026-11-28T21:56:10 ",
            "2026-11-28 21:56:10",
            "2026-11-28 21:56:10 UTC",
            "2026-11-28T21:56:10+00:00",
            "2026-11-28T21:56:10+0000",
            "2026-11-28T22:56:10+0100",
            "2026-11-28T20:56:10-01:00",
            "Sat, 28 Nov 2026 21:56:10 GMT",
            "Sat, 28 Nov 2026 21:56:10 UTC",
            "Sat, 28 Nov 2026 21:56:10 +0000",
        ] {
            let time = timestamp(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(time.secs(), 1_795_902_970, "{text}");
        }
        for text in ["", "yesterday", "0000-00-00T00:00:00Z", "1795902970x", "é, é", "2026-11-28Té"]
        {
            assert_eq!(timestamp(text), None, "{text}");
        }
    }
}
