//! Writing through the AWS SDK: objects in one request and in parts, deletes.
//! Copies are in [`super::copy`].
//!
//! Contract: as in [`super`], one call is one attempt. Every body carries its
//! CRC32C, which we compute, so that the server refuses what was damaged on its way.
//! Over HTTP to another machine the signature covers bodies too; else it covers their
//! checksum.

use std::sync::Arc;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, ServerSideEncryption, StorageClass,
};

use super::S3;
use super::error::service_error;
use crate::key::{ETag, ObjectKey};
use crate::store::checksum::{crc32c, told};
use crate::store::write::{
    CompleteRequest, Condition, Encryption, Part, PartRequest, PutRequest, Upload, Written,
};
use crate::store::{StoreError, StoreErrorKind};

impl Condition {
    /// What If-Match says.
    pub(super) fn if_match(&self) -> Option<String> {
        match self {
            Self::Unchanged(etag) => Some(etag.as_str().to_owned()),
            Self::Absent | Self::Any => None,
        }
    }

    /// What If-None-Match says.
    pub(super) fn if_none_match(&self) -> Option<String> {
        (*self == Self::Absent).then(|| "*".to_owned())
    }
}

/// What a failed write means: as for other requests, but a server that does not
/// know conditions is told from one that does not know the request.
pub(super) fn write_error<E>(
    request: String,
    is_conditional: bool,
    error: SdkError<E, HttpResponse>,
) -> StoreError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let is_unknown = error.raw_response().is_some_and(|raw| raw.status().as_u16() == 501);
    let mut failed = service_error(request, error);
    if is_conditional && is_unknown && failed.kind == StoreErrorKind::Other {
        failed.detail =
            format!("the server does not support conditional writes: {}", failed.detail);
    }
    failed
}

impl S3 {
    pub(super) fn storage_class(&self) -> Option<StorageClass> {
        self.config.writes.storage_class.as_deref().map(StorageClass::from)
    }

    pub(super) fn encryption(&self) -> Option<ServerSideEncryption> {
        match &self.config.writes.encryption {
            Encryption::BucketDefault => None,
            Encryption::Aes256 => Some(ServerSideEncryption::Aes256),
            Encryption::Kms { .. } => Some(ServerSideEncryption::AwsKms),
        }
    }

    pub(super) fn kms_key(&self) -> Option<String> {
        match &self.config.writes.encryption {
            Encryption::Kms { key } => key.clone(),
            Encryption::BucketDefault | Encryption::Aes256 => None,
        }
    }

    pub(super) async fn put_object(&self, request: PutRequest) -> Result<Written, StoreError> {
        let PutRequest { key, body, content_type, condition } = &request;
        let checksum = told(crc32c(body));
        let output = self
            .in_its_region(|client| {
                let call = client
                    .put_object()
                    .bucket(self.config.bucket.as_str())
                    .key(key.as_str())
                    .body(ByteStream::from(body.clone()))
                    .checksum_crc32_c(checksum.as_str())
                    .set_content_type(content_type.as_deref().map(str::to_owned))
                    .set_if_match(condition.if_match())
                    .set_if_none_match(condition.if_none_match())
                    .set_storage_class(self.storage_class())
                    .set_server_side_encryption(self.encryption())
                    .set_ssekms_key_id(self.kms_key())
                    .set_request_payer(self.payer())
                    .set_expected_bucket_owner(self.owner());
                let is_conditional = *condition != Condition::Any;
                async move {
                    let sent = match self.signs_bodies {
                        true => call.send().await,
                        false => call.customize().disable_payload_signing().send().await,
                    };
                    sent.map_err(|e| write_error(format!("PUT {key}"), is_conditional, e))
                }
            })
            .await?;
        Ok(Written { etag: output.e_tag().map(ETag::new) })
    }

    pub(super) async fn create_multipart_upload(
        &self,
        key: &ObjectKey,
        content_type: Option<Arc<str>>,
    ) -> Result<Upload, StoreError> {
        let name = format!("UPLOAD {key}");
        let content_type = &content_type;
        let output = self
            .in_its_region(|client| {
                let call = client
                    .create_multipart_upload()
                    .bucket(self.config.bucket.as_str())
                    .key(key.as_str())
                    .checksum_algorithm(ChecksumAlgorithm::Crc32C)
                    .set_content_type(content_type.as_deref().map(str::to_owned))
                    .set_storage_class(self.storage_class())
                    .set_server_side_encryption(self.encryption())
                    .set_ssekms_key_id(self.kms_key())
                    .set_request_payer(self.payer())
                    .set_expected_bucket_owner(self.owner());
                let name = name.clone();
                async move { call.send().await.map_err(|e| service_error(name, e)) }
            })
            .await?;
        upload_named(key, output.upload_id(), name)
    }

