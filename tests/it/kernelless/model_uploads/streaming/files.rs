//! What is done to files.

use std::ffi::OsStr;

use s3mem::fs::{AttrChange, FsError, OpenHow, ROOT, RenameHow};

use super::driver::{Driver, File, MOST_BYTES, Open};
use super::{Change, PART, PIECE, Place};
use crate::kernelless::model_uploads::driver::MAKER;
use crate::kernelless::model_uploads::steps::Fault;

/// As in `linux/falloc.h`.
const KEEP_SIZE: u32 = 1;
const PUNCH_HOLE: u32 = 2;

fn errno<T>(done: &Result<T, FsError>) -> Option<i32> {
    done.as_ref().err().map(FsError::errno)
}

impl Driver {
    pub(super) async fn create(&mut self, name: &'static str) {
        let done = self.tree.fs.create(ROOT, OsStr::new(name), MAKER).await;
        let (attr, _, opened) = done.unwrap();
        let file = self.files.len();
        let mut made = File { name: Some(name), is_in_order: true, ..File::default() };
        made.note_state();
        made.lookups.insert(attr.ino, 1);
        self.files.push(made);
        self.names.insert(name, file);
        self.inos.insert(file, attr.ino);
        self.open.push(Open { handle: opened.handle, file, writes: true });
    }

    pub(super) async fn reopen(&mut self, file: usize, writes: bool, truncates: bool) {
        let name = self.files[file].name.unwrap();
        let how = OpenHow { writes, truncates, thread: 0 };
        let size = self.files[file].bytes.len() as u64;
        for _ in 0..3 {
            let ino = self.look(file).await.ino;
            let work = |fs: std::sync::Arc<s3mem::fs::FileSystem>| {
                Box::pin(async move { fs.open_file(ino, how).await }) as _
            };
            let opened: Result<s3mem::fs::OpenedFile, FsError> = self.drive(work, None).await;
            match opened {
                Ok(opened) => {
                    let model = &mut self.files[file];
                    if truncates {
                        model.bytes.clear();
                        (model.is_in_order, model.ordered) = (true, 0);
                        model.may_be_over = false;
                        model.note_state();
                    }
                    if writes {
                        self.inos.insert(file, ino);
                    }
                    self.open.push(Open { handle: opened.handle, file, writes });
                    return;
                }
                // Its memory was given back a moment ago.
                Err(error) if error.errno() == libc::ESTALE => {}
                Err(error) => {
                    assert_eq!(error.errno(), libc::ENOSPC, "opening {name:?}: {error}");
                    assert!(writes && !truncates && self.may_be_full(size), "no room for {name:?}");
                    return;
                }
            }
        }
        panic!("{name:?} stays stale");
    }

    pub(super) async fn change(
        &mut self,
        open: usize,
        change: Change,
        fault: Option<&Fault>,
        may_wait: bool,
    ) {
        let file = self.open[open].file;
        self.arm(fault);
        match change {
            Change::Write(place, length) => {
                let offset = self.place(file, place);
                self.write(open, offset, length, may_wait, fault.is_some()).await;
            }
            Change::Append(length) => {
                let mut left = length;
                while left > 0 {
                    let end = self.files[file].bytes.len() as u64;
                    let piece = left.min(PIECE);
                    if end + piece as u64 > MOST_BYTES
                        || !self.write(open, end, piece, may_wait, fault.is_some()).await
                    {
                        break;
                    }
                    left -= piece;
                }
            }
            Change::Cut(place) => {
                let size = self.place(file, place);
                self.cut(open, size).await;
            }
            Change::Allocate { place, length, mode } => {
                let offset = self.place(file, place);
                let mode = if mode & PUNCH_HOLE != 0 { PUNCH_HOLE | KEEP_SIZE } else { mode };
                self.allocate(open, offset, length, mode);
            }
        }
        self.disarm(fault);
    }

