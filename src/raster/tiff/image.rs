//! What one directory says of its image: its pixels, how they are stored, and whether they
//! can be given out exactly.

use std::sync::Arc;

use bytes::Bytes;

use super::compression::Compression;
use super::directory::Directory;
use super::geometry::Geometry;
use super::order::Order;
use super::table::Chunks;
use super::tag;
use super::ycbcr::YCbCr;
use crate::raster::error::corrupt;
use crate::raster::file::File;
use crate::raster::{Color, RasterError, SampleType};

/// The values of a sample as they are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Unsigned,
    Signed,
    Float,
}

/// How a sample is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) kind: Kind,
    /// Of one sample, or of one half of a complex one.
    pub(super) bits: u16,
    /// Real and imaginary part, one behind the other.
    pub(super) is_complex: bool,
    pub(super) order: Order,
}

impl Stored {
    /// The type that it is given out as.
    fn sample(self) -> Option<SampleType> {
        Some(match (self.kind, self.bits) {
            (Kind::Unsigned, 1..=8) => SampleType::U8,
            (Kind::Unsigned, 9..=16) => SampleType::U16,
            (Kind::Unsigned, 17..=32) => SampleType::U32,
            (Kind::Unsigned, 33..=64) => SampleType::U64,
            (Kind::Signed, 8) => SampleType::I8,
            (Kind::Signed, 16) => SampleType::I16,
            (Kind::Signed, 32) => SampleType::I32,
            (Kind::Signed, 64) => SampleType::I64,
            (Kind::Float, 16 | 24 | 32) => SampleType::F32,
            (Kind::Float, 64) => SampleType::F64,
            _ => return None,
        })
    }
}

/// Photometric interpretation (tag 262) of YCbCr.
const YCBCR: u64 = 6;

/// One image of a file.
#[derive(Debug)]
pub(super) struct TiffImage {
    pub(super) geometry: Geometry,
    pub(super) stored: Stored,
    pub(super) sample: SampleType,
    /// Samples of a pixel as they are stored; a complex one is one.
    pub(super) samples: u16,
    pub(super) color: Color,
    pub(super) compression: Compression,
    pub(super) decoding: Decoding,
    /// Red, green and blue of each index.
    pub(super) palette: Option<Arc<[[u8; 3]]>>,
    pub(super) chunks: Chunks,
    pub(super) unsupported: Option<String>,
}

/// What decoding a strip or tile takes besides its bytes.
#[derive(Debug, Clone)]
pub(super) struct Decoding {
    /// Tag 317: 1 none, 2 differences, 3 differences of the bytes of floats.
    pub(super) predictor: u64,
    /// The bits of each byte are stored from the lowest to the highest (FillOrder 2).
    pub(super) is_reversed: bool,
    /// White is zero, and is not to be.
    pub(super) is_inverted: bool,
    /// It says which pixels of another image are valid: one bit of it becomes 255.
    pub(super) is_mask: bool,
    pub(super) photometric: u64,
    pub(super) fax_options: u64,
    pub(super) jpeg_tables: Bytes,
    pub(super) lerc_parameters: Vec<u64>,
    /// YCbCr that is to become RGB here.
    pub(super) ycbcr: Option<YCbCr>,
}

