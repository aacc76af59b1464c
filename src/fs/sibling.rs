//! Finding and listing the virtual siblings of images.
//!
//! A name that nothing else has may be a sibling of an object, or of a file that a
//! program wrote, in the same directory; a real object or file of that name wins. A sibling has no siblings.

use std::time::Duration;

use futures_util::stream::{self, StreamExt};

use super::file::is_archive_class;
use super::node::{Folder, Sibling, Thing};
use super::{FileSystem, FsError};
use crate::catalog::{DirEntry, Listed, Node};
use crate::store::{ListedObject, StoreErrorKind};
use crate::view::{Original, ViewError, ViewKind, has_image_name};

/// The longest name that Linux takes, in bytes.
const MAX_NAME_BYTES: usize = 255;
/// Of so many entries the headers are read before they are listed, so many at once.
const ENTRIES_AT_ONCE: usize = 64;
const HEADERS_AT_ONCE: usize = 32;

type FoundSibling = (Option<Thing>, Duration);

impl FileSystem {
    /// The sibling called `name`, if no request is needed to know; `ttl` is how
    /// long it is believed that there is nothing else of that name.
    pub(super) fn sibling_known(
        &self,
        folder: &Folder,
        name: &str,
        mut ttl: Duration,
    ) -> Option<Result<FoundSibling, FsError>> {
        for (image, kind) in self.views.config().kinds.sources(name) {
            let found = self.own_known(folder, image)?;
            ttl = ttl.min(found.ttl);
            let original = match self.original_known(image, found.thing)? {
                Some(original) => original,
                None => continue,
            };
            match self.views.size_known(&original, kind)? {
                Ok(None) => {}
                Ok(Some(size)) => {
                    let sibling = Sibling { original, kind, size };
                    return Some(Ok((Some(Thing::View(sibling)), ttl)));
                }
                Err(error) => return Some(Err(error.into())),
            }
        }
        Some(Ok((None, ttl)))
    }

    /// The sibling called `name`, after a small GET at most for each object that
    /// it could be a sibling of.
    ///
    /// # Errors
    /// Why the image can't be looked at.
    pub(super) async fn sibling(
        &self,
        folder: &Folder,
        name: &str,
        mut ttl: Duration,
    ) -> Result<FoundSibling, FsError> {
        for (image, kind) in self.views.config().kinds.sources(name) {
            let found = self.own(folder, image).await?;
            ttl = ttl.min(found.ttl);
            let Some(original) = self.original(image, found.thing).await? else { continue };
            match self.views.size(&original, kind).await {
                Ok(None) => {}
                Ok(Some(size)) => {
                    let sibling = Sibling { original, kind, size };
                    return Ok((Some(Thing::View(sibling)), ttl));
                }
                Err(error) => {
                    if is_changed(&error) {
                        if let Folder::Bucket(dir) = folder {
                            self.catalog.invalidate(dir);
                        }
                        return Err(FsError::Stale);
                    }
                    return Err(error.into());
                }
            }
        }
        Ok((None, ttl))
    }

    /// Some of the entries that were listed, with what their siblings' sizes need.
    pub(super) async fn with_siblings<'w>(&self, listed: Listed<'w>, plus: bool) -> Listed<'w> {
        let config = self.views.config();
        if !plus || !config.are_listed || config.kinds.is_empty() {
            return listed;
        }
        let entries = &listed.entries[..listed.entries.len().min(ENTRIES_AT_ONCE)];
        let originals = entries.iter().filter_map(image_of);
        stream::iter(originals.collect::<Vec<_>>())
            .map(|original| async move { self.views.size(&original, ViewKind::Json).await })
            .buffer_unordered(HEADERS_AT_ONCE)
            // Who asks for a sibling by its name is told what is wrong with it.
            .for_each(|_| async {})
            .await;
        Listed { entries, ..listed }
    }

    /// The siblings that a directory shows behind an entry, with their places.
    /// With `sizes` those whose size is known alone, else all that there may be.
    pub(super) fn listed_siblings(
        &self,
        folder: &Folder,
        entry: &DirEntry,
        sizes: bool,
    ) -> Vec<(u64, String, Thing)> {
        let config = self.views.config();
        match image_of(entry).filter(|_| config.are_listed) {
            Some(original) => self.kinds_of(folder, &entry.name, &original, sizes),
            None => Vec::new(),
        }
    }

    /// The siblings that a directory shows behind something that a program made.
    pub(super) async fn siblings_of(
        &self,
        folder: &Folder,
        name: &str,
        thing: &Thing,
        sizes: bool,
    ) -> Vec<(u64, String, Thing)> {
        let config = self.views.config();
        if !config.are_listed || config.kinds.is_empty() || !has_image_name(name) {
            return Vec::new();
        }
        let Ok(Some(original)) = self.original(name, Some(thing.clone())).await else {
            return Vec::new();
        };
        if sizes {
            // Who asks for a sibling by its name is told what is wrong with it.
            let _ = self.views.size(&original, ViewKind::Json).await;
        }
        self.kinds_of(folder, name, &original, sizes)
    }

    /// All siblings of an image, with their places behind it.
    fn kinds_of(
        &self,
        folder: &Folder,
        image: &str,
        original: &Original,
        sizes: bool,
    ) -> Vec<(u64, String, Thing)> {
        let mut siblings = Vec::new();
        for kind in self.views.config().kinds.kinds() {
            let name = format!("{image}{}", kind.suffix());
            // A real one wins, and one that was deleted is not there either.
            let own = self.own_known(folder, &name);
            let is_taken = own.is_some_and(|found| found.thing.is_some() || found.is_hidden);
            if is_taken || name.len() > MAX_NAME_BYTES {
                continue;
            }
            let size = match self.views.size_known(original, kind) {
                Some(Ok(Some(size))) => size,
                Some(Ok(None) | Err(_)) => continue,
                None if sizes => continue,
                None => 0,
            };
            let sibling = Sibling { original: original.clone(), kind, size };
            siblings.push((1 + kind as u64, name, Thing::View(sibling)));
        }
        siblings
    }
}

/// The object of an entry that is named like an image.
fn image_of(entry: &DirEntry) -> Option<Original> {
    match &entry.node {
        Node::Object(object) => (may_be_read(object) && has_image_name(&entry.name))
            .then(|| Original::Object(object.version.clone())),
        Node::Dir(_) => None,
    }
}

fn may_be_read(object: &ListedObject) -> bool {
    object.version.size > 0 && !is_archive_class(object)
}

/// Whether the original was overwritten or deleted since it was listed.
pub(super) fn is_changed(error: &ViewError) -> bool {
    match error {
        ViewError::Store(error) => {
            matches!(error.kind, StoreErrorKind::Changed | StoreErrorKind::NotFound)
        }
        ViewError::Changed(_) => true,
        ViewError::Image(_) => false,
    }
}
