//! The keys that models put into a bucket, and the paths that these have in a mount:
//! the rules of docs/semantics.md, written down a second time and as plainly as can be.

use std::collections::BTreeMap;

use proptest::prelude::*;

/// Keys that mean something to Linux, to terminals, to URLs or to s3mem, and where they are in
/// the mount.
pub(crate) const STRANGE: &[(&str, &str)] = &[
    // An object beside a directory of its name.
    ("a", "a%%object"),
    ("a/b", "a/b"),
    // Slashes where no name is.
    ("/lead", "%%/lead"),
    ("//twice", "%%/%%/twice"),
    ("c//d", "c/%%/d"),
    ("c/e", "c/e"),
    // A marker with a body is an object without a name in its own directory.
    ("marker/", "marker/%%"),
    ("marker/file", "marker/file"),
    // This one is beside the directory that `//twice` is in.
    ("/", "%%/%%%%object"),
    // What means something to Linux.
    (".", "%%%2E"),
    ("..", "%%%2E%2E"),
    ("f/./g", "f/%%%2E/g"),
    ("f/../h", "f/%%%2E%2E/h"),
    (".hidden", ".hidden"),
    ("...", "..."),
    // What means something to s3mem.
    ("%%", "%%%25%25"),
    ("%%%2E", "%%%25%25%252E"),
    ("x%%object", "%%x%25%25object"),
    ("y%%z", "%%y%25%25z"),
    ("y%%%z", "%%y%25%25%25z"),
    ("y%%", "%%y%25%25"),
    ("y%z%", "y%z%"),
    ("u%%v/w", "%%u%25%25v/w"),
    ("100%", "100%"),
    ("50%25", "50%25"),
    // Control characters and what terminals and URLs do not like.
    ("bell\u{7}", "bell\u{7}"),
    ("new\nline", "new\nline"),
    ("tab\tand\u{1b}[31m", "tab\tand\u{1b}[31m"),
    ("i/\u{1}/j", "i/\u{1}/j"),
    ("del\u{7f}", "del\u{7f}"),
    ("one two+three", "one two+three"),
    ("q?r#s&t=u;v", "q?r#s&t=u;v"),
    ("back\\slash", "back\\slash"),
    ("\"quoted\" 'too' <k>", "\"quoted\" 'too' <k>"),
    ("*[glob]{1,2}~$HOME`id`", "*[glob]{1,2}~$HOME`id`"),
    ("日本/Łódź/\u{1f6f0}", "日本/Łódź/\u{1f6f0}"),
    // The same to the eye, not to S3.
    ("e\u{301}", "e\u{301}"),
    ("\u{e9}", "\u{e9}"),
    (" lead and trail ", " lead and trail "),
    ("case", "case"),
    ("CASE", "CASE"),
];

/// Whether a key is a directory too: another begins with it and a `/`.
pub(crate) fn is_dir(objects: &BTreeMap<String, String>, key: &str) -> bool {
    let below = format!("{key}/");
    objects.range(below.clone()..).next().is_some_and(|(key, _)| key.starts_with(&below))
}

/// The name that a segment of a key has.
pub(crate) fn name(segment: &str) -> String {
    match segment {
        "" => "%%".into(),
        "." => "%%%2E".into(),
        ".." => "%%%2E%2E".into(),
        other if other.contains("%%") => format!("%%{}", other.replace('%', "%25")),
        other => other.into(),
    }
}

/// The path of a key in the tree; `None` for an empty marker, which is its directory.
pub(crate) fn model_path(objects: &BTreeMap<String, String>, key: &str) -> Option<String> {
    let (dirs, last) = key.rsplit_once('/').unwrap_or(("", key));
    let mut path = String::new();
    if key.contains('/') {
        dirs.split('/').for_each(|segment| path.push_str(&format!("{}/", name(segment))));
    }
    if last.is_empty() && objects[key].is_empty() {
        return None;
    }
    let suffix = if is_dir(objects, key) { "%%object" } else { "" };
    Some(format!("{path}{}{suffix}", name(last)))
}

/// A key of few segments, so that clashes are common.
pub(crate) fn key() -> impl Strategy<Value = String> {
    // Few segments, so that clashes are common; `a-` and `a.` sort before `a/`.
    let segment = prop_oneof![
        4 => "[ab]", 2 => "[ab][-.0]", 1 => Just(String::new()), 1 => Just(".".to_owned()),
        1 => Just("..".to_owned()), 1 => "[ab]{2}", 1 => "[ab]%{1,3}[ab]?",
    ];
    prop::collection::vec(segment, 1..4)
        .prop_map(|segments| segments.join("/"))
        .prop_filter("S3 has no empty key", |key| !key.is_empty())
}
