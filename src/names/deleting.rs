//! What follows for siblings when programs delete them, or their images.

use super::Names;
use super::deleted::Beside;
use super::place::Place;
use super::thing::{Folder, Thing};
use super::tree::Entry;
use crate::view::ViewKind;

impl Names {
    /// The siblings that a directory may have shown beside something that is about to be
    /// deleted.
    pub async fn beside(&self, place: &Place, thing: &Thing) -> Beside {
        Beside(self.contents(&place.folder).may_have_shown(&place.name, thing).await)
    }

    /// Notes that `process` has deleted an image, beside which these siblings were shown.
    pub fn note_deleted(&self, place: &Place, beside: Beside, process: impl FnOnce() -> u32) {
        let name_of = |kind: ViewKind| format!("{}{}", place.name, kind.suffix());
        let names = self.siblings.kinds().kinds().map(name_of);
        let mut hidden: Vec<String> = names.collect();
        hidden.extend(self.siblings.deleted.take_pages(&place.folder, &place.name));
        if self.ttl.is_published() {
            for name in &hidden {
                self.siblings.deleted.show_again(&place.folder, name);
            }
        } else {
            let mut tree = self.tree.lock();
            for name in &hidden {
                let is_hidden = matches!(tree.find(&place.folder, name), Some(Entry::Hidden));
                if is_hidden && !self.contents(&place.folder).bucket_may_have(name) {
                    tree.clear(&place.folder, name);
                }
            }
        }
        if let Some(left) = beside.0 {
            let key = (place.folder.clone(), process());
            self.siblings.deleted.note_image(key, &place.name, left);
        }
    }

    /// Notes that `process` lists names of siblings that may not exist.
    pub fn note_listed(&self, folder: &Folder, process: impl FnOnce() -> u32) {
        if self.drafts.is_some() && !self.siblings.views.config().listed.is_empty() {
            let key = (folder.clone(), process());
            self.siblings.deleted.note_lister(key);
        }
    }

    /// The sibling of this name that `process` was shown and that is not there: its image was
    /// deleted by the process, or has no such sibling.
    pub fn left_behind(
        &self,
        folder: &Folder,
        name: &str,
        process: impl FnOnce() -> u32,
    ) -> Option<Thing> {
        if self.siblings.kinds().sources(name).next().is_none() || self.siblings.deleted.is_idle() {
            return None;
        }
        let key = (folder.clone(), process());
        self.siblings.deleted.left(&key, name).or_else(|| {
            let sibling = self.contents(folder).never_was(name)?;
            let is_gone = self.siblings.deleted.has(folder, name)
                || self.changed(folder, name).is_some_and(|found| found.is_hidden);
            let was_listed = !is_gone && self.siblings.deleted.has_listed(&key);
            was_listed.then_some(Thing::Sibling(sibling))
        })
    }

    /// Deletes a sibling: one whose image `process` has deleted is gone, any other is hidden.
    pub fn delete_sibling(&self, place: &Place, thing: Thing, process: impl FnOnce() -> u32) {
        let key = (place.folder.clone(), process());
        let is_left = self.siblings.deleted.take(&key, &place.name);
        if let (false, Thing::Sibling(sibling)) = (is_left, &thing)
            && sibling.view.page.is_some()
            && let Some(image) = place.name.strip_suffix(&*sibling.view.suffix())
        {
            self.siblings.deleted.note_page(&place.folder, image, &place.name);
        }
        if is_left {
            self.unname(&thing);
        } else if self.ttl.is_published() {
            self.siblings.deleted.hide(&place.folder, &place.name);
            self.unname(&thing);
        } else {
            self.remove(place, thing);
        }
    }
}
