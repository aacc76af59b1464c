//! Where blocks get their memory: slabs that are touched once and then recycled.
//!
//! Fresh pages are the main cost of a read path (0.5 CPU seconds for 256 MiB
//! against 0.2 on pages that were touched before), so memory is taken from the
//! system in slabs of 2 MiB, handed out in runs of 64 KiB slots, and given
//! back only where metadata needs the room. What is resident is therefore bounded by the budget exactly, with
//! no fragmentation on top. Blocks under half a slot live on the heap.
#![expect(unsafe_code, reason = "hands out parts of slabs that it owns, by pointer")]

use std::alloc::{Layout, alloc, dealloc};
use std::collections::BTreeSet;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

use super::budget::{Budget, Reservation, Use};

/// The largest block.
pub const BLOCK_BYTES: usize = 1 << 20;

const SLOT_BYTES: usize = 64 << 10;
const SLAB_SLOTS: usize = 32;
const SLAB_BYTES: usize = SLOT_BYTES * SLAB_SLOTS;
/// Blocks may always have one part in so many of the budget, and a slab at least, even
/// where metadata and pixels have filled it: whoever reads an object then waits for other
/// reads at most, which end.
const FLOOR_SHARE: u64 = 8;

/// Hands out blocks of memory within a budget.
#[derive(Debug)]
pub struct BlockPool {
    budget: Arc<Budget>,
    slabs: Mutex<Slabs>,
}

impl BlockPool {
    /// A pool that counts what it takes from the system in `budget`.
    pub fn new(budget: Arc<Budget>) -> Arc<Self> {
        Arc::new(BlockPool { budget, slabs: Mutex::default() })
    }

    /// The budget that it counts in.
    pub fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Memory for `len` bytes (1 to [`BLOCK_BYTES`]), or `None` when neither a
    /// recycled run nor the budget has room for it.
    pub(super) fn memory(self: &Arc<Self>, len: usize) -> Option<Memory> {
        assert!(
            (1..=BLOCK_BYTES).contains(&len),
            "a block has 1 to {BLOCK_BYTES} bytes, not {len}"
        );
        self.on_heap(len).or_else(|| self.take_run(len.div_ceil(SLOT_BYTES)))
    }

    /// Small blocks do not waste a slot, unless only slots are left.
    fn on_heap(&self, len: usize) -> Option<Memory> {
        let is_small = len <= SLOT_BYTES / 2;
        is_small
            .then(|| self.budget.try_reserve(len as u64))?
            .map(|c| Memory::on_heap(len, c.of(Use::Blocks)))
    }

    fn take_run(self: &Arc<Self>, slots: usize) -> Option<Memory> {
        let mut slabs = self.slabs.lock().unwrap_or_else(PoisonError::into_inner);
        if slabs.longest_run() < slots {
            let counted = self.reserve_slab(slabs.held())?;
            slabs.add(counted);
        }
        let (start, run) = slabs.take(slots)?;
        Some(Memory {
            start,
            capacity: slots * SLOT_BYTES,
            home: Home::Slab { pool: self.clone(), run },
        })
    }

    fn reserve_slab(&self, held: usize) -> Option<Reservation> {
        let bytes = SLAB_BYTES as u64;
        let floor = self.budget.limit_bytes() / FLOOR_SHARE / bytes;
        let is_below = (held as u64) < floor.max(1);
        let counted = self.budget.try_reserve(bytes);
        let counted = counted.or_else(|| is_below.then(|| self.budget.charge(bytes)));
        counted.map(|counted| counted.of(Use::Blocks))
    }

    fn give_back(&self, run: Run) {
        let is_over = self.budget.excess_bytes() > 0;
        self.slabs.lock().unwrap_or_else(PoisonError::into_inner).give_back(run, is_over);
        self.budget.announce_freed();
    }
}

/// A part of the process's memory that belongs to one block.
#[derive(Debug)]
pub(super) struct Memory {
    start: NonNull<u8>,
    capacity: usize,
    home: Home,
}

#[derive(Debug)]
enum Home {
    Heap { layout: Layout, _counted: Reservation },
    Slab { pool: Arc<BlockPool>, run: Run },
}

