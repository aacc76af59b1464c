//! Exact ranges of one version, fetched as asked for and not kept: for whoever
//! keeps what it makes of the bytes.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::try_join_all;

use super::pin::Pin;
use crate::key::ObjectVersion;
use crate::mem::{Budget, Reservation};
use crate::store::{GetRequest, ObjectStore, StoreError, StoreErrorKind};

/// The longest range of one GET.
const PART_BYTES: u64 = 8 << 20;

/// Reads ranges of one version, each with GETs of its own.
#[derive(Debug)]
pub struct ExactReader {
    pin: Arc<Pin>,
    store: Arc<dyn ObjectStore>,
    budget: Arc<Budget>,
}

/// Bytes that are counted while somebody holds them.
struct Held {
    bytes: Vec<u8>,
    _counted: Reservation,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl ExactReader {
    /// A reader of one version, which costs nothing until it reads.
    pub fn new(version: &ObjectVersion, store: Arc<dyn ObjectStore>, budget: Arc<Budget>) -> Self {
        ExactReader { pin: Pin::new(version.clone()), store, budget }
    }

    /// The version that is read.
    pub fn version(&self) -> &ObjectVersion {
        &self.pin.version
    }

    /// The bytes of a range inside the object: one GET for each 8 MiB, at once.
    ///
    /// # Errors
    /// What a GET failed with; never bytes of another version, and never fewer.
    pub async fn read(&self, range: Range<u64>) -> Result<Bytes, Arc<StoreError>> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let starts = range.clone().step_by(PART_BYTES as usize);
        let parts = starts.map(|start| self.part(start..range.end.min(start + PART_BYTES)));
        let mut parts = try_join_all(parts).await?;
        let bytes = match parts.len() {
            1 => parts.swap_remove(0),
            _ => parts.concat(),
        };
        let counted = self.budget.charge(bytes.len() as u64);
        Ok(Bytes::from_owner(Held { bytes, _counted: counted }))
    }

    async fn part(&self, range: Range<u64>) -> Result<Vec<u8>, Arc<StoreError>> {
        let outcome = self.get(range).await;
        if matches!(&outcome, Err(error) if error.kind == StoreErrorKind::Changed) {
            self.pin.note_changed();
        }
        outcome.map_err(Arc::new)
    }

    async fn get(&self, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        let length = (range.end - range.start) as usize;
        let version = self.version();
        let (key, etag) = (version.key.clone(), self.pin.etag(version).cloned());
        let request = GetRequest { key, range: range.clone(), etag };
        let mut body = self.store.get_range(request).await?;
        self.pin.check(version, &body.head)?;
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length
            && let Some(chunk) = body.bytes.next().await
        {
            bytes.extend_from_slice(&chunk?);
        }
        if bytes.len() != length {
            let detail = format!("bytes {}..{} came as {}", range.start, range.end, bytes.len());
            return Err(StoreError::short_body(&version.key, detail));
        }
        Ok(bytes)
    }
}
