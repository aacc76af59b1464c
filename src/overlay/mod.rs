//! What programs write: names and bytes that lie over the bucket, in memory.
//!
//! Contract: what was acknowledged stays until it is deleted, until the bucket has
//! it, or until the mount ends. Names are in the [`Tree`], bytes in files of one
//! [`Arena`] with a limit of its own, and [`Uploads`] makes objects of them where
//! that is asked for. Never asks what the bucket has.

mod file;
mod node;
mod tree;
mod upload;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};

pub use file::{MadeFile, State};
pub use node::{AttrChange, Attributes, Body, Made};
pub use tree::{BucketThing, DirKey, Entry, Item, NoRoom, Tree};
pub use upload::{Pending, Remote, SentAway, UploadConfig, Uploads};

use crate::mem::{Arena, Budget};

/// Names and attributes may take one part in so many of what files may.
const NAMES_SHARE: u64 = 4;
/// Numbers from here on are of things that were made; what the bucket has is below.
const FIRST_INO: u64 = 1 << 62;
/// The first number of a mount is one of so many, so that two mounts have others.
const FIRST_INOS: u64 = 1 << 60;

/// All that programs wrote into one mount.
#[derive(Debug)]
pub struct Overlay {
    tree: Mutex<Tree>,
    arena: Arc<Arena>,
    uploads: Option<Arc<Uploads>>,
    next_ino: AtomicU64,
    told_full: Once,
}

impl Overlay {
    /// Nothing yet, with room for files of `limit_bytes`. Names are counted in `budget`.
    /// With `uploads`, files become objects.
    pub fn new(limit_bytes: u64, budget: &Arc<Budget>, uploads: Option<Arc<Uploads>>) -> Self {
        Overlay {
            tree: Mutex::new(Tree::new(budget, limit_bytes / NAMES_SHARE)),
            arena: Arena::new(limit_bytes),
            uploads,
            next_ino: AtomicU64::new(FIRST_INO + fastrand::u64(..FIRST_INOS)),
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

    /// What makes objects of files, if anything does.
    pub fn uploads(&self) -> Option<&Arc<Uploads>> {
        self.uploads.as_ref()
    }

    /// An inode number that nothing else has or had.
    pub fn new_ino(&self) -> u64 {
        self.next_ino.fetch_add(1, Ordering::Relaxed)
    }

    /// An empty file without a name; with `remote`, one that becomes an object.
    ///
    /// # Errors
    /// Too many open files, or no memory.
    pub fn new_file(&self, remote: Option<Remote>) -> io::Result<Arc<MadeFile>> {
        let file = self.arena.file().inspect_err(|error| {
            self.told_full.call_once(|| {
                tracing::warn!(
                    "no file can be made: {error}; each that programs write is an open file \
                     of this process (ulimit -n): mount with a higher limit"
                );
            });
        });
        Ok(MadeFile::new(file?, remote))
    }
}
