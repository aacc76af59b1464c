//! One start at a time on one mount point.
//!
//! Of several mounts of one folder that are started at once, each would find the folder
//! free, and the kernel puts one over the other. So each holds a lock of this user's for
//! the mount point from before it looks at the folder until its mount is in the table.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::text::tell;

/// How often to look whether the other has come to an end.
const PAUSE: Duration = Duration::from_millis(50);
/// After how long the user is told what is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Held while a mount point is taken.
#[derive(Debug)]
pub(super) struct StartLock {
    _file: File,
    path: PathBuf,
}

impl StartLock {
    /// Waits until nobody else is starting a mount on `mount_point`; `None` if that takes
    /// longer than `limit`.
    ///
    /// # Errors
    /// `folder` can't be written to.
    pub(super) fn take(
        folder: &Path,
        mount_point: &Path,
        limit: Duration,
    ) -> io::Result<Option<StartLock>> {
        let path = folder.join(format!("{:016x}.lock", fingerprint(mount_point)));
        let start = Instant::now();
        let mut has_told = false;
        while start.elapsed() < limit {
            if let Some(lock) = StartLock::try_take(&path)? {
                return Ok(Some(lock));
            }
            if !has_told && start.elapsed() > PATIENCE {
                has_told = true;
                tell(&format!("waiting for another start on {}", mount_point.display()));
            }
            thread::sleep(PAUSE);
        }
        Ok(None)
    }

    fn try_take(path: &Path) -> io::Result<Option<StartLock>> {
        let file =
            OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Whoever had it before has taken the file away since we opened it.
        let is_there = fs::metadata(path).is_ok_and(|there| {
            file.metadata().is_ok_and(|ours| (there.dev(), there.ino()) == (ours.dev(), ours.ino()))
        });
        Ok(is_there.then(|| StartLock { _file: file, path: path.to_owned() }))
    }
}

impl Drop for StartLock {
    fn drop(&mut self) {
        // While it is locked, so that nobody's is taken away.
        let _ = fs::remove_file(&self.path);
    }
}

/// FNV-1a. Two folders of one fingerprint wait for each other, and no more.
fn fingerprint(path: &Path) -> u64 {
    path.as_os_str().as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(120);

    #[test]
    fn of_two_who_start_on_one_folder_the_second_waits() {
        let dir = tempfile::tempdir().unwrap();
        let take = |path: &str, limit| StartLock::take(dir.path(), Path::new(path), limit).unwrap();
        let first = take("/mnt/a", MOMENT).unwrap();
        assert!(take("/mnt/a", MOMENT).is_none());
        let other = take("/mnt/b", MOMENT).unwrap();
        thread::scope(|scope| {
            let second = scope.spawn(|| take("/mnt/a", Duration::from_secs(60)).is_some());
            thread::sleep(MOMENT);
            drop(first);
            assert!(second.join().unwrap());
        });
        drop(other);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
