//! Each kernel call: decode, ask `fs`, reply.
//!
//! [`Calls::answer`] is how every call is answered that may have to wait, and
//! [`Calls::change`] one that changes a name. Two are not put into it whole. A read that
//! is answered from memory copies nothing, and a write is tried on the bytes of the kernel's
//! buffer: both would need a copy for a task that is hardly ever begun.

use std::ffi::OsStr;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fuser::{
    BsdFileFlags, Errno, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, InitFlags,
    KernelConfig, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyLseek, ReplyOpen, ReplyStatfs,
    ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};

use super::calls::Calls;
use super::decode;
use super::passthrough::Ways;
use super::reply::{self, Filling, Listing, done, errno};
use crate::fs::{
    Attr, AttrChange, FileSystem, FsError, Ino, Maker, NewNode, OpenedFile, ReadAnswer, ReadBytes,
    Span,
};
use crate::key::MAX_NAME_BYTES;

/// Reads that may be under way. Readahead counts, and the kernel's 16 would let
/// one object whose server stalls hold up everybody else's.
const MAX_BACKGROUND: u16 = 1024;
/// What statfs says of a bucket, which has no size: 1 PiB, nothing free.
const STATFS_BLOCKS: u64 = 1 << 38;
const STATFS_BLOCK_BYTES: u32 = 4096;

/// The depth of file systems below a file that the kernel reads by itself: none.
const STACK_DEPTH: u32 = 1;

/// A [`FileSystem`] as the kernel library calls it.
#[derive(Debug, Clone)]
pub(super) struct Adapter {
    fs: Arc<FileSystem>,
    ways: Arc<Ways>,
    calls: Calls,
}

impl Adapter {
    pub(super) fn new(fs: Arc<FileSystem>) -> Self {
        Adapter { calls: Calls::new(fs.clone()), fs, ways: Arc::default() }
    }

    /// The call in the trace, where one is written.
    fn span(
        &self,
        req: &Request,
        call: &'static str,
        (ino, name): (INodeNo, Option<&OsStr>),
        facts: &[(&'static str, u64)],
    ) -> Option<Span> {
        self.fs.trace_call(req.pid(), call, (ino.0, name), facts)
    }

    fn list(
        &self,
        req: (&Request, Option<Span>),
        handle: FileHandle,
        cookie: u64,
        listing: Listing,
    ) {
        let (fs, plus) = (self.fs.clone(), listing.is_plus());
        let filling = Filling::new(listing);
        let mut sink = filling.clone();
        let work = async move { fs.read_dir(handle.0, cookie, plus, &mut sink).await };
        self.calls.answer(req, work, move |outcome| filling.send(outcome));
    }

    fn opened(&self, ino: Ino, reply: ReplyOpen, opened: OpenedFile) {
        let OpenedFile { handle, backing, flushes, was_damaged } = opened;
        let handle = FileHandle(handle);
        if !self.fs.is_writable() {
            return reply.opened(handle, reply::open_flags(false, was_damaged));
        }
        let file = backing.as_deref();
        let register = |file: &crate::fs::MemFile| reply.open_backing(file);
        match self.ways.open(ino, file, register) {
            Some(backing) => reply.opened_passthrough(handle, FopenFlags::FOPEN_NOFLUSH, &backing),
            None => {
                let drops = was_damaged || self.ways.may_be_outdated(file);
                reply.opened(handle, reply::open_flags(flushes, drops));
            }
        }
    }

    fn make(
        &self,
        req: (&Request, Option<Span>),
        (parent, name): (INodeNo, &OsStr),
        node: NewNode,
        maker: Maker,
        reply: ReplyEntry,
    ) {
        let (fs, parent, name) = (self.fs.clone(), parent.0, name.to_owned());
        let names = vec![(parent, name.clone())];
        let work = async move { fs.make(parent, &name, node, maker).await };
        self.calls.change(req, names, work, |made| reply::made(reply, made), self.uncounted());
    }

    /// Takes back the look-up of something that the kernel is not told of.
    fn uncounted(&self) -> impl FnOnce((Attr, Duration)) + Send + 'static {
        let fs = self.fs.clone();
        move |(attr, _)| fs.forget(attr.ino, 1)
    }
}

/// Answers a call that never waits. A panic ends the call (its reply, dropped, is EIO) and
/// not the thread, which answers everybody else.
fn now(call: impl FnOnce()) {
    // The hook has logged it.
    let _ = catch_unwind(AssertUnwindSafe(call));
}

impl Filesystem for Adapter {
    fn init(&mut self, _req: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // What an older kernel lacks, it does without.
        for wanted in [
            InitFlags::FUSE_DO_READDIRPLUS,
            InitFlags::FUSE_READDIRPLUS_AUTO,
            InitFlags::FUSE_PARALLEL_DIROPS,
            InitFlags::FUSE_ASYNC_DIO,
        ] {
            let _ = config.add_capabilities(wanted);
        }
        if self.fs.is_writable() {
            // The kernel leaves it to us to take set-id bits away, instead of asking
            // before each write whether there are any; the mount is nosuid.
            for wanted in [InitFlags::FUSE_ATOMIC_O_TRUNC, InitFlags::FUSE_HANDLE_KILLPRIV_V2] {
                let _ = config.add_capabilities(wanted);
            }
            if config.add_capabilities(InitFlags::FUSE_PASSTHROUGH).is_ok()
                && config.set_max_stack_depth(STACK_DEPTH).is_ok()
            {
                self.ways.allow();
            }
        }
        let _ = config.set_max_background(MAX_BACKGROUND);
        let _ = config.set_congestion_threshold(MAX_BACKGROUND);
        Ok(())
    }

