//! The kernel's part: does each step to the file system and to the model, and
//! compares what comes of it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsStr;

use proptest::sample::Index;
use s3mem::fs::{AttrChange, Kind, Maker, NewNode, OpenHow, RenameHow};

use super::steps::Step;
use crate::harness::kernelless::{Listed, Sink, Tree};
use crate::harness::plain_tree::{At, Body, GID, Id, Model, ROOT, UID, both};

const MOST_OPEN: usize = 8;

/// A file that stays open.
struct OpenFile {
    handle: u64,
    id: Id,
    writes: bool,
}

/// A listing that goes on while other things happen.
struct OpenDir {
    handle: u64,
    id: Id,
    sink: Sink,
    /// Names that were there from the start.
    stayed: BTreeSet<String>,
    /// Names that were taken away or given since the start.
    disturbed: BTreeSet<String>,
}

pub(super) struct Driver {
    tree: Tree,
    model: Model,
    /// The inode number of each thing, as soon as it was seen; never another one.
    inos: HashMap<Id, u64>,
    ids: HashMap<u64, Id>,
    /// How many look-ups the kernel has of each.
    lookups: HashMap<Id, u64>,
    files: Vec<OpenFile>,
    dirs: Vec<OpenDir>,
    written: u8,
}

impl Driver {
    pub(super) fn new(tree: Tree, model: Model) -> Self {
        Driver {
            tree,
            model,
            inos: HashMap::from([(ROOT, s3mem::fs::ROOT)]),
            ids: HashMap::from([(s3mem::fs::ROOT, ROOT)]),
            lookups: HashMap::new(),
            files: Vec::new(),
            dirs: Vec::new(),
            written: 0,
        }
    }

    pub(super) async fn step(&mut self, step: Step) {
        match step {
            Step::Create(at, mode, is_kept) => self.create(&at, mode, is_kept).await,
            Step::Mkdir(at, mode) => {
                self.make(&at, Body::Dir(Default::default()), NewNode::Dir, mode).await;
            }
            Step::Symlink(at, target) => {
                let node = NewNode::Symlink(target.clone());
                self.make(&at, Body::Symlink(target), node, 0o777).await;
            }
            Step::Fifo(at) => self.make(&at, Body::Fifo, NewNode::Fifo, 0o600).await,
            Step::Open { at, writes, truncates } => self.open(&at, writes, truncates).await,
            Step::Write { file, offset, length } => self.write(file, offset, length),
            Step::Read { file, offset, length } => self.read(file, offset, length).await,
            Step::Close(file) => {
                if !self.files.is_empty() {
                    let file = self.files.swap_remove(file.index(self.files.len()));
                    self.tree.fs.release_file(file.handle);
                }
            }
            Step::Resize(at, size) => {
                if let Some(id) = self.look(&at).await.2 {
                    self.resize(id, size).await;
                }
            }
            Step::ResizeOpen(file, size) => {
                if let Some(id) = self.open_id(file) {
                    self.resize(id, size).await;
                }
            }
            Step::Chmod(at, mode) => {
                if let Some(id) = self.look(&at).await.2 {
                    self.chmod(id, mode).await;
                }
            }
            Step::ChmodOpen(file, mode) => {
                if let Some(id) = self.open_id(file) {
                    self.chmod(id, mode).await;
                }
            }
            Step::StatOpen(file) => {
                if let Some(id) = self.open_id(file) {
                    self.stat(id);
                }
            }
            Step::Unlink(at) => {
                let (dir, name, _) = self.look(&at).await;
                self.unlink(dir, &name).await;
            }
            Step::Rmdir(at) => {
                let (dir, name, _) = self.look(&at).await;
                self.rmdir(dir, &name).await;
            }
            Step::RemoveAll(at) => {
                if let (dir, name, Some(id)) = self.look(&at).await
                    && self.model.is_dir(id)
                {
                    self.remove_all(dir, &name, id).await;
                }
            }
            Step::Rename(from, to, how) => self.rename(&from, &to, how).await,
            Step::Link(from, to) => self.link(&from, &to).await,
            Step::ReadLink(at) => {
                if let Some(id) = self.look(&at).await.2 {
                    self.read_link(id);
                }
            }
            Step::LookUp(at) => drop(self.look(&At { is_cached: false, ..at }).await),
            Step::List { dir, at_once, plus } => {
                let dirs = self.model.dirs();
                self.list(dirs[dir.index(dirs.len())], at_once, plus).await;
            }
            Step::OpenDir(dir) => {
                let dirs = self.model.dirs();
                self.open_dir(dirs[dir.index(dirs.len())]).await;
            }
            Step::ListOn { open, at_once, plus } => {
                if !self.dirs.is_empty() {
                    let open = open.index(self.dirs.len());
                    self.list_on(open, at_once, plus).await;
                }
            }
            Step::ForgetAll => self.forget_all(),
        }
    }

