//! Memory: one budget for everything that is held, and the blocks that bytes live in.
//!
//! Contract: what a [`Reservation`] stands for is counted until it is dropped;
//! the sum never passes the budget, except for metadata that is already in the
//! kernel's hands and can't be refused. A [`Block`] is filled once, from front
//! to back, while others read what is there. Knows nothing of objects or files.

mod block;
mod budget;
mod shelf;
mod slab;

pub use block::{Block, BlockWriter};
pub use budget::{Budget, Reservation};
pub use shelf::{Counted, Making, OnShelf, Shelf};
pub use slab::{BLOCK_BYTES, BlockPool};
