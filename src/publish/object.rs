//! Deleting, renaming and copying one object.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::OwnedRwLockWriteGuard;

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
    /// EPERM where it may not be deleted; ESTALE when somebody else changed the object.
    pub async fn delete(&self, place: &Place, thing: &Thing) -> Outcome<()> {
        let progress = thing.draft().and_then(|draft| draft.progress());
        // While a file is sent nobody can say which version there is.
        let _still = match progress {
            Some(progress) => Some(progress.still().await),
            None => None,
        };
        let thing = &by_now(thing);
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

    /// Renames a file that belongs into the bucket, on the server. Returns what has the new
    /// name: the draft, or the object that stands for it by now.
    ///
    /// # Errors
    /// EPERM where either may not be overwritten or deleted; EXDEV where only a copy will do;
    /// ESTALE when somebody else changed either object.
    pub async fn rename(
        self: &Arc<Self>,
        (from, source): (&Place, &Thing),
        (to, target): (&Place, Option<&Thing>),
    ) -> Outcome<Thing> {
        let key = self.config.key_for(&to.folder, &to.name)?.ok_or(PublishError::CrossDevice)?;
        // While either is sent nobody can say which version there is.
        let mut still = still([Some(source), target]).await;
        let (source, target) = (by_now(source), target.map(by_now));
        let target_seen = target.as_ref().and_then(Thing::seen);
        if target_seen.as_ref().is_some_and(|version| !self.allowed().overwrites(version)) {
            return Err(PublishError::NotPermitted);
        }
        let source_seen = source.seen();
        if source_seen.as_ref().is_some_and(|version| !self.allowed().deletes(version)) {
            return Err(PublishError::NotPermitted);
        }
        let replaced = target.as_ref().and_then(Thing::draft);
        match &source {
            Thing::Draft(draft) => {
                let still = still.remove(&draft.ino());
                self.rename_draft((draft, still), to, key, target_seen, replaced).await?;
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
        Ok(by_now(&source))
    }

    /// Makes a draft another object: the server copies what it has, also when more is
    /// being written; what it lacks is sent under the new name.
    async fn rename_draft(
        self: &Arc<Self>,
        (draft, mut still): (&Arc<Draft>, Option<Still>),
        to: &Place,
        key: ObjectKey,
        target_seen: Option<ObjectVersion>,
        replaced: Option<&Arc<Draft>>,
    ) -> Outcome<()> {
        match draft.progress() {
            None => self.publish(draft, self.progress(key, target_seen, false)).await?,
            Some(progress) => {
                let is_written = progress.is_whole() && self.drafts.opened().is_open(draft.ino());
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
                    still.take();
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
        // One that was sent under its new name may have been let go for its object since then.
        let still = match (still, draft.progress()) {
            (None, Some(progress)) => Some(progress.still().await),
            (still, _) => still,
        };
        if let Some(version) = draft.progress().and_then(Progress::let_go_for) {
            self.show_copied(to, listed(version), replaced);
            return Ok(());
        }
        if let Some(replaced) = replaced {
            self.drop_draft(replaced);
        }
        self.names.add(to, draft)?;
        drop(still);
        if !self.drafts.opened().is_open(draft.ino()) && !draft.is_dirty() {
            self.keep(draft.clone());
        }
        Ok(())
    }

    /// Sends a file under its new name, unless it is still being written, and deletes
    /// what it was before.
    async fn send_moved(
        self: &Arc<Self>,
        draft: &Arc<Draft>,
        before: Option<&ObjectVersion>,
    ) -> Outcome<()> {
        match self.drafts.opened().is_open(draft.ino()) {
            true => {}
            // What it was before is deleted once it is there under its new name.
            false if before.is_some() => self.send(draft).await?,
            false => self.send_or_wait(draft).await?,
        }
        match before {
            Some(version) => self.delete_version(version).await,
            None => Ok(()),
        }
    }

    /// Makes a file that stayed in memory so far an object.
    async fn publish(&self, draft: &Arc<Draft>, progress: Progress) -> Outcome<()> {
        let file = draft.file().ok_or(PublishError::CrossDevice)?;
        if self.drafts.opened().is_open(draft.ino()) {
            return Err(PublishError::CrossDevice);
        }
        let before = file.bytes().stat()?;
        if let Err(error) = self.sender.send(file, &progress, || true).await {
            self.sender.abandon_parts(&progress);
            return Err(error.into());
        }
        file.publish(progress);
        let now = file.bytes().stat()?;
        if self.drafts.opened().is_open(draft.ino())
            || (now.size, now.modified) != (before.size, before.modified)
        {
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
        let made = &self.allowed().made;
        let is_made = made.has(from) && made.may_count(replaced.as_ref());
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
        let copy = ObjectVersion { key, size, etag, last_modified: SystemTime::now() };
        made.note(&copy, is_made);
        Ok(copy)
    }

    /// Deletes an object, if it is still this version.
    ///
    /// # Errors
    /// EPERM where it may not be deleted; ESTALE when it is another one by now.
    pub(super) async fn delete_version(&self, version: &ObjectVersion) -> Outcome<()> {
        if !self.allowed().deletes(version) {
            return Err(PublishError::NotPermitted);
        }
        match self.sender.store.delete(&version.key, version.etag.as_ref()).await {
            Ok(()) => {}
            // Somebody else was quicker.
            Err(error) if error.kind == StoreErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        self.allowed().made.forget(&version.key);
        Ok(())
    }
}

/// The right to know which version there is of a file, while nobody sends it.
type Still = OwnedRwLockWriteGuard<()>;

/// Waits until none of these is being sent, and keeps it so; by inode number.
async fn still(things: [Option<&Thing>; 2]) -> BTreeMap<u64, Still> {
    let drafts = things.into_iter().flatten().filter_map(Thing::draft);
    let by_number: BTreeMap<u64, &Arc<Draft>> = drafts.map(|draft| (draft.ino(), draft)).collect();
    let mut held = BTreeMap::new();
    for (ino, draft) in by_number {
        if let Some(progress) = draft.progress() {
            held.insert(ino, progress.still().await);
        }
    }
    held
}

/// What a thing is once nothing of it is sent: a draft may have been let go for its object
/// since it was looked up.
fn by_now(thing: &Thing) -> Thing {
    let version = thing.draft().and_then(|draft| draft.progress()?.let_go_for());
    version.map_or_else(|| thing.clone(), object)
}

fn listed(version: ObjectVersion) -> ListedObject {
    ListedObject { version, storage_class: None }
}

fn object(version: ObjectVersion) -> Thing {
    Thing::Object(listed(version))
}
