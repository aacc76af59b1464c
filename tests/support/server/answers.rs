//! The parts that answers are made of: conditions, ranges, bodies, listed entries.
//!
//! Contract: pure functions from an object or a page of a listing to what the
//! operations in `service` send; nothing here knows a bucket.

use std::collections::HashMap;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use hyper::header::{CONTENT_RANGE, HeaderMap, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3mem::store::checksum;
use s3s::dto::*;
use s3s::stream::{ByteStream, RemainingLength};
use s3s::{Body, S3Error, S3ErrorCode, S3Result, TrailingHeaders, s3_error};

use super::super::bucket::{Content, Object as Stored, Page};
use super::super::pattern::pattern_bytes;
use super::ListingStyle;

/// What S3 says of an object that was put without a media type.
const DEFAULT_CONTENT_TYPE: &str = "binary/octet-stream";

/// Computed bodies are made in pieces that stay in the CPU's cache.
const CHUNK_BYTES: u64 = 128 * 1024;

/// The conditions that a HEAD or a GET may carry.
#[derive(Default)]
pub(super) struct Conditions<'a> {
    pub(super) if_match: Option<&'a ETagCondition>,
    pub(super) if_none_match: Option<&'a ETagCondition>,
    pub(super) if_modified_since: Option<&'a Timestamp>,
    pub(super) if_unmodified_since: Option<&'a Timestamp>,
}

impl Conditions<'_> {
    /// A condition on the tag silences the one on the time (RFC 9110, 13.2.2).
    pub(super) fn check(&self, object: &Stored) -> S3Result<()> {
        let modified = Timestamp::from(object.last_modified);
        let fails = match (self.if_match, self.if_unmodified_since) {
            (Some(_), _) => !matches(self.if_match, object),
            (None, Some(since)) => modified > *since,
            (None, None) => false,
        };
        if fails {
            return Err(precondition_failed());
        }
        let unchanged = match (self.if_none_match, self.if_modified_since) {
            (Some(_), _) => matches(self.if_none_match, object),
            (None, Some(since)) => modified <= *since,
            (None, None) => false,
        };
        if unchanged { Err(S3ErrorCode::NotModified.into()) } else { Ok(()) }
    }
}

pub(super) fn matches(condition: Option<&ETagCondition>, object: &Stored) -> bool {
    match condition {
        Some(ETagCondition::Any) => true,
        Some(ETagCondition::ETag(tag)) => tag.value() == object.etag,
        None => false,
    }
}

pub(super) fn precondition_failed() -> S3Error {
    s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold")
}

pub(super) fn archived() -> S3Error {
    s3_error!(InvalidObjectState, "The operation is not valid for the object's storage class")
}

/// The bytes that a Range header means, and the Content-Range that answers it.
pub(super) fn resolve(
    range: Option<&s3s::dto::Range>,
    size: u64,
) -> S3Result<(Range<u64>, Option<ContentRange>)> {
    let Some(range) = range else { return Ok((0..size, None)) };
    let Ok(range) = range.check(size) else {
        let mut error = s3_error!(InvalidRange, "The requested range is not satisfiable");
        let told = HeaderValue::from_str(&format!("bytes */{size}"));
        let told = told.map_err(S3Error::internal_error)?;
        error.set_headers(HeaderMap::from_iter([(CONTENT_RANGE, told)]));
        return Err(error);
    };
    let told = format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1));
    Ok((range, Some(told)))
}

/// The CRC32C that a client sent with a body, if it is the body's.
pub(super) fn checked(bytes: &[u8], told: Option<String>) -> S3Result<Option<String>> {
    match told {
        Some(told) if told != checksum::told(checksum::crc32c(bytes)) => {
            Err(s3_error!(BadDigest, "The CRC32C you specified did not match what we received"))
        }
        told => Ok(told),
    }
}

/// The CRC32C that a client sent before a body, or behind it as Mountpoint does.
/// Trailers are there once the body has been read.
pub(super) fn told_crc32c(
    header: Option<String>,
    trailers: Option<&TrailingHeaders>,
) -> Option<String> {
    header.or_else(|| {
        let trailers = trailers?.take()?;
        Some(trailers.get("x-amz-checksum-crc32c")?.to_str().ok()?.to_owned())
    })
}

