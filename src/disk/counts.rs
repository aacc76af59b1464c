//! What the disk did for a mount.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counters that only grow.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) hits: AtomicU64,
    pub(super) misses: AtomicU64,
    pub(super) damaged: AtomicU64,
    pub(super) read_bytes: AtomicU64,
    pub(super) read_microseconds: AtomicU64,
    pub(super) entries: AtomicU64,
    pub(super) written_bytes: AtomicU64,
    pub(super) write_microseconds: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) evicted: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) pauses: AtomicU64,
}

/// What there is to say of the disk at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figures {
    /// What the entries of all mounts take, and may take, as far as this one knows.
    pub used_bytes: u64,
    /// See `used_bytes`.
    pub limit_bytes: u64,
    /// Questions that the disk answered.
    pub hits: u64,
    /// Questions that it did not.
    pub misses: u64,
    /// Entries that were not as they were written; they were deleted.
    pub damaged: u64,
    /// Bytes that were taken from the disk, and how long reading took.
    pub read_bytes: u64,
    /// See `read_bytes`.
    pub read_time: Duration,
    /// Entries that this mount wrote, their bytes, and how long that took.
    pub entries: u64,
    /// See `entries`.
    pub written_bytes: u64,
    /// See `entries`.
    pub write_time: Duration,
    /// What was not written since too much was waiting already.
    pub dropped: u64,
    /// Entries that this mount deleted to make room.
    pub evicted: u64,
    /// Entries that could not be written.
    pub failed: u64,
    /// How often the disk was left alone since it was slower than the network.
    pub pauses: u64,
    /// Whether it is left alone now.
    pub is_paused: bool,
}

impl Counts {
    /// One more.
    pub(super) fn count(&self, counter: impl Fn(&Self) -> &AtomicU64) {
        self.add(counter, 1);
    }

    pub(super) fn add(&self, counter: impl Fn(&Self) -> &AtomicU64, more: u64) {
        counter(self).fetch_add(more, Ordering::Relaxed);
    }

    pub(super) fn figures(&self) -> Figures {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Figures {
            hits: of(&self.hits),
            misses: of(&self.misses),
            damaged: of(&self.damaged),
            read_bytes: of(&self.read_bytes),
            read_time: Duration::from_micros(of(&self.read_microseconds)),
            entries: of(&self.entries),
            written_bytes: of(&self.written_bytes),
            write_time: Duration::from_micros(of(&self.write_microseconds)),
            dropped: of(&self.dropped),
            evicted: of(&self.evicted),
            failed: of(&self.failed),
            pauses: of(&self.pauses),
            ..Figures::default()
        }
    }
}

/// A time as a counter has it.
pub(super) fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
