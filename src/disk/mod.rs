//! Memory that outlives the mount: a folder on disk, below the memory (`--cache-dir`).
//!
//! Contract: an entry is bytes of one version of one object, or something that was made of it.
//! Its name is all that decides what its bytes are: server, bucket, account, key, ETag, size,
//! and what it is. An entry is found by the digest of its name, says its whole name, and has a
//! checksum of each of its bytes ([`entry`]). Whatever is in the folder that is torn, damaged,
//! of another version or of another program is no entry: it costs a fetch. Any number of mounts
//! of one user share a folder, without knowing of each other. All may be deleted at any time.
//!
//! - Nobody who reads waits for a write. What is to be written waits in a queue that drops what
//!   is too much ([`queue`]), and one thread writes it ([`writer`]).
//! - Reads happen on the runtime's blocking threads, a few at a time, and none is waited for
//!   longer than two seconds. A disk that is too slow is left alone for a while ([`speed`]).
//! - The size holds over all mounts that share the folder ([`space`]).
//! - What is worth writing is for those to say who save it. Things that are needed a second time
//!   are known by [`Ghosts`]; `reader` and `view` say what else is.
//!
//! Nothing is synchronized to the disk: what the power took with it has a wrong checksum.

mod counts;
mod entry;
mod folder;
mod ghosts;
mod look;
mod loose;
mod queue;
mod shared;
mod space;
mod speed;
mod writer;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::runtime::Handle as Runtime;
use tokio::sync::Semaphore;
use tokio::time::timeout;

pub use counts::Figures;
pub use folder::{DiskError, Name};
pub use ghosts::Ghosts;
pub use look::{Looked, Trial, look, try_reading, try_writing};
pub use loose::Loose;
pub use queue::{Body, Part};

use counts::{Counts, microseconds};
use entry::Header;
use folder::Folder;
use queue::Item;
use shared::Shared;

use crate::key::ObjectVersion;

/// So many reads go to the disk at once.
const READS_AT_ONCE: usize = 8;
/// No read is waited for longer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long something that waits for the queue looks again.
const QUEUE_POLL: Duration = Duration::from_millis(5);

/// Where the cache is, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskConfig {
    /// The folder. It is made if there is none.
    pub folder: PathBuf,
    /// What the entries of all mounts may take.
    pub limit_bytes: u64,
    /// How much may wait to be written.
    pub queue_bytes: u64,
    /// The server, the bucket and the account, as a name for all of them.
    pub place: String,
}

/// The cache of one mount.
#[derive(Debug)]
pub struct Disk {
    place: String,
    runtime: Runtime,
    shared: Arc<Shared>,
    permits: Arc<Semaphore>,
}

impl Disk {
    /// Opens the cache, on the runtime that its reads shall run on. What is left of older
    /// formats is deleted in the background.
    ///
    /// # Errors
    /// The folder can't be used, or is not this user's alone.
    pub fn open(config: DiskConfig, runtime: Runtime) -> Result<Arc<Disk>, DiskError> {
        let folder = Folder::open(&config.folder, config.limit_bytes)?;
        let shared = Arc::new(Shared::new(folder, config.queue_bytes));
        let (writer, unusable) = (shared.clone(), config.folder);
        thread::Builder::new()
            .name("disk".into())
            .spawn(move || writer::run(&writer))
            .map_err(|cause| DiskError::Unusable { folder: unusable, cause })?;
        let permits = Arc::new(Semaphore::new(READS_AT_ONCE));
        Ok(Arc::new(Disk { place: config.place, runtime, shared, permits }))
    }

    /// The name of an entry about a version; `None` if nothing tells the version from others.
    pub fn name(&self, version: &ObjectVersion, what: &str) -> Option<Name> {
        Name::of(&self.place, version, what)
    }

    /// What an entry has, which is one thing.
    pub async fn load(&self, name: &Name) -> Option<Bytes> {
        let find = |header: &Header, file: &File| header.whole(file);
        let bytes = self.read(name.clone(), find, |bytes| bytes.len() as u64).await;
        self.note(bytes.is_some());
        bytes
    }

    /// Which bytes entries have, in order: of an object that lies in pieces in many entries.
    pub async fn ranges(&self, names: Vec<Name>) -> Vec<Vec<Range<u64>>> {
        let find = move |folder: &Folder| {
            let of = |name| folder.find(name).map_or_else(Vec::new, |(header, _)| header.ranges());
            names.iter().map(of).collect::<Vec<_>>()
        };
        let ranges: Vec<Vec<Range<u64>>> = self.on_disk(find, |_| 0).await.unwrap_or_default();
        if ranges.iter().all(Vec::is_empty) {
            self.note(false);
        }
        ranges
    }

    /// All bytes of a range, if one entry has them.
    pub async fn part(&self, name: &Name, range: Range<u64>) -> Option<Vec<u8>> {
        let find = move |header: &Header, file: &File| header.bytes(file, &range);
        let bytes = self.read(name.clone(), find, |bytes| bytes.len() as u64).await;
        self.note(bytes.is_some());
        bytes
    }