impl TiffImage {
    /// Reads what a directory says.
    ///
    /// # Errors
    /// It breaks the rules, so that nothing can be said of the image; that of the source.
    pub(super) async fn of(file: &File, directory: &Directory) -> Result<Self, RasterError> {
        let number = async |tag, default| {
            Ok::<u64, RasterError>(directory.number(file, tag).await?.unwrap_or(default))
        };
        let side = |value: u64| u32::try_from(value).ok().filter(|&side| side > 0);
        let no_pixels = || corrupt("it has no pixels");
        let width = side(number(tag::IMAGE_WIDTH, 0).await?).ok_or_else(no_pixels)?;
        let height = side(number(tag::IMAGE_LENGTH, 0).await?).ok_or_else(no_pixels)?;
        let samples = number(tag::SAMPLES_PER_PIXEL, 1).await?;
        let samples = u16::try_from(samples).ok().filter(|&n| n > 0).ok_or_else(no_pixels)?;
        let mut why = Refusal::default();
        let compression = match Compression::of(number(tag::COMPRESSION, 1).await?) {
            Ok(compression) => compression,
            Err(reason) => {
                why.note(reason);
                Compression::None
            }
        };
        let stored = stored(file, directory, samples, &mut why).await?;
        let sample = stored.sample().unwrap_or_else(|| {
            why.note(format!("TIFF with samples of {} bits is not converted", stored.bits));
            SampleType::U8
        });
        let photometric = match directory.number(file, tag::PHOTOMETRIC).await? {
            Some(number) => number,
            // As libtiff: fax is black on white, all else is measurements.
            None => u64::from(!compression.is_fax()),
        };
        let extra = directory.numbers(file, tag::EXTRA_SAMPLES).await?;
        let color =
            color(photometric, samples, &extra, stored, compression).unwrap_or_else(|reason| {
                why.note(reason);
                Color::Bands
            });
        let is_ycbcr = photometric == YCBCR && !compression.is_nested();
        let ycbcr = match is_ycbcr {
            true => YCbCr::of(file, directory).await?,
            false => None,
        };
        if is_ycbcr && ycbcr.is_none() {
            why.note("TIFF in YCbCr of such a sampling is not converted");
        }
        let palette = match color {
            Color::Palette => palette(file, directory, stored.bits).await?,
            _ => None,
        };
        if color == Color::Palette && palette.is_none() {
            why.note("TIFF with a palette that is missing or too short is not converted");
        }
        if color == Color::Lab && directory.has(tag::WHITE_POINT) {
            why.note("TIFF in CIE L*a*b* under a light that it names is not converted");
        }
        let planar = number(tag::PLANAR_CONFIGURATION, 1).await? == 2 && samples > 1;
        let geometry =
            geometry(file, directory, (width, height), planar.then_some(samples)).await?;
        let decoding = Decoding {
            predictor: match compression.has_predictor() {
                true => number(tag::PREDICTOR, 1).await?,
                false => 1,
            },
            is_reversed: number(tag::FILL_ORDER, 1).await? == 2 && compression.has_fill_order(),
            is_inverted: photometric == 0 && stored.kind == Kind::Unsigned,
            is_mask: false,
            photometric,
            fax_options: number(tag::T4_OPTIONS, 0).await?,
            jpeg_tables: directory.bytes(file, tag::JPEG_TABLES).await?,
            lerc_parameters: directory.numbers(file, tag::LERC_PARAMETERS).await?,
            ycbcr,
        };
        let chunks = Chunks::of(file, directory, &geometry, compression)?;
        let mut image = TiffImage {
            geometry,
            stored,
            sample,
            samples,
            color,
            compression,
            decoding,
            palette,
            chunks,
            unsupported: None,
        };
        image.refuse_combinations(&mut why);
        image.unsupported = why.0;
        image.geometry.plan_grid(image.pixel_bytes(), image.is_raw());
        Ok(image)
    }

    /// Bands as they are given out: a complex sample is two.
    pub(super) fn bands(&self) -> u32 {
        u32::from(self.samples) * if self.stored.is_complex { 2 } else { 1 }
    }

    /// Bytes of a pixel as it is given out.
    pub(super) fn pixel_bytes(&self) -> usize {
        self.bands() as usize * self.sample.bytes()
    }

    /// Samples of a pixel that one strip or tile has.
    pub(super) fn chunk_samples(&self) -> u16 {
        if self.geometry.planes > 1 { 1 } else { self.samples }
    }

    /// Bytes of a row of `columns` pixels in a strip or tile, once it is decompressed.
    pub(super) fn stored_row_bytes(&self, columns: u32) -> u64 {
        let parts = if self.stored.is_complex { 2 } else { 1 };
        let bits = u64::from(self.stored.bits) * parts * u64::from(self.chunk_samples());
        (u64::from(columns) * bits).div_ceil(8)
    }

    /// Bytes of a strip or tile, once it is decompressed.
    pub(super) fn stored_bytes(&self, columns: u32, rows: u32) -> u64 {
        match &self.decoding.ycbcr {
            Some(ycbcr) => ycbcr.bytes(columns, rows),
            None => self.stored_row_bytes(columns).saturating_mul(rows.into()),
        }
    }

