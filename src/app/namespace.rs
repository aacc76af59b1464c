//! Mounts of one's own: how a user who may not mount can, where the kernel lets them, and how
//! to get back into them.
//!
//! A process that makes a user namespace and a mount namespace may mount FUSE in it. What it
//! mounts is seen by the programs that it starts, and by nobody else. In the namespace the
//! user stays who they are, and all others, root among them, look like nobody.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::prerequisites::Missing;
use crate::sys::{self, Namespace, Process};

/// Why there are no mounts of one's own. Each is a sentence for the user.
#[derive(Debug, thiserror::Error)]
pub(super) enum NamespaceError {
    #[error(
        "you may not mount{lack} {why} {wayout}{instead}",
        lack = lack.because(), wayout = lack.way_out()
    )]
    Forbidden { lack: Lack, why: String, instead: &'static str },
    #[error("{0} leads into mounts that are gone; what was mounted there has ended")]
    Gone(PathBuf),
    #[error("the mounts behind {path} can't be entered: {cause}")]
    Entering { path: PathBuf, cause: io::Error },
}

/// Why mounts of one's own are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lack {
    /// There is no fusermount3.
    Fusermount,
    /// fusermount3 is of no use: nobody can gain rights here.
    Rights,
    /// Nothing is lacking; they are wished for.
    Wish,
}

impl Lack {
    /// What mounts of one's own make up for; anything else stays an error.
    pub(super) fn of(missing: Missing) -> Result<Lack, Missing> {
        match missing {
            Missing::Fusermount => Ok(Lack::Fusermount),
            Missing::NewPrivileges => Ok(Lack::Rights),
            Missing::Device | Missing::DeviceAccess(_) | Missing::UserAllowOther => Err(missing),
        }
    }

    fn because(self) -> &'static str {
        match self {
            Lack::Fusermount => ": fusermount3 is not installed, and",
            Lack::Rights => ": fusermount3 can't gain root's rights here (no_new_privs), and",
            Lack::Wish => " in a user namespace of your own:",
        }
    }

    fn way_out(self) -> &'static str {
        match self {
            Lack::Fusermount => {
                "Install it with 'sudo apt install fuse3' (Debian, Ubuntu) or 'sudo dnf install \
                 fuse3' (Fedora, RHEL), or "
            }
            Lack::Rights => "Have that allowed, or ",
            Lack::Wish => "Mount without --rootless, or ",
        }
    }
}

/// Gives this process, which has one thread, mounts of its own.
///
/// # Errors
/// The kernel, or whoever has set it up, forbids that.
pub(super) fn leave() -> io::Result<()> {
    let (user, group) = (sys::effective_uid(), sys::effective_gid());
    sys::leave_for_own_mounts()?;
    let write = |file: &str, text: String| {
        // Whoever forbids the use of a namespace may do it only now.
        fs::write(format!("/proc/self/{file}"), text)
    };
    // Groups can't be mapped by who may leave some out, and so gain what they forbid.
    write("setgroups", "deny".to_owned())?;
    write("uid_map", format!("{user} {user} 1"))?;
    write("gid_map", format!("{group} {group} 1"))
}

/// Enters the mounts of process `holder`, in which this one, which has one thread, may mount.
///
/// # Errors
/// That process is gone, or another user's.
pub(super) fn join(holder: u32) -> io::Result<()> {
    let folder = env::current_dir();
    for (name, which) in [("user", Namespace::User), ("mnt", Namespace::Mount)] {
        let file = format!("/proc/{holder}/ns/{name}");
        if fs::read_link(&file)? != fs::read_link(format!("/proc/self/ns/{name}"))? {
            sys::enter_namespace(&File::open(&file)?, which)?;
        }
    }
    // Who enters mounts stands at their root. Back, for paths that are relative.
    if let Ok(folder) = folder {
        // One that is not there in these mounts leaves such paths to fail by themselves.
        let _ = env::set_current_dir(folder);
    }
    Ok(())
}

/// The process through which a path `/proc/PID/root/...` leads.
pub(super) fn holder_of(path: &Path) -> Option<u32> {
    let mut parts = path.components().skip(1).map(|part| part.as_os_str());
    let (proc, id, root) = (parts.next()?, parts.next()?, parts.next()?);
    let is_through = path.is_absolute() && proc == OsStr::new("proc") && root == OsStr::new("root");
    id.to_str()?.parse().ok().filter(|_| is_through)
}

/// Who forbids it, as far as can be found out.
pub(super) fn refused(lack: Lack, error: io::Error) -> NamespaceError {
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
    NamespaceError::Forbidden { lack, why, instead }
}

/// A path, as the mounts that this process is in by now show it.
#[derive(Debug)]
pub(super) struct Followed {
    /// The path in these mounts.
    pub(super) path: PathBuf,
    /// The process that holds them open, if they are not those from before.
    pub(super) holder: Option<Process>,
}

/// Goes where a path leads: if it, or the link that it is, leads through a process with mounts of
/// its own (`/proc/PID/root/DIR`), this process, which has one thread, enters them.
///
/// # Errors
/// The mounts are gone, or somebody else's.
pub(super) fn follow(path: &Path) -> Result<Followed, NamespaceError> {
    let target = fs::read_link(path).ok().filter(|target| holder_of(target).is_some());
    let through = target.as_deref().unwrap_or(path);
    let Some(id) = holder_of(through) else {
        return Ok(Followed { path: path.to_owned(), holder: None });
    };
    let entering = |cause: io::Error| match cause.kind() {
        io::ErrorKind::NotFound => NamespaceError::Gone(path.to_owned()),
        _ => NamespaceError::Entering { path: path.to_owned(), cause },
    };
    let holder = Process::open(id).map_err(|_| NamespaceError::Gone(path.to_owned()))?;
    join(id).map_err(entering)?;
    let inside = through.components().skip(4).collect::<PathBuf>();
    Ok(Followed { path: Path::new("/").join(inside), holder: Some(holder) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_forbids_namespaces_is_named_with_what_allows_them() {
        let told = |lack| refused(lack, io::Error::from_raw_os_error(libc::EPERM)).to_string();
        let sentence = told(Lack::Fusermount);
        for part in ["fusermount3 is not installed", "apt install fuse3", "Operation not permitted"]
        {
            assert!(sentence.contains(part), "{sentence}");
        }
        assert!(sentence.contains("sysctl") || sentence.contains("seccomp"), "{sentence}");
        for lack in [Lack::Rights, Lack::Wish] {
            assert!(!told(lack).contains("not installed"));
        }
    }

    #[test]
    fn a_path_that_leads_through_nobody_stays_as_it_is() {
        let followed = follow(Path::new("/tmp/x")).unwrap();
        assert_eq!(followed.path, Path::new("/tmp/x"));
        assert!(followed.holder.is_none());
        // Through a process in the same mounts.
        let through = format!("/proc/{}/root/tmp/x", std::process::id());
        assert_eq!(follow(Path::new(&through)).unwrap().path, Path::new("/tmp/x"));
        let gone = follow(Path::new("/proc/4194304/root/tmp/x"));
        assert!(matches!(gone, Err(NamespaceError::Gone(_))), "{gone:?}");
    }

    #[test]
    fn a_path_through_a_process_is_told_from_others() {
        assert_eq!(holder_of(Path::new("/proc/12/root/tmp/x")), Some(12));
        for other in
            ["/proc/12/rooty/x", "/proc/self/root/x", "proc/12/root/x", "/tmp/x", "/proc/12"]
        {
            assert_eq!(holder_of(Path::new(other)), None, "{other}");
        }
    }
}
