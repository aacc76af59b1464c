//! Measurements as gray values or colors, for people.
//!
//! Contract: unsigned images of up to 8 bits as they are, from 0 to the largest value that their
//! bits hold, and so are those of 16 bits whose file says what its colors are. One whose file says
//! from which value to which one it is to be shown is shown so. All others are
//! stretched, each band by itself, from its 2nd to its 98th percentile of what was measured.
//! If those are one value, the others of the band decide; if it has hardly any, it is mid-gray.
//! A value far outside of all others, and found again and again, is taken for no measurement,
//! since programs often do not say which one stands for that. What was not measured is black,
//! and what is transparent lies on white.

use crate::raster::{Color, Pixels, RasterInfo, Rect, SampleType, Window};
use crate::view::reduce::Reduced;

/// The percentiles, as fractions of a hundred.
const PERCENTILES: (usize, usize) = (2, 98);
/// What a band of one value is shown as.
const MIDDLE: u8 = 128;

/// Of so many values in a thousand, one that is alone may stand for something.
const FEW: usize = 1000;
/// A value that is so many times further from the others than they are from each other is none
/// of them; if it is found so often, and the others are this many.
const FAR: f64 = 2.0;
const OFTEN: usize = 200;
const ENOUGH: usize = 100;

/// The pixels of a preview: 8 bits, as many bands as `reduced` has. `has_colors` says that the
/// file tells what its colors are.
pub fn stretch(info: &RasterInfo, has_colors: bool, reduced: &Reduced) -> Pixels {
    show(info, reduced, &ranges_of(info, has_colors, reduced))
}

/// From which value to which each band is shown; `None` for one without measurements.
pub type Ranges = Vec<Option<(f64, f64)>>;

/// The ranges of `bands` bands, where the values of an image do not matter to them.
pub fn fixed_ranges(info: &RasterInfo, has_colors: bool, bands: usize) -> Option<Ranges> {
    // Their colors are of 8 bits.
    let is_converted = matches!(info.color, Color::Palette | Color::Lab);
    let is_shown = match info.sample {
        SampleType::U8 => true,
        SampleType::U16 => has_colors || is_converted,
        _ => is_converted,
    };
    let bits = if is_converted { 8 } else { info.bit_depth.clamp(1, 16) };
    let largest = (1u64 << bits) as f64 - 1.0;
    let range = info.extras.window.and_then(|window| window.range);
    let range = range.or(is_shown.then_some((0.0, largest)));
    range.map(|range| vec![Some(range); bands])
}

/// The ranges of an image that these are the pixels of.
pub fn ranges_of(info: &RasterInfo, has_colors: bool, reduced: &Reduced) -> Ranges {
    if let Some(ranges) = fixed_ranges(info, has_colors, reduced.bands) {
        return ranges;
    }
    let values = |band| reduced.values.iter().skip(band).step_by(reduced.bands).copied();
    let measured = |band| values(band).filter(|value| !value.is_nan()).collect();
    (0..reduced.bands).map(|band| range_of(measured(band))).collect()
}

/// The pixels of a picture of 8 bits that shows these ranges.
pub fn show(info: &RasterInfo, reduced: &Reduced, ranges: &[Option<(f64, f64)>]) -> Pixels {
    let mut samples = vec![0; reduced.values.len()];
    let window = info.extras.window.unwrap_or(Window { range: None, is_inverted: false });
    for band in 0..reduced.bands {
        let values = || reduced.values.iter().skip(band).step_by(reduced.bands);
        let range = ranges.get(band).copied().flatten();
        let shown = samples.iter_mut().skip(band).step_by(reduced.bands);
        for (pixel, (shown, value)) in shown.zip(values()).enumerate() {
            let gray = match range.map_or(0, |range| gray(*value, range)) {
                gray if window.is_inverted && !value.is_nan() => 255 - gray,
                gray => gray,
            };
            *shown = match reduced.coverage.get(pixel) {
                Some(covered) => on_white(gray, *covered),
                None => gray,
            };
        }
    }
    let rect = Rect { x: 0, y: 0, width: reduced.width, height: reduced.height };
    Pixels { rect, samples: samples.into() }
}

