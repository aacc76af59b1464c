//! The buckets of a server: their list, and connections to each.
//!
//! | field | needed for | without it, or if it can't be read |
//! |---|---|---|
//! | `Name` | the name | the listing fails |
//! | `BucketRegion` | the region to ask first | the bucket is asked where it is |
//! | `ContinuationToken` | whether there is more | this is all |

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::S3;
use super::document::Element;
use super::error::service_error;
use super::settings::S3Config;
use super::taken::Taken;
use super::whole_document::BUCKETS;
use crate::key::{Bucket, ETag, ObjectKey, Prefix};
use crate::store::{
    BeginRequest, CompleteRequest, CopyPartRequest, CopyRequest, GetBody, GetRequest,
    KeptConditions, KeyOrder, ListPage, ListRequest, ObjectHead, ObjectStore, Part, PartRequest,
    PutRequest, Spelling, StoreError, StoreErrorKind, Upload, VersionsPage, VersionsRequest,
    WriteSettings, Written,
};

/// What the request is called in logs and messages.
const NAME: &str = "LIST of all buckets";

impl S3 {
    /// The same server and credentials for another bucket: connections are shared, and what
    /// was found out about the server. Sends nothing.
    ///
    /// # Errors
    /// The name is none that the server may have.
    pub fn to_bucket(&self, bucket: &Bucket, region: Option<&str>) -> Result<S3, StoreError> {
        let config = S3Config { bucket: bucket.clone(), ..(*self.config).clone() };
        let region = bucket.arn_region().or(region);
        let config = Arc::new(config);
        let connection = self.connection.to_bucket(config.clone(), region)?;
        Ok(S3 { config, connection, ..self.clone() })
    }

    /// As [`S3::to_bucket`], for a bucket of the caller's own, whoever owns and pays for the first
    /// one: what is written there has the bucket's storage class.
    ///
    /// # Errors
    /// The name is none that the server may have.
    pub fn to_own_bucket(&self, bucket: &Bucket) -> Result<S3, StoreError> {
        let writes = WriteSettings { storage_class: None, ..self.config.writes.clone() };
        let (requester_pays, expected_bucket_owner) = (false, None);
        let config =
            S3Config { requester_pays, expected_bucket_owner, writes, ..(*self.config).clone() };
        S3 { config: Arc::new(config), ..self.clone() }.to_bucket(bucket, None)
    }

    async fn buckets(&self, request: &ListRequest) -> Result<Listed, StoreError> {
        if self.config.no_sign_request {
            let detail = "who gives no credentials has no buckets";
            return Err(StoreError::new(StoreErrorKind::AccessDenied, NAME, detail));
        }
        let document = self
            .in_its_region(|client| {
                let listing = Taken::of(BUCKETS);
                let call = client
                    .list_buckets()
                    .max_buckets(i32::from(request.max_keys))
                    .set_continuation_token(request.token.clone())
                    .customize()
                    .interceptor(listing.clone());
                async move {
                    call.send().await.map_err(|error| service_error(NAME.to_owned(), error))?;
                    listing.document(NAME).await
                }
            })
            .await?;
        read(&document, &self.connection.server())
    }
}

/// One page of buckets, each with its region where that is told.
#[derive(Debug, Default, PartialEq, Eq)]
struct Listed {
    buckets: Vec<(String, Option<String>)>,
    next: Option<String>,
}

fn read(document: &[u8], server: &str) -> Result<Listed, StoreError> {
    let failed = |what: &str| {
        let detail = format!("the list of buckets of {server} {what}");
        StoreError::new(StoreErrorKind::Other, NAME, detail)
    };
    let root = Element::parse(document).ok_or_else(|| failed("can't be read as XML"))?;
    if root.name == "Error" {
        return Err(failed(&format!("is an error: {}", root.text("Code").unwrap_or("unnamed"))));
    }
    let mut listed = Listed {
        next: root.exact_text("ContinuationToken").map(str::to_owned),
        ..Listed::default()
    };
    for bucket in root.all("Buckets").flat_map(|all| all.all("Bucket")) {
        let name = bucket.text("Name").ok_or_else(|| failed("has an entry without a Name"))?;
        listed.buckets.push((name.to_owned(), bucket.text("BucketRegion").map(str::to_owned)));
    }
    Ok(listed)
}

/// The buckets of a server as a store without objects, in whose listing each is a prefix.
/// Clones are one.
#[derive(Clone)]
pub struct S3Buckets {
    s3: S3,
    /// The regions that the list has told.
    regions: Arc<Mutex<HashMap<String, String>>>,
}

impl fmt::Debug for S3Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Buckets").finish_non_exhaustive()
    }
}

