//! What programs make: files, directories, symbolic links, pipes and sockets.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::file::MadeFile;
use super::tree::DirKey;

/// Something that a program made. It lives as long as a name, the kernel or an open
/// handle holds it.
#[derive(Debug)]
pub struct Made {
    ino: u64,
    body: Body,
    attributes: Mutex<Attributes>,
    links: Mutex<u32>,
    home: Mutex<Option<(DirKey, String)>>,
    was_changed: AtomicBool,
}

/// What it is: a closed set.
#[derive(Debug)]
pub enum Body {
    /// A regular file, with its bytes.
    File(Arc<MadeFile>),
    /// A directory; what it contains is in the tree.
    Dir,
    /// A symbolic link, with what it points to.
    Symlink(String),
    /// A named pipe; the kernel does the rest.
    Fifo,
    /// A socket; the kernel does the rest.
    Socket,
}

/// Who owns something, who may use it, and its times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// Permission bits.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// When it was last read; of a file the memory file knows.
    pub accessed: SystemTime,
    /// When it was last written to; of a file the memory file knows.
    pub modified: SystemTime,
    /// When anything about it changed last.
    pub changed: SystemTime,
}

/// Changes to [`Attributes`]; what is `None` stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AttrChange {
    /// Permission bits.
    pub mode: Option<u16>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// The size of a file in bytes.
    pub size: Option<u64>,
    /// When it was last read.
    pub accessed: Option<SystemTime>,
    /// When it was last written to.
    pub modified: Option<SystemTime>,
}

/// The bits that make a program run in somebody else's name.
const SET_ID_BITS: u16 = 0o6000;

impl Attributes {
    /// Owned by somebody, made just now.
    pub fn new(mode: u16, uid: u32, gid: u32) -> Self {
        let now = SystemTime::now();
        Attributes { mode, uid, gid, accessed: now, modified: now, changed: now }
    }

    /// Makes the changes, but for the size.
    pub fn change(&mut self, change: &AttrChange) {
        if change.uid.is_some() || change.gid.is_some() {
            self.mode &= !SET_ID_BITS;
        }
        self.mode = change.mode.unwrap_or(self.mode);
        self.uid = change.uid.unwrap_or(self.uid);
        self.gid = change.gid.unwrap_or(self.gid);
        self.accessed = change.accessed.unwrap_or(self.accessed);
        self.modified = change.modified.unwrap_or(self.modified);
        self.changed = SystemTime::now();
    }
}

impl Made {
    /// Something with one name. `ino` is its inode number for life.
    pub fn new(ino: u64, body: Body, attributes: Attributes) -> Arc<Self> {
        let (attributes, links) = (Mutex::new(attributes), Mutex::new(1));
        let (home, was_changed) = (Mutex::default(), AtomicBool::new(false));
        Arc::new(Made { ino, body, attributes, links, home, was_changed })
    }

    /// The name that it was given last.
    pub fn home(&self) -> Option<(DirKey, String)> {
        self.home.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes the name that it has now.
    pub fn set_home(&self, dir: DirKey, name: &str) {
        *self.home.lock().unwrap_or_else(PoisonError::into_inner) = Some((dir, name.to_owned()));
    }

    /// Whether a program gave it attributes of its own.
    pub fn was_changed(&self) -> bool {
        self.was_changed.load(Ordering::Relaxed)
    }

    /// Its inode number.
    pub fn ino(&self) -> u64 {
        self.ino
    }

    /// What it is.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// Its bytes, if it is a file.
    pub fn file(&self) -> Option<&Arc<MadeFile>> {
        match &self.body {
            Body::File(file) => Some(file),
            Body::Dir | Body::Symlink(_) | Body::Fifo | Body::Socket => None,
        }
    }

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        matches!(self.body, Body::Dir)
    }

    /// Owner, permissions and times as they are now.
    pub fn attributes(&self) -> Attributes {
        let mut attributes = *self.lock();
        if let Some(file) = self.file()
            && let Ok(stat) = file.bytes().stat()
        {
            attributes.accessed = stat.accessed;
            attributes.modified = stat.modified;
            attributes.changed = attributes.changed.max(stat.changed);
        }
        attributes
    }

    /// Changes them, but for the size.
    ///
    /// # Errors
    /// A time that can't be kept.
    pub fn change(&self, change: &AttrChange) -> io::Result<()> {
        if let Some(file) = self.file()
            && (change.accessed.is_some() || change.modified.is_some())
        {
            file.bytes().set_times(change.accessed, change.modified)?;
        }
        self.lock().change(change);
        self.was_changed.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Notes that what it contains, or its names, changed just now.
    pub fn touch(&self, contents: bool) {
        let now = SystemTime::now();
        let mut attributes = self.lock();
        attributes.changed = now;
        if contents {
            attributes.modified = now;
        }
    }

    /// How many names it has.
    pub fn links(&self) -> u32 {
        *self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It has a name more.
    pub fn add_link(&self) {
        *self.links.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.touch(false);
    }

    /// It has a name less.
    pub fn remove_link(&self) {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        *links = links.saturating_sub(1);
        drop(links);
        self.touch(false);
    }

    fn lock(&self) -> MutexGuard<'_, Attributes> {
        self.attributes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
