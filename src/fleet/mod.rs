//! What one mount has made, for all mounts of a fleet: entries in a bucket (`--shared-cache`).
//!
//! Contract: an entry is something that was made of one version of one object: an index, a
//! preview, a tile. Its name is all that decides what its bytes are: server, bucket, key, ETag,
//! size, and what it is. Its key in the bucket is the digest of its name, it says its whole name,
//! and it has a checksum, and a signature where there is a key ([`entry`]). Whatever else lies in
//! its place is no entry and costs a GET. Bytes of objects never go there.
//!
//! - A question is one GET, which is never tried again, and waited for a second at most. After
//!   trouble nothing is asked for a minute ([`health`]), and the log says so. So no read fails or
//!   hangs for it.
//! - What was made is put in the background by one PUT with If-None-Match, and what is too much
//!   at once is dropped ([`queue`]). What is there is replaced only by who has seen that it is
//!   something else, with If-Match: an entry that is damaged, or one that knows less.
//! - Nothing is ever deleted: a lifecycle rule of the bucket does that.
//! - Its requests have limits and counts of their own, beside those of the mounted bucket.

mod counts;
mod entry;
mod health;
mod places;
mod queue;

#[cfg(test)]
mod tests;

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use lru::LruCache;
use tokio::runtime::Handle as Runtime;
use tokio::time::{sleep, timeout, timeout_at};

pub use counts::Figures;
pub use entry::SigningKey;
pub use places::{Places, Shown};

use counts::Counts;
use entry::MAX_ENTRY_BYTES;
use health::{Health, Outcome};
use queue::{Item, Pushed, Queue};

use crate::disk::{Body, Name};
use crate::key::{Bucket, ETag, ObjectKey, ObjectVersion, Prefix};
use crate::stats::Stats;
use crate::store::{
    Condition, GetBody, GetRequest, ObjectStore, PutRequest, StoreError, StoreErrorKind,
};

/// The folder of the entries of one format.
const FORMAT: &str = "s3mem-shared-1";
/// How long an answer is waited for, and then for each piece of so many bytes.
const PATIENCE: Duration = Duration::from_secs(1);
const BYTES_A_SECOND: u64 = 4 << 20;
/// How long a PUT may take.
const PUT_TIME: Duration = Duration::from_secs(30);
/// How long who waits for the queue looks again.
const QUEUE_POLL: Duration = Duration::from_millis(10);
/// Of so many entries it is remembered what is there.
const SEEN: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
/// Longer ones are checked on a thread that may take its time.
const LONG_BYTES: usize = 256 << 10;

/// Where the shared cache is, and what goes there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetConfig {
    /// The bucket that has it.
    pub bucket: Bucket,
    /// What its keys begin with.
    pub prefix: Prefix,
    /// Where the objects are that it is about.
    pub places: Places,
    /// What entries are signed with.
    pub key: Option<SigningKey>,
    /// Whether decoded tiles go there, too.
    pub has_tiles: bool,
    /// How much may wait to be put.
    pub queue_bytes: u64,
}

/// What lies in the place of an entry.
#[derive(Debug, Clone)]
struct Seen {
    etag: Option<ETag>,
    /// Of its body; `None` if it is no entry.
    checksum: Option<u64>,
}

/// The shared cache, for one mount.
#[derive(Debug)]
pub struct SharedCache {
    store: Arc<dyn ObjectStore>,
    /// Where requests to it are counted.
    stats: Arc<Stats>,
    config: FleetConfig,
    /// What all its keys begin with.
    folder: String,
    runtime: Runtime,
    queue: Queue,
    counts: Counts,
    reads: Mutex<Health>,
    writes: Mutex<Health>,
    seen: Mutex<LruCache<Name, Seen>>,
}

impl SharedCache {
    /// The cache in a bucket, which counts the requests to it in `stats`. Sends nothing.
    pub fn new(
        store: Arc<dyn ObjectStore>,
        stats: Arc<Stats>,
        config: FleetConfig,
        runtime: Runtime,
    ) -> Arc<Self> {
        let of_key = config.key.as_ref().map(|key| format!("-{}", key.digits()));
        let folder = format!("{}{FORMAT}{}", config.prefix.as_str(), of_key.unwrap_or_default());
        Arc::new(SharedCache {
            store,
            stats,
            folder,
            runtime,
            queue: Queue::new(config.queue_bytes),
            config,
            counts: Counts::default(),
            reads: Mutex::new(Health::of_reads()),
            writes: Mutex::new(Health::of_writes()),
            seen: Mutex::new(LruCache::new(SEEN)),
        })
    }

