//! Who holds memory, and who waits for it: every pair of them gets on.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Duration;

use s3mem::config::Writes;
use s3mem::fs::{Maker, ROOT};
use s3mem::publish::UploadConfig;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::harness::kernelless::{Tree, TreeConfig};
use crate::support::memory_store::{CallKind, MemoryStore};
use crate::support::pattern::pattern_mismatch;

const MIB: u64 = 1 << 20;
/// What one request may take here, and what whoever waits for memory may.
const REQUEST: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(60);

/// Who has memory.
#[derive(Debug, Clone, Copy)]
enum Holder {
    /// Inodes of more than all of it, which the kernel keeps.
    Inodes,
    /// Pixels of almost half of it, on a sibling that stays open.
    Pixels,
    /// A decoder whose image does not come.
    Decoder,
    /// Reads whose bytes do not come, of all of it.
    Reads,
    /// An upload that is not answered.
    Upload,
}

/// Who wants some.
#[derive(Debug, Clone, Copy)]
enum Waiter {
    /// A read through an object larger than all of it.
    Read,
    /// A sibling whose pixels take almost half of it.
    Decoder,
    /// A file on its way into the bucket.
    Upload,
}

fn image() -> Vec<u8> {
    let mut image = b"P5 1000 3500 255\n".to_vec();
    image.resize(image.len() + 3_500_000, 9);
    image
}

async fn tree() -> Arc<Tree> {
    let store = Arc::new(MemoryStore::new());
    for key in ["big", "other"] {
        store.put_pattern(key, 20 * MIB, 7);
    }
    store.put("held.pgm", image());
    store.put("wanted.pgm", image());
    for number in 0..50_000 {
        store.put(&format!("many/{number:05}"), "x");
    }
    let writes = Writes::Upload { limit_bytes: 64 << 20, uploads: UploadConfig::default() };
    let config = TreeConfig { memory_bytes: 16 * MIB, writes, ..TreeConfig::default() };
    Arc::new(Tree::retrying(store, config, REQUEST).await)
}

async fn save(tree: &Tree, name: &str) {
    let maker = Maker { uid: 1000, gid: 100, mode: 0o644, thread: 0 };
    let (_, _, opened) = tree.fs.create(ROOT, OsStr::new(name), maker).await.unwrap();
    tree.fs.write(opened.handle, 0, &vec![3; 6 << 20]).unwrap();
    let _ = tree.fs.flush(opened.handle, 0).await;
    tree.fs.release_file(opened.handle);
}

/// What goes on holding, as long as it is there.
async fn hold(tree: &Arc<Tree>, holder: Holder) -> Vec<JoinHandle<()>> {
    let (busy, store) = (tree.clone(), &tree.store);
    let mut tasks = Vec::new();
    match holder {
        Holder::Inodes => {
            assert_eq!(tree.list_by("many", 1000, true).await.len(), 50_000);
        }
        Holder::Pixels => {
            let view = tree.open("held.pgm.npy").await.unwrap();
            assert_eq!(tree.pread(view, 1 << 20, 3).await.unwrap(), [9; 3]);
        }
        Holder::Decoder => {
            let view = tree.open("held.pgm.npy").await.unwrap();
            store.block_next(Some("held.pgm"), 1000, 1);
            tasks.push(tokio::spawn(async move {
                let _ = busy.pread(view, 0, 100).await;
            }));
        }
        Holder::Reads => {
            store.block_next(Some("other"), 1000, 20);
            for part in 0..20 {
                let busy = busy.clone();
                tasks.push(tokio::spawn(async move {
                    let handle = busy.open("other").await.unwrap();
                    let _ = busy.pread(handle, part * MIB, 1000).await;
                }));
            }
        }
        Holder::Upload => {
            store.hang_next(CallKind::Put, None, 1);
            tasks.push(tokio::spawn(async move { save(&busy, "held").await }));
        }
    }
    // Until it has what it holds.
    sleep(Duration::from_millis(100)).await;
    tasks
}

async fn want(tree: &Tree, waiter: Waiter) {
    match waiter {
        Waiter::Read => {
            let handle = tree.open("big").await.unwrap();
            for offset in (0..20 * MIB).step_by(128 << 10) {
                let bytes = tree.pread(handle, offset, 128 << 10).await.unwrap();
                assert_eq!(pattern_mismatch(7, offset, &bytes), None, "at {offset}");
            }
        }
        Waiter::Decoder => {
            let pixels = tree.read("wanted.pgm.npy").await.unwrap();
            assert!(pixels.ends_with(&[9; 1000]));
        }
        Waiter::Upload => {
            save(tree, "wanted").await;
            assert_eq!(tree.store.object("wanted").unwrap().content.size(), 6 * MIB);
        }
    }
}

#[tokio::test]
async fn whoever_waits_for_memory_gets_it_whoever_holds_it() {
    for holder in [Holder::Inodes, Holder::Pixels, Holder::Decoder, Holder::Reads, Holder::Upload] {
        for waiter in [Waiter::Read, Waiter::Decoder, Waiter::Upload] {
            let tree = tree().await;
            let held = hold(&tree, holder).await;
            let got = timeout(PATIENCE, want(&tree, waiter)).await;
            assert!(got.is_ok(), "{waiter:?} waits for {holder:?} for ever");
            tree.store.heal();
            tree.store.release();
            for task in held {
                timeout(PATIENCE, task).await.expect("it ends").unwrap();
            }
        }
    }
}