    pub(super) async fn upload_part(&self, request: PartRequest) -> Result<Part, StoreError> {
        let PartRequest { upload, number, body } = &request;
        let name = format!("PUT {} part {number}", upload.key);
        let checksum = crc32c(body);
        let part_number = part_number(*number, &name)?;
        let output = self
            .in_its_region(|client| {
                let call = client
                    .upload_part()
                    .bucket(self.config.bucket.as_str())
                    .key(upload.key.as_str())
                    .upload_id(&*upload.id)
                    .part_number(part_number)
                    .body(ByteStream::from(body.clone()))
                    .checksum_crc32_c(told(checksum))
                    .set_request_payer(self.payer())
                    .set_expected_bucket_owner(self.owner());
                let name = name.clone();
                async move {
                    let sent = match self.signs_bodies {
                        true => call.send().await,
                        false => call.customize().disable_payload_signing().send().await,
                    };
                    sent.map_err(|e| service_error(name, e))
                }
            })
            .await?;
        let etag = output.e_tag().map(ETag::new).ok_or_else(|| no_etag(name))?;
        Ok(Part { number: *number, etag, checksum })
    }

    pub(super) async fn complete_multipart_upload(
        &self,
        request: CompleteRequest,
    ) -> Result<Written, StoreError> {
        let CompleteRequest { upload, parts, condition } = &request;
        let name = format!("COMPLETE {}", upload.key);
        let mut completed = Vec::with_capacity(parts.len());
        for part in parts {
            let builder = CompletedPart::builder()
                .part_number(part_number(part.number, &name)?)
                .e_tag(part.etag.as_str())
                .checksum_crc32_c(told(part.checksum));
            completed.push(builder.build());
        }
        self.complete_parts(upload, completed, condition, name).await
    }

    /// Completes an upload whose parts have checksums or, after a copy, have none.
    pub(super) async fn complete_parts(
        &self,
        upload: &Upload,
        parts: Vec<CompletedPart>,
        condition: &Condition,
        name: String,
    ) -> Result<Written, StoreError> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let output = self
            .in_its_region(|client| {
                let call = client
                    .complete_multipart_upload()
                    .bucket(self.config.bucket.as_str())
                    .key(upload.key.as_str())
                    .upload_id(&*upload.id)
                    .multipart_upload(parts.clone())
                    .set_if_match(condition.if_match())
                    .set_if_none_match(condition.if_none_match())
                    .set_request_payer(self.payer())
                    .set_expected_bucket_owner(self.owner());
                let (name, is_conditional) = (name.clone(), *condition != Condition::Any);
                async move { call.send().await.map_err(|e| write_error(name, is_conditional, e)) }
            })
            .await?;
        Ok(Written { etag: output.e_tag().map(ETag::new) })
    }

    pub(super) async fn abort_multipart_upload(&self, upload: &Upload) -> Result<(), StoreError> {
        let outcome = self
            .in_its_region(|client| {
                let call = client
                    .abort_multipart_upload()
                    .bucket(self.config.bucket.as_str())
                    .key(upload.key.as_str())
                    .upload_id(&*upload.id)
                    .set_request_payer(self.payer())
                    .set_expected_bucket_owner(self.owner());
                let name = format!("ABORT {}", upload.key);
                async move { call.send().await.map_err(|e| service_error(name, e)) }
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
        if let Some(etag) = etag {
            let condition = Condition::Unchanged(etag.clone());
            self.look_before(key, &condition, &format!("DELETE {key}")).await?;
        }
        let outcome = self
            .in_its_region(|client| {
                let call = client
                    .delete_object()
                    .bucket(self.config.bucket.as_str())
                    .key(key.as_str())
                    .set_if_match(etag.map(|etag| etag.as_str().to_owned()))
                    .set_request_payer(self.payer())
                    .set_expected_bucket_owner(self.owner());
                let (name, is_conditional) = (format!("DELETE {key}"), etag.is_some());
                async move { call.send().await.map_err(|e| write_error(name, is_conditional, e)) }
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
pub(super) fn upload_named(
    key: &ObjectKey,
    id: Option<&str>,
    name: String,
) -> Result<Upload, StoreError> {
    let id = id.filter(|id| !id.is_empty()).ok_or_else(|| {
        StoreError::new(StoreErrorKind::Other, name, "the server begins an upload without an id")
    })?;
    Ok(Upload { key: key.clone(), id: id.into() })
}

pub(super) fn no_etag(name: String) -> StoreError {
    StoreError::new(StoreErrorKind::Other, name, "the server gives a part without an ETag")
}

/// The number as the SDK takes it.
fn part_number(number: u32, name: &str) -> Result<i32, StoreError> {
    i32::try_from(number).map_err(|error| {
        let detail = format!("{number} is no part number");
        StoreError::new(StoreErrorKind::Other, name, detail).caused_by(error)
    })
}