    /// Whether decoded tiles go there, too.
    pub fn has_tiles(&self) -> bool {
        self.config.has_tiles
    }

    /// The name of an entry about a version; `None` if nothing tells the version from others.
    pub fn name(&self, version: &ObjectVersion, what: &str) -> Option<Name> {
        self.config.places.name(version, what)
    }

    /// The object that an entry is.
    fn key(&self, name: &Name) -> ObjectKey {
        let (folder, file) = name.place();
        ObjectKey::new(format!("{}/{folder}/{file}", self.folder))
    }

    /// What an entry has, if there is one: one GET, or none in times of trouble.
    pub async fn load(&self, name: &Name) -> Option<Bytes> {
        if lock(&self.reads).is_paused(Instant::now()) {
            return None;
        }
        let found = self.get(name).await;
        let outcome = match &found {
            Ok(_) => Outcome::Answered,
            Err(error) => outcome_of(error),
        };
        let paused = lock(&self.reads).note(outcome, Instant::now());
        if let (Some(pause), Err(error)) = (paused, &found) {
            self.counts.count(|counts| &counts.pauses);
            tracing::warn!(
                "--shared-cache: {} can't be read, so it is not asked for {} seconds: {error}",
                self.shown(),
                pause.as_secs()
            );
        }
        let body = self.checked(name, found.ok().flatten()).await;
        self.counts.count(|counts| if body.is_some() { &counts.hits } else { &counts.misses });
        body
    }

    /// What lies in the place of an entry, with its ETag; without bytes if they are too many.
    async fn get(&self, name: &Name) -> Result<Option<(Option<ETag>, Bytes)>, StoreError> {
        let key = self.key(name);
        let late = |_| StoreError::new(StoreErrorKind::Timeout, format!("GET {key}"), "too late");
        let range = 0..MAX_ENTRY_BYTES as u64;
        let asked = self.store.get_range(GetRequest { key: key.clone(), range, etag: None });
        let GetBody { head, mut bytes } = match timeout(PATIENCE, asked).await.map_err(late)? {
            Ok(body) => body,
            Err(error) if error.kind == StoreErrorKind::NotFound => return Ok(None),
            // An empty object.
            Err(error) if error.kind == StoreErrorKind::RangeOutside => {
                return Ok(Some((None, Bytes::new())));
            }
            Err(error) => return Err(error),
        };
        let size = head.size.unwrap_or(MAX_ENTRY_BYTES as u64);
        if size > MAX_ENTRY_BYTES as u64 {
            return Ok(Some((head.etag, Bytes::new())));
        }
        let end =
            tokio::time::Instant::now() + PATIENCE + Duration::from_secs(size / BYTES_A_SECOND);
        let mut body = BytesMut::new();
        while let Some(piece) = timeout_at(end, bytes.next()).await.map_err(late)? {
            body.extend_from_slice(&piece?);
        }
        Ok(Some((head.etag, body.freeze())))
    }

    /// The body of an entry, if these bytes are one of this name.
    async fn checked(&self, name: &Name, found: Option<(Option<ETag>, Bytes)>) -> Option<Bytes> {
        let (etag, bytes) = found?;
        let (name_of_it, key) = (name.clone(), self.config.key.clone());
        let is_long = bytes.len() > LONG_BYTES;
        let check = move || {
            let body = entry::parse(&bytes, name_of_it.text(), key.as_ref())?;
            let checksum = entry::checksum(&body);
            Some((body, checksum))
        };
        let body = match is_long {
            false => check(),
            true => self.runtime.spawn_blocking(check).await.ok().flatten(),
        };
        let checksum = body.as_ref().map(|(_, checksum)| *checksum);
        if checksum.is_none() {
            self.counts.count(|counts| &counts.damaged);
            tracing::debug!("\"{}\" is no entry of the shared cache", self.key(name));
        }
        self.note_seen(name, Seen { etag, checksum });
        body.map(|(body, _)| body)
    }

