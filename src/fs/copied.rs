//! Who copies a folder in which siblings are listed.
//!
//! A program that copies all that it sees writes an image, and then its siblings beside it,
//! in any order. Once the image is there, the names of its siblings are taken, and a program
//! that wants to make a new file of such a name is told that there is one. The kernel does not
//! say that this is what it looks a name up for. Two things tell, of a program that has made the
//! image itself: it has just opened a sibling of the same name elsewhere, and has read nothing
//! of it yet; or it is one that does nothing but copy. To it, and to nobody else, the name is
//! free.

use super::FileSystem;
use super::content::Content;
use crate::names::{Place, Sibling, Thing};
use crate::publish::process_of;
use crate::view::has_image_name;

/// Programs that make files of what they are given, and look at no image.
const COPIERS: [&str; 10] =
    ["7z", "bsdtar", "cp", "cpio", "git", "install", "mv", "rsync", "tar", "unzip"];

/// Whether a process runs a program that does nothing but copy; no if that can't be known.
fn is_copier(process: u32) -> bool {
    let name = std::fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
    COPIERS.contains(&name.trim_end())
}

impl FileSystem {
    /// Whether siblings are listed where programs may write: then they are deleted and copied
    /// with all else.
    pub(super) fn siblings_are_copied(&self) -> bool {
        self.is_writable() && !self.readers.views.config().listed.is_empty()
    }

    /// Notes that a thread has made a file.
    pub(super) fn note_maker(&self, place: &Place, thread: u32) {
        if self.siblings_are_copied() && has_image_name(&place.name) {
            self.makers.note(place, process_of(thread));
        }
    }

    /// Whether `process` copies a sibling to the name of this one.
    pub(super) fn is_copied_here(
        &self,
        place: &Place,
        sibling: &Sibling,
        process: impl FnOnce() -> u32,
    ) -> bool {
        if !self.siblings_are_copied() {
            return false;
        }
        let Some(image) = place.name.strip_suffix(&*sibling.view.suffix()) else { return false };
        let Some(maker) = self.makers.of(place.parent, image) else { return false };
        if maker != process() {
            return false;
        }
        if is_copier(maker) {
            return true;
        }
        let mut sources = Vec::new();
        self.files.each(|file| {
            if file.opener == maker
                && !file.was_read()
                && matches!(file.content, Content::Sibling(_))
            {
                sources.push(file.ino);
            }
        });
        sources.into_iter().any(|ino| match self.names.inodes().current(ino) {
            Ok((Thing::Sibling(_), source)) => {
                source.name == place.name && source.parent != place.parent
            }
            Ok(_) | Err(_) => false,
        })
    }
}
