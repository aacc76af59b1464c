//! `s3mem status`: asks the daemons of mounts how they are.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::control::Daemon;
use super::message;
use super::mount_point::{self, MountPointError};
use super::mount_table::{MountTable, Mounted};
use super::namespace::{self, NamespaceError};
use super::text::tell;
use super::watch::{self, Watch, WatchError};
use crate::cli::StatusArgs;
use crate::config::{self, ConfigError, Environment};
use crate::sys;

/// The exit status when files are not in the bucket yet; 2 is for misuse.
const PENDING: u8 = 3;
/// No daemon takes this long to say how it is.
const LIMIT: Duration = Duration::from_secs(60);

/// Why there is no status. Each is a sentence for the user.
#[derive(Debug, thiserror::Error)]
pub(super) enum StatusError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("{0} does not exist")]
    Missing(PathBuf),
    #[error(transparent)]
    Path(MountPointError),
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    #[error("{0} is not in a mount of s3mem; 'findmnt -t fuse.s3mem' lists the mounts of s3mem")]
    NotMounted(PathBuf),
    #[error(
        "the daemon of {0} does not answer: it has ended, hangs, runs in another container, or was \
         started with another XDG_RUNTIME_DIR"
    )]
    Silent(PathBuf),
    #[error("{path}: the mount belongs to the user with the ID {user}; only they and root may ask")]
    OfSomebodyElse { path: PathBuf, user: u32 },
    #[error("the table of mounts can't be read: {0}")]
    Table(io::Error),
    #[error("nothing of yours is mounted or served by s3mem, so there is nothing to watch")]
    Nothing,
    #[error("what was served here has ended, or does not answer")]
    Gone,
    #[error(transparent)]
    Watch(Box<WatchError<StatusError>>),
}

/// Runs the command.
pub(super) fn run(args: &StatusArgs, environment: &Environment) -> Result<ExitCode, StatusError> {
    let mounts = match &args.mount_point {
        Some(typed) => {
            // The table is that of the mounts into which the path leads.
            let path = namespace::follow(&config::absolute(typed)?)?.path;
            vec![find(&table()?, path)?]
        }
        None => table()?.of_user(sys::effective_uid()),
    };
    if let Some(seconds) = args.watch {
        let every = Duration::from_secs(seconds.into());
        return watch_them(mounts, args, environment, every);
    }
    let (mut pending, mut failed) = (0, false);
    for mounted in &mounts {
        match ask(mounted, args, environment) {
            Ok((count, text)) => {
                pending += count;
                // A reader that stops reading does not want the rest.
                let _ = io::stdout().lock().write_all(text.as_bytes());
            }
            // The only one that was asked for.
            Err(error) if args.mount_point.is_some() => return Err(error),
            // It was unmounted since the table was read.
            Err(_) if !table()?.has(&mounted.device) => {}
            Err(error) => {
                failed = true;
                tell(&error.to_string());
            }
        }
    }
    if args.mount_point.is_none() {
        // One that does not answer is about to end.
        let texts = Daemon::servers(environment).into_iter();
        for (_, text) in texts.filter_map(|server| answer(server, args)) {
            let _ = io::stdout().lock().write_all(text.as_bytes());
        }
    }
    Ok(match (failed, pending) {
        (true, _) => ExitCode::FAILURE,
        (false, 0) => ExitCode::SUCCESS,
        (false, _) => ExitCode::from(PENDING),
    })
}

/// Shows mounts, and without a mount point servers too, until somebody has seen enough.
fn watch_them(
    mounts: Vec<Mounted>,
    args: &StatusArgs,
    environment: &Environment,
    every: Duration,
) -> Result<ExitCode, StatusError> {
    let mut servers = match args.mount_point {
        Some(_) => Vec::new(),
        None => Daemon::server_sockets(environment),
    };
    servers.retain(|socket| Daemon::server(socket).is_some());
    let names = mounts.iter().map(|mounted| mounted.mount_point.display().to_string());
    let names = names.chain(servers.iter().map(|_| "what is served here".to_owned()));
    let watch = Watch { mounts: names.collect(), every, is_json: args.json };
    if watch.mounts.is_empty() {
        return Err(StatusError::Nothing);
    }
    let environment = environment.clone();
    let asked = StatusArgs { mount_point: None, json: true, watch: None, reset: false };
    let said = move |at: usize| {
        let (_, text) = match mounts.get(at) {
            Some(mounted) => ask(mounted, &asked, &environment)?,
            None => {
                let server =
                    servers.get(at - mounts.len()).and_then(|socket| Daemon::server(socket));
                server.and_then(|server| answer(server, &asked)).ok_or(StatusError::Gone)?
            }
        };
        Ok(text)
    };
    match watch::run(watch, said) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(WatchError::Asked(error)) => Err(error),
        Err(error) => Err(StatusError::Watch(Box::new(error))),
    }
}

fn table() -> Result<MountTable, StatusError> {
    MountTable::read().map_err(StatusError::Table)
}

/// The mount of s3mem that a path is, or lies in.
fn find(table: &MountTable, path: PathBuf) -> Result<Mounted, StatusError> {
    let path = mount_point::resolve(&path).map_err(|error| match error {
        MountPointError::Missing(path) => StatusError::Missing(path),
        other => StatusError::Path(other),
    })?;
    let mounted = match table.on(&path) {
        Some(mounted) => Some(mounted).filter(|mounted| mounted.is_s3mem()),
        None => table.s3mem_around(&path),
    };
    mounted.cloned().ok_or(StatusError::NotMounted(path))
}

/// How many files a mount has that are not in the bucket, and what its daemon says.
fn ask(
    mounted: &Mounted,
    args: &StatusArgs,
    environment: &Environment,
) -> Result<(u64, String), StatusError> {
    let silent = || StatusError::Silent(mounted.mount_point.clone());
    let me = sys::effective_uid();
    if let Some(user) = mounted.user.filter(|user| me != 0 && *user != me) {
        return Err(StatusError::OfSomebodyElse { path: mounted.mount_point.clone(), user });
    }
    let daemon = Daemon::of(mounted, environment).ok_or_else(silent)?;
    answer(daemon, args).ok_or_else(silent)
}

/// What a daemon says, with the number in front; `None` if it does not say it to the end.
fn answer(daemon: Daemon, args: &StatusArgs) -> Option<(u64, String)> {
    let question = match (args.json, args.reset) {
        (false, false) => "status",
        (false, true) => "status reset",
        (true, false) => "status json",
        (true, true) => "status json reset",
    };
    message::status(daemon.ask(question, LIMIT).ok()?)
}
