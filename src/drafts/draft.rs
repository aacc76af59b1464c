//! What programs make: files, directories, symbolic links, pipes and sockets.

use std::ffi::{OsStr, OsString};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use super::attributes::{AttrChange, Attributes};
use super::file::DraftFile;
use super::progress::Progress;
use super::xattrs::{XattrError, XattrRoom, XattrSet, Xattrs};
use crate::sync::{Mutex, Rank};

/// Something that a program made. It lives as long as a name, the kernel or an open
/// handle holds it.
#[derive(Debug)]
pub struct Draft {
    ino: u64,
    body: Body,
    owned: Mutex<Owned>,
    was_changed: AtomicBool,
}

/// What changes about a draft beside its bytes.
#[derive(Debug)]
struct Owned {
    attributes: Attributes,
    /// How many names it has.
    links: u32,
    xattrs: Xattrs,
}

/// What a draft is: a closed set.
#[derive(Debug)]
pub enum Body {
    /// A regular file, with its bytes.
    File(Arc<DraftFile>),
    /// A directory. The names in it are not kept here.
    Dir,
    /// A symbolic link, with the path that it points to.
    Symlink(String),
    /// A named pipe; the kernel does the rest.
    Fifo,
    /// A socket; the kernel does the rest.
    Socket,
}

impl Draft {
    /// A draft with one name. `ino` is its inode number for life.
    pub fn new(ino: u64, body: Body, attributes: Attributes) -> Arc<Self> {
        let xattrs = Xattrs::default();
        let owned = Mutex::new(Rank::Draft, Owned { attributes, links: 1, xattrs });
        Arc::new(Draft { ino, body, owned, was_changed: AtomicBool::new(false) })
    }

    /// The inode number.
    pub fn ino(&self) -> u64 {
        self.ino
    }

    /// What it is.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The bytes, if it is a file.
    pub fn file(&self) -> Option<&Arc<DraftFile>> {
        match &self.body {
            Body::File(file) => Some(file),
            Body::Dir | Body::Symlink(_) | Body::Fifo | Body::Socket => None,
        }
    }

    /// What the bucket has of it; `None` for anything that stays in memory.
    pub fn progress(&self) -> Option<&Progress> {
        self.file()?.progress()
    }

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        matches!(self.body, Body::Dir)
    }

    /// Whether it belongs into the bucket and the bucket lacks some of it.
    pub fn is_dirty(&self) -> bool {
        self.progress().is_some_and(Progress::is_dirty)
    }

    /// Owner, permissions and times as they are now. The times of a file are those of
    /// its bytes.
    pub fn attributes(&self) -> Attributes {
        let mut attributes = self.owned.lock().attributes;
        if let Some(file) = self.file()
            && let Ok(stat) = file.bytes().stat()
        {
            attributes.accessed = stat.accessed;
            attributes.modified = stat.modified;
            attributes.changed = attributes.changed.max(stat.changed);
        }
        attributes
    }

    /// Whether a program gave it attributes of its own.
    pub fn was_changed(&self) -> bool {
        self.was_changed.load(Ordering::Relaxed)
    }

    /// Applies changes, except for the size.
    ///
    /// # Errors
    /// A time that can't be represented.
    pub fn change(&self, change: &AttrChange) -> io::Result<()> {
        if let Some(file) = self.file()
            && (change.accessed.is_some() || change.modified.is_some())
        {
            file.bytes().set_times(change.accessed, change.modified)?;
        }
        self.owned.lock().attributes.change(change);
        self.was_changed.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// The value of an extended attribute that a program gave it.
    pub fn xattr(&self, name: &OsStr) -> Option<Vec<u8>> {
        self.owned.lock().xattrs.get(name)
    }

    /// The names of its extended attributes.
    pub fn xattrs(&self) -> Vec<OsString> {
        self.owned.lock().xattrs.names()
    }

    /// Gives it an extended attribute, which is counted in `room`.
    ///
    /// # Errors
    /// There is one, or none, against what `how` wants; there is no room for it.
    pub fn set_xattr(
        &self,
        room: &Arc<XattrRoom>,
        name: &OsStr,
        value: &[u8],
        how: XattrSet,
    ) -> Result<(), XattrError> {
        let mut owned = self.owned.lock();
        owned.xattrs.set(room, name, value, how)?;
        owned.touch(false);
        Ok(())
    }

    /// Takes an extended attribute away; returns whether there was one.
    pub fn remove_xattr(&self, name: &OsStr) -> bool {
        let mut owned = self.owned.lock();
        let was_there = owned.xattrs.remove(name);
        if was_there {
            owned.touch(false);
        }
        was_there
    }

    /// Notes that one of its names, or with `contents` what it contains, changed now.
    pub fn touch(&self, contents: bool) {
        self.owned.lock().touch(contents);
    }

    /// How many names it has.
    pub fn links(&self) -> u32 {
        self.owned.lock().links
    }

    /// Counts a new name.
    pub fn add_link(&self) {
        let mut owned = self.owned.lock();
        owned.links += 1;
        owned.touch(false);
    }

    /// Counts a name that is gone.
    pub fn remove_link(&self) {
        let mut owned = self.owned.lock();
        owned.links = owned.links.saturating_sub(1);
        owned.touch(false);
    }
}

impl Owned {
    fn touch(&mut self, contents: bool) {
        let now = SystemTime::now();
        self.attributes.changed = now;
        if contents {
            self.attributes.modified = now;
        }
    }
}
