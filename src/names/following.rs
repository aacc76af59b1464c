//! What comes next in a directory, for whoever guesses what a program will ask for.

use super::contents::Contents;
use super::ino::Ino;
use super::originals::is_readable;
use super::thing::{Folder, Thing};
use crate::catalog::{DirEntry, Node};
use crate::mem::Reservation;
use crate::view::has_image_name;

/// Names that programs changed are left out of what follows; so many more are looked at.
const CHANGED: usize = 4;
/// About what a number and its name take in memory beside its text, in bytes.
const NUMBER_BYTES: usize = 48;

/// Which things of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Of {
    /// Objects that can be read and have bytes.
    Files,
    /// Directories.
    Folders,
    /// Objects that are named like images.
    Images,
}

/// Things of one directory by inode number, as programs go through it that read each inode
/// in turn (`cp -r` does).
#[derive(Debug)]
pub struct Numbers {
    sorted: Vec<(Ino, String)>,
    _counted: Reservation,
}

impl Numbers {
    /// Up to `most` names behind a number, or the first ones.
    pub fn behind(&self, ino: Option<Ino>, most: usize) -> impl Iterator<Item = &str> {
        let from = self.sorted.partition_point(|(other, _)| Some(*other) <= ino);
        self.sorted[from..].iter().take(most).map(|(_, name)| name.as_str())
    }

    /// The number behind another one.
    pub fn number_behind(&self, ino: Ino) -> Option<Ino> {
        let at = self.sorted.partition_point(|(other, _)| *other <= ino);
        self.sorted.get(at).map(|(other, _)| *other)
    }
}

impl Of {
    fn has(self, entry: &DirEntry) -> bool {
        match (self, &entry.node) {
            (Of::Folders, Node::Dir(_)) => true,
            (Of::Files, Node::Object(object)) => is_readable(object),
            (Of::Images, Node::Object(object)) => {
                is_readable(object) && has_image_name(&entry.name)
            }
            (Of::Folders, Node::Object(_)) | (Of::Files | Of::Images, Node::Dir(_)) => false,
        }
    }
}

impl Contents<'_> {
    /// Up to `most` things behind a name, or the first ones, in the order of listings, with
    /// names that end like `ending` says; as far as is known without a request.
    pub fn following(
        &self,
        of: Of,
        name: Option<&str>,
        ending: Option<&str>,
        most: usize,
    ) -> Vec<DirEntry> {
        let Some(dir) = self.folder.bucket() else { return Vec::new() };
        let is_wanted = |entry: &DirEntry| {
            of.has(entry) && ending.is_none_or(|ending| ending_of(&entry.name) == ending)
        };
        let name = (name, of == Of::Folders);
        let mut found = self.names.catalog.following(dir, name, most + CHANGED, is_wanted);
        found.retain(|entry| self.names.changed(self.folder, &entry.name).is_none());
        found.truncate(most);
        found
    }

    /// What is called `name`, as far as is known without a request.
    pub fn known(&self, of: Of, name: &str) -> Option<DirEntry> {
        let dir = self.folder.bucket()?;
        if self.names.changed(self.folder, name).is_some() {
            return None;
        }
        let node = self.names.catalog.lookup_known(dir, name)?.node?;
        let entry = DirEntry { name: name.to_owned(), node };
        of.has(&entry).then_some(entry)
    }

    /// The inode numbers of all things of the directory, if every page of its listing is in
    /// memory and has no more than `most` entries in all.
    pub fn numbers(&self, of: Of, most: usize) -> Option<Numbers> {
        let dir = self.folder.bucket()?;
        let entries = self.names.catalog.all_known(dir, most, |entry| of.has(entry))?;
        let weight = |entry: &DirEntry| (NUMBER_BYTES + entry.name.len()) as u64;
        let counted = self.names.catalog.charge(entries.iter().map(weight).sum());
        let number =
            |entry: DirEntry| (self.names.inodes.number_of(&Thing::from(entry.node)), entry.name);
        let mut sorted: Vec<(Ino, String)> = entries.into_iter().map(number).collect();
        sorted.sort_unstable();
        Some(Numbers { sorted, _counted: counted })
    }

    /// The inode number of an entry.
    pub fn number(&self, entry: &DirEntry) -> Ino {
        self.names.inodes.number_of(&Thing::from(entry.node.clone()))
    }

    /// The directory itself.
    pub fn folder(&self) -> &Folder {
        self.folder
    }

    /// Whether the first page of a directory in this one is in memory.
    pub fn is_listed(&self, entry: &DirEntry) -> bool {
        matches!(&entry.node, Node::Dir(dir) if self.names.catalog.is_listed(dir))
    }

    /// Has a directory in this one listed, unless its listing is in memory.
    pub async fn list_ahead(&self, entry: &DirEntry) {
        if let Node::Dir(dir) = &entry.node {
            self.names.catalog.list_ahead(dir).await;
        }
    }

    /// Whether the listing of what is behind a name will soon be too old, in a large directory.
    pub fn is_outdated_soon(&self, name: &str) -> bool {
        self.folder.bucket().is_some_and(|dir| self.names.catalog.is_outdated_soon(dir, name))
    }

    /// Has that part of the directory listed again.
    pub async fn list_again(&self, name: &str) {
        if let Some(dir) = self.folder.bucket() {
            self.names.catalog.list_again(dir, name).await;
        }
    }

    /// How many listings like this one have room beside those that are needed now.
    pub fn listings_ahead(&self) -> usize {
        self.folder.bucket().map_or(0, |dir| self.names.catalog.listings_ahead(dir))
    }
}

/// What a name ends in, from its last dot on.
pub fn ending_of(name: &str) -> &str {
    name.rfind('.').map_or("", |at| &name[at..])
}
