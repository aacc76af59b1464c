use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::SystemTime;

use async_trait::async_trait;
use futures_util::stream;

use super::*;
use crate::store::{
    BeginRequest, CompleteRequest, CopyPartRequest, CopyRequest, KeptConditions, KeyOrder,
    ListPage, ListRequest, ObjectHead, Part, PartRequest, Spelling, Upload, VersionsPage,
    VersionsRequest, Written, cache_stack,
};

/// A bucket in memory, which fails on command.
#[derive(Debug, Default)]
struct Bucket {
    objects: Mutex<BTreeMap<String, (Bytes, u64)>>,
    versions: AtomicUsize,
    gets: AtomicUsize,
    puts: AtomicUsize,
    /// What reads and writes fail with.
    reads_fail: Mutex<Option<StoreErrorKind>>,
    writes_fail: Mutex<Option<StoreErrorKind>>,
    hangs: AtomicBool,
}

fn failed(kind: StoreErrorKind) -> StoreError {
    StoreError::new(kind, "a request", "as the test wants it")
}

fn other() -> StoreError {
    failed(StoreErrorKind::Other)
}

impl Bucket {
    fn counts(&self) -> (usize, usize) {
        (self.gets.load(Ordering::Relaxed), self.puts.load(Ordering::Relaxed))
    }

    /// The one object that is there.
    fn only(&self) -> (String, Bytes) {
        let objects = lock(&self.objects);
        assert_eq!(objects.len(), 1);
        objects.first_key_value().map(|(key, (bytes, _))| (key.clone(), bytes.clone())).unwrap()
    }

    fn set(&self, key: &str, bytes: impl Into<Bytes>) {
        let version = self.versions.fetch_add(1, Ordering::Relaxed) as u64;
        lock(&self.objects).insert(key.to_owned(), (bytes.into(), version));
    }
}

fn etag(version: u64) -> ETag {
    ETag::new(&format!("\"v{version}\""))
}

#[async_trait]
impl ObjectStore for Bucket {
    async fn get_range(&self, request: GetRequest) -> Result<GetBody, StoreError> {
        self.gets.fetch_add(1, Ordering::Relaxed);
        if self.hangs.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        if let Some(kind) = lock(&self.reads_fail).clone() {
            return Err(failed(kind));
        }
        let object = lock(&self.objects).get(request.key.as_str()).cloned();
        let (bytes, version) = object.ok_or_else(|| failed(StoreErrorKind::NotFound))?;
        if bytes.is_empty() {
            return Err(failed(StoreErrorKind::RangeOutside));
        }
        let head = ObjectHead {
            size: Some(bytes.len() as u64),
            etag: Some(etag(version)),
            last_modified: None,
            content_type: None,
            storage_class: None,
            metadata: BTreeMap::new(),
            checksum: None,
            kept: None,
        };
        let bytes = bytes.slice(..bytes.len().min(request.range.end as usize));
        Ok(GetBody { head, bytes: stream::iter([Ok(bytes)]).boxed() })
    }

    async fn put(&self, request: PutRequest) -> Result<Written, StoreError> {
        self.puts.fetch_add(1, Ordering::Relaxed);
        if let Some(kind) = lock(&self.writes_fail).clone() {
            return Err(failed(kind));
        }
        let there = lock(&self.objects).get(request.key.as_str()).map(|(_, version)| *version);
        let holds = match (&request.condition, there) {
            (Condition::Absent, there) => there.is_none(),
            (Condition::Unchanged(wanted), there) => there.map(etag).as_ref() == Some(wanted),
            (Condition::Any, _) => panic!("every write has a condition"),
        };
        if !holds {
            return Err(failed(StoreErrorKind::Changed));
        }
        self.set(request.key.as_str(), request.body);
        let version = self.versions.load(Ordering::Relaxed) as u64 - 1;
        Ok(Written { etag: Some(etag(version)) })
    }

    async fn list_page(&self, _: ListRequest) -> Result<ListPage, StoreError> {
        Err(other())
    }

    async fn head(&self, _: &ObjectKey) -> Result<ObjectHead, StoreError> {
        Err(other())
    }

    async fn head_part(&self, _: &ObjectKey, _: u32) -> Result<ObjectHead, StoreError> {
        Err(other())
    }

    async fn list_versions(&self, _: VersionsRequest) -> Result<VersionsPage, StoreError> {
        Err(other())
    }

    async fn begin_upload(&self, _: BeginRequest) -> Result<Upload, StoreError> {
        Err(other())
    }

    async fn put_part(&self, _: PartRequest) -> Result<Part, StoreError> {
        Err(other())
    }

    async fn copy_part(&self, _: CopyPartRequest) -> Result<Part, StoreError> {
        Err(other())
    }

    async fn complete_upload(&self, _: CompleteRequest) -> Result<Written, StoreError> {
        Err(other())
    }

