//! What `stat` shows.

use std::time::SystemTime;

use super::node::Thing;
use super::{FileSystem, Ino};

/// Directory or file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Dir,
    /// A regular file.
    File,
}

/// The attributes of one inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attr {
    /// The inode number.
    pub ino: Ino,
    /// Directory or file.
    pub kind: Kind,
    /// Size in bytes; 0 for a directory.
    pub size: u64,
    /// When the object was written; for a directory, when the bucket was mounted.
    pub mtime: SystemTime,
    /// Permission bits.
    pub mode: u16,
    /// Number of links: 1, or 2 for a directory.
    pub nlink: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Attr {
    /// The size in units of 512 bytes, as `st_blocks` has it.
    pub fn blocks(&self) -> u64 {
        self.size.div_ceil(512)
    }
}

impl FileSystem {
    pub(super) fn attr_of(&self, ino: Ino, node: &Thing) -> Attr {
        let (kind, size, mtime, mode, nlink) = match node {
            Thing::Dir(_) => (Kind::Dir, 0, self.mounted, self.config.dir_mode, 2),
            Thing::Object(object) => {
                let version = &object.version;
                (Kind::File, version.size, version.last_modified, self.config.file_mode, 1)
            }
            // As old as the image that it is made from.
            Thing::View(view) => {
                (Kind::File, view.size, view.original.modified(), self.config.file_mode, 1)
            }
        };
        let (uid, gid) = (self.config.uid, self.config.gid);
        Attr { ino, kind, size, mtime, mode, nlink, uid, gid }
    }
}
