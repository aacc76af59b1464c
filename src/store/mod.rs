//! Objects over the network: the one trait through which everything speaks to S3.
//!
//! Contract: an [`ObjectStore`] answers three questions (what is here, what is
//! this, give me these bytes) for one bucket, and writes, copies and deletes its
//! objects, each on a condition. [`S3`] is the only one in production, under the
//! decorators of [`production_stack`]; [`Buckets`] makes several of these one, with a
//! folder for each, and [`ShowVersions`] shows old versions among the keys. Never sees inodes, file names or directories.

mod ambiguous;
mod buckets;
mod check_conditions;
pub mod checksum;
mod conditional;
mod error;
mod if_match;
mod in_doubt;
mod in_folder;
mod large_copy;
mod limit;
mod meter;
mod report;
mod respell;
mod retry;
mod s3;
mod same_bytes;
mod settle;
mod show_versions;
mod spelling;
mod stack;
mod trail;
mod versions;
mod write;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

pub use buckets::{Buckets, Folders, OpenBucket};
pub use check_conditions::CheckConditions;
pub use error::{Lack, StoreError, StoreErrorKind};
pub use in_folder::InFolder;
pub use large_copy::LargeCopies;
pub use limit::{Limit, Limits, writes_at_once};
pub use meter::Meter;
pub use respell::Respell;
pub use retry::{Retry, RetryConfig};
pub use s3::{
    BodySignatures, Credentials, KnownCredentials, S3, S3Buckets, S3Config, SAID_BY_US, WayOut,
    certificates, tls_reason,
};
pub use show_versions::ShowVersions;
pub use spelling::{Lesson, Spelling};
pub use stack::{StackConfig, cache_stack, production_stack};
pub use trail::Trail;
pub use versions::{KeptContent, KeptVersion, VersionsPage, VersionsRequest};
pub use write::{
    BeginRequest, CompleteRequest, Condition, CopyPartRequest, CopyRequest, Encryption,
    KeptConditions, Part, PartRequest, PutRequest, Upload, WriteSettings, Written,
};

use checksum::Kept;

use crate::key::{ETag, ObjectKey, ObjectVersion, Prefix};

/// One bucket, or several that are folders of one.
#[async_trait]
pub trait ObjectStore: Send + Sync + Debug {
    /// One page of a listing.
    async fn list_page(&self, request: ListRequest) -> Result<ListPage, StoreError>;

    /// What one object is, without its bytes.
    async fn head(&self, key: &ObjectKey) -> Result<ObjectHead, StoreError>;

    /// What the headers say of one part of an object that was uploaded in parts; parts are
    /// numbered from 1. Its `size` is that of the part, or that of the object on servers that
    /// do not tell parts apart; all else is of the object.
    ///
    /// # Errors
    /// As [`ObjectStore::head`].
    async fn head_part(&self, key: &ObjectKey, number: u32) -> Result<ObjectHead, StoreError>;

    /// A range of one version's bytes, as a stream that starts when the headers are here.
    async fn get_range(&self, request: GetRequest) -> Result<GetBody, StoreError>;

    /// A page of the versions of one object, newest first.
    async fn list_versions(&self, request: VersionsRequest) -> Result<VersionsPage, StoreError>;

    /// Writes a whole object. A condition that does not hold is
    /// [`StoreErrorKind::Changed`], or `NotFound` where there is no object to be
    /// unchanged. After an error that is transient nobody knows whether it happened;
    /// so it is with all that follows.
    async fn put(&self, request: PutRequest) -> Result<Written, StoreError>;

    /// Begins an object that is written in parts. It shows up when it is completed.
    async fn begin_upload(&self, request: BeginRequest) -> Result<Upload, StoreError>;

    /// Writes one part of an upload.
    async fn put_part(&self, request: PartRequest) -> Result<Part, StoreError>;

    /// Has the server copy one part of an upload from a version of another object, or of
    /// the same. A source that was overwritten is [`StoreErrorKind::Changed`].
    async fn copy_part(&self, request: CopyPartRequest) -> Result<Part, StoreError>;

    /// Makes an object of parts; where the condition fails, the upload stays.
    async fn complete_upload(&self, request: CompleteRequest) -> Result<Written, StoreError>;

    /// Throws an upload and its parts away; one that is gone already is no error.
    async fn abort_upload(&self, upload: &Upload) -> Result<(), StoreError>;

    /// Copies one version inside the bucket, with its metadata. A source that was
    /// overwritten is [`StoreErrorKind::Changed`], as is a condition that does not hold.
    async fn copy(&self, request: CopyRequest) -> Result<Written, StoreError>;

