//! unlink, rmdir.

use std::ffi::OsStr;

use super::refusals::Change;
use super::{FileSystem, FsError, Ino};
use crate::names::{Place, Thing};

impl FileSystem {
    /// Deletes the name of something that is not a directory.
    ///
    /// # Errors
    /// ENOENT, EISDIR, EROFS.
    pub async fn unlink(&self, parent: Ino, name: &OsStr) -> Result<(), FsError> {
        let (place, thing) = self.existing(parent, name).await?;
        if thing.folder().is_some() {
            return Err(FsError::IsADirectory);
        }
        match self.publishing.of(&place, &thing)? {
            Some(publisher) => {
                let refused = |error| self.publishing.refused_at(&place, Change::Delete, error);
                publisher.delete(&place, &thing).await.map_err(refused)?;
                self.names.forget_siblings(place.parent, &place.name);
            }
            None => self.names.remove(&place, thing),
        }
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
        match (self.publishing.of(&place, &thing)?, &thing) {
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
        Ok((place, found.thing.ok_or(FsError::NotFound)?))
    }
}
