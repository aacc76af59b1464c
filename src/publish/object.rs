//! Deleting, renaming and copying one object.

use std::sync::Arc;
use std::time::SystemTime;

use super::{PublishError, Publisher};
use crate::catalog::Node;
use crate::drafts::{Draft, Progress, SentAway};
use crate::key::{ObjectKey, ObjectVersion};
use crate::names::{Place, Thing};
use crate::store::{Condition, CopyRequest, ListedObject, StoreErrorKind};

type Outcome<T> = Result<T, PublishError>;

impl Publisher {
    /// Deletes a file: what the bucket has of it, or what it was to become.
    ///
    /// # Errors
    /// EPERM where nothing may be deleted; ESTALE when somebody else changed the object.
    pub async fn delete(&self, place: &Place, thing: &Thing) -> Outcome<()> {
        let progress = thing.draft().and_then(|draft| draft.progress());
        // While a file is sent nobody can say which version there is.
        let _still = match progress {
            Some(progress) => Some(progress.still().await),
            None => None,
        };
        let version = thing.seen().filter(|_| !progress.is_some_and(Progress::is_conflict));
        if let Some(version) = version {
            self.delete_version(&version).await?;
            self.names.bucket().forget_attributes(&object(version));
            self.names.bucket().show(place, None);
        } else {
            // The bucket has nothing of it, or somebody else's: that shows again.
            self.names.bucket().show_again(place);
        }
        if let (Thing::Draft(draft), Some(progress)) = (thing, progress) {
            self.sender.abandon_parts(progress);
            draft.remove_link();
            self.waiting.note_clean(draft);
            self.names.forget_draft(draft.ino());
        }
        Ok(())
    }

    /// Renames a file that belongs into the bucket, on the server.
    ///
    /// # Errors
    /// EPERM where nothing may be overwritten or deleted; EXDEV where only a copy will do;
    /// ESTALE when somebody else changed either object.
    pub async fn rename(
        &self,
        (from, source): (&Place, &Thing),
        (to, target): (&Place, Option<&Thing>),
    ) -> Outcome<()> {
        let key = self.key_for(&to.folder, &to.name)?.ok_or(PublishError::CrossDevice)?;
        let target_seen = target.and_then(Thing::seen);
        if target_seen.is_some() && !self.config.allow_overwrite {
            return Err(PublishError::NotPermitted);
        }
        let source_seen = source.seen();
        if source_seen.is_some() && !self.config.allow_delete {
            return Err(PublishError::NotPermitted);
        }
        let replaced = target.and_then(Thing::draft);
        match source {
            Thing::Draft(draft) => {
                self.rename_draft(draft, to, key, target_seen, replaced).await?;
            }
            Thing::Object(object) => {
                let version = self.copy(&object.version, key, target_seen).await?;
                let copied = ListedObject { version, storage_class: object.storage_class.clone() };
                self.show_copied(to, copied.clone(), replaced);
                self.cache.note_copied(&object.version, &copied.version);
                self.delete_version(&object.version).await?;
                self.names.bucket().became(object, copied);
            }
            Thing::Dir(_) | Thing::Sibling(_) => return Err(PublishError::CrossDevice),
        }
        if source_seen.is_some() {
            self.names.bucket().show(from, None);
        } else {
            self.names.bucket().show_again(from);
        }
        Ok(())
    }

