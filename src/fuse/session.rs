//! Mounting, and what happens until the mount is gone.

use std::ffi::OsStr;
use std::io;
use std::mem;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread::{self, JoinHandle};

use fuser::{Config, INodeNo, MountOption, Notifier, Session, SessionACL};

use super::adapter::Adapter;
use crate::fs::{FileSystem, Notice, Outdated};

/// How a mount shows itself to the system.
#[derive(Debug, Clone)]
pub struct MountConfig {
    /// The source that mount(8) and df(1) show: `s3://BUCKET/PREFIX`.
    pub source: String,
    /// Whether other users than the one who mounts may look.
    pub allow_other: bool,
    /// Whether programs in the mount may be executed.
    pub allow_exec: bool,
    /// Options of SELinux, such as `context=...`, as the kernel takes them.
    pub security_context: Vec<String>,
}

/// A mount that is being served, until it is unmounted from outside (umount(2),
/// fusermount3).
#[derive(Debug)]
pub struct Mounted {
    thread: JoinHandle<io::Result<()>>,
}

/// Mounts `fs` on `mount_point`. When this returns, the mount is usable.
///
/// # Errors
/// Why the kernel or fusermount3 refused.
pub fn mount(fs: Arc<FileSystem>, mount_point: &Path, config: &MountConfig) -> io::Result<Mounted> {
    let mut options = threads();
    options.mount_options = vec![
        MountOption::FSName(config.source.clone()),
        // Makes the type `fuse.s3mem`, by which `s3mem umount` knows its own. Not as
        // `Subtype`: that is for fusermount alone, and root mounts without it.
        MountOption::CUSTOM("subtype=s3mem".to_owned()),
        if fs.is_writable() { MountOption::RW } else { MountOption::RO },
        MountOption::NoSuid,
        MountOption::NoDev,
        MountOption::NoAtime,
        MountOption::DefaultPermissions,
    ];
    if !config.allow_exec {
        options.mount_options.push(MountOption::NoExec);
    }
    let labels = config.security_context.iter().cloned();
    options.mount_options.extend(labels.map(MountOption::CUSTOM));
    options.acl = if config.allow_other { SessionACL::All } else { SessionACL::Owner };

    let outdated = fs.outdated_names();
    let session = Session::new(Adapter::new(fs), mount_point, &options)?;
    begin(session, outdated)
}

/// Serves `fs` behind a FUSE device that somebody else has opened and mounted. How it is
/// mounted, and who may look, they have said to the kernel.
///
/// # Errors
/// Why the kernel refused, as of a device that is not mounted.
pub fn serve_device(fs: Arc<FileSystem>, device: OwnedFd) -> io::Result<Mounted> {
    // A clone is made by opening /dev/fuse, which we may not be able to.
    let mut options = threads();
    options.clone_fd = false;
    let outdated = fs.outdated_names();
    let session = Session::from_fd(Adapter::new(fs), device, SessionACL::All, options)?;
    begin(session, outdated)
}

/// How many threads take the kernel's calls.
fn threads() -> Config {
    let mut options = Config::default();
    // One thread is best on two cores: it answers from memory while a worker
    // fetches. More of them reorder a sequential reader's requests.
    let cores = thread::available_parallelism().map_or(1, usize::from);
    options.n_threads = Some((cores / 2).clamp(1, 4));
    options.clone_fd = cores >= 4;
    options
}

fn begin(session: Session<Adapter>, outdated: Option<Receiver<Notice>>) -> io::Result<Mounted> {
    let notifier = session.notifier();
    if let Some(outdated) = outdated {
        thread::Builder::new()
            .name("s3mem-forget".to_owned())
            .spawn(move || tell_outdated(&notifier, &outdated))?;
    }
    Ok(Mounted { thread: run(session)? })
}

impl Mounted {
    /// Whether the mount is gone, however that came about.
    pub fn is_over(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits until the mount is gone.
    ///
    /// # Errors
    /// What the session ended with, if not with the end of the mount.
    pub fn wait(self) -> io::Result<()> {
        let ended = self.thread.join();
        match ended.unwrap_or_else(|_| Err(io::Error::other("the FUSE session panicked"))) {
            // A mount that ends while the kernel hands over a request, such as one of
            // the releases of files that were closed just now.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => Ok(()),
            ended => ended,
        }
    }
}

/// Runs a session on threads of its own. At its end fuser unmounts whatever is at the path
/// by then, which may be what ours covered, or the next mount; so that part of it is never
/// dropped.
fn run(session: Session<Adapter>) -> io::Result<JoinHandle<io::Result<()>>> {
    let nothing = thread::Builder::new().spawn(|| Ok(()))?;
    let mut running = session.spawn()?;
    let thread = mem::replace(&mut running.guard, nothing);
    mem::forget(running);
    Ok(thread)
}

/// Makes the kernel forget names that were found outdated, from a thread that
/// holds nothing: the call blocks while the kernel works in the directory.
fn tell_outdated(notifier: &Notifier, outdated: &Receiver<Notice>) {
    for notice in outdated {
        let Outdated { parent, name } = match notice {
            Notice::Outdated(outdated) => outdated,
            Notice::Told(told) => {
                // Whoever waited may be gone.
                let _ = told.send(());
                continue;
            }
        };
        if let Err(error) = notifier.inval_entry(INodeNo(parent), OsStr::new(&name)) {
            // ENOENT: the kernel had forgotten it already.
            tracing::debug!("could not invalidate {name:?}: {error}");
        }
    }
}
