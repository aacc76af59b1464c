//! Calls of the C library that Rust has no safe form of.

#![expect(unsafe_code, reason = "mmap, and what is a thread's own in Linux alone")]

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use rustix::fs::{AtFlags, CWD, FileType, Mode, chmodat, makedev, mknodat};
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_bind, mount_change, unmount};

/// The user and group that own nothing.
const NOBODY: libc::c_long = 65534;

/// Gives the calling thread, and all that it starts, mounts of its own, in which
/// everybody may open /dev/fuse, as on most machines.
pub(super) fn open_fuse_to_all(folder: &Path) {
    // SAFETY: from here on the thread has mounts and a working folder of its own; no
    // memory is touched.
    let outcome = unsafe { libc::unshare(libc::CLONE_NEWNS | libc::CLONE_FS) };
    assert_eq!(outcome, 0, "{}", io::Error::last_os_error());
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
    detach_copied_mounts();
    let device = folder.join("fuse");
    let all = Mode::from_raw_mode(0o666);
    mknodat(CWD, &device, FileType::CharacterDevice, all, makedev(10, 229)).unwrap();
    chmodat(CWD, &device, all, AtFlags::empty()).unwrap();
    mount_bind(&device, "/dev/fuse").unwrap();
}

/// Lets go of the mounts of other tests: a copy of a mount keeps it alive, so that the
/// daemon behind it would wait for us.
fn detach_copied_mounts() {
    let table = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
    for line in table.lines().filter(|line| line.contains(" - fuse.s3mem ")) {
        // One that is gone again is none to let go of.
        let _ = unmount(line.split(' ').nth(4).unwrap(), UnmountFlags::DETACH);
    }
}

/// Makes the calling thread, and no other, an ordinary user's, for as long as it lives.
pub(super) fn become_nobody() {
    let none: *const libc::gid_t = ptr::null();
    // SAFETY: the calls change who the calling thread is in the kernel, and no memory.
    // Not the functions of the C library: those change all threads.
    let outcomes = unsafe {
        [
            libc::syscall(libc::SYS_setgroups, 0, none),
            libc::syscall(libc::SYS_setresgid, NOBODY, NOBODY, NOBODY),
            libc::syscall(libc::SYS_setresuid, NOBODY, NOBODY, NOBODY),
        ]
    };
    assert_eq!(outcomes, [0; 3], "{}", io::Error::last_os_error());
}

/// truncate(2), which takes a path.
pub(super) fn truncate(path: &Path, length: i64) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: `path` is a C string that lives until the call returns.
    let outcome = unsafe { libc::truncate(path.as_ptr(), length) };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A file mapped into memory for reading and writing, shared with all who have it.
pub(super) struct Shared {
    address: *mut libc::c_void,
    length: usize,
}

impl Shared {
    pub(super) fn of(file: &File, length: usize) -> Self {
        // SAFETY: a new mapping at an address of the kernel's choice. Its bytes may
        // change under us; nobody truncates the file while it is mapped.
        let address = unsafe {
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            libc::mmap(ptr::null_mut(), length, protection, libc::MAP_SHARED, file.as_raw_fd(), 0)
        };
        assert_ne!(address, libc::MAP_FAILED, "{}", io::Error::last_os_error());
        Shared { address, length }
    }

    /// Waits until what was stored is in the file.
    pub(super) fn sync(&self) {
        // SAFETY: the mapping has this address and length.
        let outcome = unsafe { libc::msync(self.address, self.length, libc::MS_SYNC) };
        assert_eq!(outcome, 0, "{}", io::Error::last_os_error());
    }
}

impl Deref for Shared {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the mapping has this length and lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.address.cast(), self.length) }
    }
}

impl DerefMut for Shared {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above; `&mut self` keeps this process from reading meanwhile.
        unsafe { std::slice::from_raw_parts_mut(self.address.cast(), self.length) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: nobody has a reference into the mapping any more.
        unsafe { libc::munmap(self.address, self.length) };
    }
}

/// Memory that begins where direct reads and writes want it to.
pub(super) struct Aligned(Vec<u8>, usize);

impl Aligned {
    pub(super) fn new(length: usize) -> Self {
        let bytes = vec![0; length + 4096];
        let start = bytes.as_ptr().align_offset(4096);
        Aligned(bytes, start)
    }

    pub(super) fn bytes(&mut self) -> &mut [u8] {
        let (start, length) = (self.1, self.0.len() - 4096);
        &mut self.0[start..start + length]
    }
}
