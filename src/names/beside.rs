//! The files beside an image that belong to it: overviews in `X.tif.ovr`, a mask in `X.tif.msk`,
//! and overviews of that in `X.tif.msk.ovr`.
//!
//! They are looked up beside images that are named like a TIFF, and are part of the [`Original`]
//! that siblings are made from: a new version of one makes new siblings, as one of the image
//! does, and no bytes of two versions meet. The listing that has the image's name answers for
//! theirs too, so that this costs no request.

use std::time::Duration;

use super::Names;
use super::contents::Contents;
use super::error::NameError;
use super::ino::Ino;
use super::thing::Thing;
use super::ttl;
use crate::catalog::{DirEntry, Node};
use crate::view::{Beside, Original, has_image_name};

impl Names {
    /// Makes the kernel forget the siblings of an image that is another one now, or that has
    /// another file beside it.
    pub fn forget_siblings(&self, parent: Ino, name: &str) {
        for image in [Some(name), image_beside(name)].into_iter().flatten() {
            for kind in self.siblings.kinds().kinds() {
                self.notices.send(parent, format!("{image}{}", kind.suffix()));
            }
        }
    }
}

impl Contents<'_> {
    /// What `thing` is as the original of siblings, if it may be one, and how long that holds
    /// for the files beside it.
    ///
    /// # Errors
    /// What looking for them failed with.
    pub async fn original(
        &self,
        name: &str,
        thing: Option<Thing>,
    ) -> Result<(Option<Original>, Duration), NameError> {
        let images = &self.names.siblings.images;
        let mut ttl = ttl::LONGEST;
        let Some(original) = images.original(name, thing).await? else { return Ok((None, ttl)) };
        let mut files = Vec::new();
        for (which, name) in beside(name) {
            if !may_belong(which, &files) {
                continue;
            }
            let found = self.names.own(self.folder, &name).await?;
            ttl = ttl.min(found.ttl);
            if let Some(file) = images.original(&name, found.thing).await? {
                files.push((which, file));
            }
        }
        Ok((Some(original.with_beside(files)), ttl))
    }

    /// As [`Contents::original`], as far as no request is needed to know.
    pub(super) fn original_known(&self, name: &str, thing: Thing) -> Option<Original> {
        let images = &self.names.siblings.images;
        let original = images.original_known(name, thing)?;
        let mut files = Vec::new();
        for (which, name) in beside(name) {
            if !may_belong(which, &files) {
                continue;
            }
            let file = match self.names.own_known(self.folder, &name)?.thing {
                Some(thing) if thing.folder().is_some() => None,
                // Whether what is being written may be read, who asks by name finds out.
                Some(thing @ Thing::Draft(_)) => Some(images.original_known(&name, thing)?),
                Some(thing) => images.original_known(&name, thing),
                None => None,
            };
            files.extend(file.map(|file| (which, file)));
        }
        Some(original.with_beside(files))
    }

    /// The original that an entry of the bucket is, if it is named like an image and it is
    /// known without a request what lies beside it.
    pub fn original_of(&self, entry: &DirEntry) -> Option<Original> {
        self.original_known(&entry.name, image_of(entry)?)
    }

    /// As [`Contents::original_of`], without what lies beside it.
    pub(super) fn original_alone(&self, entry: &DirEntry) -> Option<Original> {
        self.names.siblings.images.original_known(&entry.name, image_of(entry)?)
    }
}

/// The object of an entry that is named like an image.
pub(super) fn image_of(entry: &DirEntry) -> Option<Thing> {
    match &entry.node {
        Node::Object(object) if has_image_name(&entry.name) => Some(Thing::Object(object.clone())),
        Node::Object(_) | Node::Dir(_) => None,
    }
}

/// What may lie beside an image of this name.
fn beside(name: &str) -> impl Iterator<Item = (Beside, String)> {
    let named = move |which: Beside| (which, format!("{name}{}", which.suffix()));
    Beside::ALL.into_iter().filter(|_| is_named_like_a_tiff(name)).map(named)
}

/// Whether a file may say something of an image with these files beside it. One that can't is
/// not looked for.
fn may_belong(which: Beside, files: &[(Beside, Original)]) -> bool {
    which.of().is_none_or(|needed| files.iter().any(|(found, _)| *found == needed))
}

/// The image that a file of this name may belong to.
fn image_beside(name: &str) -> Option<&str> {
    let mut images = Beside::ALL.into_iter().filter_map(|which| name.strip_suffix(which.suffix()));
    images.find(|image| is_named_like_a_tiff(image))
}

fn is_named_like_a_tiff(name: &str) -> bool {
    const ENDINGS: [&str; 7] = ["tif", "tiff", "gtif", "gtiff", "btf", "tf2", "tf8"];
    let ending = name.rsplit_once('.').map(|(_, ending)| ending);
    ending.is_some_and(|ending| ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_looked_for_beside_what_is_named_like_a_tiff() {
        let names = |name| beside(name).map(|(_, name)| name).collect::<Vec<_>>();
        assert_eq!(names("a.TIF"), ["a.TIF.ovr", "a.TIF.msk", "a.TIF.msk.ovr"]);
        assert_eq!(names("a.b.tiff"), ["a.b.tiff.ovr", "a.b.tiff.msk", "a.b.tiff.msk.ovr"]);
        assert_eq!(names("a.jp2"), [""; 0]);
        assert_eq!(names("tif"), [""; 0]);
        assert_eq!(image_beside("a.tif.msk"), Some("a.tif"));
        assert_eq!(image_beside("a.tif.ovr"), Some("a.tif"));
        assert_eq!(image_beside("a.tif.msk.ovr"), Some("a.tif"));
        assert_eq!(image_beside("a.tif.ovr.msk"), None);
        assert_eq!(image_beside("a.jp2.ovr"), None);
        assert_eq!(image_beside("a.tif"), None);
    }
}
