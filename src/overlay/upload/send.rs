//! Putting a file into the bucket: in one request, or in parts.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::remote::{Remote, Session};
use super::{PARTS_AT_ONCE, Uploads};
use crate::key::{ETag, ObjectKey, ObjectVersion};
use crate::overlay::{Made, MadeFile};
use crate::store::{
    BeginRequest, CompleteRequest, Condition, PartRequest, PutRequest, StoreError, StoreErrorKind,
    Upload,
};

/// A file that is written all the time while it is sent is sent again so often.
const ATTEMPTS: u32 = 3;

type Outcome<T> = Result<T, Arc<StoreError>>;

impl Uploads {
    /// Puts a file into the bucket, if the bucket has not got all of it. The error is
    /// remembered too, and the file stays as it is.
    ///
    /// # Errors
    /// What the upload failed with: `Changed` when somebody else has changed the object.
    pub async fn send(&self, file: &MadeFile, remote: &Remote) -> Outcome<()> {
        let _alone = remote.sending.write().await;
        if !remote.is_dirty() {
            return Ok(());
        }
        let outcome = self.send_all(file, remote).await;
        if let Err(error) = &outcome {
            remote.lock().problem = Some(error.clone());
        }
        outcome
    }

    async fn send_all(&self, file: &MadeFile, remote: &Remote) -> Outcome<()> {
        let mut attempt = 1;
        loop {
            let (key, seen, writes, is_whole) = {
                let state = remote.lock();
                (state.key.clone(), state.seen.clone(), state.writes, state.is_whole())
            };
            let size = file.bytes().stat().map_err(|error| local(&key, &error))?.size;
            let condition = self.condition(&key, seen).await?;
            let sent = match size <= self.parts.one_request_bytes() && is_whole {
                true => self.send_whole(file, remote, &key, size, condition).await,
                false => self.send_parts(file, remote, &key, size, writes, condition).await,
            };
            let mut state = remote.lock();
            state.break_seal();
            match sent {
                Ok(Some(etag)) => {
                    let last_modified = SystemTime::now();
                    let version = ObjectVersion { key, size, etag: Some(etag), last_modified };
                    state.seen = Some(version);
                    state.sent = Some(writes);
                    state.sent_at = Some(Instant::now());
                    state.problem = None;
                    return Ok(());
                }
                // It was written to while it was sent, and what was sent is no state of it;
                // or the server has lost parts of it.
                Ok(None) if attempt < ATTEMPTS => attempt += 1,
                Ok(None) => {
                    let detail =
                        "the file is written all the time while it is sent, or its parts get lost";
                    return Err(Arc::new(StoreError::new(
                        StoreErrorKind::Other,
                        format!("PUT {key}"),
                        detail,
                    )));
                }
                Err(error) => return Err(gone_is_changed(error)),
            }
        }
    }

    async fn send_whole(
        &self,
        file: &MadeFile,
        remote: &Remote,
        key: &ObjectKey,
        size: u64,
        condition: Condition,
    ) -> Outcome<Option<ETag>> {
        let _room = self.room(key, size).await?;
        let _counted = self.budget.charge(size);
        let body = read(file, 0..size).map_err(|error| local(key, &error))?;
        if body.len() as u64 != size {
            return Ok(None);
        }
        let request =
            PutRequest { key: key.clone(), body, content_type: self.content_type(key), condition };
        let written = self.store.put(request).await.map_err(Arc::new)?;
        // Parts that were sent ahead, before it was cut, are of no use any more.
        let session = remote.lock().restart();
        self.abandon(session);
        self.etag_of(key, written.etag).await.map(Some)
    }

    async fn send_parts(
        &self,
        file: &MadeFile,
        remote: &Remote,
        key: &ObjectKey,
        size: u64,
        writes: u64,
        condition: Condition,
    ) -> Outcome<Option<ETag>> {
        if size > self.parts.max_bytes() {
            let detail = "files of more than 640 GiB can't be sent";
            let request = format!("PUT {key}");
            return Err(Arc::new(StoreError::new(StoreErrorKind::Full, request, detail)));
        }
        let session = remote.lock().session.clone();
        let upload = self.upload(&session, key).await?;
        let missing: Vec<_> = {
            let state = remote.lock();
            let numbers = self.parts.of(size).map(|(number, _)| number);
            numbers.filter(|number| state.valid_part(*number).is_none()).collect()
        };
        if missing.iter().any(|number| remote.lock().is_gone(*number)) {
            let detail =
                "the beginning of the file, which did not fit into --write-memory, is lost";
            let request = format!("PUT {key}");
            return Err(Arc::new(StoreError::new(StoreErrorKind::Other, request, detail)));
        }
        let sent = stream::iter(missing)
            .map(|number| self.send_part(file, remote, &upload, number))
            .buffer_unordered(PARTS_AT_ONCE)
            .try_collect::<Vec<()>>()
            .await;
        match sent {
            Ok(_) => {}
            Err(error) if error.kind == StoreErrorKind::NotFound => {
                return self.restarted(remote, key);
            }
            Err(error) => return Err(error),
        }
        let Some(all) = remote.seal(size, writes) else { return Ok(None) };
        let may_be_gone = matches!(condition, Condition::Unchanged(_));
        let request = CompleteRequest { upload, parts: all, condition };
        let written = match self.store.complete_upload(request).await {
            Ok(written) => written,
            Err(error) if error.kind != StoreErrorKind::NotFound => return Err(Arc::new(error)),
            // The object that it replaces is gone, or the upload.
            Err(_) => {
                if may_be_gone {
                    self.store.head(key).await.map_err(Arc::new)?;
                }
                return self.restarted(remote, key);
            }
        };
        // Completed: there is nothing to abandon.
        if let Some(upload) = session.upload.get() {
            self.record.remove(upload);
        }
        drop(remote.lock().restart());
        self.etag_of(key, written.etag).await.map(Some)
    }

