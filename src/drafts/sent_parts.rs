//! Which parts of a file an upload has, and which of them it alone has.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{Mutex, OnceCell};

use super::parts::Parts;
use super::send_error::SendError;
use crate::store::{Part, Upload};

/// Some of a file is in the bucket's hands alone until the file is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the beginning of the file was sent away for want of memory")]
pub struct SentAway;

/// One upload in parts, which is begun when the first part is sent.
#[derive(Debug, Default)]
pub struct Session {
    /// Set by whoever begins it.
    pub upload: OnceCell<Upload>,
    /// When the last one failed who tried to begin it, and with what: for all who waited.
    pub failed: Mutex<Option<(Instant, Arc<SendError>)>>,
}

/// The parts of one file.
#[derive(Debug)]
pub(super) struct SentParts {
    /// Where parts begin and end.
    pub(super) layout: Parts,
    /// The upload that has them.
    pub(super) session: Arc<Session>,
    /// Which write changed each part last.
    touched: BTreeMap<u32, u64>,
    /// Which write changed everything from a part on, of the parts that none changed since
    /// from an earlier one on: parts that are on their way count, too.
    touched_from: BTreeMap<u32, u64>,
    /// The parts that were sent, each as of which write.
    sent: BTreeMap<u32, (Part, u64)>,
    /// The parts whose memory was given back. Only the upload has them.
    gone: BTreeSet<u32>,
    /// Whether the server is making an object of them just now.
    is_sealed: bool,
}

impl SentParts {
    /// None yet.
    pub(super) fn new(layout: Parts) -> Self {
        SentParts {
            layout,
            session: Arc::default(),
            touched: BTreeMap::new(),
            touched_from: BTreeMap::new(),
            sent: BTreeMap::new(),
            gone: BTreeSet::new(),
            is_sealed: false,
        }
    }

    /// A part that was sent and has not changed since.
    pub(super) fn valid(&self, number: u32) -> Option<&Part> {
        let (part, as_of) = self.sent.get(&number)?;
        let from = self.touched_from.range(..=number).next_back().map(|(_, write)| write);
        let mut touched = self.touched.get(&number).into_iter().chain(from);
        touched.all(|write| write <= as_of).then_some(part)
    }

    /// Notes a part that was sent as of a write.
    pub(super) fn add(&mut self, part: Part, as_of: u64) {
        self.sent.insert(part.number, (part, as_of));
    }

    /// Notes that `write` changed the bytes of a range.
    pub(super) fn touch(&mut self, range: Range<u64>, write: u64) {
        for number in self.layout.at(range.start)..=self.layout.at(range.end.saturating_sub(1)) {
            self.touched.insert(number, write);
        }
    }

    /// Notes that `write` changed everything from an offset on.
    pub(super) fn touch_from(&mut self, offset: u64, write: u64) {
        let first = self.layout.at(offset);
        self.touched_from.split_off(&first);
        self.touched_from.insert(first, write);
    }

    /// Whether the memory of a part was given back.
    pub(super) fn is_gone(&self, number: u32) -> bool {
        self.gone.contains(&number)
    }

    /// Whether the memory of any part of a range was given back.
    pub(super) fn is_gone_in(&self, range: &Range<u64>) -> bool {
        !self.gone.is_empty()
            && range.start < range.end
            && self
                .gone
                .range(self.layout.at(range.start)..=self.layout.at(range.end - 1))
                .next()
                .is_some()
    }

    /// Whether all of the file is in memory.
    pub(super) fn is_whole(&self) -> bool {
        self.gone.is_empty()
    }

    /// Whether neither memory nor the upload has some of it.
    pub(super) fn has_lost_any(&self) -> bool {
        self.gone.iter().any(|number| self.valid(*number).is_none())
    }

    /// Gives the memory of sent parts up to `end` back with `punch`; how many bytes.
    pub(super) fn send_away(&mut self, end: u64, mut punch: impl FnMut(Range<u64>) -> bool) -> u64 {
        let mut bytes = 0;
        let sent: Vec<u32> = self.sent.keys().copied().collect();
        for number in sent {
            let range = self.layout.range(number);
            if self.valid(number).is_some()
                && range.end <= end
                && !self.gone.contains(&number)
                && punch(range.clone())
            {
                self.gone.insert(number);
                bytes += range.end - range.start;
            }
        }
        bytes
    }

    /// All parts of a file of `size` bytes, in order, if the upload has them as they are
    /// now. They are sealed then, until [`SentParts::break_seal`].
    pub(super) fn seal(&mut self, size: u64) -> Option<Vec<Part>> {
        let numbers = self.layout.of(size).map(|(number, _)| number);
        let parts: Option<Vec<Part>> = numbers.map(|number| self.valid(number).cloned()).collect();
        self.is_sealed = parts.is_some();
        parts
    }

    /// Notes that the server has made an object of them, or has not.
    pub(super) fn break_seal(&mut self) {
        self.is_sealed = false;
    }

    /// Whether the server is making an object of them just now.
    pub(super) fn is_sealed(&self) -> bool {
        self.is_sealed
    }

    /// Forgets the upload and returns it. What is not in memory does not come back.
    pub(super) fn restart(&mut self) -> Arc<Session> {
        self.sent.clear();
        std::mem::take(&mut self.session)
    }

    /// Forgets that memory was given back: the file is empty now.
    pub(super) fn forget_gone(&mut self) {
        self.gone.clear();
    }
}