/// From which value to which one a band is stretched, of all that was measured.
fn range_of(mut values: Vec<f64>) -> Option<(f64, f64)> {
    for take_away in [f64::min as fn(f64, f64) -> f64, f64::max] {
        let Some(outermost) = values.iter().copied().reduce(take_away) else { break };
        let others: Vec<f64> = values.iter().copied().filter(|v| *v != outermost).collect();
        let often = values.len() - others.len();
        if often * OFTEN < values.len() || others.len() < ENOUGH {
            continue;
        }
        let nearest = others.iter().copied().reduce(take_away).unwrap_or(outermost);
        // Halves, since the difference of two finite numbers may be infinite.
        let gap = (nearest / 2.0 - outermost / 2.0).abs();
        if let Some((low, high)) = percentiles(others.clone())
            && low < high
            && gap > FAR * (high / 2.0 - low / 2.0)
        {
            values = others;
        }
    }
    let (low, high) = percentiles(values.clone())?;
    if low < high {
        return Some((low, high));
    }
    let all = values.len();
    values.retain(|value| *value != low);
    if values.len() * FEW < all {
        return Some((low, low));
    }
    let (others_low, others_high) = percentiles(values)?;
    Some((low.min(others_low), low.max(others_high)))
}

fn percentiles(mut values: Vec<f64>) -> Option<(f64, f64)> {
    let last = values.len().checked_sub(1)?;
    let mut at = |percent: usize| {
        let index = (last * percent + 50) / 100;
        *values.select_nth_unstable_by(index, f64::total_cmp).1
    };
    Some((at(PERCENTILES.0), at(PERCENTILES.1)))
}

