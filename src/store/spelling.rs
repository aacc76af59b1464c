//! How a server writes keys in its listings.
//!
//! Asked to url-encode them, AWS writes a space as `+`, a plus as `%2B`, and says that it
//! has encoded. Some servers leave a plus as it is, and some encode without saying so. Both
//! give away what they do by what else they write; where nothing does, keys are read as AWS
//! writes them until one that was listed is not there. Then the other reading is asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};

use percent_encoding::percent_decode_str;

/// How often a missing key is asked for as it would read otherwise. Keys are missing for
/// other reasons too.
const QUESTIONS: u32 = 8;

/// A plus was listed, in a listing that is encoded.
const PLUS_SEEN: u8 = 1;
const PLUS_IS_SPACE: u8 = 1 << 1;
const PLUS_IS_PLUS: u8 = 1 << 2;
/// Digits behind a percent sign were listed, in a listing that does not say that it is
/// encoded.
const DIGITS_SEEN: u8 = 1 << 3;
const AS_IT_IS: u8 = 1 << 4;
const ENCODED: u8 = 1 << 5;

/// What a server does that others don't.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lesson {
    /// It leaves a plus as it is where it encodes.
    PlusIsPlus,
    /// It encodes and does not say so.
    Encoded,
}

/// What is known of a server's listings. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Spelling(Arc<Known>);

#[derive(Debug, Default)]
struct Known {
    bits: AtomicU8,
    questions: AtomicU32,
}

impl Spelling {
    /// Learns from keys and prefixes as a listing writes them; `says_so` if it says that
    /// they are encoded.
    pub fn hear<'t>(&self, texts: impl Iterator<Item = &'t str>, says_so: bool) {
        for text in texts {
            match says_so {
                true => self.hear_encoded(text),
                false => self.hear_unsaid(text),
            }
        }
    }

    fn hear_encoded(&self, text: &str) {
        let has = |digits: &str| text.to_ascii_uppercase().contains(digits);
        if text.contains('+') {
            self.note(PLUS_SEEN);
        }
        if !text.contains('%') {
            return;
        }
        if has("%20") {
            self.learn(Lesson::PlusIsPlus);
        } else if has("%2B") {
            self.note(PLUS_IS_SPACE);
        }
    }

    fn hear_unsaid(&self, text: &str) {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.*+%~!'()".contains(&byte);
        if !text.bytes().all(is_plain) || !all_signs_have_digits(text) {
            self.note(AS_IT_IS);
        } else if text.contains('%') {
            self.note(DIGITS_SEEN);
        }
    }

    /// A key as a listing means it; `None` when it is no UTF-8.
    pub fn read(&self, text: &str, says_so: bool) -> Option<String> {
        let bits = self.bits();
        if !says_so && bits & ENCODED == 0 {
            return Some(text.to_owned());
        }
        let text = match bits & PLUS_IS_PLUS != 0 {
            true => text.to_owned(),
            false => text.replace('+', " "),
        };
        percent_decode_str(&text).decode_utf8().ok().map(|key| key.into_owned())
    }

    /// What a listed key, or prefix, that is not there would be if it had to be read
    /// otherwise. Each answer is a question to the server, and there are a few only.
    pub fn other(&self, key: &str) -> Option<(String, Lesson)> {
        let bits = self.bits();
        let other = if key.contains(' ')
            && bits & (PLUS_SEEN | PLUS_IS_SPACE | PLUS_IS_PLUS) == PLUS_SEEN
        {
            (key.replace(' ', "+"), Lesson::PlusIsPlus)
        } else if key.contains('%') && bits & (DIGITS_SEEN | AS_IT_IS | ENCODED) == DIGITS_SEEN {
            let spaced = key.replace('+', " ");
            let read = percent_decode_str(&spaced).decode_utf8().ok()?;
            (read.into_owned(), Lesson::Encoded)
        } else {
            return None;
        };
        (other.0 != key && self.0.questions.fetch_add(1, Relaxed) < QUESTIONS).then_some(other)
    }

    /// Notes that an object is there under its key as it was read.
    pub fn confirm(&self, key: &str) {
        if key.contains(' ') && self.bits() & PLUS_SEEN != 0 {
            self.note(PLUS_IS_SPACE);
        }
    }

    /// Notes what a server does that others don't.
    pub fn learn(&self, lesson: Lesson) {
        let (bit, what) = match lesson {
            Lesson::PlusIsPlus => (PLUS_IS_PLUS, "writes a plus as it is"),
            Lesson::Encoded => (ENCODED, "url-encodes keys without saying so"),
        };
        let before = self.0.bits.fetch_or(bit, Relaxed);
        // Where no plus was listed yet, nothing was read otherwise.
        if before & bit == 0 && (lesson == Lesson::Encoded || before & PLUS_SEEN != 0) {
            tracing::info!("the server {what} in its listings: keys are read so from now on");
        }
    }

    /// How keys are read; another number if they are read in another way.
    pub fn way(&self) -> u8 {
        self.bits() & (PLUS_IS_PLUS | ENCODED)
    }

    fn bits(&self) -> u8 {
        self.0.bits.load(Relaxed)
    }

    fn note(&self, bit: u8) {
        if self.bits() & bit == 0 {
            self.0.bits.fetch_or(bit, Relaxed);
        }
    }
}

