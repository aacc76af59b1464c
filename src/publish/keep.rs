//! Whose memory may be given back: files that the bucket has.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Publisher;
use crate::drafts::{Draft, Progress};
use crate::mem::is_out_of_files;
use crate::names::Thing;

/// How long a write waits for memory that is about to be given back.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it looks for that.
const LOOK_EVERY: Duration = Duration::from_millis(10);

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

    /// Gives memory back that the bucket has the bytes of, or has them sent first; returns
    /// whether there was any. A file that is being written gives its own before others that
    /// are. What a program has just closed counts as open until the kernel says otherwise, so
    /// this waits a little before it says no.
    pub async fn make_room(&self, writing: Option<&Draft>) -> bool {
        let mut until = Instant::now() + PATIENCE;
        loop {
            let begun = Instant::now();
            if self.give_back_some(writing).await {
                return true;
            }
            // However long something was sent: it may be had in a moment.
            until += begun.elapsed();
            if !self.gets_room(writing) || Instant::now() > until {
                // It may have come since.
                return self.let_one_go();
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Makes a file. Where as many are open as may be, those that wait are sent, and one is let
    /// go; what a program has just closed, or is on its way, is waited for a little.
    ///
    /// # Errors
    /// Too many open files still; what else it failed with.
    pub async fn with_room_for_file<T>(
        self: &Arc<Self>,
        make: impl Fn() -> io::Result<T>,
    ) -> io::Result<T> {
        let mut until = Instant::now() + PATIENCE;
        loop {
            match make() {
                Err(error) if is_out_of_files(&error) => {}
                outcome => return outcome,
            }
            let begun = Instant::now();
            if self.let_one_go() || (self.send_some_apart().await && self.let_one_go()) {
                until = Instant::now() + PATIENCE;
                continue;
            }
            until += begun.elapsed();
            if !self.gets_room(None) || Instant::now() > until {
                // It may have come since.
                return make();
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// As [`Publisher::send_some_waiting`], to the end whoever gives up waiting for it: parts
    /// of an upload that was begun and dropped would stay on the server.
    async fn send_some_apart(self: &Arc<Self>) -> bool {
        let publisher = self.clone();
        let sent = self.runtime.spawn(async move { publisher.send_some_waiting().await });
        sent.await.unwrap_or(false)
    }

    async fn give_back_some(&self, writing: Option<&Draft>) -> bool {
        if self.let_one_go() {
            return true;
        }
        if let Some(draft) = writing
            && self.sender.send_away(draft).await > 0
        {
            return true;
        }
        if self.send_some_waiting().await && self.let_one_go() {
            return true;
        }
        for other in self.waiting.dirty() {
            if self.sender.send_away(&other).await > 0 {
                return true;
            }
        }
        false
    }

    /// Whether memory may soon be given back: of a file whose turn to be sent it is or will
    /// be, or of one that the bucket has and whose last handle is about to be released.
    fn gets_room(&self, writing: Option<&Draft>) -> bool {
        let is_sent = |ino: u64| {
            let Ok(Thing::Draft(draft)) = self.names.inodes().thing(ino) else { return false };
            draft.progress().is_some_and(|progress| progress.settled().is_some())
        };
        let others = |ino: &u64| writing.is_none_or(|draft| draft.ino() != *ino);
        !self.turns.is_idle()
            || self.drafts.opened().inodes().into_iter().filter(others).any(is_sent)
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
