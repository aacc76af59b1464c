//! What an operation fails with, and the one table of errno.
//!
//! No match here has a wildcard arm: a new kind of failure must be given its errno. An error
//! is logged once, where it leaves for the kernel, however many callers waited for it.

use std::io::ErrorKind;
use std::sync::Arc;

use crate::drafts::{SendError, SendErrorKind, XattrError};
use crate::names::NameError;
use crate::publish::PublishError;
use crate::store::{StoreError, StoreErrorKind};
use crate::view::{ImageError, ViewError};

/// Why an operation failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FsError {
    /// There is no such name.
    #[error("no such file or directory")]
    NotFound,
    /// A file was used as a directory.
    #[error("not a directory")]
    NotADirectory,
    /// A directory was used as a file.
    #[error("is a directory")]
    IsADirectory,
    /// The kernel asked for an inode or a handle that it was never given.
    #[error("no such inode or handle")]
    BadHandle,
    /// The object or file was overwritten since it was looked up.
    #[error("the object was overwritten")]
    Stale,
    /// There is no such extended attribute.
    #[error("no such extended attribute")]
    NoAttribute,
    /// Nothing may be written.
    #[error("the mount is read-only")]
    ReadOnly,
    /// What the mount's flags do not allow, or what can't be done with a thing like this.
    #[error("operation not permitted")]
    NotPermitted,
    /// The name is taken.
    #[error("file exists")]
    Exists,
    /// The directory has something in it.
    #[error("directory not empty")]
    NotEmpty,
    /// There is no memory left for what programs write.
    #[error("no space left in memory for what is written")]
    NoSpace,
    /// A name of more than 255 bytes.
    #[error("file name too long")]
    NameTooLong,
    /// A name that is no UTF-8, as no key can be.
    #[error("the name is no UTF-8")]
    BadName,
    /// An argument that makes no sense.
    #[error("invalid argument")]
    Invalid,
    /// Something that this file system does not do.
    #[error("operation not supported")]
    Unsupported,
    /// What is virtual, or in the bucket, can't be moved: it has to be copied.
    #[error("can't be moved, has to be copied")]
    CrossDevice,
    /// There is no data behind an offset.
    #[error("no such device or address")]
    NoData,
    /// The program that asked wants to end.
    #[error("interrupted")]
    Interrupted,
    /// The system refused.
    #[error("{0}")]
    System(Arc<std::io::Error>),
    /// A request failed.
    #[error("{0}")]
    Store(Arc<StoreError>),
    /// A file could not be sent into the bucket.
    #[error("{0}")]
    Send(Arc<SendError>),
    /// An image can't be decoded, so it has no siblings that could be read.
    #[error("{0}")]
    Image(Arc<ImageError>),
}

impl FsError {
    /// What the program is told.
    pub fn errno(&self) -> i32 {
        match self {
            FsError::NotFound => libc::ENOENT,
            FsError::NotADirectory => libc::ENOTDIR,
            FsError::IsADirectory => libc::EISDIR,
            FsError::BadHandle => libc::EBADF,
            FsError::Stale => libc::ESTALE,
            FsError::NoAttribute => libc::ENODATA,
            FsError::ReadOnly => libc::EROFS,
            FsError::NotPermitted => libc::EPERM,
            FsError::Exists => libc::EEXIST,
            FsError::NotEmpty => libc::ENOTEMPTY,
            FsError::NoSpace => libc::ENOSPC,
            FsError::NameTooLong => libc::ENAMETOOLONG,
            FsError::BadName => libc::EILSEQ,
            FsError::Invalid => libc::EINVAL,
            FsError::Unsupported => libc::EOPNOTSUPP,
            FsError::CrossDevice => libc::EXDEV,
            FsError::NoData => libc::ENXIO,
            FsError::Interrupted => libc::EINTR,
            error if error.is_full() => libc::ENOSPC,
            FsError::System(error) => match error.raw_os_error() {
                // Not theirs, but ours: there is no room for another file.
                Some(libc::EMFILE | libc::ENFILE) => libc::ENOSPC,
                errno => errno.unwrap_or(libc::EIO),
            },
            FsError::Image(error) if error.is_limit() => libc::EFBIG,
            FsError::Image(_) => libc::EIO,
            FsError::Send(error) => match &error.kind {
                SendErrorKind::Conflict => libc::ESTALE,
                SendErrorKind::TooLarge => libc::ENOSPC,
                SendErrorKind::Store(error) => FsError::Store(error.clone()).errno(),
                SendErrorKind::LostParts
                | SendErrorKind::LostBeginning
                | SendErrorKind::KeepsChanging
                | SendErrorKind::NoETag
                | SendErrorKind::NotRenamed
                | SendErrorKind::Ended
                | SendErrorKind::Memory(_) => libc::EIO,
            },
            FsError::Store(error) => match &error.kind {
                StoreErrorKind::NotFound => libc::ENOENT,
                StoreErrorKind::Changed => libc::ESTALE,
                StoreErrorKind::Full => libc::ENOSPC,
                StoreErrorKind::AccessDenied
                | StoreErrorKind::Archived
                | StoreErrorKind::NoCredentials
                | StoreErrorKind::ExpiredCredentials
                | StoreErrorKind::Settings
                | StoreErrorKind::BadCredentials => libc::EACCES,
                StoreErrorKind::NoSuchBucket
                | StoreErrorKind::WrongRegion(_)
                | StoreErrorKind::RangeOutside
                | StoreErrorKind::Transient
                | StoreErrorKind::ShortBody
                | StoreErrorKind::Timeout
                | StoreErrorKind::Unreachable
                | StoreErrorKind::Damaged
                | StoreErrorKind::NotS3
                | StoreErrorKind::Other => libc::EIO,
            },
        }
    }

