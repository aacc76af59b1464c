//! The kernel's calls, decoded.

use std::ffi::OsStr;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::SystemTime;

use fuser::{
    BsdFileFlags, Errno, FileHandle, Filesystem, FopenFlags, INodeNo, InitFlags, KernelConfig,
    LockOwner, OpenAccMode, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyLseek, ReplyOpen, ReplyStatfs,
    ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};

use super::passthrough::Ways;
use super::reply::{self, Listing, errno};
use super::writing::{done, maker, time};
use crate::fs::{AttrChange, FileSystem, NewNode, OpenHow, ReadAnswer};

/// Reads that may be under way. Readahead counts, and the kernel's 16 would let
/// one object whose server stalls hold up everybody else's.
const MAX_BACKGROUND: u16 = 1024;
/// open(2)'s flag, as Linux has it everywhere that fuser runs.
const O_TRUNC: i32 = 0o1000;
/// What statfs says of a bucket, which has no size: 1 PiB, nothing free.
const STATFS_BLOCKS: u64 = 1 << 38;
const STATFS_BLOCK_BYTES: u32 = 4096;

/// The depth of file systems below a file that the kernel reads by itself: none.
const STACK_DEPTH: u32 = 1;

/// A [`FileSystem`] as the kernel library calls it.
#[derive(Debug, Clone)]
pub(super) struct Adapter {
    pub(super) fs: Arc<FileSystem>,
    pub(super) ways: Arc<Ways>,
}

impl Adapter {
    pub(super) fn new(fs: Arc<FileSystem>) -> Self {
        Adapter { fs, ways: Arc::default() }
    }

    /// Has a call answered: at once, on the thread that the kernel asked, as far as
    /// nothing is waited for, since waking another thread takes longer than most
    /// answers; the rest in a task.
    pub(super) fn answer(&self, call: impl Future<Output = ()> + Send + 'static) {
        let runtime = self.fs.runtime();
        let _entered = runtime.enter();
        let mut call = Box::pin(call);
        // The task asks again, with a waker that wakes it. A panic ends the call, as
        // it does in a task, and not the thread.
        let mut begin = || call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        if catch_unwind(AssertUnwindSafe(&mut begin)).is_ok_and(|state| state.is_pending()) {
            runtime.spawn(call);
        }
    }

    fn list(&self, handle: FileHandle, cookie: u64, mut listing: Listing) {
        let plus = listing.is_plus();
        match self.fs.read_dir_now(handle.0, cookie, plus, &mut listing) {
            Ok(true) => listing.send(Ok(())),
            Err(error) => listing.send(Err(error)),
            Ok(false) => {
                let fs = self.fs.clone();
                self.fs.runtime().spawn(async move {
                    let outcome = fs.read_dir(handle.0, cookie, plus, &mut listing).await;
                    listing.send(outcome);
                });
            }
        }
    }
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

    fn lookup(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if let Some(found) = self.fs.lookup_now(parent.0, name) {
            return reply::entry(reply, found);
        }
        let (fs, name) = (self.fs.clone(), name.to_owned());
        self.fs.runtime().spawn(async move {
            reply::entry(reply, fs.lookup(parent.0, &name).await);
        });
    }

