//! Memory: one budget for everything that is held, and the blocks that bytes live in.
//!
//! Contract: what a [`Reservation`] stands for is counted until it is dropped;
//! the sum never passes the budget, except for metadata that is already in the
//! kernel's hands and can't be refused. A [`Block`] is filled once, from front
//! to back, while others read what is there. A [`MemFile`] is written anywhere, by
//! whoever has its descriptor; its [`Arena`] has a limit of its own. Knows nothing
//! of objects, names or requests.

mod arena;
mod block;
mod budget;
mod file;
mod shelf;
mod slab;

pub use arena::Arena;
pub use block::{Block, BlockWriter};
pub use budget::{Budget, Reservation};
pub use file::{MemFile, MemStat, Seek};
pub use shelf::{Counted, Making, OnShelf, Shelf};
pub use slab::{BLOCK_BYTES, BlockPool};
