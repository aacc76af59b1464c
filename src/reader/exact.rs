//! Exact ranges of one version, fetched as asked for and not kept: for whoever
//! keeps what it makes of the bytes.

use std::io;
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

/// What takes bytes as they come: where they belong, and the bytes.
pub type Take = dyn Fn(u64, &[u8]) -> io::Result<()> + Send + Sync;

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

    /// The bytes of a range inside the object, counted while somebody holds them: one GET
    /// for each 8 MiB, at once.
    ///
    /// # Errors
    /// What a GET failed with; never bytes of another version, and never fewer.
    pub async fn read(&self, range: Range<u64>) -> Result<Bytes, Arc<StoreError>> {
        let parts = parts(range).map(|part| async move {
            let mut bytes = Vec::with_capacity((part.end - part.start) as usize);
            let take = |_, chunk: &[u8]| {
                bytes.extend_from_slice(chunk);
                Ok(())
            };
            self.part(part, take).await?;
            Ok::<_, Arc<StoreError>>(bytes)
        });
        let mut parts = try_join_all(parts).await?;
        let bytes = match parts.len() {
            1 => parts.swap_remove(0),
            _ => parts.concat(),
        };
        let counted = self.budget.charge(bytes.len() as u64);
        Ok(Bytes::from_owner(Held { bytes, _counted: counted }))
    }

    /// Hands out all bytes of the object as they come, each piece with its offset, in any
    /// order: one GET for each 8 MiB, at once.
    ///
    /// # Errors
    /// As [`ExactReader::read`], or that of `take`. What was handed out is worth nothing
    /// then.
    pub async fn copy_to(&self, take: &Take) -> Result<(), Arc<StoreError>> {
        try_join_all(parts(0..self.version().size).map(|part| self.part(part, take))).await?;
        Ok(())
    }

    async fn part(
        &self,
        range: Range<u64>,
        take: impl FnMut(u64, &[u8]) -> io::Result<()> + Send,
    ) -> Result<(), Arc<StoreError>> {
        let outcome = self.get(range, take).await;
        if matches!(&outcome, Err(error) if error.kind == StoreErrorKind::Changed) {
            self.pin.note_changed();
        }
        outcome.map_err(Arc::new)
    }

    async fn get(
        &self,
        range: Range<u64>,
        mut take: impl FnMut(u64, &[u8]) -> io::Result<()> + Send,
    ) -> Result<(), StoreError> {
        let version = self.version();
        let (key, etag) = (version.key.clone(), self.pin.etag(version).cloned());
        let request = GetRequest { key, range: range.clone(), etag };
        let mut body = self.store.get_range(request).await?;
        self.pin.check(version, &body.head)?;
        let mut at = range.start;
        while at < range.end
            && let Some(chunk) = body.bytes.next().await
        {
            let chunk = chunk?;
            let end = at + chunk.len() as u64;
            if end > range.end {
                let detail = format!("more than bytes {}..{} came", range.start, range.end);
                return Err(StoreError::short_body(&version.key, detail));
            }
            take(at, &chunk).map_err(|error| {
                let request = format!("GET {}", version.key);
                StoreError::given_up(request, "there is no memory for its bytes").caused_by(error)
            })?;
            at = end;
        }
        if at != range.end {
            let came = at - range.start;
            let detail = format!("bytes {}..{} came as {came}", range.start, range.end);
            return Err(StoreError::short_body(&version.key, detail));
        }
        Ok(())
    }
}

/// Ranges that one GET each is sent for.
fn parts(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let end = range.end;
    range.step_by(PART_BYTES as usize).map(move |start| start..end.min(start + PART_BYTES))
}
