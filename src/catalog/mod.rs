//! What exists: directories from listings, look-ups from what was listed.
//!
//! Contract: a look-up in an unknown directory lists the directory once; if that
//! was all of it, every name in it is answered until the listing is too old, the
//! missing names too. In a larger directory a look-up asks for names that start
//! like its own only, which answers a file's sidecars with it. No HEAD is ever
//! sent to learn that something exists. Never reads an object's bytes.

mod absent;
mod dir;
mod following;
mod guess;
mod held;
mod kept;
mod lanes;
mod listing;
mod names;
mod order;
mod page;
mod strange;
mod top;
mod walk;
mod whole;

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use dir::{Dir, Node};
pub use strange::Strange;
pub use walk::{DirEntry, Listed, Walk};

use absent::Absent;
use dir::Wanted;
use listing::Listings;
use page::{Known, Page, PageEntry, PageRequest};

use crate::key::{ObjectKey, Prefix, is_marked};
use crate::mem::Budget;
use crate::stats::Stats;
use crate::store::{Folders, KeyOrder, ListRequest, ListedObject, ObjectStore, StoreError, Trail};

/// So many different keys are warned about; beyond that the log would be the harm.
const MAX_WARNINGS: usize = 1000;

/// Settings of a [`Catalog`].
#[derive(Debug, Clone)]
pub struct CatalogConfig {
    /// How long a listing is believed; [`Duration::MAX`] for ever.
    pub ttl: Duration,
    /// The budget that listings are counted in; they use up to an eighth of it, and what is
    /// listed ahead of walks another sixteenth.
    pub budget: Arc<Budget>,
    /// Where look-ups are counted.
    pub stats: Arc<Stats>,
    /// The folders at the top of the mount, if there is one for each of several buckets.
    pub top: Option<Folders>,
    /// Whether the versions of objects are shown, by a store that has them among its keys.
    pub versions: bool,
}

/// What exists in one bucket, or in several, as far as it was looked at.
#[derive(Debug)]
pub struct Catalog {
    listings: Listings,
    /// Walks are counted in it.
    budget: Arc<Budget>,
    stats: Arc<Stats>,
    ttl: Duration,
    top: Option<Folders>,
    versions: bool,
    absent: Absent,
    warned: Mutex<HashSet<u64>>,
    hasher: RandomState,
}

/// The answer to a look-up, with how much longer it may be believed.
#[derive(Debug, Clone, PartialEq)]
pub struct Lookup {
    /// What is there, if anything.
    pub node: Option<Node>,
    /// How long the answer holds.
    pub ttl: Duration,
}

/// An answer from known pages, and when the oldest of them arrived.
struct Resolved {
    node: Option<Node>,
    fetched: Instant,
}

impl Catalog {
    /// An empty catalog of what `store` holds; its requests run on `runtime`.
    pub fn new(
        store: Arc<dyn ObjectStore>,
        config: CatalogConfig,
        runtime: tokio::runtime::Handle,
    ) -> Self {
        Catalog {
            listings: Listings::new(store, config.budget.clone(), runtime),
            budget: config.budget,
            stats: config.stats,
            ttl: config.ttl,
            top: config.top,
            versions: config.versions,
            absent: Absent::default(),
            warned: Mutex::default(),
            hasher: RandomState::new(),
        }
    }

    /// What `name` is in `dir`, if what was listed says so. A twin of [`Catalog::lookup`],
    /// for whoever goes on without an answer rather than wait: a listing that shows siblings,
    /// a deletion that only has to know what may be there.
    pub fn lookup_known(&self, dir: &Dir, name: &str) -> Option<Lookup> {
        let Some(wanted) = self.wanted(dir, name) else {
            return Some(Lookup { node: None, ttl: self.ttl });
        };
        let oldest = self.oldest_believed(Instant::now());
        let resolved = match self.has_unlisted(dir) {
            true => self.bucket_known(dir, &wanted, oldest),
            false => self.resolve(dir, &wanted, oldest),
        };
        resolved.map(|resolved| self.lookup_of(resolved))
    }

