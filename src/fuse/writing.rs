//! The calls that change something.

use std::ffi::{OsStr, OsString};
use std::time::SystemTime;

use fuser::{
    Errno, FileHandle, FopenFlags, Generation, RenameFlags, ReplyAttr, ReplyCreate, ReplyEmpty,
    ReplyEntry, ReplyLseek, ReplyOpen, ReplyWrite, Request, TimeOrNow,
};

use super::adapter::Adapter;
use super::reply::{self, errno};
use crate::fs::{AttrChange, FsError, Ino, Maker, NewNode, OpenHow, Opened, RenameHow, Seek};

/// lseek(2)'s names for what is looked for.
const SEEK_DATA: i32 = 3;
const SEEK_HOLE: i32 = 4;
/// The part of a mode that says what kind of thing it is, and the kinds.
const KIND_BITS: u32 = 0o170_000;
const KIND_FIFO: u32 = 0o010_000;
const KIND_FILE: u32 = 0o100_000;
const KIND_SOCKET: u32 = 0o140_000;

impl Adapter {
    /// Opens a file, at once if nothing has to be fetched.
    pub(super) fn open_as(&self, ino: Ino, how: OpenHow, reply: ReplyOpen) {
        if let Some(outcome) = self.fs.open_file_now(ino, how) {
            return self.opened(ino, reply, outcome);
        }
        let adapter = self.clone();
        self.fs.runtime().spawn(async move {
            let outcome = adapter.fs.open_file(ino, how).await;
            adapter.opened(ino, reply, outcome);
        });
    }

    fn opened(&self, ino: Ino, reply: ReplyOpen, outcome: Result<Opened, FsError>) {
        let Opened { handle, backing, flushes } = match outcome {
            Ok(opened) => opened,
            Err(error) => return reply.error(errno(&error)),
        };
        let handle = FileHandle(handle);
        if !self.fs.is_writable() {
            return reply.opened(handle, flags(false));
        }
        let file = backing.as_deref();
        let register = |file: &crate::fs::MemFile| reply.open_backing(file);
        match self.ways.open(ino, file, register) {
            Some(backing) => reply.opened_passthrough(handle, FopenFlags::FOPEN_NOFLUSH, &backing),
            None if self.ways.may_be_outdated(file) => {
                reply.opened(handle, flags(flushes) & !FopenFlags::FOPEN_KEEP_CACHE);
            }
            None => reply.opened(handle, flags(flushes)),
        }
    }

    /// Writes, at once if there is room.
    pub(super) fn write_to(&self, handle: u64, offset: u64, bytes: &[u8], reply: ReplyWrite) {
        let written = bytes.len() as u32;
        match self.fs.write(handle, offset, bytes) {
            Ok(()) => return reply.written(written),
            Err(error) if !self.fs.can_make_room(&error) => return reply.error(errno(&error)),
            Err(_) => {}
        }
        let (fs, bytes) = (self.fs.clone(), bytes.to_vec());
        self.fs.runtime().spawn(async move {
            match fs.write_with_room(handle, offset, &bytes).await {
                Ok(()) => reply.written(written),
                Err(error) => reply.error(errno(&error)),
            }
        });
    }

    /// Sends what was written through a handle that is closed by the process `pid`.
    pub(super) fn flush_for(&self, handle: u64, pid: u32, reply: ReplyEmpty) {
        let fs = self.fs.clone();
        self.fs.runtime().spawn(async move { done(reply, fs.flush(handle, pid).await) });
    }

    /// Sends what was written.
    pub(super) fn synchronise(&self, handle: u64, reply: ReplyEmpty) {
        let fs = self.fs.clone();
        self.fs.runtime().spawn(async move { done(reply, fs.fsync(handle).await) });
    }

    /// Creates a file and opens it.
    pub(super) fn create_file(&self, parent: Ino, name: &OsStr, maker: Maker, reply: ReplyCreate) {
        let (adapter, name) = (self.clone(), name.to_owned());
        self.answer(async move {
            let (attr, ttl, opened) = match adapter.fs.create(parent, &name, maker).await {
                Ok(created) => created,
                Err(error) => return reply.error(errno(&error)),
            };
            let handle = FileHandle(opened.handle);
            let register = |file: &crate::fs::MemFile| reply.open_backing(file);
            let flags = flags(opened.flushes);
            let way = adapter.ways.open(attr.ino, opened.backing.as_deref(), register);
            let (attr, generation) = (reply::file_attr(&attr), Generation(0));
            match way {
                Some(backing) => {
                    let flags = FopenFlags::FOPEN_NOFLUSH;
                    reply.created_passthrough(&ttl, &attr, generation, handle, flags, &backing);
                }
                None => reply.created(&ttl, &attr, generation, handle, flags),
            }
        });
    }

