//! What the shared cache did for a mount, and what that cost.

use std::ops::Sub;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters that only grow.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) hits: AtomicU64,
    pub(super) misses: AtomicU64,
    pub(super) damaged: AtomicU64,
    pub(super) written: AtomicU64,
    pub(super) known: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) pauses: AtomicU64,
}

/// What there is to say of the shared cache at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Questions that it answered.
    pub hits: u64,
    /// Questions that it did not.
    pub misses: u64,
    /// Objects in the place of an entry that are none.
    pub damaged: u64,
    /// Entries that this mount has put there.
    pub written: u64,
    /// Entries that somebody else had put there meanwhile.
    pub known: u64,
    /// What was not put there since too much was waiting already.
    pub dropped: u64,
    /// What could not be put there.
    pub failed: u64,
    /// How often it was left alone since it was in trouble.
    pub pauses: u64,
    /// GET requests, each of which costs money, as do the next.
    pub get_requests: u64,
    /// Bytes that they brought.
    pub get_bytes: u64,
    /// PUT requests.
    pub put_requests: u64,
    /// Bytes that they took there.
    pub put_bytes: u64,
}

impl Counts {
    /// One more.
    pub(super) fn count(&self, counter: impl Fn(&Self) -> &AtomicU64) {
        counter(self).fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn figures(&self) -> Figures {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Figures {
            hits: of(&self.hits),
            misses: of(&self.misses),
            damaged: of(&self.damaged),
            written: of(&self.written),
            known: of(&self.known),
            dropped: of(&self.dropped),
            failed: of(&self.failed),
            pauses: of(&self.pauses),
            ..Figures::default()
        }
    }
}

impl Sub for Figures {
    type Output = Figures;

    fn sub(self, earlier: Figures) -> Figures {
        Figures {
            hits: self.hits - earlier.hits,
            misses: self.misses - earlier.misses,
            damaged: self.damaged - earlier.damaged,
            written: self.written - earlier.written,
            known: self.known - earlier.known,
            dropped: self.dropped - earlier.dropped,
            failed: self.failed - earlier.failed,
            pauses: self.pauses - earlier.pauses,
            get_requests: self.get_requests - earlier.get_requests,
            get_bytes: self.get_bytes - earlier.get_bytes,
            put_requests: self.put_requests - earlier.put_requests,
            put_bytes: self.put_bytes - earlier.put_bytes,
        }
    }
}
