//! The bytes of one object version, in memory as far as they were needed.
//!
//! Contract: a [`Reader`] answers any range of its version, from the block map
//! that all handles of that version share, joining a GET in flight or asking the
//! store; it answers as soon as the bytes asked for have arrived. Bytes of two
//! versions never meet: every GET is pinned to the version, and an answer from
//! another one fails with [`StoreErrorKind::Changed`]. Never decides what
//! exists: see `catalog`.
//!
//! The way of a read:
//!
//! 1. Making a reader costs no request.
//! 2. `readahead` says what to fetch for a read: the range itself, and what the
//!    evidence of this handle says comes next, or that of the files beside it (`habits`).
//! 3. `cache` finds the blocks that are here or on their way and claims the gaps,
//!    in one step under one lock.
//! 4. If all bytes are here, the caller gets them at once, without a copy if one
//!    block holds them all. Otherwise it waits for the bytes asked for, not for the
//!    whole GET.
//! 5. What the cache on disk has of a gap is taken from there, if there is one (`on_disk`).
//! 6. Each gap is a GET of up to 8 MiB, sent with If-Match (`fetch`). Its bytes are
//!    appended to blocks of up to 1 MiB, where waiting readers see them as they
//!    arrive. An answer with another ETag is refused, or, on servers without ETags,
//!    one with another time or size.
//! 7. When the last handle of a version is closed, GETs that nobody waits for are
//!    cancelled. Complete blocks stay.
//!
//! What goes to the cache on disk, in the background: a block of which some byte was read twice;
//! one that was fetched again after it had to go; and when the mount ends, those that were read
//! and are still here, the latest first. What a program reads once, from front to back, and is
//! more than memory holds, wears no disk.
//!
//! If the object is renamed by this mount, its readers are pinned to the copy before
//! the original is deleted ([`BlockCache::note_copied`]). The copy was made of the
//! version that they read, so what they have and what they fetch match.
//!
//! [`StoreErrorKind::Changed`]: crate::store::StoreErrorKind::Changed

mod block_map;
mod cache;
mod delivered;
mod exact;
mod fetch;
mod habits;
mod object;
mod on_disk;
mod opener;
mod pin;
mod readahead;
mod verify;

pub use block_map::Ahead;
pub use cache::{BlockCache, CacheConfig};
pub use exact::{ExactReader, Take};
pub use object::{Answer, ReadBytes, Reader};
pub use opener::Opener;
