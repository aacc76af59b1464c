//! Copies that the server makes inside the bucket: in one request or, where the
//! object is too large for that, in parts.
//!
//! Contract: the copy is made of the version that was asked for or not at all. A
//! copy in parts that does not come to its end is aborted, so that no part is left
//! that would be paid for.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::types::CompletedPart;
use futures_util::FutureExt;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::runtime::Handle;
use tokio::time::sleep;

use super::S3;
use super::error::service_error;
use super::write::{no_etag, upload_named, write_error};
use crate::key::{ETag, ObjectKey};
use crate::store::ambiguous::etag_of_parts;
use crate::store::write::{Condition, CopyRequest, Upload, Written};
use crate::store::{ObjectHead, ObjectStore, StoreError, StoreErrorKind};

/// The most that S3 copies in one request.
pub(super) const MAX_COPY_BYTES: u64 = 5 << 30;
/// What one part of a copy has, unless there would be too many.
const PART_BYTES: u64 = 512 << 20;
const MAX_PARTS: u64 = 10_000;
/// Parts that are copied at once; no bytes of them pass through here.
const PARTS_AT_ONCE: usize = 8;
/// So often each part is tried by itself, since the whole may take hours.
const TRIES: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(200);

impl S3 {
    pub(super) async fn copy_object(&self, request: CopyRequest) -> Result<Written, StoreError> {
        if request.from.size > self.copy_limit {
            return self.copy_in_parts(request).await;
        }
        let CopyRequest { from, to, condition, .. } = &request;
        self.look_before(to, condition, &copy_name(&request)).await?;
        let output = self
            .in_its_region(|client| {
                let call = client
                    .copy_object()
                    .bucket(self.config.bucket.as_str())
                    .key(to.as_str())
                    .copy_source(self.copy_source(&from.key))
                    .set_copy_source_if_match(tag(from.etag.as_ref()))
                    .set_if_match(condition.if_match())
                    .set_if_none_match(condition.if_none_match())
                    .set_storage_class(self.storage_class())
                    .set_server_side_encryption(self.encryption())
                    .set_ssekms_key_id(self.kms_key())
                    .set_request_payer(self.payer())
                    .set_expected_bucket_owner(self.owner())
                    .set_expected_source_bucket_owner(self.owner());
                let (name, is_conditional) = (copy_name(&request), *condition != Condition::Any);
                async move { call.send().await.map_err(|e| write_error(name, is_conditional, e)) }
            })
            .await?;
        let result = output.copy_object_result();
        Ok(Written { etag: result.and_then(|result| result.e_tag()).map(ETag::new) })
    }

    async fn copy_in_parts(&self, request: CopyRequest) -> Result<Written, StoreError> {
        let CopyRequest { from, to, condition, .. } = &request;
        let name = copy_name(&request);
        let head = self.head(&from.key).await?;
        if from.etag.is_some() && head.etag.is_some() && from.etag != head.etag {
            let detail = "the object is another version";
            return Err(StoreError::new(StoreErrorKind::Changed, name, detail));
        }
        let parts = part_ranges(from.size, self.copy_limit);
        if let Some(stats) = &self.stats {
            // The request for the copy is counted outside: it stands for the beginning.
            stats.head_requests.add(1);
            stats.put_requests.add(parts.len() as u64 + 1);
        }
        let upload = self.begin_copy(to, head, request.content_type.clone(), &name).await?;
        let mut guard = Unfinished { s3: self.clone(), upload: Some(upload.clone()) };
        let copies = parts.into_iter().map(|(number, range)| {
            let (request, upload) = (&request, &upload);
            async move { self.copy_part(request, upload, number, range).await }.boxed()
        });
        let outcome = match stream::iter(copies).buffered(PARTS_AT_ONCE).try_collect().await {
            Ok(parts) => self.complete_copy(&upload, parts, condition, from.size, name).await,
            Err(error) => Err(error),
        };
        guard.upload = None;
        if outcome.is_err()
            && let Err(error) = self.abort_multipart_upload(&upload).await
        {
            tracing::warn!("{}; the parts of this upload are still there", error.chain());
        }
        outcome
    }

    /// Begins an upload that gets the source's metadata, as copies in one request do.
    async fn begin_copy(
        &self,
        to: &ObjectKey,
        head: ObjectHead,
        content_type: Option<Arc<str>>,
        name: &str,
    ) -> Result<Upload, StoreError> {
        let content_type = content_type.map(|text| text.to_string()).or(head.content_type);
        let (content_type, metadata) = (&content_type, &head.metadata);
        let output = self
            .in_its_region(|client| {
                let call = client
                    .create_multipart_upload()
                    .bucket(self.config.bucket.as_str())
                    .key(to.as_str())
                    .set_content_type(content_type.clone())
                    .set_metadata(Some(metadata.clone().into_iter().collect()))
                    .set_storage_class(self.storage_class())
                    .set_server_side_encryption(self.encryption())
                    .set_ssekms_key_id(self.kms_key())
                    .set_request_payer(self.payer())
                    .set_expected_bucket_owner(self.owner());
                async move { call.send().await.map_err(|e| service_error(name.to_owned(), e)) }
            })
            .await?;
        upload_named(to, output.upload_id(), name.to_owned())
    }

