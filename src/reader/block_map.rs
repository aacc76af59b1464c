//! Which blocks there are, and which of them go first: bookkeeping alone, under the lock of
//! [`super::cache`].

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use lru::LruCache;
use tokio::task::AbortHandle;

use super::pin::Pin;
use crate::disk::Ghosts;
use crate::key::ObjectVersion;
use crate::mem::{Block, BlockWriter};
use crate::store::StoreError;

/// A block of an object's bytes; it fails with the error of its GET.
pub(super) type ObjectBlock = Block<Arc<StoreError>>;
pub(super) type ObjectWriter = BlockWriter<Arc<StoreError>>;

/// Names one version in the cache; cheaper to compare than the version itself.
pub(super) type VersionId = u64;

/// What was fetched before anybody had asked for it, in whole blocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ahead {
    /// The bytes that came.
    pub fetched_bytes: u64,
    /// Those that somebody has asked for since.
    pub used_bytes: u64,
}

/// How much of a block was read so far, in bytes; those that were read twice count twice.
type Reads = u64;

/// The blocks of all versions.
#[derive(Debug)]
pub(super) struct BlockMap {
    pub(super) ids: HashMap<ObjectVersion, VersionId>,
    pub(super) versions: HashMap<VersionId, VersionBlocks>,
    next_id: VersionId,
    /// Blocks that somebody has read, least recently read first.
    seen: LruCache<(VersionId, u64), Reads>,
    /// Blocks that were fetched ahead and not read yet, with their weight.
    unread: LruCache<(VersionId, u64), u64>,
    unread_bytes: u64,
    /// What was fetched ahead and is not in `unread` any more.
    ahead: Ahead,
    /// Blocks that were read and had to go; kept where there is a cache on disk.
    pub(super) gone: Option<Ghosts>,
    /// Versions of which wrong bytes were read and that nobody has opened since.
    pub(super) damaged: HashSet<ObjectVersion>,
}

/// The blocks of one version, and who needs them.
#[derive(Debug)]
pub(super) struct VersionBlocks {
    pub(super) pin: Arc<Pin>,
    /// By the offset of their first byte; they never overlap.
    pub(super) blocks: BTreeMap<u64, Arc<ObjectBlock>>,
    pub(super) in_flight: Vec<AbortHandle>,
    pub(super) handles: usize,
}

impl BlockMap {
    /// No blocks. `remembers` says whether those that have to go are remembered.
    pub(super) fn new(remembers: bool) -> Self {
        BlockMap {
            ids: HashMap::new(),
            versions: HashMap::new(),
            next_id: 0,
            seen: LruCache::unbounded(),
            unread: LruCache::unbounded(),
            unread_bytes: 0,
            ahead: Ahead::default(),
            gone: remembers.then(Ghosts::default),
            damaged: HashSet::new(),
        }
    }

    pub(super) fn id_of(&mut self, version: &ObjectVersion) -> VersionId {
        if let Some(&id) = self.ids.get(version) {
            return id;
        }
        let id = self.next_id;
        self.next_id += 1;
        self.ids.insert(version.clone(), id);
        id
    }

    pub(super) fn block_at(&self, id: VersionId, at: u64) -> Option<(u64, Arc<ObjectBlock>)> {
        let (&offset, block) = self.versions.get(&id)?.blocks.range(..=at).next_back()?;
        let covers = at < offset + block.len() as u64 && block.failure().is_none();
        covers.then(|| (offset, block.clone()))
    }

    pub(super) fn next_block(&self, id: VersionId, at: u64) -> Option<u64> {
        self.versions.get(&id)?.blocks.range(at + 1..).next().map(|(&offset, _)| offset)
    }

    pub(super) fn insert(&mut self, id: VersionId, offset: u64, block: Arc<ObjectBlock>) {
        if let Some(version) = self.versions.get_mut(&id) {
            version.blocks.insert(offset, block);
        }
    }

