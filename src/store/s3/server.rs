//! Which server answers, on which requests it keeps conditions, and how it lists.
//!
//! Contract: Amazon S3, which says so in each answer, keeps them on all writes. Others may
//! ignore them on copies and deletes without a word (MinIO does; it keeps those on PUTs).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::DateTime;

use super::times::timestamp;
use crate::store::checksum::Kept;
use crate::store::{KeptConditions, KeyOrder};

/// What Amazon S3 calls itself in the header `Server`.
const AMAZON: &str = "AmazonS3";

/// What MinIO calls itself.
const MINIO: &str = "MinIO";

/// Listens to what the server calls itself. Clones share what was heard.
#[derive(Debug, Clone, Default)]
pub(super) struct Listener {
    /// How far our clock is ahead of the server's, by its last answer.
    skew_seconds: Arc<Mutex<Option<i64>>>,
    is_amazon: Arc<AtomicBool>,
    is_minio: Arc<AtomicBool>,
}

impl Listener {
    /// How far our clock is ahead of the server's, in seconds, by its last answer.
    pub(super) fn clock_skew_seconds(&self) -> Option<i64> {
        *self.skew_seconds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the server is Amazon S3, by its last answer.
    pub(super) fn is_amazon(&self) -> bool {
        self.is_amazon.load(Ordering::Relaxed)
    }

    /// The MD5s that an ETag is, by the server's last answer; `encryption` is what it says of
    /// that. Nothing where it is not known to be one: an ETag may be anything.
    pub(super) fn md5_of(&self, etag: &str, encryption: Option<&str>) -> Option<Kept> {
        let is_minio = self.is_minio.load(Ordering::Relaxed);
        let kept = Kept::md5(etag)?;
        match encryption {
            // MinIO's ETags in its mode without MD5s end in -1.
            None => self.is_amazon() || (is_minio && kept.parts != 1),
            // Everything that comes without keys is encrypted so.
            Some("AES256") => self.is_amazon(),
            // With keys of a key service, or of the customer, it is no MD5.
            Some(_) => false,
        }
        .then_some(kept)
    }

    /// Which conditions the server keeps, by its last answer. Before the first it is no
    /// better than any other.
    pub(super) fn kept_conditions(&self) -> KeptConditions {
        match self.is_amazon() {
            true => KeptConditions::OnAllWrites,
            false => KeptConditions::NotOnCopiesAndDeletes,
        }
    }

    /// In which order the server lists, by its last answer.
    pub(super) fn key_order(&self) -> KeyOrder {
        match self.is_amazon() {
            true => KeyOrder::OfBytes,
            false => KeyOrder::Unknown,
        }
    }
}

impl Intercept for Listener {
    fn name(&self) -> &'static str {
        "Listener"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date").and_then(timestamp);
        let now = DateTime::from(SystemTime::now());
        let skew = date.map(|date| now.secs().saturating_sub(date.secs()));
        *self.skew_seconds.lock().unwrap_or_else(PoisonError::into_inner) = skew;
        let server = context.response().headers().get("server");
        self.is_amazon.store(server == Some(AMAZON), Ordering::Relaxed);
        self.is_minio.store(server == Some(MINIO), Ordering::Relaxed);
        let id = context.response().headers().get("x-amz-request-id");
        let status = context.response().status().as_u16();
        let shown = id.unwrap_or("missing");
        tracing::debug!(
            request_id = id,
            status,
            "the server answers {status} (request id {shown})"
        );
        Ok(())
    }
}