    /// Counts a name that was looked up and known, whether by [`Catalog::lookup_known`] or
    /// because a program has changed it.
    pub fn note_known(&self) {
        self.stats.looked_up_names.add(1);
        self.stats.here_looked_up_names.add(1);
    }

    /// What `name` is in `dir`, after as few requests as it takes to know.
    ///
    /// # Errors
    /// What the listing failed with.
    pub async fn lookup(&self, dir: &Dir, name: &str) -> Result<Lookup, Arc<StoreError>> {
        self.stats.looked_up_names.add(1);
        let Some(wanted) = self.wanted(dir, name) else {
            self.stats.here_looked_up_names.add(1);
            return Ok(Lookup { node: None, ttl: self.ttl });
        };
        let begun = Instant::now();
        let oldest = self.oldest_believed(begun);
        if let Wanted::Versions(rest) = &wanted {
            return self.versions(dir, rest, oldest).await;
        }
        if self.has_unlisted(dir) {
            return self.bucket(dir, &wanted, oldest).await;
        }
        if let Some(resolved) = self.resolve(dir, &wanted, oldest) {
            self.stats.here_looked_up_names.add(1);
            return Ok(self.lookup_of(resolved));
        }
        // A directory known to be large is not listed for one name.
        if !self.listings.is_known_large(dir.prefix()) {
            let page = self.listings.first_page(dir.prefix()).await?;
            self.warn_unreachable(&page.unreachable);
            if let Some(resolved) = self.resolve(dir, &wanted, oldest.min(begun)) {
                return Ok(self.lookup_of(resolved));
            }
        }
        let resolved = self.probe(dir, &wanted, begun).await?;
        Ok(self.lookup_of(resolved))
    }

    /// Lists the mount's root, so that its names are known; whether it has any.
    ///
    /// # Errors
    /// What the listing failed with.
    pub async fn list_root(&self, root: &Dir) -> Result<bool, Arc<StoreError>> {
        let page = match self.has_unlisted(root) {
            true => self.listings.page(PageRequest::first(root.prefix()), Instant::now()).await?,
            false => self.listings.first_page(root.prefix()).await?,
        };
        Ok(!page.entries.is_empty() || page.next.is_some())
    }

    /// Forgets what is known of `dir`: something in it turned out to be different.
    pub fn invalidate(&self, dir: &Dir) {
        self.listings.forget(dir.prefix());
    }

    /// Forgets what is known of `dir` and of all directories below it.
    pub fn invalidate_below(&self, dir: &Dir) {
        self.listings.forget_below(dir.prefix());
    }

    /// Asks for the names that start like the wanted one, and answers from the
    /// pages that came: in memory, one may be gone before the next arrives.
    async fn probe(
        &self,
        dir: &Dir,
        wanted: &Wanted,
        begun: Instant,
    ) -> Result<Resolved, Arc<StoreError>> {
        let node = match wanted {
            Wanted::Either(rest) => match self.probe_segment(dir, rest).await? {
                (true, _) => Some(Node::Dir(dir.child(rest))),
                (false, object) => object.and_then(|entry| shown_object(dir, rest, entry)),
            },
            Wanted::Hidden(rest) => match self.probe_segment(dir, rest).await? {
                (true, object) => object.and_then(|entry| shown_object(dir, rest, entry)),
                (false, _) => None,
            },
            // Answered before by [`Catalog::versions`].
            Wanted::Versions(_) => None,
            Wanted::LongPart(part) => {
                let is_there = self.probe_long_part(dir, part).await?;
                is_there.then(|| Node::Dir(dir.long_child(part)))
            }
        };
        Ok(Resolved { node, fetched: begun })
    }

