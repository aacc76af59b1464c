//! What the models of writing share: a file system as plainly as it can be written
//! down, the names in it that steps mean, and how an outcome is compared with it.

use std::collections::BTreeMap;
use std::fmt::Debug;

use proptest::prelude::*;
use proptest::sample::Index;
use s3mem::fs::{FsError, Kind, RenameHow};

use crate::harness::keys::{model_path, name};

/// Which node; never used again for another.
pub(crate) type Id = usize;
pub(crate) const ROOT: Id = 0;

pub(crate) const UID: u32 = 5;
pub(crate) const GID: u32 = 6;
const SET_GROUP: u16 = 0o2000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body {
    Dir(BTreeMap<String, Id>),
    File(Vec<u8>),
    Symlink(String),
    Fifo,
}

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) body: Body,
    pub(crate) mode: u16,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// How many names it has.
    pub(crate) names: u32,
}

#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) nodes: Vec<Node>,
}

impl Model {
    /// The tree that a bucket is shown as.
    pub(crate) fn of(objects: &BTreeMap<String, String>) -> Model {
        let root = Node { mode: 0o555, ..of_bucket(Body::Dir(BTreeMap::new())) };
        let mut model = Model { nodes: vec![root] };
        for (key, text) in objects {
            let mut dir = ROOT;
            for segment in key.split('/').rev().skip(1).collect::<Vec<_>>().into_iter().rev() {
                let name = name(segment);
                dir = match model.find(dir, &name) {
                    Some(id) => id,
                    None => {
                        let node = of_bucket(Body::Dir(BTreeMap::new()));
                        model.add(dir, &name, Node { mode: 0o555, ..node })
                    }
                };
            }
            if let Some(path) = model_path(objects, key) {
                let last = path.rsplit('/').next().unwrap_or_default();
                model.add(dir, last, of_bucket(Body::File(text.clone().into_bytes())));
            }
        }
        model
    }

    pub(crate) fn entries(&self, dir: Id) -> &BTreeMap<String, Id> {
        match &self.nodes[dir].body {
            Body::Dir(entries) => entries,
            other => panic!("no directory: {other:?}"),
        }
    }

    pub(crate) fn entries_mut(&mut self, dir: Id) -> &mut BTreeMap<String, Id> {
        match &mut self.nodes[dir].body {
            Body::Dir(entries) => entries,
            other => panic!("no directory: {other:?}"),
        }
    }

    pub(crate) fn bytes_mut(&mut self, file: Id) -> &mut Vec<u8> {
        match &mut self.nodes[file].body {
            Body::File(bytes) => bytes,
            other => panic!("no file: {other:?}"),
        }
    }

    pub(crate) fn bytes(&self, file: Id) -> &[u8] {
        match &self.nodes[file].body {
            Body::File(bytes) => bytes,
            other => panic!("no file: {other:?}"),
        }
    }

    pub(crate) fn is_dir(&self, id: Id) -> bool {
        matches!(self.nodes[id].body, Body::Dir(_))
    }

    pub(crate) fn is_file(&self, id: Id) -> bool {
        matches!(self.nodes[id].body, Body::File(_))
    }

    pub(crate) fn kind(&self, id: Id) -> Kind {
        match &self.nodes[id].body {
            Body::Dir(_) => Kind::Dir,
            Body::File(_) => Kind::File,
            Body::Symlink(_) => Kind::Symlink,
            Body::Fifo => Kind::Fifo,
        }
    }

    pub(crate) fn size(&self, id: Id) -> u64 {
        match &self.nodes[id].body {
            Body::Dir(_) | Body::Fifo => 0,
            Body::File(bytes) => bytes.len() as u64,
            Body::Symlink(target) => target.len() as u64,
        }
    }

    /// The count of links as `stat` shows it.
    pub(crate) fn links(&self, id: Id) -> u32 {
        match self.nodes[id].names {
            0 => 0,
            _ if self.is_dir(id) => 2,
            names => names,
        }
    }

    pub(crate) fn find(&self, dir: Id, name: &str) -> Option<Id> {
        self.entries(dir).get(name).copied()
    }

    /// All directories that have a name, the root first.
    pub(crate) fn dirs(&self) -> Vec<Id> {
        let dirs = 0..self.nodes.len();
        dirs.filter(|id| self.is_dir(*id) && self.nodes[*id].names > 0).collect()
    }

    /// The directory that contains another, and its name there.
    pub(crate) fn place(&self, dir: Id) -> Option<(Id, String)> {
        self.places(dir).into_iter().next()
    }

    /// All names that something has.
    pub(crate) fn places(&self, id: Id) -> Vec<(Id, String)> {
        let mut places = Vec::new();
        for dir in self.dirs() {
            let names = self.entries(dir).iter().filter(|(_, entry)| **entry == id);
            places.extend(names.map(|(name, _)| (dir, name.clone())));
        }
        places
    }

    /// Whether `dir` is `other` or somewhere below it.
    pub(crate) fn is_within(&self, mut dir: Id, other: Id) -> bool {
        loop {
            if dir == other {
                return true;
            }
            match self.place(dir) {
                Some((above, _)) => dir = above,
                None => return false,
            }
        }
    }

    /// The directory and the name that are meant.
    pub(crate) fn meant(&self, at: &At) -> (Id, String) {
        let dirs = self.dirs();
        let dir = dirs[at.dir.index(dirs.len())];
        let entries = self.entries(dir);
        let name = match &at.name {
            Name::Old(index) if !entries.is_empty() => {
                entries.keys().nth(index.index(entries.len())).cloned().unwrap_or_default()
            }
            Name::Old(_) => "n".to_owned(),
            Name::Any(name) => name.clone(),
        };
        (dir, name)
    }

