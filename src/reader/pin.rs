//! Whose bytes the GETs of one version may bring.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::delivered::Delivered;
use crate::key::{ETag, ObjectVersion};
use crate::store::{ObjectHead, StoreError};

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
        let size_differs = head.size.is_some_and(|size| size != place.size);
        if etag_differs || time_differs || size_differs {
            return Err(StoreError::overwritten(&place.key));
        }
        Ok(())
    }
}
