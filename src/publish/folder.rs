//! Directories of the bucket: their markers, and renaming them with all that is below.
//!
//! Renaming copies every object and then deletes every source: all copies come before the
//! first deletion, so a rename that is interrupted loses nothing, and goes on when it is
//! tried again: what is there already is not copied.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::metadata::MARKER_TYPE;
use super::{PublishError, Publisher};
use crate::catalog::{Dir, Node};
use crate::drafts::Draft;
use crate::key::{ObjectKey, ObjectVersion};
use crate::names::{Folder, Place, Thing};
use crate::store::{
    Condition, ListRequest, ListedObject, PutRequest, StoreErrorKind, Trail, Written,
};

/// This many objects are copied or deleted at once.
const AT_ONCE: usize = 8;
const MAX_KEYS: u16 = 1000;

/// By the old key: the version that was copied, and what it is in its new place.
type Copies = HashMap<ObjectKey, (ObjectVersion, ObjectVersion)>;
type Outcome<T> = Result<T, PublishError>;

impl Publisher {
    /// Makes a directory by its marker.
    ///
    /// # Errors
    /// EEXIST; what the request failed with.
    pub async fn make_dir(&self, place: &Place) -> Outcome<Dir> {
        let dir = place.folder.bucket().and_then(|dir| dir.dir_of(&place.name));
        let dir = dir.ok_or(PublishError::NoSuchKey)?;
        let key = ObjectKey::new(dir.prefix().as_str());
        let request = PutRequest {
            key: key.clone(),
            body: Bytes::new(),
            content_type: Some(Arc::from(MARKER_TYPE)),
            condition: Condition::Absent,
        };
        match self.sender.store.put(request).await {
            Ok(Written { etag }) => {
                let marker = ObjectVersion { key, size: 0, etag, last_modified: SystemTime::now() };
                self.allowed().made.note(&marker, true);
            }
            Err(error) if error.kind == StoreErrorKind::Changed => {
                return Err(PublishError::Exists);
            }
            Err(error) => return Err(error.into()),
        }
        self.names.bucket().forget_listing(&dir);
        self.names.bucket().show(place, Some(Node::Dir(dir.clone())));
        Ok(dir)
    }

    /// Deletes the marker of a directory that has nothing else in it.
    ///
    /// # Errors
    /// ENOTEMPTY, EPERM where the marker may not be deleted; what the requests failed with.
    pub async fn delete_dir(&self, place: &Place, dir: &Dir) -> Outcome<()> {
        let request = ListRequest {
            prefix: dir.prefix().clone(),
            delimited: false,
            token: None,
            after: None,
            max_keys: 2,
        };
        let page = self.sender.store.list_page(request).await?;
        let is_marker =
            |object: &ListedObject| object.version.key.as_str() == dir.prefix().as_str();
        if page.next.is_some() || page.objects.iter().any(|object| !is_marker(object)) {
            self.names.bucket().forget_listing(dir);
            return Err(PublishError::NotEmpty);
        }
        if let Some(marker) = page.objects.first() {
            self.delete_version(&marker.version).await?;
        }
        self.names.bucket().forget_attributes(&Thing::Dir(dir.clone()));
        self.names.bucket().show(place, None);
        Ok(())
    }

    /// Renames a directory with all that the bucket has below it.
    ///
    /// # Errors
    /// EXDEV where directories are not renamed, or not ones this large, or while files
    /// below are not in the bucket yet; EPERM where nothing may be deleted; what the
    /// requests failed with, after which the same rename goes on where it was.
    pub async fn rename_dir(&self, from: &Place, dir: &Dir, to: &Place) -> Outcome<()> {
        let Folder::Bucket(parent) = &to.folder else { return Err(PublishError::CrossDevice) };
        if self.config.key_for(&to.folder, &to.name)?.is_none() || self.config.rename_objects == 0 {
            return Err(PublishError::CrossDevice);
        }
        let target = parent.dir_of(&to.name).ok_or(PublishError::NoSuchKey)?;
        if !self.config.allow_delete {
            return Err(PublishError::NotPermitted);
        }
        self.send_below(dir).await;
        // What is sent meanwhile would be another version than the one that is copied.
        let written = self.names.bucket().published_below(dir);
        let mut still = Vec::new();
        for progress in written.iter().filter_map(|draft| draft.progress()) {
            still.push(progress.still().await);
        }
        if self.has_unsent_below(dir) {
            return Err(PublishError::CrossDevice);
        }
        let versions = self.all_below(dir, self.config.rename_objects).await?;
        let moves = versions.clone().into_iter().map(|version| {
            let key = moved(&version.key, dir, &target);
            self.copy_once(version, key)
        });
        let copies: Copies = stream::iter(moves).buffer_unordered(AT_ONCE).try_collect().await?;
        for (version, copied) in copies.values() {
            self.cache.note_copied(version, copied);
        }
        let deletions =
            versions.into_iter().map(|version| async move { self.delete_version(&version).await });
        stream::iter(deletions).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
        let copy_of = |key: &ObjectKey| copies.get(key).map(|(_, copy)| copy.clone());
        let keeps = |draft: &Draft| goes_along(draft, &copies, dir, &target);
        self.names.bucket().moved_below((dir, &target), copy_of, keeps);
        self.names.bucket().show(to, Some(Node::Dir(target.clone())));
        self.names.bucket().show(from, None);
        self.names.bucket().touch_dir(target);
        Ok(())
    }

