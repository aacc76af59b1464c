//! Objects that are copied into memory for somebody who writes, while somebody else
//! changes their names; and listings while files are replaced.

use std::ffi::OsStr;
use std::sync::Arc;

use s3mem::config::Writes;
use s3mem::fs::{Maker, OpenHow, ROOT, RenameHow};

use crate::harness::kernelless::{Sink, Tree, TreeConfig};
use crate::support::memory_store::MemoryStore;

const OBJECT: &[u8] = b"what the object says";

async fn writable<const N: usize>(keys: [&str; N]) -> Tree {
    let store = Arc::new(MemoryStore::new());
    for key in keys {
        store.put(key, OBJECT);
    }
    let writes = Writes::Memory { limit_bytes: 1 << 20 };
    Tree::over(store, TreeConfig { writes, ..TreeConfig::default() }).await
}

impl Tree {
    async fn rename(&self, from: &str, to: &str) {
        let (from, to) = ((ROOT, OsStr::new(from)), (ROOT, OsStr::new(to)));
        self.fs.rename(from, to, RenameHow::Replace).await.unwrap();
    }

    async fn create(&self, name: &str) {
        let maker = Maker { uid: 1, gid: 1, mode: 0o644, thread: 0 };
        let (_, _, opened) = self.fs.create(ROOT, OsStr::new(name), maker).await.unwrap();
        self.fs.release_file(opened.handle);
    }

    /// Begins to open an object for writing, does something else while its bytes are
    /// on their way, and gives the handle.
    async fn open_slowly(&self, ino: u64, key: &str, meanwhile: impl Future<Output = ()>) -> u64 {
        self.store.block_next(Some(key), 5, 1);
        let fs = self.fs.clone();
        let how = OpenHow { writes: true, truncates: false, thread: 0 };
        let opening = tokio::spawn(async move { fs.open_file(ino, how).await });
        while self.store.open_bodies() == 0 {
            tokio::task::yield_now().await;
        }
        meanwhile.await;
        self.store.release();
        opening.await.unwrap().unwrap().handle
    }
}

#[tokio::test]
async fn a_file_renamed_while_it_is_copied_has_what_is_written_under_its_new_name() {
    let tree = writable(["a"]).await;
    let ino = tree.find("a").await.unwrap().ino;
    let handle = tree.open_slowly(ino, "a", tree.rename("a", "b")).await;
    tree.fs.write(handle, 0, b"THAT").unwrap();
    assert_eq!(tree.read("b").await.unwrap(), b"THAT the object says");
    assert_eq!(tree.find("b").await.unwrap().nlink, 1);
    assert_eq!(tree.list("").await, ["b"]);
}

#[tokio::test]
async fn a_file_deleted_while_it_is_copied_stays_deleted() {
    let tree = writable(["a", "x"]).await;
    let ino = tree.find("a").await.unwrap().ino;
    tree.rename("a", "b").await;
    let handle =
        tree.open_slowly(ino, "a", async { tree.fs.unlink(ROOT, OsStr::new("b")).await.unwrap() });
    let handle = handle.await;
    assert_eq!(tree.list("").await, ["x"]);
    assert!(tree.lookup(ROOT, "b").await.unwrap().is_none());
    assert_eq!(tree.pread(handle, 0, 100).await.unwrap(), OBJECT);
    assert_eq!(tree.fs.getattr(ino).unwrap().0.nlink, 0);
}

#[tokio::test]
async fn a_listing_ends_whose_reader_replaces_each_file_that_it_shows() {
    let tree = writable(["a", "b"]).await;
    tree.create("c").await;
    tree.create("d").await;
    let handle = tree.fs.open_dir(ROOT, 1).unwrap();
    let mut sink = Sink { room: 1, ..Sink::default() };
    while tree.list_on(handle, false, &mut sink).await {
        sink.room = 1;
        let shown = sink.entries.last().unwrap().name.clone();
        assert!(sink.entries.len() < 20, "{shown:?} comes again and again");
        if !shown.starts_with('.') {
            tree.create("new").await;
            tree.rename("new", &shown).await;
        }
    }
    tree.fs.release_dir(handle);
    let names: Vec<_> = sink.entries.iter().skip(2).map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c", "d"]);
}
