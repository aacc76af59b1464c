//! Keys to file names and back: every key has one name, and every name at most one key.
//!
//! A segment of a key (the text between two `/`) is its own file name wherever Linux
//! allows that. The others get a name that starts with `%%`:
//!
//! | segment | name |
//! |---|---|
//! | empty (`a//b`, a leading `/`, a marker `a/` with a body) | `%%` |
//! | `.`, `..` | `%%%2E`, `%%%2E%2E` |
//! | contains NUL | `%%` and the segment with `%` as `%25` and NUL as `%00` |
//! | contains `%%` | the same |
//! | its name would be longer than 255 bytes | a directory `%%` + its first part + `%`, which holds the rest |
//!
//! An object that has the name of a directory (key `a` beside `a/b`) is `a%%object`, and the
//! folder of the versions of `a` is `a%%versions`.
//! All other segments, control characters included, are their own names.
//!
//! Invariant: no segment has a name that ends in `%%` and a word, such as `a%%object`,
//! so such endings are free for names of our own. Pure; docs/semantics.md has the rules
//! for users.

use crate::key::MAX_NAME_BYTES;

const MARK: &str = "%%";
const OBJECT_SUFFIX: &str = "%%object";
const VERSIONS_SUFFIX: &str = "%%versions";

/// How a segment is written as a file name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Encoded<'s> {
    /// Under one name.
    Whole(String),
    /// In a directory `name` that stands for the first bytes of the segment.
    Long {
        /// The directory's name.
        name: String,
        /// The part of the segment that the directory stands for.
        part: &'s str,
    },
}

/// What a file name asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// The directory or else the object of this segment.
    Segment(String),
    /// The object of this segment, which a directory of the same name hides.
    ShadowedObject(String),
    /// The versions of the object of this segment.
    Versions(String),
    /// The directory that stands for the first part of longer segments.
    LongPart(String),
}

/// What a segment with an ending of ours asks for.
type Ending = fn(String) -> Decoded;

/// The endings that are ours, and what a segment with each of them asks for.
const SUFFIXES: [(&str, Ending); 2] =
    [(OBJECT_SUFFIX, Decoded::ShadowedObject), (VERSIONS_SUFFIX, Decoded::Versions)];

/// The name of `segment`, which holds no `/`.
pub(crate) fn encode(segment: &str) -> Encoded<'_> {
    let needs_escape =
        matches!(segment, "" | "." | "..") || segment.contains('\0') || segment.contains(MARK);
    let name = if needs_escape { escape(segment) } else { segment.to_owned() };
    if name.len() <= MAX_NAME_BYTES {
        return Encoded::Whole(name);
    }
    let part = first_part(segment);
    Encoded::Long { name: long_part_name(part), part }
}

/// The name of an object that a directory named `name` hides; `None` if it would be too long.
pub(crate) fn shadowed(name: &str) -> Option<String> {
    let name = format!("{name}{OBJECT_SUFFIX}");
    (name.len() <= MAX_NAME_BYTES).then_some(name)
}

/// What `name` asks for; `None` for a name that [`encode`] never makes.
pub(crate) fn decode(name: &str) -> Option<Decoded> {
    for (suffix, of) in SUFFIXES {
        if let Some(bare) = name.strip_suffix(suffix) {
            return match decode(bare)? {
                Decoded::Segment(segment) => Some(of(segment)),
                Decoded::ShadowedObject(_) | Decoded::Versions(_) | Decoded::LongPart(_) => None,
            };
        }
    }
    let Some(body) = name.strip_prefix(MARK) else {
        return is_name_of(name, name).then(|| Decoded::Segment(name.to_owned()));
    };
    if let Some(segment) = unescape(body) {
        return is_name_of(name, &segment).then_some(Decoded::Segment(segment));
    }
    let part = unescape(body.strip_suffix('%')?)?;
    (!part.is_empty() && long_part_name(&part) == name).then_some(Decoded::LongPart(part))
}

fn is_name_of(name: &str, segment: &str) -> bool {
    matches!(encode(segment), Encoded::Whole(encoded) if encoded == name)
}