impl Memory {
    fn on_heap(len: usize, counted: Reservation) -> Self {
        let layout = Layout::array::<u8>(len).unwrap_or(Layout::new::<u8>());
        Memory {
            start: allocate_or_abort(layout),
            capacity: len,
            home: Home::Heap { layout, _counted: counted },
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn as_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        match &self.home {
            // SAFETY: `start` came from `alloc` with this very layout and is freed once.
            Home::Heap { layout, .. } => unsafe { dealloc(self.start.as_ptr(), *layout) },
            Home::Slab { pool, run } => pool.give_back(*run),
        }
    }
}

/// Some neighbouring slots of one slab.
#[derive(Debug, Clone, Copy)]
struct Run {
    slab: usize,
    first: usize,
    slots: usize,
}

impl Run {
    fn mask(self) -> u32 {
        (u32::MAX >> (SLAB_SLOTS - self.slots)) << self.first
    }
}

#[derive(Debug)]
struct Slab {
    /// `None` once it was given back to the system.
    memory: Option<SlabMemory>,
    /// Bit i is set while slot i is free.
    free: u32,
}

#[derive(Debug)]
struct SlabMemory {
    start: NonNull<u8>,
    _counted: Reservation,
}

impl SlabMemory {
    /// Aligned to its size, so that one huge page can back it.
    fn layout() -> Layout {
        Layout::from_size_align(SLAB_BYTES, SLAB_BYTES).unwrap_or(Layout::new::<u8>())
    }
}

impl Drop for SlabMemory {
    fn drop(&mut self) {
        // SAFETY: allocated in `Slabs::add` with the same layout and freed once; a
        // slab is dropped only when all its slots are free, or with the pool, which
        // every run holds an Arc of.
        unsafe { dealloc(self.start.as_ptr(), Self::layout()) }
    }
}

/// All slabs, and for each length of free run the slabs whose longest it is.
#[derive(Debug)]
struct Slabs {
    all: Vec<Slab>,
    /// Places in `all` whose slab was given back.
    gone: Vec<usize>,
    by_longest: [BTreeSet<usize>; SLAB_SLOTS + 1],
}

// SAFETY: a slab's pointer is only handed out in disjoint runs; `Slabs` itself
// never touches the memory behind it.
unsafe impl Send for Slabs {}

impl Default for Slabs {
    fn default() -> Self {
        Slabs {
            all: Vec::new(),
            gone: Vec::new(),
            by_longest: std::array::from_fn(|_| BTreeSet::new()),
        }
    }
}

impl Slabs {
    /// How many there are.
    fn held(&self) -> usize {
        self.all.len() - self.gone.len()
    }

    fn longest_run(&self) -> usize {
        (1..=SLAB_SLOTS).rev().find(|&n| !self.by_longest[n].is_empty()).unwrap_or(0)
    }

    fn add(&mut self, counted: Reservation) {
        let start = allocate_or_abort(SlabMemory::layout());
        let memory = Some(SlabMemory { start, _counted: counted });
        let slab = self.gone.pop().unwrap_or_else(|| {
            self.all.push(Slab { memory: None, free: u32::MAX });
            self.all.len() - 1
        });
        self.all[slab] = Slab { memory, free: u32::MAX };
        self.by_longest[SLAB_SLOTS].insert(slab);
    }

    /// Takes `slots` from the slab with the tightest fit.
    fn take(&mut self, slots: usize) -> Option<(NonNull<u8>, Run)> {
        let longest = (slots..=SLAB_SLOTS).find(|&n| !self.by_longest[n].is_empty())?;
        let slab = *self.by_longest[longest].first()?;
        let first = first_run(self.all[slab].free, slots)?;
        let run = Run { slab, first, slots };
        let base = self.all[slab].memory.as_ref()?.start;
        self.set_free(slab, self.all[slab].free & !run.mask());
        // SAFETY: `first + slots <= SLAB_SLOTS`, so the pointer stays inside the slab.
        let start = unsafe { base.add(first * SLOT_BYTES) };
        Some((start, run))
    }

    /// Takes a run back. A slab that is whole again is kept for the next block,
    /// unless it `goes`: metadata needs its place in the budget.
    fn give_back(&mut self, run: Run, goes: bool) {
        self.set_free(run.slab, self.all[run.slab].free | run.mask());
        if goes && self.all[run.slab].free == u32::MAX {
            self.by_longest[SLAB_SLOTS].remove(&run.slab);
            self.gone.push(run.slab);
            self.all[run.slab].memory = None;
        }
    }

