//! The kernel's part: does each step to the file system and to the model, and
//! compares what comes of it, there and in the bucket.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Debug;
use std::sync::Arc;

use proptest::sample::Index;
use s3mem::fs::{Attr, FsError, Kind, Maker};
use s3mem::publish::Pending;

use super::oracle::{Change, Extent, Oracle, bytes_of, is_memory_only};
use super::steps::{Fault, Step};
use crate::harness::kernelless::{Sink, Tree};
use crate::harness::plain_tree::{At, Body, GID, Id, Model, ROOT, UID, of_bucket};
use crate::support::bucket::Object;

pub(super) const MAKER: Maker = Maker { uid: UID, gid: GID, mode: 0o644, thread: 0 };

/// What is known of a file beside its name and its bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct File {
    /// The version in the bucket that the mount has seen.
    pub(super) seen: Option<String>,
    /// Whether the bucket has not got all of it.
    pub(super) is_dirty: bool,
    /// Whether its bytes are in memory.
    pub(super) is_made: bool,
    /// Whether somebody else's object was in its way.
    pub(super) is_conflict: bool,
    /// Whether a close was answered since it was last written to.
    pub(super) is_closed: bool,
    /// Whether it has had another name.
    pub(super) was_moved: bool,
}

/// A file that stays open.
pub(super) struct OpenFile {
    pub(super) handle: u64,
    pub(super) id: Id,
    pub(super) ino: u64,
    pub(super) writes: bool,
    /// The object that it was when it was opened.
    pub(super) object: Option<(String, Arc<Object>)>,
}

/// How an operation went.
#[derive(Debug)]
pub(super) enum Outcome<T> {
    Done(T),
    /// As it had to.
    Refused(i32),
    /// On command.
    Failed,
}

pub(super) struct Driver {
    pub(super) tree: Tree,
    pub(super) model: Model,
    pub(super) oracle: Oracle,
    pub(super) about: HashMap<Id, File>,
    pub(super) inos: HashMap<Id, u64>,
    /// How many look-ups the kernel has of each inode.
    lookups: HashMap<u64, u64>,
    pub(super) files: Vec<OpenFile>,
    /// Whether the bucket is asked for each name.
    asks_always: bool,
    pub(super) written: u8,
    others: usize,
    pub(super) has_failed: bool,
}

impl Driver {
    pub(super) fn new(tree: Tree, model: Model, oracle: Oracle, asks_always: bool) -> Self {
        let mut driver = Driver {
            tree,
            model,
            oracle,
            about: HashMap::new(),
            inos: HashMap::from([(ROOT, s3mem::fs::ROOT)]),
            lookups: HashMap::new(),
            files: Vec::new(),
            asks_always,
            written: 0,
            others: 0,
            has_failed: false,
        };
        for id in 0..driver.model.nodes.len() {
            if driver.model.is_file(id) {
                let seen = driver.oracle.etag(&driver.key_of(id));
                driver.about.insert(id, File { seen, ..File::default() });
            }
        }
        driver
    }

    pub(super) async fn step(&mut self, step: Step, fault: Option<Fault>) {
        let fault = fault.as_ref();
        match step {
            Step::Create(at) => self.create(&at, fault).await,
            Step::MakeNode(at) => self.make_node(&at, fault).await,
            Step::Mkdir(at) => self.mkdir(&at, fault).await,
            Step::Open { at, writes, truncates } => {
                self.open(&at, writes, writes && truncates, fault).await;
            }
            Step::Write { file, offset, length } => {
                if let Some(file) = self.pick(file, true) {
                    self.write(file, offset, length, fault).await;
                }
            }
            Step::Append { file, length } => {
                if let Some(file) = self.pick(file, true) {
                    let end = self.model.size(self.files[file].id);
                    if end < 30 << 20 {
                        self.write(file, end, length, fault).await;
                    }
                }
            }
            Step::Read { file, offset, length } => {
                if let Some(file) = self.pick(file, false) {
                    self.read(file, offset, length).await;
                }
            }
            Step::Fsync(file) => {
                if let Some(file) = self.pick(file, false) {
                    self.fsync(file, fault).await;
                }
            }
            Step::Flush(file) => {
                if let Some(file) = self.pick(file, false) {
                    self.flush(file, fault).await;
                }
            }
            Step::Close(file) => {
                if let Some(file) = self.pick(file, false) {
                    self.close(file, fault).await;
                }
            }
            Step::Resize(at, size) => {
                let at = At { is_cached: false, ..at };
                if let Some(id) = self.look(&at).await.and_then(|(_, _, id)| id) {
                    self.resize(id, size, fault).await;
                }
            }
            Step::ResizeOpen(file, size) => {
                if let Some(file) = self.pick(file, true) {
                    self.resize(self.files[file].id, size, fault).await;
                }
            }
            Step::Unlink(at) => self.unlink(&at, fault).await,
            Step::Rmdir(at) => self.rmdir(&at, fault).await,
            Step::Rename(from, to, how) => self.rename(&from, &to, how, fault).await,
            Step::LookUp(at) => drop(self.look(&At { is_cached: false, ..at }).await),
            Step::List { dir, at_once, plus } => {
                let dirs = self.model.dirs();
                self.list(dirs[dir.index(dirs.len())], at_once, plus).await;
            }
            Step::SendPending => self.send_pending(fault).await,
            Step::ForgetAll => self.forget_all(),
            Step::OthersPut(dir, name) => self.others_put(dir, &name),
            Step::OthersDelete(at) => self.others_delete(at),
            Step::OthersAbort => self.oracle.store.abort_uploads(),
        }
    }