    pub(crate) fn add(&mut self, dir: Id, name: &str, node: Node) -> Id {
        let id = self.nodes.len();
        self.nodes.push(node);
        self.entries_mut(dir).insert(name.to_owned(), id);
        id
    }

    pub(crate) fn make(&mut self, dir: Id, name: &str, body: Body, mode: u16) -> Result<Id, i32> {
        if self.find(dir, name).is_some() {
            return Err(libc::EEXIST);
        }
        let mut node = Node { body, mode, uid: UID, gid: GID, names: 1 };
        if self.nodes[dir].mode & SET_GROUP != 0 {
            node.gid = self.nodes[dir].gid;
            if matches!(node.body, Body::Dir(_)) {
                node.mode |= SET_GROUP;
            }
        }
        Ok(self.add(dir, name, node))
    }

    pub(crate) fn unlink(&mut self, dir: Id, name: &str) -> Result<(), i32> {
        let id = self.find(dir, name).ok_or(libc::ENOENT)?;
        if self.is_dir(id) {
            return Err(libc::EISDIR);
        }
        self.entries_mut(dir).remove(name);
        self.nodes[id].names -= 1;
        Ok(())
    }

    pub(crate) fn rmdir(&mut self, dir: Id, name: &str) -> Result<(), i32> {
        let id = self.find(dir, name).ok_or(libc::ENOENT)?;
        if !self.is_dir(id) {
            return Err(libc::ENOTDIR);
        }
        if !self.entries(id).is_empty() {
            return Err(libc::ENOTEMPTY);
        }
        self.entries_mut(dir).remove(name);
        self.nodes[id].names -= 1;
        Ok(())
    }

    pub(crate) fn rename(
        &mut self,
        from: (Id, &str),
        to: (Id, &str),
        how: RenameHow,
    ) -> Result<(), i32> {
        let source = self.find(from.0, from.1).ok_or(libc::ENOENT)?;
        let target = self.find(to.0, to.1);
        match (target, how) {
            (Some(_), RenameHow::Keep) => return Err(libc::EEXIST),
            (None, RenameHow::Exchange) => return Err(libc::ENOENT),
            (Some(target), RenameHow::Exchange) => {
                self.entries_mut(from.0).insert(from.1.to_owned(), target);
                self.entries_mut(to.0).insert(to.1.to_owned(), source);
                return Ok(());
            }
            (Some(target), RenameHow::Replace) if target == source => return Ok(()),
            (Some(target), RenameHow::Replace) => {
                match (self.is_dir(source), self.is_dir(target)) {
                    (false, true) => return Err(libc::EISDIR),
                    (true, false) => return Err(libc::ENOTDIR),
                    (true, true) if !self.entries(target).is_empty() => {
                        return Err(libc::ENOTEMPTY);
                    }
                    _ => {}
                }
                self.nodes[target].names -= 1;
            }
            (None, _) => {}
        }
        self.entries_mut(from.0).remove(from.1);
        self.entries_mut(to.0).insert(to.1.to_owned(), source);
        Ok(())
    }

    pub(crate) fn link(&mut self, id: Id, dir: Id, name: &str) -> Result<(), i32> {
        if self.find(dir, name).is_some() {
            return Err(libc::EEXIST);
        }
        if self.is_dir(id) {
            return Err(libc::EPERM);
        }
        self.entries_mut(dir).insert(name.to_owned(), id);
        self.nodes[id].names += 1;
        Ok(())
    }
}

pub(crate) fn of_bucket(body: Body) -> Node {
    Node { body, mode: 0o444, uid: 1000, gid: 100, names: 1 }
}

/// A name in a directory, there or not.
#[derive(Debug, Clone)]
pub(crate) struct At {
    /// Which directory.
    pub(crate) dir: Index,
    pub(crate) name: Name,
    /// Whether the kernel believes look-ups that it made before.
    pub(crate) is_cached: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Name {
    /// One of those that the directory has.
    Old(Index),
    /// Any.
    Any(String),
}

/// A name that is there with the weight `old`, and one of `names` with the other.
pub(crate) fn at(
    (old, any_name): (u32, u32),
    names: impl Strategy<Value = String>,
) -> impl Strategy<Value = At> {
    let name = prop_oneof![
        old => any::<Index>().prop_map(Name::Old),
        any_name => names.prop_map(Name::Any),
    ];
    (any::<Index>(), name, any::<bool>()).prop_map(|(dir, name, is_cached)| At {
        dir,
        name,
        is_cached,
    })
}

/// What came of a step, if it went as the model says.
pub(crate) fn both<T, U>(
    done: Result<T, FsError>,
    expected: Result<U, i32>,
    what: impl Debug,
) -> Option<(U, T)> {
    match (done, expected) {
        (Ok(done), Ok(expected)) => Some((expected, done)),
        (Err(error), Err(errno)) if error.errno() == errno => None,
        (done, expected) => panic!(
            "{what:?}: {:?} and not {:?}",
            done.map(drop).map_err(|error| error.to_string()),
            expected.map(drop)
        ),
    }
}

/// So many cases unless PROPTEST_CASES asks for others.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    let config = ProptestConfig::default();
    let is_asked_for = std::env::var_os("PROPTEST_CASES").is_some();
    ProptestConfig { cases: if is_asked_for { config.cases } else { cases }, ..config }
}

/// Runs a case by itself, on this thread.
pub(crate) fn run_alone(case: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(case);
}