impl S3Buckets {
    /// The buckets of the server that `s3` is connected to.
    pub fn new(s3: S3) -> Self {
        S3Buckets { s3, regions: Arc::default() }
    }

    /// One of them, asked first in the region that the list has told.
    ///
    /// # Errors
    /// As [`S3::to_bucket`].
    pub fn open(&self, bucket: &Bucket) -> Result<S3, StoreError> {
        let regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        let region = regions.get(bucket.as_str()).cloned();
        drop(regions);
        self.s3.to_bucket(bucket, region.as_deref())
    }

    fn nothing<T>(&self, request: impl fmt::Display) -> Result<T, StoreError> {
        let detail = "a list of buckets has no objects";
        Err(StoreError::new(StoreErrorKind::NotFound, request.to_string(), detail))
    }
}

#[async_trait]
impl ObjectStore for S3Buckets {
    async fn list_page(&self, request: ListRequest) -> Result<ListPage, StoreError> {
        let Listed { buckets, next } = self.s3.buckets(&request).await?;
        let mut regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        let mut page = ListPage { next, ..ListPage::default() };
        for (name, region) in buckets {
            // What is no bucket's name could be no folder's either.
            if name.parse::<Bucket>().is_err() {
                continue;
            }
            page.prefixes.push(Prefix::new(format!("{name}/")));
            if let Some(region) = region {
                regions.insert(name, region);
            }
        }
        page.prefixes.retain(|folder| folder.as_str().starts_with(request.prefix.as_str()));
        page.prefixes.sort();
        Ok(page)
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectHead, StoreError> {
        self.nothing(key)
    }

    async fn head_part(&self, key: &ObjectKey, _: u32) -> Result<ObjectHead, StoreError> {
        self.nothing(key)
    }

    async fn get_range(&self, request: GetRequest) -> Result<GetBody, StoreError> {
        self.nothing(request.key)
    }

    async fn list_versions(&self, request: VersionsRequest) -> Result<VersionsPage, StoreError> {
        self.nothing(request.key)
    }

    async fn put(&self, request: PutRequest) -> Result<Written, StoreError> {
        self.nothing(request.key)
    }

    async fn begin_upload(&self, request: BeginRequest) -> Result<Upload, StoreError> {
        self.nothing(request.key)
    }

    async fn put_part(&self, request: PartRequest) -> Result<Part, StoreError> {
        self.nothing(request.upload.key)
    }

    async fn copy_part(&self, request: CopyPartRequest) -> Result<Part, StoreError> {
        self.nothing(request.upload.key)
    }

    async fn complete_upload(&self, request: CompleteRequest) -> Result<Written, StoreError> {
        self.nothing(request.upload.key)
    }

    async fn abort_upload(&self, upload: &Upload) -> Result<(), StoreError> {
        self.nothing(&upload.key)
    }

    async fn copy(&self, request: CopyRequest) -> Result<Written, StoreError> {
        self.nothing(request.to)
    }

    async fn delete(&self, key: &ObjectKey, _: Option<&ETag>) -> Result<(), StoreError> {
        self.nothing(key)
    }

    fn kept_conditions(&self) -> KeptConditions {
        self.s3.kept_conditions()
    }

    fn key_order(&self, _: &Prefix) -> KeyOrder {
        KeyOrder::Any
    }

    fn spelling(&self) -> Spelling {
        self.s3.spelling()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_read_with_the_regions_that_are_told() {
        let document = "<ListAllMyBucketsResult><Owner><ID>x</ID></Owner><Buckets>\
            <Bucket><Name>a</Name><CreationDate>yesterday</CreationDate></Bucket>\
            <Bucket><Name>b</Name><BucketRegion>eu-west-1</BucketRegion></Bucket></Buckets>\
            <ContinuationToken>t</ContinuationToken></ListAllMyBucketsResult>";
        let listed = read(document.as_bytes(), "x").unwrap();
        let (a, b) = (("a".to_owned(), None), ("b".to_owned(), Some("eu-west-1".to_owned())));
        assert_eq!(listed, Listed { buckets: vec![a, b], next: Some("t".to_owned()) });
        let empty = "<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>";
        assert_eq!(read(empty.as_bytes(), "x").unwrap(), Listed::default());
    }

    #[test]
    fn a_bucket_without_a_name_is_an_error_that_names_the_server() {
        let document =
            "<ListAllMyBucketsResult><Buckets><Bucket/></Buckets></ListAllMyBucketsResult>";
        let detail = read(document.as_bytes(), "the server x").unwrap_err().detail;
        assert!(detail.contains("the server x") && detail.contains("without a Name"), "{detail}");
    }
}
