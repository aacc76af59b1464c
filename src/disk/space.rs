//! How much the entries take together, over all mounts that share the folder.
//!
//! Whoever writes holds a lock (flock) on the file `lock`, from before the entry's file is made
//! until it has its place, so one writes at a time and an unfinished file found under the lock
//! is one that a killed process has left. The file holds the sum of what the entries take. It
//! is counted up before something is written, so a crash makes it too large, never too small;
//! when it is used up, or is nonsense, all files are counted and the least recently used ones
//! deleted. Nobody reads under the lock.

use std::fs::{self, File, FileTimes, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, flock};

/// What a file that is being written ends in.
pub(super) const UNFINISHED: &str = "new";
/// What a file takes beside its bytes: its inode, and the end of its last block.
const FILE_BYTES: u64 = 4 << 10;
/// An entry that was used is noted so seldom: that, too, is a write.
const USE_NOTED: Duration = Duration::from_secs(60);

/// The space of a folder.
#[derive(Debug)]
pub(super) struct Space {
    root: PathBuf,
    limit_bytes: u64,
    /// What was so when it was last looked at.
    used_bytes: AtomicU64,
}

/// The lock on a folder's space, until it is dropped.
#[derive(Debug)]
pub(super) struct Locked<'s> {
    space: &'s Space,
    file: File,
}

/// A file that was found.
struct Found {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

impl Space {
    pub(super) fn new(root: &Path, limit_bytes: u64) -> Self {
        Space { root: root.into(), limit_bytes, used_bytes: AtomicU64::new(0) }
    }

    pub(super) fn used_bytes(&self) -> u64 {
        self.used_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    /// Waits until nobody else writes.
    pub(super) fn lock(&self) -> io::Result<Locked<'_>> {
        let path = self.root.join("lock");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        loop {
            let file = options.open(&path)?;
            flock(&file, FlockOperation::LockExclusive)?;
            // Whoever has deleted the folder meanwhile has deleted the lock with it.
            let (held, there) = (file.metadata()?, fs::metadata(&path));
            if there.is_ok_and(|there| (there.dev(), there.ino()) == (held.dev(), held.ino())) {
                return Ok(Locked { space: self, file });
            }
        }
    }
}

impl Locked<'_> {
    /// Counts `bytes` more, for a file of its own. What is too much with them is deleted; how
    /// many entries that was. `None` if they do not fit at all.
    pub(super) fn take(&mut self, bytes: u64) -> io::Result<Option<u64>> {
        let (bytes, limit) = (bytes.saturating_add(FILE_BYTES), self.space.limit_bytes);
        if bytes > limit {
            return Ok(None);
        }
        let mut evicted = 0;
        let fits = |sum: &u64| sum.checked_add(bytes).is_some_and(|sum| sum <= limit);
        if self.sum().filter(fits).is_none() {
            evicted = self.recount(bytes)?;
        }
        let sum = self.sum().unwrap_or_default() + bytes;
        self.note(sum)?;
        Ok(Some(evicted))
    }

    /// Counts `bytes` less, which were a file if `is_file`.
    pub(super) fn give_back(&mut self, bytes: u64, is_file: bool) -> io::Result<()> {
        let bytes = bytes + if is_file { FILE_BYTES } else { 0 };
        match bytes {
            0 => Ok(()),
            _ => self.note(self.sum().unwrap_or_default().saturating_sub(bytes)),
        }
    }

    /// Counts all files, and deletes the least recently used ones until there is room for
    /// `bytes` more; how many that were.
    pub(super) fn recount(&mut self, bytes: u64) -> io::Result<u64> {
        let limit = self.space.limit_bytes;
        let mut found = self.find()?;
        let mut sum: u64 = found.iter().map(|file| file.bytes).sum();
        let mut evicted = 0;
        if sum + bytes > limit {
            found.sort_by_key(|file| file.used);
            // A tenth more, so that not every entry that comes has all of them counted.
            let goal = (limit / 10 * 9).min(limit - bytes);
            for file in found {
                if sum <= goal {
                    break;
                }
                delete(&file.path)?;
                sum -= file.bytes;
                evicted += 1;
            }
        }
        self.note(sum)?;
        Ok(evicted)
    }

    /// All entries. Unfinished ones are deleted.
    fn find(&self) -> io::Result<Vec<Found>> {
        let mut found = Vec::new();
        for folder in fs::read_dir(&self.space.root)? {
            let folder = folder?;
            if !folder.file_type()?.is_dir() {
                continue;
            }
            for file in fs::read_dir(folder.path())? {
                let path = file?.path();
                if path.extension().is_some_and(|extension| extension == UNFINISHED) {
                    delete(&path)?;
                    continue;
                }
                // One that somebody has just deleted takes nothing.
                let Ok(about) = fs::symlink_metadata(&path) else { continue };
                let used = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                found.push(Found { path, bytes: about.len() + FILE_BYTES, used });
            }
        }
        Ok(found)
    }

    /// The sum, if there is one.
    fn sum(&self) -> Option<u64> {
        let mut sum = [0; 8];
        let is_there = self.file.metadata().is_ok_and(|about| about.len() == 8)
            && self.file.read_exact_at(&mut sum, 0).is_ok();
        is_there.then_some(u64::from_le_bytes(sum))
    }

    fn note(&self, sum: u64) -> io::Result<()> {
        self.space.used_bytes.store(sum, Ordering::Relaxed);
        self.file.write_all_at(&sum.to_le_bytes(), 0)
    }
}

/// Deletes a file, which somebody else may have done.
fn delete(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// Notes that an entry was used now.
pub(super) fn note_use(file: &File) {
    let now = SystemTime::now();
    let noted = file.metadata().and_then(|about| about.modified());
    let is_old = |noted| now.duration_since(noted).is_ok_and(|age| age >= USE_NOTED);
    if noted.is_ok_and(is_old) {
        // Of a folder that can be read only, nothing is written anyway.
        let _ = file.set_times(FileTimes::new().set_modified(now));
    }
}
