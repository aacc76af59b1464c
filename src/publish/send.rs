//! Putting a file into the bucket: in one request, or in parts.
//!
//! A file of up to two parts goes in one PutObject, a larger one in parts. Where a part lies
//! depends only on its number, so parts are sent while the file is written in order, and a
//! part that is written to again is sent again. Each body is a copy, so its checksum is right
//! whoever writes meanwhile. A part is read up to where the file ends at that moment, while
//! the file can't be cut, and counts as of the writes before that; an object is made of the
//! parts only if all of them are as of the last write (`seal`).
//!
//! The condition is If-None-Match where there was no object, or If-Match with the ETag that
//! was seen. An answer that was lost is `store`'s to clear up.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::sender::Sender;
use crate::drafts::{Attempt, DraftFile, Progress, SendError, SendErrorKind, Session};
use crate::key::{ETag, ObjectKey, ObjectVersion};
use crate::mem::Use;
use crate::store::{
    BeginRequest, CompleteRequest, Condition, PartRequest, PutRequest, StoreError, StoreErrorKind,
    Upload, Written,
};

/// How often a send restarts because the file kept changing.
const ATTEMPTS: u32 = 3;
/// This many parts of one file are sent at once.
pub(super) const PARTS_AT_ONCE: usize = 8;

type Outcome<T> = Result<T, Arc<SendError>>;

impl Sender {
    /// Puts a file into the bucket, if the bucket lacks some of it and, once nobody else sends
    /// it, `is_wanted` says so. The error is remembered too, and the file stays as it is.
    ///
    /// # Errors
    /// What the upload failed with; a conflict when somebody else changed the object.
    pub(super) async fn send(
        &self,
        file: &DraftFile,
        progress: &Progress,
        is_wanted: impl Fn() -> bool,
    ) -> Outcome<()> {
        let _alone = progress.still().await;
        if !progress.is_dirty() || !is_wanted() {
            return Ok(());
        }
        let outcome = self.send_all(file, progress).await;
        if let Err(error) = &outcome {
            progress.note_failed(error.clone());
        }
        outcome
    }

    async fn send_all(&self, file: &DraftFile, progress: &Progress) -> Outcome<()> {
        for _ in 0..ATTEMPTS {
            let attempt = progress.attempt();
            let key = &attempt.key;
            let size = file.bytes().stat().map_err(|error| in_memory(key, error))?.size;
            let condition = self.condition(key, attempt.seen.clone()).await?;
            let sent = match size <= self.parts().one_request_bytes() && attempt.is_whole {
                true => self.send_whole(file, progress, key, size, condition).await,
                false => self.send_parts(file, progress, &attempt, size, condition).await,
            };
            progress.break_seal();
            // Without an ETag it was written to while it was sent, and what was sent is no
            // state of it; or the server has lost parts of it.
            if let Some(etag) = sent? {
                let (key, last_modified) = (attempt.key, SystemTime::now());
                let version = ObjectVersion { key, size, etag: Some(etag), last_modified };
                self.allowed
                    .made
                    .note(&version, self.allowed.made.may_count(attempt.seen.as_ref()));
                progress.note_sent(version, attempt.writes);
                return Ok(());
            }
        }
        Err(SendError::new(&progress.key(), SendErrorKind::KeepsChanging))
    }

    async fn send_whole(
        &self,
        file: &DraftFile,
        progress: &Progress,
        key: &ObjectKey,
        size: u64,
        condition: Condition,
    ) -> Outcome<Option<ETag>> {
        let _room = self.room(key, size).await?;
        let _counted = self.budget.charge(size).of(Use::Bodies);
        let body = read(file, 0..size).map_err(|error| in_memory(key, error))?;
        if body.len() as u64 != size {
            return Ok(None);
        }
        let may_be_gone = matches!(condition, Condition::Unchanged(_));
        let request =
            PutRequest { key: key.clone(), body, content_type: self.content_type(key), condition };
        let written = self.store.put(request).await.map_err(|error| match may_be_gone {
            true => changed(key, error),
            false => failed(key, error),
        })?;
        // Parts that were sent ahead, before it was cut, are of no use any more.
        self.abandon_parts(progress);
        etag_of(key, written).map(Some)
    }

    async fn send_parts(
        &self,
        file: &DraftFile,
        progress: &Progress,
        attempt: &Attempt,
        size: u64,
        condition: Condition,
    ) -> Outcome<Option<ETag>> {
        let key = &attempt.key;
        if size > self.parts().max_bytes() {
            return Err(SendError::new(key, SendErrorKind::TooLarge));
        }
        let session = progress.session();
        let upload = self.upload(&session, key).await?;
        let missing = progress.missing_parts(size);
        if progress.any_gone(&missing) {
            return Err(SendError::new(key, SendErrorKind::LostBeginning));
        }
        let sent = stream::iter(missing)
            .map(|number| self.send_part(file, progress, &upload, number))
            .buffer_unordered(PARTS_AT_ONCE)
            .try_collect::<Vec<()>>()
            .await;
        match sent {
            Ok(_) => {}
            Err(error) if is_not_found(&error) => return self.restarted(progress, key),
            Err(error) => return Err(error),
        }
        let Some(all) = progress.seal(size, attempt.writes) else { return Ok(None) };
        let may_be_gone = matches!(condition, Condition::Unchanged(_));
        let request = CompleteRequest { upload, parts: all, condition };
        let written = match self.store.complete_upload(request).await {
            Ok(written) => written,
            Err(error) if error.kind != StoreErrorKind::NotFound => {
                return Err(failed(key, error));
            }
            // The object that it replaces is gone, or the upload.
            Err(_) => {
                if may_be_gone {
                    self.store.head(key).await.map_err(|error| changed(key, error))?;
                }
                return self.restarted(progress, key);
            }
        };
        // Completed: there is nothing to abandon.
        if let Some(upload) = session.upload.get() {
            self.record.remove(upload);
        }
        drop(progress.restart());
        etag_of(key, written).map(Some)
    }

