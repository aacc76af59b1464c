//! An open object: answers ranges, from memory at once where it can.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::runtime::Handle as Runtime;
use tokio::time::Instant;

use super::block_map::{ObjectBlock, VersionId};
use super::cache::{BlockCache, FetchJob, Found};
use super::pin::Pin;
use super::readahead::{Limits, Pattern, SMALL_READ_BYTES, WHOLE_BYTES};
use crate::key::ObjectVersion;
use crate::mem::BLOCK_BYTES;
use crate::store::{ObjectStore, StoreError};

/// How often a read that waits for memory looks again by itself; it is told of
/// most of what becomes free, but not of answers that were sent.
const MEMORY_POLL: Duration = Duration::from_millis(20);
/// A read that has waited for memory so long fails: whoever holds it has a deadline, and
/// this is longer.
const MEMORY_WAIT: Duration = Duration::from_secs(120);
/// Bytes that are here and fetched again rather than sending another GET: 30 ms of a
/// connection are worth more.
const BRIDGE_BYTES: u64 = 16 << 10;

/// One handle on one object version.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    pattern: Mutex<Pattern>,
    opened: Instant,
}

#[derive(Debug)]
struct Shared {
    pin: Arc<Pin>,
    id: VersionId,
    cache: Arc<BlockCache>,
    store: Arc<dyn ObjectStore>,
    runtime: Runtime,
}

/// The answer to a read.
pub enum Answer {
    /// The bytes were here.
    Ready(ReadBytes),
    /// They are on their way.
    Later(BoxFuture<'static, Result<ReadBytes, Arc<StoreError>>>),
}

/// Bytes that a read is answered with; derefs to `[u8]`.
#[derive(Debug)]
pub struct ReadBytes(Parts);

#[derive(Debug)]
enum Parts {
    /// Part of one block, without a copy.
    Block(Arc<ObjectBlock>, Range<usize>),
    /// Put together from several blocks.
    Copied(Vec<u8>),
}

impl std::ops::Deref for ReadBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Parts::Block(block, range) => &block.bytes()[range.clone()],
            Parts::Copied(bytes) => bytes,
        }
    }
}

impl AsRef<[u8]> for ReadBytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl ReadBytes {
    /// A part of a block.
    pub(super) fn of_block(block: Arc<ObjectBlock>, part: Range<usize>) -> Self {
        ReadBytes(Parts::Block(block, part))
    }
}

impl From<Vec<u8>> for ReadBytes {
    fn from(bytes: Vec<u8>) -> Self {
        ReadBytes(Parts::Copied(bytes))
    }
}

impl Reader {
    /// Opens one version. Costs no request; those of its reads run on `runtime`.
    pub fn open(
        version: &ObjectVersion,
        cache: Arc<BlockCache>,
        store: Arc<dyn ObjectStore>,
        runtime: Runtime,
    ) -> Self {
        let (id, pin) = cache.open(version);
        let shared = Arc::new(Shared { pin, id, cache, store, runtime });
        Reader { shared, pattern: Mutex::default(), opened: Instant::now() }
    }

    /// The version that this handle is pinned to.
    pub fn version(&self) -> &ObjectVersion {
        &self.shared.pin.version
    }

    /// Whether the store has said that the object is another version by now.
    pub fn is_changed(&self) -> bool {
        self.shared.pin.is_changed()
    }

