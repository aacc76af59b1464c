//! Images as tiles at resolution levels.
//!
//! Contract: [`open`] recognises an image by its first bytes and says all that a
//! header says ([`RasterInfo`]) before anything is decoded; a [`Raster`] then
//! decodes any tile at any level, exactly or not at all. Every header is checked
//! against [`Limits`] before a decoder sees it. Reads bytes through a [`Source`]
//! and never knows where they come from; knows nothing of files or views.

mod animation;
mod bmp;
mod codec;
mod cores;
mod decoders;
mod dicom;
mod error;
mod exr;
mod fetch;
mod file;
mod fits;
pub mod foreign;
mod frames;
mod gathered;
mod geo;
mod gif_frames;
mod grid;
mod header;
mod held;
mod images;
mod jpeg;
pub mod jpeg2000;
mod jxl;
mod limits;
mod mended;
mod metadata;
mod open;
mod overlaid;
mod pages;
mod picture;
mod source;
mod spliced;
mod srgb;
mod tiff;
mod webp_frames;
mod whole;

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use codec::Codec;
pub use cores::decoding_microseconds;
pub use decoders::{Counted, Decoders, InProcess};
pub use error::RasterError;
pub use geo::GeoTags;
pub use grid::{Rect, TileGrid};
pub use header::Header;
pub use limits::Limits;
pub use open::open;
pub use pages::{Count, Page};
pub use picture::Picture;
pub use source::{About, Beside, Kept, Source, SourceError, Take};
pub use spliced::{Form, Piece, Spliced};

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
    /// Unsigned, 64 bits.
    U64,
    /// Signed, 64 bits.
    I64,
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
            SampleType::U64 | SampleType::I64 | SampleType::F64 => 8,
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
            SampleType::U64 => "uint64",
            SampleType::I64 => "int64",
            SampleType::F32 => "float32",
            SampleType::F64 => "float64",
        }
    }
}

impl SampleType {
    /// A value as one sample, in the byte order of the machine: the nearest float, and zero
    /// where an integer type has no such value.
    pub fn value(self, value: f64) -> Vec<u8> {
        macro_rules! whole {
            ($number:ty) => {{
                let number = value as $number;
                let fits = number as f64 == value;
                (if fits { number } else { 0 }).to_ne_bytes().to_vec()
            }};
        }
        match self {
            SampleType::U8 => whole!(u8),
            SampleType::I8 => whole!(i8),
            SampleType::U16 => whole!(u16),
            SampleType::I16 => whole!(i16),
            SampleType::U32 => whole!(u32),
            SampleType::I32 => whole!(i32),
            SampleType::U64 => whole!(u64),
            SampleType::I64 => whole!(i64),
            SampleType::F32 => (value as f32).to_ne_bytes().to_vec(),
            SampleType::F64 => value.to_ne_bytes().to_vec(),
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
    /// Red, green, blue, and further bands, none of which is plain opacity.
    RgbBands,
    /// Four: cyan, magenta, yellow, black.
    Cmyk,
    /// One: a number for each color of [`Extras::palette`].
    Palette,
    /// Three: L*, a* and b*, the latter two with a sign whatever the type is.
    Lab,
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
    /// What is wrong with the file, but not with its pixels.
    pub warnings: Vec<String>,
    /// How pieces of the image are found in its file, where they can be.
    pub ranges: Option<Ranges>,
    /// What only some formats have.
    pub extras: Extras,
}

/// What only some formats have.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Extras {
    /// The tiles of each level from 1 on, where levels are images of their own; else each
    /// level has [`RasterInfo::grid`], reduced.
    pub overviews: Vec<TileGrid>,
    /// Red, green and blue of each value, for [`Color::Palette`].
    pub palette: Option<Arc<[[u8; 3]]>>,
    /// Whether bands are pairs: the real and the imaginary part of one value.
    pub is_complex: bool,
    /// How pixels are compressed, where the format has several ways.
    pub compression: Option<&'static str>,
    /// Which image of the file it is, where the format may have several.
    pub page: Option<Page>,
    /// Whether the first row is the lowest one of the picture.
    pub is_bottom_up: bool,
    /// How gray values are to be shown, where the file says so.
    pub window: Option<Window>,
    /// Which levels have a mask of valid pixels, from the full resolution on, which has one
    /// then; empty where the image has none. See [`Raster::mask`].
    pub masked: Vec<bool>,
    /// Whether that mask has a band for each band of the image; else one is for all of them.
    pub has_mask_of_each_band: bool,
    /// The files beside the image that its levels or its mask are from.
    pub beside: Vec<Beside>,
    /// What a TIFF of the same pixels repeats word for word.
    pub carried: Carried,
}

/// How the gray values of a medical image are to be shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// The values that are black and white; all that are measured, where it is not said.
    pub range: Option<(f64, f64)>,
    /// Whether low values are the bright ones.
    pub is_inverted: bool,
}

