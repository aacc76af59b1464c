//! What the readers of a cache and its writer share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::counts::Counts;
use super::folder::Folder;
use super::queue::Queue;
use super::speed::Speed;

/// The parts of a cache.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) folder: Folder,
    pub(super) queue: Queue,
    pub(super) counts: Counts,
    speed: Mutex<Speed>,
}

impl Shared {
    pub(super) fn new(folder: Folder, queue_bytes: u64) -> Self {
        let (counts, speed) = (Counts::default(), Mutex::default());
        Shared { folder, queue: Queue::new(queue_bytes), counts, speed }
    }

    /// What is known of the disk's speed.
    pub(super) fn speed(&self) -> MutexGuard<'_, Speed> {
        self.speed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
