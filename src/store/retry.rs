//! Tries again what may succeed, and resumes bodies that were cut.
//!
//! The SDK's own retries are off: they do not cover a body that breaks after its
//! headers, nor a 429, and share one token bucket in the whole process.
//!
//! - A request has one deadline for all its attempts, until its headers are here
//!   (`--request-timeout`); an attempt has a third of it. A body may be silent for a
//!   third of it, and must come at 16 KiB/s or more in all. A write may take longer by
//!   what its body needs at 256 KiB/s, a copy by what it needs at 16 MiB/s.
//! - Throttling (429, SlowDown), 5xx, broken connections and timeouts are tried again
//!   after 50 ms, doubled up to 5 s, each time with a random factor of 0.5 to 1.5, as
//!   long as the deadline allows, or after what `Retry-After` asks for, up to half of what
//!   is left. A write that gets no answer uses up the time for its body: it is not given
//!   as much again. A server that has never answered and can't be
//!   connected to gets three tries.
//! - Time in which this process was stopped, or its machine, does not count: what is due
//!   long before we get to look at it was held up here, not by the server.
//! - A body that was cut goes on with a range from the byte that was reached, pinned
//!   to the same version; ten times at most if no GET brings more than 64 KiB.
//!
//! A write whose answer was lost may have happened; what became of it is found out in
//! [`super::settle`]. An upload in parts whose beginning was done and never answered
//! stays on the server, since nobody knows its ID: a lifecycle rule of the bucket
//! removes it.

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::conditional::{MIN_COPY_BYTES_PER_SECOND, MIN_UPLOAD_BYTES_PER_SECOND, Write, time_for};
use super::in_doubt::InDoubt;
use super::{
    BeginRequest, CompleteRequest, CopyPartRequest, CopyRequest, GetBody, GetRequest,
    KeptConditions, KeyOrder, ListPage, ListRequest, ObjectHead, ObjectStore, Part, PartRequest,
    PutRequest, Spelling, StoreError, StoreErrorKind, Upload, VersionsPage, VersionsRequest,
    Written,
};
use crate::key::{ETag, ObjectKey, Prefix};
use crate::stats::Stats;

/// The slowest body that is still waited for once the deadline has passed.
const MIN_BODY_BYTES_PER_SECOND: u64 = 16 << 10;
/// A GET that brings fewer bytes before its body is cut has brought little.
const LITTLE_BYTES: u64 = 64 << 10;
/// So many GETs in a row may bring little: each costs as much as one that brings all.
const MOST_WITH_LITTLE: u32 = 10;
/// A timer that is so late was held up by more than other work.
const STOOD_STILL: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// So often a server that has never answered is tried: a typo in its address
/// should be said at once, and not after the whole deadline.
const TRIES_OF_A_STRANGER: u32 = 3;

/// How long to wait, and when to try again.
#[derive(Debug, Clone)]
pub struct RetryConfig {
    /// How long a request may take until its headers are here, retries included.
    pub request_timeout: Duration,
    /// How long one attempt may take until its headers are here.
    pub attempt_timeout: Duration,
    /// How long a body may be silent before it is asked for again.
    pub stall_timeout: Duration,
}

impl RetryConfig {
    /// Attempts and silences of a third of `request_timeout`, so that a request
    /// that was lost has two more tries inside it.
    pub fn within(request_timeout: Duration) -> Self {
        let third = request_timeout / 3;
        RetryConfig { request_timeout, attempt_timeout: third, stall_timeout: third }
    }
}

/// A store that tries again. Clones are one store.
#[derive(Debug, Clone)]
pub struct Retry {
    pub(super) inner: Arc<dyn ObjectStore>,
    pub(super) config: RetryConfig,
    stats: Arc<Stats>,
    /// Whether the server has ever answered.
    is_known: Arc<AtomicBool>,
    /// The writes whose outcome nobody knows.
    pub(super) in_doubt: InDoubt,
}

impl Retry {
    /// Tries requests to `inner` again as `config` says, and counts in `stats`.
    pub fn new(inner: Arc<dyn ObjectStore>, config: RetryConfig, stats: Arc<Stats>) -> Self {
        Retry { inner, config, stats, is_known: Arc::default(), in_doubt: InDoubt::default() }
    }

