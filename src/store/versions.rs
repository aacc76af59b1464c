//! What a bucket keeps of one object: its versions.

use std::sync::Arc;
use std::time::SystemTime;

use crate::key::{ETag, ObjectKey};

/// Which page of the versions of an object is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionsRequest {
    /// The object.
    pub key: ObjectKey,
    /// Where an earlier page left off: its [`VersionsPage::next`].
    pub after: Option<String>,
}

/// A page of the versions of one object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionsPage {
    /// The versions, newest first.
    pub versions: Vec<KeptVersion>,
    /// Where the next page begins; `None` when this was the last.
    pub next: Option<String>,
}

/// One version of an object, or the mark that it was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptVersion {
    /// What the server calls it; `null` for what was there before it kept versions.
    pub id: Option<Arc<str>>,
    /// When it was made.
    pub last_modified: SystemTime,
    /// Whether it is the current one.
    pub is_latest: bool,
    /// What there is to read; `None` for a delete marker.
    pub content: Option<KeptContent>,
}

/// What a version holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptContent {
    /// Its size in bytes.
    pub size: u64,
    /// Its entity tag; some servers leave it out of listings.
    pub etag: Option<ETag>,
    /// Its storage class, where the server says one.
    pub storage_class: Option<Arc<str>>,
}
