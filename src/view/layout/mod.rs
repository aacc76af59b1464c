//! Files whose every byte follows from a header and pixels: arithmetic alone.
//!
//! Contract: a [`Layout`] knows from a [`RasterInfo`] the exact size of a file, and
//! cuts it into units: stretches of the file that are made from one rectangle of
//! pixels of one level each, or from none. What is asked of a layout depends on
//! nothing else, so a file is the same whatever is read of it and in which order.
//!
//! [`RasterInfo`]: crate::raster::RasterInfo

mod bands;
mod json;
mod npy;
mod packed_png;
mod png;
mod png_rows;
mod tiff;

use std::borrow::Cow;
use std::fmt::Debug;
use std::ops::Range;

pub use self::json::{JsonLayout, ObjectFacts, ViewFact};
pub use self::npy::NpyLayout;
pub use self::packed_png::{PackedBand, PackedPng};
pub use self::png::PngLayout;
pub use self::tiff::TiffLayout;
use crate::raster::{Pixels, Rect};

/// A stretch of a file, by its number; units follow one another without gaps.
pub type UnitIndex = u64;

/// What a unit is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitInput {
    /// Nothing: its bytes follow from the header.
    Nothing,
    /// The pixels of a rectangle of one level.
    Pixels {
        /// The resolution level; `k` is reduced by `2^k`.
        level: u8,
        /// Which pixels; never empty, within the level's image.
        rect: Rect,
    },
    /// The mask of a rectangle of a level that has one: a byte for each pixel, or for each band of it.
    Mask {
        /// The resolution level of the image.
        level: u8,
        /// Which pixels; never empty, within the level's image.
        rect: Rect,
    },
    /// The checksums of these units, in order: [`Layout::checksum`] of each.
    Checksums {
        /// The first unit and the one behind the last; all are made from pixels.
        of: (UnitIndex, UnitIndex),
    },
}

/// What [`Layout::encode`] is given, of the kind that [`UnitInput`] asked for.
#[derive(Debug, Clone, Copy)]
pub enum UnitData<'a> {
    /// For [`UnitInput::Nothing`].
    Nothing,
    /// For [`UnitInput::Pixels`] and [`UnitInput::Mask`].
    Pixels(&'a Pixels),
    /// For [`UnitInput::Checksums`].
    Checksums(&'a [u32]),
}

/// Why an image has no view of a kind: the view could not be exact.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoView(Cow<'static, str>);

impl NoView {
    /// With a reason, which is a sentence without its full stop.
    pub fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        NoView(reason.into())
    }
}

/// The bytes of one file as a function of pixels.
///
/// `encode` panics if the data is not what `unit_input` asked for: the rectangle's
/// size and the number of samples are the caller's promise.
pub trait Layout: Send + Sync + Debug {
    /// The size of the file in bytes: exact.
    fn size(&self) -> u64;

    /// How many units the file has.
    fn units(&self) -> u64;

    /// The unit that a byte of the file is in; `offset` is less than the size.
    fn unit_at(&self, offset: u64) -> UnitIndex;

    /// The bytes of the file that are one unit; never empty.
    fn unit_range(&self, unit: UnitIndex) -> Range<u64>;

    /// What a unit is made from.
    fn unit_input(&self, unit: UnitIndex) -> UnitInput;

    /// The bytes of a unit: exactly as many as its range has.
    fn encode(&self, unit: UnitIndex, data: UnitData<'_>) -> Vec<u8>;

    /// Where the first row of pixels starts, if the file has nothing else from there on: row
    /// by row, the samples of a pixel one behind the other, little endian.
    fn rows_start(&self) -> Option<u64> {
        None
    }

    /// The checksum of a unit made from pixels, where another unit needs it; it
    /// is computed from what [`Layout::encode`] returned for that unit.
    fn checksum(&self, _unit: UnitIndex, _encoded: &[u8]) -> u32 {
        0
    }
}

/// Sizes and offsets in files are signed in the kernel: nothing is larger.
const MAX_FILE_BYTES: u64 = i64::MAX as u64;

/// Samples in the byte order of the machine, appended in little-endian order.
pub(super) fn push_little_endian(file: &mut Vec<u8>, samples: &[u8], sample_bytes: usize) {
    if cfg!(target_endian = "little") || sample_bytes == 1 {
        file.extend_from_slice(samples);
    } else {
        push_swapped(file, samples, sample_bytes);
    }
}

/// Samples in the byte order of the machine, appended in big-endian order.
fn push_big_endian(file: &mut Vec<u8>, samples: &[u8], sample_bytes: usize) {
    if cfg!(target_endian = "big") || sample_bytes == 1 {
        file.extend_from_slice(samples);
    } else {
        push_swapped(file, samples, sample_bytes);
    }
}

fn push_swapped(file: &mut Vec<u8>, samples: &[u8], sample_bytes: usize) {
    if sample_bytes == 2 {
        // The only size that PNG swaps: a loop that the compiler turns into SIMD.
        file.extend(samples.chunks_exact(2).flat_map(|pair| [pair[1], pair[0]]));
    } else {
        for sample in samples.chunks_exact(sample_bytes) {
            file.extend(sample.iter().rev());
        }
    }
}

#[cfg(test)]
pub(crate) mod check;
#[cfg(test)]
mod tests;
