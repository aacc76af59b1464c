//! Which server answers, on which requests it keeps conditions, and how it lists.
//!
//! Contract: Amazon S3, which says so in each answer, keeps them on all writes. Others may
//! ignore them on copies and deletes without a word (MinIO does; it keeps those on PUTs).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;

use crate::store::{KeptConditions, KeyOrder};

/// What Amazon S3 calls itself in the header `Server`.
const AMAZON: &str = "AmazonS3";

/// Listens to what the server calls itself. Clones share what was heard.
#[derive(Debug, Clone, Default)]
pub(super) struct Listener {
    is_amazon: Arc<AtomicBool>,
}

impl Listener {
    /// Which conditions the server keeps, by its last answer. Before the first it is no
    /// better than any other.
    pub(super) fn kept_conditions(&self) -> KeptConditions {
        match self.is_amazon.load(Ordering::Relaxed) {
            true => KeptConditions::OnAllWrites,
            false => KeptConditions::NotOnCopiesAndDeletes,
        }
    }

    /// In which order the server lists, by its last answer.
    pub(super) fn key_order(&self) -> KeyOrder {
        match self.is_amazon.load(Ordering::Relaxed) {
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
        let is_amazon = context.response().headers().get("server") == Some(AMAZON);
        self.is_amazon.store(is_amazon, Ordering::Relaxed);
        Ok(())
    }
}
