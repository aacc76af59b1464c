//! The kernel's calls, decoded.

use std::ffi::OsStr;
use std::io;
use std::sync::Arc;

use fuser::{
    Errno, FileHandle, Filesystem, FopenFlags, INodeNo, InitFlags, KernelConfig, LockOwner,
    OpenAccMode, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty,
    ReplyEntry, ReplyLseek, ReplyOpen, ReplyStatfs, ReplyXattr, Request,
};

use super::reply::{self, Listing, errno};
use crate::fs::{FileSystem, ReadAnswer};

/// Reads that may be under way. Readahead counts, and the kernel's 16 would let
/// one object whose server stalls hold up everybody else's.
const MAX_BACKGROUND: u16 = 1024;
/// What statfs says of a bucket, which has no size: 1 PiB, nothing free.
const STATFS_BLOCKS: u64 = 1 << 38;
const STATFS_BLOCK_BYTES: u32 = 4096;

/// A [`FileSystem`] as the kernel library calls it.
#[derive(Debug)]
pub(super) struct Adapter {
    fs: Arc<FileSystem>,
}

impl Adapter {
    pub(super) fn new(fs: Arc<FileSystem>) -> Self {
        Adapter { fs }
    }

    fn opened(&self, reply: ReplyOpen, outcome: Result<u64, crate::fs::FsError>) {
        match outcome {
            // An inode is one version, so its page cache is right for ever; and
            // nothing is written, so a close has nothing to flush.
            Ok(handle) => {
                let flags = FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_NOFLUSH;
                reply.opened(FileHandle(handle), flags);
            }
            Err(error) => reply.error(errno(&error)),
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

    fn open(&self, _req: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        if flags.acc_mode() != OpenAccMode::O_RDONLY {
            return reply.error(Errno::EROFS);
        }
        if let Some(outcome) = self.fs.open_file_now(ino.0) {
            return self.opened(reply, outcome);
        }
        let adapter = Adapter::new(self.fs.clone());
        self.fs.runtime().spawn(async move {
            let outcome = adapter.fs.open_file(ino.0).await;
            adapter.opened(reply, outcome);
        });
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
        _ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        self.fs.release_file(fh.0);
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
        reply.statfs(STATFS_BLOCKS, 0, 0, 0, 0, STATFS_BLOCK_BYTES, 255, STATFS_BLOCK_BYTES);
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
        _ino: INodeNo,
        _fh: FileHandle,
        _offset: i64,
        _whence: i32,
        reply: ReplyLseek,
    ) {
        // Objects have no holes; told so once, the kernel answers by itself.
        reply.error(Errno::ENOSYS);
    }
}
