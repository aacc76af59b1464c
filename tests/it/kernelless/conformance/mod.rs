//! What every `ObjectStore` must do, run on the store in memory, on the server in
//! the process and on MinIO.

mod writes;

use std::sync::Arc;

use futures_util::StreamExt;
use s3mem::key::{ETag, ObjectKey, Prefix};
use s3mem::store::{
    CheckConditions, Credentials, GetRequest, ListPage, ListRequest, ObjectStore, S3, S3Config,
    StoreErrorKind,
};

use crate::harness::backend::{NO_MINIO, sdk};
use crate::harness::missing::missing;
use crate::support::bucket::Meta;
use crate::support::memory_store::MemoryStore;
use crate::support::server::{ACCESS_KEY, REGION, SECRET_KEY, TestServer};

/// A store under test, and a way to write into its bucket from outside.
struct Subject {
    store: Arc<dyn ObjectStore>,
    writer: Writer,
}

enum Writer {
    Memory(Arc<MemoryStore>),
    Server(TestServer),
    Sdk(aws_sdk_s3::Client, String),
}

impl Subject {
    fn memory() -> Self {
        let store = Arc::new(MemoryStore::new());
        Subject { store: store.clone(), writer: Writer::Memory(store) }
    }

    async fn in_process() -> Self {
        let server = TestServer::start();
        server.create_bucket("conformance");
        let store = s3("conformance", &server.endpoint(), ACCESS_KEY, SECRET_KEY).await;
        Subject { store, writer: Writer::Server(server) }
    }

    /// A fresh bucket on MinIO, if `scripts/test.sh` has started one.
    async fn minio(name: &str) -> Option<Self> {
        let Ok(url) = std::env::var("S3MEM_TEST_MINIO_URL") else {
            missing("S3MEM_REQUIRE_MINIO", NO_MINIO);
            return None;
        };
        let access = std::env::var("S3MEM_TEST_MINIO_ACCESS_KEY").unwrap();
        let secret = std::env::var("S3MEM_TEST_MINIO_SECRET_KEY").unwrap();
        let bucket = format!("conformance-{name}-{}", std::process::id());
        let client = sdk(&url, &access, &secret);
        client.create_bucket().bucket(&bucket).send().await.unwrap();
        let store = s3(&bucket, &url, &access, &secret).await;
        Some(Subject { store, writer: Writer::Sdk(client, bucket) })
    }

    async fn put(&self, key: &str, bytes: &str, meta: Meta) {
        match &self.writer {
            Writer::Memory(store) => drop(store.put_with(key, bytes.to_owned(), meta)),
            Writer::Server(server) => {
                drop(server.put_with("conformance", key, bytes.to_owned(), meta));
            }
            Writer::Sdk(client, bucket) => {
                client
                    .put_object()
                    .bucket(bucket)
                    .key(key)
                    .set_content_type(meta.content_type)
                    .set_metadata(Some(meta.metadata.into_iter().collect()))
                    .body(bytes.as_bytes().to_vec().into())
                    .send()
                    .await
                    .unwrap();
            }
        }
    }

    async fn list(&self, prefix: &str, delimited: bool, max_keys: u16) -> Vec<ListPage> {
        let (mut pages, mut token) = (Vec::new(), None);
        loop {
            let prefix = Prefix::new(prefix);
            let request = ListRequest { prefix, delimited, token, after: None, max_keys };
            let page = self.store.list_page(request).await.unwrap();
            token = page.next.clone();
            pages.push(page);
            if token.is_none() {
                return pages;
            }
        }
    }

    async fn get(
        &self,
        key: &str,
        start: u64,
        end: u64,
        etag: Option<ETag>,
    ) -> Result<String, StoreErrorKind> {
        let request = GetRequest { key: ObjectKey::new(key), range: start..end, etag };
        let mut body = self.store.get_range(request).await.map_err(|error| error.kind)?;
        let mut bytes = Vec::new();
        while let Some(piece) = body.bytes.next().await {
            bytes.extend_from_slice(&piece.map_err(|error| error.kind)?);
        }
        Ok(String::from_utf8(bytes).unwrap())
    }

    /// The claims, each on a bucket that the one before left as it is.
    async fn conforms(self) {
        self.ranges_are_exact_and_pinned().await;
        self.listings_roll_up_and_page().await;
        self.keys_come_back_byte_for_byte().await;
        self.head_tells_type_and_metadata().await;
        self.writes_conform().await;
    }

