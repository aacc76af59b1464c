//! The store in memory does what tests rely on.

use std::time::Duration;

use futures_util::StreamExt;
use s3mem::key::{ETag, ObjectKey, Prefix};
use s3mem::store::{GetRequest, ListRequest, ObjectStore, StoreErrorKind};

use crate::support::memory_store::{Call, CallKind, MemoryStore, StoreStyle};
use crate::support::pattern::pattern_mismatch;

fn get(key: &str, range: std::ops::Range<u64>, etag: Option<&ETag>) -> GetRequest {
    GetRequest { key: ObjectKey::new(key), range, etag: etag.cloned() }
}

/// The bytes that arrive, and the kind of the error that ends them.
async fn read(store: &MemoryStore, request: GetRequest) -> (Vec<u8>, Option<StoreErrorKind>) {
    let mut body = match store.get_range(request).await {
        Ok(body) => body.bytes,
        Err(error) => return (Vec::new(), Some(error.kind)),
    };
    let mut bytes = Vec::new();
    while let Some(piece) = body.next().await {
        match piece {
            Ok(piece) => bytes.extend_from_slice(&piece),
            Err(error) => return (bytes, Some(error.kind)),
        }
    }
    (bytes, None)
}

#[tokio::test]
async fn pages_have_the_size_asked_for_and_roll_up_once() {
    let style = StoreStyle { page_entries: 2, listing_etags: false, ..StoreStyle::default() };
    let store = MemoryStore::with_style(style);
    for key in ["a", "b/1", "b/2", "c", "d/1"] {
        store.put(key, key);
    }
    let (mut seen, mut token) = (Vec::new(), None);
    loop {
        let prefix = Prefix::root();
        let request = ListRequest { prefix, delimited: true, token, after: None, max_keys: 1000 };
        let page = store.list_page(request).await.unwrap();
        assert!(page.objects.iter().all(|object| object.version.etag.is_none()));
        let objects = page.objects.iter().map(|object| object.version.key.to_string());
        let mut names: Vec<_> =
            objects.chain(page.prefixes.iter().map(Prefix::to_string)).collect();
        names.sort();
        seen.push(names);
        token = page.next;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(seen, [vec!["a", "b/"], vec!["c", "d/"]]);
    assert_eq!(store.tally().list, 2);
}

#[tokio::test]
async fn an_overwritten_object_is_another_version() {
    let store = MemoryStore::new();
    let old = store.put("k", "old");
    let new = store.put("k", "new");
    assert_eq!(read(&store, get("k", 0..3, Some(&old))).await.1, Some(StoreErrorKind::Changed));
    assert_eq!(read(&store, get("k", 0..3, Some(&new))).await, (b"new".to_vec(), None));
    assert_eq!(read(&store, get("k", 3..4, None)).await.1, Some(StoreErrorKind::RangeOutside));
    assert_eq!(read(&store, get("k", 1..9, None)).await.1, Some(StoreErrorKind::ShortBody));
    store.delete("k");
    assert_eq!(read(&store, get("k", 0..3, None)).await.1, Some(StoreErrorKind::NotFound));
}

#[tokio::test]
async fn calls_fail_and_bodies_break_as_often_as_told() {
    let store = MemoryStore::new();
    store.put_pattern("k", 1 << 30, 5);
    store.fail_next(CallKind::Get, Some("k"), StoreErrorKind::Transient, 2);
    store.cut_next(None, 100, 1);
    let range = 1_000_000..1_100_000;
    let mut outcomes = Vec::new();
    for _ in 0..4 {
        let (bytes, error) = read(&store, get("k", range.clone(), None)).await;
        assert_eq!(pattern_mismatch(5, 1_000_000, &bytes), None);
        outcomes.push((bytes.len(), error));
    }
    let transient = (0, Some(StoreErrorKind::Transient));
    let cut = (100, Some(StoreErrorKind::ShortBody));
    assert_eq!(outcomes, [transient.clone(), transient, cut, (100_000, None)]);
    let tally = store.tally();
    assert_eq!((tally.get, tally.asked_bytes, tally.body_bytes), (4, 400_000, 100_100));
    assert_eq!(store.calls()[3], Call::Get(get("k", range, None)));
}

#[tokio::test]
async fn a_blocked_body_goes_on_when_released() {
    let store = MemoryStore::new();
    store.put("k", vec![1; 50_000]);
    store.block_next(Some("k"), 20_000, 1);
    let reader = store.clone();
    let whole = tokio::spawn(async move { read(&reader, get("k", 0..50_000, None)).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!((store.tally().body_bytes, store.open_bodies()), (20_000, 1));
    store.release();
    assert_eq!(whole.await.unwrap(), (vec![1; 50_000], None));
    assert_eq!((store.open_bodies(), store.tally().max_open_bodies), (0, 1));
}
