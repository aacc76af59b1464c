//! The few pixels that a preview is made from.
//!
//! Contract: [`preview_plan`] says from the header how large a preview is and from
//! which level it comes; a [`Reducer`] takes that level's pixels, in any pieces and
//! any order, and averages them in boxes. What holds no measurement (nodata, values
//! that are not finite or larger than any measurement, zeros of unsigned types of more than
//! 8 bits) does not count, and what is transparent counts as little as it shows. What a mask
//! leaves out is transparent; then zeros that it leaves in were measured. Where each band has a mask
//! of its own, a pixel is transparent if none of its shown bands is valid, and a band that is not
//! does not count.
//! Not here: turning measurements into gray values, see `stretch`.

use super::shown::Shown;
use crate::raster::{Color, Pixels, RasterInfo, SampleType};

/// From what a preview is made, and how large it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PreviewPlan {
    /// The level that is read.
    pub level: u8,
    /// Its pixels.
    pub level_width: u32,
    /// Its pixels.
    pub level_height: u32,
    /// The preview's pixels; the level's, if that is small enough.
    pub width: u32,
    /// The preview's pixels.
    pub height: u32,
    /// The bands that are shown.
    pub bands: ShownBands,
}

/// The bands of an image that a preview shows, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ShownBands {
    /// In gray.
    Gray(u16),
    /// As red, green and blue.
    Rgb([u16; 3]),
}

impl ShownBands {
    /// Those of an image: of one with many bands the `wanted` ones, if it has them, or the
    /// first ones.
    pub fn of(info: &RasterInfo, wanted: Option<ShownBands>) -> Self {
        let all = if info.extras.is_complex { info.bands / 2 } else { info.bands };
        let has = |shown: &ShownBands| shown.all().iter().all(|band| *band < all);
        match (info.color, wanted.filter(has)) {
            (Color::Gray | Color::GrayAlpha, _) => ShownBands::Gray(0),
            (Color::Bands | Color::RgbBands, Some(wanted)) => wanted,
            (Color::Bands, None) if all < 3 => ShownBands::Gray(0),
            // Inks and numbers of colors are shown as red, green and blue.
            _ => ShownBands::Rgb([0, 1, 2]),
        }
    }

    /// All of them, in order.
    pub fn all(&self) -> &[u16] {
        match self {
            ShownBands::Gray(band) => std::slice::from_ref(band),
            ShownBands::Rgb(bands) => bands,
        }
    }
}

/// The largest level whose longest side is at most `longest`, as it is; or, if there
/// is none, the smallest level averaged down to that.
pub fn preview_plan(info: &RasterInfo, longest: u32, wanted: Option<ShownBands>) -> PreviewPlan {
    let mut last = (0, info.image(0));
    for level in 0..info.levels.max(1) {
        let image = info.image(level);
        if image.is_empty() {
            break;
        }
        // Without its mask a level shows what is not valid.
        if !info.extras.masked.is_empty() && info.mask_level(level).is_none() {
            continue;
        }
        last = (level, image);
        if image.width.max(image.height) <= longest {
            break;
        }
    }
    let (level, image) = last;
    let side = image.width.max(image.height);
    let scaled = |along: u32| {
        if side <= longest {
            return along;
        }
        let rounded =
            (u64::from(along) * u64::from(longest) + u64::from(side) / 2) / u64::from(side);
        (rounded as u32).max(1)
    };
    let (width, height) = (scaled(image.width), scaled(image.height));
    let bands = ShownBands::of(info, wanted);
    PreviewPlan {
        level,
        level_width: image.width,
        level_height: image.height,
        width,
        height,
        bands,
    }
}

/// The mean of each box; NaN where nothing was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Reduced {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// 1 or 3: further bands are left out.
    pub bands: usize,
    /// Row by row, band by band within a pixel.
    pub values: Vec<f64>,
    /// How much of each pixel is opaque, from 0 to 1; empty for images without opacity.
    pub coverage: Vec<f64>,
}

/// Where the opacity of a pixel is, and what stands for opaque.
#[derive(Debug, Clone, Copy)]
struct Opacity {
    band: usize,
    opaque: f64,
}

