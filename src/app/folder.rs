//! A folder to mount on that may have to be made first.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Names that are tried for a temporary folder.
const ATTEMPTS: u32 = 100;

/// Why there is no folder. The sentence ends with how to name another one.
#[derive(Debug, thiserror::Error)]
#[error("the folder {path} for the files can't be made: {cause}; choose another")]
pub(super) struct FolderError {
    path: PathBuf,
    cause: io::Error,
}

/// The folder for the files; removed in the end if it was made for them.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    is_ours: bool,
}

impl Folder {
    /// The folder that is named, or one that nobody else gets into.
    pub(super) fn of(named: Option<&Path>) -> Result<Folder, FolderError> {
        let Some(path) = named else {
            return Folder::temporary();
        };
        let wrong = |cause| FolderError { path: path.to_owned(), cause };
        let path = std::path::absolute(path).map_err(wrong)?;
        match DirBuilder::new().create(&path) {
            Ok(()) => Ok(Folder { path, is_ours: true }),
            // A dead mount, too, is somebody's folder.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Ok(Folder { path, is_ours: false })
            }
            Err(cause) => Err(FolderError { path, cause }),
        }
    }

    /// One of the same name is what a killed s3mem left.
    fn temporary() -> Result<Folder, FolderError> {
        let mut attempt = 0;
        loop {
            let name = format!("s3mem-mount-{}-{attempt}", std::process::id());
            let path = std::env::temp_dir().join(name);
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Folder { path, is_ours: true }),
                Err(error)
                    if error.kind() == io::ErrorKind::AlreadyExists && attempt < ATTEMPTS =>
                {
                    attempt += 1;
                }
                Err(cause) => return Err(FolderError { path, cause }),
            }
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder if it was made for the files.
    pub(super) fn made(&self) -> Option<&Path> {
        Some(self.path.as_path()).filter(|_| self.is_ours)
    }

    /// Leaves it where it is: another process removes it.
    pub(super) fn leave(mut self) {
        self.is_ours = false;
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.is_ours {
            // Only an empty folder goes; one that still is a mount stays.
            let _ = fs::remove_dir(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_folder_that_was_made_for_the_files_is_removed() {
        let above = tempfile::tempdir().unwrap();
        let (old, new) = (above.path().join("old"), above.path().join("new"));
        fs::create_dir(&old).unwrap();
        for path in [&old, &new] {
            let folder = Folder::of(Some(path)).unwrap();
            assert_eq!(folder.path, *path);
            assert_eq!(folder.made().is_some(), path == &new);
        }
        assert!(old.exists() && !new.exists());
        let own = Folder::of(None).unwrap();
        let path = own.path.clone();
        assert!(path.exists());
        drop(own);
        assert!(!path.exists());
        let kept = Folder::of(Some(&new)).unwrap();
        kept.leave();
        assert!(new.exists());
        let nowhere = above.path().join("a/b");
        assert!(Folder::of(Some(&nowhere)).unwrap_err().to_string().contains("choose another"));
    }
}
