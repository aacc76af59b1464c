//! A PNG that is really compressed: smaller, and of a size that only shows once all
//! of it is made.
//!
//! Each band of rows is deflated by itself and ended at a byte (a sync flush, RFC
//! 1951 3.2.4), so bands are made in parallel and the file is the same every time.

use std::io::{self, Write};

use flate2::{Compression, write::DeflateEncoder};

use super::png::{PngLayout, ZLIB_HEADER, combine, push_chunk};
use super::{Layout, UnitData, UnitIndex, UnitInput};
use crate::raster::Pixels;

/// An empty block of deflate that is the last one.
const LAST_BLOCK: [u8; 5] = [1, 0, 0, 0xff, 0xff];
/// Filter types (PNG 9.2): each byte less the one a pixel to the left, or above.
const SUB: u8 = 1;
const UP: u8 = 2;

/// The PNG of an image, compressed.
#[derive(Debug, Clone)]
pub struct PackedPng(PngLayout);

/// One band, compressed.
#[derive(Debug)]
pub struct PackedBand {
    /// Its chunk.
    pub chunk: Vec<u8>,
    /// The Adler-32 of its rows.
    sum: u32,
    /// The bytes of its rows before they were compressed.
    bytes: u64,
}

impl PackedPng {
    /// The compressed form of the same file.
    pub fn new(stored: PngLayout) -> Self {
        PackedPng(stored)
    }

    /// What each band is made from.
    pub fn inputs(&self) -> impl Iterator<Item = (UnitIndex, UnitInput)> + use<> {
        let layout = self.0.clone();
        let units = (0..layout.units()).map(move |unit| (unit, layout.unit_input(unit)));
        units.filter(|(_, input)| matches!(input, UnitInput::Pixels { .. }))
    }

    /// What the file begins with.
    pub fn start(&self) -> Vec<u8> {
        self.0.encode(0, UnitData::Nothing)
    }

    /// A band of rows, from its pixels.
    ///
    /// # Errors
    /// None but what writing into memory fails with.
    pub fn band(&self, unit: UnitIndex, pixels: &Pixels) -> io::Result<PackedBand> {
        let rows = self.0.png_rows();
        let row_bytes = rows.row_bytes(pixels.rect.width) as usize;
        let mut packed = DeflateEncoder::new(Vec::new(), Compression::fast());
        let mut sum = simd_adler32::Adler32::new();
        let (mut above, mut row) = (Vec::new(), Vec::with_capacity(row_bytes));
        let mut filtered = Vec::with_capacity(row_bytes + 1);
        for samples in self.0.in_order(&pixels.samples) {
            row.clear();
            rows.push(&mut row, samples);
            filter(&row, &above, rows.pixel_bytes(), &mut filtered);
            sum.write(&filtered);
            packed.write_all(&filtered)?;
            std::mem::swap(&mut above, &mut row);
        }
        packed.flush()?;
        // The encoder ends its stream when it is taken apart: only what it wrote
        // up to the flush is part of the band.
        let written = packed.get_ref().len();
        let mut deflated = packed.finish()?;
        deflated.truncate(written);
        if unit == 1 {
            deflated.splice(0..0, ZLIB_HEADER);
        }
        let mut chunk = Vec::with_capacity(deflated.len() + 12);
        push_chunk(&mut chunk, b"IDAT", &deflated);
        let bytes = (row_bytes as u64 + 1) * u64::from(pixels.rect.height);
        Ok(PackedBand { chunk, sum: sum.finish(), bytes })
    }

    /// What the file ends with.
    pub fn end(&self, bands: &[PackedBand]) -> Vec<u8> {
        let sum = bands.iter().fold(1, |sum, band| combine(sum, band.sum, band.bytes));
        let mut end = Vec::new();
        push_chunk(&mut end, b"IDAT", &[&LAST_BLOCK[..], &sum.to_be_bytes()].concat());
        push_chunk(&mut end, b"IEND", &[]);
        end
    }
}

/// A row with its filter type: the one of two that leaves the smaller numbers.
fn filter(row: &[u8], above: &[u8], pixel_bytes: usize, filtered: &mut Vec<u8>) {
    let left = |at: usize| at.checked_sub(pixel_bytes).map_or(0, |before| row[before]);
    let cost = |byte: u8| u64::from(byte.min(byte.wrapping_neg()));
    let by_left: u64 = (0..row.len()).map(|at| cost(row[at].wrapping_sub(left(at)))).sum();
    let by_above: u64 =
        row.iter().zip(above).map(|(byte, above)| cost(byte.wrapping_sub(*above))).sum();
    filtered.clear();
    if above.is_empty() || by_left <= by_above {
        filtered.push(SUB);
        filtered.extend((0..row.len()).map(|at| row[at].wrapping_sub(left(at))));
    } else {
        filtered.push(UP);
        filtered.extend(row.iter().zip(above).map(|(byte, above)| byte.wrapping_sub(*above)));
    }
}

#[cfg(test)]
mod tests {
    use ::image as other_reader;

    use super::super::check;
    use super::*;
    use crate::raster::{Rect, SampleType};
    use proptest::prelude::*;

    fn cut(pixels: &Pixels, rect: Rect, pixel_bytes: usize) -> Pixels {
        let row_bytes = rect.width as usize * pixel_bytes;
        let start = rect.y as usize * row_bytes;
        let samples = pixels.samples.slice(start..start + rect.height as usize * row_bytes);
        Pixels { rect, samples }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
        #[test]
        fn another_reader_sees_the_same_pixels(
            width in 1u32..90,
            height in 1u32..200,
            bands in 1u16..5,
            wide in any::<bool>(),
            seed in any::<u64>(),
        ) {
            let sample = if wide { SampleType::U16 } else { SampleType::U8 };
            let mut info = check::info(width, height, bands, sample);
            info.color = match bands {
                1 => crate::raster::Color::Gray,
                2 => crate::raster::Color::GrayAlpha,
                3 => crate::raster::Color::Rgb,
                _ => crate::raster::Color::Rgba,
            };
            let mut state = seed | 1;
            let count = width as usize * height as usize * info.pixel_bytes();
            let samples = (0..count).map(|at| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                ((state >> 60) as u8).wrapping_add((at / 7) as u8)
            });
            let rect = Rect { x: 0, y: 0, width, height };
            let pixels = Pixels { rect, samples: samples.collect() };
            let packed = PackedPng::new(PngLayout::new(&info).unwrap());
            let mut file = packed.start();
            let mut made = Vec::new();
            for (unit, input) in packed.inputs() {
                let UnitInput::Pixels { rect, .. } = input else { unreachable!() };
                let part = cut(&pixels, rect, info.pixel_bytes());
                made.push(packed.band(unit, &part).unwrap());
            }
            made.iter().for_each(|band| file.extend(&band.chunk));
            file.extend(packed.end(&made));
            let read = other_reader::load_from_memory(&file).unwrap();
            prop_assert_eq!(read.as_bytes(), &pixels.samples[..]);
        }
    }
}