    // Somebody else.

    fn others_put(&mut self, dir: Index, name: &str) {
        let markers = self.oracle.objects.keys().filter(|key| key.ends_with('/'));
        let dirs: Vec<_> = std::iter::once(String::new()).chain(markers.cloned()).collect();
        let key = format!("{}{name}", dirs[dir.index(dirs.len())]);
        self.others += 1;
        // No file of ours has such a size.
        let bytes = format!("{:050000}", self.others) + &"+".repeat(self.others);
        self.oracle.store.put(&key, bytes);
        self.oracle.others(&key);
    }

    fn others_delete(&mut self, at: Index) {
        let keys: Vec<_> =
            self.oracle.objects.keys().filter(|key| !key.ends_with('/')).cloned().collect();
        if !keys.is_empty() {
            let key = &keys[at.index(keys.len())];
            self.oracle.store.delete(key);
            self.oracle.others(key);
        }
    }

    // What fails.

    pub(super) fn arm(&self, fault: Option<&Fault>) {
        if let Some(fault) = fault {
            fault.arm(&self.oracle.store);
        }
    }

    /// Lets everything that goes on come to its end; whether anything failed on command.
    pub(super) async fn settle(&mut self) -> bool {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let failed = self.oracle.store.heal();
        self.has_failed |= failed;
        failed
    }

    /// Compares an outcome with the ones that may be.
    pub(super) fn judge<T>(
        &self,
        done: Result<T, FsError>,
        expected: &[Result<(), i32>],
        failed: bool,
        what: impl Debug,
    ) -> Outcome<T> {
        let told = done.as_ref().map(drop).map_err(FsError::errno);
        match done {
            Ok(done) if expected.contains(&Ok(())) => Outcome::Done(done),
            Err(error) if expected.contains(&told) => Outcome::Refused(error.errno()),
            Err(_) if failed => Outcome::Failed,
            Ok(_) => panic!("{what:?} was done and not {expected:?}"),
            Err(error) => panic!("{what:?}: {error} ({}) and not {expected:?}", error.errno()),
        }
    }

    // Names.

    pub(super) fn prefix(&self, dir: Id) -> String {
        match self.model.place(dir) {
            Some((above, name)) => format!("{}{name}/", self.prefix(above)),
            None => String::new(),
        }
    }

    pub(super) fn key(&self, dir: Id, name: &str) -> String {
        format!("{}{name}", self.prefix(dir))
    }

    /// The key of a file that has a name.
    pub(super) fn key_of(&self, id: Id) -> String {
        let (dir, name) = self.model.place(id).unwrap();
        self.key(dir, &name)
    }

    pub(super) fn is_unsure(&self, key: &str) -> bool {
        let is_above = |unsure: &String| unsure.ends_with('/') && key.starts_with(unsure.as_str());
        let unsure = &self.oracle.unsure;
        unsure.contains(key) || unsure.contains(&format!("{key}/")) || unsure.iter().any(is_above)
    }

    /// Whether it is a file that belongs into the bucket.
    pub(super) fn is_remote(&self, id: Id) -> bool {
        self.model.is_file(id)
            && self.model.nodes[id].names > 0
            && !is_memory_only(&self.key_of(id))
    }

