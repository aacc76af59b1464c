//! The servers that a test runs on: the one in the process, and MinIO where
//! `scripts/test.sh` has started it. What holds on both is not an agreement of
//! our client with our own server.
//!
//! A bucket is looked at past any mount: in the server itself, or by the SDK.

use std::collections::BTreeMap;
use std::env;
use std::iter;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_http_client::tls;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::runtime::{Builder, Runtime};

use crate::harness::missing::{can_mount, missing};
use crate::harness::mounting::{BUCKET, Mount, Mounting};
use crate::support::server::{ACCESS_KEY, Counts, Meta, REGION, SECRET_KEY, TestServer};

/// How many requests of ours are under way at once where there are many to send.
const AT_ONCE: usize = 8;

/// Why a test is run on the server in the process alone.
pub(crate) const NO_MINIO: &str = "on MinIO, because S3MEM_TEST_MINIO_URL is not set";

/// One server with one bucket for one test.
pub(crate) enum Backend {
    InProcess(TestServer),
    Minio(Minio),
}

pub(crate) struct Minio {
    url: String,
    access_key: String,
    secret_key: String,
    bucket: String,
    client: Client,
    runtime: Runtime,
}

/// What a server tells of an object beside its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// Without quotes.
    pub(crate) etag: String,
    pub(crate) content_type: Option<String>,
    pub(crate) storage_class: Option<String>,
    pub(crate) encryption: Option<String>,
}

/// A server with an empty bucket; nothing where nothing can be mounted.
pub(crate) fn server() -> Option<TestServer> {
    can_mount().then(|| {
        let server = TestServer::start();
        server.create_bucket(BUCKET);
        server
    })
}

/// Every server there is, one after the other; none where nothing can be mounted. Which
/// it is stands in the output of a test that fails.
pub(crate) fn backends() -> impl Iterator<Item = Backend> {
    let in_process = in_process();
    let can_mount = in_process.is_some();
    let minio = move || can_mount.then(Minio::find).flatten().map(Backend::Minio);
    in_process
        .into_iter()
        .chain(iter::once_with(minio).flatten())
        .inspect(|backend| println!("on {}", backend.name()))
}

/// The server that counts what it is asked and fails on command; nothing where nothing
/// can be mounted.
pub(crate) fn in_process() -> Option<Backend> {
    server().map(Backend::InProcess)
}

