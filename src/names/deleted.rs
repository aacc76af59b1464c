//! Siblings that programs delete, and those whose image a program deletes first.
//!
//! Whoever deletes a folder deletes each name that it was shown, in an order of its own. A
//! sibling that is deleted before its image is hidden, and nothing else happens: it comes back
//! with the next image of that name, or with the next mount. An image that is deleted before
//! its listed siblings leaves their names to the process that deleted it, and to nobody else:
//! it finds them until it has deleted them too, or has deleted nothing in that folder for a
//! minute. Without that a name that it was shown would be gone, which is an error to it.
//!
//! Names are listed before it is known which of them exist. One that does not is still found
//! by the process that has listed it, so that it can be deleted as well.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lru::LruCache;

use super::thing::{Folder, Sibling, Thing};
use crate::mem::{Budget, Reservation, Use};
use crate::sync::{Mutex, Rank};
use crate::view::{Original, ViewKind, ViewSet};

/// A process that has deleted nothing in a folder for so long has deleted what it wanted to.
/// One deletion takes less, however often its request is tried.
const IDLE: Duration = Duration::from_secs(60);
/// How many names and images are remembered in a mount; what was used longest ago goes first.
const MOST_NAMES: usize = 100_000;
const MOST_IMAGES: usize = 100_000;
/// How many processes are remembered that have listed a folder.
const MOST_LISTERS: NonZeroUsize = NonZeroUsize::new(1000).unwrap();
/// A process that has asked for no such name for so long has seen the end of its list.
const LISTED: Duration = Duration::from_secs(600);
/// About what each of them takes, in bytes.
const ENTRY_BYTES: u64 = 400;

/// What is known of siblings that were deleted.
#[derive(Debug)]
pub(super) struct DeletedSiblings(Mutex<Table>);

#[derive(Debug)]
struct Table {
    /// Siblings that were deleted while their images stay.
    hidden: LruCache<(Folder, String), ()>,
    /// The names of deleted siblings of pages, by their image: nobody can count them up.
    pages: LruCache<(Folder, String), Vec<String>>,
    /// What processes have deleted, by the folder and the process.
    deleters: LruCache<(Folder, u32), Deleter>,
    page_count: usize,
    image_count: usize,
    /// Processes that have listed names which may not exist, and when they last did something.
    listers: LruCache<(Folder, u32), Instant>,
    counted: Reservation,
}

/// What a process has deleted in a folder.
#[derive(Debug)]
struct Deleter {
    last: Instant,
    /// The images that it deleted, and what is left of their siblings.
    images: LruCache<String, LeftSiblings>,
}

/// The siblings that are shown beside an image which is about to be deleted.
#[derive(Debug)]
pub struct Beside(pub(super) Option<LeftSiblings>);

/// An image, and which of its siblings are left.
pub(super) type LeftSiblings = (Original, Vec<ViewKind>);

impl DeletedSiblings {
    pub(super) fn new(budget: &Arc<Budget>) -> Self {
        let (hidden, deleters) = (LruCache::unbounded(), LruCache::unbounded());
        let (listers, counted) = (LruCache::new(MOST_LISTERS), budget.charge(0).of(Use::Names));
        let pages = LruCache::unbounded();
        let table =
            Table { hidden, pages, deleters, page_count: 0, image_count: 0, listers, counted };
        DeletedSiblings(Mutex::new(Rank::Images, table))
    }

    /// Whether a sibling of this name was deleted while its image stays.
    pub(super) fn has(&self, folder: &Folder, name: &str) -> bool {
        let table = self.0.lock();
        !table.hidden.is_empty() && table.hidden.contains(&(folder.clone(), name.to_owned()))
    }

    /// Hides a sibling whose image stays.
    pub(super) fn hide(&self, folder: &Folder, name: &str) {
        self.change(|table| table.hidden.put((folder.clone(), name.to_owned()), ()));
    }

