//! Counts each attempt: what was sent, what came back.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;

use super::{
    GetBody, GetRequest, ListPage, ListRequest, ObjectHead, ObjectStore, StoreError, StoreErrorKind,
};
use crate::key::ObjectKey;
use crate::stats::Stats;

/// A store that counts in [`Stats`] what passes through it.
#[derive(Debug)]
pub struct Meter {
    inner: Arc<dyn ObjectStore>,
    stats: Arc<Stats>,
}

impl Meter {
    /// Counts the requests to `inner` in `stats`.
    pub fn new(inner: Arc<dyn ObjectStore>, stats: Arc<Stats>) -> Self {
        Meter { inner, stats }
    }

    fn noted<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error) = &outcome
            && error.kind != StoreErrorKind::NotFound
        {
            self.stats.failed_requests.add(1);
        }
        outcome
    }
}

#[async_trait]
impl ObjectStore for Meter {
    async fn list_page(&self, request: ListRequest) -> Result<ListPage, StoreError> {
        self.stats.list_requests.add(1);
        tracing::debug!("LIST {:?}", request.prefix.as_str());
        self.noted(self.inner.list_page(request).await)
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectHead, StoreError> {
        self.stats.head_requests.add(1);
        tracing::debug!("HEAD {:?}", key.as_str());
        self.noted(self.inner.head(key).await)
    }

    async fn get_range(&self, request: GetRequest) -> Result<GetBody, StoreError> {
        self.stats.get_requests.add(1);
        tracing::debug!("GET {:?} {:?}", request.key.as_str(), request.range);
        let body = self.noted(self.inner.get_range(request).await)?;
        let stats = self.stats.clone();
        let bytes = body.bytes.inspect(move |chunk| match chunk {
            Ok(chunk) => stats.get_bytes.add(chunk.len() as u64),
            Err(_) => stats.failed_requests.add(1),
        });
        Ok(GetBody { head: body.head, bytes: bytes.boxed() })
    }
}
