//! What is asked of a bucket when something is written, and what it answers.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::key::{ETag, ObjectKey, ObjectVersion};

/// What has to hold of the key for a write to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// There is no such object (sent as `If-None-Match: *`).
    Absent,
    /// It is still this version (sent as If-Match).
    Unchanged(ETag),
    /// Whatever is there.
    Any,
}

/// On which writes a server keeps a [`Condition`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptConditions {
    /// On all of them, as Amazon S3 does.
    OnAllWrites,
    /// On PUTs and the completion of uploads; on copies and deletes the server may ignore
    /// them without a word, as MinIO does.
    NotOnCopiesAndDeletes,
}

/// A whole object in one request.
#[derive(Debug, Clone)]
pub struct PutRequest {
    /// The object.
    pub key: ObjectKey,
    /// All its bytes.
    pub body: Bytes,
    /// Its media type; the server's own default if `None`.
    pub content_type: Option<Arc<str>>,
    /// What has to hold of the key.
    pub condition: Condition,
}

/// What the server says of an object that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The entity tag of the new version; `None` where the server tells none. Below the
    /// retries that means that nobody has vouched for the write; above them, that a HEAD
    /// tells none either.
    pub etag: Option<ETag>,
}

/// The beginning of an object that is written in parts.
#[derive(Debug, Clone)]
pub struct BeginRequest {
    /// The object.
    pub key: ObjectKey,
    /// Its media type; the server's own default if `None`.
    pub content_type: Option<Arc<str>>,
    /// Its own metadata: `x-amz-meta-NAME`, without the prefix.
    pub metadata: BTreeMap<String, String>,
    /// Whether its parts come with their CRC32C: those that are sent do, those that the
    /// server copies don't.
    pub has_checksums: bool,
}

impl BeginRequest {
    /// An object whose parts are sent, without metadata.
    pub fn new(key: ObjectKey, content_type: Option<Arc<str>>) -> Self {
        BeginRequest { key, content_type, metadata: BTreeMap::new(), has_checksums: true }
    }
}

/// An upload in parts that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Upload {
    /// The object that it will make.
    pub key: ObjectKey,
    /// The server's name for it.
    pub id: Arc<str>,
}

/// One part of an upload.
#[derive(Debug, Clone)]
pub struct PartRequest {
    /// The upload that it belongs to.
    pub upload: Upload,
    /// Its place, from 1 to 10,000; a part that is sent again replaces the first.
    pub number: u32,
    /// Its bytes: 5 MiB at least in all parts but the last.
    pub body: Bytes,
}

/// One part of an upload whose bytes the server copies from another object.
#[derive(Debug, Clone)]
pub struct CopyPartRequest {
    /// The upload that it belongs to.
    pub upload: Upload,
    /// Its place, from 1 to 10,000; a part that is copied again replaces the first.
    pub number: u32,
    /// What is copied: this version and no other.
    pub from: ObjectVersion,
    /// Which of its bytes: 5 MiB to 5 GiB, in the last part also fewer.
    pub range: Range<u64>,
}

/// A part that the server has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its place.
    pub number: u32,
    /// The entity tag that the server gave it.
    pub etag: ETag,
    /// The CRC32C of its bytes; `None` if the server copied them.
    pub checksum: Option<u32>,
}

/// The end of an upload: its parts become an object.
#[derive(Debug, Clone)]
pub struct CompleteRequest {
    /// The upload.
    pub upload: Upload,
    /// The parts in ascending order.
    pub parts: Vec<Part>,
    /// What has to hold of the key.
    pub condition: Condition,
}

/// A copy that the server makes inside the bucket.
#[derive(Debug, Clone)]
pub struct CopyRequest {
    /// What is copied: this version and no other.
    pub from: ObjectVersion,
    /// The key of the copy.
    pub to: ObjectKey,
    /// What has to hold of that key.
    pub condition: Condition,
    /// The media type of an object that is too large to be copied in one request;
    /// the source's if `None`. Smaller ones always keep the source's.
    pub content_type: Option<Arc<str>>,
}

/// What every object that is written gets from the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteSettings {
    /// The storage class; the server's default if `None`.
    pub storage_class: Option<String>,
    /// How it is encrypted at rest.
    pub encryption: Encryption,
}

/// How the server encrypts what is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Encryption {
    /// As the bucket's settings say.
    #[default]
    BucketDefault,
    /// With keys of the storage service (SSE-S3).
    Aes256,
    /// With a key of the key service (SSE-KMS).
    Kms {
        /// Which one; the account's default if `None`.
        key: Option<String>,
    },
}
