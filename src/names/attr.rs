//! What `stat` shows.

use std::time::SystemTime;

use super::ino::Ino;
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
    /// Number of links: 1, or 2 for a directory; 0 for what was deleted.
    pub nlink: u32,
    /// Owner, permissions and times. For an object all times are when it was written, for a
    /// directory of the bucket when that was mounted, unless a program has set them.
    pub of: Attributes,
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
        Attr { ino, kind, size, held_bytes: size, nlink, of: changed.unwrap_or(own) }
    }

    /// Whether a program gave a draft other attributes than any file has.
    pub(super) fn differ(&self, draft: &Draft) -> bool {
        let of = draft.attributes();
        draft.was_changed() || (of.mode, of.uid, of.gid) != (self.file_mode, self.uid, self.gid)
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
    Attr { ino: draft.ino(), kind, size, held_bytes, nlink, of: draft.attributes() }
}
