//! YCbCr without JPEG (TIFF 6.0, section 21): to RGB, to the bit as libtiff's RGBA interface does
//! it, which GDAL and most others use. Chroma that has fewer samples is repeated.

use super::directory::Directory;
use super::tag;
use crate::raster::RasterError;
use crate::raster::file::File;

/// How an image in YCbCr is stored, and what its values mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct YCbCr {
    /// For so many pixels across and down there is one Cb and one Cr.
    pub(super) sampling: (u32, u32),
    tables: Box<Tables>,
}

/// What each value of Y, Cb and Cr adds to red, green and blue.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tables {
    y: [i32; 256],
    cr_red: [i32; 256],
    cb_blue: [i32; 256],
    /// With 16 bits behind the point.
    cr_green: [i32; 256],
    cb_green: [i32; 256],
}

impl YCbCr {
    /// What a directory says; `None` if its sampling is none.
    ///
    /// # Errors
    /// That of the source.
    pub(super) async fn of(
        file: &File,
        directory: &Directory,
    ) -> Result<Option<Self>, RasterError> {
        let sampling = match directory.numbers(file, tag::YCBCR_SUB_SAMPLING).await?[..] {
            [] => (2, 2),
            // At the edges each reader sees something else.
            [4, 4, ..] => return Ok(None),
            [h @ (1 | 2 | 4), v @ (1 | 2 | 4), ..] => (h as u32, v as u32),
            _ => return Ok(None),
        };
        let floats = async |tag, or: &[f32]| {
            let given = directory.doubles(file, tag).await?;
            let given: Vec<f32> = given.into_iter().map(|value| value as f32).collect();
            Ok::<Vec<f32>, RasterError>(if given.len() == or.len() { given } else { or.to_vec() })
        };
        let luma = floats(tag::YCBCR_COEFFICIENTS, &[0.299, 0.587, 0.114]).await?;
        let range = [0.0, 255.0, 128.0, 255.0, 128.0, 255.0];
        let range = floats(tag::REFERENCE_BLACK_WHITE, &range).await?;
        let ([red, green, blue], [y0, y1, b0, b1, r0, r1]) = (&luma[..], &range[..]) else {
            return Ok(None);
        };
        let is_usable = luma.iter().chain(&range).all(|value| value.is_finite()) && *green != 0.0;
        let tables = || Tables::new([*red, *green, *blue], [*y0, *y1, *b0, *b1, *r0, *r1]);
        Ok(is_usable.then(|| YCbCr { sampling, tables: Box::new(tables()) }))
    }

    /// Bytes of a strip or tile.
    pub(super) fn bytes(&self, columns: u32, rows: u32) -> u64 {
        self.unit_row_bytes(columns) * u64::from(rows.div_ceil(self.sampling.1))
    }

    fn unit_row_bytes(&self, columns: u32) -> u64 {
        let (h, v) = self.sampling;
        u64::from(columns.div_ceil(h)) * u64::from(h * v + 2)
    }

    /// The pixels of a strip or tile, as far as its bytes go.
    pub(super) fn rgb(&self, bytes: &[u8], columns: u32, rows: u32) -> Vec<u8> {
        let (h, v) = (self.sampling.0 as usize, self.sampling.1 as usize);
        let (columns, rows) = (columns as usize, rows as usize);
        let mut pixels = Vec::with_capacity(columns * rows * 3);
        for units in bytes.chunks_exact(self.unit_row_bytes(columns as u32).max(1) as usize) {
            let here = v.min(rows - (pixels.len() / 3 / columns.max(1)).min(rows));
            for y in 0..here {
                for x in 0..columns {
                    let unit = &units[x / h * (h * v + 2)..];
                    let luma = unit[y * h + x % h];
                    pixels.extend(self.tables.rgb(luma, unit[h * v], unit[h * v + 1]));
                }
            }
        }
        pixels
    }
}

impl Tables {
    /// libtiff's tif_color.c, with its rounding.
    fn new([red, green, blue]: [f32; 3], [y0, y1, b0, b1, r0, r1]: [f32; 6]) -> Self {
        const MOST: f32 = 128.0 * 32.0;
        let fixed = |value: f32| (f64::from(value) * 65_536.0 + 0.5) as i32;
        let twice_red = 2.0 - 2.0 * red;
        let twice_blue = 2.0 - 2.0 * blue;
        let limited = |value: f32| value.clamp(0.0, 2.0);
        let d1 = fixed(limited(twice_red));
        let d2 = -fixed(limited(red * twice_red / green));
        let d3 = fixed(limited(twice_blue));
        let d4 = -fixed(limited(blue * twice_blue / green));
        let value = |code: i32, black: f32, white: f32, range: f32| {
            let (black, span) = (black as i32, white - black);
            let span = if span == 0.0 { 1.0 } else { span };
            (((code - black) as f32 * range) / span).clamp(-MOST, MOST) as i32
        };
        let cr = |n: usize| value(n as i32 - 128, r0 - 128.0, r1 - 128.0, 127.0);
        let cb = |n: usize| value(n as i32 - 128, b0 - 128.0, b1 - 128.0, 127.0);
        Tables {
            y: std::array::from_fn(|n| value(n as i32, y0, y1, 255.0)),
            cr_red: std::array::from_fn(|n| (d1 * cr(n) + 32_768) >> 16),
            cb_blue: std::array::from_fn(|n| (d3 * cb(n) + 32_768) >> 16),
            cr_green: std::array::from_fn(|n| d2 * cr(n)),
            cb_green: std::array::from_fn(|n| d4 * cb(n) + 32_768),
        }
    }

    fn rgb(&self, y: u8, cb: u8, cr: u8) -> [u8; 3] {
        let (y, cb, cr) = (self.y[usize::from(y)], usize::from(cb), usize::from(cr));
        let red = y + self.cr_red[cr];
        let green = y + ((self.cb_green[cb] + self.cr_green[cr]) >> 16);
        let blue = y + self.cb_blue[cb];
        [red, green, blue].map(|value| value.clamp(0, 255) as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(sampling: (u32, u32)) -> YCbCr {
        let tables = Tables::new([0.299, 0.587, 0.114], [0.0, 255.0, 128.0, 255.0, 128.0, 255.0]);
        YCbCr { sampling, tables: Box::new(tables) }
    }

    #[test]
    fn chroma_is_that_of_the_unit_and_what_lies_beyond_the_edge_is_left_out() {
        let ycbcr = plain((2, 2));
        assert_eq!(ycbcr.bytes(3, 3), 2 * 2 * 6);
        let gray = |values: [u8; 4]| [&values[..], &[128, 128]].concat();
        let bytes = [
            gray([10, 20, 40, 50]),
            gray([30, 99, 60, 99]),
            gray([70, 80, 99, 99]),
            gray([90, 99, 99, 99]),
        ]
        .concat();
        let pixels = ycbcr.rgb(&bytes, 3, 3);
        let expected: Vec<u8> = (1..10).flat_map(|n| [n * 10; 3]).collect();
        assert_eq!(pixels, expected);
        // A row of units that is not all there is not given.
        assert_eq!(ycbcr.rgb(&bytes[..23], 3, 3), expected[..18]);
        assert_eq!(plain((1, 1)).rgb(&[76, 85, 255], 1, 1), [254, 0, 0]);
    }
}
