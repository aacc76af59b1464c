//! Reading without a kernel: what is fetched, what is shared, what goes wrong.

use std::sync::Arc;
use std::time::Duration;

use s3mem::fs::{FsError, OpenHow, ReadAnswer};
use s3mem::store::StoreErrorKind;
use tokio::time::timeout;

use crate::harness::kernelless::{Tree, TreeConfig};
use crate::support::bucket::Meta;
use crate::support::memory_store::{Call, CallKind, MemoryStore, StoreStyle};
use crate::support::pattern::pattern_mismatch;

const MIB: u64 = 1 << 20;
const KERNEL: usize = 128 << 10;

async fn tree_with(key: &str, size: u64, memory_bytes: u64) -> Tree {
    let store = Arc::new(MemoryStore::new());
    store.put_pattern(key, size, 7);
    let tree = Tree::over(store, TreeConfig { memory_bytes, ..TreeConfig::default() }).await;
    tree.find(key).await.unwrap();
    tree.store.reset();
    tree
}

/// Reads a range in the kernel's steps and checks every byte.
async fn check(tree: &Tree, handle: u64, start: u64, end: u64) {
    for offset in (start..end).step_by(KERNEL) {
        let length = KERNEL.min((end - offset) as usize);
        let bytes = tree.pread(handle, offset, length).await.unwrap();
        assert_eq!(bytes.len(), length);
        assert_eq!(pattern_mismatch(7, offset, &bytes), None, "at {offset}");
    }
}

#[tokio::test]
async fn in_order_every_byte_is_fetched_once_in_few_gets() {
    let tree = tree_with("big", 256 * MIB, 512 * MIB).await;
    let handle = tree.open("big").await.unwrap();
    check(&tree, handle, 0, 256 * MIB).await;
    let cost = tree.store.reset();
    assert!(cost.get <= 40, "{} GETs", cost.get);
    assert_eq!(cost.asked_bytes, 256 * MIB);
    check(&tree, handle, 0, 256 * MIB).await;
    assert_eq!(tree.store.reset().get, 0, "a second read is free");
}

#[tokio::test]
async fn blocks_outlive_the_handle_that_fetched_them() {
    let tree = tree_with("big", 10 * MIB, 64 * MIB).await;
    tree.read("big").await.unwrap();
    tree.store.reset();
    tree.read("big").await.unwrap();
    assert_eq!(tree.store.reset().get, 0);
}

