//! Finding and listing the virtual siblings of images.
//!
//! A name that nothing else has may be a sibling of an object, or of a file that a program
//! wrote, in the same directory; a real object or file of that name wins. A sibling has no
//! siblings. The name is cut after an image's name, the longest ending first, and the image
//! is looked up: a listing in memory answers that. If it is neither empty nor archived,
//! `Views::size` opens its header.
//!
//! With `--list-views` only the listing differs: each entry of the bucket has a cookie for
//! itself and one for each sibling, and their headers are read before sizes are shown.

use std::time::Duration;

use futures_util::stream::{self, StreamExt};

use super::Siblings;
use super::contents::{Contents, Slot};
use super::error::NameError;
use super::found::Found;
use super::originals::is_readable;
use super::thing::{Folder, Sibling, Thing};
use crate::catalog::{DirEntry, Listed, Node};
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
}

impl Contents<'_> {
    /// The sibling called `name`, after at most one small GET for each object that it
    /// could be a sibling of; `ttl` is how long it holds that nothing else has the name.
    ///
    /// # Errors
    /// Why the image can't be looked at.
    pub(super) async fn sibling(&self, name: &str, mut ttl: Duration) -> Result<Found, NameError> {
        for (image, kind) in self.names.siblings.kinds().sources(name) {
            let found = self.names.own(self.folder, image).await?;
            ttl = ttl.min(found.ttl);
            let Some(original) = self.names.siblings.images.original(image, found.thing).await?
            else {
                continue;
            };
            match self.names.siblings.views.size(&original, kind).await {
                Ok(None) => {}
                Ok(Some(size)) => {
                    let sibling = Sibling { original, kind, size };
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

    /// Some of the entries that were listed, with what their siblings' sizes need.
    pub(super) async fn with_siblings<'w>(&self, listed: Listed<'w>, plus: bool) -> Listed<'w> {
        let config = self.names.siblings.views.config();
        if !plus || !config.are_listed || config.kinds.is_empty() {
            return listed;
        }
        let entries = &listed.entries[..listed.entries.len().min(ENTRIES_AT_ONCE)];
        let originals = entries.iter().filter_map(image_of);
        stream::iter(originals.collect::<Vec<_>>())
            .map(|original| async move {
                self.names.siblings.views.size(&original, ViewKind::Json).await
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
        let config = self.names.siblings.views.config();
        match image_of(entry).filter(|_| config.are_listed) {
            Some(original) => self.kinds_of(&entry.name, &original, sizes),
            None => Vec::new(),
        }
    }

    /// The siblings that a directory shows behind something that a program made.
    pub async fn siblings_of(&self, name: &str, thing: &Thing, sizes: bool) -> Vec<Slot> {
        let config = self.names.siblings.views.config();
        if !config.are_listed || config.kinds.is_empty() || !has_image_name(name) {
            return Vec::new();
        }
        let Ok(Some(original)) =
            self.names.siblings.images.original(name, Some(thing.clone())).await
        else {
            return Vec::new();
        };
        if sizes {
            // What is wrong with an image is told to whoever asks for a sibling by name.
            let _ = self.names.siblings.views.size(&original, ViewKind::Json).await;
        }
        self.kinds_of(name, &original, sizes)
    }

    /// All siblings of an image, with their places behind it.
    fn kinds_of(&self, image: &str, original: &Original, sizes: bool) -> Vec<Slot> {
        let mut siblings = Vec::new();
        for kind in self.names.siblings.views.config().kinds.kinds() {
            let name = format!("{image}{}", kind.suffix());
            // A real one wins, and one that was deleted is not there either.
            let own = self.names.own_known(self.folder, &name);
            let is_taken = own.is_some_and(|found| found.is_final());
            if is_taken || name.len() > MAX_NAME_BYTES {
                continue;
            }
            let size = match self.names.siblings.views.size_known(original, kind) {
                Some(Ok(Some(size))) => size,
                Some(Ok(None) | Err(_)) => continue,
                None if sizes => continue,
                None => 0,
            };
            let sibling = Sibling { original: original.clone(), kind, size };
            siblings.push(Slot { number: 1 + kind as u64, name, thing: Thing::Sibling(sibling) });
        }
        siblings
    }
}

/// The object of an entry that is named like an image.
fn image_of(entry: &DirEntry) -> Option<Original> {
    match &entry.node {
        Node::Object(object) => (is_readable(object) && has_image_name(&entry.name))
            .then(|| Original::Object(object.version.clone())),
        Node::Dir(_) => None,
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
