//! Files, folders and renames of which no answer came: they end in the bucket, and never
//! in a conflict with ourselves.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Duration;

use s3mem::config::Writes;
use s3mem::fs::{Maker, NewNode, OpenHow, ROOT, RenameHow};
use s3mem::publish::UploadConfig;
use s3mem::store::StoreErrorKind;

use crate::harness::kernelless::{Tree, TreeConfig};
use crate::support::memory_store::{CallKind, MemoryStore};

const MAKER: Maker = Maker { uid: 1, gid: 1, mode: 0o644, thread: 0 };
const TO_WRITE: OpenHow = OpenHow { writes: true, truncates: false, thread: 0 };
const TIMEOUT: Duration = Duration::from_millis(400);

/// A bucket in which anything may be changed, behind the retries of the program.
async fn free() -> Tree {
    over(Arc::new(MemoryStore::new())).await
}

async fn over(store: Arc<MemoryStore>) -> Tree {
    let uploads = UploadConfig {
        allow_overwrite: true,
        allow_delete: true,
        rename_objects: 100,
        ..UploadConfig::default()
    };
    let writes = Writes::Upload { limit_bytes: 64 << 20, uploads };
    let config = TreeConfig { writes, ..TreeConfig::default() };
    Tree::retrying(store, config, TIMEOUT).await
}

impl Tree {
    /// Loses the answers to calls of a kind, and to the HEADs that would tell.
    fn silence(&self, kind: CallKind) {
        self.store.lose_answers(kind, None, StoreErrorKind::Timeout, 100);
        self.store.fail_next(CallKind::Head, None, StoreErrorKind::Timeout, 100);
    }

    fn has(&self, key: &str, bytes: &[u8]) -> bool {
        let object = self.store.object(key);
        object.is_some_and(|object| object.content.slice(0..object.content.size()) == bytes)
    }
}

#[tokio::test]
async fn a_file_whose_answers_were_all_lost_is_in_the_bucket_and_no_conflict() {
    for size in [5, 20 << 20] {
        for is_written_on in [false, true] {
            let tree = free().await;
            let mut bytes = vec![7_u8; size];
            let (_, _, opened) = tree.fs.create(ROOT, OsStr::new("a"), MAKER).await.unwrap();
            for (piece, at) in bytes.chunks(1 << 20).zip((0..).step_by(1 << 20)) {
                tree.fs.write(opened.handle, at, piece).unwrap();
            }
            tree.silence(if size > 5 { CallKind::CompleteUpload } else { CallKind::Put });
            let error = tree.fs.flush(opened.handle, 0).await.unwrap_err();
            tree.fs.release_file(opened.handle);
            assert_eq!(error.errno(), libc::EIO);
            assert!(tree.has("a", &bytes), "it has happened");
            let pending = tree.pending();
            assert!(pending.len() == 1 && !pending[0].is_conflict());
            tree.store.heal();
            if is_written_on {
                let ino = tree.find("a").await.unwrap().ino;
                let handle = tree.open_ino(ino, TO_WRITE).await.unwrap();
                tree.fs.write(handle, 0, b"new").unwrap();
                bytes[..3].copy_from_slice(b"new");
                tree.fs.flush(handle, 0).await.unwrap();
                tree.fs.release_file(handle);
            } else {
                tree.send_pending().await;
            }
            assert!(tree.pending().is_empty(), "{size} {is_written_on}");
            assert!(tree.has("a", &bytes), "{size} {is_written_on}");
            assert!(tree.store.open_uploads().is_empty(), "{size} {is_written_on}");
        }
    }
}

#[tokio::test]
async fn a_rename_or_a_folder_of_which_no_answer_came_can_be_repeated() {
    let store = Arc::new(MemoryStore::new());
    store.put("a", "a");
    let tree = over(store).await;
    let rename = || {
        let (from, to) = ((ROOT, OsStr::new("a")), (ROOT, OsStr::new("b")));
        tree.fs.rename(from, to, RenameHow::Replace)
    };
    tree.silence(CallKind::Copy);
    assert_eq!(rename().await.unwrap_err().errno(), libc::EIO);
    tree.store.heal();
    rename().await.unwrap();
    assert_eq!(tree.store.keys(), ["b"]);

    let make = || tree.fs.make(ROOT, OsStr::new("d"), NewNode::Dir, MAKER);
    tree.silence(CallKind::Put);
    assert_eq!(make().await.unwrap_err().errno(), libc::EIO);
    tree.store.heal();
    make().await.unwrap();
    assert_eq!(tree.store.keys(), ["b", "d/"]);
    assert_eq!(make().await.unwrap_err().errno(), libc::EEXIST);
}

#[tokio::test]
async fn a_new_file_that_is_answered_404_is_no_conflict() {
    let tree = free().await;
    let (_, _, opened) = tree.fs.create(ROOT, OsStr::new("a"), MAKER).await.unwrap();
    tree.fs.write(opened.handle, 0, b"x").unwrap();
    tree.store.fail_next(CallKind::Put, None, StoreErrorKind::NotFound, 1);
    assert_eq!(tree.fs.fsync(opened.handle).await.unwrap_err().errno(), libc::EIO);
    assert!(!tree.pending()[0].is_conflict());
    tree.fs.flush(opened.handle, 0).await.unwrap();
    tree.fs.release_file(opened.handle);
    assert!(tree.has("a", b"x"));
}