/// What is seen of a gray value where so much of it is opaque, from 0 to 1.
fn on_white(gray: u8, covered: f64) -> u8 {
    (f64::from(gray) * covered + 255.0 * (1.0 - covered)).round() as u8
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
    use crate::view::layout::check;
    use crate::view::reduce::{Reducer, preview_plan};
    use proptest::prelude::*;

    fn shown(info: &RasterInfo, samples: Vec<u8>) -> Vec<u8> {
        let mut reducer = Reducer::new(info, preview_plan(info, 1024, None));
        reducer.add(&Pixels { rect: info.grid.image(0), samples: samples.into() });
        stretch(info, false, &reducer.finish()).samples.to_vec()
    }

    fn floats(values: &[f32]) -> Vec<u8> {
        let info = check::info(values.len() as u32, 1, 1, SampleType::F32);
        shown(&info, values.iter().flat_map(|value| value.to_ne_bytes()).collect())
    }

    fn shorts(values: impl IntoIterator<Item = u16>) -> Vec<u8> {
        values.into_iter().flat_map(u16::to_ne_bytes).collect()
    }

    #[test]
    fn eight_bits_are_shown_as_they_are_and_transparency_on_white() {
        let info = check::info(2, 1, 1, SampleType::U8);
        assert_eq!(shown(&info, vec![0, 77]), [0, 77]);
        let rgba = RasterInfo { color: Color::Rgba, ..check::info(2, 1, 4, SampleType::U8) };
        assert_eq!(shown(&rgba, vec![1, 2, 3, 0, 5, 6, 7, 255]), [255, 255, 255, 5, 6, 7]);
        let la = RasterInfo { color: Color::GrayAlpha, ..check::info(3, 1, 2, SampleType::U8) };
        assert_eq!(shown(&la, vec![9, 0, 8, 255, 0, 102]), [255, 8, 153]);
    }

    #[test]
    fn fewer_bits_than_eight_are_shown_up_to_white() {
        for (bits, values, wanted) in [
            (1, [0, 1, 1], [0, 255, 255]),
            (4, [0, 8, 15], [0, 136, 255]),
            (7, [0, 1, 127], [0, 2, 255]),
        ] {
            let info = RasterInfo { bit_depth: bits, ..check::info(3, 1, 1, SampleType::U8) };
            assert_eq!(shown(&info, values.to_vec()), wanted, "{bits}");
        }
    }

    #[test]
    fn a_picture_of_16_bits_with_colors_is_shown_as_it_is() {
        let info = RasterInfo { color: Color::Gray, ..check::info(3, 1, 1, SampleType::U16) };
        let mut reducer = Reducer::new(&info, preview_plan(&info, 1024, None));
        let samples = shorts([257, 257 * 100, 65_535]);
        reducer.add(&Pixels { rect: info.grid.image(0), samples: samples.into() });
        assert_eq!(stretch(&info, true, &reducer.finish()).samples[..], [1, 100, 255]);
    }

    #[test]
    fn one_hot_pixel_and_infinities_do_not_matter() {
        let mut values: Vec<f32> = (0..1000).map(|n| 500.0 + n as f32).collect();
        let before = floats(&values);
        values[10] = 1e9;
        values[20] = f32::INFINITY;
        values[30] = f32::NAN;
        values[40] = f32::MAX;
        let after = floats(&values);
        let others = (0..1000).filter(|n| !matches!(n, 10 | 20 | 30 | 40));
        for n in others {
            assert!(before[n].abs_diff(after[n]) <= 2, "{n}: {} {}", before[n], after[n]);
        }
        assert_eq!((after[10], after[20], after[30], after[40]), (255, 0, 0, 0));
    }

    #[test]
    fn a_value_far_from_all_others_is_no_measurement_although_nobody_says_so() {
        for lone in [-9999.0, -32_768.0, 1e20, 99_999.0] {
            let values: Vec<f32> =
                (0..1000).map(|n| if n % 4 == 0 { lone } else { 200.0 + n as f32 }).collect();
            let shown = floats(&values);
            assert!(shown[0] == 0 || shown[0] == 255);
            assert!((120..136).contains(&shown[501]), "{lone}: {}", shown[501]);
            assert!(shown[1] < 10 && shown[999] > 245, "{lone}");
        }
    }

    #[test]
    fn a_few_values_are_told_from_each_other() {
        // A map of classes, most of it one of them.
        let classes: Vec<f32> = (0..1000).map(|n| if n % 50 == 0 { 3.0 } else { 1.0 }).collect();
        let shown = floats(&classes);
        assert_eq!((shown[0], shown[1]), (255, 0));
        // A pixel in a thousand is no class.
        let hot: Vec<f32> = (0..1024).map(|n| if n == 7 { 900.0 } else { 1.0 }).collect();
        let shown = floats(&hot);
        assert_eq!((shown[7], shown[1]), (255, 128));
    }

    #[test]
    fn a_window_that_the_file_says_is_shown() {
        let mut info = check::info(5, 1, 1, SampleType::U16);
        let values = [0, 100, 150, 200, 900];
        info.extras.window = Some(Window { range: Some((100.0, 200.0)), is_inverted: false });
        assert_eq!(shown(&info, shorts(values)), [0, 0, 128, 255, 255]);
        info.extras.window = Some(Window { range: Some((100.0, 200.0)), is_inverted: true });
        assert_eq!(shown(&info, shorts(values)), [255, 255, 127, 0, 0]);
        // Zero is a measurement, but what the file calls padding is none, and stays black.
        info.nodata = Some(900.0);
        assert_eq!(shown(&info, shorts(values)), [255, 255, 127, 0, 0]);
        info.nodata = Some(0.0);
        assert_eq!(shown(&info, shorts(values)), [0, 255, 127, 0, 0]);
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
