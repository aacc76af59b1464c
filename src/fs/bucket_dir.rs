//! Renaming directories of the bucket: every object below is copied and deleted.
//!
//! All copies come before the first deletion, so a rename that is interrupted loses
//! nothing, and goes on when it is tried again: what is there already is not copied.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::attr::kept;
use super::change::Spot;
use super::node::{Folder, Thing};
use super::{FileSystem, FsError};
use crate::catalog::{Dir, Node};
use crate::key::{ObjectKey, ObjectVersion};
use crate::overlay::{BucketThing, DirKey, Entry, Item};
use crate::store::{ListRequest, ListedObject, StoreErrorKind};

/// So many objects are copied or deleted at once.
const AT_ONCE: usize = 8;
const MAX_KEYS: u16 = 1000;

/// By the old key: the version that was copied, and what it is in its new place.
type Copies = HashMap<ObjectKey, (ObjectVersion, ObjectVersion)>;

impl FileSystem {
    /// Renames a directory with all that the bucket has below it.
    ///
    /// # Errors
    /// EXDEV where directories are not renamed, or not ones this large, or while files
    /// below are not in the bucket yet; EPERM where nothing may be deleted; what the
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
        let overlay = self.overlay()?;
        // What is sent meanwhile would be another version than the one that is copied.
        let mut still = Vec::new();
        let written = overlay.tree().published_below(dir.prefix());
        for remote in written.iter().filter_map(|(_, _, made)| made.file()?.remote()) {
            still.push(remote.still().await);
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
        let copies: Copies = stream::iter(moves).buffer_unordered(AT_ONCE).try_collect().await?;
        for (version, copied) in copies.values() {
            self.cache.note_copied(version, copied);
        }
        let deletions =
            versions.into_iter().map(|version| async move { self.delete_version(&version).await });
        stream::iter(deletions).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
        self.take_along(&copies, dir, &target)?;
        for changed in [dir, &target] {
            self.catalog.invalidate_below(changed);
        }
        // The kernel knows what is below by its inodes, which it keeps.
        self.inodes().rebase(|thing| match thing {
            Thing::Dir(below) => below.moved(dir, &target).map(Thing::Dir),
            Thing::Object(object) => copies.get(&object.version.key).map(|(_, version)| {
                let storage_class = object.storage_class.clone();
                Thing::Object(ListedObject { version: version.clone(), storage_class })
            }),
            Thing::View(_) | Thing::Made(_) => None,
        });
        self.show_in_bucket(to, Some(Node::Dir(target.clone())));
        self.show_in_bucket(from, None);
        let thing = Thing::Dir(target.clone());
        let ino = self.inodes().number_of(&thing);
        let mut of = kept(&self.attr_of(ino, &thing));
        of.changed = SystemTime::now();
        // Without room for it the time stays as it was.
        let _ = overlay.tree().set_attributes(BucketThing::Dir(target), of);
        Ok(())
    }

    /// Has what programs wrote below a directory, and the permissions and times that
    /// they gave, go with what was copied.
    fn take_along(&self, copies: &Copies, from: &Dir, to: &Dir) -> Result<(), FsError> {
        let mut tree = self.overlay()?.tree();
        let written = tree.published_below(from.prefix());
        for dir in [from, to] {
            tree.remove_below(dir.prefix());
        }
        for (dir, name, made) in written {
            let Some(remote) = made.file().and_then(|file| file.remote()) else { continue };
            let Some(dir) = dir.moved(from, to) else { continue };
            let key = remote.key();
            let seen = remote.seen().and_then(|version| version.etag);
            match copies.get(&key) {
                Some((copied, version)) if copied.etag == seen => {
                    remote.note_copied(version.clone());
                }
                // Made since the directory was looked at.
                None if remote.is_dirty() => {
                    let rest = &key.as_str()[from.prefix().as_str().len()..];
                    remote.move_to(ObjectKey::new(format!("{}{rest}", to.prefix())), None);
                }
                // Somebody else's by now.
                Some(_) | None => continue,
            }
            let dir = DirKey::Bucket(dir);
            tree.put_until(&dir, &name, Entry::Item(Item::Made(made.clone())), None);
            made.set_home(dir, &name);
        }
        tree.take_attributes(&BucketThing::Dir(to.clone()));
        tree.move_attributes(|thing| match thing {
            BucketThing::Dir(dir) => dir.moved(from, to).map(BucketThing::Dir),
            BucketThing::Object(version) => {
                let (_, copy) = copies.get(&version.key)?;
                Some(BucketThing::object(copy))
            }
        });
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
    ) -> Result<(ObjectKey, (ObjectVersion, ObjectVersion)), FsError> {
        match self.copy(&version, key.clone(), None).await {
            Ok(copied) => Ok((version.key.clone(), (version, copied))),
            Err(FsError::Store(error)) if error.kind == StoreErrorKind::Changed => {
                let head = self.store.head(&key).await.map_err(Arc::new)?;
                if head.size != version.size || head.etag != version.etag {
                    return Err(FsError::Store(error));
                }
                let copied = ObjectVersion { key, ..version.clone() };
                Ok((version.key.clone(), (version, copied)))
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

    /// Whether files below a directory are not in the bucket yet, or stay in memory.
    fn has_unsent_below(&self, dir: &Dir) -> bool {
        let Some(uploads) = self.uploads() else { return false };
        let prefix = dir.prefix().as_str();
        let is_below = |key: &ObjectKey| key.as_str().starts_with(prefix);
        uploads.pending().iter().any(|pending| is_below(&pending.key))
            || self.overlay.as_ref().is_some_and(|overlay| {
                let is_below =
                    |key: &DirKey| matches!(key, DirKey::Bucket(dir) if dir.prefix().as_str().starts_with(prefix));
                overlay.tree().any_made_alone(is_below)
            })
    }

    /// Whether files below a directory were written that somebody has open.
    fn has_open_below(&self, dir: &Dir) -> bool {
        let prefix = dir.prefix().as_str();
        self.files.any(|file| {
            let named = file.made().filter(|made| made.links() > 0);
            let remote = named.and_then(|made| made.file()?.remote());
            remote.is_some_and(|remote| remote.key().as_str().starts_with(prefix))
        })
    }

    /// Whether a directory may give its place to one whose rename was interrupted.
    pub(super) fn may_give_way(&self, dir: &Dir) -> bool {
        !self.has_unsent_below(dir) && !self.has_open_below(dir)
    }
}
