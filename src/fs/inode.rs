//! Which inode number stands for which directory, object version or sibling of one.
//!
//! A number follows from what it stands for, so it is the same again after the
//! kernel forgot it and came back, and the table holds no more than the kernel
//! remembers. What was renamed or written to keeps its number until then.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, OnceLock};

use super::node::{Folder, Thing};
use crate::catalog::Dir;
use crate::mem::{Budget, Reservation};
use crate::store::ObjectHead;

/// An inode number.
pub type Ino = u64;

/// The root's inode number, fixed by the FUSE protocol.
pub const ROOT: Ino = 1;

/// About what an inode takes in memory beside its key.
const INODE_BYTES: u64 = 400;

/// The inodes that the kernel remembers.
#[derive(Debug)]
pub(super) struct InodeTable {
    inodes: HashMap<Ino, Inode>,
    /// Numbers that do not follow from what they stand for by now, by what does.
    kept: HashMap<u64, Ino>,
    hasher: RandomState,
    counted: Reservation,
}

#[derive(Debug)]
struct Inode {
    node: Thing,
    place: Place,
    /// How many times the kernel was told of it and has not said to forget.
    lookups: u64,
    is_stale: bool,
    /// Whether it has lost its last name. What was made counts its names itself.
    is_unnamed: bool,
    head: Arc<OnceLock<ObjectHead>>,
}

/// Where an inode's name is.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) parent: Ino,
    pub(super) folder: Folder,
    pub(super) name: String,
}

impl InodeTable {
    pub(super) fn new(root: Dir, budget: &Arc<Budget>) -> Self {
        let folder = Folder::Bucket(root.clone());
        let place = Place { parent: ROOT, folder, name: String::new() };
        let inode = Inode::new(Thing::Dir(root), place);
        InodeTable {
            inodes: HashMap::from([(ROOT, Inode { lookups: 1, ..inode })]),
            kept: HashMap::new(),
            hasher: RandomState::new(),
            counted: budget.charge(INODE_BYTES),
        }
    }

    /// What an inode stands for.
    pub(super) fn node(&self, ino: Ino) -> Option<&Thing> {
        self.inodes.get(&ino).map(|inode| &inode.node)
    }

    /// The directory that contains an inode.
    pub(super) fn parent(&self, ino: Ino) -> Option<Ino> {
        self.inodes.get(&ino).map(|inode| inode.place.parent)
    }

    /// Whether the store said that the inode's object is another version by now.
    pub(super) fn is_stale(&self, ino: Ino) -> bool {
        self.inodes.get(&ino).is_some_and(|inode| inode.is_stale)
    }

    /// Where what a HEAD says of the inode is kept.
    pub(super) fn head(&self, ino: Ino) -> Option<Arc<OnceLock<ObjectHead>>> {
        self.inodes.get(&ino).map(|inode| inode.head.clone())
    }

    /// The number of `node`, known to the kernel or not.
    pub(super) fn number_of(&self, node: &Thing) -> Ino {
        let hash = match node {
            Thing::Made(made) => return made.ino(),
            node => self.hash_of(node),
        };
        if let Some(ino) = self.kept.get(&hash)
            && self.inodes.get(ino).is_some_and(|held| held.stands_for(node))
        {
            return *ino;
        }
        // 63 bits: some programs take inode numbers for signed. The upper half of
        // them is for what programs make.
        let mut ino = hash >> 2;
        while ino <= ROOT || self.inodes.get(&ino).is_some_and(|held| !held.stands_for(node)) {
            ino = (ino + 1) & (u64::MAX >> 2);
        }
        ino
    }

    fn hash_of(&self, node: &Thing) -> u64 {
        match node {
            Thing::Dir(dir) => self.hasher.hash_one(dir),
            Thing::Object(object) => self.hasher.hash_one(&object.version),
            Thing::View(view) => self.hasher.hash_one((&view.original, view.kind)),
            Thing::Made(made) => self.hasher.hash_one(made.ino()),
        }
    }

    /// Counts one more look-up of `node`; call it before the kernel is told.
    pub(super) fn look_up(&mut self, node: &Thing, place: impl FnOnce() -> Place) -> Ino {
        let ino = self.number_of(node);
        let inode = self.inodes.entry(ino).or_insert_with(|| {
            let inode = Inode::new(node.clone(), place());
            self.counted.resize(self.counted.bytes() + inode.weight_bytes());
            inode
        });
        inode.lookups += 1;
        // Listed again, so it is the version that is there now.
        inode.is_stale = false;
        inode.is_unnamed = false;
        ino
    }

