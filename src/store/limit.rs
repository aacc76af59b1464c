//! Bounds how many requests are under way at once.
//!
//! Listings and HEADs have permits of their own, so that an `ls` never queues
//! behind bodies that are being read or that have stalled. A GET holds its permit
//! until its body is read to the end or dropped.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    GetBody, GetRequest, ListPage, ListRequest, ObjectHead, ObjectStore, StoreError, StoreErrorKind,
};
use crate::key::ObjectKey;

/// Enough for a 10 Gbit/s link at 80 MB/s a connection, with room for readers
/// whose bodies have stalled.
const GETS: usize = 96;
const LOOKUPS: usize = 32;

/// A store that lets a bounded number of requests through at once.
#[derive(Debug)]
pub struct Limit {
    inner: Arc<dyn ObjectStore>,
    gets: Arc<Semaphore>,
    lookups: Arc<Semaphore>,
}

impl Limit {
    /// Bounds the requests to `inner`.
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        Limit { inner, gets: semaphore(GETS), lookups: semaphore(LOOKUPS) }
    }
}

async fn permit(semaphore: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, StoreError> {
    // Only a closed semaphore refuses, and nobody closes these.
    semaphore
        .clone()
        .acquire_owned()
        .await
        .map_err(|_| StoreError::new(StoreErrorKind::Other, "request", "the store is shut down"))
}

#[async_trait]
impl ObjectStore for Limit {
    async fn list_page(&self, request: ListRequest) -> Result<ListPage, StoreError> {
        let _permit = permit(&self.lookups).await?;
        self.inner.list_page(request).await
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectHead, StoreError> {
        let _permit = permit(&self.lookups).await?;
        self.inner.head(key).await
    }

    async fn get_range(&self, request: GetRequest) -> Result<GetBody, StoreError> {
        let permit = permit(&self.gets).await?;
        let body = self.inner.get_range(request).await?;
        // The permit lives in the stream and ends with it.
        let bytes = body.bytes.inspect(move |_| {
            let _held = &permit;
        });
        Ok(GetBody { head: body.head, bytes: bytes.boxed() })
    }
}
