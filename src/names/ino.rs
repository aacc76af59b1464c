//! Inode numbers.

/// An inode number.
pub type Ino = u64;

/// The root's inode number, fixed by the FUSE protocol.
pub const ROOT: Ino = 1;