    /// Writes as the kernel asks for it; whether it was done.
    async fn write(
        &mut self,
        open: usize,
        offset: u64,
        length: usize,
        may_wait: bool,
        may_fail: bool,
    ) -> bool {
        let Open { handle, file, .. } = self.open[open];
        let bytes = self.fresh(length);
        let end = offset + length as u64;
        let model = &mut self.files[file];
        model.is_sparse |= offset > model.bytes.len() as u64;
        let mut done = self.tree.fs.write(handle, offset, &bytes);
        if may_wait && done.as_ref().is_err_and(|error| self.tree.fs.can_make_room(error)) {
            let bytes = bytes.clone();
            let work = |fs: std::sync::Arc<s3mem::fs::FileSystem>| {
                Box::pin(async move { fs.write_with_room(handle, offset, &bytes).await }) as _
            };
            done = self.drive(work, None).await;
        }
        match errno(&done) {
            None => {
                let model = &mut self.files[file];
                model.is_in_order &= offset == model.bytes.len() as u64;
                if offset == model.ordered {
                    model.ordered = end;
                }
                let (start, end) = (offset as usize, end as usize);
                model.bytes.resize(model.bytes.len().max(end), 0);
                model.bytes[start..end].copy_from_slice(&bytes);
                model.note_state();
            }
            Some(libc::ENOSPC) => {
                let model = &self.files[file];
                let is_full = self.may_be_full(length as u64);
                assert!(
                    is_full || may_fail || !may_wait,
                    "{:?} has room for {length} at {offset}, {:?} is used",
                    model.name,
                    self.tree.fs.room()
                );
            }
            Some(libc::EIO) => self.assert_is_away(open, offset..end),
            Some(other) => panic!("writing gives {other}"),
        }
        done.is_ok()
    }

    /// What is refused is where only an upload has the file, or where it is over.
    fn assert_is_away(&self, open: usize, range: std::ops::Range<u64>) {
        let Open { handle, file, .. } = self.open[open];
        let model = &self.files[file];
        let away = self.away(handle, model.bytes.len() as u64);
        let overlaps = away.iter().any(|start| *start < range.end && range.start < start + PART);
        assert!(
            overlaps || !away.is_empty() && (model.may_be_over || model.name.is_none()),
            "{:?} refuses {range:?}, of which {away:?} is away",
            model.name
        );
    }

    async fn cut(&mut self, open: usize, size: u64) {
        let Open { handle, file, .. } = self.open[open];
        let ino = self.inos[&file];
        let change = AttrChange { size: Some(size), ..AttrChange::default() };
        let done = self.tree.fs.set_attr(ino, change).await;
        match errno(&done) {
            None => self.note_size(file, size),
            Some(libc::EIO) => {
                let model = &self.files[file];
                let is_away = !self.away(handle, model.bytes.len() as u64).is_empty();
                let is_shorter = size > 0 && size < model.bytes.len() as u64;
                let may_be_over = model.may_be_over || model.name.is_none();
                assert!(is_away && (is_shorter || may_be_over), "{size} is refused");
            }
            Some(other) => panic!("cutting to {size} gives {other}"),
        }
    }

    fn note_size(&mut self, file: usize, size: u64) {
        let model = &mut self.files[file];
        model.is_sparse |= size > model.bytes.len() as u64;
        model.bytes.resize(size as usize, 0);
        model.is_in_order = size == 0;
        if size == 0 {
            (model.ordered, model.may_be_over) = (0, false);
        }
        model.note_state();
    }

    fn allocate(&mut self, open: usize, offset: u64, length: u64, mode: u32) {
        let Open { handle, file, .. } = self.open[open];
        let end = offset + length;
        let done = self.tree.fs.allocate(handle, mode, offset, length);
        match errno(&done) {
            None => {
                let model = &mut self.files[file];
                let size = model.bytes.len() as u64;
                model.is_in_order = false;
                model.is_sparse = true;
                if mode & PUNCH_HOLE != 0 {
                    let range = offset.min(size) as usize..end.min(size) as usize;
                    model.bytes[range].fill(0);
                } else if mode & KEEP_SIZE == 0 {
                    model.bytes.resize(size.max(end) as usize, 0);
                }
                model.note_state();
            }
            // It does not have memory given back.
            Some(libc::ENOSPC) => self.files[file].is_sparse = true,
            Some(libc::EIO) => self.assert_is_away(open, offset..end),
            Some(other) => panic!("allocating gives {other}"),
        }
    }

