//! A file system driven by paths, without a kernel: what the tests of `fs` stand on.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Duration;

use s3mem::app::{Assembled, Caches, assemble};
use s3mem::config::{FsConfig, Writes};
use s3mem::decoders::Place;
use s3mem::disk::Disk;
use s3mem::fs::{Attr, DirSink, FileSystem, FsError, Kind, OpenHow, ROOT, ReadAnswer, SinkEntry};
use s3mem::key::Prefix;
use s3mem::publish::{Pending, Publisher};
use s3mem::stats::Stats;
use s3mem::store::{ObjectStore, RetryConfig, StackConfig, production_stack};
use s3mem::view::ViewConfig;

use crate::support::memory_store::MemoryStore;

/// A file system over a store in memory.
pub(crate) struct Tree {
    pub(crate) fs: Arc<FileSystem>,
    pub(crate) publisher: Option<Arc<Publisher>>,
    pub(crate) store: Arc<MemoryStore>,
    parts: Assembled,
}

/// Settings that differ from test to test.
#[derive(Debug, Clone)]
pub(crate) struct TreeConfig {
    pub(crate) prefix: &'static str,
    pub(crate) ttl: Duration,
    pub(crate) memory_bytes: u64,
    pub(crate) writes: Writes,
}

impl Default for TreeConfig {
    fn default() -> Self {
        TreeConfig {
            prefix: "",
            ttl: Duration::from_secs(60),
            memory_bytes: 256 << 20,
            writes: Writes::Deny,
        }
    }
}

/// A name in a directory, as readdir gives it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) is_dir: bool,
    pub(crate) size: u64,
    pub(crate) ino: u64,
}

impl Tree {
    pub(crate) async fn over(store: Arc<MemoryStore>, config: TreeConfig) -> Tree {
        Self::through(store.clone(), store, config, None).await
    }

    /// A file system with a cache on disk.
    pub(crate) async fn with_disk(
        store: Arc<MemoryStore>,
        config: TreeConfig,
        disk: Arc<Disk>,
    ) -> Tree {
        Self::through(store.clone(), store, config, Some(disk)).await
    }

    /// Ends it as an unmount does.
    pub(crate) async fn end(self) {
        self.parts.put_down().await;
    }

    /// A file system whose requests are tried again as the program tries them.
    pub(crate) async fn retrying(
        store: Arc<MemoryStore>,
        config: TreeConfig,
        timeout: Duration,
    ) -> Tree {
        let retry = RetryConfig::within(timeout);
        let stack = StackConfig::new(retry, config.memory_bytes);
        let stack = production_stack(store.clone(), stack, Stats::new());
        Self::through(stack, store, config, None).await
    }

    async fn through(
        stack: Arc<dyn ObjectStore>,
        store: Arc<MemoryStore>,
        config: TreeConfig,
        disk: Option<Arc<Disk>>,
    ) -> Tree {
        let fs_config = FsConfig {
            prefix: Prefix::from_user(config.prefix),
            top: None,
            versions: false,
            metadata_ttl: config.ttl,
            verify: false,
            uid: 1000,
            gid: 100,
            file_mode: 0o444,
            dir_mode: 0o555,
            memory_bytes: config.memory_bytes,
            views: ViewConfig::default(),
            decoders: Place::InProcess,
            writes: config.writes,
        };
        let caches = Caches { disk, ..Caches::default() };
        let parts = assemble(stack, fs_config, caches, Stats::new()).await.unwrap();
        Tree { fs: parts.fs.clone(), publisher: parts.publisher.clone(), store, parts }
    }

    /// The files that are not in the bucket yet.
    pub(crate) fn pending(&self) -> Vec<Pending> {
        self.publisher.as_ref().map_or_else(Vec::new, |publisher| publisher.pending())
    }

    /// Tries to send them.
    pub(crate) async fn send_pending(&self) {
        if let Some(publisher) = &self.publisher {
            publisher.send_pending().await;
        }
    }

    /// A file system over a bucket of these objects, and no calls counted yet.
    pub(crate) async fn of<const N: usize>(objects: [(&str, &str); N]) -> Tree {
        let store = Arc::new(MemoryStore::new());
        for (key, text) in objects {
            store.put(key, text.to_owned());
        }
        let tree = Tree::over(store, TreeConfig::default()).await;
        tree.store.reset();
        tree
    }

