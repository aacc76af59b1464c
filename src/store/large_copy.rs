//! Copies objects in parts that are too large for one request.
//!
//! Contract: the copy is made of the version that was asked for or not at all, and gets
//! its metadata as a copy in one request does. A copy in parts that fails, or that nobody
//! waits for any more, is aborted, so that no parts are left that somebody pays for.
//! Belongs above `Retry`: each part is a request of its own, tried again alone.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio::runtime::Handle;

use super::{
    BeginRequest, CompleteRequest, CopyPartRequest, CopyRequest, GetBody, GetRequest,
    KeptConditions, KeyOrder, ListPage, ListRequest, ObjectHead, ObjectStore, Part, PartRequest,
    PutRequest, Spelling, StoreError, StoreErrorKind, Upload, VersionsPage, VersionsRequest,
    Written,
};
use crate::key::{ETag, ObjectKey, Prefix};

/// The most that S3 copies in one request.
pub(super) const MAX_COPY_BYTES: u64 = 5 << 30;
/// The size of one part of a copy, unless there would be too many.
const PART_BYTES: u64 = 512 << 20;
const MAX_PARTS: u64 = 10_000;
/// Parts that are copied at once; none of their bytes pass through here.
const PARTS_AT_ONCE: usize = 8;

/// A store that copies large objects in parts.
#[derive(Debug)]
pub struct LargeCopies {
    inner: Arc<dyn ObjectStore>,
    max_copy_bytes: u64,
    parts_at_once: usize,
}

impl LargeCopies {
    /// Copies objects of more than `max_copy_bytes` (at most 5 GiB) in parts of no more
    /// than that. `inner` has `writes_at_once` writes under way, of which one copy takes
    /// at most half.
    pub fn new(inner: Arc<dyn ObjectStore>, max_copy_bytes: u64, writes_at_once: usize) -> Self {
        let max_copy_bytes = max_copy_bytes.min(MAX_COPY_BYTES);
        let parts_at_once = (writes_at_once / 2).clamp(1, PARTS_AT_ONCE);
        LargeCopies { inner, max_copy_bytes, parts_at_once }
    }

    async fn copy_in_parts(&self, request: CopyRequest) -> Result<Written, StoreError> {
        let CopyRequest { from, to, condition, content_type } = request;
        let head = self.inner.head(&from.key).await?;
        if from.etag.is_some() && head.etag.is_some() && from.etag != head.etag {
            let name = format!("COPY {} to {to}", from.key);
            let detail = "the object is another version";
            return Err(StoreError::new(StoreErrorKind::Changed, name, detail));
        }
        let begin = BeginRequest {
            key: to,
            content_type: content_type.or(head.content_type.map(Arc::from)),
            metadata: head.metadata,
            has_checksums: false,
        };
        let upload = self.inner.begin_upload(begin).await?;
        let mut unfinished = Unfinished { inner: self.inner.clone(), upload: Some(upload.clone()) };
        let copies = part_ranges(from.size, self.max_copy_bytes).map(|(number, range)| {
            let (upload, from) = (upload.clone(), from.clone());
            self.inner.copy_part(CopyPartRequest { upload, number, from, range }).boxed()
        });
        let parts = stream::iter(copies).buffered(self.parts_at_once).try_collect().await;
        let outcome = match parts {
            Ok(parts) => {
                let upload = upload.clone();
                self.inner.complete_upload(CompleteRequest { upload, parts, condition }).await
            }
            Err(error) => Err(error),
        };
        unfinished.upload = None;
        if outcome.is_err() {
            abort(&*self.inner, &upload).await;
        }
        outcome
    }
}

/// Aborts an upload when nobody waits any more for the copy that it belongs to.
struct Unfinished {
    inner: Arc<dyn ObjectStore>,
    upload: Option<Upload>,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let (Some(upload), Ok(runtime)) = (self.upload.take(), Handle::try_current()) else {
            return;
        };
        let inner = self.inner.clone();
        runtime.spawn(async move { abort(&*inner, &upload).await });
    }
}

async fn abort(store: &dyn ObjectStore, upload: &Upload) {
    if let Err(error) = store.abort_upload(upload).await {
        tracing::warn!("{}; the parts of this upload are still there", error.chain());
    }
}

/// The number of each part of a copy, and its bytes.
fn part_ranges(size: u64, max_bytes: u64) -> impl Iterator<Item = (u32, Range<u64>)> {
    let part = PART_BYTES.min(max_bytes).max(size.div_ceil(MAX_PARTS)).max(1);
    (1..).zip((0..size).step_by(part as usize)).map(move |(number, start)| {
        let end = (start + part).min(size);
        (number, start..end)
    })
}

#[async_trait]
impl ObjectStore for LargeCopies {
    async fn list_page(&self, request: ListRequest) -> Result<ListPage, StoreError> {
        self.inner.list_page(request).await
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectHead, StoreError> {
        self.inner.head(key).await
    }

    async fn head_part(&self, key: &ObjectKey, number: u32) -> Result<ObjectHead, StoreError> {
        self.inner.head_part(key, number).await
    }

    async fn get_range(&self, request: GetRequest) -> Result<GetBody, StoreError> {
        self.inner.get_range(request).await
    }

    async fn list_versions(&self, request: VersionsRequest) -> Result<VersionsPage, StoreError> {
        self.inner.list_versions(request).await
    }

    async fn put(&self, request: PutRequest) -> Result<Written, StoreError> {
        self.inner.put(request).await
    }

    async fn begin_upload(&self, request: BeginRequest) -> Result<Upload, StoreError> {
        self.inner.begin_upload(request).await
    }

    async fn put_part(&self, request: PartRequest) -> Result<Part, StoreError> {
        self.inner.put_part(request).await
    }

    async fn copy_part(&self, request: CopyPartRequest) -> Result<Part, StoreError> {
        self.inner.copy_part(request).await
    }

    async fn complete_upload(&self, request: CompleteRequest) -> Result<Written, StoreError> {
        self.inner.complete_upload(request).await
    }

    async fn abort_upload(&self, upload: &Upload) -> Result<(), StoreError> {
        self.inner.abort_upload(upload).await
    }

    async fn copy(&self, request: CopyRequest) -> Result<Written, StoreError> {
        if request.from.size > self.max_copy_bytes {
            return self.copy_in_parts(request).await;
        }
        self.inner.copy(request).await
    }

    async fn delete(&self, key: &ObjectKey, etag: Option<&ETag>) -> Result<(), StoreError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_copy_cover_it_once_and_are_not_too_many() {
        const TIB: u64 = 1 << 40;
        for size in [MAX_COPY_BYTES + 1, 6 << 30, (6 << 30) + 1, 5 * TIB, 50 * TIB - 1] {
            let parts: Vec<_> = part_ranges(size, MAX_COPY_BYTES).collect();
            assert!(parts.len() <= 10_000, "{size}: {} parts", parts.len());
            let mut next = 0;
            for (index, (number, range)) in parts.iter().enumerate() {
                assert_eq!((*number, range.start), (index as u32 + 1, next));
                next = range.end;
            }
            assert_eq!(next, size);
        }
        let parts: Vec<_> = part_ranges(6 << 30, MAX_COPY_BYTES).collect();
        assert_eq!((parts.len(), parts[0].1.clone()), (12, 0..512 << 20));
    }
}
