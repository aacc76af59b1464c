//! Where a name is.

use super::ino::Ino;
use super::thing::Folder;

/// A name in a directory.
#[derive(Debug, Clone)]
pub struct Place {
    /// The directory's inode number.
    pub parent: Ino,
    /// The directory.
    pub folder: Folder,
    /// The name.
    pub name: String,
}
