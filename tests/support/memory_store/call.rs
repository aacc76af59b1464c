//! What a store can be asked, as the store in memory keeps it.

use s3mem::key::ObjectKey;
use s3mem::store::{GetRequest, ListRequest};

/// One call that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// A page of a listing.
    List(ListRequest),
    /// The headers of an object.
    Head(ObjectKey),
    /// A range of an object.
    Get(GetRequest),
    /// A whole object.
    Put(ObjectKey),
    /// The beginning of an upload in parts.
    BeginUpload(ObjectKey),
    /// A part of one, with its number.
    PutPart(ObjectKey, u32),
    /// A part of one that is copied, with its number.
    CopyPart(ObjectKey, u32),
    /// The end of one.
    CompleteUpload(ObjectKey),
    /// The giving up of one.
    AbortUpload(ObjectKey),
    /// A copy: from where, to where.
    Copy(ObjectKey, ObjectKey),
    /// A delete.
    Delete(ObjectKey),
}

/// The kinds of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallKind {
    /// `list_page`.
    List,
    /// `head`.
    Head,
    /// `get_range`.
    Get,
    /// `put`.
    Put,
    /// `begin_upload`.
    BeginUpload,
    /// `put_part`.
    PutPart,
    /// `copy_part`.
    CopyPart,
    /// `complete_upload`.
    CompleteUpload,
    /// `abort_upload`.
    AbortUpload,
    /// `copy`.
    Copy,
    /// `delete`.
    Delete,
}

impl CallKind {
    /// Whether such calls change the bucket, or an upload.
    pub fn writes(self) -> bool {
        !matches!(self, Self::List | Self::Head | Self::Get)
    }
}

impl Call {
    /// Which kind it is.
    pub fn kind(&self) -> CallKind {
        match self {
            Self::List(_) => CallKind::List,
            Self::Head(_) => CallKind::Head,
            Self::Get(_) => CallKind::Get,
            Self::Put(_) => CallKind::Put,
            Self::BeginUpload(_) => CallKind::BeginUpload,
            Self::PutPart(..) => CallKind::PutPart,
            Self::CopyPart(..) => CallKind::CopyPart,
            Self::CompleteUpload(_) => CallKind::CompleteUpload,
            Self::AbortUpload(_) => CallKind::AbortUpload,
            Self::Copy(..) => CallKind::Copy,
            Self::Delete(_) => CallKind::Delete,
        }
    }

    /// The key; of a listing, the prefix; of a copy, the key that is written.
    pub fn key(&self) -> &str {
        match self {
            Self::List(request) => request.prefix.as_str(),
            Self::Head(key)
            | Self::Put(key)
            | Self::BeginUpload(key)
            | Self::PutPart(key, _)
            | Self::CopyPart(key, _)
            | Self::CompleteUpload(key)
            | Self::AbortUpload(key)
            | Self::Copy(_, key)
            | Self::Delete(key) => key.as_str(),
            Self::Get(request) => request.key.as_str(),
        }
    }
}