    /// Runs `attempt` until it succeeds, fails for good or `deadline` is near. Each may
    /// take `work` longer than requests that carry nothing; what they take of that does
    /// not count for the deadline, unless nothing came of it in all that time.
    pub(super) async fn attempts<T, F>(
        &self,
        mut deadline: Instant,
        work: Duration,
        name: &str,
        attempt: impl Fn() -> F + Send,
    ) -> Outcome<T>
    where
        F: Future<Output = Result<T, StoreError>> + Send,
    {
        let (mut pause, mut tries) = (FIRST_PAUSE, 0);
        loop {
            tries += 1;
            let is_repeated = tries > 1;
            let start = Instant::now();
            let attempt_end = deadline.min(start + self.config.attempt_timeout) + work;
            let error = match timeout_at(attempt_end, attempt()).await {
                Ok(Ok(value)) => {
                    self.is_known.store(true, Ordering::Relaxed);
                    return Outcome { result: Ok(value), is_repeated };
                }
                Ok(Err(error)) => error,
                Err(_) => StoreError::new(
                    StoreErrorKind::Timeout,
                    name,
                    format!("no answer within {:.0?}", self.config.attempt_timeout + work),
                ),
            };
            deadline += stood_still(attempt_end);
            // Of a body that stalled nothing has come for which it could have more time.
            if error.kind != StoreErrorKind::Timeout {
                deadline += start.elapsed().min(work);
            }
            let jittered = pause.mul_f64(0.5 + fastrand::f64());
            // So long as the server asks for, if that leaves time for another attempt.
            let left = deadline.saturating_duration_since(Instant::now());
            let asked = Duration::from_secs(error.retry_after_seconds.unwrap_or_default().into())
                .min(left / 2);
            let jittered = jittered.max(asked);
            let is_hopeless = error.kind == StoreErrorKind::Unreachable
                && tries >= TRIES_OF_A_STRANGER
                && !self.is_known.load(Ordering::Relaxed);
            let is_late = Instant::now() + jittered >= deadline;
            if !error.kind.is_transient() || is_hopeless || is_late {
                return Outcome { result: Err(error), is_repeated };
            }
            self.stats.retry_requests.add(1);
            let next = Instant::now() + jittered;
            sleep_until(next).await;
            deadline += stood_still(next);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Until when a request that is made now has to be answered.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.config.request_timeout
    }
}

/// How long this process has not run since something was due: it was stopped, or its machine
/// was, or has no time for us. Nothing if it is as punctual as can be expected.
fn stood_still(due: Instant) -> Duration {
    let late = Instant::now().saturating_duration_since(due);
    if late < STOOD_STILL { Duration::ZERO } else { late }
}

/// How a request ended, and whether an attempt before the last one has failed in a
/// way that leaves open what the server did.
pub(super) struct Outcome<T> {
    pub(super) result: Result<T, StoreError>,
    pub(super) is_repeated: bool,
}

#[async_trait]
impl ObjectStore for Retry {
    async fn list_page(&self, request: ListRequest) -> Result<ListPage, StoreError> {
        let name = format!("LIST {}", request.prefix);
        let list = || self.inner.list_page(request.clone());
        self.attempts(self.deadline(), Duration::ZERO, &name, list).await.result
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectHead, StoreError> {
        let name = format!("HEAD {key}");
        let head = || self.inner.head(key);
        self.attempts(self.deadline(), Duration::ZERO, &name, head).await.result
    }

    async fn head_part(&self, key: &ObjectKey, number: u32) -> Result<ObjectHead, StoreError> {
        let name = format!("HEAD {key}, part {number}");
        let head = || self.inner.head_part(key, number);
        self.attempts(self.deadline(), Duration::ZERO, &name, head).await.result
    }

    async fn get_range(&self, request: GetRequest) -> Result<GetBody, StoreError> {
        let first = self.open(&request, self.deadline()).await?;
        let head = first.head.clone();
        let of = (head.size, head.last_modified);
        let length = request.range.end - request.range.start;
        let body_time = Duration::from_secs(length / MIN_BODY_BYTES_PER_SECOND);
        let body = ResumingBody {
            etag: request.etag.clone().or_else(|| head.etag.clone()),
            of,
            key: request.key,
            since: request.range.start,
            left: request.range,
            with_little: 0,
            current: Some(first.bytes),
            progress_deadline: self.deadline(),
            body_deadline: self.deadline() + body_time,
            retry: self.clone(),
        };
        Ok(GetBody { head, bytes: stream::unfold(body, ResumingBody::next).boxed() })
    }

    async fn list_versions(&self, request: VersionsRequest) -> Result<VersionsPage, StoreError> {
        let name = format!("LIST VERSIONS {}", request.key);
        let list = || self.inner.list_versions(request.clone());
        self.attempts(self.deadline(), Duration::ZERO, &name, list).await.result
    }

    async fn put(&self, request: PutRequest) -> Result<Written, StoreError> {
        self.write(Write::Put(request)).await
    }

    async fn begin_upload(&self, request: BeginRequest) -> Result<Upload, StoreError> {
        let name = format!("UPLOAD {}", request.key);
        let is_lost = AtomicBool::new(false);
        let begin = || async {
            let mut attempt = Beginning { is_lost: &is_lost, is_answered: false };
            let begun = self.inner.begin_upload(request.clone()).await;
            attempt.is_answered = !begun.as_ref().is_err_and(StoreError::is_unanswered);
            begun
        };
        let outcome = self.attempts(self.deadline(), Duration::ZERO, &name, begin).await.result;
        if is_lost.load(Ordering::Relaxed) {
            tracing::info!(
                "the beginning of an upload of \"{}\" was not answered: the bucket may have one \
                 without parts, which costs nothing and which nobody goes on with",
                request.key.as_str().escape_debug()
            );
        }
        outcome
    }

    async fn put_part(&self, request: PartRequest) -> Result<Part, StoreError> {
        let name = format!("PUT {} part {}", request.upload.key, request.number);
        let work = time_for(request.body.len() as u64, MIN_UPLOAD_BYTES_PER_SECOND);
        let put = || self.inner.put_part(request.clone());
        self.attempts(self.deadline(), work, &name, put).await.result
    }

    async fn copy_part(&self, request: CopyPartRequest) -> Result<Part, StoreError> {
        let CopyPartRequest { upload, number, from, range } = &request;
        let name = format!("COPY {} to {} part {number}", from.key, upload.key);
        let work = time_for(range.end.saturating_sub(range.start), MIN_COPY_BYTES_PER_SECOND);
        let copy = || self.inner.copy_part(request.clone());
        self.attempts(self.deadline(), work, &name, copy).await.result
    }

    async fn complete_upload(&self, request: CompleteRequest) -> Result<Written, StoreError> {
        self.write(Write::Complete(request)).await
    }

    async fn abort_upload(&self, upload: &Upload) -> Result<(), StoreError> {
        let name = format!("ABORT {}", upload.key);
        let abort = || self.inner.abort_upload(upload);
        self.attempts(self.deadline(), Duration::ZERO, &name, abort).await.result
    }

    async fn copy(&self, request: CopyRequest) -> Result<Written, StoreError> {
        self.write(Write::Copy(request)).await
    }

    async fn delete(&self, key: &ObjectKey, etag: Option<&ETag>) -> Result<(), StoreError> {
        let name = format!("DELETE {key}");
        let delete = || self.inner.delete(key, etag);
        let outcome = self.attempts(self.deadline(), Duration::ZERO, &name, delete).await;
        let Outcome { result: Err(error), is_repeated } = outcome else { return Ok(()) };
        let may_be_gone = match error.kind {
            StoreErrorKind::Changed | StoreErrorKind::NotFound => is_repeated,
            StoreErrorKind::NotS3 => true,
            _ => false,
        };
        if !may_be_gone {
            return Err(error);
        }
        // Servers differ in whether what is gone is not there or another version.
        let is_gone = error.kind == StoreErrorKind::NotFound
            || self.head(key).await.is_err_and(|error| error.kind == StoreErrorKind::NotFound);
        if is_gone { Ok(()) } else { Err(error) }
    }

    fn kept_conditions(&self) -> KeptConditions {
        self.inner.kept_conditions()
    }

    fn key_order(&self, within: &Prefix) -> KeyOrder {
        self.inner.key_order(within)
    }

    fn spelling(&self) -> Spelling {
        self.inner.spelling()
    }
}

impl Retry {
    async fn open(&self, request: &GetRequest, deadline: Instant) -> Result<GetBody, StoreError> {
        let name = format!("GET {}", request.key);
        let get = || self.inner.get_range(request.clone());
        self.attempts(deadline, Duration::ZERO, &name, get).await.result
    }
}

/// An attempt to begin an upload, which is lost if it is dropped without an answer.
struct Beginning<'a> {
    is_lost: &'a AtomicBool,
    is_answered: bool,
}

impl Drop for Beginning<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.is_lost.store(true, Ordering::Relaxed);
        }
    }
}