    async fn copy_part(
        &self,
        request: &CopyRequest,
        upload: &Upload,
        number: i32,
        range: (u64, u64),
    ) -> Result<CompletedPart, StoreError> {
        let (mut pause, mut tries) = (FIRST_PAUSE, 1);
        loop {
            match self.try_copy_part(request, upload, number, range).await {
                Err(error) if error.kind.is_transient() && tries < TRIES => {
                    self.count_retry();
                    sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
                    (pause, tries) = (pause * 2, tries + 1);
                }
                outcome => return outcome,
            }
        }
    }

    async fn try_copy_part(
        &self,
        request: &CopyRequest,
        upload: &Upload,
        number: i32,
        (first, last): (u64, u64),
    ) -> Result<CompletedPart, StoreError> {
        let name = format!("{} part {number}", copy_name(request));
        let from = &request.from;
        let output = self
            .in_its_region(|client| {
                let call = client
                    .upload_part_copy()
                    .bucket(self.config.bucket.as_str())
                    .key(upload.key.as_str())
                    .upload_id(&*upload.id)
                    .part_number(number)
                    .copy_source(self.copy_source(&from.key))
                    .copy_source_range(format!("bytes={first}-{last}"))
                    .set_copy_source_if_match(tag(from.etag.as_ref()))
                    .set_request_payer(self.payer())
                    .set_expected_bucket_owner(self.owner())
                    .set_expected_source_bucket_owner(self.owner());
                let name = name.clone();
                async move { call.send().await.map_err(|e| service_error(name, e)) }
            })
            .await?;
        let etag = output.copy_part_result().and_then(|result| result.e_tag());
        let etag = etag.ok_or_else(|| no_etag(name))?;
        Ok(CompletedPart::builder().part_number(number).e_tag(etag).build())
    }

    /// Completes a copy, again where the answer was lost. The server may then find
    /// the copy itself in the way, which is known by the ETag that its parts give.
    async fn complete_copy(
        &self,
        upload: &Upload,
        parts: Vec<CompletedPart>,
        condition: &Condition,
        size: u64,
        name: String,
    ) -> Result<Written, StoreError> {
        let etag = etag_of_parts(parts.iter().filter_map(|part| part.e_tag()));
        let (mut pause, mut tries) = (FIRST_PAUSE, 1);
        loop {
            let completed = self.complete_parts(upload, parts.clone(), condition, name.clone());
            let error = match completed.await {
                Err(error) => error,
                written => return written,
            };
            if error.kind.is_transient() && tries < TRIES {
                self.count_retry();
                sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
                (pause, tries) = (pause * 2, tries + 1);
                continue;
            }
            let is_refusal =
                matches!(error.kind, StoreErrorKind::Changed | StoreErrorKind::NotFound);
            if tries == 1 || !is_refusal || etag.is_none() {
                return Err(error);
            }
            return match self.head(&upload.key).await {
                Ok(head) if head.etag == etag && head.size == size => Ok(Written { etag }),
                _ => Err(error),
            };
        }
    }

    fn count_retry(&self) {
        if let Some(stats) = &self.stats {
            stats.retry_requests.add(1);
            stats.put_requests.add(1);
        }
    }

    /// The source as the header takes it: percent-encoded, which the SDK leaves to us.
    fn copy_source(&self, key: &ObjectKey) -> String {
        const ENCODED: &AsciiSet =
            &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');
        let bucket = self.config.bucket.as_str();
        let source = match bucket.starts_with("arn:") {
            true => format!("{bucket}/object/{key}"),
            false => format!("{bucket}/{key}"),
        };
        utf8_percent_encode(&source, ENCODED).to_string()
    }
}

/// Aborts an upload when whoever waits for it gives up.
struct Unfinished {
    s3: S3,
    upload: Option<Upload>,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let (Some(upload), Ok(runtime)) = (self.upload.take(), Handle::try_current()) else {
            return;
        };
        let s3 = self.s3.clone();
        runtime.spawn(async move {
            if let Err(error) = s3.abort_multipart_upload(&upload).await {
                tracing::warn!("{}; the parts of this upload are still there", error.chain());
            }
        });
    }
}

fn tag(etag: Option<&ETag>) -> Option<String> {
    etag.map(|etag| etag.as_str().to_owned())
}

fn copy_name(request: &CopyRequest) -> String {
    format!("COPY {} to {}", request.from.key, request.to)
}

/// Number, first and last byte of each part of a copy.
fn part_ranges(size: u64, limit: u64) -> Vec<(i32, (u64, u64))> {
    let part = PART_BYTES.min(limit).max(size.div_ceil(MAX_PARTS)).max(1);
    let range = |(number, first): (i32, u64)| (number, (first, (first + part).min(size) - 1));
    (1..).zip((0..size).step_by(part as usize)).map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_copy_cover_it_once_and_are_not_too_many() {
        const TIB: u64 = 1 << 40;
        for size in [MAX_COPY_BYTES + 1, 6 << 30, (6 << 30) + 1, 5 * TIB, 50 * TIB - 1] {
            let parts = part_ranges(size, MAX_COPY_BYTES);
            assert!(parts.len() <= 10_000, "{size}: {} parts", parts.len());
            let mut next = 0;
            for (index, (number, (first, last))) in parts.iter().enumerate() {
                assert_eq!((*number, *first), (index as i32 + 1, next));
                next = last + 1;
            }
            assert_eq!(next, size);
        }
        let parts = part_ranges(6 << 30, MAX_COPY_BYTES);
        assert_eq!((parts.len(), parts[0].1), (12, (0, (512 << 20) - 1)));
    }
}