    /// Reads `length` bytes from `offset`; fewer only where the object ends.
    pub fn read(&self, offset: u64, length: usize) -> Answer {
        let size = self.version().size;
        let range = offset.min(size)..offset.saturating_add(length as u64).min(size);
        if range.is_empty() {
            return Answer::Ready(Vec::new().into());
        }
        let pin = &self.shared.pin;
        if let Some(error) = pin.damage().or_else(|| pin.failure_just_now(&range, self.opened)) {
            return Answer::Later(Box::pin(async move { Err(error) }));
        }
        let plan = {
            let mut pattern = self.pattern.lock().unwrap_or_else(PoisonError::into_inner);
            let was_streaming = pattern.is_streaming();
            let mut delivered =
                self.shared.pin.delivered.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(left_out) = pattern.left_out(&range)
                && delivered.holds(&left_out)
            {
                pattern.bridge(&left_out);
            }
            // Before it is noted: then it may be one with what the other one has read.
            let stop = delivered.reader_behind(range.start).unwrap_or(size);
            delivered.note(&range);
            drop(delivered);
            // A longer one is not widened, so it need not be asked.
            let is_small = range.end - range.start <= SMALL_READ_BYTES;
            let is_here = is_small && self.shared.cache.here(self.shared.id, &range).is_some();
            let limits = self.shared.cache.limits(size);
            let is_whole = range.start == 0
                && pattern.is_new()
                && (WHOLE_BYTES..limits.window_bytes).contains(&size)
                && self.shared.cache.habits.is_read_whole(self.version());
            let limits = Limits { stop, is_whole, ..limits };
            let plan = pattern.on_read(range.clone(), limits, is_here);
            if was_streaming != pattern.is_streaming() {
                self.shared.cache.count_streaming(!was_streaming);
            }
            plan
        };
        let mut ahead = plan.ahead.into_iter().peekable();
        // What is expected right behind goes into the same GET.
        let first_end = ahead
            .next_if(|next| next.start == plan.demand.end)
            .map_or(plan.demand.end, |next| next.end);
        let claim = self.shared.claim(plan.demand.start..first_end, Some(&range));
        for range in ahead {
            if self.shared.claim(range, None).short_of_memory {
                break;
            }
        }
        self.shared.answer(claim, range)
    }

    /// Bytes of a range, if all of them are in memory; it costs nothing to ask.
    pub fn peek(&self, range: Range<u64>) -> Option<ReadBytes> {
        let found = self.shared.cache.here(self.shared.id, &range)?;
        Some(cut(found, &range))
    }

    /// Whether all bytes of a range are in memory; it costs nothing to ask.
    pub fn is_here(&self, range: Range<u64>) -> bool {
        self.shared.cache.here(self.shared.id, &range).is_some()
    }

    /// Has a range fetched that will be asked for, as far as there is memory. It is one GET
    /// for each 8 MiB, also where a few pages of it are here.
    pub fn fetch_ahead(&self, range: Range<u64>) {
        let claim = self.shared.cache.claim(self.shared.id, range, None, BRIDGE_BYTES);
        claim.jobs.into_iter().for_each(|job| self.shared.start(job));
    }

    /// Reads a range that lies within the object. What is missing of it is fetched, and
    /// nothing else: the read is no evidence of how a program reads. Hold on to the reader
    /// until the answer is there.
    pub fn read_exactly(&self, range: Range<u64>) -> Answer {
        if range.is_empty() {
            return Answer::Ready(Vec::new().into());
        }
        let pin = &self.shared.pin;
        if let Some(error) = pin.damage().or_else(|| pin.failure_just_now(&range, self.opened)) {
            return Answer::Later(Box::pin(async move { Err(error) }));
        }
        let claim = self.shared.claim(range.clone(), Some(&range));
        self.shared.answer(claim, range)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let pattern = self.pattern.get_mut().unwrap_or_else(PoisonError::into_inner);
        if pattern.is_streaming() {
            self.shared.cache.count_streaming(false);
        }
        let version = &self.shared.pin.version;
        if !pattern.is_new() && version.size > WHOLE_BYTES {
            let delivered = &self.shared.pin.delivered;
            let delivered = delivered.lock().unwrap_or_else(PoisonError::into_inner);
            self.shared.cache.habits.note(version, delivered.holds(&(0..version.size)));
        }
        self.shared.cache.close(self.shared.id);
    }
}

struct Claimed {
    found: Found,
    short_of_memory: bool,
}

impl Shared {
    /// Claims a range and sets the GETs for its gaps going.
    fn claim(&self, range: Range<u64>, read: Option<&Range<u64>>) -> Claimed {
        let claim = self.cache.claim(self.id, range, read, 0);
        for job in claim.jobs {
            self.start(job);
        }
        Claimed { found: claim.found, short_of_memory: claim.short_of_memory }
    }

    fn start(&self, job: FetchJob) {
        let task = self.runtime.spawn(job.run(self.store.clone(), self.pin.clone()));
        self.cache.note_task(self.id, task.abort_handle());
    }

