//! Why the bucket was not changed.

use std::sync::Arc;

use crate::drafts::{SendError, SendErrorKind};
use crate::key::ObjectKey;
use crate::names::NameError;
use crate::store::{StoreError, StoreErrorKind};

/// What a change of the bucket fails with.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PublishError {
    /// The mount's flags do not allow it.
    #[error("operation not permitted")]
    NotPermitted,
    /// Only a copy will do.
    #[error("can't be moved, has to be copied")]
    CrossDevice,
    /// The name is taken.
    #[error("file exists")]
    Exists,
    /// The directory has something in it.
    #[error("directory not empty")]
    NotEmpty,
    /// No key has such a name.
    #[error("no object can have this name")]
    NoSuchKey,
    /// The key would be longer than S3 allows.
    #[error("the key is too long")]
    KeyTooLong,
    /// Somebody else has changed the object.
    #[error("the object was overwritten")]
    Stale,
    /// A draft can't be read, or not all of it is in memory.
    #[error("{0}")]
    Memory(Arc<std::io::Error>),
    /// A draft could not be sent.
    #[error("{0}")]
    Send(Arc<SendError>),
    /// A name could not be told or changed.
    #[error("{0}")]
    Name(NameError),
    /// A request failed.
    #[error("{0}")]
    Store(Arc<StoreError>),
}

impl PublishError {
    /// Logs what an operator should know, once for all who were told of it.
    pub fn report(&self) {
        match self {
            PublishError::Send(error) => error.report(),
            PublishError::Store(error) | PublishError::Name(NameError::Store(error)) => {
                error.report();
            }
            PublishError::NotPermitted
            | PublishError::CrossDevice
            | PublishError::Exists
            | PublishError::NotEmpty
            | PublishError::NoSuchKey
            | PublishError::KeyTooLong
            | PublishError::Stale
            | PublishError::Memory(_)
            | PublishError::Name(_) => {}
        }
    }

    /// As [`From`], where an object that is not there any more was changed by somebody else.
    pub(super) fn of_source(error: StoreError) -> Self {
        match error.kind {
            StoreErrorKind::NotFound => PublishError::Stale,
            _ => error.into(),
        }
    }
}

impl From<StoreError> for PublishError {
    fn from(error: StoreError) -> Self {
        PublishError::Store(Arc::new(error))
    }
}

impl From<Arc<SendError>> for PublishError {
    fn from(error: Arc<SendError>) -> Self {
        PublishError::Send(error)
    }
}

impl From<NameError> for PublishError {
    fn from(error: NameError) -> Self {
        PublishError::Name(error)
    }
}

impl From<std::io::Error> for PublishError {
    fn from(error: std::io::Error) -> Self {
        PublishError::Memory(Arc::new(error))
    }
}

impl PublishError {
    /// The error as a draft that was to become `key` remembers it, if it is one of sending.
    pub(super) fn as_send_error(&self, key: &ObjectKey) -> Option<Arc<SendError>> {
        match self {
            PublishError::Send(error) if error.is_conflict() && error.key != *key => {
                Some(SendError::new(key, SendErrorKind::NotRenamed))
            }
            PublishError::Send(error) => Some(error.clone()),
            PublishError::Store(error) => {
                Some(SendError::new(key, SendErrorKind::Store(error.clone())))
            }
            PublishError::NotPermitted
            | PublishError::CrossDevice
            | PublishError::Exists
            | PublishError::NotEmpty
            | PublishError::NoSuchKey
            | PublishError::KeyTooLong
            | PublishError::Stale
            | PublishError::Memory(_)
            | PublishError::Name(_) => None,
        }
    }
}