    /// Whether a directory has the name of a segment, and the object that has it.
    async fn probe_segment(
        &self,
        dir: &Dir,
        rest: &str,
    ) -> Result<(bool, Option<PageEntry>), Arc<StoreError>> {
        if self.listings.order(dir.prefix()) == KeyOrder::Any {
            return self.exact_segment(dir, rest).await;
        }
        let base = dir.prefix().as_str().len();
        let (mut behind, mut trail) = (None, Trail::default());
        loop {
            let page = self.probe_page(dir, rest, behind.as_deref()).await?;
            let object = match page.find(base, rest) {
                Known::Here(entry) => Some(entry.clone()),
                Known::Missing => None,
                Known::Unknown => match &page.next {
                    None => None,
                    // What the page steps over may stand on any other one.
                    Some(_) if self.listings.order(dir.prefix()) != KeyOrder::OfBytes => {
                        return self.exact_segment(dir, rest).await;
                    }
                    Some(token) => {
                        let followed = trail.follow(dir.prefix(), page.ends(), token);
                        followed.map_err(Arc::new)?;
                        behind = Some(page);
                        continue;
                    }
                },
            };
            let is_dir = match page.find(base, &format!("{rest}/")) {
                Known::Here(_) => true,
                Known::Missing => false,
                // Too many names between the two (`a`, `a-1`, ... `a/`): the
                // directory itself is asked instead.
                Known::Unknown => self.is_there(&dir.child(rest)).await?,
            };
            return Ok((is_dir, object));
        }
    }

    /// As [`Catalog::probe_segment`], by asking for the directory and for the object alone:
    /// two requests that no order of listings has a part in.
    async fn exact_segment(
        &self,
        dir: &Dir,
        rest: &str,
    ) -> Result<(bool, Option<PageEntry>), Arc<StoreError>> {
        let key = ObjectKey::new(format!("{}{rest}", dir.prefix()));
        let object = match key.as_str() {
            "" => None,
            _ => self.listings.object(key).await?,
        };
        Ok((self.is_there(&dir.child(rest)).await?, object))
    }

    /// Whether there is anything in a directory.
    async fn is_there(&self, dir: &Dir) -> Result<bool, Arc<StoreError>> {
        let mut page = self.listings.first_page(dir.prefix()).await?;
        let mut trail = Trail::default();
        while page.entries.is_empty() && page.unreachable.is_empty() {
            let Some(token) = &page.next else { return Ok(false) };
            trail.follow(dir.prefix(), None, token).map_err(Arc::new)?;
            page = self.listings.probe(dir.prefix(), "", Some(&page)).await?;
        }
        Ok(true)
    }

    /// Whether any segment that starts with `part` is too long for one name.
    async fn probe_long_part(&self, dir: &Dir, part: &str) -> Result<bool, Arc<StoreError>> {
        let base = dir.prefix().as_str().len();
        if self.listings.order(dir.prefix()) == KeyOrder::Any {
            let page = self.listings.page(PageRequest::first(dir.prefix()), Instant::now()).await?;
            return Ok(page.starting_with(base, part).any(|entry| holds_long(dir, part, entry)));
        }
        let (mut behind, mut trail) = (None, Trail::default());
        loop {
            let page = self.probe_page(dir, part, behind.as_deref()).await?;
            if page.starting_with(base, part).any(|entry| holds_long(dir, part, entry)) {
                return Ok(true);
            }
            let Some(token) = &page.next else { return Ok(false) };
            let followed = trail.follow(dir.prefix(), page.ends(), token);
            followed.map_err(Arc::new)?;
            behind = Some(page);
        }
    }

    async fn probe_page(
        &self,
        dir: &Dir,
        start: &str,
        behind: Option<&Page>,
    ) -> Result<Arc<Page>, Arc<StoreError>> {
        let page = self.listings.probe(dir.prefix(), start, behind).await?;
        self.warn_unreachable(&page.unreachable);
        Ok(page)
    }

