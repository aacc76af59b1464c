//! What is counted, and what it is held against.

use crate::store::checksum::Kept;

/// What a version's bytes are held against.
#[derive(Debug, Clone, Copy)]
pub(in crate::reader) struct Plan {
    pub(super) kept: Kept,
    /// The bytes of each part but the last, which may have fewer.
    pub(super) part_bytes: u64,
}

/// A block as it is about to be complete: the bytes that it has, and those that come now.
pub(in crate::reader) struct Completed<'a> {
    /// Where the block starts in the object.
    pub(in crate::reader) start: u64,
    pub(in crate::reader) bytes: &'a [u8],
    pub(in crate::reader) now: &'a [u8],
}

impl Completed<'_> {
    pub(super) fn length(&self) -> u64 {
        (self.bytes.len() + self.now.len()) as u64
    }
}

/// Bytes of a block in memory.
pub(in crate::reader) trait Bytes {
    /// All of them.
    fn bytes(&self) -> &[u8];
}
