//! Files that were read in ranges a moment ago, still open.
//!
//! A mount knows by its handle how a program reads; one that asks by HTTP opens its file anew for
//! each range. Kept open between two, it reads as it would through a mount: in order ahead, and
//! nothing twice.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use lru::LruCache;

use super::open::OpenFile;
use crate::fs::FsError;

const KEPT: NonZeroUsize = NonZeroUsize::new(16).unwrap();

/// Which file, in which state: its path and its tag.
pub(super) type Key = (String, String);

/// Files that are open for whoever goes on reading them.
pub(super) struct Recent(Mutex<LruCache<Key, OpenFile>>);

impl Default for Recent {
    fn default() -> Self {
        Recent(Mutex::new(LruCache::new(KEPT)))
    }
}

impl fmt::Debug for Recent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recent").finish_non_exhaustive()
    }
}

impl Recent {
    /// The file, if it is open and nobody reads it now.
    pub(super) fn take(self: &Arc<Self>, key: &Key) -> Option<Lent> {
        let file = self.0.lock().ok()?.pop(key)?;
        Some(self.lend(key.clone(), file))
    }

    /// A file that comes back here when it was read.
    pub(super) fn lend(self: &Arc<Self>, key: Key, file: OpenFile) -> Lent {
        let (home, has_failed) = (Some((self.clone(), key)), AtomicBool::new(false));
        Lent { home, file: Some(file), has_failed }
    }
}

/// A file that is read. `file` is taken out when this is dropped.
pub(super) struct Lent {
    home: Option<(Arc<Recent>, Key)>,
    file: Option<OpenFile>,
    /// It remembers failures for a moment, since a kernel asks twice: whoever asks next asks anew.
    has_failed: AtomicBool,
}

impl Lent {
    /// A file that is closed when it was read.
    pub(super) fn once(file: OpenFile) -> Lent {
        Lent { home: None, file: Some(file), has_failed: AtomicBool::new(false) }
    }

    /// As [`OpenFile::read`].
    pub(super) async fn read(&self, offset: u64, length: usize) -> Result<Bytes, FsError> {
        let file = self.file.as_ref().ok_or(FsError::BadHandle)?;
        let read = file.read(offset, length).await;
        if read.is_err() {
            self.has_failed.store(true, Ordering::Relaxed);
        }
        read
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some((home, key)), Some(file)) = (self.home.take(), self.file.take())
            && !*self.has_failed.get_mut()
        {
            let dropped = match home.0.lock() {
                Ok(mut kept) => kept.push(key, file),
                Err(_) => return,
            };
            // Closed without the lock.
            drop(dropped);
        }
    }
}
