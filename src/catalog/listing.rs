//! The pages that were listed, kept while memory lasts and shared by all who ask.
//!
//! Two who want the same page wait for one LIST; both get its error if it fails. The
//! LIST runs in a task of its own, and ends when nobody waits for it any more.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use futures_util::future::{BoxFuture, FutureExt, Shared, WeakShared};
use lru::LruCache;
use tokio::runtime::Handle as Runtime;
use tokio::task::AbortHandle;

use super::held::Held;
use super::order::is_out_of_order;
use super::page::{Known, PAGE_KEYS, Page, PageEntry, PageRequest};
use super::whole::list_all;
use crate::key::{ObjectKey, ObjectVersion, Prefix};
use crate::mem::{Budget, Reservation, Use};
use crate::store::{KeyOrder, ListedObject, ObjectStore, StoreError, StoreErrorKind};

/// Listings may take this part of the budget.
const BUDGET_SHARE: u64 = 8;

/// What was seen of listings that were begun in the middle of a directory.
const UNSEEN: u8 = 0;
const AS_TOLD: u8 = 1;
const ELSEWHERE: u8 = 2;

/// Listings of directories, a page at a time.
#[derive(Debug)]
pub(super) struct Listings {
    store: Arc<dyn ObjectStore>,
    runtime: Runtime,
    born: Instant,
    budget: Arc<Budget>,
    inner: Arc<Mutex<Inner>>,
    /// Whether the server was seen to list in another order than that of keys.
    is_unordered: Arc<AtomicBool>,
    /// How the server writes keys, as far as what is known here was read.
    way: Arc<AtomicU8>,
    /// Whether listings begin behind the name that they are told to.
    start: AtomicU8,
    /// What walks hold of pages that they have not come to, in bytes.
    ahead: Arc<AtomicU64>,
}

/// What a LIST ends with.
pub(super) type PageResult = Result<Arc<Page>, Arc<StoreError>>;

/// A LIST that is under way, for all who wait for it.
pub(super) type Listing = Shared<BoxFuture<'static, PageResult>>;

#[derive(Debug)]
struct Inner {
    dirs: HashMap<Prefix, KnownDir>,
    /// All pages with their weight in bytes, least recently used first.
    used: LruCache<PageRequest, u64>,
    limit_bytes: u64,
    counted: Reservation,
    /// When something was last found to be out of date.
    forgot: Option<Instant>,
    /// Those who wait for a LIST keep it going.
    in_flight: HashMap<PageRequest, WeakShared<BoxFuture<'static, PageResult>>>,
}

/// A LIST that is under way, and ends with this.
struct UnderWay {
    inner: Arc<Mutex<Inner>>,
    request: PageRequest,
    task: AbortHandle,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.task.abort();
        let mut inner = lock(&self.inner);
        // Somebody may have asked again meanwhile.
        if inner.in_flight.get(&self.request).is_some_and(|one| one.upgrade().is_none()) {
            inner.in_flight.remove(&self.request);
        }
    }
}

#[derive(Debug, Default)]
struct KnownDir {
    /// Pages of the whole directory, by the name that they begin behind.
    pages: BTreeMap<Option<String>, Arc<Page>>,
    /// Pages of names with a common start, by that start and the name that they begin behind.
    probes: BTreeMap<(String, Option<String>), Arc<Page>>,
    /// Whether the directory was too large for one page when it was last listed.
    is_large: bool,
}

impl Listings {
    pub(super) fn new(store: Arc<dyn ObjectStore>, budget: Arc<Budget>, runtime: Runtime) -> Self {
        let inner = Inner {
            dirs: HashMap::new(),
            used: LruCache::unbounded(),
            limit_bytes: budget.limit_bytes() / BUDGET_SHARE,
            counted: budget.charge(0).of(Use::Listings),
            forgot: None,
            in_flight: HashMap::new(),
        };
        let (born, inner) = (Instant::now(), Arc::new(Mutex::new(inner)));
        Listings {
            store,
            runtime,
            born,
            budget,
            inner,
            is_unordered: Arc::default(),
            way: Arc::default(),
            start: AtomicU8::new(UNSEEN),
            ahead: Arc::default(),
        }
    }

