//! One GET that fills the blocks of a job, from its request to the last byte or its
//! failure.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::join;
use tokio::time::Instant;

use super::cache::FetchJob;
use super::pin::Pin;
use crate::key::ObjectVersion;
use crate::mem::Use;
use crate::store::{GetRequest, ObjectStore, StoreError, StoreErrorKind};

/// What one connection buffers at most (hyper's adaptive read buffer).
const CONNECTION_BYTES: u64 = 400 << 10;

impl FetchJob {
    /// Runs the GET to its end; what went wrong reaches the blocks' waiters.
    pub(super) async fn run(mut self, store: Arc<dyn ObjectStore>, pin: Arc<Pin>) {
        let begun = Instant::now();
        if let Err(error) = self.fill(&*store, &pin).await {
            if error.kind == StoreErrorKind::Changed {
                pin.note_changed();
            }
            let error = Arc::new(error);
            if error.kind == StoreErrorKind::Damaged {
                pin.note_damage(&error);
            }
            pin.note_failure(self.missing(), begun, &error);
            self.fail_with(error);
        }
        // Dropping the job tells the blocks that are not complete.
    }

    async fn fill(&mut self, store: &dyn ObjectStore, pin: &Pin) -> Result<(), StoreError> {
        loop {
            let place = pin.place();
            match self.fill_from(&place, store, pin).await {
                // Renamed meanwhile: the rest is in the copy.
                Err(_) if !Arc::ptr_eq(&place, &pin.place()) => {}
                outcome => return outcome,
            }
        }
    }

    /// Fills what is missing with the bytes that are at a place.
    async fn fill_from(
        &mut self,
        place: &ObjectVersion,
        store: &dyn ObjectStore,
        pin: &Pin,
    ) -> Result<(), StoreError> {
        let range = self.ask();
        let etag = pin.etag(place).cloned();
        let request = GetRequest { key: place.key.clone(), range: range.clone(), etag };
        let (body, plan) = match &pin.verify {
            None => (store.get_range(request).await, None),
            Some(verify) => join(store.get_range(request), verify.plan(store, place)).await,
        };
        let mut body = body?;
        pin.check(place, &body.head)?;
        // What the connection holds of the body until it is in its blocks.
        let _buffered = self.cache().budget().charge(CONNECTION_BYTES).of(Use::Bodies);
        while let Some(chunk) = body.bytes.next().await {
            match pin.verify.as_ref().zip(plan.as_ref()) {
                None => self.append(&chunk?),
                Some(verified) => self.append_verified(&chunk?, place, verified)?,
            }
            if self.is_complete() {
                return Ok(());
            }
        }
        let detail = format!("the body of bytes {}..{} ended early", range.start, range.end);
        Err(StoreError::short_body(&place.key, detail))
    }
}
