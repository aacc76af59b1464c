//! How much of a file was read, by a program that may be going through a directory.

use std::sync::{Arc, Mutex};

use super::credit::Credit;
use crate::names::Place;
use crate::sync::lock;

/// A file that was opened in its place of a directory.
#[derive(Debug)]
pub(super) struct Passed {
    /// Where it is.
    pub(super) place: Place,
    size: u64,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// The first byte, counted from the start, that was not read.
    end: u64,
    /// Where it counts, and how many of its first bytes were fetched ahead.
    counted: Option<(Arc<Credit>, u64)>,
}

impl Passed {
    /// A file of `size` bytes of which nothing was read.
    pub(super) fn new(place: Place, size: u64) -> Arc<Self> {
        Arc::new(Passed { place, size, seen: Mutex::default() })
    }

    /// Notes a read; whether it is the first one of the file's start.
    pub(super) fn note_read(&self, offset: u64, length: usize) -> bool {
        let mut seen = lock(&self.seen);
        let (before, read_to) = (seen.end, offset.saturating_add(length as u64).min(self.size));
        if offset > before || read_to <= before {
            return false;
        }
        seen.end = read_to;
        if let Some((credit, fetched)) = &seen.counted {
            credit.used(read_to - before, read_to.min(*fetched) - before.min(*fetched));
        }
        before == 0
    }

    /// Counts what is read of it from now on, and what was, unless that is done already;
    /// `fetched` of its first bytes were fetched ahead.
    pub(super) fn count(&self, credit: &Arc<Credit>, fetched: u64) {
        let mut seen = lock(&self.seen);
        if seen.counted.is_none() {
            credit.used(seen.end, seen.end.min(fetched));
            seen.counted = Some((credit.clone(), fetched));
        }
    }

    /// How many bytes were read from the start on; [`u64::MAX`] if it is all of them.
    pub(super) fn extent(&self) -> u64 {
        let end = lock(&self.seen).end;
        if end == self.size { u64::MAX } else { end }
    }
}
