//! What waits to be put into the shared cache: so many bytes at most, and what is more is
//! dropped.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::disk::{Body, Name};

/// So many entries are put at once.
const AT_ONCE: usize = 4;

/// An entry that is to be put.
pub(super) struct Item {
    pub(super) name: Name,
    pub(super) body: Body,
}

impl Item {
    fn bytes(&self) -> u64 {
        (*self.body).as_ref().len() as u64
    }
}

/// The entries that wait, and who puts them.
pub(super) struct Queue {
    limit_bytes: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Item>,
    /// Also of what is being put.
    bytes: u64,
    senders: usize,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("limit_bytes", &self.limit_bytes).finish_non_exhaustive()
    }
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pushed {
    /// It waits for one of those who are putting entries.
    Waits,
    /// It waits for somebody who has to be started.
    NeedsSender,
    /// Too much waits already.
    Dropped,
}

impl Queue {
    pub(super) fn new(limit_bytes: u64) -> Self {
        Queue { limit_bytes, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, item: Item) -> Pushed {
        let (mut state, bytes) = (self.lock(), item.bytes());
        // One that is larger than all that may wait goes alone.
        if state.bytes > 0 && state.bytes.saturating_add(bytes) > self.limit_bytes {
            return Pushed::Dropped;
        }
        state.bytes += bytes;
        state.waiting.push_back(item);
        if state.senders >= AT_ONCE {
            return Pushed::Waits;
        }
        state.senders += 1;
        Pushed::NeedsSender
    }

    /// The next one, for a sender; `None` if it has to end.
    pub(super) fn next(&self) -> Option<Item> {
        let mut state = self.lock();
        let next = state.waiting.pop_front();
        if next.is_none() {
            state.senders -= 1;
        }
        next
    }

    /// Notes that one was put, or was not.
    pub(super) fn done(&self, bytes: u64) {
        self.lock().bytes -= bytes;
    }

    /// Whether nothing waits and nothing is being put.
    pub(super) fn is_empty(&self) -> bool {
        let state = self.lock();
        state.waiting.is_empty() && state.senders == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{ETag, ObjectKey, ObjectVersion};
    use std::sync::Arc;
    use std::time::SystemTime;

    fn item(bytes: usize) -> Item {
        let version = ObjectVersion {
            key: ObjectKey::new("k"),
            etag: Some(ETag::new("1")),
            last_modified: SystemTime::UNIX_EPOCH,
            size: 1,
        };
        Item { name: Name::of("p", &version, "w").unwrap(), body: Arc::new(vec![0; bytes]) }
    }

    #[test]
    fn what_is_too_much_is_dropped_and_senders_are_few() {
        let queue = Queue::new(100);
        assert_eq!(queue.push(item(1000)), Pushed::NeedsSender, "alone");
        assert_eq!(queue.push(item(1)), Pushed::Dropped);
        assert!(queue.next().is_some() && !queue.is_empty());
        queue.done(1000);
        for _ in 1..AT_ONCE {
            assert_eq!(queue.push(item(20)), Pushed::NeedsSender);
        }
        assert_eq!(queue.push(item(20)), Pushed::Waits);
        assert_eq!(queue.push(item(30)), Pushed::Dropped);
        for _ in 0..AT_ONCE {
            assert!(queue.next().is_some());
            queue.done(20);
        }
        for _ in 0..AT_ONCE {
            assert!(!queue.is_empty());
            assert!(queue.next().is_none());
        }
        assert!(queue.is_empty());
    }
}
