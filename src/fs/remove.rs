//! unlink, rmdir.

use std::ffi::OsStr;

use super::refusals::Change;
use super::{FileSystem, FsError, Ino, begun};
use crate::names::{Place, Thing};

impl FileSystem {
    /// Deletes the name of something that is not a directory. A sibling is hidden, and its
    /// image stays as it is; where files become objects and no sibling is listed, nobody has a
    /// reason to, and it is EPERM.
    ///
    /// # Errors
    /// ENOENT, EISDIR, EROFS.
    pub async fn unlink(&self, parent: Ino, name: &OsStr) -> Result<(), FsError> {
        let (place, thing) = self.existing(parent, name).await?;
        if thing.folder().is_some() {
            return Err(FsError::IsADirectory);
        }
        let hides = self.publishing.get().is_none() || self.siblings_are_copied();
        if matches!(thing, Thing::Sibling(_)) && hides {
            self.names.delete_sibling(&place, thing, begun::caller);
            self.names.touch(&place);
            return Ok(());
        }
        let publisher = self.publishing.of(&place, &thing)?;
        let beside = self.names.beside(&place, &thing).await;
        begun::note([parent]);
        match publisher {
            Some(publisher) => {
                let refused = |error| self.publishing.refused_at(&place, Change::Delete, error);
                publisher.delete(&place, &thing).await.map_err(refused)?;
                self.names.forget_siblings(place.parent, &place.name);
            }
            None => self.names.remove(&place, thing),
        }
        self.names.note_deleted(&place, beside, begun::caller);
        self.names.touch(&place);
        Ok(())
    }

    /// Deletes an empty directory.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR, ENOTEMPTY, EROFS; what listing it failed with.
    pub async fn rmdir(&self, parent: Ino, name: &OsStr) -> Result<(), FsError> {
        let (place, thing) = self.existing(parent, name).await?;
        let folder = thing.folder().ok_or(FsError::NotADirectory)?;
        if !self.names.contents(&folder).is_empty().await? {
            return Err(FsError::NotEmpty);
        }
        let publisher = self.publishing.of(&place, &thing)?;
        begun::note([parent, self.names.inodes().number_of(&thing)]);
        match (publisher, &thing) {
            (Some(publisher), Thing::Dir(dir)) => {
                let refused = |error| self.publishing.refused_at(&place, Change::Delete, error);
                publisher.delete_dir(&place, dir).await.map_err(refused)?;
                self.names.unname(&thing);
            }
            (Some(_) | None, _) => self.names.remove(&place, thing),
        }
        self.names.touch(&place);
        Ok(())
    }

    /// A name that a program wants to change, and what it stands for, siblings included.
    pub(super) async fn existing(
        &self,
        parent: Ino,
        name: &OsStr,
    ) -> Result<(Place, Thing), FsError> {
        self.drafts()?;
        let place = self.names.place(parent, name)?;
        let found = self.names.find(&place.folder, &place.name).await?;
        let thing = found
            .thing
            .or_else(|| self.names.left_behind(&place.folder, &place.name, begun::caller));
        Ok((place, thing.ok_or(FsError::NotFound)?))
    }
}
