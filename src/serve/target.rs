//! What a request asks for: the names of its path, and the words behind the question mark.
//!
//! A path is split at its slashes first, and each name is decoded by itself, once. A name with a
//! slash or a NUL in it is none; `.` and `..` are refused, however they are written.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use percent_encoding::percent_decode_str;

/// What a request asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Target {
    /// The names that lead there; none for the root.
    pub(super) names: Vec<OsString>,
    /// Whether the path ends in a slash, as that of a directory does.
    pub(super) ends_in_slash: bool,
    query: Vec<(String, String)>,
    /// The same, as it was sent.
    pub(super) raw_query: Option<String>,
}

/// A path that names nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadPath;

impl Target {
    /// Reads a path, which begins with a slash, and a query.
    pub(super) fn parse(path: &str, query: Option<&str>) -> Result<Target, BadPath> {
        let rest = path.strip_prefix('/').ok_or(BadPath)?;
        let (rest, ends_in_slash) = match rest.strip_suffix('/') {
            Some(rest) => (rest, true),
            None => (rest, rest.is_empty()),
        };
        let names = match rest {
            // "//" names something without a name.
            "" if path.len() > 1 => return Err(BadPath),
            "" => Vec::new(),
            rest => rest.split('/').map(name).collect::<Result<_, _>>()?,
        };
        let words = query.into_iter().flat_map(|query| query.split('&'));
        let word = |word: &str| {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            (text(name), text(value))
        };
        Ok(Target {
            names,
            ends_in_slash,
            query: words.filter(|word| !word.is_empty()).map(word).collect(),
            raw_query: query.map(str::to_owned),
        })
    }

    /// The names, for messages and as a key.
    pub(super) fn path(&self) -> String {
        let names: Vec<_> = self.names.iter().map(|name| name.to_string_lossy()).collect();
        names.join("/")
    }

    /// The value of the first word of this name.
    pub(super) fn word(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The query without the words of this name; `None` if nothing is left.
    pub(super) fn query_without(&self, name: &str) -> Option<String> {
        let raw = self.raw_query.as_deref()?;
        let is_other = |word: &&str| text(word.split('=').next().unwrap_or_default()) != name;
        let left: Vec<&str> = raw.split('&').filter(is_other).collect();
        (!left.is_empty()).then(|| left.join("&"))
    }
}

fn name(encoded: &str) -> Result<OsString, BadPath> {
    if !is_encoded_right(encoded) {
        return Err(BadPath);
    }
    let bytes: Vec<u8> = percent_decode_str(encoded).collect();
    let is_elsewhere = matches!(&bytes[..], b"" | b"." | b"..");
    if is_elsewhere || bytes.iter().any(|byte| matches!(byte, 0 | b'/')) {
        return Err(BadPath);
    }
    Ok(OsString::from_vec(bytes))
}

/// Whether two digits follow each percent sign.
fn is_encoded_right(text: &str) -> bool {
    text.split('%').skip(1).all(|behind| {
        let digits = behind.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

fn text(encoded: &str) -> String {
    let spaced = encoded.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &str) -> Option<Vec<String>> {
        let target = Target::parse(path, None).ok()?;
        Some(target.names.into_iter().map(|name| name.into_string().unwrap()).collect())
    }

    #[test]
    fn a_path_is_split_before_it_is_decoded() {
        assert_eq!(names("/").unwrap(), [""; 0]);
        assert_eq!(names("/a%20b/c%25d+e").unwrap(), ["a b", "c%d+e"]);
        assert_eq!(names("/a%2520b/").unwrap(), ["a%20b"]);
        assert_eq!(names("/...").unwrap(), ["..."]);
    }

    #[test]
    fn what_could_lead_elsewhere_names_nothing() {
        for path in [
            "",
            "a",
            "//",
            "//a",
            "/a//b",
            "/a/./b",
            "/..",
            "/a/..",
            "/%2e%2E/a",
            "/.%2e",
            "/a%2fb",
            "/a%00",
            "/a%",
            "/a%4",
            "/a%zz",
            "/%2e",
            "/a//",
        ] {
            assert_eq!(names(path), None, "{path}");
        }
    }

    #[test]
    fn a_query_is_read_word_by_word() {
        let target = Target::parse("/a", Some("x=1+2&token=a%26b&y")).unwrap();
        assert_eq!(target.word("x"), Some("1 2"));
        assert_eq!(target.word("token"), Some("a&b"));
        assert_eq!((target.word("y"), target.word("z")), (Some(""), None));
        assert_eq!(target.query_without("token").as_deref(), Some("x=1+2&y"));
        let target = Target::parse("/a", Some("token=1")).unwrap();
        assert_eq!(target.query_without("token"), None);
    }
}
