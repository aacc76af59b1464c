//! What programs that go through a directory in order come to next, fetched ahead of them.
//!
//! Files, folders and the images of siblings each have runs of their own: somebody opens and
//! reads file after file (`sequence`), lists folder after folder, looks at the sibling of image
//! after image. On evidence the next ones are fetched: files as far as the last ones were read,
//! listings, headers. All of it is pinned to the versions of the listing and lies where what was
//! asked for lies, so it goes when memory is short, and whoever opens a file gets exactly what
//! he would have got without it.
//!
//! It grows with what was used ([`Credit`]) and ends with the first miss. Whoever opens at random, or what the kernel has in its own cache, leads to no
//! request.

mod item;
mod plan;
mod way;

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;

use super::credit::Credit;
use super::passed::Passed;
use super::sequence::{Order, numbered_steps};
use crate::names::{Contents, Folder, Ino, Names, Numbers, Of, Place, Sibling, ending_of};
use crate::reader::Opener;
use crate::store::ListedObject;
use crate::sync::{Mutex, Rank};
use crate::view::Views;
use item::Held;
use way::Way;

/// Directories in which runs are remembered.
const FOLDERS: NonZeroUsize = NonZeroUsize::new(64).unwrap();
/// Several programs, or threads of one, go through a directory at once.
const WAYS: usize = 4;
/// Directories of more entries are not sorted by inode number.
const NUMBERED: usize = 50_000;
/// So many numbers in ascending order are a reason to look whether they follow each other.
const ASCENDING: usize = 3;
/// One part in so many of the bytes, and of the headers, may be fetched in vain; of the
/// listings, which are small, one for each two.
const FILES_SHARE: u64 = 10;
const IMAGES_SHARE: u64 = 10;
const FOLDERS_SHARE: u64 = 2;

/// What is fetched ahead.
#[derive(Debug)]
pub(super) struct Ahead {
    names: Arc<Names>,
    views: Arc<Views>,
    objects: Opener,
    runs: Mutex<Runs>,
    credits: Credits,
}

#[derive(Debug)]
struct Credits {
    files: Arc<Credit>,
    images: Arc<Credit>,
    folders: Arc<Credit>,
}

#[derive(Debug)]
struct Runs {
    folders: LruCache<(Ino, Of), Ways>,
    /// A run that has come to the end of its directory.
    ended: Option<Ended>,
}

/// It may go on in the next directory.
#[derive(Debug)]
struct Ended {
    of: Of,
    order: Order,
    passed: Vec<Arc<Passed>>,
}

/// How one directory is gone through.
#[derive(Debug, Default)]
struct Ways {
    /// The one that somebody went last is the last one.
    ways: Vec<Way>,
    /// The last numbers, whoever came to them.
    recent: Vec<Ino>,
    /// All numbers of the directory, once there was a reason to sort them.
    numbers: Option<Option<Arc<Numbers>>>,
}

impl Ahead {
    pub(super) fn new(names: Arc<Names>, views: Arc<Views>, objects: Opener) -> Self {
        let credit = |share| Arc::new(Credit::new(share));
        Ahead {
            names,
            views,
            objects,
            runs: Mutex::new(Rank::Runs, Runs { folders: LruCache::new(FOLDERS), ended: None }),
            credits: Credits {
                files: credit(FILES_SHARE),
                images: credit(IMAGES_SHARE),
                folders: credit(FOLDERS_SHARE),
            },
        }
    }

    /// Notes that an object was opened; what is read of it is to be noted there.
    pub(super) fn opened(
        &self,
        place: Place,
        ino: Ino,
        object: &ListedObject,
    ) -> Option<Arc<Passed>> {
        if object.version.size == 0 || object.is_archived() || place.folder.bucket().is_none() {
            return None;
        }
        let mut runs = self.runs.lock();
        runs.go(&self.names, Of::Files, &place, ino);
        Some(Passed::new(place, object.version.size))
    }

