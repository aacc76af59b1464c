//! Files that are cut, or that go on, while parts of them wait to be sent: what is sent
//! is the file as it is when it is read, not as it was when that was decided.

use std::ffi::OsStr;
use std::sync::Arc;

use s3mem::config::Writes;
use s3mem::fs::{AttrChange, Maker, ROOT};
use s3mem::publish::UploadConfig;

use crate::harness::kernelless::{Tree, TreeConfig};
use crate::support::memory_store::{CallKind, MemoryStore, StoreStyle};

const MAKER: Maker = Maker { uid: 1, gid: 1, mode: 0o644, thread: 0 };
const PART: usize = 64 << 10;

/// An empty bucket, to which files of more than two small parts go in parts.
async fn empty() -> Tree {
    let uploads = UploadConfig { part_bytes: PART as u64, ..UploadConfig::default() };
    let writes = Writes::Upload { limit_bytes: 64 << 20, uploads };
    let style = StoreStyle { min_part_bytes: PART as u64, ..StoreStyle::default() };
    let store = Arc::new(MemoryStore::with_style(style));
    Tree::over(store, TreeConfig { writes, ..TreeConfig::default() }).await
}

/// Writes in order, as the kernel has programs write.
fn append(tree: &Tree, handle: u64, file: &mut Vec<u8>, length: usize, byte: u8) {
    for start in (0..length).step_by(PART / 2) {
        let piece = vec![byte; (length - start).min(PART / 2)];
        tree.fs.write(handle, file.len() as u64, &piece).unwrap();
        file.extend(piece);
    }
}

async fn let_others_run() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn parts_that_wait_to_be_sent_are_sent_as_the_file_is_then() {
    let half = PART / 2;
    for waits_for in [CallKind::BeginUpload, CallKind::PutPart] {
        for (cut, appended) in
            [(PART + half, 0), (PART + half, 2 * PART), (0, 3 * PART), (5 * PART - 1, 1), (7, 3)]
        {
            let tree = empty().await;
            let (attr, _, opened) = tree.fs.create(ROOT, OsStr::new("a"), MAKER).await.unwrap();
            tree.store.hang_next(waits_for, None, 8);
            let mut file = Vec::new();
            append(&tree, opened.handle, &mut file, 5 * PART, 1);
            let_others_run().await;
            assert!(tree.store.tally().upload > 0, "nothing was sent ahead");
            let size = Some(cut as u64);
            tree.fs.set_attr(attr.ino, AttrChange { size, ..AttrChange::default() }).await.unwrap();
            file.truncate(cut);
            append(&tree, opened.handle, &mut file, appended, 2);
            let closing = tokio::spawn({
                let fs = tree.fs.clone();
                async move { fs.flush(opened.handle, 0).await }
            });
            while !closing.is_finished() {
                tree.store.release();
                let_others_run().await;
            }
            closing.await.unwrap().unwrap();
            tree.fs.release_file(opened.handle);
            let object = tree.store.object("a").unwrap().content.clone();
            let bytes = object.slice(0..object.size());
            assert!(bytes[..] == file[..], "cut to {cut}, {appended} more: {} bytes", bytes.len());
            assert!(tree.pending().is_empty());
        }
    }
}
