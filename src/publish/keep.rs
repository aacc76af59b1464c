//! Whose memory may be given back: files that the bucket has.

use std::sync::Arc;

use super::Publisher;
use crate::drafts::{Draft, Progress};

impl Publisher {
    /// Keeps a file that the bucket has for the next reader, until its time is over or
    /// memory is short.
    pub(super) fn keep(&self, draft: Arc<Draft>) {
        if !is_whole(&draft) && self.settle(&draft) {
            return;
        }
        self.keep_on(draft);
    }

    fn keep_on(&self, draft: Arc<Draft>) {
        let mut kept = self.waiting.kept.lock();
        if !kept.iter().any(|other| other.ino() == draft.ino()) {
            kept.push_back(draft);
        }
    }

    /// Gives the memory of a file back that the bucket has. From then on its inode and its
    /// name refer to the object. Returns whether that could be done: not while it is open, or
    /// on its way to another name.
    pub(super) fn settle(&self, draft: &Arc<Draft>) -> bool {
        let Some(progress) = draft.progress() else { return false };
        let Some(_still) = progress.try_still() else { return false };
        if progress.let_go_for().is_some() {
            // It came here once more: another draft may have its number by now.
            return true;
        }
        let Some((version, since)) = progress.settled() else { return false };
        let is_settled = self.names.bucket().settle(draft, version, since);
        if is_settled {
            progress.note_let_go();
            // Parts that were sent of what was not written after all.
            self.sender.abandon_parts(progress);
        }
        is_settled
    }

    /// Lets the file go that the bucket has had for longest, and that nobody has open: its
    /// memory, and the open file of this process that it is. Returns whether there was one.
    pub fn let_one_go(&self) -> bool {
        let waiting = self.waiting.kept.lock().len();
        for _ in 0..waiting {
            let Some(kept) = self.waiting.kept.lock().pop_front() else { break };
            // One that was deleted may have been held by nobody else.
            if kept.links() == 0 || self.settle(&kept) {
                return true;
            }
            self.keep_on(kept);
        }
        false
    }

    /// Lets files go that the bucket has had for long enough.
    pub(super) fn let_faded_go(&self) {
        let kept: Vec<Arc<Draft>> = self.waiting.kept.lock().drain(..).collect();
        for draft in kept {
            let is_due = !is_whole(&draft) || self.names.is_faded(&draft);
            let is_gone = draft.links() == 0 || is_due && self.settle(&draft);
            if !is_gone {
                self.keep_on(draft);
            }
        }
        self.names.bucket().sweep();
    }
}

/// Whether all of a file is in memory.
fn is_whole(draft: &Draft) -> bool {
    draft.progress().is_none_or(Progress::is_whole)
}
