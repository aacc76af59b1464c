//! Why a name can't be told, taken or changed.

use std::sync::Arc;

use crate::store::StoreError;
use crate::view::ViewError;

/// What asking for a name, or changing one, fails with.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NameError {
    /// The kernel asked for an inode that it was never told of.
    #[error("no such inode")]
    UnknownInode,
    /// A file was used as a directory.
    #[error("not a directory")]
    NotADirectory,
    /// The object was overwritten since it was looked up.
    #[error("the object was overwritten")]
    Stale,
    /// More than [`MAX_NAME_BYTES`](crate::key::MAX_NAME_BYTES).
    #[error("file name too long")]
    TooLong,
    /// A name that is not UTF-8. Keys are, so it can stand for none.
    #[error("the name is not UTF-8")]
    NotUtf8,
    /// A name at the top, where each folder is a bucket: none can be made or taken away.
    #[error("each folder here is a bucket")]
    OnlyBuckets,
    /// A name among the versions that the bucket keeps of an object.
    #[error("versions that the bucket keeps can only be read")]
    OldVersion,
    /// Names take more memory than they may.
    #[error("no space left in memory for names")]
    NoRoom,
    /// The bytes of a draft can't be read.
    #[error("{0}")]
    Memory(Arc<std::io::Error>),
    /// A listing failed.
    #[error("{0}")]
    Store(Arc<StoreError>),
    /// An image can't be looked at, so its siblings can't be told.
    #[error("{0}")]
    View(ViewError),
}

impl From<Arc<StoreError>> for NameError {
    fn from(error: Arc<StoreError>) -> Self {
        NameError::Store(error)
    }
}

impl From<std::io::Error> for NameError {
    fn from(error: std::io::Error) -> Self {
        NameError::Memory(Arc::new(error))
    }
}
