//! What fills the blocks of a job: what the cache on disk has of them, and a GET for each gap,
//! from its request to the last byte or its failure.

use std::ops::Range;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::join;
use tokio::time::Instant;

use super::cache::FetchJob;
use super::on_disk::useful;
use super::pin::Pin;
use crate::key::ObjectVersion;
use crate::mem::Use;
use crate::store::{GetRequest, ObjectStore, StoreError, StoreErrorKind};

/// What one connection buffers at most (hyper's adaptive read buffer).
const CONNECTION_BYTES: u64 = 400 << 10;

impl FetchJob {
    /// Runs to its end; what went wrong reaches the blocks' waiters.
    pub(super) async fn run(mut self, store: Arc<dyn ObjectStore>, pin: Arc<Pin>) {
        let begun = Instant::now();
        if let Err(error) = self.fill(&*store, &pin).await {
            if error.kind == StoreErrorKind::Changed {
                pin.note_changed();
            }
            let error = Arc::new(error);
            if error.kind == StoreErrorKind::Damaged {
                pin.note_damage(&error);
                if let Some(on_disk) = self.cache().on_disk() {
                    on_disk.forget(&pin.version);
                }
            }
            pin.note_failure(self.missing(), begun, &error);
            self.fail_with(error);
        }
        // Dropping the job tells the blocks that are not complete.
    }

    async fn fill(&mut self, store: &dyn ObjectStore, pin: &Pin) -> Result<(), StoreError> {
        let mut on_disk = self.find_on_disk(pin).await;
        while !self.is_complete() {
            let at = self.missing().start;
            on_disk.retain(|range| range.end > at);
            match on_disk.first() {
                Some(next) if next.start <= at => {
                    let range = at..next.end;
                    if !self.fill_from_disk(&range, store, pin).await? {
                        on_disk.remove(0);
                    }
                }
                next => {
                    let stop = next.map_or(u64::MAX, |next| next.start);
                    self.fill_to(stop, store, pin).await?;
                }
            }
        }
        Ok(())
    }

    /// What the cache on disk has of the missing bytes, as far as taking it from there saves
    /// something.
    async fn find_on_disk(&self, pin: &Pin) -> Vec<Range<u64>> {
        let Some(on_disk) = self.cache().on_disk() else { return Vec::new() };
        let missing = self.missing();
        useful(on_disk.find(&pin.version, &missing).await, &missing)
    }

    /// Fills in bytes that the cache on disk has; whether they were right.
    async fn fill_from_disk(
        &mut self,
        range: &Range<u64>,
        store: &dyn ObjectStore,
        pin: &Pin,
    ) -> Result<bool, StoreError> {
        let Some(on_disk) = self.cache().on_disk().cloned() else { return Ok(false) };
        let _buffered = self.cache().budget().charge(range.end - range.start).of(Use::Bodies);
        let Some(bytes) = on_disk.read(&pin.version, range).await else { return Ok(false) };
        self.ask(range.end, true);
        let Some(verify) = &pin.verify else {
            self.append(&bytes);
            return Ok(true);
        };
        let place = pin.place();
        match verify.plan(store, &place).await {
            None => self.append(&bytes),
            Some(plan) => self.append_verified(&bytes, &place, (verify, &plan))?,
        }
        Ok(true)
    }

    /// Fetches what is missing up to `stop`.
    async fn fill_to(
        &mut self,
        stop: u64,
        store: &dyn ObjectStore,
        pin: &Pin,
    ) -> Result<(), StoreError> {
        loop {
            let place = pin.place();
            match self.fill_from(&place, stop, store, pin).await {
                // Renamed meanwhile: the rest is in the copy.
                Err(_) if !Arc::ptr_eq(&place, &pin.place()) => {}
                outcome => return outcome,
            }
        }
    }

    /// Fills what is missing up to `stop` with the bytes that are at a place.
    async fn fill_from(
        &mut self,
        place: &ObjectVersion,
        stop: u64,
        store: &dyn ObjectStore,
        pin: &Pin,
    ) -> Result<(), StoreError> {
        let range = self.ask(stop, false);
        let begun = Instant::now();
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
            if self.has_reached(range.end) {
                if let Some(on_disk) = self.cache().on_disk() {
                    on_disk.note_network(range.end - range.start, begun.elapsed());
                }
                return Ok(());
            }
        }
        let detail = format!("the body of bytes {}..{} ended early", range.start, range.end);
        Err(StoreError::short_body(&place.key, detail))
    }
}
