//! What was typed, as a message about it may show it.

use std::ffi::OsString;

/// The words with every character escaped that could move a cursor; `None` if there is none.
/// What is wrong with a command line is told with its words, and a shell puts names of files
/// and keys among them.
pub(super) fn printable(words: &[OsString]) -> Option<Vec<OsString>> {
    let escaped: Vec<OsString> = words.iter().map(escaped).collect();
    (escaped != words).then_some(escaped)
}

fn escaped(word: &OsString) -> OsString {
    let Some(text) = word.to_str() else { return word.to_string_lossy().into_owned().into() };
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\'' | '\\' => escaped.push(c),
            c => escaped.extend(c.escape_debug()),
        }
    }
    escaped.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_terminal_would_obey_is_escaped() {
        let words = |texts: &[&str]| texts.iter().map(OsString::from).collect::<Vec<_>>();
        assert_eq!(printable(&words(&["mount", "Łódź 日本", "a\\'\"b"])), None);
        let hostile = words(&["mount", "a\u{1b}[2J\u{202e}\n"]);
        assert_eq!(printable(&hostile), Some(words(&["mount", r"a\u{1b}[2J\u{202e}\n"])));
    }
}
