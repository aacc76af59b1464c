//! What has to hold after each step, and at the end.

use std::sync::Arc;

use s3mem::fs::{FsError, OpenHow, ReadAnswer};

use super::PART;
use super::driver::{Driver, File};
use crate::harness::kernelless::{Tree, TreeConfig};
use crate::kernelless::model_uploads::oracle::bytes_of;

const PAGE: u64 = 4096;

impl File {
    /// Notes what it is now.
    pub(super) fn note_state(&mut self) {
        self.states.push(Arc::new(self.bytes.clone()));
    }

    /// What of it may have to stay in memory, at most, when memory is wanted.
    fn stays_bytes(&self, is_pending: bool) -> u64 {
        if self.is_sparse {
            return u64::MAX >> 8;
        }
        let size = self.bytes.len() as u64;
        let is_sent = is_pending && self.is_in_order && !self.has_trouble;
        let sent = if is_sent { size / PART * PART } else { 0 };
        (size - sent).next_multiple_of(PAGE)
    }
}

impl Driver {
    fn read_now(&self, handle: u64, offset: u64, length: usize) -> Result<Vec<u8>, FsError> {
        match self.tree.fs.read(handle, offset, length)? {
            ReadAnswer::Ready(bytes) => Ok(bytes.to_vec()),
            ReadAnswer::Later(_) => panic!("nothing is fetched of what is being written"),
        }
    }

    /// Whether `fs` says that the bucket has not got all of a file.
    pub(super) fn is_pending(&self, file: usize) -> bool {
        let name = self.files[file].name;
        self.tree.pending().iter().any(|pending| Some(pending.path.as_str()) == name)
    }

    /// The parts of a file that is open that can't be read, by where they begin.
    pub(super) fn away(&self, handle: u64, size: u64) -> Vec<u64> {
        let starts = (0..size).step_by(PART as usize);
        starts.filter(|start| self.read_now(handle, *start, 1).is_err()).collect()
    }

    /// Whether memory for `bytes` more may be wanting, with all given back that can be.
    pub(super) fn may_be_full(&self, bytes: u64) -> bool {
        let stays = |(index, file): (usize, &File)| {
            // What the bucket has and somebody has open stays too.
            let is_pending = file.name.is_some() && self.is_pending(index);
            let is_held = is_pending || self.is_open(index);
            if is_held { file.stays_bytes(is_pending) } else { 0 }
        };
        let held: u64 = self.files.iter().enumerate().map(stays).sum();
        held + bytes.next_multiple_of(PAGE) + PAGE > self.limit_bytes
    }

    /// Holds all that can be seen without a request against the model.
    pub(super) fn verify(&mut self) {
        for open in &self.open {
            let file = &self.files[open.file];
            let size = file.bytes.len() as u64;
            let is_pending = file.name.is_some() && self.is_pending(open.file);
            if !open.writes {
                continue;
            }
            for start in (0..size).step_by(PART as usize) {
                let end = (start + PART).min(size);
                let expected = &file.bytes[start as usize..end as usize];
                match self.read_now(open.handle, start, PART as usize) {
                    Ok(bytes) => assert!(
                        bytes == expected,
                        "{:?} has other bytes at {start} ({} and not {}), pending: {is_pending}",
                        file.name,
                        bytes.len(),
                        expected.len(),
                    ),
                    Err(error) => {
                        assert_eq!(error.errno(), libc::EIO, "reading {:?}", file.name);
                        assert!(
                            start + PART <= file.ordered,
                            "{:?} at {start} is away, which was not written in order",
                            file.name
                        );
                    }
                }
            }
            let past = self.read_now(open.handle, size, 10).unwrap();
            assert!(past.is_empty(), "{:?} is longer than {size}", file.name);
        }
        self.verify_bucket();
    }

