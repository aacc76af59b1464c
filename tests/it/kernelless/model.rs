//! The file system against a plain model of a tree: random keys, look-ups,
//! listings, reads, and overwrites from outside.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use crate::harness::kernelless::{Tree, TreeConfig};
use crate::harness::keys::{is_dir, key, model_path, name};
use crate::support::memory_store::{MemoryStore, Order, StoreStyle};

/// What the model says is in a directory: names with a `/` for directories.
///
/// The rules of docs/semantics.md, written down a second time and as plainly as
/// can be; segments that Linux forbids are left to the tests of names.
fn model_listing(objects: &BTreeMap<String, String>, dir: &str) -> Vec<String> {
    let mut names = std::collections::BTreeSet::new();
    for (key, text) in objects.range(dir.to_owned()..) {
        let Some(rest) = key.strip_prefix(dir) else { break };
        match rest.split_once('/') {
            Some((first, _)) => names.insert(format!("{}/", name(first))),
            None if rest.is_empty() && text.is_empty() => false,
            None if is_dir(objects, key) => names.insert(format!("{}%%object", name(rest))),
            None => names.insert(name(rest)),
        };
    }
    names.into_iter().collect()
}

#[derive(Debug, Clone)]
enum Step {
    /// Somebody else writes an object.
    Put(String, String),
    /// Somebody else deletes one of the objects.
    Delete(prop::sample::Index),
    /// One of the objects is read by its path.
    Read(prop::sample::Index),
    /// The directory of one of the objects is listed.
    List(prop::sample::Index, usize, bool),
    /// A path is looked up, whether there is such a key or not.
    LookUp(String),
}

fn step() -> impl Strategy<Value = Step> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        3 => (key(), "[a-z]{0,5}").prop_map(|(key, text)| Step::Put(key, text)),
        1 => at().prop_map(Step::Delete),
        3 => at().prop_map(Step::Read),
        3 => (at(), 1usize..6, any::<bool>()).prop_map(|(at, n, plus)| Step::List(at, n, plus)),
        3 => key().prop_map(Step::LookUp),
    ]
}

async fn run(steps: Vec<Step>, page_entries: usize, order: Order) {
    let style = StoreStyle { page_entries, order, ..StoreStyle::default() };
    let store = Arc::new(MemoryStore::with_style(style));
    let mut objects = BTreeMap::new();
    if order == Order::Backwards {
        // Two names are enough to see it.
        for key in ["~1", "~2"] {
            store.put(key, "x".to_owned());
            objects.insert(key.to_owned(), "x".to_owned());
        }
    }
    let config = TreeConfig { ttl: Duration::ZERO, ..TreeConfig::default() };
    let tree = Tree::over(store, config).await;
    for step in steps {
        let pick = |at: prop::sample::Index| {
            (!objects.is_empty())
                .then(|| objects.keys().nth(at.index(objects.len())).cloned())
                .flatten()
        };
        match step {
            Step::Put(key, text) => {
                tree.store.put(&key, text.clone());
                objects.insert(key, text);
            }
            Step::Delete(at) => {
                if let Some(key) = pick(at) {
                    tree.store.delete(&key);
                    objects.remove(&key);
                }
            }
            Step::Read(at) => {
                let Some(key) = pick(at) else { continue };
                let Some(path) = model_path(&objects, &key) else { continue };
                let bytes = tree.read(&path).await;
                assert_eq!(bytes.unwrap(), objects[&key].as_bytes(), "{key:?} at {path:?}");
            }
            Step::List(at, at_once, plus) => {
                let Some(key) = pick(at) else { continue };
                let dir = key.rsplit_once('/').map_or("", |(dir, _)| dir);
                let (prefix, path) = if key.contains('/') {
                    (format!("{dir}/"), dir.split('/').map(name).collect::<Vec<_>>().join("/"))
                } else {
                    (String::new(), String::new())
                };
                let mut listed: Vec<String> = tree
                    .list_by(&path, at_once, plus)
                    .await
                    .into_iter()
                    .map(|entry| format!("{}{}", entry.name, if entry.is_dir { "/" } else { "" }))
                    .collect();
                listed.sort();
                assert_eq!(listed, model_listing(&objects, &prefix), "{prefix:?}");
            }
            Step::LookUp(key) => {
                let path: Vec<String> = key.split('/').map(name).collect();
                let found = tree.find(&path.join("/")).await;
                let is_object =
                    objects.get(&key).is_some_and(|text| !(key.ends_with('/') && text.is_empty()));
                // A last segment that is empty names the directory above it.
                let exists = is_object || is_dir(&objects, &key);
                assert_eq!(found.is_ok(), exists, "{key:?}: {found:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn the_tree_is_the_model(
        steps in prop::collection::vec(step(), 1..40),
        page_entries in prop_oneof![1usize..4, Just(1000)],
    ) {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(run(steps, page_entries, Order::OfBytes));
    }

    #[test]
    fn the_tree_is_the_model_on_servers_that_list_in_another_order(
        steps in prop::collection::vec(step(), 1..40),
        page_entries in prop_oneof![2usize..5, Just(1000)],
        order in prop_oneof![
            Just(Order::OfBytesUnsaid),
            Just(Order::Backwards),
            Just(Order::OfADirectoryBucket),
        ],
    ) {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(run(steps, page_entries, order));
    }
}
