//! One page of a directory's listing, and which names it knows about.
//!
//! From a server that lists in key order, a page covers an interval of the directory's
//! names: what lies in the interval and is not on the page does not exist. Of other
//! servers only a listing that is all of it says so. Pure.

use std::sync::Arc;
use std::time::Instant;

use super::guess::guess;
use crate::key::Prefix;
use crate::store::{ListPage, ListRequest, ListedObject};

/// The most that S3 gives.
pub(super) const PAGE_KEYS: u16 = 1000;

/// Which page: of the names in `dir` that start with `start`, the one that
/// `token` leads to and that begins behind the name `after`; the first has none,
/// since a name may be empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct PageRequest {
    pub(super) dir: Prefix,
    pub(super) start: String,
    pub(super) token: Option<String>,
    pub(super) after: Option<String>,
    /// All pages in one, for servers that list in any order.
    pub(super) whole: bool,
}

impl PageRequest {
    /// The first page of a directory.
    pub(super) fn first(dir: &Prefix) -> Self {
        PageRequest {
            dir: dir.clone(),
            start: String::new(),
            token: None,
            after: None,
            whole: false,
        }
    }

    /// The request that it is for a store.
    pub(super) fn to_store(&self) -> ListRequest {
        let after = self.after.as_ref().filter(|_| self.token.is_none());
        ListRequest {
            prefix: Prefix::new(format!("{}{}", self.dir, self.start)),
            delimited: true,
            token: self.token.clone(),
            after: after.map(|name| format!("{}{name}", self.dir)),
            max_keys: PAGE_KEYS,
        }
    }

    /// Whether it is the first page of a directory, or all of it.
    pub(super) fn is_first(&self) -> bool {
        self.token.is_none() && self.after.is_none()
    }
}

/// A page of the keys under one directory.
#[derive(Debug)]
pub(super) struct Page {
    request: PageRequest,
    /// The token of the page behind it. One that was [cut](Page::cut) has none, and goes on
    /// behind `last`.
    pub(super) next: Option<String>,
    /// When it arrived.
    pub(super) fetched: Instant,
    /// The last name that it covers (relative to the directory, directories with
    /// their `/`); `None` where nothing follows.
    last: Option<String>,
    /// Whether the server is known to list in key order.
    is_in_order: bool,
    /// What there is, sorted by name.
    pub(super) entries: Vec<PageEntry>,
    /// Keys that can't be asked for, as the listing wrote them.
    pub(super) unreachable: Vec<String>,
}

/// One name on a page.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum PageEntry {
    /// An object, by its full key.
    Object(ListedObject),
    /// A prefix; ends in `/`.
    Prefix(Prefix),
}

impl PageEntry {
    /// The name relative to a directory whose prefix has `base` bytes.
    pub(super) fn rest(&self, base: usize) -> &str {
        match self {
            PageEntry::Object(object) => &object.version.key.as_str()[base..],
            PageEntry::Prefix(prefix) => &prefix.as_str()[base..],
        }
    }
}

/// Whether a page says something about a name.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Known<T> {
    /// There is such a name.
    Here(T),
    /// There is none.
    Missing,
    /// The page does not cover it.
    Unknown,
}

impl Page {
    /// The answer to `request`, as it came from the store; `is_in_order` says whether that
    /// is known to list in key order.
    pub(super) fn new(request: PageRequest, listed: ListPage, is_in_order: bool) -> Self {
        let base = request.dir.as_str().len();
        let under_dir = |text: &str| text.starts_with(request.dir.as_str());
        let objects = listed.objects.into_iter().map(PageEntry::Object);
        let prefixes = listed.prefixes.into_iter().map(PageEntry::Prefix);
        let mut entries: Vec<PageEntry> = objects
            .chain(prefixes)
            .filter(|entry| match entry {
                PageEntry::Object(object) => under_dir(object.version.key.as_str()),
                PageEntry::Prefix(prefix) => under_dir(prefix.as_str()),
            })
            // Some servers give a prefix again on the page behind it.
            .filter(|entry| request.after.as_deref() != Some(entry.rest(base)))
            .collect();
        entries.sort_by(|a, b| a.rest(base).cmp(b.rest(base)));
        entries.dedup_by(|a, b| a.rest(base) == b.rest(base));
        let last = listed.next.is_some().then(|| {
            let last = entries.last().map(|entry| entry.rest(base).to_owned());
            last.or_else(|| request.after.clone()).unwrap_or_default()
        });
        let (next, unreachable) = (listed.next, listed.unreachable);
        let fetched = Instant::now();
        Page { request, next, fetched, last, is_in_order, entries, unreachable }
    }