    /// Each file that is not pending is in the bucket; whatever is there was once a file.
    fn verify_bucket(&mut self) {
        for (name, object) in &self.foreign {
            let now = self.tree.store.object(name);
            assert!(
                now.is_some_and(|now| Arc::ptr_eq(&now, object)),
                "{name:?} of somebody else was changed"
            );
        }
        let pending: Vec<usize> =
            self.names.values().copied().filter(|file| self.is_pending(*file)).collect();
        for key in self.tree.store.keys() {
            if self.foreign.contains_key(key.as_str()) {
                continue;
            }
            let file = self.names.get(key.as_str());
            let file = *file.unwrap_or_else(|| panic!("{key:?} is nobody's"));
            let bytes = bytes_of(&self.tree.store.object(&key).unwrap());
            let was_there = self.files[file].states.iter().any(|state| **state == bytes);
            assert!(was_there, "{key:?} never was like that ({} bytes)", bytes.len());
        }
        for (name, file) in self.names.clone() {
            if pending.contains(&file) || self.foreign.contains_key(name) {
                continue;
            }
            let object = self.tree.store.object(name);
            let object = object.unwrap_or_else(|| panic!("{name:?} is not in the bucket"));
            let bytes = bytes_of(&object);
            let file = &mut self.files[file];
            assert!(
                bytes == file.bytes,
                "{name:?} is told to be in the bucket, where it has {} bytes and not {}",
                bytes.len(),
                file.bytes.len()
            );
            file.states.clear();
            file.note_state();
        }
    }

    /// All is closed and sent.
    pub(super) async fn finish(&mut self) {
        self.settle().await;
        while !self.open.is_empty() {
            self.close(0, None).await;
            self.settle().await;
            self.verify();
        }
        self.send_pending(None).await;
        self.settle().await;
        self.verify();
        for (name, file) in self.names.clone() {
            if !self.is_foreign(file) {
                assert!(
                    !self.is_pending(file) || self.files[file].may_be_lost,
                    "{name:?} could be sent and was not"
                );
            }
            self.read_all(file).await;
        }
        if self.foreign.is_empty() && !self.has_failed {
            let uploads = self.tree.store.open_uploads();
            assert!(uploads.is_empty(), "parts are left behind: {uploads:?}");
        }
        let ttl = TreeConfig::default();
        let anew = Tree::over(self.tree.store.clone(), ttl).await;
        for (name, file) in &self.names {
            if !self.is_foreign(*file) && !self.is_pending(*file) {
                let bytes = anew.read(name).await.unwrap();
                assert!(bytes == self.files[*file].bytes, "a new mount shows another {name:?}");
            }
        }
    }

    /// Reads a file by its name, from its beginning to its end.
    pub(super) async fn read_all(&mut self, file: usize) {
        let name = self.files[file].name.unwrap();
        let is_foreign = self.is_foreign(file);
        let (mut outcome, mut size) = (None, 0);
        for _ in 0..2 {
            let attr = self.look(file).await;
            size = attr.size;
            match self.tree.open_ino(attr.ino, OpenHow::default()).await {
                Ok(handle) => {
                    outcome = Some(self.tree.pread(handle, 0, 1 << 26).await);
                    self.tree.fs.release_file(handle);
                    break;
                }
                Err(error) => assert_eq!(error.errno(), libc::ESTALE, "opening {name:?}"),
            }
        }
        let expected = &self.files[file].bytes;
        match outcome {
            _ if is_foreign && !self.is_pending(file) => {}
            Some(Ok(bytes)) => {
                assert!(bytes == *expected, "{name:?} by its name has other bytes");
                assert_eq!(size, expected.len() as u64, "{name:?}");
            }
            Some(Err(error)) => {
                let may_be_away = self.is_pending(file) || self.is_open(file);
                let is_such = error.errno() == libc::EIO && may_be_away;
                assert!(is_such && self.files[file].ordered >= PART, "reading {name:?}: {error}");
            }
            None => panic!("{name:?} stays stale"),
        }
    }
}
