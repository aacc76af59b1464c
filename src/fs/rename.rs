//! rename.
//!
//! | from, to | by |
//! |---|---|
//! | memory only, memory only | `names` |
//! | a directory of the bucket, a name in the bucket | `publish`: copies all below it, then deletes |
//! | a file of which either name is in the bucket | `publish`: a copy and a delete, or an upload |

use std::ffi::OsStr;

use super::refusals::Change;
use super::{FileSystem, FsError, Ino, begun};
use crate::names::{Folder, RenameHow, Thing};

impl FileSystem {
    /// Gives something another name.
    ///
    /// # Errors
    /// ENOENT, EEXIST, EISDIR, ENOTDIR, ENOTEMPTY, EROFS; EXDEV for a virtual sibling and from
    /// one bucket to another, which programs then copy.
    pub async fn rename(
        &self,
        from: (Ino, &OsStr),
        to: (Ino, &OsStr),
        how: RenameHow,
    ) -> Result<(), FsError> {
        self.drafts()?;
        let to = self.names.place(to.0, to.1)?;
        let (from, source) = self.existing(from.0, from.1).await?;
        let stays = self.names.share_bucket(&from.folder, &to.folder);
        if matches!(source, Thing::Sibling(_)) || !stays {
            return Err(FsError::CrossDevice);
        }
        let target = self.names.find(&to.folder, &to.name).await?.thing;
        if self.publishing.get().is_some() && how == RenameHow::Exchange {
            return Err(FsError::Invalid);
        }
        match (&target, how) {
            (Some(_), RenameHow::Keep) => return Err(FsError::Exists),
            (None, RenameHow::Exchange) => return Err(FsError::NotFound),
            (Some(Thing::Sibling(_)), RenameHow::Exchange) => return Err(FsError::CrossDevice),
            (Some(target), RenameHow::Replace) => {
                if self.names.inodes().is_same(target, &source) {
                    return Ok(());
                }
                self.replaceable(&source, target).await?;
            }
            (None, _) | (Some(_), RenameHow::Exchange) => {}
        }
        let is_published = self.publishing.of(&from, &source)?.is_some()
            || self.publishing.key_for(&to)?.is_some();
        let Some(publisher) = self.publishing.get().filter(|_| is_published) else {
            return Ok(self.names.rename((&from, source), (&to, target), how)?);
        };
        let ino = self.names.inodes().number_of(&source);
        let replaced = target.iter().map(|target| self.names.inodes().number_of(target));
        begun::note([from.parent, to.parent].into_iter().chain(replaced).collect::<Vec<_>>());
        let change = match &source {
            Thing::Dir(_) => Change::RenameFolder,
            _ => self.publishing.change_of_rename(&source, target.as_ref()),
        };
        let renamed = match &source {
            Thing::Dir(dir) => publisher.rename_dir(&from, dir, &to).await.map(|()| source.clone()),
            Thing::Object(_) | Thing::Draft(_) | Thing::Sibling(_) => {
                publisher.rename((&from, &source), (&to, target.as_ref())).await
            }
        };
        let refused = |error| self.publishing.refused_at(&from, change, error);
        self.names.renamed(ino, &renamed.map_err(refused)?, &from, &to);
        Ok(())
    }

    /// Whether a rename may put `source` in the place of `target`.
    async fn replaceable(&self, source: &Thing, target: &Thing) -> Result<(), FsError> {
        match (source.folder(), target.folder()) {
            (None, None) => Ok(()),
            (None, Some(_)) => Err(FsError::IsADirectory),
            (Some(_), None) => Err(FsError::NotADirectory),
            (Some(_), Some(folder)) if self.names.contents(&folder).is_empty().await? => Ok(()),
            (Some(Folder::Bucket(old)), Some(Folder::Bucket(new))) => match self.publishing.get() {
                Some(publisher) if publisher.may_replace(&old, &new).await? => Ok(()),
                Some(_) | None => Err(FsError::NotEmpty),
            },
            (Some(_), Some(_)) => Err(FsError::NotEmpty),
        }
    }
}