    fn lookup(&self, req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let span = self.span(req, "lookup", (parent, Some(name)), &[]);
        let (fs, name) = (self.fs.clone(), name.to_owned());
        let work = async move { fs.lookup(parent.0, &name).await };
        self.calls.answer((req, span), work, |found| reply::entry(reply, found));
    }

    fn forget(&self, req: &Request, ino: INodeNo, nlookup: u64) {
        let _span = self.span(req, "forget", (ino, None), &[]);
        now(|| {
            self.fs.forget(ino.0, nlookup);
        });
    }

    fn getattr(&self, req: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        let _span = self.span(req, "getattr", (ino, None), &[]);
        now(|| match self.fs.getattr(ino.0) {
            Ok((attr, ttl)) => reply.attr(&ttl, &reply::file_attr(&attr)),
            Err(error) => reply.error(errno(&error)),
        });
    }

    fn open(&self, req: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let span = self.span(req, "open", (ino, None), &[]);
        let (adapter, fs) = (self.clone(), self.fs.clone());
        let how = decode::open_how(req, flags);
        let work = async move { fs.open_file(ino.0, how).await };
        self.calls.answer((req, span), work, move |opened| match opened {
            Ok(opened) => adapter.opened(ino.0, reply, opened),
            Err(error) => reply.error(errno(&error)),
        });
    }

    fn read(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let span = self.span(
            req,
            "read",
            (ino, None),
            &[("offset", offset), ("asked_bytes", size.into())],
        );
        let is_cached = decode::is_cached(flags);
        let length = size as usize;
        now(|| {
            if is_cached && self.fs.refuses_guess(fh.0, offset, length) {
                return reply.error(Errno::EAGAIN);
            }
            match self.fs.read(fh.0, offset, length) {
                Ok(ReadAnswer::Ready(bytes)) => reply.data(&bytes),
                Ok(ReadAnswer::Later(answer)) => {
                    let reply = |read: Result<ReadBytes, FsError>| match read {
                        Ok(bytes) => reply.data(&bytes),
                        Err(error) => reply.error(errno(&error)),
                    };
                    self.calls.answer_later((req, span), answer, reply);
                }
                Err(error) => reply.error(errno(&error)),
            }
        });
    }

    fn release(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        let _span = self.span(req, "release", (ino, None), &[]);
        now(|| {
            self.fs.release_file(fh.0);
            if self.fs.is_writable() {
                self.ways.release(ino.0);
            }
            reply.ok();
        });
    }

    fn opendir(&self, req: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        let _span = self.span(req, "opendir", (ino, None), &[]);
        now(|| match self.fs.open_dir(ino.0, req.pid()) {
            Ok(handle) => reply.opened(FileHandle(handle), FopenFlags::empty()),
            Err(error) => reply.error(errno(&error)),
        });
    }

    fn readdir(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        reply: ReplyDirectory,
    ) {
        let span = self.span(req, "readdir", (ino, None), &[("from", offset)]);
        self.list((req, span), fh, offset, Listing::Plain(reply));
    }

    fn readdirplus(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        reply: ReplyDirectoryPlus,
    ) {
        let span = self.span(req, "readdirplus", (ino, None), &[("from", offset)]);
        self.list((req, span), fh, offset, Listing::Plus(reply));
    }

    fn releasedir(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        let _span = self.span(req, "releasedir", (ino, None), &[]);
        now(|| {
            self.fs.release_dir(fh.0);
            reply.ok();
        });
    }

