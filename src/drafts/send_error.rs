//! Why a draft could not be sent.

use std::sync::Arc;

use crate::key::ObjectKey;
use crate::store::{StoreError, StoreErrorKind};
use crate::sync::ToldOnce;

/// An attempt to send a draft that failed. The draft stays in memory.
#[derive(Debug, thiserror::Error)]
#[error("\"{}\" could not be sent: {kind}", key.as_str().escape_debug())]
pub struct SendError {
    /// The object that the draft becomes.
    pub key: ObjectKey,
    /// What to branch on.
    pub kind: SendErrorKind,
    /// Whether somebody has logged it.
    told: ToldOnce,
}

/// The kinds of failure.
#[derive(Debug, thiserror::Error)]
pub enum SendErrorKind {
    /// Somebody else changed the object since the draft saw it, so it is never replaced.
    #[error("the object was overwritten or deleted since it was opened")]
    Conflict,
    /// The server forgot parts whose memory was given back.
    #[error("the server has lost the parts that were sent")]
    LostParts,
    /// Parts whose memory was given back went with an upload that was thrown away.
    #[error("the beginning of the file, which did not fit into --write-memory, is lost")]
    LostBeginning,
    /// Every attempt met another write.
    #[error("the file is written all the time while it is sent, or its parts get lost")]
    KeepsChanging,
    /// More parts than an object can have.
    #[error("files of more than 660 GiB can't be sent")]
    TooLarge,
    /// Without an ETag no later change could be made safely.
    #[error("the server tells no ETag, so nothing would be safe to overwrite")]
    NoETag,
    /// Its new name was somebody else's; under the one before it can be sent.
    #[error("it was not renamed, since its new name is taken by somebody else's object")]
    NotRenamed,
    /// Nobody sends any more.
    #[error("the mount has ended")]
    Ended,
    /// The bytes can't be read.
    #[error("the file in memory can't be read")]
    Memory(#[source] std::io::Error),
    /// A request failed.
    #[error("{0}")]
    Store(Arc<StoreError>),
}

impl SendError {
    /// An error that nobody has logged yet.
    pub fn new(key: &ObjectKey, kind: SendErrorKind) -> Arc<Self> {
        Arc::new(SendError { key: key.clone(), kind, told: ToldOnce::new() })
    }

    /// Whether somebody else has changed the object, so that no repetition succeeds.
    pub fn is_conflict(&self) -> bool {
        match &self.kind {
            SendErrorKind::Conflict => true,
            SendErrorKind::Store(error) => error.kind == StoreErrorKind::Changed,
            SendErrorKind::LostParts
            | SendErrorKind::LostBeginning
            | SendErrorKind::KeepsChanging
            | SendErrorKind::TooLarge
            | SendErrorKind::NoETag
            | SendErrorKind::NotRenamed
            | SendErrorKind::Ended
            | SendErrorKind::Memory(_) => false,
        }
    }

    /// Logs the error, once for all who were told of it.
    pub fn report(&self) {
        if let SendErrorKind::Store(error) = &self.kind {
            return error.report();
        }
        self.told.tell(|| self.log());
    }

    fn log(&self) {
        let line = self.chain();
        match self.is_conflict() {
            true => tracing::info!(
                "{line}; programs that have it open get ESTALE, the next open gets the new one"
            ),
            false => tracing::error!("{line}"),
        }
    }

    /// The error and its causes in one line.
    pub fn chain(&self) -> String {
        match &self.kind {
            SendErrorKind::Store(error) => error.chain(),
            SendErrorKind::Memory(cause) => format!("{self}: {cause}"),
            _ => self.to_string(),
        }
    }

    /// The request that failed, if one did.
    pub fn store(&self) -> Option<&Arc<StoreError>> {
        match &self.kind {
            SendErrorKind::Store(error) => Some(error),
            _ => None,
        }
    }
}
