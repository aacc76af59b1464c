//! Changes of names that stay in memory: what programs make, take away and copy.

use std::sync::Arc;
use std::time::SystemTime;

use super::Names;
use super::error::NameError;
use super::ino::Ino;
use super::place::Place;
use super::thing::{Folder, Thing};
use super::tree::{Entry, NoRoom, NodeId, Tree};
use crate::drafts::{Attributes, Draft};
use crate::sync::MutexGuard;
use crate::view::has_image_name;

/// A change of names under way, which holds their lock.
pub(super) struct Change<'a> {
    names: &'a Names,
    pub(super) tree: MutexGuard<'a, Tree>,
}

impl From<NoRoom> for NameError {
    fn from(_: NoRoom) -> Self {
        NameError::NoRoom
    }
}

impl Names {
    /// Gives a draft a name.
    ///
    /// # Errors
    /// There is no room for another name.
    pub fn add(&self, place: &Place, draft: &Arc<Draft>) -> Result<(), NameError> {
        let mut tree = self.tree.lock();
        let entry = Entry::Thing(Thing::Draft(draft.clone()));
        tree.put(&place.folder, &place.name, entry)?;
        tree.set_home(draft.ino(), &place.folder, &place.name);
        Ok(())
    }

    /// Gives a draft a second name; the first one stays the one that it is known by.
    ///
    /// # Errors
    /// There is no room for another name.
    pub fn link(&self, place: &Place, draft: &Arc<Draft>) -> Result<(), NameError> {
        let entry = Entry::Thing(Thing::Draft(draft.clone()));
        self.tree.lock().put(&place.folder, &place.name, entry)?;
        draft.add_link();
        Ok(())
    }

    /// Takes a name away from what stands for it by now.
    pub fn remove(&self, place: &Place, thing: Thing) {
        let thing = {
            let mut change = self.change();
            let thing = change.newest(place, thing);
            change.vacate(place);
            change.unname(&thing);
            thing
        };
        self.forget_siblings_of(place, &thing);
    }

    /// Notes that something of the bucket has lost its name.
    pub fn unname(&self, thing: &Thing) {
        self.change().unname(thing);
    }

    /// Makes an inode, its name and its number stand for a draft that is a copy of it. The
    /// name is looked for now: the inode may have been renamed or deleted while it was
    /// copied, and then the draft has no name. Where its name is, or was.
    ///
    /// # Errors
    /// There is no room for another name; [`NameError::Stale`] where the inode stands for
    /// another draft by now.
    pub fn adopt(
        &self,
        ino: Ino,
        thing: &Thing,
        draft: &Arc<Draft>,
        place: Place,
    ) -> Result<Place, NameError> {
        let mut tree = self.tree.lock();
        // It was about to be let go for its object, and then somebody had it open.
        if let Ok(Thing::Draft(_)) = self.inodes.thing(ino) {
            return Err(NameError::Stale);
        }
        let (named, is_unnamed) = self.inodes.place(ino);
        let place = named.unwrap_or(place);
        let is_there = match self.entry(&tree, &place.folder, &place.name) {
            _ if is_unnamed => false,
            None => true,
            Some(Entry::Thing(Thing::Object(held))) => {
                matches!(thing, Thing::Object(object) if object.version == held.version)
            }
            Some(Entry::Thing(_) | Entry::Hidden) => false,
        };
        if is_there {
            let entry = Entry::Thing(Thing::Draft(draft.clone()));
            tree.put(&place.folder, &place.name, entry)?;
            tree.set_home(draft.ino(), &place.folder, &place.name);
        }
        if let Some(id) = NodeId::of(thing) {
            tree.take_attributes(&id);
        }
        if !is_there {
            tracing::debug!("{:?} was deleted or replaced while it was copied", place.name);
            draft.remove_link();
        }
        self.inodes.replace(ino, Thing::Draft(draft.clone()));
        Ok(place)
    }

    /// Keeps attributes that a program gave something of the bucket.
    ///
    /// # Errors
    /// There is no room for them; [`NameError::Stale`] for what has none of its own.
    pub fn set_attributes(&self, thing: &Thing, of: Attributes) -> Result<(), NameError> {
        let id = NodeId::of(thing).ok_or(NameError::Stale)?;
        Ok(self.tree.lock().set_attributes(id, of)?)
    }

    /// The attributes of the directory that a name is in.
    pub fn attributes_of(&self, place: &Place) -> Attributes {
        match &place.folder {
            Folder::Draft(draft) => draft.attributes(),
            folder @ Folder::Bucket(_) => self.attr(place.parent, &Thing::from(folder)).of,
        }
    }

    /// Notes that the names in a directory changed now.
    pub fn touch(&self, place: &Place) {
        if let Folder::Draft(draft) = &place.folder {
            return draft.touch(true);
        }
        let mut of = self.attributes_of(place);
        of.modified = SystemTime::now();
        of.changed = of.modified;
        // Without room for it the time stays as it was.
        let _ = self.set_attributes(&Thing::from(&place.folder), of);
    }

    /// Forgets a draft that has no name any more, or that the bucket stands for.
    pub fn forget_draft(&self, ino: Ino) {
        self.siblings.images.forget(ino);
        self.tree.lock().forget_home(ino);
    }

    /// Begins a change of names that others see whole or not at all.
    pub(super) fn change(&self) -> Change<'_> {
        Change { names: self, tree: self.tree.lock() }
    }

    /// Makes the kernel forget the siblings of an object that has lost its name.
    pub(super) fn forget_siblings_of(&self, place: &Place, thing: &Thing) {
        if matches!(thing, Thing::Object(_)) && has_image_name(&place.name) {
            self.forget_siblings(place.parent, &place.name);
        }
    }
}

impl Change<'_> {
    /// What a name stands for by now: `thing`, or the copy that somebody who writes has
    /// made of it since it was looked at.
    pub(super) fn newest(&self, place: &Place, thing: Thing) -> Thing {
        match self.names.entry(&self.tree, &place.folder, &place.name) {
            Some(Entry::Thing(made @ Thing::Draft(_))) => made.clone(),
            Some(Entry::Thing(_) | Entry::Hidden) | None => thing,
        }
    }

    /// Takes a name away. It is hidden where the bucket has it or may have, and where it
    /// would be a sibling's from now on: what is deleted is gone.
    pub(super) fn vacate(&mut self, place: &Place) {
        let (folder, contents) = (&place.folder, self.names.contents(&place.folder));
        let is_there = |name: &str| match self.names.entry(&self.tree, folder, name) {
            Some(Entry::Thing(_)) => true,
            Some(Entry::Hidden) => false,
            None => contents.bucket_may_have(name),
        };
        let mut images = self.names.siblings.kinds().sources(&place.name).map(|(image, _)| image);
        if contents.bucket_may_have(&place.name) || images.any(is_there) {
            self.tree.hide(folder, &place.name);
        } else {
            self.tree.clear(folder, &place.name);
        }
    }

    /// Notes that something has lost a name.
    pub(super) fn unname(&mut self, thing: &Thing) {
        if let Some(folder) = thing.folder() {
            self.tree.remove_dir(&folder);
        }
        match thing {
            Thing::Draft(draft) => {
                draft.remove_link();
                if draft.links() == 0 {
                    self.names.siblings.images.forget(draft.ino());
                    self.tree.forget_home(draft.ino());
                }
            }
            Thing::Dir(_) | Thing::Object(_) | Thing::Sibling(_) => {
                self.names.inodes.unname(thing);
            }
        }
    }
}
