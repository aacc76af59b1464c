//! A write that makes an object on a condition: a PUT, the end of an upload, or a copy.
//!
//! The three have the same way of failing: whoever gets no answer does not know whether
//! the object is there, and the same request sent again is refused because of it.

use std::time::Duration;

use super::ambiguous::Print;
use super::{
    CompleteRequest, Condition, CopyRequest, ObjectStore, PutRequest, StoreError, Written,
};
use crate::key::ObjectKey;

/// The slowest upload that is still waited for.
pub(super) const MIN_UPLOAD_BYTES_PER_SECOND: u64 = 256 << 10;
/// The slowest copy inside the server that is still waited for.
pub(super) const MIN_COPY_BYTES_PER_SECOND: u64 = 16 << 20;
/// What a server may take to make an object of its parts, for each.
const COMPLETION_OF_A_PART: Duration = Duration::from_millis(20);

/// What it takes to move so many bytes.
pub(super) fn time_for(bytes: u64, bytes_per_second: u64) -> Duration {
    Duration::from_secs(bytes / bytes_per_second)
}

/// One such write.
#[derive(Debug, Clone)]
pub(super) enum Write {
    /// A whole object in one request.
    Put(PutRequest),
    /// Parts become an object.
    Complete(CompleteRequest),
    /// The server copies an object.
    Copy(CopyRequest),
}

impl Write {
    /// The object that it makes.
    pub(super) fn key(&self) -> &ObjectKey {
        match self {
            Write::Put(request) => &request.key,
            Write::Complete(request) => &request.upload.key,
            Write::Copy(request) => &request.to,
        }
    }

    /// What has to hold of the key.
    pub(super) fn condition(&self) -> &Condition {
        match self {
            Write::Put(PutRequest { condition, .. })
            | Write::Complete(CompleteRequest { condition, .. })
            | Write::Copy(CopyRequest { condition, .. }) => condition,
        }
    }

    /// The same write on another condition.
    pub(super) fn on(mut self, new: Condition) -> Self {
        match &mut self {
            Write::Put(PutRequest { condition, .. })
            | Write::Complete(CompleteRequest { condition, .. })
            | Write::Copy(CopyRequest { condition, .. }) => *condition = new,
        }
        self
    }

    /// What it is called in errors.
    pub(super) fn name(&self) -> String {
        match self {
            Write::Put(request) => format!("PUT {}", request.key),
            Write::Complete(request) => format!("COMPLETE {}", request.upload.key),
            Write::Copy(request) => format!("COPY {} to {}", request.from.key, request.to),
        }
    }

    /// How much longer it may take than a request that carries nothing.
    pub(super) fn work(&self) -> Duration {
        match self {
            Write::Put(request) => time_for(request.body.len() as u64, MIN_UPLOAD_BYTES_PER_SECOND),
            Write::Complete(request) => {
                COMPLETION_OF_A_PART * u32::try_from(request.parts.len()).unwrap_or(u32::MAX)
            }
            Write::Copy(request) => time_for(request.from.size, MIN_COPY_BYTES_PER_SECOND),
        }
    }

    /// Asks a store for it, once.
    pub(super) async fn send(&self, store: &dyn ObjectStore) -> Result<Written, StoreError> {
        match self {
            Write::Put(request) => store.put(request.clone()).await,
            Write::Complete(request) => store.complete_upload(request.clone()).await,
            Write::Copy(request) => store.copy(request.clone()).await,
        }
    }

    /// What tells the object that it makes from others.
    pub(super) fn print(&self) -> Print {
        match self {
            Write::Put(request) => Print::of_put(request),
            Write::Complete(request) => Print::of_parts(request),
            Write::Copy(request) => Print::of_copy(request),
        }
    }
}
