//! A file in memory: sparse, of any size, with a descriptor.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rustix::fs::{
    FallocateFlags, SeekFrom, Timespec, Timestamps, UTIME_OMIT, fallocate, futimens, seek,
};
use rustix::io::Errno;
use rustix::param::page_size;

use super::Arena;

/// What memory is had and given back by, in bytes: 4 KiB on most machines, 16 or 64 KiB on
/// some.
pub fn page_bytes() -> usize {
    page_size()
}

/// A file in an [`Arena`]. Its memory is given back when it is dropped, and when
/// what the kernel maps or reads of it is let go.
#[derive(Debug)]
pub struct MemFile {
    file: File,
    /// Behind the file: the memory is there to be had once that is closed, and not before.
    share: Share,
}

/// What the arena counts for a file.
#[derive(Debug)]
struct Share {
    arena: Arc<Arena>,
    /// Only where the arena counts.
    bytes: Mutex<u64>,
}

/// What the file is like at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemStat {
    /// Its size in bytes, holes included.
    pub size: u64,
    /// What it takes in memory, in bytes.
    pub held_bytes: u64,
    /// When it was last read, as far as somebody set that.
    pub accessed: SystemTime,
    /// When it was last written to by `write`, or what somebody set.
    pub modified: SystemTime,
    /// When it was last written to or its times were set.
    pub changed: SystemTime,
}

/// Where data or a hole begins, at or behind an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seek {
    /// The next data.
    Data(u64),
    /// The next hole; the end of the file is one.
    Hole(u64),
}

impl Arena {
    /// A new empty file.
    ///
    /// # Errors
    /// Too many open files, or no memory.
    pub fn file(self: &Arc<Self>) -> io::Result<MemFile> {
        let file = File::from(self.descriptor()?);
        Ok(MemFile { file, share: Share { arena: self.clone(), bytes: Mutex::new(0) } })
    }
}

impl MemFile {
    /// Reads at `offset`, up to the end of the file; how many bytes there were.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// The bytes of a range; fewer only where the file ends.
    pub fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let left = self.file.metadata()?.len().saturating_sub(offset);
        let mut bytes = vec![0; length.min(usize::try_from(left).unwrap_or(usize::MAX))];
        let count = self.read_at(&mut bytes, offset)?;
        bytes.truncate(count);
        Ok(bytes)
    }

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// No room in the arena (`StorageFull`); then nothing is written.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let length = bytes.len() as u64;
        self.growing(offset, length, || {
            // The kernel would write what fits of it.
            if self.share.arena.is_nearly_full(length) && self.has_hole(offset, length) {
                fallocate(&self.file, FallocateFlags::KEEP_SIZE, offset, length)?;
            }
            self.file.write_all_at(bytes, offset)
        })
    }

    /// Makes it `size` bytes long, with a hole behind what there was.
    pub fn set_len(&self, size: u64) -> io::Result<()> {
        self.file.set_len(size)?;
        self.count_again();
        self.share.arena.note_given_back();
        Ok(())
    }

    /// As fallocate(2), with its `mode`.
    pub fn allocate(&self, mode: u32, offset: u64, length: u64) -> io::Result<()> {
        let flags = FallocateFlags::from_bits(mode).ok_or(Errno::OPNOTSUPP)?;
        self.growing(offset, length, || Ok(fallocate(&self.file, flags, offset, length)?))?;
        if flags.contains(FallocateFlags::PUNCH_HOLE) {
            self.share.arena.note_given_back();
        }
        Ok(())
    }

    /// Gives the memory of a range back; it reads as zeros from now on.
    pub fn punch(&self, offset: u64, length: u64) -> io::Result<()> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(&self.file, flags, offset, length)?;
        self.count_again();
        self.share.arena.note_given_back();
        Ok(())
    }

    /// Where data or a hole begins.
    ///
    /// # Errors
    /// ENXIO behind the end of the file, and behind the last data.
    pub fn seek(&self, to: Seek) -> io::Result<u64> {
        Ok(seek(
            &self.file,
            match to {
                Seek::Data(offset) => SeekFrom::Data(offset),
                Seek::Hole(offset) => SeekFrom::Hole(offset),
            },
        )?)
    }

    /// Size, memory and times.
    pub fn stat(&self) -> io::Result<MemStat> {
        let of = self.file.metadata()?;
        let time = |seconds: i64, nanos: i64| system_time(seconds, nanos);
        Ok(MemStat {
            size: of.len(),
            held_bytes: of.blocks() * 512,
            accessed: time(of.atime(), of.atime_nsec()),
            modified: time(of.mtime(), of.mtime_nsec()),
            changed: time(of.ctime(), of.ctime_nsec()),
        })
    }

    /// Sets its times; those that are `None` stay.
    pub fn set_times(
        &self,
        accessed: Option<SystemTime>,
        modified: Option<SystemTime>,
    ) -> io::Result<()> {
        let spec = |time: Option<SystemTime>| match time {
            Some(time) => timespec(time),
            None => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        };
        let times = Timestamps { last_access: spec(accessed), last_modification: spec(modified) };
        Ok(futimens(&self.file, &times)?)
    }

    /// Does what may need memory for a range, if the arena has room for it.
    fn growing(
        &self,
        offset: u64,
        length: u64,
        grow: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        if !self.share.arena.counts() {
            return grow();
        }
        let mut counted = self.share.lock();
        let most_bytes = match self.has_hole(offset, length) {
            true => most_bytes(offset, length, page_bytes() as u64),
            false => 0,
        };
        if !self.share.arena.take(most_bytes) {
            return Err(io::Error::from(ErrorKind::StorageFull));
        }
        let outcome = grow();
        self.settle(&mut counted, most_bytes);
        outcome
    }

    fn count_again(&self) {
        if self.share.arena.counts() {
            self.settle(&mut self.share.lock(), 0);
        }
    }

    /// Counts what the file really takes, in place of what was counted and `extra`.
    fn settle(&self, counted: &mut u64, extra: u64) {
        let held = self.file.metadata().map_or(*counted, |stat| stat.blocks() * 512);
        let before = *counted + extra;
        if held > before {
            // Only other processes' mappings can make it so; it is there already.
            if !self.share.arena.take(held - before) {
                return;
            }
        } else {
            self.share.arena.give_back(before - held);
        }
        *counted = held;
    }

    /// Whether a range has parts without memory.
    fn has_hole(&self, offset: u64, length: u64) -> bool {
        match seek(&self.file, SeekFrom::Hole(offset)) {
            Ok(hole) => hole < offset.saturating_add(length),
            Err(_) => true,
        }
    }
}

