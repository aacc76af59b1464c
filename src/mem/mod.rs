//! Memory: one budget for everything that is held, and the blocks that bytes live in.
//!
//! Contract: what a [`Reservation`] stands for is counted until it is dropped;
//! the sum never passes the budget, except for metadata that is already in the
//! kernel's hands and can't be refused. A [`Block`] is filled once, from front
//! to back, while others read what is there. A [`MemFile`] is written anywhere, by
//! whoever has its descriptor; its [`Arena`] has a limit of its own. Knows nothing
//! of objects, names or requests.
//!
//! Who may have how much of the budget (`--memory`, less `--write-memory`):
//!
//! - Object blocks are reserved before they exist, and refused if they do not fit, except
//!   for an eighth, which they always may have.
//! - Listings take at most an eighth. They and inodes (400 bytes and their names for
//!   each; the kernel decides how many there are) are counted even if they do not
//!   fit, and blocks then make room.
//! - Decoded tiles are kept up to a third, and the bytes of siblings up to an eighth, at
//!   least 8 MiB; each header of an image counts as 1,500 bytes. All that are decoded at
//!   one time take half at most: the tiles of JPEG 2000, and of other formats the file,
//!   its pixels and what its decoder needs. Blocks make room for them. An image that
//!   would take more is refused.
//! - What was found of the packets of huge JPEG 2000 tiles is counted even if it does not fit:
//!   32 MiB at most.
//! - A decoder's process that has nothing to do counts as 1 MiB.
//! - A body under way counts as the 400 KiB that its connection buffers.
//! - An object that this mount has made counts as 96 bytes, of 100,000 at most. Extended
//!   attributes of drafts are not counted, and are 4 MiB at most.
//!
//! Not in the budget: code, stacks, copies of replies that span blocks, and what the
//! decoder of JPEG 2000 needs while it works, at most `--max-decode-memory` for each core.
//!
//! Who may wait for memory, and for whom: a read of an object, for answers under way and
//! for GETs; a decoder, for other decoders. Each of those has a deadline of its own. All
//! others are counted without waiting.

mod arena;
mod block;
mod budget;
mod file;
mod shared;
mod shelf;
mod slab;

pub use arena::{Arena, is_out_of_files};
pub use block::{Block, BlockWriter};
pub use budget::{Budget, Reservation, Use};
pub use file::{MemFile, MemStat, Seek, page_bytes};
pub use shared::{Sealed, SharedFile, Writable};
pub use shelf::{Counted, Making, OnShelf, Shelf};
pub use slab::{BLOCK_BYTES, BlockPool};
