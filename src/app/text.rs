//! Text from outside (keys, paths, servers' messages), made fit for a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write as _};

/// The text with every character escaped that could move the cursor, end a line of
/// a log or reverse the direction of writing.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hostile) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_hostile(character) {
            // Writing into a String does not fail.
            let _ = write!(escaped, "{}", character.escape_default());
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

/// Says something to whoever typed the command.
pub(super) fn tell(sentence: &str) {
    // A terminal that is gone has nobody to tell.
    let _ = writeln!(io::stderr().lock(), "s3mem: {}", printable(sentence));
}

fn is_hostile(character: char) -> bool {
    // Line and paragraph separators, and the marks that change direction.
    let separates_or_reverses = matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    character.is_control() || separates_or_reverses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_reversals_are_escaped_and_letters_are_not() {
        assert_eq!(printable("tiles/Łódź 日本"), "tiles/Łódź 日本");
        assert_eq!(
            printable("a\x1b[2Jb\nc\u{202e}d\u{85}\u{61c}"),
            r"a\u{1b}[2Jb\nc\u{202e}d\u{85}\u{61c}"
        );
    }
}