/// Whether two digits stand behind each percent sign, as encoding leaves it.
fn all_signs_have_digits(text: &str) -> bool {
    let two = |rest: &str| {
        rest.as_bytes().get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
    };
    text.split('%').skip(1).all(two)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(texts: &[&str], says_so: bool) -> Spelling {
        let spelling = Spelling::default();
        spelling.hear(texts.iter().copied(), says_so);
        spelling
    }

    #[test]
    fn keys_are_read_as_aws_writes_them_while_nothing_speaks_against_it() {
        let spelling = heard(&["a%2Bb+c", "d"], true);
        assert_eq!(spelling.read("a%2Bb+c%25d%0A", true).as_deref(), Some("a+b c%d\n"));
        assert_eq!(spelling.read("a+b%20", false).as_deref(), Some("a+b%20"));
        assert_eq!(spelling.read("bad%FFutf8", true), None);
        // It is known that this server encodes a plus.
        assert_eq!((spelling.other("a b"), spelling.way()), (None, 0));
    }

    #[test]
    fn a_server_that_writes_a_space_with_digits_leaves_a_plus_as_it_is() {
        let spelling = heard(&["one%20two", "a+b", "%2520"], true);
        assert_eq!(spelling.read("a+b", true).as_deref(), Some("a+b"));
        assert_eq!(spelling.read("one%20two", true).as_deref(), Some("one two"));
        assert_eq!(spelling.other("one two"), None);
        assert_ne!(spelling.way(), 0);
    }

    #[test]
    fn a_missing_key_is_asked_for_as_it_would_read_otherwise() {
        let spelling = heard(&["a+b", "c"], true);
        assert_eq!(spelling.read("a+b", true).as_deref(), Some("a b"));
        assert_eq!(spelling.other("c"), None);
        assert_eq!(spelling.other("a b"), Some(("a+b".to_owned(), Lesson::PlusIsPlus)));
        spelling.learn(Lesson::PlusIsPlus);
        assert_eq!(spelling.read("a+b", true).as_deref(), Some("a+b"));
        assert_eq!(spelling.other("a b"), None);
        let spelling = heard(&["50%25", "one%20two%2B"], false);
        assert_eq!(spelling.read("50%25", false).as_deref(), Some("50%25"));
        assert_eq!(spelling.other("50%25"), Some(("50%".to_owned(), Lesson::Encoded)));
        spelling.learn(Lesson::Encoded);
        assert_eq!(spelling.read("one%20two%2B", false).as_deref(), Some("one two+"));
    }

    #[test]
    fn nothing_is_asked_where_nothing_can_be_misread() {
        // Encoding would have changed each of these.
        for told in ["one two", "100%", "Łódź", "a&b", "50%2"] {
            assert_eq!(heard(&[told, "50%25"], false).other("50%25"), None, "{told}");
        }
        let confirmed = heard(&["a+b"], true);
        confirmed.confirm("c d");
        assert_eq!(confirmed.other("a b"), None);
        // Some keys are missing for other reasons: a few questions are enough.
        let deleted = heard(&["a+b"], true);
        assert_eq!((0..100).filter(|_| deleted.other("a b").is_some()).count(), 8);
    }
}
