//! What programs write: names and bytes that lie over the bucket, in memory.
//!
//! Contract: what was acknowledged stays until it is deleted or the mount ends;
//! nothing here is ever dropped to make room. Names are in the [`Tree`], bytes in
//! files of one [`Arena`] with a limit of its own. Never asks what the bucket has.

mod file;
mod node;
mod tree;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};

pub use file::{MadeFile, State};
pub use node::{AttrChange, Attributes, Body, Made};
pub use tree::{BucketThing, DirKey, Entry, Item, NoRoom, Tree};

use crate::mem::{Arena, Budget};

/// Names and attributes may take one part in so many of what files may.
const NAMES_SHARE: u64 = 4;
/// Numbers from here on are of things that were made; what the bucket has is below.
const FIRST_INO: u64 = 1 << 62;

/// All that programs wrote into one mount.
#[derive(Debug)]
pub struct Overlay {
    tree: Mutex<Tree>,
    arena: Arc<Arena>,
    next_ino: AtomicU64,
    told_full: Once,
}

impl Overlay {
    /// Nothing yet, with room for files of `limit_bytes`. Names are counted in `budget`.
    pub fn new(limit_bytes: u64, budget: &Arc<Budget>) -> Self {
        Overlay {
            tree: Mutex::new(Tree::new(budget, limit_bytes / NAMES_SHARE)),
            arena: Arena::new(limit_bytes),
            next_ino: AtomicU64::new(FIRST_INO),
            told_full: Once::new(),
        }
    }

    /// The names. Hold it for a moment only.
    pub fn tree(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the bytes are.
    pub fn arena(&self) -> &Arc<Arena> {
        &self.arena
    }

    /// An inode number that nothing else has or had.
    pub fn new_ino(&self) -> u64 {
        self.next_ino.fetch_add(1, Ordering::Relaxed)
    }

    /// An empty file without a name.
    ///
    /// # Errors
    /// Too many open files, or no memory.
    pub fn new_file(&self) -> io::Result<Arc<MadeFile>> {
        let file = self.arena.file().inspect_err(|error| {
            self.told_full.call_once(|| {
                tracing::warn!(
                    "no file can be made: {error}; each that programs write is an open file \
                     of this process (ulimit -n): mount with a higher limit"
                );
            });
        });
        Ok(MadeFile::new(file?))
    }
}
