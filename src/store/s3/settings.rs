//! Which bucket to speak to, and how: what whoever builds an [`S3`](super::S3) says.

use std::fmt;
use std::path::PathBuf;

use crate::key::Bucket;
use crate::store::WriteSettings;

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
    /// A file with the certificates (PEM) of authorities to trust besides the system's.
    pub ca_bundle: Option<PathBuf>,
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
            ca_bundle: None,
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
