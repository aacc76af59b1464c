//! Copies that the server makes inside the bucket, through the AWS SDK: of whole objects,
//! and of parts of them. Which of the two it is to be is decided above, in
//! [`crate::store::LargeCopies`].
//!
//! Contract: one call is one attempt. What is copied is the version that was asked for,
//! or nothing.

use super::S3;
use super::error::write_error;
use super::payer_owner_encryption::{object_made, part_made, source_read};
use super::whole_document::Answer;
use super::write::{no_etag, part_number};
use crate::store::{Condition, CopyPartRequest, CopyRequest, Part, StoreError, Written};

impl S3 {
    pub(super) async fn copy_object(&self, request: CopyRequest) -> Result<Written, StoreError> {
        let CopyRequest { from, to, condition, .. } = &request;
        let etag = self
            .in_its_region(|client| {
                let call = object_made!(self, client.copy_object())
                    .key(to.as_str())
                    .set_if_match(condition.if_match())
                    .set_if_none_match(condition.if_none_match());
                let call = source_read!(self, from, call);
                let (name, is_conditional) =
                    (format!("COPY {} to {to}", from.key), *condition != Condition::Any);
                let answer = Answer::of(Some("CopyObjectResult"));
                let call = call.customize().interceptor(answer.clone());
                async move {
                    let sent = call.send().await;
                    answer.vouch_for_etag(
                        sent.map_err(|e| write_error(name.clone(), is_conditional, e)),
                        &name,
                    )
                }
            })
            .await?;
        Ok(Written { etag })
    }

    pub(super) async fn upload_part_copy(
        &self,
        request: CopyPartRequest,
    ) -> Result<Part, StoreError> {
        let CopyPartRequest { upload, number, from, range } = &request;
        let name = format!("COPY {} to {} part {number}", from.key, upload.key);
        let part_number = part_number(*number, &name)?;
        let etag = self
            .in_its_region(|client| {
                let call = part_made!(self, client.upload_part_copy())
                    .key(upload.key.as_str())
                    .upload_id(&*upload.id)
                    .part_number(part_number)
                    .copy_source_range(format!(
                        "bytes={}-{}",
                        range.start,
                        range.end.saturating_sub(1)
                    ));
                let call = source_read!(self, from, call);
                let answer = Answer::of(Some("CopyPartResult"));
                let call = call.customize().interceptor(answer.clone());
                let name = name.clone();
                async move {
                    let sent = call.send().await;
                    answer.vouch_for_etag(
                        sent.map_err(|e| write_error(name.clone(), false, e)),
                        &name,
                    )
                }
            })
            .await?;
        let etag = etag.ok_or_else(|| no_etag(name))?;
        Ok(Part { number: *number, etag, checksum: None })
    }
}
