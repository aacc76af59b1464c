//! Which names programs changed: what lies over the bucket's directories.
//!
//! A directory is one of the bucket's or one that a program made. Over either lie entries: a
//! name is hidden, or stands for something else than in the bucket (a draft, or something of
//! the bucket that was moved there). A name without an entry is as it is in the bucket. So
//! renaming a directory of 100,000 objects in memory is one entry.
//!
//! A change in the bucket is an entry too, until listings that are in memory show it.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::thing::{Folder, Thing};
use crate::catalog::Dir;
use crate::drafts::{Attributes, Draft};
use crate::key::{ObjectVersion, Prefix};
use crate::mem::{Budget, Reservation, Use};

/// About what an entry takes in memory beside its name, and what it stands for.
const ENTRY_BYTES: u64 = 1200;
const ATTRIBUTES_BYTES: u64 = 300;

/// What lies over a name.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    /// There is nothing of this name, whatever the bucket has.
    Hidden,
    /// It stands for this, which is never a sibling.
    Thing(Thing),
}

/// Something of the bucket whose attributes a program changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum NodeId {
    /// A directory.
    Dir(Dir),
    /// A version of an object.
    Object(ObjectVersion),
}

impl NodeId {
    /// What of the bucket a thing is, if its attributes can be changed there.
    pub(super) fn of(thing: &Thing) -> Option<Self> {
        match thing {
            Thing::Dir(dir) => Some(NodeId::Dir(dir.clone())),
            Thing::Object(object) => Some(NodeId::object(&object.version)),
            Thing::Sibling(_) | Thing::Draft(_) => None,
        }
    }

    /// A version of an object. Where its ETag says which one it is, its time does not
    /// count: of what was written here it is by our clock, in a listing by the server's.
    pub(super) fn object(version: &ObjectVersion) -> Self {
        let mut version = version.clone();
        if version.etag.is_some() {
            version.last_modified = SystemTime::UNIX_EPOCH;
        }
        NodeId::Object(version)
    }
}

/// There is no memory for another name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoRoom;

/// All that lies over the bucket.
#[derive(Debug)]
pub(super) struct Tree {
    dirs: HashMap<Folder, Upper>,
    /// The name that each draft was given last, by its inode number.
    homes: HashMap<u64, (Folder, String)>,
    attributes: HashMap<NodeId, Attributes>,
    counted: Reservation,
    limit_bytes: u64,
}

/// What lies over one directory. Entries are numbered as they come, so that a
/// listing can go on where it was while names come and go. A name that stands for
/// something else keeps its number, or a listing that has shown it would show it
/// again, and one whose reader replaces each file would never end.
#[derive(Debug, Default)]
struct Upper {
    entries: HashMap<String, Laid>,
    /// The items alone, without what is hidden.
    order: BTreeMap<u64, String>,
    next: u64,
}

/// An entry, its number, and until when it holds.
#[derive(Debug)]
struct Laid {
    number: u64,
    entry: Entry,
    until: Option<Instant>,
}

impl Laid {
    fn holds(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() < until)
    }
}

impl Tree {
    pub(super) fn new(budget: &Arc<Budget>, limit_bytes: u64) -> Self {
        Tree {
            dirs: HashMap::new(),
            homes: HashMap::new(),
            attributes: HashMap::new(),
            counted: budget.charge(0).of(Use::Names),
            limit_bytes,
        }
    }

    /// What lies over a name.
    pub(super) fn find(&self, dir: &Folder, name: &str) -> Option<&Entry> {
        let laid = self.dirs.get(dir)?.entries.get(name)?;
        laid.holds().then_some(&laid.entry)
    }