    pub(super) fn is_open(&self, id: Id, to_write: bool) -> bool {
        self.files.iter().any(|file| file.id == id && (file.writes || !to_write))
    }

    fn pick(&self, file: Index, writes: bool) -> Option<usize> {
        let open = self.files.iter().enumerate().filter(|(_, file)| file.writes || !writes);
        let open: Vec<usize> = open.map(|(index, _)| index).collect();
        (!open.is_empty()).then(|| open[file.index(open.len())])
    }

    /// The place that is meant, and what is there; `None` if the directory is gone.
    pub(super) async fn look(&mut self, at: &At) -> Option<(Id, String, Option<Id>)> {
        let (dir, name) = self.model.meant(at);
        let known = self.model.find(dir, &name);
        let is_cached = at.is_cached && !self.is_unsure(&self.key(dir, &name));
        let id = match known.filter(|id| is_cached && self.inos.contains_key(id)) {
            Some(id) => Some(id),
            None => self.look_up(dir, &name).await?,
        };
        Some((dir, name, id))
    }

    /// Looks a name up; `None` if the directory is gone.
    pub(super) async fn look_up(&mut self, dir: Id, name: &str) -> Option<Option<Id>> {
        let ino = self.ino_of_dir(dir).await?;
        let found = self.tree.lookup(ino, name).await;
        let attr = found.unwrap_or_else(|error| panic!("looking up {name:?}: {error}"));
        Some(self.found(dir, name, attr, true))
    }

    /// Who was told that an object is another one finds that when it looks again.
    pub(super) async fn look_again(&mut self, dir: Id, name: &str) {
        let Some(found) = self.look_up(dir, name).await else { return };
        let key = self.key(dir, name);
        let seen = found.and_then(|id| self.about.get(&id)).and_then(|file| file.seen.clone());
        let is_made = found.is_some_and(|id| self.about.get(&id).is_some_and(|file| file.is_made));
        assert!(is_made || self.oracle.is_seen(&key, &seen), "{key:?} is not looked for again");
    }

    fn found(&mut self, dir: Id, name: &str, attr: Option<Attr>, counts: bool) -> Option<Id> {
        let key = self.key(dir, name);
        let known = self.model.find(dir, name);
        let shown = |id: Id| (self.model.kind(id), self.model.size(id));
        let id = if known.map(shown) == attr.map(|attr| (attr.kind, attr.size)) {
            known
        } else if attr.is_none() && known.is_some_and(|id| self.holds_made(id)) {
            // A folder whose marker is gone shows again when what is in it is sent.
            assert!(self.is_unsure(&key), "{key:?} is gone");
            return None;
        } else {
            assert!(self.is_unsure(&key), "{key:?} is {attr:?} and not {:?}", known.map(shown));
            let is_ours = known.is_some_and(|id| self.about.get(&id).is_some_and(|f| f.is_made));
            assert!(!is_ours, "{key:?} is ours and shown as {attr:?}");
            let is_such = |size: u64, object: &Object| object.content.size() == size;
            self.adopt(dir, name, attr, is_such)
        };
        let is_made = id.is_some_and(|id| self.about.get(&id).is_some_and(|file| file.is_made));
        let is_dir = id.is_some_and(|id| self.model.is_dir(id));
        if self.asks_always && !is_made && !is_dir && self.oracle.is_asked_for(&key) {
            let now = self.oracle.objects.get(&key).map(|object| object.content.size());
            let is_memory = is_memory_only(&key);
            assert!(is_memory || now == attr.map(|attr| attr.size), "{key:?} is not what is there");
        }
        if let (Some(id), Some(attr)) = (id, attr) {
            self.inos.insert(id, attr.ino);
            if counts {
                *self.lookups.entry(attr.ino).or_default() += 1;
            }
        }
        id
    }

    /// Whether it is a directory with files in memory in it.
    fn holds_made(&self, id: Id) -> bool {
        let is_made = |id: &Id| self.about.get(id).is_some_and(|file| file.is_made);
        let holds = |id: &Id| is_made(id) || self.holds_made(*id);
        self.model.is_dir(id) && self.model.entries(id).values().any(holds)
    }

    /// Nothing that is in a directory has its name any more.
    pub(super) fn empty(&mut self, dir: Id) {
        for (_, id) in std::mem::take(self.model.entries_mut(dir)) {
            self.model.nodes[id].names -= 1;
            if self.model.is_dir(id) {
                self.empty(id);
            }
        }
    }

