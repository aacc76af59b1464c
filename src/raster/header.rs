//! What the header of an image in one piece says, whatever its format.

use serde::{Deserialize, Serialize};

use super::error::corrupt;
use super::{Color, GeoTags, Limits, RasterError, SampleType};

/// What a header says; the grid and the levels follow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Samples of a pixel.
    pub bands: u16,
    /// The type that a sample is given out as.
    pub sample: SampleType,
    /// Significant bits of a sample.
    pub bit_depth: u8,
    /// What the bands mean.
    pub color: Color,
    /// The value of pixels that hold no measurement.
    pub nodata: Option<f64>,
    /// Where the image lies on the earth.
    pub geo: Option<GeoTags>,
    /// Which frame of an animation it is of, from 1 on; 1 also where there is only one.
    pub frame: u32,
    /// What its decoder needs besides the file and the pixels, as far as the header
    /// says, in bytes.
    pub scratch_bytes: u64,
    /// Why the pixels cannot be given out exactly, if they cannot.
    pub unsupported: Option<String>,
    /// What is wrong with the file, but not with its pixels.
    pub warnings: Vec<String>,
}

impl Header {
    /// All pixels in memory, in bytes.
    pub fn pixel_bytes(&self) -> u64 {
        self.samples().saturating_mul(self.sample.bytes() as u64)
    }

    /// What decoding a file of this size takes: the file, its pixels and what the
    /// decoder works with are in memory at the same time.
    pub fn decode_bytes(&self, file_bytes: u64) -> u64 {
        self.pixel_bytes().saturating_add(file_bytes).saturating_add(self.scratch_bytes)
    }

    /// Whether the pixels of both are laid out alike.
    pub(super) fn has_layout_of(&self, other: &Header) -> bool {
        let layout = |header: &Header| {
            let Header { width, height, bands, sample, color, .. } = header;
            (*width, *height, *bands, *sample, *color)
        };
        layout(self) == layout(other)
    }

    /// Holds the limits before anything is decoded.
    pub(super) fn check(&self, file_bytes: u64, limits: &Limits) -> Result<(), RasterError> {
        let over =
            |what: String, option, allowed| Err(RasterError::Limit { what, option, allowed });
        if self.width == 0 || self.height == 0 || self.bands == 0 {
            return Err(corrupt("it has no pixels"));
        }
        let pixels = self.pixels();
        if pixels > limits.image_pixels {
            let what = format!("the image has {pixels} pixels");
            return over(what, "--max-image-pixels", limits.image_pixels);
        }
        let bytes = self.decode_bytes(file_bytes);
        if bytes > limits.decode_bytes {
            let what = format!("decoding the image takes {bytes} bytes");
            return over(what, "--max-decode-memory", limits.decode_bytes);
        }
        // What is no larger than a tile may be is harmless at any compression.
        let expansion = self.samples() / file_bytes.max(1);
        if self.samples() > limits.tile_samples && expansion > limits.expansion {
            let what = format!("the image has {expansion} samples for each byte of the file");
            return over(what, "--max-expansion", limits.expansion);
        }
        Ok(())
    }

    fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    fn samples(&self) -> u64 {
        self.pixels().saturating_mul(self.bands.into())
    }
}
