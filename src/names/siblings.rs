//! Finding and listing the virtual siblings of images.
//!
//! A name that nothing else has may be a sibling of an object, or of a file that a program
//! wrote, in the same directory; a real object or file of that name wins. A sibling has no
//! siblings. The name is cut after an image's name, the longest ending first, and the image
//! is looked up: a listing in memory answers that. If it is neither empty nor archived,
//! `Views::size` opens its header.
//!
//! A file that has the name and the size of a sibling of an image beside it is a copy of that
//! sibling, as `cp -r` makes them of all that it sees. It is a file like any other, but has no
//! siblings: otherwise each copy of a folder would have more of them.
//!
//! With `--list-views` only the listing differs: each entry of the bucket has a cookie for
//! itself and one for each sibling. Names are listed without a request, and those that turn out
//! not to exist are not listed again; their headers are read before sizes are shown.

use std::time::Duration;

use futures_util::stream::{self, StreamExt};

use super::Siblings;
use super::beside::image_of;
use super::contents::{Contents, Slot};
use super::error::NameError;
use super::found::Found;
use super::thing::{Folder, Sibling, Thing};
use crate::catalog::{DirEntry, Listed};
use crate::key::MAX_NAME_BYTES;
use crate::store::StoreErrorKind;
use crate::view::{Original, ViewError, ViewKind, ViewSet, has_image_name};

/// The headers of this many entries are read before they are listed, this many at once.
const ENTRIES_AT_ONCE: usize = 64;
const HEADERS_AT_ONCE: usize = 32;

impl Siblings {
    /// Which siblings there are.
    pub(super) fn kinds(&self) -> ViewSet {
        self.views.config().kinds
    }

    /// Which of them directories list.
    fn listed(&self) -> ViewSet {
        self.views.config().listed
    }
}