    fn statfs(&self, req: &Request, ino: INodeNo, reply: ReplyStatfs) {
        let _span = self.span(req, "statfs", (ino, None), &[]);
        now(|| {
            let of = |bytes: u64| bytes / u64::from(STATFS_BLOCK_BYTES);
            // Where programs may write, what counts is how much more.
            let (blocks, free) = match self.fs.room() {
                Some((all, left)) => (of(all), of(left)),
                None => (STATFS_BLOCKS, 0),
            };
            let block = STATFS_BLOCK_BYTES;
            reply.statfs(blocks, free, free, 0, 0, block, MAX_NAME_BYTES as u32, block);
        });
    }

    fn getxattr(&self, req: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        let span = self.span(req, "getxattr", (ino, None), &[]);
        let (fs, name) = (self.fs.clone(), name.to_owned());
        let work = async move { fs.get_xattr(ino.0, &name).await };
        self.calls.answer((req, span), work, move |value| reply::xattr(reply, size, value));
    }

    fn setxattr(
        &self,
        req: &Request,
        ino: INodeNo,
        name: &OsStr,
        value: &[u8],
        flags: i32,
        _position: u32,
        reply: ReplyEmpty,
    ) {
        let _span = self.span(req, "setxattr", (ino, None), &[]);
        now(|| {
            let set = match decode::xattr_set(flags) {
                Ok(how) => self.fs.set_xattr(ino.0, name, value, how).map_err(|e| errno(&e)),
                Err(errno) => Err(errno),
            };
            match set {
                Ok(()) => reply.ok(),
                Err(errno) => reply.error(errno),
            }
        });
    }

    fn removexattr(&self, req: &Request, ino: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let _span = self.span(req, "removexattr", (ino, None), &[]);
        now(|| match self.fs.remove_xattr(ino.0, name) {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(errno(&error)),
        });
    }

    fn listxattr(&self, req: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        let span = self.span(req, "listxattr", (ino, None), &[]);
        let (fs, pid) = (self.fs.clone(), req.pid());
        let work = async move { fs.list_xattrs(ino.0, pid).await };
        self.calls.answer((req, span), work, move |names| reply::xattr(reply, size, names));
    }

    fn lseek(
        &self,
        req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        let _span = self.span(req, "lseek", (ino, None), &[]);
        now(|| {
            if !self.fs.is_writable() {
                // Objects have no holes; told so once, the kernel answers by itself.
                return reply.error(Errno::ENOSYS);
            }
            let found = match decode::seek(offset, whence) {
                Ok(to) => self.fs.seek(ino.0, to).map_err(|error| errno(&error)),
                Err(errno) => Err(errno),
            };
            match found {
                Ok(offset) => reply.offset(offset as i64),
                Err(errno) => reply.error(errno),
            }
        });
    }

    fn readlink(&self, req: &Request, ino: INodeNo, reply: ReplyData) {
        let _span = self.span(req, "readlink", (ino, None), &[]);
        now(|| match self.fs.read_link(ino.0) {
            Ok(target) => reply.data(target.as_bytes()),
            Err(error) => reply.error(errno(&error)),
        });
    }

    fn write(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let span = self.span(
            req,
            "write",
            (ino, None),
            &[("offset", offset), ("bytes", data.len() as u64)],
        );
        now(|| {
            let written = data.len() as u32;
            match self.fs.write(fh.0, offset, data) {
                Ok(()) => return reply.written(written),
                Err(error) if !self.fs.can_make_room(&error) => return reply.error(errno(&error)),
                Err(_) => {}
            }
            let (fs, bytes) = (self.fs.clone(), data.to_vec());
            let work = async move { fs.write_with_room(fh.0, offset, &bytes).await };
            let reply = move |outcome| match outcome {
                Ok(()) => reply.written(written),
                Err(error) => reply.error(errno(&error)),
            };
            self.calls.answer_later((req, span), work, reply);
        });
    }

    fn flush(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _lock_owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        let span = self.span(req, "flush", (ino, None), &[]);
        let (fs, pid) = (self.fs.clone(), req.pid());
        self.calls.send((req, span), async move { fs.flush(fh.0, pid).await }, reply);
    }

    fn fsync(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        let span = self.span(req, "fsync", (ino, None), &[]);
        let fs = self.fs.clone();
        self.calls.send((req, span), async move { fs.fsync(fh.0).await }, reply);
    }

    fn fsyncdir(
        &self,
        req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        let _span = self.span(req, "fsyncdir", (ino, None), &[]);
        reply.ok();
    }

    fn fallocate(
        &self,
        req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let span =
            self.span(req, "fallocate", (ino, None), &[("offset", offset), ("bytes", length)]);
        let fs = self.fs.clone();
        let work = async move { fs.allocate_with_room(fh.0, mode as u32, offset, length).await };
        self.calls.send((req, span), work, reply);
    }

