//! Writes through the AWS SDK: objects in one request and in parts, and deletes. Copies
//! are in [`super::copy`].
//!
//! Contract: one call is one attempt. Every body carries its CRC32C, which we compute, so
//! that the server refuses what was damaged on its way; where it takes none see
//! [`super::lacks`]. The signature covers the body too, or only its checksum; see
//! [`BodySignatures`](super::BodySignatures).

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};

use super::S3;
use super::error::{service_error, write_error};
use super::payer_owner_encryption::{addressed, object_made, part_made};
use super::whole_document::Answer;
use crate::key::{ETag, ObjectKey};
use crate::store::checksum::{crc32c, told};
use crate::store::{
    BeginRequest, CompleteRequest, Condition, Part, PartRequest, PutRequest, StoreError,
    StoreErrorKind, Upload, Written,
};

impl Condition {
    /// What If-Match says.
    pub(super) fn if_match(&self) -> Option<String> {
        match self {
            Self::Unchanged(etag) => Some(etag.condition().to_owned()),
            Self::Absent | Self::Any => None,
        }
    }

    /// What If-None-Match says.
    pub(super) fn if_none_match(&self) -> Option<String> {
        (*self == Self::Absent).then(|| "*".to_owned())
    }
}

impl S3 {
    pub(super) async fn put_object(&self, request: PutRequest) -> Result<Written, StoreError> {
        let put = |has_checksum| self.put_once(&request, has_checksum);
        self.lacks.with_checksum(&self.listener, put).await
    }

    async fn put_once(
        &self,
        request: &PutRequest,
        has_checksum: bool,
    ) -> Result<Written, StoreError> {
        let PutRequest { key, body, content_type, condition } = request;
        let checksum = has_checksum.then(|| told(crc32c(body)));
        let output = self
            .in_its_region(|client| {
                let call = object_made!(self, client.put_object())
                    .key(key.as_str())
                    .body(ByteStream::from(body.clone()))
                    .set_checksum_crc32_c(checksum.clone())
                    .set_content_type(content_type.as_deref().map(str::to_owned))
                    .set_if_match(condition.if_match())
                    .set_if_none_match(condition.if_none_match());
                let (name, is_conditional) = (format!("PUT {key}"), *condition != Condition::Any);
                let answer = Answer::of(None);
                let call = call.customize().interceptor(answer.clone());
                async move {
                    let sent = match self.signs_bodies || !has_checksum {
                        true => call.send().await,
                        false => call.disable_payload_signing().send().await,
                    };
                    answer.vouch(
                        sent.map_err(|e| write_error(name.clone(), is_conditional, e)),
                        &name,
                    )
                }
            })
            .await?;
        Ok(Written { etag: output.e_tag().and_then(ETag::told) })
    }

    pub(super) async fn create_multipart_upload(
        &self,
        request: BeginRequest,
    ) -> Result<Upload, StoreError> {
        if !request.has_checksums {
            return self.create_once(&request, false).await;
        }
        let create = |has_checksum| self.create_once(&request, has_checksum);
        self.lacks.with_checksum(&self.listener, create).await
    }

    async fn create_once(
        &self,
        request: &BeginRequest,
        has_checksum: bool,
    ) -> Result<Upload, StoreError> {
        let BeginRequest { key, content_type, metadata, .. } = request;
        let name = format!("UPLOAD {key}");
        let output = self
            .in_its_region(|client| {
                let call = object_made!(self, client.create_multipart_upload())
                    .key(key.as_str())
                    .set_checksum_algorithm(has_checksum.then_some(ChecksumAlgorithm::Crc32C))
                    .set_content_type(content_type.as_deref().map(str::to_owned))
                    .set_metadata(Some(metadata.clone().into_iter().collect()));
                let answer = Answer::of(Some("InitiateMultipartUploadResult"));
                let call = call.customize().interceptor(answer.clone());
                let name = name.clone();
                async move {
                    let sent = call.send().await;
                    answer.vouch(sent.map_err(|e| write_error(name.clone(), false, e)), &name)
                }
            })
            .await?;
        upload_named(key, output.upload_id(), name)
    }

    pub(super) async fn upload_part(&self, request: PartRequest) -> Result<Part, StoreError> {
        let put = |has_checksum| self.part_once(&request, has_checksum);
        self.lacks.with_checksum(&self.listener, put).await
    }

    async fn part_once(
        &self,
        request: &PartRequest,
        has_checksum: bool,
    ) -> Result<Part, StoreError> {
        let PartRequest { upload, number, body } = request;
        let name = format!("PUT {} part {number}", upload.key);
        let checksum = has_checksum.then(|| crc32c(body));
        let part_number = part_number(*number, &name)?;
        let output = self
            .in_its_region(|client| {
                let call = part_made!(self, client.upload_part())
                    .key(upload.key.as_str())
                    .upload_id(&*upload.id)
                    .part_number(part_number)
                    .body(ByteStream::from(body.clone()))
                    .set_checksum_crc32_c(checksum.map(told));
                let answer = Answer::of(None);
                let call = call.customize().interceptor(answer.clone());
                let name = name.clone();
                async move {
                    let sent = match self.signs_bodies || !has_checksum {
                        true => call.send().await,
                        false => call.disable_payload_signing().send().await,
                    };
                    answer.vouch(sent.map_err(|e| write_error(name.clone(), false, e)), &name)
                }
            })
            .await?;
        let etag = output.e_tag().and_then(ETag::told).ok_or_else(|| no_etag(name))?;
        Ok(Part { number: *number, etag, checksum })
    }