/// Whether two answers tell different things.
fn differ<T: PartialEq>(one: Option<T>, other: Option<T>) -> bool {
    one.is_some() && other.is_some() && one != other
}

/// A body that asks again for what is left when it is cut or stalls.
struct ResumingBody {
    retry: Retry,
    key: ObjectKey,
    etag: Option<ETag>,
    /// The size and the time that the first answer told.
    of: (Option<u64>, Option<SystemTime>),
    left: Range<u64>,
    /// Where the last GET began.
    since: u64,
    /// How many GETs in a row have brought little.
    with_little: u32,
    current: Option<BoxStream<'static, Result<Bytes, StoreError>>>,
    /// Until when the next bytes must arrive; each arrival renews it.
    progress_deadline: Instant,
    /// Until when the whole body must be here.
    body_deadline: Instant,
}

impl ResumingBody {
    async fn next(mut self) -> Option<(Result<Bytes, StoreError>, Self)> {
        let mut pause = FIRST_PAUSE;
        loop {
            if self.left.is_empty() {
                return None;
            }
            let error = match self.next_chunk().await {
                Ok(chunk) => return Some((Ok(chunk), self)),
                Err(error) => error,
            };
            self.current = None;
            let brought = self.left.start - self.since;
            self.with_little = if brought < LITTLE_BYTES { self.with_little + 1 } else { 0 };
            self.since = self.left.start;
            let jittered = pause.mul_f64(0.5 + fastrand::f64());
            let deadline = self.progress_deadline.min(self.body_deadline);
            let is_over =
                self.with_little > MOST_WITH_LITTLE || Instant::now() + jittered >= deadline;
            if is_over || !error.kind.is_transient() {
                self.left.start = self.left.end;
                return Some((Err(error), self));
            }
            self.retry.stats.retry_requests.add(1);
            let next = Instant::now() + jittered;
            sleep_until(next).await;
            self.forgive(next);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn next_chunk(&mut self) -> Result<Bytes, StoreError> {
        let deadline = self.progress_deadline.min(self.body_deadline);
        let mut stream = match self.current.take() {
            Some(stream) => stream,
            None => self.reopen(deadline).await?,
        };
        let silent = deadline.min(Instant::now() + self.retry.config.stall_timeout);
        let arrived = timeout_at(silent, stream.next()).await;
        self.forgive(silent);
        let chunk = match arrived {
            Ok(Some(chunk)) => chunk?,
            Ok(None) => return Err(self.error(StoreErrorKind::ShortBody, "the body was cut short")),
            Err(_) => return Err(self.error(StoreErrorKind::Timeout, "the body stalled")),
        };
        let wanted = (self.left.end - self.left.start).min(chunk.len() as u64);
        self.left.start += wanted;
        self.progress_deadline = self.retry.deadline();
        self.current = Some(stream);
        Ok(chunk.slice(..wanted as usize))
    }

    /// Gives the body as much longer as this process has not run since then.
    fn forgive(&mut self, due: Instant) {
        let late = stood_still(due);
        self.progress_deadline += late;
        self.body_deadline += late;
    }

    async fn reopen(
        &mut self,
        deadline: Instant,
    ) -> Result<BoxStream<'static, Result<Bytes, StoreError>>, StoreError> {
        let request =
            GetRequest { key: self.key.clone(), range: self.left.clone(), etag: self.etag.clone() };
        let body = self.retry.open(&request, deadline).await?;
        // A server that ignores If-Match must not splice two versions here, nor one that
        // tells no ETag.
        let (size, time) = self.of;
        let has_tags = self.etag.is_some() && body.head.etag.is_some();
        if (has_tags && self.etag != body.head.etag)
            || differ(size, body.head.size)
            || (!has_tags && differ(time, body.head.last_modified))
        {
            return Err(self.error(StoreErrorKind::Changed, "overwritten while it was read"));
        }
        Ok(body.bytes)
    }

    fn error(&self, kind: StoreErrorKind, what: &str) -> StoreError {
        let detail = format!("{what} {} bytes before its end", self.left.end - self.left.start);
        StoreError::new(kind, format!("GET {}", self.key), detail)
    }
}
