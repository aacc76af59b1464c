//! What became of a write whose answer does not say it.
//!
//! | the answer | what is done |
//! |---|---|
//! | success with an ETag | it is believed |
//! | success without an ETag | a HEAD has to show our bytes |
//! | none, or a page that no S3 server sends | one HEAD may show our bytes; otherwise the write is remembered as in doubt, and failed |
//! | a refusal, and an earlier attempt or write is in doubt | a HEAD: our bytes are success, those of the earlier write are written over, anything else is somebody else's |
//! | a refusal of a PUT or of the end of an upload for what is at the key | a HEAD has to show that the object has changed: a refusal without that is no conflict, and may be sent again |
//!
//! Whether an object is ours is [`super::ambiguous`]' to say. A copy that does not keep
//! its source's ETag is known by its checksum, where both objects have one of the whole,
//! else by its bytes: [`super::same_bytes`].

use tokio::time::timeout;

use super::ambiguous::{Likeness, Print};
use super::conditional::Write;
use super::in_doubt::InDoubt;
use super::retry::{Outcome, Retry};
use super::same_bytes::{MAX_BYTES, have_same_bytes};
use super::{Condition, ObjectHead, ObjectStore, StoreError, StoreErrorKind, Upload, Written};
use crate::key::{ETag, ObjectKey, ObjectVersion};

/// How often earlier writes of ours are written over before that is given up. Each time
/// another one of them has appeared meanwhile.
const MOST_OVERWRITES: u32 = 8;

/// A write that is in doubt if nobody waits for its answer any more.
struct UnderWay {
    in_doubt: InDoubt,
    write: Option<Write>,
}

impl UnderWay {
    fn new(in_doubt: InDoubt, write: &Write) -> Self {
        UnderWay { in_doubt, write: Some(write.clone()) }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(write) = self.write.take() {
            self.in_doubt.note(write.key(), write.print());
        }
    }
}

/// What became of a write.
enum Settled {
    /// The object is there.
    Done(Written),
    /// An earlier write of ours is there, with this ETag.
    Over(ETag),
}

impl Retry {
    /// Does a write, and finds out what became of it.
    ///
    /// # Errors
    /// What it failed with. [`StoreErrorKind::Changed`] of a PUT or of the end of an upload
    /// says that the object was seen to be another one, `NotFound` of a PUT that it is gone.
    pub(super) async fn write(&self, mut write: Write) -> Result<Written, StoreError> {
        let name = write.name();
        for _ in 0..MOST_OVERWRITES {
            let mut under_way = UnderWay::new(self.in_doubt.clone(), &write);
            let send = || write.send(&*self.inner);
            let outcome = self.attempts(self.deadline(), write.work(), &name, send).await;
            under_way.write = None;
            match self.settled(outcome, &write).await? {
                Settled::Done(written) => return Ok(written),
                Settled::Over(etag) => write = write.on(Condition::Unchanged(etag)),
            }
        }
        let detail = "one earlier write after the other appears, whose answers were lost";
        Err(StoreError::new(StoreErrorKind::Transient, name, detail))
    }

    async fn settled(
        &self,
        outcome: Outcome<Written>,
        write: &Write,
    ) -> Result<Settled, StoreError> {
        let key = write.key();
        match outcome.result {
            Ok(Written { etag: Some(etag) }) => {
                self.in_doubt.forget(key);
                Ok(Settled::Done(Written { etag: Some(etag) }))
            }
            Ok(Written { etag: None }) => self.vouched_for(write).await,
            Err(error) if is_refusal(&error) => {
                self.refused(error, write, outcome.is_repeated).await
            }
            Err(error) if outcome.is_repeated || error.kind.leaves_doubt() => {
                self.unanswered(error, write).await
            }
            Err(error) => Err(error),
        }
    }

    /// A success that names no version: a HEAD has to show what was written.
    async fn vouched_for(&self, write: &Write) -> Result<Settled, StoreError> {
        let print = write.print();
        let head = match self.head(write.key()).await {
            Ok(head) => head,
            Err(error) if error.kind == StoreErrorKind::NotFound => {
                return Err(nothing_stored(write, "there is no such object").caused_by(error));
            }
            Err(error) => {
                self.in_doubt.note(write.key(), print);
                return Err(error);
            }
        };
        let is_ours = match self.likeness(&head, &print, write).await {
            Likeness::Ours => true,
            Likeness::Foreign => false,
            // Nothing there to compare: it is another version than the one that was seen.
            Likeness::Unknown => head.etag.is_none() || !is_unchanged(&head, write.condition()),
        };
        if !is_ours {
            return Err(nothing_stored(write, "the object has other bytes"));
        }
        self.in_doubt.forget(write.key());
        Ok(Settled::Done(Written { etag: head.etag }))
    }

    /// A write that may have happened. Who can't be reached need not be asked.
    async fn unanswered(&self, error: StoreError, write: &Write) -> Result<Settled, StoreError> {
        let (key, print) = (write.key(), write.print());
        if error.kind != StoreErrorKind::Unreachable
            && let Ok(Ok(head)) = timeout(self.config.attempt_timeout, self.inner.head(key)).await
            && self.likeness(&head, &print, write).await == Likeness::Ours
        {
            return Ok(self.found(&error, key, head));
        }
        self.in_doubt.note(key, print);
        Err(error)
    }