/// Tags that GDAL and those who read like it rely on, besides the georeference.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Carried {
    /// GDAL_METADATA (42112): scale, offset, unit and name of bands, and more, as XML; empty
    /// if there is none.
    pub gdal_metadata: String,
    /// GDAL_NODATA (42113), as it is spelled; empty if it is to be written from
    /// [`RasterInfo::nodata`].
    pub nodata: String,
    /// RPCCoefficientTag (50844): 92 numbers; empty if there is none.
    pub rpc: Vec<f64>,
    /// ExtraSamples (338): what each band behind the colors means.
    pub extra_samples: Vec<u16>,
    /// ColorMap (320): all reds, greens and blues of [`Extras::palette`], of 16 bits; empty if
    /// they are to be written from there.
    pub color_map: Vec<u16>,
}

/// How pieces of an image are found in its file, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranges {
    /// How a tile is found.
    pub tiles: &'static str,
    /// What is fetched for a reduced image.
    pub reduced: String,
}

impl RasterInfo {
    /// The grid of a level's tiles, and by how many halvings they are reduced.
    pub fn grid_of(&self, level: u8) -> (&TileGrid, u8) {
        let own = usize::from(level).checked_sub(1).and_then(|at| self.extras.overviews.get(at));
        own.map_or((&self.grid, level), |grid| (grid, 0))
    }

    /// The image at a level; it starts at (0, 0).
    pub fn image(&self, level: u8) -> Rect {
        let (grid, halvings) = self.grid_of(level);
        grid.image(halvings)
    }

    /// The pixels of a tile at a level. Empty if the tile has none there.
    pub fn tile(&self, level: u8, column: u32, row: u32) -> Rect {
        let (grid, halvings) = self.grid_of(level);
        grid.tile(halvings, column, row)
    }

    /// The tile of a level that has all of these pixels: its column and row. `None` if none has,
    /// or if there are none.
    pub fn tile_around(&self, level: u8, rect: Rect) -> Option<(u32, u32)> {
        let (grid, halvings) = self.grid_of(level);
        if level < self.levels { grid.around(halvings, rect) } else { None }
    }

    /// How many tiles a level has side by side, and one below the other.
    pub fn tiles(&self, level: u8) -> (u32, u32) {
        let (grid, _) = self.grid_of(level);
        (grid.columns(), grid.rows())
    }

    /// The level of [`Raster::mask`] that belongs to a level of the image, if it has one.
    pub fn mask_level(&self, level: u8) -> Option<u8> {
        let masked = &self.extras.masked;
        let at = usize::from(level);
        let before = masked.iter().take(at).filter(|has| **has).count();
        masked.get(at).is_some_and(|has| *has).then(|| u8::try_from(before).ok()).flatten()
    }

    /// Bytes of one pixel of [`Raster::mask`].
    pub fn mask_bytes(&self) -> usize {
        if self.extras.has_mask_of_each_band { self.bands.into() } else { 1 }
    }

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

impl Pixels {
    /// Some of them: a rectangle that lies in theirs.
    pub fn part(&self, rect: Rect, pixel_bytes: usize) -> Pixels {
        if rect == self.rect {
            return self.clone();
        }
        let length = rect.width as usize * pixel_bytes;
        let mut samples = Vec::with_capacity(length * rect.height as usize);
        for y in rect.y - self.rect.y..rect.y - self.rect.y + rect.height {
            let before = y as usize * self.rect.width as usize + (rect.x - self.rect.x) as usize;
            let row = before * pixel_bytes..before * pixel_bytes + length;
            samples.extend_from_slice(self.samples.get(row).unwrap_or_default());
        }
        Pixels { rect, samples: samples.into() }
    }
}

/// An image whose header was read and lies within the limits.
#[async_trait]
pub trait Raster: Send + Sync + Debug {
    /// What the header says.
    fn info(&self) -> &RasterInfo;

    /// What of one tile is held once it is decoded, and for images in one piece also
    /// while they are decoded, in bytes.
    fn held_bytes(&self) -> u64;

    /// Says which tiles will be decoded next, all of them: their bytes may then come in fewer
    /// requests.
    async fn expect(&self, _level: u8, _tiles: &[(u32, u32)]) {}

