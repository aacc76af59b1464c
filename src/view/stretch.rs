//! Measurements as gray values or colors, for people.
//!
//! Contract: 8-bit images as they are; all others stretched, each band by itself,
//! from its 2nd to its 98th percentile of what was measured to 0..=255. A band of
//! one value is mid-gray; what was not measured is black.

use crate::raster::{Pixels, RasterInfo, Rect, SampleType};
use crate::view::reduce::Reduced;

/// The percentiles, as fractions of a hundred.
const PERCENTILES: (usize, usize) = (2, 98);
/// What a band of one value is shown as.
const MIDDLE: u8 = 128;

/// The pixels of a preview: 8 bits, as many bands as `reduced` has.
pub fn stretch(info: &RasterInfo, reduced: &Reduced) -> Pixels {
    let mut samples = vec![0; reduced.values.len()];
    for band in 0..reduced.bands {
        let values = || reduced.values.iter().skip(band).step_by(reduced.bands);
        let range = if info.sample == SampleType::U8 {
            Some((0.0, 255.0))
        } else {
            percentiles(values().copied().filter(|value| !value.is_nan()).collect())
        };
        let shown = samples.iter_mut().skip(band).step_by(reduced.bands);
        for (shown, value) in shown.zip(values()) {
            *shown = range.map_or(0, |range| gray(*value, range));
        }
    }
    let rect = Rect { x: 0, y: 0, width: reduced.width, height: reduced.height };
    Pixels { rect, samples: samples.into() }
}

fn percentiles(mut values: Vec<f64>) -> Option<(f64, f64)> {
    let last = values.len().checked_sub(1)?;
    let mut at = |percent: usize| {
        let index = (last * percent + 50) / 100;
        *values.select_nth_unstable_by(index, f64::total_cmp).1
    };
    Some((at(PERCENTILES.0), at(PERCENTILES.1)))
}

/// Halves, since the difference of two finite numbers may be infinite.
fn gray(value: f64, (low, high): (f64, f64)) -> u8 {
    if value.is_nan() || value < low {
        0
    } else if value > high {
        255
    } else if low < high {
        ((value / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0) * 255.0).round() as u8
    } else {
        MIDDLE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::Color;
    use crate::view::layout::check;
    use crate::view::reduce::{Reducer, preview_plan};
    use proptest::prelude::*;

    fn shown(info: &RasterInfo, samples: Vec<u8>) -> Vec<u8> {
        let mut reducer = Reducer::new(info, preview_plan(info, 1024));
        reducer.add(&Pixels { rect: info.grid.image(0), samples: samples.into() });
        stretch(info, &reducer.finish()).samples.to_vec()
    }

    fn shorts(values: impl IntoIterator<Item = u16>) -> Vec<u8> {
        values.into_iter().flat_map(u16::to_ne_bytes).collect()
    }

    #[test]
    fn eight_bits_are_shown_as_they_are_without_opacity() {
        let info = check::info(2, 1, 1, SampleType::U8);
        assert_eq!(shown(&info, vec![0, 77]), [0, 77]);
        let rgba = RasterInfo { color: Color::Rgba, ..check::info(2, 1, 4, SampleType::U8) };
        assert_eq!(shown(&rgba, vec![1, 2, 3, 0, 5, 6, 7, 255]), [1, 2, 3, 5, 6, 7]);
        let la = RasterInfo { color: Color::GrayAlpha, ..check::info(2, 1, 2, SampleType::U8) };
        assert_eq!(shown(&la, vec![9, 0, 8, 255]), [9, 8]);
    }

    #[test]
    fn the_ends_are_cut_and_zeros_are_black() {
        let info = check::info(1024, 1, 1, SampleType::U16);
        let values = (0..1024).map(|i| if i < 23 { 0 } else { 5000 + i - 23 });
        let shown = shown(&info, shorts(values));
        assert!(shown[..23 + 20].iter().all(|&gray| gray == 0));
        assert!(shown[1024 - 20..].iter().all(|&gray| gray == 255));
        assert!((127..=129).contains(&shown[23 + 500]));
        assert!(shown.is_sorted());
    }

    #[test]
    fn a_flat_band_is_gray_and_an_empty_one_is_black() {
        let info = check::info(3, 1, 1, SampleType::U16);
        assert_eq!(shown(&info, shorts([7, 7, 7])), [128, 128, 128]);
        assert_eq!(shown(&info, shorts([0, 7, 7])), [0, 128, 128]);
        assert_eq!(shown(&info, shorts([0, 0, 0])), [0, 0, 0]);
    }

    #[test]
    fn each_of_the_first_three_bands_is_stretched_by_itself() {
        let info = check::info(2, 1, 5, SampleType::U16);
        let shown = shown(&info, shorts([10, 2000, 7, 1, 1, 20, 1000, 7, 1, 1]));
        assert_eq!(shown, [0, 255, 128, 255, 0, 128]);
    }

    proptest! {
        #[test]
        fn any_floats_give_a_picture(values in prop::collection::vec(any::<f64>(), 1..80)) {
            let info = check::info(values.len() as u32, 1, 1, SampleType::F64);
            let bytes = values.iter().flat_map(|v| v.to_ne_bytes()).collect();
            let shown = shown(&info, bytes);
            prop_assert_eq!(shown.len(), values.len());
            for (value, gray) in values.iter().zip(shown) {
                prop_assert!(value.is_finite() || gray == 0);
            }
        }
    }
}
