//! What programs write into the bucket, against a plain model and the bucket itself:
//! random operations as the kernel asks for them, while requests fail and somebody
//! else changes objects.
//!
//! Each step may change in the bucket what it is to change, and nothing else, on the
//! condition that the mount has seen what it replaces. What a step acknowledged is
//! there. Of what failed either version is there, whole.

mod driver;
mod files;
mod finish;
mod names;
mod oracle;
mod steps;
mod streaming;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use s3mem::config::Writes;
use s3mem::publish::UploadConfig;

use self::driver::Driver;
use self::oracle::Oracle;
use self::steps::{Fault, Step, step};
use crate::harness::kernelless::{Tree, TreeConfig};
use crate::harness::plain_tree::{Model, cases, run_alone};
use crate::support::memory_store::{MemoryStore, StoreStyle};

/// What the bucket was told lately is believed for 5 seconds at least; a case that
/// takes longer, on a machine that is busy, ends before that.
const LONGEST: Duration = Duration::from_secs(4);

/// How the mount is set up.
#[derive(Debug, Clone)]
struct Setting {
    allow_overwrite: bool,
    allow_delete: bool,
    rename_objects: u64,
    page_entries: usize,
    asks_always: bool,
}

async fn run(objects: BTreeMap<String, String>, steps: Vec<(Step, Option<Fault>)>, with: Setting) {
    let page_entries = with.page_entries;
    let style = StoreStyle { page_entries, chunk_bytes: 1000, ..StoreStyle::default() };
    let store = Arc::new(MemoryStore::with_style(style));
    for (key, text) in &objects {
        store.put(key, text.clone());
    }
    let uploads = UploadConfig {
        allow_overwrite: with.allow_overwrite,
        allow_delete: with.allow_delete,
        memory_only: vec!["[mn]".parse().unwrap()],
        rename_objects: with.rename_objects,
        ..UploadConfig::default()
    };
    let ttl = Duration::from_secs(if with.asks_always { 0 } else { 3600 });
    let writes = Writes::Upload { limit_bytes: 1 << 30, uploads: uploads.clone() };
    let tree = Tree::over(store.clone(), TreeConfig { ttl, writes, ..TreeConfig::default() }).await;
    let oracle = Oracle::new(store, uploads);
    let mut driver = Driver::new(tree, Model::of(&objects), oracle, with.asks_always);
    let begun = Instant::now();
    for (step, fault) in steps {
        driver.step(step, fault).await;
        if begun.elapsed() > LONGEST {
            break;
        }
    }
    driver.finish().await;
}

/// Objects in folders that have their markers.
fn objects() -> impl Strategy<Value = BTreeMap<String, String>> {
    let object = ("(d/|e/|d/e/)?[abc]", "[a-z]{0,6}");
    prop::collection::vec(object, 0..8).prop_map(|objects| {
        let mut objects: BTreeMap<_, _> = objects.into_iter().collect();
        let dirs = ["d/", "e/", "d/e/"].into_iter();
        let used = |dir: &str| objects.keys().any(|key| key.starts_with(dir));
        let markers: Vec<_> = dirs.filter(|dir| used(dir)).collect();
        objects.extend(markers.into_iter().map(|dir| (dir.to_owned(), String::new())));
        objects
    })
}

fn setting() -> impl Strategy<Value = Setting> {
    let rename_objects = prop_oneof![Just(0u64), 1u64..4, Just(1000)];
    let page_entries = prop_oneof![1usize..4, Just(1000)];
    let may = || prop::bool::weighted(0.7);
    (may(), may(), rename_objects, page_entries, prop::bool::weighted(0.3)).prop_map(
        |(allow_overwrite, allow_delete, rename_objects, page_entries, asks_always)| Setting {
            allow_overwrite,
            allow_delete,
            rename_objects,
            page_entries,
            asks_always,
        },
    )
}

proptest! {
    #![proptest_config(cases(300))]
    #[test]
    fn what_programs_write_is_in_the_bucket(
        objects in objects(),
        steps in prop::collection::vec(step(), 1..60),
        setting in setting(),
    ) {
        run_alone(run(objects, steps, setting));
    }
}
