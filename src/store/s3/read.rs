//! Reads through the AWS SDK: listings, headers and ranges of objects.
//!
//! Contract: one call is one attempt. A range that is answered with another is an error,
//! never other bytes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{ChecksumMode, EncodingType};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use percent_encoding::percent_decode;

use super::S3;
use super::error::service_error;
use super::payer_owner_encryption::{addressed, object_read};
use super::whole_document::Answer;
use crate::key::{ETag, ObjectKey, ObjectVersion, Prefix};
use crate::store::{
    GetBody, GetRequest, ListPage, ListRequest, ListedObject, ObjectHead, StoreError,
    StoreErrorKind,
};

impl S3 {
    pub(super) async fn list_objects(&self, request: ListRequest) -> Result<ListPage, StoreError> {
        let name = format!("LIST {}", request.prefix);
        let request = &request;
        let output = self
            .in_its_region(|client| {
                let call = addressed!(self, client.list_objects_v2())
                    .prefix(request.prefix.as_str())
                    .set_delimiter(request.delimited.then(|| "/".to_owned()))
                    .set_continuation_token(request.token.clone())
                    .max_keys(i32::from(request.max_keys))
                    // Without it one control character in one key fails the page.
                    .encoding_type(EncodingType::Url);
                let listing = Answer::of(Some("ListBucketResult"));
                let call = call.customize().interceptor(listing.clone());
                let name = name.clone();
                async move {
                    let sent = call.send().await;
                    if listing.is_cut() {
                        let detail = "the listing stops before its end";
                        return Err(StoreError::new(StoreErrorKind::ShortBody, name, detail));
                    }
                    sent.map_err(|e| service_error(name, e))
                }
            })
            .await?;
        let entries = output.contents().len() + output.common_prefixes().len();
        self.count.compare(&name, output.key_count(), entries);
        let encoded = output.encoding_type() == Some(&EncodingType::Url);
        let mut page = ListPage::default();
        if output.is_truncated() == Some(true) {
            let token = output.next_continuation_token().ok_or_else(|| {
                let detail = "the server says there is more and gives no continuation token";
                StoreError::new(StoreErrorKind::Other, name, detail)
            })?;
            page.next = Some(token.to_owned());
        }
        for object in output.contents() {
            let Some(text) = object.key() else { continue };
            let Some(key) = decode(text, encoded) else {
                page.unreachable.push(text.to_owned());
                continue;
            };
            let version = ObjectVersion {
                key: ObjectKey::new(key),
                size: object.size().unwrap_or(0).max(0) as u64,
                etag: object.e_tag().map(ETag::new),
                last_modified: object.last_modified().map_or(SystemTime::UNIX_EPOCH, system_time),
            };
            let storage_class = object.storage_class().map(|class| Arc::from(class.as_str()));
            page.objects.push(ListedObject { version, storage_class });
        }
        for prefix in output.common_prefixes() {
            let Some(text) = prefix.prefix() else { continue };
            match decode(text, encoded) {
                Some(prefix) => page.prefixes.push(Prefix::new(prefix)),
                None => page.unreachable.push(text.to_owned()),
            }
        }
        page.objects.sort_by(|a, b| a.version.key.cmp(&b.version.key));
        page.prefixes.sort();
        Ok(page)
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
        Ok(ObjectHead {
            size: output.content_length().unwrap_or(0).max(0) as u64,
            etag: output.e_tag().map(ETag::new),
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
                    .set_if_match(etag.as_ref().map(|etag| etag.as_str().to_owned()));
                let name = name.clone();
                async move { call.send().await.map_err(|e| service_error(name, e)) }
            })
            .await?;
        if output.e_tag().is_none() && output.last_modified().is_none() {
            return Err(no_object(name));
        }
        let content_length = output.content_length().unwrap_or(0).max(0) as u64;
        let size = match output.content_range() {
            Some(text) => checked_total(text, range.start).ok_or_else(|| {
                let detail = format!("the server answered with another range: {text}");
                StoreError::new(StoreErrorKind::Other, name.clone(), detail)
            })?,
            // A server that ignores ranges answers with the whole object.
            None if range.start == 0 => content_length,
            None => {
                let detail = "the server ignores byte ranges, which s3mem needs";
                return Err(StoreError::new(StoreErrorKind::Other, name, detail));
            }
        };
        let head = ObjectHead {
            size,
            etag: output.e_tag().map(ETag::new),
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

/// A key as the listing wrote it: url-encoded as in a form, where the server said
/// so. `None` when it is no UTF-8.
fn decode(text: &str, encoded: bool) -> Option<String> {
    if !encoded {
        return Some(text.to_owned());
    }
    // AWS and MinIO write a space as `+`, and a plus as `%2B`.
    let spaced = text.replace('+', " ");
    percent_decode(spaced.as_bytes()).decode_utf8().ok().map(|key| key.into_owned())
}

/// The object's size from `bytes START-END/SIZE`, if it starts where it should.
fn checked_total(content_range: &str, start: u64) -> Option<u64> {
    let (range, total) = content_range.strip_prefix("bytes ")?.split_once('/')?;
    let (from, _) = range.split_once('-')?;
    (from.parse::<u64>().ok()? == start).then(|| total.parse().ok())?
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
    fn listed_keys_are_decoded_as_aws_encodes_them() {
        assert_eq!(decode("a%2Bb+c%25d%0A", true).as_deref(), Some("a+b c%d\n"));
        assert_eq!(decode("a+b%20", false).as_deref(), Some("a+b%20"));
        assert_eq!(decode("bad%FFutf8", true), None);
    }

    #[test]
    fn an_answer_with_another_range_is_refused() {
        assert_eq!(checked_total("bytes 100-199/5000", 100), Some(5000));
        assert_eq!(checked_total("bytes 0-99/5000", 100), None);
        assert_eq!(checked_total("bytes 100-199/*", 100), None);
        assert_eq!(checked_total("nonsense", 0), None);
    }
}
