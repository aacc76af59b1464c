//! Text from outside (keys, paths, servers' messages), made fit for a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::Duration;

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

/// A time in the two largest units that it has.
pub(super) fn time(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
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
    fn a_time_has_two_units() {
        for (seconds, text) in
            [(0, "0 s"), (61, "1 min 1 s"), (3_720, "1 h 2 min"), (90_000, "1 d 1 h")]
        {
            assert_eq!(time(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn control_characters_and_reversals_are_escaped_and_letters_are_not() {
        assert_eq!(printable("tiles/Łódź 日本"), "tiles/Łódź 日本");
        assert_eq!(
            printable("a\x1b[2Jb\nc\u{202e}d\u{85}\u{61c}"),
            r"a\u{1b}[2Jb\nc\u{202e}d\u{85}\u{61c}"
        );
    }
}