impl Contents<'_> {
    /// The sibling called `name`, after at most one small GET for each object that it
    /// could be a sibling of; `ttl` is how long it holds that nothing else has the name.
    ///
    /// # Errors
    /// Why the image can't be looked at.
    pub(super) async fn sibling(&self, name: &str, mut ttl: Duration) -> Result<Found, NameError> {
        for (image, view) in self.names.siblings.kinds().sources(name) {
            let found = self.names.own(self.folder, image).await?;
            ttl = ttl.min(found.ttl);
            let size = found.thing.as_ref().and_then(size_of);
            let (original, of_beside) = self.original(image, found.thing).await?;
            ttl = ttl.min(of_beside);
            let Some(original) = original else { continue };
            if self.names.siblings.deleted.has(self.folder, name)
                || self.is_copied_sibling(image, size).await?
            {
                continue;
            }
            match self.names.siblings.views.size(&original, view).await {
                Ok(None) => {}
                Ok(Some(size)) => {
                    let sibling = Sibling { original, view, size };
                    return Ok(Found::thing(Thing::Sibling(sibling), ttl));
                }
                Err(error) if is_changed(&error) => {
                    if let Folder::Bucket(dir) = self.folder {
                        self.names.catalog.invalidate(dir);
                    }
                    return Err(NameError::Stale);
                }
                Err(error) => return Err(NameError::View(error)),
            }
        }
        Ok(Found::missing(ttl))
    }

    /// Whether a file of `size` bytes is a copy of a sibling of an image beside it, after a
    /// small GET for each image that it could be one of.
    async fn is_copied_sibling(&self, name: &str, size: Option<u64>) -> Result<bool, NameError> {
        for (image, view) in COPIED.sources(name) {
            let found = self.names.own(self.folder, image).await?;
            let image_size = found.thing.as_ref().and_then(size_of);
            let (original, _) = self.original(image, found.thing).await?;
            let Some(original) = original else { continue };
            let known = self.names.siblings.views.size(&original, view).await;
            // What can't be looked at has no siblings that were copied.
            if known.is_ok_and(|known| known == size)
                && !Box::pin(self.is_copied_sibling(image, image_size)).await?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// As [`Contents::is_copied_sibling`], as far as is known without a request; what might be
    /// one counts as one.
    fn may_be_copied_sibling(&self, name: &str, size: Option<u64>) -> bool {
        COPIED.sources(name).filter(|(image, _)| has_image_name(image)).any(|(image, view)| {
            let own = self.names.own_known(self.folder, image);
            let Some(thing) = own.and_then(|found| found.thing) else { return false };
            if thing.folder().is_some() {
                return false;
            }
            let image_size = size_of(&thing);
            let original = self.original_known(image, thing);
            let known =
                original.and_then(|original| self.names.siblings.views.size_known(&original, view));
            let is_one = known.is_none_or(|known| known.is_ok_and(|known| known == size));
            is_one && !self.may_be_copied_sibling(image, image_size)
        })
    }

    /// Looks at what programs made that a file could be a copied sibling of, so that it is
    /// known whether it is one. That needs no request.
    async fn look_at_drafts(&self, name: &str) {
        for (image, view) in COPIED.sources(name) {
            let Some(found) = self.names.own_known(self.folder, image) else { continue };
            let Some(thing @ Thing::Draft(_)) = found.thing else { continue };
            if let Ok((Some(original), _)) = self.original(image, Some(thing)).await {
                // What is wrong with an image is told to whoever asks for a sibling by name.
                let _ = self.names.siblings.views.size(&original, view).await;
            }
        }
    }

    /// The sibling that a directory may have shown under this name, before it was known that it
    /// does not exist.
    pub(super) fn never_was(&self, name: &str) -> Option<Sibling> {
        let listed = self.names.siblings.listed();
        // Pages are not listed.
        let sources = listed.sources(name).filter(|(_, view)| view.page.is_none());
        sources.filter(|(image, _)| has_image_name(image)).find_map(|(image, view)| {
            let thing = self.names.own_known(self.folder, image)?.thing?;
            if self.may_be_copied_sibling(image, size_of(&thing)) {
                return None;
            }
            let original = self.original_known(image, thing)?;
            Some(Sibling { original, view, size: 0 })
        })
    }

    /// Some of the entries that were listed, with what their siblings' sizes need.
    pub(super) async fn with_siblings<'w>(&self, listed: Listed<'w>, plus: bool) -> Listed<'w> {
        if !plus || self.names.siblings.listed().is_empty() {
            return listed;
        }
        let entries = &listed.entries[..listed.entries.len().min(ENTRIES_AT_ONCE)];
        let images =
            entries.iter().filter_map(|entry| Some((entry.name.clone(), image_of(entry)?)));
        stream::iter(images.collect::<Vec<_>>())
            .map(|(name, image)| async move {
                if let Ok((Some(original), _)) = self.original(&name, Some(image)).await {
                    let _ = self.names.siblings.views.size(&original, ViewKind::Json).await;
                }
            })
            .buffer_unordered(HEADERS_AT_ONCE)
            // What is wrong with an image is told to whoever asks for a sibling by name.
            .for_each(|_| async {})
            .await;
        Listed { entries, ..listed }
    }

    /// The siblings that a directory shows behind an entry, with their places.
    /// With `sizes` those whose size is known alone, else all that there may be.
    pub(super) fn listed_siblings(&self, entry: &DirEntry, sizes: bool) -> Vec<Slot> {
        if self.names.siblings.listed().is_empty() {
            return Vec::new();
        }
        let known = self.original_of(entry);
        let known = known.or_else(|| self.original_alone(entry).filter(|_| !sizes));
        let kinds = |original: Original| self.kinds_of(&entry.name, &original, sizes);
        known.map(kinds).unwrap_or_default()
    }

    /// Whether an entry has siblings that are listed, of which it takes a request to know
    /// whether they exist, and how large they are.
    pub fn has_unknown_siblings(&self, entry: &DirEntry) -> bool {
        self.listed_siblings(entry, false).len() > self.listed_siblings(entry, true).len()
    }

    /// The siblings that a directory shows behind something that a program made.
    pub async fn siblings_of(&self, name: &str, thing: &Thing, sizes: bool) -> Vec<Slot> {
        if self.names.siblings.listed().is_empty() || !has_image_name(name) {
            return Vec::new();
        }
        let Ok((Some(original), _)) = self.original(name, Some(thing.clone())).await else {
            return Vec::new();
        };
        if sizes {
            // What is wrong with an image is told to whoever asks for a sibling by name.
            let _ = self.names.siblings.views.size(&original, ViewKind::Json).await;
        }
        self.look_at_drafts(name).await;
        self.kinds_of(name, &original, sizes)
    }

    /// The siblings that a directory may have shown behind something, whether or not it is
    /// known by now that they exist.
    pub(super) async fn may_have_shown(
        &self,
        name: &str,
        thing: &Thing,
    ) -> Option<(Original, Vec<ViewKind>)> {
        if self.names.siblings.listed().is_empty() || !has_image_name(name) {
            return None;
        }
        let original = self.original(name, Some(thing.clone())).await.ok()?.0?;
        if self.may_be_copied_sibling(name, Some(original.size())) {
            return None;
        }
        let kinds = self.names.siblings.listed().listed();
        let kinds = kinds.filter(|kind| self.is_free(&format!("{name}{}", kind.suffix())));
        Some((original, kinds.collect()))
    }

    /// The siblings that something is known to have, without a request; `None` if nobody has
    /// looked at its header. Forms of JPEG 2000 are known once somebody has asked for them.
    pub fn known_siblings(&self, name: &str, thing: &Thing) -> Option<Vec<ViewKind>> {
        let Some(original) = self.original_known(name, thing.clone()) else {
            return (size_of(thing) == Some(0)).then(Vec::new);
        };
        if self.may_be_copied_sibling(name, Some(original.size())) {
            return Some(Vec::new());
        }
        let views = &self.names.siblings.views;
        let exists = |kind| {
            let size = views.size_known(&original, kind)?;
            Some(matches!(size, Ok(Some(_))))
        };
        let kinds = self.names.siblings.kinds().kinds();
        let known: Vec<(ViewKind, Option<bool>)> = kinds.map(|kind| (kind, exists(kind))).collect();
        known.iter().find_map(|(_, exists)| *exists)?;
        let is_there = |(kind, exists): &(ViewKind, Option<bool>)| {
            // Of what has to be made first only the size is unknown.
            exists.unwrap_or(kind.form().is_none())
                && self.is_free(&format!("{name}{}", kind.suffix()))
        };
        Some(known.into_iter().filter(is_there).map(|(kind, _)| kind).collect())
    }

    /// Whether a sibling may have a name: nothing else has it, and it was not deleted.
    fn is_free(&self, name: &str) -> bool {
        // A real one wins, and one that was deleted is not there either.
        let own = self.names.own_known(self.folder, name);
        let is_taken = own.is_some_and(|found| found.is_final());
        let is_deleted = self.names.siblings.deleted.has(self.folder, name);
        !is_taken && !is_deleted && name.len() <= MAX_NAME_BYTES
    }

    /// All siblings of an image, with their places behind it.
    fn kinds_of(&self, image: &str, original: &Original, sizes: bool) -> Vec<Slot> {
        let mut siblings = Vec::new();
        if self.may_be_copied_sibling(image, Some(original.size())) {
            return siblings;
        }
        for kind in self.names.siblings.listed().listed() {
            let name = format!("{image}{}", kind.suffix());
            if !self.is_free(&name) {
                continue;
            }
            let size = match self.names.siblings.views.size_known(original, kind) {
                Some(Ok(Some(size))) => size,
                Some(Ok(None) | Err(_)) => continue,
                None if sizes => continue,
                None => 0,
            };
            let sibling = Sibling { original: original.clone(), view: kind.into(), size };
            siblings.push(Slot { number: 1 + kind as u64, name, thing: Thing::Sibling(sibling) });
        }
        siblings
    }
}

/// The siblings that are images, so that a copy of one could have siblings.
const COPIED: ViewSet = ViewSet::of(&[ViewKind::Png, ViewKind::Preview, ViewKind::Tif]);

/// The size of a file in bytes.
fn size_of(thing: &Thing) -> Option<u64> {
    match thing {
        Thing::Object(object) => Some(object.version.size),
        Thing::Sibling(sibling) => Some(sibling.size),
        Thing::Draft(draft) => draft.file()?.bytes().stat().ok().map(|stat| stat.size),
        Thing::Dir(_) => None,
    }
}

/// Whether the original was overwritten or deleted since it was listed.
fn is_changed(error: &ViewError) -> bool {
    match error {
        ViewError::Store(error) => {
            matches!(error.kind, StoreErrorKind::Changed | StoreErrorKind::NotFound)
        }
        ViewError::Changed(_) => true,
        ViewError::Image(_) => false,
    }
}
