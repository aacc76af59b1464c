//! Mounting the demo's bucket, and the ways in which a machine can't.
//!
//! Contract: everything that goes wrong here is a sentence that says what to do.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::support::server::{ACCESS_KEY, REGION, SECRET_KEY, TestServer};

/// Puts the server's credentials where programs that speak to S3 find them: in
/// the environment. That can only be done safely before a program has started,
/// so it starts over; the process stays the same.
pub(crate) fn adopt_credentials() -> Result<(), String> {
    if std::env::var_os("AWS_SECRET_ACCESS_KEY").as_deref() == Some(OsStr::new(SECRET_KEY)) {
        return Ok(());
    }
    let program = std::env::current_exe().map_err(|e| format!("can't find myself: {e}"))?;
    let mut command = Command::new(program);
    // Nothing of the user's own AWS set-up may lead away from the demo's server.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    let error = command
        .args(std::env::args_os().skip(1))
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .env("AWS_REGION", REGION)
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .exec();
    Err(format!("can't start over with the demo's credentials: {error}"))
}

/// Whether this machine can mount at all.
pub(crate) fn check_machine() -> Result<(), String> {
    if !Path::new("/dev/fuse").exists() {
        return Err("this machine has no /dev/fuse, so nothing can be mounted. Load the kernel \
                    module (sudo modprobe fuse); in a container, start it with --device /dev/fuse \
                    --cap-add SYS_ADMIN"
            .to_owned());
    }
    if !is_root() && !is_installed("fusermount3") {
        return Err("fusermount3 is not installed, and without it only root can mount. On Debian \
                    and Ubuntu: sudo apt install fuse3"
            .to_owned());
    }
    Ok(())
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// The directory that the bucket is mounted on; removed in the end if it was made here.
pub(crate) struct MountPoint {
    path: PathBuf,
    is_fresh: bool,
}

impl MountPoint {
    /// The given directory, which has to be there and empty, or a fresh one.
    pub(crate) fn choose(given: Option<&Path>) -> Result<Self, String> {
        let Some(path) = given else {
            let fresh = tempfile::Builder::new().prefix("s3mem-demo-").tempdir();
            let fresh = fresh.map_err(|error| {
                format!("can't make a directory to mount on: {error}. Name one with --mount-point")
            })?;
            return Ok(MountPoint { path: fresh.keep(), is_fresh: true });
        };
        let unusable = |error| format!("can't mount on {}: {error}", path.display());
        if fs::read_dir(path).map_err(unusable)?.next().is_some() {
            return Err(format!("{} is not empty; name an empty directory", path.display()));
        }
        Ok(MountPoint { path: fs::canonicalize(path).map_err(unusable)?, is_fresh: false })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for MountPoint {
    fn drop(&mut self) {
        if self.is_fresh {
            // Not recursive: if it is still mounted, this fails and harms nothing.
            let _ = fs::remove_dir(&self.path);
        }
    }
}

/// Ctrl-C and SIGTERM, which end the demo instead of the process from now on.
pub(crate) struct Signals {
    runtime: Runtime,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Takes the signals over; one that comes early is kept for [`wait`](Self::wait).
    pub(crate) fn take_over() -> Result<Self, String> {
        let take = || -> std::io::Result<Self> {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let (interrupt, terminate) = {
                let _inside = runtime.enter();
                (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
            };
            Ok(Signals { runtime, interrupt, terminate })
        };
        take().map_err(|error| format!("can't listen for Ctrl-C: {error}"))
    }

    /// Waits for one of them.
    pub(crate) fn wait(mut self) {
        self.runtime.block_on(async {
            tokio::select! {
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
            }
        });
    }
}
