//! Taking a mount out of the tree, by whichever way this user may.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::config::Environment;
use crate::sys;

/// How to unmount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// At once if nobody uses it, otherwise not at all.
    IfUnused,
    /// From the tree at once, and really when its last user is gone.
    Lazily,
}

/// Why the kernel kept a mount.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum UnmountError {
    /// It is in use.
    Busy,
    /// Any other reason, in the words of the kernel or of fusermount3.
    Failed(String),
}

/// Removes the topmost mount on `path`, whoever mounted it: as root by the kernel's
/// call, otherwise by fusermount3, which lets users unmount what is theirs.
pub(super) fn unmount(
    path: &Path,
    how: How,
    environment: &Environment,
) -> Result<(), UnmountError> {
    if sys::may_mount() {
        return sys::unmount(path, how == How::Lazily).map_err(|error| {
            match error.raw_os_error() {
                Some(libc::EBUSY) => UnmountError::Busy,
                _ => UnmountError::Failed(error.to_string()),
            }
        });
    }
    let Some(program) = environment.fusermount() else {
        return Err(UnmountError::Failed("fusermount3 is not installed (package fuse3)".into()));
    };
    let flags = if how == How::Lazily { "-uz" } else { "-u" };
    let output = Command::new(program)
        .arg(flags)
        .arg("--")
        .arg(path)
        // The words that are looked for are the C locale's.
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| UnmountError::Failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(if said.contains("busy") { UnmountError::Busy } else { UnmountError::Failed(said) })
}