    /// Has the model show what the mount shows of a name that others changed.
    pub(super) fn adopt(
        &mut self,
        dir: Id,
        name: &str,
        attr: Option<Attr>,
        is_such: impl Fn(u64, &Object) -> bool,
    ) -> Option<Id> {
        let key = self.key(dir, name);
        if let Some(before) = self.model.entries_mut(dir).remove(name) {
            self.model.nodes[before].names -= 1;
            if self.model.is_dir(before) {
                self.empty(before);
            }
        }
        let attr = attr?;
        if attr.kind == Kind::Dir {
            let prefix = format!("{key}/");
            let is_there = self.oracle.objects.keys().any(|key| key.starts_with(&prefix));
            assert!(is_there || self.is_unsure(&prefix), "{key:?} is no directory");
            self.oracle.unsure.insert(prefix);
            return Some(self.model.add(dir, name, of_bucket(Body::Dir(Default::default()))));
        }
        let versions = self.oracle.versions(&key);
        let version = versions.into_iter().flatten().find(|object| is_such(attr.size, object));
        let version = version.unwrap_or_else(|| panic!("{key:?} never was like {attr:?}"));
        let body = Body::File(bytes_of(&version));
        let id = self.model.add(dir, name, of_bucket(body));
        self.about.insert(id, File { seen: Some(version.etag.clone()), ..File::default() });
        Some(id)
    }

    pub(super) async fn ino_of_dir(&mut self, dir: Id) -> Option<u64> {
        if self.model.nodes[dir].names == 0 {
            return None;
        }
        if !self.inos.contains_key(&dir) {
            let (above, name) = self.model.place(dir)?;
            let found = Box::pin(self.look_up(above, &name)).await?;
            if found != Some(dir) {
                return None;
            }
        }
        self.inos.get(&dir).copied()
    }

    /// Takes over what became of a name when a request failed.
    pub(super) async fn resync(&mut self, dir: Id, name: &str, source: Option<Id>) {
        let key = self.key(dir, name);
        self.oracle.unsure.insert(key.clone());
        let Some(ino) = self.ino_of_dir(dir).await else { return };
        for _ in 0..3 {
            let attr = self.tree.lookup(ino, name).await.unwrap();
            if let Some(attr) = attr {
                *self.lookups.entry(attr.ino).or_default() += 1;
            }
            let known = self.model.find(dir, name);
            let Some(attr) = attr.filter(|attr| attr.kind == Kind::File) else {
                let is_dir = |id: Id| self.model.is_dir(id);
                if known.map(is_dir) != attr.map(|_| true) {
                    let _ = self.adopt(dir, name, attr, |_, _| false);
                }
                return;
            };
            if let Some(source) = source
                && self.about[&source].is_made
                && self.inos.get(&source) == Some(&attr.ino)
            {
                // It has moved, or stayed where it was.
                for (dir, name) in self.model.places(source) {
                    self.model.entries_mut(dir).remove(&name);
                }
                if let Some(before) = self.model.entries_mut(dir).insert(name.to_owned(), source)
                    && before != source
                {
                    self.model.nodes[before].names -= 1;
                }
                return;
            }
            let handle = match self.tree.open_ino(attr.ino, Default::default()).await {
                Ok(handle) => handle,
                Err(_) => continue,
            };
            let bytes = self.tree.pread(handle, 0, 1 << 26).await;
            self.tree.fs.release_file(handle);
            let Ok(bytes) = bytes else { continue };
            let is_kept = known.is_some_and(|id| {
                self.model.is_file(id)
                    && self.model.bytes(id) == bytes
                    && (!self.about[&id].is_made || self.inos.get(&id) == Some(&attr.ino))
            });
            if !is_kept {
                self.adopt(dir, name, Some(attr), |_, object| bytes_of(object) == bytes);
            }
            let id = self.model.find(dir, name).unwrap();
            self.inos.insert(id, attr.ino);
            return;
        }
    }