    /// Answers `range` from what was claimed for it, or later.
    fn answer(self: &Arc<Self>, claim: Claimed, range: Range<u64>) -> Answer {
        let mut found = claim.found;
        found.retain(|(offset, block)| {
            *offset < range.end && range.start < offset + block.len() as u64
        });
        let reaches_end =
            found.last().is_some_and(|(offset, block)| offset + block.len() as u64 >= range.end);
        if !reaches_end {
            // Short of memory: hold nothing while waiting for it.
            drop(found);
            return Answer::Later(Box::pin(self.clone().piece_by_piece(range)));
        }
        let is_here = |(offset, block): &(u64, Arc<ObjectBlock>)| {
            block.filled() as u64 >= (range.end - offset).min(block.len() as u64)
        };
        if found.iter().all(is_here) {
            return Answer::Ready(cut(found, &range));
        }
        let (shared, since) = (self.clone(), Instant::now());
        Answer::Later(Box::pin(async move {
            match wait_for(&found, &range).await {
                Ok(()) => Ok(cut(found, &range)),
                // Whoever sent the GET had much of its time: this read has all of its own.
                Err(_) if shared.pin.failed_long_before(&range, since) => {
                    drop(found);
                    shared.piece_by_piece(range).await
                }
                Err(error) => Err(error),
            }
        }))
    }

    /// Reads when memory is so short that not even the range fits: one block at a
    /// time is held, so that every reader gets on however many there are.
    async fn piece_by_piece(
        self: Arc<Self>,
        range: Range<u64>,
    ) -> Result<ReadBytes, Arc<StoreError>> {
        let mut bytes = Vec::with_capacity((range.end - range.start) as usize);
        let mut at = range.start;
        let mut end_of_wait = Instant::now() + MEMORY_WAIT;
        while at < range.end {
            let piece = at..range.end.min(at + BLOCK_BYTES as u64);
            let freed = self.cache.budget().freed();
            let first = self.claim(piece.clone(), Some(&piece)).found.into_iter().next();
            let Some((offset, block)) = first else {
                if Instant::now() >= end_of_wait {
                    return Err(self.out_of_memory());
                }
                let _ = tokio::time::timeout(MEMORY_POLL, freed).await;
                continue;
            };
            let end = (range.end - offset).min(block.len() as u64);
            block.wait_filled(end as usize).await?;
            bytes.extend_from_slice(&block.bytes()[(at - offset) as usize..end as usize]);
            at = offset + end;
            end_of_wait = Instant::now() + MEMORY_WAIT;
        }
        Ok(bytes.into())
    }

    fn out_of_memory(&self) -> Arc<StoreError> {
        let waited = MEMORY_WAIT.as_secs();
        let detail = format!("no memory was to be had within {waited} s; raise --memory");
        Arc::new(StoreError::given_up(format!("GET {}", self.pin.version.key), detail))
    }
}

/// Waits until blocks have all of a range.
async fn wait_for(found: &Found, range: &Range<u64>) -> Result<(), Arc<StoreError>> {
    for (offset, block) in found {
        block.wait_filled((range.end - offset).min(block.len() as u64) as usize).await?;
    }
    Ok(())
}

/// The bytes of `range` from blocks that hold all of it.
fn cut(found: Found, range: &Range<u64>) -> ReadBytes {
    let part = |offset: u64, len: usize| {
        let start = range.start.saturating_sub(offset) as usize;
        start..((range.end - offset) as usize).min(len)
    };
    if let [(offset, block)] = &found[..] {
        return ReadBytes(Parts::Block(block.clone(), part(*offset, block.len())));
    }
    let mut bytes = Vec::with_capacity((range.end - range.start) as usize);
    for (offset, block) in &found {
        bytes.extend_from_slice(&block.bytes()[part(*offset, block.len())]);
    }
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::{BlockPool, Budget};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_cut_of_blocks_is_the_range_of_their_bytes(
            lens in prop::collection::vec(1usize..5000, 1..6),
            start in 0.0f64..1.0,
            end in 0.0f64..1.0,
        ) {
            let pool = BlockPool::new(Budget::new(8 << 20));
            let total: usize = lens.iter().sum();
            let all: Vec<u8> = (0..total).map(|n| (n % 251) as u8).collect();
            let (start, end) = ((start * total as f64) as u64, (end * total as f64) as u64 + 1);
            prop_assume!(start < end);
            let mut found = Vec::new();
            let mut at = 0;
            for len in lens {
                let (block, mut writer) = pool.allocate(len).unwrap();
                writer.append(&all[at..at + len]);
                if (at as u64) < end && start < (at + len) as u64 {
                    found.push((at as u64, block));
                }
                at += len;
            }
            prop_assert_eq!(&*cut(found, &(start..end)), &all[start as usize..end as usize]);
        }
    }
}
