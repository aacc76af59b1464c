//! Steps that open, write and close files.

use std::ffi::OsStr;

use s3mem::fs::{AttrChange, NewNode, OpenHow};

use super::driver::{Driver, File, MAKER, OpenFile, Outcome};
use super::names::{is_dir_name, outcomes};
use super::oracle::{Change, Made, bytes_of, is_memory_only};
use super::steps::Fault;
use crate::harness::plain_tree::{At, Body, Id};

const MOST_OPEN: usize = 8;
const WHOLE: usize = 1 << 26;

/// What an object that somebody else changed or deleted gives to who reads on.
const GONE: [i32; 2] = [libc::ESTALE, libc::ENOENT];

impl Driver {
    fn made(&mut self, dir: Id, name: &str, key: &str) -> Result<Id, i32> {
        let id = self.model.make(dir, name, Body::File(Vec::new()), MAKER.mode)?;
        let file = File { is_dirty: !is_memory_only(key), is_made: true, ..File::default() };
        self.about.insert(id, file);
        Ok(id)
    }

    pub(super) async fn create(&mut self, at: &At, fault: Option<&Fault>) {
        let Some((dir, name, known)) = self.look(at).await else { return };
        let Some(ino) = self.ino_of_dir(dir).await else { return };
        if known.is_none() && is_dir_name(&name) {
            return;
        }
        let key = self.key(dir, &name);
        self.arm(fault);
        let done = self.tree.fs.create(ino, OsStr::new(&name), MAKER).await;
        let failed = self.settle().await;
        let expected = if known.is_some() { Err(libc::EEXIST) } else { Ok(()) };
        let outcome = self.judge(done, &[expected], failed, &key);
        self.account(&[], &outcome, failed);
        if let Outcome::Done((attr, _, opened)) = outcome {
            let id = self.made(dir, &name, &key).unwrap();
            self.entered(id, attr);
            let file =
                OpenFile { handle: opened.handle, id, ino: attr.ino, writes: true, object: None };
            self.keep(file).await;
        }
    }

    pub(super) async fn make_node(&mut self, at: &At, fault: Option<&Fault>) {
        let Some((dir, name, known)) = self.look(at).await else { return };
        let Some(ino) = self.ino_of_dir(dir).await else { return };
        if known.is_none() && is_dir_name(&name) {
            return;
        }
        let key = self.key(dir, &name);
        self.arm(fault);
        let done = self.tree.fs.make(ino, OsStr::new(&name), NewNode::File, MAKER).await;
        let failed = self.settle().await;
        let (mut changes, mut expected) = (Vec::new(), Ok(()));
        if known.is_some() {
            expected = Err(libc::EEXIST);
        } else if !is_memory_only(&key) {
            changes.push(Change::new(&key, Some(Vec::new()), None));
            if self.oracle.etag(&key).is_some() {
                expected = Err(libc::ESTALE);
            }
        }
        let outcome = self.judge(done, &[expected], failed, &key);
        self.account(&changes, &outcome, failed);
        if known.is_some() {
            return;
        }
        // It is made before it is sent.
        let attr = self.tree.lookup(ino, &name).await.unwrap();
        let is_there = attr.is_some_and(|attr| attr.size == 0);
        if is_there && !matches!(outcome, Outcome::Done(_)) {
            self.tree.fs.forget(attr.unwrap().ino, 1);
        }
        match outcome {
            Outcome::Done((attr, _)) => {
                let id = self.made(dir, &name, &key).unwrap();
                self.tree.fs.forget(attr.ino, 1);
                self.entered(id, attr);
                self.sent(id, &Outcome::Done(()));
            }
            Outcome::Refused(_) | Outcome::Failed => {
                if is_there {
                    let id = self.made(dir, &name, &key).unwrap();
                    self.about.get_mut(&id).unwrap().is_closed = true;
                    self.sync_pending();
                }
                self.oracle.unsure.insert(key);
            }
        }
    }

    async fn keep(&mut self, file: OpenFile) {
        self.files.push(file);
        if self.files.len() > MOST_OPEN {
            self.close(0, None).await;
        }
    }

