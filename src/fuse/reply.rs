//! Our answers as the kernel takes them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use fuser::{
    Errno, FileAttr, FileType, FopenFlags, Generation, INodeNo, ReplyDirectory, ReplyDirectoryPlus,
    ReplyEmpty, ReplyEntry, ReplyXattr,
};

use crate::fs::{Attr, Attributes, DirSink, FsError, Kind, SinkEntry};

/// The errno of an error, which is logged if it should be.
pub(super) fn errno(error: &FsError) -> Errno {
    error.report();
    Errno::from_i32(error.errno())
}

/// Answers a call that has nothing to tell but that it is done.
pub(super) fn done(reply: ReplyEmpty, outcome: Result<(), FsError>) {
    match outcome {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(errno(&error)),
    }
}

/// The flags of an open file. An inode's page cache is right for ever: in the bucket it is
/// one version, and what is written is written through it; unless it `drops` what the kernel
/// has. Most closes have nothing to flush.
pub(super) fn open_flags(flushes: bool, drops: bool) -> FopenFlags {
    let keeps = if drops { FopenFlags::empty() } else { FopenFlags::FOPEN_KEEP_CACHE };
    match flushes {
        true => keeps,
        false => keeps | FopenFlags::FOPEN_NOFLUSH,
    }
}

/// Attributes as the kernel takes them.
pub(super) fn file_attr(attr: &Attr) -> FileAttr {
    FileAttr {
        ino: INodeNo(attr.ino),
        size: attr.size,
        blocks: attr.blocks(),
        atime: attr.of.accessed,
        mtime: attr.of.modified,
        ctime: attr.of.changed,
        crtime: attr.of.modified,
        kind: file_type(attr.kind),
        perm: attr.of.mode,
        nlink: attr.nlink,
        uid: attr.of.uid,
        gid: attr.of.gid,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

fn file_type(kind: Kind) -> FileType {
    match kind {
        Kind::Dir => FileType::Directory,
        Kind::File => FileType::RegularFile,
        Kind::Symlink => FileType::Symlink,
        Kind::Fifo => FileType::NamedPipe,
        Kind::Socket => FileType::Socket,
    }
}

/// Answers a look-up; a missing name is remembered by the kernel too.
pub(super) fn entry(reply: ReplyEntry, found: Result<(Option<Attr>, Duration), FsError>) {
    match found {
        Ok((Some(attr), ttl)) => reply.entry(&ttl, &file_attr(&attr), Generation(0)),
        Ok((None, ttl)) if ttl.is_zero() => reply.error(Errno::ENOENT),
        Ok((None, ttl)) => {
            // Inode 0 is how the protocol says "there is none, for so long".
            let never = SystemTime::UNIX_EPOCH;
            let of = Attributes {
                mode: 0,
                uid: 0,
                gid: 0,
                accessed: never,
                modified: never,
                changed: never,
            };
            let nothing = Attr { ino: 0, kind: Kind::File, size: 0, held_bytes: 0, nlink: 0, of };
            reply.entry(&ttl, &file_attr(&nothing), Generation(0));
        }
        Err(error) => reply.error(errno(&error)),
    }
}

/// Answers a call that has made something.
pub(super) fn made(reply: ReplyEntry, made: Result<(Attr, Duration), FsError>) {
    entry(reply, made.map(|(attr, ttl)| (Some(attr), ttl)));
}

/// Answers a question for extended attributes: the size first, then the value.
pub(super) fn xattr(reply: ReplyXattr, size: u32, value: Result<Vec<u8>, FsError>) {
    match value {
        Ok(value) if size == 0 => reply.size(value.len() as u32),
        Ok(value) if value.len() > size as usize => reply.error(Errno::ERANGE),
        Ok(value) => reply.data(&value),
        Err(error) => reply.error(errno(&error)),
    }
}

/// Either kind of directory reply.
pub(super) enum Listing {
    Plain(ReplyDirectory),
    Plus(ReplyDirectoryPlus),
}

/// A directory reply, shared by the call that fills it and by who sends it: a call that is
/// given up leaves what it has put there, which counts as looked up. Clones are one reply.
#[derive(Clone)]
pub(super) struct Filling(Arc<Mutex<Option<Filled>>>);

struct Filled {
    listing: Listing,
    has_any: bool,
}

impl Filling {
    pub(super) fn new(listing: Listing) -> Self {
        Filling(Arc::new(Mutex::new(Some(Filled { listing, has_any: false }))))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Filled>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers the call.
    pub(super) fn send(&self, outcome: Result<(), FsError>) {
        let Some(Filled { listing, has_any }) = self.lock().take() else { return };
        match outcome {
            Err(FsError::Interrupted) if has_any => listing.send(Ok(())),
            outcome => listing.send(outcome),
        }
    }
}

impl DirSink for Filling {
    fn add(&mut self, entry: SinkEntry<'_>) -> bool {
        let mut filled = self.lock();
        let Some(Filled { listing, has_any }) = &mut *filled else { return false };
        let fits = listing.add(entry);
        *has_any |= fits;
        fits
    }
}

impl Listing {
    pub(super) fn is_plus(&self) -> bool {
        matches!(self, Listing::Plus(_))
    }

    fn send(self, outcome: Result<(), FsError>) {
        match (self, outcome) {
            (Listing::Plain(reply), Ok(())) => reply.ok(),
            (Listing::Plus(reply), Ok(())) => reply.ok(),
            (Listing::Plain(reply), Err(error)) => reply.error(errno(&error)),
            (Listing::Plus(reply), Err(error)) => reply.error(errno(&error)),
        }
    }

    fn add(&mut self, entry: SinkEntry<'_>) -> bool {
        let SinkEntry { name, next_cookie, attr, ttl } = entry;
        let ino = INodeNo(attr.ino);
        let is_full = match self {
            Listing::Plain(reply) => reply.add(ino, next_cookie, file_type(attr.kind), name),
            Listing::Plus(reply) => {
                reply.add(ino, next_cookie, name, &ttl, &file_attr(&attr), Generation(0))
            }
        };
        !is_full
    }
}
