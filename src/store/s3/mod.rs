//! The bucket itself, through the AWS SDK. This folder is the only place that names it.
//!
//! Contract: one call is one attempt; retries, limits and counts are the decorators'.
//! Finds out by itself in which region the bucket is.

mod copy;
mod count;
mod credentials;
mod endpoint;
mod error;
mod http;
mod payer_owner_encryption;
mod read;
mod region;
mod server;
mod whole_document;
mod write;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    ProvideCredentials, RequestChecksumCalculation, ResponseChecksumValidation,
    SharedCredentialsProvider,
};

use self::count::Count;
use self::credentials::Discreet;
pub use self::credentials::SAID_BY_US;
use self::endpoint::{can_be_changed_on_the_way, needs_path_style};
use self::error::credentials_error;
use self::server::Listener;
use super::{
    BeginRequest, CompleteRequest, CopyPartRequest, CopyRequest, GetBody, GetRequest,
    KeptConditions, KeyOrder, ListPage, ListRequest, ObjectHead, ObjectStore, Part, PartRequest,
    PutRequest, StoreError, StoreErrorKind, Upload, WriteSettings, Written,
};
use crate::key::{Bucket, ETag, ObjectKey};

/// Asked first where nothing names a region: it answers for every bucket with
/// the region that the bucket is in.
const FIRST_REGION: &str = "us-east-1";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

/// Which bucket to speak to, and how.
#[derive(Debug, Clone)]
pub struct S3Config {
    /// The bucket's name or an access point's ARN.
    pub bucket: Bucket,
    /// Another server than AWS; what the AWS configuration says if `None`.
    pub endpoint_url: Option<String>,
    /// Whether the server is not AWS's, wherever that is written: then nobody is asked for
    /// a region.
    pub is_own_server: bool,
    /// Whether the bucket's name goes into the path. Always so for an endpoint
    /// that is an IP address or `localhost`, where nothing else can work.
    pub path_style: bool,
    /// The bucket's region; found out if `None`.
    pub region: Option<String>,
    /// The profile of the AWS configuration.
    pub profile: Option<String>,
    /// Whether requests go out without a signature.
    pub no_sign_request: bool,
    /// Whether the caller agrees to pay for requests and transfer.
    pub requester_pays: bool,
    /// The account that must own the bucket.
    pub expected_bucket_owner: Option<String>,
    /// The credentials; looked up as the AWS tools do if `None`.
    pub credentials: Option<Credentials>,
    /// How objects that are written are stored and encrypted.
    pub writes: WriteSettings,
    /// When the signature of a request covers its body.
    pub sign_bodies: BodySignatures,
}

impl S3Config {
    /// The bucket as the AWS tools would reach it: with the region, endpoint and
    /// credentials of the AWS configuration.
    pub fn new(bucket: Bucket) -> Self {
        S3Config {
            bucket,
            endpoint_url: None,
            is_own_server: false,
            path_style: false,
            region: None,
            profile: None,
            no_sign_request: false,
            requester_pays: false,
            expected_bucket_owner: None,
            credentials: None,
            writes: WriteSettings::default(),
            sign_bodies: BodySignatures::default(),
        }
    }
}

/// When the signature of a request covers the bytes of its body, and not only their
/// CRC32C.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BodySignatures {
    /// Over plain HTTP to another machine. Elsewhere nobody on the way can change a body,
    /// and the signed CRC32C tells of what is damaged: a SHA-256 of each byte is a third
    /// of what an upload takes of the processor.
    #[default]
    WhereNeeded,
    /// Always: the policy of a bucket may demand it (`s3:x-amz-content-sha256`).
    Always,
}

/// An access key with its secret, given instead of being looked up.
#[derive(Clone)]
pub struct Credentials {
    /// The public part.
    pub access_key_id: String,
    /// The secret part.
    pub secret_access_key: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No credential ever reaches a log.
        f.write_str("Credentials(...)")
    }
}