    pub(super) async fn open(
        &mut self,
        at: &At,
        writes: bool,
        truncates: bool,
        fault: Option<&Fault>,
    ) {
        let at = At { is_cached: at.is_cached && fault.is_none(), ..at.clone() };
        let Some((dir, name, Some(id))) = self.look(&at).await else { return };
        let (mut ino, key) = (self.inos[&id], self.key(dir, &name));
        let how = OpenHow { writes, truncates, thread: 0 };
        let expected = match self.model.is_dir(id) {
            true => vec![Err(libc::EISDIR)],
            false if writes => self.may_write(id, if truncates { 0 } else { u64::MAX }),
            false => vec![Ok(())],
        };
        self.arm(fault);
        let mut done = self.tree.open_ino(ino, how).await;
        let is_stale = done.as_ref().is_err_and(|error| error.errno() == libc::ESTALE);
        if at.is_cached && is_stale && self.look_up(dir, &name).await == Some(Some(id)) {
            // The kernel looks the name up again, once.
            ino = self.inos[&id];
            done = self.tree.open_ino(ino, how).await;
        }
        let failed = self.settle().await;
        let outcome = self.judge(done, &expected, failed, (&key, writes, truncates));
        self.account(&[], &outcome, failed);
        if let Outcome::Refused(errno) = outcome
            && GONE.contains(&errno)
        {
            self.look_again(dir, &name).await;
        }
        let Outcome::Done(handle) = outcome else { return };
        let file = self.about.get_mut(&id).unwrap();
        let mut object = None;
        if writes {
            file.is_made = true;
        } else if !file.is_made {
            object = self
                .oracle
                .versions(&key)
                .into_iter()
                .flatten()
                .find(|object| Some(&object.etag) == file.seen.as_ref());
        }
        if truncates {
            (file.is_dirty, file.is_closed) = (!is_memory_only(&key), false);
            self.model.bytes_mut(id).clear();
        }
        let object = object.map(|object| (key, object));
        self.keep(OpenFile { handle, id, ino, writes, object }).await;
        self.stat(id);
    }

    /// What may come of it when a file is made one that can be written to.
    fn may_write(&self, id: Id, keep: u64) -> Vec<Result<(), i32>> {
        let file = &self.about[&id];
        if !self.is_remote(id) {
            return vec![Ok(())];
        }
        let may = self.oracle.may_overwrite(&self.key_of(id), file.seen.as_ref());
        let mut expected = outcomes(Ok(()), may);
        if file.is_made {
            let is_object = !file.is_dirty && !self.is_open(id, true);
            return if is_object { expected } else { vec![Ok(())] };
        }
        if may == Made::No {
            return expected;
        }
        let is_seen = self.oracle.is_seen(&self.key_of(id), &file.seen);
        if is_seen || keep == 0 || self.model.size(id) == 0 {
            return expected;
        }
        // Its bytes may be in memory from before.
        expected.extend(GONE.map(Err));
        expected
    }

    pub(super) async fn write(
        &mut self,
        file: usize,
        offset: u64,
        length: usize,
        fault: Option<&Fault>,
    ) {
        let OpenFile { handle, id, .. } = self.files[file];
        self.written = self.written.wrapping_add(41);
        let bytes: Vec<u8> = (0..length).map(|at| self.written.wrapping_add(at as u8)).collect();
        let key = self.is_remote(id).then(|| self.key_of(id));
        self.arm(fault);
        // As large as the kernel's.
        for (piece, bytes) in bytes.chunks(1 << 20).enumerate() {
            self.tree.fs.write(handle, offset + ((piece as u64) << 20), bytes).unwrap();
        }
        self.settle().await;
        let (model, start) = (self.model.bytes_mut(id), offset as usize);
        model.resize(model.len().max(start + length), 0);
        model[start..start + length].copy_from_slice(&bytes);
        self.oracle.account(&[], super::oracle::Extent::Done, key.as_deref());
        let file = self.about.get_mut(&id).unwrap();
        (file.is_dirty, file.is_closed) = (key.is_some(), false);
        self.stat(id);
    }

    fn stat(&self, id: Id) {
        if let Some(ino) = self.inos.get(&id) {
            let (attr, _) = self.tree.fs.getattr(*ino).unwrap();
            assert_eq!(attr.size, self.model.size(id), "the size of {id}");
        }
    }

