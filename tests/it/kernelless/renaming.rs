//! Renames of what is in the bucket, while the kernel keeps its inodes and requests
//! fail; and uploads whose parts the server loses.

use std::ffi::OsStr;
use std::sync::Arc;

use s3mem::config::Writes;
use s3mem::fs::{FsError, Maker, NewNode, OpenHow, ROOT, RenameHow};
use s3mem::publish::UploadConfig;
use s3mem::store::StoreErrorKind;

use crate::harness::kernelless::{Tree, TreeConfig};
use crate::support::memory_store::{CallKind, MemoryStore, StoreStyle};
use crate::support::pattern::pattern_mismatch;

const MAKER: Maker = Maker { uid: 1, gid: 1, mode: 0o644, thread: 0 };
const MIB: u64 = 1 << 20;
/// Of the bytes of large objects.
const SEED: u64 = 7;
const TO_WRITE: OpenHow = OpenHow { writes: true, truncates: false, thread: 0 };

/// A bucket of these objects, each with its key as bytes, in which anything may be changed.
async fn free<const N: usize>(keys: [&str; N]) -> Tree {
    let store = Arc::new(MemoryStore::new());
    for key in keys {
        store.put(key, if key.ends_with('/') { String::new() } else { key.to_owned() });
    }
    over(store).await
}

/// A bucket with objects of 20 MiB, and with the markers of folders.
async fn large<const N: usize>(keys: [&str; N]) -> Tree {
    let store = Arc::new(MemoryStore::new());
    for key in keys {
        let size = if key.ends_with('/') { 0 } else { 20 * MIB };
        store.put_pattern(key, size, SEED);
    }
    over(store).await
}

async fn over(store: Arc<MemoryStore>) -> Tree {
    let uploads = UploadConfig {
        allow_overwrite: true,
        allow_delete: true,
        memory_only: vec!["*.tmp".parse().unwrap()],
        rename_objects: 100,
        ..UploadConfig::default()
    };
    let writes = Writes::Upload { limit_bytes: 64 << 20, uploads };
    Tree::over(store, TreeConfig { writes, ..TreeConfig::default() }).await
}

impl Tree {
    async fn mv(&self, from: &str, to: &str) -> Result<(), FsError> {
        let (from, to) = ((ROOT, OsStr::new(from)), (ROOT, OsStr::new(to)));
        self.fs.rename(from, to, RenameHow::Replace).await
    }

    /// Makes a file in the root, and closes it.
    async fn save(&self, name: &str, bytes: &[u8]) -> Result<(), FsError> {
        let (_, _, opened) = self.fs.create(ROOT, OsStr::new(name), MAKER).await?;
        self.fs.write(opened.handle, 0, bytes)?;
        self.close(opened.handle).await
    }

    async fn close(&self, handle: u64) -> Result<(), FsError> {
        let outcome = self.fs.flush(handle, 0).await;
        self.fs.release_file(handle);
        outcome
    }

    fn bytes(&self, key: &str) -> Option<Vec<u8>> {
        let content = self.store.object(key)?.content.clone();
        Some(content.slice(0..content.size()).to_vec())
    }
}

#[tokio::test]
async fn what_is_written_to_a_renamed_object_through_the_inode_of_before_is_sent() {
    let tree = free(["a"]).await;
    let ino = tree.find("a").await.unwrap().ino;
    tree.mv("a", "b").await.unwrap();
    tree.mv("b", "c").await.unwrap();
    assert_eq!(tree.find("c").await.unwrap().ino, ino, "it is the same file");
    let handle = tree.open_ino(ino, TO_WRITE).await.unwrap();
    tree.fs.write(handle, 0, b"C").unwrap();
    tree.close(handle).await.unwrap();
    assert_eq!((tree.bytes("c"), tree.store.keys().len()), (Some(b"C".to_vec()), 1));
}