/// One bucket on a server that speaks S3. Clones share what was found out.
#[derive(Clone)]
pub struct S3 {
    config: Arc<S3Config>,
    shared: SdkConfig,
    /// Replaced once when the bucket turns out to be in another region.
    client: Arc<RwLock<Client>>,
    /// Whether the signature of a request covers its body.
    signs_bodies: bool,
    /// Which server it is.
    listener: Listener,
    /// Whether it counts its listings rightly.
    count: Count,
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
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http::client())
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(timeouts);
        if let Some(profile) = &config.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(url) = &config.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        let known = config.region.as_deref().or(config.bucket.arn_region());
        let known = match known.map(|region| Region::new(region.to_owned())) {
            None => region::configured(config.profile.as_deref()).await,
            known => known,
        };
        // Given, so that the loader asks nobody.
        let is_known = known.is_some();
        loader = loader.region(known.unwrap_or(Region::from_static(FIRST_REGION)));
        if config.no_sign_request {
            loader = loader.no_credentials();
        } else if let Some(Credentials { access_key_id, secret_access_key }) = &config.credentials {
            loader = loader.credentials_provider(aws_credential_types::Credentials::new(
                access_key_id,
                secret_access_key,
                None,
                None,
                "given",
            ));
        }
        let mut shared = loader.load().await;
        if let Some(provider) = shared.credentials_provider() {
            let discreet = SharedCredentialsProvider::new(Discreet(provider));
            shared = shared.into_builder().credentials_provider(discreet).build();
        }
        if let Some(provider) = shared.credentials_provider() {
            provider.provide_credentials().await.map_err(credentials_error)?;
        }
        let is_aws = !config.is_own_server && shared.endpoint_url().is_none();
        // Keys of one part of AWS (China, say) are unknown to the first region of another.
        if !is_known
            && is_aws
            && !config.no_sign_request
            && let Some(region) = region::of_this_machine().await
        {
            shared = shared.into_builder().region(region).build();
        }
        let listener = Listener::default();
        let client = build_client(&config, &shared, None, listener.clone());
        let client = Arc::new(RwLock::new(client));
        let signs_bodies = config.sign_bodies == BodySignatures::Always
            || shared.endpoint_url().is_some_and(can_be_changed_on_the_way);
        let (config, count) = (Arc::new(config), Count::default());
        Ok(S3 { config, shared, client, signs_bodies, listener, count })
    }

    fn client(&self) -> Client {
        self.client.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs a request; if the bucket turns out to be in another region, once more there.
    async fn in_its_region<T, F>(&self, request: impl Fn(Client) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let first = request(self.client()).await;
        let Err(StoreError { kind: StoreErrorKind::WrongRegion(Some(region)), .. }) = &first else {
            return first;
        };
        let listener = self.listener.clone();
        let moved = build_client(&self.config, &self.shared, Some(region), listener);
        let outcome = request(moved.clone()).await;
        if !matches!(&outcome, Err(StoreError { kind: StoreErrorKind::WrongRegion(_), .. })) {
            tracing::info!("bucket {} is in region {region}", self.config.bucket);
            *self.client.write().unwrap_or_else(PoisonError::into_inner) = moved;
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
        self.head_object(key).await
    }

    async fn get_range(&self, request: GetRequest) -> Result<GetBody, StoreError> {
        self.get_object(request).await
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

    fn key_order(&self) -> KeyOrder {
        // Directory buckets, and access points of them.
        let is_directory_bucket =
            ["--x-s3", "--xa-s3"].iter().any(|end| self.config.bucket.as_str().ends_with(end));
        if is_directory_bucket { KeyOrder::Any } else { self.listener.key_order() }
    }
}

fn build_client(
    config: &S3Config,
    shared: &SdkConfig,
    region: Option<&str>,
    listener: Listener,
) -> Client {
    let mut builder = aws_sdk_s3::config::Builder::from(shared)
        .force_path_style(config.path_style || shared.endpoint_url().is_some_and(needs_path_style))
        // Ranges carry no checksum, and servers other than AWS dislike being asked.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .interceptor(listener);
    let known = region.map(|name| Region::new(name.to_owned())).or(shared.region().cloned());
    builder = builder.region(known.unwrap_or(Region::from_static(FIRST_REGION)));
    if config.no_sign_request {
        builder = builder.allow_no_auth();
    }
    Client::from_conf(builder.build())
}
