//! Texts that others wrote, and what must hold for how they are read: keys, documents, requests,
//! flags, messages. None may panic; that overflow is a panic, the profile sees to.

use std::time::Duration;

use crate::names::{Decoded, Encoded, decode, encode, shadowed};
use crate::ranges::Asked;
use crate::target::Target;
use crate::{
    document, escape, json, key, message, pasted, ranges, seconds, size, text, xattr_name,
};

/// The path of names that leads to a segment of a key.
fn path_of(segment: &str) -> Vec<String> {
    let (mut path, mut rest) = (Vec::new(), segment);
    loop {
        match encode(rest) {
            Encoded::Whole(name) => {
                path.push(name);
                return path;
            }
            Encoded::Long { name, part } => {
                assert!(!part.is_empty() && rest.starts_with(part));
                rest = &rest[part.len()..];
                path.push(name);
            }
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

/// A segment has one path of legal names, which leads back; another segment has another one; and
/// a name is that of at most one segment.
pub fn key_names(one: &str, other: &str) {
    let segments = [one, other].map(|text| text.replace('/', ""));
    let paths = [0, 1].map(|n: usize| path_of(&segments[n]));
    for (segment, path) in segments.iter().zip(&paths) {
        for name in path {
            assert!((1..=key::MAX_NAME_BYTES).contains(&name.len()), "{name:?}");
            assert!(!name.contains(['\0', '/']) && name != "." && name != "..", "{name:?}");
        }
        assert_eq!(segment_of(path).as_ref(), Some(segment), "{path:?}");
        // The suffix of an object beside a directory makes a name that no segment has.
        if let ([name], Some(hidden)) = (&path[..], shadowed(&path[0])) {
            assert_eq!(decode(&hidden), Some(Decoded::ShadowedObject(segment.clone())), "{name:?}");
        }
    }
    assert_eq!(paths[0] == paths[1], segments[0] == segments[1]);
    if let Some(Decoded::Segment(segment)) = decode(other) {
        assert_eq!(encode(&segment), Encoded::Whole(other.to_owned()));
    }
}

/// A document that stops before its end is none.
pub fn xml_document(bytes: &[u8]) {
    let Some(root) = document::Element::parse(bytes) else { return };
    let _ = (root.text("Key"), root.exact_text("Key"), root.all("Contents").count());
    // What stands behind the root is not looked at: the root ends where a tag does.
    let end = (1..=bytes.len())
        .filter(|end| bytes[end - 1] == b'>')
        .find(|end| document::Element::parse(&bytes[..*end]).is_some());
    let end = end.expect("it ends with a tag");
    for cut in [end / 3, end / 2, end - 1] {
        assert_eq!(document::Element::parse(&bytes[..cut]), None, "{cut} of {end}");
    }
    assert!(std::str::from_utf8(bytes).is_ok() || root.is_lossy());
}

/// No path leads elsewhere, a link leads to its name, and each range lies in the file.
pub fn http_request(path: &str, query: &str, range: &str, size: u64) {
    if let Ok(target) = Target::parse(path, Some(query)) {
        for name in &target.names {
            let bytes = name.as_encoded_bytes();
            assert!(!matches!(bytes, b"" | b"." | b".."), "{path:?}");
            assert!(!bytes.contains(&b'/') && !bytes.contains(&0), "{path:?}");
        }
        let _ = (target.path(), target.word("token"));
        // Nothing is left of what was taken out.
        let left = target.query_without("token");
        if let Some(left) = left.as_deref() {
            let target = Target::parse("/", Some(left)).expect("the root is a path");
            assert_eq!(target.word("token"), None, "{query:?}");
        }
    }
    let name = path.replace(['/', '\0'], "");
    if !matches!(name.as_str(), "" | "." | "..") {
        let link = escape::link(&name);
        let target = Target::parse(&format!("/{}", &link[2..]), None).expect("a link is a path");
        assert_eq!(target.names, [std::ffi::OsString::from(name)]);
    }
    let html = escape::html(path);
    assert!(!html.contains(['<', '>', '"', '\'']) && !html.contains(char::is_control));
    assert!(!escape::json(path).contains(['<', '\n']));
    if let Asked::Parts(parts) = ranges::parse(range, size) {
        let mut sum = 0_u64;
        for part in &parts {
            assert!(part.start < part.end && part.end <= size, "{range:?} of {size}");
            sum = sum.saturating_add(part.end - part.start);
        }
        assert!(parts.len() == 1 || sum <= size, "{range:?} of {size}");
    }
}

/// Sizes, times and addresses as they are typed.
pub fn command_line(typed: &str, number: u64) {
    if let Some(bytes) = size::parse(typed) {
        let _ = size::show(bytes);
    }
    assert_eq!(size::parse(&number.to_string()), Some(number));
    let _ = size::show(number);
    if let Some(time) = seconds::parse(typed) {
        assert!(time <= seconds::CENTURY, "{typed:?}");
    }
    let whole = u32::try_from(number).unwrap_or(u32::MAX);
    let century = Duration::from_secs(whole.into()).min(seconds::CENTURY);
    assert_eq!(seconds::parse(&whole.to_string()), Some(century));
    let _ = pasted::command_for(typed);
    if let Ok(bucket) = typed.parse::<key::Bucket>() {
        assert!(!bucket.as_str().contains(char::is_control));
        let _ = (bucket.is_legal_on_aws(), bucket.arn_region());
    }
}

/// Nothing that a terminal obeys gets through; JSON is one line and says the same; names of
/// attributes ask for one thing; questions are short.
pub fn messages(said: &str, bytes: &[u8]) {
    let shown = text::printable(said);
    let obeyed = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}');
    assert!(!shown.contains(obeyed), "{said:?}");
    assert_eq!(text::printable(&shown), shown, "what is shown is not changed again");
    let quoted = json::string(said);
    assert!(!quoted.contains(obeyed), "{said:?}");
    assert_eq!(serde_json::from_str::<String>(&quoted).expect("it is JSON"), said);
    if let Ok(Some(question)) = message::question(bytes) {
        assert!(question.len() < 64 && !question.contains('\n'));
    }
    let lines = said.lines().map(|line| Ok(line.to_owned()));
    if let Some((_, report)) = message::status(lines) {
        assert!(!report.contains(|c: char| obeyed(c) && c != '\n'), "{said:?}");
    }
    let is_asked = xattr_name::asked(bytes).is_some();
    assert!(!(is_asked && xattr_name::is_theirs(bytes)));
    assert!(!is_asked || bytes.starts_with(xattr_name::OURS.as_bytes()));
}