#[tokio::test]
async fn a_rename_whose_deletion_failed_can_be_repeated() {
    let made = free([]).await;
    made.save("a", b"a").await.unwrap();
    for tree in [free(["a"]).await, made] {
        tree.store.fail_next(CallKind::Delete, None, StoreErrorKind::Timeout, 1);
        tree.mv("a", "b").await.unwrap_err();
        assert_eq!(tree.list("").await, ["a", "b"]);
        assert_ne!(tree.find("a").await.unwrap().ino, tree.find("b").await.unwrap().ino);
        tree.mv("a", "b").await.unwrap();
        assert_eq!(tree.list("").await, ["b"]);
        assert_eq!(tree.store.keys(), ["b"]);
    }
}

#[tokio::test]
async fn a_file_that_stayed_in_memory_stays_what_it_is_when_it_cannot_be_sent() {
    let tree = free([]).await;
    tree.save("a.tmp", b"x").await.unwrap();
    tree.store.fail_next(CallKind::Put, None, StoreErrorKind::AccessDenied, 1);
    tree.mv("a.tmp", "a").await.unwrap_err();
    assert_eq!(tree.list("").await, ["a.tmp"]);
    assert!(tree.pending().is_empty());
    tree.mv("a.tmp", "a").await.unwrap();
    assert_eq!(tree.list("").await, ["a"]);
    assert_eq!(tree.bytes("a").unwrap(), b"x");
}

#[tokio::test]
async fn a_file_that_cannot_take_a_name_of_somebody_elses_is_sent_under_its_own() {
    let tree = free([]).await;
    tree.list("").await;
    tree.store.fail_next(CallKind::Put, None, StoreErrorKind::AccessDenied, 1);
    let (_, _, opened) = tree.fs.create(ROOT, OsStr::new("a"), MAKER).await.unwrap();
    tree.fs.write(opened.handle, 0, b"ours").unwrap();
    tree.close(opened.handle).await.unwrap_err();
    tree.send_pending().await;
    assert_eq!(tree.store.keys(), ["a"]);

    let (_, _, opened) = tree.fs.create(ROOT, OsStr::new("c"), MAKER).await.unwrap();
    tree.fs.write(opened.handle, 0, b"ours").unwrap();
    tree.fs.release_file(opened.handle);
    tree.store.put("b", "theirs");
    assert_eq!(tree.mv("c", "b").await.unwrap_err().errno(), libc::ESTALE);
    assert!(tree.pending().iter().all(|file| !file.is_conflict()));
    tree.send_pending().await;
    assert_eq!(tree.bytes("c").unwrap(), b"ours");
    assert_eq!(tree.bytes("b").unwrap(), b"theirs");
}

#[tokio::test]
async fn a_folder_whose_listing_never_ends_is_not_renamed_and_loses_nothing() {
    let style = StoreStyle { endless: true, ..StoreStyle::default() };
    let store = Arc::new(MemoryStore::with_style(style));
    for key in ["d/", "d/a", "d/b"] {
        store.put(key, "");
    }
    let tree = over(store).await;
    assert_eq!(tree.mv("d", "c").await.unwrap_err().errno(), libc::EIO);
    assert_eq!(tree.store.keys(), ["d/", "d/a", "d/b"]);
}

#[tokio::test]
async fn a_name_that_was_deleted_and_made_again_is_gone_when_that_is_renamed() {
    let tree = free(["a"]).await;
    tree.fs.unlink(ROOT, OsStr::new("a")).await.unwrap();
    let (_, _, opened) = tree.fs.create(ROOT, OsStr::new("a"), MAKER).await.unwrap();
    tree.mv("a", "b").await.unwrap();
    assert_eq!(tree.list("").await, ["b"]);
    tree.close(opened.handle).await.unwrap();
    assert_eq!(tree.store.keys(), ["b"]);
}

#[tokio::test]
async fn a_renamed_folder_shows_what_it_has_whatever_had_its_name_before() {
    let tree = free(["d/", "d/f/", "d/f/new", "e/", "e/f/", "e/f/old", "e/x", "d/x"]).await;
    assert_eq!(tree.list("e/f").await, ["old"]);
    let e = tree.find("e").await.unwrap().ino;
    tree.fs.unlink(e, OsStr::new("x")).await.unwrap();
    tree.mv("e", "g").await.unwrap();
    tree.mv("d", "e").await.unwrap();
    assert_eq!(tree.list("e").await, ["f/", "x"]);
    assert_eq!(tree.list("e/f").await, ["new"]);
    assert_eq!(tree.list("g").await, ["f/"]);
}