    /// Whether any rows can be read by themselves.
    pub(super) fn is_raw(&self) -> bool {
        self.compression == Compression::None && self.decoding.ycbcr.is_none()
    }

    /// What can't be decoded though each tag by itself can.
    fn refuse_combinations(&self, why: &mut Refusal) {
        let Stored { kind, bits, is_complex, .. } = self.stored;
        match self.decoding.predictor {
            0 | 1 => {}
            2 if kind != Kind::Float && matches!(bits, 8 | 16 | 32 | 64) && !is_complex => {}
            2 if kind == Kind::Float && matches!(bits, 16 | 32 | 64) && !is_complex => {}
            3 if kind == Kind::Float && !is_complex => {}
            number => why.note(format!(
                "TIFF with predictor {number} and such samples of {bits} bits is not converted"
            )),
        }
        if self.compression.is_fax() && (bits, self.samples) != (1, 1) {
            why.note("TIFF with CCITT compression of more than one bit is not converted");
        }
        let is_jpeg = self.compression == Compression::Jpeg;
        let fits = kind == Kind::Unsigned && !is_complex && (bits == 8 || (bits == 12 && is_jpeg));
        let of_picture = match self.chunk_samples() {
            1 => is_jpeg,
            3 | 4 => true,
            _ => false,
        };
        if let Some(ycbcr) = &self.decoding.ycbcr {
            let is_sampled = ycbcr.sampling != (1, 1);
            let is_plain = (kind, bits, self.samples) == (Kind::Unsigned, 8, 3);
            let is_predicted = self.decoding.predictor > 1;
            if !is_plain || self.geometry.planes > 1 || (is_sampled && is_predicted) {
                why.note("TIFF in YCbCr of such samples is not converted");
            }
        }
        match self.compression {
            Compression::Lerc if is_complex || bits > 64 || !bits.is_power_of_two() || bits < 8 => {
                why.note("TIFF with LERC of such samples is not converted");
            }
            Compression::Jpeg | Compression::Webp if !fits || !of_picture => {
                let (samples, name) = (self.chunk_samples(), self.compression.name());
                why.note(format!(
                    "TIFF with {name} of {samples} samples of {bits} bits is not converted"
                ));
            }
            // Other bits would be stretched to those of the coding.
            Compression::Jxl
                if is_complex
                    || self.chunk_samples() > 4
                    || !matches!((kind, bits), (Kind::Unsigned, 8 | 16) | (Kind::Float, 32)) =>
            {
                why.note("TIFF with JPEG XL of such samples is not converted");
            }
            _ => {}
        }
        if self.decoding.is_inverted && self.samples > 1 {
            why.note("TIFF of several bands in which white is zero is not converted");
        }
        if self.decoding.photometric == 0 && kind == Kind::Signed {
            why.note("TIFF with signed samples in which white is zero is not converted");
        }
    }
}

/// The first reason why pixels can't be given out.
#[derive(Debug, Default)]
struct Refusal(Option<String>);

impl Refusal {
    fn note(&mut self, reason: impl Into<String>) {
        self.0.get_or_insert_with(|| reason.into());
    }
}

async fn stored(
    file: &File,
    directory: &Directory,
    samples: u16,
    why: &mut Refusal,
) -> Result<Stored, RasterError> {
    let all = directory.numbers(file, tag::BITS_PER_SAMPLE).await?;
    let bits = all.first().copied().unwrap_or(1);
    if all.iter().take(samples.into()).any(|&other| other != bits) {
        why.note("TIFF with bands of several depths is not converted");
    }
    let formats = directory.numbers(file, tag::SAMPLE_FORMAT).await?;
    let format = formats.first().copied().unwrap_or(1);
    if formats.iter().take(samples.into()).any(|&other| other != format) {
        why.note("TIFF with bands of several types is not converted");
    }
    let (kind, is_complex) = match format {
        2 => (Kind::Signed, false),
        3 => (Kind::Float, false),
        5 => (Kind::Signed, true),
        6 => (Kind::Float, true),
        // 4 is "undefined", which all readers take for unsigned.
        _ => (Kind::Unsigned, false),
    };
    let bits = u16::try_from(bits).unwrap_or(u16::MAX);
    let bits = if is_complex { bits / 2 } else { bits };
    Ok(Stored { kind, bits, is_complex, order: directory.format().order })
}

