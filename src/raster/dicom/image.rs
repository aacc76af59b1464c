//! What the elements of a DICOM file say of its pixels (PS3.3, C.7.6.3), and whether they are
//! decoded here.

use std::sync::Arc;

use super::elements::{DOUBLES, Elements, FLOATS, PixelData, Tag};
use crate::raster::error::corrupt;
use crate::raster::{Codec, Color, RasterError, SampleType, Window};

const SAMPLES: Tag = (0x0028, 0x0002);
const PHOTOMETRIC: Tag = (0x0028, 0x0004);
const PLANAR: Tag = (0x0028, 0x0006);
const FRAMES: Tag = (0x0028, 0x0008);
const ROWS: Tag = (0x0028, 0x0010);
const COLUMNS: Tag = (0x0028, 0x0011);
const ALLOCATED: Tag = (0x0028, 0x0100);
const STORED: Tag = (0x0028, 0x0101);
const HIGH_BIT: Tag = (0x0028, 0x0102);
const SIGNED: Tag = (0x0028, 0x0103);
const PADDING: Tag = (0x0028, 0x0120);
const CENTER: Tag = (0x0028, 0x1050);
const WIDTH: Tag = (0x0028, 0x1051);
const INTERCEPT: Tag = (0x0028, 0x1052);
const SLOPE: Tag = (0x0028, 0x1053);
const FUNCTION: Tag = (0x0028, 0x1056);
/// Of red, green and blue.
const DESCRIPTORS: [Tag; 3] = [(0x0028, 0x1101), (0x0028, 0x1102), (0x0028, 0x1103)];
const TABLES: [Tag; 3] = [(0x0028, 0x1201), (0x0028, 0x1202), (0x0028, 0x1203)];

/// How the pixels of a frame are coded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Coding {
    /// As they are.
    Plain,
    /// In runs.
    Rle,
    /// As an image that a decoder reads.
    Image(Codec),
    /// As JPEG 2000.
    Jpeg2000,
}

/// What the stored bands are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Photometric {
    /// Gray, RGB or numbers of colors.
    AsStored,
    /// Luma and chroma, each for every pixel.
    Ybr,
    /// Luma for every pixel, chroma for two.
    YbrHalf,
}

/// What a file says of its pixels.
#[derive(Debug, Clone)]
pub(super) struct DicomImage {
    pub(super) size: (u32, u32),
    pub(super) bands: u16,
    pub(super) sample: SampleType,
    /// Bits of a sample in the file, and how many of them count.
    pub(super) allocated: u16,
    pub(super) stored: u16,
    pub(super) is_signed: bool,
    pub(super) is_planar: bool,
    pub(super) photometric: Photometric,
    pub(super) coding: Coding,
    pub(super) frames: u32,
    pub(super) unsupported: Option<String>,
}

impl DicomImage {
    /// What the elements say.
    ///
    /// # Errors
    /// They say nothing of an image.
    pub(super) fn of(elements: &Elements, pixels: PixelData) -> Result<DicomImage, RasterError> {
        let needed = |tag, name: &str| {
            elements.short(tag).ok_or_else(|| corrupt(format!("it does not say its {name}")))
        };
        let size = (needed(COLUMNS, "columns")?.into(), needed(ROWS, "rows")?.into());
        let bands = elements.short(SAMPLES).unwrap_or(1);
        let allocated = needed(ALLOCATED, "bits")?;
        let stored = elements.short(STORED).unwrap_or(allocated);
        let is_signed = elements.short(SIGNED) == Some(1);
        let sample = match (pixels.tag, allocated, is_signed) {
            (FLOATS, ..) => SampleType::F32,
            (DOUBLES, ..) => SampleType::F64,
            (_, ..=8, false) => SampleType::U8,
            (_, ..=8, true) => SampleType::I8,
            (_, 9..=16, false) => SampleType::U16,
            (_, 9..=16, true) => SampleType::I16,
            (_, _, false) => SampleType::U32,
            (_, _, true) => SampleType::I32,
        };
        let photometric = match elements.text(PHOTOMETRIC).as_deref() {
            Some("YBR_FULL") => Photometric::Ybr,
            Some("YBR_FULL_422") => Photometric::YbrHalf,
            _ => Photometric::AsStored,
        };
        let coding = coding(&elements.syntax);
        let frames = elements.number(FRAMES).map_or(1, |frames| (frames as u32).max(1));
        let mut image = DicomImage {
            size,
            bands,
            sample,
            allocated,
            stored,
            is_signed,
            is_planar: elements.short(PLANAR) == Some(1),
            photometric,
            coding: coding.unwrap_or(Coding::Plain),
            frames,
            unsupported: None,
        };
        let what = image.reason(elements, pixels, coding.is_none());
        image.unsupported = what.map(|what| format!("DICOM {what} is not converted"));
        Ok(image)
    }

