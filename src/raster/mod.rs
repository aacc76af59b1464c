//! Images as tiles at resolution levels.
//!
//! Contract: [`open`] recognises an image by its first bytes and says all that a
//! header says ([`RasterInfo`]) before anything is decoded; a [`Raster`] then
//! decodes any tile at any level, exactly or not at all. Every header is checked
//! against [`Limits`] before a decoder sees it. Reads bytes through a [`Source`]
//! and never knows where they come from; knows nothing of files or views.

mod codec;
mod cores;
mod decoders;
mod error;
mod exr;
pub mod foreign;
mod gathered;
mod geo;
mod grid;
mod header;
mod images;
mod jpeg;
pub mod jpeg2000;
mod limits;
mod open;
mod source;
mod tiff;
mod whole;

use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use codec::Codec;
pub use decoders::{Decoders, InProcess};
pub use error::RasterError;
pub use geo::GeoTags;
pub use grid::{Rect, TileGrid};
pub use header::Header;
pub use limits::Limits;
pub use open::open;
pub use source::{Source, SourceError, Take};

/// The type of one sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SampleType {
    /// Unsigned, 8 bits.
    U8,
    /// Signed, 8 bits.
    I8,
    /// Unsigned, 16 bits.
    U16,
    /// Signed, 16 bits.
    I16,
    /// Unsigned, 32 bits.
    U32,
    /// Signed, 32 bits.
    I32,
    /// IEEE 754, 32 bits.
    F32,
    /// IEEE 754, 64 bits.
    F64,
}

impl SampleType {
    /// Bytes of one sample in memory.
    pub fn bytes(self) -> usize {
        match self {
            SampleType::U8 | SampleType::I8 => 1,
            SampleType::U16 | SampleType::I16 => 2,
            SampleType::U32 | SampleType::I32 | SampleType::F32 => 4,
            SampleType::F64 => 8,
        }
    }

    /// Its name in numpy: `uint8`, `float32`, ...
    pub fn name(self) -> &'static str {
        match self {
            SampleType::U8 => "uint8",
            SampleType::I8 => "int8",
            SampleType::U16 => "uint16",
            SampleType::I16 => "int16",
            SampleType::U32 => "uint32",
            SampleType::I32 => "int32",
            SampleType::F32 => "float32",
            SampleType::F64 => "float64",
        }
    }
}

/// What the bands of an image mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Color {
    /// One band.
    Gray,
    /// Two: gray, opacity.
    GrayAlpha,
    /// Three.
    Rgb,
    /// Four: red, green, blue, opacity.
    Rgba,
    /// Measurements, of any number of bands.
    Bands,
}

/// What the header of an image says.
#[derive(Debug, Clone, PartialEq)]
pub struct RasterInfo {
    /// How the image is coded: `jpeg2000`, `png`, `tiff`, ...
    pub codec: &'static str,
    /// Pixels, at full resolution.
    pub width: u32,
    /// Pixels, at full resolution.
    pub height: u32,
    /// Samples of a pixel.
    pub bands: u16,
    /// The type that a sample is given out as.
    pub sample: SampleType,
    /// Significant bits of a sample; at most those of its type.
    pub bit_depth: u8,
    /// What the bands mean.
    pub color: Color,
    /// The tiles that are decoded one by one.
    pub grid: TileGrid,
    /// Resolution levels: level `k` has the image reduced by `2^k`; 1 where only
    /// the full resolution can be decoded.
    pub levels: u8,
    /// The value of pixels that hold no measurement.
    pub nodata: Option<f64>,
    /// Where the image lies on the earth.
    pub geo: Option<GeoTags>,
    /// Why the pixels cannot be given out exactly, if they cannot; the header is
    /// right all the same.
    pub unsupported: Option<String>,
}

impl RasterInfo {
    /// Bytes of one pixel: the samples of all bands.
    pub fn pixel_bytes(&self) -> usize {
        usize::from(self.bands) * self.sample.bytes()
    }
}

/// Pixels of one rectangle of one level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pixels {
    /// Where they are in the level's image.
    pub rect: Rect,
    /// Row by row, band by band within a pixel (`(H, W, bands)`), each sample in
    /// the byte order of the machine.
    pub samples: Bytes,
}

/// An image whose header was read and lies within the limits.
#[async_trait]
pub trait Raster: Send + Sync + Debug {
    /// What the header says.
    fn info(&self) -> &RasterInfo;

    /// What of one tile is held once it is decoded, and for images in one piece also
    /// while they are decoded, in bytes.
    fn held_bytes(&self) -> u64;

    /// Decodes one tile at one level; the rectangle is that of
    /// [`TileGrid::tile`]. Work on the processor is done off the async threads;
    /// dropping the future stops what can be stopped.
    ///
    /// # Errors
    /// [`RasterError::Unsupported`], [`RasterError::Corrupt`] or that of the
    /// source; nothing partial is ever returned.
    async fn decode_tile(&self, level: u8, column: u32, row: u32) -> Result<Pixels, RasterError>;
}
