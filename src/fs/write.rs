//! Writing into files, and changing what `stat` shows.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::attr::{bucket_thing, kept};
use super::inode::Place;
use super::node::Thing;
use super::{Attr, FileSystem, FsError, Ino};
use crate::catalog::Node;
use crate::mem::Seek;
use crate::overlay::{AttrChange, Body, Entry, Item, Made, MadeFile, Remote};
use crate::view::has_image_name;

/// What is in the bucket is copied into memory in such pieces.
const PIECE_BYTES: u64 = 1 << 20;

/// One lock for each inode that is being copied into memory.
#[derive(Debug, Default)]
pub(super) struct Copying(Mutex<HashMap<Ino, Arc<tokio::sync::Mutex<()>>>>);

impl Copying {
    fn of(&self, ino: Ino) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        locks.entry(ino).or_default().clone()
    }
}

impl FileSystem {
    /// Whether programs may write at all.
    pub fn is_writable(&self) -> bool {
        self.overlay.is_some()
    }

    /// How much can be written in all, and how much of it is left, in bytes; `None`
    /// where nothing can.
    pub fn room(&self) -> Option<(u64, u64)> {
        let arena = self.overlay.as_ref()?.arena();
        Some((arena.limit_bytes(), arena.limit_bytes().saturating_sub(arena.used_bytes())))
    }

    /// Writes all of `bytes` into an open file.
    ///
    /// # Errors
    /// ENOSPC when they do not fit into memory.
    pub fn write(&self, handle: u64, offset: u64, bytes: &[u8]) -> Result<(), FsError> {
        let made = self.writable(handle)?;
        let file = made.file().ok_or(FsError::BadHandle)?;
        let outcome = file.write(bytes, offset);
        if file.remote().is_some() {
            self.note_written(&made);
        }
        let ahead = outcome?;
        if !ahead.is_empty() {
            self.send_ahead(&made, ahead);
        }
        Ok(())
    }

    /// Notes that a file has to be sent, if it belongs into the bucket and is not there
    /// as it is: a write that was refused changed nothing.
    pub(super) fn note_written(&self, made: &Arc<Made>) {
        if let Some(uploads) = self.uploads()
            && made.links() > 0
            && made.file().and_then(|file| file.remote()).is_some_and(Remote::is_dirty)
        {
            uploads.note_dirty(made);
        }
    }

    /// As fallocate(2).
    ///
    /// # Errors
    /// ENOSPC when there is no memory for it.
    pub fn allocate(
        &self,
        handle: u64,
        mode: u32,
        offset: u64,
        length: u64,
    ) -> Result<(), FsError> {
        let made = self.writable(handle)?;
        let file = made.file().ok_or(FsError::BadHandle)?;
        let outcome = file.allocate(mode, offset, length);
        self.note_written(&made);
        Ok(outcome?)
    }

    /// Where the next data or hole of an open file is. What is in the bucket has no
    /// holes but the one at its end.
    ///
    /// # Errors
    /// ENXIO behind the end.
    pub fn seek(&self, ino: Ino, to: Seek) -> Result<u64, FsError> {
        let node = self.inodes().node(ino).ok_or(FsError::BadHandle)?.clone();
        if let Thing::Made(made) = &node {
            return Ok(made.file().ok_or(FsError::Invalid)?.bytes().seek(to)?);
        }
        let size = self.attr_of(ino, &node).size;
        match to {
            Seek::Data(offset) | Seek::Hole(offset) if offset >= size => Err(FsError::NoData),
            Seek::Data(offset) => Ok(offset),
            Seek::Hole(_) => Ok(size),
        }
    }

    /// Changes the size, the permissions, the owner or the times of something. Of
    /// what is in the bucket this lasts as long as the mount.
    ///
    /// # Errors
    /// EROFS where nothing may be written; ENOSPC; what fetching an object failed
    /// with that is cut.
    pub async fn set_attr(
        &self,
        ino: Ino,
        change: AttrChange,
    ) -> Result<(Attr, Duration), FsError> {
        let overlay = self.overlay()?;
        if let Some(size) = change.size {
            let made = self.own_copy(ino, size).await?;
            let file = made.file().ok_or(FsError::Invalid)?;
            if let (Some(uploads), Some(remote)) = (self.uploads(), file.remote())
                && remote.settled().is_some()
                && !uploads.config().allow_overwrite
                && !self.is_written(ino)
            {
                return Err(FsError::NotPermitted);
            }
            file.resize(size)?;
            self.note_written(&made);
            // Where nobody has it open, nobody will close it.
            if !self.is_written(ino) {
                self.send_closed(&made).await?;
            }
        }
        let node = self.inodes().node(ino).ok_or(FsError::BadHandle)?.clone();
        if change != (AttrChange { size: change.size, ..AttrChange::default() }) {
            match (&node, bucket_thing(&node)) {
                (Thing::Made(made), _) => made.change(&change)?,
                (_, Some(thing)) => {
                    let mut attributes = kept(&self.attr_of(ino, &node));
                    attributes.change(&change);
                    overlay.tree().set_attributes(thing, attributes)?;
                }
                (_, None) => return Err(FsError::NotPermitted),
            }
        }
        self.getattr(ino)
    }