    /// Sends what was closed below a directory and waits for its turn.
    async fn send_below(&self, dir: &Dir) {
        let below = self.names.bucket().published_below(dir);
        let waiting = below.into_iter().filter(|draft| self.turns.waits(draft.ino()));
        let sends = waiting.map(|draft| async move { self.send(&draft).await });
        // What could not be sent is told where it is asked for next, as ever.
        let _ = stream::iter(sends).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await;
    }

    /// Whether one directory may replace another that is not empty: one whose rename was
    /// interrupted may replace what that has put there, and nothing else.
    ///
    /// # Errors
    /// What the requests failed with.
    pub async fn may_replace(&self, old: &Dir, new: &Dir) -> Outcome<bool> {
        if self.has_unsent_below(new) || self.has_open_below(new) {
            return Ok(false);
        }
        let most = self.config.rename_objects;
        let (from, to) = (self.all_below(old, most).await?, self.all_below(new, most).await?);
        let rest = |dir: &Dir, version: &ObjectVersion| {
            let key = version.key.as_str();
            (key[dir.prefix().as_str().len()..].to_owned(), version.size)
        };
        let from: HashSet<_> = from.iter().map(|version| rest(old, version)).collect();
        Ok(to.iter().all(|version| from.contains(&rest(new, version))))
    }

    /// Copies an object, unless it was copied before; what it was, and what it is now.
    async fn copy_once(
        &self,
        version: ObjectVersion,
        key: ObjectKey,
    ) -> Outcome<(ObjectKey, (ObjectVersion, ObjectVersion))> {
        match self.copy(&version, key.clone(), None).await {
            Ok(copied) => Ok((version.key.clone(), (version, copied))),
            Err(PublishError::Store(error)) if error.kind == StoreErrorKind::Changed => {
                let head = self.sender.store.head(&key).await?;
                if head.size != Some(version.size) || head.etag != version.etag {
                    return Err(PublishError::Store(error));
                }
                let copied = ObjectVersion { key, ..version.clone() };
                Ok((version.key.clone(), (version, copied)))
            }
            Err(error) => Err(error),
        }
    }

    /// All objects below a directory, its marker too, if there are at most `most`.
    async fn all_below(&self, dir: &Dir, most: u64) -> Outcome<Vec<ObjectVersion>> {
        let (mut versions, mut token, mut trail) = (Vec::new(), None, Trail::default());
        loop {
            let request = ListRequest {
                prefix: dir.prefix().clone(),
                delimited: false,
                token,
                after: None,
                max_keys: MAX_KEYS,
            };
            let page = self.sender.store.list_page(request).await?;
            if let Some(next) = &page.next {
                trail.follow(dir.prefix(), page.ends(), next)?;
            }
            versions.extend(page.objects.into_iter().map(|object| object.version));
            if versions.len() as u64 > most || !page.unreachable.is_empty() {
                return Err(PublishError::CrossDevice);
            }
            let Some(next) = page.next else { return Ok(versions) };
            token = Some(next);
        }
    }

    /// Whether files below a directory are not in the bucket yet, or stay in memory.
    fn has_unsent_below(&self, dir: &Dir) -> bool {
        let prefix = dir.prefix().as_str();
        self.unsent().iter().any(|(key, _)| key.as_str().starts_with(prefix))
            || self.names.bucket().any_draft_alone_below(dir)
    }

    /// Whether a program has a file open that it wrote below a directory.
    fn has_open_below(&self, dir: &Dir) -> bool {
        let prefix = dir.prefix().as_str();
        let is_below = |draft: &Arc<Draft>| {
            draft.progress().is_some_and(|progress| progress.key().as_str().starts_with(prefix))
        };
        self.names.bucket().open_drafts().iter().any(is_below)
    }
}

/// Whether a draft goes with a directory that is renamed, and where it belongs then.
fn goes_along(draft: &Draft, copies: &Copies, from: &Dir, to: &Dir) -> bool {
    let Some(progress) = draft.progress() else { return false };
    let key = progress.key();
    let seen = progress.seen().and_then(|version| version.etag);
    match copies.get(&key) {
        Some((copied, version)) if copied.etag == seen => {
            progress.note_copied(version.clone());
            true
        }
        // Made since the directory was looked at.
        None if progress.is_dirty() => {
            progress.move_to(moved(&key, from, to), None);
            true
        }
        // Somebody else's by now.
        Some(_) | None => false,
    }
}

/// The key of an object below `from` once that is `to`.
fn moved(key: &ObjectKey, from: &Dir, to: &Dir) -> ObjectKey {
    let rest = &key.as_str()[from.prefix().as_str().len()..];
    ObjectKey::new(format!("{}{rest}", to.prefix()))
}
