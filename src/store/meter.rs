//! Counts each attempt: what was sent, what came back; and what of it costs something, for each
//! bucket by itself.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};

use super::{
    BeginRequest, CompleteRequest, CopyPartRequest, CopyRequest, GetBody, GetRequest,
    KeptConditions, KeyOrder, ListPage, ListRequest, ObjectHead, ObjectStore, Part, PartRequest,
    PutRequest, Spelling, StoreError, StoreErrorKind, Upload, VersionsPage, VersionsRequest,
    Written,
};
use crate::key::{ETag, ObjectKey, Prefix};
use crate::stats::{Charges, Outcome, Request, RequestKind, Stats};

/// A store that counts in [`Stats`] what passes through it.
#[derive(Debug)]
pub struct Meter {
    inner: Arc<dyn ObjectStore>,
    stats: Arc<Stats>,
    charges: Arc<Charges>,
}

impl Meter {
    /// Counts the requests to `inner` in `stats`, and those that cost something in `charges`.
    pub fn new(inner: Arc<dyn ObjectStore>, stats: Arc<Stats>, charges: Arc<Charges>) -> Self {
        Meter { inner, stats, charges }
    }

    /// Counts a request of a kind.
    fn count(&self, kind: RequestKind) {
        let Charges { list_requests, head_requests, get_requests, put_requests, .. } =
            &*self.charges;
        let (all, of_bucket) = match kind {
            RequestKind::List => (&self.stats.list_requests, Some(list_requests)),
            RequestKind::Head => (&self.stats.head_requests, Some(head_requests)),
            RequestKind::Get => (&self.stats.get_requests, Some(get_requests)),
            RequestKind::Put => (&self.stats.put_requests, Some(put_requests)),
            RequestKind::Delete => (&self.stats.delete_requests, None),
        };
        all.add(1);
        of_bucket.iter().for_each(|counter| counter.add(1));
    }

    /// Notes a request whose answer is all here when it is answered.
    async fn noted<T>(
        &self,
        kind: RequestKind,
        key: &str,
        request: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let mut seen = self.stats.requests.begin(kind, key, None);
        let outcome = self.answered((kind, &mut seen), request).await;
        if outcome.is_ok() {
            seen.ends(Outcome::Done);
        }
        outcome
    }

    /// Notes how long a request takes until its answer begins, and whether it fails.
    async fn answered<T>(
        &self,
        (kind, seen): (RequestKind, &mut Request),
        request: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let begun = Instant::now();
        let outcome = request.await;
        self.stats.latencies.note(kind, begun.elapsed());
        seen.answered();
        match &outcome {
            Ok(_) => {}
            Err(error) if error.kind == StoreErrorKind::NotFound => seen.ends(Outcome::Done),
            Err(error) => {
                seen.ends(Outcome::Failed);
                self.stats.failed_requests.add(1);
                self.stats.throttled_requests.add(error.is_throttling.into());
            }
        }
        outcome
    }

    /// Notes a request with a body.
    async fn sent<T>(
        &self,
        key: &str,
        bytes: u64,
        request: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let sending = self.stats.uploads.begin(bytes);
        let mut seen = self.stats.requests.begin(RequestKind::Put, key, None);
        let done = self.answered((RequestKind::Put, &mut seen), request).await?;
        self.stats.put_bytes.add(bytes);
        seen.note_bytes(bytes);
        seen.ends(Outcome::Done);
        sending.taken();
        Ok(done)
    }
}

