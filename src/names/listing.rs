//! What a directory shows, piece by piece, for whoever lists it.

use std::ops::Range;

use super::error::NameError;
use super::inodes::Ino;
use super::place::Place;
use super::thing::{Folder, Thing};
use super::tree::Entry;
use super::{Attr, Names};
use crate::catalog::{Dir, DirEntry, Listed, Walk};

/// Something that a directory shows.
#[derive(Debug, Clone)]
pub struct Slot {
    /// Its number: among the drafts of a directory, or behind an entry of the bucket,
    /// where 0 is the entry itself and its siblings follow.
    pub number: u64,
    /// The file name.
    pub name: String,
    /// What it is.
    pub thing: Thing,
}

impl Names {
    /// Entries of a directory of the bucket from a number on, as many as one page has
    /// left; none at the end. With `sizes`, siblings that are listed have theirs known.
    ///
    /// # Errors
    /// What the listing failed with.
    pub async fn entries<'w>(
        &self,
        dir: &Dir,
        walk: &'w mut Walk,
        number: u64,
        sizes: bool,
    ) -> Result<Listed<'w>, NameError> {
        let listed = self.catalog.entries(dir, walk, number).await?;
        Ok(self.with_siblings(listed, sizes).await)
    }

    /// What a directory shows for an entry of the bucket: what programs made of it, if
    /// they did since the draft of number `since`, or else the entry and its siblings.
    pub fn shown(&self, folder: &Folder, entry: &DirEntry, since: u64, sizes: bool) -> Vec<Slot> {
        let own = |thing| Slot { number: 0, name: entry.name.clone(), thing };
        if self.changed(folder, &entry.name).is_some() {
            let thing = self.tree.lock().thing_since(folder, &entry.name, since);
            return thing.map(own).into_iter().collect();
        }
        let mut slots = vec![own(Thing::from(entry.node.clone()))];
        slots.extend(self.listed_siblings(folder, entry, sizes));
        slots
    }

    /// The number that the next draft in a directory gets.
    pub fn next_number(&self, folder: &Folder) -> u64 {
        self.tree.lock().next_number(folder)
    }

    /// Up to `most` of what programs made or moved into a directory, with these numbers,
    /// and the number to go on from; `None` at the end.
    pub fn drafts_in(
        &self,
        folder: &Folder,
        numbers: Range<u64>,
        most: usize,
    ) -> (Vec<Slot>, Option<u64>) {
        let things = self.tree.lock().things(folder, numbers, most);
        let next = things.last().map(|(number, ..)| number + 1);
        let slots = things.into_iter().map(|(number, name, thing)| Slot { number, name, thing });
        // Of what has faded the bucket's listing shows it.
        (slots.filter(|slot| !self.has_faded(&slot.thing)).collect(), next)
    }

    fn has_faded(&self, thing: &Thing) -> bool {
        thing.draft().is_some_and(|draft| self.is_faded(draft))
    }

    /// The attributes of something that a directory shows; with `counts`, counts a
    /// look-up of it.
    pub fn listed(&self, place: impl FnOnce() -> Place, thing: &Thing, counts: bool) -> Attr {
        let ino: Ino = {
            let mut inodes = self.inodes.lock();
            match counts {
                true => inodes.look_up(thing, place),
                false => inodes.number_of(thing),
            }
        };
        self.attr(ino, thing)
    }

    /// Whether a directory shows nothing.
    ///
    /// # Errors
    /// What listing it failed with.
    pub async fn is_empty(&self, folder: &Folder) -> Result<bool, NameError> {
        let made = self.tree.lock().things(folder, 0..u64::MAX, usize::MAX);
        if made.iter().any(|(_, _, thing)| !self.has_faded(thing)) {
            return Ok(false);
        }
        let Some(dir) = folder.bucket() else { return Ok(true) };
        let mut walk = Walk::default();
        let mut number = 0;
        loop {
            let listed = self.catalog.entries(dir, &mut walk, number).await?;
            if listed.entries.is_empty() {
                return Ok(true);
            }
            if listed.entries.iter().any(|entry| self.changed(folder, &entry.name).is_none()) {
                return Ok(false);
            }
            number += listed.entries.len() as u64;
        }
    }

    /// Whether the bucket or a program has something of this name, as far as is known
    /// without a request; what may be there counts.
    pub(super) fn may_be_there(&self, entry: Option<&Entry>, folder: &Folder, name: &str) -> bool {
        match entry {
            Some(Entry::Thing(_)) => true,
            Some(Entry::Hidden) => false,
            None => self.bucket_may_have(folder, name),
        }
    }

    /// Whether the bucket has something of this name, or may have.
    pub(super) fn bucket_may_have(&self, folder: &Folder, name: &str) -> bool {
        folder.bucket().is_some_and(|dir| {
            self.catalog.lookup_known(dir, name).is_none_or(|found| found.node.is_some())
        })
    }
}
