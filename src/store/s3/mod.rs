//! The bucket itself, through the AWS SDK. This folder is the only place that names it.
//!
//! Contract: one call is one attempt; retries, limits and counts are the decorators'.
//! Finds out by itself in which region the bucket is.

mod buckets;
mod connection;
mod copy;
mod count;
mod credentials;
mod document;
mod endpoint;
mod error;
mod http;
mod lacks;
mod listing;
mod needed;
mod payer_owner_encryption;
mod proxies;
mod read;
mod region;
mod server;
mod settings;
mod taken;
mod times;
mod tls;
mod versions;
mod whole_document;
mod write;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_s3::Client;

pub use self::buckets::S3Buckets;
use self::connection::Connection;
use self::count::Count;
pub use self::credentials::{KnownCredentials, SAID_BY_US};
use self::endpoint::can_be_changed_on_the_way;
use self::error::may_be_outdated_credentials;
pub use self::http::certificates;
use self::lacks::Lacks;
pub use self::proxies::WayOut;
use self::server::Listener;
pub use self::settings::{BodySignatures, Credentials, S3Config};
pub use self::tls::reason as tls_reason;
use super::{
    BeginRequest, CompleteRequest, CopyPartRequest, CopyRequest, GetBody, GetRequest,
    KeptConditions, KeyOrder, ListPage, ListRequest, ObjectHead, ObjectStore, Part, PartRequest,
    PutRequest, Spelling, StoreError, StoreErrorKind, Upload, VersionsPage, VersionsRequest,
    Written,
};
use crate::key::{ETag, ObjectKey, Prefix};

/// One bucket on a server that speaks S3. Clones share what was found out.
#[derive(Clone)]
pub struct S3 {
    config: Arc<S3Config>,
    connection: Connection,
    /// Whether the signature of a request covers its body.
    signs_bodies: bool,
    /// Which server it is.
    listener: Listener,
    /// Whether it counts its listings rightly.
    count: Count,
    /// What it does not take.
    lacks: Lacks,
    /// How it writes keys in them.
    spelling: Spelling,
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3").field("bucket", &self.config.bucket).finish_non_exhaustive()
    }
}

impl S3 {
    /// Loads the AWS configuration (environment, profile, SSO, web identity, IMDS)
    /// and checks that there are credentials. Sends nothing to the bucket.
    ///
    /// # Errors
    /// No credentials, or a provider that failed.
    pub async fn connect(config: S3Config) -> Result<S3, StoreError> {
        let (config, listener) = (Arc::new(config), Listener::default());
        let connection = Connection::open(config.clone(), listener.clone()).await?;
        let signs_bodies = config.sign_bodies == BodySignatures::Always
            || connection.endpoint_url().as_deref().is_some_and(can_be_changed_on_the_way);
        let lacks = Lacks::new(!connection.sends_checksums());
        let (count, spelling) = (Count::default(), Spelling::default());
        Ok(S3 { config, connection, signs_bodies, listener, count, lacks, spelling })
    }

    /// The region that requests go to: the bucket's, once it has answered.
    pub fn region(&self) -> String {
        self.connection.region()
    }

    /// What may be told of the credentials; `None` where requests carry none.
    pub fn credentials(&self) -> Option<KnownCredentials> {
        self.connection.credentials()
    }

    /// How far this machine's clock is ahead of the server's, by its last answer.
    pub fn clock_skew_seconds(&self) -> Option<i64> {
        self.listener.clock_skew_seconds()
    }

    /// Runs a request. If the bucket turns out to be in another region, it is sent once
    /// more there; if the credentials were replaced meanwhile, once more with the new ones.
    async fn in_its_region<T, F>(&self, request: impl Fn(Client) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut line = self.connection.line();
        let mut outcome = request(line.client()).await;
        if let Err(StoreError { kind: StoreErrorKind::WrongRegion(Some(region)), .. }) = &outcome {
            let moved = self.connection.in_region(&line, region);
            outcome = request(moved.client()).await;
            if !matches!(&outcome, Err(StoreError { kind: StoreErrorKind::WrongRegion(_), .. })) {
                self.connection.use_from_now_on(moved.clone());
                line = moved;
            }
        }
        if let Err(error) = &mut outcome
            && may_be_outdated_credentials(error)
        {
            match self.connection.renewed(&line).await {
                Ok(Some(renewed)) => outcome = request(renewed.client()).await,
                Ok(None) => {}
                Err(why) => {
                    error.detail += &format!("; and new credentials can't be had: {}", why.chain());
                }
            }
        }
        outcome
    }
}

#[async_trait]
impl ObjectStore for S3 {
    async fn list_page(&self, request: ListRequest) -> Result<ListPage, StoreError> {
        self.list_objects(request).await
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectHead, StoreError> {
        self.head_object(key, None).await
    }

    async fn head_part(&self, key: &ObjectKey, number: u32) -> Result<ObjectHead, StoreError> {
        self.head_object(key, Some(number)).await
    }

    async fn get_range(&self, request: GetRequest) -> Result<GetBody, StoreError> {
        self.get_object(request).await
    }

    async fn list_versions(&self, request: VersionsRequest) -> Result<VersionsPage, StoreError> {
        self.list_object_versions(request).await
    }

    async fn put(&self, request: PutRequest) -> Result<Written, StoreError> {
        self.put_object(request).await
    }

    async fn begin_upload(&self, request: BeginRequest) -> Result<Upload, StoreError> {
        self.create_multipart_upload(request).await
    }

    async fn put_part(&self, request: PartRequest) -> Result<Part, StoreError> {
        self.upload_part(request).await
    }

    async fn copy_part(&self, request: CopyPartRequest) -> Result<Part, StoreError> {
        self.upload_part_copy(request).await
    }

    async fn complete_upload(&self, request: CompleteRequest) -> Result<Written, StoreError> {
        self.complete_multipart_upload(request).await
    }

    async fn abort_upload(&self, upload: &Upload) -> Result<(), StoreError> {
        self.abort_multipart_upload(upload).await
    }

    async fn copy(&self, request: CopyRequest) -> Result<Written, StoreError> {
        self.copy_object(request).await
    }

    async fn delete(&self, key: &ObjectKey, etag: Option<&ETag>) -> Result<(), StoreError> {
        self.delete_object(key, etag).await
    }

    fn kept_conditions(&self) -> KeptConditions {
        self.listener.kept_conditions()
    }

    fn spelling(&self) -> Spelling {
        self.spelling.clone()
    }

    fn key_order(&self, _: &Prefix) -> KeyOrder {
        // Directory buckets, and access points of them.
        let is_directory_bucket =
            ["--x-s3", "--xa-s3"].iter().any(|end| self.config.bucket.as_str().ends_with(end));
        if is_directory_bucket { KeyOrder::Any } else { self.listener.key_order() }
    }
}
