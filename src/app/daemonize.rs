//! The way into the background.
//!
//! The parent starts this program again, as the daemon (a fork would lose the
//! threads), and waits. The daemon writes its errors to the same standard error,
//! and one byte to a pipe once the mount is usable; only then does it leave the
//! terminal. So a failed mount never looks like a success, and Ctrl-C during the
//! start reaches both.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::cli::{MountArgs, RunArgs};
use crate::sys;

const READY: u8 = b'+';

/// Why the daemon did not start.
#[derive(Debug, thiserror::Error)]
pub(super) enum DaemonError {
    #[error("the daemon can't be started: {0}")]
    Start(io::Error),
    #[error(
        "the daemon ended before the mount was usable ({0}); 's3mem mount -f' shows what happens"
    )]
    Died(ExitStatus),
    /// It has written why it failed to standard error.
    #[error("the daemon failed")]
    AlreadyTold,
}

/// Starts the daemon and waits until its mount is usable. It gets the descriptor `device`.
pub(super) fn start(device: Option<u32>) -> Result<(), DaemonError> {
    let call = MountArgs::daemon_call(env::args_os().collect());
    started(call, device).map(drop)
}

/// As [`start`], for `s3mem run`: the daemon mounts on `folder`, in the mounts of process
/// `holder` if there is one, and ends with this process.
pub(super) fn start_for_command(folder: &Path, holder: Option<u32>) -> Result<Child, DaemonError> {
    started(RunArgs::daemon_call(env::args_os().collect(), folder, holder), None)
}

/// As [`start`], for `s3mem mount --rootless`: the daemon mounts on `folder` in the mounts of
/// process `holder`, and ends with that.
pub(super) fn start_for_holder(
    args: &MountArgs,
    folder: &Path,
    holder: u32,
) -> Result<Child, DaemonError> {
    started(args.rootless_daemon_call(env::args_os().collect(), folder, holder), None)
}

fn started<E>(call: Result<Vec<OsString>, E>, device: Option<u32>) -> Result<Child, DaemonError>
where
    E: Error + Send + Sync + 'static,
{
    let call = call.map_err(|error| DaemonError::Start(io::Error::other(error)))?;
    // By its own name, which `ps` shows; by the kernel's when the file was replaced.
    let program = env::current_exe().ok().filter(|path| path.is_file());
    sys::keep_descriptors_from_children(device);
    let mut daemon = Command::new(program.unwrap_or_else(|| "/proc/self/exe".into()))
        .arg0("s3mem")
        .args(call)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(DaemonError::Start)?;
    let mut said = Vec::new();
    if let Some(pipe) = daemon.stdout.take() {
        pipe.take(1).read_to_end(&mut said).map_err(DaemonError::Start)?;
    }
    if said == [READY] {
        return Ok(daemon);
    }
    let status = daemon.wait().map_err(DaemonError::Start)?;
    match status.signal() {
        None if status.code() == Some(1) => Err(DaemonError::AlreadyTold),
        _ => Err(DaemonError::Died(status)),
    }
}

/// As the daemon: leaves the terminal, and tells the parent that the mount is usable.
///
/// # Errors
/// The parent is gone, so nobody waits for this mount any more.
pub(super) fn report_ready() -> io::Result<()> {
    let mut pipe = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    // Whoever waits for the end of the parent's output must not wait for the daemon's.
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    for stream in 0..=2 {
        sys::replace_stream(stream, &null)?;
    }
    // No folder that somebody may want to unmount or delete is kept in use.
    env::set_current_dir("/")?;
    sys::start_session()?;
    pipe.write_all(&[READY])
}
