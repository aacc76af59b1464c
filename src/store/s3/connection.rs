//! Where requests go and who sends them: the bucket's region and the credentials.
//!
//! Contract: both may turn out to be others while the mount lasts. A bucket in another
//! region is followed there. Credentials that the server refuses are looked up anew, as the
//! AWS tools do it for each of their commands: keys that were replaced in a file, by a
//! `credential_process` or in a token file are found. That is done once for all who wait,
//! and at most every [`LEAST_APART`].

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    Credentials as Identity, ProvideCredentials, RequestChecksumCalculation,
    ResponseChecksumValidation, SharedCredentialsProvider, SharedHttpClient,
};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::credentials::{Discreet, KnownCredentials};
use super::endpoint::{needs_path_style, with_slash};
use super::error::{credentials_error, no_bucket_of_aws, unusable_key};
use super::http;
use super::needed::Needed;
use super::region;
use super::server::Listener;
use super::settings::{Credentials, S3Config};
use crate::store::StoreError;

/// Asked first where nothing names a region: it answers for every bucket with
/// the region that the bucket is in.
const FIRST_REGION: &str = "us-east-1";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// How long credentials that were refused are not looked up again.
const LEAST_APART: Duration = Duration::from_secs(5);

/// What a request is sent with.
#[derive(Debug, Clone)]
pub(super) struct Line {
    client: Client,
    shared: SdkConfig,
    /// The region that the server has named.
    region: Option<String>,
    /// The credentials as they were looked up; `None` without any.
    identity: Option<Identity>,
    /// How often credentials were replaced before.
    age: u64,
}

impl Line {
    /// The client of the SDK.
    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }
}

/// The connection to one bucket. Clones are one connection.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    config: Arc<S3Config>,
    listener: Listener,
    line: Arc<RwLock<Line>>,
    /// When credentials were last looked up anew. Held meanwhile, so that it is done once
    /// for all who wait.
    renewed: Arc<Mutex<Option<Instant>>>,
}

impl Connection {
    /// Loads the configuration and the credentials. Sends nothing to the bucket.
    ///
    /// # Errors
    /// There are no credentials, or none that can be sent.
    pub(super) async fn open(
        config: Arc<S3Config>,
        listener: Listener,
    ) -> Result<Connection, StoreError> {
        let connections = http::client(config.ca_bundle.as_deref())?;
        let region = config.region.as_deref().or(config.bucket.arn_region());
        let region = match region.map(|region| Region::new(region.to_owned())) {
            None => region::configured(config.profile.as_deref()).await,
            known => known,
        };
        let is_known = region.is_some();
        let mut shared = load(&config, connections.clone(), region).await;
        if shared.endpoint_url().is_none() && !config.bucket.is_legal_on_aws() {
            return Err(no_bucket_of_aws(&config.bucket));
        }
        let identity = identity(&shared).await?;
        let is_aws = !config.is_own_server && shared.endpoint_url().is_none();
        // Keys of one part of AWS (China, say) are unknown to the first region of another.
        if !is_known
            && is_aws
            && !config.no_sign_request
            && let Some(region) = region::of_this_machine(connections).await
        {
            shared = shared.into_builder().region(region).build();
        }
        let client = build_client(&config, &shared, None, listener.clone());
        let line = Line { client, shared, region: None, identity, age: 0 };
        let line = Arc::new(RwLock::new(line));
        Ok(Connection { config, listener, line, renewed: Arc::default() })
    }

    /// The same to another bucket, which is asked for in `region` first if that is known.
    ///
    /// # Errors
    /// The server is AWS, which has no bucket of this name.
    pub(super) fn to_bucket(
        &self,
        config: Arc<S3Config>,
        region: Option<&str>,
    ) -> Result<Connection, StoreError> {
        let line = self.line();
        if line.shared.endpoint_url().is_none() && !config.bucket.is_legal_on_aws() {
            return Err(no_bucket_of_aws(&config.bucket));
        }
        let client = build_client(&config, &line.shared, region, self.listener.clone());
        let line = Line { client, region: region.map(str::to_owned), ..line };
        // Credentials are replaced for each by itself, as each finds out that they are refused.
        let (line, renewed) = (Arc::new(RwLock::new(line)), Arc::default());
        Ok(Connection { config, line, renewed, listener: self.listener.clone() })
    }

    /// The server's address, if it is known not to be the region's.
    pub(super) fn endpoint_url(&self) -> Option<String> {
        self.line().shared.endpoint_url().map(str::to_owned)
    }

    /// The server, to stand in a sentence.
    pub(super) fn server(&self) -> String {
        self.endpoint_url().map_or_else(|| "AWS".to_owned(), |url| format!("the server {url}"))
    }

    /// What may be told of the credentials; `None` where requests carry none.
    pub(super) fn credentials(&self) -> Option<KnownCredentials> {
        self.line().identity.as_ref().map(KnownCredentials::of)
    }