    /// Makes a draft another object: the server copies what it has, also when more is
    /// being written; what it lacks is sent under the new name.
    async fn rename_draft(
        &self,
        draft: &Arc<Draft>,
        to: &Place,
        key: ObjectKey,
        target_seen: Option<ObjectVersion>,
        replaced: Option<&Arc<Draft>>,
    ) -> Outcome<()> {
        match draft.progress() {
            None => self.publish(draft, self.progress(key, target_seen, false)).await?,
            Some(progress) => {
                let still = progress.still().await;
                let is_written = progress.is_whole() && self.is_open(draft);
                let to_copy = match progress.settled() {
                    Some((version, _)) => Some(version),
                    None => progress.seen().filter(|_| is_written),
                };
                if let Some(version) = to_copy {
                    let copied = self.copy(&version, key, target_seen).await?;
                    self.show_copied(to, listed(copied.clone()), replaced);
                    self.cache.note_copied(&version, &copied);
                    self.delete_version(&version).await?;
                    if progress.is_dirty() {
                        self.sender.abandon_parts(progress);
                    }
                    progress.note_copied(copied);
                } else if !progress.is_whole() {
                    // The upload is of the old name, and has what is not in memory.
                    return Err(std::io::Error::other(SentAway).into());
                } else {
                    let (before, seen) = (progress.key(), progress.seen());
                    let problem = progress.problem();
                    self.sender.abandon_parts(progress);
                    progress.move_to(key, target_seen);
                    drop(still);
                    if let Err(error) = self.send_moved(draft, seen.as_ref()).await {
                        if let Some((version, _)) = progress.settled() {
                            self.show_copied(to, listed(version), replaced);
                        }
                        self.sender.abandon_parts(progress);
                        progress.move_to(before, seen);
                        if let Some(problem) =
                            problem.or_else(|| error.as_send_error(&progress.key()))
                        {
                            progress.note_failed(problem);
                        }
                        self.waiting.note_dirty(draft);
                        return Err(error);
                    }
                }
            }
        }
        if let Some(replaced) = replaced {
            self.drop_draft(replaced);
        }
        self.names.add(to, draft)?;
        if !self.is_open(draft) {
            self.keep(draft.clone());
        }
        Ok(())
    }

    /// Sends a file under its new name, unless it is still being written, and deletes
    /// what it was before.
    async fn send_moved(&self, draft: &Arc<Draft>, before: Option<&ObjectVersion>) -> Outcome<()> {
        if !self.is_open(draft) {
            self.send(draft).await?;
        }
        match before {
            Some(version) => self.delete_version(version).await,
            None => Ok(()),
        }
    }

    /// Makes a file that stayed in memory so far an object.
    async fn publish(&self, draft: &Arc<Draft>, progress: Progress) -> Outcome<()> {
        let file = draft.file().ok_or(PublishError::CrossDevice)?;
        if self.is_open(draft) {
            return Err(PublishError::CrossDevice);
        }
        let before = file.bytes().stat()?;
        if let Err(error) = self.sender.send(file, &progress).await {
            self.sender.abandon_parts(&progress);
            return Err(error.into());
        }
        file.publish(progress);
        let now = file.bytes().stat()?;
        if self.is_open(draft) || (now.size, now.modified) != (before.size, before.modified) {
            // Somebody writes to it meanwhile: it is sent again when that is closed.
            file.note_written_unseen();
            self.waiting.note_dirty(draft);
        }
        Ok(())
    }

    /// Notes that a name stands for what was copied there, and no longer for a draft that
    /// the copy replaces.
    fn show_copied(&self, to: &Place, copied: ListedObject, replaced: Option<&Arc<Draft>>) {
        if let Some(replaced) = replaced {
            self.drop_draft(replaced);
        }
        self.names.bucket().show(to, Some(Node::Object(copied)));
    }

    /// Copies a version, in place of another one or of none.
    ///
    /// # Errors
    /// ESTALE when somebody else changed either; EXDEV where the server tells no ETag.
    pub(super) async fn copy(
        &self,
        from: &ObjectVersion,
        to: ObjectKey,
        replaced: Option<ObjectVersion>,
    ) -> Outcome<ObjectVersion> {
        let condition = match replaced {
            None => Condition::Absent,
            Some(ObjectVersion { etag: Some(etag), .. }) => Condition::Unchanged(etag),
            Some(_) => return Err(PublishError::CrossDevice),
        };
        let (from, key) = (from.clone(), to.clone());
        let size = from.size;
        let request = CopyRequest { from, to, condition, content_type: None };
        let copied = self.sender.store.copy(request).await;
        let etag = copied.map_err(PublishError::of_source)?.etag;
        Ok(ObjectVersion { key, size, etag, last_modified: SystemTime::now() })
    }

    /// Deletes an object, if it is still this version.
    ///
    /// # Errors
    /// EPERM where nothing may be deleted; ESTALE when it is another one by now.
    pub(super) async fn delete_version(&self, version: &ObjectVersion) -> Outcome<()> {
        if !self.config.allow_delete {
            return Err(PublishError::NotPermitted);
        }
        match self.sender.store.delete(&version.key, version.etag.as_ref()).await {
            Ok(()) => Ok(()),
            // Somebody else was quicker.
            Err(error) if error.kind == StoreErrorKind::NotFound => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn listed(version: ObjectVersion) -> ListedObject {
    ListedObject { version, storage_class: None }
}

fn object(version: ObjectVersion) -> Thing {
    Thing::Object(listed(version))
}
