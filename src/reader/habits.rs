//! Whether the files of a folder are read whole, by what programs did with those before.
//!
//! A loader that shuffles pictures, or a person who looks at one after the other, opens
//! files in no order, but reads each from its start to its end. Once that was seen of two
//! files of a folder, the first read of the next one fetches all of it: one GET in place of
//! two, and no wait in between. Each guess that was wrong doubles what it takes to guess
//! again, so that a folder of files of which only the headers are read costs one file.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use lru::LruCache;

use crate::key::ObjectVersion;

/// Larger files are read ahead of as any other: one GET carries so much.
const LARGEST_BYTES: u64 = 8 << 20;
/// So many folders are remembered, those that were read last.
const FOLDERS: NonZeroUsize = NonZeroUsize::new(256).unwrap();
/// How many files in a row have to be read whole, at first and at most.
const FIRST_NEEDED: u32 = 2;
const MOST_NEEDED: u32 = 64;

#[derive(Debug, Clone, Copy)]
struct Habit {
    /// How many files in a row were read whole.
    whole: u32,
    needed: u32,
}

/// What is known of folders.
#[derive(Debug)]
pub(super) struct Habits(Mutex<LruCache<String, Habit>>);

impl Default for Habits {
    fn default() -> Self {
        Habits(Mutex::new(LruCache::new(FOLDERS)))
    }
}

impl Habits {
    /// Whether a file is so likely to be read whole that all of it is fetched at its first read.
    pub(super) fn is_read_whole(&self, version: &ObjectVersion) -> bool {
        if version.size > LARGEST_BYTES {
            return false;
        }
        let mut folders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        folders.get(folder(version)).is_some_and(|habit| habit.whole >= habit.needed)
    }

    /// Notes that a file was read, and closed.
    pub(super) fn note(&self, version: &ObjectVersion, is_whole: bool) {
        if version.size > LARGEST_BYTES {
            return;
        }
        let mut folders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Habit { whole: 0, needed: FIRST_NEEDED };
        let habit = folders.get_or_insert_mut_ref(folder(version), new);
        if is_whole {
            habit.whole = habit.whole.saturating_add(1);
        } else {
            if habit.whole >= habit.needed {
                habit.needed = (habit.needed * 2).min(MOST_NEEDED);
            }
            habit.whole = 0;
        }
    }
}

fn folder(version: &ObjectVersion) -> &str {
    let key = version.key.as_str();
    key.rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::key::ObjectKey;

    fn file(key: &str, size: u64) -> ObjectVersion {
        ObjectVersion {
            key: ObjectKey::new(key),
            size,
            etag: None,
            last_modified: SystemTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn two_files_that_were_read_whole_say_so_of_the_next_one_in_their_folder() {
        let habits = Habits::default();
        let next = file("a/next", 1 << 20);
        assert!(!habits.is_read_whole(&next));
        habits.note(&file("a/1", 1 << 20), true);
        assert!(!habits.is_read_whole(&next));
        habits.note(&file("a/2", 3 << 20), true);
        assert!(habits.is_read_whole(&next));
        assert!(!habits.is_read_whole(&file("b/next", 1 << 20)));
        assert!(!habits.is_read_whole(&file("a/large", LARGEST_BYTES + 1)));
        habits.note(&file("a/large", LARGEST_BYTES + 1), false);
        assert!(habits.is_read_whole(&next));
    }

    #[test]
    fn each_guess_that_was_wrong_doubles_what_it_takes_to_guess_again() {
        let habits = Habits::default();
        let one = file("one", 1 << 20);
        let takes = || {
            let mut files = 0;
            while !habits.is_read_whole(&one) {
                habits.note(&one, true);
                files += 1;
            }
            habits.note(&one, false);
            files
        };
        let taken: Vec<u32> = (0..7).map(|_| takes()).collect();
        assert_eq!(taken, [2, 4, 8, 16, 32, 64, 64]);
    }
}
