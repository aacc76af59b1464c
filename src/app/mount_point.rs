//! The folder to mount on: whether it can be used, and what stands in the way.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::control::Daemon;
use super::detach::{How, UnmountError, unmount};
use super::mount_table::{MountTable, Mounted};
use crate::config::Environment;
use crate::sys;

/// Why nothing can be mounted there. Each is a sentence for the user.
#[derive(Debug, thiserror::Error)]
pub(super) enum MountPointError {
    #[error("the mount point {0} does not exist; create it with: mkdir -p '{0}'")]
    Missing(PathBuf),
    #[error("the mount point {0} is not a folder; give an empty folder")]
    NotADirectory(PathBuf),
    #[error(
        "the mount point {0} is not empty, and its files would be hidden; give an empty folder"
    )]
    NotEmpty(PathBuf),
    #[error("{what} is already mounted on {path}; unmount it first, with: s3mem umount '{path}'")]
    MountedByUs { path: PathBuf, what: String },
    #[error(
        "{what} ({fs_type}) is already mounted on {path}; give another folder, or unmount it first, with: umount '{path}'"
    )]
    MountedByOthers { path: PathBuf, what: String, fs_type: String },
    #[error(
        "a dead mount of {what} ({fs_type}) is on {path} (\"Transport endpoint is not connected\"); \
         its program has crashed. Remove it with: fusermount3 -uz '{path}' (as root: umount -l '{path}')"
    )]
    DeadOfOthers { path: PathBuf, what: String, fs_type: String },
    #[error(
        "a dead mount of {what} that a crashed s3mem left on {path} can't be removed: {reason}; try: sudo umount -l '{path}'"
    )]
    DeadStays { path: PathBuf, what: String, reason: String },
    #[error(
        "you may not write to the mount point {0}, and an ordinary user can mount only on a folder that is theirs; create one with: mkdir ~/s3"
    )]
    NotWritable(PathBuf),
    #[error(
        "the mount point {0} lies in a folder shared by all and belongs to somebody else; create a folder of your own with: mkdir ~/s3"
    )]
    NotOwned(PathBuf),
    #[error(
        "the mount point /dev/fd/{descriptor} is no FUSE device that another program has opened and \
         mounted: {reason}"
    )]
    NoDevice { descriptor: u32, reason: String },
    #[error("another s3mem is starting on {0}, and does not get on; try again when it has ended")]
    Starting(PathBuf),
    #[error("the mount point {path} can't be looked at: {cause}")]
    Unreadable { path: PathBuf, cause: io::Error },
}

/// How many dead mounts are removed before giving up: a crash and a restart
/// several times over leave a stack of them.
const MAX_DEAD_MOUNTS: usize = 16;

/// Makes sure that `typed` can be mounted on, removes dead mounts of ours, and
/// returns the path as the kernel will show it.
pub(super) fn claim(typed: &Path, environment: &Environment) -> Result<PathBuf, MountPointError> {
    let path = resolve(typed)?;
    for _ in 0..MAX_DEAD_MOUNTS {
        let table = MountTable::read().map_err(|cause| unreadable(&path, cause))?;
        match table.on(&path) {
            // Whoever looks into it has it mounted, by us. What it covers is hidden already.
            Some(mounted) if mounted.is_automount() => return Ok(path),
            Some(mounted) => replace(&path, mounted, environment)?,
            None => return check_folder(&path).map(|()| path),
        }
    }
    Err(MountPointError::NotEmpty(path))
}

/// The path without symbolic links. Works on dead mounts too: nothing below the
/// last component is asked for.
pub(super) fn resolve(typed: &Path) -> Result<PathBuf, MountPointError> {
    fs::canonicalize(typed).or_else(|error| {
        let above = typed.parent().map(fs::canonicalize);
        match (error.kind(), above, typed.file_name()) {
            (io::ErrorKind::NotFound, _, _) => Err(MountPointError::Missing(typed.into())),
            (io::ErrorKind::NotADirectory, _, _) => {
                Err(MountPointError::NotADirectory(typed.into()))
            }
            (_, Some(Ok(above)), Some(name)) => Ok(above.join(name)),
            _ => Err(unreadable(typed, error)),
        }
    })
}

/// Whether the daemon behind a mount is gone. One that shows a sign of life is not
/// asked, because it may be too busy to answer.
pub(super) fn is_dead(path: &Path, mounted: &Mounted, environment: &Environment) -> bool {
    Daemon::of(mounted, environment).is_none()
        && fs::metadata(path).is_err_and(|error| error.raw_os_error() == Some(libc::ENOTCONN))
}

/// Removes a dead mount of ours; anything else that is mounted is an error.
fn replace(
    path: &Path,
    mounted: &Mounted,
    environment: &Environment,
) -> Result<(), MountPointError> {
    let (path_buf, what) = (path.to_path_buf(), mounted.source.clone());
    match (is_dead(path, mounted, environment), mounted.is_s3mem()) {
        (true, true) => unmount(path, How::Lazily, environment).map_err(|error| {
            let reason = match error {
                UnmountError::Busy => "it is in use".to_owned(),
                UnmountError::Failed(reason) => reason,
            };
            MountPointError::DeadStays { path: path_buf, what, reason }
        }),
        (true, false) => {
            let fs_type = mounted.fs_type.clone();
            Err(MountPointError::DeadOfOthers { path: path_buf, what, fs_type })
        }
        (false, true) => Err(MountPointError::MountedByUs { path: path_buf, what }),
        (false, false) => {
            let fs_type = mounted.fs_type.clone();
            Err(MountPointError::MountedByOthers { path: path_buf, what, fs_type })
        }
    }
}

pub(super) fn check_folder(path: &Path) -> Result<(), MountPointError> {
    let metadata = fs::metadata(path).map_err(|cause| unreadable(path, cause))?;
    if !metadata.is_dir() {
        return Err(MountPointError::NotADirectory(path.into()));
    }
    let first = fs::read_dir(path).and_then(|mut entries| entries.next().transpose());
    if first.map_err(|cause| unreadable(path, cause))?.is_some() {
        return Err(MountPointError::NotEmpty(path.into()));
    }
    if sys::may_mount() {
        return Ok(());
    }
    // What fusermount3 would refuse in its own words.
    const STICKY: u32 = 0o1000;
    if metadata.mode() & STICKY != 0 && metadata.uid() != sys::effective_uid() {
        return Err(MountPointError::NotOwned(path.into()));
    }
    if !sys::may_write(path) {
        return Err(MountPointError::NotWritable(path.into()));
    }
    Ok(())
}

fn unreadable(path: &Path, cause: io::Error) -> MountPointError {
    MountPointError::Unreadable { path: path.into(), cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(path: &Path) -> String {
        claim(path, &Environment::default()).unwrap_err().to_string()
    }

    #[test]
    fn an_empty_folder_is_good_and_links_to_it_are_followed() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("empty");
        fs::create_dir(&folder).unwrap();
        std::os::unix::fs::symlink(&folder, dir.path().join("link")).unwrap();
        let claimed = claim(&dir.path().join("link"), &Environment::default()).unwrap();
        assert_eq!(claimed, fs::canonicalize(&folder).unwrap());
    }

    #[test]
    fn what_stands_in_the_way_is_named_with_a_way_out() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "x").unwrap();
        assert!(refusal(&dir.path().join("none")).contains("mkdir -p"));
        assert!(refusal(&file).contains("is not a folder"));
        assert!(refusal(&file.join("below")).contains("is not a folder"));
        assert!(refusal(dir.path()).contains("is not empty"));
        assert!(refusal(Path::new("/proc")).contains("already mounted"));
    }
}
