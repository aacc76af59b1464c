//! Sees to it that a listing ends: each page has to lead to one that was not there before.
//!
//! A server, or a cache in front of it, that hands the same continuation token out again
//! would have whoever follows it list for ever, and so would one that hands out the same
//! pages behind tokens that are new. That is an error of the listing.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use super::{StoreError, StoreErrorKind};
use crate::key::Prefix;

/// Pages without an entry that may follow each other. S3 makes some, of keys that were
/// deleted just now; a server that makes nothing else never ends.
const MOST_EMPTY_PAGES: u32 = 1000;
/// Pages that may begin and end as an earlier one did: some servers give a prefix again.
const MOST_REPEATED_PAGES: u32 = 8;

/// The tokens that led through one listing.
#[derive(Debug, Default)]
pub struct Trail {
    hasher: RandomState,
    /// Hashes of them.
    tokens: HashSet<u64>,
    empty_pages: u32,
    /// Hashes of where pages began and ended.
    ends: HashSet<u64>,
    repeated_pages: u32,
}

impl Trail {
    /// Notes that a page below `prefix` leads to the page behind `token`. Its `ends` are
    /// the first and the last key or prefix on it, if it has any.
    ///
    /// # Errors
    /// The listing would never end.
    pub fn follow(
        &mut self,
        prefix: &Prefix,
        ends: Option<(&str, &str)>,
        token: &str,
    ) -> Result<(), StoreError> {
        let endless =
            |detail| Err(StoreError::new(StoreErrorKind::Other, format!("LIST {prefix}"), detail));
        match ends {
            None => self.empty_pages += 1,
            Some(ends) => {
                self.empty_pages = 0;
                self.repeated_pages += u32::from(!self.ends.insert(self.hasher.hash_one(ends)));
            }
        }
        if self.empty_pages > MOST_EMPTY_PAGES {
            return endless("the server gives one empty page after the other");
        }
        if self.repeated_pages > MOST_REPEATED_PAGES {
            return endless(
                "the server gives the same pages again, so this listing would never end",
            );
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
            trail.follow(&Prefix::root(), Some((token, token)), token).unwrap();
        }
        let error = trail.follow(&Prefix::root(), Some(("x", "y")), "a").unwrap_err();
        assert!(error.to_string().contains("never end"), "{error}");
    }

    #[test]
    fn some_empty_pages_are_followed_and_not_nothing_else() {
        let mut trail = Trail::default();
        for page in 0..3 * MOST_EMPTY_PAGES {
            let token = page.to_string();
            let ends = (page % MOST_EMPTY_PAGES == 0).then_some((token.as_str(), "z"));
            trail.follow(&Prefix::root(), ends, &token).unwrap();
        }
        let end = (0..=MOST_EMPTY_PAGES)
            .map(|page| trail.follow(&Prefix::root(), None, &format!("e{page}")));
        assert!(end.last().unwrap().is_err());
    }

    #[test]
    fn pages_that_come_again_behind_new_tokens_end_the_listing() {
        // One page, and three in a circle.
        for circle in [1, 3] {
            let mut trail = Trail::default();
            let followed = (0..100).take_while(|page| {
                let first = format!("key {}", page % circle);
                let ends = Some((first.as_str(), "z"));
                trail.follow(&Prefix::root(), ends, &page.to_string()).is_ok()
            });
            assert_eq!(followed.count() as u32, circle + MOST_REPEATED_PAGES);
        }
    }
}
