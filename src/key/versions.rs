//! Where the versions of an object stand among keys: below `KEY` and a mark, as
//! `KEY<mark>/TIME-NUMBER/NAME`.
//!
//! The mark holds a character that is none (`U+FFFF`). A real key could hold it all the same;
//! where versions are shown, such a key is not. Pure.

/// What the folder of an object's versions has behind the object's key.
const MARK: &str = "\u{FFFF}%%versions";

/// A key or prefix among the versions of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AmongVersions<'k> {
    /// The key of the object.
    pub key: &'k str,
    /// What stands behind its folder: `TIME-NUMBER/NAME`, or the beginning of that.
    pub rest: &'k str,
}

impl<'k> AmongVersions<'k> {
    /// What a key or prefix is there; `None` for all others.
    pub fn of(text: &'k str) -> Option<Self> {
        let (key, rest) = text.split_once(MARK)?;
        Some(AmongVersions { key, rest: rest.strip_prefix('/')? })
    }

    /// The prefix of the folder that the versions of the object `key` are in.
    pub fn folder(key: &str) -> String {
        format!("{key}{MARK}/")
    }
}

/// Whether a text has the mark, so that it can't be shown as a key where versions are.
pub fn is_marked(text: &str) -> bool {
    text.contains(MARK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_below_a_folder_of_versions_is_among_them() {
        let folder = AmongVersions::folder("a/b.tif");
        let found = AmongVersions { key: "a/b.tif", rest: "" };
        assert_eq!(AmongVersions::of(&folder), Some(found));
        let key = folder + "2026-05-01T09:30:00Z-1/b.tif";
        let found = AmongVersions { rest: "2026-05-01T09:30:00Z-1/b.tif", ..found };
        assert_eq!(AmongVersions::of(&key), Some(found));
        for other in ["a/b.tif", "a/b.tif%%versions/x", "a\u{FFFF}/b", "a\u{FFFF}%%versions"] {
            assert_eq!(AmongVersions::of(other), None, "{other:?}");
        }
        assert!(is_marked("a\u{FFFF}%%versions") && !is_marked("a%%versions/"));
    }
}
