//! What an operation fails with, and the one table of errno.

use std::sync::Arc;

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
    /// The object was overwritten since it was looked up.
    #[error("the object was overwritten")]
    Stale,
    /// There is no such extended attribute.
    #[error("no such extended attribute")]
    NoAttribute,
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

    /// Logs what an operator should know, once for all who were told the same.
    pub fn report(&self) {
        if let FsError::Image(error) = self
            && error.is_first_report()
        {
            tracing::warn!("{error}; the object itself can be read as it is");
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

impl From<ViewError> for FsError {
    fn from(error: ViewError) -> Self {
        match error {
            ViewError::Store(error) => FsError::Store(error),
            ViewError::Image(error) => FsError::Image(error),
        }
    }
}