    /// Takes back `count` look-ups.
    pub(super) fn forget(&mut self, ino: Ino, count: u64) {
        let Some(inode) = self.inodes.get_mut(&ino) else { return };
        inode.lookups = inode.lookups.saturating_sub(count);
        if inode.lookups == 0 && ino != ROOT {
            let weight = inode.weight_bytes();
            if let Some(inode) = self.inodes.remove(&ino) {
                self.forget_kept(ino, &inode.node);
            }
            self.counted.resize(self.counted.bytes().saturating_sub(weight));
        }
    }

    /// Marks an inode whose object changed; says where its name is, the first time.
    pub(super) fn mark_stale(&mut self, ino: Ino) -> Option<Place> {
        let inode = self.inodes.get_mut(&ino)?;
        let first = !std::mem::replace(&mut inode.is_stale, true);
        first.then(|| inode.place.clone())
    }

    /// Where an inode's name is, as far as it is known.
    pub(super) fn place(&self, ino: Ino) -> Option<Place> {
        self.inodes.get(&ino).map(|inode| inode.place.clone())
    }

    /// Notes that an inode has no name any more.
    pub(super) fn unname(&mut self, ino: Ino) {
        if let Some(inode) = self.inodes.get_mut(&ino) {
            inode.is_unnamed = true;
        }
    }

    /// Whether an inode has lost its last name.
    pub(super) fn is_unnamed(&self, ino: Ino) -> bool {
        self.inodes.get(&ino).is_some_and(|inode| inode.is_unnamed)
    }

    /// Notes that an inode has another name now.
    pub(super) fn move_to(&mut self, ino: Ino, place: Place) {
        if let Some(inode) = self.inodes.get_mut(&ino) {
            let before = inode.weight_bytes();
            inode.place = place;
            inode.is_unnamed = false;
            let counted = self.counted.bytes() + inode.weight_bytes();
            self.counted.resize(counted.saturating_sub(before));
        }
    }

    /// Has an inode that the kernel knows stand for something else from now on, which
    /// has its number as long as the kernel knows it.
    pub(super) fn replace(&mut self, ino: Ino, node: Thing) {
        let hash = self.hash_of(&node);
        let Some(inode) = self.inodes.get_mut(&ino) else { return };
        let before = inode.weight_bytes();
        let held = std::mem::replace(&mut inode.node, node);
        inode.is_stale = false;
        let counted = self.counted.bytes() + inode.weight_bytes();
        self.counted.resize(counted.saturating_sub(before));
        self.forget_kept(ino, &held);
        self.kept.insert(hash, ino);
    }

    fn forget_kept(&mut self, ino: Ino, node: &Thing) {
        let hash = self.hash_of(node);
        if self.kept.get(&hash) == Some(&ino) {
            self.kept.remove(&hash);
        }
    }

    /// Has all that lies in a directory which was moved in the bucket stand for what
    /// is there now, as `moved` says it of each.
    pub(super) fn rebase(&mut self, moved: impl Fn(&Thing) -> Option<Thing>) {
        let changed: Vec<(Ino, Thing)> = self
            .inodes
            .iter()
            .filter_map(|(ino, inode)| Some((*ino, moved(&inode.node)?)))
            .collect();
        for (ino, node) in changed {
            self.replace(ino, node);
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
    pub(super) fn len(&self) -> usize {
        self.inodes.len()
    }
}

impl Inode {
    fn new(node: Thing, place: Place) -> Self {
        let head = Arc::default();
        Inode { node, place, lookups: 0, is_stale: false, is_unnamed: false, head }
    }

    fn stands_for(&self, node: &Thing) -> bool {
        match (&self.node, node) {
            (Thing::Dir(held), Thing::Dir(dir)) => held == dir,
            (Thing::Object(held), Thing::Object(object)) => held.version == object.version,
            (Thing::View(held), Thing::View(view)) => {
                held.kind == view.kind && held.original == view.original
            }
            (Thing::Made(held), Thing::Made(made)) => held.ino() == made.ino(),
            (Thing::Dir(_) | Thing::Object(_) | Thing::View(_) | Thing::Made(_), _) => false,
        }
    }

    fn weight_bytes(&self) -> u64 {
        let key = match &self.node {
            Thing::Dir(dir) => dir.prefix().as_str().len(),
            Thing::Object(object) => object.version.key.as_str().len(),
            Thing::View(view) => view.original.name().len(),
            Thing::Made(_) => 0,
        };
        INODE_BYTES + (key + self.place.name.len()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Prefix;

    fn table() -> (InodeTable, Arc<Budget>) {
        let budget = Budget::new(1 << 20);
        (InodeTable::new(Dir::root(Prefix::root()), &budget), budget)
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
        assert!(table.node(first).is_some(), "one look-up is left");
        table.forget(first, 1);
        assert!(table.node(first).is_none());
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
        assert!(table.kept.is_empty());
        table.replace(other, dir("d/"));
        assert!(table.kept.is_empty(), "nobody knows it");
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
