//! Files that become objects: what has been sent, and what is still to be.
//!
//! Contract: a file is sent when it is closed or synchronised, on the condition
//! that the object is still the version that was seen. What could not be sent
//! stays, and is known here until it is in the bucket or deleted.

mod parts;
mod record;
mod remote;
mod send;

use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::stream::{self, StreamExt};
use tokio::runtime::Handle as Runtime;
use tokio::sync::{Semaphore, SemaphorePermit};

pub use remote::{Remote, SentAway};

use parts::Parts;
use record::Record;
use remote::Session;

use super::{Made, MadeFile};
use crate::key::{ObjectKey, ObjectVersion};
use crate::mem::Budget;
use crate::store::{ObjectStore, StoreError, StoreErrorKind};

/// So many parts of one file are sent at once.
const PARTS_AT_ONCE: usize = 8;
/// What is being sent may take a fourth of the budget, counted in such units; the
/// smallest budget still has room for one file that is sent in one request.
const UNIT_BYTES: u64 = 1 << 20;
const UNITS: std::ops::RangeInclusive<u64> = 16..=256;

/// Settings of [`Uploads`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadConfig {
    /// Whether objects that exist may be overwritten.
    pub allow_overwrite: bool,
    /// Whether objects may be deleted.
    pub allow_delete: bool,
    /// The media type of everything; by the name's ending if `None`.
    pub content_type: Option<Arc<str>>,
    /// Names that stay in memory.
    pub memory_only: Vec<glob::Pattern>,
    /// How many objects a directory may have to be renamed; none are if 0.
    pub rename_objects: u64,
    /// Which bucket it is, for the record of uploads that were not finished.
    pub bucket: String,
    /// Where that record is; none is kept if `None`.
    pub record_folder: Option<PathBuf>,
    /// How large the first parts of a large file are, in bytes; a file of up to two of
    /// them is sent in one request. S3 takes none under 5 MiB.
    pub part_bytes: u64,
}

impl Default for UploadConfig {
    fn default() -> Self {
        UploadConfig {
            allow_overwrite: false,
            allow_delete: false,
            content_type: None,
            memory_only: Vec::new(),
            rename_objects: 0,
            bucket: String::new(),
            record_folder: None,
            part_bytes: 8 << 20,
        }
    }
}

/// A file that is not in the bucket yet.
#[derive(Debug, Clone)]
pub struct Pending {
    /// Its inode number.
    pub ino: u64,
    /// The object that it becomes.
    pub key: ObjectKey,
    /// Its size in bytes.
    pub bytes: u64,
    /// Why it could not be sent, if that was tried.
    pub problem: Option<Arc<StoreError>>,
}

/// What becomes of files that are to be objects.
#[derive(Debug)]
pub struct Uploads {
    config: UploadConfig,
    parts: Parts,
    store: Arc<dyn ObjectStore>,
    budget: Arc<Budget>,
    runtime: Runtime,
    /// One for each unit of what is being sent.
    room: Semaphore,
    units: u32,
    record: Record,
    /// Files that the bucket has not got, or not all of, by inode number.
    dirty: Mutex<HashMap<u64, Arc<Made>>>,
}

impl Uploads {
    /// Sends files to `store`; what is under way is counted in `budget`.
    pub fn new(
        config: UploadConfig,
        store: Arc<dyn ObjectStore>,
        budget: Arc<Budget>,
        runtime: Runtime,
    ) -> Self {
        let units = (budget.limit_bytes() / 4 / UNIT_BYTES).clamp(*UNITS.start(), *UNITS.end());
        Uploads {
            record: Record::open(config.record_folder.as_deref(), &config.bucket),
            room: Semaphore::new(units as usize),
            units: units as u32,
            parts: Parts::new(config.part_bytes),
            config,
            store,
            budget,
            runtime,
            dirty: Mutex::default(),
        }
    }

    /// The settings.
    pub fn config(&self) -> &UploadConfig {
        &self.config
    }

    /// What a file is in the bucket that becomes the object `key`, in place of `seen`.
    /// `is_copy` says that it has the bytes of that version; else it is empty.
    pub fn remote(&self, key: ObjectKey, seen: Option<ObjectVersion>, is_copy: bool) -> Remote {
        Remote::new(self.parts, key, seen, is_copy)
    }

    /// Whether something of this name stays in memory.
    pub fn stays_in_memory(&self, name: &str) -> bool {
        self.config.memory_only.iter().any(|pattern| pattern.matches(name))
    }

