//! The bytes of a file that a program writes, and which state they are in.
//!
//! The bytes are a [`MemFile`]: an unnamed file of a tmpfs that is mounted nowhere, with
//! huge pages and a size that the kernel enforces, or a memfd without the privilege to
//! mount one. With `--writes memory` the kernel may read and write it by itself, and what
//! bypasses the daemon is not seen: attributes come from the file, and whether a sibling is
//! still right is decided from the size, the time and (since a mapping changes neither) a
//! checksum, at most once a second. With `--writes upload` every write comes here, and is
//! counted in the file's [`Progress`].

use std::io;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use crc_fast::{CrcAlgorithm, Digest};

use super::progress::Progress;
use crate::mem::MemFile;
use crate::sync::{Mutex, Rank, ReadGuard};

/// A write through a mapping shows only in the bytes. So they are read again when
/// somebody asks for a sibling, at most this often.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const PIECE_BYTES: usize = 1 << 20;

/// A file in memory.
#[derive(Debug)]
pub struct DraftFile {
    bytes: Arc<MemFile>,
    progress: OnceLock<Progress>,
    state: Mutex<State>,
}

/// One state of a file's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// Another number for other bytes.
    pub generation: u64,
    /// The size in bytes.
    pub size: u64,
    /// When it was last written to.
    pub modified: SystemTime,
    checksum: u64,
    looked: Option<Instant>,
}

impl DraftFile {
    /// A file of these bytes, and what it is in the bucket, if it belongs there.
    pub fn new(bytes: MemFile, progress: Option<Progress>) -> Arc<Self> {
        let state = State {
            generation: 0,
            size: 0,
            modified: SystemTime::UNIX_EPOCH,
            checksum: 0,
            looked: None,
        };
        let progress = progress.map_or_else(OnceLock::new, OnceLock::from);
        Arc::new(DraftFile {
            bytes: Arc::new(bytes),
            progress,
            state: Mutex::new(Rank::Draft, state),
        })
    }

    /// What it is in the bucket; `None` for a file that stays in memory.
    pub fn progress(&self) -> Option<&Progress> {
        self.progress.get()
    }

    /// Makes a file that stayed in memory one that belongs into the bucket.
    pub fn publish(&self, progress: Progress) {
        // One that becomes an object already goes on as it was.
        let _ = self.progress.set(progress);
    }

    /// Notes a write of everything, for writes that nobody could count.
    pub fn note_written_unseen(&self) {
        if let (Some(progress), Ok(stat)) = (self.progress(), self.bytes.stat()) {
            progress.note_written(0..stat.size);
        }
    }