    /// Answers from pages that are not older than `oldest`.
    fn resolve(&self, dir: &Dir, wanted: &Wanted, oldest: Instant) -> Option<Resolved> {
        match wanted {
            Wanted::Either(rest) => {
                let (as_dir, fetched) =
                    self.listings.find(dir.prefix(), &format!("{rest}/"), oldest)?;
                if as_dir.is_some() {
                    return Some(Resolved { node: Some(Node::Dir(dir.child(rest))), fetched });
                }
                let (object, object_fetched) = self.listings.find(dir.prefix(), rest, oldest)?;
                let node = object.and_then(|entry| shown_object(dir, rest, entry));
                Some(Resolved { node, fetched: fetched.min(object_fetched) })
            }
            Wanted::Hidden(rest) => {
                let (as_dir, fetched) =
                    self.listings.find(dir.prefix(), &format!("{rest}/"), oldest)?;
                let (object, object_fetched) = self.listings.find(dir.prefix(), rest, oldest)?;
                let node = as_dir.and(object).and_then(|entry| shown_object(dir, rest, entry));
                Some(Resolved { node, fetched: fetched.min(object_fetched) })
            }
            Wanted::Versions(rest) => self.versions_known(dir, rest, oldest),
            Wanted::LongPart(part) => {
                let holds = |entry: &PageEntry| holds_long(dir, part, entry);
                let (any, fetched) = self.listings.any(dir.prefix(), part, oldest, holds)?;
                let node = any.then(|| Node::Dir(dir.long_child(part)));
                Some(Resolved { node, fetched })
            }
        }
    }

    fn lookup_of(&self, resolved: Resolved) -> Lookup {
        let ttl = self.ttl.saturating_sub(resolved.fetched.elapsed());
        Lookup { node: resolved.node, ttl }
    }

    /// Pages that arrived before this are too old.
    fn oldest_believed(&self, now: Instant) -> Instant {
        now.checked_sub(self.ttl).unwrap_or(self.listings.born())
    }

    fn warn_unreachable(&self, keys: &[String]) {
        for key in keys {
            if !self.first_warning(key) {
                continue;
            }
            match is_marked(key) {
                true => tracing::warn!(
                    "a key in the bucket looks like what --versions shows, so it is not shown: \"{}\"",
                    key.escape_debug()
                ),
                false => tracing::warn!(
                    "a key in the bucket is no UTF-8 and can't be asked for, so it is not shown: {key}"
                ),
            }
        }
    }

    /// Says once of an object that a directory has its name.
    fn warn_shadowed(&self, object: &ListedObject, name: Option<&str>) {
        let key = object.version.key.as_str();
        if !self.first_warning(key) {
            return;
        }
        let shown = key.escape_debug();
        match name {
            Some(name) => tracing::warn!(
                "there are an object \"{shown}\" and objects below \"{shown}/\": \
                 the directory has the name, the object is reachable as \"{}\"",
                name.escape_debug()
            ),
            None => tracing::warn!(
                "there are an object \"{shown}\" and objects below \"{shown}/\": the directory \
                 has the name, and with its suffix the object's would be over 255 bytes, so it is not shown"
            ),
        }
    }

    fn first_warning(&self, key: &str) -> bool {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        warned.len() < MAX_WARNINGS && warned.insert(self.hasher.hash_one(key))
    }
}

/// Whether an entry of `dir` belongs below the directory of the long part `part`.
fn holds_long(dir: &Dir, part: &str, entry: &PageEntry) -> bool {
    let rest = entry.rest(dir.prefix().as_str().len());
    dir.holds_long(part, rest.strip_suffix('/').unwrap_or(rest))
}

/// The object that `rest` names, if it is one that is shown.
fn shown_object(dir: &Dir, rest: &str, entry: PageEntry) -> Option<Node> {
    match entry {
        // The empty marker of the directory itself.
        PageEntry::Object(object) if rest.is_empty() && object.version.size == 0 => None,
        PageEntry::Object(object) => Some(Node::Object(object)),
        PageEntry::Prefix(_) => Some(Node::Dir(dir.child(rest))),
    }
}

/// Whether there is an object of the name of a folder in which there is nothing.
pub async fn is_object(store: &dyn ObjectStore, folder: &Prefix) -> bool {
    let Some(key) = folder.as_str().strip_suffix('/') else { return false };
    let request = ListRequest {
        prefix: Prefix::new(key),
        delimited: true,
        token: None,
        after: None,
        max_keys: 1,
    };
    let page = store.list_page(request).await;
    page.is_ok_and(|page| page.objects.iter().any(|found| found.version.key.as_str() == key))
}
