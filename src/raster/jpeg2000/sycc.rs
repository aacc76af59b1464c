//! sYCC to RGB (T.800 I.5.3.3: the enumerated colour space 18).
//!
//! Contract: the samples are those that OpenJPEG gives, to the bit: its factors have three
//! digits, and what is behind the point is cut off. Sub-sampled chroma is that of the nearest
//! sample before; OpenJPEG has none in the first column and row of an image that starts at an
//! odd coordinate, where this takes the first one.

use crate::raster::SampleType;

/// Converts the first three bands of each pixel, of `depth` bits without sign.
pub(super) fn to_rgb(samples: &mut [u8], sample: SampleType, bands: usize, depth: u8) {
    match sample {
        SampleType::U8 => {
            for pixel in samples.chunks_exact_mut(bands) {
                let [y, cb, cr, ..] = pixel else { return };
                let rgb = converted([*y, *cb, *cr].map(i32::from), depth);
                [*y, *cb, *cr] = rgb.map(|value| value as u8);
            }
        }
        _ => {
            for pixel in samples.chunks_exact_mut(2 * bands) {
                let [y0, y1, cb0, cb1, cr0, cr1, ..] = pixel else { return };
                let wide = [[*y0, *y1], [*cb0, *cb1], [*cr0, *cr1]];
                let rgb = converted(wide.map(|two| u16::from_ne_bytes(two).into()), depth);
                let [r, g, b] = rgb.map(|value| (value as u16).to_ne_bytes());
                ([*y0, *y1], [*cb0, *cb1], [*cr0, *cr1]) = (r, g, b);
            }
        }
    }
}

fn converted([y, cb, cr]: [i32; 3], depth: u8) -> [i32; 3] {
    let middle = 1 << (depth.max(1) - 1);
    let (cb, cr) = (f64::from(cb - middle), f64::from(cr - middle));
    let rgb =
        [y + (1.402 * cr) as i32, y - (0.344 * cb + 0.714 * cr) as i32, y + (1.772 * cb) as i32];
    rgb.map(|value| value.clamp(0, (1 << depth) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_chroma_is_gray_and_the_rest_is_cut_off_and_clamped() {
        assert_eq!(converted([77, 128, 128], 8), [77, 77, 77]);
        assert_eq!(converted([100, 130, 125], 8), [96, 101, 103]);
        assert_eq!(converted([250, 255, 255], 8), [255, 116, 255]);
        assert_eq!(converted([2048, 2048, 4095], 12), [4095, 587, 2048]);
        let mut wide: Vec<u8> = [2048u16, 2048, 4095, 9].map(u16::to_ne_bytes).concat();
        to_rgb(&mut wide, SampleType::U16, 4, 12);
        assert_eq!(wide, [4095u16, 587, 2048, 9].map(u16::to_ne_bytes).concat());
        let mut pixels = [77, 128, 128, 1, 100, 130, 125, 2];
        to_rgb(&mut pixels, SampleType::U8, 4, 8);
        assert_eq!(pixels, [77, 77, 77, 1, 96, 101, 103, 2]);
    }
}