    /// Has an entry written that is these bytes, if not too much waits to be written already.
    pub fn save(&self, name: Name, body: Body) {
        let range = 0..(*body).as_ref().len();
        let parts = vec![Part { start: 0, body, range }];
        self.push(Item { name, parts, joins: false });
    }

    /// As [`Disk::save`], of some of the bytes of an entry: they join what it has.
    pub fn join(&self, name: Name, parts: Vec<Part>) {
        self.push(Item { name, parts, joins: true });
    }

    /// As [`Disk::join`], but waits for its turn until `end`; whether it came.
    pub async fn put(&self, name: Name, parts: Vec<Part>, end: Instant) -> bool {
        let mut item = Item { name, parts, joins: true };
        loop {
            match self.shared.queue.push(item) {
                Ok(()) => return true,
                Err(back) => item = back,
            }
            if Instant::now() >= end {
                return false;
            }
            tokio::time::sleep(QUEUE_POLL).await;
        }
    }

    /// Has entries deleted that turned out to be wrong, once what was saved before is written.
    pub fn forget(&self, names: impl IntoIterator<Item = Name>) {
        for name in names {
            self.shared.queue.push_in_any_case(Item { name, parts: Vec::new(), joins: false });
        }
    }

    /// Notes what a GET brought, and in which time: what the disk is held against.
    pub fn note_network(&self, bytes: u64, took: Duration) {
        self.shared.speed().note_network(bytes, took);
    }

    /// Waits until what was saved is written, until `end`.
    pub async fn settle(&self, end: Instant) {
        let shared = self.shared.clone();
        let wait = move || {
            let left = end.saturating_duration_since(Instant::now());
            shared.queue.wait_until_written(left);
        };
        let _ = self.runtime.spawn_blocking(wait).await;
    }

    /// What there is to say of it now.
    pub fn figures(&self) -> Figures {
        let Shared { folder, counts, .. } = &*self.shared;
        Figures {
            used_bytes: folder.used_bytes(),
            limit_bytes: folder.limit_bytes(),
            is_paused: self.shared.speed().is_paused(Instant::now()),
            ..counts.figures()
        }
    }

    fn push(&self, item: Item) {
        if self.shared.queue.push(item).is_err() {
            self.shared.counts.count(|counts| &counts.dropped);
        }
    }

    fn note(&self, is_hit: bool) {
        let counts = &self.shared.counts;
        counts.count(|counts| if is_hit { &counts.hits } else { &counts.misses });
    }

    /// Reads something of an entry. One that is damaged is deleted.
    async fn read<T: Send + 'static>(
        &self,
        name: Name,
        find: impl FnOnce(&Header, &File) -> Option<T> + Send + 'static,
        bytes: impl Fn(&T) -> u64,
    ) -> Option<T> {
        let shared = self.shared.clone();
        let find = move |folder: &Folder| {
            let (header, file) = folder.find(&name)?;
            let found = find(&header, &file);
            if found.is_none() && !header.is_right(&file) {
                shared.counts.count(|counts| &counts.damaged);
                folder.remove(&name);
            }
            found
        };
        let bytes = |found: &Option<T>| found.as_ref().map_or(0, &bytes);
        self.on_disk(find, bytes).await?
    }

    /// Does something on a thread that may wait; `None` if the disk is left alone, or does not
    /// answer in time.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Folder) -> T + Send + 'static,
        bytes: impl Fn(&T) -> u64,
    ) -> Option<T> {
        if self.shared.speed().is_paused(Instant::now()) {
            return None;
        }
        let (shared, permits) = (self.shared.clone(), self.permits.clone());
        let answer = timeout(PATIENCE, async {
            // The thread gives it back, however long it takes.
            let permit = permits.acquire_owned().await.ok()?;
            let work = move || {
                let begun = Instant::now();
                let done = work(&shared.folder);
                drop(permit);
                (done, begun.elapsed())
            };
            self.runtime.spawn_blocking(work).await.ok()
        });
        let Ok(answer) = answer.await else {
            self.shared.speed().pause(Instant::now());
            self.say_paused("it has not answered for two seconds");
            return None;
        };
        let (done, took) = answer?;
        if let bytes @ 1.. = bytes(&done) {
            let counts: &Counts = &self.shared.counts;
            counts.add(|counts| &counts.read_bytes, bytes);
            counts.add(|counts| &counts.read_microseconds, microseconds(took));
            let slow = self.shared.speed().note_disk(bytes, took, Instant::now());
            if let Some(slow) = slow {
                let [disk, network] = [slow.disk, slow.network].map(|speed| speed / 1e6);
                self.say_paused(&format!(
                    "it brings {disk:.1} MB in a second, and the network {network:.1}"
                ));
            }
        }
        Some(done)
    }

    fn say_paused(&self, why: &str) {
        self.shared.counts.count(|counts| &counts.pauses);
        tracing::warn!("--cache-dir: the disk is slow ({why}); it is not read for a minute");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}
