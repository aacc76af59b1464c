//! What a listing says.
//!
//! | field | needed for | without it, or if it can't be read |
//! |---|---|---|
//! | `Key`, `Prefix` | the name | the listing fails |
//! | `Size` | the size: without it the file would be empty | the listing fails |
//! | `IsTruncated`, `NextContinuationToken` | whether there is more | without both, this is all; otherwise the listing fails |
//! | `EncodingType` | how keys are written | as they are, unless the server is known to encode (`store::spelling`) |
//! | `ETag` | the version | the first answer to a GET says it |
//! | `LastModified` | the time, and the version without an ETag | 1970 |
//! | `StorageClass` | what is archived | not archived |
//! | `KeyCount` | a remark in the log | no remark |
//!
//! Everything else is not looked at.

use std::sync::Arc;
use std::time::SystemTime;

use super::document::Element;
use super::times::timestamp;
use crate::key::{ETag, ObjectKey, ObjectVersion, Prefix};
use crate::store::{ListPage, ListedObject, Spelling, StoreError, StoreErrorKind};

/// One page, and how many entries the server says that it has.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) page: ListPage,
    pub(super) count: Option<i32>,
    pub(super) entries: usize,
}

impl Listing {
    /// Reads the answer of `server` to the request `name`, and learns from it how the
    /// server writes keys.
    ///
    /// # Errors
    /// Something that we need is missing; the error names it.
    pub(super) fn read(
        document: &[u8],
        name: &str,
        server: &str,
        spelling: &Spelling,
    ) -> Result<Listing, StoreError> {
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
        let keys = root.all("Contents").filter_map(|object| object.exact_text("Key"));
        let prefixes = root.all("CommonPrefixes").flat_map(|all| all.all("Prefix"));
        spelling.hear(keys.chain(prefixes.map(Element::own_text)), encoded);
        let read = |text: &str, is_lossy| match is_lossy {
            true if text.contains(char::REPLACEMENT_CHARACTER) => None,
            true | false => spelling.read(text, encoded),
        };
        let is_lossy = root.is_lossy();
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
            let Some(key) = read(text, is_lossy) else {
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
                match read(prefix.own_text(), is_lossy) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(inside: &str) -> Result<Listing, String> {
        let document = format!("<ListBucketResult>{inside}</ListBucketResult>");
        let spelling = Spelling::default();
        let listing = Listing::read(document.as_bytes(), "LIST ", "the server x", &spelling);
        listing.map_err(|e| e.detail)
    }

    #[test]
    fn keys_of_one_page_are_read_in_the_way_that_any_of_them_shows() {
        let encoded = "<EncodingType>url</EncodingType>";
        let entry = |key: &str| format!("<Contents><Key>{key}</Key><Size>1</Size></Contents>");
        let keys = |inside: &str| {
            let page = read(inside).unwrap().page;
            page.objects.iter().map(|o| o.version.key.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(keys(&format!("{encoded}{}", entry("a+b%0A"))), ["a b\n"]);
        let shown = format!("{encoded}{}{}", entry("a+b"), entry("c%20d"));
        assert_eq!(keys(&shown), ["a+b", "c d"]);
        assert_eq!(keys(&entry("a+b%20")), ["a+b%20"]);
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
    fn a_key_that_is_no_text_is_unreachable_and_hides_no_other() {
        let entry = |key: &str| format!("<Contents><Key>{key}</Key><Size>1</Size></Contents>");
        let prefix = "<CommonPrefixes><Prefix>&#xDFFF;/</Prefix></CommonPrefixes>";
        let page = read(&(entry("a") + &entry("b&#xD800;") + &entry("c") + prefix)).unwrap().page;
        let keys: Vec<&str> = page.objects.iter().map(|o| o.version.key.as_str()).collect();
        assert_eq!((keys, page.prefixes), (vec!["a", "c"], vec![]));
        assert_eq!(page.unreachable, ["b\u{fffd}", "\u{fffd}/"]);
        // A replacement character is a character where nothing was replaced.
        let page = read(&entry("d\u{fffd}")).unwrap().page;
        assert_eq!(page.objects[0].version.key.as_str(), "d\u{fffd}");
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
