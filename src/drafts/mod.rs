//! What programs wrote and the bucket may not have yet: files, directories, links and
//! pipes in memory.
//!
//! Contract: what was acknowledged stays until it is deleted, until the bucket has it,
//! or until the mount ends. Bytes are in memory files of one [`Arena`] with a limit of
//! its own. What the bucket has of a file is its [`Progress`], kept here because every
//! write changes it. Never sends anything, and knows no names: see `publish`, `names`.

mod attributes;
mod draft;
mod file;
mod opened;
mod parts;
mod progress;
mod send_error;
mod sent_parts;
mod write_order;
mod xattrs;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Once};

pub use attributes::{AttrChange, Attributes};
pub use draft::{Body, Draft};
pub use file::{DraftFile, State};
pub use opened::{HeldOpen, Opened};
pub use parts::Parts;
pub use progress::{Attempt, Progress};
pub use send_error::{SendError, SendErrorKind};
pub use sent_parts::{SentAway, Session};
pub use xattrs::{XattrError, XattrRoom, XattrSet};

use crate::mem::{Arena, MemFile};

/// Numbers from here on are of things that programs made; those of the bucket are below.
const FIRST_INO: u64 = 1 << 62;
/// The first number of a mount is one of this many, so that two mounts differ.
const FIRST_INOS: u64 = 1 << 60;

/// Where drafts are made.
#[derive(Debug)]
pub struct Drafts {
    arena: Arc<Arena>,
    opened: Opened,
    next_ino: AtomicU64,
    xattr_room: Arc<XattrRoom>,
    told_full: Once,
}

impl Drafts {
    /// Room for files of `limit_bytes` in all.
    pub fn new(limit_bytes: u64) -> Self {
        Drafts {
            arena: Arena::new(limit_bytes),
            opened: Opened::default(),
            next_ino: AtomicU64::new(FIRST_INO + fastrand::u64(..FIRST_INOS)),
            xattr_room: Arc::default(),
            told_full: Once::new(),
        }
    }

    /// Where the bytes are.
    pub fn arena(&self) -> &Arc<Arena> {
        &self.arena
    }

    /// Which inodes are open.
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// The room that extended attributes take.
    pub fn xattr_room(&self) -> &Arc<XattrRoom> {
        &self.xattr_room
    }

    /// An inode number that nothing else has or had.
    pub fn new_ino(&self) -> u64 {
        self.next_ino.fetch_add(1, Ordering::Relaxed)
    }

    /// A file of bytes that were [made](Arena::file), and that has no name; with `progress`,
    /// one that becomes an object.
    ///
    /// # Errors
    /// What making it failed with, which is told once.
    pub fn new_file(
        &self,
        bytes: io::Result<MemFile>,
        progress: Option<Progress>,
    ) -> io::Result<Arc<DraftFile>> {
        let file = bytes.inspect_err(|error| {
            self.told_full.call_once(|| {
                tracing::warn!(
                    "no file can be made: {error}; each that programs write is an open file \
                     of this process (ulimit -n), as long as it is open, stays in memory or is \
                     not in the bucket: mount with a higher limit"
                );
            });
        });
        Ok(DraftFile::new(file?, progress))
    }
}
