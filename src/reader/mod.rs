//! The bytes of one object version, in memory as far as they were needed.
//!
//! Contract: a [`Reader`] answers any range of its version, from the block map
//! that all handles of that version share, joining a GET in flight or asking the
//! store; it answers as soon as the bytes asked for have arrived. Bytes of two
//! versions never meet: every GET is pinned to the version, and an answer of
//! another one fails with [`StoreErrorKind::Changed`]. Never decides what
//! exists: see `catalog`.
//!
//! [`StoreErrorKind::Changed`]: crate::store::StoreErrorKind::Changed

mod cache;
mod delivered;
mod exact;
mod fetch;
mod object;
mod pin;
mod readahead;

pub use cache::{BlockCache, CacheConfig};
pub use exact::ExactReader;
pub use object::{Answer, ReadBytes, Reader};