    /// Up to `most` items of a directory with these numbers.
    pub(super) fn things(
        &self,
        dir: &Folder,
        numbers: Range<u64>,
        most: usize,
    ) -> Vec<(u64, String, Thing)> {
        let Some(upper) = self.dirs.get(dir) else { return Vec::new() };
        let item = |(number, name): (&u64, &String)| match upper.entries.get(name) {
            Some(laid) if !laid.holds() => None,
            Some(Laid { entry: Entry::Thing(thing), .. }) => {
                Some((*number, name.clone(), thing.clone()))
            }
            Some(Laid { entry: Entry::Hidden, .. }) | None => None,
        };
        upper.order.range(numbers).filter_map(item).take(most).collect()
    }

    /// The name that a draft was given last.
    pub(super) fn home(&self, ino: u64) -> Option<(Folder, String)> {
        self.homes.get(&ino).cloned()
    }

    /// Notes the name that a draft has now.
    pub(super) fn set_home(&mut self, ino: u64, dir: &Folder, name: &str) {
        self.homes.insert(ino, (dir.clone(), name.to_owned()));
    }

    /// Forgets the name of a draft that is gone, or that the bucket stands for now.
    pub(super) fn forget_home(&mut self, ino: u64) {
        self.homes.remove(&ino);
    }

    /// The number that the next entry of a directory gets.
    pub(super) fn next_number(&self, dir: &Folder) -> u64 {
        self.dirs.get(dir).map_or(0, |upper| upper.next)
    }

    /// The item that lies over a name, if its number is `from` or higher.
    pub(super) fn thing_since(&self, dir: &Folder, name: &str, from: u64) -> Option<Thing> {
        match self.dirs.get(dir)?.entries.get(name)? {
            Laid { number, entry: Entry::Thing(thing), .. } if *number >= from => {
                Some(thing.clone())
            }
            _ => None,
        }
    }

    /// Lays something over a name.
    ///
    /// # Errors
    /// When names take more memory than they may.
    pub(super) fn put(&mut self, dir: &Folder, name: &str, entry: Entry) -> Result<(), NoRoom> {
        self.make_sure_of(self.needed(dir, name))?;
        self.lay(dir, name, entry, None);
        Ok(())
    }

    /// Lays something over each of two names, or over neither.
    ///
    /// # Errors
    /// When names take more memory than they may.
    pub(super) fn put_both(
        &mut self,
        one: (&Folder, &str, Entry),
        other: (&Folder, &str, Entry),
    ) -> Result<(), NoRoom> {
        self.make_sure_of(self.needed(one.0, one.1) + self.needed(other.0, other.1))?;
        self.lay(one.0, one.1, one.2, None);
        self.lay(other.0, other.1, other.2, None);
        Ok(())
    }

    /// What another entry for a name takes: nothing where there is one.
    fn needed(&self, dir: &Folder, name: &str) -> u64 {
        if self.find(dir, name).is_some() { 0 } else { weight_of(name) }
    }

    fn make_sure_of(&self, bytes: u64) -> Result<(), NoRoom> {
        let fits = bytes == 0 || self.counted.bytes() + bytes <= self.limit_bytes;
        fits.then_some(()).ok_or(NoRoom)
    }

    /// Hides a name; deleting never fails for lack of room.
    pub(super) fn hide(&mut self, dir: &Folder, name: &str) {
        self.lay(dir, name, Entry::Hidden, None);
    }

    /// Lays something over a name that the bucket has too, until the bucket is
    /// looked at again; `None` for ever.
    pub(super) fn put_until(
        &mut self,
        dir: &Folder,
        name: &str,
        entry: Entry,
        until: Option<Instant>,
    ) {
        self.lay(dir, name, entry, until);
    }

    fn lay(&mut self, dir: &Folder, name: &str, entry: Entry, until: Option<Instant>) {
        let upper = self.dirs.entry(dir.clone()).or_default();
        let number = match upper.entries.get(name) {
            Some(Laid { number, entry: Entry::Thing(_), .. }) => *number,
            Some(Laid { entry: Entry::Hidden, .. }) | None => {
                upper.next += 1;
                upper.next - 1
            }
        };
        let is_item = matches!(entry, Entry::Thing(_));
        if is_item {
            upper.order.insert(number, name.to_owned());
        }
        match upper.entries.insert(name.to_owned(), Laid { number, entry, until }) {
            Some(before) if is_item && before.number == number => {}
            Some(before) => drop(upper.order.remove(&before.number)),
            None => self.counted.resize(self.counted.bytes() + weight_of(name)),
        }
    }

