//! Files that are not in the bucket yet: which, why, and sending them again.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::stream::{self, StreamExt};

use super::Publisher;
use crate::drafts::{Draft, Progress, SendError};
use crate::key::ObjectKey;
use crate::names::{ROOT, Thing};

/// A file that is not in the bucket yet.
#[derive(Debug, Clone)]
pub struct Pending {
    /// Its path below the mount.
    pub path: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Whether a program has it open, and no close was answered since it was last written to.
    pub is_open: bool,
    /// Why it could not be sent, if that was tried.
    pub problem: Option<Arc<SendError>>,
}

impl Pending {
    /// Whether somebody else has changed the object, so that this file never replaces it.
    pub fn is_conflict(&self) -> bool {
        self.problem.as_ref().is_some_and(|error| error.is_conflict())
    }

    /// Whether sending it now may succeed.
    pub fn can_be_sent(&self) -> bool {
        !self.is_open && !self.is_conflict()
    }
}

impl Publisher {
    /// The files that are not in the bucket yet, by key.
    pub fn pending(&self) -> Vec<Pending> {
        let root = self.names.inodes().thing(ROOT).ok();
        let path = |key: &ObjectKey| match &root {
            Some(Thing::Dir(root)) => root.path_of(key),
            _ => None,
        };
        let of = |(key, draft): (ObjectKey, Arc<Draft>)| {
            let problem = draft.progress()?.problem();
            Some(Pending {
                path: path(&key).unwrap_or_else(|| key.to_string()),
                bytes: draft.file()?.bytes().stat().map_or(0, |stat| stat.size),
                is_open: self.is_held(&draft),
                problem,
            })
        };
        self.unsent().into_iter().filter_map(of).collect()
    }

    /// The files that are not in the bucket yet and have a name, by key.
    pub(super) fn unsent(&self) -> Vec<(ObjectKey, Arc<Draft>)> {
        let dirty = self.waiting.dirty().into_iter();
        let unsent = dirty.filter(|draft| draft.is_dirty() && draft.links() > 0);
        let keyed = |draft: Arc<Draft>| Some((draft.progress()?.key(), draft.clone()));
        let mut unsent: Vec<_> = unsent.filter_map(keyed).collect();
        unsent.sort_by(|(one, _), (other, _)| one.cmp(other));
        unsent
    }

    /// Tries to send all files that were closed, and returns when each was tried.
    /// Whoever drops the future leaves requests behind whose outcome nobody knows.
    pub async fn send_pending(&self) {
        let send = |draft: Arc<Draft>| async move {
            let Some(progress) = draft.progress() else { return };
            if self.is_held(&draft) {
                if self.waiting.has_ended() {
                    // Closed while the mount ended: somebody may be sending it.
                    drop(progress.still().await);
                }
            } else if !progress.is_conflict()
                && let Err(error) = self.send_closed(&draft).await
            {
                error.report();
            }
        };
        stream::iter(self.waiting.dirty()).for_each_concurrent(self.turns.at_once(), send).await;
    }

    /// Throws away the parts of files that will not be sent any more: the mount is over, and
    /// they were never closed, or can't be sent.
    pub async fn give_up(&self) {
        let give_up = |draft: Arc<Draft>| async move { self.sender.give_up(&draft).await };
        stream::iter(self.waiting.dirty()).for_each_concurrent(self.turns.at_once(), give_up).await;
    }

    /// Notes that the mount is gone. What was closed or synchronised, in vain or to be sent
    /// later, is sent from now on, whether or not its release was ever told.
    pub fn note_ended(&self) {
        self.waiting.has_ended.store(true, Ordering::Relaxed);
    }

    /// Whether a file is to be left alone, because somebody may go on writing to it. A close
    /// that was answered says that nobody will, long before the kernel tells that the file is
    /// not open any more.
    pub(super) fn is_held(&self, draft: &Draft) -> bool {
        let is_over = self.waiting.has_ended();
        let is_owed = |progress: &Progress| {
            progress.is_closed() || is_over && (progress.problem().is_some() || progress.is_owed())
        };
        self.drafts.opened().is_open(draft.ino()) && !draft.progress().is_some_and(is_owed)
    }
}
