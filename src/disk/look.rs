//! A look at a folder that is, or is to be, a cache on disk; nothing in it changes by that.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::Advice;

use super::folder::{self, DiskError};

/// So much is read or written to see how fast that is, for so long at most.
const TRIAL_BYTES: u64 = 64 << 20;
const TRIAL: Duration = Duration::from_secs(2);
const PIECE_BYTES: usize = 1 << 20;
/// What `statfs` calls memory.
const TMPFS: u64 = 0x0102_1994;

/// What is in the folder, and how much room there is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Looked {
    /// Whether there is such a folder; otherwise a mount would make it.
    pub is_there: bool,
    /// How many entries there are.
    pub entries: u64,
    /// What they take.
    pub bytes: u64,
    /// What the disk has room for, beside them.
    pub free_bytes: u64,
    /// Whether it is memory and no disk (tmpfs).
    pub is_memory: bool,
}

/// How much went how fast.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trial {
    /// The bytes.
    pub bytes: u64,
    /// How long they took.
    pub took: Duration,
}

impl Trial {
    /// Bytes in a second.
    pub fn rate(&self) -> f64 {
        self.bytes as f64 / self.took.as_secs_f64().max(1e-9)
    }
}

/// Looks at the folder of `--cache-dir`.
///
/// # Errors
/// A mount could not use it.
pub fn look(named: &Path) -> Result<Looked, DiskError> {
    let unusable = |cause| DiskError::Unusable { folder: named.into(), cause };
    let is_there = match fs::metadata(named) {
        Ok(found) => {
            folder::check_owner(named, &found)?;
            true
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(unusable(error)),
    };
    let beside = if is_there { named } else { named.parent().unwrap_or(named) };
    let access = rustix::fs::access(beside, rustix::fs::Access::WRITE_OK);
    access.map_err(|error| unusable(error.into()))?;
    let room = rustix::fs::statfs(beside).map_err(|error| unusable(error.into()))?;
    let files = entries(named).map_err(unusable)?;
    Ok(Looked {
        is_there,
        entries: files.len() as u64,
        bytes: files.iter().map(|(_, bytes)| bytes).sum(),
        free_bytes: room.f_bavail.saturating_mul(u64::try_from(room.f_bsize).unwrap_or(0)),
        is_memory: room.f_type as u64 == TMPFS,
    })
}

/// How fast entries are read from the disk itself, the largest first; `None` if there are none.
pub fn try_reading(named: &Path) -> Option<Trial> {
    let mut files = entries(named).ok()?;
    files.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let mut piece = vec![0; PIECE_BYTES];
    let (mut read, mut took) = (0, Duration::ZERO);
    for (path, bytes) in files {
        let Ok(file) = File::open(&path) else { continue };
        // What the kernel has of it would be read from memory.
        let _ = rustix::fs::fadvise(&file, 0, None, Advice::DontNeed);
        let begun = Instant::now();
        let mut offset = 0;
        while offset < bytes && read < TRIAL_BYTES && took + begun.elapsed() < TRIAL {
            match file.read_at(&mut piece, offset) {
                Ok(count @ 1..) => (offset, read) = (offset + count as u64, read + count as u64),
                Ok(0) | Err(_) => break,
            }
        }
        took += begun.elapsed();
        if read >= TRIAL_BYTES || took >= TRIAL {
            break;
        }
    }
    (read > 0).then_some(Trial { bytes: read, took })
}

/// How fast a file is written to the folder until it is on the disk; it is deleted again.
///
/// # Errors
/// It can't be written.
pub fn try_writing(named: &Path) -> io::Result<Trial> {
    let path = named.join(format!("s3mem-doctor-{}", std::process::id()));
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(&path)?;
    let written = write_trial(&mut file);
    fs::remove_file(&path)?;
    written
}

fn write_trial(file: &mut File) -> io::Result<Trial> {
    // What is no pattern that a disk would write more quickly than others.
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let piece: Vec<u8> = (0..PIECE_BYTES / 8)
        .flat_map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        })
        .collect();
    let (begun, mut bytes) = (Instant::now(), 0);
    while bytes < TRIAL_BYTES && begun.elapsed() < TRIAL {
        file.write_all(&piece)?;
        bytes += piece.len() as u64;
    }
    file.sync_data()?;
    Ok(Trial { bytes, took: begun.elapsed() })
}

/// The entries and their sizes.
fn entries(named: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
    let mut found = Vec::new();
    for folder in list(&folder::root(named))? {
        if !folder.is_dir() {
            continue;
        }
        for path in list(&folder)? {
            // Another mount may have deleted it meanwhile.
            if let Ok(file) = fs::symlink_metadata(&path)
                && file.is_file()
            {
                found.push((path, file.len()));
            }
        }
    }
    Ok(found)
}

/// What is in a folder; nothing if there is none.
fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
