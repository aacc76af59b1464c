//! The versions of one object, from ListObjectVersions.
//!
//! | field | needed for | without it, or if it can't be read |
//! |---|---|---|
//! | `Key` | whose version it is | the listing fails |
//! | `VersionId` | asking for it | the current version alone can be asked for, by its ETag |
//! | `Size` | the size | the listing fails |
//! | `IsTruncated`, `NextVersionIdMarker` | whether there is more | without both, this is all; otherwise the listing fails |
//! | `LastModified` | the name | 1970 |
//! | `IsLatest` | the order within one second | not the latest |
//! | `ETag`, `StorageClass` | as in a listing of objects | as there |
//!
//! Versions are listed by key, so those of one object come before those of objects whose keys
//! begin with its key: a page with another key is the last.

use std::sync::Arc;
use std::time::SystemTime;

use aws_sdk_s3::types::EncodingType;

use super::S3;
use super::document::Element;
use super::error::service_error;
use super::payer_owner_encryption::addressed;
use super::taken::Taken;
use super::times::timestamp;
use super::whole_document::VERSIONS;
use crate::key::ETag;
use crate::store::{
    KeptContent, KeptVersion, Spelling, StoreError, StoreErrorKind, VersionsPage, VersionsRequest,
};

/// The most that S3 gives.
const PAGE_VERSIONS: i32 = 1000;

impl S3 {
    pub(super) async fn list_object_versions(
        &self,
        request: VersionsRequest,
    ) -> Result<VersionsPage, StoreError> {
        let name = format!("LIST VERSIONS {}", request.key);
        let request = &request;
        let document = self
            .in_its_region(|client| {
                let key = request.key.as_str();
                let call = addressed!(self, client.list_object_versions())
                    .prefix(key)
                    .set_key_marker(request.after.is_some().then(|| key.to_owned()))
                    .set_version_id_marker(request.after.clone())
                    .max_keys(PAGE_VERSIONS)
                    // Without it one control character in one key fails the page.
                    .encoding_type(EncodingType::Url);
                let listing = Taken::of(VERSIONS);
                let call = call.customize().interceptor(listing.clone());
                let name = name.clone();
                async move {
                    call.send().await.map_err(|e| service_error(name.clone(), e))?;
                    listing.document(&name).await
                }
            })
            .await?;
        let server = self.connection.server();
        read(&document, request.key.as_str(), &self.spelling).map_err(|what| {
            let detail = format!("the list of versions of {server} {what}");
            StoreError::new(StoreErrorKind::Other, name, detail)
        })
    }
}

/// The versions of the object `key` that a document lists.
///
/// # Errors
/// What is wrong with it.
fn read(document: &[u8], key: &str, spelling: &Spelling) -> Result<VersionsPage, String> {
    let root = Element::parse(document).ok_or("can't be read as XML")?;
    if root.name == "Error" {
        let (code, message) = (root.text("Code"), root.text("Message"));
        return Err(format!("is an error, {}: {}", code.unwrap_or("?"), message.unwrap_or("?")));
    }
    let is_encoded = root.text("EncodingType").is_some_and(|how| how.eq_ignore_ascii_case("url"));
    let mut page = VersionsPage::default();
    let mut has_others = false;
    for entry in root.children() {
        let is_marker = match entry.name.as_str() {
            "Version" => false,
            "DeleteMarker" => true,
            _ => continue,
        };
        let text = entry.exact_text("Key").ok_or("has an entry without a Key")?;
        if spelling.read(text, is_encoded).as_deref() != Some(key) {
            has_others = true;
            continue;
        }
        let content = match is_marker {
            true => None,
            false => Some(KeptContent {
                size: entry
                    .text("Size")
                    .and_then(|size| size.parse().ok())
                    .ok_or_else(|| format!("has no Size that is a number for {text:?}"))?,
                etag: entry.text("ETag").and_then(ETag::told),
                storage_class: entry.text("StorageClass").map(Arc::from),
            }),
        };
        let time = entry.text("LastModified").and_then(timestamp);
        page.versions.push(KeptVersion {
            id: entry.text("VersionId").map(Arc::from),
            last_modified: time
                .and_then(|time| SystemTime::try_from(time).ok())
                .unwrap_or(SystemTime::UNIX_EPOCH),
            is_latest: entry.text("IsLatest").is_some_and(|told| told.eq_ignore_ascii_case("true")),
            content,
        });
    }
    let is_truncated =
        root.text("IsTruncated").is_some_and(|told| told.eq_ignore_ascii_case("true"));
    // Behind another key there is none of this one.
    if is_truncated && !has_others {
        let next = root.text("NextVersionIdMarker").map(str::to_owned);
        page.next = Some(next.ok_or("says there is more and has no NextVersionIdMarker")?);
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(inside: &str) -> Result<VersionsPage, String> {
        let document = format!("<ListVersionsResult>{inside}</ListVersionsResult>");
        read(document.as_bytes(), "a b", &Spelling::default())
    }

    fn version(key: &str, id: &str) -> String {
        format!(
            "<Version><Key>{key}</Key><VersionId>{id}</VersionId><IsLatest>true</IsLatest>\
             <LastModified>2026-05-01T09:30:00.250Z</LastModified><ETag>&quot;t&quot;</ETag>\
             <Size>7</Size></Version>"
        )
    }

    #[test]
    fn versions_and_delete_markers_are_read_in_the_order_they_are_told_in() {
        let marker = "<DeleteMarker><Key>a+b</Key><VersionId>m</VersionId></DeleteMarker>";
        let told = format!(
            "<EncodingType>url</EncodingType>{}{marker}{}",
            version("a+b", "2"),
            version("a+b", "1")
        );
        let page = page(&told).unwrap();
        let told = page.versions.iter().map(|v| (v.id.as_deref(), v.content.is_some()));
        let ids: Vec<_> = told.collect();
        assert_eq!(ids, [(Some("2"), true), (Some("m"), false), (Some("1"), true)]);
        let content = page.versions[0].content.clone().unwrap();
        assert_eq!((content.size, content.etag), (7, Some(ETag::new("\"t\""))));
        assert_eq!(page.versions[1].last_modified, SystemTime::UNIX_EPOCH);
        assert_eq!(page.next, None);
    }

    #[test]
    fn another_key_is_the_end_and_a_page_that_is_cut_says_where_it_goes_on() {
        let cut = "<IsTruncated>true</IsTruncated>";
        let next = "<NextVersionIdMarker>1</NextVersionIdMarker>";
        let here = version("a b", "1");
        assert_eq!(page(&format!("{cut}{next}{here}")).unwrap().next.as_deref(), Some("1"));
        let other = version("a bc", "1");
        let whole = page(&format!("{cut}{next}{here}{other}")).unwrap();
        assert_eq!((whole.versions.len(), whole.next), (1, None));
        assert_eq!(page(&format!("{cut}{next}{other}")).unwrap(), VersionsPage::default());
        assert!(page(&format!("{cut}{here}")).unwrap_err().contains("NextVersionIdMarker"));
        assert!(page("<Version><Key>a b</Key></Version>").unwrap_err().contains("Size"));
        assert!(page("<DeleteMarker/>").unwrap_err().contains("without a Key"));
    }
}
