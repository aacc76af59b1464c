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

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::task::AbortHandle;

use super::block_map::{Ahead, BlockMap, ObjectBlock, ObjectWriter, VersionBlocks, VersionId};
use super::habits::Habits;
use super::on_disk::{OnDisk, Whole};
use super::pin::Pin;
use super::readahead::Limits;
use super::verify::{self, Completed, Plan, Verify};
use crate::disk::Disk;
use crate::key::ObjectVersion;
use crate::mem::{BLOCK_BYTES, BlockPool, Budget, Use};
use crate::store::StoreError;

/// The longest range of one GET: larger ones bring nothing, smaller ones cost requests.
const PART_BYTES: u64 = 8 << 20;
const MAX_WINDOW_BYTES: u64 = 32 << 20;
/// Files that nobody has opened yet may take this part of the budget.
const UNOPENED_SHARE: u64 = 16;
const MIN_WINDOW_BYTES: u64 = 256 << 10;

/// Settings of a [`BlockCache`].
#[derive(Debug, Clone)]
pub struct CacheConfig {
    /// The budget that blocks are counted in.
    pub budget: Arc<Budget>,
    /// Whether objects that are read whole are compared with the checksum that their
    /// server keeps, for the price of a HEAD.
    pub verify: bool,
    /// Where blocks go that are worth it, and are asked for before a GET is sent.
    pub disk: Option<Arc<Disk>>,
}

/// All object bytes that are in memory or on their way.
#[derive(Debug)]
pub struct BlockCache {
    pool: Arc<BlockPool>,
    inner: Mutex<BlockMap>,
    streaming: AtomicUsize,
    verify: bool,
    on_disk: Option<OnDisk>,
    pub(super) habits: Habits,
}

/// What a range consists of: blocks in order, each with the offset of its first byte.
pub(super) type Found = Vec<(u64, Arc<ObjectBlock>)>;

/// Bytes that are here: the offset of the first one in the object, the block, and which of the
/// block's bytes they are.
pub(super) type Piece = (u64, Arc<ObjectBlock>, Range<usize>);

/// A complete block from one of its bytes on.
struct FromByte(Arc<ObjectBlock>, usize);

