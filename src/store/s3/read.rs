//! Reads through the AWS SDK: listings, headers and ranges of objects.
//!
//! Contract: one call is one attempt. A range that is answered with another is an error,
//! never other bytes.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::time::SystemTime;

use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{ChecksumMode, ChecksumType, EncodingType};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};

use super::S3;
use super::error::service_error;
use super::listing::Listing;
use super::payer_owner_encryption::{addressed, object_read};
use super::taken::Taken;
use super::whole_document::LISTING;
use crate::key::{ETag, ObjectKey};
use crate::store::checksum::{CrcKind, Kept};
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
                    .set_start_after(request.after.clone())
                    .max_keys(i32::from(request.max_keys))
                    // Without it one control character in one key fails the page.
                    .encoding_type(EncodingType::Url);
                let listing = Taken::of(LISTING);
                let call = call.customize().interceptor(listing.clone());
                let name = name.clone();
                async move {
                    call.send().await.map_err(|e| service_error(name.clone(), e))?;
                    listing.document(&name).await
                }
            })
            .await?;
        let listing = Listing::read(&document, &name, &self.connection.server(), &self.spelling)?;
        self.count.compare(&name, listing.count, listing.entries);
        Ok(listing.page)
    }

    pub(super) async fn head_object(
        &self,
        key: &ObjectKey,
        part: Option<u32>,
    ) -> Result<ObjectHead, StoreError> {
        let output = self
            .in_its_region(|client| {
                let call = object_read!(self, client.head_object())
                    .key(key.as_str())
                    .set_version_id(key.version_id().map(str::to_owned))
                    .set_part_number(part.map(|number| number as i32))
                    .checksum_mode(ChecksumMode::Enabled);
                async move {
                    call.send().await.map_err(|e| service_error(format!("HEAD {key}"), e))
                }
            })
            .await?;
        if output.e_tag().is_none() && output.last_modified().is_none() {
            return Err(no_object(format!("HEAD {key}")));
        }
        is_asked_version(key, output.version_id(), output.e_tag().is_some())
            .map_err(|kind| other_version(kind, format!("HEAD {key}")))?;
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
            kept: kept(&output).or_else(|| self.kept_md5(&output)),
        })
    }

    /// The MD5 that an object's ETag is, if it is one. It is asked for last, since it has to be
    /// counted in order.
    fn kept_md5(&self, output: &HeadObjectOutput) -> Option<Kept> {
        let encryption = match output.sse_customer_algorithm() {
            Some(_) => Some("of the customer"),
            None => output.server_side_encryption().map(|how| how.as_str()),
        };
        self.listener.md5_of(output.e_tag()?, encryption)
    }

    pub(super) async fn get_object(&self, request: GetRequest) -> Result<GetBody, StoreError> {
        let GetRequest { key, range, etag } = &request;
        let name = format!("GET {key}");
        let output = self
            .in_its_region(|client| {
                let call = object_read!(self, client.get_object())
                    .key(key.as_str())
                    .set_version_id(key.version_id().map(str::to_owned))
                    .range(format!("bytes={}-{}", range.start, range.end.saturating_sub(1)))
                    .set_if_match(etag.as_ref().map(|etag| etag.condition().to_owned()));
                let name = name.clone();
                async move { call.send().await.map_err(|e| service_error(name, e)) }
            })
            .await?;
        if output.e_tag().is_none() && output.last_modified().is_none() {
            return Err(no_object(name));
        }
        is_asked_version(key, output.version_id(), etag.is_some())
            .map_err(|kind| other_version(kind, name.clone()))?;
        let length = output.content_length().and_then(|length| u64::try_from(length).ok());
        let size = match output.content_range() {
            Some(text) => checked_total(text, range, length).ok_or_else(|| {
                let length = length.map_or_else(String::new, |bytes| format!(" in {bytes} bytes"));
                let detail = format!(
                    "{} answered with other bytes than {}-{}: {text}{length}",
                    self.connection.server(),
                    range.start,
                    range.end.saturating_sub(1)
                );
                StoreError::new(StoreErrorKind::Other, name.clone(), detail)
            })?,
            // A server that ignores ranges answers with the whole object.
            None if range.start == 0 => length,
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
            kept: None,
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

/// The CRC that an answer tells, of the whole object or of parts.
fn kept(output: &HeadObjectOutput) -> Option<Kept> {
    let told = [
        (CrcKind::Crc64Nvme, output.checksum_crc64_nvme()),
        (CrcKind::Crc32c, output.checksum_crc32_c()),
        (CrcKind::Crc32, output.checksum_crc32()),
    ];
    let is_of_parts = output.checksum_type() == Some(&ChecksumType::Composite);
    let crc = |(kind, text): (CrcKind, Option<&str>)| Kept::crc(kind, text?);
    told.into_iter().find_map(crc).filter(|kept| kept.has_parts() || !is_of_parts)
}

/// An answer that says nothing which only S3 says, like a page of somebody else's: each S3
/// server tells ETag and Last-Modified.
fn no_object(name: String) -> StoreError {
    let detail = "the answer has neither ETag nor Last-Modified: something other than an S3 \
                  server seems to answer";
    StoreError::new(StoreErrorKind::NotS3, name, detail)
}

/// Whether an answer may be of the version that was asked for: it says so, or says nothing
/// and is pinned by an ETag.
///
/// # Errors
/// What kind of error it is otherwise.
fn is_asked_version(
    key: &ObjectKey,
    told: Option<&str>,
    is_pinned: bool,
) -> Result<(), StoreErrorKind> {
    match (key.version_id(), told) {
        (None, _) => Ok(()),
        (Some(asked), Some(told)) if asked == told => Ok(()),
        (Some(_), Some(_)) => Err(StoreErrorKind::Changed),
        (Some(_), None) if is_pinned => Ok(()),
        (Some(_), None) => Err(StoreErrorKind::Other),
    }
}

fn other_version(kind: StoreErrorKind, name: String) -> StoreError {
    let detail = "the server does not answer with the version that was asked for";
    StoreError::new(kind, name, detail)
}

/// The object's size from `bytes START-END/SIZE`, if these are bytes of the range that was
/// asked for, from its start on, and the body has no more. A server may leave out the size
/// (`*`), and give fewer bytes: the rest is asked for.
fn checked_total(
    content_range: &str,
    asked: &Range<u64>,
    length: Option<u64>,
) -> Option<Option<u64>> {
    let (unit, range) = content_range.trim().split_once([' ', '='])?;
    let (range, total) = range.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let first: u64 = first.trim().parse().ok()?;
    let last: u64 = last.trim().parse().ok()?;
    let total: Option<u64> = match total.trim() {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    let is_asked_for = unit.eq_ignore_ascii_case("bytes")
        && first == asked.start
        && (first..asked.end).contains(&last)
        && total.is_none_or(|total| last < total)
        && length.is_none_or(|length| length <= last - first + 1);
    is_asked_for.then_some(total)
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
    fn an_answer_of_another_version_is_refused() {
        let key = ObjectKey::new("a");
        assert_eq!(is_asked_version(&key, Some("2"), false), Ok(()));
        let old = key.at_version("1");
        assert_eq!(is_asked_version(&old, Some("1"), false), Ok(()));
        assert_eq!(is_asked_version(&old, Some("2"), true), Err(StoreErrorKind::Changed));
        assert_eq!(is_asked_version(&old, None, true), Ok(()));
        assert_eq!(is_asked_version(&old, None, false), Err(StoreErrorKind::Other));
    }

    #[test]
    fn an_answer_with_another_range_is_refused() {
        let checked = |text| checked_total(text, &(100..200), Some(100));
        for told in ["bytes 100-199/5000", "Bytes 100-199 / 5000", "bytes=100-199/ 5000"] {
            assert_eq!(checked(told), Some(Some(5000)), "{told}");
        }
        assert_eq!(checked("bytes 100-199/*"), Some(None));
        for told in [
            "bytes 0-99/5000",
            "bytes 101-200/5000",
            "bytes 100-200/5000",
            "bytes 100-99/5000",
            "bytes 100-/5000",
            "bytes 100-199/150",
            "bytes 100-199/many",
            "lines 100-199/5000",
            "nonsense",
            "",
        ] {
            assert_eq!(checked(told), None, "{told}");
        }
        // Fewer bytes than asked for are a beginning; with more, they are other ones.
        let told = "bytes 100-149/5000";
        assert_eq!(checked_total(told, &(100..200), Some(50)), Some(Some(5000)));
        assert_eq!(checked_total(told, &(100..200), Some(49)), Some(Some(5000)));
        assert_eq!(checked_total(told, &(100..200), None), Some(Some(5000)));
        for length in [51, 100, 5000] {
            assert_eq!(checked_total(told, &(100..200), Some(length)), None, "{length}");
        }
    }
}
