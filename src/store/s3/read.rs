//! Reads through the AWS SDK: listings, headers and ranges of objects.
//!
//! Contract: one call is one attempt. A range that is answered with another is an error,
//! never other bytes.

use std::collections::{BTreeMap, HashMap};
use std::time::SystemTime;

use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{ChecksumMode, EncodingType};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};

use super::S3;
use super::error::service_error;
use super::listing::Listing;
use super::payer_owner_encryption::{addressed, object_read};
use super::taken::Taken;
use crate::key::{ETag, ObjectKey};
use crate::store::{
    GetBody, GetRequest, ListPage, ListRequest, ObjectHead, StoreError, StoreErrorKind,
};

impl S3 {
    pub(super) async fn list_objects(&self, request: ListRequest) -> Result<ListPage, StoreError> {
        let name = format!("LIST {}", request.prefix);
        let request = &request;
        let document = self
            .in_its_region(|client| {
                let call = addressed!(self, client.list_objects_v2())
                    .prefix(request.prefix.as_str())
                    .set_delimiter(request.delimited.then(|| "/".to_owned()))
                    .set_continuation_token(request.token.clone())
                    .max_keys(i32::from(request.max_keys))
                    // Without it one control character in one key fails the page.
                    .encoding_type(EncodingType::Url);
                let listing = Taken::default();
                let call = call.customize().interceptor(listing.clone());
                let name = name.clone();
                async move {
                    call.send().await.map_err(|e| service_error(name.clone(), e))?;
                    listing.document(&name).await
                }
            })
            .await?;
        let listing = Listing::read(&document, &name, &self.connection.server())?;
        self.count.compare(&name, listing.count, listing.entries);
        Ok(listing.page)
    }

    pub(super) async fn head_object(&self, key: &ObjectKey) -> Result<ObjectHead, StoreError> {
        let output = self
            .in_its_region(|client| {
                let call = object_read!(self, client.head_object())
                    .key(key.as_str())
                    .checksum_mode(ChecksumMode::Enabled);
                async move {
                    call.send().await.map_err(|e| service_error(format!("HEAD {key}"), e))
                }
            })
            .await?;
        if output.e_tag().is_none() && output.last_modified().is_none() {
            return Err(no_object(format!("HEAD {key}")));
        }
        let size = output.content_length().and_then(|length| u64::try_from(length).ok());
        if size.is_none() {
            let detail = format!("{} answers without a Content-Length", self.connection.server());
            return Err(StoreError::new(StoreErrorKind::Other, format!("HEAD {key}"), detail));
        }
        Ok(ObjectHead {
            size,
            etag: output.e_tag().and_then(ETag::told),
            last_modified: output.last_modified().map(system_time),
            content_type: output.content_type().map(str::to_owned),
            storage_class: output.storage_class().map(|class| class.as_str().to_owned()),
            metadata: metadata(output.metadata()),
            checksum: output.checksum_crc32_c().map(str::to_owned),
        })
    }

    pub(super) async fn get_object(&self, request: GetRequest) -> Result<GetBody, StoreError> {
        let GetRequest { key, range, etag } = &request;
        let name = format!("GET {key}");
        let output = self
            .in_its_region(|client| {
                let call = object_read!(self, client.get_object())
                    .key(key.as_str())
                    .range(format!("bytes={}-{}", range.start, range.end.saturating_sub(1)))
                    .set_if_match(etag.as_ref().map(|etag| etag.condition().to_owned()));
                let name = name.clone();
                async move { call.send().await.map_err(|e| service_error(name, e)) }
            })
            .await?;
        if output.e_tag().is_none() && output.last_modified().is_none() {
            return Err(no_object(name));
        }
        let size = match output.content_range() {
            Some(text) => checked_total(text, range.start).ok_or_else(|| {
                let detail = format!(
                    "{} answered with another range than the one from byte {}: {text}",
                    self.connection.server(),
                    range.start
                );
                StoreError::new(StoreErrorKind::Other, name.clone(), detail)
            })?,
            // A server that ignores ranges answers with the whole object.
            None if range.start == 0 => {
                output.content_length().and_then(|length| u64::try_from(length).ok())
            }
            None => {
                let detail = "the server ignores byte ranges, which s3mem needs";
                return Err(StoreError::new(StoreErrorKind::Other, name, detail));
            }
        };
        let head = ObjectHead {
            size,
            etag: output.e_tag().and_then(ETag::told),
            last_modified: output.last_modified().map(system_time),
            content_type: output.content_type().map(str::to_owned),
            storage_class: output.storage_class().map(|class| class.as_str().to_owned()),
            metadata: metadata(output.metadata()),
            // Ranges come without the checksum of the whole.
            checksum: None,
        };
        let bytes = stream::unfold((output.body, name), next_chunk).boxed();
        Ok(GetBody { head, bytes })
    }
}

async fn next_chunk(
    (mut body, name): (ByteStream, String),
) -> Option<(Result<Bytes, StoreError>, (ByteStream, String))> {
    let broke_off = |error| {
        StoreError::new(StoreErrorKind::ShortBody, name.clone(), "the body broke off")
            .caused_by(error)
    };
    let chunk = body.next().await?.map_err(broke_off);
    Some((chunk, (body, name)))
}

/// An answer that says nothing which only S3 says, like a page of somebody else's: each S3
/// server tells ETag and Last-Modified.
fn no_object(name: String) -> StoreError {
    let detail = "the answer has neither ETag nor Last-Modified: something other than an S3 \
                  server seems to answer";
    StoreError::new(StoreErrorKind::NotS3, name, detail)
}

/// The object's size from `bytes START-END/SIZE`, if it starts where it should; a server
/// may leave out the size (`*`).
fn checked_total(content_range: &str, start: u64) -> Option<Option<u64>> {
    let (unit, range) = content_range.trim().split_once([' ', '='])?;
    let (range, total) = range.split_once('/')?;
    let (from, _) = range.split_once('-')?;
    if !unit.eq_ignore_ascii_case("bytes") || from.trim().parse::<u64>().ok()? != start {
        return None;
    }
    match total.trim() {
        "*" => Some(None),
        total => total.parse().ok().map(Some),
    }
}

fn system_time(time: &DateTime) -> SystemTime {
    SystemTime::try_from(*time).unwrap_or(SystemTime::UNIX_EPOCH)
}

fn metadata(pairs: Option<&HashMap<String, String>>) -> BTreeMap<String, String> {
    pairs.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_with_another_range_is_refused() {
        assert_eq!(checked_total("bytes 100-199/5000", 100), Some(Some(5000)));
        assert_eq!(checked_total("bytes 100-199/*", 100), Some(None));
        assert_eq!(checked_total("Bytes 100-199 / 5000", 100), Some(Some(5000)));
        assert_eq!(checked_total("bytes=100-199/ 5000", 100), Some(Some(5000)));
        assert_eq!(checked_total("bytes 0-99/5000", 100), None);
        assert_eq!(checked_total("bytes 100-199/many", 100), None);
        assert_eq!(checked_total("nonsense", 0), None);
    }
}
