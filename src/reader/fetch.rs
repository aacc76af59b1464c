//! One GET that fills blocks, from its request to the last byte or its failure.
//!
//! Whatever happens (an error, a cancelled task, a panic), every block that the
//! job was to fill is either complete, or failed and out of the map: nobody ever
//! waits for bytes that will not come.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use futures_util::StreamExt;

use super::cache::{BlockCache, ObjectWriter, VersionId};
use super::delivered::Delivered;
use crate::key::{ETag, ObjectVersion};
use crate::store::{GetRequest, ObjectHead, ObjectStore, StoreError, StoreErrorKind};

/// What one connection buffers at most (hyper's adaptive read buffer).
const CONNECTION_BYTES: u64 = 400 << 10;

/// What all handles of one version share: whose bytes their GETs may bring, and
/// what was read.
#[derive(Debug)]
pub(super) struct Pin {
    pub(super) version: ObjectVersion,
    /// The tag that the first answer had, where the listing gave none.
    first_etag: OnceLock<ETag>,
    changed: AtomicBool,
    /// What its readers were given, through whichever handle.
    pub(super) delivered: Mutex<Delivered>,
}

impl Pin {
    pub(super) fn new(version: ObjectVersion) -> Arc<Self> {
        Arc::new(Pin {
            version,
            first_etag: OnceLock::new(),
            changed: AtomicBool::new(false),
            delivered: Mutex::default(),
        })
    }

    /// Whether the store said that the object is another version by now.
    pub(super) fn is_changed(&self) -> bool {
        self.changed.load(Ordering::Relaxed)
    }

    /// Notes that the store said so.
    pub(super) fn note_changed(&self) {
        self.changed.store(true, Ordering::Relaxed);
    }

    pub(super) fn etag(&self) -> Option<&ETag> {
        self.version.etag.as_ref().or_else(|| self.first_etag.get())
    }

    /// Refuses an answer of another version, also of a server that ignores If-Match.
    pub(super) fn check(&self, head: &ObjectHead) -> Result<(), StoreError> {
        let etag_differs = match (&head.etag, &self.version.etag) {
            (Some(answered), Some(pinned)) => answered != pinned,
            (Some(answered), None) => self.first_etag.get_or_init(|| answered.clone()) != answered,
            (None, _) => false,
        };
        // Without a tag in the listing its time, to the second, has to do.
        let time_differs = self.version.etag.is_none()
            && head.last_modified.is_some_and(|answered| {
                let listed = self.version.last_modified;
                let apart =
                    answered.duration_since(listed).or_else(|_| listed.duration_since(answered));
                apart.is_ok_and(|apart| apart.as_secs() >= 1)
            });
        if etag_differs || time_differs || head.size != self.version.size {
            return Err(StoreError::new(
                StoreErrorKind::Changed,
                format!("GET {}", self.version.key),
                "the object was overwritten since it was looked up",
            ));
        }
        Ok(())
    }
}

/// Blocks that follow one another, to be filled by one GET.
#[derive(Debug)]
pub(super) struct FetchJob {
    cache: Arc<BlockCache>,
    id: VersionId,
    start: u64,
    end: u64,
    /// The blocks that are not complete yet, with their offsets.
    writers: VecDeque<(u64, ObjectWriter)>,
    failure: Option<Arc<StoreError>>,
}

impl FetchJob {
    pub(super) fn new(
        cache: Arc<BlockCache>,
        id: VersionId,
        start: u64,
        writer: ObjectWriter,
    ) -> Self {
        let mut job =
            FetchJob { cache, id, start, end: start, writers: VecDeque::new(), failure: None };
        job.push(writer);
        job
    }

    /// Whether a block of `len` bytes at `offset` continues this job within one part.
    pub(super) fn can_take(&self, offset: u64, len: u64, part_bytes: u64) -> bool {
        offset == self.end && offset + len - self.start <= part_bytes
    }

    pub(super) fn push(&mut self, writer: ObjectWriter) {
        let offset = self.end;
        self.end += writer.block().len() as u64;
        self.writers.push_back((offset, writer));
    }

    /// Runs the GET to its end; what went wrong reaches the blocks' waiters.
    pub(super) async fn run(mut self, store: Arc<dyn ObjectStore>, pin: Arc<Pin>) {
        if let Err(error) = self.fill(&*store, &pin).await {
            if error.kind == StoreErrorKind::Changed {
                pin.note_changed();
            }
            self.failure = Some(Arc::new(error));
        }
        // Dropping the job tells the blocks that are not complete.
    }

    async fn fill(&mut self, store: &dyn ObjectStore, pin: &Pin) -> Result<(), StoreError> {
        let request = GetRequest {
            key: pin.version.key.clone(),
            range: self.start..self.end,
            etag: pin.etag().cloned(),
        };
        let mut body = store.get_range(request).await?;
        pin.check(&body.head)?;
        // What the connection holds of the body until it is in its blocks.
        let _buffered = self.cache.budget().charge(CONNECTION_BYTES);
        while let Some(chunk) = body.bytes.next().await {
            self.append(&chunk?);
            if self.writers.is_empty() {
                return Ok(());
            }
        }
        Err(StoreError::new(
            StoreErrorKind::ShortBody,
            format!("GET {}", pin.version.key),
            format!("the body of bytes {}..{} ended early", self.start, self.end),
        ))
    }

    fn append(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        while let Some((_, writer)) = self.writers.front_mut() {
            rest = writer.append(rest);
            if writer.missing() == 0 {
                self.writers.pop_front();
                // Complete blocks can make room for others.
                self.cache.budget().announce_freed();
            }
            if rest.is_empty() {
                return;
            }
        }
    }
}

impl Drop for FetchJob {
    fn drop(&mut self) {
        if self.writers.is_empty() {
            return;
        }
        let failure = self.failure.take().unwrap_or_else(|| {
            Arc::new(StoreError::new(
                StoreErrorKind::Other,
                format!("GET of bytes {}..{}", self.start, self.end),
                "the fetch was given up because nobody had the file open any more",
            ))
        });
        for (offset, writer) in self.writers.drain(..) {
            self.cache.discard(self.id, offset, writer.block());
            writer.fail(failure.clone());
        }
    }
}
