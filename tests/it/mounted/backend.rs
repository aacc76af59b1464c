//! The servers that a test runs on: the one in the process, and MinIO where
//! `scripts/test.sh` has started it. What holds on both is not an agreement of
//! our client with our own server.

use std::collections::BTreeMap;
use std::env;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::primitives::ByteStream;
use tokio::runtime::Runtime;

use super::{BUCKET, server};
use crate::mounting::{Mount, Mounting, required};
use crate::support::server::{Meta, REGION, TestServer};

/// One server with one bucket for one test.
pub(super) enum Backend {
    InProcess(TestServer),
    Minio(Minio),
}

pub(super) struct Minio {
    url: String,
    access_key: String,
    secret_key: String,
    bucket: String,
    client: Client,
    runtime: Runtime,
}

/// Every server there is; none where nothing can be mounted.
pub(super) fn backends() -> Vec<Backend> {
    let in_process = server().map(Backend::InProcess);
    let minio = in_process.is_some().then(Minio::find).flatten().map(Backend::Minio);
    in_process.into_iter().chain(minio).collect()
}

impl Backend {
    /// What to say when a test fails.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Backend::InProcess(_) => "the server in the process",
            Backend::Minio(_) => "MinIO",
        }
    }

    pub(super) fn mount(&self, flags: &[&str]) -> Mount {
        let mounting = match self {
            Backend::InProcess(server) => Mounting::of(server, BUCKET),
            Backend::Minio(minio) => {
                Mounting::at(&minio.url, &minio.access_key, &minio.secret_key, &minio.bucket)
            }
        };
        mounting.with(["--memory", "256M"]).with(flags).in_foreground()
    }

    /// Puts an object; gives its ETag without quotes.
    pub(super) fn put(&self, key: &str, bytes: impl Into<Vec<u8>>) -> String {
        self.put_with(key, bytes, None, &[])
    }

    /// Puts an object with a media type and metadata of its own.
    pub(super) fn put_with(
        &self,
        key: &str,
        bytes: impl Into<Vec<u8>>,
        content_type: Option<&str>,
        metadata: &[(&str, &str)],
    ) -> String {
        let content_type = content_type.map(str::to_owned);
        let metadata: BTreeMap<String, String> =
            metadata.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        match self {
            Backend::InProcess(server) => {
                let meta = Meta { content_type, metadata, ..Meta::default() };
                server.put_with(BUCKET, key, bytes.into(), meta)
            }
            Backend::Minio(minio) => {
                let put = minio.client.put_object().bucket(&minio.bucket).key(key);
                let put = put
                    .body(ByteStream::from(bytes.into()))
                    .set_content_type(content_type)
                    .set_metadata(Some(metadata.into_iter().collect()));
                let put = minio.runtime.block_on(put.send()).unwrap();
                put.e_tag().unwrap().trim_matches('"').to_owned()
            }
        }
    }

    pub(super) fn delete(&self, key: &str) {
        match self {
            Backend::InProcess(server) => assert!(server.delete(BUCKET, key)),
            Backend::Minio(minio) => {
                let delete = minio.client.delete_object().bucket(&minio.bucket).key(key);
                minio.runtime.block_on(delete.send()).unwrap();
            }
        }
    }
}

impl Minio {
    fn find() -> Option<Self> {
        let variable = |name: &str| env::var(format!("S3MEM_TEST_MINIO_{name}")).ok();
        let Some(url) = variable("URL") else {
            assert!(!required("S3MEM_REQUIRE_MINIO"), "S3MEM_TEST_MINIO_URL is not set");
            return None;
        };
        let (access_key, secret_key) = (variable("ACCESS_KEY")?, variable("SECRET_KEY")?);
        let credentials = Credentials::new(&access_key, &secret_key, None, None, "test");
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&url)
            .force_path_style(true)
            .region(Region::new(REGION))
            .credentials_provider(credentials);
        let client = Client::from_conf(config.build());
        let runtime = Runtime::new().unwrap();
        static BUCKETS: AtomicU32 = AtomicU32::new(0);
        let number = BUCKETS.fetch_add(1, Ordering::Relaxed);
        let bucket = format!("mounted-{}-{number}", process::id());
        runtime.block_on(client.create_bucket().bucket(&bucket).send()).unwrap();
        Some(Minio { url, access_key, secret_key, bucket, client, runtime })
    }
}
