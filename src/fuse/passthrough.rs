//! Files that the kernel reads and writes by itself.
//!
//! A file that is all in memory is handed to the kernel with its descriptor
//! (passthrough); the daemon sees no read and no write of it. The kernel allows one
//! way for an inode at a time: all its handles through the page cache, or all
//! through one backing file. So an inode keeps the way of its first handle until
//! its last one is released: an object that somebody reads through the page cache while
//! somebody else overwrites it goes through the daemon until both have closed it. If the
//! kernel refuses a file that it took before, it drops its pages of it, because they are
//! older than what was written past them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use fuser::BackingId;

use crate::fs::{Ino, MemFile};

/// Which way the handles of each open inode go.
#[derive(Debug, Default)]
pub(super) struct Ways {
    /// Whether the kernel takes files at all.
    is_allowed: AtomicBool,
    /// Whether it ever took one.
    has_backed: AtomicBool,
    open: Mutex<HashMap<Ino, (Way, u64)>>,
}

#[derive(Debug)]
enum Way {
    Cached,
    Backed(Arc<BackingId>),
}

impl Ways {
    /// The kernel said that it knows passthrough.
    pub(super) fn allow(&self) {
        self.is_allowed.store(true, Ordering::Relaxed);
    }

    /// Counts one more handle of an inode; with the backing file that it has, if
    /// that is its way. `register` makes the kernel know a file.
    pub(super) fn open(
        &self,
        ino: Ino,
        file: Option<&MemFile>,
        register: impl FnOnce(&MemFile) -> io::Result<BackingId>,
    ) -> Option<Arc<BackingId>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let (way, handles) = match open.entry(ino) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let file = file.filter(|_| self.is_allowed.load(Ordering::Relaxed));
                let way = match file.map(register) {
                    Some(Ok(backing)) => {
                        self.has_backed.store(true, Ordering::Relaxed);
                        Way::Backed(Arc::new(backing))
                    }
                    Some(Err(error)) => {
                        self.is_allowed.store(false, Ordering::Relaxed);
                        tracing::info!(
                            "the kernel reads and writes no files by itself ({error}): \
                             writing into the mount is slower than it could be"
                        );
                        Way::Cached
                    }
                    None => Way::Cached,
                };
                entry.insert((way, 0))
            }
        };
        *handles += 1;
        match way {
            Way::Backed(backing) => Some(backing.clone()),
            Way::Cached => None,
        }
    }

    /// Whether the kernel may have pages that a write past them made outdated: those
    /// of a file that could be backed, and is not any more.
    pub(super) fn may_be_outdated(&self, file: Option<&MemFile>) -> bool {
        file.is_some() && self.has_backed.load(Ordering::Relaxed)
    }

    /// Counts a handle less.
    pub(super) fn release(&self, ino: Ino) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Entry::Occupied(mut entry) = open.entry(ino) else { return };
        entry.get_mut().1 -= 1;
        if entry.get().1 == 0 {
            entry.remove();
        }
    }
}