#[tokio::test]
async fn a_file_larger_than_the_memory_is_read_whole_in_order() {
    let tree = tree_with("big", 300 * MIB, 64 * MIB).await;
    let handle = tree.open("big").await.unwrap();
    check(&tree, handle, 0, 300 * MIB).await;
    let cost = tree.store.reset();
    assert_eq!(cost.asked_bytes, 300 * MIB, "nothing that was fetched ahead was evicted unread");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_readers_in_little_memory_all_get_on() {
    let store = Arc::new(MemoryStore::new());
    for n in 0..16 {
        store.put_pattern(&format!("f{n}"), 20 * MIB, 7);
    }
    let config = TreeConfig { memory_bytes: 8 * MIB, ..TreeConfig::default() };
    let tree = Arc::new(Tree::over(store, config).await);
    let readers: Vec<_> = (0..16)
        .map(|n| {
            let tree = tree.clone();
            tokio::spawn(async move {
                let handle = tree.open(&format!("f{n}")).await.unwrap();
                check(&tree, handle, 0, 20 * MIB).await;
            })
        })
        .collect();
    for reader in readers {
        timeout(Duration::from_secs(60), reader).await.expect("a reader starved").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overlapping_reads_share_one_get() {
    let tree = Arc::new(tree_with("big", 10 * MIB, 64 * MIB).await);
    tree.store.block_next(Some("big"), 0, 1);
    let handle = tree.open("big").await.unwrap();
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let tree = tree.clone();
            tokio::spawn(async move { tree.pread(handle, 2 * MIB, 64 << 10).await })
        })
        .collect();
    while tree.store.tally().get == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tree.store.release();
    for reader in readers {
        assert_eq!(reader.await.unwrap().unwrap().len(), 64 << 10);
    }
    assert_eq!(tree.store.tally().get, 1);
    assert_eq!(tree.store.tally().asked_bytes, 64 << 10);
}

#[tokio::test]
async fn a_read_is_answered_before_its_get_is_complete() {
    let tree = tree_with("big", 64 * MIB, 256 * MIB).await;
    let handle = tree.open("big").await.unwrap();
    // The second read opens a window; its body stops behind the read's own bytes.
    check(&tree, handle, 0, KERNEL as u64).await;
    tree.store.block_next(Some("big"), 200 << 10, 1);
    let answer = tree.pread(handle, KERNEL as u64, KERNEL);
    let bytes = timeout(Duration::from_secs(10), answer).await.expect("waited for the rest");
    assert_eq!(pattern_mismatch(7, KERNEL as u64, &bytes.unwrap()), None);
    let last = tree.store.calls().pop().unwrap();
    assert!(matches!(last, Call::Get(get) if get.range.end - get.range.start > 300 << 10));
    tree.store.release();
}

#[tokio::test]
async fn closing_a_file_ends_what_was_fetched_ahead() {
    let tree = tree_with("big", 200 * MIB, 512 * MIB).await;
    let handle = tree.open("big").await.unwrap();
    check(&tree, handle, 0, MIB).await;
    // The next GET brings what was asked for and what is fetched ahead, or only
    // the latter: the reader goes on until it is made, and does not wait for it.
    tree.store.block_next(Some("big"), 0, 1);
    let gets = tree.store.tally().get;
    let reading = async {
        for offset in (MIB..).step_by(KERNEL) {
            check(&tree, handle, offset, offset + KERNEL as u64).await;
        }
    };
    let made = async {
        while tree.store.tally().get == gets || tree.store.open_bodies() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! { () = reading => {}, () = made => {} }
    assert_eq!(tree.store.open_bodies(), 1);
    tree.fs.release_file(handle);
    let ended = async {
        while tree.store.open_bodies() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(10), ended).await.expect("a body was left open");
    // What was given up is fetched again when it is wanted.
    let handle = tree.open("big").await.unwrap();
    check(&tree, handle, 0, 20 * MIB).await;
}

#[tokio::test]
async fn an_overwritten_object_is_stale_on_the_old_handle_and_new_on_the_next_look_up() {
    let store = Arc::new(MemoryStore::new());
    store.put_pattern("d/big", 10 * MIB, 7);
    let tree = Tree::over(store, TreeConfig::default()).await;
    let handle = tree.open("d/big").await.unwrap();
    let old = tree.find("d/big").await.unwrap();
    check(&tree, handle, 0, KERNEL as u64).await;
    tree.store.put_pattern("d/big", 12 * MIB, 8);
    let stale = tree.pread(handle, 5 * MIB, KERNEL).await.unwrap_err();
    assert_eq!(stale.errno(), libc::ESTALE);
    let again = tree.fs.open_file(old.ino, OpenHow::default()).await.unwrap_err();
    assert_eq!(again.errno(), libc::ESTALE, "which makes the kernel look the name up again");
    let new = tree.find("d/big").await.unwrap();
    assert_ne!(new.ino, old.ino);
    assert_eq!(new.size, 12 * MIB);
    let handle = tree.open("d/big").await.unwrap();
    let bytes = tree.pread(handle, 0, KERNEL).await.unwrap();
    assert_eq!(pattern_mismatch(8, 0, &bytes), None);
}

#[tokio::test]
async fn without_etags_in_listings_two_versions_never_meet_either() {
    let style = StoreStyle { listing_etags: false, ..StoreStyle::default() };
    let store = Arc::new(MemoryStore::with_style(style));
    store.put_pattern("big", 10 * MIB, 7);
    let tree = Tree::over(store, TreeConfig::default()).await;
    let handle = tree.open("big").await.unwrap();
    let other = tree.open("big").await.unwrap();
    check(&tree, handle, 0, KERNEL as u64).await;
    let written = tree.find("big").await.unwrap().of.modified;
    let same_time = Meta { last_modified: Some(written), ..Meta::default() };
    tree.store.put_with("big", vec![0; 10 << 20], same_time);
    for handle in [handle, other] {
        let stale = tree.pread(handle, 5 * MIB, KERNEL).await.unwrap_err();
        assert_eq!(stale.errno(), libc::ESTALE);
    }
}

#[tokio::test]
async fn a_deleted_object_is_enoent_and_others_are_served_on() {
    let tree = Tree::of([("gone", "1"), ("stays", "2")]).await;
    let handle = tree.open("gone").await.unwrap();
    tree.store.delete("gone");
    assert_eq!(tree.pread(handle, 0, 10).await.unwrap_err().errno(), libc::ENOENT);
    assert_eq!(tree.read("stays").await.unwrap(), b"2");
}

#[tokio::test]
async fn a_failed_get_fails_its_readers_and_not_the_next() {
    for (kind, errno) in [
        (StoreErrorKind::AccessDenied, libc::EACCES),
        (StoreErrorKind::Archived, libc::EACCES),
        (StoreErrorKind::Timeout, libc::EIO),
        (StoreErrorKind::Other, libc::EIO),
    ] {
        let tree = Tree::of([("f", "hello")]).await;
        tree.store.fail_next(CallKind::Get, Some("f"), kind, 1);
        assert_eq!(tree.read("f").await.unwrap_err().errno(), errno);
        assert_eq!(tree.read("f").await.unwrap(), b"hello");
    }
}

#[tokio::test]
async fn a_cut_body_is_an_error_and_never_a_shorter_file() {
    let tree = tree_with("big", 4 * MIB, 64 * MIB).await;
    tree.store.cut_next(Some("big"), 100 << 10, 1);
    let handle = tree.open("big").await.unwrap();
    let cut = tree.pread(handle, 0, KERNEL).await.unwrap_err();
    assert_eq!(cut.errno(), libc::EIO);
    check(&tree, handle, 0, 4 * MIB).await;
}

#[tokio::test]
async fn a_stalled_object_holds_nobody_else_up() {
    let tree = Tree::of([("stalled", "1"), ("other", "2"), ("d/x", "3")]).await;
    tree.store.hang_next(CallKind::Get, Some("stalled"), 1);
    let handle = tree.open("stalled").await.unwrap();
    let ReadAnswer::Later(waits) = tree.fs.read(handle, 0, 10).unwrap() else { panic!("answered") };
    let others = async {
        assert_eq!(tree.read("other").await.unwrap(), b"2");
        assert_eq!(tree.list("d").await, ["x"]);
    };
    timeout(Duration::from_secs(10), others).await.expect("held up");
    tree.store.release();
    assert_eq!(&*waits.await.unwrap(), b"1");
}

#[tokio::test]
async fn empty_files_and_reads_past_the_end_give_no_bytes() {
    let tree = Tree::of([("empty", ""), ("f", "12345")]).await;
    assert_eq!(tree.read("empty").await.unwrap(), b"");
    assert_eq!(tree.store.tally().get, 0);
    let handle = tree.open("f").await.unwrap();
    assert_eq!(tree.pread(handle, 3, 100).await.unwrap(), b"45");
    assert_eq!(tree.pread(handle, 5, 100).await.unwrap(), b"");
    assert_eq!(tree.pread(handle, u64::MAX, 100).await.unwrap(), b"");
}

#[tokio::test]
async fn archived_objects_can_be_looked_at_and_not_opened() {
    let store = Arc::new(MemoryStore::new());
    let glacier = Meta { storage_class: Some("GLACIER".into()), ..Meta::default() };
    store.put_with("old", "cold bytes", glacier);
    let tree = Tree::over(store, TreeConfig::default()).await;
    assert_eq!(tree.find("old").await.unwrap().size, 10);
    let refused = tree.open("old").await.unwrap_err();
    assert!(matches!(&refused, FsError::Store(error) if error.kind == StoreErrorKind::Archived));
    assert_eq!(refused.errno(), libc::EACCES);
}

#[tokio::test]
async fn attributes_of_s3_cost_a_head_only_where_the_listing_does_not_know() {
    let store = Arc::new(MemoryStore::new());
    let meta = Meta {
        content_type: Some("image/jp2".into()),
        metadata: [("sensor".to_owned(), "MSI".to_owned())].into(),
        ..Meta::default()
    };
    let etag = store.put_with("d/B01.jp2", "x", meta);
    let tree = Tree::over(store, TreeConfig::default()).await;
    let ino = tree.find("d/B01.jp2").await.unwrap().ino;
    tree.store.reset();
    let get = async |name: &str| {
        tree.fs.get_xattr(ino, name.as_ref()).await.map(|value| String::from_utf8(value).unwrap())
    };
    assert_eq!(get("user.s3.key").await.unwrap(), "d/B01.jp2");
    assert_eq!(format!("\"{}\"", get("user.s3.etag").await.unwrap()), etag.as_str());
    assert_eq!(get("user.s3.storage-class").await.unwrap(), "STANDARD");
    assert!(get("user.s3.last-modified").await.unwrap().ends_with('Z'));
    for probe in ["security.capability", "system.posix_acl_access", "user.mime_type"] {
        assert_eq!(get(probe).await.unwrap_err().errno(), libc::ENODATA);
    }
    assert_eq!(tree.store.tally().head, 0);
    assert_eq!(get("user.s3.content-type").await.unwrap(), "image/jp2");
    assert_eq!(get("user.s3.meta.sensor").await.unwrap(), "MSI");
    assert_eq!(get("user.s3.meta.none").await.unwrap_err().errno(), libc::ENODATA);
    let names = String::from_utf8(tree.fs.list_xattrs(ino, 42).await.unwrap()).unwrap();
    assert!(names.split('\0').any(|name| name == "user.s3.meta.sensor"), "{names:?}");
    assert_eq!(tree.store.tally().head, 1, "one HEAD for all of them");
}

#[tokio::test]
async fn a_process_that_lists_a_directory_causes_no_heads() {
    let tree = Tree::of([("d/a", "1"), ("d/b", "2")]).await;
    let dir = tree.find("d").await.unwrap().ino;
    let ino = tree.find("d/a").await.unwrap().ino;
    let handle = tree.fs.open_dir(dir, 77).unwrap();
    tree.fs.list_xattrs(ino, 77).await.unwrap();
    assert_eq!(tree.store.tally().head, 0);
    tree.fs.list_xattrs(ino, 78).await.unwrap();
    assert_eq!(tree.store.tally().head, 1);
    tree.fs.release_dir(handle);
}

#[tokio::test]
async fn objects_are_read_whatever_else_holds_the_memory() {
    let store = Arc::new(MemoryStore::new());
    store.put_pattern("big", 20 * MIB, 7);
    // Pixels that are kept: with the file just under half of the memory.
    let mut image = b"P5 1000 3500 255\n".to_vec();
    image.resize(image.len() + 3_500_000, 9);
    store.put("image.pgm", image);
    for number in 0..60_000 {
        store.put(&format!("many/{number:05}"), "x".to_owned());
    }
    let config = TreeConfig { memory_bytes: 16 * MIB, ..TreeConfig::default() };
    let tree = Tree::over(store, config).await;
    // Inodes of more than all of the memory, which the kernel does not let go of.
    assert_eq!(tree.list_by("many", 1000, true).await.len(), 60_000);
    let pixels = timeout(Duration::from_secs(60), tree.read("image.pgm.npy")).await;
    assert!(pixels.unwrap().unwrap().ends_with(&[9; 1000]));
    let view = tree.open("image.pgm.npy").await.unwrap();
    let handle = tree.open("big").await.unwrap();
    let all = check(&tree, handle, 0, 20 * MIB);
    timeout(Duration::from_secs(60), all).await.expect("the read waits for nobody");
    assert_eq!(tree.pread(view, 1 << 20, 3).await.unwrap(), [9; 3]);
}
