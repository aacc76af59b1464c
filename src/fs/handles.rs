//! Open handles, by the number that the kernel knows them by.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::error::FsError;
use super::open_file::OpenFile;
use crate::drafts::{Draft, Drafts};

/// Things that are open.
#[derive(Debug)]
pub(super) struct Handles<T> {
    next: AtomicU64,
    open: RwLock<HashMap<u64, Arc<T>>>,
}

impl<T> Default for Handles<T> {
    fn default() -> Self {
        Handles { next: AtomicU64::new(1), open: RwLock::default() }
    }
}

impl<T> Handles<T> {
    /// Keeps `thing`; returns its number.
    pub(super) fn insert(&self, thing: T) -> u64 {
        let handle = self.next.fetch_add(1, Ordering::Relaxed);
        self.open.write().unwrap_or_else(PoisonError::into_inner).insert(handle, Arc::new(thing));
        handle
    }

    /// The thing behind a number.
    pub(super) fn get(&self, handle: u64) -> Option<Arc<T>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).get(&handle).cloned()
    }

    /// Gives a number up.
    pub(super) fn remove(&self, handle: u64) -> Option<Arc<T>> {
        self.open.write().unwrap_or_else(PoisonError::into_inner).remove(&handle)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.open.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Visits each of them.
    pub(super) fn each(&self, look: impl FnMut(&Arc<T>)) {
        self.open.read().unwrap_or_else(PoisonError::into_inner).values().for_each(look);
    }

    /// Whether any of them matches.
    pub(super) fn any(&self, is_such: impl Fn(&T) -> bool) -> bool {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.values().any(|thing| is_such(thing))
    }
}

/// The files that are open. Handles of a mount that may be written to are counted with
/// its drafts too, for whoever must not give the bytes of an open file away.
#[derive(Debug)]
pub(super) struct OpenFiles {
    handles: Handles<OpenFile>,
    drafts: Option<Arc<Drafts>>,
}

impl OpenFiles {
    pub(super) fn new(drafts: Option<Arc<Drafts>>) -> Self {
        OpenFiles { handles: Handles::default(), drafts }
    }

    /// Keeps an open file; returns its number. It counts as open before it has one.
    pub(super) fn insert(&self, file: OpenFile) -> u64 {
        if let Some(drafts) = &self.drafts {
            drafts.opened().add(file.ino, file.writes);
        }
        self.handles.insert(file)
    }

    /// The open file behind a number.
    pub(super) fn get(&self, handle: u64) -> Option<Arc<OpenFile>> {
        self.handles.get(handle)
    }

    /// The draft behind a handle that is written to.
    ///
    /// # Errors
    /// EBADF for a handle that is not open, or not of a draft.
    pub(super) fn draft(&self, handle: u64) -> Result<Arc<Draft>, FsError> {
        let file = self.get(handle).ok_or(FsError::BadHandle)?;
        file.draft().cloned().ok_or(FsError::BadHandle)
    }

    /// Gives a number up.
    pub(super) fn remove(&self, handle: u64) -> Option<Arc<OpenFile>> {
        let file = self.handles.remove(handle)?;
        if let Some(drafts) = &self.drafts {
            drafts.opened().remove(file.ino, file.writes);
        }
        Some(file)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.handles.count()
    }

    /// Visits each of them.
    pub(super) fn each(&self, look: impl FnMut(&Arc<OpenFile>)) {
        self.handles.each(look);
    }
}
