//! The model: a file system as plainly as it can be written down.

use std::collections::BTreeMap;

use s3mem::fs::{Kind, RenameHow};

use crate::model::{model_path, name};

/// Which node; never used again for another.
pub(super) type Id = usize;
pub(super) const ROOT: Id = 0;

pub(super) const UID: u32 = 5;
pub(super) const GID: u32 = 6;
const SET_GROUP: u16 = 0o2000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    Dir(BTreeMap<String, Id>),
    File(Vec<u8>),
    Symlink(String),
    Fifo,
}

#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) body: Body,
    pub(super) mode: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// How many names it has.
    pub(super) names: u32,
}

#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) nodes: Vec<Node>,
}

impl Model {
    /// The tree that a bucket is shown as.
    pub(super) fn of(objects: &BTreeMap<String, String>) -> Model {
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

    pub(super) fn entries(&self, dir: Id) -> &BTreeMap<String, Id> {
        match &self.nodes[dir].body {
            Body::Dir(entries) => entries,
            other => panic!("no directory: {other:?}"),
        }
    }

    fn entries_mut(&mut self, dir: Id) -> &mut BTreeMap<String, Id> {
        match &mut self.nodes[dir].body {
            Body::Dir(entries) => entries,
            other => panic!("no directory: {other:?}"),
        }
    }

    pub(super) fn bytes_mut(&mut self, file: Id) -> &mut Vec<u8> {
        match &mut self.nodes[file].body {
            Body::File(bytes) => bytes,
            other => panic!("no file: {other:?}"),
        }
    }

    pub(super) fn bytes(&self, file: Id) -> &[u8] {
        match &self.nodes[file].body {
            Body::File(bytes) => bytes,
            other => panic!("no file: {other:?}"),
        }
    }

    pub(super) fn is_dir(&self, id: Id) -> bool {
        matches!(self.nodes[id].body, Body::Dir(_))
    }

    pub(super) fn is_file(&self, id: Id) -> bool {
        matches!(self.nodes[id].body, Body::File(_))
    }

    pub(super) fn kind(&self, id: Id) -> Kind {
        match &self.nodes[id].body {
            Body::Dir(_) => Kind::Dir,
            Body::File(_) => Kind::File,
            Body::Symlink(_) => Kind::Symlink,
            Body::Fifo => Kind::Fifo,
        }
    }

    pub(super) fn size(&self, id: Id) -> u64 {
        match &self.nodes[id].body {
            Body::Dir(_) | Body::Fifo => 0,
            Body::File(bytes) => bytes.len() as u64,
            Body::Symlink(target) => target.len() as u64,
        }
    }

    /// The count of links as `stat` shows it.
    pub(super) fn links(&self, id: Id) -> u32 {
        match self.nodes[id].names {
            0 => 0,
            _ if self.is_dir(id) => 2,
            names => names,
        }
    }

    pub(super) fn find(&self, dir: Id, name: &str) -> Option<Id> {
        self.entries(dir).get(name).copied()
    }

    /// All directories that have a name, the root first.
    pub(super) fn dirs(&self) -> Vec<Id> {
        let dirs = 0..self.nodes.len();
        dirs.filter(|id| self.is_dir(*id) && self.nodes[*id].names > 0).collect()
    }

    /// The directory that contains another, and its name there.
    pub(super) fn place(&self, dir: Id) -> Option<(Id, String)> {
        self.places(dir).into_iter().next()
    }

    /// All names that something has.
    pub(super) fn places(&self, id: Id) -> Vec<(Id, String)> {
        let mut places = Vec::new();
        for dir in self.dirs() {
            let names = self.entries(dir).iter().filter(|(_, entry)| **entry == id);
            places.extend(names.map(|(name, _)| (dir, name.clone())));
        }
        places
    }

    /// Whether `dir` is `other` or somewhere below it.
    pub(super) fn is_within(&self, mut dir: Id, other: Id) -> bool {
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

    fn add(&mut self, dir: Id, name: &str, node: Node) -> Id {
        let id = self.nodes.len();
        self.nodes.push(node);
        self.entries_mut(dir).insert(name.to_owned(), id);
        id
    }

    pub(super) fn make(&mut self, dir: Id, name: &str, body: Body, mode: u16) -> Result<Id, i32> {
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

    pub(super) fn unlink(&mut self, dir: Id, name: &str) -> Result<(), i32> {
        let id = self.find(dir, name).ok_or(libc::ENOENT)?;
        if self.is_dir(id) {
            return Err(libc::EISDIR);
        }
        self.entries_mut(dir).remove(name);
        self.nodes[id].names -= 1;
        Ok(())
    }

    pub(super) fn rmdir(&mut self, dir: Id, name: &str) -> Result<(), i32> {
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

    pub(super) fn rename(
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

    pub(super) fn link(&mut self, id: Id, dir: Id, name: &str) -> Result<(), i32> {
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

fn of_bucket(body: Body) -> Node {
    Node { body, mode: 0o444, uid: 1000, gid: 100, names: 1 }
}