    async fn abort_upload(&self, _: &Upload) -> Result<(), StoreError> {
        Err(other())
    }

    async fn copy(&self, _: CopyRequest) -> Result<Written, StoreError> {
        Err(other())
    }

    async fn delete(&self, _: &ObjectKey, _: Option<&ETag>) -> Result<(), StoreError> {
        Err(other())
    }

    fn kept_conditions(&self) -> KeptConditions {
        KeptConditions::OnAllWrites
    }

    fn key_order(&self, _: &Prefix) -> KeyOrder {
        KeyOrder::OfBytes
    }

    fn spelling(&self) -> Spelling {
        Spelling::default()
    }
}

fn with_key(bucket: &Arc<Bucket>, key: Option<&[u8]>) -> Arc<SharedCache> {
    let stats = Stats::new();
    let store = cache_stack(bucket.clone(), 1 << 30, stats.clone());
    let places = Places { server: "aws".to_owned(), buckets: Shown::One("tiles".parse().unwrap()) };
    let config = FleetConfig {
        bucket: "fleet".parse().unwrap(),
        prefix: Prefix::new("made/"),
        places,
        key: key.and_then(SigningKey::new),
        has_tiles: false,
        queue_bytes: 1 << 20,
    };
    SharedCache::new(store, stats, config, Runtime::current())
}

fn cache(bucket: &Arc<Bucket>) -> Arc<SharedCache> {
    with_key(bucket, None)
}

fn name(cache: &SharedCache, key: &str) -> Name {
    let version = ObjectVersion {
        key: ObjectKey::new(key),
        etag: Some(ETag::new("\"1\"")),
        last_modified: SystemTime::UNIX_EPOCH,
        size: 1000,
    };
    cache.name(&version, "index tile-parts").unwrap()
}

async fn save(cache: &Arc<SharedCache>, key: &str, body: &'static [u8]) {
    cache.save(name(cache, key), Arc::new(body));
    cache.settle(Instant::now() + Duration::from_secs(60)).await;
}

async fn load(cache: &SharedCache, key: &str) -> Option<Bytes> {
    cache.load(&name(cache, key)).await
}

#[tokio::test]
async fn what_one_mount_makes_all_others_find_by_one_get() {
    let bucket = Arc::new(Bucket::default());
    let (one, two) = (cache(&bucket), cache(&bucket));
    assert_eq!(load(&one, "k").await, None);
    save(&one, "k", b"known").await;
    assert_eq!(bucket.counts(), (1, 1));
    assert!(bucket.only().0.starts_with("made/s3mem-shared-1/"), "{}", bucket.only().0);
    assert_eq!(load(&two, "k").await.as_deref(), Some(&b"known"[..]));
    assert_eq!(load(&two, "l").await, None);
    assert_eq!(bucket.counts(), (3, 1));
    // Who knows that it is there does not put it there again; who does not, tries once.
    save(&one, "k", b"known").await;
    save(&two, "k", b"known").await;
    assert_eq!(bucket.counts(), (3, 1));
    let three = cache(&bucket);
    save(&three, "k", b"known").await;
    assert_eq!((bucket.counts(), three.figures().known), ((3, 2), 1));
    let figures = two.figures();
    assert_eq!((figures.hits, figures.misses, figures.get_requests), (1, 1, 2));
    assert_eq!(figures.get_bytes, bucket.only().1.len() as u64);
    assert_eq!((one.figures().written, one.figures().put_requests), (1, 1));
}

#[tokio::test]
async fn what_knows_more_replaces_what_it_has_seen_and_nothing_else() {
    let bucket = Arc::new(Bucket::default());
    let (one, two) = (cache(&bucket), cache(&bucket));
    save(&one, "k", b"some").await;
    assert!(load(&two, "k").await.is_some());
    save(&one, "k", b"more than some").await;
    assert_eq!(load(&cache(&bucket), "k").await.as_deref(), Some(&b"more than some"[..]));
    // The other one has seen what is not there any more.
    save(&two, "k", b"something else").await;
    assert_eq!(two.figures().known, 1);
    assert_eq!(load(&two, "k").await.as_deref(), Some(&b"more than some"[..]));
}

