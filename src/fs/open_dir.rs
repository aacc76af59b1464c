//! An open directory.

use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use crate::catalog::Walk;
use crate::names::{Folder, Ino};

/// An open directory.
#[derive(Debug)]
pub(super) struct OpenDir {
    pub(super) folder: Folder,
    pub(super) ino: Ino,
    pub(super) parent: Ino,
    /// The process that opened it.
    pub(super) pid: u32,
    /// Drafts from this number on were made after the listing began. They are shown only
    /// in the place of something of the bucket: so a listing ends, and shows a file once
    /// that is written to meanwhile.
    pub(super) made_before: AtomicU64,
    /// Taken out while a request uses it, since no lock is held while waiting.
    pub(super) walk: Mutex<Option<Walk>>,
}

impl OpenDir {
    /// A directory that nobody has listed yet.
    pub(super) fn new(folder: Folder, ino: Ino, parent: Ino, pid: u32) -> Self {
        let (made_before, walk) = (AtomicU64::new(0), Mutex::new(Some(Walk::default())));
        OpenDir { folder, ino, parent, pid, made_before, walk }
    }

    /// Whether the process `pid` has this directory open, which has the number `ino`.
    pub(super) fn is_listed_by(&self, pid: u32, ino: Option<Ino>) -> bool {
        self.pid == pid && Some(self.ino) == ino
    }
}
