//! The bucket itself, through the AWS SDK. This folder is the only place that names it.
//!
//! Contract: one call is one attempt; retries, limits and counts are the
//! decorators'. Finds out by itself in which region the bucket is.

mod conditions;
mod copy;
mod error;
mod http;
mod write;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    ProvideCredentials, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{ChecksumMode, EncodingType, RequestPayer};
use futures_util::stream::{self, StreamExt};
use percent_encoding::percent_decode;

use self::conditions::Listener;
use self::copy::MAX_COPY_BYTES;
use self::error::{credentials_error, service_error};
use super::{
    CompleteRequest, CopyRequest, GetBody, GetRequest, ListPage, ListRequest, ListedObject,
    ObjectHead, ObjectStore, Part, PartRequest, PutRequest, StoreError, StoreErrorKind, Upload,
    WriteSettings, Written,
};
use crate::key::{Bucket, ETag, ObjectKey, ObjectVersion, Prefix};
use crate::stats::Stats;

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
    /// What objects that are written get.
    pub writes: WriteSettings,
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
    /// Objects of more bytes are copied in parts.
    copy_limit: u64,
    /// Where the requests are counted that nobody above sees: those of copies in parts,
    /// and looks before copies and deletes.
    stats: Option<Arc<Stats>>,
    /// Whether the signature of a request covers its body.
    signs_bodies: bool,
    /// Which server it is.
    listener: Listener,
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
        if let Some(region) = config.region.as_deref().or(config.bucket.arn_region()) {
            loader = loader.region(Region::new(region.to_owned()));
        }
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
        let shared = loader.load().await;
        if let Some(provider) = shared.credentials_provider() {
            provider.provide_credentials().await.map_err(credentials_error)?;
        }
        let listener = Listener::default();
        let client = build_client(&config, &shared, None, listener.clone());
        let client = Arc::new(RwLock::new(client));
        let config = Arc::new(config);
        let signs_bodies = shared.endpoint_url().is_some_and(can_be_changed_on_the_way);
        let copy_limit = MAX_COPY_BYTES;
        Ok(S3 { config, shared, client, copy_limit, stats: None, signs_bodies, listener })
    }

    /// Signs bodies, as over HTTP to another machine. Otherwise nobody on the way can
    /// change them, and the signed CRC32C tells of what is damaged: a SHA-256 of each
    /// byte is a third of what an upload takes of the processor.
    pub fn with_signed_bodies(mut self) -> S3 {
        self.signs_bodies = true;
        self
    }

    /// Copies what has more than so many bytes in parts of as many, as tests do it;
    /// S3 itself needs that above 5 GiB.
    pub fn with_copy_limit(mut self, bytes: u64) -> S3 {
        self.copy_limit = bytes.min(MAX_COPY_BYTES);
        self
    }

    /// Counts in `stats` the requests that nobody above sees.
    pub(super) fn with_stats(mut self, stats: Arc<Stats>) -> S3 {
        self.stats = Some(stats);
        self
    }

    fn client(&self) -> Client {
        self.client.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn payer(&self) -> Option<RequestPayer> {
        self.config.requester_pays.then_some(RequestPayer::Requester)
    }

    pub(super) fn owner(&self) -> Option<String> {
        self.config.expected_bucket_owner.clone()
    }

    /// Runs a request; if the bucket turns out to be in another region, once more there.
    pub(super) async fn in_its_region<T, F>(
        &self,
        request: impl Fn(Client) -> F,
    ) -> Result<T, StoreError>
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
        let name = format!("LIST {}", request.prefix);
        let request = &request;
        let output = self
            .in_its_region(|client| {
                let call = client
                    .list_objects_v2()
                    .bucket(self.config.bucket.as_str())
                    .prefix(request.prefix.as_str())
                    .set_delimiter(request.delimited.then(|| "/".to_owned()))
                    .set_continuation_token(request.token.clone())
                    .max_keys(i32::from(request.max_keys))
                    // Without it one control character in one key fails the page.
                    .encoding_type(EncodingType::Url)
                    .set_request_payer(self.payer())
                    .set_expected_bucket_owner(self.owner());
                let name = name.clone();
                async move { call.send().await.map_err(|e| service_error(name, e)) }
            })
            .await?;
        let encoded = output.encoding_type() == Some(&EncodingType::Url);
        let mut page = ListPage::default();
        if output.is_truncated() == Some(true) {
            let token = output.next_continuation_token().ok_or_else(|| {
                let detail = "the server says there is more and gives no continuation token";
                StoreError::new(StoreErrorKind::Other, name, detail)
            })?;
            page.next = Some(token.to_owned());
        }
        for object in output.contents() {
            let Some(text) = object.key() else { continue };
            let Some(key) = decode(text, encoded) else {
                page.unreachable.push(text.to_owned());
                continue;
            };
            let version = ObjectVersion {
                key: ObjectKey::new(key),
                size: object.size().unwrap_or(0).max(0) as u64,
                etag: object.e_tag().map(ETag::new),
                last_modified: object.last_modified().map_or(SystemTime::UNIX_EPOCH, system_time),
            };
            let storage_class = object.storage_class().map(|class| Arc::from(class.as_str()));
            page.objects.push(ListedObject { version, storage_class });
        }
        for prefix in output.common_prefixes() {
            let Some(text) = prefix.prefix() else { continue };
            match decode(text, encoded) {
                Some(prefix) => page.prefixes.push(Prefix::new(prefix)),
                None => page.unreachable.push(text.to_owned()),
            }
        }
        page.objects.sort_by(|a, b| a.version.key.cmp(&b.version.key));
        page.prefixes.sort();
        Ok(page)
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectHead, StoreError> {
        let output = self
            .in_its_region(|client| {
                let call = client
                    .head_object()
                    .bucket(self.config.bucket.as_str())
                    .key(key.as_str())
                    .checksum_mode(ChecksumMode::Enabled)
                    .set_request_payer(self.payer())
                    .set_expected_bucket_owner(self.owner());
                async move {
                    call.send().await.map_err(|e| service_error(format!("HEAD {key}"), e))
                }
            })
            .await?;
        Ok(ObjectHead {
            size: output.content_length().unwrap_or(0).max(0) as u64,
            etag: output.e_tag().map(ETag::new),
            last_modified: output.last_modified().map(system_time),
            content_type: output.content_type().map(str::to_owned),
            storage_class: output.storage_class().map(|class| class.as_str().to_owned()),
            metadata: metadata(output.metadata()),
            checksum: output.checksum_crc32_c().map(str::to_owned),
        })
    }

    async fn get_range(&self, request: GetRequest) -> Result<GetBody, StoreError> {
        let GetRequest { key, range, etag } = &request;
        let name = format!("GET {key}");
        let output = self
            .in_its_region(|client| {
                let call = client
                    .get_object()
                    .bucket(self.config.bucket.as_str())
                    .key(key.as_str())
                    .range(format!("bytes={}-{}", range.start, range.end.saturating_sub(1)))
                    .set_if_match(etag.as_ref().map(|etag| etag.as_str().to_owned()))
                    .set_request_payer(self.payer())
                    .set_expected_bucket_owner(self.owner());
                let name = name.clone();
                async move { call.send().await.map_err(|e| service_error(name, e)) }
            })
            .await?;
        let content_length = output.content_length().unwrap_or(0).max(0) as u64;
        let size = match output.content_range() {
            Some(text) => checked_total(text, range.start).ok_or_else(|| {
                let detail = format!("the server answered with another range: {text}");
                StoreError::new(StoreErrorKind::Other, name.clone(), detail)
            })?,
            // A server that ignores ranges answers with the whole object.
            None if range.start == 0 => content_length,
            None => {
                let detail = "the server ignores byte ranges, which s3mem needs";
                return Err(StoreError::new(StoreErrorKind::Other, name, detail));
            }
        };
        let head = ObjectHead {
            size,
            etag: output.e_tag().map(ETag::new),
            last_modified: output.last_modified().map(system_time),
            content_type: output.content_type().map(str::to_owned),
            storage_class: output.storage_class().map(|class| class.as_str().to_owned()),
            metadata: metadata(output.metadata()),
            // Ranges come without the checksum of the whole.
            checksum: None,
        };
        let bytes = stream::unfold((output.body, name), next_chunk).boxed();
        Ok(GetBody { head, bytes })
    }

    async fn put(&self, request: PutRequest) -> Result<Written, StoreError> {
        self.put_object(request).await
    }

    async fn begin_upload(
        &self,
        key: &ObjectKey,
        content_type: Option<Arc<str>>,
    ) -> Result<Upload, StoreError> {
        self.create_multipart_upload(key, content_type).await
    }

    async fn put_part(&self, request: PartRequest) -> Result<Part, StoreError> {
        self.upload_part(request).await
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
}

async fn next_chunk(
    (mut body, name): (ByteStream, String),
) -> Option<(Result<bytes::Bytes, StoreError>, (ByteStream, String))> {
    let broke_off = |error| {
        StoreError::new(StoreErrorKind::ShortBody, name.clone(), "the body broke off")
            .caused_by(error)
    };
    let chunk = body.next().await?.map_err(broke_off);
    Some((chunk, (body, name)))
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

/// Whether somebody between us and this endpoint could change what is sent there:
/// neither where it is encrypted nor where it stays on this machine.
fn can_be_changed_on_the_way(url: &str) -> bool {
    let Some((scheme, host)) = scheme_and_host(url) else { return true };
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let stays_here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    !scheme.eq_ignore_ascii_case("https") && !stays_here
}

/// The parts of `SCHEME://HOST:PORT/...`; an IPv6 address with its brackets.
fn scheme_and_host(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split('/').next()?;
    let end = authority.find(']').map_or_else(|| authority.find(':'), |at| Some(at + 1));
    Some((scheme, &authority[..end.unwrap_or(authority.len())]))
}

/// Whether a bucket can't be a part of this endpoint's host name.
fn needs_path_style(url: &str) -> bool {
    scheme_and_host(url).is_some_and(|(_, host)| {
        host.starts_with('[') || host == "localhost" || host.parse::<Ipv4Addr>().is_ok()
    })
}

/// A key as the listing wrote it: url-encoded as in a form, where the server said
/// so. `None` when it is no UTF-8.
fn decode(text: &str, encoded: bool) -> Option<String> {
    if !encoded {
        return Some(text.to_owned());
    }
    // AWS and MinIO write a space as `+`, and a plus as `%2B`.
    let spaced = text.replace('+', " ");
    percent_decode(spaced.as_bytes()).decode_utf8().ok().map(|key| key.into_owned())
}

/// The object's size from `bytes START-END/SIZE`, if it starts where it should.
fn checked_total(content_range: &str, start: u64) -> Option<u64> {
    let (range, total) = content_range.strip_prefix("bytes ")?.split_once('/')?;
    let (from, _) = range.split_once('-')?;
    (from.parse::<u64>().ok()? == start).then(|| total.parse().ok())?
}

fn system_time(time: &DateTime) -> SystemTime {
    SystemTime::try_from(*time).unwrap_or(SystemTime::UNIX_EPOCH)
}

fn metadata(pairs: Option<&std::collections::HashMap<String, String>>) -> BTreeMap<String, String> {
    pairs.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_keys_are_decoded_as_aws_encodes_them() {
        assert_eq!(decode("a%2Bb+c%25d%0A", true).as_deref(), Some("a+b c%d\n"));
        assert_eq!(decode("a+b%20", false).as_deref(), Some("a+b%20"));
        assert_eq!(decode("bad%FFutf8", true), None);
    }

    #[test]
    fn an_answer_with_another_range_is_refused() {
        assert_eq!(checked_total("bytes 100-199/5000", 100), Some(5000));
        assert_eq!(checked_total("bytes 0-99/5000", 100), None);
        assert_eq!(checked_total("bytes 100-199/*", 100), None);
        assert_eq!(checked_total("nonsense", 0), None);
    }

    #[test]
    fn bodies_are_signed_unless_nobody_can_change_them() {
        for url in ["https://s3.example.org", "HTTPS://10.0.0.1:9000", "http://127.0.0.1:9000"] {
            assert!(!can_be_changed_on_the_way(url), "{url}");
        }
        for url in ["http://localhost/", "http://[::1]:9000"] {
            assert!(!can_be_changed_on_the_way(url), "{url}");
        }
        for url in ["http://10.0.0.1:9000", "http://localhost.example.org", "http://127.org"] {
            assert!(can_be_changed_on_the_way(url), "{url}");
        }
    }

    #[test]
    fn an_address_without_names_gets_the_bucket_in_the_path() {
        for url in ["http://127.0.0.1:9000", "https://localhost/", "http://[::1]:9000"] {
            assert!(needs_path_style(url), "{url}");
        }
        assert!(!needs_path_style("https://s3.example.org"));
    }
}