    /// Takes away what lies over a name.
    pub(super) fn clear(&mut self, dir: &Folder, name: &str) {
        let Some(upper) = self.dirs.get_mut(dir) else { return };
        let Some(laid) = upper.entries.remove(name) else { return };
        upper.order.remove(&laid.number);
        self.counted.resize(self.counted.bytes().saturating_sub(weight_of(name)));
    }

    /// Forgets what does not hold any more.
    pub(super) fn sweep(&mut self) {
        let mut freed = 0;
        for upper in self.dirs.values_mut() {
            let order = &mut upper.order;
            upper.entries.retain(|name, laid| {
                let holds = laid.holds();
                if !holds {
                    order.remove(&laid.number);
                    freed += weight_of(name);
                }
                holds
            });
        }
        self.counted.resize(self.counted.bytes().saturating_sub(freed));
    }

    /// Forgets a directory that is gone, with all that lay over it.
    pub(super) fn remove_dir(&mut self, dir: &Folder) {
        let Some(upper) = self.dirs.remove(dir) else { return };
        let weight: u64 = upper.entries.keys().map(|name| weight_of(name)).sum();
        self.counted.resize(self.counted.bytes().saturating_sub(weight));
    }

    /// Forgets what lies over the bucket's directories that begin like `prefix`.
    pub(super) fn remove_below(&mut self, prefix: &Prefix) {
        let is_below = |key: &Folder| key.is_below(prefix.as_str());
        let below: Vec<Folder> = self.dirs.keys().filter(|key| is_below(key)).cloned().collect();
        below.iter().for_each(|dir| self.remove_dir(dir));
    }

    /// The files below the bucket's directories that begin like `prefix`, each with its
    /// directory and name, that have a place in the bucket.
    pub(super) fn published_below(&self, prefix: &Prefix) -> Vec<(Dir, String, Arc<Draft>)> {
        let mut found = Vec::new();
        for (key, upper) in &self.dirs {
            let Folder::Bucket(dir) = key else { continue };
            if !dir.prefix().as_str().starts_with(prefix.as_str()) {
                continue;
            }
            for (name, laid) in &upper.entries {
                if let Entry::Thing(Thing::Draft(draft)) = &laid.entry
                    && draft.progress().is_some()
                {
                    found.push((dir.clone(), name.clone(), draft.clone()));
                }
            }
        }
        found
    }

    /// Whether a matching directory holds anything that will never be uploaded.
    pub(super) fn any_draft_alone(&self, is_such: impl Fn(&Folder) -> bool) -> bool {
        let alone = |laid: &Laid| match &laid.entry {
            Entry::Thing(Thing::Draft(draft)) => draft.progress().is_none(),
            Entry::Thing(_) | Entry::Hidden => false,
        };
        let mut dirs = self.dirs.iter().filter(|(key, _)| is_such(key));
        dirs.any(|(_, upper)| upper.entries.values().any(alone))
    }

    /// The attributes that a program gave something of the bucket.
    pub(super) fn attributes(&self, thing: &NodeId) -> Option<Attributes> {
        self.attributes.get(thing).copied()
    }

    /// Keeps attributes for something of the bucket.
    ///
    /// # Errors
    /// When they take more memory than they may.
    pub(super) fn set_attributes(
        &mut self,
        thing: NodeId,
        attributes: Attributes,
    ) -> Result<(), NoRoom> {
        if !self.attributes.contains_key(&thing) {
            if self.counted.bytes() + ATTRIBUTES_BYTES > self.limit_bytes {
                return Err(NoRoom);
            }
            self.counted.resize(self.counted.bytes() + ATTRIBUTES_BYTES);
        }
        self.attributes.insert(thing, attributes);
        Ok(())
    }

