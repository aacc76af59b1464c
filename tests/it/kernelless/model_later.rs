//! What programs write with `--on-close later`, against a plain model: random saves, renames
//! and deletions, while files wait for their turn, are sent, or are there.
//!
//! Whoever reads sees what was written last. What was synchronised is in the bucket. In the
//! end the bucket has what the model has, and was sent no file more often than it was saved
//! or got a name.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use s3mem::config::Writes;
use s3mem::fs::{Maker, OpenHow, ROOT, RenameHow};
use s3mem::publish::{OnClose, UploadConfig};

use crate::harness::kernelless::{Tree, TreeConfig};
use crate::harness::plain_tree::{cases, run_alone};
use crate::support::memory_store::{CallKind, MemoryStore};

const MAKER: Maker = Maker { uid: 0, gid: 0, mode: 0o644, thread: 0 };
const NAMES: [&str; 4] = ["a", "b", "c", ".tmp"];

#[derive(Debug, Clone)]
enum Step {
    Save {
        name: usize,
        text: String,
        syncs: bool,
    },
    Rename(usize, usize),
    Delete(usize),
    /// So many milliseconds pass.
    Pass(u64),
    /// The next upload waits for its answer, and others overtake it.
    Hang,
    SendPending,
}

fn step() -> impl Strategy<Value = Step> {
    let name = || 0..NAMES.len();
    prop_oneof![
        6 => (name(), "[a-z]{0,9}", prop::bool::weighted(0.2))
            .prop_map(|(name, text, syncs)| Step::Save { name, text, syncs }),
        3 => (name(), name()).prop_map(|(from, to)| Step::Rename(from, to)),
        2 => name().prop_map(Step::Delete),
        2 => prop_oneof![Just(1u64), Just(310)].prop_map(Step::Pass),
        1 => Just(Step::Hang),
        1 => Just(Step::SendPending),
    ]
}

/// As a program saves a file.
async fn save(tree: &Tree, name: &str, text: &str, syncs: bool) {
    let handle = match tree.lookup(ROOT, name).await.unwrap() {
        Some(attr) => {
            let how = OpenHow { writes: true, truncates: true, thread: 0 };
            tree.open_ino(attr.ino, how).await.unwrap()
        }
        None => tree.fs.create(ROOT, OsStr::new(name), MAKER).await.unwrap().2.handle,
    };
    tree.fs.write(handle, 0, text.as_bytes()).unwrap();
    if syncs {
        tree.fs.fsync(handle).await.unwrap();
    }
    tree.fs.flush(handle, 0).await.unwrap();
    tree.fs.release_file(handle);
}

/// Does something that may have to wait for an upload that hangs.
async fn released<T>(store: &MemoryStore, work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    loop {
        match tokio::time::timeout(Duration::from_millis(20), &mut work).await {
            Ok(done) => return done,
            Err(_) => store.release(),
        }
    }
}

async fn run(steps: Vec<Step>) {
    let store = Arc::new(MemoryStore::new());
    let uploads = UploadConfig {
        allow_overwrite: true,
        allow_delete: true,
        on_close: OnClose::Later,
        ..UploadConfig::default()
    };
    let writes = Writes::Upload { limit_bytes: 1 << 30, uploads };
    let ttl = Duration::from_secs(3600);
    let tree = Tree::over(store.clone(), TreeConfig { ttl, writes, ..TreeConfig::default() }).await;
    let mut model: BTreeMap<&str, String> = BTreeMap::new();
    let mut most_puts = 0;
    for step in steps {
        match step {
            Step::Save { name, text, syncs } => {
                released(&store, save(&tree, NAMES[name], &text, syncs)).await;
                if syncs {
                    let object = store.object(NAMES[name]).unwrap();
                    let bytes = object.content.slice(0..object.content.size()).to_vec();
                    assert_eq!(bytes, text.as_bytes(), "it was synchronised");
                }
                model.insert(NAMES[name], text);
                most_puts += 1;
            }
            Step::Rename(from, to) => {
                let (from, to) = (NAMES[from], NAMES[to]);
                let place = |name| (ROOT, OsStr::new(name));
                let rename = tree.fs.rename(place(from), place(to), RenameHow::Replace);
                let done = released(&store, rename).await;
                match model.contains_key(from) {
                    false => assert_eq!(done.unwrap_err().errno(), libc::ENOENT),
                    true if from == to => done.unwrap(),
                    true => {
                        done.unwrap();
                        let text = model.remove(from).unwrap();
                        model.insert(to, text);
                        most_puts += 1;
                    }
                }
            }
            Step::Delete(name) => {
                let deleted = tree.fs.unlink(ROOT, OsStr::new(NAMES[name]));
                let deleted = released(&store, deleted).await;
                assert_eq!(deleted.is_ok(), model.remove(NAMES[name]).is_some());
            }
            Step::Pass(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
            Step::Hang => store.hang_next(CallKind::Put, None, 1),
            Step::SendPending => released(&store, tree.send_pending()).await,
        }
        for name in NAMES {
            let found = tree.lookup(ROOT, name).await.unwrap();
            assert_eq!(found.is_some(), model.contains_key(name), "{name}");
            if let Some(text) = model.get(name) {
                let read = released(&store, tree.read(name)).await.unwrap();
                assert_eq!(read, text.as_bytes(), "{name}");
            }
        }
    }
    released(&store, tree.send_pending()).await;
    assert!(tree.pending().is_empty());
    let bytes = |key: &String| {
        let object = store.object(key).unwrap();
        object.content.slice(0..object.content.size()).to_vec()
    };
    let found: Vec<_> = store.keys().into_iter().map(|key| (key.clone(), bytes(&key))).collect();
    let wanted = model.iter().map(|(name, text)| ((*name).to_owned(), text.clone().into_bytes()));
    let mut wanted: Vec<_> = wanted.collect();
    wanted.sort();
    assert_eq!(found, wanted, "what is in the bucket");
    let puts = store.tally().put;
    assert!(puts <= most_puts, "{puts} PUTs for {most_puts}");
}

proptest! {
    #![proptest_config(cases(60))]
    #[test]
    fn what_is_sent_later_is_in_the_bucket_in_the_end(
        steps in prop::collection::vec(step(), 1..30),
    ) {
        run_alone(run(steps));
    }
}
