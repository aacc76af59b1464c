//! What a name stands for: what programs made of it, or else what the bucket has.

use std::time::Duration;

use super::directory::LONGEST_TTL;
use super::node::{Folder, Thing};
use super::{FileSystem, FsError, Ino};
use crate::catalog::Lookup;
use crate::overlay::{Entry, Overlay};

/// The answer to a question for a name.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// What it stands for, if for anything.
    pub(super) thing: Option<Thing>,
    /// How long the answer holds.
    pub(super) ttl: Duration,
    /// Whether a program deleted it.
    pub(super) is_hidden: bool,
}

impl From<Lookup> for Found {
    fn from(found: Lookup) -> Self {
        Found { thing: found.node.map(Thing::from), ttl: found.ttl, is_hidden: false }
    }
}

impl FileSystem {
    /// What `name` stands for, siblings aside, if no request is needed to know.
    pub(super) fn own_known(&self, folder: &Folder, name: &str) -> Option<Found> {
        match (self.overlaid(folder, name), folder) {
            (Some(found), _) => Some(found),
            (None, Folder::Bucket(dir)) => self.catalog.lookup_known(dir, name).map(Found::from),
            (None, Folder::Made(_)) => Some(nothing()),
        }
    }

    /// What `name` stands for, siblings aside.
    ///
    /// # Errors
    /// What the listing failed with.
    pub(super) async fn own(&self, folder: &Folder, name: &str) -> Result<Found, FsError> {
        match (self.overlaid(folder, name), folder) {
            (Some(found), _) => Ok(found),
            (None, Folder::Bucket(dir)) => Ok(self.catalog.lookup(dir, name).await?.into()),
            (None, Folder::Made(_)) => Ok(nothing()),
        }
    }

    /// What programs made of a name.
    pub(super) fn overlaid(&self, folder: &Folder, name: &str) -> Option<Found> {
        let tree = self.overlay.as_ref()?.tree();
        let (thing, is_hidden) = match tree.find(&folder.key(), name)? {
            Entry::Hidden => (None, true),
            Entry::Item(item) => (Some(Thing::from(item.clone())), false),
        };
        Some(Found { thing, ttl: LONGEST_TTL, is_hidden })
    }

    /// Whether programs made something of a name.
    pub(super) fn is_overlaid(&self, folder: &Folder, name: &str) -> bool {
        let found = |overlay: &Overlay| overlay.tree().find(&folder.key(), name).is_some();
        self.overlay.as_ref().is_some_and(found)
    }

    /// What programs write into, where they may.
    ///
    /// # Errors
    /// EROFS where they may not.
    pub(super) fn overlay(&self) -> Result<&Overlay, FsError> {
        self.overlay.as_ref().ok_or(FsError::ReadOnly)
    }

    /// The directory behind an inode.
    ///
    /// # Errors
    /// ENOTDIR when it is none.
    pub(super) fn folder_of(&self, ino: Ino) -> Result<Folder, FsError> {
        self.inodes().node(ino).ok_or(FsError::BadHandle)?.folder().ok_or(FsError::NotADirectory)
    }
}

fn nothing() -> Found {
    Found { thing: None, ttl: LONGEST_TTL, is_hidden: false }
}
