//! Bounds how many requests are under way at once.
//!
//! At most 96 GETs are (one for each 4 MiB of memory, at least 16), beside them 32
//! listings and HEADs, so that an `ls` never queues behind bodies that are being
//! read, and 8 to 32 writes (one for each 32 MiB). A GET holds its permit until its
//! body is read to the end or dropped. A request that the server is silent about for a
//! second gives its permit back: it uses no bandwidth, and a hundred of them must not
//! hold up the rest. A write keeps its permit until the answer is here: its bytes are
//! on their way while the server is silent.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::{
    BeginRequest, CompleteRequest, CopyPartRequest, CopyRequest, GetBody, GetRequest,
    KeptConditions, KeyOrder, ListPage, ListRequest, ObjectHead, ObjectStore, Part, PartRequest,
    PutRequest, Spelling, StoreError, StoreErrorKind, Upload, VersionsPage, VersionsRequest,
    Written,
};
use crate::key::{ETag, ObjectKey, Prefix};

/// Enough for a 10 Gbit/s link at 80 MB/s a connection, with room for readers
/// whose bodies have stalled.
const GETS: usize = 96;
/// Half a MiB is on its way in each; the rest is for the blocks that it fills.
const BYTES_PER_GET: u64 = 4 << 20;
const LOOKUPS: usize = 32;
/// Enough for the same link, at what S3 takes in over one connection.
const WRITES: usize = 32;
/// A part of 8 MiB on its way in each is a quarter of the memory.
const BYTES_PER_WRITE: u64 = 32 << 20;
/// Longer than S3 takes for the first byte of an answer.
const SILENCE: Duration = Duration::from_secs(1);

/// How many writes are under way at once in a program that may hold `memory_bytes`.
/// Who writes parts should have no more of them in hand: what waits for its turn
/// waits inside its deadline.
pub fn writes_at_once(memory_bytes: u64) -> usize {
    usize::try_from(memory_bytes / BYTES_PER_WRITE).unwrap_or(WRITES).clamp(8, WRITES)
}

/// A store that lets a bounded number of requests through at once.
#[derive(Debug)]
pub struct Limit {
    inner: Arc<dyn ObjectStore>,
    limits: Limits,
}

/// How many requests are under way, and may be. Clones count together.
#[derive(Debug, Clone)]
pub struct Limits {
    gets: Arc<Semaphore>,
    lookups: Arc<Semaphore>,
    writes: Arc<Semaphore>,
}

impl Limits {
    /// Those of a program that may hold `memory_bytes`.
    pub fn new(memory_bytes: u64) -> Self {
        let gets = usize::try_from(memory_bytes / BYTES_PER_GET).unwrap_or(GETS).clamp(16, GETS);
        let writes = writes_at_once(memory_bytes);
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        let lookups = semaphore(LOOKUPS);
        Limits { gets: semaphore(gets), lookups, writes: semaphore(writes) }
    }
}

impl Limit {
    /// Bounds the requests to `inner`, together with all that have the same limits.
    pub fn new(inner: Arc<dyn ObjectStore>, limits: Limits) -> Self {
        Limit { inner, limits }
    }
}

/// The right to have a request under way, as long as the server says something.
struct Permit(Option<OwnedSemaphorePermit>);

impl Permit {
    async fn of(semaphore: &Arc<Semaphore>) -> Result<Self, StoreError> {
        // Only a closed semaphore refuses, and nobody closes these.
        let permit = semaphore.clone().acquire_owned().await.map_err(|_| {
            StoreError::new(StoreErrorKind::Other, "request", "the store is shut down")
        })?;
        Ok(Permit(Some(permit)))
    }

    /// Waits for an answer, or for the next piece of one; after a silence without
    /// the permit.
    async fn while_waiting<T>(&mut self, answer: impl Future<Output = T>) -> T {
        tokio::pin!(answer);
        if self.0.is_some() {
            if let Ok(answer) = timeout(SILENCE, &mut answer).await {
                return answer;
            }
            self.0 = None;
        }
        answer.await
    }
}

#[async_trait]
impl ObjectStore for Limit {
    async fn list_page(&self, request: ListRequest) -> Result<ListPage, StoreError> {
        Permit::of(&self.limits.lookups).await?.while_waiting(self.inner.list_page(request)).await
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectHead, StoreError> {
        Permit::of(&self.limits.lookups).await?.while_waiting(self.inner.head(key)).await
    }

    async fn head_part(&self, key: &ObjectKey, number: u32) -> Result<ObjectHead, StoreError> {
        Permit::of(&self.limits.lookups)
            .await?
            .while_waiting(self.inner.head_part(key, number))
            .await
    }

    async fn get_range(&self, request: GetRequest) -> Result<GetBody, StoreError> {
        let mut permit = Permit::of(&self.limits.gets).await?;
        let body = permit.while_waiting(self.inner.get_range(request)).await?;
        // The permit lives in the stream and ends with it.
        let bytes = stream::unfold((body.bytes, permit), |(mut bytes, mut permit)| async move {
            let piece = permit.while_waiting(bytes.next()).await?;
            Some((piece, (bytes, permit)))
        });
        Ok(GetBody { head: body.head, bytes: bytes.boxed() })
    }

    async fn list_versions(&self, request: VersionsRequest) -> Result<VersionsPage, StoreError> {
        Permit::of(&self.limits.lookups)
            .await?
            .while_waiting(self.inner.list_versions(request))
            .await
    }

    async fn put(&self, request: PutRequest) -> Result<Written, StoreError> {
        let _permit = Permit::of(&self.limits.writes).await?;
        self.inner.put(request).await
    }

    async fn begin_upload(&self, request: BeginRequest) -> Result<Upload, StoreError> {
        let _permit = Permit::of(&self.limits.writes).await?;
        self.inner.begin_upload(request).await
    }

    async fn put_part(&self, request: PartRequest) -> Result<Part, StoreError> {
        let _permit = Permit::of(&self.limits.writes).await?;
        self.inner.put_part(request).await
    }

    async fn copy_part(&self, request: CopyPartRequest) -> Result<Part, StoreError> {
        let _permit = Permit::of(&self.limits.writes).await?;
        self.inner.copy_part(request).await
    }

    async fn complete_upload(&self, request: CompleteRequest) -> Result<Written, StoreError> {
        let _permit = Permit::of(&self.limits.writes).await?;
        self.inner.complete_upload(request).await
    }

    async fn abort_upload(&self, upload: &Upload) -> Result<(), StoreError> {
        let _permit = Permit::of(&self.limits.writes).await?;
        self.inner.abort_upload(upload).await
    }

    async fn copy(&self, request: CopyRequest) -> Result<Written, StoreError> {
        let _permit = Permit::of(&self.limits.writes).await?;
        self.inner.copy(request).await
    }

    async fn delete(&self, key: &ObjectKey, etag: Option<&ETag>) -> Result<(), StoreError> {
        let _permit = Permit::of(&self.limits.writes).await?;
        self.inner.delete(key, etag).await
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