    /// Puts a block into the queue that says when it may go; whether some of its bytes have now
    /// been read twice.
    pub(super) fn note_use(
        &mut self,
        id: VersionId,
        offset: u64,
        block: &ObjectBlock,
        read: Option<&Range<u64>>,
    ) -> bool {
        let place = (id, offset);
        let bytes = block.len() as u64;
        let end = offset + bytes;
        if let Some(read) = read.filter(|read| read.start < end && offset < read.end) {
            if self.forget_unread(place) {
                self.ahead.fetched_bytes += bytes;
                self.ahead.used_bytes += bytes;
            }
            let before = self.seen.get(&place).copied().unwrap_or_default();
            let now = before + read.end.min(end) - read.start.max(offset);
            self.seen.put(place, now);
            return before <= bytes && now > bytes;
        } else if !self.seen.contains(&place) && !self.unread.contains(&place) {
            let weight = block.weight_bytes() as u64;
            self.unread.put(place, weight);
            self.unread_bytes += weight;
        }
        false
    }

    /// The complete blocks that somebody has read, the one read last first.
    pub(super) fn read_blocks(&self) -> Vec<(ObjectVersion, u64, Arc<ObjectBlock>)> {
        let block = |(&(id, offset), _): (&(VersionId, u64), &Reads)| {
            let version = self.versions.get(&id)?;
            let block = version.blocks.get(&offset).filter(|block| block.is_complete())?;
            Some((version.pin.version.clone(), offset, block.clone()))
        };
        self.seen.iter().filter_map(block).collect()
    }

    /// Takes a block out of those that nobody has read; whether it was one.
    fn forget_unread(&mut self, place: (VersionId, u64)) -> bool {
        let Some(weight) = self.unread.pop(&place) else { return false };
        self.unread_bytes -= weight;
        true
    }

    /// What was fetched ahead so far. What is still on its way does not count.
    pub(super) fn ahead(&self) -> Ahead {
        let bytes = |(&(id, offset), _): (&(VersionId, u64), &u64)| {
            let block = self.versions.get(&id)?.blocks.get(&offset)?;
            block.is_complete().then(|| block.len() as u64)
        };
        let unread: u64 = self.unread.iter().filter_map(bytes).sum();
        Ahead { fetched_bytes: self.ahead.fetched_bytes + unread, ..self.ahead }
    }

    pub(super) fn remove(&mut self, id: VersionId, offset: u64) -> Option<Arc<ObjectBlock>> {
        let was_unread = self.forget_unread((id, offset));
        self.seen.pop(&(id, offset));
        let removed = self.versions.get_mut(&id)?.blocks.remove(&offset);
        if let Some(block) = removed.as_ref().filter(|block| was_unread && block.is_complete()) {
            self.ahead.fetched_bytes += block.len() as u64;
        }
        removed
    }

    pub(super) fn forget_if_empty(&mut self, id: VersionId) {
        let is_empty = |version: &VersionBlocks| version.handles == 0 && version.blocks.is_empty();
        if self.versions.get(&id).is_some_and(is_empty)
            && let Some(version) = self.versions.remove(&id)
            && self.ids.get(&version.pin.version) == Some(&id)
        {
            self.ids.remove(&version.pin.version);
        }
    }

    /// Drops one block that nobody uses: of those that were read the one unused
    /// longest; of those fetched ahead only if they fill half of `limit_bytes`, or
    /// if nothing else is left. Says whether there was one.
    pub(super) fn evict_one(&mut self, limit_bytes: u64) -> bool {
        let mut order = [Self::evict_seen, Self::evict_unread];
        if self.unread_bytes > limit_bytes / 2 {
            order.reverse();
        }
        order.into_iter().any(|evict| evict(self))
    }

    fn evict_seen(&mut self) -> bool {
        for _ in 0..self.seen.len() {
            let Some((&place, _)) = self.seen.peek_lru() else { break };
            let version = self.versions.get(&place.0).map(|version| version.pin.clone());
            if self.evict(place) {
                if let Some((gone, pin)) = self.gone.as_mut().zip(version) {
                    gone.note(&(&pin.version, place.1));
                }
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
