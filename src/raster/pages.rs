//! Files of several images: which one of how many.

use serde::{Deserialize, Serialize};

/// How many images a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Count {
    /// So many.
    Exactly(u32),
    /// So many were found by the time that looking for more would have cost more than a header.
    AtLeast(u32),
}

/// One of the images of a file, in a format that may have several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Which one, from 1 on.
    pub number: u32,
    /// How many there are.
    pub of: Count,
}

impl Page {
    /// The first of so many.
    pub fn first(of: Count) -> Self {
        Page { number: 1, of }
    }

    /// Whether the file is known to have no page of this number.
    pub(super) fn lacks(self, number: u32) -> bool {
        matches!(self.of, Count::Exactly(count) if number > count)
    }
}
