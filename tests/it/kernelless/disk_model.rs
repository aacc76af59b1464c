//! The cache on disk against a plain model: mounts that come, go and are killed, objects that
//! somebody else overwrites, and a folder in which anything may happen to any byte.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use s3mem::disk::{Disk, DiskConfig};
use tokio::runtime::Handle;

use crate::harness::kernelless::{Tree, TreeConfig};
use crate::support::memory_store::MemoryStore;
use crate::support::pattern::pattern_bytes;

/// Two mounts of each of two buckets share the folder.
const MOUNTS: usize = 4;
const KEYS: [&str; 3] = ["a", "b", "dir/a"];
/// Entries are of a MiB.
const SIZES: [u64; 5] = [1, 70_000, 1 << 20, 1_100_000, 2_300_000];
const MEMORY_BYTES: u64 = 8 << 20;

#[derive(Debug, Clone)]
enum Step {
    /// Somebody else writes an object: the bucket, the key, the size, and what its bytes are.
    Put(usize, usize, usize, u64),
    /// A mount reads a part of an object, so many times.
    Read(usize, usize, f64, f64, u8),
    /// A mount ends, or is killed, and comes again.
    Again(usize, bool),
    /// A byte of a file in the folder is another one.
    Flip(prop::sample::Index, prop::sample::Index),
    /// A file in the folder loses its end.
    Cut(prop::sample::Index, prop::sample::Index),
    /// A file in the folder is another one's.
    Swap(prop::sample::Index, prop::sample::Index),
    /// The folder is deleted.
    Delete,
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        3 => (0..2usize, 0..KEYS.len(), 0..SIZES.len(), 0..4u64)
            .prop_map(|(bucket, key, size, seed)| Step::Put(bucket, key, size, seed)),
        9 => (0..MOUNTS, 0..KEYS.len(), 0.0..1.0f64, 0.0..1.0f64, 1..3u8)
            .prop_map(|(mount, key, from, to, times)| Step::Read(mount, key, from, to, times)),
        4 => (0..MOUNTS, any::<bool>()).prop_map(|(mount, killed)| Step::Again(mount, killed)),
        2 => (index(), index()).prop_map(|(file, at)| Step::Flip(file, at)),
        1 => (index(), index()).prop_map(|(file, at)| Step::Cut(file, at)),
        1 => (index(), index()).prop_map(|(one, two)| Step::Swap(one, two)),
        1 => Just(Step::Delete),
    ]
}

/// The files in the folder, also those that are no entries.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(inside) = fs::read_dir(folder) else { continue };
        for path in inside.map(|entry| entry.unwrap().path()) {
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(path),
            }
        }
    }
    found.sort();
    found
}

/// What a mount is now.
async fn mounted(store: &Arc<MemoryStore>, folder: &Path, number: usize) -> Tree {
    with_memory(store, folder, number, MEMORY_BYTES).await
}

async fn with_memory(
    store: &Arc<MemoryStore>,
    folder: &Path,
    number: usize,
    memory_bytes: u64,
) -> Tree {
    let config = DiskConfig {
        folder: folder.into(),
        limit_bytes: 16 << 20,
        queue_bytes: 4 << 20,
        place: format!("http://s3/bucket{} key 1", number % 2),
    };
    let disk = Disk::open(config, Handle::current()).unwrap();
    let config = TreeConfig { ttl: Duration::ZERO, memory_bytes, ..TreeConfig::default() };
    Tree::with_disk(store.clone(), config, disk).await
}

