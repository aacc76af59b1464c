//! What a path leads to, and an open file or directory: given back when they are dropped.

use std::ffi::OsString;
use std::sync::Arc;

use bytes::Bytes;

use crate::fs::{
    Attr, DirSink, FileSystem, FsError, Ino, OpenHow, ROOT, ReadAnswer, SinkEntry, Trouble, Web,
};

/// What a path leads to.
#[derive(Debug)]
pub(super) struct Node {
    fs: Arc<FileSystem>,
    pub(super) attr: Attr,
    /// What was looked up on the way.
    looked_up: Vec<Ino>,
}

impl Node {
    /// Follows the names from the root on.
    ///
    /// # Errors
    /// What a look-up failed with; ENOENT if there is no such name.
    pub(super) async fn find(fs: &Arc<FileSystem>, names: &[OsString]) -> Result<Node, FsError> {
        let (attr, _) = fs.getattr(ROOT)?;
        let mut node = Node { fs: fs.clone(), attr, looked_up: Vec::new() };
        for name in names {
            let (found, _) = fs.lookup(node.attr.ino, name).await?;
            node.attr = found.ok_or(FsError::NotFound)?;
            node.looked_up.push(node.attr.ino);
        }
        Ok(node)
    }

    /// What is asked beside the calls of a kernel.
    pub(super) fn web(&self) -> Web<'_> {
        Web::of(&self.fs)
    }

    /// What stands for its bytes, if anything does.
    pub(super) fn tag(&self) -> Option<String> {
        self.web().tag(self.attr.ino).ok().flatten()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        for ino in self.looked_up.drain(..).rev() {
            self.fs.forget(ino, 1);
        }
    }
}

/// An open file.
#[derive(Debug)]
pub(super) struct OpenFile {
    node: Node,
    handle: u64,
}

impl OpenFile {
    /// Opens a file to read it.
    pub(super) async fn open(node: Node) -> Result<OpenFile, FsError> {
        let opened = node.fs.open_file(node.attr.ino, OpenHow::default()).await?;
        Ok(OpenFile { node, handle: opened.handle })
    }

    /// Exactly these bytes, as a copy: what a slow reader waits with is its own, and keeps no
    /// block of the object.
    ///
    /// # Errors
    /// What fetching or decoding failed with; ESTALE if the file is shorter than it was.
    pub(super) async fn read(&self, offset: u64, length: usize) -> Result<Bytes, FsError> {
        let bytes = match self.node.fs.read(self.handle, offset, length)? {
            ReadAnswer::Ready(bytes) => bytes,
            ReadAnswer::Later(answer) => answer.await?,
        };
        match bytes.len() == length {
            true => Ok(Bytes::copy_from_slice(&bytes)),
            false => Err(FsError::Stale),
        }
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        self.node.fs.release_file(self.handle);
    }
}

/// An open directory.
#[derive(Debug)]
pub(super) struct OpenDir {
    node: Node,
    handle: u64,
}

/// An entry of a directory.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) attr: Attr,
}

impl OpenDir {
    /// Opens a directory to list it.
    pub(super) fn open(node: Node) -> Result<OpenDir, FsError> {
        let handle = node.fs.open_dir(node.attr.ino, 0)?;
        Ok(OpenDir { node, handle })
    }

    /// Up to `most` entries from a cookie on, and the cookie of what follows; `None` at the end.
    ///
    /// # Errors
    /// What the listing failed with.
    pub(super) async fn list(
        &self,
        cookie: u64,
        most: usize,
    ) -> Result<(Vec<Entry>, Option<u64>), FsError> {
        let mut sink = Sink { entries: Vec::new(), cookie, most, is_full: false };
        loop {
            let before = sink.cookie;
            let outcome = self.node.fs.read_dir(self.handle, before, true, &mut sink).await;
            for ino in sink.entries.iter().filter(|e| e.is_counted).map(|e| e.entry.attr.ino) {
                self.node.fs.forget(ino, 1);
            }
            sink.entries.iter_mut().for_each(|entry| entry.is_counted = false);
            outcome?;
            if sink.is_full || sink.cookie == before {
                break;
            }
        }
        let next = sink.is_full.then_some(sink.cookie);
        Ok((sink.entries.into_iter().map(|entry| entry.entry).collect(), next))
    }
}

impl Drop for OpenDir {
    fn drop(&mut self) {
        self.node.fs.release_dir(self.handle);
    }
}

struct Sink {
    entries: Vec<Counted>,
    cookie: u64,
    most: usize,
    is_full: bool,
}

/// An entry whose look-up may have to be taken back.
struct Counted {
    entry: Entry,
    is_counted: bool,
}

impl DirSink for Sink {
    fn add(&mut self, entry: SinkEntry<'_>) -> bool {
        let is_dot = matches!(entry.name, "." | "..");
        if !is_dot && self.entries.len() >= self.most {
            self.is_full = true;
            return false;
        }
        self.cookie = entry.next_cookie;
        if !is_dot {
            let entry = Entry { name: entry.name.to_owned(), attr: entry.attr };
            self.entries.push(Counted { entry, is_counted: true });
        }
        true
    }
}

/// Does it again if something was overwritten meanwhile: then it is the new version.
///
/// # Errors
/// What it failed with, also if something changes again and again.
pub(super) async fn again_if_changed<T, F: Future<Output = Result<T, FsError>>>(
    mut attempt: impl FnMut() -> F,
) -> Result<T, FsError> {
    /// Nobody writes an object that often.
    const MOST: usize = 3;
    for _ in 1..MOST {
        match attempt().await {
            Err(error) if error.trouble() == Trouble::Changed => {}
            outcome => return outcome,
        }
    }
    attempt().await
}
