//! What is said through the control socket: a question in a line, and the answer to `status`.

use std::io::{self, BufRead, BufReader, Read};

use super::text::printable;

/// No question is longer, in bytes.
const QUESTION_BYTES: u64 = 64;

/// The question that somebody asks; `None` where it does not end, or is too long.
///
/// # Errors
/// It can't be read, or is no text.
pub(super) fn question(from: impl Read) -> io::Result<Option<String>> {
    let mut question = String::new();
    BufReader::new(from.take(QUESTION_BYTES)).read_line(&mut question)?;
    Ok(question.strip_suffix('\n').map(str::to_owned))
}

/// What a daemon answers to `status`: how many files are not in the bucket yet, and the report,
/// fit for a terminal. `None` if it breaks off, or is something else.
pub(super) fn status(mut lines: impl Iterator<Item = io::Result<String>>) -> Option<(u64, String)> {
    let count = lines.next()?.ok()?.parse().ok()?;
    let mut text = String::new();
    for line in lines {
        text += &printable(&line.ok()?);
        text.push('\n');
    }
    Some((count, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_one_short_line() {
        let asked = |text: &str| question(text.as_bytes()).ok().flatten();
        assert_eq!(asked("status\nmore\n").as_deref(), Some("status"));
        assert_eq!(asked("status"), None);
        assert_eq!(asked(&"x".repeat(64)), None);
        assert!(question(&b"\xff\n"[..]).is_err());
    }

    #[test]
    fn a_status_is_a_number_and_harmless_lines() {
        let told = |lines: &[&str]| status(lines.iter().map(|line| Ok((*line).to_owned())));
        assert_eq!(told(&["2", "a\u{1b}[2J"]), Some((2, "a\\u{1b}[2J\n".to_owned())));
        assert_eq!((told(&[]), told(&["x"]), told(&["-1"])), (None, None, None));
    }
}