    /// Deletes an object, if it is this version where one is given. One that is not
    /// there is no error without a version, and [`StoreErrorKind::NotFound`] with one.
    async fn delete(&self, key: &ObjectKey, etag: Option<&ETag>) -> Result<(), StoreError>;

    /// On which writes the server keeps conditions, as far as its answers have told. A
    /// decorator says what the store below it says.
    fn kept_conditions(&self) -> KeptConditions;

    /// In which order the server lists what is below a prefix, as far as its answers have
    /// told. A decorator says what the store below it says.
    fn key_order(&self, within: &Prefix) -> KeyOrder;

    /// How the server writes keys in listings, shared by all who learn of it. A decorator
    /// gives what the store below it gives.
    fn spelling(&self) -> Spelling;
}

/// In which order a server lists keys and prefixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyOrder {
    /// In that of their bytes, as Amazon S3 does in general purpose buckets: a name that a
    /// page steps over does not exist.
    OfBytes,
    /// Nobody knows: most servers do as Amazon S3.
    Unknown,
    /// In any order, and only below prefixes that end in `/`, as in directory buckets.
    Any,
}

/// Which page of which listing is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRequest {
    /// Only keys that start with this.
    pub prefix: Prefix,
    /// Whether keys are rolled up at the next `/` behind the prefix.
    pub delimited: bool,
    /// Where an earlier page left off: its [`ListPage::next`].
    pub token: Option<String>,
    /// Without a token: only what comes behind this key.
    pub after: Option<String>,
    /// At most so many keys and prefixes together; S3 gives no more than 1,000.
    pub max_keys: u16,
}

/// One page of a listing, each part in key order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ListPage {
    /// The objects.
    pub objects: Vec<ListedObject>,
    /// The prefixes that keys were rolled up into; each ends in `/`.
    pub prefixes: Vec<Prefix>,
    /// Keys that can't be asked for because they are no UTF-8, percent-encoded.
    pub unreachable: Vec<String>,
    /// The token of the next page; `None` when this was the last.
    pub next: Option<String>,
}

impl ListPage {
    /// Whether there is nothing on it.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.prefixes.is_empty() && self.unreachable.is_empty()
    }

    /// Where it begins and ends, for [`Trail::follow`].
    pub fn ends(&self) -> Option<(&str, &str)> {
        let objects = self.objects.iter().map(|object| object.version.key.as_str());
        let mut all = objects.chain(self.prefixes.iter().map(Prefix::as_str));
        let first = all.next()?;
        Some((first, all.last().unwrap_or(first)))
    }
}

/// What a listing says of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedObject {
    /// Which version of which object it is.
    pub version: ObjectVersion,
    /// Its storage class, where the server says one (`STANDARD`, `GLACIER`, ...).
    pub storage_class: Option<Arc<str>>,
}

impl ListedObject {
    /// Whether its class is one whose objects can only be read once restored. A listing
    /// does not say whether one has been; a GET does.
    pub fn is_archived(&self) -> bool {
        matches!(self.storage_class.as_deref(), Some("GLACIER" | "DEEP_ARCHIVE"))
    }
}

/// What the headers of a HEAD or a GET say of one object.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectHead {
    /// The size of the whole object in bytes; some servers don't say it with a range.
    pub size: Option<u64>,
    /// The entity tag.
    pub etag: Option<ETag>,
    /// When the object was written, where the server says so.
    pub last_modified: Option<SystemTime>,
    /// The media type.
    pub content_type: Option<String>,
    /// The storage class; S3 omits it for `STANDARD`.
    pub storage_class: Option<String>,
    /// The object's own metadata: `x-amz-meta-NAME`, without the prefix.
    pub metadata: BTreeMap<String, String>,
    /// The CRC32C as S3 tells it (base64; `...-N` for an upload in N parts), where a
    /// HEAD says one.
    pub checksum: Option<String>,
    /// What the server keeps of its bytes, to hold them against, where a HEAD says so.
    pub kept: Option<Kept>,
}

/// Which bytes of which version are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetRequest {
    /// The object.
    pub key: ObjectKey,
    /// The byte range; never empty, never past the end of the version asked for.
    pub range: Range<u64>,
    /// The only version that may answer (sent as If-Match).
    pub etag: Option<ETag>,
}

/// The answer to a [`GetRequest`]: the headers at once, the bytes as they arrive.
pub struct GetBody {
    /// What the headers say of the object.
    pub head: ObjectHead,
    /// The bytes in order. A stream that ends before the range is complete is
    /// an error of kind [`StoreErrorKind::ShortBody`], never a silent end.
    pub bytes: BoxStream<'static, Result<Bytes, StoreError>>,
}

impl Debug for GetBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GetBody").field("head", &self.head).finish_non_exhaustive()
    }
}