    pub(super) async fn complete_multipart_upload(
        &self,
        request: CompleteRequest,
    ) -> Result<Written, StoreError> {
        if request.parts.iter().all(|part| part.checksum.is_none()) {
            return self.complete_once(&request, false).await;
        }
        let complete = |has_checksum| self.complete_once(&request, has_checksum);
        self.lacks.with_checksum(&self.listener, complete).await
    }

    async fn complete_once(
        &self,
        request: &CompleteRequest,
        has_checksum: bool,
    ) -> Result<Written, StoreError> {
        let CompleteRequest { upload, parts, condition } = request;
        let name = format!("COMPLETE {}", upload.key);
        let mut completed = Vec::with_capacity(parts.len());
        for part in parts {
            let builder = CompletedPart::builder()
                .part_number(part_number(part.number, &name)?)
                .e_tag(part.etag.as_str())
                .set_checksum_crc32_c(part.checksum.filter(|_| has_checksum).map(told));
            completed.push(builder.build());
        }
        let parts = CompletedMultipartUpload::builder().set_parts(Some(completed)).build();
        let output = self
            .in_its_region(|client| {
                let call = part_made!(self, client.complete_multipart_upload())
                    .key(upload.key.as_str())
                    .upload_id(&*upload.id)
                    .multipart_upload(parts.clone())
                    .set_if_match(condition.if_match())
                    .set_if_none_match(condition.if_none_match());
                let (name, is_conditional) = (name.clone(), *condition != Condition::Any);
                let answer = Answer::of(Some("CompleteMultipartUploadResult"));
                let call = call.customize().interceptor(answer.clone());
                async move {
                    let sent = call.send().await;
                    answer.vouch(
                        sent.map_err(|e| write_error(name.clone(), is_conditional, e)),
                        &name,
                    )
                }
            })
            .await?;
        Ok(Written { etag: output.e_tag().and_then(ETag::told) })
    }

    pub(super) async fn abort_multipart_upload(&self, upload: &Upload) -> Result<(), StoreError> {
        let outcome = self
            .in_its_region(|client| {
                let call = addressed!(self, client.abort_multipart_upload())
                    .key(upload.key.as_str())
                    .upload_id(&*upload.id);
                let answer = Answer::of(None);
                let call = call.customize().interceptor(answer.clone());
                let name = format!("ABORT {}", upload.key);
                async move {
                    let sent = call.send().await;
                    answer.vouch(sent.map_err(|e| service_error(name.clone(), e)), &name)
                }
            })
            .await;
        match outcome {
            Ok(_) => Ok(()),
            // It was completed or aborted before: there is nothing left of it.
            Err(error) if error.kind == StoreErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn delete_object(
        &self,
        key: &ObjectKey,
        etag: Option<&ETag>,
    ) -> Result<(), StoreError> {
        let outcome = self
            .in_its_region(|client| {
                let call = addressed!(self, client.delete_object())
                    .key(key.as_str())
                    .set_if_match(etag.map(|etag| etag.condition().to_owned()));
                let (name, is_conditional) = (format!("DELETE {key}"), etag.is_some());
                let answer = Answer::of(None);
                let call = call.customize().interceptor(answer.clone());
                async move {
                    let sent = call.send().await;
                    answer.vouch(
                        sent.map_err(|e| write_error(name.clone(), is_conditional, e)),
                        &name,
                    )
                }
            })
            .await;
        match outcome {
            Ok(_) => Ok(()),
            Err(error) if etag.is_none() && error.kind == StoreErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// The upload that a server has begun.
fn upload_named(key: &ObjectKey, id: Option<&str>, name: String) -> Result<Upload, StoreError> {
    let id = id.filter(|id| !id.is_empty()).ok_or_else(|| {
        StoreError::new(StoreErrorKind::Other, name, "the server begins an upload without an id")
    })?;
    Ok(Upload { key: key.clone(), id: id.into() })
}

pub(super) fn no_etag(name: String) -> StoreError {
    StoreError::new(StoreErrorKind::Other, name, "the server gives a part without an ETag")
}

/// The number as the SDK takes it.
pub(super) fn part_number(number: u32, name: &str) -> Result<i32, StoreError> {
    i32::try_from(number).map_err(|error| {
        let detail = format!("{number} is no part number");
        StoreError::new(StoreErrorKind::Other, name, detail).caused_by(error)
    })
}
