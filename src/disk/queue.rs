//! What waits to be written: so many bytes at most, and what is more is dropped.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::folder::Name;

/// Pieces of one entry often come one behind the other: they are waited for so long.
const LINGER: Duration = Duration::from_millis(50);

/// Bytes that somebody holds in memory.
pub type Body = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// A run of the bytes that an entry is about.
#[derive(Clone)]
pub struct Part {
    /// Which byte comes first.
    pub start: u64,
    /// Where the bytes are.
    pub body: Body,
    /// Which of those.
    pub range: Range<usize>,
}

impl Part {
    pub(super) fn bytes(&self) -> &[u8] {
        (*self.body).as_ref().get(self.range.clone()).unwrap_or_default()
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes from {}", self.range.len(), self.start)
    }
}

/// What is to be written; without parts, and if it does not join any, what is to be deleted.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) name: Name,
    pub(super) parts: Vec<Part>,
    /// Whether it joins what the entry has already.
    pub(super) joins: bool,
}

impl Item {
    /// Whether the entry is to be deleted.
    pub(super) fn is_end(&self) -> bool {
        self.parts.is_empty() && !self.joins
    }

    fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.range.len() as u64).sum()
    }
}

#[derive(Debug, Default)]
struct Inner {
    items: VecDeque<Item>,
    bytes: u64,
    /// Whether the writer has something in its hands.
    is_writing: bool,
    /// Somebody waits for all of it.
    hurry: u32,
    is_closed: bool,
}

/// The queue.
#[derive(Debug)]
pub(super) struct Queue {
    limit_bytes: u64,
    inner: Mutex<Inner>,
    changed: Condvar,
}

impl Queue {
    pub(super) fn new(limit_bytes: u64) -> Self {
        Queue { limit_bytes, inner: Mutex::default(), changed: Condvar::new() }
    }

    /// Adds an item, unless there is no room for it.
    ///
    /// # Errors
    /// The item, if there is none.
    pub(super) fn push(&self, item: Item) -> Result<(), Item> {
        let mut inner = self.lock();
        let bytes = inner.bytes + item.bytes();
        if inner.is_closed || (bytes > self.limit_bytes && !inner.items.is_empty()) {
            return Err(item);
        }
        inner.bytes = bytes;
        inner.items.push_back(item);
        drop(inner);
        self.changed.notify_all();
        Ok(())
    }

    /// Adds an item, which should be small.
    pub(super) fn push_in_any_case(&self, item: Item) {
        let mut inner = self.lock();
        inner.bytes += item.bytes();
        inner.items.push_back(item);
        drop(inner);
        self.changed.notify_all();
    }

    /// Waits for the next item, and takes all that belong to its entry; `None` at the end.
    pub(super) fn take(&self) -> Option<Vec<Item>> {
        let mut inner = self.lock();
        inner.is_writing = false;
        self.changed.notify_all();
        while inner.items.is_empty() {
            if inner.is_closed {
                return None;
            }
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        let has_time = |inner: &mut Inner| {
            !inner.is_closed && inner.hurry == 0 && inner.bytes < self.limit_bytes / 2
        };
        let waited = self.changed.wait_timeout_while(inner, LINGER, has_time);
        inner = waited.unwrap_or_else(PoisonError::into_inner).0;
        let first = inner.items.pop_front()?;
        let rest = std::mem::take(&mut inner.items);
        let (same, others): (Vec<Item>, Vec<Item>) =
            rest.into_iter().partition(|item| item.name == first.name);
        inner.items = others.into();
        let taken: Vec<Item> = std::iter::once(first).chain(same).collect();
        inner.bytes -= taken.iter().map(Item::bytes).sum::<u64>();
        inner.is_writing = true;
        Some(taken)
    }

    /// Waits until all that is in it has been written; not longer than `patience`.
    pub(super) fn wait_until_written(&self, patience: Duration) {
        let mut inner = self.lock();
        inner.hurry += 1;
        self.changed.notify_all();
        let busy = |inner: &mut Inner| !inner.items.is_empty() || inner.is_writing;
        let waited = self.changed.wait_timeout_while(inner, patience, busy);
        inner = waited.unwrap_or_else(PoisonError::into_inner).0;
        inner.hurry -= 1;
    }

    /// Takes nothing more, and drops what is in it.
    pub(super) fn close(&self) {
        let mut inner = self.lock();
        inner.is_closed = true;
        inner.items.clear();
        inner.bytes = 0;
        drop(inner);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