    /// The file behind an inode, as one that can be written to: what is in the bucket,
    /// or virtual, is copied into memory first, up to `keep` bytes of it. From then
    /// on the inode, its name and all who have it open have the copy.
    ///
    /// # Errors
    /// EROFS where nothing may be written; ENOSPC; what fetching it failed with.
    pub(super) async fn own_copy(&self, ino: Ino, keep: u64) -> Result<Arc<Made>, FsError> {
        let overlay = self.overlay()?;
        let lock = self.copying.of(ino);
        let _alone = lock.lock().await;
        let (thing, place) = {
            let inodes = self.inodes();
            if inodes.is_stale(ino) {
                return Err(FsError::Stale);
            }
            let thing = inodes.node(ino).ok_or(FsError::BadHandle)?.clone();
            (thing, inodes.place(ino).ok_or(FsError::BadHandle)?)
        };
        match &thing {
            Thing::Made(made) if made.file().is_some() => return Ok(made.clone()),
            Thing::Made(made) if !made.is_dir() => return Err(FsError::Invalid),
            Thing::Dir(_) | Thing::Made(_) => return Err(FsError::IsADirectory),
            Thing::Object(_) | Thing::View(_) => {}
        }
        let remote = self.remote_of(&thing, &place, keep)?;
        let attr = self.attr_of(ino, &thing);
        let file = overlay.new_file(remote)?;
        let content = self.content(ino, thing.clone()).await?;
        let size = attr.size.min(keep);
        let mut offset = 0;
        while offset < size {
            let piece = content.read(offset, (size - offset).min(PIECE_BYTES) as usize).await;
            if piece.as_ref().is_err_and(FsError::is_outdated) {
                self.note_changed(ino);
            }
            let piece = piece?;
            if piece.is_empty() {
                return Err(FsError::Stale);
            }
            self.write_copy(&file, &piece, offset).await?;
            offset += piece.len() as u64;
        }
        if size < attr.size {
            file.resize(size)?;
        }
        if size > 0 {
            file.bytes().set_times(Some(attr.atime), Some(attr.mtime))?;
        }
        let made = Made::new(ino, Body::File(file), kept(&attr));
        let place = {
            let mut tree = overlay.tree();
            // It may have been renamed or deleted while it was copied.
            let (place, is_unnamed) = {
                let inodes = self.inodes();
                (inodes.place(ino).unwrap_or(place), inodes.is_unnamed(ino))
            };
            let key = place.folder.key();
            let is_there = match tree.find(&key, &place.name) {
                _ if is_unnamed => false,
                None => true,
                Some(Entry::Item(Item::Bucket(Node::Object(held)))) => {
                    matches!(&thing, Thing::Object(object) if object.version == held.version)
                }
                Some(Entry::Item(_) | Entry::Hidden) => false,
            };
            if is_there {
                tree.put(&key, &place.name, Entry::Item(Item::Made(made.clone())))?;
                made.set_home(key, &place.name);
            }
            if let Some(thing) = bucket_thing(&thing) {
                tree.take_attributes(&thing);
            }
            if !is_there {
                made.remove_link();
            }
            self.inodes().replace(ino, Thing::Made(made.clone()));
            place
        };
        if made.file().and_then(|file| file.remote()).is_some_and(Remote::is_dirty) {
            self.note_written(&made);
        }
        self.files.each(|open| {
            if open.ino == ino {
                let _ = open.replaced.set(made.clone());
            }
        });
        if has_image_name(&place.name) {
            self.forget_siblings(place.parent, &place.name);
        }
        Ok(made)
    }

    /// What a copy is in the bucket, if it belongs there.
    fn remote_of(
        &self,
        thing: &Thing,
        place: &Place,
        keep: u64,
    ) -> Result<Option<Remote>, FsError> {
        let Some(uploads) = self.uploads() else { return Ok(None) };
        let Some(key) = self.key_for(&place.folder, &place.name)? else { return Ok(None) };
        match thing {
            Thing::Object(_) if !uploads.config().allow_overwrite => Err(FsError::NotPermitted),
            Thing::Object(object) => {
                let version = object.version.clone();
                let is_copy = keep >= version.size;
                Ok(Some(uploads.remote(version.key.clone(), Some(version), is_copy)))
            }
            Thing::View(_) | Thing::Dir(_) | Thing::Made(_) => {
                Ok(Some(uploads.remote(key, None, false)))
            }
        }
    }

    /// Writes a piece of what is copied, which is not a change.
    async fn write_copy(&self, file: &MadeFile, piece: &[u8], offset: u64) -> Result<(), FsError> {
        loop {
            match file.bytes().write_at(piece, offset) {
                Err(error) if error.kind() == ErrorKind::StorageFull => {
                    if !self.make_room(None).await {
                        return Err(FsError::NoSpace);
                    }
                }
                outcome => return Ok(outcome?),
            }
        }
    }

    /// Whether anybody has an inode open to write to it.
    pub(super) fn is_written(&self, ino: Ino) -> bool {
        self.files.any(|file| file.ino == ino && file.written().is_some())
    }
}
