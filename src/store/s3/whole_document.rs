//! Whether an answer is one of S3, and came whole.
//!
//! The SDK looks at the status first: it takes any page with status 200 for the success of
//! a PUT or a DELETE, and its reader of XML takes a document that stops for one that ended.
//! So a network's sign-in page would be a write, and a listing that a proxy cut, with a
//! length that matches, a directory with fewer names. Here the body itself is looked at.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_s3::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;

use super::document::Element;
use crate::key::ETag;
use crate::store::{StoreError, StoreErrorKind};

/// How soon a document says what it is, in bytes.
const HEAD_BYTES: usize = 512;

/// The name of the document that a listing is.
pub(super) const LISTING: &str = "ListBucketResult";
/// The name of the document that a list of versions is.
pub(super) const VERSIONS: &str = "ListVersionsResult";
/// The name of the document that a list of buckets is.
pub(super) const BUCKETS: &str = "ListAllMyBucketsResult";

/// What an answer turns out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// One that S3 gives.
    Fine,
    /// A document that stops before its end.
    Cut,
    /// A page that no S3 server sends.
    Page,
}

/// Looks at the answer to one request. Clones share what was seen.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// The name of the document that S3 answers with; `None` where it sends none.
    root: Option<&'static str>,
    seen: Arc<Mutex<(Seen, Option<Element>)>>,
}

impl Answer {
    /// To a request that S3 answers with this document, or with none.
    pub(super) fn of(root: Option<&'static str>) -> Self {
        Answer { root, seen: Arc::new(Mutex::new((Seen::Fine, None))) }
    }

    /// What the SDK made of the answer, if it is one that S3 gives.
    ///
    /// # Errors
    /// What was `sent` failed with, or the answer is none: nobody knows what was done.
    pub(super) fn vouch<T>(
        &self,
        sent: Result<T, StoreError>,
        name: &str,
    ) -> Result<T, StoreError> {
        let (kind, detail) = match self.seen().0 {
            Seen::Cut => (StoreErrorKind::ShortBody, "the answer stops before its end"),
            Seen::Page => (
                StoreErrorKind::NotS3,
                "the answer is a page that no S3 server sends: something else seems to answer, \
                 such as a proxy or the sign-in page of a network",
            ),
            Seen::Fine => return sent,
        };
        Err(StoreError::new(kind, name, detail))
    }

    /// The ETag of what was made, from the document that was expected; also where the SDK
    /// can't read another field of it.
    ///
    /// # Errors
    /// As of [`Answer::vouch`].
    pub(super) fn vouch_for_etag<T>(
        &self,
        sent: Result<T, StoreError>,
        name: &str,
    ) -> Result<Option<ETag>, StoreError> {
        let sent = self.vouch(sent.map(drop), name);
        match &self.seen().1 {
            Some(document) => Ok(document.text("ETag").and_then(ETag::told)),
            None => sent.map(|()| None),
        }
    }

    fn seen(&self) -> MutexGuard<'_, (Seen, Option<Element>)> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for Answer {
    fn name(&self) -> &'static str {
        "Answer"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        let seen = match response.body().bytes() {
            Some(body) if response.status().is_success() => {
                let is_html = response.headers().get("content-type").is_some_and(is_html);
                let document = self
                    .root
                    .and_then(|root| Element::parse(body).filter(|document| document.name == root));
                (look(body, is_html, self.root), document)
            }
            // Without a body reading it has failed, which is an error already.
            _ => (Seen::Fine, None),
        };
        *self.seen() = seen;
        Ok(())
    }
}

/// What a body is, where the document `root` is expected, or none.
pub(super) fn look(body: &[u8], is_html: bool, root: Option<&str>) -> Seen {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body).trim_ascii();
    let names = |word: &str| {
        let head = &body[..body.len().min(HEAD_BYTES)];
        head.windows(word.len()).any(|found| found.eq_ignore_ascii_case(word.as_bytes()))
    };
    let is_xml = body.starts_with(b"<") && !names("<html") && !is_html;
    match root {
        None if body.is_empty() || is_xml => Seen::Fine,
        // An error that S3 tells behind a status of success is the SDK's to read.
        Some(root) if is_xml && names(root) => {
            if is_whole(body, root) {
                Seen::Fine
            } else {
                Seen::Cut
            }
        }
        Some(_) if is_xml && names("<Error") => Seen::Fine,
        Some(root) if is_xml && stops_before_its_name(body, root) => Seen::Cut,
        None | Some(_) => Seen::Page,
    }
}

