//! One GET that fills blocks, from its request to the last byte or its failure.
//!
//! Whatever happens (an error, a cancelled task, a panic), every block that the
//! job was to fill is either complete, or failed and out of the map: nobody ever
//! waits for bytes that will not come.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

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
    /// Where the bytes are: another version since this mount has renamed the object.
    place: Mutex<Arc<ObjectVersion>>,
    /// The tag that the first answer had, where the listing gave none.
    first_etag: OnceLock<ETag>,
    changed: AtomicBool,
    /// What its readers were given, through whichever handle.
    pub(super) delivered: Mutex<Delivered>,
}

impl Pin {
    pub(super) fn new(version: ObjectVersion) -> Arc<Self> {
        Arc::new(Pin {
            place: Mutex::new(Arc::new(version.clone())),
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

    /// Where the bytes are.
    pub(super) fn place(&self) -> Arc<ObjectVersion> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that the server has made `to` of `from`, which is about to go.
    pub(super) fn note_copied(&self, from: &ObjectVersion, to: &ObjectVersion) {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        // Without tags it is not said which version was copied, or which is there.
        let is_it = place.key == from.key && place.etag == from.etag && from.etag.is_some();
        if is_it && to.etag.is_some() && place.size == to.size {
            *place = Arc::new(to.clone());
        }
    }

    /// The tag that the bytes have at a place.
    pub(super) fn etag<'a>(&'a self, place: &'a ObjectVersion) -> Option<&'a ETag> {
        place.etag.as_ref().or_else(|| self.first_etag.get())
    }

    /// Refuses an answer of another version, also of a server that ignores If-Match.
    pub(super) fn check(&self, place: &ObjectVersion, head: &ObjectHead) -> Result<(), StoreError> {
        let etag_differs = match (&head.etag, &place.etag) {
            (Some(answered), Some(pinned)) => answered != pinned,
            (Some(answered), None) => self.first_etag.get_or_init(|| answered.clone()) != answered,
            (None, _) => false,
        };
        // Without a tag in the listing its time, to the second, has to do.
        let time_differs = place.etag.is_none()
            && head.last_modified.is_some_and(|answered| {
                let listed = place.last_modified;
                let apart =
                    answered.duration_since(listed).or_else(|_| listed.duration_since(answered));
                apart.is_ok_and(|apart| apart.as_secs() >= 1)
            });
        if etag_differs || time_differs || head.size != place.size {
            return Err(StoreError::new(
                StoreErrorKind::Changed,
                format!("GET {}", place.key),
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
        loop {
            let place = pin.place();
            match self.fill_from(&place, store, pin).await {
                // Renamed meanwhile: the rest is in the copy.
                Err(_) if !Arc::ptr_eq(&place, &pin.place()) => {}
                outcome => return outcome,
            }
        }
    }

    /// Fills what is missing with the bytes that are at a place.
    async fn fill_from(
        &mut self,
        place: &ObjectVersion,
        store: &dyn ObjectStore,
        pin: &Pin,
    ) -> Result<(), StoreError> {
        let range = self.missing_from()..self.end;
        let etag = pin.etag(place).cloned();
        let request = GetRequest { key: place.key.clone(), range: range.clone(), etag };
        let mut body = store.get_range(request).await?;
        pin.check(place, &body.head)?;
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
            format!("GET {}", place.key),
            format!("the body of bytes {}..{} ended early", range.start, range.end),
        ))
    }

    /// The first byte that has not come.
    fn missing_from(&self) -> u64 {
        self.writers.front().map_or(self.end, |(offset, writer)| {
            offset + (writer.block().len() - writer.missing()) as u64
        })
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
