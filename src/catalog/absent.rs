//! Names for which there is no bucket, remembered for a while.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use lru::LruCache;

/// So many names without a bucket are remembered.
const MOST_ABSENT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

/// Names for which there is no bucket, and since when that is known.
#[derive(Debug)]
pub(super) struct Absent(Mutex<LruCache<String, Instant>>);

impl Default for Absent {
    fn default() -> Self {
        Absent(Mutex::new(LruCache::new(MOST_ABSENT)))
    }
}

impl Absent {
    /// Since when it is known that there is no bucket of this name, if that is `oldest` or later.
    pub(super) fn since(&self, name: &str, oldest: Instant) -> Option<Instant> {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.get(name).copied().filter(|since| *since >= oldest)
    }

    /// Notes that there is none.
    pub(super) fn note(&self, name: &str, since: Instant) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put(name.to_owned(), since);
    }
}