/// A condition on the key that is written, which `s3s` does not know of every request.
pub(super) fn condition(headers: &HeaderMap, name: &str) -> S3Result<Option<ETagCondition>> {
    let Some(header) = headers.get(name) else { return Ok(None) };
    let parsed = ETagCondition::parse_http_header(header.as_bytes());
    parsed.map(Some).map_err(|_| s3_error!(InvalidArgument, "No entity tag"))
}

pub(super) fn content_type(object: &Stored) -> ContentType {
    object.content_type.clone().unwrap_or_else(|| DEFAULT_CONTENT_TYPE.to_owned())
}

pub(super) fn metadata(object: &Stored) -> Option<Metadata> {
    let all: HashMap<_, _> = object.metadata.clone().into_iter().collect();
    if all.is_empty() { None } else { Some(all) }
}

pub(super) fn body(content: &Content, range: Range<u64>) -> StreamingBlob {
    match content {
        Content::Stored(_) => StreamingBlob::from(Body::from(content.slice(range))),
        Content::Pattern { seed, .. } => StreamingBlob::new(PatternStream { seed: *seed, range }),
    }
}

/// A computed body.
struct PatternStream {
    seed: u64,
    range: Range<u64>,
}

impl Stream for PatternStream {
    type Item = Result<Bytes, s3s::StdError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let start = self.range.start;
        if self.range.is_empty() {
            return Poll::Ready(None);
        }
        // To the next multiple: pieces that start on a page are computed fastest.
        let end = ((start / CHUNK_BYTES + 1) * CHUNK_BYTES).min(self.range.end);
        self.range.start = end;
        Poll::Ready(Some(Ok(pattern_bytes(self.seed, start..end))))
    }
}

impl ByteStream for PatternStream {
    fn remaining_length(&self) -> RemainingLength {
        RemainingLength::new_exact((self.range.end - self.range.start) as usize)
    }
}

/// How the texts and entries of a listing are written.
pub(super) struct Render {
    style: ListingStyle,
    url: bool,
}

impl Render {
    pub(super) fn new(style: ListingStyle, encoding: Option<&EncodingType>) -> Self {
        let url = encoding.is_some_and(|encoding| encoding.as_str() == EncodingType::URL);
        Render { style, url }
    }

    /// What the listing says of its encoding.
    pub(super) fn told(&self, encoding: Option<EncodingType>) -> Option<EncodingType> {
        encoding.filter(|_| !self.style.is_silent)
    }

    /// A key, prefix or delimiter, percent-encoded where the client asked for it.
    pub(super) fn text(&self, text: &str) -> String {
        /// What AWS leaves alone. A `+` is always encoded, so one that is left means a space.
        const ENCODED: &AsciiSet =
            &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'*');
        if !self.url {
            return text.to_owned();
        }
        let encoded = utf8_percent_encode(text, ENCODED).to_string();
        let encoded = if self.style.bare_plus { encoded.replace("%2B", "+") } else { encoded };
        if self.style.space_as_plus { encoded.replace("%20", "+") } else { encoded }
    }

    /// The tag, if listings carry them.
    pub(super) fn etag(&self, object: &Stored) -> Option<ETag> {
        self.style.etags.then(|| ETag::Strong(object.etag.clone()))
    }

    pub(super) fn objects(&self, page: &Page) -> Vec<Object> {
        let entry = |(key, object): &(String, Arc<Stored>)| {
            let class = object.storage_class.clone().unwrap_or_else(|| "STANDARD".to_owned());
            Object {
                key: Some(self.text(key)),
                e_tag: self.etag(object),
                last_modified: Some(object.last_modified.into()),
                size: Some(object.content.size() as i64),
                storage_class: Some(ObjectStorageClass::from(class)),
                ..Default::default()
            }
        };
        page.objects.iter().map(entry).collect()
    }

    pub(super) fn prefixes(&self, page: &Page) -> Vec<CommonPrefix> {
        let entry = |prefix: &String| CommonPrefix { prefix: Some(self.text(prefix)) };
        page.prefixes.iter().map(entry).collect()
    }
}