    /// A write that was refused for what is at its key, or for want of an upload.
    async fn refused(
        &self,
        error: StoreError,
        write: &Write,
        is_repeated: bool,
    ) -> Result<Settled, StoreError> {
        let (key, condition) = (write.key(), write.condition());
        let earlier = self.in_doubt.of(key);
        let is_in_doubt = is_repeated || !earlier.is_empty();
        // Whether that says that somebody else has changed the object.
        let is_verdict = match write {
            Write::Put(_) => *condition != Condition::Any,
            Write::Complete(_) => error.kind == StoreErrorKind::Changed,
            Write::Copy(_) => false,
        };
        if !is_in_doubt && !is_verdict {
            return Err(error);
        }
        let head = match self.head(key).await {
            Ok(head) => head,
            Err(gone) if gone.kind == StoreErrorKind::NotFound => {
                return Err(match condition {
                    Condition::Absent if is_verdict => unfounded(error),
                    Condition::Absent | Condition::Unchanged(_) | Condition::Any => error,
                });
            }
            Err(unknown) if is_verdict => return Err(undecided(error, unknown)),
            Err(_) => return Err(error),
        };
        if is_in_doubt {
            if self.likeness(&head, &write.print(), write).await == Likeness::Ours {
                let settled = self.found(&error, key, head);
                if let (Write::Complete(request), StoreErrorKind::Changed) = (write, error.kind) {
                    self.throw_away(&request.upload).await;
                }
                return Ok(settled);
            }
            let is_earlier = |print: &Print| print.likeness(&head) == Likeness::Ours;
            if error.kind == StoreErrorKind::Changed
                && let Some(etag) = &head.etag
                && !is_unchanged(&head, condition)
                && earlier.iter().any(is_earlier)
            {
                tracing::info!("{error}; an earlier write of ours was there, and is written over");
                return Ok(Settled::Over(etag.clone()));
            }
        }
        Err(match (is_verdict, is_unchanged(&head, condition)) {
            (true, true) => unfounded(error),
            (true, false) => of_kind(error, StoreErrorKind::Changed),
            (false, _) => error,
        })
    }

    /// A write that has happened, whatever its answer was.
    fn found(&self, error: &StoreError, key: &ObjectKey, head: ObjectHead) -> Settled {
        tracing::info!("{error}; the object was written all the same");
        self.in_doubt.forget(key);
        Settled::Done(Written { etag: head.etag })
    }

    /// Whether the object is what a write makes. A copy that does not have its source's ETag
    /// is compared with the source itself.
    async fn likeness(&self, head: &ObjectHead, print: &Print, write: &Write) -> Likeness {
        let likeness = print.likeness(head);
        let (Likeness::Unknown, Write::Copy(request)) = (likeness, write) else {
            return likeness;
        };
        if is_unchanged(head, &request.condition) {
            return likeness;
        }
        let of = |is_ours| if is_ours { Likeness::Ours } else { Likeness::Foreign };
        if has_checksum_of_all(head)
            && let Ok(source) = self.head(&request.from.key).await
            && source.etag == request.from.etag
            && has_checksum_of_all(&source)
        {
            return of(source.checksum == head.checksum);
        }
        let etag = head.etag.clone();
        if request.from.size > MAX_BYTES || etag.is_none() {
            return likeness;
        }
        let copy = ObjectVersion { key: request.to.clone(), etag, ..request.from.clone() };
        match have_same_bytes(self, &request.from, &copy).await {
            Ok(is_same) => of(is_same),
            Err(error) => {
                tracing::debug!("{} is not known to be a copy: {}", request.to, error.chain());
                likeness
            }
        }
    }

    /// Aborts an upload whose object is there by an earlier one.
    async fn throw_away(&self, upload: &Upload) {
        if let Err(error) = self.abort_upload(upload).await {
            tracing::warn!("an unfinished upload stays: {}", error.chain());
        }
    }
}

/// Whether a write was refused for what is at its key, or for want of an upload.
pub(super) fn is_refusal(error: &StoreError) -> bool {
    matches!(error.kind, StoreErrorKind::Changed | StoreErrorKind::NotFound)
}

/// Whether an object is the version that a condition names.
fn is_unchanged(head: &ObjectHead, condition: &Condition) -> bool {
    match condition {
        Condition::Unchanged(etag) => head.etag.as_ref().is_none_or(|found| found == etag),
        Condition::Absent | Condition::Any => false,
    }
}

/// Whether an object has a checksum that is not one of its parts.
fn has_checksum_of_all(head: &ObjectHead) -> bool {
    head.checksum.as_ref().is_some_and(|checksum| !checksum.contains('-'))
}

/// A success behind which there is nothing.
fn nothing_stored(write: &Write, what: &str) -> StoreError {
    let detail = format!(
        "the server says that it is done, and {what}: something other than an S3 server seems \
         to answer"
    );
    StoreError::new(StoreErrorKind::NotS3, write.name(), detail)
}

/// A refusal because of an object that nobody has changed.
fn unfounded(error: StoreError) -> StoreError {
    let mut error = of_kind(error, StoreErrorKind::NotS3);
    error.detail.push_str(
        "; but nobody has changed the object: something other than an S3 server seems to answer",
    );
    error
}

fn of_kind(mut error: StoreError, kind: StoreErrorKind) -> StoreError {
    error.kind = kind;
    error
}

/// A refusal because of an object that can't be looked at.
fn undecided(error: StoreError, unknown: StoreError) -> StoreError {
    let detail = format!("{}; whether the object has changed could not be found out", error.detail);
    StoreError::new(unknown.kind.clone(), error.request, detail).caused_by(unknown)
}
