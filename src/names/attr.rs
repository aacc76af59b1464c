//! What `stat` shows.

use std::time::SystemTime;

use super::inodes::Ino;
use super::thing::Thing;
use crate::drafts::{Attributes, Body, Draft};

/// What kind of thing an inode is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Dir,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// The attributes of one inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attr {
    /// The inode number.
    pub ino: Ino,
    /// What kind of thing it is.
    pub kind: Kind,
    /// Size in bytes; 0 for a directory.
    pub size: u64,
    /// What it takes, in bytes: less than its size where a file has holes.
    pub held_bytes: u64,
    /// When it was last read, as far as a program has set it; else the mtime.
    pub atime: SystemTime,
    /// When the object was written; for a directory, when the bucket was mounted.
    pub mtime: SystemTime,
    /// When anything about it changed; the mtime for what is in the bucket.
    pub ctime: SystemTime,
    /// Permission bits.
    pub mode: u16,
    /// Number of links: 1, or 2 for a directory; 0 for what was deleted.
    pub nlink: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Attr {
    /// What it takes in units of 512 bytes, as `st_blocks` has it.
    pub fn blocks(&self) -> u64 {
        self.held_bytes.div_ceil(512)
    }
}

/// How things of the bucket look that no program changed.
#[derive(Debug, Clone, Copy)]
pub struct Looks {
    /// The owner of everything.
    pub uid: u32,
    /// The group of everything.
    pub gid: u32,
    /// Permission bits of files.
    pub file_mode: u16,
    /// Permission bits of directories.
    pub dir_mode: u16,
    /// The mtime of directories: when the bucket was mounted.
    pub mounted: SystemTime,
}

impl Looks {
    /// The attributes of something of the bucket; `changed` is what a program gave it.
    pub(super) fn of(
        &self,
        ino: Ino,
        thing: &Thing,
        is_deleted: bool,
        changed: Option<Attributes>,
    ) -> Attr {
        let (kind, size, mtime, mode, nlink) = match thing {
            Thing::Draft(draft) => return of_draft(draft),
            Thing::Dir(_) => (Kind::Dir, 0, self.mounted, self.dir_mode, 2),
            Thing::Object(object) => {
                let version = &object.version;
                (Kind::File, version.size, version.last_modified, self.file_mode, 1)
            }
            // As old as the image that it is made from.
            Thing::Sibling(sibling) => {
                (Kind::File, sibling.size, sibling.original.modified(), self.file_mode, 1)
            }
        };
        let nlink = if is_deleted { 0 } else { nlink };
        let own = Attributes {
            mode,
            uid: self.uid,
            gid: self.gid,
            accessed: mtime,
            modified: mtime,
            changed: mtime,
        };
        with_attributes(ino, kind, size, size, nlink, &changed.unwrap_or(own))
    }

    /// Whether a file has the owner and the permissions of any other.
    pub(super) fn are_those_of(&self, of: &Attributes) -> bool {
        (of.mode, of.uid, of.gid) == (self.file_mode, self.uid, self.gid)
    }
}

impl From<&Attr> for Attributes {
    fn from(attr: &Attr) -> Self {
        Attributes {
            mode: attr.mode,
            uid: attr.uid,
            gid: attr.gid,
            accessed: attr.atime,
            modified: attr.mtime,
            changed: attr.ctime,
        }
    }
}

fn of_draft(draft: &Draft) -> Attr {
    let (kind, size, held_bytes) = match draft.body() {
        Body::Dir => (Kind::Dir, 0, 0),
        Body::Symlink(target) => (Kind::Symlink, target.len() as u64, 0),
        Body::Fifo => (Kind::Fifo, 0, 0),
        Body::Socket => (Kind::Socket, 0, 0),
        Body::File(file) => {
            let stat = file.bytes().stat();
            stat.map_or((Kind::File, 0, 0), |stat| (Kind::File, stat.size, stat.held_bytes))
        }
    };
    let links = draft.links();
    let nlink = if draft.is_dir() && links > 0 { links + 1 } else { links };
    with_attributes(draft.ino(), kind, size, held_bytes, nlink, &draft.attributes())
}

fn with_attributes(
    ino: Ino,
    kind: Kind,
    size: u64,
    held_bytes: u64,
    nlink: u32,
    of: &Attributes,
) -> Attr {
    Attr {
        ino,
        kind,
        size,
        held_bytes,
        atime: of.accessed,
        mtime: of.modified,
        ctime: of.changed,
        mode: of.mode,
        nlink,
        uid: of.uid,
        gid: of.gid,
    }
}
