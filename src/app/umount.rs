//! `s3mem umount`.
//!
//! Contract: removes mounts of s3mem and nothing else, and returns when the daemon
//! behind them has ended. The daemon is asked first, and can make the caller wait, or
//! refuse. A mount in use stays, and its users are named.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::control::Daemon;
use super::detach::{How, UnmountError, unmount};
use super::mount_point::{self, MountPointError};
use super::mount_table::{MountTable, Mounted};
use super::namespace::{self, NamespaceError};
use super::text::tell;
use super::unsent::{GO, NO, NOTE};
use crate::cli::UmountArgs;
use crate::config::{self, ConfigError, Environment};
use crate::sys;

/// How long a daemon may take to end after its mount is gone.
const DAEMON_TIMEOUT: Duration = Duration::from_secs(10);
/// A file manager or an indexer that looks in for a moment does not make a mount busy.
const BUSY_ATTEMPTS: u32 = 5;
const BUSY_PAUSE: Duration = Duration::from_millis(200);
/// How many users of a busy mount are named, at most.
const NAMED_USERS: usize = 5;

/// Why something was not unmounted. Each is a sentence for the user.
#[derive(Debug, thiserror::Error)]
pub(super) enum UmountError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("{0} does not exist")]
    Missing(PathBuf),
    #[error(transparent)]
    Path(MountPointError),
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    #[error("nothing is mounted on {0}; 'findmnt -t fuse.s3mem' lists the mounts of s3mem")]
    NotMounted(PathBuf),
    #[error(
        "{path} is a folder inside a mount; unmount all of it, with: s3mem umount '{mount_point}'"
    )]
    Inside { path: PathBuf, mount_point: PathBuf },
    #[error(
        "{path} is not a mount of s3mem but {what} ({fs_type}); unmount it with: umount '{path}'"
    )]
    NotOurs { path: PathBuf, what: String, fs_type: String },
    #[error(
        "{path} was mounted by the user with the ID {user}; only they and root can unmount it: sudo s3mem umount '{path}'"
    )]
    OfSomebodyElse { path: PathBuf, user: u32 },
    #[error(
        "{path} is in use{users}. Close what is open there, or leave the folder ('cd'), and try again"
    )]
    Busy { path: PathBuf, users: String },
    /// In the daemon's words.
    #[error("{0}")]
    Refused(String),
    #[error(
        "the daemon of {0} does not answer; 'umount -l {0}' (as root) or 'fusermount3 -uz {0}' unmounts \
         without it, and what is not in the bucket yet may be lost"
    )]
    Silent(PathBuf),
    #[error("{path} could not be unmounted: {reason}")]
    Failed { path: PathBuf, reason: String },
    #[error("the table of mounts can't be read: {0}")]
    Table(io::Error),
}

/// Runs the command.
pub(super) fn run(args: &UmountArgs, environment: &Environment) -> Result<(), UmountError> {
    let followed = namespace::follow(&config::absolute(&args.mount_point)?)?;
    let path = mount_point::resolve(&followed.path).map_err(|error| match error {
        MountPointError::Missing(path) => UmountError::Missing(path),
        other => UmountError::Path(other),
    })?;
    let mounted = find(&path)?;
    let daemon = Daemon::of(&mounted, environment).and_then(|daemon| daemon.watch().ok());
    // A mount without its daemon has nobody who could be disturbed.
    let is_dead = mount_point::is_dead(&path, &mounted, environment);
    let how = if is_dead { How::Lazily } else { How::IfUnused };
    if how == How::IfUnused {
        may_unmount(&path, &mounted, environment)?;
    }
    unmount_unless_busy(&path, how, environment).map_err(|error| match error {
        UnmountError::Busy => UmountError::Busy { users: users_of(&path), path },
        UnmountError::Failed(reason) => UmountError::Failed { path, reason },
    })?;
    if daemon.is_some_and(|daemon| !daemon.wait(DAEMON_TIMEOUT)) {
        tell("it is unmounted, but its daemon has not ended yet; its log says what it waits for");
    }
    if let Some(holder) = followed.holder {
        // It removes what was made for the mount. Whether it is in time changes nothing else.
        let _ = holder.wait(Some(DAEMON_TIMEOUT));
    }
    Ok(())
}

