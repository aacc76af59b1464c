//! Which objects this mount has made itself, so that it may take them away again.
//!
//! A program that saves a file writes it under another name and renames it, or leaves a
//! file beside it for a while: `sed -i`, rsync, vim, zip. What such a program has made here
//! it may rename, replace and delete here, whatever the flags say of objects that were
//! there before. An object counts as made here if there was nothing under its key when it
//! was written, or one that was made here; so does the copy of such an object. It counts
//! as long as it has the ETag that the server gave us for it.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use crate::key::{ObjectKey, ObjectVersion};
use crate::mem::{Budget, Reservation, Use};

/// How many are remembered. Those that were written least recently are forgotten first,
/// and are objects like any other from then on.
const MOST: usize = 100_000;
/// What each takes of the memory, in bytes.
const EACH_BYTES: u64 = 96;

/// The objects that this mount has made, as two numbers each: keys may be long.
#[derive(Debug)]
pub(super) struct Made {
    /// A leaf: under this lock nothing else is done.
    known: Mutex<Known>,
    /// Other numbers in each mount, so that nobody can choose a key that is taken for
    /// another one.
    numbers: RandomState,
    most: usize,
}

#[derive(Debug)]
struct Known {
    /// By the number of a key, that of its ETag.
    etags: LruCache<u64, u64>,
    counted: Reservation,
}

impl Made {
    /// None yet; what is remembered is counted in `budget`.
    pub(super) fn new(budget: &Arc<Budget>) -> Self {
        Made::remembering(MOST, budget)
    }

    fn remembering(most: usize, budget: &Arc<Budget>) -> Self {
        let known =
            Known { etags: LruCache::unbounded(), counted: budget.charge(0).of(Use::Names) };
        Made { known: Mutex::new(known), numbers: RandomState::new(), most }
    }

    /// Whether this mount has made this version.
    pub(super) fn has(&self, version: &ObjectVersion) -> bool {
        let Some(etag) = &version.etag else { return false };
        let number = self.numbers.hash_one(&version.key);
        let known = self.lock().etags.peek(&number).copied();
        known == Some(self.numbers.hash_one(etag))
    }

    /// Whether what is put in the place of `before` is made here: nobody else's object is.
    pub(super) fn may_count(&self, before: Option<&ObjectVersion>) -> bool {
        before.is_none_or(|before| self.has(before))
    }

    /// Notes what a key is from now on, and whether that was made here.
    pub(super) fn note(&self, version: &ObjectVersion, is_made: bool) {
        match &version.etag {
            Some(etag) if is_made => {
                let key = self.numbers.hash_one(&version.key);
                let etag = self.numbers.hash_one(etag);
                let mut known = self.lock();
                known.etags.put(key, etag);
                if known.etags.len() > self.most {
                    known.etags.pop_lru();
                }
                known.count();
            }
            Some(_) | None => self.forget(&version.key),
        }
    }

    /// Notes that a key is nothing any more.
    pub(super) fn forget(&self, key: &ObjectKey) {
        let number = self.numbers.hash_one(key);
        let mut known = self.lock();
        known.etags.pop(&number);
        known.count();
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn count(&mut self) {
        self.counted.resize(self.etags.len() as u64 * EACH_BYTES);
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::key::ETag;

    fn version(key: &str, etag: Option<&str>) -> ObjectVersion {
        let (key, etag) = (ObjectKey::new(key), etag.map(ETag::new));
        ObjectVersion { key, size: 1, etag, last_modified: SystemTime::UNIX_EPOCH }
    }

    #[test]
    fn an_object_is_ours_with_the_etag_that_we_put_there_and_no_other() {
        let made = Made::new(&Budget::new(1 << 20));
        let (ours, theirs) = (version("a", Some("1")), version("a", Some("2")));
        assert!(!made.has(&ours));
        made.note(&ours, made.may_count(None));
        assert!(made.has(&ours) && !made.has(&theirs) && !made.has(&version("b", Some("1"))));
        assert!(!made.has(&version("a", None)), "nothing tells which version that is");
        made.note(&version("b", None), true);
        assert!(!made.has(&version("b", None)));
        made.forget(&ours.key);
        assert!(!made.has(&ours));
    }

    #[test]
    fn what_replaces_an_object_of_others_is_not_ours() {
        let made = Made::new(&Budget::new(1 << 20));
        let (first, second) = (version("a", Some("1")), version("a", Some("2")));
        made.note(&first, true);
        made.note(&second, made.may_count(Some(&first)));
        assert!(made.has(&second) && !made.has(&first));
        let theirs = version("a", Some("3"));
        made.note(&version("a", Some("2")), made.may_count(Some(&theirs)));
        assert!(!made.has(&second), "somebody else's object was in its place");
    }

    #[test]
    fn those_written_least_recently_are_forgotten_first() {
        let budget = Budget::new(1 << 20);
        let made = Made::remembering(2, &budget);
        let of = |key: &str| version(key, Some("1"));
        made.note(&of("a"), true);
        made.note(&of("b"), true);
        made.note(&of("a"), true);
        made.note(&of("c"), true);
        assert_eq!(["a", "b", "c"].map(|key| made.has(&of(key))), [true, false, true]);
        assert_eq!(budget.used_bytes(), 2 * EACH_BYTES);
        made.forget(&of("a").key);
        assert_eq!(budget.used_bytes(), EACH_BYTES);
    }
}