    pub(super) async fn read(&mut self, file: usize, offset: u64, length: usize) {
        let OpenFile { handle, id, ref object, ino, .. } = self.files[file];
        let read = self.tree.pread(handle, offset, length).await;
        let part = |bytes: &[u8]| {
            let behind = bytes.get(offset as usize..).unwrap_or_default();
            behind[..behind.len().min(length)].to_vec()
        };
        let is_made = self.about[&id].is_made;
        match (read, object) {
            (Ok(bytes), _) if bytes == part(self.model.bytes(id)) => {}
            // Under another name it is another inode for who opens it then.
            (Ok(bytes), Some((_, object)))
                if self.about[&id].was_moved || self.inos.get(&id) != Some(&ino) =>
            {
                assert!(bytes == part(&bytes_of(object)), "{id} is neither old nor new");
            }
            (Ok(_), _) => panic!("{id} has other bytes from {offset} on"),
            (Err(error), Some((key, object)))
                if GONE.contains(&error.errno())
                    && (!is_made || self.about[&id].was_moved)
                    && self.oracle.etag(key).as_ref() != Some(&object.etag) => {}
            (Err(error), _) => panic!("reading {id}: {error}"),
        }
    }

    /// What sending a file is to do now.
    pub(super) fn to_send(&self, id: Id) -> (Vec<Change>, Result<(), i32>) {
        if !self.is_remote(id) || !self.about[&id].is_dirty {
            return (Vec::new(), Ok(()));
        }
        let (key, seen) = (self.key_of(id), self.about[&id].seen.clone());
        let expected = if self.oracle.is_seen(&key, &seen) { Ok(()) } else { Err(libc::ESTALE) };
        let bytes = Some(self.model.bytes(id).to_vec());
        (vec![Change::new(&key, bytes, seen)], expected)
    }

    /// Notes what came of sending a file.
    pub(super) fn sent(&mut self, id: Id, outcome: &Outcome<()>) {
        if !self.is_remote(id) || !self.about[&id].is_dirty {
            return;
        }
        let key = self.key_of(id);
        let etag = self.oracle.etag(&key);
        let file = self.about.get_mut(&id).unwrap();
        match outcome {
            Outcome::Done(()) => {
                (file.seen, file.is_dirty, file.is_conflict) = (etag, false, false);
            }
            Outcome::Refused(_) => file.is_conflict = true,
            Outcome::Failed => {
                self.oracle.unsure.insert(key);
                self.sync_pending();
            }
        }
    }

    pub(super) async fn fsync(&mut self, file: usize, fault: Option<&Fault>) {
        let OpenFile { handle, id, writes, .. } = self.files[file];
        let (changes, expected) = if writes { self.to_send(id) } else { (Vec::new(), Ok(())) };
        self.arm(fault);
        let done = self.tree.fs.fsync(handle).await;
        let failed = self.settle().await;
        let outcome = self.judge(done, &[expected], failed, &changes);
        self.account(&changes, &outcome, failed);
        if writes {
            self.sent(id, &outcome);
        }
    }

    pub(super) async fn flush(&mut self, file: usize, fault: Option<&Fault>) {
        let OpenFile { handle, id, writes, .. } = self.files[file];
        let (changes, expected) = if writes { self.to_send(id) } else { (Vec::new(), Ok(())) };
        self.arm(fault);
        let done = self.tree.fs.flush(handle, 0).await;
        let failed = self.settle().await;
        let outcome = self.judge(done, &[expected], failed, &changes);
        self.account(&changes, &outcome, failed);
        if writes {
            let file = self.about.get_mut(&id).unwrap();
            file.is_closed |= file.is_dirty;
            self.sent(id, &outcome);
        }
    }

    /// Whether somebody may go on writing to a file.
    pub(super) fn may_go_on(&self, id: Id) -> bool {
        self.is_open(id, false) && !self.about[&id].is_closed
    }

    pub(super) async fn close(&mut self, file: usize, fault: Option<&Fault>) {
        self.flush(file, fault).await;
        let OpenFile { handle, id, .. } = self.files.swap_remove(file);
        // A file that nobody has open any more is sent, unless that failed already.
        let is_sent = !self.is_open(id, false) && self.about[&id].is_dirty;
        let was_tried = self.tree.pending().iter().any(|pending| pending.problem.is_some());
        let (changes, expected) = if is_sent { self.to_send(id) } else { (Vec::new(), Ok(())) };
        self.tree.fs.release_file(handle);
        self.settle().await;
        let is_needed = is_sent && !was_tried && self.is_remote(id);
        if is_needed {
            let outcome = if expected.is_ok() { Outcome::Done(()) } else { Outcome::Refused(0) };
            self.account(&changes, &outcome, false);
            self.sent(id, &outcome);
        } else {
            self.oracle.account(&changes, super::oracle::Extent::Some, None);
            self.sync_pending();
        }
    }

