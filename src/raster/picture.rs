//! How a picture is to be shown, as its file says.

use serde::{Deserialize, Serialize};

/// How a picture is to be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// EXIF's tag 0x0112, from 1 (as it lies) to 8.
    pub orientation: u8,
    /// The ICC profile of its colors; empty where there is none, or none of its kind.
    pub profile: Vec<u8>,
}

impl Default for Picture {
    fn default() -> Self {
        Picture { orientation: 1, profile: Vec::new() }
    }
}

impl Picture {
    /// Whether columns become rows.
    pub fn is_turned(&self) -> bool {
        self.orientation >= 5
    }
}
