//! `s3mem mount --rootless`: a mount that needs no privilege.
//!
//! Contract: prints the path where the files are when they are there. Starts two processes: a
//! holder ([`super::holder`]), through which the files are reached, and which has mounts of
//! its own where the user may not mount ([`super::namespace`]), and the daemon, which enters
//! these. Each ends when the other does, so nothing is left.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::daemonize::{self, DaemonError};
use super::folder::{Folder, FolderError};
use super::holder::{Holder, Leftovers, through};
use super::mount_point;
use super::namespace::{self, Lack, NamespaceError, holder_of};
use super::prerequisites::{self, Missing};
use crate::cli::{MountArgs, Rootless};
use crate::config::Environment;
use crate::sys;

/// Why there is no mount. Each is a sentence for the user.
#[derive(Debug, thiserror::Error)]
pub(super) enum RootlessError {
    #[error(transparent)]
    Prerequisite(#[from] Missing),
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    #[error("{0}")]
    Folder(#[from] FolderError),
    #[error(
        "--allow-other can't be had together with --rootless: only you get into mounts of your own; leave it out"
    )]
    AllowOther,
    #[error("{0} exists, and is no link of a mount with --rootless; give another path with --link")]
    LinkExists(PathBuf),
    #[error("the link {path} can't be made: {cause}; give another path with --link")]
    Link { path: PathBuf, cause: io::Error },
    #[error(
        "this system does not let you reach the files by the path {path} ({cause}); 's3mem run' mounts for \
         one command, which does not need that"
    )]
    Unreachable { path: PathBuf, cause: io::Error },
    #[error("the system does not provide what s3mem needs to run: {0}")]
    System(#[from] io::Error),
}

/// Mounts as `when` says.
pub(super) fn run(
    args: &MountArgs,
    when: Rootless,
    environment: &Environment,
) -> Result<(), RootlessError> {
    let link = args.rootless.link.as_deref().map(std::path::absolute).transpose()?;
    if let Some(link) = &link {
        make_room(link)?;
    }
    let may_be_ordinary = when == Rootless::IfNeeded;
    let lack = match prerequisites::check(may_be_ordinary && args.allow_other, environment) {
        Ok(()) if may_be_ordinary => None,
        Ok(()) => Some(Lack::Wish),
        Err(missing) => Some(Lack::of(missing)?),
    };
    if lack.is_some() && args.allow_other {
        return Err(RootlessError::AllowOther);
    }
    let folder = Folder::of(args.folder())?;
    // Of what is mounted there now nobody can ask later on.
    let path = mount_point::resolve(folder.path()).unwrap_or_else(|_| folder.path().to_owned());
    let is_apart = lack.is_some();
    // If this fails from here on, the holder ends, and with it the daemon.
    let leftovers =
        Leftovers { folder: folder.made(), link: link.as_deref(), path: Some(path.as_path()) };
    let holder = Holder::start(is_apart, &leftovers)?
        .map_err(|error| namespace::refused(lack.unwrap_or(Lack::Wish), error))?;
    let id = holder.id();
    let daemon = daemonize::start_for_holder(args, &path, id)?;
    let shown = if is_apart { through(id, &path) } else { path };
    if let Err(cause) = fs::metadata(&shown) {
        return Err(RootlessError::Unreachable { path: shown, cause });
    }
    holder.hold_for(daemon.id())?;
    folder.leave();
    if let Some(link) = &link
        && let Err(cause) = symlink(&shown, link)
    {
        sys::signal(id, libc::SIGTERM)?;
        return Err(RootlessError::Link { path: link.clone(), cause });
    }
    // Whoever does not listen has the link, or does not want to know.
    let _ = writeln!(io::stdout().lock(), "{}", shown.display());
    Ok(())
}

/// Takes away a link of a mount that is gone.
fn make_room(link: &Path) -> Result<(), RootlessError> {
    match fs::symlink_metadata(link) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(cause) => return Err(RootlessError::Link { path: link.to_owned(), cause }),
        Ok(_) => {}
    }
    let is_left = fs::read_link(link).is_ok_and(|to| holder_of(&to).is_some() && !to.exists());
    if !is_left {
        return Err(RootlessError::LinkExists(link.to_owned()));
    }
    fs::remove_file(link).map_err(|cause| RootlessError::Link { path: link.to_owned(), cause })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_link_that_leads_into_mounts_that_are_gone_makes_room() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        make_room(&link).unwrap();
        symlink("/proc/4194304/root/tmp", &link).unwrap();
        make_room(&link).unwrap();
        assert!(!link.is_symlink());
        for kept in ["/proc/self/root/tmp", "/no/such/place", "/tmp"] {
            symlink(kept, &link).unwrap();
            assert!(matches!(make_room(&link), Err(RootlessError::LinkExists(_))), "{kept}");
            fs::remove_file(&link).unwrap();
        }
    }
}
