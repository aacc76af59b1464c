//! What a listing says.
//!
//! | field | needed for | without it, or if it can't be read |
//! |---|---|---|
//! | `Key`, `Prefix` | the name | the listing fails |
//! | `Size` | the size: without it the file would be empty | the listing fails |
//! | `IsTruncated`, `NextContinuationToken` | whether there is more | without both, this is all; otherwise the listing fails |
//! | `EncodingType` | how keys are written | as they are |
//! | `ETag` | the version | the first answer to a GET says it |
//! | `LastModified` | the time, and the version without an ETag | 1970 |
//! | `StorageClass` | what is archived | not archived |
//! | `KeyCount` | a remark in the log | no remark |
//!
//! Everything else is not looked at. Pure.

use std::sync::Arc;
use std::time::SystemTime;

use percent_encoding::percent_decode;

use super::document::Element;
use super::times::timestamp;
use crate::key::{ETag, ObjectKey, ObjectVersion, Prefix};
use crate::store::{ListPage, ListedObject, StoreError, StoreErrorKind};

/// One page, and how many entries the server says that it has.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) page: ListPage,
    pub(super) count: Option<i32>,
    pub(super) entries: usize,
}

impl Listing {
    /// Reads the answer of `server` to the request `name`.
    ///
    /// # Errors
    /// Something that we need is missing; the error names it.
    pub(super) fn read(document: &[u8], name: &str, server: &str) -> Result<Listing, StoreError> {
        let failed = |kind, detail| Err(StoreError::new(kind, name, detail));
        let Some(root) = Element::parse(document) else {
            let detail = format!("the listing of {server} can't be read as XML");
            return failed(StoreErrorKind::Other, detail);
        };
        if root.name == "Error" {
            let (code, message) = (root.text("Code"), root.text("Message"));
            let kind = match code {
                Some("InternalError" | "SlowDown" | "ServiceUnavailable") => {
                    StoreErrorKind::Transient
                }
                _ => StoreErrorKind::Other,
            };
            let (code, message) = (code.unwrap_or("Error"), message.unwrap_or("without a reason"));
            return failed(kind, format!("{code}: {message}"));
        }
        let encoded = root.text("EncodingType").is_some_and(|how| how.eq_ignore_ascii_case("url"));
        let is_lossy = std::str::from_utf8(document).is_err();
        let lacks = |what: &str| {
            let detail = format!("the listing of {server} {what}, which s3mem needs");
            StoreError::new(StoreErrorKind::Other, name, detail)
        };
        let mut page =
            ListPage { next: next(&root).map_err(|what| lacks(&what))?, ..ListPage::default() };
        let mut entries = 0;
        for object in root.all("Contents") {
            entries += 1;
            let text =
                object.exact_text("Key").ok_or_else(|| lacks("has an entry without a Key"))?;
            let size = match object.text("Size").map(str::parse) {
                Some(Ok(size)) => size,
                Some(Err(_)) => {
                    return Err(lacks(&format!("has a Size that is no number for {text:?}")));
                }
                None => return Err(lacks(&format!("has no Size for {text:?}"))),
            };
            let Some(key) = decode(text, encoded, is_lossy) else {
                page.unreachable.push(text.to_owned());
                continue;
            };
            let time = object.text("LastModified").and_then(timestamp);
            let version = ObjectVersion {
                key: ObjectKey::new(key),
                size,
                etag: object.text("ETag").and_then(ETag::told),
                last_modified: time
                    .and_then(|time| SystemTime::try_from(time).ok())
                    .unwrap_or(SystemTime::UNIX_EPOCH),
            };
            let storage_class = object.text("StorageClass").map(Arc::from);
            page.objects.push(ListedObject { version, storage_class });
        }
        for prefixes in root.all("CommonPrefixes") {
            let mut has_one = false;
            for prefix in prefixes.all("Prefix") {
                has_one = true;
                entries += 1;
                match decode(prefix.own_text(), encoded, is_lossy) {
                    Some(prefix) => page.prefixes.push(Prefix::new(prefix)),
                    None => page.unreachable.push(prefix.own_text().to_owned()),
                }
            }
            if !has_one {
                return Err(lacks("has an entry of CommonPrefixes without a Prefix"));
            }
        }
        page.objects.sort_by(|a, b| a.version.key.cmp(&b.version.key));
        page.prefixes.sort();
        let count = root.text("KeyCount").and_then(|count| count.parse().ok());
        Ok(Listing { page, count, entries })
    }
}

