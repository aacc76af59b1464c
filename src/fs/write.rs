//! Writing into files, sending what was written, and changing what `stat` shows.

use std::sync::Arc;
use std::time::Duration;

use super::{Attr, FileSystem, FsError, Ino, begun};
use crate::drafts::{AttrChange, Draft, HeldOpen};
use crate::mem::Seek;
use crate::names::Thing;

/// How often a file is copied that is let go for its object each time, which takes luck.
const MOST_COPIES: u32 = 4;

impl FileSystem {
    /// How much can be written in all, and how much of it is left, in bytes; `None` where
    /// nothing can.
    pub fn room(&self) -> Option<(u64, u64)> {
        let arena = self.drafts.as_ref()?.arena();
        Some((arena.limit_bytes(), arena.limit_bytes().saturating_sub(arena.used_bytes())))
    }

    /// Writes all of `bytes` into an open file.
    ///
    /// # Errors
    /// ENOSPC when they do not fit into memory.
    pub fn write(&self, handle: u64, offset: u64, bytes: &[u8]) -> Result<(), FsError> {
        let draft = self.files.draft(handle)?;
        let outcome = draft.file().ok_or(FsError::BadHandle)?.write(bytes, offset);
        self.publishing.note_written(&draft, outcome.as_ref().map_or(0..0, Clone::clone));
        outcome?;
        Ok(())
    }

    /// Whether a write that failed so may succeed once memory is given back.
    pub fn can_make_room(&self, error: &FsError) -> bool {
        self.publishing.get().is_some() && error.is_full()
    }

    /// Writes into an open file, and makes room for that first.
    ///
    /// # Errors
    /// ENOSPC when there is none to be had.
    pub async fn write_with_room(
        &self,
        handle: u64,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), FsError> {
        let draft = self.files.draft(handle)?;
        self.publishing.with_room(Some(&draft), || self.write(handle, offset, bytes)).await
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
        let draft = self.files.draft(handle)?;
        let file = draft.file().ok_or(FsError::BadHandle)?;
        let outcome = file.allocate(mode, offset, length);
        self.publishing.note_dirty(&draft);
        Ok(outcome?)
    }

    /// As [`FileSystem::allocate`], and makes room for that first.
    ///
    /// # Errors
    /// ENOSPC when there is none to be had.
    pub async fn allocate_with_room(
        &self,
        handle: u64,
        mode: u32,
        offset: u64,
        length: u64,
    ) -> Result<(), FsError> {
        let draft = self.files.draft(handle)?;
        let allocate = || self.allocate(handle, mode, offset, length);
        self.publishing.with_room(Some(&draft), allocate).await
    }

    /// Where the next data or hole of an open file is. What is in the bucket has no hole
    /// except the one at its end.
    ///
    /// # Errors
    /// ENXIO behind the end.
    pub fn seek(&self, ino: Ino, to: Seek) -> Result<u64, FsError> {
        let thing = self.names.inodes().thing(ino)?;
        if let Thing::Draft(draft) = &thing {
            return Ok(draft.file().ok_or(FsError::Invalid)?.bytes().seek(to)?);
        }
        let size = self.names.attr(ino, &thing).size;
        match to {
            Seek::Data(offset) | Seek::Hole(offset) if offset >= size => Err(FsError::NoData),
            Seek::Data(offset) => Ok(offset),
            Seek::Hole(_) => Ok(size),
        }
    }

    /// Sends a file that was written through a handle which the process `pid` closes, now or
    /// later, unless that process, or the one that opened it, still has it open for writing.
    ///
    /// # Errors
    /// What the upload failed with; ESTALE when somebody else changed the object.
    pub async fn flush(&self, handle: u64, pid: u32) -> Result<(), FsError> {
        let (Some(publisher), Some(file)) = (self.publishing.get(), self.files.get(handle)) else {
            return Ok(());
        };
        let Some(draft) = file.written() else { return Ok(()) };
        Ok(publisher.close(&draft, pid, file.opener).await?)
    }

    /// Sends a file that is to be durable now.
    ///
    /// # Errors
    /// As [`FileSystem::flush`].
    pub async fn fsync(&self, handle: u64) -> Result<(), FsError> {
        let written = self.files.get(handle).and_then(|file| file.written());
        match (self.publishing.get(), written) {
            (Some(publisher), Some(draft)) => Ok(publisher.send(&draft).await?),
            (Some(_) | None, _) => Ok(()),
        }
    }

    /// Changes the size, the permissions, the owner or the times of something. For what is
    /// in the bucket this lasts as long as the mount.
    ///
    /// # Errors
    /// EROFS where nothing may be written; ENOSPC; what fetching an object failed with that
    /// is cut.
    pub async fn set_attr(
        &self,
        ino: Ino,
        change: AttrChange,
    ) -> Result<(Attr, Duration), FsError> {
        self.drafts()?;
        if let Some(size) = change.size {
            self.set_size(ino, size).await?;
        }
        if change != (AttrChange { size: change.size, ..AttrChange::default() }) {
            let thing = self.names.inodes().thing(ino)?;
            match &thing {
                Thing::Draft(draft) => draft.change(&change)?,
                thing if thing.is_old_version() => return Err(FsError::ReadOnly),
                Thing::Dir(_) | Thing::Object(_) => {
                    let mut of = self.names.attr(ino, &thing).of;
                    of.change(&change);
                    self.names.set_attributes(&thing, of)?;
                }
                Thing::Sibling(_) => return Err(FsError::NotPermitted),
            }
        }
        self.getattr(ino)
    }

    /// As [`FileSystem::own_copy`], of a file that is not let go for its object until it is
    /// changed.
    async fn held_copy(&self, ino: Ino, keep: u64) -> Result<(Arc<Draft>, HeldOpen<'_>), FsError> {
        let opened = self.drafts()?.opened();
        for _ in 0..MOST_COPIES {
            let draft = self.own_copy(ino, keep).await?;
            let held = opened.hold(ino);
            match self.names.inodes().thing(ino)? {
                Thing::Draft(now) if Arc::ptr_eq(&now, &draft) => return Ok((draft, held)),
                // It was let go in between.
                Thing::Draft(_) | Thing::Object(_) | Thing::Dir(_) | Thing::Sibling(_) => {}
            }
        }
        Err(FsError::Stale)
    }

    async fn set_size(&self, ino: Ino, size: u64) -> Result<(), FsError> {
        let (draft, held) = self.held_copy(ino, size).await?;
        let file = draft.file().ok_or(FsError::Invalid)?;
        let Some(publisher) = self.publishing.get() else { return Ok(file.resize(size)?) };
        if !publisher.may_change(&draft) {
            return Err(self.publishing.may_not_change(&draft));
        }
        begun::note([]);
        file.resize(size)?;
        self.publishing.note_dirty(&draft);
        drop(held);
        // Where nobody has it open, nobody will close it.
        if !self.drafts()?.opened().is_written(ino) {
            publisher.send_closed_or_wait(&draft).await?;
        }
        Ok(())
    }
}