    /// The bytes of a range; fewer only where the file ends.
    ///
    /// # Errors
    /// [`SentAway`](super::SentAway) where only the upload has them.
    pub fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let _here = self.hold(offset..offset.saturating_add(length as u64))?;
        self.bytes.read(offset, length)
    }

    /// Writes all of `bytes` at `offset`; the parts that can be sent ahead now.
    ///
    /// # Errors
    /// No room; and as [`DraftFile::read`].
    pub fn write(&self, bytes: &[u8], offset: u64) -> io::Result<Range<u32>> {
        let range = offset..offset.saturating_add(bytes.len() as u64);
        let _here = self.hold_to_write(range.clone())?;
        let outcome = self.bytes.write_at(bytes, offset);
        match (outcome, self.progress()) {
            (Ok(()), Some(progress)) => Ok(progress.note_written(range)),
            (Ok(()), None) => Ok(0..0),
            (Err(error), progress) => {
                if let Some(progress) = progress {
                    progress.note_half_written(&range, self.bytes.stat()?.size);
                }
                Err(error)
            }
        }
    }

    /// Makes it `size` bytes long.
    ///
    /// # Errors
    /// As [`DraftFile::write`].
    pub fn resize(&self, size: u64) -> io::Result<()> {
        match self.progress() {
            Some(progress) => progress.resize(size, || self.bytes.set_len(size)),
            None => self.bytes.set_len(size),
        }
    }

    /// As fallocate(2).
    ///
    /// # Errors
    /// As [`DraftFile::write`].
    pub fn allocate(&self, mode: u32, offset: u64, length: u64) -> io::Result<()> {
        let range = offset..offset.saturating_add(length);
        let _here = self.hold_to_write(range.clone())?;
        let outcome = self.bytes.allocate(mode, offset, length);
        if let Some(progress) = self.progress() {
            let size = self.bytes.stat()?.size;
            match &outcome {
                Ok(()) => progress.note_allocated(&range, size),
                Err(_) => progress.note_half_written(&range, size),
            }
        }
        outcome
    }

    fn hold_to_write(&self, range: Range<u64>) -> io::Result<Option<ReadGuard<'_, ()>>> {
        let held = self.progress().map(|progress| progress.hold_to_write(range));
        held.transpose().map_err(io::Error::other)
    }

    fn hold(&self, range: Range<u64>) -> io::Result<Option<ReadGuard<'_, ()>>> {
        self.progress().map(|progress| progress.hold(range)).transpose().map_err(io::Error::other)
    }

    /// The bytes.
    pub fn bytes(&self) -> &Arc<MemFile> {
        &self.bytes
    }

    /// The state that was last seen, if nothing says that it is another one now. Apart from
    /// [`DraftFile::state`], because that reads all bytes and may only be called where a
    /// thread may block.
    pub fn state_known(&self) -> Option<State> {
        let stat = self.bytes.stat().ok()?;
        let state = *self.state.lock();
        let is_fresh = state.looked.is_some_and(|looked| looked.elapsed() < LOOK_AGAIN);
        (is_fresh && (state.size, state.modified) == (stat.size, stat.modified)).then_some(state)
    }

    /// Which state the bytes are in. Reads all of them, where a mapping may have
    /// changed them unseen; so it must not be called where nothing may block.
    pub fn state(&self) -> io::Result<State> {
        if let Some(state) = self.state_known() {
            return Ok(state);
        }
        let looked = Some(Instant::now());
        let stat = self.bytes.stat()?;
        let checksum = self.checksum()?;
        let mut state = self.state.lock();
        let is_same = state.looked.is_some()
            && (state.size, state.modified, state.checksum) == (stat.size, stat.modified, checksum);
        let generation = if is_same { state.generation } else { state.generation + 1 };
        *state = State { generation, size: stat.size, modified: stat.modified, checksum, looked };
        Ok(*state)
    }

    /// CRC-64/NVME of all bytes.
    fn checksum(&self) -> io::Result<u64> {
        let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
        let mut buffer = vec![0; PIECE_BYTES];
        let mut offset = 0;
        loop {
            let count = self.bytes.read_at(&mut buffer, offset)?;
            if count == 0 {
                return Ok(digest.finalize());
            }
            digest.update(&buffer[..count]);
            offset += count as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::Arena;

    #[test]
    fn other_bytes_are_another_state_and_the_same_are_not() {
        let file = DraftFile::new(Arena::new(1 << 20).file().unwrap(), None);
        file.bytes().write_at(b"first", 0).unwrap();
        let first = file.state().unwrap();
        assert_eq!(file.state().unwrap(), first);
        assert_eq!(file.state_known(), Some(first));
        file.bytes().write_at(b"other", 0).unwrap();
        let other = file.state().unwrap();
        assert_ne!(other.generation, first.generation);
        assert_eq!(other.size, 5);
    }

    #[test]
    fn bytes_that_change_without_a_new_time_are_seen_when_looked_at_again() {
        let file = DraftFile::new(Arena::new(1 << 20).file().unwrap(), None);
        file.bytes().write_at(b"first", 0).unwrap();
        let first = file.state().unwrap();
        file.bytes().write_at(b"other", 0).unwrap();
        // As a mapping writes: the time stays.
        file.bytes().set_times(None, Some(first.modified)).unwrap();
        file.state.lock().looked = Instant::now().checked_sub(2 * LOOK_AGAIN);
        assert_ne!(file.state().unwrap().generation, first.generation);
    }
}
