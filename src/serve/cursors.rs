//! Where listings go on: a directory that was listed in part stays open for a while.
//!
//! Whoever asks for the next page of 100,000 names would otherwise have all pages before it
//! named again. What is not here any more is only slower.

use std::num::NonZeroUsize;
use std::sync::Mutex;

use lru::LruCache;

use super::open::OpenDir;

/// Each holds about a page of names.
const KEPT: NonZeroUsize = NonZeroUsize::new(32).unwrap();

/// Open directories, by their path and where their listing goes on.
#[derive(Debug)]
pub(super) struct Cursors(Mutex<LruCache<(String, u64), OpenDir>>);

impl Default for Cursors {
    fn default() -> Self {
        Cursors(Mutex::new(LruCache::new(KEPT)))
    }
}

impl Cursors {
    /// The directory at `path` whose listing goes on at `cookie`, if it is still open.
    pub(super) fn take(&self, path: &str, cookie: u64) -> Option<OpenDir> {
        let mut kept = self.0.lock().ok()?;
        kept.pop(&(path.to_owned(), cookie))
    }

    /// Keeps a directory for whoever asks for what follows.
    pub(super) fn keep(&self, path: String, cookie: u64, dir: OpenDir) {
        let dropped = match self.0.lock() {
            Ok(mut kept) => kept.push((path, cookie), dir),
            Err(_) => return,
        };
        // Closed without the lock.
        drop(dropped);
    }
}