    /// Says that what was announced may not be decoded after all.
    fn expect_no_more(&self) {}

    /// How many tiles are worth announcing by [`Raster::expect`] to whoever reads in order; 0 where
    /// that changes nothing.
    fn tiles_joined(&self) -> u8 {
        0
    }

    /// Decodes one tile at one level; the rectangle is that of
    /// [`TileGrid::tile`]. Work on the processor is done off the async threads;
    /// dropping the future stops what can be stopped.
    ///
    /// # Errors
    /// [`RasterError::Unsupported`], [`RasterError::Corrupt`] or that of the
    /// source; nothing partial is ever returned.
    async fn decode_tile(&self, level: u8, column: u32, row: u32) -> Result<Pixels, RasterError>;

    /// Whether [`Raster::decode_window`] takes less than the tile that the window is in.
    fn decodes_windows(&self) -> bool {
        false
    }

    /// Decodes a rectangle of one level that lies within one tile, and is not empty. The pixels
    /// are those of the tile; what is wrong elsewhere in the tile may not be noticed.
    ///
    /// # Errors
    /// As [`Raster::decode_tile`].
    async fn decode_window(&self, level: u8, rect: Rect) -> Result<Pixels, RasterError> {
        let Some((column, row)) = self.info().tile_around(level, rect) else {
            return Err(RasterError::Unsupported("the window lies in no tile".to_owned()));
        };
        let tile = self.decode_tile(level, column, row).await?;
        Ok(tile.part(rect, self.info().pixel_bytes()))
    }

    /// How its picture is to be shown, where its file says so.
    fn picture(&self) -> Option<&Picture> {
        None
    }

    /// Another image of the same file, by its number from 2 on; `None` if there is none.
    ///
    /// # Errors
    /// As [`open`].
    async fn page(&self, _number: u32) -> Result<Option<Arc<dyn Raster>>, RasterError> {
        Ok(None)
    }

    /// Which pixels are valid: an image of 8 bits that is 0 where they are not, of one band for all
    /// bands or of one for each. Its levels are the masks of those levels that have one.
    fn mask(&self) -> Option<Arc<dyn Raster>> {
        None
    }

    /// The parts of the file that programs which decode it step through one by one, where
    /// that is so.
    fn parts(&self) -> Option<&dyn FileParts> {
        None
    }

    /// The size of the image's file in another form, if its header tells; of the forms that
    /// [`Raster::form`] gives.
    fn form_size(&self, _form: Form) -> Option<u64> {
        None
    }

    /// The image's file in another form, without decoding it.
    ///
    /// # Errors
    /// [`RasterError::Unsupported`] if there is none, with the reason.
    async fn form(&self, _form: Form) -> Result<Spliced, RasterError> {
        Err(RasterError::Unsupported("only JPEG 2000 images have this".into()))
    }
}

/// What the kernel asks for in one piece.
const PAGE_BYTES: u64 = 4 << 10;
/// The header of a part takes no more, most of the time.
const PART_HEADER_BYTES: u64 = 1 << 10;
/// What the kernel asks for where a program reads on from one page into the next.
const READ_ON_BYTES: u64 = 16 << 10;

/// Where the pages end that the kernel asks for when a program reads the header of a part at
/// `start`: with one that lies across two pages come those that it reads on its own account.
pub fn header_pages_end(start: u64) -> u64 {
    let page_end = (start + 1).next_multiple_of(PAGE_BYTES);
    match start + PART_HEADER_BYTES > page_end {
        true => page_end + READ_ON_BYTES,
        false => page_end,
    }
}

/// The parts of an image's file, one behind the other, each with its length in front: who
/// looks for one has to step through those before it.
#[async_trait]
pub trait FileParts: Send + Sync {
    /// Where the first one is.
    fn first(&self) -> u64;

    /// The size of the file, behind which there is none.
    fn end(&self) -> u64;

    /// How long the part is that starts with these bytes, the first [`FileParts::front`] of
    /// it; `None` if there is none, or if it does not say.
    fn length(&self, front: &[u8]) -> Option<u64>;

    /// How many bytes of a part say how long it is.
    fn front(&self) -> u64;

    /// Whether [`FileParts::find`] needs no request.
    fn are_known(&self) -> bool;

    /// The part in which a byte is, once all of them are known.
    fn at(&self, offset: u64) -> Option<std::ops::Range<u64>>;

    /// Finds all of them.
    ///
    /// # Errors
    /// The file is damaged, or could not be read.
    async fn find(&self) -> Result<(), RasterError>;
}