#[tokio::test]
async fn a_folder_takes_the_place_of_an_empty_one_with_all_that_it_has() {
    let tree = free(["d/", "d/x", "e/", "e/x"]).await;
    let e = tree.find("e").await.unwrap().ino;
    tree.fs.unlink(e, OsStr::new("x")).await.unwrap();
    tree.mv("d", "e").await.unwrap();
    assert_eq!(tree.list("e").await, ["x"]);
}

#[tokio::test]
async fn a_folder_is_renamed_with_a_file_that_is_open_once_that_was_sent() {
    let tree = free(["d/", "d/a"]).await;
    let ino = tree.find("d/a").await.unwrap().ino;
    let handle = tree.open_ino(ino, TO_WRITE).await.unwrap();
    tree.fs.write(handle, 0, b"D").unwrap();
    assert_eq!(tree.mv("d", "e").await.unwrap_err().errno(), libc::EXDEV);
    tree.fs.fsync(handle).await.unwrap();
    tree.mv("d", "e").await.unwrap();
    assert_eq!(tree.find("e/a").await.unwrap().ino, ino, "it is the same file");
    tree.fs.write(handle, 0, b"E").unwrap();
    tree.close(handle).await.unwrap();
    assert_eq!(tree.bytes("e/a").unwrap(), b"E/a");
    let handle = tree.open_ino(ino, TO_WRITE).await.unwrap();
    tree.fs.write(handle, 0, b"F").unwrap();
    tree.close(handle).await.unwrap();
    assert_eq!(tree.bytes("e/a").unwrap(), b"F/a");
    assert_eq!(tree.store.keys(), ["e/", "e/a"]);
}

#[tokio::test]
async fn an_object_that_is_being_written_to_is_never_gone_from_the_bucket_when_it_is_renamed() {
    let tree = free(["a"]).await;
    let ino = tree.find("a").await.unwrap().ino;
    let handle = tree.open_ino(ino, TO_WRITE).await.unwrap();
    tree.fs.write(handle, 1, b"new").unwrap();
    tree.mv("a", "b").await.unwrap();
    assert_eq!((tree.bytes("b").unwrap(), tree.store.keys().len()), (b"a".to_vec(), 1));
    assert_eq!(tree.store.tally().put, 0);
    tree.close(handle).await.unwrap();
    assert_eq!((tree.bytes("b").unwrap(), tree.store.keys().len()), (b"anew".to_vec(), 1));
    assert!(tree.pending().is_empty());
}

#[tokio::test]
async fn an_upload_that_the_server_has_lost_is_begun_again() {
    let tree = free([]).await;
    let (_, _, opened) = tree.fs.create(ROOT, OsStr::new("a"), MAKER).await.unwrap();
    tree.fs.write(opened.handle, 17 << 20, b"end").unwrap();
    tree.store.fail_next(CallKind::CompleteUpload, None, StoreErrorKind::Timeout, 1);
    tree.fs.fsync(opened.handle).await.unwrap_err();
    tree.store.abort_uploads();
    tree.close(opened.handle).await.unwrap();
    assert_eq!(tree.bytes("a").unwrap().len(), (17 << 20) + 3);
}

#[tokio::test]
async fn a_file_that_is_made_and_cannot_be_sent_is_not_counted_as_looked_up() {
    let tree = free([]).await;
    tree.store.fail_next(CallKind::Put, None, StoreErrorKind::Timeout, 1);
    tree.fs.make(ROOT, OsStr::new("a"), NewNode::File, MAKER).await.unwrap_err();
    assert_eq!(tree.fs.inode_count(), 1);
    tree.send_pending().await;
    assert_eq!(tree.store.keys(), ["a"]);
}

#[tokio::test]
async fn an_object_that_others_changed_is_stale_once_for_who_opens_it_to_write() {
    let tree = free(["before"]).await;
    tree.mv("before", "a").await.unwrap();
    tree.store.put("a", "theirs");
    let ino = tree.find("a").await.unwrap().ino;
    assert_eq!(tree.open_ino(ino, TO_WRITE).await.unwrap_err().errno(), libc::ESTALE);
    assert_eq!(tree.read("a").await.unwrap(), b"theirs");
}