    /// Compares everything, and lets go of it.
    pub(super) async fn finish(&mut self) {
        self.compare(ROOT).await;
        for file in 0..self.files.len() {
            let OpenFile { handle, id, .. } = self.files[file];
            self.read_all(handle, id).await;
            self.stat(id);
            self.tree.fs.release_file(handle);
        }
        self.files.clear();
        while !self.dirs.is_empty() {
            self.list_on(0, 3, true).await;
        }
        self.forget_all();
        self.compare(ROOT).await;
        self.forget_all();
        assert_eq!(self.tree.fs.inode_count(), 1, "inodes that nobody knows are kept");
    }

    async fn compare(&mut self, dir: Id) {
        self.list(dir, 3, false).await;
        self.list(dir, 4, true).await;
        for (name, id) in self.model.entries(dir).clone() {
            let found = self.look_up(dir, &name).await;
            assert_eq!(found, Some(id), "{name:?}");
            self.read_link(id);
            if self.model.is_dir(id) {
                Box::pin(self.compare(id)).await;
            } else if self.model.is_file(id) {
                let opened = self.tree.open_ino(self.inos[&id], OpenHow::default()).await;
                let handle = opened.unwrap_or_else(|error| panic!("open {name:?}: {error}"));
                self.read_all(handle, id).await;
                self.tree.fs.release_file(handle);
            }
        }
    }

    // Looking things up.

    /// The place that is meant, and what is there.
    async fn look(&mut self, at: &At) -> (Id, String, Option<Id>) {
        let (dir, name) = self.model.meant(at);
        let known = self.model.find(dir, &name);
        let id = match known.filter(|id| at.is_cached && self.lookups.contains_key(id)) {
            Some(id) => Some(id),
            None => self.look_up(dir, &name).await,
        };
        (dir, name, id)
    }

    /// Looks a name up, and all directories above it that the kernel does not know.
    async fn look_up(&mut self, dir: Id, name: &str) -> Option<Id> {
        let ino = self.ino_of_dir(dir).await;
        let found = self.tree.lookup(ino, name).await;
        let attr = found.unwrap_or_else(|error| panic!("looking up {name:?}: {error}"));
        let id = self.model.find(dir, name);
        assert_eq!(attr.is_some(), id.is_some(), "looking up {name:?} in {dir}");
        let (attr, id) = (attr?, id?);
        self.entered(id, attr);
        Some(id)
    }

    async fn ino_of_dir(&mut self, dir: Id) -> u64 {
        if dir != ROOT && !self.lookups.contains_key(&dir) {
            let (above, name) = self.model.place(dir).unwrap();
            Box::pin(self.look_up(above, &name)).await;
        }
        self.inos[&dir]
    }

    /// The file system told of something, and counted that.
    fn entered(&mut self, id: Id, attr: s3mem::fs::Attr) {
        *self.lookups.entry(id).or_default() += 1;
        self.check(id, &attr);
    }

    fn check_ino(&mut self, id: Id, ino: u64) {
        assert_eq!(*self.inos.entry(id).or_insert(ino), ino, "node {id} has another number");
        assert_eq!(*self.ids.entry(ino).or_insert(id), id, "two things have one number");
    }

    fn check(&mut self, id: Id, attr: &s3mem::fs::Attr) {
        self.check_ino(id, attr.ino);
        let node = &self.model.nodes[id];
        let expected =
            (self.model.kind(id), self.model.size(id), self.model.links(id), node.mode, node.uid);
        let found = (attr.kind, attr.size, attr.nlink, attr.of.mode, attr.of.uid);
        assert_eq!(found, expected, "attributes of {id}: kind, size, links, mode, user");
        assert_eq!(attr.of.gid, node.gid, "group of {id}");
    }

