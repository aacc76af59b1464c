//! A listing past the SDK, whose reader fails the whole page for one date or number that it
//! can't read. [`super::listing`] reads it instead.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use bytes::Bytes;

use super::whole_document::{Seen, is_html, look};
use crate::store::{StoreError, StoreErrorKind};

/// Takes the body of a listing. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Taken {
    /// The name of the document that it is.
    root: &'static str,
    body: Arc<Mutex<Option<(SdkBody, bool)>>>,
}

impl Taken {
    /// Of a listing that is this document.
    pub(super) fn of(root: &'static str) -> Self {
        Taken { root, body: Arc::default() }
    }

    /// The listing, whole.
    ///
    /// # Errors
    /// It broke off, or is something else.
    pub(super) async fn document(&self, name: &str) -> Result<Bytes, StoreError> {
        let taken = self.body.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((body, is_html)) = taken else {
            return Err(StoreError::new(StoreErrorKind::Other, name, "there was no answer"));
        };
        let cut = |detail| StoreError::new(StoreErrorKind::ShortBody, name, detail);
        let document = ByteStream::new(body).collect().await;
        let document =
            document.map_err(|error| cut("the answer broke off").caused_by(error))?.into_bytes();
        match look(&document, is_html, Some(self.root)) {
            Seen::Fine => Ok(document),
            Seen::Cut => Err(cut("the listing stops before its end")),
            Seen::Page => {
                let detail = "the answer is not a listing that an S3 server gives";
                Err(StoreError::new(StoreErrorKind::Other, name, detail))
            }
        }
    }
}

impl Intercept for Taken {
    fn name(&self) -> &'static str {
        "Taken"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response_mut();
        // The SDK reads refusals.
        if response.status().is_success() {
            let is_html = response.headers().get("content-type").is_some_and(is_html);
            // The SDK gets to read nothing instead.
            let nothing = SdkBody::from(format!("<{}/>", self.root));
            let body = std::mem::replace(response.body_mut(), nothing);
            *self.body.lock().unwrap_or_else(PoisonError::into_inner) = Some((body, is_html));
        }
        Ok(())
    }
}
