//! Whose bytes the GETs of one version may bring.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::delivered::Delivered;
use super::verify::Verify;
use crate::key::{ETag, ObjectVersion};
use crate::store::{ObjectHead, StoreError};

/// A GET that fails after this may have made others wait.
const LONG: Duration = Duration::from_millis(500);
/// How soon behind a failure a read comes that has waited for it.
const JUST_NOW: Duration = Duration::from_millis(50);

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
    /// The last GET that somebody waited for long, and in vain.
    failed: Mutex<Option<Failed>>,
    /// What its readers were given, through whichever handle.
    pub(super) delivered: Mutex<Delivered>,
    /// Whether it is what the server keeps, where that is to be found out.
    pub(super) verify: Option<Verify>,
    /// Why nobody may read it any more: it is not.
    damage: OnceLock<Arc<StoreError>>,
}

/// A GET that failed.
#[derive(Debug)]
struct Failed {
    range: Range<u64>,
    error: Arc<StoreError>,
    begun: Instant,
    at: Instant,
}

impl Failed {
    fn is_of(&self, range: &Range<u64>) -> bool {
        self.range.start < range.end && range.start < self.range.end
    }
}

impl Pin {
    pub(super) fn new(version: ObjectVersion) -> Arc<Self> {
        Pin::verified(version, false)
    }

    /// As [`Pin::new`], of a version whose bytes are verified if `verify` says so.
    pub(super) fn verified(version: ObjectVersion, verify: bool) -> Arc<Self> {
        Arc::new(Pin {
            verify: verify.then(Verify::default),
            damage: OnceLock::new(),
            place: Mutex::new(Arc::new(version.clone())),
            version,
            first_etag: OnceLock::new(),
            changed: AtomicBool::new(false),
            failed: Mutex::default(),
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

    /// What whoever reads it is told, once its bytes were found to be damaged.
    pub(super) fn damage(&self) -> Option<Arc<StoreError>> {
        self.damage.get().cloned()
    }

    /// Notes that its bytes are damaged.
    pub(super) fn note_damage(&self, error: &Arc<StoreError>) {
        let _ = self.damage.set(error.clone());
    }

    /// Notes that a GET of `range` that was sent at `begun` has failed, if it took long.
    pub(super) fn note_failure(&self, range: Range<u64>, begun: Instant, error: &Arc<StoreError>) {
        if begun.elapsed() >= LONG {
            let failed = Failed { range, error: error.clone(), begun, at: Instant::now() };
            *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(failed);
        }
    }

    /// What a read of `range` fails with that has waited for another one, through a handle
    /// that is open since `opened`. The kernel sends the reads of one page one after the
    /// other: without this each would wait as long.
    pub(super) fn failure_just_now(
        &self,
        range: &Range<u64>,
        opened: Instant,
    ) -> Option<Arc<StoreError>> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = failed.as_ref().filter(|failed| failed.at.elapsed() < JUST_NOW)?;
        // Whoever came when it had used up much of its time has all of its own.
        (failed.is_of(range) && opened <= failed.begun + LONG).then(|| failed.error.clone())
    }

    /// Whether the GET of `range` that failed last had used up much of its time before `since`.
    pub(super) fn failed_long_before(&self, range: &Range<u64>, since: Instant) -> bool {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.as_ref().is_some_and(|failed| {
            failed.is_of(range) && failed.error.kind.is_transient() && failed.begun + LONG < since
        })
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
        let size_differs = head.size.is_some_and(|size| size != place.size);
        if etag_differs || time_differs || size_differs {
            return Err(StoreError::overwritten(&place.key));
        }
        Ok(())
    }
}