impl Share {
    fn lock(&self) -> std::sync::MutexGuard<'_, u64> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for MemFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.arena.give_back(*self.lock());
        self.arena.closed();
        self.arena.note_given_back();
    }
}

fn system_time(seconds: i64, nanos: i64) -> SystemTime {
    let fraction = Duration::from_nanos(nanos.max(0).unsigned_abs());
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let time = if seconds >= 0 {
        SystemTime::UNIX_EPOCH.checked_add(whole)
    } else {
        SystemTime::UNIX_EPOCH.checked_sub(whole)
    };
    time.and_then(|time| time.checked_add(fraction)).unwrap_or(SystemTime::UNIX_EPOCH)
}

fn timespec(time: SystemTime) -> Timespec {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => Timespec {
            tv_sec: since.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: since.subsec_nanos().into(),
        },
        Err(before) => {
            let before = before.duration();
            let (seconds, nanos) = (before.as_secs(), before.subsec_nanos());
            let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
            match nanos {
                0 => Timespec { tv_sec: -seconds, tv_nsec: 0 },
                _ => Timespec { tv_sec: -seconds - 1, tv_nsec: 1_000_000_000 - i64::from(nanos) },
            }
        }
    }
}

/// What a range takes at most, in pages of `page` bytes.
fn most_bytes(offset: u64, length: u64, page: u64) -> u64 {
    let pages = offset.saturating_add(length).div_ceil(page) - offset / page;
    pages.saturating_mul(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each kind of arena that this machine can have.
    fn arenas(limit_bytes: u64) -> [Arc<Arena>; 2] {
        [Arena::new(limit_bytes), Arena::of_memfds(limit_bytes)]
    }

    fn page(byte: u8) -> Vec<u8> {
        vec![byte; page_bytes()]
    }

    #[test]
    fn a_range_takes_whole_pages_of_whichever_size() {
        for (offset, length, small, large) in [
            (0, 1, 4 << 10, 64 << 10),
            (4095, 2, 8 << 10, 64 << 10),
            (65_535, 2, 8 << 10, 128 << 10),
            (0, 65_536, 64 << 10, 64 << 10),
            (8192, 65_536, 64 << 10, 128 << 10),
        ] {
            assert_eq!(most_bytes(offset, length, 4 << 10), small, "{offset} {length}");
            assert_eq!(most_bytes(offset, length, 64 << 10), large, "{offset} {length}");
        }
        assert_eq!(most_bytes(u64::MAX - 1, 10, 1 << 16), 1 << 16);
        assert!(page_bytes().is_power_of_two() && page_bytes() >= 4096);
    }

    #[test]
    fn a_file_is_sparse_and_has_what_was_written() {
        for arena in arenas(1 << 20) {
            let file = arena.file().unwrap();
            file.write_at(b"end", 100 << 20).unwrap();
            assert_eq!(file.stat().unwrap().size, (100 << 20) + 3);
            assert_eq!(file.read(100 << 20, 10).unwrap(), b"end");
            assert_eq!(file.read(5, 2).unwrap(), [0, 0]);
            assert_eq!(file.seek(Seek::Data(0)).unwrap(), 100 << 20);
            assert_eq!(file.seek(Seek::Hole(0)).unwrap(), 0);
            file.set_len(0).unwrap();
            assert_eq!(arena.used_bytes(), 0);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_and_room_comes_back() {
        for arena in arenas(1 << 20) {
            let (first, second) = (arena.file().unwrap(), arena.file().unwrap());
            first.write_at(&vec![1; 1 << 20], 0).unwrap();
            let refused = second.write_at(&page(2), 0).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::StorageFull);
            first.write_at(&page(3), 2 * page_bytes() as u64).unwrap();
            first.punch(0, 2 * page_bytes() as u64).unwrap();
            second.write_at(&page(2), 0).unwrap();
            drop(first);
            second.write_at(&vec![2; 1 << 19], 0).unwrap();
            drop(second);
            assert_eq!(arena.used_bytes(), 0);
        }
    }

    #[test]
    fn times_are_kept_before_and_after_1970() {
        let file = Arena::new(1 << 20).file().unwrap();
        for time in [
            SystemTime::UNIX_EPOCH - Duration::from_millis(1500),
            SystemTime::UNIX_EPOCH + Duration::new(1_449_515_520, 7),
        ] {
            file.set_times(None, Some(time)).unwrap();
            assert_eq!(file.stat().unwrap().modified, time);
        }
    }
}
