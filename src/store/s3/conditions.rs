//! Conditions on copies and deletes, which servers other than Amazon S3 may ignore
//! without a word (MinIO does; it holds those on writes).
//!
//! Contract: Amazon S3, which says so in each answer, holds the conditions by itself.
//! On any other server the object is looked at just before; what somebody else does
//! between the two requests is not noticed there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;

use super::S3;
use crate::key::ObjectKey;
use crate::store::write::Condition;
use crate::store::{ObjectStore, StoreError, StoreErrorKind};

/// What Amazon S3 calls itself in the header `Server`.
const AMAZON: &str = "AmazonS3";

/// Listens to what the server calls itself. Clones share what was heard.
#[derive(Debug, Clone, Default)]
pub(super) struct Listener {
    is_amazon: Arc<AtomicBool>,
}

impl Listener {
    /// Whether the last answer was one of Amazon S3; not before the first.
    fn is_amazon(&self) -> bool {
        self.is_amazon.load(Ordering::Relaxed)
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

impl S3 {
    /// Looks whether a condition on a copy to `key` or on its deletion holds, where the
    /// server may not look itself. `name` is the request's.
    ///
    /// # Errors
    /// [`StoreErrorKind::Changed`], or `NotFound` where there is no object any more;
    /// what the look itself failed with.
    pub(super) async fn look_before(
        &self,
        key: &ObjectKey,
        condition: &Condition,
        name: &str,
    ) -> Result<(), StoreError> {
        if *condition == Condition::Any || self.listener.is_amazon() {
            return Ok(());
        }
        if let Some(stats) = &self.stats {
            stats.head_requests.add(1);
        }
        let is_kept = match (self.head(key).await, condition) {
            (Ok(head), Condition::Unchanged(etag)) => head.etag.as_ref() == Some(etag),
            (Err(error), Condition::Absent) if error.kind == StoreErrorKind::NotFound => true,
            (Ok(_), _) => false,
            (Err(error), _) => return Err(error),
        };
        if is_kept {
            return Ok(());
        }
        let detail = "the object is another version";
        Err(StoreError::new(StoreErrorKind::Changed, name.to_owned(), detail))
    }
}