impl Backend {
    /// What to say when a test fails.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Backend::InProcess(_) => "the server in the process",
            Backend::Minio(_) => "MinIO",
        }
    }

    /// The server that can do more than serve, if this is the one.
    pub(crate) fn server(&self) -> Option<&TestServer> {
        match self {
            Backend::InProcess(server) => Some(server),
            Backend::Minio(_) => None,
        }
    }

    /// What the server was asked for since the last reset, if it is the one that counts.
    pub(crate) fn counts(&self) -> Option<Counts> {
        self.server().map(TestServer::counts)
    }

    /// Counts from nothing again, where anything is counted.
    pub(crate) fn reset_counts(&self) {
        if let Some(server) = self.server() {
            server.reset_counts();
        }
    }

    /// The bucket, yet to be mounted.
    pub(crate) fn mounting(&self) -> Mounting {
        match self {
            Backend::InProcess(server) => Mounting::of(server, BUCKET),
            Backend::Minio(minio) => {
                Mounting::at(&minio.url, &minio.access_key, &minio.secret_key, &minio.bucket)
            }
        }
    }

    pub(crate) fn mount(&self, flags: &[&str]) -> Mount {
        self.mounting().with(["--memory", "256M"]).with(flags).in_foreground()
    }

    /// Another client, and the name that it knows the bucket by.
    pub(crate) fn client(&self) -> (Client, &str) {
        match self {
            Backend::InProcess(server) => (sdk(&server.endpoint(), ACCESS_KEY, SECRET_KEY), BUCKET),
            Backend::Minio(minio) => {
                (sdk(&minio.url, &minio.access_key, &minio.secret_key), &minio.bucket)
            }
        }
    }

    /// Puts an object; gives its ETag without quotes.
    pub(crate) fn put(&self, key: &str, bytes: impl Into<Vec<u8>>) -> String {
        self.put_with(key, bytes, None, &[])
    }

    /// Puts an object with a media type and metadata of its own.
    pub(crate) fn put_with(
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
                unquoted(put.e_tag())
            }
        }
    }

    /// Puts objects, several at once.
    pub(crate) fn put_many(&self, objects: Vec<(String, Vec<u8>)>) {
        match self {
            Backend::InProcess(server) => server.put_many(BUCKET, objects),
            Backend::Minio(minio) => {
                let puts = objects.into_iter().map(|(key, bytes)| {
                    let put = minio.client.put_object().bucket(&minio.bucket).key(key);
                    put.body(ByteStream::from(bytes)).send()
                });
                let puts = stream::iter(puts).buffer_unordered(AT_ONCE);
                minio.runtime.block_on(puts.try_for_each(|_| async { Ok(()) })).unwrap();
            }
        }
    }

    /// The bytes of an object, if there is one.
    pub(crate) fn get(&self, key: &str) -> Option<Vec<u8>> {
        match self {
            Backend::InProcess(server) => {
                let object = server.get(BUCKET, key)?;
                Some(object.content.slice(0..object.content.size()).to_vec())
            }
            Backend::Minio(minio) => minio.runtime.block_on(async {
                let get = minio.client.get_object().bucket(&minio.bucket).key(key);
                let object = match get.send().await {
                    Ok(object) => object,
                    Err(error) if error.as_service_error().is_some_and(|e| e.is_no_such_key()) => {
                        return None;
                    }
                    Err(error) => panic!("{key:?}: {error:?}"),
                };
                Some(object.body.collect().await.unwrap().to_vec())
            }),
        }
    }

    /// Whether there is an object with exactly these bytes.
    pub(crate) fn has(&self, key: &str, bytes: &[u8]) -> bool {
        self.get(key).as_deref() == Some(bytes)
    }

    /// What else is told of an object that is there.
    pub(crate) fn told(&self, key: &str) -> Told {
        match self {
            Backend::InProcess(server) => {
                let object = server.get(BUCKET, key).unwrap();
                Told {
                    etag: unquoted(Some(&object.etag)),
                    content_type: object.content_type.clone(),
                    storage_class: object.storage_class.clone(),
                    encryption: object.encryption.clone(),
                }
            }
            Backend::Minio(minio) => {
                let head = minio.client.head_object().bucket(&minio.bucket).key(key);
                let head = minio.runtime.block_on(head.send()).unwrap();
                Told {
                    etag: unquoted(head.e_tag()),
                    content_type: head.content_type().map(str::to_owned),
                    storage_class: head.storage_class().map(|class| class.as_str().to_owned()),
                    encryption: head.server_side_encryption().map(|how| how.as_str().to_owned()),
                }
            }
        }
    }

    /// All keys in order.
    pub(crate) fn keys(&self) -> Vec<String> {
        match self {
            Backend::InProcess(server) => server.keys(BUCKET),
            Backend::Minio(minio) => {
                let list = minio.client.list_objects_v2().bucket(&minio.bucket);
                let mut pages = list.into_paginator().send();
                minio.runtime.block_on(async {
                    let mut keys = Vec::new();
                    while let Some(page) = pages.next().await {
                        let page = page.unwrap();
                        keys.extend(page.contents().iter().map(|o| o.key().unwrap().to_owned()));
                    }
                    keys
                })
            }
        }
    }

    /// How many uploads of an object in parts were begun and neither completed nor given
    /// up. By its key, because MinIO tells of them by their whole key alone.
    pub(crate) fn open_uploads(&self, key: &str) -> usize {
        match self {
            Backend::InProcess(server) => {
                server.open_uploads(BUCKET).iter().filter(|open| *open == key).count()
            }
            Backend::Minio(minio) => {
                let list = minio.client.list_multipart_uploads().bucket(&minio.bucket).prefix(key);
                let list = minio.runtime.block_on(list.send()).unwrap();
                list.uploads().iter().filter(|open| open.key() == Some(key)).count()
            }
        }
    }

    /// How many parts the server keeps of those uploads.
    pub(crate) fn kept_parts(&self, key: &str) -> usize {
        let (client, bucket) = self.client();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let list = client.list_multipart_uploads().bucket(bucket).prefix(key).send();
            let mut count = 0;
            for open in list.await.unwrap().uploads().iter().filter(|o| o.key() == Some(key)) {
                let list = client.list_parts().bucket(bucket).key(key);
                let list = list.upload_id(open.upload_id().unwrap()).send().await.unwrap();
                count += list.parts().len();
            }
            count
        })
    }

    pub(crate) fn delete(&self, key: &str) {
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
            missing("S3MEM_REQUIRE_MINIO", NO_MINIO);
            return None;
        };
        let (access_key, secret_key) = (variable("ACCESS_KEY")?, variable("SECRET_KEY")?);
        let client = sdk(&url, &access_key, &secret_key);
        let runtime = Runtime::new().unwrap();
        static BUCKETS: AtomicU32 = AtomicU32::new(0);
        let number = BUCKETS.fetch_add(1, Ordering::Relaxed);
        let bucket = format!("mounted-{}-{number}", process::id());
        runtime.block_on(client.create_bucket().bucket(&bucket).send()).unwrap();
        Some(Minio { url, access_key, secret_key, bucket, client, runtime })
    }
}

fn unquoted(etag: Option<&str>) -> String {
    etag.unwrap().trim_matches('"').to_owned()
}

/// A client that is not ours, for a server that wants the bucket in the path.
pub(crate) fn sdk(url: &str, access: &str, secret: &str) -> aws_sdk_s3::Client {
    let credentials = aws_sdk_s3::config::Credentials::new(access, secret, None, None, "test");
    let config = aws_sdk_s3::Config::builder()
        .http_client(http_client())
        .behavior_version(aws_sdk_s3::config::BehaviorVersion::latest())
        .region(aws_sdk_s3::config::Region::new(REGION))
        .endpoint_url(url)
        .force_path_style(true)
        .credentials_provider(credentials)
        .build();
    aws_sdk_s3::Client::from_conf(config)
}

/// Connections for clients of the SDK's own, which is built without any.
pub(crate) fn http_client() -> aws_sdk_s3::config::SharedHttpClient {
    let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
    aws_smithy_http_client::Builder::new().tls_provider(provider).build_https()
}