impl verify::Bytes for FromByte {
    fn bytes(&self) -> &[u8] {
        self.0.bytes().get(self.1..).unwrap_or_default()
    }
}

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
        Arc::new(BlockCache {
            pool: BlockPool::new(config.budget),
            inner: Mutex::new(BlockMap::new(config.disk.is_some())),
            streaming: AtomicUsize::new(0),
            verify: config.verify,
            on_disk: config.disk.map(OnDisk::new),
            habits: Habits::default(),
        })
    }

    /// The cache on disk, if there is one.
    pub fn disk(&self) -> Option<&Arc<Disk>> {
        self.on_disk.as_ref().map(OnDisk::disk)
    }

    /// As the reader sees it.
    pub(super) fn on_disk(&self) -> Option<&OnDisk> {
        self.on_disk.as_ref()
    }

    /// Has the blocks that were read written to the cache on disk, the latest first, until `end`:
    /// the mount is over.
    pub async fn put_down(&self, end: Instant) {
        let Some(on_disk) = &self.on_disk else { return };
        let blocks = self.lock().read_blocks();
        on_disk.save_all(blocks, end).await;
    }

    /// Drops blocks that nobody uses until the budget is kept: something was
    /// counted that has to be in memory.
    pub fn make_room(&self) {
        let limit_bytes = self.budget().limit_bytes();
        let mut inner = self.lock();
        while self.budget().excess_bytes() > 0 && inner.evict_one(limit_bytes) {}
    }

    /// How much may be held of files that nobody has opened yet, in bytes: a sixteenth of the
    /// budget, and less where many stream, each of whom needs a part of it.
    pub fn unopened_bytes(&self) -> u64 {
        let streams = self.streaming.load(Ordering::Relaxed).max(1) as u64;
        self.budget().limit_bytes() / UNOPENED_SHARE / streams
    }

    /// What was fetched before anybody had asked for it, and how much of it somebody has.
    pub fn ahead(&self) -> Ahead {
        self.lock().ahead()
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
        Limits { size, window_bytes, part_bytes: PART_BYTES, stop: size, is_whole: false }
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
            pin: Pin::verified(version.clone(), self.verify),
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
    /// far as there is memory. `read` says whether somebody reads them now. Gaps that are no
    /// further apart than `bridge_bytes` share a GET, which brings what is between them again.
    pub(super) fn claim(
        self: &Arc<Self>,
        id: VersionId,
        range: Range<u64>,
        read: Option<&Range<u64>>,
        bridge_bytes: u64,
    ) -> Claim {
        let mut inner = self.lock();
        let mut claim = Claim { found: Vec::new(), jobs: Vec::new(), short_of_memory: false };
        let mut read_twice: Vec<Whole> = Vec::new();
        let mut at = range.start;
        while at < range.end {
            if let Some((offset, block)) = inner.block_at(id, at) {
                at = offset + block.len() as u64;
                if inner.note_use(id, offset, &block, read)
                    && self.on_disk.is_some()
                    && block.is_complete()
                    && let Some(version) = inner.versions.get(&id)
                {
                    read_twice.push((version.pin.version.clone(), offset, block.clone()));
                }
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
                Some(job) if job.can_take(at, len, bridge_bytes) => job.push(at, writer),
                _ => claim.jobs.push(FetchJob::new(self.clone(), id, at, writer)),
            }
            at += len;
        }
        drop(inner);
        if let Some(on_disk) = &self.on_disk {
            read_twice.into_iter().for_each(|block| on_disk.save(block));
        }
        claim
    }

    /// Has a block that a GET has completed written to the cache on disk, if it was here before
    /// and had to go.
    fn note_completed(&self, id: VersionId, offset: u64, block: &Arc<ObjectBlock>) {
        let Some(on_disk) = &self.on_disk else { return };
        let mut inner = self.lock();
        let Some(version) = inner.versions.get(&id) else { return };
        let version = version.pin.version.clone();
        if inner.gone.as_mut().is_some_and(|gone| gone.take(&(&version, offset))) {
            drop(inner);
            on_disk.save((version, offset, block.clone()));
        }
    }

    /// The blocks that all bytes of a range are in, if they are here. It makes nothing, and is
    /// no use of them.
    pub(super) fn here(&self, id: VersionId, range: &Range<u64>) -> Option<Found> {
        let inner = self.lock();
        let (mut at, mut found) = (range.start, Vec::new());
        while at < range.end {
            let (offset, block) = inner.block_at(id, at)?;
            let end = offset + block.len() as u64;
            if offset + (block.filled() as u64) < end.min(range.end) {
                return None;
            }
            at = end;
            found.push((offset, block));
        }
        Some(found)
    }

    /// As [`BlockCache::here`], of a version that nobody need have open, and of as much of the
    /// range as is here: pieces in order, each with the offset of its first byte.
    pub(super) fn pieces(&self, version: &ObjectVersion, range: &Range<u64>) -> Vec<Piece> {
        let inner = self.lock();
        let Some(&id) = inner.ids.get(version) else { return Vec::new() };
        let (mut at, mut pieces) = (range.start, Vec::new());
        while at < range.end {
            let Some((offset, block)) = inner.block_at(id, at) else {
                match inner.next_block(id, at) {
                    Some(next) => at = next,
                    None => break,
                }
                continue;
            };
            let end = (offset + block.filled() as u64).min(range.end);
            let next = offset + block.len() as u64;
            if at < end {
                pieces.push((at, block, (at - offset) as usize..(end - offset) as usize));
            }
            at = next;
        }
        pieces
    }

    /// How many bytes of objects may be held now, those included that are: the budget, less
    /// what can't be dropped for them, and less what may come ahead of whoever reads them.
    pub fn room_bytes(&self) -> u64 {
        let budget = self.budget();
        let others = budget.used_bytes().saturating_sub(budget.used_for_bytes(Use::Blocks));
        let limit_bytes = budget.limit_bytes();
        limit_bytes.saturating_sub(others).saturating_sub(limit_bytes * 3 / UNOPENED_SHARE)
    }

    /// How many bytes of a version are here, whether or not somebody has it open.
    pub fn held_bytes(&self, version: &ObjectVersion) -> u64 {
        let inner = self.lock();
        let blocks = inner.ids.get(version).and_then(|id| inner.versions.get(id));
        let blocks = blocks.into_iter().flat_map(|version| version.blocks.values());
        blocks.map(|block| block.filled() as u64).sum()
    }

    /// Whether wrong bytes of a version were read, so that whoever keeps some has to drop
    /// them; told once.
    pub fn take_damaged(&self, version: &ObjectVersion) -> bool {
        let mut inner = self.lock();
        !inner.damaged.is_empty() && inner.damaged.remove(version)
    }

    /// The block that has a byte, from that byte on, if it is complete. It is no use of it.
    fn complete_at(&self, id: VersionId, at: u64) -> Option<FromByte> {
        let (offset, block) = self.lock().block_at(id, at)?;
        block.is_complete().then(|| FromByte(block, (at - offset) as usize))
    }

    /// Takes all blocks of a version out of the map, since one of them is wrong.
    fn forget_blocks(&self, id: VersionId) {
        let mut inner = self.lock();
        let Some(version) = inner.versions.get(&id) else { return };
        let (of, offsets) = (version.pin.version.clone(), version.blocks.keys().copied());
        let offsets: Vec<u64> = offsets.collect();
        // Whoever opens it from now on begins again; whoever has it open does not.
        inner.ids.remove(&of);
        inner.damaged.insert(of);
        for offset in offsets {
            inner.remove(id, offset);
        }
        inner.forget_if_empty(id);
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

    fn allocate(
        &self,
        inner: &mut BlockMap,
        len: usize,
    ) -> Option<(Arc<ObjectBlock>, ObjectWriter)> {
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

    fn lock(&self) -> MutexGuard<'_, BlockMap> {
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
    /// The offset of the byte that comes next.
    next: u64,
    /// The blocks that are not complete yet, with their offsets. What comes between them is
    /// here already.
    writers: VecDeque<(u64, ObjectWriter)>,
    failure: Option<Arc<StoreError>>,
    /// Whether the bytes that come now come from the cache on disk.
    is_from_disk: bool,
}

impl FetchJob {
    fn new(cache: Arc<BlockCache>, id: VersionId, start: u64, writer: ObjectWriter) -> Self {
        let mut job = FetchJob {
            cache,
            id,
            start,
            end: start,
            next: start,
            writers: VecDeque::new(),
            failure: None,
            is_from_disk: false,
        };
        job.push(start, writer);
        job
    }

    /// Whether a block of `len` bytes at `offset` continues this job within one part.
    fn can_take(&self, offset: u64, len: u64, bridge_bytes: u64) -> bool {
        offset <= self.end + bridge_bytes && offset + len - self.start <= PART_BYTES
    }

    fn push(&mut self, offset: u64, writer: ObjectWriter) {
        self.end = offset + writer.block().len() as u64;
        self.writers.push_back((offset, writer));
    }

    /// The cache that the blocks are in.
    pub(super) fn cache(&self) -> &BlockCache {
        &self.cache
    }

    /// The bytes that have not come.
    pub(super) fn missing(&self) -> Range<u64> {
        self.wanted().unwrap_or(self.end)..self.end
    }

    /// The first byte that has not come, if there is one.
    fn wanted(&self) -> Option<u64> {
        let (offset, writer) = self.writers.front()?;
        Some(offset + (writer.block().len() - writer.missing()) as u64)
    }

    /// What has to be asked for now: the bytes up to `stop` that have not come. Says whether
    /// they are to come from the cache on disk.
    pub(super) fn ask(&mut self, stop: u64, is_from_disk: bool) -> Range<u64> {
        let missing = self.missing();
        self.next = missing.start;
        self.is_from_disk = is_from_disk;
        missing.start..missing.end.min(stop)
    }

    /// Whether every byte up to `stop` has come.
    pub(super) fn has_reached(&self, stop: u64) -> bool {
        self.missing().start >= stop.min(self.end)
    }

    /// Whether every byte has come.
    pub(super) fn is_complete(&self) -> bool {
        self.writers.is_empty()
    }

    /// As [`FetchJob::append`], of bytes that should add up to what the server keeps.
    ///
    /// # Errors
    /// They do not; then none of the version's blocks is kept.
    pub(super) fn append_verified(
        &mut self,
        chunk: &[u8],
        place: &ObjectVersion,
        (verify, plan): (&Verify, &Plan),
    ) -> Result<(), StoreError> {
        let cache = self.cache.clone();
        let mut rest = self.step_over(chunk);
        while let Some((offset, writer)) = self.writers.front()
            && !rest.is_empty()
        {
            let (now, behind) = rest.split_at(rest.len().min(writer.missing()));
            let turn = match now.len() == writer.missing() {
                true => {
                    let block = writer.block();
                    let completed = Completed { start: *offset, bytes: block.bytes(), now };
                    let counted =
                        verify.count(place, plan, &completed, |at| cache.complete_at(self.id, at));
                    Some(counted.inspect_err(|_| cache.forget_blocks(self.id))?)
                }
                false => None,
            };
            self.append(now);
            drop(turn);
            rest = self.step_over(behind);
        }
        Ok(())
    }

    /// What of these bytes is behind those that are here already.
    fn step_over<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let wanted = self.wanted().unwrap_or(self.next);
        let (here, new) =
            bytes.split_at(wanted.saturating_sub(self.next).min(bytes.len() as u64) as usize);
        self.next += here.len() as u64;
        new
    }

    /// Fills in the bytes that come next.
    pub(super) fn append(&mut self, chunk: &[u8]) {
        let mut rest = self.step_over(chunk);
        while let Some((offset, writer)) = self.writers.front_mut() {
            let left = writer.append(rest);
            self.next += (rest.len() - left.len()) as u64;
            rest = left;
            if writer.missing() == 0 {
                if !self.is_from_disk {
                    let (offset, block) = (*offset, writer.block().clone());
                    self.cache.note_completed(self.id, offset, &block);
                }
                self.writers.pop_front();
                // Complete blocks can make room for others.
                self.cache.budget().announce_freed();
            }
            rest = self.step_over(rest);
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
