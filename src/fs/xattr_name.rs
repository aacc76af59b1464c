//! What the name of an extended attribute asks for. Pure.

/// Begins the names of attributes that tell of the bucket.
pub(super) const OURS: &str = "user.s3.";
/// Begins those of an object's own metadata.
pub(super) const META: &str = "user.s3.meta.";

/// Begins those of attributes that tell of the mount.
const MEM: &str = "user.s3mem.";
/// How many bytes of a file are in memory.
pub const CACHED: &str = "user.s3mem.cached";
/// Which siblings a file is known to have.
pub(super) const SIBLINGS: &str = "user.s3mem.siblings";
/// Whoever reads this of a file or a directory has it refreshed. It is never listed.
pub const REFRESH: &str = "user.s3mem.refresh";
/// How many bytes of files the mount may hold, asked of any of its files or directories. It is
/// never listed.
pub const ROOM: &str = "user.s3mem.room";

/// What a name asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked<'n> {
    /// Answered from the listing.
    Listed(&'n str),
    /// How many of its bytes are in memory.
    Cached,
    /// Which siblings it is known to have.
    Siblings,
    /// Answered from a HEAD.
    ContentType,
    /// One of the object's own metadata, from a HEAD.
    Meta(&'n str),
}

/// What a name asks for; `None` for one of nobody's.
pub(super) fn asked(name: &[u8]) -> Option<Asked<'_>> {
    let name = std::str::from_utf8(name).ok()?;
    match name {
        CACHED => return Some(Asked::Cached),
        SIBLINGS => return Some(Asked::Siblings),
        _ => {}
    }
    if let Some(name) = name.strip_prefix(META) {
        return Some(Asked::Meta(name));
    }
    match name.strip_prefix(OURS)? {
        "content-type" => Some(Asked::ContentType),
        name @ ("key" | "etag" | "version-id" | "storage-class" | "last-modified") => {
            Some(Asked::Listed(name))
        }
        _ => None,
    }
}

/// Whether programs may give something an attribute of this name.
pub(super) fn is_theirs(name: &[u8]) -> bool {
    name.starts_with(b"user.") && [OURS, MEM].iter().all(|ours| !name.starts_with(ours.as_bytes()))
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
        assert_eq!(asked(b"user.s3mem.cached"), Some(Asked::Cached));
        assert!(
            !is_theirs(b"user.s3mem.mine")
                && !is_theirs(b"user.s3.mine")
                && !is_theirs(b"trusted.x")
        );
    }
}
