//! Whose turn it is to be sent, of the files that were closed and wait.

use std::collections::HashSet;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::store::writes_at_once;
use crate::sync::{Mutex, Rank};

/// The most files that wait. Each holds an open file of this process, and its bytes.
const MOST_WAITING: usize = 256;

/// Files that were closed and wait for their turn.
#[derive(Debug)]
pub(super) struct Turns {
    permits: Semaphore,
    at_once: usize,
    /// By inode number.
    waiting: Mutex<HashSet<u64>>,
}

impl Turns {
    /// Nothing waits yet; as many are sent at once as a budget of `memory_bytes` has room for.
    pub(super) fn new(memory_bytes: u64) -> Self {
        let at_once = writes_at_once(memory_bytes);
        let waiting = Mutex::new(Rank::Waiting, HashSet::new());
        Turns { permits: Semaphore::new(at_once), at_once, waiting }
    }

    /// How many files are sent at once.
    pub(super) fn at_once(&self) -> usize {
        self.at_once
    }

    /// Whether no file waits for its turn, or has it.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.lock().is_empty() && self.permits.available_permits() == self.at_once
    }

    /// Whether the file of this number may wait, or does so already.
    pub(super) fn has_room_for(&self, ino: u64) -> bool {
        let waiting = self.waiting.lock();
        waiting.len() < MOST_WAITING || waiting.contains(&ino)
    }

    /// Whether a file waits for its turn.
    pub(super) fn waits(&self, ino: u64) -> bool {
        self.waiting.lock().contains(&ino)
    }

    /// Has a file wait; `false` if it does so already.
    pub(super) fn enter(&self, ino: u64) -> bool {
        self.waiting.lock().insert(ino)
    }

    /// Waits until it is the file's turn, which lasts until the permit is dropped; it waits no
    /// more then.
    pub(super) async fn turn(&self, ino: u64) -> Option<SemaphorePermit<'_>> {
        // Only a closed semaphore refuses, and nobody closes this one.
        let permit = self.permits.acquire().await.ok();
        self.waiting.lock().remove(&ino);
        permit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn so_many_wait_and_each_once() {
        let turns = Turns::new(64 << 20);
        assert!(turns.at_once() == 8 && turns.is_idle());
        assert!((0..MOST_WAITING as u64).all(|ino| turns.has_room_for(ino) && turns.enter(ino)));
        assert!(!turns.has_room_for(1000) && turns.has_room_for(7) && !turns.enter(7));
        let permits = futures_util::future::join_all((0..8).map(|ino| turns.turn(ino))).await;
        assert!(permits.iter().all(Option::is_some));
        assert!(!turns.is_idle());
        assert!(turns.has_room_for(1000) && turns.enter(7));
        drop(permits);
    }
}