    fn setattr(
        &self,
        req: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let span = self.span(req, "setattr", (ino, None), &[]);
        let (accessed, modified) = (decode::time(atime), decode::time(mtime));
        let mode = mode.map(decode::permissions);
        let change = AttrChange { mode, uid, gid, size, accessed, modified };
        let fs = self.fs.clone();
        let work = async move { fs.set_attr(ino.0, change).await };
        self.calls.answer((req, span), work, |changed| match changed {
            Ok((attr, ttl)) => reply.attr(&ttl, &reply::file_attr(&attr)),
            Err(error) => reply.error(errno(&error)),
        });
    }

    fn create(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        let span = self.span(req, "create", (parent, Some(name)), &[]);
        let (adapter, name, maker) = (self.clone(), name.to_owned(), decode::maker(req, mode));
        let (fs, parent) = (self.fs.clone(), parent.0);
        let names = vec![(parent, name.clone())];
        let work = async move { fs.create(parent, &name, maker).await };
        let reply = move |created| {
            let (attr, ttl, opened): (Attr, Duration, OpenedFile) = match created {
                Ok(created) => created,
                Err(error) => return reply.error(errno(&error)),
            };
            let handle = FileHandle(opened.handle);
            let register = |file: &crate::fs::MemFile| reply.open_backing(file);
            let flags = reply::open_flags(opened.flushes, false);
            let way = adapter.ways.open(attr.ino, opened.backing.as_deref(), register);
            let (attr, generation) = (reply::file_attr(&attr), Generation(0));
            match way {
                Some(backing) => {
                    let flags = FopenFlags::FOPEN_NOFLUSH;
                    reply.created_passthrough(&ttl, &attr, generation, handle, flags, &backing);
                }
                None => reply.created(&ttl, &attr, generation, handle, flags),
            }
        };
        // It only waits before it has made anything.
        self.calls.change((req, span), names, work, reply, drop);
    }

    fn mknod(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        _rdev: u32,
        reply: ReplyEntry,
    ) {
        let span = self.span(req, "mknod", (parent, Some(name)), &[]);
        match decode::new_node(mode) {
            Ok(node) => {
                self.make((req, span), (parent, name), node, decode::maker(req, mode), reply)
            }
            Err(errno) => reply.error(errno),
        }
    }

    fn mkdir(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        let span = self.span(req, "mkdir", (parent, Some(name)), &[]);
        self.make((req, span), (parent, name), NewNode::Dir, decode::maker(req, mode), reply);
    }

    fn symlink(
        &self,
        req: &Request,
        parent: INodeNo,
        link_name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        let span = self.span(req, "symlink", (parent, Some(link_name)), &[]);
        let Some(target) = target.to_str() else { return reply.error(Errno::EILSEQ) };
        let node = NewNode::Symlink(target.to_owned());
        self.make((req, span), (parent, link_name), node, decode::maker(req, 0o777), reply);
    }

    fn unlink(&self, req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let span = self.span(req, "unlink", (parent, Some(name)), &[]);
        let (fs, name) = (self.fs.clone(), name.to_owned());
        let names = vec![(parent.0, name.clone())];
        let work = async move { fs.unlink(parent.0, &name).await };
        self.calls.change((req, span), names, work, |outcome| done(reply, outcome), drop);
    }

    fn rmdir(&self, req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let span = self.span(req, "rmdir", (parent, Some(name)), &[]);
        let (fs, name) = (self.fs.clone(), name.to_owned());
        let names = vec![(parent.0, name.clone())];
        let work = async move { fs.rmdir(parent.0, &name).await };
        self.calls.change((req, span), names, work, |outcome| done(reply, outcome), drop);
    }

    fn rename(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let span = self.span(req, "rename", (parent, Some(name)), &[]);
        let how = match decode::rename_how(flags) {
            Ok(how) => how,
            Err(errno) => return reply.error(errno),
        };
        let (fs, name, newname) = (self.fs.clone(), name.to_owned(), newname.to_owned());
        let names = vec![(parent.0, name.clone()), (newparent.0, newname.clone())];
        let work = async move { fs.rename((parent.0, &name), (newparent.0, &newname), how).await };
        self.calls.change((req, span), names, work, |outcome| done(reply, outcome), drop);
    }

    fn link(
        &self,
        req: &Request,
        ino: INodeNo,
        newparent: INodeNo,
        newname: &OsStr,
        reply: ReplyEntry,
    ) {
        let span = self.span(req, "link", (newparent, Some(newname)), &[]);
        let (fs, name) = (self.fs.clone(), newname.to_owned());
        let names = vec![(newparent.0, name.clone())];
        let work = async move { fs.link(ino.0, newparent.0, &name).await };
        self.calls.change(
            (req, span),
            names,
            work,
            |linked| reply::made(reply, linked),
            self.uncounted(),
        );
    }
}