    /// In which order the server lists a directory, as far as that is known.
    pub(super) fn order(&self, dir: &Prefix) -> KeyOrder {
        match self.is_unordered.load(Ordering::Relaxed) {
            true => KeyOrder::Any,
            false => self.store.key_order(dir),
        }
    }

    /// Before anything was listed.
    pub(super) fn born(&self) -> Instant {
        self.born
    }

    pub(super) fn is_known_large(&self, dir: &Prefix) -> bool {
        lock(&self.inner).dirs.get(dir).is_some_and(|known| known.is_large)
    }

    /// The first page of a directory, listed now.
    pub(super) async fn first_page(&self, dir: &Prefix) -> PageResult {
        self.list(PageRequest::first(dir)).await
    }

    /// A page of the names that start with `start`, listed now.
    pub(super) async fn probe(
        &self,
        dir: &Prefix,
        start: &str,
        behind: Option<&Page>,
    ) -> PageResult {
        self.list(PageRequest {
            dir: dir.clone(),
            start: start.to_owned(),
            token: behind.and_then(|page| page.next.clone()),
            after: behind.and_then(Page::last).map(str::to_owned),
            whole: false,
        })
        .await
    }

    /// The object with exactly this key, asked for by a HEAD.
    pub(super) async fn object(
        &self,
        key: ObjectKey,
    ) -> Result<Option<PageEntry>, Arc<StoreError>> {
        let head = match self.store.head(&key).await {
            Ok(head) => head,
            Err(error) if error.kind == StoreErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Arc::new(error)),
        };
        let last_modified = head.last_modified.unwrap_or(SystemTime::UNIX_EPOCH);
        let Some(size) = head.size else {
            let no_size = "the server does not say how large the object is";
            return Err(Arc::new(StoreError::given_up(format!("HEAD {key}"), no_size)));
        };
        let version = ObjectVersion { key, size, etag: head.etag, last_modified };
        let storage_class = head.storage_class.map(Into::into);
        Ok(Some(PageEntry::Object(ListedObject { version, storage_class })))
    }

    /// A page of a walk: the one in memory, if it arrived at `oldest` or later. Where the
    /// server lists in any order, the first page is all of the directory.
    ///
    /// # Errors
    /// What the listing failed with, or that the order was not what it seemed when the walk
    /// began: then it has to begin again.
    pub(super) async fn page(&self, request: PageRequest, oldest: Instant) -> PageResult {
        let is_first = request.is_first();
        let whole = PageRequest { whole: true, ..PageRequest::first(&request.dir) };
        if self.order(&request.dir) != KeyOrder::Any {
            let dir = request.dir.clone();
            let page = self.page_in_order(request, oldest).await?;
            if self.order(&dir) != KeyOrder::Any || (is_first && page.next.is_none()) {
                return Ok(page);
            }
        }
        if !is_first {
            let detail = "the server does not list in key order, which showed only now: list again";
            return Err(Arc::new(StoreError::given_up(format!("LIST {}", whole.dir), detail)));
        }
        self.page_in_order(whole, oldest).await
    }

    async fn page_in_order(&self, request: PageRequest, oldest: Instant) -> PageResult {
        if let Some(page) = self.cached(&request, oldest) {
            return Ok(page);
        }
        self.list(request).await
    }

    /// The page, if it is in memory and arrived at `oldest` or later.
    pub(super) fn cached(&self, request: &PageRequest, oldest: Instant) -> Option<Arc<Page>> {
        let mut inner = lock(&self.inner);
        let page = inner.dirs.get(&request.dir)?.pages.get(&request.after)?;
        let page = (page.fetched >= oldest && page.request() == request).then(|| page.clone());
        inner.used.promote(request);
        page
    }

    /// The entry called `name`, if pages that arrived at `oldest` or later say
    /// whether there is one, as the newest of them says; and when that arrived.
    pub(super) fn find(
        &self,
        dir: &Prefix,
        name: &str,
        oldest: Instant,
    ) -> Option<(Option<PageEntry>, Instant)> {
        let base = dir.as_str().len();
        let inner = lock(&self.inner);
        let fresh = inner.dirs.get(dir)?.candidates(name).filter(|page| page.fetched >= oldest);
        let known = fresh.filter_map(|page| match page.find(base, name) {
            Known::Here(entry) => Some((Some(entry.clone()), page.fetched)),
            Known::Missing => Some((None, page.fetched)),
            Known::Unknown => None,
        });
        known
            .max_by_key(|(_, fetched)| *fetched)
            .or_else(|| inner.dirs.get(dir)?.find_in_all(base, name, oldest))
    }

    /// Whether any entry whose name starts with `start` is `wanted`, if pages
    /// that arrived at `oldest` or later say so; and when they arrived.
    pub(super) fn any(
        &self,
        dir: &Prefix,
        start: &str,
        oldest: Instant,
        wanted: impl Fn(&PageEntry) -> bool,
    ) -> Option<(bool, Instant)> {
        let base = dir.as_str().len();
        let inner = lock(&self.inner);
        let known = inner.dirs.get(dir)?;
        let end = format!("{start}{}", char::MAX);
        for page in known.pages.values().chain(known.probes.values()) {
            if page.fetched < oldest {
                continue;
            }
            if page.starting_with(base, start).any(&wanted) {
                return Some((true, page.fetched));
            }
            if page.covers(start) && page.covers(&end) {
                return Some((false, page.fetched));
            }
        }
        None
    }

    /// Shows the entries of a directory behind a name, with their pages, as long as `look` goes
    /// on and pages that arrived at `oldest` or later follow; whether that was all of them.
    pub(super) fn behind(
        &self,
        dir: &Prefix,
        name: Option<String>,
        oldest: Instant,
        mut look: impl FnMut(&Page, &PageEntry) -> bool,
    ) -> bool {
        let base = dir.as_str().len();
        let inner = lock(&self.inner);
        let Some(known) = inner.dirs.get(dir) else { return false };
        let before = match &name {
            None => (Bound::Unbounded, Bound::Included(None)),
            Some(_) => (Bound::Unbounded, Bound::Excluded(name.clone())),
        };
        let mut page = known.pages.range(before).next_back().map(|(_, page)| page);
        while let Some(here) = page.filter(|page| page.fetched >= oldest) {
            let from = here.entries.partition_point(|entry| {
                name.as_deref().is_some_and(|name| entry.rest(base) <= name)
            });
            if !here.entries[from..].iter().all(|entry| look(here, entry)) {
                return false;
            }
            let Some(last) = here.last() else { return true };
            page = known.pages.get(&Some(last.to_owned()));
        }
        false
    }

    /// What the page was asked for with that `name` would be on, if it arrived before `oldest`
    /// and its directory has several.
    pub(super) fn outdated(
        &self,
        dir: &Prefix,
        name: &str,
        oldest: Instant,
    ) -> Option<PageRequest> {
        let inner = lock(&self.inner);
        let known = inner.dirs.get(dir).filter(|known| known.is_large)?;
        let before = (Bound::Unbounded, Bound::Excluded(Some(name.to_owned())));
        let (_, page) = known.pages.range(before).next_back()?;
        let is_it = page.fetched < oldest && page.last().is_none_or(|last| name <= last);
        is_it.then(|| page.request().clone())
    }

    /// How many pages like this one fit into a quarter of what listings may take; none if it is
    /// not here.
    pub(super) fn room_for(&self, page: &PageRequest) -> usize {
        let inner = lock(&self.inner);
        let weight = inner.used.peek(page).copied();
        weight.map_or(0, |weight| (inner.limit_bytes / 4 / weight.max(1)) as usize)
    }

    pub(super) fn forget(&self, dir: &Prefix) {
        let mut inner = lock(&self.inner);
        inner.forget(dir);
        inner.recount();
    }

    /// Forgets a directory, and all below it.
    pub(super) fn forget_below(&self, dir: &Prefix) {
        let mut inner = lock(&self.inner);
        let is_below = |other: &&Prefix| other.as_str().starts_with(dir.as_str());
        let below: Vec<Prefix> = inner.dirs.keys().filter(is_below).cloned().collect();
        below.iter().for_each(|dir| inner.forget(dir));
        inner.recount();
    }

    /// Lists a page now, or waits for who does.
    pub(super) async fn list(&self, request: PageRequest) -> PageResult {
        self.listing(request).await
    }

    /// As [`Listings::list`], for whoever goes on meanwhile.
    pub(super) fn listing(&self, request: PageRequest) -> Listing {
        let mut inner = lock(&self.inner);
        if let Some(under_way) = inner.in_flight.get(&request).and_then(WeakShared::upgrade) {
            return under_way;
        }
        let listing = self.start(request.clone());
        if let Some(weak) = listing.downgrade() {
            inner.in_flight.insert(request, weak);
        }
        listing
    }

    /// How much more walks may hold of pages that they have not come to, in bytes.
    pub(super) fn room_ahead(&self) -> u64 {
        let limit_bytes = lock(&self.inner).limit_bytes / 2;
        limit_bytes.saturating_sub(self.ahead.load(Ordering::Relaxed))
    }

    /// Whether a listing may be begun in the middle of a directory: unless the first one was
    /// found to begin elsewhere.
    pub(super) fn begins_as_told(&self) -> bool {
        self.start.load(Ordering::Relaxed) != ELSEWHERE
    }

    /// Notes whether one has begun where it was told to. Where one has, others are wrong only
    /// about what has changed meanwhile.
    pub(super) fn note_start(&self, is_there: bool) {
        let seen = if is_there { AS_TOLD } else { ELSEWHERE };
        let _ = self.start.compare_exchange(UNSEEN, seen, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Holds such a page.
    pub(super) fn hold(&self, page: Arc<Page>) -> Held {
        Held::new(page, &self.budget, &self.ahead)
    }

    /// Keeps a page that a walk has come to, as one that was just used, unless something was
    /// forgotten since it came.
    pub(super) fn keep(&self, page: &Arc<Page>) {
        let mut inner = lock(&self.inner);
        let place = inner.dirs.get(&page.request().dir).map(|known| &known.pages);
        let held = place.and_then(|pages| pages.get(&page.request().after));
        if held.is_some_and(|held| Arc::ptr_eq(held, page)) {
            inner.used.promote(page.request());
        } else if inner.forgot.is_none_or(|forgot| forgot < page.fetched) {
            inner.insert(page.request().clone(), page.clone());
        }
    }

    /// Sets a LIST going in a task of its own, so that it gets on whoever of those who wait
    /// for it gives up.
    fn start(&self, request: PageRequest) -> Listing {
        let (store, inner) = (self.store.clone(), self.inner.clone());
        let known_way = self.way.clone();
        let (budget, is_unordered) = (self.budget.clone(), self.is_unordered.clone());
        let name = format!("LIST {}{}", request.dir, request.start);
        let (of, held) = (request.clone(), self.inner.clone());
        let task = self.runtime.spawn(async move {
            let listed = match request.whole {
                true => list_all(&*store, &budget, &request).await,
                false => store.list_page(request.to_store()).await,
            };
            let mut inner = lock(&inner);
            inner.in_flight.remove(&request);
            let listed = listed.map_err(Arc::new)?;
            let order = store.key_order(&request.dir);
            let mut is_in_order =
                !is_unordered.load(Ordering::Relaxed) && order == KeyOrder::OfBytes;
            if order != KeyOrder::Any
                && is_out_of_order(&request, &listed)
                && !is_unordered.swap(true, Ordering::Relaxed)
            {
                tracing::info!(
                    "the server does not list in key order: large folders are listed whole, and \
                     names in them are looked up one by one"
                );
                // What was concluded from an order that there is not.
                inner.forget_all();
                is_in_order = false;
            }
            let way = store.spelling().way();
            if known_way.swap(way, Ordering::Relaxed) != way {
                // Keys in it were read in another way.
                inner.forget_all();
            }
            let page = Arc::new(Page::new(request.clone(), listed, is_in_order));
            inner.insert(request, page.clone());
            Ok(page)
        });
        let under_way = UnderWay { inner: held, request: of, task: task.abort_handle() };
        async move {
            let _ends_with_it = &under_way;
            task.await.unwrap_or_else(|gone| {
                let given_up = "the listing was given up";
                Err(Arc::new(StoreError::given_up(name, given_up).caused_by(gone)))
            })
        }
        .boxed()
        .shared()
    }
}

impl KnownDir {
    /// The entry called `name`, if all pages of the directory are here, whatever their
    /// order, and arrived at `oldest` or later; and when the first of them arrived.
    fn find_in_all(
        &self,
        base: usize,
        name: &str,
        oldest: Instant,
    ) -> Option<(Option<PageEntry>, Instant)> {
        let mut behind: Option<PageRequest> = None;
        let mut found = None;
        let mut fetched = None;
        for page in self.pages.values() {
            let is_next = behind.as_ref().map_or(page.request().token.is_none(), |behind| {
                page.request().token == behind.token && page.request().after == behind.after
            });
            if !is_next || page.fetched < oldest {
                return None;
            }
            if let Known::Here(entry) = page.find(base, name) {
                found = Some(entry.clone());
            }
            fetched = Some(fetched.map_or(page.fetched, |first: Instant| first.min(page.fetched)));
            behind = page.behind();
            if behind.is_none() {
                break;
            }
        }
        if behind.is_some() { None } else { Some((found, fetched?)) }
    }

    /// The pages that may say something about `name`.
    fn candidates<'k>(&'k self, name: &'k str) -> impl Iterator<Item = &'k Arc<Page>> {
        let wanted = Some(name.to_owned());
        let begins_at = (Bound::Unbounded, Bound::Included(wanted.clone()));
        // A page begins *behind* its name, so the one before may hold it.
        let begins_before = (Bound::Unbounded, Bound::Excluded(wanted));
        let pages = [begins_at, begins_before]
            .into_iter()
            .filter_map(|range| self.pages.range(range).next_back())
            .map(|(_, page)| page);
        let starts = (0..=name.len()).filter(|&end| name.is_char_boundary(end));
        let probes = starts.flat_map(move |end| {
            let start = &name[..end];
            self.probes
                .range((start.to_owned(), None)..)
                .take_while(move |((of, _), _)| of == start)
                .map(|(_, page)| page)
        });
        pages.chain((!self.probes.is_empty()).then_some(probes).into_iter().flatten())
    }
}

impl Inner {
    fn forget(&mut self, dir: &Prefix) {
        self.forgot = Some(Instant::now());
        let Some(known) = self.dirs.remove(dir) else { return };
        for page in known.pages.values().chain(known.probes.values()) {
            self.used.pop(page.request());
        }
    }

    fn forget_all(&mut self) {
        self.forgot = Some(Instant::now());
        self.dirs.clear();
        self.used.clear();
        self.recount();
    }

    fn insert(&mut self, request: PageRequest, page: Arc<Page>) {
        let known = self.dirs.entry(request.dir.clone()).or_default();
        let mut replaced = Vec::new();
        if request.start.is_empty() {
            if request.is_first() {
                known.is_large = page.next.is_some() || page.entries.len() > PAGE_KEYS.into();
            }
            // Pages of an older walk that begin inside the new one are outdated.
            let inside: Vec<Option<String>> = known
                .pages
                .range(request.after.clone()..)
                .take_while(|(after, _)| {
                    page.last().is_none_or(|last| after.as_deref() < Some(last))
                })
                .map(|(after, _)| after.clone())
                .collect();
            for after in inside {
                replaced.extend(known.pages.remove(&after));
            }
            known.pages.insert(request.after.clone(), page.clone());
        } else {
            let place = (request.start.clone(), request.after.clone());
            replaced.extend(known.probes.insert(place, page.clone()));
        }
        for old in replaced {
            self.used.pop(old.request());
        }
        self.used.put(request, page.weight_bytes());
        self.shrink();
    }

    /// Drops the pages unused longest until the rest keeps to its share.
    fn shrink(&mut self) {
        let mut total: u64 = self.used.iter().map(|(_, weight)| weight).sum();
        while total > self.limit_bytes && self.used.len() > 1 {
            let Some((request, weight)) = self.used.pop_lru() else { break };
            total -= weight;
            if let Some(known) = self.dirs.get_mut(&request.dir) {
                if request.start.is_empty() {
                    known.pages.remove(&request.after);
                } else {
                    known.probes.remove(&(request.start.clone(), request.after.clone()));
                }
                if known.pages.is_empty() && known.probes.is_empty() && !known.is_large {
                    self.dirs.remove(&request.dir);
                }
            }
        }
        self.counted.resize(total);
    }

    fn recount(&mut self) {
        self.counted.resize(self.used.iter().map(|(_, weight)| weight).sum());
    }
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}
