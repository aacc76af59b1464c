//! What comes next in a directory, as far as that is known without a request.
//!
//! For whoever guesses what a program will ask for: nothing here is a promise that a name
//! still stands for what it did when it was listed, however long ago that was.

use std::time::Instant;

use super::dir::Named;
use super::page::{Known, Page, PageEntry, PageRequest};
use super::{Catalog, Dir, DirEntry, Node};
use crate::mem::{Reservation, Use};
use crate::store::KeyOrder;

/// So many entries are looked through for what is wanted.
const LOOKED_AT: usize = 2_000;

impl Catalog {
    /// Up to `most` wanted entries behind `name` in the order of listings, or from the first one
    /// on; `is_dir` says whether that is a directory. Fewer where listings in memory end.
    pub fn following(
        &self,
        dir: &Dir,
        (name, is_dir): (Option<&str>, bool),
        most: usize,
        wanted: impl Fn(&DirEntry) -> bool,
    ) -> Vec<DirEntry> {
        let mut found = Vec::new();
        let behind = match name.map(|name| dir.key_of(name)) {
            None => None,
            Some(None) => return found,
            Some(Some(key)) => {
                let rest = key.as_str().get(dir.prefix().as_str().len()..).unwrap_or_default();
                Some(if is_dir { format!("{rest}/") } else { rest.to_owned() })
            }
        };
        let mut looked_at = 0;
        self.listings.behind(dir.prefix(), behind, self.listings.born(), |page, entry| {
            looked_at += 1;
            found.extend(ordinary(dir, page, entry).filter(&wanted));
            found.len() < most && looked_at < LOOKED_AT
        });
        found
    }

    /// All wanted entries of a directory of which every page is in memory, if it has no more
    /// than `most`.
    pub fn all_known(
        &self,
        dir: &Dir,
        most: usize,
        wanted: impl Fn(&DirEntry) -> bool,
    ) -> Option<Vec<DirEntry>> {
        let (mut found, mut looked_at) = (Vec::new(), 0);
        let born = self.listings.born();
        let is_all = self.listings.behind(dir.prefix(), None, born, |page, entry| {
            looked_at += 1;
            found.extend(ordinary(dir, page, entry).filter(&wanted));
            looked_at <= most
        });
        is_all.then_some(found)
    }

    /// Lists the first page of a directory, unless that is in memory. What it fails with is for
    /// whoever asks next.
    pub async fn list_ahead(&self, dir: &Dir) {
        // A server without an order is asked for whole directories, which may be large.
        if self.listings.order(dir.prefix()) != KeyOrder::Any {
            let request = PageRequest::first(dir.prefix());
            let _ = self.listings.page(request, self.believed()).await;
        }
    }

    /// Whether the page that the object `name` is on will soon be too old to be believed, in a
    /// directory so large that its names would be asked for one by one then.
    pub fn is_outdated_soon(&self, dir: &Dir, name: &str) -> bool {
        self.outdated_soon(dir, name).is_some()
    }

    /// Lists that page again. What it fails with is for whoever asks next.
    pub async fn list_again(&self, dir: &Dir, name: &str) {
        if let Some(page) = self.outdated_soon(dir, name) {
            let _ = self.listings.list(page).await;
        }
    }

    fn outdated_soon(&self, dir: &Dir, name: &str) -> Option<PageRequest> {
        // What one name asks for first then is worth a page of them.
        let oldest = Instant::now().checked_sub(self.ttl / 4 * 3)?;
        let is_ordered = self.listings.order(dir.prefix()) != KeyOrder::Any;
        let key = dir.key_of(name).filter(|_| is_ordered)?;
        let rest = key.as_str().get(dir.prefix().as_str().len()..)?;
        self.listings.outdated(dir.prefix(), rest, oldest)
    }

    /// Whether the first page of a directory is in memory.
    pub fn is_listed(&self, dir: &Dir) -> bool {
        self.listings.cached(&PageRequest::first(dir.prefix()), self.believed()).is_some()
    }

    /// How many listings like that of `dir` have room beside those that are needed now.
    pub fn listings_ahead(&self, dir: &Dir) -> usize {
        self.listings.room_for(&PageRequest::first(dir.prefix()))
    }

    /// Counts bytes that somebody keeps about a directory.
    pub fn charge(&self, bytes: u64) -> Reservation {
        self.budget.charge(bytes).of(Use::Listings)
    }

    fn believed(&self) -> Instant {
        self.oldest_believed(Instant::now())
    }
}

/// An entry under its name, if that is its own.
fn ordinary(dir: &Dir, page: &Page, entry: &PageEntry) -> Option<DirEntry> {
    let base = dir.prefix().as_str().len();
    if let PageEntry::Object(_) = entry
        && let Known::Here(_) = page.find_in_order(base, &format!("{}/", entry.rest(base)))
    {
        return None;
    }
    match dir.name_entry(entry, false)? {
        Named::Here(name, node) => {
            let is_whole = match (&node, entry) {
                (Node::Dir(shown), PageEntry::Prefix(prefix)) => shown.prefix() == prefix,
                (Node::Object(_), PageEntry::Object(_)) => true,
                _ => false,
            };
            is_whole.then_some(DirEntry { name, node })
        }
        Named::Unreachable(_) => None,
    }
}
