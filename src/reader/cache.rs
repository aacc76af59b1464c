//! The blocks of all object versions, and which of them go when memory is short.
//!
//! One lock over everything: a look-up takes well under a microsecond, and one
//! lock makes "find what is here and claim what is not" a single step, so two
//! readers can never fetch the same byte. Blocks in flight are in the map like
//! any other; a reader that finds one waits for its bytes.
//!
//! When a block is wanted and there is no room, blocks go that nobody is filling or
//! being answered from. First those that were read, least recently read first; then
//! those that were fetched ahead and not read yet, but only if they fill half of the
//! budget or nothing else is left. If not even one read fits, it is answered piece by
//! piece, holding one block at a time, so every reader gets on.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use tokio::task::AbortHandle;

use super::pin::Pin;
use super::readahead::Limits;
use crate::key::ObjectVersion;
use crate::mem::{BLOCK_BYTES, Block, BlockPool, BlockWriter, Budget};
use crate::store::StoreError;

/// The longest range of one GET: larger ones bring nothing, smaller ones cost requests.
const PART_BYTES: u64 = 8 << 20;
const MAX_WINDOW_BYTES: u64 = 32 << 20;
const MIN_WINDOW_BYTES: u64 = 256 << 10;

/// A block of an object's bytes; it fails with the error of its GET.
pub(super) type ObjectBlock = Block<Arc<StoreError>>;
pub(super) type ObjectWriter = BlockWriter<Arc<StoreError>>;

/// Settings of a [`BlockCache`].
#[derive(Debug, Clone)]
pub struct CacheConfig {
    /// The budget that blocks are counted in.
    pub budget: Arc<Budget>,
}

/// All object bytes that are in memory or on their way.
#[derive(Debug)]
pub struct BlockCache {
    pool: Arc<BlockPool>,
    inner: Mutex<Inner>,
    streaming: AtomicUsize,
}

/// Names one version in the cache; cheaper to compare than the version itself.
pub(super) type VersionId = u64;

#[derive(Debug)]
struct Inner {
    ids: HashMap<ObjectVersion, VersionId>,
    versions: HashMap<VersionId, VersionBlocks>,
    next_id: VersionId,
    /// Blocks that somebody has read, least recently read first.
    seen: LruCache<(VersionId, u64), ()>,
    /// Blocks that were fetched ahead and not read yet, with their weight.
    unread: LruCache<(VersionId, u64), u64>,
    unread_bytes: u64,
}

#[derive(Debug)]
struct VersionBlocks {
    pin: Arc<Pin>,
    /// By the offset of their first byte; they never overlap.
    blocks: BTreeMap<u64, Arc<ObjectBlock>>,
    in_flight: Vec<AbortHandle>,
    handles: usize,
}

/// What a range consists of: blocks in order, each with the offset of its first byte.
pub(super) type Found = Vec<(u64, Arc<ObjectBlock>)>;

/// The outcome of [`BlockCache::claim`].
pub(super) struct Claim {
    /// The blocks that cover the range from its start, as far as there was memory.
    pub(super) found: Found,
    /// The GETs that whoever claimed now has to run.
    pub(super) jobs: Vec<FetchJob>,
    /// Whether memory was short, so that `found` does not reach the range's end.
    pub(super) short_of_memory: bool,
}

impl BlockCache {
    /// An empty cache.
    pub fn new(config: CacheConfig) -> Arc<Self> {
        let inner = Inner {
            ids: HashMap::new(),
            versions: HashMap::new(),
            next_id: 0,
            seen: LruCache::unbounded(),
            unread: LruCache::unbounded(),
            unread_bytes: 0,
        };
        Arc::new(BlockCache {
            pool: BlockPool::new(config.budget),
            inner: Mutex::new(inner),
            streaming: AtomicUsize::new(0),
        })
    }

    /// Drops blocks that nobody uses until the budget is kept: something was
    /// counted that has to be in memory.
    pub fn make_room(&self) {
        let limit_bytes = self.budget().limit_bytes();
        let mut inner = self.lock();
        while self.budget().excess_bytes() > 0 && inner.evict_one(limit_bytes) {}
    }

