//! What tells one sibling's bytes from all others, for whoever compares them without reading;
//! and how much is held.

use super::{Original, View, ViewConfig, Views};

impl Views {
    /// What stands for the bytes of a sibling; `None` if nothing does for those of its original.
    /// Other settings and other versions of this program may make other bytes.
    pub fn tag(&self, original: &Original, view: View) -> Option<String> {
        let of = original.tag()?;
        let ViewConfig { preview_size, preview_bands, png_compression, .. } = &self.config;
        let version = env!("CARGO_PKG_VERSION");
        let made = format!("{version} {preview_size} {preview_bands:?} {png_compression:?}");
        Some(format!("{of}{}-{:08x}", view.suffix(), crc32fast::hash(made.as_bytes())))
    }

    /// How much is held of everything, and how much may be, in bytes.
    pub fn memory(&self) -> (u64, u64) {
        (self.budget.used_bytes(), self.budget.limit_bytes())
    }
}
