//! An object, or a sibling, becomes a draft before it is written to.

use std::sync::Arc;

use super::refusals::Change;
use super::{FileSystem, FsError, Ino};
use crate::catalog::Dir;
use crate::drafts::{Body, Draft, DraftFile, Progress};
use crate::names::{Place, Thing};
use crate::view::has_image_name;

/// What is in the bucket is copied into memory in pieces of this size.
const PIECE_BYTES: u64 = 1 << 20;

impl FileSystem {
    /// The draft behind an inode: what is in the bucket, or virtual, is copied into memory
    /// first, up to `keep` bytes of it. From then on the inode, its name and everybody who
    /// has it open have the copy.
    ///
    /// # Errors
    /// EROFS where nothing may be written, and for old versions; ENOSPC; what fetching it
    /// failed with.
    pub(super) async fn own_copy(&self, ino: Ino, keep: u64) -> Result<Arc<Draft>, FsError> {
        let drafts = self.drafts()?;
        let lock = self.copying.of(ino);
        let _alone = lock.lock().await;
        let (thing, place) = self.names.inodes().current(ino)?;
        if place.folder.bucket().is_some_and(Dir::is_among_versions) {
            return Err(FsError::ReadOnly);
        }
        match &thing {
            Thing::Draft(draft) if draft.file().is_some() => return Ok(draft.clone()),
            Thing::Draft(draft) if !draft.is_dir() => return Err(FsError::Invalid),
            Thing::Dir(_) | Thing::Draft(_) => return Err(FsError::IsADirectory),
            Thing::Object(_) | Thing::Sibling(_) => {}
        }
        let attr = self.names.attr(ino, &thing);
        let size = attr.size.min(keep);
        let copy = Copy { fs: self, ino, thing: &thing };
        let progress = copy.progress(&place, keep)?;
        let file = self.publishing.new_file(drafts, progress).await?;
        copy.fill(&file, size).await?;
        if size < attr.size {
            file.resize(size)?;
        }
        if size > 0 {
            file.bytes().set_times(Some(attr.of.accessed), Some(attr.of.modified))?;
        }
        let draft = Draft::new(ino, Body::File(file), attr.of);
        let place = self.names.adopt(ino, &thing, &draft, place)?;
        self.publishing.note_dirty(&draft);
        self.files.each(|open| {
            if open.ino == ino {
                let _ = open.replaced.set(draft.clone());
            }
        });
        if has_image_name(&place.name) {
            self.names.forget_siblings(place.parent, &place.name);
        }
        Ok(draft)
    }
}

/// One copy that is being made.
struct Copy<'c> {
    fs: &'c FileSystem,
    ino: Ino,
    thing: &'c Thing,
}

impl Copy<'_> {
    /// Copies the first `size` bytes into a file.
    async fn fill(&self, file: &DraftFile, size: u64) -> Result<(), FsError> {
        let outdated = |error: &FsError| {
            if error.is_outdated() {
                self.fs.names.note_changed(self.ino);
            }
        };
        let content = self.fs.readers.open(self.thing.clone()).await.inspect_err(outdated)?;
        let mut offset = 0;
        while offset < size {
            let length = (size - offset).min(PIECE_BYTES) as usize;
            let piece = content.read(offset, length).await.inspect_err(outdated)?;
            if piece.is_empty() {
                return Err(FsError::Stale);
            }
            self.write(file, &piece, offset).await?;
            offset += piece.len() as u64;
        }
        Ok(())
    }

    /// What the bucket has of a copy, if the copy belongs there.
    fn progress(&self, place: &Place, keep: u64) -> Result<Option<Progress>, FsError> {
        let Some(publisher) = self.fs.publishing.get() else { return Ok(None) };
        let Some(key) = publisher.config().key_for(&place.folder, &place.name)? else {
            return Ok(None);
        };
        match self.thing {
            Thing::Object(object) if !publisher.allowed().overwrites(&object.version) => {
                let (key, publishing) = (&object.version.key, &self.fs.publishing);
                Err(publishing.refused(key, Change::Overwrite, FsError::NotPermitted))
            }
            Thing::Object(object) => {
                let version = object.version.clone();
                let is_copy = keep >= version.size;
                Ok(Some(publisher.progress(version.key.clone(), Some(version), is_copy)))
            }
            Thing::Sibling(_) | Thing::Dir(_) | Thing::Draft(_) => {
                Ok(Some(publisher.progress(key, None, false)))
            }
        }
    }

    /// Writes a piece of what is copied, which is not a change.
    async fn write(&self, file: &DraftFile, piece: &[u8], offset: u64) -> Result<(), FsError> {
        let write = || Ok(file.bytes().write_at(piece, offset)?);
        self.fs.publishing.with_room(None, write).await
    }
}
