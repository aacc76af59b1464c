//! Walking through a directory of any size, a page at a time.
//!
//! Cookies are entry numbers; for each page the walk keeps only where it begins,
//! so a walk through 100,000 names holds one page, and can still go back.
//!
//! An object can only be named once it is known whether a directory has the same
//! name, which may stand on a later page (`a`, `a-1`, ... `a-999`, `a/`). Such an
//! object is held back until the walk has passed its directory's place.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::dir::Named;
use super::lanes::{Lanes, Walked};
use super::page::{Known, Page, PageEntry, PageRequest};
use super::{Catalog, Dir, Node};
use crate::mem::{Reservation, Use};
use crate::store::{ListedObject, StoreError, Trail};

/// About what the place of a page (its token's hash in the trail included), and an object that
/// is held back, take in memory beside their texts, in bytes.
const START_BYTES: usize = 200;
const HELD_BYTES: usize = 200;

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq)]
pub struct DirEntry {
    /// Its file name.
    pub name: String,
    /// What it is.
    pub node: Node,
}

/// Some entries of a directory, in order.
#[derive(Debug, Clone, Copy, Default)]
pub struct Listed<'w> {
    /// The entries; none at the end of the directory.
    pub entries: &'w [DirEntry],
    /// How much longer they are believed.
    pub ttl: Duration,
}

/// Where a walk through one directory is. One per open directory handle.
#[derive(Debug, Default)]
pub struct Walk {
    /// Where each page that was reached begins.
    starts: Vec<PageStart>,
    /// The page in hand.
    current: Option<PageInHand>,
    /// Pages that arrived earlier are not believed within this walk.
    oldest: Option<Instant>,
    /// The tokens that led here.
    trail: Trail,
    /// What all this takes of the budget, once there is a second page.
    counted: Option<Reservation>,
    /// What is listed ahead of it.
    lanes: Lanes,
}

#[derive(Debug)]
struct PageInHand {
    /// Its place in the walk's `starts`.
    at: usize,
    entries: Vec<DirEntry>,
    fetched: Instant,
}

/// What has to be known to make a page's entries again.
#[derive(Debug, Clone, Default)]
struct PageStart {
    /// The number of its first entry.
    first: u64,
    token: Option<String>,
    after: Option<String>,
    /// Objects of earlier pages that wait for their directory's place.
    held_back: Vec<ListedObject>,
    /// The last directory of long names that was shown.
    long_shown: Option<String>,
}

impl PageStart {
    /// About what it takes in memory, in bytes.
    fn weight_bytes(&self) -> u64 {
        let texts = [&self.token, &self.after, &self.long_shown];
        let texts: usize = texts.into_iter().flatten().map(String::len).sum();
        let keys =
            self.held_back.iter().map(|object| HELD_BYTES + object.version.key.as_str().len());
        (START_BYTES + texts + keys.sum::<usize>()) as u64
    }
}