    async fn ranges_are_exact_and_pinned(&self) {
        self.put("obj", "0123456789", Meta::default()).await;
        let pages = self.list("obj", false, 1000).await;
        let version = &pages[0].objects[0].version;
        assert_eq!((version.key.as_str(), version.size), ("obj", 10));
        let etag = version.etag.clone();
        assert!(etag.is_some());
        assert_eq!(self.get("obj", 2, 5, etag.clone()).await, Ok("234".into()));
        assert_eq!(self.get("obj", 9, 10, None).await, Ok("9".into()));
        let request = GetRequest { key: ObjectKey::new("obj"), range: 3..4, etag: etag.clone() };
        let head = self.store.get_range(request).await.unwrap().head;
        assert_eq!((head.size, head.etag), (Some(10), etag.clone()), "the whole object's size");
        self.put("obj", "abcdefghij", Meta::default()).await;
        assert_eq!(self.get("obj", 2, 5, etag).await, Err(StoreErrorKind::Changed));
        assert_eq!(self.get("none", 0, 5, None).await, Err(StoreErrorKind::NotFound));
        assert_eq!(self.get("obj", 50, 60, None).await, Err(StoreErrorKind::RangeOutside));
    }

    async fn listings_roll_up_and_page(&self) {
        for n in 0..7 {
            self.put(&format!("dir/sub{n}/file"), "x", Meta::default()).await;
            self.put(&format!("dir/file{n}"), "y", Meta::default()).await;
        }
        let pages = self.list("dir/", true, 3).await;
        let count = |page: &ListPage| page.objects.len() + page.prefixes.len();
        assert!(pages.iter().all(|page| count(page) <= 3));
        let prefixes: Vec<String> =
            pages.iter().flat_map(|page| &page.prefixes).map(Prefix::to_string).collect();
        let objects: Vec<String> = pages
            .iter()
            .flat_map(|page| &page.objects)
            .map(|object| object.version.key.to_string())
            .collect();
        assert_eq!(prefixes, (0..7).map(|n| format!("dir/sub{n}/")).collect::<Vec<_>>());
        assert_eq!(objects, (0..7).map(|n| format!("dir/file{n}")).collect::<Vec<_>>());
        assert_eq!(self.list("nothing/", true, 1000).await, [ListPage::default()]);
    }

    async fn keys_come_back_byte_for_byte(&self) {
        // What MinIO's disk layout refuses (`//`, `..`) is tested on the others in `server.rs`.
        let keys =
            ["k/sp ace", "k/plus+", "k/per%20cent", "k/ctl\u{1}", "k/日本", "k/a&b<c>", "k/q?#"];
        for key in keys {
            self.put(key, key, Meta::default()).await;
        }
        let mut listed: Vec<String> = self
            .list("k/", true, 1000)
            .await
            .iter()
            .flat_map(|page| &page.objects)
            .map(|object| object.version.key.to_string())
            .collect();
        listed.sort();
        let mut expected = keys.map(str::to_owned).to_vec();
        expected.sort();
        assert_eq!(listed, expected);
        for key in keys {
            assert_eq!(self.get(key, 0, key.len() as u64, None).await.as_deref(), Ok(key));
        }
    }

    async fn head_tells_type_and_metadata(&self) {
        let meta = Meta {
            content_type: Some("image/jp2".into()),
            metadata: [("sensor".to_owned(), "MSI".to_owned())].into(),
            ..Meta::default()
        };
        self.put("typed", "12345", meta).await;
        let head = self.store.head(&ObjectKey::new("typed")).await.unwrap();
        assert_eq!(head.size, Some(5));
        assert_eq!(head.content_type.as_deref(), Some("image/jp2"));
        assert_eq!(head.metadata["sensor"], "MSI");
        let missing = self.store.head(&ObjectKey::new("none")).await.unwrap_err();
        assert_eq!(missing.kind, StoreErrorKind::NotFound);
    }
}

/// The bucket, with what is needed for it to keep all conditions.
async fn s3(bucket: &str, url: &str, access: &str, secret: &str) -> Arc<dyn ObjectStore> {
    let config = S3Config {
        endpoint_url: Some(url.to_owned()),
        path_style: true,
        region: Some(REGION.to_owned()),
        credentials: Some(Credentials {
            access_key_id: access.to_owned(),
            secret_access_key: secret.to_owned(),
        }),
        ..S3Config::new(bucket.parse().unwrap())
    };
    Arc::new(CheckConditions::new(Arc::new(S3::connect(config).await.unwrap())))
}

#[tokio::test]
async fn the_store_in_memory_conforms() {
    Subject::memory().conforms().await;
}

#[tokio::test]
async fn the_server_in_the_process_conforms() {
    Subject::in_process().await.conforms().await;
}

#[tokio::test]
async fn a_server_that_ignores_conditions_on_copies_and_deletes_conforms() {
    let subject = Subject::in_process().await;
    let Writer::Server(server) = &subject.writer else { unreachable!() };
    server.ignore_conditions();
    subject.conforms().await;
}

#[tokio::test]
async fn minio_conforms() {
    if let Some(subject) = Subject::minio("all").await {
        subject.conforms().await;
    }
}
