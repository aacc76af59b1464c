//! Which inodes are being copied into memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::names::Ino;
use crate::sync::lock;

/// One lock for each inode that is being copied into memory. It is held across requests,
/// and comes before every other lock.
#[derive(Debug, Default)]
pub(super) struct Copying(Mutex<HashMap<Ino, Arc<tokio::sync::Mutex<()>>>>);

impl Copying {
    /// The lock of an inode.
    pub(super) fn of(&self, ino: Ino) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = lock(&self.0);
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        locks.entry(ino).or_default().clone()
    }
}
