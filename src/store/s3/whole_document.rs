//! Whether a listing came whole.
//!
//! The SDK's reader of XML takes a document that stops for one that ended: a listing that a
//! proxy cut, with a length that matches, would be a directory with fewer names, and all
//! others would be missing for as long as it is believed. So the end of the document is
//! looked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_s3::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;

/// What a listing is called, and how soon it says so, in bytes.
const ROOT: &[u8] = b"ListBucketResult";
const HEAD_BYTES: usize = 512;
/// Looks at the answer of one ListObjectsV2. Clones share what was seen.
#[derive(Debug, Clone, Default)]
pub(super) struct WholeListing {
    is_cut: Arc<AtomicBool>,
}

impl WholeListing {
    /// Whether the answer was a document that stops before its end, whatever the SDK made
    /// of it: an output, or an error about the word that it stops in.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Relaxed)
    }
}

impl Intercept for WholeListing {
    fn name(&self) -> &'static str {
        "WholeListing"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        // Without a body reading it has failed, which is an error already.
        let is_cut = |body| is_listing(body) && !is_whole(body);
        let is_cut = response.body().bytes().is_some_and(is_cut);
        self.is_cut.store(response.status().is_success() && is_cut, Ordering::Relaxed);
        Ok(())
    }
}

/// Whether a document begins as a listing does. Anything else is somebody else's page, and
/// asking again would not help.
fn is_listing(document: &[u8]) -> bool {
    let head = &document[..document.len().min(HEAD_BYTES)];
    head.windows(ROOT.len()).any(|word| word == ROOT)
}

/// Whether the last tag of a document closes the listing.
fn is_whole(document: &[u8]) -> bool {
    let document = document.trim_ascii_end();
    let Some(start) = document.iter().rposition(|byte| *byte == b'<') else { return false };
    let Some(tag) = document[start + 1..].strip_suffix(b">") else { return false };
    let closed = tag.strip_prefix(b"/").or_else(|| tag.strip_suffix(b"/"));
    closed.is_some_and(|tag| local_name(tag) == ROOT)
}

/// The name in a tag, without its namespace's prefix and its attributes.
fn local_name(tag: &[u8]) -> &[u8] {
    let name = tag.split(u8::is_ascii_whitespace).next().unwrap_or_default();
    name.rsplit(|byte| *byte == b':').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_whole_only_with_its_last_tag() {
        let listing = b"<?xml version=\"1.0\"?>\n<ListBucketResult><Key>a</Key></ListBucketResult>";
        assert!(is_whole(listing));
        for end in 0..listing.len() {
            assert!(!is_whole(&listing[..end]), "{:?}", String::from_utf8_lossy(&listing[..end]));
        }
        assert!(is_whole(b"<s3:ListBucketResult></s3:ListBucketResult>\r\n"));
        assert!(is_whole(b"<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/\"/>"));
        // Stops behind another tag that closes.
        assert!(!is_whole(b"<ListBucketResult><Prefix/>"));
        assert!(!is_whole(b"<ListBucketResult><Contents></Contents>"));
        assert!(is_listing(listing));
        for page in [b"<html><body>Sign in</body></html>".as_slice(), b"", b"<?xml version"] {
            assert!(!is_listing(page));
        }
    }
}
