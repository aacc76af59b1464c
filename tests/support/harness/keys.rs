//! The keys that models put into a bucket, and the paths that these have in a mount:
//! the rules of docs/semantics.md, written down a second time and as plainly as can be.

use std::collections::BTreeMap;

use proptest::prelude::*;

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
