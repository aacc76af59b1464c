//! What an operation fails with, and the one table of errno.

use std::sync::Arc;

use crate::overlay::NoRoom;
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
    /// The kernel asked for an inode or a handle that it does not have.
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
    /// The system refused.
    #[error("{0}")]
    System(Arc<std::io::Error>),
    /// A request failed.
    #[error("{0}")]
    Store(Arc<StoreError>),
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
            FsError::System(error) if error.kind() == std::io::ErrorKind::StorageFull => {
                libc::ENOSPC
            }
            FsError::System(error) => match error.raw_os_error() {
                // Not theirs, but ours: there is no room for another file.
                Some(libc::EMFILE | libc::ENFILE) => libc::ENOSPC,
                errno => errno.unwrap_or(libc::EIO),
            },
            FsError::Image(error) if error.is_limit() => libc::EFBIG,
            FsError::Image(_) => libc::EIO,
            FsError::Store(error) => match &error.kind {
                StoreErrorKind::NotFound => libc::ENOENT,
                StoreErrorKind::Changed => libc::ESTALE,
                StoreErrorKind::Full => libc::ENOSPC,
                StoreErrorKind::AccessDenied
                | StoreErrorKind::Archived
                | StoreErrorKind::NoCredentials
                | StoreErrorKind::ExpiredCredentials
                | StoreErrorKind::BadCredentials => libc::EACCES,
                StoreErrorKind::NoSuchBucket
                | StoreErrorKind::WrongRegion(_)
                | StoreErrorKind::RangeOutside
                | StoreErrorKind::Transient
                | StoreErrorKind::ShortBody
                | StoreErrorKind::Timeout
                | StoreErrorKind::Unreachable
                | StoreErrorKind::Other => libc::EIO,
            },
        }
    }

    /// Whether it tells that an object is another version by now, or gone.
    pub(super) fn is_outdated(&self) -> bool {
        match self {
            FsError::Store(error) => {
                matches!(error.kind, StoreErrorKind::Changed | StoreErrorKind::NotFound)
            }
            other => matches!(other, FsError::Stale),
        }
    }

    /// Logs what an operator should know, once for all who were told the same.
    pub fn report(&self) {
        if let FsError::Image(error) = self
            && error.is_first_report()
        {
            match error.is_unread() {
                true => tracing::warn!("{error}"),
                false => tracing::warn!("{error}; the object itself can be read as it is"),
            }
        }
        let FsError::Store(error) = self else { return };
        if !error.is_first_report() {
            return;
        }
        let line = error.chain();
        match &error.kind {
            StoreErrorKind::NotFound => tracing::debug!("{line}"),
            StoreErrorKind::Archived => tracing::warn!(
                "{line}; the object is archived: restore it first \
                 (aws s3api restore-object), then open it again"
            ),
            StoreErrorKind::Changed => {
                tracing::info!(
                    "{line}; programs that have it open get ESTALE, the next open gets the new one"
                );
            }
            StoreErrorKind::ExpiredCredentials => {
                tracing::error!(
                    "{line}; renew the credentials (aws sso login, or a new session token)"
                );
            }
            _ => tracing::error!("{line}"),
        }
    }
}

impl From<Arc<StoreError>> for FsError {
    fn from(error: Arc<StoreError>) -> Self {
        FsError::Store(error)
    }
}

impl From<NoRoom> for FsError {
    fn from(_: NoRoom) -> Self {
        FsError::NoSpace
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