fn escape(segment: &str) -> String {
    let dots = matches!(segment, "." | "..");
    let mut name = String::from(MARK);
    for c in segment.chars() {
        match c {
            '%' => name.push_str("%25"),
            '\0' => name.push_str("%00"),
            '.' if dots => name.push_str("%2E"),
            other => name.push(other),
        }
    }
    name
}

fn unescape(body: &str) -> Option<String> {
    let mut segment = String::new();
    let mut rest = body;
    while let Some((before, after)) = rest.split_once('%') {
        segment.push_str(before);
        segment.push(match after.get(..2)? {
            "25" => '%',
            "00" => '\0',
            "2E" => '.',
            _ => return None,
        });
        rest = &after[2..];
    }
    segment.push_str(rest);
    Some(segment)
}

fn long_part_name(part: &str) -> String {
    // A lone `%` at the end is what no escaped segment ends in.
    format!("{}%", escape(part))
}

/// As much of a long segment as one name holds; at least one character.
fn first_part(segment: &str) -> &str {
    let mut bytes = MARK.len() + 1;
    for (at, c) in segment.char_indices() {
        bytes += if matches!(c, '%' | '\0') { 3 } else { c.len_utf8() };
        if bytes > MAX_NAME_BYTES {
            return &segment[..at];
        }
    }
    segment
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The path of names that leads to a segment.
    fn path_of(segment: &str) -> Vec<String> {
        match encode(segment) {
            Encoded::Whole(name) => vec![name],
            Encoded::Long { name, part } => {
                let mut path = vec![name];
                path.extend(path_of(&segment[part.len()..]));
                path
            }
        }
    }

    fn segment_of(path: &[String]) -> Option<String> {
        let mut segment = String::new();
        for (n, name) in path.iter().enumerate() {
            match (decode(name)?, n + 1 == path.len()) {
                (Decoded::Segment(last), true) => segment.push_str(&last),
                (Decoded::LongPart(part), false) => segment.push_str(&part),
                _ => return None,
            }
        }
        Some(segment)
    }

    #[test]
    fn ordinary_segments_keep_their_names() {
        for plain in [
            "B01.jp2",
            "50% off",
            "100%",
            "%",
            "%2E",
            "a%b%c",
            "tab\there",
            "日本",
            ".hidden",
            "...",
        ] {
            assert_eq!(encode(plain), Encoded::Whole(plain.into()));
            assert_eq!(decode(plain), Some(Decoded::Segment(plain.into())));
        }
    }

    #[test]
    fn segments_that_linux_forbids_have_escaped_names() {
        for (segment, name) in [("", "%%"), (".", "%%%2E"), ("..", "%%%2E%2E"), ("a\0b", "%%a%00b")]
        {
            assert_eq!(encode(segment), Encoded::Whole(name.into()));
            assert_eq!(decode(name), Some(Decoded::Segment(segment.into())));
        }
    }

    #[test]
    fn segments_with_two_percent_signs_in_a_row_have_escaped_names() {
        for (segment, name) in [
            ("%%", "%%%25%25"),
            ("%%%", "%%%25%25%25"),
            ("%%x", "%%%25%25x"),
            ("a%%b", "%%a%25%25b"),
            ("a%%%b", "%%a%25%25%25b"),
            ("a%b%%", "%%a%25b%25%25"),
            ("x%%object", "%%x%25%25object"),
            ("x%%versions", "%%x%25%25versions"),
        ] {
            assert_eq!(encode(segment), Encoded::Whole(name.into()));
            assert_eq!(decode(name), Some(Decoded::Segment(segment.into())));
        }
    }

    #[test]
    fn an_escaped_name_may_have_255_bytes_and_longer_ones_are_cut() {
        let of = |letters: usize, end: &str| format!("{}{end}", "x".repeat(letters));
        let whole = of(247, "%%");
        assert_eq!(path_of(&whole), [format!("%%{}", of(247, "%25%25"))]);
        // As long as a name may be, and no name itself.
        let cut = of(253, "%%");
        assert_eq!(path_of(&cut), [format!("%%{}%", of(252, "")), "%%x%25%25".to_owned()]);
        // The cut may go between the two signs, and what is left be an ordinary name.
        let between = of(248, "%%");
        assert_eq!(path_of(&between), [format!("%%{}%", of(248, "%25")), "%".to_owned()]);
        for segment in [whole, cut, between] {
            assert_eq!(segment_of(&path_of(&segment)), Some(segment));
        }
    }

    #[test]
    fn names_that_no_key_has_decode_to_nothing() {
        for name in [
            "%%x",
            "%%%41",
            "%%a%2Eb",
            "%%%2",
            "%%%%object%%object",
            "%%%",
            "a%%b",
            "a%%",
            "a%%%",
            "a%%version",
            "%%x%%versions",
            "a%%object%%versions",
            "a%%versions%%versions",
        ] {
            assert_eq!(decode(name), None, "{name}");
        }
    }

    #[test]
    fn a_hidden_object_is_asked_for_by_its_suffix() {
        assert_eq!(decode("a%%object"), Some(Decoded::ShadowedObject("a".into())));
        assert_eq!(decode("%%%%object"), Some(Decoded::ShadowedObject("".into())));
        assert_eq!(shadowed(&"x".repeat(250)), None);
    }

    #[test]
    fn the_versions_of_an_object_are_asked_for_by_their_suffix() {
        assert_eq!(decode("a%%versions"), Some(Decoded::Versions("a".into())));
        assert_eq!(decode("%%%%versions"), Some(Decoded::Versions("".into())));
        assert_eq!(decode("%%a%25%25b%%versions"), Some(Decoded::Versions("a%%b".into())));
    }

    fn strange() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("%".to_owned()),
            Just("%%".to_owned()),
            Just("%%%".to_owned()),
            Just("%%object".to_owned()),
            Just("%%versions".to_owned()),
            Just("\0".to_owned()),
            Just(".".to_owned()),
            Just("%2E".to_owned()),
            Just("\n".to_owned()),
            "[a-zé日]{0,3}",
            "[a-z%]{0,300}",
            "[x]{240,256}",
        ];
        prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn every_segment_has_one_path_of_legal_names_that_leads_back(segment in strange()) {
            let path = path_of(&segment);
            for name in &path {
                prop_assert!((1..=MAX_NAME_BYTES).contains(&name.len()), "{:?}", name);
                prop_assert!(!name.contains('\0') && name != "." && name != "..");
            }
            prop_assert_eq!(segment_of(&path), Some(segment));
        }

        #[test]
        fn every_name_is_the_name_of_at_most_one_segment(name in strange()) {
            prop_assume!(!name.is_empty() && name.len() <= MAX_NAME_BYTES && !name.contains('\0'));
            if let Some(Decoded::Segment(segment)) = decode(&name) {
                prop_assert_eq!(encode(&segment), Encoded::Whole(name));
            }
        }

        #[test]
        fn two_segments_never_share_a_path(
            segment in strange(),
            at in any::<prop::sample::Index>(),
            piece in "[%a.]{1,3}",
        ) {
            let places: Vec<usize> = segment.char_indices().map(|(at, _)| at).collect();
            let at = if places.is_empty() { 0 } else { *at.get(&places) };
            let longer = format!("{}{piece}{}", &segment[..at], &segment[at..]);
            prop_assert_ne!(path_of(&longer), path_of(&segment));
        }

        #[test]
        fn an_ending_of_ours_makes_a_name_that_no_segment_has(
            before in strange(),
            word in "[a-z]{1,8}",
        ) {
            let decoded = decode(&format!("{before}%%{word}"));
            let is_free = match word.as_str() {
                "object" | "versions" => !matches!(decoded, Some(Decoded::Segment(_) | Decoded::LongPart(_))),
                _ => decoded.is_none(),
            };
            prop_assert!(is_free, "{:?}", decoded);
        }
    }
}