    /// Where it begins and ends, for [`Trail::follow`](crate::store::Trail::follow).
    pub(super) fn ends(&self) -> Option<(&str, &str)> {
        let base = self.request.dir.as_str().len();
        Some((self.entries.first()?.rest(base), self.entries.last()?.rest(base)))
    }

    /// What it was asked for with.
    pub(super) fn request(&self) -> &PageRequest {
        &self.request
    }

    /// The last name that it covers; `None` where nothing follows.
    pub(super) fn last(&self) -> Option<&str> {
        self.last.as_deref()
    }

    /// What the page behind it is asked for with; `None` where nothing follows.
    pub(super) fn behind(&self) -> Option<PageRequest> {
        let after = self.last.clone()?;
        Some(PageRequest { token: self.next.clone(), after: Some(after), ..self.request.clone() })
    }

    /// Its entries up to the name `end`, behind which another page begins.
    pub(super) fn cut(&self, end: &str) -> Page {
        let base = self.request.dir.as_str().len();
        let to = self.entries.partition_point(|entry| entry.rest(base) <= end);
        Page {
            request: self.request.clone(),
            next: None,
            fetched: self.fetched,
            last: Some(end.to_owned()),
            is_in_order: self.is_in_order,
            entries: self.entries[..to].to_vec(),
            unreachable: self.unreachable.clone(),
        }
    }

    /// A name that about so many pages like this one lie before, as far as its own tell.
    pub(super) fn guess(&self, pages: u64) -> Option<String> {
        let base = self.request.dir.as_str().len();
        let names: Vec<&str> = self.entries.iter().map(|entry| entry.rest(base)).collect();
        guess(&names, pages)
    }

    /// Whether the page would show `name` if it existed, as far as that is known.
    pub(super) fn covers(&self, name: &str) -> bool {
        let is_all = self.request.is_first() && self.last.is_none();
        (self.is_in_order || is_all) && self.reaches(name)
    }

    /// Whether the page would show `name` if it existed and the server lists in key order.
    fn reaches(&self, name: &str) -> bool {
        let PageRequest { start, after, .. } = &self.request;
        let begins_before = after.as_deref().is_none_or(|after| name > after);
        // A prefix stands for all names below it.
        let ends_behind = self
            .last
            .as_deref()
            .is_none_or(|last| name <= last || (last.ends_with('/') && name.starts_with(last)));
        name.starts_with(start.as_str()) && begins_before && ends_behind
    }

    /// Looks up `name` relative to a directory whose prefix has `base` bytes.
    pub(super) fn find(&self, base: usize, name: &str) -> Known<&PageEntry> {
        match self.entries.binary_search_by(|entry| entry.rest(base).cmp(name)) {
            Ok(at) => Known::Here(&self.entries[at]),
            Err(_) if self.covers(name) => Known::Missing,
            Err(_) => Known::Unknown,
        }
    }

    /// As [`Page::find`], if the server lists in key order.
    pub(super) fn find_in_order(&self, base: usize, name: &str) -> Known<&PageEntry> {
        match self.find(base, name) {
            Known::Unknown if self.reaches(name) => Known::Missing,
            known => known,
        }
    }