    /// Notes that somebody began to read a file from its start.
    pub(super) fn began(&self, passed: &Arc<Passed>) {
        let mut runs = self.runs.lock();
        let Some((ways, ended)) = runs.of(Of::Files, &passed.place) else { return };
        let Some(way) = ways.way_at(&passed.place.name) else { return };
        let taken = way.take(&passed.place.name);
        way.note_passed(passed.clone());
        let Some(order) = way.order() else { return };
        let fetched = taken.map_or(0, |item| item.stake);
        passed.count(&self.credits.files, fetched);
        way.passed().for_each(|passed| passed.count(&self.credits.files, 0));
        let numbers = ways.known_numbers();
        let contents = self.names.contents(&passed.place.folder);
        let Some(way) = ways.way_at(&passed.place.name) else { return };
        if !self.fetch_files(way, contents, order, numbers.as_deref()) {
            let passed = way.passed().cloned().collect();
            *ended = Some(Ended { of: Of::Files, order, passed });
        }
    }

    /// Notes that somebody begins to list a directory.
    pub(super) fn lists(&self, ino: Ino, folder: &Folder) {
        let Ok((_, place)) = self.names.inodes().current(ino) else { return };
        if place.parent == ino || place.folder.bucket().is_none() {
            return;
        }
        self.step(Of::Folders, &self.credits.folders, &place, ino, Some(folder));
    }

    /// Notes that somebody has looked up a sibling of an image.
    pub(super) fn looked_at(&self, place: &Place, sibling: &Sibling) {
        let Some(image) = place.name.strip_suffix(&*sibling.view.suffix()) else { return };
        let contents = self.names.contents(&place.folder);
        let Some(ino) = contents.known(Of::Images, image).map(|entry| contents.number(&entry))
        else {
            return;
        };
        let place = Place { name: image.to_owned(), ..place.clone() };
        self.step(Of::Images, &self.credits.images, &place, ino, None);
    }

    /// One step of a run whose things count alike.
    fn step(&self, of: Of, credit: &Credit, place: &Place, ino: Ino, folder: Option<&Folder>) {
        let mut runs = self.runs.lock();
        if !runs.go(&self.names, of, place, ino) {
            return;
        }
        let Some((ways, ended)) = runs.of(of, place) else { return };
        let numbers = ways.known_numbers();
        let Some(way) = ways.way_at(&place.name) else { return };
        let taken = way.take(&place.name);
        let is_taken = taken.as_ref().is_some_and(|item| item.stake > 0);
        credit.used(u64::from(way.is_orderly()), u64::from(is_taken));
        // Whoever goes on joins what is on its way.
        if let Some(Held::Task(task)) = taken.map(|item| item.held) {
            task.detach();
        }
        let before = way.note_listed(folder.cloned());
        let Some(order) = way.order() else { return };
        let contents = self.names.contents(&place.folder);
        let goes_on = match of {
            Of::Folders => {
                let room = before.map_or(0, |folder| self.names.contents(&folder).listings_ahead());
                let room = room.min(way.within(self.names.ttl().listing()));
                self.list_folders(way, contents, order, numbers.as_deref(), room)
            }
            Of::Files | Of::Images => self.look_at_images(way, contents, order, numbers.as_deref()),
        };
        if !goes_on {
            *ended = Some(Ended { of, order, passed: Vec::new() });
        }
    }
}

impl Runs {
    fn of(&mut self, of: Of, place: &Place) -> Option<(&mut Ways, &mut Option<Ended>)> {
        let ways = self.folders.get_mut(&(place.parent, of))?;
        Some((ways, &mut self.ended))
    }