    fn stat(&mut self, id: Id) {
        let (attr, _) = self.tree.fs.getattr(self.inos[&id]).unwrap();
        self.check(id, &attr);
    }

    fn forget_all(&mut self) {
        // What is open keeps its directory entries, and those all above them.
        let mut pinned: HashSet<Id> = HashSet::new();
        let open = self.files.iter().map(|file| file.id).chain(self.dirs.iter().map(|dir| dir.id));
        let mut left: Vec<Id> = open.collect();
        while let Some(id) = left.pop() {
            if pinned.insert(id) {
                left.extend(self.model.places(id).into_iter().map(|(dir, _)| dir));
            }
        }
        let (tree, inos) = (&self.tree, &self.inos);
        self.lookups.retain(|id, count| {
            let stays = pinned.contains(id);
            if !stays {
                tree.fs.forget(inos[id], *count);
            }
            stays
        });
    }

    // Changing names.

    async fn make(&mut self, at: &At, body: Body, node: NewNode, mode: u16) {
        let (dir, name, _) = self.look(at).await;
        let ino = self.ino_of_dir(dir).await;
        let maker = Maker { uid: UID, gid: GID, mode, thread: 0 };
        let made = self.tree.fs.make(ino, OsStr::new(&name), node, maker).await;
        let expected = self.model.make(dir, &name, body, mode);
        if let Some((id, (attr, _))) = both(made, expected, &name) {
            self.disturb(dir, &name);
            self.entered(id, attr);
        }
    }

    async fn create(&mut self, at: &At, mode: u16, is_kept: bool) {
        let (dir, name, _) = self.look(at).await;
        let ino = self.ino_of_dir(dir).await;
        let maker = Maker { uid: UID, gid: GID, mode, thread: 0 };
        let made = self.tree.fs.create(ino, OsStr::new(&name), maker).await;
        let expected = self.model.make(dir, &name, Body::File(Vec::new()), mode);
        if let Some((id, (attr, _, opened))) = both(made, expected, &name) {
            self.disturb(dir, &name);
            self.entered(id, attr);
            self.keep(OpenFile { handle: opened.handle, id, writes: true }, is_kept);
        }
    }

    async fn unlink(&mut self, dir: Id, name: &str) {
        let ino = self.ino_of_dir(dir).await;
        let done = self.tree.fs.unlink(ino, OsStr::new(name)).await;
        let expected = self.model.unlink(dir, name);
        if both(done, expected, name).is_some() {
            self.disturb(dir, name);
        }
    }

    async fn rmdir(&mut self, dir: Id, name: &str) {
        let id = self.model.find(dir, name);
        let ino = self.ino_of_dir(dir).await;
        let done = self.tree.fs.rmdir(ino, OsStr::new(name)).await;
        let expected = self.model.rmdir(dir, name);
        if both(done, expected, name).is_some() {
            self.disturb(dir, name);
            self.removed(id);
        }
    }

    async fn remove_all(&mut self, dir: Id, name: &str, id: Id) {
        for (below, entry) in self.model.entries(id).clone() {
            self.look_up(id, &below).await;
            match self.model.is_dir(entry) {
                true => Box::pin(self.remove_all(id, &below, entry)).await,
                false => self.unlink(id, &below).await,
            }
        }
        self.rmdir(dir, name).await;
    }

    async fn rename(&mut self, from: &At, to: &At, how: RenameHow) {
        let (from_dir, from_name, source) = self.look(from).await;
        let (to_dir, to_name, target) = self.look(to).await;
        let (from_ino, to_ino) = (self.ino_of_dir(from_dir).await, self.ino_of_dir(to_dir).await);
        // The kernel refuses these by itself.
        let is_loop = |moved: Option<Id>, dir| {
            moved.is_some_and(|id| self.model.is_dir(id) && self.model.is_within(dir, id))
        };
        if is_loop(source, to_dir) || is_loop(target, from_dir) {
            return;
        }
        let (from, to) = ((from_ino, OsStr::new(&from_name)), (to_ino, OsStr::new(&to_name)));
        let done = self.tree.fs.rename(from, to, how).await;
        let (from, to) = ((from_dir, from_name.as_str()), (to_dir, to_name.as_str()));
        let expected = self.model.rename(from, to, how);
        if both(done, expected, (from, to, how)).is_some() && source != target {
            if how != RenameHow::Exchange {
                self.disturb(from.0, from.1);
                self.removed(target.filter(|id| self.model.is_dir(*id)));
            }
            // A name that is replaced is there all the time.
            if target.is_none() {
                self.disturb(to.0, to.1);
            }
        }
    }