    /// The entries whose names start with `start`.
    pub(super) fn starting_with<'p>(
        &'p self,
        base: usize,
        start: &'p str,
    ) -> impl Iterator<Item = &'p PageEntry> {
        let from = self.entries.partition_point(|entry| entry.rest(base) < start);
        self.entries[from..].iter().take_while(move |entry| entry.rest(base).starts_with(start))
    }

    /// About how many bytes of memory it takes.
    pub(super) fn weight_bytes(&self) -> u64 {
        let entry_bytes = |entry: &PageEntry| match entry {
            PageEntry::Object(object) => {
                let etag = object.version.etag.as_ref().map_or(0, |etag| etag.as_str().len() + 16);
                object.version.key.as_str().len() + 16 + etag
            }
            PageEntry::Prefix(prefix) => prefix.as_str().len() + 16,
        };
        let own = self.entries.capacity() * size_of::<PageEntry>() + size_of::<Arc<Page>>() + 256;
        (own + self.entries.iter().map(entry_bytes).sum::<usize>()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{ObjectKey, ObjectVersion};
    use std::time::SystemTime;

    fn page(objects: &[&str], prefixes: &[&str], next: bool, after: Option<&str>) -> Page {
        let object = |key: &&str| ListedObject {
            version: ObjectVersion {
                key: ObjectKey::new(*key),
                size: 1,
                etag: None,
                last_modified: SystemTime::UNIX_EPOCH,
            },
            storage_class: None,
        };
        let listed = ListPage {
            objects: objects.iter().map(object).collect(),
            prefixes: prefixes.iter().map(|p| Prefix::new(*p)).collect(),
            unreachable: Vec::new(),
            next: next.then(|| "token".to_owned()),
        };
        let request = PageRequest {
            dir: Prefix::new("d/"),
            start: String::new(),
            token: None,
            after: after.map(str::to_owned),
            whole: false,
        };
        Page::new(request, listed, true)
    }

    #[test]
    fn a_complete_page_knows_every_missing_name() {
        let page = page(&["d/b", "d/c"], &["d/a/"], false, None);
        assert!(matches!(page.find(2, "b"), Known::Here(PageEntry::Object(_))));
        assert!(matches!(page.find(2, "a/"), Known::Here(PageEntry::Prefix(_))));
        assert_eq!(page.find(2, "a"), Known::Missing);
        assert_eq!(page.find(2, "zzz"), Known::Missing);
    }

    #[test]
    fn a_cut_page_of_a_server_in_no_known_order_knows_only_what_is_on_it() {
        let page = Page { is_in_order: false, ..page(&["d/b", "d/d"], &[], true, None) };
        assert!(matches!(page.find(2, "b"), Known::Here(_)));
        assert_eq!(page.find(2, "c"), Known::Unknown);
        assert_eq!(page.find_in_order(2, "c"), Known::Missing);
        let all = Page { next: None, last: None, ..page };
        assert_eq!(all.find(2, "c"), Known::Missing);
        assert_eq!(all.find(2, "e"), Known::Missing);
    }

    #[test]
    fn what_a_page_repeats_of_the_one_before_is_not_on_it() {
        let page = page(&["d/b/c", "d/d"], &["d/b/"], false, Some("b/"));
        let names: Vec<&str> = page.entries.iter().map(|entry| entry.rest(2)).collect();
        assert_eq!(names, ["b/c", "d"]);
    }

    #[test]
    fn a_cut_page_knows_only_up_to_its_last_name() {
        let page = page(&["d/b", "d/c"], &[], true, None);
        assert_eq!(page.find(2, "bb"), Known::Missing);
        assert_eq!(page.find(2, "c/"), Known::Unknown);
        assert_eq!(page.find(2, "d"), Known::Unknown);
    }

    #[test]
    fn a_page_behind_the_empty_name_knows_nothing_of_it() {
        let page = page(&["d/m"], &[], false, Some(""));
        assert_eq!(page.find(2, ""), Known::Unknown);
        assert_eq!(page.find(2, "a"), Known::Missing);
    }

    #[test]
    fn a_later_page_knows_nothing_of_what_came_before() {
        let page = page(&["d/m"], &["d/n/"], true, Some("k"));
        assert_eq!(page.find(2, "a"), Known::Unknown);
        assert_eq!(page.find(2, "k"), Known::Unknown);
        assert_eq!(page.find(2, "l"), Known::Missing);
        assert_eq!(page.find(2, "n/x"), Known::Missing);
        assert_eq!(page.find(2, "n0"), Known::Unknown);
    }
}