    /// Somebody has come to a name; whether he was not there already.
    fn go(&mut self, names: &Names, of: Of, place: &Place, ino: Ino) -> bool {
        let contents = names.contents(&place.folder);
        let ways = self.folders.get_or_insert_mut((place.parent, of), Ways::default);
        if ways.way_at(&place.name).is_some() {
            return false;
        }
        if !ways.go_on(&place.name) {
            let ended = self.ended.take().filter(|ended| ended.of == of);
            ways.begin(contents, of, &place.name, ended);
        }
        ways.note_number(contents, of, ino);
        let next = ways.next(contents, of, &place.name, ino);
        if let Some(way) = ways.ways.last_mut() {
            way.steps.expect(next);
        }
        true
    }
}

impl Ways {
    /// Who is at a name.
    fn way_at(&mut self, name: &str) -> Option<&mut Way> {
        self.ways.iter_mut().rev().find(|way| way.steps.last() == name)
    }

    fn known_numbers(&self) -> Option<Arc<Numbers>> {
        self.numbers.clone().flatten()
    }

    /// Somebody comes to a name on one of the ways; `false` if that was foreseen on none.
    fn go_on(&mut self, name: &str) -> bool {
        let Some(at) = self.ways.iter().rposition(|way| way.leads_to(name)) else {
            return false;
        };
        let mut way = self.ways.remove(at);
        way.go(name);
        self.ways.push(way);
        true
    }

    /// Somebody comes to a name on a way of his own, most likely whoever went last.
    fn begin(&mut self, contents: Contents<'_>, of: Of, name: &str, ended: Option<Ended>) {
        if let Some(last) = self.ways.last_mut() {
            last.miss();
        }
        if self.ways.len() == WAYS {
            self.ways.remove(0);
        }
        let mut way = Way::at(name);
        if let Some(ended) = ended {
            if ended.order == Order::Numbered {
                self.sort(contents, of);
            }
            let numbers = self.known_numbers();
            let is_first = match ended.order {
                Order::Numbered => numbers
                    .and_then(|numbers| numbers.behind(None, 1).next().map(|first| first == name))
                    .unwrap_or(false),
                Order::Listed | Order::Ending => {
                    let ending = (ended.order == Order::Ending).then(|| ending_of(name));
                    let first = contents.following(of, None, ending, 1);
                    first.first().is_some_and(|first| first.name == name)
                }
            };
            if is_first {
                way.carry_on(ended.order, ended.passed);
            }
        }
        self.ways.push(way);
    }

    fn sort(&mut self, contents: Contents<'_>, of: Of) {
        if self.numbers.is_none() {
            self.numbers = Some(contents.numbers(of, NUMBERED).map(Arc::new));
        }
    }

    /// Notes a number. Where the last ones ascend and no other order is kept to, it is looked
    /// whether they follow each other.
    fn note_number(&mut self, contents: Contents<'_>, of: Of, ino: Ino) {
        self.recent.push(ino);
        if self.recent.len() > ASCENDING {
            self.recent.remove(0);
        }
        let is_orderly = self.ways.last().is_some_and(Way::is_orderly);
        if is_orderly || self.recent.len() < ASCENDING || !self.recent.is_sorted() {
            return;
        }
        self.sort(contents, of);
        let Some(numbers) = self.known_numbers() else { return };
        let steps = numbered_steps(&self.recent, |ino| numbers.number_behind(ino));
        if steps < 2 {
            return;
        }
        // Until now each of them was a way of its own.
        let mut passed: Vec<Arc<Passed>> = Vec::new();
        for way in &mut self.ways {
            passed.append(&mut way.give_passed());
        }
        if let Some(way) = self.ways.last_mut() {
            way.carry_on_by(Order::Numbered, steps, passed);
        }
    }

    /// What comes behind a name in each order.
    fn next(&self, contents: Contents<'_>, of: Of, name: &str, ino: Ino) -> [Option<String>; 3] {
        let listed =
            |ending| contents.following(of, Some(name), ending, 1).pop().map(|entry| entry.name);
        let numbers = self.known_numbers();
        let numbered =
            numbers.and_then(|numbers| numbers.behind(Some(ino), 1).next().map(str::to_owned));
        [listed(None), listed(Some(ending_of(name))), numbered]
    }
}