    async fn link(&mut self, from: &At, to: &At) {
        let (_, _, source) = self.look(from).await;
        let (dir, name, _) = self.look(to).await;
        let Some(source) = source else { return };
        let ino = self.ino_of_dir(dir).await;
        let done = self.tree.fs.link(self.inos[&source], ino, OsStr::new(&name)).await;
        let expected = self.model.link(source, dir, &name);
        if let Some(((), (attr, _))) = both(done, expected, &name) {
            self.disturb(dir, &name);
            self.entered(source, attr);
        }
    }

    fn read_link(&mut self, id: Id) {
        let target = self.tree.fs.read_link(self.inos[&id]);
        let expected = match &self.model.nodes[id].body {
            Body::Symlink(target) => Ok(target.clone()),
            _ => Err(libc::EINVAL),
        };
        assert_eq!(target.map_err(|error| error.errno()), expected);
    }

    // Files.

    fn open_id(&self, file: Index) -> Option<Id> {
        (!self.files.is_empty()).then(|| self.files[file.index(self.files.len())].id)
    }

    fn keep(&mut self, file: OpenFile, is_kept: bool) {
        match is_kept && self.files.len() < MOST_OPEN {
            true => self.files.push(file),
            false => self.tree.fs.release_file(file.handle),
        }
    }

    async fn open(&mut self, at: &At, writes: bool, truncates: bool) {
        let Some(id) = self.look(at).await.2 else { return };
        if !matches!(self.model.kind(id), Kind::File | Kind::Dir) {
            return;
        }
        let how = OpenHow { writes, truncates, thread: 0 };
        let opened = self.tree.open_ino(self.inos[&id], how).await;
        let expected = if self.model.is_dir(id) { Err(libc::EISDIR) } else { Ok(()) };
        if let Some(((), handle)) = both(opened, expected, at) {
            if truncates {
                self.model.bytes_mut(id).clear();
            }
            self.stat(id);
            self.keep(OpenFile { handle, id, writes }, true);
        }
    }

    fn write(&mut self, file: Index, offset: u64, length: usize) {
        let open: Vec<_> = self.files.iter().filter(|file| file.writes).collect();
        if open.is_empty() {
            return;
        }
        let OpenFile { handle, id, .. } = *open[file.index(open.len())];
        self.written = self.written.wrapping_add(41);
        let bytes: Vec<u8> = (0..length).map(|at| self.written.wrapping_add(at as u8)).collect();
        self.tree.fs.write(handle, offset, &bytes).unwrap();
        let (model, start) = (self.model.bytes_mut(id), offset as usize);
        model.resize(model.len().max(start + length), 0);
        model[start..start + length].copy_from_slice(&bytes);
        self.stat(id);
    }

    async fn read(&mut self, file: Index, offset: u64, length: usize) {
        if self.files.is_empty() {
            return;
        }
        let OpenFile { handle, id, .. } = self.files[file.index(self.files.len())];
        let bytes = self.tree.pread(handle, offset, length).await;
        let behind = self.model.bytes(id).get(offset as usize..).unwrap_or_default();
        assert_eq!(bytes.unwrap(), behind[..behind.len().min(length)], "{id} from {offset} on");
    }

    async fn read_all(&self, handle: u64, id: Id) {
        let bytes = self.tree.pread(handle, 0, 1 << 20).await.unwrap();
        assert!(bytes == self.model.bytes(id), "the bytes of {id}");
    }

    async fn resize(&mut self, id: Id, size: u64) {
        if !matches!(self.model.kind(id), Kind::File | Kind::Dir) {
            return;
        }
        let change = AttrChange { size: Some(size), ..AttrChange::default() };
        let done = self.tree.fs.set_attr(self.inos[&id], change).await;
        let expected = if self.model.is_dir(id) { Err(libc::EISDIR) } else { Ok(()) };
        if let Some(((), (attr, _))) = both(done, expected, id) {
            self.model.bytes_mut(id).resize(size as usize, 0);
            self.check(id, &attr);
        }
    }

