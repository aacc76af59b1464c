//! Which inode number stands for which directory, object version or sibling of one.
//!
//! A number is a hash of what it stands for: a directory, an object version (key, size,
//! ETag, time), or a version and which of its siblings. So it is the same again when the kernel
//! forgets it and comes back, and the table holds no more than the kernel remembers.
//! What is renamed or written to keeps its number until the kernel forgets it.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, OnceLock};

use super::error::NameError;
use super::ino::{Ino, ROOT};
use super::place::Place;
use super::thing::{Folder, Thing};
use crate::catalog::Dir;
use crate::drafts::Draft;
use crate::mem::{Budget, Reservation, Use};
use crate::store::{ListedObject, ObjectHead};
use crate::sync::{Mutex, Rank};

/// About what an inode takes in memory beside its key.
const INODE_BYTES: u64 = 400;

/// What a HEAD says of an object, once somebody has asked.
pub type KnownHead = Arc<OnceLock<ObjectHead>>;

/// The inodes that the kernel remembers. Each method is a whole question or change.
#[derive(Debug)]
pub struct Inodes(Mutex<Table>);

#[derive(Debug)]
struct Table {
    inodes: HashMap<Ino, Inode>,
    /// Numbers that no longer follow from what they stand for, by the number that would.
    borrowed: HashMap<u64, Ino>,
    hasher: RandomState,
    counted: Reservation,
}

#[derive(Debug)]
struct Inode {
    thing: Thing,
    place: Place,
    /// How many times the kernel was told of it and has not said to forget.
    lookups: u64,
    is_stale: bool,
    /// Whether it has lost its last name. A draft counts its names itself.
    is_unnamed: bool,
    head: KnownHead,
}

impl Inodes {
    pub(super) fn new(root: Dir, budget: &Arc<Budget>) -> Self {
        Inodes(Mutex::new(Rank::Inodes, Table::new(root, budget)))
    }

    /// How many there are, the root among them.
    pub fn count(&self) -> usize {
        self.0.lock().len()
    }

    /// What an inode stands for.
    ///
    /// # Errors
    /// The kernel was never told of it.
    pub fn thing(&self, ino: Ino) -> Result<Thing, NameError> {
        self.0.lock().thing(ino).cloned().ok_or(NameError::UnknownInode)
    }

    /// What an inode stands for, and where its name is, unless it was overwritten.
    ///
    /// # Errors
    /// [`NameError::Stale`] when the store said that its object is another version now.
    pub fn current(&self, ino: Ino) -> Result<(Thing, Place), NameError> {
        let inodes = self.0.lock();
        if inodes.is_stale(ino) {
            return Err(NameError::Stale);
        }
        let thing = inodes.thing(ino).ok_or(NameError::UnknownInode)?.clone();
        Ok((thing, inodes.place(ino).ok_or(NameError::UnknownInode)?))
    }

    /// The directory that contains an inode.
    pub fn parent(&self, ino: Ino) -> Option<Ino> {
        self.0.lock().parent(ino)
    }

    /// An object of the bucket, and where the answer to a HEAD of it is kept; `None` for
    /// everything else.
    ///
    /// # Errors
    /// The kernel was never told of it.
    pub fn object(&self, ino: Ino) -> Result<Option<(ListedObject, KnownHead)>, NameError> {
        let inodes = self.0.lock();
        let head = inodes.head(ino).ok_or(NameError::UnknownInode)?;
        match inodes.thing(ino) {
            Some(Thing::Object(object)) => Ok(Some((object.clone(), head))),
            Some(Thing::Dir(_) | Thing::Sibling(_) | Thing::Draft(_)) | None => Ok(None),
        }
    }

    /// The names that the kernel has to forget so that it knows nothing below a directory,
    /// once it has forgotten that directory's own name: of files, which may be open. Of the
    /// root, those of its directories too.
    pub(super) fn names_below(&self, dir: Ino) -> Vec<(Ino, String)> {
        self.0.lock().names_below(dir)
    }

    /// Takes back look-ups.
    pub fn forget(&self, ino: Ino, count: u64) {
        self.0.lock().forget(ino, count);
    }

    /// The number of a thing, known to the kernel or not.
    pub fn number_of(&self, thing: &Thing) -> Ino {
        self.0.lock().number_of(thing)
    }

    /// Whether two names stand for one thing.
    pub fn is_same(&self, one: &Thing, other: &Thing) -> bool {
        let inodes = self.0.lock();
        inodes.number_of(one) == inodes.number_of(other)
    }

    /// Counts a look-up of a thing; returns its number.
    pub(super) fn look_up(&self, thing: &Thing, place: impl FnOnce() -> Place) -> Ino {
        self.0.lock().look_up(thing, place)
    }

