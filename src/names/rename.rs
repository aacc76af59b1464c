//! Renames that stay in memory, and what follows from every rename.

use super::Names;
use super::error::NameError;
use super::ino::Ino;
use super::place::Place;
use super::thing::Thing;
use super::tree::Entry;
use crate::view::has_image_name;

/// How a rename treats a name that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RenameHow {
    /// What has the name is replaced.
    Replace,
    /// The rename fails.
    Keep,
    /// The two change places.
    Exchange,
}

impl Names {
    /// Gives `source` the name `to`. `target` is what has that name; neither is a sibling.
    ///
    /// # Errors
    /// There is no room for another name.
    pub fn rename(
        &self,
        (from, source): (&Place, Thing),
        (to, target): (&Place, Option<Thing>),
        how: RenameHow,
    ) -> Result<(), NameError> {
        let (source, target) = {
            // Held until all is noted: who copies an object for a writer finds out under
            // the same lock where its name is.
            let mut change = self.change();
            let source = change.newest(from, source);
            let target = target.map(|target| change.newest(to, target));
            let moved = (&to.folder, to.name.as_str(), Entry::Thing(source.clone()));
            match (&target, how) {
                (Some(target), RenameHow::Exchange) => {
                    let back = Entry::Thing(target.clone());
                    change.tree.put_both(moved, (&from.folder, &from.name, back))?;
                    self.inodes.move_thing(target, from);
                }
                (_, RenameHow::Replace | RenameHow::Keep | RenameHow::Exchange) => {
                    change.tree.put(moved.0, moved.1, moved.2)?;
                    change.vacate(from);
                }
            }
            self.inodes.move_thing(&source, to);
            if let (Some(target), RenameHow::Replace) = (&target, how) {
                change.unname(target);
            }
            if let Thing::Draft(draft) = &source {
                change.tree.set_home(draft.ino(), &to.folder, &to.name);
            }
            (source, target)
        };
        if let (Some(target), RenameHow::Replace) = (&target, how) {
            self.forget_siblings_of(to, target);
        }
        self.note_renamed(&source, from, to);
        Ok(())
    }

    /// What follows when something was renamed in the bucket, whose number was `ino`.
    pub fn renamed(&self, ino: Ino, source: &Thing, from: &Place, to: &Place) {
        self.inodes.move_to(ino, to.clone());
        if let Thing::Draft(draft) = source {
            self.tree.lock().set_home(draft.ino(), &to.folder, &to.name);
        }
        self.note_renamed(source, from, to);
    }

    fn note_renamed(&self, source: &Thing, from: &Place, to: &Place) {
        if let Thing::Draft(draft) = source {
            draft.touch(false);
        }
        for place in [from, to] {
            self.touch(place);
            if has_image_name(&place.name) {
                self.forget_siblings(place.parent, &place.name);
            }
        }
    }
}
