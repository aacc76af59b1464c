//! The folder of the cache: whose it is, where an entry lies in it, and how one gets there.
//!
//! `DIR/s3mem-cache-1` has the entries, in 256 folders by the first two digits of the MD5 of
//! their names, and the file `lock`, which whoever writes holds ([`super::space`]). An entry is
//! written beside its place and moved there. The number is that of the format: folders of
//! older ones are deleted, and those of newer ones left alone.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use md5::{Digest, Md5};

use super::entry::{self, Header};
use super::space::{self, Space, UNFINISHED};
use crate::key::ObjectVersion;

const FORMAT: u32 = 1;
const PREFIX: &str = "s3mem-cache-";

/// Why a folder is not used as a cache. Each is a sentence for the user.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// It can't be made or looked at.
    #[error("the folder {folder} of --cache-dir can't be used: {cause}")]
    Unusable {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// It is somebody else's.
    #[error(
        "the folder {folder} of --cache-dir belongs to the user with the ID {owner}, not to {you}: \
         each user needs a cache of their own, since whoever can write there can put wrong bytes \
         into your files"
    )]
    Foreign {
        /// The folder.
        folder: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who asked.
        you: u32,
    },
    /// Others can get into it.
    #[error(
        "the folder {folder} of --cache-dir is open to other users (its mode is {mode:04o}): make it \
         yours alone with: chmod 700 '{folder}'"
    )]
    Open {
        /// The folder.
        folder: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

/// The name of an entry: all that decides which bytes it has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name(Box<str>);

impl Name {
    /// The name of an entry about a version of an object at a place, which names the server, the
    /// bucket and the account; `None` if nothing tells the version from others.
    pub fn of(place: &str, version: &ObjectVersion, what: &str) -> Option<Self> {
        let (key, etag) = (version.key.as_str(), version.etag.as_ref()?.as_str());
        // Of these only a key may have more than one line.
        Some(Name(format!("{place}\n{key}\n{etag}\n{}\n{what}", version.size).into()))
    }

    /// All of it.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Where its entry lies: a folder, and a file in it, of hexadecimal digits.
    pub fn place(&self) -> (String, String) {
        let mut digits = String::with_capacity(32);
        for byte in Md5::digest(self.0.as_bytes()) {
            // Writing into a String does not fail.
            let _ = write!(digits, "{byte:02x}");
        }
        let file = digits.split_off(2);
        (digits, file)
    }
}

/// What came of writing an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// It is there now; its bytes, and how many entries had to go for it.
    New { bytes: u64, evicted: u64 },
    /// It was there already.
    Known,
    /// It is larger than the whole cache may be, or its name is no name.
    Refused,
}

/// The folder of one format.
#[derive(Debug)]
pub(super) struct Folder {
    /// What the user has named.
    named: PathBuf,
    root: PathBuf,
    space: Space,
}

impl Folder {
    /// The folder, made if there is none, for at most so many bytes.
    ///
    /// # Errors
    /// It is not this user's alone.
    pub(super) fn open(named: &Path, limit_bytes: u64) -> Result<Folder, DiskError> {
        let root = root(named);
        let folder = Folder { named: named.into(), space: Space::new(&root, limit_bytes), root };
        folder.prepare()?;
        Ok(folder)
    }

    /// Makes what is missing, and looks who may get in.
    fn prepare(&self) -> Result<(), DiskError> {
        let unusable = |cause| DiskError::Unusable { folder: self.named.clone(), cause };
        make_private(&self.named).map_err(unusable)?;
        let found = fs::metadata(&self.named).map_err(unusable)?;
        check_owner(&self.named, &found)?;
        make_private(&self.root).map_err(unusable)
    }

    /// Deletes the folders of older formats.
    pub(super) fn drop_older(&self) -> io::Result<()> {
        for found in fs::read_dir(&self.named)? {
            let found = found?;
            let name = found.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
            if number.and_then(|number| number.parse().ok()).is_some_and(|n: u32| n < FORMAT) {
                fs::remove_dir_all(found.path())?;
            }
        }
        Ok(())
    }

    /// Counts what lies in it, and deletes what is too much; how many entries that was.
    pub(super) fn tidy(&self) -> io::Result<u64> {
        self.space.lock()?.recount(0)
    }

    /// What its entries take, as far as is known.
    pub(super) fn used_bytes(&self) -> u64 {
        self.space.used_bytes()
    }

    pub(super) fn limit_bytes(&self) -> u64 {
        self.space.limit_bytes()
    }

    fn path(&self, name: &Name) -> PathBuf {
        let (folder, file) = name.place();
        self.root.join(folder).join(file)
    }

    /// The entry of this name, if there is one: an open file that stays what it is, whoever
    /// replaces or deletes it.
    pub(super) fn find(&self, name: &Name) -> Option<(Header, File)> {
        let path = self.path(name);
        let no_link = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
        let file = OpenOptions::new().read(true).custom_flags(no_link).open(&path).ok()?;
        match Header::read(&file, name.text()) {
            Some(header) => {
                space::note_use(&file);
                Some((header, file))
            }
            None => {
                tracing::debug!("{} is no entry of the cache", path.display());
                None
            }
        }
    }

    /// Deletes an entry.
    pub(super) fn remove(&self, name: &Name) {
        // What can't be deleted is found out again by its checksum.
        let _ = fs::remove_file(self.path(name));
    }

    /// Writes an entry of these pieces, which are in order and do not overlap.
    pub(super) fn put(&self, name: &Name, pieces: &[(u64, &[u8])]) -> io::Result<Written> {
        match self.put_once(name, pieces) {
            // Somebody has deleted the folder.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.prepare().map_err(io::Error::other)?;
                self.put_once(name, pieces)
            }
            outcome => outcome,
        }
    }

    fn put_once(&self, name: &Name, pieces: &[(u64, &[u8])]) -> io::Result<Written> {
        let Some(header) = entry::header(name.text(), pieces) else {
            return Ok(Written::Refused);
        };
        let bytes = header.len() as u64;
        let bytes = pieces.iter().fold(bytes, |sum, (_, piece)| sum + piece.len() as u64);
        let path = self.path(name);
        let mut space = self.space.lock()?;
        let Some(evicted) = space.take(bytes)? else { return Ok(Written::Refused) };
        make_private(path.parent().unwrap_or(&self.root))?;
        let old = fs::symlink_metadata(&path).map_or(0, |found| found.len());
        let beside = path.with_extension(UNFINISHED);
        // Nobody else writes, so what lies there is of one that was killed.
        let _ = fs::remove_file(&beside);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        let written =
            entry::write(&file, &header, pieces).and_then(|()| fs::rename(&beside, &path));
        match &written {
            Ok(()) => space.give_back(old, old > 0)?,
            Err(_) => {
                let _ = fs::remove_file(&beside);
                space.give_back(bytes, true)?;
            }
        }
        written.map(|()| Written::New { bytes, evicted })
    }
}

/// Where the entries lie below the folder that a user has named.
pub(super) fn root(named: &Path) -> PathBuf {
    named.join(format!("{PREFIX}{FORMAT}"))
}

/// Looks who may get into the folder.
///
/// # Errors
/// It is not this user's alone.
pub(super) fn check_owner(named: &Path, found: &fs::Metadata) -> Result<(), DiskError> {
    let (owner, you) = (found.uid(), rustix::process::geteuid().as_raw());
    if owner != you {
        return Err(DiskError::Foreign { folder: named.into(), owner, you });
    }
    let mode = found.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(DiskError::Open { folder: named.into(), mode });
    }
    Ok(())
}

/// Makes a folder that only this user can get into, unless there is one.
fn make_private(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}