    /// One look-up, as the kernel makes it.
    pub(crate) async fn lookup(&self, parent: u64, name: &str) -> Result<Option<Attr>, FsError> {
        let name = OsStr::new(name);
        self.fs.lookup(parent, name).await.map(|(attr, _)| attr)
    }

    /// Walks a path of names separated by `/`.
    pub(crate) async fn find(&self, path: &str) -> Result<Attr, FsError> {
        let mut ino = ROOT;
        let mut attr = self.fs.getattr(ROOT)?.0;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            attr = self.lookup(ino, name).await?.ok_or(FsError::NotFound)?;
            ino = attr.ino;
        }
        Ok(attr)
    }

    pub(crate) async fn open(&self, path: &str) -> Result<u64, FsError> {
        let ino = self.find(path).await?.ino;
        self.open_ino(ino, OpenHow::default()).await
    }

    /// One open, as the kernel makes it.
    pub(crate) async fn open_ino(&self, ino: u64, how: OpenHow) -> Result<u64, FsError> {
        self.fs.open_file(ino, how).await.map(|opened| opened.handle)
    }

    pub(crate) async fn pread(
        &self,
        handle: u64,
        offset: u64,
        length: usize,
    ) -> Result<Vec<u8>, FsError> {
        match self.fs.read(handle, offset, length)? {
            ReadAnswer::Ready(bytes) => Ok(bytes.to_vec()),
            ReadAnswer::Later(answer) => answer.await.map(|bytes| bytes.to_vec()),
        }
    }

    /// Opens, reads in pieces of `step` bytes, closes.
    pub(crate) async fn read_by(&self, path: &str, step: usize) -> Result<Vec<u8>, FsError> {
        let handle = self.open(path).await?;
        let mut bytes = Vec::new();
        let outcome = loop {
            match self.pread(handle, bytes.len() as u64, step).await {
                Ok(piece) if piece.is_empty() => break Ok(bytes),
                Ok(piece) => bytes.extend(piece),
                Err(error) => break Err(error),
            }
        };
        self.fs.release_file(handle);
        outcome
    }

    pub(crate) async fn read(&self, path: &str) -> Result<Vec<u8>, FsError> {
        self.read_by(path, 128 << 10).await
    }

    /// Lists a directory, `at_once` entries in each call, and forgets what it was told.
    pub(crate) async fn list_by(&self, path: &str, at_once: usize, plus: bool) -> Vec<Listed> {
        let ino = self.find(path).await.unwrap().ino;
        let handle = self.fs.open_dir(ino, 1).unwrap();
        let mut sink = Sink { room: at_once, ..Sink::default() };
        loop {
            sink.room = at_once;
            if !self.list_on(handle, plus, &mut sink).await {
                break;
            }
        }
        self.fs.release_dir(handle);
        let (dots, entries) = sink.entries.split_at(2);
        assert_eq!([dots[0].name.as_str(), dots[1].name.as_str()], [".", ".."]);
        if plus {
            entries.iter().for_each(|entry| self.fs.forget(entry.ino, 1));
        }
        entries.to_vec()
    }

    /// Lists on where the sink is, as the kernel does. Whether anything came.
    pub(crate) async fn list_on(&self, handle: u64, plus: bool, sink: &mut Sink) -> bool {
        let (before, cookie) = (sink.entries.len(), sink.cookie);
        self.fs.read_dir(handle, cookie, plus, sink).await.unwrap();
        sink.entries.len() > before
    }

    /// The names in a directory, sorted; directories with a `/`.
    pub(crate) async fn list(&self, path: &str) -> Vec<String> {
        let mut names: Vec<String> = self
            .list_by(path, 7, true)
            .await
            .into_iter()
            .map(|entry| format!("{}{}", entry.name, if entry.is_dir { "/" } else { "" }))
            .collect();
        names.sort();
        names
    }
}

/// What was listed so far, and how much more may come.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    pub(crate) entries: Vec<Listed>,
    pub(crate) room: usize,
    pub(crate) cookie: u64,
}

impl DirSink for Sink {
    fn add(&mut self, entry: SinkEntry<'_>) -> bool {
        if self.room == 0 {
            return false;
        }
        self.room -= 1;
        self.cookie = entry.next_cookie;
        self.entries.push(Listed {
            name: entry.name.to_owned(),
            is_dir: entry.attr.kind == Kind::Dir,
            size: entry.attr.size,
            ino: entry.attr.ino,
        });
        true
    }
}
