//! The model, and how operations are done whose requests take their time.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use proptest::sample::Index;
use s3mem::fs::{Attr, FileSystem, FsError, ROOT};

use super::{Change, PART, Place, Step};
use crate::harness::kernelless::Tree;
use crate::kernelless::model_uploads::steps::Fault;
use crate::support::bucket::Object;

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
const MOST_OPEN: usize = 6;
/// A file has no more than this.
pub(super) const MOST_BYTES: u64 = 24 * PART;

/// What is known of a file.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) name: Option<&'static str>,
    pub(super) bytes: Vec<u8>,
    /// All that it was since the bucket was last known to have it.
    pub(super) states: Vec<Arc<Vec<u8>>>,
    /// Whether it was written in order so far, as one who wants room back may hope.
    pub(super) is_in_order: bool,
    /// Up to where it was, at most, when it was written in order.
    pub(super) ordered: u64,
    /// Whether a request for it failed, so that nothing of it need be sent ahead.
    pub(super) has_trouble: bool,
    /// Whether somebody threw its upload away, or an answer was lost, so that what only
    /// the upload had may be lost.
    pub(super) may_be_lost: bool,
    /// Whether it has, or had, holes: the kernel gives memory in large pages there, so
    /// that nobody can tell what it takes.
    pub(super) is_sparse: bool,
    /// How many look-ups the kernel has of it, by inode number.
    pub(super) lookups: BTreeMap<u64, u64>,
    /// Whether an upload of it was completed since its bytes were all here.
    pub(super) may_be_over: bool,
}

pub(super) struct Open {
    pub(super) handle: u64,
    pub(super) file: usize,
    pub(super) writes: bool,
}

pub(super) struct Driver {
    pub(super) tree: Tree,
    pub(super) limit_bytes: u64,
    pub(super) files: Vec<File>,
    pub(super) names: BTreeMap<&'static str, usize>,
    /// Names that somebody else has written to, and what is there since.
    pub(super) foreign: BTreeMap<&'static str, Arc<Object>>,
    pub(super) open: Vec<Open>,
    pub(super) inos: BTreeMap<usize, u64>,
    /// Whether any request failed, or uploads were thrown away.
    pub(super) has_failed: bool,
    /// Whether a rename was done by half, since it met what a lost answer was about: a
    /// file has two names then, and what becomes of them is not followed any further.
    pub(super) is_torn: bool,
    written: u64,
}

impl Driver {
    pub(super) fn new(tree: Tree, limit_bytes: u64) -> Self {
        Driver {
            tree,
            limit_bytes,
            files: Vec::new(),
            names: BTreeMap::new(),
            foreign: BTreeMap::new(),
            open: Vec::new(),
            inos: BTreeMap::new(),
            has_failed: false,
            is_torn: false,
            written: 0,
        }
    }

    pub(super) async fn step(&mut self, step: Step, fault: Option<Fault>, pause: usize) {
        match step {
            Step::Create(name) => {
                if self.open.len() < MOST_OPEN
                    && let Some(name) = self.free_name(name)
                {
                    self.create(name).await;
                }
            }
            Step::Open { file, writes, truncates } => {
                if self.open.len() < MOST_OPEN
                    && let Some(file) = self.named(file)
                {
                    self.reopen(file, writes, truncates).await;
                }
            }
            Step::Change(file, change) => {
                if let Some(open) = self.pick(file, true) {
                    self.change(open, change, fault.as_ref(), true).await;
                }
            }
            Step::Read(file, place, length) => {
                if let Some(open) = self.pick(file, false) {
                    self.read(open, place, length).await;
                }
            }
            Step::ReadAll(file) => {
                if let Some(file) = self.named(file) {
                    self.read_all(file).await;
                }
            }
            Step::Fsync(file, meanwhile) => {
                if let Some(open) = self.pick(file, true) {
                    self.send(open, false, meanwhile, fault.as_ref()).await;
                }
            }
            Step::Flush(file, meanwhile) => {
                if let Some(open) = self.pick(file, true) {
                    self.send(open, true, meanwhile, fault.as_ref()).await;
                }
            }
            Step::Close(file) => {
                if let Some(open) = self.pick(file, false) {
                    self.close(open, fault.as_ref()).await;
                }
            }
            Step::CutByName(file, place) => {
                if let Some(file) = self.named(file) {
                    let size = self.place(file, place);
                    self.cut_by_name(file, size, fault.as_ref()).await;
                }
            }
            Step::Unlink(file) => {
                if let Some(file) = self.named(file) {
                    self.unlink(file).await;
                }
            }
            Step::Rename(from, to) => {
                let to = NAMES[to.index(NAMES.len())];
                if let Some(from) = self.named(from)
                    && !self.foreign.contains_key(to)
                {
                    self.rename(from, to).await;
                }
            }
            Step::SendPending => self.send_pending(fault.as_ref()).await,
            Step::Hang(kind, times) => self.tree.store.hang_next(kind, None, times),
            Step::Release => self.tree.store.release(),
            Step::OthersPut(name) => self.others_put(NAMES[name.index(NAMES.len())]),
            Step::OthersAbort => {
                self.tree.store.abort_uploads();
                self.has_failed = true;
                self.files.iter_mut().for_each(|file| {
                    (file.has_trouble, file.may_be_lost) = (true, true);
                });
            }
        }
        for _ in 0..pause {
            tokio::task::yield_now().await;
        }
        self.forget_deleted();
        if !self.is_torn {
            self.verify();
        }
    }