    async fn chmod(&mut self, id: Id, mode: u16) {
        let change = AttrChange { mode: Some(mode), ..AttrChange::default() };
        let (attr, _) = self.tree.fs.set_attr(self.inos[&id], change).await.unwrap();
        self.model.nodes[id].mode = mode;
        self.check(id, &attr);
    }

    // Listing.

    async fn list(&mut self, dir: Id, at_once: usize, plus: bool) {
        let ino = self.ino_of_dir(dir).await;
        let handle = self.tree.fs.open_dir(ino, 1).unwrap();
        let mut sink = Sink { room: at_once, ..Sink::default() };
        while self.tree.list_on(handle, plus, &mut sink).await {
            sink.room = at_once;
        }
        self.tree.fs.release_dir(handle);
        let above = self.model.place(dir).map_or(ROOT, |(above, _)| above);
        let dots: Vec<_> = sink.entries.iter().take(2).map(|entry| entry.ino).collect();
        assert_eq!(dots, [self.inos[&dir], self.inos[&above]], "the numbers of . and ..");
        let mut names = BTreeSet::new();
        for entry in &sink.entries[2..] {
            assert!(names.insert(entry.name.clone()), "{:?} is listed twice", entry.name);
            self.listed(dir, entry, plus);
        }
        let expected: BTreeSet<_> = self.model.entries(dir).keys().cloned().collect();
        assert_eq!(names, expected, "the names in {dir}");
    }

    fn listed(&mut self, dir: Id, entry: &Listed, plus: bool) {
        let id = self.model.find(dir, &entry.name);
        let id = id.unwrap_or_else(|| panic!("{:?} is listed and not there", entry.name));
        if plus {
            *self.lookups.entry(id).or_default() += 1;
        }
        self.check_ino(id, entry.ino);
        let expected = (self.model.is_dir(id), self.model.size(id));
        assert_eq!((entry.is_dir, entry.size), expected, "{:?} as it is listed", entry.name);
    }

    async fn open_dir(&mut self, dir: Id) {
        if self.dirs.len() == MOST_OPEN {
            return;
        }
        let ino = self.ino_of_dir(dir).await;
        let handle = self.tree.fs.open_dir(ino, 1).unwrap();
        let stayed = self.model.entries(dir).keys().cloned().collect();
        let (sink, disturbed) = (Sink::default(), BTreeSet::new());
        self.dirs.push(OpenDir { handle, id: dir, sink, stayed, disturbed });
    }

    async fn list_on(&mut self, open: usize, at_once: usize, plus: bool) {
        let OpenDir { handle, id, sink, .. } = &mut self.dirs[open];
        let (id, before) = (*id, sink.entries.len());
        sink.room = at_once;
        if self.tree.list_on(*handle, plus, sink).await {
            let entries = self.dirs[open].sink.entries[before..].to_vec();
            for (entry, _) in entries.iter().zip(before..).filter(|(_, number)| *number >= 2) {
                self.listed(id, entry, plus);
            }
            assert!(self.dirs[open].sink.entries.len() < 1000, "a listing without an end");
            return;
        }
        let OpenDir { handle, sink, stayed, disturbed, .. } = self.dirs.swap_remove(open);
        self.tree.fs.release_dir(handle);
        for name in stayed.difference(&disturbed) {
            let times = sink.entries.iter().skip(2).filter(|entry| entry.name == *name).count();
            assert_eq!(times, 1, "{name:?} was there all the time");
        }
    }

    /// Notes that a name came or went.
    fn disturb(&mut self, dir: Id, name: &str) {
        for open in self.dirs.iter_mut().filter(|open| open.id == dir) {
            open.disturbed.insert(name.to_owned());
        }
    }

    /// Of a directory that is gone the kernel lists nothing any more.
    fn removed(&mut self, dir: Option<Id>) {
        let tree = &self.tree;
        self.dirs.retain(|open| {
            let stays = Some(open.id) != dir;
            if !stays {
                tree.fs.release_dir(open.handle);
            }
            stays
        });
    }
}