    /// Sends one part as the file is now, unless the upload has it.
    ///
    /// # Errors
    /// What the request failed with.
    pub(super) async fn send_part(
        &self,
        file: &DraftFile,
        progress: &Progress,
        upload: &Upload,
        number: u32,
    ) -> Outcome<()> {
        let key = &upload.key;
        let range = self.parts().range(number);
        let bytes = range.end - range.start;
        let lock = progress.part_lock(number);
        let _alone = lock.lock().await;
        let _room = self.room(key, bytes).await?;
        let _counted = self.budget.charge(bytes).of(Use::Bodies);
        let part = progress.read_part(number, |range| read(file, range));
        let Some((body, as_of)) = part.map_err(|error| in_memory(key, error))? else {
            // Somebody else has sent it meanwhile.
            return Ok(());
        };
        if body.is_empty() && number > 1 {
            // Cut since: whoever wanted it sent looks again.
            return Ok(());
        }
        let request = PartRequest { upload: upload.clone(), number, body };
        let part = self.store.put_part(request).await.map_err(|error| failed(key, error))?;
        progress.note_part(part, as_of);
        Ok(())
    }

    /// The upload of a session, begun by the first who wants it.
    ///
    /// # Errors
    /// What the request failed with.
    pub(super) async fn upload(&self, session: &Session, key: &ObjectKey) -> Outcome<Upload> {
        let asked = Instant::now();
        let begin = || async {
            // Whoever waited for another one shares its end.
            let mut last = session.failed.lock().await;
            if let Some((at, error)) = &*last
                && *at >= asked
            {
                return Err(error.clone());
            }
            let request = BeginRequest::new(key.clone(), self.content_type(key));
            self.record.begin(key);
            let begun = self.store.begin_upload(request).await;
            match &begun {
                Err(error) if error.is_unanswered() => self.record.lost(key),
                answer => self.record.begun(key, answer.as_ref().ok()),
            }
            let upload = begun.map_err(|error| {
                let error = failed(key, error);
                *last = Some((Instant::now(), error.clone()));
                error
            })?;
            Ok(upload)
        };
        session.upload.get_or_try_init(begin).await.cloned()
    }

    /// What has to hold for the object to be written.
    async fn condition(&self, key: &ObjectKey, seen: Option<ObjectVersion>) -> Outcome<Condition> {
        let Some(version) = seen else { return Ok(Condition::Absent) };
        if let Some(etag) = version.etag {
            return Ok(Condition::Unchanged(etag));
        }
        // A server whose listings have no ETags: the HEAD has one.
        let head = self.store.head(key).await.map_err(|error| changed(key, error))?;
        match head.etag {
            Some(etag) if head.size == Some(version.size) => Ok(Condition::Unchanged(etag)),
            Some(_) => Err(SendError::new(key, SendErrorKind::Conflict)),
            None => Err(SendError::new(key, SendErrorKind::NoETag)),
        }
    }

    /// When the server has lost the upload, the next attempt begins a new one, if all of
    /// the file is still here.
    fn restarted<T>(&self, progress: &Progress, key: &ObjectKey) -> Outcome<Option<T>> {
        if !progress.is_whole() {
            return Err(SendError::new(key, SendErrorKind::LostParts));
        }
        if let Some(upload) = progress.restart().upload.get() {
            self.record.remove(upload);
        }
        Ok(None)
    }
}

/// The bytes of a range, fewer where the file ends, in a buffer of their own, so that
/// they stay as they are while they are sent.
fn read(file: &DraftFile, range: Range<u64>) -> std::io::Result<Bytes> {
    let length = (range.end - range.start) as usize;
    Ok(file.bytes().read(range.start, length)?.into())
}

fn in_memory(key: &ObjectKey, error: std::io::Error) -> Arc<SendError> {
    SendError::new(key, SendErrorKind::Memory(error))
}

fn failed(key: &ObjectKey, error: StoreError) -> Arc<SendError> {
    SendError::new(key, SendErrorKind::Store(Arc::new(error)))
}

/// The ETag of what was written.
fn etag_of(key: &ObjectKey, written: Written) -> Outcome<ETag> {
    written.etag.ok_or_else(|| SendError::new(key, SendErrorKind::NoETag))
}

/// As [`failed`], where an object that was there and is deleted has been changed.
fn changed(key: &ObjectKey, error: StoreError) -> Arc<SendError> {
    match error.kind {
        StoreErrorKind::NotFound => SendError::new(key, SendErrorKind::Conflict),
        _ => failed(key, error),
    }
}

fn is_not_found(error: &SendError) -> bool {
    error.store().is_some_and(|error| error.kind == StoreErrorKind::NotFound)
}
