//! Calls of the C library that Rust has no safe form of.

#![expect(unsafe_code, reason = "mmap and the directory streams of libc have no other")]

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

/// truncate(2), which takes a path.
pub(super) fn truncate(path: &Path, length: i64) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: `path` is a C string that lives until the call returns.
    let outcome = unsafe { libc::truncate(path.as_ptr(), length) };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A file mapped into memory for reading.
pub(super) struct Mapping {
    address: *mut libc::c_void,
    length: usize,
}

impl Mapping {
    pub(super) fn of(file: &File, length: usize) -> Self {
        // SAFETY: a new mapping at an address of the kernel's choice; read-only and
        // private, and nothing that it maps is ever truncated: objects do not shrink.
        let address = unsafe {
            let (protection, flags) = (libc::PROT_READ, libc::MAP_PRIVATE);
            libc::mmap(ptr::null_mut(), length, protection, flags, file.as_raw_fd(), 0)
        };
        assert_ne!(address, libc::MAP_FAILED, "{}", io::Error::last_os_error());
        Mapping { address, length }
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the mapping has this length and lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.address.cast(), self.length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: nobody has a reference into the mapping any more.
        unsafe { libc::munmap(self.address, self.length) };
    }
}

/// A directory stream of libc, which programs in C walk directories with.
pub(super) struct DirStream(*mut libc::DIR);

impl DirStream {
    pub(super) fn open(path: &Path) -> Self {
        let path = CString::new(path.as_os_str().as_bytes()).unwrap();
        // SAFETY: `path` is a C string that lives until the call returns.
        let stream = unsafe { libc::opendir(path.as_ptr()) };
        assert!(!stream.is_null(), "{}", io::Error::last_os_error());
        DirStream(stream)
    }

    /// The next name; nothing at the end.
    pub(super) fn next(&mut self) -> Option<String> {
        // SAFETY: the stream is open, and `&mut self` keeps others from using it.
        let entry = unsafe { libc::readdir(self.0) };
        if entry.is_null() {
            return None;
        }
        // SAFETY: libc fills in a name that ends in NUL and holds until the next call.
        let name = unsafe { CStr::from_ptr((&raw const (*entry).d_name).cast()) };
        Some(name.to_str().unwrap().to_owned())
    }

    /// All names that are left.
    pub(super) fn rest(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.next()).collect()
    }

    pub(super) fn tell(&mut self) -> libc::c_long {
        // SAFETY: the stream is open.
        unsafe { libc::telldir(self.0) }
    }

    pub(super) fn seek(&mut self, place: libc::c_long) {
        // SAFETY: the stream is open, and `place` came from `tell` on it.
        unsafe { libc::seekdir(self.0, place) }
    }

    pub(super) fn rewind(&mut self) {
        // SAFETY: the stream is open.
        unsafe { libc::rewinddir(self.0) }
    }
}

impl Drop for DirStream {
    fn drop(&mut self) {
        // SAFETY: it is open, and is not used afterwards.
        unsafe { libc::closedir(self.0) };
    }
}