    /// Has a sibling be seen again, once there is another image.
    pub(super) fn show_again(&self, folder: &Folder, name: &str) {
        self.change(|table| table.hidden.pop(&(folder.clone(), name.to_owned())));
    }

    /// Notes that a sibling of a page of an image was deleted.
    pub(super) fn note_page(&self, folder: &Folder, image: &str, name: &str) {
        self.change(|table| {
            let key = (folder.clone(), image.to_owned());
            let names = table.pages.get_or_insert_mut(key, Vec::new);
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
                table.page_count += 1;
            }
        });
    }

    /// The names of the siblings of an image's pages that were deleted; they are forgotten.
    pub(super) fn take_pages(&self, folder: &Folder, image: &str) -> Vec<String> {
        self.change(|table| match table.pages.is_empty() {
            true => Vec::new(),
            false => {
                let names = table.pages.pop(&(folder.clone(), image.to_owned()));
                let names = names.unwrap_or_default();
                table.page_count -= names.len();
                names
            }
        })
    }

    /// Notes what an image has left that a process has deleted.
    pub(super) fn note_image(&self, key: (Folder, u32), image: &str, left: LeftSiblings) {
        self.change(|table| table.note(key, image.to_owned(), left));
    }

    /// Takes a sibling away that an image has left; whether there was one.
    pub(super) fn take(&self, key: &(Folder, u32), name: &str) -> bool {
        self.change(|table| table.take(key, name))
    }

    /// Notes that a process has listed a folder.
    pub(super) fn note_lister(&self, key: (Folder, u32)) {
        self.change(|table| table.listers.put(key, Instant::now()));
    }

    /// Whether nobody has listed or deleted anything.
    pub(super) fn is_idle(&self) -> bool {
        let table = self.0.lock();
        table.deleters.is_empty() && table.listers.is_empty()
    }

    /// The sibling of this name whose image a process has deleted.
    pub(super) fn left(&self, key: &(Folder, u32), name: &str) -> Option<Thing> {
        let mut table = self.0.lock();
        let deleter = table.deleter(key)?;
        let (image, kind) = deleter.find(name)?;
        let (original, _) = deleter.images.peek(image)?;
        Some(Thing::Sibling(Sibling { original: original.clone(), view: kind.into(), size: 0 }))
    }

    /// Whether a process has listed a folder a while ago.
    pub(super) fn has_listed(&self, key: &(Folder, u32)) -> bool {
        let mut table = self.0.lock();
        let Some(last) = table.listers.get_mut(key) else { return false };
        let is_on = last.elapsed() < LISTED;
        if is_on {
            *last = Instant::now();
        }
        is_on
    }

    fn change<T>(&self, change: impl FnOnce(&mut Table) -> T) -> T {
        let mut table = self.0.lock();
        let outcome = change(&mut table);
        while table.hidden.len() > MOST_NAMES {
            table.hidden.pop_lru();
        }
        while table.page_count > MOST_NAMES {
            table.page_count -= table.pages.pop_lru().map_or(0, |(_, names)| names.len());
        }
        while table.image_count > MOST_IMAGES {
            table.forget_one_image();
        }
        let count = table.hidden.len() + table.page_count + table.image_count;
        table.counted.resize(count as u64 * ENTRY_BYTES);
        outcome
    }
}

impl Table {
    /// What a process has deleted in a folder, unless that was long ago.
    fn deleter(&mut self, key: &(Folder, u32)) -> Option<&mut Deleter> {
        if self.deleters.peek(key).is_some_and(|deleter| deleter.last.elapsed() > IDLE) {
            self.image_count -= self.deleters.pop(key).map_or(0, |gone| gone.images.len());
        }
        self.deleters.get_mut(key)
    }

