//! Changes of names that the bucket gets to see: deleted and renamed objects, markers
//! of directories.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;

use super::change::Spot;
use super::node::{Folder, Thing};
use super::{FileSystem, FsError};
use crate::catalog::{Dir, Node};
use crate::key::{ObjectKey, ObjectVersion};
use crate::overlay::{BucketThing, Entry, Item, Made, MadeFile, Remote, SentAway, UploadConfig};
use crate::store::{
    Condition, CopyRequest, ListRequest, ListedObject, PutRequest, StoreError, StoreErrorKind,
};

/// What the markers of directories say that they are, as AWS's console has it.
const MARKER_TYPE: &str = "application/x-directory";

impl FileSystem {
    /// What may be changed in the bucket.
    ///
    /// # Errors
    /// EROFS where nothing may.
    pub(super) fn upload_config(&self) -> Result<&UploadConfig, FsError> {
        Ok(self.uploads().ok_or(FsError::ReadOnly)?.config())
    }

    /// Makes a directory by its marker.
    ///
    /// # Errors
    /// EEXIST; what the request failed with.
    pub(super) async fn make_marker(&self, spot: &Spot) -> Result<Dir, FsError> {
        let dir = spot.folder.bucket().and_then(|dir| dir.dir_of(&spot.name));
        let dir = dir.ok_or(FsError::Invalid)?;
        let request = PutRequest {
            key: ObjectKey::new(dir.prefix().as_str()),
            body: Bytes::new(),
            content_type: Some(Arc::from(MARKER_TYPE)),
            condition: Condition::Absent,
        };
        match self.store.put(request).await {
            Ok(_) => {}
            Err(error) if error.kind == StoreErrorKind::Changed => return Err(FsError::Exists),
            Err(error) => return Err(Arc::new(error).into()),
        }
        self.catalog.invalidate(&dir);
        self.show_in_bucket(spot, Some(Node::Dir(dir.clone())));
        Ok(dir)
    }

    /// Deletes the marker of a directory that has nothing else in it.
    ///
    /// # Errors
    /// ENOTEMPTY, EPERM where nothing may be deleted; what the requests failed with.
    pub(super) async fn delete_marker(&self, spot: &Spot, dir: &Dir) -> Result<(), FsError> {
        let request = ListRequest {
            prefix: dir.prefix().clone(),
            delimited: false,
            token: None,
            max_keys: 2,
        };
        let page = self.store.list_page(request).await.map_err(Arc::new)?;
        let is_marker =
            |object: &ListedObject| object.version.key.as_str() == dir.prefix().as_str();
        if page.next.is_some() || page.objects.iter().any(|object| !is_marker(object)) {
            self.catalog.invalidate(dir);
            return Err(FsError::NotEmpty);
        }
        if let Some(marker) = page.objects.first() {
            self.delete_version(&marker.version).await?;
        }
        self.overlay()?.tree().take_attributes(&BucketThing::Dir(dir.clone()));
        self.show_in_bucket(spot, None);
        Ok(())
    }

    /// Deletes a file: what the bucket has of it, or what it was to become.
    ///
    /// # Errors
    /// EPERM where nothing may be deleted; ESTALE when somebody else changed the object.
    pub(super) async fn delete_file(&self, spot: &Spot, thing: &Thing) -> Result<(), FsError> {
        let uploads = self.uploads().ok_or(FsError::ReadOnly)?;
        let remote = of_made(thing);
        // While a file is sent it can't be said which version there is.
        let _still = match remote {
            Some(remote) => Some(remote.still().await),
            None => None,
        };
        if let Some(version) = Self::seen(thing)
            && !remote.is_some_and(Remote::is_conflict)
        {
            self.delete_version(&version).await?;
            self.overlay()?.tree().take_attributes(&BucketThing::object(&version));
            self.show_in_bucket(spot, None);
        } else {
            // The bucket has nothing of it, or somebody else's: that shows again.
            self.show_again(spot)?;
        }
        if let (Thing::Made(made), Some(remote)) = (thing, remote) {
            uploads.abandon_parts(remote);
            made.remove_link();
            uploads.note_clean(made);
            self.file_states.forget(made.ino());
        }
        Ok(())
    }

