//! What was here not long ago: by a number for each, without its bytes.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroUsize;

use lru::LruCache;

/// Of so many things it is remembered that they were here: several megabytes of memory.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(1 << 16).unwrap();

/// Things that had to go. One that is needed again is worth writing down.
#[derive(Debug)]
pub struct Ghosts(LruCache<u64, ()>);

impl Default for Ghosts {
    fn default() -> Self {
        Ghosts(LruCache::unbounded())
    }
}

impl Ghosts {
    /// Remembers that something had to go, or was made.
    pub fn note(&mut self, what: &impl Hash) {
        if self.0.len() == REMEMBERED.get() {
            self.0.pop_lru();
        }
        self.0.put(number(what), ());
    }

    /// Whether something was here; told once.
    pub fn take(&mut self, what: &impl Hash) -> bool {
        self.0.pop(&number(what)).is_some()
    }
}

/// Two things with one number cost a write that is not worth it.
fn number(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_things_the_latest_are_remembered() {
        let mut ghosts = Ghosts::default();
        let many = REMEMBERED.get() + 1;
        (0..many).for_each(|n| ghosts.note(&("block", n)));
        assert!(!ghosts.take(&("block", 0usize)), "too long ago");
        assert!(ghosts.take(&("block", many - 1)) && ghosts.take(&("block", 1usize)));
        assert!(!ghosts.take(&("block", 1usize)), "told once");
        assert!(!ghosts.take(&("unit", 2usize)));
    }
}