    /// The region that requests go to, as far as it is known.
    pub(super) fn region(&self) -> String {
        let line = self.line();
        let known = line.region.or_else(|| line.shared.region().map(Region::to_string));
        known.unwrap_or_else(|| FIRST_REGION.to_owned())
    }

    /// What requests are sent with now.
    pub(super) fn line(&self) -> Line {
        self.line.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same in another region.
    pub(super) fn in_region(&self, line: &Line, region: &str) -> Line {
        let client = build_client(&self.config, &line.shared, Some(region), self.listener.clone());
        Line { client, region: Some(region.to_owned()), ..line.clone() }
    }

    /// Sends all further requests with this.
    pub(super) fn use_from_now_on(&self, line: Line) {
        if let Some(region) = &line.region {
            tracing::info!("bucket {} is in region {region}", self.config.bucket);
        }
        self.replace(line);
    }

    /// What to send a request with that was refused for its credentials; `None` if there
    /// are no others.
    ///
    /// # Errors
    /// The look-up failed.
    pub(super) async fn renewed(&self, refused: &Line) -> Result<Option<Line>, StoreError> {
        if self.config.no_sign_request || self.config.credentials.is_some() {
            return Ok(None);
        }
        let mut last = self.renewed.lock().await;
        let line = self.line();
        if line.age != refused.age {
            return Ok(Some(line));
        }
        if last.is_some_and(|last| last.elapsed() < LEAST_APART) {
            return Ok(None);
        }
        *last = Some(Instant::now());
        let known = line.region.clone().or_else(|| line.shared.region().map(Region::to_string));
        let connections = match line.shared.http_client() {
            Some(connections) => connections,
            None => http::client(self.config.ca_bundle.as_deref())?,
        };
        let shared = load(&self.config, connections, known.map(Region::new)).await;
        let identity = identity(&shared).await?;
        if secrets(identity.as_ref()) == secrets(line.identity.as_ref()) {
            return Ok(None);
        }
        let (region, listener) = (line.region.clone(), self.listener.clone());
        let client = build_client(&self.config, &shared, region.as_deref(), listener);
        let renewed = Line { client, shared, region, identity, age: line.age + 1 };
        self.replace(renewed.clone());
        tracing::info!("the credentials were refused, and others were found");
        Ok(Some(renewed))
    }

    /// Whether requests are to carry checksums that they need not have.
    pub(super) fn sends_checksums(&self) -> bool {
        let when = self.line().shared.request_checksum_calculation();
        when != Some(RequestChecksumCalculation::WhenRequired)
    }

    fn replace(&self, line: Line) {
        *self.line.write().unwrap_or_else(PoisonError::into_inner) = line;
    }
}

/// What tells credentials from others.
fn secrets(identity: Option<&Identity>) -> Option<(&str, &str, Option<&str>)> {
    identity.map(|known| (known.access_key_id(), known.secret_access_key(), known.session_token()))
}

async fn load(
    config: &S3Config,
    connections: SharedHttpClient,
    region: Option<Region>,
) -> SdkConfig {
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(connections)
        .retry_config(RetryConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .timeout_config(timeouts);
    if let Some(profile) = &config.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(url) = &config.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    // Given in any case, so that the loader asks nobody.
    loader = loader.region(region.unwrap_or(Region::from_static(FIRST_REGION)));
    if config.no_sign_request {
        loader = loader.no_credentials();
    } else if let Some(Credentials { access_key_id, secret_access_key }) = &config.credentials {
        loader = loader.credentials_provider(Identity::new(
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
    match shared.endpoint_url().and_then(with_slash) {
        Some(url) => shared.into_builder().endpoint_url(url).build(),
        None => shared,
    }
}

/// The credentials that the configuration leads to; `None` where requests carry none.
async fn identity(shared: &SdkConfig) -> Result<Option<Identity>, StoreError> {
    let Some(provider) = shared.credentials_provider() else { return Ok(None) };
    let identity = provider.provide_credentials().await.map_err(credentials_error)?;
    // The SDK panics over what can't stand in a header.
    let can_be_sent = |text: &str| text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if !can_be_sent(identity.access_key_id()) {
        return Err(unusable_key("the access key"));
    }
    if identity.session_token().is_some_and(|token| !can_be_sent(token)) {
        return Err(unusable_key("the session token"));
    }
    Ok(Some(identity))
}

fn build_client(
    config: &S3Config,
    shared: &SdkConfig,
    region: Option<&str>,
    listener: Listener,
) -> Client {
    let mut builder = aws_sdk_s3::config::Builder::from(shared)
        .force_path_style(
            config.path_style
                || !config.bucket.is_legal_on_aws()
                || shared.endpoint_url().is_some_and(needs_path_style),
        )
        // Ranges carry no checksum, and servers other than AWS dislike being asked.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .interceptor(Needed)
        .interceptor(listener);
    let known = region.map(|name| Region::new(name.to_owned())).or(shared.region().cloned());
    builder = builder.region(known.unwrap_or(Region::from_static(FIRST_REGION)));
    if config.no_sign_request {
        builder = builder.allow_no_auth();
    }
    Client::from_conf(builder.build())
}