    /// Forgets what the process that was idle longest has deleted first.
    fn forget_one_image(&mut self) {
        let Some((key, _)) = self.deleters.peek_lru() else { return self.image_count = 0 };
        let key = key.clone();
        let Some(deleter) = self.deleters.peek_mut(&key) else { return };
        self.image_count -= usize::from(deleter.images.pop_lru().is_some());
        if deleter.images.is_empty() {
            self.deleters.pop(&key);
        }
    }

    fn note(&mut self, key: (Folder, u32), image: String, left: LeftSiblings) {
        let fresh = || Deleter { last: Instant::now(), images: LruCache::unbounded() };
        self.deleter(&key);
        let deleter = self.deleters.get_or_insert_mut(key, fresh);
        deleter.last = Instant::now();
        self.image_count += usize::from(deleter.images.put(image, left).is_none());
    }

    /// Takes a sibling away that an image has left; whether there was one.
    fn take(&mut self, key: &(Folder, u32), name: &str) -> bool {
        let Some(deleter) = self.deleter(key) else { return false };
        let Some((image, kind)) = deleter.find(name) else { return false };
        let image = image.to_owned();
        deleter.last = Instant::now();
        let Some((_, kinds)) = deleter.images.get_mut(&image) else { return false };
        kinds.retain(|left| *left != kind);
        if kinds.is_empty() {
            deleter.images.pop(&image);
            self.image_count -= 1;
        }
        true
    }
}

impl Deleter {
    /// Which sibling of which image a name is.
    fn find<'n>(&self, name: &'n str) -> Option<(&'n str, ViewKind)> {
        // Pages are not listed.
        let sources = ViewSet::ALL.sources(name).filter(|(_, view)| view.page.is_none());
        sources.map(|(image, view)| (image, view.kind)).find(|(image, kind)| {
            self.images.peek(*image).is_some_and(|(_, kinds)| kinds.contains(kind))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Dir;
    use crate::key::{ObjectKey, ObjectVersion, Prefix};

    fn original(key: &str) -> Original {
        let last_modified = std::time::SystemTime::UNIX_EPOCH;
        let key = ObjectKey::new(key);
        Original::object(ObjectVersion { key, size: 9, etag: None, last_modified })
    }

    fn folder(prefix: &str) -> Folder {
        Folder::Bucket(Dir::root(Prefix::new(prefix)))
    }

    #[test]
    fn what_an_image_leaves_is_taken_once_and_by_its_own_deleter() {
        let deleted = DeletedSiblings::new(&Budget::new(1 << 20));
        let mut table = deleted.0.lock();
        let kinds = vec![ViewKind::Png, ViewKind::Preview];
        table.note((folder("d/"), 7), "a.jp2".into(), (original("d/a.jp2"), kinds));
        assert!(!table.take(&(folder("d/"), 8), "a.jp2.png"), "another process");
        assert!(!table.take(&(folder("e/"), 7), "a.jp2.png"), "another folder");
        assert!(!table.take(&(folder("d/"), 7), "a.jp2.tif"), "not shown");
        assert!(table.take(&(folder("d/"), 7), "a.jp2.preview.png"));
        assert!(table.take(&(folder("d/"), 7), "a.jp2.png"));
        assert!(!table.take(&(folder("d/"), 7), "a.jp2.png"), "once");
        assert_eq!(table.image_count, 0);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_counted() {
        let budget = Budget::new(1 << 30);
        let deleted = DeletedSiblings::new(&budget);
        for n in 0..MOST_IMAGES + 10 {
            let left = (original("a"), vec![ViewKind::Png]);
            deleted.change(|table| table.note((folder("d/"), 1), format!("{n}.jp2"), left));
        }
        assert_eq!(deleted.0.lock().image_count, MOST_IMAGES);
        assert_eq!(budget.used_bytes(), MOST_IMAGES as u64 * ENTRY_BYTES);
        let mut table = deleted.0.lock();
        assert!(!table.take(&(folder("d/"), 1), "9.jp2.png"));
        assert!(table.take(&(folder("d/"), 1), "10.jp2.png"));
    }
}
