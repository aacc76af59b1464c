//! Checks conditions on copies and deletes where the server may ignore them.
//!
//! Contract: does nothing on a server that keeps conditions on all writes
//! ([`KeptConditions::OnAllWrites`]). On any other, a HEAD asks just before a copy or a
//! delete whether its condition holds; what somebody else does between the two requests
//! is not noticed there. Belongs below `Retry`, so that each attempt looks for itself:
//! what the first attempt found may have been replaced when the second is sent.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    BeginRequest, CompleteRequest, Condition, CopyPartRequest, CopyRequest, GetBody, GetRequest,
    KeptConditions, KeyOrder, ListPage, ListRequest, ObjectHead, ObjectStore, Part, PartRequest,
    PutRequest, StoreError, StoreErrorKind, Upload, Written,
};
use crate::key::{ETag, ObjectKey};

/// A store that keeps conditions on copies and deletes where the one below does not.
#[derive(Debug)]
pub struct CheckConditions {
    inner: Arc<dyn ObjectStore>,
}

impl CheckConditions {
    /// Checks what is asked of `inner`.
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        CheckConditions { inner }
    }

    /// Asks whether `condition` holds for `key`, if the server may not ask itself.
    /// `request` is what the answer decides on, for the error.
    ///
    /// # Errors
    /// [`StoreErrorKind::Changed`], or `NotFound` if the object is gone; whatever the HEAD
    /// failed with.
    async fn check(
        &self,
        key: &ObjectKey,
        condition: &Condition,
        request: String,
    ) -> Result<(), StoreError> {
        let is_kept = self.inner.kept_conditions() == KeptConditions::OnAllWrites;
        if is_kept || *condition == Condition::Any {
            return Ok(());
        }
        let holds = match (self.inner.head(key).await, condition) {
            (Ok(head), Condition::Unchanged(etag)) => head.etag.as_ref() == Some(etag),
            (Err(error), Condition::Absent) if error.kind == StoreErrorKind::NotFound => true,
            (Ok(_), _) => false,
            (Err(error), _) => return Err(error),
        };
        if holds {
            return Ok(());
        }
        let detail = "the object is another version";
        Err(StoreError::new(StoreErrorKind::Changed, request, detail))
    }
}

#[async_trait]
impl ObjectStore for CheckConditions {
    async fn list_page(&self, request: ListRequest) -> Result<ListPage, StoreError> {
        self.inner.list_page(request).await
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectHead, StoreError> {
        self.inner.head(key).await
    }

    async fn get_range(&self, request: GetRequest) -> Result<GetBody, StoreError> {
        self.inner.get_range(request).await
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
        let CopyRequest { from, to, condition, .. } = &request;
        self.check(to, condition, format!("COPY {} to {to}", from.key)).await?;
        self.inner.copy(request).await
    }

    async fn delete(&self, key: &ObjectKey, etag: Option<&ETag>) -> Result<(), StoreError> {
        if let Some(etag) = etag {
            self.check(key, &Condition::Unchanged(etag.clone()), format!("DELETE {key}")).await?;
        }
        self.inner.delete(key, etag).await
    }

    fn kept_conditions(&self) -> KeptConditions {
        self.inner.kept_conditions()
    }

    fn key_order(&self) -> KeyOrder {
        self.inner.key_order()
    }
}