    async fn send_part(
        &self,
        file: &MadeFile,
        remote: &Remote,
        upload: &Upload,
        number: u32,
    ) -> Outcome<()> {
        let range = self.parts.range(number);
        let bytes = range.end - range.start;
        let lock = remote.part_lock(number);
        let _alone = lock.lock().await;
        let _room = self.room(&upload.key, bytes).await?;
        let _counted = self.budget.charge(bytes);
        let part = remote.read_part(number, |range| read(file, range));
        let Some((body, as_of)) = part.map_err(|error| local(&upload.key, &error))? else {
            // Somebody else has sent it meanwhile.
            return Ok(());
        };
        if body.is_empty() && number > 1 {
            // Cut since: whoever wanted it sent looks again.
            return Ok(());
        }
        let request = PartRequest { upload: upload.clone(), number, body };
        let part = self.store.put_part(request).await.map_err(Arc::new)?;
        remote.lock().add_part(part, as_of);
        Ok(())
    }

    /// Sends a part of a file that is still being written. What goes wrong is left
    /// to whoever closes the file.
    pub async fn send_ahead(&self, made: &Made, number: u32) {
        let Some(file) = made.file() else { return };
        let Some(remote) = file.remote() else { return };
        let _ahead = remote.sending.read().await;
        if made.links() > 0 && remote.lock().goes_ahead() {
            self.send_early(file, remote, number).await;
        }
    }

    /// The same, whatever is sent ahead.
    pub(super) async fn send_early(&self, file: &MadeFile, remote: &Remote, number: u32) {
        let (key, session) = {
            let state = remote.lock();
            if state.valid_part(number).is_some() || state.problem.is_some() {
                return;
            }
            (state.key.clone(), state.session.clone())
        };
        let sent = async {
            let upload = self.upload(&session, &key).await?;
            self.send_part(file, remote, &upload, number).await
        };
        if let Err(error) = sent.await {
            tracing::debug!("part {number} was not sent ahead: {error}");
        }
    }

    /// The upload of a session, begun by the first who wants it.
    async fn upload(&self, session: &Session, key: &ObjectKey) -> Outcome<Upload> {
        let begin = || async {
            let begin = BeginRequest::new(key.clone(), self.content_type(key));
            let upload = self.store.begin_upload(begin).await.map_err(Arc::new)?;
            self.record.add(&upload);
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
        let head = self.store.head(key).await.map_err(Arc::new).map_err(gone_is_changed)?;
        match head.etag {
            Some(etag) if head.size == version.size => Ok(Condition::Unchanged(etag)),
            _ => {
                let detail = "the object was overwritten since it was opened";
                let request = format!("PUT {key}");
                Err(Arc::new(StoreError::new(StoreErrorKind::Changed, request, detail)))
            }
        }
    }

    /// The ETag of what was written, asked for where the answer had none.
    async fn etag_of(&self, key: &ObjectKey, etag: Option<ETag>) -> Outcome<ETag> {
        if let Some(etag) = etag {
            return Ok(etag);
        }
        let head = self.store.head(key).await.map_err(Arc::new)?;
        head.etag.ok_or_else(|| {
            let detail = "the server tells no ETag, so nothing would be safe to overwrite";
            Arc::new(StoreError::new(StoreErrorKind::Other, format!("HEAD {key}"), detail))
        })
    }

    /// When the server has lost the upload, the next attempt begins a new one, if all
    /// of the file is still here.
    fn restarted<T>(&self, remote: &Remote, key: &ObjectKey) -> Outcome<Option<T>> {
        let mut state = remote.lock();
        if !state.is_whole() {
            let detail = "the server has lost the parts that were sent";
            let request = format!("PUT {key}");
            return Err(Arc::new(StoreError::new(StoreErrorKind::Other, request, detail)));
        }
        if let Some(upload) = state.restart().upload.get() {
            self.record.remove(upload);
        }
        Ok(None)
    }
}

/// The bytes of a range, fewer where the file ends, in a buffer of their own, so that
/// they stay as they are while they are sent.
fn read(file: &MadeFile, range: Range<u64>) -> std::io::Result<Bytes> {
    let length = (range.end - range.start) as usize;
    Ok(file.bytes().read(range.start, length)?.into())
}

fn local(key: &ObjectKey, error: &std::io::Error) -> Arc<StoreError> {
    let detail = format!("the file in memory can't be read: {error}");
    Arc::new(StoreError::new(StoreErrorKind::Other, format!("PUT {key}"), detail))
}

/// An object that was there and is deleted has been changed.
fn gone_is_changed(error: Arc<StoreError>) -> Arc<StoreError> {
    if error.kind != StoreErrorKind::NotFound {
        return error;
    }
    let (request, detail) = (error.request.clone(), error.detail.clone());
    Arc::new(StoreError::new(StoreErrorKind::Changed, request, detail))
}