    fn forget(&self, _req: &Request, ino: INodeNo, nlookup: u64) {
        self.fs.forget(ino.0, nlookup);
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        match self.fs.getattr(ino.0) {
            Ok((attr, ttl)) => reply.attr(&ttl, &reply::file_attr(&attr)),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn open(&self, req: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let how = OpenHow {
            writes: flags.acc_mode() != OpenAccMode::O_RDONLY,
            truncates: flags.0 & O_TRUNC != 0,
            thread: req.pid(),
        };
        self.open_as(ino.0, how, reply);
    }

    fn read(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.fs.read(fh.0, offset, size as usize) {
            Ok(ReadAnswer::Ready(bytes)) => reply.data(&bytes),
            Ok(ReadAnswer::Later(answer)) => {
                self.fs.runtime().spawn(async move {
                    match answer.await {
                        Ok(bytes) => reply.data(&bytes),
                        Err(error) => reply.error(errno(&error)),
                    }
                });
            }
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn release(
        &self,
        _req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        self.fs.release_file(fh.0);
        if self.fs.is_writable() {
            self.ways.release(ino.0);
        }
        reply.ok();
    }

    fn opendir(&self, req: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        match self.fs.open_dir(ino.0, req.pid()) {
            Ok(handle) => reply.opened(FileHandle(handle), FopenFlags::empty()),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn readdir(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        reply: ReplyDirectory,
    ) {
        self.list(fh, offset, Listing::Plain(reply));
    }

    fn readdirplus(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        reply: ReplyDirectoryPlus,
    ) {
        self.list(fh, offset, Listing::Plus(reply));
    }

    fn releasedir(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        self.fs.release_dir(fh.0);
        reply.ok();
    }

    fn statfs(&self, _req: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        let of = |bytes: u64| bytes / u64::from(STATFS_BLOCK_BYTES);
        // Where programs may write, what counts is how much more.
        let (blocks, free) = match self.fs.room() {
            Some((all, left)) => (of(all), of(left)),
            None => (STATFS_BLOCKS, 0),
        };
        let block = STATFS_BLOCK_BYTES;
        reply.statfs(blocks, free, free, 0, 0, block, 255, block);
    }

    fn getxattr(&self, _req: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        let Some(text) = name.to_str() else { return reply.error(Errno::ENODATA) };
        match self.fs.get_xattr_now(ino.0, text) {
            Ok(Some(value)) => reply::xattr(reply, size, Ok(value)),
            Err(error) => reply.error(errno(&error)),
            Ok(None) => {
                let (fs, name) = (self.fs.clone(), name.to_owned());
                self.fs.runtime().spawn(async move {
                    reply::xattr(reply, size, fs.get_xattr(ino.0, &name).await);
                });
            }
        }
    }

    fn listxattr(&self, req: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        let (fs, pid) = (self.fs.clone(), req.pid());
        self.fs.runtime().spawn(async move {
            reply::xattr(reply, size, fs.list_xattrs(ino.0, pid).await);
        });
    }

    fn lseek(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        if !self.fs.is_writable() {
            // Objects have no holes; told so once, the kernel answers by itself.
            return reply.error(Errno::ENOSYS);
        }
        self.seek(ino.0, offset, whence, reply);
    }

    fn readlink(&self, _req: &Request, ino: INodeNo, reply: ReplyData) {
        match self.fs.read_link(ino.0) {
            Ok(target) => reply.data(target.as_bytes()),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn write(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        self.write_to(fh.0, offset, data, reply);
    }

    fn flush(
        &self,
        req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        _lock_owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        self.flush_for(fh.0, req.pid(), reply);
    }

    fn fsync(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        self.synchronise(fh.0, reply);
    }

    fn fsyncdir(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        reply.ok();
    }

    fn fallocate(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        done(reply, self.fs.allocate(fh.0, mode as u32, offset, length));
    }

    fn setattr(
        &self,
        _req: &Request,
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
        let mode = mode.map(|mode| (mode & 0o7777) as u16);
        let (accessed, modified) = (time(atime), time(mtime));
        self.set_attr(ino.0, AttrChange { mode, uid, gid, size, accessed, modified }, reply);
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
        self.create_file(parent.0, name, maker(req, mode), reply);
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
        self.make_kind(parent.0, name, mode, req, reply);
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
        self.make(parent.0, name, NewNode::Dir, maker(req, mode), reply);
    }

    fn symlink(
        &self,
        req: &Request,
        parent: INodeNo,
        link_name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        let Some(target) = target.to_str() else { return reply.error(Errno::EILSEQ) };
        let node = NewNode::Symlink(target.to_owned());
        self.make(parent.0, link_name, node, maker(req, 0o777), reply);
    }

    fn unlink(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.remove(parent.0, name, false, reply);
    }

    fn rmdir(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.remove(parent.0, name, true, reply);
    }

    fn rename(
        &self,
        _req: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let (from, to) = ((parent.0, name.to_owned()), (newparent.0, newname.to_owned()));
        self.rename_to(from, to, flags, reply);
    }

    fn link(
        &self,
        _req: &Request,
        ino: INodeNo,
        newparent: INodeNo,
        newname: &OsStr,
        reply: ReplyEntry,
    ) {
        self.link_to(ino.0, newparent.0, newname, reply);
    }
}
