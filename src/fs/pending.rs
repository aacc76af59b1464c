//! Files that are not in the bucket yet: which, why, and sending them again.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::stream::{self, StreamExt};

use super::FileSystem;
use crate::catalog::Dir;
use crate::overlay::{self, Made};
use crate::store::{StoreError, StoreErrorKind};

/// So many files are sent at once; the store limits requests by itself.
const FILES_AT_ONCE: usize = 8;

/// A file that is not in the bucket yet.
#[derive(Debug, Clone)]
pub struct Pending {
    /// Its path below the mount.
    pub path: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Whether a program has it open, so that it may still change.
    pub is_open: bool,
    /// Why it could not be sent, if that was tried.
    pub problem: Option<Arc<StoreError>>,
}

impl Pending {
    /// Whether somebody else has changed the object, so that this file never replaces it.
    pub fn is_conflict(&self) -> bool {
        self.problem.as_ref().is_some_and(|error| error.kind == StoreErrorKind::Changed)
    }

    /// Whether sending it now may succeed.
    pub fn can_be_sent(&self) -> bool {
        !self.is_open && !self.is_conflict()
    }
}

impl FileSystem {
    /// The files that are not in the bucket yet, by key.
    pub fn pending(&self) -> Vec<Pending> {
        let Some(uploads) = self.uploads() else { return Vec::new() };
        let root = Dir::root(self.config.prefix.clone());
        let of = |pending: overlay::Pending| Pending {
            path: root.path_of(&pending.key).unwrap_or_else(|| pending.key.to_string()),
            bytes: pending.bytes,
            is_open: self.is_held(pending.ino, pending.problem.is_some()),
            problem: pending.problem,
        };
        uploads.pending().into_iter().map(of).collect()
    }

    /// Tries to send all files that nobody has open, and returns when each was tried.
    /// Whoever drops the future leaves requests behind whose outcome nobody knows.
    pub async fn send_pending(&self) {
        let Some(uploads) = self.uploads() else { return };
        let send = |made: Arc<Made>| async move {
            let Some(remote) = made.file().and_then(|file| file.remote()) else { return };
            if self.is_held(made.ino(), remote.problem().is_some()) {
                if self.has_ended.load(Ordering::Relaxed) {
                    // Closed while the mount ended: somebody is sending it perhaps.
                    drop(remote.still().await);
                }
            } else if !remote.is_conflict()
                && let Err(error) = self.send_closed(&made).await
            {
                error.report();
            }
        };
        stream::iter(uploads.dirty()).for_each_concurrent(FILES_AT_ONCE, send).await;
    }

    /// Notes that the mount is gone. What a handle was closed or synchronised in vain
    /// for is sent from now on, whether or not its release was ever told.
    pub fn note_ended(&self) {
        self.has_ended.store(true, Ordering::Relaxed);
    }

    /// What written files take, and may take, in bytes; `None` where nothing may be written.
    pub fn write_memory(&self) -> Option<(u64, u64)> {
        let arena = self.overlay.as_ref()?.arena();
        Some((arena.used_bytes(), arena.limit_bytes()))
    }

    /// Whether a file is to be left alone, because somebody may go on writing to it.
    fn is_held(&self, ino: u64, was_tried: bool) -> bool {
        self.is_open(ino) && !(was_tried && self.has_ended.load(Ordering::Relaxed))
    }
}
