//! A mount that another program has made: it has opened /dev/fuse and mounted that, and hands
//! the descriptor to this one, which only serves. The mount point is `/dev/fd/N` then.
//!
//! For helpers that may mount, where this program may not, such as a storage driver of
//! Kubernetes. Whoever has mounted also unmounts.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use super::mount_point::MountPointError;
use crate::sys;

/// The descriptor that a mount point stands for, if it is one.
pub(super) fn descriptor(mount_point: &Path) -> Option<u32> {
    let number = mount_point.to_str()?.strip_prefix("/dev/fd/")?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| number.parse().ok())?
}

/// Makes sure that there is a FUSE device behind a descriptor.
pub(super) fn check(descriptor: u32) -> Result<(), MountPointError> {
    let reason = match sys::is_fuse_device(descriptor) {
        Ok(true) if descriptor >= 3 => return Ok(()),
        Ok(true) => "the standard streams are needed for other things".to_owned(),
        Ok(false) => "that is no /dev/fuse".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(MountPointError::NoDevice { descriptor, reason })
}

/// Takes the device.
pub(super) fn take(descriptor: u32) -> Result<OwnedFd, MountPointError> {
    check(descriptor)?;
    let refused =
        |error: io::Error| MountPointError::NoDevice { descriptor, reason: error.to_string() };
    sys::take_fuse_device(descriptor).map_err(refused)
}

/// The number of the device that is mounted, as the table of mounts has it, where the kernel
/// says it of a descriptor.
pub(super) fn device(descriptor: u32) -> Option<String> {
    let told = fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}")).ok()?;
    let number = told.lines().find_map(|line| line.strip_prefix("fuse_connection:"))?;
    Some(format!("0:{}", number.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_is_told_from_a_folder() {
        let of = |path: &str| descriptor(Path::new(path));
        assert_eq!((of("/dev/fd/3"), of("/dev/fd/17")), (Some(3), Some(17)));
        for folder in ["/dev/fd", "/dev/fd/", "/dev/fd/x", "/dev/fd/+3", "/dev/fd/3/x", "/mnt/fd/3"]
        {
            assert_eq!(of(folder), None, "{folder}");
        }
        assert_eq!(of("/dev/fd/99999999999"), None);
    }

    #[test]
    fn what_is_no_fuse_device_is_not_served() {
        for (number, part) in [(0, "/dev/fd/0"), (99_999, "Bad file descriptor")] {
            let sentence = take(number).unwrap_err().to_string();
            assert!(sentence.contains(part), "{sentence}");
        }
    }
}
