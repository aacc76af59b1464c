//! Renaming directories of the bucket: every object below is copied and deleted.
//!
//! All copies come before the first deletion, so a rename that is interrupted loses
//! nothing, and goes on when it is tried again: what is there already is not copied.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::change::Spot;
use super::file::OpenFile;
use super::node::{Folder, Thing};
use super::{FileSystem, FsError};
use crate::catalog::{Dir, Node};
use crate::key::{ObjectKey, ObjectVersion};
use crate::overlay::DirKey;
use crate::store::{ListRequest, ListedObject, StoreErrorKind};

/// So many objects are copied or deleted at once.
const AT_ONCE: usize = 8;
const MAX_KEYS: u16 = 1000;

impl FileSystem {
    /// Renames a directory with all that the bucket has below it.
    ///
    /// # Errors
    /// EXDEV where directories are not renamed, or not ones this large, or while files
    /// below are open or not in the bucket yet; EPERM where nothing may be deleted; what the
    /// requests failed with, after which the same rename goes on where it was.
    pub(super) async fn rename_bucket_dir(
        &self,
        from: &Spot,
        dir: &Dir,
        to: &Spot,
    ) -> Result<(), FsError> {
        let config = self.upload_config()?;
        let Folder::Bucket(parent) = &to.folder else { return Err(FsError::CrossDevice) };
        if self.key_for(&to.folder, &to.name)?.is_none() || config.rename_objects == 0 {
            return Err(FsError::CrossDevice);
        }
        let target = parent.dir_of(&to.name).ok_or(FsError::Invalid)?;
        if !config.allow_delete {
            return Err(FsError::NotPermitted);
        }
        if self.has_unsent_below(dir) {
            return Err(FsError::CrossDevice);
        }
        let versions = self.all_below(dir, config.rename_objects).await?;
        let moves = versions.clone().into_iter().map(|version| {
            let rest = &version.key.as_str()[dir.prefix().as_str().len()..];
            let key = ObjectKey::new(format!("{}{rest}", target.prefix()));
            self.copy_once(version, key)
        });
        let copies: HashMap<ObjectKey, ObjectVersion> =
            stream::iter(moves).buffer_unordered(AT_ONCE).try_collect().await?;
        let deletions =
            versions.into_iter().map(|version| async move { self.delete_version(&version).await });
        stream::iter(deletions).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
        for changed in [dir, &target] {
            self.overlay()?.tree().remove_below(changed.prefix());
            self.catalog.invalidate_below(changed);
        }
        // The kernel knows what is below by its inodes, which it keeps.
        self.inodes().rebase(|thing| match thing {
            Thing::Dir(below) => below.moved(dir, &target).map(Thing::Dir),
            Thing::Object(object) => copies.get(&object.version.key).map(|version| {
                let storage_class = object.storage_class.clone();
                Thing::Object(ListedObject { version: version.clone(), storage_class })
            }),
            // The kernel knows it, and nobody has it open.
            Thing::Made(made) if made.links() > 0 => {
                let remote = made.file()?.remote()?;
                let version = copies.get(&remote.key())?.clone();
                remote.note_copied(version.clone());
                Some(Thing::Object(ListedObject { version, storage_class: None }))
            }
            Thing::View(_) | Thing::Made(_) => None,
        });
        self.show_in_bucket(to, Some(Node::Dir(target)));
        self.show_in_bucket(from, None);
        Ok(())
    }

    /// Whether the new directory has nothing that a rename of the old one, which was
    /// interrupted, has not put there.
    pub(super) async fn is_half_renamed(&self, from: &Dir, to: &Dir) -> Result<bool, FsError> {
        let most = self.upload_config()?.rename_objects;
        let (old, new) = (self.all_below(from, most).await?, self.all_below(to, most).await?);
        let rest = |dir: &Dir, version: &ObjectVersion| {
            let key = version.key.as_str();
            (key[dir.prefix().as_str().len()..].to_owned(), version.size)
        };
        let old: std::collections::HashSet<_> = old.iter().map(|v| rest(from, v)).collect();
        Ok(new.iter().all(|version| old.contains(&rest(to, version))))
    }

    /// Copies an object, unless it was copied before; what it was, and what it is now.
    async fn copy_once(
        &self,
        version: ObjectVersion,
        key: ObjectKey,
    ) -> Result<(ObjectKey, ObjectVersion), FsError> {
        match self.copy(&version, key.clone(), None).await {
            Ok(copied) => Ok((version.key, copied)),
            Err(FsError::Store(error)) if error.kind == StoreErrorKind::Changed => {
                let head = self.store.head(&key).await.map_err(Arc::new)?;
                if head.size != version.size || head.etag != version.etag {
                    return Err(FsError::Store(error));
                }
                Ok((version.key.clone(), ObjectVersion { key, ..version }))
            }
            Err(error) => Err(error),
        }
    }

    /// All objects below a directory, its marker too, if they are no more than `most`.
    async fn all_below(&self, dir: &Dir, most: u64) -> Result<Vec<ObjectVersion>, FsError> {
        let (mut versions, mut token) = (Vec::new(), None);
        loop {
            let request = ListRequest {
                prefix: dir.prefix().clone(),
                delimited: false,
                token,
                max_keys: MAX_KEYS,
            };
            let page = self.store.list_page(request).await.map_err(Arc::new)?;
            versions.extend(page.objects.into_iter().map(|object| object.version));
            if versions.len() as u64 > most || !page.unreachable.is_empty() {
                return Err(FsError::CrossDevice);
            }
            match page.next {
                Some(next) => token = Some(next),
                None => return Ok(versions),
            }
        }
    }

    /// Whether files below a directory are not in the bucket yet, stay in memory, or are
    /// open, so that more may be written to them.
    pub(super) fn has_unsent_below(&self, dir: &Dir) -> bool {
        let Some(uploads) = self.uploads() else { return false };
        let prefix = dir.prefix().as_str();
        let is_below = |key: &ObjectKey| key.as_str().starts_with(prefix);
        let is_open_below = |file: &OpenFile| {
            let named = file.made().filter(|made| made.links() > 0);
            named.and_then(|made| made.file()?.remote()).is_some_and(|r| is_below(&r.key()))
        };
        uploads.pending().iter().any(|pending| is_below(&pending.key))
            || self.files.any(is_open_below)
            || self.overlay.as_ref().is_some_and(|overlay| {
                let is_below =
                    |key: &DirKey| matches!(key, DirKey::Bucket(dir) if dir.prefix().as_str().starts_with(prefix));
                overlay.tree().any_made_alone(is_below)
            })
    }
}
