//! Conditional requests (RFC 9110, section 13).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::HeaderMap;
use hyper::header::{
    HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
};

/// What stands for a state of a file.
#[derive(Debug, Clone)]
pub(super) struct Validators {
    /// Its tag, with its quotes, and `W/` before it if it is weak.
    pub(super) etag: String,
    /// When it was written, in whole seconds.
    pub(super) modified: SystemTime,
}

/// What comes of the conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The request is answered as if there were none.
    Holds,
    /// Who asks has it already: 304.
    NotModified,
    /// It is not the state that was meant: 412.
    Failed,
}

impl Validators {
    /// Those of a file with this tag, if it has one. A time and a size are no proof of equal
    /// bytes, so they make a weak tag.
    pub(super) fn new(tag: Option<&str>, modified: SystemTime, size: u64) -> Self {
        let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        let is_legal = |tag: &&str| tag.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x7e));
        let etag = match tag.filter(is_legal) {
            Some(tag) => format!("\"{tag}\""),
            None => format!("W/\"{:x}-{size:x}\"", since.as_nanos()),
        };
        Validators { etag, modified: UNIX_EPOCH + Duration::from_secs(since.as_secs()) }
    }

    /// What comes of the conditions of a request for it.
    pub(super) fn judge(&self, headers: &HeaderMap) -> Outcome {
        if headers.contains_key(IF_MATCH) {
            let is_weak = self.etag.starts_with("W/");
            if !lists(headers, IF_MATCH, |tag| !is_weak && tag == self.etag) {
                return Outcome::Failed;
            }
        } else if let Some(when) = date(headers, IF_UNMODIFIED_SINCE)
            && self.modified > when
        {
            return Outcome::Failed;
        }
        if headers.contains_key(IF_NONE_MATCH) {
            let plain = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
            if lists(headers, IF_NONE_MATCH, |tag| plain(tag) == plain(&self.etag)) {
                return Outcome::NotModified;
            }
        } else if let Some(when) = date(headers, IF_MODIFIED_SINCE)
            && self.modified <= when
        {
            return Outcome::NotModified;
        }
        Outcome::Holds
    }

    /// Whether the ranges of a request are of this state, as far as it says.
    pub(super) fn is_meant_by_range(&self, headers: &HeaderMap) -> bool {
        let Some(value) = headers.get(IF_RANGE) else { return true };
        let value = value.to_str().unwrap_or_default().trim();
        if value.starts_with('"') {
            return value == self.etag;
        }
        // What was written within the last second may have been written twice in it.
        let is_settled = self.modified.elapsed().is_ok_and(|age| age > Duration::from_secs(1));
        is_settled && httpdate::parse_http_date(value).is_ok_and(|when| when == self.modified)
    }
}

/// Whether a list of tags has one like this, or is `*`.
fn lists(headers: &HeaderMap, name: HeaderName, is_it: impl Fn(&str) -> bool) -> bool {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        let mut rest = value.trim();
        if rest == "*" {
            return true;
        }
        // A tag may have commas in it.
        while let Some(start) = rest.find('"') {
            let Some(length) = rest[start + 1..].find('"') else { return false };
            let end = start + 1 + length + 1;
            let weak = rest[..start].ends_with("W/");
            if is_it(&rest[if weak { start - 2 } else { start }..end]) {
                return true;
            }
            rest = &rest[end..];
        }
        false
    })
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEN: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";

    fn validators(tag: Option<&str>) -> Validators {
        Validators::new(tag, httpdate::parse_http_date(THEN).unwrap(), 7)
    }

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in list {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    #[test]
    fn conditions_are_judged_in_their_order() {
        use Outcome::{Failed, Holds, NotModified};
        let judge = |list: &[(&'static str, &str)]| validators(Some("a,b")).judge(&headers(list));
        assert_eq!(judge(&[]), Holds);
        assert_eq!(judge(&[("if-match", "\"x\", \"a,b\"")]), Holds);
        assert_eq!(judge(&[("if-match", "*")]), Holds);
        assert_eq!(judge(&[("if-match", "\"x\"")]), Failed);
        assert_eq!(judge(&[("if-match", "W/\"a,b\"")]), Failed);
        assert_eq!(judge(&[("if-match", "a,b")]), Failed);
        assert_eq!(judge(&[("if-unmodified-since", BEFORE)]), Failed);
        assert_eq!(judge(&[("if-match", "\"a,b\""), ("if-unmodified-since", BEFORE)]), Holds);
        assert_eq!(judge(&[("if-none-match", "\"x\", W/\"a,b\"")]), NotModified);
        assert_eq!(judge(&[("if-none-match", "*")]), NotModified);
        assert_eq!(judge(&[("if-modified-since", THEN)]), NotModified);
        assert_eq!(judge(&[("if-modified-since", BEFORE)]), Holds);
        assert_eq!(judge(&[("if-modified-since", "yesterday")]), Holds);
        assert_eq!(judge(&[("if-none-match", "\"x\""), ("if-modified-since", THEN)]), Holds);
        let both = [("if-match", "\"x\""), ("if-none-match", "\"a,b\"")];
        assert_eq!(judge(&both), Failed);
    }

    #[test]
    fn a_range_is_of_the_state_that_it_names() {
        let meant = |tag: Option<&str>, value: &str| {
            validators(tag).is_meant_by_range(&headers(&[("if-range", value)]))
        };
        assert!(validators(None).is_meant_by_range(&HeaderMap::new()));
        assert!(meant(Some("a"), "\"a\"") && !meant(Some("a"), "\"b\""));
        assert!(meant(Some("a"), THEN) && !meant(Some("a"), BEFORE));
        let weak = validators(None).etag;
        assert!(!meant(None, weak.as_str()), "a weak tag proves nothing");
        assert!(!meant(Some("a"), "W/\"a\"") && !meant(Some("a"), ""));
    }

    #[test]
    fn a_tag_that_no_header_takes_is_replaced_by_a_weak_one() {
        assert!(validators(Some("a\"b")).etag.starts_with("W/"));
        assert!(validators(Some("a\u{e9}")).etag.starts_with("W/"));
    }
}
