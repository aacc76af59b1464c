//! When a file is sent: at close, at fsync, and after its last handle is released.

use std::sync::Arc;

use super::last_close::has_open_for_writing;
use super::{PublishError, Publisher};
use crate::drafts::Draft;

impl Publisher {
    /// Sends a file that was written through a handle which the process `pid` closes, now or
    /// later, unless that process, or the one that opened it, still has it open for writing.
    ///
    /// # Errors
    /// What the upload failed with; a conflict when somebody else changed the object.
    pub async fn close(
        self: &Arc<Self>,
        draft: &Arc<Draft>,
        pid: u32,
        opener: u32,
    ) -> Result<(), PublishError> {
        if !draft.is_dirty() {
            return Ok(());
        }
        let ino = draft.ino();
        // A child that ends closes what its parent still writes to.
        let is_open = tokio::task::spawn_blocking(move || {
            has_open_for_writing(pid, ino) || has_open_for_writing(opener, ino)
        });
        if is_open.await.unwrap_or(false) {
            return Ok(());
        }
        self.send_or_wait(draft).await
    }

    /// Puts a file into the bucket, if it belongs there and is not there yet.
    ///
    /// # Errors
    /// As [`Publisher::close`].
    pub async fn send(&self, draft: &Arc<Draft>) -> Result<(), PublishError> {
        let Some(file) = draft.file() else { return Ok(()) };
        let Some(progress) = file.progress() else { return Ok(()) };
        // What nobody can find any more belongs nowhere.
        if draft.links() == 0 {
            return Ok(());
        }
        // It may be deleted, or replaced, while this waits for its turn.
        let outcome = self.sender.send(file, progress, || draft.links() > 0).await;
        match &outcome {
            Ok(()) => self.waiting.note_clean(draft),
            Err(_) => self.waiting.note_dirty(draft),
        }
        Ok(outcome?)
    }

    /// As [`Publisher::send`]; the memory may be had afterwards, if nobody has it open.
    ///
    /// # Errors
    /// As [`Publisher::close`].
    pub async fn send_closed(&self, draft: &Arc<Draft>) -> Result<(), PublishError> {
        self.send(draft).await?;
        if !self.drafts.opened().is_open(draft.ino()) {
            self.keep(draft.clone());
        }
        Ok(())
    }

    /// After a handle of a file was released: sends what a mapping wrote behind the last
    /// close, and remembers files whose memory may be had.
    pub fn released(self: &Arc<Self>, draft: Arc<Draft>) {
        let Some(progress) = draft.progress() else { return };
        if self.drafts.opened().is_open(draft.ino()) {
            return;
        }
        if !progress.is_dirty() {
            return self.keep(draft);
        }
        if progress.problem().is_some() {
            return;
        }
        if self.may_wait(&draft) {
            return self.wait_for_turn(draft);
        }
        let publisher = self.clone();
        self.runtime.spawn(async move {
            if let Err(error) = publisher.send_closed(&draft).await {
                error.report();
            }
        });
    }
}