    /// Throws away the uploads that an earlier mount of this bucket left unfinished,
    /// as far as its record says.
    pub async fn clean_up(&self) {
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

    /// Notes that a file has to be sent.
    pub fn note_dirty(&self, made: &Arc<Made>) {
        self.lock().entry(made.ino()).or_insert_with(|| made.clone());
    }

    /// Notes that a file has not to be sent any more, if that is so.
    pub fn note_clean(&self, made: &Made) {
        let is_dirty = made.file().and_then(|file| file.remote()).is_some_and(Remote::is_dirty);
        if !is_dirty || made.links() == 0 {
            self.lock().remove(&made.ino());
        }
    }

    /// The files that are not in the bucket yet.
    pub fn dirty(&self) -> Vec<Arc<Made>> {
        self.lock().values().cloned().collect()
    }

    /// The same without those that were deleted, by key.
    pub fn pending(&self) -> Vec<Pending> {
        let of = |made: &Arc<Made>| {
            let file = made.file()?;
            let remote = file.remote().filter(|remote| remote.is_dirty() && made.links() > 0)?;
            let bytes = file.bytes().stat().map_or(0, |stat| stat.size);
            let (ino, key, problem) = (made.ino(), remote.key(), remote.problem());
            Some(Pending { ino, key, bytes, problem })
        };
        let mut pending: Vec<Pending> = self.dirty().iter().filter_map(of).collect();
        pending.sort_by(|one, other| one.key.cmp(&other.key));
        pending
    }

    /// Sends what can be sent of a file while it is written, and gives the memory
    /// back that this takes; how many bytes that were.
    pub async fn send_away(&self, made: &Made) -> u64 {
        let Some(file) = made.file() else { return 0 };
        let Some(remote) = file.remote() else { return 0 };
        // Who sends the rest, renames or deletes the file, counts on what is in memory.
        let _early = remote.sending.read().await;
        if made.links() == 0 {
            return 0;
        }
        let mut freed = self.give_back(file, remote);
        if freed == 0 {
            let complete = remote.complete_parts().into_iter();
            let sending = complete.map(|number| self.send_early(file, remote, number));
            stream::iter(sending).buffer_unordered(PARTS_AT_ONCE).for_each(|()| async {}).await;
            freed = self.give_back(file, remote);
        }
        freed
    }

    fn give_back(&self, file: &MadeFile, remote: &Remote) -> u64 {
        let punch =
            |range: Range<u64>| file.bytes().punch(range.start, range.end - range.start).is_ok();
        let was_whole = remote.is_whole();
        let bytes = remote.send_away(punch);
        if bytes > 0 && was_whole {
            tracing::info!(
                "\"{}\" does not fit into --write-memory: its beginning is in the bucket's hands \
                 while it is written, and can't be read or changed until it is closed",
                remote.key().as_str().escape_debug()
            );
        }
        bytes
    }

    /// Throws away the parts that were sent of a file.
    pub fn abandon_parts(&self, remote: &Remote) {
        let session = remote.lock().restart();
        self.abandon(session);
    }

    /// The same of a file that was deleted, once nothing of it is being sent.
    pub fn abandon_deleted(self: &Arc<Self>, made: Arc<Made>) {
        let uploads = self.clone();
        self.runtime.spawn(async move {
            if let Some(remote) = made.file().and_then(|file| file.remote()) {
                let _still = remote.still().await;
                uploads.abandon_parts(remote);
            }
        });
    }

    fn abandon(&self, session: Arc<Session>) {
        let Some(upload) = session.upload.get().cloned() else { return };
        self.record.remove(&upload);
        let store = self.store.clone();
        self.runtime.spawn(async move {
            if let Err(error) = store.abort_upload(&upload).await {
                tracing::warn!("an unfinished upload stays: {}", error.chain());
            }
        });
    }

    /// The media type of an object of this key.
    fn content_type(&self, key: &ObjectKey) -> Option<Arc<str>> {
        self.config
            .content_type
            .clone()
            .or_else(|| mime_guess::from_path(key.as_str()).first_raw().map(Arc::from))
    }

    /// Room for `bytes` of a file on their way.
    async fn room(
        &self,
        key: &ObjectKey,
        bytes: u64,
    ) -> Result<SemaphorePermit<'_>, Arc<StoreError>> {
        let units = bytes.div_ceil(UNIT_BYTES).clamp(1, u64::from(self.units)) as u32;
        // Only a closed semaphore refuses, and nobody closes this one.
        self.room.acquire_many(units).await.map_err(|_| {
            let request = format!("PUT {key}");
            Arc::new(StoreError::new(StoreErrorKind::Other, request, "the mount has ended"))
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Made>>> {
        self.dirty.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
