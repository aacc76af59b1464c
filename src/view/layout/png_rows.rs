//! The rows of a PNG, from pixels as they are given out: the bands that it has, in the bits
//! that it has them in.

use super::{NoView, push_big_endian};
use crate::raster::{Color, RasterInfo, SampleType};

/// How PNG holds the pixels of an image (PNG, 11.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PngRows {
    /// 0 gray, 2 RGB, 3 a palette, 4 gray and opacity, 6 RGB and opacity.
    pub(super) color_type: u8,
    /// Of a sample in the file.
    pub(super) bits: u8,
    /// Bands in the file.
    bands: u8,
    /// Bytes of a pixel as it is given out, which may have further bands.
    given_bytes: usize,
}

impl PngRows {
    /// # Errors
    /// PNG can't hold the pixels as they are.
    pub(super) fn new(info: &RasterInfo) -> Result<Self, NoView> {
        let whole = match info.sample {
            SampleType::U8 => 8,
            SampleType::U16 => 16,
            other => {
                let name = other.name();
                return Err(NoView::new(format!("PNG has no samples of type {name}")));
            }
        };
        let (color_type, bands) = match (info.color, info.bands) {
            (Color::Gray | Color::Bands, 1) => (0, 1),
            (Color::Rgb | Color::Bands, 3) | (Color::RgbBands, 4..) => (2, 3),
            (Color::Palette, 1) if whole == 8 => (3, 1),
            (Color::Palette, _) => return Err(NoView::new("PNG has no palettes of 16 bits")),
            (Color::Lab, _) => return Err(NoView::new("PNG has no images in CIE L*a*b*")),
            (Color::Cmyk, _) => return Err(NoView::new("PNG has no images in CMYK")),
            (Color::GrayAlpha, 2) => (4, 2),
            (Color::Rgba, 4) => (6, 4),
            (_, bands) => {
                return Err(NoView::new(format!(
                    "PNG has no images of {bands} bands that are neither gray nor RGB with opacity"
                )));
            }
        };
        // What PNG has fewer bits for is shown from black to white by all who read it.
        let bits = match info.bit_depth {
            few @ (1 | 2 | 4) if matches!(color_type, 0 | 3) => few,
            _ => whole,
        };
        Ok(PngRows { color_type, bits, bands, given_bytes: info.pixel_bytes() })
    }

    /// Those of 8 bits, gray or RGB.
    pub(super) fn plain(rgb: bool) -> Self {
        let (color_type, bands) = if rgb { (2, 3) } else { (0, 1) };
        PngRows { color_type, bits: 8, bands, given_bytes: bands.into() }
    }

    /// Bytes of a row of so many pixels in the file.
    pub(super) fn row_bytes(&self, width: u32) -> u64 {
        let bits = u64::from(width) * u64::from(self.bands) * u64::from(self.bits);
        bits.div_ceil(8)
    }

    /// Bytes of a pixel as it is given out.
    pub(super) fn given_bytes(&self) -> usize {
        self.given_bytes
    }

    /// Bytes from a byte of the file to that of the pixel to the left (PNG, 9.2).
    pub(super) fn pixel_bytes(&self) -> usize {
        (usize::from(self.bands) * usize::from(self.bits)).div_ceil(8)
    }

    /// Appends a row as the file has it.
    pub(super) fn push(&self, file: &mut Vec<u8>, row: &[u8]) {
        let sample_bytes = usize::from(self.bits).div_ceil(8);
        let taken = usize::from(self.bands) * sample_bytes;
        if self.bits < 8 {
            let per_byte = usize::from(8 / self.bits);
            file.extend(row.chunks(per_byte).map(|samples| {
                let packed = samples.iter().fold(0, |byte, sample| byte << self.bits | sample);
                packed << (usize::from(self.bits) * (per_byte - samples.len()))
            }));
        } else if taken == self.given_bytes {
            push_big_endian(file, row, sample_bytes);
        } else {
            for pixel in row.chunks_exact(self.given_bytes) {
                push_big_endian(file, &pixel[..taken], sample_bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    fn row(info: &RasterInfo, samples: &[u8]) -> Vec<u8> {
        let rows = PngRows::new(info).unwrap();
        let mut file = Vec::new();
        rows.push(&mut file, samples);
        assert_eq!(file.len() as u64, rows.row_bytes(info.width));
        file
    }

    #[test]
    fn few_bits_are_packed_from_the_highest_on() {
        let mut info = check::info(10, 1, 1, SampleType::U8);
        info.bit_depth = 1;
        assert_eq!(row(&info, &[1, 0, 1, 1, 0, 0, 0, 1, 1, 1]), [0b1011_0001, 0b1100_0000]);
        (info.width, info.bit_depth) = (3, 4);
        assert_eq!(row(&info, &[0xa, 0xb, 0xc]), [0xab, 0xc0]);
        // PNG has no samples of 3 bits: they stay as they are.
        info.bit_depth = 3;
        assert_eq!(row(&info, &[7, 5, 0]), [7, 5, 0]);
    }

    #[test]
    fn of_rgb_with_further_bands_the_first_three_are_taken() {
        let mut info = check::info(2, 1, 5, SampleType::U8);
        info.color = Color::RgbBands;
        assert_eq!(row(&info, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]), [1, 2, 3, 6, 7, 8]);
    }
}