/// Asks the daemon, which waits until what programs wrote is in the bucket.
fn may_unmount(
    path: &Path,
    mounted: &Mounted,
    environment: &Environment,
) -> Result<(), UmountError> {
    let Some(daemon) = Daemon::of(mounted, environment) else {
        tell("its daemon can't be asked whether everything is in the bucket; it sends what is not");
        return Ok(());
    };
    let silent = |_| UmountError::Silent(path.to_path_buf());
    // However long it takes: the user can end the waiting.
    for line in daemon.ask("unmount", Duration::MAX).map_err(silent)? {
        let line = line.map_err(silent)?;
        if let Some(sentence) = line.strip_prefix(NO) {
            return Err(UmountError::Refused(sentence.to_owned()));
        } else if let Some(note) = line.strip_prefix(NOTE) {
            tell(note);
        } else if line == GO {
            break;
        }
    }
    // Also when it has ended meanwhile, or takes us for a stranger: the kernel decides.
    Ok(())
}

/// The mount of s3mem on `path` that this user may unmount.
fn find(path: &Path) -> Result<Mounted, UmountError> {
    let table = MountTable::read().map_err(UmountError::Table)?;
    let path = path.to_path_buf();
    let Some(mounted) = table.on(&path) else {
        return Err(match table.s3mem_around(&path) {
            Some(around) => UmountError::Inside { path, mount_point: around.mount_point.clone() },
            None => UmountError::NotMounted(path),
        });
    };
    if !mounted.is_s3mem() {
        let (what, fs_type) = (mounted.source.clone(), mounted.fs_type.clone());
        return Err(UmountError::NotOurs { path, what, fs_type });
    }
    let me = sys::effective_uid();
    match mounted.user {
        Some(user) if me != 0 && user != me => Err(UmountError::OfSomebodyElse { path, user }),
        _ => Ok(mounted.clone()),
    }
}

fn unmount_unless_busy(
    path: &Path,
    how: How,
    environment: &Environment,
) -> Result<(), UnmountError> {
    for _ in 1..BUSY_ATTEMPTS {
        match unmount(path, how, environment) {
            Err(UnmountError::Busy) => thread::sleep(BUSY_PAUSE),
            outcome => return outcome,
        }
    }
    unmount(path, how, environment)
}

/// Who uses the mount, as far as this user may know: ` by python3 (process 12)`.
fn users_of(mount_point: &Path) -> String {
    let mut users: Vec<String> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(is_another_process))
        .filter(|entry| uses(&entry.path(), mount_point))
        .map(|entry| {
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            format!("{} (process {})", name.trim_end(), entry.file_name().display())
        })
        .collect();
    if users.is_empty() {
        return String::new();
    }
    let others = users.len().saturating_sub(NAMED_USERS);
    users.truncate(NAMED_USERS);
    let others = if others > 0 { format!(" and {others} more") } else { String::new() };
    format!(" by {}{others}", users.join(", "))
}

fn is_another_process(name: &str) -> bool {
    name.parse::<u32>().is_ok_and(|id| id != std::process::id())
}

/// Whether a process stands in the mount, runs a program of it, or has a file of it
/// open or mapped. Reads links and the list of mappings; touches no file of the mount.
fn uses(process: &Path, mount_point: &Path) -> bool {
    let leads_there =
        |link: PathBuf| fs::read_link(link).is_ok_and(|to| to.starts_with(mount_point));
    if ["cwd", "root", "exe"].iter().any(|name| leads_there(process.join(name))) {
        return true;
    }
    let descriptors = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    if descriptors.map(|entry| entry.path()).any(leads_there) {
        return true;
    }
    let mappings = fs::read_to_string(process.join("maps")).unwrap_or_default();
    mappings
        .lines()
        .filter_map(|line| line.find('/').map(|at| Path::new(&line[at..])))
        .any(|file| file.starts_with(mount_point))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::process::{Command, Stdio};

    #[test]
    fn a_process_that_stands_in_the_folder_or_holds_a_file_open_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let folder = fs::canonicalize(dir.path()).unwrap();
        let file = File::create(folder.join("file")).unwrap();
        for (cwd, input) in [(folder.as_path(), None), (Path::new("/"), Some(file))] {
            let input = input.map_or(Stdio::null(), Stdio::from);
            let mut sleep =
                Command::new("sleep").arg("60").current_dir(cwd).stdin(input).spawn().unwrap();
            let users = users_of(&folder);
            sleep.kill().unwrap();
            sleep.wait().unwrap();
            assert!(users.contains(&format!("sleep (process {})", sleep.id())), "{users}");
            assert!(!users_of(&folder).contains(&sleep.id().to_string()));
        }
    }

    #[test]
    fn what_is_no_mount_of_ours_is_left_alone_with_a_sentence() {
        let dir = tempfile::tempdir().unwrap();
        let folder = fs::canonicalize(dir.path()).unwrap();
        assert!(matches!(find(&folder), Err(UmountError::NotMounted(_))));
        let error = find(Path::new("/proc")).unwrap_err();
        assert!(error.to_string().contains("not a mount of s3mem but proc"), "{error}");
    }
}
