//! Buckets of keys that were chosen to be taken for one another: each has a path of its own,
//! and under it its own bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use crate::harness::kernelless::{Tree, TreeConfig};
use crate::support::memory_store::{MemoryStore, StoreStyle};

/// All paths of files below the root with what is read there.
async fn files(tree: &Tree) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let listed = tree.list(&folder).await;
        let names: BTreeSet<&str> = listed.iter().map(|name| name.trim_end_matches('/')).collect();
        assert_eq!(names.len(), listed.len(), "a name is there twice: {listed:?}");
        for name in &listed {
            assert!(name.trim_end_matches('/').len() <= 255, "{name}");
            let path = format!("{folder}{name}");
            if name.ends_with('/') {
                folders.push(path);
            } else {
                let read = String::from_utf8(tree.read(&path).await.unwrap()).unwrap();
                found.insert(path, read);
            }
        }
    }
    found
}

/// A piece of a key; of few kinds, so that keys begin alike, hide each other, and look like the
/// names of others.
fn piece() -> impl Strategy<Value = String> {
    let fixed = [
        "",
        "a",
        "b",
        ".",
        "..",
        "%",
        "%%",
        "%%%",
        "%25",
        "%2E",
        "%00",
        "\0",
        "%%object",
        "object",
        "%%a%25%25",
        ".png",
        ".tif",
        ".json",
        "\n",
        "\u{1b}[2J",
    ];
    prop_oneof![
        8 => prop::sample::select(fixed.to_vec()).prop_map(str::to_owned),
        1 => (240..258_usize).prop_map(|length| "L".repeat(length)),
        1 => (80..90_usize).prop_map(|length| "%".repeat(length)),
    ]
}

fn key() -> impl Strategy<Value = String> {
    let segment = prop::collection::vec(piece(), 0..3).prop_map(|pieces| pieces.concat());
    prop::collection::vec(segment, 1..4)
        .prop_map(|segments| segments.join("/"))
        .prop_filter("S3 has no empty key", |key| !key.is_empty())
}

async fn each_key_has_its_path(keys: BTreeSet<String>, page_entries: usize) {
    let style = StoreStyle { page_entries, ..StoreStyle::default() };
    let store = Arc::new(MemoryStore::with_style(style));
    for key in &keys {
        store.put(key, key.clone());
    }
    let tree = Tree::over(store.clone(), TreeConfig::default()).await;
    let found = files(&tree).await;
    let read: Vec<&String> = found.values().collect();
    let distinct: BTreeSet<&String> = found.values().collect();
    assert_eq!(read.len(), distinct.len(), "a key has two paths: {found:?}");
    // Where the suffix of an object beside a directory has no room, it is not shown, which the
    // documentation says.
    let hidden: Vec<&String> = keys.iter().filter(|key| !distinct.contains(key)).collect();
    for key in hidden {
        let last = key.rsplit('/').next().unwrap();
        let is_dir = keys.iter().any(|other| other.starts_with(&format!("{key}/")));
        assert!(is_dir && last.len() > 200, "{key:?} has no path: {found:?}");
    }
    // By name alone, before anything is listed, the same.
    let fresh = Tree::over(store, TreeConfig::default()).await;
    for (path, key) in &found {
        assert_eq!(&fresh.read(path).await.unwrap(), key.as_bytes(), "{path:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn every_key_has_one_path_and_no_two_share_one(
        keys in prop::collection::btree_set(key(), 1..12),
        page_entries in prop_oneof![2usize..4, Just(1000)],
    ) {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(each_key_has_its_path(keys, page_entries));
    }
}