    /// Why it is not decoded.
    fn reason(&self, elements: &Elements, pixels: PixelData, is_unknown: bool) -> Option<String> {
        let (allocated, stored, bands) = (self.allocated, self.stored, self.bands);
        let photometric = elements.text(PHOTOMETRIC).unwrap_or_default();
        let is_float = matches!(self.sample, SampleType::F32 | SampleType::F64);
        let high = elements.short(HIGH_BIT).unwrap_or(stored.saturating_sub(1));
        let is_known = match (self.bands, &photometric[..]) {
            (1, "MONOCHROME1" | "MONOCHROME2" | "PALETTE COLOR") => true,
            (3, "RGB") => true,
            (3, "YBR_FULL") => {
                let kept = [Coding::Plain, Coding::Rle, Coding::Image(Codec::Jpeg)];
                allocated == 8 && kept.contains(&self.coding)
            }
            (3, "YBR_FULL_422") => {
                allocated == 8 && matches!(self.coding, Coding::Plain | Coding::Image(Codec::Jpeg))
            }
            (3, "YBR_RCT" | "YBR_ICT") => self.coding == Coding::Jpeg2000,
            _ => false,
        };
        Some(match (allocated, stored) {
            _ if is_unknown => format!("in the transfer syntax {}", elements.syntax),
            _ if (pixels.bytes.is_none()) != (self.coding != Coding::Plain) => {
                "whose pixels are in fragments, or should be,".to_owned()
            }
            _ if !is_known => format!("with {bands} samples in {photometric}"),
            (32, _) if is_float && self.sample == SampleType::F32 => return None,
            (64, _) if is_float => return None,
            (1, 1) if self.coding == Coding::Plain && bands == 1 && high == 0 => return None,
            (8 | 16 | 32, 1..) if stored <= allocated && !is_float => match high + 1 == stored {
                true if self.is_half_odd() => "with half the chroma in odd columns".to_owned(),
                true => return None,
                false => format!("whose {stored} bits end at bit {high}"),
            },
            _ => format!("with {stored} of {allocated} bits"),
        })
    }

    fn is_half_odd(&self) -> bool {
        let is_half = (self.photometric, self.coding) == (Photometric::YbrHalf, Coding::Plain);
        is_half && (self.size.0 % 2 == 1 || self.is_planar)
    }

    /// Bytes of a sample as it lies in the file.
    pub(super) fn sample_bytes(&self) -> usize {
        self.sample.bytes()
    }
}

/// How a transfer syntax codes pixels (PS3.6, annex A).
fn coding(syntax: &str) -> Option<Coding> {
    const PREFIX: &str = "1.2.840.10008.1.2";
    Some(match syntax.strip_prefix(PREFIX)? {
        "" | ".1" | ".2" => Coding::Plain,
        ".5" => Coding::Rle,
        // JPEG, lossless JPEG and JPEG-LS are told apart by their own headers.
        ".4.50" | ".4.51" | ".4.57" | ".4.70" | ".4.80" | ".4.81" => Coding::Image(Codec::Jpeg),
        // Also with high-throughput code-blocks, which its own header tells.
        ".4.90" | ".4.91" | ".4.201" | ".4.202" | ".4.203" => Coding::Jpeg2000,
        ".4.110" | ".4.111" | ".4.112" => Coding::Image(Codec::Jxl),
        _ => return None,
    })
}

