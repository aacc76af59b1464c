//! Names that the kernel believes to be missing in the root, which it can only be told to
//! forget one by one.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use crate::sync::lock;

/// So many missing names of the root are remembered. The kernel is told of others that it has
/// to ask each time.
const MOST_NAMES: usize = 1024;

/// Names that the kernel believes to be missing in the root.
#[derive(Debug, Default)]
pub(super) struct MissingInRoot(Mutex<HashSet<String>>);

impl MissingInRoot {
    /// Remembers a name that is about to be told to be missing for `ttl`; how long it may be.
    pub(super) fn note(&self, name: &str, ttl: Duration) -> Duration {
        if ttl.is_zero() {
            return ttl;
        }
        let mut names = lock(&self.0);
        if !names.contains(name) {
            if names.len() >= MOST_NAMES {
                return Duration::ZERO;
            }
            names.insert(name.to_owned());
        }
        ttl
    }

    /// Forgets them, and says which they were.
    pub(super) fn take(&self) -> HashSet<String> {
        std::mem::take(&mut *lock(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_believes_no_more_missing_names_of_the_root_than_are_remembered() {
        let (missing, hour) = (MissingInRoot::default(), Duration::from_secs(3600));
        assert_eq!(missing.note("a", Duration::ZERO), Duration::ZERO);
        assert!(missing.take().is_empty());
        for number in 0..MOST_NAMES {
            assert_eq!(missing.note(&number.to_string(), hour), hour);
        }
        assert_eq!(missing.note("one more", hour), Duration::ZERO);
        assert_eq!(missing.note("7", hour), hour);
        assert_eq!(missing.take().len(), MOST_NAMES);
        assert_eq!(missing.note("one more", hour), hour);
    }
}
