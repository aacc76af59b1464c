//! Bytes that are written by one process and then read by another.
//!
//! Contract: a [`SharedFile`] never changes its size, so no mapping of it ends in a
//! signal. Once it is sealed nobody can write to it any more, whatever descriptors they
//! have, and only then may it be read as a slice.
#![expect(unsafe_code, reason = "maps files; each block says why it is sound")]

use std::ffi::c_void;
use std::io::{self, ErrorKind};
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::slice;

use rustix::fs::{
    MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, ftruncate, memfd_create,
};
use rustix::io::{Errno, pwrite};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// A file in memory of a set size.
#[derive(Debug)]
pub struct SharedFile {
    file: OwnedFd,
    bytes: usize,
}

impl SharedFile {
    /// A file of `bytes` zeros, which may be written to until it is sealed.
    ///
    /// # Errors
    /// Too many open files, or no memory.
    pub fn new(bytes: usize) -> io::Result<Self> {
        let file = memfd_create("s3mem", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&file, bytes as u64)?;
        fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW)?;
        Ok(SharedFile { file, bytes })
    }

    /// A file that came from another process.
    ///
    /// # Errors
    /// If its size may change.
    pub fn received(file: OwnedFd) -> io::Result<Self> {
        if !fcntl_get_seals(&file)?.contains(SealFlags::SHRINK | SealFlags::GROW) {
            return Err(io::Error::other("the size of a shared file may change"));
        }
        let bytes = usize::try_from(fstat(&file)?.st_size).map_err(io::Error::other)?;
        Ok(SharedFile { file, bytes })
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.bytes as u64
    }

    /// Writes bytes to their place, as far as the file goes. Quicker than through a map,
    /// whose pages would be cleared first.
    ///
    /// # Errors
    /// If it is sealed or ends before, or there is no memory.
    pub fn write_at(&self, offset: u64, mut bytes: &[u8]) -> io::Result<()> {
        let mut at = offset;
        while !bytes.is_empty() {
            let written = match pwrite(&self.file, bytes, at) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => written,
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            bytes = &bytes[written..];
            at += written as u64;
        }
        Ok(())
    }

    /// Its bytes, to be written; nobody else may have them mapped.
    ///
    /// # Errors
    /// If it is sealed, or there is no room to map it.
    pub fn map(&self) -> io::Result<Writable> {
        let map = Map::new(&self.file, self.bytes, ProtFlags::READ | ProtFlags::WRITE)?;
        Ok(Writable(map))
    }

    /// Has nobody be able to write to it any more.
    ///
    /// # Errors
    /// If somebody has it mapped to write to it.
    pub fn forbid_writing(&self) -> io::Result<()> {
        if !fcntl_get_seals(&self.file)?.contains(SealFlags::WRITE) {
            fcntl_add_seals(&self.file, SealFlags::WRITE)?;
        }
        Ok(())
    }

    /// Its bytes, which nobody can change any more.
    ///
    /// # Errors
    /// If somebody still has it mapped to write to it.
    pub fn seal(&self) -> io::Result<Sealed> {
        self.forbid_writing()?;
        Ok(Sealed(Map::new(&self.file, self.bytes, ProtFlags::READ)?))
    }
}

impl AsFd for SharedFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// The bytes of a file that is being written.
#[derive(Debug)]
pub struct Writable(Map);

impl Deref for Writable {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl DerefMut for Writable {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: the map is as long as `bytes`, writable, and borrowed by the slice; other
        // processes write to the file only when this one has no map of it.
        unsafe { slice::from_raw_parts_mut(self.0.start.as_ptr().cast(), self.0.bytes) }
    }
}

/// The bytes of a sealed file.
#[derive(Debug)]
pub struct Sealed(Map);

impl AsRef<[u8]> for Sealed {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}

/// A mapped file; of an empty one there is no map.
#[derive(Debug)]
struct Map {
    start: NonNull<c_void>,
    bytes: usize,
}

// SAFETY: a map belongs to the process, not to a thread, and is written to only through a
// unique borrow.
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

impl Map {
    fn new(file: &OwnedFd, bytes: usize, access: ProtFlags) -> io::Result<Self> {
        if bytes == 0 {
            return Ok(Map { start: NonNull::dangling(), bytes });
        }
        // SAFETY: a new mapping at a place that the kernel chooses, as long as the file,
        // whose size is sealed.
        let start = unsafe { mmap(ptr::null_mut(), bytes, access, MapFlags::SHARED, file, 0)? };
        let start = NonNull::new(start).ok_or(Errno::NOMEM)?;
        Ok(Map { start, bytes })
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the map is as long as `bytes` and borrowed by the slice. It is either the
        // one writable map of its file, or of a file that is sealed against writing.
        unsafe { slice::from_raw_parts(self.start.as_ptr().cast(), self.bytes) }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        if self.bytes > 0 {
            // SAFETY: what was mapped by `new`, and no slice of it is left.
            let _ = unsafe { munmap(self.start.as_ptr(), self.bytes) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_keeps_its_bytes_and_its_size() {
        let file = SharedFile::new(3).unwrap();
        let mut bytes = file.map().unwrap();
        bytes.copy_from_slice(b"axx");
        file.write_at(1, b"bc").unwrap();
        assert!(file.write_at(2, b"cd").is_err(), "it ends before");
        assert!(file.seal().is_err(), "somebody may still write to it");
        drop(bytes);
        let sealed = file.seal().unwrap();
        assert!(file.map().is_err());
        assert!(ftruncate(&file, 2).is_err());
        let copy = file.as_fd().try_clone_to_owned().unwrap();
        let same = SharedFile::received(copy).unwrap().seal().unwrap();
        assert_eq!((sealed.as_ref(), same.as_ref()), (&b"abc"[..], &b"abc"[..]));
    }

    #[test]
    fn an_empty_file_has_no_bytes() {
        let file = SharedFile::new(0).unwrap();
        assert!(file.map().unwrap().is_empty());
        assert!(file.seal().unwrap().as_ref().is_empty());
    }

    #[test]
    fn a_file_whose_size_may_change_is_not_taken() {
        let file = memfd_create("s3mem", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        assert!(SharedFile::received(file).is_err());
    }
}
