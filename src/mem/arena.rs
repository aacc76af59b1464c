//! Where the files that programs write live: a tmpfs of our own, or memfds.
//!
//! A tmpfs that is mounted nowhere gives huge pages (the first touch of memory is
//! most of what a write costs) and a limit that the kernel holds, also against
//! writes that this process never sees. Mounting it takes privileges; without
//! them each file is a memfd, and the limit is held here, before each write.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{MemfdFlags, Mode, OFlags, fstatvfs, memfd_create, openat};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount,
    fsopen,
};

/// What others may write between a look at what is left and a write.
const AT_ONCE_BYTES: u64 = 16 << 20;
/// Files have large pages (2 MiB) where they may take this much together.
const LEAST_FOR_LARGE_PAGES: u64 = 64 << 20;

/// Files in memory that together take no more than a limit.
#[derive(Debug)]
pub struct Arena {
    limit_bytes: u64,
    home: Home,
}

#[derive(Debug)]
enum Home {
    /// The root of a tmpfs that only this process sees.
    Tmpfs(OwnedFd),
    /// Nowhere: what the memfds take is counted here.
    Anonymous(AtomicU64),
}

impl Arena {
    /// An arena for files of `limit_bytes` together.
    pub fn new(limit_bytes: u64) -> Arc<Self> {
        let home = match private_tmpfs(limit_bytes) {
            Ok(root) => Home::Tmpfs(root),
            Err(error) => {
                tracing::debug!("no tmpfs of our own, files are memfds: {error}");
                Home::Anonymous(AtomicU64::new(0))
            }
        };
        Arc::new(Arena { limit_bytes, home })
    }

    /// An arena of memfds, as where a tmpfs may not be mounted.
    pub fn of_memfds(limit_bytes: u64) -> Arc<Self> {
        Arc::new(Arena { limit_bytes, home: Home::Anonymous(AtomicU64::new(0)) })
    }

    /// The limit in bytes.
    pub fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    /// What the files take now, in bytes.
    pub fn used_bytes(&self) -> u64 {
        match &self.home {
            Home::Tmpfs(root) => fstatvfs(root).map_or(0, |stat| {
                stat.f_blocks.saturating_sub(stat.f_bfree).saturating_mul(stat.f_frsize)
            }),
            Home::Anonymous(used) => used.load(Ordering::Relaxed),
        }
    }

    /// A new empty file, of which nothing is counted.
    ///
    /// # Errors
    /// Too many open files, or no memory.
    pub(super) fn descriptor(&self) -> io::Result<OwnedFd> {
        match &self.home {
            Home::Tmpfs(root) => {
                let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
                Ok(openat(root, ".", flags, Mode::RUSR | Mode::WUSR)?)
            }
            Home::Anonymous(_) => Ok(memfd_create("s3mem", MemfdFlags::CLOEXEC)?),
        }
    }

    /// Whether writing `bytes` more may find no room that this process did not look for.
    pub(super) fn is_nearly_full(&self, bytes: u64) -> bool {
        let left = self.limit_bytes.saturating_sub(self.used_bytes());
        !self.counts() && left < bytes.saturating_add(AT_ONCE_BYTES)
    }

    /// Whether this process has to hold the limit itself.
    pub(super) fn counts(&self) -> bool {
        matches!(self.home, Home::Anonymous(_))
    }

    /// Counts `bytes` more if they fit.
    pub(super) fn take(&self, bytes: u64) -> bool {
        let Home::Anonymous(used) = &self.home else { return true };
        let fits = |held: u64| held.checked_add(bytes).filter(|&sum| sum <= self.limit_bytes);
        used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    /// Counts `bytes` less.
    pub(super) fn give_back(&self, bytes: u64) {
        if let Home::Anonymous(used) = &self.home {
            used.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

/// A tmpfs that is in no tree, and goes with its last file.
fn private_tmpfs(limit_bytes: u64) -> io::Result<OwnedFd> {
    let with = |huge: bool| -> io::Result<OwnedFd> {
        let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_set_string(&context, "size", limit_bytes.to_string())?;
        fsconfig_set_string(&context, "nr_inodes", "0")?;
        fsconfig_set_string(&context, "mode", "0700")?;
        if huge {
            fsconfig_set_string(&context, "huge", "within_size")?;
        }
        fsconfig_create(&context)?;
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOATIME;
        Ok(fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
    };
    // Where there is little room, a large page takes what other files need: a kernel may
    // have one for a write that is smaller. Kernels without them do not know the option.
    let root = match limit_bytes >= LEAST_FOR_LARGE_PAGES {
        true => with(true).or_else(|_| with(false))?,
        false => with(false)?,
    };
    // Some sandboxes let a file system be mounted and no file be made in it.
    openat(&root, ".", OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, Mode::RUSR)?;
    Ok(root)
}
