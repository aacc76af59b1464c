//! What the header of an image in one piece says, whatever its format.

use super::{Color, GeoTags, SampleType};

/// What a header says; the grid and the levels follow.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Header {
    pub(super) codec: &'static str,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) bands: u16,
    pub(super) sample: SampleType,
    pub(super) bit_depth: u8,
    pub(super) color: Color,
    pub(super) nodata: Option<f64>,
    pub(super) geo: Option<GeoTags>,
    /// What its decoder needs besides the file and the pixels, as far as the header says.
    pub(super) scratch_bytes: u64,
    pub(super) unsupported: Option<String>,
}

impl Header {
    /// Of all pixels in memory.
    pub(super) fn bytes(&self) -> u64 {
        self.samples().saturating_mul(self.sample.bytes() as u64)
    }

    pub(super) fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    pub(super) fn samples(&self) -> u64 {
        self.pixels().saturating_mul(self.bands.into())
    }
}
