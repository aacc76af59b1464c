//! `s3mem refresh`: has mounts forget what they know of files and trees.
//!
//! Contract: asks through the mount itself, by an attribute that only this command reads, so
//! whoever may read a file may do it, however the daemon was started.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::text::tell;
use crate::cli::RefreshArgs;
use crate::fs::REFRESH;

/// Why a path was not refreshed. Each is a sentence for the user.
#[derive(Debug, thiserror::Error)]
pub(super) enum RefreshError {
    #[error("{0} does not exist, and is not in a mount of s3mem")]
    Missing(PathBuf),
    #[error("{0} does not exist; what was known of its folder is forgotten")]
    StillMissing(PathBuf),
    #[error("{0} is not in a mount of s3mem, or only in one of an older version")]
    NotOurs(PathBuf),
    #[error("{path} can't be refreshed: {cause}")]
    System { path: PathBuf, cause: io::Error },
    /// Each was told already.
    #[error("not all paths were refreshed")]
    Some,
}

/// Runs the command: each path, whatever becomes of the others.
pub(super) fn run(args: &RefreshArgs) -> Result<(), RefreshError> {
    let failed = args.paths.iter().filter_map(|path| refresh(path).err());
    let failed: Vec<RefreshError> = failed.collect();
    match failed.len() {
        0 => Ok(()),
        1 => failed.into_iter().next().map_or(Ok(()), Err),
        _ => {
            failed.iter().for_each(|error| tell(&error.to_string()));
            Err(RefreshError::Some)
        }
    }
}

fn refresh(path: &Path) -> Result<(), RefreshError> {
    let system = |cause| RefreshError::System { path: path.to_owned(), cause };
    // Whoever stands in a folder finds its path now, and not while it is being forgotten.
    match fs::canonicalize(path) {
        Ok(full) => forget(&full, path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let full = std::path::absolute(path).map_err(system)?;
            let folder = full.ancestors().skip(1).find(|folder| folder.is_dir());
            let folder = folder.ok_or_else(|| RefreshError::Missing(path.to_owned()))?;
            match forget(folder, path) {
                Err(RefreshError::NotOurs(path)) => Err(RefreshError::Missing(path)),
                Err(error) => Err(error),
                Ok(()) if full.exists() => Ok(()),
                Ok(()) => Err(RefreshError::StillMissing(path.to_owned())),
            }
        }
        Err(cause) => Err(system(cause)),
    }
}

/// `typed` is how the user calls it.
fn forget(full: &Path, typed: &Path) -> Result<(), RefreshError> {
    match rustix::fs::getxattr(full, REFRESH, &mut [0; 64]) {
        Ok(_) => {}
        Err(Errno::NODATA | Errno::OPNOTSUPP) => {
            return Err(RefreshError::NotOurs(typed.to_owned()));
        }
        Err(errno) => {
            return Err(RefreshError::System { path: typed.to_owned(), cause: errno.into() });
        }
    }
    // The kernel gives a folder that is in use its name back when somebody looks it up.
    let _ = fs::metadata(full);
    Ok(())
}