    /// Looks a file up by its name, which is there.
    pub(super) async fn look(&mut self, file: usize) -> Attr {
        let name = self.files[file].name.unwrap();
        let attr = self.tree.lookup(ROOT, name).await.unwrap().unwrap();
        *self.files[file].lookups.entry(attr.ino).or_default() += 1;
        attr
    }

    /// As the kernel forgets what nobody can find any more.
    fn forget_deleted(&mut self) {
        for file in 0..self.files.len() {
            if self.files[file].name.is_none() && !self.is_open(file) {
                for (ino, count) in std::mem::take(&mut self.files[file].lookups) {
                    self.tree.fs.forget(ino, count);
                }
            }
        }
    }

    // What is meant.

    fn free_name(&self, name: Index) -> Option<&'static str> {
        let is_free = |name: &&&'static str| {
            !self.names.contains_key(**name) && !self.foreign.contains_key(**name)
        };
        let free: Vec<_> = NAMES.iter().filter(is_free).collect();
        (!free.is_empty()).then(|| *free[name.index(free.len())])
    }

    /// A file that has a name that nobody else has written to.
    fn named(&self, file: Index) -> Option<usize> {
        let names = self.names.iter().filter(|(name, _)| !self.foreign.contains_key(*name));
        let files: Vec<usize> = names.map(|(_, file)| *file).collect();
        (!files.is_empty()).then(|| files[file.index(files.len())])
    }

    fn pick(&self, file: Index, writes: bool) -> Option<usize> {
        let open = self.open.iter().enumerate().filter(|(_, open)| open.writes || !writes);
        let open: Vec<usize> = open.map(|(index, _)| index).collect();
        (!open.is_empty()).then(|| open[file.index(open.len())])
    }

    pub(super) fn place(&self, file: usize, place: Place) -> u64 {
        let place = match place {
            Place::Part(part, off) => (part * PART).saturating_add_signed(off),
            Place::End(off) => (self.files[file].bytes.len() as u64).saturating_add_signed(off),
        };
        place.min(MOST_BYTES)
    }

    pub(super) fn is_open(&self, file: usize) -> bool {
        self.open.iter().any(|open| open.file == file)
    }

    pub(super) fn is_foreign(&self, file: usize) -> bool {
        self.files[file].name.is_some_and(|name| self.foreign.contains_key(name))
    }

    /// Bytes that nobody wrote before.
    pub(super) fn fresh(&mut self, length: usize) -> Vec<u8> {
        self.written += 1;
        let mut seed = self.written.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let words = (0..length.div_ceil(8)).flat_map(|_| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed.to_le_bytes()
        });
        words.take(length).collect()
    }

    // Time.

    /// Does what may wait for requests that hang; half-way `meanwhile` is done.
    pub(super) async fn drive<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(Arc<FileSystem>) -> WorkOf<T>,
        meanwhile: Option<(usize, Change)>,
    ) -> Result<T, FsError> {
        let task = tokio::spawn(work(self.tree.fs.clone()));
        let mut meanwhile = meanwhile;
        for round in 0.. {
            for _ in 0..30 {
                tokio::task::yield_now().await;
            }
            if let Some((file, change)) = meanwhile.take() {
                Box::pin(self.change_of(file, change, false)).await;
                continue;
            }
            if task.is_finished() {
                break;
            }
            self.tree.store.release();
            if round > 5 {
                tokio::time::sleep(Duration::from_micros(50)).await;
            }
            assert!(round < 100_000, "it never ends");
        }
        task.await.unwrap()
    }

    /// Lets everything that goes on come to its end; whether anything failed on command.
    pub(super) async fn settle(&mut self) -> bool {
        for _ in 0..10 {
            for _ in 0..30 {
                tokio::task::yield_now().await;
            }
            self.tree.store.release();
        }
        let failed = self.tree.store.heal();
        self.note_failed(failed)
    }

    /// Notes whether requests failed, of whichever file.
    fn note_failed(&mut self, failed: bool) -> bool {
        self.has_failed |= failed;
        if failed {
            self.files.iter_mut().for_each(|file| file.has_trouble = true);
        }
        failed
    }

    pub(super) fn arm(&self, fault: Option<&Fault>) {
        if let Some(fault) = fault {
            fault.arm(&self.tree.store);
        }
    }

    /// Has what was to fail fail no more.
    pub(super) fn disarm(&mut self, fault: Option<&Fault>) {
        if fault.is_some() {
            let failed = self.tree.store.heal();
            self.note_failed(failed);
        }
    }

    async fn change_of(&mut self, file: usize, change: Change, may_wait: bool) {
        let open = self.open.iter().position(|open| open.file == file && open.writes);
        if let Some(open) = open {
            self.change(open, change, None, may_wait).await;
        }
    }

    // Somebody else.

    fn others_put(&mut self, name: &'static str) {
        self.written += 1;
        self.tree.store.put(name, format!("others wrote this: {}", self.written));
        let object = self.tree.store.object(name).unwrap();
        self.foreign.insert(name, object);
    }
}

/// An operation under way.
pub(super) type WorkOf<T> =
    std::pin::Pin<Box<dyn Future<Output = Result<T, FsError>> + Send + 'static>>;