#[tokio::test]
async fn an_object_that_others_changed_stays_stale_for_who_deletes_or_renames_it() {
    // The kernel tries both a second time by itself, after it has looked again.
    let tree = free(["a"]).await;
    tree.find("a").await.unwrap();
    tree.store.put("a", "theirs");
    for _ in 0..2 {
        let deleted = tree.fs.unlink(ROOT, OsStr::new("a")).await;
        assert_eq!(deleted.unwrap_err().errno(), libc::ESTALE);
        assert_eq!(tree.mv("a", "b").await.unwrap_err().errno(), libc::ESTALE);
        tree.find("a").await.unwrap();
    }
    assert_eq!(tree.store.keys(), ["a"]);
}

#[tokio::test]
async fn a_deleted_file_that_is_open_is_not_taken_for_the_object_of_its_name() {
    let tree = free(["d/", "d/a"]).await;
    let d = tree.find("d").await.unwrap().ino;
    let ino = tree.find("d/a").await.unwrap().ino;
    let handle = tree.open_ino(ino, TO_WRITE).await.unwrap();
    tree.fs.write(handle, 0, b"ours").unwrap();
    tree.store.put("d/a", "of others");
    tree.fs.fsync(handle).await.unwrap_err();
    tree.fs.unlink(d, OsStr::new("a")).await.unwrap();
    tree.mv("d", "e").await.unwrap();
    assert_eq!(tree.fs.getattr(ino).unwrap().0.size, 4);
    assert_eq!(tree.read("e/a").await.unwrap(), b"of others");
}

/// Reads a large object but for its first MiB.
async fn read_rest(tree: &Tree, handle: u64) {
    for at in (MIB..20 * MIB).step_by(MIB as usize) {
        let bytes = tree.pread(handle, at, MIB as usize).await.unwrap();
        assert_eq!(bytes.len() as u64, MIB);
        assert_eq!(pattern_mismatch(SEED, at, &bytes), None, "at {at}");
    }
}

#[tokio::test]
async fn who_reads_an_object_reads_on_when_it_or_its_folder_is_renamed() {
    let tree = large(["a", "d/", "d/a"]).await;
    let (file, below) = (tree.open("a").await.unwrap(), tree.open("d/a").await.unwrap());
    for handle in [file, below] {
        tree.pread(handle, 0, 4096).await.unwrap();
    }
    // Twice: what is read is by then a copy of a copy.
    tree.mv("a", "b").await.unwrap();
    tree.mv("b", "c").await.unwrap();
    tree.mv("d", "e").await.unwrap();
    assert_eq!(tree.store.keys(), ["c", "e/", "e/a"]);
    read_rest(&tree, file).await;
    read_rest(&tree, below).await;
    // It is not what has its name now.
    tree.store.put("c", "of others");
    assert_eq!(tree.pread(file, 0, 4096).await.unwrap().len(), 4096);
}

#[tokio::test]
async fn a_get_that_a_rename_overtakes_gets_the_rest_of_the_copy() {
    let tree = Arc::new(large(["a"]).await);
    let handle = tree.open("a").await.unwrap();
    tree.pread(handle, 0, 4096).await.unwrap();
    tree.store.hang_next(CallKind::Get, Some("a"), 100);
    let reading = tokio::spawn({
        let tree = tree.clone();
        async move { read_rest(&tree, handle).await }
    });
    let asked = tree.store.tally().get;
    while tree.store.tally().get == asked {
        tokio::task::yield_now().await;
    }
    tree.mv("a", "b").await.unwrap();
    tree.store.release();
    reading.await.unwrap();
    assert_eq!(tree.store.keys(), ["b"]);
}

#[tokio::test]
async fn who_reads_an_object_is_told_when_others_change_it_after_it_was_renamed() {
    let tree = large(["a"]).await;
    let handle = tree.open("a").await.unwrap();
    tree.pread(handle, 0, 4096).await.unwrap();
    tree.mv("a", "b").await.unwrap();
    tree.store.put_pattern("b", 20 * MIB, SEED + 1);
    let error = tree.pread(handle, 10 * MIB, 4096).await.unwrap_err();
    assert_eq!(error.errno(), libc::ESTALE);
}