    /// Whether there is no memory for what programs write.
    pub(super) fn is_full(&self) -> bool {
        matches!(self, FsError::System(error) if error.kind() == ErrorKind::StorageFull)
    }

    /// Whether it says that what is known of an object is wrong: it was overwritten or
    /// deleted, or its bytes are damaged, which the kernel may have, too.
    pub(super) fn is_outdated(&self) -> bool {
        match self {
            FsError::Store(error) => {
                use StoreErrorKind::{Changed, Damaged, NotFound};
                matches!(error.kind, Changed | NotFound | Damaged)
            }
            other => matches!(other, FsError::Stale),
        }
    }

    /// Logs what an operator should know, once for all who were told the same.
    pub fn report(&self) {
        match self {
            FsError::Image(error) => error.report(),
            FsError::Store(error) => error.report(),
            FsError::Send(error) => error.report(),
            _ => {}
        }
    }
}

impl From<Arc<StoreError>> for FsError {
    fn from(error: Arc<StoreError>) -> Self {
        FsError::Store(error)
    }
}

impl From<NameError> for FsError {
    fn from(error: NameError) -> Self {
        match error {
            NameError::UnknownInode => FsError::BadHandle,
            NameError::NotADirectory => FsError::NotADirectory,
            NameError::Stale => FsError::Stale,
            NameError::TooLong => FsError::NameTooLong,
            NameError::OnlyBuckets => FsError::NotPermitted,
            NameError::OldVersion => FsError::ReadOnly,
            NameError::NotUtf8 => FsError::BadName,
            NameError::NoRoom => FsError::NoSpace,
            NameError::Memory(error) => FsError::System(error),
            NameError::Store(error) => FsError::Store(error),
            NameError::View(error) => error.into(),
        }
    }
}

impl From<PublishError> for FsError {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::NotPermitted => FsError::NotPermitted,
            PublishError::CrossDevice => FsError::CrossDevice,
            PublishError::Exists => FsError::Exists,
            PublishError::NotEmpty => FsError::NotEmpty,
            PublishError::NoSuchKey => FsError::Invalid,
            PublishError::KeyTooLong => FsError::NameTooLong,
            PublishError::Stale => FsError::Stale,
            PublishError::Memory(error) => FsError::System(error),
            PublishError::Send(error) => match error.store() {
                Some(store) => FsError::Store(store.clone()),
                None => FsError::Send(error),
            },
            PublishError::Name(error) => error.into(),
            PublishError::Store(error) => FsError::Store(error),
        }
    }
}

impl From<XattrError> for FsError {
    fn from(error: XattrError) -> Self {
        match error {
            XattrError::Exists => FsError::Exists,
            XattrError::Missing => FsError::NoAttribute,
            XattrError::NoRoom => FsError::NoSpace,
        }
    }
}

impl From<std::io::Error> for FsError {
    fn from(error: std::io::Error) -> Self {
        FsError::System(Arc::new(error))
    }
}

impl From<ViewError> for FsError {
    fn from(error: ViewError) -> Self {
        match error {
            ViewError::Store(error) => FsError::Store(error),
            ViewError::Image(error) => FsError::Image(error),
            ViewError::Changed(_) => FsError::Stale,
        }
    }
}