    /// Makes a thing of the kind that the mode says.
    pub(super) fn make_kind(
        &self,
        parent: Ino,
        name: &OsStr,
        mode: u32,
        request: &Request,
        reply: ReplyEntry,
    ) {
        let node = match mode & KIND_BITS {
            0 | KIND_FILE => NewNode::File,
            KIND_FIFO => NewNode::Fifo,
            KIND_SOCKET => NewNode::Socket,
            // Devices: the mount does not let anybody use them.
            _ => return reply.error(Errno::EPERM),
        };
        self.make(parent, name, node, maker(request, mode), reply);
    }

    pub(super) fn make(
        &self,
        parent: Ino,
        name: &OsStr,
        node: NewNode,
        maker: Maker,
        reply: ReplyEntry,
    ) {
        let (fs, name) = (self.fs.clone(), name.to_owned());
        self.answer(async move {
            let made = fs.make(parent, &name, node, maker).await;
            reply::entry(reply, made.map(|(attr, ttl)| (Some(attr), ttl)));
        });
    }

    pub(super) fn link_to(&self, ino: Ino, parent: Ino, name: &OsStr, reply: ReplyEntry) {
        let (fs, name) = (self.fs.clone(), name.to_owned());
        self.answer(async move {
            let linked = fs.link(ino, parent, &name).await;
            reply::entry(reply, linked.map(|(attr, ttl)| (Some(attr), ttl)));
        });
    }

    /// Deletes a name: of a directory, or of anything else.
    pub(super) fn remove(&self, parent: Ino, name: &OsStr, is_dir: bool, reply: ReplyEmpty) {
        let (fs, name) = (self.fs.clone(), name.to_owned());
        self.answer(async move {
            let outcome = match is_dir {
                true => fs.rmdir(parent, &name).await,
                false => fs.unlink(parent, &name).await,
            };
            done(reply, outcome);
        });
    }

    pub(super) fn rename_to(
        &self,
        from: (Ino, OsString),
        to: (Ino, OsString),
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let how = match flags {
            RenameFlags::RENAME_NOREPLACE => RenameHow::Keep,
            RenameFlags::RENAME_EXCHANGE => RenameHow::Exchange,
            flags if flags.is_empty() => RenameHow::Replace,
            _ => return reply.error(Errno::EINVAL),
        };
        let fs = self.fs.clone();
        self.answer(async move {
            done(reply, fs.rename((from.0, &from.1), (to.0, &to.1), how).await);
        });
    }

    pub(super) fn set_attr(&self, ino: Ino, change: AttrChange, reply: ReplyAttr) {
        let fs = self.fs.clone();
        self.answer(async move {
            match fs.set_attr(ino, change).await {
                Ok((attr, ttl)) => reply.attr(&ttl, &reply::file_attr(&attr)),
                Err(error) => reply.error(errno(&error)),
            }
        });
    }

    pub(super) fn seek(&self, ino: Ino, offset: i64, whence: i32, reply: ReplyLseek) {
        let Ok(offset) = u64::try_from(offset) else { return reply.error(Errno::ENXIO) };
        let to = match whence {
            SEEK_DATA => Seek::Data(offset),
            SEEK_HOLE => Seek::Hole(offset),
            _ => return reply.error(Errno::EINVAL),
        };
        match self.fs.seek(ino, to) {
            Ok(offset) => reply.offset(offset as i64),
            Err(error) => reply.error(errno(&error)),
        }
    }
}

/// An inode's page cache is right for ever: in the bucket it is one version, and
/// what is written is written through it. Most closes have nothing to flush.
fn flags(flushes: bool) -> FopenFlags {
    match flushes {
        true => FopenFlags::FOPEN_KEEP_CACHE,
        false => FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_NOFLUSH,
    }
}

pub(super) fn done(reply: ReplyEmpty, outcome: Result<(), FsError>) {
    match outcome {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(errno(&error)),
    }
}

/// Who asks, and for which permissions.
pub(super) fn maker(request: &Request, mode: u32) -> Maker {
    let mode = (mode & 0o7777) as u16;
    Maker { uid: request.uid(), gid: request.gid(), mode, thread: request.pid() }
}

/// A time as setattr gives it.
pub(super) fn time(time: Option<TimeOrNow>) -> Option<SystemTime> {
    time.map(|time| match time {
        TimeOrNow::SpecificTime(time) => time,
        TimeOrNow::Now => SystemTime::now(),
    })
}