    /// Where an inode's name is, and whether it has lost that.
    pub(super) fn place(&self, ino: Ino) -> (Option<Place>, bool) {
        let inodes = self.0.lock();
        (inodes.place(ino), inodes.is_unnamed(ino))
    }

    /// Whether an inode has lost its last name.
    pub(super) fn is_unnamed(&self, ino: Ino) -> bool {
        self.0.lock().is_unnamed(ino)
    }

    /// Marks an inode whose object was overwritten; says where its name is, the first time.
    pub(super) fn mark_stale(&self, ino: Ino) -> Option<Place> {
        self.0.lock().mark_stale(ino)
    }

    /// Notes that a thing has lost its last name.
    pub(super) fn unname(&self, thing: &Thing) {
        let mut inodes = self.0.lock();
        let ino = inodes.number_of(thing);
        inodes.unname(ino);
    }

    /// Notes that an inode has another name now.
    pub(super) fn move_to(&self, ino: Ino, place: Place) {
        self.0.lock().move_to(ino, place);
    }

    /// Notes that a thing has another name now.
    pub(super) fn move_thing(&self, thing: &Thing, place: &Place) {
        let mut inodes = self.0.lock();
        let ino = inodes.number_of(thing);
        inodes.move_to(ino, place.clone());
    }

    /// Makes an inode stand for something else.
    pub(super) fn replace(&self, ino: Ino, thing: Thing) {
        self.0.lock().replace(ino, thing);
    }

    /// Makes the inode of one thing stand for another.
    pub(super) fn replace_thing(&self, thing: &Thing, by: Thing) {
        let mut inodes = self.0.lock();
        let ino = inodes.number_of(thing);
        inodes.replace(ino, by);
    }

    /// The drafts among some inodes.
    pub(super) fn drafts(&self, inos: &[Ino]) -> Vec<Arc<Draft>> {
        let inodes = self.0.lock();
        inos.iter().filter_map(|ino| inodes.thing(*ino)?.draft().cloned()).collect()
    }

    /// Makes everything that `moved` has an answer for stand for that.
    pub(super) fn rebase(&self, moved: impl Fn(&Thing) -> Option<Thing>) {
        self.0.lock().rebase(moved);
    }
}

impl Table {
    fn new(root: Dir, budget: &Arc<Budget>) -> Self {
        let folder = Folder::Bucket(root.clone());
        let place = Place { parent: ROOT, folder, name: String::new() };
        let inode = Inode::new(Thing::Dir(root), place);
        Table {
            inodes: HashMap::from([(ROOT, Inode { lookups: 1, ..inode })]),
            borrowed: HashMap::new(),
            hasher: RandomState::new(),
            counted: budget.charge(INODE_BYTES).of(Use::Names),
        }
    }

    /// What an inode stands for.
    fn thing(&self, ino: Ino) -> Option<&Thing> {
        self.inodes.get(&ino).map(|inode| &inode.thing)
    }

    /// The directory that contains an inode.
    fn parent(&self, ino: Ino) -> Option<Ino> {
        self.inodes.get(&ino).map(|inode| inode.place.parent)
    }

    /// Whether the store said that the inode's object was overwritten.
    fn is_stale(&self, ino: Ino) -> bool {
        self.inodes.get(&ino).is_some_and(|inode| inode.is_stale)
    }

    /// Where what a HEAD says of the inode is kept.
    fn head(&self, ino: Ino) -> Option<KnownHead> {
        self.inodes.get(&ino).map(|inode| inode.head.clone())
    }

    /// The number of `thing`, known to the kernel or not.
    fn number_of(&self, thing: &Thing) -> Ino {
        let hash = match thing {
            Thing::Draft(draft) => return draft.ino(),
            thing => self.hash_of(thing),
        };
        if let Some(ino) = self.borrowed.get(&hash)
            && self.inodes.get(ino).is_some_and(|held| held.stands_for(thing))
        {
            return *ino;
        }
        // 63 bits: some programs take inode numbers for signed. The upper half of
        // them is for what programs make.
        let mut ino = hash >> 2;
        while ino <= ROOT || self.inodes.get(&ino).is_some_and(|held| !held.stands_for(thing)) {
            ino = (ino + 1) & (u64::MAX >> 2);
        }
        ino
    }

    fn hash_of(&self, thing: &Thing) -> u64 {
        match thing {
            Thing::Dir(dir) => self.hasher.hash_one(dir),
            Thing::Object(object) => self.hasher.hash_one(&object.version),
            Thing::Sibling(sibling) => self.hasher.hash_one((&sibling.original, sibling.view)),
            Thing::Draft(draft) => self.hasher.hash_one(draft.ino()),
        }
    }