/// What the bands mean, or why they can't be given out.
fn color(
    photometric: u64,
    samples: u16,
    extra: &[u64],
    stored: Stored,
    compression: Compression,
) -> Result<Color, String> {
    if stored.is_complex {
        return Ok(Color::Bands);
    }
    // 2 is opacity that the colors are not multiplied with.
    let is_opacity = |band: usize| extra.get(band) == Some(&2);
    Ok(match (photometric, samples) {
        (0 | 1 | 4 | 32_803 | 34_892 | 51_177, 1) => Color::Gray,
        (1, 2) if extra.len() == 1 && is_opacity(0) => Color::GrayAlpha,
        (0 | 1 | 4 | 34_892 | 51_177, _) => Color::Bands,
        (2, 3) => Color::Rgb,
        (2, 4) if extra.len() == 1 && is_opacity(0) => Color::Rgba,
        (2, 4..) => Color::RgbBands,
        (2, _) => Color::Bands,
        (3, 1) if stored.kind == Kind::Unsigned && stored.bits <= 16 => Color::Palette,
        (3, _) => return Err("TIFF with such a palette is not converted".to_owned()),
        (5, 4) => Color::Cmyk,
        (5, _) => Color::Bands,
        // Its decoder makes RGB of it, or we do.
        (6, 3) if compression == Compression::Jpeg2000 || compression == Compression::Lerc => {
            return Err("TIFF in YCbCr with such a compression is not converted".to_owned());
        }
        (6, 3) => Color::Rgb,
        (6, _) => return Err("TIFF in YCbCr of other than three bands is not converted".to_owned()),
        (8, 3)
            if stored.kind != Kind::Float
                && matches!(stored.bits, 8 | 16)
                && !compression.is_nested() =>
        {
            Color::Lab
        }
        (8..=10, _) => return Err("TIFF in such CIE L*a*b* is not converted".to_owned()),
        (32_844 | 32_845, _) => return Err("TIFF in LogLuv is not converted".to_owned()),
        (other, _) => {
            return Err(format!("TIFF with photometric interpretation {other} is not converted"));
        }
    })
}

/// Red, green and blue of each index. Values of 16 bits give up their lower half, as for
/// all readers; some writers use 8 bits of them only.
async fn palette(
    file: &File,
    directory: &Directory,
    bits: u16,
) -> Result<Option<Arc<[[u8; 3]]>>, RasterError> {
    let values = directory.numbers(file, tag::COLOR_MAP).await?;
    let entries = 1usize << bits.min(16);
    let Some((red, rest)) = values.split_at_checked(entries) else { return Ok(None) };
    let Some((green, blue)) = rest.split_at_checked(entries) else { return Ok(None) };
    if blue.len() < entries {
        return Ok(None);
    }
    let shift = if values.iter().all(|&value| value < 256) { 0 } else { 8 };
    let byte = |value: u64| (value >> shift).min(255) as u8;
    let colors = red.iter().zip(green).zip(blue);
    Ok(Some(colors.map(|((&r, &g), &b)| [byte(r), byte(g), byte(b)]).collect()))
}

async fn geometry(
    file: &File,
    directory: &Directory,
    (width, height): (u32, u32),
    planes: Option<u16>,
) -> Result<Geometry, RasterError> {
    let number = async |tag| directory.number(file, tag).await;
    let is_tiled = directory.has(tag::TILE_WIDTH);
    let chunk = if is_tiled {
        let sides = (number(tag::TILE_WIDTH).await?, number(tag::TILE_LENGTH).await?);
        match sides {
            (Some(w @ 1..=0x7fff_ffff), Some(h @ 1..=0x7fff_ffff)) => (w as u32, h as u32),
            _ => return Err(corrupt("its tiles have no size")),
        }
    } else {
        let rows = number(tag::ROWS_PER_STRIP).await?.filter(|&rows| rows > 0);
        (width, rows.unwrap_or(u64::MAX).min(height.into()) as u32)
    };
    Ok(Geometry::new((width, height), chunk, is_tiled, planes.unwrap_or(1)))
}
