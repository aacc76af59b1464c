//! Which headers of an answer the SDK gets to see: those that we need.
//!
//! The SDK reads every header that S3 may send, and a date, a number, a truth value or a
//! text among them that it can't read fails the request. Servers differ from AWS in such
//! things, and programs store names of files in `Content-Disposition` in any encoding. So
//! what we don't need is taken out, and what we need is put into the form of AWS.
//!
//! | header | needed for | if it can't be read |
//! |---|---|---|
//! | `ETag` | the version | no ETag |
//! | `Last-Modified` | the version, without an ETag | no time |
//! | `Content-Length`, `Content-Range` | the size | checked in [`super::read`] |
//! | `Content-Type`, `x-amz-storage-class`, `x-amz-meta-*` | extended attributes | `U+FFFD` for what is no UTF-8 |
//! | `x-amz-checksum-crc32c` | whether an object is ours | no checksum |
//! | `x-amz-checksum-*`, `x-amz-checksum-type` | `--verify` | not verified |
//! | `x-amz-server-side-encryption*` | `--verify`: whether an ETag is an MD5 | plain |
//! | `x-amz-version-id` | whether an old version is the one that was asked for | not told |
//! | `x-amz-bucket-region`, `Location` | where the bucket is | not told |
//! | `Server`, request ids | the log; conditions | not told |

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::DateTimeFormat;

use super::times::timestamp;

/// Headers that are kept as they are, if they are UTF-8.
const NEEDED: &[&str] = &[
    "etag",
    "last-modified",
    "content-length",
    "content-range",
    "content-type",
    "x-amz-storage-class",
    "x-amz-version-id",
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-type",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-bucket-region",
    "location",
    "server",
    "date",
    "retry-after",
    "x-amz-request-id",
    "x-amz-id-2",
];
/// Begins the names of the object's own metadata.
const METADATA: &str = "x-amz-meta-";

/// Takes out of every answer what is not needed.
#[derive(Debug)]
pub(super) struct Needed;

impl Intercept for Needed {
    fn name(&self) -> &'static str {
        "Needed"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.response_mut().headers_mut();
        let told: Vec<(String, Vec<u8>)> =
            headers.iter_bytes().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        for (name, _) in &told {
            headers.remove(name);
        }
        for (name, value) in told {
            // Of two that differ the first counts.
            if !headers.contains_key(&name)
                && let Some(value) = readable(&name, &value)
            {
                headers.try_insert(name, value)?;
            }
        }
        Ok(())
    }
}

/// A header's value as the SDK can read it; `None` where nobody needs it.
fn readable(name: &str, value: &[u8]) -> Option<String> {
    if name.starts_with(METADATA) {
        return Some(String::from_utf8_lossy(value).into_owned());
    }
    if !NEEDED.contains(&name) {
        return None;
    }
    match name {
        "content-type" | "x-amz-storage-class" => Some(String::from_utf8_lossy(value).into_owned()),
        "last-modified" => {
            timestamp(std::str::from_utf8(value).ok()?)?.fmt(DateTimeFormat::HttpDate).ok()
        }
        _ => Some(std::str::from_utf8(value).ok()?.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_is_readable_and_the_rest_is_gone() {
        for name in ["expires", "content-disposition", "x-amz-missing-meta", "x-amz-expiration"] {
            assert_eq!(readable(name, b"\xff"), None, "{name}");
            assert_eq!(readable(name, b"x"), None, "{name}");
        }
        assert_eq!(readable("etag", b"\"x\"").as_deref(), Some("\"x\""));
        assert_eq!(readable("etag", b"\xff"), None);
        assert_eq!(readable("x-amz-meta-name", b"a\xff").as_deref(), Some("a\u{FFFD}"));
        let time = "Sat, 28 Nov 2026 21:56:10 GMT";
        for odd in ["2026-11-28T21:56:10Z", "Sat, 28 Nov 2026 21:56:10 +0000", time] {
            assert_eq!(readable("last-modified", odd.as_bytes()).as_deref(), Some(time), "{odd}");
        }
        assert_eq!(readable("last-modified", b"yesterday"), None);
    }
}