/// What the bands of the pixels that are given out mean.
pub(super) fn color(elements: &Elements, image: &DicomImage) -> Color {
    match (image.bands, elements.text(PHOTOMETRIC).as_deref()) {
        (1, Some("PALETTE COLOR")) => Color::Palette,
        (1, _) => Color::Gray,
        (3, _) => Color::Rgb,
        _ => Color::Bands,
    }
}

/// The value that stands for no measurement.
pub(super) fn nodata(elements: &Elements, image: &DicomImage) -> Option<f64> {
    let value = elements.short(PADDING).filter(|_| image.bands == 1 && image.allocated <= 16)?;
    Some(if image.is_signed { f64::from(value as i16) } else { f64::from(value) })
}

/// The colors of a palette, for each value of a sample up to its end.
///
/// # Errors
/// Why there are none.
pub(super) fn palette(elements: &Elements) -> Result<Arc<[[u8; 3]]>, &'static str> {
    const MISSING: &str = "with a palette that is not in the file";
    let mut colors: Vec<[u8; 3]> = Vec::new();
    for (band, (descriptor, table)) in DESCRIPTORS.into_iter().zip(TABLES).enumerate() {
        let descriptor = elements.shorts(descriptor).ok_or(MISSING)?;
        let &[entries, first, bits] = &descriptor[..] else { return Err(MISSING) };
        if !elements.has(table) {
            return Err(MISSING);
        }
        let words = elements.shorts(table).ok_or(MISSING)?;
        let entries = if entries == 0 { 1 << 16 } else { usize::from(entries) };
        let bytes: Vec<u8> = match bits {
            // By tradition the high byte.
            16 => words.iter().map(|word| (word >> 8) as u8).collect(),
            // Two in a word, or one, as is to be seen from their number.
            8 if words.len() >= entries => words.iter().map(|word| *word as u8).collect(),
            8 => words.iter().flat_map(|word| word.to_le_bytes()).collect(),
            _ => return Err("with a palette of this many bits"),
        };
        if bytes.len() < entries {
            return Err("with a palette that ends early");
        }
        let first = usize::from(first);
        // What lies outside of the table has the color at its end.
        let color = |value: usize| bytes[value.saturating_sub(first).min(entries - 1)];
        let all = (first + entries).min(1 << 16);
        colors.resize(colors.len().max(all), [0; 3]);
        for (value, place) in colors.iter_mut().enumerate() {
            place[band] = color(value);
        }
    }
    Ok(colors.into())
}

/// From which stored value to which one the file wants its picture shown, and whether low
/// values are bright (PS3.3, C.11.2).
pub(super) fn window(elements: &Elements) -> Window {
    let is_dark = elements.text(PHOTOMETRIC).as_deref() == Some("MONOCHROME1");
    let slope = elements.number(SLOPE).filter(|slope| *slope != 0.0).unwrap_or(1.0);
    let intercept = elements.number(INTERCEPT).unwrap_or(0.0);
    let is_linear = !matches!(elements.text(FUNCTION).as_deref(), Some("LINEAR_EXACT" | "SIGMOID"));
    let window = elements.number(CENTER).zip(elements.number(WIDTH));
    let window = window.filter(|(_, width)| *width >= 1.0).map(|(center, width)| {
        let (center, width) = if is_linear { (center - 0.5, width - 1.0) } else { (center, width) };
        let stored = |value: f64| (value - intercept) / slope;
        let (low, high) = (stored(center - width / 2.0), stored(center + width / 2.0));
        (low.min(high), low.max(high))
    });
    Window { range: window, is_inverted: is_dark != (slope < 0.0) }
}