/// The token of the next page; `None` on the last.
fn next(root: &Element) -> Result<Option<String>, String> {
    let token = root.exact_text("NextContinuationToken").map(str::to_owned);
    let is_truncated = match root.text("IsTruncated").map(str::to_ascii_lowercase).as_deref() {
        Some("true" | "1") => true,
        Some("false" | "0") => false,
        None => token.is_some(),
        Some(_) => return Err("has an IsTruncated that is neither true nor false".to_owned()),
    };
    match (is_truncated, token) {
        (false, _) => Ok(None),
        (true, Some(token)) => Ok(Some(token)),
        (true, None) => Err("says there is more and has no NextContinuationToken".to_owned()),
    }
}

/// A key as the listing wrote it: url-encoded as in a form, where the server said
/// so. `None` when it is no UTF-8.
fn decode(text: &str, encoded: bool, is_lossy: bool) -> Option<String> {
    if is_lossy && text.contains(char::REPLACEMENT_CHARACTER) {
        return None;
    }
    if !encoded {
        return Some(text.to_owned());
    }
    // AWS and MinIO write a space as `+`, and a plus as `%2B`.
    let spaced = text.replace('+', " ");
    percent_decode(spaced.as_bytes()).decode_utf8().ok().map(|key| key.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(inside: &str) -> Result<Listing, String> {
        let document = format!("<ListBucketResult>{inside}</ListBucketResult>");
        Listing::read(document.as_bytes(), "LIST ", "the server x").map_err(|e| e.detail)
    }

    #[test]
    fn listed_keys_are_decoded_as_aws_encodes_them() {
        let decode = |text, encoded| decode(text, encoded, false);
        assert_eq!(decode("a%2Bb+c%25d%0A", true).as_deref(), Some("a+b c%d\n"));
        assert_eq!(decode("a+b%20", false).as_deref(), Some("a+b%20"));
        assert_eq!(decode("bad%FFutf8", true), None);
    }

    #[test]
    fn one_entry_that_is_odd_where_nobody_needs_it_is_read_like_the_others() {
        for odd in [
            "<LastModified>yesterday</LastModified>",
            "<LastModified/>",
            "<ETag/>",
            "<StorageClass/>",
            "",
        ] {
            let entry = format!(
                "<Contents><Key>a</Key><Size>7</Size>{odd}</Contents><KeyCount>x</KeyCount>"
            );
            let page = read(&entry).unwrap().page;
            let version = &page.objects[0].version;
            assert_eq!((version.size, &version.etag), (7, &None), "{odd}");
            assert_eq!(version.last_modified, SystemTime::UNIX_EPOCH);
            assert_eq!((page.objects[0].storage_class.as_ref(), page.next), (None, None));
        }
    }

    #[test]
    fn what_is_needed_and_missing_is_named_with_the_server() {
        let more = "<IsTruncated>true</IsTruncated>";
        for (inside, field) in [
            ("<Contents><Key>a</Key></Contents>", "no Size for \"a\""),
            ("<Contents><Key>a</Key><Size>-1</Size></Contents>", "a Size that is no number"),
            ("<Contents><Size>1</Size></Contents>", "without a Key"),
            ("<CommonPrefixes></CommonPrefixes>", "without a Prefix"),
            ("<IsTruncated>maybe</IsTruncated>", "IsTruncated"),
            (more, "no NextContinuationToken"),
            (&format!("{more}<NextContinuationToken/>"), "no NextContinuationToken"),
        ] {
            let told = read(inside).unwrap_err();
            assert!(told.contains(field) && told.contains("the server x"), "{told}");
        }
    }
}
