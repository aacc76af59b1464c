//! Sees to it that a listing ends: each page has to lead to one that was not there before.
//!
//! A server, or a cache in front of it, that hands the same continuation token out again
//! would have whoever follows it list for ever. That is an error of the listing.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use super::{StoreError, StoreErrorKind};
use crate::key::Prefix;

/// Pages without an entry that may follow each other. S3 makes some, of keys that were
/// deleted just now; a server that makes nothing else never ends.
const MOST_EMPTY_PAGES: u32 = 1000;

/// The tokens that led through one listing.
#[derive(Debug, Default)]
pub struct Trail {
    hasher: RandomState,
    /// Hashes of them.
    tokens: HashSet<u64>,
    empty_pages: u32,
}

impl Trail {
    /// Notes that a page of `entries` keys and prefixes below `prefix` leads to the page
    /// behind `token`.
    ///
    /// # Errors
    /// The listing would never end.
    pub fn follow(
        &mut self,
        prefix: &Prefix,
        entries: usize,
        token: &str,
    ) -> Result<(), StoreError> {
        let endless =
            |detail| Err(StoreError::new(StoreErrorKind::Other, format!("LIST {prefix}"), detail));
        self.empty_pages = if entries == 0 { self.empty_pages + 1 } else { 0 };
        if self.empty_pages > MOST_EMPTY_PAGES {
            return endless("the server gives one empty page after the other");
        }
        if !self.tokens.insert(self.hasher.hash_one(token)) {
            return endless(
                "the server gives a continuation token that it gave before, so this listing \
                 would never end",
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_comes_again_ends_the_listing_however_much_later() {
        let mut trail = Trail::default();
        for token in ["a", "b", "c"] {
            trail.follow(&Prefix::root(), 1, token).unwrap();
        }
        let error = trail.follow(&Prefix::root(), 1, "a").unwrap_err();
        assert!(error.to_string().contains("never end"), "{error}");
    }

    #[test]
    fn some_empty_pages_are_followed_and_not_nothing_else() {
        let mut trail = Trail::default();
        for page in 0..3 * MOST_EMPTY_PAGES {
            let entries = usize::from(page % MOST_EMPTY_PAGES == 0);
            trail.follow(&Prefix::root(), entries, &page.to_string()).unwrap();
        }
        let end = (0..=MOST_EMPTY_PAGES)
            .map(|page| trail.follow(&Prefix::root(), 0, &format!("e{page}")));
        assert!(end.last().unwrap().is_err());
    }
}