impl Catalog {
    /// The entries of `dir` from number `cookie` on, as many as one page has left;
    /// none at the end.
    ///
    /// # Errors
    /// What the listing failed with.
    pub async fn entries<'w>(
        &self,
        dir: &Dir,
        walk: &'w mut Walk,
        cookie: u64,
    ) -> Result<Listed<'w>, Arc<StoreError>> {
        if cookie == 0 || walk.starts.is_empty() {
            *walk = Walk { starts: vec![PageStart::default()], ..Walk::default() };
            walk.oldest = Some(self.oldest_believed(Instant::now()));
        }
        let mut at = walk.starts.partition_point(|start| start.first <= cookie).saturating_sub(1);
        loop {
            if walk.current.as_ref().is_none_or(|page| page.at != at) {
                walk.current = Some(self.page_entries(dir, walk, at).await?);
            }
            let first = walk.starts[at].first;
            let here = walk.current.as_ref().map_or(0, |page| page.entries.len() as u64);
            if cookie < first + here || at + 1 >= walk.starts.len() {
                break;
            }
            at += 1;
        }
        let skip = (cookie - walk.starts[at].first) as usize;
        let page = walk.current.as_ref();
        Ok(page.map_or_else(Listed::default, |page| self.listed(page, skip)))
    }

    fn listed<'w>(&self, page: &'w PageInHand, skip: usize) -> Listed<'w> {
        Listed {
            entries: page.entries.get(skip..).unwrap_or_default(),
            ttl: self.ttl.saturating_sub(page.fetched.elapsed()),
        }
    }

    /// Lists a page and names its entries; notes where the page behind it begins.
    async fn page_entries(
        &self,
        dir: &Dir,
        walk: &mut Walk,
        at: usize,
    ) -> Result<PageInHand, Arc<StoreError>> {
        let start = walk.starts[at].clone();
        let request = PageRequest {
            dir: dir.prefix().clone(),
            start: String::new(),
            token: start.token.clone(),
            after: start.after.clone(),
            whole: false,
        };
        let oldest = walk.oldest.unwrap_or_else(Instant::now);
        let is_furthest = at + 1 == walk.starts.len();
        let ahead = match is_furthest {
            true => {
                let walked = Walked { pages: at as u64, names: start.first, oldest };
                walk.lanes.next(&self.listings, &request, walked).await
            }
            false => None,
        };
        let page = match ahead {
            Some(page) => page,
            None => self.listings.page(request, oldest).await?,
        };
        self.warn_unreachable(&page.unreachable);
        let mut naming = Naming {
            catalog: self,
            dir,
            page: &page,
            held_back: Vec::new(),
            long_shown: start.long_shown,
            entries: Vec::with_capacity(page.entries.len()),
        };
        for object in start.held_back {
            naming.add(&PageEntry::Object(object));
        }
        for entry in &page.entries {
            naming.add(entry);
        }
        let Naming { held_back, long_shown, entries, .. } = naming;
        if let (true, Some(behind)) = (is_furthest, page.behind()) {
            if let Some(token) = &behind.token {
                walk.trail.follow(dir.prefix(), page.ends(), token).map_err(Arc::new)?;
            }
            let behind = PageStart {
                first: start.first + entries.len() as u64,
                token: behind.token,
                after: behind.after,
                held_back,
                long_shown,
            };
            let counted =
                walk.counted.get_or_insert_with(|| self.budget.charge(0).of(Use::Listings));
            counted.resize(counted.bytes() + behind.weight_bytes());
            walk.starts.push(behind);
        }
        Ok(PageInHand { at, entries, fetched: page.fetched })
    }
}

/// A page whose entries are being named.
struct Naming<'n> {
    catalog: &'n Catalog,
    dir: &'n Dir,
    page: &'n Page,
    held_back: Vec<ListedObject>,
    long_shown: Option<String>,
    entries: Vec<DirEntry>,
}

impl Naming<'_> {
    fn add(&mut self, entry: &PageEntry) {
        let mut is_shadowed = false;
        if let PageEntry::Object(object) = entry {
            let base = self.dir.prefix().as_str().len();
            let as_dir = format!("{}/", entry.rest(base));
            match self.page.find_in_order(base, &as_dir) {
                Known::Here(_) => is_shadowed = true,
                Known::Missing => {}
                Known::Unknown => return self.held_back.push(object.clone()),
            }
        }
        match self.dir.name_entry(entry, is_shadowed) {
            Some(Named::Here(name, node)) => {
                if let (true, Node::Object(object)) = (is_shadowed, &node) {
                    self.catalog.warn_shadowed(object, Some(&name));
                }
                self.show(entry, name, node);
            }
            Some(Named::Unreachable(object)) => self.catalog.warn_shadowed(&object, None),
            None => {}
        }
    }

    fn show(&mut self, entry: &PageEntry, name: String, node: Node) {
        // Neighbouring long names share the directory of their first part.
        let is_long = match (&node, entry) {
            (Node::Dir(dir), PageEntry::Prefix(prefix)) => dir.prefix() != prefix,
            (Node::Dir(_), PageEntry::Object(_)) => true,
            (Node::Object(_), _) => false,
        };
        if is_long {
            if self.long_shown.as_ref() == Some(&name) {
                return;
            }
            self.long_shown = Some(name.clone());
        }
        self.entries.push(DirEntry { name, node });
    }
}
