//! Whether a server counts what it lists.
//!
//! Some servers count wrongly, so a count that does not match is no error: it is said once,
//! for whoever misses names.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Compares the counts in listings with what is listed. Clones say it once together.
#[derive(Debug, Clone, Default)]
pub(super) struct Count {
    is_said: Arc<AtomicBool>,
}

impl Count {
    /// Compares the `KeyCount` of one page, where the server tells one, with its entries;
    /// whether they differ and that is said now.
    pub(super) fn compare(&self, name: &str, told: Option<i32>, entries: usize) -> bool {
        let Some(told) = told.filter(|told| i64::from(*told) != entries as i64) else {
            return false;
        };
        if self.is_said.swap(true, Ordering::Relaxed) {
            return false;
        }
        tracing::warn!(
            "{}: the server says that the page has {told} entries, and it has {entries}; further \
             pages like this are not logged",
            name.escape_debug()
        );
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_that_does_not_match_is_said_once() {
        let count = Count::default();
        assert!(!count.compare("LIST a", Some(2), 2));
        assert!(!count.compare("LIST a", None, 2));
        assert!(count.compare("LIST a", Some(3), 2));
        assert!(!count.clone().compare("LIST b", Some(1), 2));
    }
}
