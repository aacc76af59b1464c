//! Mounts of one's own: how a user who may not mount can, where the kernel lets them.
//!
//! A process that makes a user namespace and a mount namespace may mount FUSE in it. What it
//! mounts is seen by the programs that it starts, and by nobody else. In the namespace the
//! user stays who they are, and all others, root among them, look like nobody.

use std::fs;
use std::io;

use crate::sys;

/// Why there are no mounts of one's own. Each is a sentence for the user.
#[derive(Debug, thiserror::Error)]
pub(super) enum NamespaceError {
    #[error(
        "you may not mount: fusermount3 is not installed, and {why} Install it with 'sudo apt \
         install fuse3' (Debian, Ubuntu) or 'sudo dnf install fuse3' (Fedora, RHEL), or {instead}"
    )]
    Forbidden { why: String, instead: &'static str },
    #[error("a user namespace of its own can't be set up: {0}")]
    System(io::Error),
}

/// Gives this process, which has one thread, mounts of its own.
///
/// # Errors
/// The kernel, or whoever has set it up, forbids that.
pub(super) fn enter() -> Result<(), NamespaceError> {
    let (user, group) = (sys::effective_uid(), sys::effective_gid());
    sys::leave_for_own_mounts().map_err(|error| forbidden(&error))?;
    // Groups can't be mapped by who may leave some out, and so gain what they forbid.
    let write = |file: &str, text: String| {
        fs::write(format!("/proc/self/{file}"), text).map_err(NamespaceError::System)
    };
    write("setgroups", "deny".to_owned())?;
    write("uid_map", format!("{user} {user} 1"))?;
    write("gid_map", format!("{group} {group} 1"))
}

/// Who forbids it, as far as can be found out.
pub(super) fn forbidden(error: &io::Error) -> NamespaceError {
    let setting = |name: &str| fs::read_to_string(format!("/proc/sys/{name}")).unwrap_or_default();
    let is = |name: &str, value: &str| setting(name).trim() == value;
    let (why, instead) = if is("user/max_user_namespaces", "0") {
        (
            "user.max_user_namespaces is 0.",
            "have it raised: 'sudo sysctl user.max_user_namespaces=10000'",
        )
    } else if is("kernel/unprivileged_userns_clone", "0") {
        (
            "kernel.unprivileged_userns_clone is 0.",
            "have it set: 'sudo sysctl kernel.unprivileged_userns_clone=1'",
        )
    } else if is("kernel/apparmor_restrict_unprivileged_userns", "1") {
        (
            "AppArmor keeps programs without a profile from mounting in user namespaces.",
            "have that allowed: 'sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0'",
        )
    } else {
        (
            "user namespaces are forbidden here, as in a container with Docker's default profile.",
            "start the container with --device /dev/fuse --security-opt seccomp=unconfined \
             --security-opt apparmor=unconfined",
        )
    };
    let why = format!("{} ({error}).", why.trim_end_matches('.'));
    NamespaceError::Forbidden { why, instead }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_forbids_namespaces_is_named_with_what_allows_them() {
        let sentence = forbidden(&io::Error::from_raw_os_error(libc::EPERM)).to_string();
        for part in ["fusermount3 is not installed", "apt install fuse3", "Operation not permitted"]
        {
            assert!(sentence.contains(part), "{sentence}");
        }
        assert!(sentence.contains("sysctl") || sentence.contains("seccomp"), "{sentence}");
    }
}