    pub(super) async fn resize(&mut self, id: Id, size: u64, fault: Option<&Fault>) {
        let Some(ino) = self.inos.get(&id).copied() else { return };
        let is_named = self.model.nodes[id].names > 0;
        let mut expected = match self.model.is_dir(id) {
            true => vec![Err(libc::EISDIR)],
            false => self.may_write(id, size),
        };
        let mut changes = Vec::new();
        let before = self.about.get(&id).cloned();
        let mut after = None;
        if self.model.is_file(id) && expected.contains(&Ok(())) {
            let mut bytes = self.model.bytes(id).to_vec();
            bytes.resize(size as usize, 0);
            if is_named && self.is_remote(id) && !self.is_open(id, true) {
                let (key, seen) = (self.key_of(id), self.about[&id].seen.clone());
                if !self.oracle.is_seen(&key, &seen) {
                    expected.retain(|outcome| outcome.is_err());
                    expected.extend(GONE.map(Err));
                }
                changes.push(Change::new(&key, Some(bytes.clone()), seen));
            }
            after = Some(bytes);
        }
        self.arm(fault);
        let change = AttrChange { size: Some(size), ..AttrChange::default() };
        let done = self.tree.fs.set_attr(ino, change).await;
        let failed = self.settle().await;
        let outcome = self.judge(done, &expected, failed, (id, size));
        self.account(&changes, &outcome, failed);
        let (Some(after), Some(before)) = (after, before) else { return };
        if matches!(outcome, Outcome::Refused(libc::EPERM)) {
            return;
        }
        // It has the size before it is sent, unless it could not be fetched.
        let (attr, _) = self.tree.fs.getattr(ino).unwrap();
        let was_fetched = before.is_made
            || matches!(outcome, Outcome::Done(_))
            || self.tree.pending().iter().any(|file| is_named && file.path == self.key_of(id));
        if !was_fetched {
            return;
        }
        assert_eq!(attr.size, size);
        *self.model.bytes_mut(id) = after;
        let is_remote = self.is_remote(id);
        let file = self.about.get_mut(&id).unwrap();
        (file.is_made, file.is_dirty) = (true, is_remote);
        file.is_closed = !changes.is_empty();
        if !changes.is_empty() {
            let outcome = match outcome {
                Outcome::Done(_) => Outcome::Done(()),
                Outcome::Refused(errno) => Outcome::Refused(errno),
                Outcome::Failed => Outcome::Failed,
            };
            self.sent(id, &outcome);
        }
    }

    pub(super) async fn send_pending(&mut self, fault: Option<&Fault>) {
        let files = (0..self.model.nodes.len()).filter(|id| self.is_remote(*id));
        let is_due = |id: &Id| {
            let file = &self.about[id];
            file.is_dirty && !file.is_conflict && !self.may_go_on(*id)
        };
        let due: Vec<Id> = files.filter(is_due).collect();
        let (mut changes, mut expected) = (Vec::new(), Vec::new());
        for id in &due {
            let (change, outcome) = self.to_send(*id);
            changes.extend(change);
            expected.push(outcome);
        }
        self.arm(fault);
        self.tree.send_pending().await;
        let failed = self.settle().await;
        self.oracle.account(&changes, super::oracle::Extent::Some, None);
        for (id, expected) in due.into_iter().zip(expected) {
            let is_there = self
                .oracle
                .objects
                .get(&self.key_of(id))
                .is_some_and(|object| bytes_of(object) == self.model.bytes(id));
            match expected {
                _ if failed => self.sent(id, &Outcome::Failed),
                Ok(()) => {
                    assert!(is_there, "{:?} could be sent and was not", self.key_of(id));
                    self.sent(id, &Outcome::Done(()));
                }
                Err(errno) => self.sent(id, &Outcome::Refused(errno)),
            }
        }
        self.check_pending();
    }

    /// Reads a whole file by its name.
    pub(super) async fn read_whole(&mut self, id: Id) {
        let ino = self.inos[&id];
        let how = OpenHow::default();
        let handle = match self.tree.open_ino(ino, how).await {
            Ok(handle) => handle,
            Err(error) => panic!("opening {id}: {error}"),
        };
        let bytes = self.tree.pread(handle, 0, WHOLE).await;
        self.tree.fs.release_file(handle);
        let is_unsure = self.model.nodes[id].names > 0 && self.is_unsure(&self.key_of(id));
        match bytes {
            Ok(bytes) => assert!(bytes == self.model.bytes(id), "the bytes of {id}"),
            Err(error) => assert!(is_unsure && GONE.contains(&error.errno()), "{id}: {error}"),
        }
    }
}