/// Floats of this size are no measurements: the largest that there are, and what programs
/// write in their place.
const MAX_MEASURED: f64 = 1e37;

/// Pixels, and a byte for each, or for each of its bands, that is 0 where it is not valid; none if
/// all are.
type Masked<'a> = (&'a Pixels, &'a [u8]);

/// Averages a level's pixels.
#[derive(Debug)]
pub struct Reducer {
    plan: PreviewPlan,
    sample: SampleType,
    nodata: Option<f64>,
    /// Whether zeros of unsigned types are measurements.
    zero_counts: bool,
    pixel_bytes: usize,
    /// Bytes that a pixel has in the mask.
    mask_bytes: usize,
    shown: Shown,
    opacity: Option<Opacity>,
    sums: Vec<f64>,
    /// How many values were added to each sum; empty for an image with opacity.
    counts: Vec<u32>,
    /// How many pixels were added to each, and their opacity; empty for images with neither
    /// opacity nor mask.
    seen: Vec<u32>,
    covered: Vec<f64>,
}

impl Reducer {
    /// Takes pixels of `plan.level`.
    pub fn new(info: &RasterInfo, plan: PreviewPlan) -> Self {
        let pixels = plan.width as usize * plan.height as usize;
        let values = pixels * plan.bands.all().len();
        let opaque = match info.sample {
            SampleType::F32 | SampleType::F64 => 1.0,
            _ => (1u64 << info.bit_depth.min(32)) as f64 - 1.0,
        };
        let opacity = match info.color {
            Color::GrayAlpha => Some(Opacity { band: 1, opaque }),
            Color::Rgba => Some(Opacity { band: 3, opaque }),
            Color::Gray | Color::Rgb | Color::Bands | Color::RgbBands => None,
            Color::Cmyk | Color::Palette | Color::Lab => None,
        };
        let shown = Shown::of(info);
        let (sample, pixel_bytes) = shown.sizes(info);
        let is_masked = !info.extras.masked.is_empty();
        let with_coverage = if opacity.is_some() || is_masked { pixels } else { 0 };
        Reducer {
            plan,
            sample,
            nodata: info.nodata,
            zero_counts: info.extras.window.is_some() || is_masked,
            pixel_bytes,
            mask_bytes: info.mask_bytes(),
            shown,
            opacity,
            sums: vec![0.0; values],
            counts: vec![0; if opacity.is_some() { 0 } else { values }],
            seen: vec![0; with_coverage],
            covered: vec![0.0; with_coverage],
        }
    }

    /// Adds pixels; each pixel of the level is to be added once.
    pub fn add(&mut self, pixels: &Pixels) {
        self.add_masked(pixels, &[]);
    }

    /// Adds pixels, as [`Reducer::add`], with the [bytes](RasterInfo::mask_bytes) that each of them
    /// has in the mask: 0 where it is not valid. Without any, all are.
    pub fn add_masked(&mut self, pixels: &Pixels, mask: &[u8]) {
        match self.shown.pixels(pixels) {
            Some(shown) => self.add_shown((&shown, mask)),
            None => self.add_shown((pixels, mask)),
        }
    }

    fn add_shown(&mut self, pixels: Masked<'_>) {
        match self.sample {
            // Eight bits are shown as they are: every value counts.
            SampleType::U8 => self.add_as(pixels, |b: [u8; 1]| f64::from(b[0]), |_| true),
            SampleType::I8 => self.add_measured(pixels, |b| f64::from(i8::from_ne_bytes(b))),
            SampleType::U16 => self.add_unsigned(pixels, |b| f64::from(u16::from_ne_bytes(b))),
            SampleType::I16 => self.add_measured(pixels, |b| f64::from(i16::from_ne_bytes(b))),
            SampleType::U32 => self.add_unsigned(pixels, |b| f64::from(u32::from_ne_bytes(b))),
            SampleType::I32 => self.add_measured(pixels, |b| f64::from(i32::from_ne_bytes(b))),
            SampleType::U64 => self.add_unsigned(pixels, |b| u64::from_ne_bytes(b) as f64),
            SampleType::I64 => self.add_measured(pixels, |b| i64::from_ne_bytes(b) as f64),
            SampleType::F32 => {
                // Nodata is often written with fewer digits than a double has.
                self.nodata = self.nodata.map(|value| f64::from(value as f32));
                self.add_measured(pixels, |b| f64::from(f32::from_ne_bytes(b)));
            }
            SampleType::F64 => self.add_measured(pixels, f64::from_ne_bytes),
        }
    }