#[tokio::test]
async fn a_flipped_byte_anywhere_and_junk_cost_a_get_and_are_mended() {
    for key in [None, Some(&b"a key of sixteen"[..])] {
        let bucket = Arc::new(Bucket::default());
        save(&with_key(&bucket, key), "k", b"what was made").await;
        let (object, right) = bucket.only();
        let mut others: Vec<Vec<u8>> = (0..right.len())
            .map(|at| {
                let mut flipped = right.to_vec();
                flipped[at] ^= 1;
                flipped
            })
            .collect();
        others.extend((1..right.len()).map(|length| right[..length].to_vec()));
        others.extend([b"<html>".to_vec(), vec![0; MAX_ENTRY_BYTES + 1]]);
        for junk in others {
            bucket.set(&object, junk);
            let reader = with_key(&bucket, key);
            assert_eq!(load(&reader, "k").await, None);
            assert_eq!((reader.figures().damaged, reader.figures().misses), (1, 1));
            save(&reader, "k", b"what was made").await;
            assert_eq!(bucket.only(), (object.clone(), right.clone()), "it is mended");
        }
        bucket.set(&object, "");
        let reader = with_key(&bucket, key);
        assert_eq!(load(&reader, "k").await, None);
        save(&reader, "k", b"what was made").await;
        assert_eq!(reader.figures().known, 1, "an empty object tells no ETag");
    }
}

#[tokio::test]
async fn an_entry_in_the_place_of_another_is_none() {
    let bucket = Arc::new(Bucket::default());
    let one = cache(&bucket);
    save(&one, "other", b"of another object").await;
    let (_, other) = bucket.only();
    let place = one.key(&name(&one, "k"));
    bucket.set(place.as_str(), other);
    assert_eq!((load(&one, "k").await, one.figures().damaged), (None, 1));
}

#[tokio::test]
async fn who_has_a_key_believes_nobody_who_has_not() {
    let bucket = Arc::new(Bucket::default());
    let (plain, signed) = (cache(&bucket), with_key(&bucket, Some(b"a key of sixteen")));
    save(&plain, "k", b"poison").await;
    assert_eq!(load(&signed, "k").await, None);
    // Also where somebody puts it in the right place.
    let place = signed.key(&name(&signed, "k"));
    bucket.set(place.as_str(), bucket.only().1);
    assert_eq!((load(&signed, "k").await, signed.figures().damaged), (None, 1));
    save(&signed, "k", b"right").await;
    let again = with_key(&bucket, Some(b"a key of sixteen"));
    assert_eq!(load(&again, "k").await.as_deref(), Some(&b"right"[..]));
    let other = with_key(&bucket, Some(b"another key of 16"));
    assert_eq!((load(&other, "k").await, other.figures().damaged), (None, 0));
    assert_eq!(load(&cache(&bucket), "k").await.as_deref(), Some(&b"poison"[..]));
}

#[tokio::test]
async fn who_may_not_write_reads_and_tries_once() {
    let bucket = Arc::new(Bucket::default());
    save(&cache(&bucket), "k", b"known").await;
    *lock(&bucket.writes_fail) = Some(StoreErrorKind::AccessDenied);
    let reader = cache(&bucket);
    for key in ["a", "b", "c"] {
        assert_eq!(load(&reader, key).await, None);
        save(&reader, key, b"x").await;
    }
    assert_eq!(load(&reader, "k").await.as_deref(), Some(&b"known"[..]));
    assert_eq!((bucket.counts(), reader.figures().failed), ((4, 2), 1));
}

#[tokio::test]
async fn a_server_in_trouble_is_asked_twice_and_then_left_alone() {
    for kind in [StoreErrorKind::Unreachable, StoreErrorKind::NoSuchBucket, StoreErrorKind::Other] {
        let bucket = Arc::new(Bucket::default());
        *lock(&bucket.reads_fail) = Some(kind.clone());
        *lock(&bucket.writes_fail) = Some(kind);
        let one = cache(&bucket);
        for _ in 0..10 {
            assert_eq!(load(&one, "k").await, None);
            save(&one, "k", b"known").await;
        }
        assert_eq!((bucket.counts(), one.figures().pauses), ((2, 2), 1));
    }
    let bucket = Arc::new(Bucket::default());
    bucket.hangs.store(true, Ordering::Relaxed);
    let (one, begun) = (cache(&bucket), Instant::now());
    for _ in 0..10 {
        assert_eq!(load(&one, "k").await, None);
    }
    assert_eq!(bucket.counts().0, 2);
    assert!(begun.elapsed() < 10 * PATIENCE, "two were waited for");
}

#[tokio::test]
async fn a_server_that_hides_what_is_not_there_is_asked_on() {
    let bucket = Arc::new(Bucket::default());
    save(&cache(&bucket), "k", b"known").await;
    let one = cache(&bucket);
    for _ in 0..5 {
        for _ in 0..7 {
            *lock(&bucket.reads_fail) = Some(StoreErrorKind::AccessDenied);
            assert_eq!(load(&one, "l").await, None);
        }
        *lock(&bucket.reads_fail) = None;
        assert!(load(&one, "k").await.is_some());
    }
    *lock(&bucket.reads_fail) = Some(StoreErrorKind::AccessDenied);
    for _ in 0..20 {
        assert_eq!(load(&one, "l").await, None);
    }
    assert_eq!((bucket.counts().0, one.figures().pauses), (5 * 8 + 8, 1));
}