    /// Renames a file that belongs into the bucket, on the server.
    ///
    /// # Errors
    /// EPERM where nothing may be overwritten or deleted; EXDEV where only a copy will
    /// do; ESTALE when somebody else changed either object.
    pub(super) async fn rename_file(
        &self,
        from: &Spot,
        source: &Thing,
        to: &Spot,
        target: Option<&Thing>,
    ) -> Result<(), FsError> {
        let config = self.upload_config()?;
        let key = self.key_for(&to.folder, &to.name)?.ok_or(FsError::CrossDevice)?;
        let target_seen = target.and_then(Self::seen);
        if target_seen.is_some() && !config.allow_overwrite {
            return Err(FsError::NotPermitted);
        }
        let source_seen = Self::seen(source);
        if source_seen.is_some() && !config.allow_delete {
            return Err(FsError::NotPermitted);
        }
        let replaced = match target {
            Some(Thing::Made(made)) => Some(made),
            _ => None,
        };
        match source {
            Thing::Made(made) => {
                self.rename_made(made, to, key, target_seen, replaced).await?;
            }
            Thing::Object(object) => {
                let version = self.copy(&object.version, key, target_seen).await?;
                let copied = ListedObject { version, storage_class: object.storage_class.clone() };
                self.show_copied(to, copied.clone(), replaced);
                self.cache.note_copied(&object.version, &copied.version);
                self.delete_version(&object.version).await?;
                self.overlay()?.tree().move_attributes(|thing| {
                    let is_it = *thing == BucketThing::object(&object.version);
                    is_it.then(|| BucketThing::object(&copied.version))
                });
                let ino = self.inodes().number_of(source);
                self.inodes().replace(ino, Thing::Object(copied));
            }
            Thing::Dir(_) | Thing::View(_) => return Err(FsError::CrossDevice),
        }
        if source_seen.is_some() {
            self.show_in_bucket(from, None);
        } else {
            self.show_again(from)?;
        }
        Ok(())
    }

    /// Has a file in memory become another object: the server copies what it has, also
    /// when more is being written; what it has not got is sent under the new name.
    async fn rename_made(
        &self,
        made: &Arc<Made>,
        to: &Spot,
        key: ObjectKey,
        target_seen: Option<ObjectVersion>,
        replaced: Option<&Arc<Made>>,
    ) -> Result<(), FsError> {
        let uploads = self.uploads().ok_or(FsError::ReadOnly)?;
        let file = made.file().ok_or(FsError::CrossDevice)?;
        match file.remote() {
            None => self.publish(made, file, uploads.remote(key, target_seen, false)).await?,
            Some(remote) => {
                let still = remote.still().await;
                let is_written = remote.is_whole() && self.is_open(made.ino());
                let to_copy = match remote.settled() {
                    Some((version, _)) => Some(version),
                    None => remote.seen().filter(|_| is_written),
                };
                if let Some(version) = to_copy {
                    let copied = self.copy(&version, key, target_seen).await?;
                    let shown = ListedObject { version: copied.clone(), storage_class: None };
                    self.show_copied(to, shown, replaced);
                    self.cache.note_copied(&version, &copied);
                    self.delete_version(&version).await?;
                    if remote.is_dirty() {
                        uploads.abandon_parts(remote);
                    }
                    remote.note_copied(copied);
                } else if !remote.is_whole() {
                    // The upload is of the old name, and has what is not in memory.
                    return Err(std::io::Error::other(SentAway).into());
                } else {
                    let (before, seen) = (remote.key(), remote.seen());
                    let problem = remote.problem();
                    uploads.abandon_parts(remote);
                    remote.move_to(key, target_seen);
                    drop(still);
                    if let Err(error) = self.send_moved(made, seen.as_ref()).await {
                        if let Some((version, _)) = remote.settled() {
                            let shown = ListedObject { version, storage_class: None };
                            self.show_copied(to, shown, replaced);
                        }
                        uploads.abandon_parts(remote);
                        let told = match &error {
                            FsError::Store(error) => Some(error.clone()),
                            _ => None,
                        };
                        remote.move_to(before, seen);
                        remote.note_problem(problem.or(told));
                        uploads.note_dirty(made);
                        return Err(error);
                    }
                }
            }
        }
        if let Some(replaced) = replaced {
            self.drop_made(replaced);
        }
        self.put_made(made, to)?;
        if !self.is_open(made.ino()) {
            self.keep(made.clone());
        }
        Ok(())
    }

    /// Sends a file under its new name, unless it is still being written, and deletes
    /// what it was before.
    async fn send_moved(
        &self,
        made: &Arc<Made>,
        before: Option<&ObjectVersion>,
    ) -> Result<(), FsError> {
        if !self.is_open(made.ino()) {
            self.send(made).await?;
        }
        match before {
            Some(version) => self.delete_version(version).await,
            None => Ok(()),
        }
    }

    /// Has a file that stayed in memory so far become an object, once it is one.
    async fn publish(
        &self,
        made: &Arc<Made>,
        file: &Arc<MadeFile>,
        remote: Remote,
    ) -> Result<(), FsError> {
        let uploads = self.uploads().ok_or(FsError::ReadOnly)?;
        if self.is_open(made.ino()) {
            return Err(FsError::CrossDevice);
        }
        let before = file.bytes().stat()?;
        if let Err(error) = uploads.send(file, &remote).await {
            uploads.abandon_parts(&remote);
            return Err(error.into());
        }
        file.publish(remote);
        let now = file.bytes().stat()?;
        if self.is_open(made.ino()) || (now.size, now.modified) != (before.size, before.modified) {
            // Somebody writes to it meanwhile: it is sent again when that is closed.
            file.note_written_unseen();
            self.note_written(made);
        }
        Ok(())
    }

