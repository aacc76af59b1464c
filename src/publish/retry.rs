//! Sending again what could not be sent, by the clock.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::Publisher;
use crate::drafts::{Draft, Progress};

/// How often files are looked for whose memory nobody needs, and after how many such
/// looks also files that could not be sent.
const TENDING: Duration = Duration::from_secs(1);
const LOOKS_PER_RETRY: u32 = 5;
/// What could not be sent is tried again after this, doubled each time up to the other.
const FIRST_RETRY: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_secs(300);

impl Publisher {
    /// Looks after files from now on, as long as the publisher lives: those that could not
    /// be sent, and those whose memory nobody needs.
    pub(super) fn tend(self: &Arc<Self>) {
        let publisher: Weak<Publisher> = Arc::downgrade(self);
        let sender = self.sender.clone();
        self.runtime.spawn(async move {
            sender.clean_up().await;
            let (mut pause, mut next) = (FIRST_RETRY, Instant::now());
            for look in 1_u32.. {
                tokio::time::sleep(TENDING).await;
                let Some(publisher) = publisher.upgrade() else { return };
                publisher.let_faded_go();
                if !look.is_multiple_of(LOOKS_PER_RETRY) {
                    continue;
                }
                if !publisher.waiting.dirty().iter().any(|draft| is_retried(draft)) {
                    (pause, next) = (FIRST_RETRY, Instant::now());
                } else if Instant::now() >= next {
                    publisher.retry().await;
                    pause = (pause * 2).min(LONGEST_RETRY);
                    next = Instant::now() + pause;
                }
            }
        });
    }

    async fn retry(&self) {
        for draft in self.waiting.dirty() {
            if !is_retried(&draft) || self.is_held(&draft) {
                continue;
            }
            if self.send_closed(&draft).await.is_ok()
                && let Some(progress) = draft.progress()
            {
                let key = progress.key();
                tracing::info!("\"{}\" is in the bucket now", key.as_str().escape_debug());
            }
        }
    }
}

/// Whether sending a file failed, and may succeed the next time.
fn is_retried(draft: &Draft) -> bool {
    let failed = |progress: &Progress| progress.problem().is_some_and(|error| !error.is_conflict());
    draft.progress().is_some_and(failed)
}
