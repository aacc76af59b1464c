//! What a machine needs before anything can be mounted on it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

use crate::config::Environment;
use crate::sys;

/// What is missing. Each is a sentence for the user.
#[derive(Debug, thiserror::Error)]
pub(super) enum Missing {
    #[error(
        "there is no /dev/fuse on this machine: load the kernel's module with 'sudo modprobe fuse'; \
         a container has to be started with --device /dev/fuse --cap-add SYS_ADMIN"
    )]
    Device,
    #[error(
        "/dev/fuse may not be opened: {0}. Everybody should be allowed to: 'sudo chmod 666 /dev/fuse'; \
         a container has to be started with --device /dev/fuse --cap-add SYS_ADMIN"
    )]
    DeviceAccess(io::Error),
    #[error(
        "fusermount3, which ordinary users need to mount, is not installed; install it with \
         'sudo apt install fuse3' (Debian, Ubuntu) or 'sudo dnf install fuse3' (Fedora, RHEL)"
    )]
    Fusermount,
    #[error(
        "fusermount3, which ordinary users need to mount, is of no use here: no program that you \
         start may gain rights (no_new_privs, as with allowPrivilegeEscalation: false in Kubernetes); \
         try 's3mem mount --rootless'"
    )]
    NewPrivileges,
    #[error(
        "ordinary users may use --allow-other only if /etc/fuse.conf has the line user_allow_other; ask the \
         administrator to add it ('echo user_allow_other | sudo tee -a /etc/fuse.conf'), or leave the flag out"
    )]
    UserAllowOther,
}

/// Makes sure that this user can mount on this machine.
pub(super) fn check(allow_other: bool, environment: &Environment) -> Result<(), Missing> {
    open_device(Path::new("/dev/fuse"))?;
    if sys::may_mount() {
        return Ok(());
    }
    if environment.fusermount().is_none() {
        return Err(Missing::Fusermount);
    }
    if !sys::may_gain_rights() {
        return Err(Missing::NewPrivileges);
    }
    let fuse_conf = fs::read_to_string("/etc/fuse.conf").unwrap_or_default();
    if allow_other && !lets_users_allow_other(&fuse_conf) {
        return Err(Missing::UserAllowOther);
    }
    Ok(())
}

fn open_device(device: &Path) -> Result<File, Missing> {
    OpenOptions::new().read(true).write(true).open(device).map_err(|error| {
        match error.raw_os_error() {
            // ENODEV, ENXIO: the file is there, the module is not.
            Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => Missing::Device,
            _ => Missing::DeviceAccess(error),
        }
    })
}

fn lets_users_allow_other(fuse_conf: &str) -> bool {
    fuse_conf.lines().any(|line| line.trim() == "user_allow_other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_device_is_told_from_a_forbidden_one() {
        assert!(matches!(open_device(Path::new("/dev/no-such-fuse")), Err(Missing::Device)));
        // A folder can't be opened for writing by anybody.
        assert!(matches!(open_device(Path::new("/dev")), Err(Missing::DeviceAccess(_))));
    }

    #[test]
    fn a_commented_line_lets_nobody_allow_others() {
        assert!(!lets_users_allow_other("# user_allow_other - explains\n#user_allow_other\n"));
        assert!(lets_users_allow_other("mount_max = 10\n user_allow_other \n"));
    }
}