    /// Gives up the attributes of something of the bucket that is gone.
    pub(super) fn take_attributes(&mut self, thing: &NodeId) -> Option<Attributes> {
        let taken = self.attributes.remove(thing)?;
        self.counted.resize(self.counted.bytes().saturating_sub(ATTRIBUTES_BYTES));
        Some(taken)
    }

    /// Gives attributes to what `moved` says that a thing is now.
    pub(super) fn move_attributes(&mut self, moved: impl Fn(&NodeId) -> Option<NodeId>) {
        let pair = |from: &NodeId| Some((from.clone(), moved(from)?));
        let pairs: Vec<_> = self.attributes.keys().filter_map(pair).collect();
        for (from, to) in pairs {
            if let Some(attributes) = self.take_attributes(&from) {
                // What was taken has made room for it.
                let _ = self.set_attributes(to, attributes);
            }
        }
    }
}

fn weight_of(name: &str) -> u64 {
    ENTRY_BYTES + name.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(limit_bytes: u64) -> (Tree, Folder, Arc<Budget>) {
        let budget = Budget::new(1 << 20);
        let dir = Folder::Bucket(Dir::root(Prefix::root()));
        (Tree::new(&budget, limit_bytes), dir, budget)
    }

    fn item() -> Entry {
        Entry::Thing(Thing::Dir(Dir::root(Prefix::new("a/"))))
    }

    fn names(tree: &Tree, dir: &Folder, from: u64) -> Vec<String> {
        tree.things(dir, from..u64::MAX, 100).into_iter().map(|(_, name, _)| name).collect()
    }

    #[test]
    fn a_listing_goes_on_where_it_was_while_names_come_and_go() {
        let (mut tree, dir, _) = tree(1 << 20);
        for name in ["a", "b", "c"] {
            tree.put(&dir, name, item()).unwrap();
        }
        let (second, ..) = tree.things(&dir, 0..u64::MAX, 2)[1].clone();
        tree.clear(&dir, "a");
        tree.put(&dir, "b", Entry::Hidden).unwrap();
        tree.put(&dir, "d", item()).unwrap();
        assert_eq!(names(&tree, &dir, second + 1), ["c", "d"]);
        assert_eq!(names(&tree, &dir, 0), ["c", "d"]);
        assert!(matches!(tree.find(&dir, "b"), Some(Entry::Hidden)));
    }

    #[test]
    fn a_name_that_stands_for_something_else_keeps_its_place() {
        let (mut tree, dir, _) = tree(1 << 20);
        for name in ["a", "b", "a"] {
            tree.put(&dir, name, item()).unwrap();
        }
        assert_eq!(names(&tree, &dir, 0), ["a", "b"]);
        tree.hide(&dir, "a");
        assert!(tree.thing_since(&dir, "a", 0).is_none());
        let next = tree.next_number(&dir);
        tree.put(&dir, "a", item()).unwrap();
        assert_eq!(names(&tree, &dir, 0), ["b", "a"]);
        assert!(tree.thing_since(&dir, "a", next).is_some());
        assert!(tree.thing_since(&dir, "b", next).is_none());
    }

    #[test]
    fn names_are_counted_and_limited_and_given_back() {
        let (mut tree, dir, budget) = tree(2 * ENTRY_BYTES + 2);
        tree.put(&dir, "a", item()).unwrap();
        tree.put(&dir, "a", Entry::Hidden).unwrap();
        tree.put(&dir, "b", item()).unwrap();
        assert_eq!(tree.put(&dir, "c", item()), Err(NoRoom));
        tree.clear(&dir, "a");
        tree.remove_dir(&dir);
        assert_eq!(budget.used_bytes(), 0);
    }
}
