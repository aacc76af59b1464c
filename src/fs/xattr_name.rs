//! What the name of an extended attribute asks for. Pure.

/// Begins the names of attributes that tell of the bucket.
pub(super) const OURS: &str = "user.s3.";
/// Begins those of an object's own metadata.
pub(super) const META: &str = "user.s3.meta.";

/// What a name asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked<'n> {
    /// Answered from the listing.
    Listed(&'n str),
    /// Answered from a HEAD.
    ContentType,
    /// One of the object's own metadata, from a HEAD.
    Meta(&'n str),
}

/// What a name asks for; `None` for one of nobody's.
pub(super) fn asked(name: &[u8]) -> Option<Asked<'_>> {
    let name = std::str::from_utf8(name).ok()?;
    if let Some(name) = name.strip_prefix(META) {
        return Some(Asked::Meta(name));
    }
    match name.strip_prefix(OURS)? {
        "content-type" => Some(Asked::ContentType),
        name @ ("key" | "etag" | "storage-class" | "last-modified") => Some(Asked::Listed(name)),
        _ => None,
    }
}

/// Whether programs may give something an attribute of this name.
pub(super) fn is_theirs(name: &[u8]) -> bool {
    name.starts_with(b"user.") && !name.starts_with(OURS.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_asks_for_one_thing_or_nothing() {
        assert_eq!(asked(b"user.s3.etag"), Some(Asked::Listed("etag")));
        assert_eq!(asked(b"user.s3.content-type"), Some(Asked::ContentType));
        assert_eq!(asked(b"user.s3.meta.a.b"), Some(Asked::Meta("a.b")));
        for name in ["user.s3.", "user.s3.meta", "user.s3.keys", "user.mine", "security.x", ""] {
            assert_eq!(asked(name.as_bytes()), None, "{name}");
        }
        assert_eq!(asked(b"user.s3.meta.\xff"), None);
        assert!(is_theirs(b"user.mine") && is_theirs(b"user.s3"));
        assert!(!is_theirs(b"user.s3.mine") && !is_theirs(b"trusted.x"));
    }
}
