//! How much is held, and how much may be.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// What memory is held for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Use {
    /// Bytes of objects.
    Blocks,
    /// Listings of the bucket.
    Listings,
    /// Names and inodes that the kernel knows, and what was changed of them.
    Names,
    /// Decoded tiles, the bytes of siblings, headers of images, and what decoders take.
    Images,
    /// Bodies of requests that are under way.
    Bodies,
    /// Anything else.
    #[default]
    Other,
}

impl Use {
    /// All of them.
    pub const ALL: [Use; 6] =
        [Self::Blocks, Self::Listings, Self::Names, Self::Images, Self::Bodies, Self::Other];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Blocks => "blocks",
            Self::Listings => "listings",
            Self::Names => "names",
            Self::Images => "images",
            Self::Bodies => "bodies",
            Self::Other => "other",
        }
    }
}

/// The one limit on what the program holds: object bytes, listings, inodes.
#[derive(Debug)]
pub struct Budget {
    limit_bytes: u64,
    used_bytes: AtomicU64,
    used_for_bytes: [AtomicU64; Use::ALL.len()],
    freed: Notify,
}

impl Budget {
    /// A budget of `limit_bytes`, of which nothing is used.
    pub fn new(limit_bytes: u64) -> Arc<Self> {
        let used_for_bytes = std::array::from_fn(|_| AtomicU64::new(0));
        let (used_bytes, freed) = (AtomicU64::new(0), Notify::new());
        Arc::new(Budget { limit_bytes, used_bytes, used_for_bytes, freed })
    }

    /// The limit in bytes.
    pub fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    /// What is counted now, in bytes.
    pub fn used_bytes(&self) -> u64 {
        self.used_bytes.load(Ordering::Relaxed)
    }

    /// What is counted now for one use, in bytes. They add up to [`Budget::used_bytes`], except
    /// while something changes.
    pub fn used_for_bytes(&self, what: Use) -> u64 {
        self.used_for_bytes[what as usize].load(Ordering::Relaxed)
    }

    fn note_use(&self, what: Use, more: u64, less: u64) {
        let used = &self.used_for_bytes[what as usize];
        used.fetch_add(more, Ordering::Relaxed);
        used.fetch_sub(less, Ordering::Relaxed);
    }

    /// Counts `bytes` if they fit.
    pub fn try_reserve(self: &Arc<Self>, bytes: u64) -> Option<Reservation> {
        let fits = |used: u64| used.checked_add(bytes).filter(|&sum| sum <= self.limit_bytes);
        self.used_bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .ok()
            .map(|_| self.reservation(bytes))
    }

    /// Counts `bytes` whether they fit or not: for metadata, which is small and
    /// must exist; object bytes then make room.
    pub fn charge(self: &Arc<Self>, bytes: u64) -> Reservation {
        self.used_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.reservation(bytes)
    }

    fn reservation(self: &Arc<Self>, bytes: u64) -> Reservation {
        let what = Use::default();
        self.note_use(what, bytes, 0);
        Reservation { budget: self.clone(), bytes, what }
    }

    /// How far the count is over the limit, in bytes.
    pub fn excess_bytes(&self) -> u64 {
        self.used_bytes().saturating_sub(self.limit_bytes)
    }

    /// Resolves the next time anything is given back.
    pub fn freed(&self) -> Notified<'_> {
        self.freed.notified()
    }

    /// Tells those who wait that memory can be had again.
    pub fn announce_freed(&self) {
        self.freed.notify_waiters();
    }
}

/// Bytes that are counted in a [`Budget`] until this is dropped.
#[derive(Debug)]
pub struct Reservation {
    budget: Arc<Budget>,
    bytes: u64,
    what: Use,
}

impl Reservation {
    /// The same bytes, held for this.
    pub fn of(mut self, what: Use) -> Self {
        self.budget.note_use(self.what, 0, self.bytes);
        self.budget.note_use(what, self.bytes, 0);
        self.what = what;
        self
    }

    /// The bytes counted.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Counts `bytes` in place of what was counted before, whether they fit or not.
    pub fn resize(&mut self, bytes: u64) {
        self.budget.note_use(self.what, bytes, self.bytes);
        if bytes >= self.bytes {
            self.budget.used_bytes.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else {
            self.budget.used_bytes.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
            self.budget.announce_freed();
        }
        self.bytes = bytes;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.resize(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_counts_until_it_is_dropped() {
        let budget = Budget::new(100);
        let held = budget.try_reserve(60).unwrap();
        assert!(budget.try_reserve(41).is_none());
        assert_eq!(budget.used_bytes(), 60);
        drop(held);
        assert_eq!(budget.used_bytes(), 0);
        assert!(budget.try_reserve(100).is_some());
    }

    #[test]
    fn uses_are_told_apart_and_add_up() {
        let budget = Budget::new(100);
        let mut tiles = budget.charge(10).of(Use::Images);
        let blocks = budget.try_reserve(20).unwrap().of(Use::Blocks);
        let _rest = budget.charge(5);
        tiles.resize(40);
        let used = || Use::ALL.map(|what| budget.used_for_bytes(what));
        assert_eq!(used(), [20, 0, 0, 40, 0, 5]);
        assert_eq!(used().iter().sum::<u64>(), budget.used_bytes());
        drop((tiles, blocks));
        assert_eq!(used(), [0, 0, 0, 0, 0, 5]);
    }

    #[test]
    fn a_charge_may_pass_the_limit_and_says_by_how_much() {
        let budget = Budget::new(100);
        let mut meta = budget.charge(130);
        assert_eq!(budget.excess_bytes(), 30);
        meta.resize(90);
        assert_eq!(budget.excess_bytes(), 0);
        assert!(budget.try_reserve(11).is_none());
    }
}
