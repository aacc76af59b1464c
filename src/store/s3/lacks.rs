//! Checksums of what is written, and servers that do not take them.
//!
//! Contract: a body carries its CRC32C unless the AWS configuration says otherwise
//! (`request_checksum_calculation = when_required`), or the server has refused one and has
//! taken the same request without. A body without one is signed, so that what is damaged
//! on its way is refused all the same. Amazon S3 takes checksums: it is never sent less.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::server::Listener;
use crate::store::{Lack, StoreError, StoreErrorKind};

/// What the server does not take. Clones share what was found out.
#[derive(Debug, Clone)]
pub(super) struct Lacks {
    checksums: Arc<AtomicBool>,
}

impl Lacks {
    /// A server of which nothing is known; with `without_checksums` none are sent.
    pub(super) fn new(without_checksums: bool) -> Self {
        Lacks { checksums: Arc::new(without_checksums.into()) }
    }

    /// Sends a request with the checksum of what it writes; without, if the server does
    /// not take that.
    pub(super) async fn with_checksum<T, F>(
        &self,
        server: &Listener,
        request: impl Fn(bool) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        if self.checksums.load(Ordering::Relaxed) {
            return request(false).await;
        }
        let error = match request(true).await {
            Err(error) if refuses_checksums(&error) && !server.is_amazon() => error,
            outcome => return outcome,
        };
        let outcome = request(false).await;
        match &outcome {
            Ok(_) => self.note_checksums(),
            Err(again) if again.kind == StoreErrorKind::Changed => self.note_checksums(),
            // It was refused for something else.
            Err(again) if again.kind == StoreErrorKind::Other && again.lack.is_none() => {
                return Err(error);
            }
            Err(_) => {}
        }
        outcome
    }

    fn note_checksums(&self) {
        if !self.checksums.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "the server refuses the checksums (CRC32C) of what is written, so none are sent \
                 any more; bodies are signed instead (SHA-256), which takes more of the \
                 processor. 'request_checksum_calculation = when_required' in the AWS \
                 configuration says so from the start"
            );
        }
    }
}

/// Whether a request may have been refused for its checksum.
fn refuses_checksums(error: &StoreError) -> bool {
    matches!(error.lack, Some(Lack::Checksums | Lack::Unnamed))
}
