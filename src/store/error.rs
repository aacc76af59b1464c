//! What can go wrong with a request: a kind to branch on, a source to report.

use std::error::Error;
use std::fmt;

use crate::key::ObjectKey;
use crate::sync::ToldOnce;

/// The kinds of failure that somebody above decides by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// There is no such object.
    NotFound,
    /// There is no such bucket.
    NoSuchBucket,
    /// The credentials do not allow this request.
    AccessDenied,
    /// No credentials were found.
    NoCredentials,
    /// The credentials were valid once.
    ExpiredCredentials,
    /// What was set up can't be used; the detail says why.
    Settings,
    /// The server does not know the access key, or the signature is wrong.
    BadCredentials,
    /// The bucket is in another region; which one, where the server says so.
    WrongRegion(Option<String>),
    /// The object is in an archive and has to be restored first.
    Archived,
    /// The object is not the version that was asked for any more.
    Changed,
    /// The range lies outside the object.
    RangeOutside,
    /// The server has no room, or takes no object that large.
    Full,
    /// The server asks to slow down or has a passing fault.
    Transient,
    /// The body ended or broke before all its bytes were here.
    ShortBody,
    /// No answer within the deadline, or a body that stalled.
    Timeout,
    /// The server can't be reached at all.
    Unreachable,
    /// What came of an object does not add up to the checksum that its server keeps.
    Damaged,
    /// An answer that no S3 server gives: somebody else seems to be listening, such as a
    /// proxy or the sign-in page of a network.
    NotS3,
    /// Anything else: an answer that makes no sense, a refusal without a known code.
    Other,
}

impl StoreErrorKind {
    /// Whether the same request may succeed when it is sent again.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Transient | Self::ShortBody | Self::Timeout | Self::Unreachable => true,
            Self::NotFound
            | Self::NoSuchBucket
            | Self::AccessDenied
            | Self::NoCredentials
            | Self::ExpiredCredentials
            | Self::Settings
            | Self::BadCredentials
            | Self::WrongRegion(_)
            | Self::Archived
            | Self::Changed
            | Self::RangeOutside
            | Self::Full
            | Self::Damaged
            | Self::NotS3
            | Self::Other => false,
        }
    }

    /// Whether a write that ended so may have happened all the same.
    pub fn leaves_doubt(&self) -> bool {
        self.is_transient() || *self == Self::NotS3
    }
}

/// What a server says that it does not know of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// The checksum of what is written.
    Checksums,
    /// The condition on which something is to be written or deleted.
    Conditions,
    /// One of the two, or something else: it does not say what.
    Unnamed,
}

/// A failed request. `Display` says what happened; the cause is in `source()`.
#[derive(Debug)]
pub struct StoreError {
    /// What to branch on.
    pub kind: StoreErrorKind,
    /// What was asked for, for the log: `GET key`, `LIST prefix`.
    pub request: String,
    /// S3's own code and message where there are any.
    pub detail: String,
    /// The server's id of the request, to quote to its operators.
    pub request_id: Option<Box<str>>,
    /// How many seconds the server asks to wait before the request is sent again.
    pub retry_after_seconds: Option<u16>,
    /// Whether the server refuses because it is asked too much.
    pub is_throttling: bool,
    /// What the server says that it does not know, if that is why it refuses.
    pub lack: Option<Lack>,
    /// The cause below, if there is one.
    pub source: Option<Box<dyn Error + Send + Sync>>,
    /// Whether somebody has logged it: all who waited for one request share its error.
    pub(super) told: ToldOnce,
}

impl StoreError {
    /// An error without a cause below it.
    pub fn new(
        kind: StoreErrorKind,
        request: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        StoreError {
            kind,
            request: request.into(),
            detail: detail.into(),
            request_id: None,
            retry_after_seconds: None,
            is_throttling: false,
            lack: None,
            source: None,
            told: ToldOnce::new(),
        }
    }

    /// A name that no bucket of the mount has.
    pub fn no_bucket(name: &str) -> Self {
        let detail = "this mount has no bucket of this name";
        StoreError::new(StoreErrorKind::NoSuchBucket, name, detail)
    }

    /// An answer that is of another version than the one that was looked up.
    pub fn overwritten(key: &ObjectKey) -> Self {
        let detail = "the object was overwritten since it was looked up";
        StoreError::new(StoreErrorKind::Changed, format!("GET {key}"), detail)
    }

    /// A body that had fewer bytes than its answer promised.
    pub fn short_body(key: &ObjectKey, detail: impl Into<String>) -> Self {
        StoreError::new(StoreErrorKind::ShortBody, format!("GET {key}"), detail)
    }

    /// Bytes that do not add up to the checksum that the server keeps of the object.
    pub fn damaged(key: &ObjectKey) -> Self {
        let detail = "what came does not add up to the checksum that the server keeps of the \
                      object: some of it was damaged, on its way or where it is kept. What was \
                      read of it may be wrong; close the file and read it again";
        StoreError::new(StoreErrorKind::Damaged, format!("GET {key}"), detail)
    }

    /// A request whose answer nobody waits for any more.
    pub fn given_up(request: impl Into<String>, detail: impl Into<String>) -> Self {
        StoreError::new(StoreErrorKind::Other, request, detail)
    }

    /// The same error with the cause below it.
    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Whether the server may have done what was asked for without having said a word.
    pub fn is_unanswered(&self) -> bool {
        self.kind.leaves_doubt() && self.request_id.is_none()
    }

    /// The error and its causes in one line.
    pub fn chain(&self) -> String {
        let mut line = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            line.push_str(&format!(": {error}"));
            cause = error.source();
        }
        line
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.request.escape_debug(), self.detail)?;
        if let Some(id) = &self.request_id {
            write!(f, " (request id {id})")?;
        }
        Ok(())
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}
