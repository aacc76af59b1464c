//! Asks for a listed key that is missing as it would read otherwise (see
//! [`super::spelling`]).
//!
//! Contract: does nothing on Amazon S3, and on any other server only where a key can be
//! read in two ways, a few times. What is found changes how listings are read from then on;
//! the request that failed has failed all the same, since whoever sent it had another key
//! in mind. Belongs above `Retry`, so that the question is retried like any other request.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    BeginRequest, CompleteRequest, CopyPartRequest, CopyRequest, GetBody, GetRequest,
    KeptConditions, KeyOrder, Lesson, ListPage, ListRequest, ObjectHead, ObjectStore, Part,
    PartRequest, PutRequest, Spelling, StoreError, StoreErrorKind, Upload, VersionsPage,
    VersionsRequest, Written,
};
use crate::key::{ETag, ObjectKey, Prefix};

/// A store that finds out how the one below writes keys.
#[derive(Debug)]
pub struct Respell {
    inner: Arc<dyn ObjectStore>,
}

impl Respell {
    /// Listens to what `inner` answers.
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Respell { inner }
    }

    /// What this key may be instead.
    fn other(&self, key: &str) -> Option<(String, Lesson)> {
        match self.inner.kept_conditions() {
            KeptConditions::OnAllWrites => None,
            KeptConditions::NotOnCopiesAndDeletes => self.inner.spelling().other(key),
        }
    }

    /// Notes how a request for an object ended; returns whether the object is missing.
    fn is_missing<T>(&self, key: &ObjectKey, outcome: &Result<T, StoreError>) -> bool {
        match outcome {
            Ok(_) => {
                self.inner.spelling().confirm(key.as_str());
                false
            }
            Err(error) => error.kind == StoreErrorKind::NotFound,
        }
    }

    /// Hears that an object is missing.
    async fn hear_missing(&self, key: &ObjectKey) {
        if let Some((other, lesson)) = self.other(key.as_str())
            && self.inner.head(&ObjectKey::new(other)).await.is_ok()
        {
            self.inner.spelling().learn(lesson);
        }
    }

    /// Hears that a folder has nothing in it.
    async fn hear_empty(&self, request: &ListRequest) {
        let Some((other, lesson)) = self.other(request.prefix.as_str()) else { return };
        let other = ListRequest { prefix: Prefix::new(other), max_keys: 1, ..request.clone() };
        if self.inner.list_page(other).await.is_ok_and(|page| !page.is_empty()) {
            self.inner.spelling().learn(lesson);
        }
    }
}

#[async_trait]
impl ObjectStore for Respell {
    async fn list_page(&self, request: ListRequest) -> Result<ListPage, StoreError> {
        let page = self.inner.list_page(request.clone()).await?;
        let is_all = request.token.is_none() && request.after.is_none();
        if is_all && page.is_empty() && page.next.is_none() {
            self.hear_empty(&request).await;
        }
        Ok(page)
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectHead, StoreError> {
        let outcome = self.inner.head(key).await;
        if self.is_missing(key, &outcome) {
            self.hear_missing(key).await;
        }
        outcome
    }

    async fn head_part(&self, key: &ObjectKey, number: u32) -> Result<ObjectHead, StoreError> {
        // Asked after a HEAD of the whole, which would have heard it.
        self.inner.head_part(key, number).await
    }

    async fn get_range(&self, request: GetRequest) -> Result<GetBody, StoreError> {
        let key = request.key.clone();
        let outcome = self.inner.get_range(request).await;
        if self.is_missing(&key, &outcome) {
            self.hear_missing(&key).await;
        }
        outcome
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