    fn note_seen(&self, name: &Name, seen: Seen) {
        lock(&self.seen).put(name.clone(), seen);
    }

    /// Has an entry put there, unless it is known to be there or too much waits already. It is
    /// not waited for.
    pub fn save(self: &Arc<Self>, name: Name, body: Body) {
        if lock(&self.writes).is_paused(Instant::now()) {
            return;
        }
        match self.queue.push(Item { name, body }) {
            Pushed::Waits => {}
            Pushed::Dropped => self.counts.count(|counts| &counts.dropped),
            Pushed::NeedsSender => {
                let cache = self.clone();
                self.runtime.spawn(async move {
                    while let Some(item) = cache.queue.next() {
                        let bytes = (*item.body).as_ref().len() as u64;
                        cache.put(item).await;
                        cache.queue.done(bytes);
                    }
                });
            }
        }
    }

    async fn put(&self, item: Item) {
        let Item { name, body } = item;
        if lock(&self.writes).is_paused(Instant::now()) {
            return;
        }
        let key = self.config.key.clone();
        let (name_of_it, content) = (name.clone(), body.clone());
        let form = move || {
            let body = (*content).as_ref();
            let entry = entry::form(name_of_it.text(), body, key.as_ref());
            (entry, entry::checksum(body))
        };
        let Ok((Some(entry), checksum)) = self.runtime.spawn_blocking(form).await else { return };
        let seen = lock(&self.seen).get(&name).cloned();
        let condition = match seen {
            Some(seen) if seen.checksum == Some(checksum) => return,
            Some(Seen { etag: Some(etag), .. }) => Condition::Unchanged(etag),
            // What has no ETag can't be replaced without replacing something else.
            Some(Seen { etag: None, .. }) | None => Condition::Absent,
        };
        let object = self.key(&name);
        let content_type = Some("application/octet-stream".into());
        let put = PutRequest { key: object.clone(), body: entry, content_type, condition };
        let outcome = match timeout(PUT_TIME, self.store.put(put)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let what = format!("PUT {object}");
                Err(StoreError::new(StoreErrorKind::Timeout, what, "no answer in 30 seconds"))
            }
        };
        // What is sent was counted with it.
        drop(body);
        match outcome {
            Ok(written) => {
                self.counts.count(|counts| &counts.written);
                lock(&self.writes).note(Outcome::Answered, Instant::now());
                self.note_seen(&name, Seen { etag: written.etag, checksum: Some(checksum) });
            }
            Err(error) if error.kind == StoreErrorKind::Changed => {
                self.counts.count(|counts| &counts.known);
                lock(&self.writes).note(Outcome::Answered, Instant::now());
            }
            Err(error) => self.note_unwritten(&error),
        }
    }

    fn note_unwritten(&self, error: &StoreError) {
        self.counts.count(|counts| &counts.failed);
        let outcome = outcome_of(error);
        let Some(pause) = lock(&self.writes).note(outcome, Instant::now()) else { return };
        let (shown, pause) = (self.shown(), pause.as_secs());
        match outcome {
            Outcome::Refused => tracing::info!(
                "--shared-cache: you may not write to {shown}, so it is only read (tried again in \
                 {pause} seconds): {error}"
            ),
            Outcome::Answered | Outcome::Failed => tracing::warn!(
                "--shared-cache: {shown} can't be written, so nothing is put there for {pause} \
                 seconds: {error}"
            ),
        }
    }

    /// Waits until what was saved is there, until `end`.
    pub async fn settle(&self, end: Instant) {
        while !self.queue.is_empty() && Instant::now() < end {
            sleep(QUEUE_POLL).await;
        }
    }

    /// What there is to say of it now.
    pub fn figures(&self) -> Figures {
        let requests = self.stats.snapshot();
        Figures {
            get_requests: requests.get_requests,
            get_bytes: requests.get_bytes,
            put_requests: requests.put_requests,
            put_bytes: requests.put_bytes,
            ..self.counts.figures()
        }
    }

    /// Where it is, as users write it.
    pub fn shown(&self) -> String {
        format!("s3://{}/{}", self.config.bucket, self.config.prefix.as_str())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a request that failed says of the server.
fn outcome_of(error: &StoreError) -> Outcome {
    match error.kind {
        StoreErrorKind::AccessDenied => Outcome::Refused,
        _ => Outcome::Failed,
    }
}
