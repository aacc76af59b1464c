//! What `stat` shows.

use std::time::SystemTime;

use super::node::Thing;
use super::{FileSystem, Ino};
use crate::overlay::{Attributes, Body, BucketThing, Made};

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

impl FileSystem {
    pub(super) fn attr_of(&self, ino: Ino, node: &Thing) -> Attr {
        let (kind, size, mtime, mode, nlink) = match node {
            Thing::Made(made) => return made_attr(made),
            Thing::Dir(_) => (Kind::Dir, 0, self.mounted, self.config.dir_mode, 2),
            Thing::Object(object) => {
                let version = &object.version;
                (Kind::File, version.size, version.last_modified, self.config.file_mode, 1)
            }
            // As old as the image that it is made from.
            Thing::View(view) => {
                let written = view.original.modified();
                (Kind::File, view.size, written, self.config.file_mode, 1)
            }
        };
        let is_deleted = self.overlay.is_some() && self.inodes().is_unnamed(ino);
        let nlink = if is_deleted { 0 } else { nlink };
        let changed = self.changed_attributes(node);
        let own = Attributes {
            mode,
            uid: self.config.uid,
            gid: self.config.gid,
            accessed: mtime,
            modified: mtime,
            changed: mtime,
        };
        with_attributes(ino, kind, size, size, nlink, &changed.unwrap_or(own))
    }

    /// The attributes that a program gave something of the bucket.
    fn changed_attributes(&self, node: &Thing) -> Option<Attributes> {
        let tree = self.overlay.as_ref()?.tree();
        tree.attributes(&bucket_thing(node)?)
    }
}

/// What of the bucket a thing is, if its attributes can be changed there.
pub(super) fn bucket_thing(node: &Thing) -> Option<BucketThing> {
    match node {
        Thing::Dir(dir) => Some(BucketThing::Dir(dir.clone())),
        Thing::Object(object) => Some(BucketThing::object(&object.version)),
        Thing::View(_) | Thing::Made(_) => None,
    }
}

/// The attributes as the overlay keeps them.
pub(super) fn kept(attr: &Attr) -> Attributes {
    Attributes {
        mode: attr.mode,
        uid: attr.uid,
        gid: attr.gid,
        accessed: attr.atime,
        modified: attr.mtime,
        changed: attr.ctime,
    }
}

fn made_attr(made: &Made) -> Attr {
    let (kind, size, held_bytes) = match made.body() {
        Body::Dir => (Kind::Dir, 0, 0),
        Body::Symlink(target) => (Kind::Symlink, target.len() as u64, 0),
        Body::Fifo => (Kind::Fifo, 0, 0),
        Body::Socket => (Kind::Socket, 0, 0),
        Body::File(file) => {
            let stat = file.bytes().stat();
            stat.map_or((Kind::File, 0, 0), |stat| (Kind::File, stat.size, stat.held_bytes))
        }
    };
    let links = made.links();
    let nlink = if made.is_dir() && links > 0 { links + 1 } else { links };
    with_attributes(made.ino(), kind, size, held_bytes, nlink, &made.attributes())
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