    /// The means.
    pub fn finish(mut self) -> Reduced {
        let bands = self.plan.bands.all().len();
        for (at, sum) in self.sums.iter_mut().enumerate() {
            let weight = match self.opacity {
                Some(_) => self.covered[at / bands],
                None => f64::from(self.counts[at]),
            };
            *sum = if weight > 0.0 { *sum / weight } else { f64::NAN };
        }
        let opaque = self.opacity.map_or(1.0, |opacity| opacity.opaque);
        for (covered, &seen) in self.covered.iter_mut().zip(&self.seen) {
            *covered /= opaque * f64::from(seen.max(1));
        }
        let PreviewPlan { width, height, .. } = self.plan;
        Reduced { width, height, bands, values: self.sums, coverage: self.covered }
    }

    fn add_unsigned<const N: usize>(&mut self, pixels: Masked<'_>, read: impl Fn([u8; N]) -> f64) {
        let (nodata, zero_counts) = (self.nodata, self.zero_counts);
        let is_measured = |value| (value != 0.0 || zero_counts) && Some(value) != nodata;
        self.add_as(pixels, read, is_measured);
    }

    fn add_measured<const N: usize>(&mut self, pixels: Masked<'_>, read: impl Fn([u8; N]) -> f64) {
        let nodata = self.nodata;
        self.add_as(pixels, read, |value| value.abs() < MAX_MEASURED && Some(value) != nodata);
    }

    fn add_as<const N: usize>(
        &mut self,
        (pixels, mask): Masked<'_>,
        read: impl Fn([u8; N]) -> f64,
        is_measured: impl Fn(f64) -> bool,
    ) {
        let rect = pixels.rect;
        let (plan, opacity) = (self.plan, self.opacity);
        let bands = plan.bands.all();
        let row_bytes = rect.width as usize * self.pixel_bytes;
        let mut masks = mask.chunks_exact(self.mask_bytes.max(1));
        // Colors that are shown of others have no bands of the mask.
        let is_apart =
            self.mask_bytes > 1 && opacity.is_none() && matches!(self.shown, Shown::AsTheyAre);
        for (y, row) in (rect.y..).zip(pixels.samples.chunks_exact(row_bytes.max(1))) {
            let to_row = box_of(y, plan.height, plan.level_height) * plan.width as usize;
            for (x, pixel) in (rect.x..).zip(row.chunks_exact(self.pixel_bytes)) {
                let to_pixel = to_row + box_of(x, plan.width, plan.level_width);
                let to = to_pixel * bands.len();
                let (samples, _) = pixel.as_chunks::<N>();
                let value = |band: usize| samples.get(band).map(|sample| read(*sample));
                let mask = masks.next().unwrap_or(&[1]);
                let is_valid_in = |band: u16| mask.get(usize::from(band)).is_none_or(|v| *v != 0);
                let is_valid = match is_apart {
                    true => bands.iter().any(|band| is_valid_in(*band)),
                    false => mask.iter().any(|valid| *valid != 0),
                };
                if let Some(seen) = self.seen.get_mut(to_pixel) {
                    *seen += 1;
                }
                if !is_valid {
                    continue;
                }
                let Some(Opacity { band, opaque }) = opacity else {
                    if let Some(covered) = self.covered.get_mut(to_pixel) {
                        *covered += 1.0;
                    }
                    for (band, from) in bands.iter().enumerate() {
                        let is_left_out = is_apart && !is_valid_in(*from);
                        let value = value(usize::from(*from)).filter(|v| is_measured(*v));
                        if let Some(value) = value.filter(|_| !is_left_out) {
                            self.sums[to + band] += value;
                            self.counts[to + band] += 1;
                        }
                    }
                    continue;
                };
                // Not divided yet: sums of whole numbers are exact in any order. What is opaque
                // was measured, zeros too.
                let weight =
                    value(band).filter(|weight| *weight > 0.0).map_or(0.0, |w| w.min(opaque));
                self.covered[to_pixel] += weight;
                for (band, from) in bands.iter().enumerate() {
                    let value = value(usize::from(*from)).filter(|value| value.is_finite());
                    self.sums[to + band] += value.unwrap_or(0.0) * weight;
                }
            }
        }
    }
}