    fn set_free(&mut self, slab: usize, free: u32) {
        self.by_longest[longest_run(self.all[slab].free)].remove(&slab);
        self.all[slab].free = free;
        self.by_longest[longest_run(free)].insert(slab);
    }
}

/// The length of the longest run of set bits.
fn longest_run(mut bits: u32) -> usize {
    let mut length = 0;
    while bits != 0 {
        bits &= bits << 1;
        length += 1;
    }
    length
}

/// Where the first run of at least `length` set bits starts.
fn first_run(bits: u32, length: usize) -> Option<usize> {
    let starts = (1..length).fold(bits, |runs, _| runs & (runs >> 1));
    (starts != 0).then(|| starts.trailing_zeros() as usize)
}

fn allocate_or_abort(layout: Layout) -> NonNull<u8> {
    // SAFETY: no layout here has size zero: blocks and slabs have at least one byte.
    let start = unsafe { alloc(layout) };
    NonNull::new(start).unwrap_or_else(|| std::alloc::handle_alloc_error(layout))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_pool_never_takes_more_than_the_budget() {
        let pool = BlockPool::new(Budget::new(5 << 20));
        let blocks: Vec<_> = std::iter::from_fn(|| pool.allocate::<()>(BLOCK_BYTES)).collect();
        assert_eq!(blocks.len(), 4, "two slabs of 2 MiB fit into 5 MiB");
        assert_eq!(pool.budget().used_bytes(), 4 << 20);
        drop(blocks);
        assert_eq!(pool.budget().used_bytes(), 4 << 20, "slabs are kept for the next block");
        assert!(pool.allocate::<()>(BLOCK_BYTES).is_some());
    }

    #[test]
    fn blocks_have_a_floor_that_nothing_else_takes() {
        let budget = Budget::new(32 << 20);
        let pool = BlockPool::new(budget.clone());
        let others = budget.charge(40 << 20);
        let blocks: Vec<_> = std::iter::from_fn(|| pool.allocate::<()>(BLOCK_BYTES)).collect();
        assert_eq!(blocks.len(), 4, "an eighth of 32 MiB");
        drop((blocks, others));
        let blocks: Vec<_> = std::iter::from_fn(|| pool.allocate::<()>(BLOCK_BYTES)).collect();
        assert_eq!(blocks.len(), 32, "the floor is not on top of the budget");
    }

    #[test]
    fn small_blocks_cost_their_own_length_only() {
        let pool = BlockPool::new(Budget::new(1 << 20));
        let block = pool.allocate::<()>(1000).unwrap();
        assert_eq!(pool.budget().used_bytes(), 1000);
        drop(block);
        assert_eq!(pool.budget().used_bytes(), 0);
    }

    #[test]
    fn slabs_that_are_free_go_when_metadata_needs_their_place() {
        let pool = BlockPool::new(Budget::new(4 << 20));
        let blocks: Vec<_> = std::iter::from_fn(|| pool.allocate::<()>(BLOCK_BYTES)).collect();
        let metadata = pool.budget().charge(1 << 20);
        drop(blocks);
        assert_eq!(pool.budget().used_bytes(), (2 << 20) + metadata.bytes(), "one slab was enough");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
        #[test]
        fn blocks_never_overlap_and_keep_their_bytes(lens in prop::collection::vec(1..=BLOCK_BYTES, 1..60)) {
            let pool = BlockPool::new(Budget::new(16 << 20));
            let mut held = std::collections::VecDeque::new();
            for (n, len) in lens.into_iter().enumerate() {
                let allocated = loop {
                    match pool.allocate::<()>(len) {
                        Some(allocated) => break allocated,
                        None => drop(held.pop_front().expect("an empty pool has room")),
                    }
                };
                let (block, mut writer) = allocated;
                writer.append(&vec![n as u8; len]);
                held.push_back((n as u8, block));
            }
            for (n, block) in held {
                prop_assert!(block.bytes().iter().all(|&byte| byte == n));
            }
        }

        #[test]
        fn the_first_run_is_free_and_long_enough(bits: u32, length in 1usize..=32) {
            match first_run(bits, length) {
                Some(first) => {
                    let run = Run { slab: 0, first, slots: length };
                    prop_assert!(first + length <= SLAB_SLOTS);
                    prop_assert_eq!(bits & run.mask(), run.mask());
                }
                None => prop_assert!(longest_run(bits) < length),
            }
        }
    }
}
