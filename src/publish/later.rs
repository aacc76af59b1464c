//! Sending files after they were closed: `--on-close later`.
//!
//! A file waits a moment before its turn comes, so that one which is renamed or deleted right
//! behind its close (rsync, editors, `sed -i`) is sent under its last name alone, or not at all.
//! Then as many are sent at once as there may be writes under way. If too many wait, or an
//! attempt to send this one has failed, `close` sends it itself and says how that went.

use std::sync::Arc;
use std::time::Duration;

use super::config::OnClose;
use super::{PublishError, Publisher};
use crate::drafts::{Draft, Progress};

/// How long a file that was closed waits for its name.
const MOMENT: Duration = Duration::from_millis(300);

impl Publisher {
    /// Sends a file that was closed, now or later, as `--on-close` says.
    ///
    /// # Errors
    /// As [`Publisher::close`].
    pub async fn send_or_wait(self: &Arc<Self>, draft: &Arc<Draft>) -> Outcome {
        self.answer(draft, self.send(draft)).await
    }

    /// As [`Publisher::send_or_wait`], of a file that nobody has open.
    ///
    /// # Errors
    /// As [`Publisher::close`].
    pub async fn send_closed_or_wait(self: &Arc<Self>, draft: &Arc<Draft>) -> Outcome {
        self.answer(draft, self.send_closed(draft)).await
    }

    /// Has a file wait for its turn, or sends it, and notes that a program has its answer then.
    async fn answer(
        self: &Arc<Self>,
        draft: &Arc<Draft>,
        sending: impl Future<Output = Outcome>,
    ) -> Outcome {
        if self.may_wait(draft) {
            self.wait_for_turn(draft.clone());
            return Ok(());
        }
        let writes = draft.progress().map(Progress::writes);
        let outcome = sending.await;
        if let (Some(progress), Some(writes)) = (draft.progress(), writes) {
            progress.note_closed(writes);
        }
        outcome
    }

    /// Whether nobody needs to wait until a file is sent.
    pub(super) fn may_wait(&self, draft: &Draft) -> bool {
        let was_tried = draft.progress().is_some_and(|progress| progress.problem().is_some());
        let is_later = self.config.on_close == OnClose::Later;
        is_later && !was_tried && self.turns.has_room_for(draft.ino())
    }

    /// Sends a file when its turn comes.
    pub(super) fn wait_for_turn(self: &Arc<Self>, draft: Arc<Draft>) {
        if let Some(progress) = draft.progress() {
            progress.note_closed(progress.writes());
        }
        if !self.turns.enter(draft.ino()) {
            return;
        }
        let publisher = self.clone();
        self.runtime.spawn(async move {
            tokio::time::sleep(MOMENT).await;
            let _turn = publisher.turns.turn(draft.ino()).await;
            // Whoever writes to it again closes it again; what has failed is tried by the clock.
            let was_tried = draft.progress().and_then(Progress::problem).is_some();
            if was_tried || publisher.is_held(&draft) {
                return;
            }
            if let Err(error) = publisher.send_closed(&draft).await {
                error.report();
            }
        });
    }

    /// Sends some of the files that wait, so that their memory can be had; whether any was sent.
    pub(super) async fn send_some_waiting(&self) -> bool {
        let waits = |draft: &Arc<Draft>| {
            let is_open = self.drafts.opened().is_open(draft.ino());
            !is_open && draft.progress().is_some_and(|progress| progress.problem().is_none())
        };
        let mut waiting = self.waiting.dirty();
        waiting.retain(waits);
        waiting.truncate(self.turns.at_once());
        let sends = waiting.iter().map(|draft| self.send_closed(draft));
        futures_util::future::join_all(sends).await.iter().any(Result::is_ok)
    }
}

type Outcome = Result<(), PublishError>;