    /// The budget that blocks are counted in.
    pub(super) fn budget(&self) -> &Arc<Budget> {
        self.pool.budget()
    }

    /// What a reader of an object of `size` bytes may fetch ahead now: half of
    /// the budget shared by all that stream.
    pub(super) fn limits(&self, size: u64) -> Limits {
        let streams = self.streaming.load(Ordering::Relaxed).max(1) as u64;
        let share = self.budget().limit_bytes() / 2 / streams;
        let window_bytes = share.clamp(MIN_WINDOW_BYTES, MAX_WINDOW_BYTES);
        Limits { size, window_bytes, part_bytes: PART_BYTES }
    }

    /// Counts a handle that began (`true`) or ceased to read ahead.
    pub(super) fn count_streaming(&self, begins: bool) {
        if begins {
            self.streaming.fetch_add(1, Ordering::Relaxed);
        } else {
            self.streaming.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Has whoever reads `from` go on with `to`, which is the server's copy of it.
    pub fn note_copied(&self, from: &ObjectVersion, to: &ObjectVersion) {
        for version in self.lock().versions.values() {
            version.pin.note_copied(from, to);
        }
    }

    /// Registers a handle on a version, and says what pins its GETs.
    pub(super) fn open(&self, version: &ObjectVersion) -> (VersionId, Arc<Pin>) {
        let mut inner = self.lock();
        let id = inner.id_of(version);
        let blocks = inner.versions.entry(id).or_insert_with(|| VersionBlocks {
            pin: Pin::new(version.clone()),
            blocks: BTreeMap::new(),
            in_flight: Vec::new(),
            handles: 0,
        });
        blocks.handles += 1;
        (id, blocks.pin.clone())
    }

    /// Drops a handle. With the last one, what is still on its way is wanted by
    /// nobody: those GETs end here instead of costing their bytes.
    pub(super) fn close(&self, id: VersionId) {
        let mut inner = self.lock();
        let Some(version) = inner.versions.get_mut(&id) else { return };
        version.handles -= 1;
        if version.handles > 0 {
            return;
        }
        for task in version.in_flight.drain(..) {
            task.abort();
        }
        let doomed: Vec<u64> = version
            .blocks
            .iter()
            .filter(|(_, block)| !block.is_complete())
            .map(|(&offset, _)| offset)
            .collect();
        for offset in doomed {
            inner.remove(id, offset);
        }
        inner.forget_if_empty(id);
    }

    /// Remembers how to end a GET that nobody waits for any more.
    pub(super) fn note_task(&self, id: VersionId, task: AbortHandle) {
        if let Some(version) = self.lock().versions.get_mut(&id) {
            version.in_flight.retain(|task| !task.is_finished());
            version.in_flight.push(task);
        }
    }

    /// Finds the blocks that cover `range` and makes new ones for its gaps, as
    /// far as there is memory. `read` says whether somebody reads them now.
    pub(super) fn claim(
        self: &Arc<Self>,
        id: VersionId,
        range: Range<u64>,
        read: Option<&Range<u64>>,
    ) -> Claim {
        let mut inner = self.lock();
        let mut claim = Claim { found: Vec::new(), jobs: Vec::new(), short_of_memory: false };
        let mut at = range.start;
        while at < range.end {
            if let Some((offset, block)) = inner.block_at(id, at) {
                at = offset + block.len() as u64;
                inner.note_use(id, offset, &block, read);
                claim.found.push((offset, block));
                continue;
            }
            let gap_end = inner.next_block(id, at).map_or(range.end, |next| next.min(range.end));
            let len = (gap_end - at).min(BLOCK_BYTES as u64);
            let Some((block, writer)) = self.allocate(&mut inner, len as usize) else {
                claim.short_of_memory = true;
                break;
            };
            inner.insert(id, at, block.clone());
            inner.note_use(id, at, &block, read);
            claim.found.push((at, block));
            match claim.jobs.last_mut() {
                Some(job) if job.can_take(at, len, PART_BYTES) => job.push(writer),
                _ => claim.jobs.push(FetchJob::new(self.clone(), id, at, writer)),
            }
            at += len;
        }
        claim
    }

    /// Takes a block that will never be complete out of the map, if it is still there.
    pub(super) fn discard(&self, id: VersionId, offset: u64, block: &Arc<ObjectBlock>) {
        let mut inner = self.lock();
        let is_same = inner
            .versions
            .get(&id)
            .and_then(|version| version.blocks.get(&offset))
            .is_some_and(|held| Arc::ptr_eq(held, block));
        if is_same {
            inner.remove(id, offset);
            inner.forget_if_empty(id);
        }
    }

    fn allocate(&self, inner: &mut Inner, len: usize) -> Option<(Arc<ObjectBlock>, ObjectWriter)> {
        // Metadata was charged on top of a full budget: object bytes give way.
        while self.budget().excess_bytes() > 0 && inner.evict_one(self.budget().limit_bytes()) {}
        loop {
            if let Some(allocated) = self.pool.allocate(len) {
                return Some(allocated);
            }
            if !inner.evict_one(self.budget().limit_bytes()) {
                return None;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The blocks that one GET is to fill; they follow one another.
///
/// Whatever happens (an error, a cancelled task, a panic), each is either complete in
/// the end, or failed and out of the map: nobody ever waits for bytes that will not
/// come.
#[derive(Debug)]
pub(super) struct FetchJob {
    cache: Arc<BlockCache>,
    id: VersionId,
    start: u64,
    end: u64,
    /// The blocks that are not complete yet, with their offsets.
    writers: VecDeque<(u64, ObjectWriter)>,
    failure: Option<Arc<StoreError>>,
}

impl FetchJob {
    fn new(cache: Arc<BlockCache>, id: VersionId, start: u64, writer: ObjectWriter) -> Self {
        let mut job =
            FetchJob { cache, id, start, end: start, writers: VecDeque::new(), failure: None };
        job.push(writer);
        job
    }

    /// Whether a block of `len` bytes at `offset` continues this job within one part.
    fn can_take(&self, offset: u64, len: u64, part_bytes: u64) -> bool {
        offset == self.end && offset + len - self.start <= part_bytes
    }

    fn push(&mut self, writer: ObjectWriter) {
        let offset = self.end;
        self.end += writer.block().len() as u64;
        self.writers.push_back((offset, writer));
    }

    /// The cache that the blocks are in.
    pub(super) fn cache(&self) -> &BlockCache {
        &self.cache
    }

    /// The bytes that have not come.
    pub(super) fn missing(&self) -> Range<u64> {
        let first = self.writers.front().map_or(self.end, |(offset, writer)| {
            offset + (writer.block().len() - writer.missing()) as u64
        });
        first..self.end
    }

    /// Whether every byte has come.
    pub(super) fn is_complete(&self) -> bool {
        self.writers.is_empty()
    }

    /// Fills in the bytes that come next.
    pub(super) fn append(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        while let Some((_, writer)) = self.writers.front_mut() {
            rest = writer.append(rest);
            if writer.missing() == 0 {
                self.writers.pop_front();
                // Complete blocks can make room for others.
                self.cache.budget().announce_freed();
            }
            if rest.is_empty() {
                return;
            }
        }
    }

    /// What those are told who wait for blocks that are not complete when this is dropped.
    pub(super) fn fail_with(&mut self, error: Arc<StoreError>) {
        self.failure = Some(error);
    }
}

impl Drop for FetchJob {
    fn drop(&mut self) {
        if self.writers.is_empty() {
            return;
        }
        let failure = self.failure.take().unwrap_or_else(|| {
            Arc::new(StoreError::given_up(
                format!("GET of bytes {}..{}", self.start, self.end),
                "the fetch was given up because nobody had the file open any more",
            ))
        });
        for (offset, writer) in self.writers.drain(..) {
            self.cache.discard(self.id, offset, writer.block());
            writer.fail(failure.clone());
        }
    }
}

impl Inner {
    fn id_of(&mut self, version: &ObjectVersion) -> VersionId {
        if let Some(&id) = self.ids.get(version) {
            return id;
        }
        let id = self.next_id;
        self.next_id += 1;
        self.ids.insert(version.clone(), id);
        id
    }

    fn block_at(&self, id: VersionId, at: u64) -> Option<(u64, Arc<ObjectBlock>)> {
        let (&offset, block) = self.versions.get(&id)?.blocks.range(..=at).next_back()?;
        let covers = at < offset + block.len() as u64 && block.failure().is_none();
        covers.then(|| (offset, block.clone()))
    }

    fn next_block(&self, id: VersionId, at: u64) -> Option<u64> {
        self.versions.get(&id)?.blocks.range(at + 1..).next().map(|(&offset, _)| offset)
    }

    fn insert(&mut self, id: VersionId, offset: u64, block: Arc<ObjectBlock>) {
        if let Some(version) = self.versions.get_mut(&id) {
            version.blocks.insert(offset, block);
        }
    }

    /// Puts a block into the queue that says when it may go.
    fn note_use(
        &mut self,
        id: VersionId,
        offset: u64,
        block: &ObjectBlock,
        read: Option<&Range<u64>>,
    ) {
        let place = (id, offset);
        let end = offset + block.len() as u64;
        let is_read = read.is_some_and(|read| read.start < end && offset < read.end);
        if is_read {
            self.forget_unread(place);
            self.seen.put(place, ());
        } else if !self.seen.contains(&place) && !self.unread.contains(&place) {
            let weight = block.weight_bytes() as u64;
            self.unread.put(place, weight);
            self.unread_bytes += weight;
        }
    }

    fn forget_unread(&mut self, place: (VersionId, u64)) {
        if let Some(weight) = self.unread.pop(&place) {
            self.unread_bytes -= weight;
        }
    }

    fn remove(&mut self, id: VersionId, offset: u64) -> Option<Arc<ObjectBlock>> {
        self.forget_unread((id, offset));
        self.seen.pop(&(id, offset));
        self.versions.get_mut(&id)?.blocks.remove(&offset)
    }

    fn forget_if_empty(&mut self, id: VersionId) {
        let is_empty = |version: &VersionBlocks| version.handles == 0 && version.blocks.is_empty();
        if self.versions.get(&id).is_some_and(is_empty)
            && let Some(version) = self.versions.remove(&id)
        {
            self.ids.remove(&version.pin.version);
        }
    }

    /// Drops one block that nobody uses: of those that were read the one unused
    /// longest; of those fetched ahead only if they fill half of `limit_bytes`, or
    /// if nothing else is left. Says whether there was one.
    fn evict_one(&mut self, limit_bytes: u64) -> bool {
        let mut order = [Self::evict_seen, Self::evict_unread];
        if self.unread_bytes > limit_bytes / 2 {
            order.reverse();
        }
        order.into_iter().any(|evict| evict(self))
    }

    fn evict_seen(&mut self) -> bool {
        for _ in 0..self.seen.len() {
            let Some((&place, ())) = self.seen.peek_lru() else { break };
            if self.evict(place) {
                return true;
            }
            // In flight or being answered from: it comes round again.
            self.seen.promote(&place);
        }
        false
    }

    fn evict_unread(&mut self) -> bool {
        for _ in 0..self.unread.len() {
            let Some((&place, _)) = self.unread.peek_lru() else { break };
            if self.evict(place) {
                return true;
            }
            self.unread.promote(&place);
        }
        false
    }

    fn evict(&mut self, (id, offset): (VersionId, u64)) -> bool {
        let is_idle = self.is_idle(id, offset);
        if is_idle {
            self.remove(id, offset);
            self.forget_if_empty(id);
        }
        is_idle
    }

    fn is_idle(&self, id: VersionId, offset: u64) -> bool {
        // The map's own Arc is the only one left: no writer, no answer.
        self.versions
            .get(&id)
            .and_then(|version| version.blocks.get(&offset))
            .is_none_or(|block| Arc::strong_count(block) == 1)
    }
}
