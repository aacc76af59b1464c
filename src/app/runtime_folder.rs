//! The folder where the daemons of one user keep sockets and locks.
//!
//! Contract: nobody but this user and root gets into the folder, whatever was there
//! before. A place where somebody else could put their own folder is not used.

use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::config::Environment;
use crate::sys;

/// What everybody but the owner may do.
const OTHERS: u32 = 0o077;
const STICKY: u32 = 0o1000;

/// The first of this user's folders that can be used, made if it is missing.
pub(super) fn prepare(environment: &Environment) -> io::Result<PathBuf> {
    let me = sys::effective_uid();
    let mut failed = io::Error::from(io::ErrorKind::NotFound);
    for folder in environment.runtime_folders(me) {
        match make_private(&folder, me) {
            Ok(()) => return Ok(folder),
            Err(error) => {
                failed = io::Error::new(error.kind(), format!("{}: {error}", folder.display()));
            }
        }
    }
    Err(failed)
}

/// Makes `folder` one that only `me` gets into.
fn make_private(folder: &Path, me: u32) -> io::Result<()> {
    let above = folder.parent().unwrap_or(Path::new("/"));
    if !keeps_names(&fs::metadata(above)?, me) {
        return Err(io::Error::other("others may rename what is in the folder above"));
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    // Not of what a link leads to: the link may be another user's.
    let metadata = fs::symlink_metadata(folder)?;
    if !metadata.is_dir() || metadata.uid() != me {
        return Err(io::Error::other("it is not a folder of this user"));
    }
    if metadata.mode() & OTHERS != 0 {
        fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Whether nobody but `me` and root can put something else in the place of what `me`
/// has in a folder.
fn keeps_names(folder: &Metadata, me: u32) -> bool {
    let is_ours = [0, me].contains(&folder.uid());
    is_ours && (folder.mode() & 0o022 == 0 || folder.mode() & STICKY != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_folder_that_others_could_enter_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, me) = (dir.path().join("s3mem"), sys::effective_uid());
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        for _ in 0..2 {
            make_private(&folder, me).unwrap();
            assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
        }
    }

    #[test]
    fn what_somebody_else_has_put_there_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, me) = (dir.path().join("s3mem"), sys::effective_uid());
        let elsewhere = dir.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        symlink(&elsewhere, &folder).unwrap();
        assert!(make_private(&folder, me).is_err(), "a link");
        fs::remove_file(&folder).unwrap();
        fs::create_dir(&folder).unwrap();
        assert!(make_private(&folder, me + 1).is_err(), "another user's");
        fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).unwrap();
        assert!(make_private(&folder, me).is_err(), "anybody may rename it");
        fs::set_permissions(dir.path(), Permissions::from_mode(0o1777)).unwrap();
        make_private(&folder, me).unwrap();
    }

    #[test]
    fn the_first_folder_that_can_be_used_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let xdg =
            Environment { runtime_folder: Some(dir.path().to_owned()), ..Environment::default() };
        let prepared = prepare(&xdg).unwrap();
        match sys::effective_uid() {
            0 => assert!(["/run/s3mem", "/tmp/s3mem-0"].map(Path::new).contains(&&*prepared)),
            _ => assert_eq!(prepared, dir.path().join("s3mem")),
        }
    }
}
