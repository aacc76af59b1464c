//! Which process has made which image.

use std::num::NonZeroUsize;
use std::sync::Mutex;

use lru::LruCache;

use crate::names::{Ino, Place};
use crate::sync::lock;

/// How many images are remembered that programs made.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(16_384).unwrap();

/// Which process has made which image, by its folder and name.
#[derive(Debug)]
pub(super) struct Makers(Mutex<LruCache<(Ino, String), u32>>);

impl Default for Makers {
    fn default() -> Self {
        Makers(Mutex::new(LruCache::new(REMEMBERED)))
    }
}

impl Makers {
    /// Notes that a process has made an image.
    pub(super) fn note(&self, place: &Place, process: u32) {
        lock(&self.0).put((place.parent, place.name.clone()), process);
    }

    /// Who has made the image of this name, if that is known.
    pub(super) fn of(&self, parent: Ino, image: &str) -> Option<u32> {
        lock(&self.0).get(&(parent, image.to_owned())).copied()
    }
}
