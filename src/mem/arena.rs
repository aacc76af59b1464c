//! Where the files that programs write live: a tmpfs of our own, or memfds.
//!
//! A tmpfs that is mounted nowhere gives huge pages (the first touch of memory is
//! most of what a write costs) and a limit that the kernel holds, also against
//! writes that this process never sees. Mounting it takes privileges; without
//! them each file is a memfd, and the limit is held here, before each write.
//!
//! Either way a file is an open file of this process, of which the system allows so many
//! (`ulimit -n`). Files take no more than their share, so that there are some left to speak
//! to the server with, and to answer who asks for the status.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{MemfdFlags, Mode, OFlags, fstatvfs, memfd_create, openat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount,
    fsopen,
};
use rustix::process::{Resource, getrlimit};
use tokio::sync::watch;

/// What others may write between a look at what is left and a write.
const AT_ONCE_BYTES: u64 = 16 << 20;
/// Files have large pages (2 MiB) where they may take this much together.
const LEAST_FOR_LARGE_PAGES: u64 = 64 << 20;
/// So many open files are left for everything else: connections to the server, clients that
/// ask for the status, decoders. Where the system allows few, it is half of them.
const OTHER_FILES: u64 = 512;

/// Files in memory that together take no more than a limit.
#[derive(Debug)]
pub struct Arena {
    limit_bytes: u64,
    home: Home,
    files: Files,
    given_back: watch::Sender<()>,
}

/// How many files there are, and how many there may be.
#[derive(Debug)]
struct Files {
    open: AtomicU64,
    most: u64,
    closed: watch::Sender<()>,
}

impl Files {
    /// None yet, of as many as this process may have.
    fn allowed() -> Self {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let most = limit - OTHER_FILES.min(limit / 2);
        Files { open: AtomicU64::new(0), most, closed: watch::Sender::new(()) }
    }
}

/// Whether there are as many open files as there may be.
pub fn is_out_of_files(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
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
        Arc::new(Arena::at(home, limit_bytes))
    }

    /// An arena of memfds, as where a tmpfs may not be mounted.
    pub fn of_memfds(limit_bytes: u64) -> Arc<Self> {
        Arc::new(Arena::at(Home::Anonymous(AtomicU64::new(0)), limit_bytes))
    }

    fn at(home: Home, limit_bytes: u64) -> Self {
        let given_back = watch::Sender::new(());
        Arena { limit_bytes, home, files: Files::allowed(), given_back }
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

    /// A new empty file, of which no bytes are counted. [`Arena::closed`] has to be told
    /// when it is closed.
    ///
    /// # Errors
    /// Too many open files, or no memory.
    pub(super) fn descriptor(&self) -> io::Result<OwnedFd> {
        if self.files.open.fetch_add(1, Ordering::Relaxed) >= self.files.most {
            // Nobody is told: no file is closed.
            self.files.open.fetch_sub(1, Ordering::Relaxed);
            return Err(Errno::MFILE.into());
        }
        let opened = match &self.home {
            Home::Tmpfs(root) => {
                let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
                openat(root, ".", flags, Mode::RUSR | Mode::WUSR)
            }
            Home::Anonymous(_) => memfd_create("s3mem", MemfdFlags::CLOEXEC),
        };
        if opened.is_err() {
            self.files.open.fetch_sub(1, Ordering::Relaxed);
        }
        Ok(opened?)
    }

    /// Notes that one of its files is closed.
    pub(super) fn closed(&self) {
        self.files.open.fetch_sub(1, Ordering::Relaxed);
        self.files.closed.send_replace(());
    }

    /// Tells whenever one of its files is closed, from now on.
    pub fn watch_closed(&self) -> watch::Receiver<()> {
        self.files.closed.subscribe()
    }

    /// Notes that one of its files has given memory back.
    pub(super) fn note_given_back(&self) {
        self.given_back.send_replace(());
    }

    /// Tells whenever one of its files has given memory back, from now on.
    pub fn watch_given_back(&self) -> watch::Receiver<()> {
        self.given_back.subscribe()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_take_their_share_of_the_open_files_and_no_more() {
        let allowed = Files::allowed().most;
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        assert!(allowed >= limit / 2 && allowed < limit);
        for home in [Arena::new(1 << 20), Arena::of_memfds(1 << 20)] {
            let mut arena = Arc::into_inner(home).unwrap();
            arena.files.most = 2;
            let arena = Arc::new(arena);
            let (first, _second) = (arena.file().unwrap(), arena.file().unwrap());
            for _ in 0..3 {
                assert!(is_out_of_files(&arena.file().unwrap_err()));
            }
            drop(first);
            assert!(arena.file().is_ok());
        }
    }
}