async fn run(steps: Vec<Step>) {
    let outer = tempfile::tempdir().unwrap();
    fs::set_permissions(outer.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let folder = outer.path().join("cache");
    let stores = [Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new())];
    let mut model: [BTreeMap<&str, (u64, u64)>; 2] = Default::default();
    for (bucket, store) in stores.iter().enumerate() {
        for (n, key) in KEYS.into_iter().enumerate() {
            let (size, seed) = (SIZES[n + 1], (n + 10 * bucket) as u64);
            store.put_pattern(key, size, seed);
            model[bucket].insert(key, (size, seed));
        }
    }
    let mut trees = Vec::new();
    for number in 0..MOUNTS {
        trees.push(mounted(&stores[number % 2], &folder, number).await);
    }
    for step in steps {
        match step {
            Step::Put(bucket, key, size, seed) => {
                stores[bucket].put_pattern(KEYS[key], SIZES[size], seed);
                model[bucket].insert(KEYS[key], (SIZES[size], seed));
            }
            Step::Read(mount, key, from, to, times) => {
                let (size, seed) = model[mount % 2][KEYS[key]];
                let start = (from.min(to) * size as f64) as u64;
                let length = ((from - to).abs() * size as f64) as usize + 1;
                let wanted = pattern_bytes(seed, start..size.min(start + length as u64));
                let handle = trees[mount].open(KEYS[key]).await.unwrap();
                for _ in 0..times {
                    let read = trees[mount].pread(handle, start, length).await.unwrap();
                    assert!(read == wanted, "{} from {start} in mount {mount}", KEYS[key]);
                }
                trees[mount].fs.release_file(handle);
            }
            Step::Again(mount, killed) => {
                let new = mounted(&stores[mount % 2], &folder, mount).await;
                let old = std::mem::replace(&mut trees[mount], new);
                if !killed {
                    old.end().await;
                }
            }
            Step::Flip(file, at) => {
                let files = files(&folder);
                if files.is_empty() {
                    continue;
                }
                let path = file.get(&files);
                // It may just have been moved or deleted.
                let Ok(mut bytes) = fs::read(path) else { continue };
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] ^= 0x40;
                    let _ = fs::write(path, bytes);
                }
            }
            Step::Cut(file, at) => {
                let files = files(&folder);
                if !files.is_empty()
                    && let Ok(bytes) = fs::read(file.get(&files))
                    && !bytes.is_empty()
                {
                    let _ = fs::write(file.get(&files), &bytes[..at.index(bytes.len())]);
                }
            }
            Step::Swap(one, two) => {
                let files = files(&folder);
                if !files.is_empty() {
                    let _ = fs::copy(one.get(&files), two.get(&files));
                }
            }
            Step::Delete => drop(fs::remove_dir_all(&folder)),
        }
    }
    // What is left is right for whoever comes next.
    for tree in trees {
        tree.end().await;
    }
    for number in 0..2 {
        let tree = mounted(&stores[number], &folder, number).await;
        for (key, (size, seed)) in &model[number] {
            let read = tree.read(key).await.unwrap();
            assert!(read == pattern_bytes(*seed, 0..*size), "{key}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_to_mounts_objects_and_the_folder_every_byte_read_is_the_current_one(
        steps in prop::collection::vec(step(), 1..30),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(run(steps));
        runtime.shutdown_background();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_mount_takes_what_the_first_one_has_left_and_fetches_the_rest() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("cache");
    let store = Arc::new(MemoryStore::new());
    let size = 6 << 20;
    store.put_pattern("k", size, 7);
    let first = with_memory(&store, &folder, 0, 64 << 20).await;
    // Two pieces in the middle of MiBs, and nothing else.
    for start in [1_500_000, 4_000_000] {
        let handle = first.open("k").await.unwrap();
        first.pread(handle, start, 500_000).await.unwrap();
        first.fs.release_file(handle);
    }
    first.end().await;
    let second = with_memory(&store, &folder, 2, 64 << 20).await;
    store.reset();
    for start in [1_500_000u64, 1_600_000, 4_000_000] {
        let handle = second.open("k").await.unwrap();
        let read = second.pread(handle, start, 300_000).await.unwrap();
        assert!(read == pattern_bytes(7, start..start + 300_000));
        second.fs.release_file(handle);
    }
    assert_eq!((store.tally().get, store.tally().body_bytes), (0, 0));
    // All of it, but for what is in memory.
    assert!(second.read("k").await.unwrap() == pattern_bytes(7, 0..size));
    let cost = store.tally();
    assert!(cost.body_bytes <= size - 400_000 - 300_000, "{cost:?}");
    second.end().await;
    let third = with_memory(&store, &folder, 0, 64 << 20).await;
    store.reset();
    assert!(third.read("k").await.unwrap() == pattern_bytes(7, 0..size));
    assert_eq!(store.tally().get, 0);
}