/// In which of `boxes` a pixel is, of `pixels` along one axis. Box `i` starts at
/// `i * pixels / boxes`, rounded down.
fn box_of(pixel: u32, boxes: u32, pixels: u32) -> usize {
    if boxes == pixels {
        return pixel as usize;
    }
    (((u64::from(pixel) + 1) * u64::from(boxes) - 1) / u64::from(pixels.max(1))) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::{Rect, TileGrid};
    use crate::view::layout::check;
    use proptest::prelude::*;

    fn scene(width: u32, height: u32, levels: u8) -> RasterInfo {
        RasterInfo { levels, ..check::info(width, height, 1, SampleType::U16) }
    }

    #[test]
    fn a_preview_is_the_first_level_that_is_small_enough() {
        let plan = |longest| preview_plan(&scene(10_980, 10_980, 5), longest, None);
        let (level, width) = (plan(1024).level, plan(1024).width);
        assert_eq!((level, width), (4, 687));
        assert_eq!((plan(687).level, plan(687).width), (4, 687));
        assert_eq!((plan(1373).level, plan(1373).width), (3, 1373));
        assert_eq!((plan(343).level, plan(343).width), (4, 343));
        assert_eq!((plan(20_000).level, plan(20_000).width), (0, 10_980));
    }

    #[test]
    fn a_long_image_keeps_at_least_a_pixel_across() {
        let plan = preview_plan(&scene(100_000, 3, 1), 1024, None);
        assert_eq!((plan.width, plan.height), (1024, 1));
    }

    #[test]
    fn what_was_not_measured_does_not_count() {
        let info = RasterInfo { nodata: Some(9.0), ..scene(4, 1, 1) };
        let plan = preview_plan(&info, 2, None);
        assert_eq!((plan.width, plan.height), (2, 1));
        let mut reducer = Reducer::new(&info, plan);
        let samples: Vec<u8> = [9u16, 5, 0, 9].iter().flat_map(|v| v.to_ne_bytes()).collect();
        reducer.add(&Pixels { rect: info.grid.image(0), samples: samples.into() });
        let values = reducer.finish().values;
        assert_eq!(values[0], 5.0);
        assert!(values[1].is_nan());
    }

    #[test]
    fn the_wanted_bands_are_shown_of_images_that_have_them() {
        let bands = |count, color, wanted| {
            let info = RasterInfo { color, ..check::info(4, 1, count, SampleType::U16) };
            ShownBands::of(&info, wanted)
        };
        let infrared = ShownBands::Rgb([3, 2, 1]);
        assert_eq!(bands(5, Color::Bands, Some(infrared)), infrared);
        assert_eq!(bands(5, Color::Bands, Some(ShownBands::Gray(4))), ShownBands::Gray(4));
        assert_eq!(bands(3, Color::Bands, Some(infrared)), ShownBands::Rgb([0, 1, 2]));
        assert_eq!(bands(2, Color::Bands, Some(infrared)), ShownBands::Gray(0));
        assert_eq!(bands(4, Color::Rgba, Some(infrared)), ShownBands::Rgb([0, 1, 2]));
        assert_eq!(bands(1, Color::Gray, Some(ShownBands::Gray(4))), ShownBands::Gray(0));
    }

    #[test]
    fn what_is_transparent_counts_as_little_as_it_shows() {
        let info = RasterInfo { color: Color::GrayAlpha, ..check::info(4, 1, 2, SampleType::U8) };
        let mut reducer = Reducer::new(&info, preview_plan(&info, 2, None));
        let samples = vec![200, 255, 7, 0, 100, 51, 100, 51];
        reducer.add(&Pixels { rect: info.grid.image(0), samples: samples.into() });
        let reduced = reducer.finish();
        assert_eq!(reduced.values, [200.0, 100.0]);
        assert_eq!(reduced.coverage, [0.5, 0.2]);
    }

    #[test]
    fn what_a_mask_leaves_out_is_transparent_and_zeros_that_it_leaves_in_count() {
        let mut info = scene(6, 1, 1);
        info.extras.masked = vec![true];
        let mut reducer = Reducer::new(&info, preview_plan(&info, 3, None));
        let samples = [900u16, 6, 0, 8, 7, 7].into_iter().flat_map(u16::to_ne_bytes).collect();
        let pixels = Pixels { rect: info.grid.image(0), samples };
        reducer.add_masked(&pixels, &[0, 255, 1, 255, 0, 0]);
        let reduced = reducer.finish();
        assert_eq!(reduced.values[..2], [6.0, 4.0]);
        assert!(reduced.values[2].is_nan());
        assert_eq!(reduced.coverage, [0.5, 1.0, 0.0]);
    }

    #[test]
    fn of_masks_of_each_band_each_leaves_out_its_own_band() {
        let mut info = check::info(4, 1, 4, SampleType::U16);
        info.color = Color::RgbBands;
        info.extras.masked = vec![true];
        info.extras.has_mask_of_each_band = true;
        let mut reducer = Reducer::new(&info, preview_plan(&info, 2, None));
        let all: [u16; 16] = [10, 20, 30, 9, 12, 0, 34, 9, 7, 7, 7, 9, 5, 6, 0, 9];
        let samples = all.into_iter().flat_map(u16::to_ne_bytes).collect();
        let mask = [255, 0, 255, 0, 255, 255, 0, 0, 0, 0, 0, 255, 0, 0, 1, 0];
        reducer.add_masked(&Pixels { rect: info.grid.image(0), samples }, &mask);
        let reduced = reducer.finish();
        assert_eq!(reduced.values[..3], [11.0, 0.0, 30.0]);
        assert!(reduced.values[3].is_nan() && reduced.values[4].is_nan());
        assert_eq!(reduced.values[5], 0.0);
        // A band that is not shown does not make its pixel valid.
        assert_eq!(reduced.coverage, [1.0, 0.5]);
    }

    #[test]
    fn a_preview_is_made_from_a_level_that_has_its_mask() {
        let mut info = scene(4000, 4000, 5);
        let level = |info: &RasterInfo| preview_plan(info, 600, None).level;
        info.extras.masked = vec![true; 5];
        assert_eq!(level(&info), 3);
        info.extras.masked[3] = false;
        assert_eq!(level(&info), 4);
        info.extras.masked = vec![true, true, false, false, false];
        assert_eq!((level(&info), preview_plan(&info, 600, None).width), (1, 600));
    }

    proptest! {
        #[test]
        fn boxes_share_the_pixels_and_none_is_empty(pixels in 1u32..300, boxes in 1u32..300) {
            let boxes = boxes.min(pixels);
            let mut last = 0;
            for pixel in 0..pixels {
                let this = box_of(pixel, boxes, pixels);
                prop_assert!(this == last || this == last + 1);
                last = this;
            }
            prop_assert_eq!(box_of(0, boxes, pixels), 0);
            prop_assert_eq!(last, boxes as usize - 1);
        }

        #[test]
        fn pieces_add_up_to_the_whole(
            size in (1u32..60, 1u32..60),
            cut in (1u32..60, 1u32..60),
            longest in 1u32..60,
            bands in 1u16..6,
            sample in 0usize..8,
        ) {
            let info = check::info(size.0, size.1, bands, check::TYPES[sample]);
            let plan = preview_plan(&info, longest, None);
            let mut whole = Reducer::new(&info, plan);
            whole.add(&check::pixels(&info, 0, info.grid.image(0)));
            let mut pieces = Reducer::new(&info, plan);
            let grid = TileGrid { tile_size: cut, ..info.grid };
            for row in (0..grid.rows()).rev() {
                for column in 0..grid.columns() {
                    let rect: Rect = grid.tile(0, column, row);
                    pieces.add(&check::pixels(&info, 0, rect));
                }
            }
            let (whole, pieces) = (whole.finish(), pieces.finish());
            for (a, b) in whole.values.iter().zip(&pieces.values) {
                prop_assert!(a == b || a.is_nan() && b.is_nan());
            }
        }
    }
}
