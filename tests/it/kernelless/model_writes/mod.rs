//! What programs write into memory, against a plain model of a file system: random
//! operations as the kernel asks for them, over a bucket of random keys.
//!
//! What the kernel checks by itself (a directory moved below itself, writes through
//! a handle for reading) is not tried.

mod driver;
mod steps;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use s3mem::config::Writes;

use self::driver::Driver;
use self::steps::{Step, step};
use crate::harness::kernelless::{Tree, TreeConfig};
use crate::harness::keys::key;
use crate::harness::plain_tree::{Model, cases, run_alone};
use crate::support::memory_store::{MemoryStore, StoreStyle, Tally};

async fn run(objects: Vec<(String, String)>, steps: Vec<Step>, page_entries: usize, ttl: Duration) {
    let style = StoreStyle { page_entries, chunk_bytes: 1000, ..StoreStyle::default() };
    let store = Arc::new(MemoryStore::with_style(style));
    let objects: BTreeMap<String, String> = objects.into_iter().collect();
    for (key, text) in &objects {
        store.put(key, text.clone());
    }
    let before: Vec<_> = store.keys().iter().map(|key| store.object(key)).collect();
    let writes = Writes::Memory { limit_bytes: 64 << 20 };
    let config = TreeConfig { ttl, writes, ..TreeConfig::default() };
    let tree = Tree::over(store.clone(), config).await;
    let mut driver = Driver::new(tree, Model::of(&objects));
    for step in steps {
        driver.step(step).await;
    }
    driver.finish().await;
    let after: Vec<_> = store.keys().iter().map(|key| store.object(key)).collect();
    assert!(before.len() == after.len(), "the bucket has other keys now");
    for (before, after) in before.iter().flatten().zip(after.iter().flatten()) {
        assert!(Arc::ptr_eq(before, after), "an object was replaced");
    }
    let Tally { put, part, copy, delete, upload, .. } = store.tally();
    assert_eq!((put, part, copy, delete, upload), (0, 0, 0, 0, 0), "the bucket was written to");
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![8 => "[a-z]{0,6}", 1 => "[a-z]{30}".prop_map(|text| text.repeat(200))]
}

proptest! {
    #![proptest_config(cases(400))]
    #[test]
    fn what_programs_write_is_the_model(
        objects in prop::collection::vec((key(), text()), 0..12),
        steps in prop::collection::vec(step(), 1..80),
        page_entries in prop_oneof![1usize..4, Just(1000)],
        ttl in prop_oneof![1 => Just(Duration::ZERO), 2 => Just(Duration::from_secs(60))],
    ) {
        run_alone(run(objects, steps, page_entries, ttl));
    }
}
