//! Parts that are sent while a file is still being written, and the memory that this frees.

use std::ops::Range;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};

use super::Publisher;
use super::send::PARTS_AT_ONCE;
use super::sender::Sender;
use crate::drafts::{Draft, DraftFile, Progress};

impl Publisher {
    /// Notes a write, and sends the parts ahead that it made complete. Whatever goes wrong
    /// is left to whoever closes the file.
    pub fn note_written(&self, draft: &Arc<Draft>, complete: Range<u32>) {
        self.waiting.note_dirty(draft);
        for number in complete {
            let (sender, draft) = (self.sender.clone(), draft.clone());
            self.runtime.spawn(async move { sender.send_ahead(&draft, number).await });
        }
    }
}

impl Sender {
    async fn send_ahead(&self, draft: &Draft, number: u32) {
        let Some(file) = draft.file() else { return };
        let Some(progress) = file.progress() else { return };
        let _ahead = progress.going_ahead().await;
        if draft.links() > 0 && progress.goes_ahead() {
            self.send_early(file, progress, number).await;
        }
    }

    /// Sends what can be sent of a file while it is written, and gives the memory back
    /// that this takes; how many bytes that were.
    pub(super) async fn send_away(&self, draft: &Draft) -> u64 {
        let Some(file) = draft.file() else { return 0 };
        let Some(progress) = file.progress() else { return 0 };
        // Whoever sends the rest, renames or deletes the file counts on what is in memory.
        let _early = progress.going_ahead().await;
        // Deleted or sent while this waited.
        if draft.links() == 0 || !progress.is_dirty() {
            return 0;
        }
        let mut freed = give_back(file, progress);
        if freed == 0 {
            let complete = progress.complete_parts().into_iter();
            let sending = complete.map(|number| self.send_early(file, progress, number));
            let mut sending = stream::iter(sending).buffer_unordered(PARTS_AT_ONCE);
            // Each part makes room as soon as it is there.
            while sending.next().await.is_some() {
                freed += give_back(file, progress);
            }
        }
        freed
    }

    async fn send_early(&self, file: &DraftFile, progress: &Progress, number: u32) {
        let Some((key, session)) = progress.wants_ahead(number) else { return };
        let sent = async {
            let upload = self.upload(&session, &key).await?;
            self.send_part(file, progress, &upload, number).await
        };
        if let Err(error) = sent.await {
            tracing::debug!("part {number} was not sent ahead: {}", error.chain());
        }
    }
}

fn give_back(file: &DraftFile, progress: &Progress) -> u64 {
    let punch =
        |range: Range<u64>| file.bytes().punch(range.start, range.end - range.start).is_ok();
    let was_whole = progress.is_whole();
    let bytes = progress.send_away(punch);
    if bytes > 0 && was_whole {
        tracing::info!(
            "\"{}\" does not fit into --write-memory: its beginning is in the bucket's hands \
             while it is written, and can't be read or changed until it is closed",
            progress.key().as_str().escape_debug()
        );
    }
    bytes
}
