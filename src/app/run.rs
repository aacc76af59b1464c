//! `s3mem run`: a mount for one command.
//!
//! Contract: the command sees the mount from its first moment on, and the mount is gone when
//! this program returns, with the command's exit status. Whichever of the three ends first (this program,
//! the daemon, the command), none of the others is left. Who may not mount gets mounts of their own
//! ([`super::namespace`]), which only the command sees.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::daemonize::{self, DaemonError};
use super::folder::{Folder, FolderError};
use super::holder::{Holder, Leftovers};
use super::namespace::{self, Lack, NamespaceError};
use super::prerequisites::{self, Missing};
use super::text::tell;
use crate::cli::RunArgs;
use crate::config::Environment;
use crate::sys;

/// Tells the command where the files are.
const VARIABLE: &str = "S3MEM_MOUNT";
/// Exit status of env(1) and its kin for a command that can't be run, and for one that is not
/// there.
const CANNOT_RUN: u8 = 126;
const NOT_FOUND: u8 = 127;
/// Whoever waits longer than this for the end of the mount is told why.
const MOMENT: Duration = Duration::from_secs(2);

/// Why the command was not run. Each is a sentence for the user.
#[derive(Debug, thiserror::Error)]
pub(super) enum RunError {
    #[error(transparent)]
    Prerequisite(#[from] Missing),
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    #[error("{0} with --at")]
    Folder(#[from] FolderError),
    #[error("the system does not provide what s3mem needs to run: {0}")]
    System(#[from] io::Error),
}

/// Runs the command.
pub(super) fn run(args: &RunArgs, environment: &Environment) -> Result<ExitCode, RunError> {
    let folder = Folder::of(args.at())?;
    let holder = match prerequisites::check(args.mount.allow_other, environment) {
        Ok(()) => None,
        Err(missing) => {
            let lack = Lack::of(missing)?;
            let holder = Holder::start(true, &Leftovers::default())?;
            Some(holder.map_err(|error| namespace::refused(lack, error))?)
        }
    };
    let id = holder.as_ref().map(Holder::id);
    let mut daemon = Daemon(Some(daemonize::start_for_command(folder.path(), id)?));
    if let Some(id) = id {
        // Before anything has made a second thread.
        namespace::join(id)?;
    }
    let (program, rest) = args.command.split_first().ok_or_else(no_command)?;
    let mut command = Command::new(program);
    command.args(rest).env(VARIABLE, folder.path());
    sys::kill_with_parent(&mut command);
    let status = match command.spawn() {
        Ok(child) => wait(child)?,
        Err(error) => {
            tell(&format!("{} can't be run: {error}", program.display()));
            let is_missing = error.kind() == io::ErrorKind::NotFound;
            drop(daemon);
            return Ok(ExitCode::from(if is_missing { NOT_FOUND } else { CANNOT_RUN }));
        }
    };
    let ended = daemon.end();
    Ok(match exit_code(status) {
        0 if !ended.is_some_and(|ended| ended.success()) => {
            tell("the command has ended well, but the mount has not; its log says why");
            ExitCode::FAILURE
        }
        code => ExitCode::from(code),
    })
}

fn no_command() -> RunError {
    RunError::System(io::Error::from(io::ErrorKind::InvalidInput))
}

/// What a shell shows for the end of a command.
fn exit_code(status: ExitStatus) -> u8 {
    let signal = || 128 + status.signal().unwrap_or_default();
    u8::try_from(status.code().unwrap_or_else(signal)).unwrap_or(u8::MAX)
}

/// The daemon behind the mount.
struct Daemon(Option<Child>);

impl Daemon {
    /// Unmounts, and waits until what the command wrote is where it belongs.
    fn end(&mut self) -> Option<ExitStatus> {
        let mut child = self.0.take()?;
        // Already gone: unmounted by the command, or broken.
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        let _ = sys::signal(child.id(), libc::SIGTERM);
        let start = Instant::now();
        let mut was_told = false;
        loop {
            if let Ok(Some(status)) = child.try_wait() {
                return Some(status);
            }
            if start.elapsed() > MOMENT && !was_told {
                was_told = true;
                tell("waiting until what was written is in the bucket, and open files are closed");
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end();
    }
}

/// Waits for the command, and hands signals on to it. What the terminal sends to all of its
/// programs has reached the command too.
fn wait(mut child: Child) -> io::Result<ExitStatus> {
    let id = child.id();
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    let mut signals = runtime.block_on(async { Signals::catch() })?;
    let (tell_end, end) = oneshot::channel();
    thread::Builder::new().name("wait".into()).spawn(move || {
        // Only fails where nobody listens.
        let _ = tell_end.send(child.wait());
    })?;
    runtime.block_on(async {
        tokio::pin!(end);
        loop {
            let number = tokio::select! {
                ended = &mut end => return ended.unwrap_or_else(|_| Err(io::ErrorKind::Other.into())),
                number = signals.next() => number,
            };
            let from_keyboard = [libc::SIGINT, libc::SIGQUIT].contains(&number);
            if !(from_keyboard && sys::is_in_foreground()) {
                let _ = sys::signal(id, number);
            }
        }
    })
}

/// The signals that end a program, and those that programs give a meaning.
struct Signals([(i32, Signal); 6]);

impl Signals {
    fn catch() -> io::Result<Signals> {
        let all = [
            libc::SIGINT,
            libc::SIGQUIT,
            libc::SIGTERM,
            libc::SIGHUP,
            libc::SIGUSR1,
            libc::SIGUSR2,
        ];
        let caught =
            |number| -> io::Result<_> { Ok((number, signal(SignalKind::from_raw(number))?)) };
        let [a, b, c, d, e, f] = all.map(caught);
        Ok(Signals([a?, b?, c?, d?, e?, f?]))
    }

    /// The number of the next one.
    async fn next(&mut self) -> i32 {
        std::future::poll_fn(|context| {
            for (number, signal) in &mut self.0 {
                if signal.poll_recv(context).is_ready() {
                    return std::task::Poll::Ready(*number);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_of_a_command_is_that_of_a_shell() {
        assert_eq!(exit_code(ExitStatus::from_raw(3 << 8)), 3);
        assert_eq!(exit_code(ExitStatus::from_raw(libc::SIGTERM)), 128 + 15);
    }
}