    /// Counts one more look-up of `thing`; call it before the kernel is told.
    fn look_up(&mut self, thing: &Thing, place: impl FnOnce() -> Place) -> Ino {
        let ino = self.number_of(thing);
        let inode = self.inodes.entry(ino).or_insert_with(|| {
            let inode = Inode::new(thing.clone(), place());
            self.counted.resize(self.counted.bytes() + inode.weight_bytes());
            inode
        });
        inode.lookups += 1;
        // Listed again, so it is the version that is there now.
        inode.is_stale = false;
        inode.is_unnamed = false;
        ino
    }

    fn names_below(&self, dir: Ino) -> Vec<(Ino, String)> {
        let is_below = |place: &Place| {
            let mut at = place.parent;
            // No path is deeper: a key has 1,024 bytes.
            for _ in 0..1024 {
                if at == dir {
                    return true;
                }
                match self.parent(at) {
                    Some(parent) if at != ROOT => at = parent,
                    _ => return false,
                }
            }
            false
        };
        let all = self.inodes.iter().filter(|(ino, inode)| {
            let is_dir = inode.thing.folder().is_some();
            let is_told = !is_dir || (dir == ROOT && inode.place.parent == ROOT);
            **ino != ROOT && is_told && is_below(&inode.place)
        });
        all.map(|(_, inode)| (inode.place.parent, inode.place.name.clone())).collect()
    }

    /// Takes back `count` look-ups.
    fn forget(&mut self, ino: Ino, count: u64) {
        let Some(inode) = self.inodes.get_mut(&ino) else { return };
        inode.lookups = inode.lookups.saturating_sub(count);
        if inode.lookups == 0 && ino != ROOT {
            let weight = inode.weight_bytes();
            if let Some(inode) = self.inodes.remove(&ino) {
                self.forget_borrowed(ino, &inode.thing);
            }
            self.counted.resize(self.counted.bytes().saturating_sub(weight));
        }
    }

    /// Marks an inode whose object changed; says where its name is, the first time.
    fn mark_stale(&mut self, ino: Ino) -> Option<Place> {
        let inode = self.inodes.get_mut(&ino)?;
        let first = !std::mem::replace(&mut inode.is_stale, true);
        first.then(|| inode.place.clone())
    }

    /// Where an inode's name is, as far as it is known.
    fn place(&self, ino: Ino) -> Option<Place> {
        self.inodes.get(&ino).map(|inode| inode.place.clone())
    }

    /// Notes that an inode has no name any more.
    fn unname(&mut self, ino: Ino) {
        if let Some(inode) = self.inodes.get_mut(&ino) {
            inode.is_unnamed = true;
        }
    }

    /// Whether an inode has lost its last name.
    fn is_unnamed(&self, ino: Ino) -> bool {
        self.inodes.get(&ino).is_some_and(|inode| inode.is_unnamed)
    }

    /// Notes that an inode has another name now.
    fn move_to(&mut self, ino: Ino, place: Place) {
        if let Some(inode) = self.inodes.get_mut(&ino) {
            let before = inode.weight_bytes();
            inode.place = place;
            inode.is_unnamed = false;
            let counted = self.counted.bytes() + inode.weight_bytes();
            self.counted.resize(counted.saturating_sub(before));
        }
    }

    /// Makes an inode that the kernel knows stand for something else, which borrows its
    /// number as long as the kernel knows it.
    fn replace(&mut self, ino: Ino, thing: Thing) {
        let hash = self.hash_of(&thing);
        let Some(inode) = self.inodes.get_mut(&ino) else { return };
        let before = inode.weight_bytes();
        let held = std::mem::replace(&mut inode.thing, thing);
        inode.is_stale = false;
        let counted = self.counted.bytes() + inode.weight_bytes();
        self.counted.resize(counted.saturating_sub(before));
        self.forget_borrowed(ino, &held);
        self.borrowed.insert(hash, ino);
    }

    fn forget_borrowed(&mut self, ino: Ino, thing: &Thing) {
        let hash = self.hash_of(thing);
        if self.borrowed.get(&hash) == Some(&ino) {
            self.borrowed.remove(&hash);
        }
    }

    /// Makes everything below a directory that was moved in the bucket stand for what is
    /// there now, as `moved` says of each.
    fn rebase(&mut self, moved: impl Fn(&Thing) -> Option<Thing>) {
        let changed: Vec<(Ino, Thing)> = self
            .inodes
            .iter()
            .filter_map(|(ino, inode)| Some((*ino, moved(&inode.thing)?)))
            .collect();
        for (ino, thing) in changed {
            self.replace(ino, thing);
        }
        for inode in self.inodes.values_mut() {
            if let Folder::Bucket(dir) = &inode.place.folder
                && let Some(Thing::Dir(dir)) = moved(&Thing::Dir(dir.clone()))
            {
                inode.place.folder = Folder::Bucket(dir);
            }
        }
    }