    pub(super) async fn read(&mut self, open: usize, place: Place, length: usize) {
        let Open { handle, file, writes } = self.open[open];
        let offset = self.place(file, place);
        let Ok(bytes) = self.tree.pread(handle, offset, length).await else {
            // An object that was renamed or deleted can't be read any more.
            if writes {
                self.assert_is_away(open, offset..offset + length as u64);
            }
            return;
        };
        let model = &self.files[file].bytes;
        let start = model.len().min(offset as usize);
        let expected = &model[start..model.len().min(start + length)];
        assert!(bytes == expected, "the bytes from {offset} on");
    }

    /// Sends a file that is open, as a close of another descriptor or fsync(2).
    pub(super) async fn send(
        &mut self,
        open: usize,
        flushes: bool,
        meanwhile: Option<Change>,
        fault: Option<&Fault>,
    ) -> bool {
        let Open { handle, file, writes } = self.open[open];
        let was_written = meanwhile.is_some();
        // While an object is made of it, it is over as well.
        let was_over = std::mem::replace(&mut self.files[file].may_be_over, was_written);
        self.files[file].may_be_over |= was_over;
        self.arm(fault);
        let work = |fs: std::sync::Arc<s3mem::fs::FileSystem>| {
            Box::pin(async move {
                match flushes {
                    true => fs.flush(handle, 0).await,
                    false => fs.fsync(handle).await,
                }
            }) as _
        };
        let done = self.drive(work, meanwhile.map(|change| (file, change))).await;
        let failed = fault.is_some() && self.settle().await;
        if !writes {
            assert!(done.is_ok(), "nothing is sent for who only reads");
            return true;
        }
        let is_pending = self.is_pending(file);
        let is_foreign = self.is_foreign(file);
        let model = &mut self.files[file];
        if failed {
            (model.has_trouble, model.may_be_lost) = (true, true);
        }
        match errno(&done) {
            None => {
                // A write that was refused may have it sent again.
                assert!(
                    !is_pending || was_written || model.name.is_none(),
                    "{:?} is acknowledged and not in the bucket",
                    model.name
                );
                (model.has_trouble, model.may_be_lost) = (false, false);
                model.may_be_over = true;
                assert!(!is_foreign || !is_pending || was_written);
            }
            Some(error) => {
                model.has_trouble = true;
                model.may_be_over = was_over || failed;
                let is_lost = error == libc::EIO && model.may_be_lost;
                let is_conflict = error == libc::ESTALE && (is_foreign || model.may_be_lost);
                assert!(failed || is_lost || is_conflict, "sending {:?}: {error}", model.name);
                assert!(is_pending, "{:?} failed and is not told of", model.name);
            }
        }
        done.is_ok()
    }

    pub(super) async fn close(&mut self, open: usize, fault: Option<&Fault>) {
        self.send(open, true, None, fault).await;
        let Open { handle, file, .. } = self.open.swap_remove(open);
        self.tree.fs.release_file(handle);
        if !self.is_open(file) {
            self.settle().await;
            self.files[file].is_in_order = false;
        }
    }

    pub(super) async fn cut_by_name(&mut self, file: usize, size: u64, fault: Option<&Fault>) {
        let name = self.files[file].name.unwrap();
        let (was_pending, is_open) = (self.is_pending(file), self.is_open(file));
        let before = self.files[file].bytes.len() as u64;
        let ino = self.look(file).await.ino;
        let change = AttrChange { size: Some(size), ..AttrChange::default() };
        // What fails while it is fetched leaves it as it was.
        let fault = fault.filter(|_| was_pending || is_open);
        self.arm(fault);
        let work = |fs: std::sync::Arc<s3mem::fs::FileSystem>| {
            Box::pin(async move { fs.set_attr(ino, change).await }) as _
        };
        let done = self.drive(work, None).await;
        let failed = fault.is_some() && self.settle().await;
        if failed {
            let model = &mut self.files[file];
            (model.has_trouble, model.may_be_lost, model.may_be_over) = (true, true, true);
        }
        let (now, _) = self.tree.fs.getattr(ino).unwrap();
        if now.size == size && (done.is_ok() || self.is_pending(file)) {
            self.note_size(file, size);
            if self.is_open(file) || self.is_pending(file) {
                self.inos.insert(file, ino);
            }
        }
        match errno(&done) {
            None => assert_eq!(now.size, size),
            Some(_) if failed => {}
            Some(libc::ENOSPC) => assert!(self.may_be_full(size.min(before)), "no room to cut"),
            Some(libc::EIO) => {
                let model = &self.files[file];
                assert!(was_pending || is_open, "cutting {name:?} to {size}");
                assert!(model.ordered >= PART, "cutting {name:?} to {size}");
            }
            Some(libc::ESTALE) => assert!(self.files[file].may_be_lost || !was_pending),
            Some(other) => panic!("cutting {name:?} to {size} gives {other}"),
        }
    }