    /// Takes over which files are not in the bucket.
    pub(super) fn sync_pending(&mut self) {
        let pending: HashMap<String, Pending> =
            self.tree.pending().into_iter().map(|file| (file.path.clone(), file)).collect();
        for id in 0..self.model.nodes.len() {
            if !self.is_remote(id) || !self.about[&id].is_made {
                continue;
            }
            let key = self.key_of(id);
            let etag = self.oracle.etag(&key);
            let file = self.about.get_mut(&id).unwrap();
            match pending.get(&key) {
                Some(pending) => (file.is_dirty, file.is_conflict) = (true, pending.is_conflict()),
                None if file.is_dirty => {
                    *file =
                        File { seen: etag, is_dirty: false, is_conflict: false, ..file.clone() };
                }
                None => {}
            }
        }
    }

    /// The files that are not in the bucket are those that the mount tells of.
    pub(super) fn check_pending(&self) {
        let pending = self.tree.pending();
        let told: BTreeSet<_> = pending
            .iter()
            .map(|file| (file.path.clone(), file.bytes, file.is_conflict(), file.is_open))
            .collect();
        let files = (0..self.model.nodes.len()).filter(|id| self.is_remote(*id));
        let dirty = files.filter(|id| self.about[id].is_dirty);
        let of = |id: Id| {
            let is_conflict = self.about[&id].is_conflict;
            (self.key_of(id), self.model.size(id), is_conflict, self.may_go_on(id))
        };
        let expected: BTreeSet<_> = dirty.map(of).collect();
        assert_eq!(told, expected, "what is not in the bucket");
    }

    // Listing.

    /// Lists a directory, and takes over what others changed in it.
    pub(super) async fn list(&mut self, dir: Id, at_once: usize, plus: bool) {
        let Some(ino) = self.ino_of_dir(dir).await else { return };
        let handle = self.tree.fs.open_dir(ino, 1).unwrap();
        let mut sink = Sink { room: at_once, ..Sink::default() };
        while self.tree.list_on(handle, plus, &mut sink).await {
            sink.room = at_once;
        }
        self.tree.fs.release_dir(handle);
        let mut names = BTreeSet::new();
        for entry in &sink.entries[2..] {
            assert!(names.insert(entry.name.clone()), "{:?} is listed twice", entry.name);
            if plus {
                *self.lookups.entry(entry.ino).or_default() += 1;
            }
            if let Some(id) = self.model.find(dir, &entry.name)
                && !self.is_unsure(&self.key(dir, &entry.name))
            {
                let expected = (self.model.is_dir(id), self.model.size(id));
                assert_eq!((entry.is_dir, entry.size), expected, "{:?} as listed", entry.name);
            }
        }
        let known = self.model.entries(dir).keys().cloned().collect();
        for name in names.symmetric_difference(&known) {
            let key = self.key(dir, name);
            assert!(self.is_unsure(&key), "{key:?} is listed: {}", names.contains(name));
            self.look_up(dir, name).await;
        }
    }

    pub(super) fn forget_all(&mut self) {
        let mut stay: HashSet<u64> = self.files.iter().map(|file| file.ino).collect();
        if !self.files.is_empty() {
            let dirs = self.model.dirs();
            stay.extend(dirs.iter().filter_map(|dir| self.inos.get(dir)));
        }
        let fs = &self.tree.fs;
        self.lookups.retain(|ino, count| {
            let stays = stay.contains(ino);
            if !stays {
                fs.forget(*ino, *count);
            }
            stays
        });
        let lookups = &self.lookups;
        self.inos.retain(|id, ino| *id == ROOT || lookups.contains_key(ino));
    }

    /// The kernel was told of something that was made.
    pub(super) fn entered(&mut self, id: Id, attr: Attr) {
        *self.lookups.entry(attr.ino).or_default() += 1;
        self.inos.insert(id, attr.ino);
        assert_eq!((attr.kind, attr.size), (self.model.kind(id), self.model.size(id)));
    }

    /// Holds what a step did to the bucket against what it was to do.
    pub(super) fn account<T>(&mut self, changes: &[Change], outcome: &Outcome<T>, failed: bool) {
        match outcome {
            Outcome::Done(_) => self.oracle.account(changes, Extent::Done, None),
            Outcome::Failed => self.oracle.account(changes, Extent::Some, None),
            Outcome::Refused(_) if failed => self.oracle.account(changes, Extent::Some, None),
            Outcome::Refused(_) => {
                let untouched: Vec<Change> = changes
                    .iter()
                    .map(|change| {
                        let now = self.oracle.objects.get(&change.key);
                        Change { bytes: now.map(|object| bytes_of(object)), ..change.clone() }
                    })
                    .collect();
                self.oracle.account(&untouched, Extent::Some, None);
            }
        }
    }
}
