//! What a directory shows, piece by piece, for whoever lists it.

use std::ops::Range;

use super::Names;
use super::error::NameError;
use super::thing::{Folder, Thing};
use crate::catalog::{DirEntry, Listed, Walk};

/// What one directory shows.
#[derive(Debug, Clone, Copy)]
pub struct Contents<'n> {
    pub(super) names: &'n Names,
    pub(super) folder: &'n Folder,
}

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
    /// What a directory shows.
    pub fn contents<'n>(&'n self, folder: &'n Folder) -> Contents<'n> {
        Contents { names: self, folder }
    }
}

impl Contents<'_> {
    /// Entries of the bucket from a number on, as many as one page has left; none at the
    /// end, or where a program made the directory. With `sizes`, siblings that are listed have theirs known.
    ///
    /// # Errors
    /// What the listing failed with.
    pub async fn entries<'w>(
        &self,
        walk: &'w mut Walk,
        number: u64,
        sizes: bool,
    ) -> Result<Listed<'w>, NameError> {
        let Folder::Bucket(dir) = self.folder else { return Ok(Listed::default()) };
        let listed = self.names.catalog.entries(dir, walk, number).await?;
        Ok(self.with_siblings(listed, sizes).await)
    }

    /// What a directory shows for an entry of the bucket: what programs made of it, if
    /// they did since the draft of number `since`, or else the entry and its siblings.
    pub fn shown(&self, entry: &DirEntry, since: u64, sizes: bool) -> Vec<Slot> {
        let own = |thing| Slot { number: 0, name: entry.name.clone(), thing };
        if self.names.changed(self.folder, &entry.name).is_some() {
            let thing = self.names.tree.lock().thing_since(self.folder, &entry.name, since);
            return thing.map(own).into_iter().collect();
        }
        let mut slots = vec![own(Thing::from(entry.node.clone()))];
        slots.extend(self.listed_siblings(entry, sizes));
        slots
    }

    /// The number that the next draft gets.
    pub fn next_number(&self) -> u64 {
        self.names.tree.lock().next_number(self.folder)
    }

    /// Up to `most` of what programs made here or moved here, with these numbers, and the
    /// number to go on from; `None` at the end.
    pub fn drafts(&self, numbers: Range<u64>, most: usize) -> (Vec<Slot>, Option<u64>) {
        let things = self.names.tree.lock().things(self.folder, numbers, most);
        let next = things.last().map(|(number, ..)| number + 1);
        let slots = things.into_iter().map(|(number, name, thing)| Slot { number, name, thing });
        (slots.filter(|slot| !self.names.is_shown_by_bucket(&slot.thing)).collect(), next)
    }

    /// Whether nothing is shown.
    ///
    /// # Errors
    /// What listing it failed with.
    pub async fn is_empty(&self) -> Result<bool, NameError> {
        let made = self.names.tree.lock().things(self.folder, 0..u64::MAX, usize::MAX);
        if made.iter().any(|(_, _, thing)| !self.names.is_shown_by_bucket(thing)) {
            return Ok(false);
        }
        let Some(dir) = self.folder.bucket() else { return Ok(true) };
        let is_changed = |name: &str| self.names.changed(self.folder, name).is_some();
        let mut walk = Walk::default();
        let mut number = 0;
        loop {
            let listed = self.names.catalog.entries(dir, &mut walk, number).await?;
            if listed.entries.is_empty() {
                return Ok(true);
            }
            if listed.entries.iter().any(|entry| !is_changed(&entry.name)) {
                return Ok(false);
            }
            number += listed.entries.len() as u64;
        }
    }

    /// Whether the bucket has something of this name, or may have, as far as is known
    /// without a request.
    pub(super) fn bucket_may_have(&self, name: &str) -> bool {
        self.folder.bucket().is_some_and(|dir| {
            let known = self.names.catalog.lookup_known(dir, name);
            known.is_none_or(|found| found.node.is_some())
        })
    }
}