    pub(super) async fn unlink(&mut self, file: usize) {
        let name = self.files[file].name.unwrap();
        let may_be_lost = self.files[file].may_be_lost;
        let work = |fs: std::sync::Arc<s3mem::fs::FileSystem>| {
            Box::pin(async move { fs.unlink(ROOT, OsStr::new(name)).await }) as _
        };
        match self.drive(work, None).await {
            Ok(()) => {
                self.names.remove(name);
                self.files[file].name = None;
                if let Some(object) = self.tree.store.object(name) {
                    // What a lost answer made is somebody else's for the mount.
                    assert!(may_be_lost, "{name:?} is still there");
                    self.foreign.insert(name, object);
                }
            }
            Err(error) => assert!(may_be_lost, "deleting {name:?}: {error}"),
        }
    }

    pub(super) async fn rename(&mut self, from: usize, to: &'static str) {
        let name = self.files[from].name.unwrap();
        let target = self.names.get(to).copied();
        if name == to {
            return;
        }
        let (is_pending, is_open) = (self.is_pending(from), self.is_open(from));
        let lost = |driver: &Driver, file: usize| driver.files[file].may_be_lost;
        let may_be_lost = lost(self, from) || target.is_some_and(|target| lost(self, target));
        let before = self.tree.store.object(to).map(|object| object.etag.clone());
        let work = |fs: std::sync::Arc<s3mem::fs::FileSystem>| {
            Box::pin(async move {
                let (from, to) = (OsStr::new(name), OsStr::new(to));
                fs.rename((ROOT, from), (ROOT, to), RenameHow::Replace).await
            }) as _
        };
        let done = self.drive(work, None).await;
        match errno(&done) {
            None => {
                if let Some(target) = target {
                    self.files[target].name = None;
                }
                self.names.remove(name);
                self.names.insert(to, from);
                // What is being written is sent later.
                let replaced = target.map(|target| self.files[target].states.clone());
                let model = &mut self.files[from];
                model.states.extend(replaced.into_iter().flatten());
                // Of the other file too the answer may be lost that tells what is there.
                model.may_be_lost = may_be_lost;
                model.name = Some(to);
                model.is_in_order = false;
                if let Some(object) = self.tree.store.object(name) {
                    assert!(may_be_lost, "{name:?} is still there");
                    self.foreign.insert(name, object);
                }
            }
            // The upload is of the old name.
            Some(libc::EIO) => {
                assert!(is_pending && self.files[from].ordered >= PART, "{name:?} is not moved");
            }
            Some(other) => {
                assert!(may_be_lost, "renaming {name:?} to {to:?} gives {other}, open: {is_open}");
                let after = self.tree.store.object(to).map(|object| object.etag.clone());
                self.is_torn = after != before;
            }
        }
    }

    pub(super) async fn send_pending(&mut self, fault: Option<&Fault>) {
        self.arm(fault);
        let publisher = self.tree.publisher.clone().unwrap();
        let work = |_: std::sync::Arc<s3mem::fs::FileSystem>| {
            Box::pin(async move {
                publisher.send_pending().await;
                Ok(())
            }) as _
        };
        self.drive(work, None).await.unwrap();
        let failed = fault.is_some() && self.settle().await;
        for (name, file) in self.names.clone() {
            let is_due = !self.is_open(file) && !self.is_foreign(file);
            let is_pending = self.is_pending(file);
            let model = &mut self.files[file];
            if failed && is_due {
                (model.has_trouble, model.may_be_lost) = (true, true);
            } else if is_due {
                assert!(!is_pending || model.may_be_lost, "{name:?} could be sent");
                if !is_pending {
                    (model.has_trouble, model.may_be_lost) = (false, false);
                }
            }
        }
    }
}
