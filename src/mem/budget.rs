//! How much is held, and how much may be.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// The one limit on what the program holds: object bytes, listings, inodes.
#[derive(Debug)]
pub struct Budget {
    limit_bytes: u64,
    used_bytes: AtomicU64,
    freed: Notify,
}

impl Budget {
    /// A budget of `limit_bytes`, of which nothing is used.
    pub fn new(limit_bytes: u64) -> Arc<Self> {
        Arc::new(Budget { limit_bytes, used_bytes: AtomicU64::new(0), freed: Notify::new() })
    }

    /// The limit in bytes.
    pub fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    /// What is counted now, in bytes.
    pub fn used_bytes(&self) -> u64 {
        self.used_bytes.load(Ordering::Relaxed)
    }

    /// Counts `bytes` if they fit.
    pub fn try_reserve(self: &Arc<Self>, bytes: u64) -> Option<Reservation> {
        let fits = |used: u64| used.checked_add(bytes).filter(|&sum| sum <= self.limit_bytes);
        self.used_bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .ok()
            .map(|_| Reservation { budget: self.clone(), bytes })
    }

    /// Counts `bytes` whether they fit or not: for metadata, which is small and
    /// must exist; object bytes then make room.
    pub fn charge(self: &Arc<Self>, bytes: u64) -> Reservation {
        self.used_bytes.fetch_add(bytes, Ordering::Relaxed);
        Reservation { budget: self.clone(), bytes }
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
}

impl Reservation {
    /// The bytes counted.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Counts `bytes` in place of what was counted before, whether they fit or not.
    pub fn resize(&mut self, bytes: u64) {
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
    fn a_charge_may_pass_the_limit_and_says_by_how_much() {
        let budget = Budget::new(100);
        let mut meta = budget.charge(130);
        assert_eq!(budget.excess_bytes(), 30);
        meta.resize(90);
        assert_eq!(budget.excess_bytes(), 0);
        assert!(budget.try_reserve(11).is_none());
    }
}
