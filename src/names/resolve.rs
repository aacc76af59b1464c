//! What a name stands for.

use std::ffi::OsStr;
use std::time::Instant;

use super::error::NameError;
use super::found::Found;
use super::ino::Ino;
use super::place::Place;
use super::thing::{Folder, Thing};
use super::tree::{Entry, Tree};
use super::{Names, ttl};
use crate::drafts::Draft;
use crate::key::MAX_NAME_BYTES;

impl Names {
    /// The directory behind an inode.
    ///
    /// # Errors
    /// ENOTDIR when it is not a directory.
    pub fn folder(&self, ino: Ino) -> Result<Folder, NameError> {
        self.inodes.thing(ino)?.folder().ok_or(NameError::NotADirectory)
    }

    /// A name that a program wants to make, change or take away.
    ///
    /// # Errors
    /// ENAMETOOLONG, EILSEQ, ENOTDIR; EPERM where each folder is a bucket; EROFS
    /// among the versions of an object.
    pub fn place(&self, parent: Ino, name: &OsStr) -> Result<Place, NameError> {
        if name.len() > MAX_NAME_BYTES {
            return Err(NameError::TooLong);
        }
        let name = name.to_str().ok_or(NameError::NotUtf8)?.to_owned();
        let folder = self.folder(parent)?;
        if folder.bucket().is_some_and(|dir| self.catalog.is_top(dir)) {
            self.catalog.warn_top(&name);
            return Err(NameError::OnlyBuckets);
        }
        if folder.bucket().is_some_and(|dir| self.catalog.is_of_versions(dir, &name)) {
            return Err(NameError::OldVersion);
        }
        Ok(Place { parent, folder, name })
    }

    /// Whether two directories are in the same bucket.
    pub fn share_bucket(&self, one: &Folder, other: &Folder) -> bool {
        self.bucket_of(one) == self.bucket_of(other)
    }

    /// The bucket that a directory is in, where there are several.
    fn bucket_of(&self, folder: &Folder) -> Option<String> {
        let mut folder = folder.clone();
        loop {
            match &folder {
                Folder::Bucket(dir) => return self.catalog.bucket_of(dir).map(str::to_owned),
                // What a program made lies in something that is in a bucket.
                Folder::Draft(draft) => folder = self.inodes.place(draft.ino()).0?.folder,
            }
        }
    }

    /// What a name stands for, siblings included. What is known costs no request and
    /// does not wait.
    ///
    /// # Errors
    /// What the listing failed with; for a sibling, why its image can't be looked at.
    pub async fn find(&self, folder: &Folder, name: &str) -> Result<Found, NameError> {
        let own = match self.own_known(folder, name) {
            Some(own) => {
                self.catalog.note_known();
                own
            }
            None => {
                if let Some((image, _)) = self.siblings.kinds().sources(name).next() {
                    // In a large directory the names that begin like the image's come
                    // with it, this one too.
                    self.own(folder, image).await?;
                }
                self.own(folder, name).await?
            }
        };
        match own.is_final() {
            true => Ok(own),
            false => self.contents(folder).sibling(name, own.ttl).await,
        }
    }

    /// What a name stands for, siblings aside.
    ///
    /// # Errors
    /// What the listing failed with.
    pub async fn own(&self, folder: &Folder, name: &str) -> Result<Found, NameError> {
        match (self.changed(folder, name), folder) {
            (Some(found), _) => Ok(found),
            (None, Folder::Bucket(dir)) => Ok(self.catalog.lookup(dir, name).await?.into()),
            (None, Folder::Draft(_)) => Ok(Found::missing(ttl::LONGEST)),
        }
    }

    /// What a name stands for, siblings aside, if no request is needed to know. A twin of
    /// [`Names::own`], because some who ask go on without an answer rather than wait.
    pub(super) fn own_known(&self, folder: &Folder, name: &str) -> Option<Found> {
        match (self.changed(folder, name), folder) {
            (Some(found), _) => Some(found),
            (None, Folder::Bucket(dir)) => self.catalog.lookup_known(dir, name).map(Found::from),
            (None, Folder::Draft(_)) => Some(Found::missing(ttl::LONGEST)),
        }
    }

    /// What programs made of a name, if anything.
    pub(super) fn changed(&self, folder: &Folder, name: &str) -> Option<Found> {
        self.drafts.as_ref()?;
        let tree = self.tree.lock();
        let (thing, is_hidden) = match self.entry(&tree, folder, name)? {
            Entry::Hidden => (None, true),
            Entry::Thing(thing) => (Some(thing.clone()), false),
        };
        Some(Found { thing, ttl: self.ttl.draft(), is_hidden })
    }

    /// What lies over a name. What the bucket has had for long enough is as the bucket has
    /// it by now; except for a file with permissions or times of its own, which the bucket
    /// does not have: that waits until the publisher settles it, a second at most.
    pub(super) fn entry<'t>(
        &self,
        tree: &'t Tree,
        folder: &Folder,
        name: &str,
    ) -> Option<&'t Entry> {
        tree.find(folder, name).filter(|entry| match entry {
            Entry::Thing(thing) => !self.is_shown_by_bucket(thing),
            Entry::Hidden => true,
        })
    }

    /// Whether a thing that lies over a name is a draft that the bucket shows by now.
    pub(super) fn is_shown_by_bucket(&self, thing: &Thing) -> bool {
        thing.draft().is_some_and(|draft| self.is_faded(draft) && !self.looks.differ(draft))
    }

    /// Whether the bucket has had a draft for so long that it should be asked instead.
    pub fn is_faded(&self, draft: &Draft) -> bool {
        let Some(drafts) = &self.drafts else { return false };
        let Some((_, since)) = draft.progress().and_then(|progress| progress.settled()) else {
            return false;
        };
        self.ttl.known_until(since).is_some_and(|until| Instant::now() >= until)
            && !drafts.opened().is_open(draft.ino())
    }
}
