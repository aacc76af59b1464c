//! Who sends: the store, and what bytes on their way may take of memory.

use std::sync::Arc;

use tokio::runtime::Handle as Runtime;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::allowed::Allowed;
use super::config::UploadConfig;
use super::record::{Lost, Record};
use crate::drafts::{Draft, Parts, Progress, SendError, SendErrorKind, Session};
use crate::key::ObjectKey;
use crate::mem::Budget;
use crate::store::ObjectStore;

/// What is being sent may take a quarter of the budget, counted in these units; the
/// smallest budget still has room for one file that is sent in one request.
const UNIT_BYTES: u64 = 1 << 20;
const UNITS: std::ops::RangeInclusive<u64> = 16..=256;

/// Sends drafts to a store.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) config: Arc<UploadConfig>,
    parts: Parts,
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) budget: Arc<Budget>,
    pub(super) record: Record,
    pub(super) allowed: Allowed,
    room: Room,
    runtime: Runtime,
}

/// What is being sent at once.
#[derive(Debug)]
struct Room {
    /// One permit for each unit of it.
    permits: Semaphore,
    units: u32,
}

impl Sender {
    /// Sends to `store`; what is under way is counted in `budget`.
    pub(super) fn new(
        config: Arc<UploadConfig>,
        store: Arc<dyn ObjectStore>,
        budget: Arc<Budget>,
        runtime: Runtime,
    ) -> Self {
        let units = (budget.limit_bytes() / 4 / UNIT_BYTES).clamp(*UNITS.start(), *UNITS.end());
        Sender {
            record: Record::open(config.record.folder.as_deref(), &config.record.bucket),
            allowed: Allowed::new(&config, &budget),
            room: Room { permits: Semaphore::new(units as usize), units: units as u32 },
            parts: Parts::new(config.part_bytes),
            config,
            store,
            budget,
            runtime,
        }
    }

    /// Where the parts of files begin and end.
    pub(super) fn parts(&self) -> Parts {
        self.parts
    }

    /// Room for `bytes` of a file on their way.
    ///
    /// # Errors
    /// Nobody sends any more.
    pub(super) async fn room(
        &self,
        key: &ObjectKey,
        bytes: u64,
    ) -> Result<SemaphorePermit<'_>, Arc<SendError>> {
        let units = bytes.div_ceil(UNIT_BYTES).clamp(1, u64::from(self.room.units)) as u32;
        // Only a closed semaphore refuses, and nobody closes this one.
        let permit = self.room.permits.acquire_many(units).await;
        permit.map_err(|_| SendError::new(key, SendErrorKind::Ended))
    }

    /// Aborts the uploads that an earlier mount of this bucket left unfinished, as far as
    /// its record says.
    pub(super) async fn clean_up(&self) {
        for Lost { key, since } in self.record.take_lost() {
            tracing::warn!(
                "an upload of \"{}\" may have been left unfinished at {}: its beginning was never \
                 answered, so nobody knows its name. It has no parts and costs nothing; 'aws s3api \
                 list-multipart-uploads' shows it",
                key.as_str().escape_debug(),
                humantime::format_rfc3339_seconds(since),
            );
        }
        for upload in self.record.left_behind() {
            match self.store.abort_upload(&upload).await {
                Ok(()) => {
                    tracing::info!("threw away an unfinished upload of \"{}\"", upload.key);
                    self.record.forget_left_behind(&upload);
                }
                Err(error) => tracing::warn!("an unfinished upload stays: {}", error.chain()),
            }
        }
    }

    /// Throws away the parts that were sent of a file.
    pub(super) fn abandon_parts(&self, progress: &Progress) {
        self.abandon(progress.restart());
    }

    /// Throws away the parts that were sent of a deleted file, once none is being sent.
    pub(super) async fn abandon_deleted(&self, draft: &Draft) {
        if let Some(progress) = draft.progress() {
            let _still = progress.still().await;
            self.abandon_parts(progress);
        }
    }

    /// As [`Sender::abandon_deleted`], and waits until the server has answered.
    pub(super) async fn give_up(&self, draft: &Draft) {
        let Some(progress) = draft.progress() else { return };
        let _still = progress.still().await;
        // Sent meanwhile, perhaps.
        if !draft.is_dirty() {
            return;
        }
        let session = progress.restart();
        let Some(upload) = session.upload.get() else { return };
        match self.store.abort_upload(upload).await {
            // Until then the record has it, for the next mount.
            Ok(()) => self.record.remove(upload),
            Err(error) => tracing::warn!("an unfinished upload stays: {}", error.chain()),
        }
    }

    /// Aborts an upload, if it was begun.
    pub(super) fn abandon(&self, session: Arc<Session>) {
        let Some(upload) = session.upload.get().cloned() else { return };
        self.record.remove(&upload);
        let store = self.store.clone();
        self.runtime.spawn(async move {
            if let Err(error) = store.abort_upload(&upload).await {
                tracing::warn!("an unfinished upload stays: {}", error.chain());
            }
        });
    }
}