    fn put_made(&self, made: &Arc<Made>, to: &Spot) -> Result<(), FsError> {
        let item = Entry::Item(Item::Made(made.clone()));
        self.overlay()?.tree().put(&to.folder.key(), &to.name, item)?;
        made.set_home(to.folder.key(), &to.name);
        Ok(())
    }

    /// Notes that a name stands for what was copied there, and not for a file any more
    /// that it replaces.
    fn show_copied(&self, to: &Spot, copied: ListedObject, replaced: Option<&Arc<Made>>) {
        if let Some(replaced) = replaced {
            self.drop_made(replaced);
        }
        self.show_in_bucket(to, Some(Node::Object(copied)));
    }

    /// Forgets which object was put under a name: it is another one by now.
    pub(super) fn forget_object(&self, folder: &Folder, name: &str) {
        let (Some(overlay), Some(_)) = (&self.overlay, self.uploads()) else { return };
        let mut tree = overlay.tree();
        if let Some(Entry::Item(Item::Bucket(Node::Object(_)))) = tree.find(&folder.key(), name) {
            tree.clear(&folder.key(), name);
        }
    }

    /// Has a name stand for what the bucket has there, if anything.
    fn show_again(&self, spot: &Spot) -> Result<(), FsError> {
        self.overlay()?.tree().clear(&spot.folder.key(), &spot.name);
        if let Some(dir) = spot.folder.bucket() {
            self.catalog.invalidate(dir);
        }
        Ok(())
    }

    /// Copies a version, in place of another one or of none.
    pub(super) async fn copy(
        &self,
        from: &ObjectVersion,
        to: ObjectKey,
        replaced: Option<ObjectVersion>,
    ) -> Result<ObjectVersion, FsError> {
        let condition = match replaced {
            None => Condition::Absent,
            Some(ObjectVersion { etag: Some(etag), .. }) => Condition::Unchanged(etag),
            Some(_) => return Err(FsError::CrossDevice),
        };
        let (from, key) = (from.clone(), to.clone());
        let size = from.size;
        let request = CopyRequest { from, to, condition, content_type: None };
        let written = self.store.copy(request).await.map_err(stale)?;
        let etag = match written.etag {
            Some(etag) => Some(etag),
            None => self.store.head(&key).await.map_err(stale)?.etag,
        };
        Ok(ObjectVersion { key, size, etag, last_modified: SystemTime::now() })
    }

    /// Deletes an object, if it is this version still.
    ///
    /// # Errors
    /// EPERM where nothing may be deleted; ESTALE when it is another one by now.
    pub(super) async fn delete_version(&self, version: &ObjectVersion) -> Result<(), FsError> {
        if !self.upload_config()?.allow_delete {
            return Err(FsError::NotPermitted);
        }
        match self.store.delete(&version.key, version.etag.as_ref()).await {
            Ok(()) => Ok(()),
            // Somebody else was quicker.
            Err(error) if error.kind == StoreErrorKind::NotFound => Ok(()),
            Err(error) => Err(Arc::new(error).into()),
        }
    }

    /// Notes what a name stands for in the bucket since just now, which listings that
    /// are in memory do not know.
    pub(super) fn show_in_bucket(&self, spot: &Spot, node: Option<Node>) {
        let Some(overlay) = &self.overlay else { return };
        let entry = node.map_or(Entry::Hidden, |node| Entry::Item(Item::Bucket(node)));
        let until = self.known_until(Instant::now());
        overlay.tree().put_until(&spot.folder.key(), &spot.name, entry, until);
    }

    /// Lets go of a file whose name was taken by another one.
    pub(super) fn drop_made(&self, made: &Arc<Made>) {
        made.remove_link();
        self.file_states.forget(made.ino());
        if let Some(uploads) = self.uploads() {
            uploads.abandon_deleted(made.clone());
            uploads.note_clean(made);
        }
    }
}

fn of_made(thing: &Thing) -> Option<&Remote> {
    match thing {
        Thing::Made(made) => made.file()?.remote(),
        Thing::Dir(_) | Thing::Object(_) | Thing::View(_) => None,
    }
}

/// An object that is not there any more was changed by somebody else.
fn stale(error: StoreError) -> FsError {
    match error.kind {
        StoreErrorKind::NotFound => FsError::Stale,
        _ => Arc::new(error).into(),
    }
}