pub(super) fn is_html(content_type: &str) -> bool {
    let content_type = content_type.trim_start().to_ascii_lowercase();
    content_type.starts_with("text/html") || content_type.starts_with("application/xhtml")
}

/// Whether a document stops before its first tag has named its root.
fn stops_before_its_name(document: &[u8], root: &str) -> bool {
    let rest = match document.strip_prefix(b"<?") {
        Some(prolog) => match prolog.windows(2).position(|two| two == b"?>") {
            Some(end) => prolog[end + 2..].trim_ascii_start(),
            None => return true,
        },
        None => document,
    };
    rest.is_empty() || rest.strip_prefix(b"<").is_some_and(|tag| root.as_bytes().starts_with(tag))
}

/// Whether the last tag of a document closes its root.
fn is_whole(document: &[u8], root: &str) -> bool {
    let document = document.trim_ascii_end();
    let Some(start) = document.iter().rposition(|byte| *byte == b'<') else { return false };
    let Some(tag) = document[start + 1..].strip_suffix(b">") else { return false };
    let closed = tag.strip_prefix(b"/").or_else(|| tag.strip_suffix(b"/"));
    closed.is_some_and(|tag| local_name(tag) == root.as_bytes())
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
        assert_eq!(look(listing, false, Some(LISTING)), Seen::Fine);
        for end in 1..listing.len() {
            let cut = &listing[..end];
            assert_eq!(
                look(cut, false, Some(LISTING)),
                Seen::Cut,
                "{:?}",
                String::from_utf8_lossy(cut)
            );
        }
        let is_whole = |document| is_whole(document, LISTING);
        for end in 0..listing.len() {
            assert!(!is_whole(&listing[..end]), "{:?}", String::from_utf8_lossy(&listing[..end]));
        }
        assert!(is_whole(b"<s3:ListBucketResult></s3:ListBucketResult>\r\n"));
        assert!(is_whole(b"<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/\"/>"));
        // Stops behind another tag that closes.
        assert!(!is_whole(b"<ListBucketResult><Prefix/>"));
        assert!(!is_whole(b"<ListBucketResult><Contents></Contents>"));
    }

    #[test]
    fn a_page_is_told_from_what_s3_sends() {
        let copied = Some("CopyObjectResult");
        let pages: [&[u8]; 4] = [
            b"<html><body>Sign in</body></html>",
            b"<!DOCTYPE html>\n<HTML>CopyObjectResult</HTML>",
            b"<?xml version=\"1.0\"?>\n<!DOCTYPE html>\n<html xmlns=\"x\"></html>",
            b"Please sign in",
        ];
        for page in pages {
            assert_eq!(look(page, false, None), Seen::Page, "{:?}", String::from_utf8_lossy(page));
            assert_eq!(look(page, false, copied), Seen::Page);
        }
        // Nothing is what S3 answers to a PUT, whatever it calls it, and not to a copy.
        assert_eq!(look(b"", true, None), Seen::Fine);
        assert_eq!(look(b" \n", false, copied), Seen::Page);
        assert_eq!(look(b"<p>Sign in</p>", true, None), Seen::Page);
        let error = b"<?xml version=\"1.0\"?><Error><Code>InternalError</Code></Error>";
        assert_eq!(look(error, false, copied), Seen::Fine);
        let alive = b"  \n<?xml version=\"1.0\"?>\n<CopyObjectResult></CopyObjectResult>";
        assert_eq!(look(alive, false, copied), Seen::Fine);
        assert!(is_html("Text/HTML; charset=utf-8") && !is_html("application/xml"));
    }
}