#[async_trait]
impl ObjectStore for Meter {
    async fn list_page(&self, request: ListRequest) -> Result<ListPage, StoreError> {
        self.count(RequestKind::List);
        tracing::debug!("LIST {:?}", request.prefix.as_str());
        let prefix = request.prefix.clone();
        self.noted(RequestKind::List, prefix.as_str(), self.inner.list_page(request)).await
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectHead, StoreError> {
        self.count(RequestKind::Head);
        tracing::debug!("HEAD {:?}", key.as_str());
        self.noted(RequestKind::Head, key.as_str(), self.inner.head(key)).await
    }

    async fn head_part(&self, key: &ObjectKey, number: u32) -> Result<ObjectHead, StoreError> {
        self.count(RequestKind::Head);
        tracing::debug!("HEAD {:?}, part {number}", key.as_str());
        self.noted(RequestKind::Head, key.as_str(), self.inner.head_part(key, number)).await
    }

    async fn get_range(&self, request: GetRequest) -> Result<GetBody, StoreError> {
        self.count(RequestKind::Get);
        tracing::debug!("GET {:?} {:?}", request.key.as_str(), request.range);
        let file = self.stats.files.of(request.key.as_str());
        file.get_requests.add(1);
        let (key, range) = (request.key.clone(), request.range.clone());
        let mut seen = self.stats.requests.begin(RequestKind::Get, key.as_str(), Some(range));
        let asked = self.inner.get_range(request);
        let body = self.answered((RequestKind::Get, &mut seen), asked).await?;
        let (stats, class) = (self.stats.clone(), body.head.storage_class.clone());
        let charges = self.charges.clone();
        stats.classes.note_request(class.as_deref());
        charges.classes.note_request(class.as_deref());
        let note = move |seen: &mut Request, chunk: &Result<Bytes, StoreError>| match chunk {
            Ok(chunk) => {
                let bytes = chunk.len() as u64;
                stats.get_bytes.add(bytes);
                stats.classes.note_bytes(class.as_deref(), bytes);
                charges.classes.note_bytes(class.as_deref(), bytes);
                file.get_bytes.add(bytes);
                seen.note_bytes(bytes);
            }
            Err(_) => {
                stats.failed_requests.add(1);
                seen.ends(Outcome::Failed);
            }
        };
        // The request ends when somebody drops the body.
        let bytes = stream::unfold((body.bytes, seen, note), |(mut bytes, mut seen, note)| async {
            let Some(chunk) = bytes.next().await else {
                seen.completes();
                return None;
            };
            note(&mut seen, &chunk);
            Some((chunk, (bytes, seen, note)))
        });
        Ok(GetBody { head: body.head, bytes: bytes.boxed() })
    }

    async fn list_versions(&self, request: VersionsRequest) -> Result<VersionsPage, StoreError> {
        self.count(RequestKind::List);
        tracing::debug!("LIST VERSIONS {:?}", request.key.as_str());
        let key = request.key.clone();
        self.noted(RequestKind::List, key.as_str(), self.inner.list_versions(request)).await
    }

    async fn put(&self, request: PutRequest) -> Result<Written, StoreError> {
        self.count(RequestKind::Put);
        tracing::debug!("PUT {:?}, {} bytes", request.key.as_str(), request.body.len());
        let (key, bytes) = (request.key.clone(), request.body.len() as u64);
        self.sent(key.as_str(), bytes, self.inner.put(request)).await
    }

    async fn begin_upload(&self, request: BeginRequest) -> Result<Upload, StoreError> {
        self.count(RequestKind::Put);
        tracing::debug!("UPLOAD {:?}", request.key.as_str());
        let key = request.key.clone();
        self.noted(RequestKind::Put, key.as_str(), self.inner.begin_upload(request)).await
    }

    async fn put_part(&self, request: PartRequest) -> Result<Part, StoreError> {
        self.count(RequestKind::Put);
        tracing::debug!(
            "PUT {:?} part {}, {} bytes",
            request.upload.key.as_str(),
            request.number,
            request.body.len()
        );
        let (key, bytes) = (request.upload.key.clone(), request.body.len() as u64);
        self.sent(key.as_str(), bytes, self.inner.put_part(request)).await
    }

    async fn copy_part(&self, request: CopyPartRequest) -> Result<Part, StoreError> {
        self.count(RequestKind::Put);
        tracing::debug!(
            "COPY {:?} {:?} to {:?} part {}",
            request.from.key.as_str(),
            request.range,
            request.upload.key.as_str(),
            request.number
        );
        let key = request.upload.key.clone();
        self.noted(RequestKind::Put, key.as_str(), self.inner.copy_part(request)).await
    }

    async fn complete_upload(&self, request: CompleteRequest) -> Result<Written, StoreError> {
        self.count(RequestKind::Put);
        tracing::debug!(
            "COMPLETE {:?}, {} parts",
            request.upload.key.as_str(),
            request.parts.len()
        );
        let key = request.upload.key.clone();
        self.noted(RequestKind::Put, key.as_str(), self.inner.complete_upload(request)).await
    }

    async fn abort_upload(&self, upload: &Upload) -> Result<(), StoreError> {
        self.count(RequestKind::Delete);
        tracing::debug!("ABORT {:?}", upload.key.as_str());
        self.noted(RequestKind::Delete, upload.key.as_str(), self.inner.abort_upload(upload)).await
    }

    async fn copy(&self, request: CopyRequest) -> Result<Written, StoreError> {
        self.count(RequestKind::Put);
        tracing::debug!("COPY {:?} to {:?}", request.from.key.as_str(), request.to.as_str());
        let key = request.to.clone();
        self.noted(RequestKind::Put, key.as_str(), self.inner.copy(request)).await
    }

    async fn delete(&self, key: &ObjectKey, etag: Option<&ETag>) -> Result<(), StoreError> {
        self.count(RequestKind::Delete);
        tracing::debug!("DELETE {:?}", key.as_str());
        self.noted(RequestKind::Delete, key.as_str(), self.inner.delete(key, etag)).await
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