    /// How many inodes there are.
    fn len(&self) -> usize {
        self.inodes.len()
    }
}

impl Inode {
    fn new(thing: Thing, place: Place) -> Self {
        let head = Arc::default();
        Inode { thing, place, lookups: 0, is_stale: false, is_unnamed: false, head }
    }

    fn stands_for(&self, thing: &Thing) -> bool {
        match (&self.thing, thing) {
            (Thing::Dir(held), Thing::Dir(dir)) => held == dir,
            (Thing::Object(held), Thing::Object(object)) => held.version == object.version,
            (Thing::Sibling(held), Thing::Sibling(sibling)) => {
                held.view == sibling.view && held.original == sibling.original
            }
            (Thing::Draft(held), Thing::Draft(draft)) => held.ino() == draft.ino(),
            (Thing::Dir(_) | Thing::Object(_) | Thing::Sibling(_) | Thing::Draft(_), _) => false,
        }
    }

    fn weight_bytes(&self) -> u64 {
        let key = match &self.thing {
            Thing::Dir(dir) => dir.prefix().as_str().len(),
            Thing::Object(object) => object.version.key.as_str().len(),
            Thing::Sibling(sibling) => sibling.original.name().len(),
            Thing::Draft(_) => 0,
        };
        INODE_BYTES + (key + self.place.name.len()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Prefix;

    fn table() -> (Table, Arc<Budget>) {
        let budget = Budget::new(1 << 20);
        (Table::new(Dir::root(Prefix::root()), &budget), budget)
    }

    fn dir(prefix: &str) -> Thing {
        Thing::Dir(Dir::root(Prefix::new(prefix)))
    }

    fn place() -> Place {
        let folder = Folder::Bucket(Dir::root(Prefix::root()));
        Place { parent: ROOT, folder, name: "a".into() }
    }

    #[test]
    fn a_forgotten_inode_gets_its_number_again() {
        let (mut table, budget) = table();
        let before = budget.used_bytes();
        let first = table.look_up(&dir("a/"), place);
        assert_eq!(table.look_up(&dir("a/"), place), first);
        table.forget(first, 1);
        assert!(table.thing(first).is_some(), "one look-up is left");
        table.forget(first, 1);
        assert!(table.thing(first).is_none());
        assert_eq!(budget.used_bytes(), before, "nothing is counted for what was forgotten");
        assert_eq!(table.look_up(&dir("a/"), place), first);
    }

    #[test]
    fn what_an_inode_stands_for_by_now_has_its_number_until_it_is_forgotten() {
        let (mut table, _) = table();
        let first = table.look_up(&dir("a/"), place);
        let other = table.look_up(&dir("b/"), place);
        table.forget(other, 1);
        for name in ["c/", "d/"] {
            table.replace(first, dir(name));
            assert_eq!(table.number_of(&dir(name)), first);
        }
        assert_ne!(table.number_of(&dir("c/")), first);
        table.forget(first, 1);
        assert_ne!(table.number_of(&dir("d/")), first);
        assert!(table.borrowed.is_empty());
        table.replace(other, dir("d/"));
        assert!(table.borrowed.is_empty(), "nobody knows it");
    }

    #[test]
    fn names_below_a_directory_are_those_of_files_and_in_the_root_of_directories() {
        let (mut table, _) = table();
        let at = |parent, name: &str| Place { parent, name: name.into(), ..place() };
        let outer = table.look_up(&dir("o/"), || at(ROOT, "o"));
        let inner = table.look_up(&dir("o/i/"), || at(outer, "i"));
        let file = |key: &str| {
            let version = crate::key::ObjectVersion {
                key: crate::key::ObjectKey::new(key),
                size: 1,
                etag: None,
                last_modified: std::time::SystemTime::UNIX_EPOCH,
            };
            Thing::Object(ListedObject { version, storage_class: None })
        };
        table.look_up(&file("o/i/f"), || at(inner, "f"));
        table.look_up(&file("g"), || at(ROOT, "g"));
        let below = |dir| {
            let mut names: Vec<String> =
                table.names_below(dir).into_iter().map(|(_, name)| name).collect();
            names.sort();
            names
        };
        assert_eq!(below(inner), ["f"]);
        assert_eq!(below(outer), ["f"]);
        assert_eq!(below(ROOT), ["f", "g", "o"]);
    }

    #[test]
    fn different_nodes_have_different_numbers_and_none_is_the_root() {
        let (mut table, _) = table();
        let numbers: std::collections::HashSet<Ino> =
            (0..1000).map(|n| table.look_up(&dir(&format!("{n}/")), place)).collect();
        assert_eq!(numbers.len(), 1000);
        assert!(!numbers.contains(&ROOT) && !numbers.contains(&0));
        assert_eq!(table.len(), 1001);
    }
}
