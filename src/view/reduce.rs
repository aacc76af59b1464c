//! The few pixels that a preview is made from.
//!
//! Contract: [`preview_plan`] says from the header how large a preview is and from
//! which level it comes; a [`Reducer`] takes that level's pixels, in any pieces and
//! any order, and averages them in boxes. What holds no measurement (nodata, values
//! that are not finite, zeros of unsigned types of more than 8 bits) does not count.
//! Not here: turning measurements into gray values, see `stretch`.

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
}

/// The largest level whose longest side is at most `longest`, as it is; or, if there
/// is none, the smallest level averaged down to that.
pub fn preview_plan(info: &RasterInfo, longest: u32) -> PreviewPlan {
    let mut last = (0, info.grid.image(0));
    for level in 0..info.levels.max(1) {
        let image = info.grid.image(level);
        if image.is_empty() {
            break;
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
    PreviewPlan { level, level_width: image.width, level_height: image.height, width, height }
}

/// Whether a preview is in color: three bands and more are red, green and blue.
pub fn preview_is_rgb(info: &RasterInfo) -> bool {
    match info.color {
        Color::Gray | Color::GrayAlpha => false,
        Color::Rgb | Color::Rgba => true,
        Color::Bands => info.bands >= 3,
    }
}

/// The mean of each box; NaN where nothing was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Reduced {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// 1 or 3: opacity and further bands are left out.
    pub bands: usize,
    /// Row by row, band by band within a pixel.
    pub values: Vec<f64>,
}

/// Averages a level's pixels.
#[derive(Debug)]
pub struct Reducer {
    plan: PreviewPlan,
    sample: SampleType,
    nodata: Option<f64>,
    pixel_bytes: usize,
    bands: usize,
    sums: Vec<f64>,
    counts: Vec<u32>,
}

impl Reducer {
    /// Takes pixels of `plan.level`.
    pub fn new(info: &RasterInfo, plan: PreviewPlan) -> Self {
        let bands = if preview_is_rgb(info) { 3 } else { 1 };
        let values = plan.width as usize * plan.height as usize * bands;
        Reducer {
            plan,
            sample: info.sample,
            nodata: info.nodata,
            pixel_bytes: info.pixel_bytes(),
            bands,
            sums: vec![0.0; values],
            counts: vec![0; values],
        }
    }

    /// Adds pixels; each pixel of the level is to be added once.
    pub fn add(&mut self, pixels: &Pixels) {
        match self.sample {
            // Eight bits are shown as they are: every value counts.
            SampleType::U8 => self.add_as(pixels, |b: [u8; 1]| Some(f64::from(b[0]))),
            SampleType::I8 => self.add_measured(pixels, |b| f64::from(i8::from_ne_bytes(b))),
            SampleType::U16 => self.add_unsigned(pixels, |b| f64::from(u16::from_ne_bytes(b))),
            SampleType::I16 => self.add_measured(pixels, |b| f64::from(i16::from_ne_bytes(b))),
            SampleType::U32 => self.add_unsigned(pixels, |b| f64::from(u32::from_ne_bytes(b))),
            SampleType::I32 => self.add_measured(pixels, |b| f64::from(i32::from_ne_bytes(b))),
            SampleType::F32 => {
                // Nodata is often written with fewer digits than a double has.
                self.nodata = self.nodata.map(|value| f64::from(value as f32));
                self.add_measured(pixels, |b| f64::from(f32::from_ne_bytes(b)));
            }
            SampleType::F64 => self.add_measured(pixels, f64::from_ne_bytes),
        }
    }

    /// The means.
    pub fn finish(self) -> Reduced {
        let means = self.sums.iter().zip(&self.counts);
        let values = means.map(|(sum, &count)| match count {
            0 => f64::NAN,
            count => sum / f64::from(count),
        });
        Reduced {
            width: self.plan.width,
            height: self.plan.height,
            bands: self.bands,
            values: values.collect(),
        }
    }

    fn add_unsigned<const N: usize>(&mut self, pixels: &Pixels, read: impl Fn([u8; N]) -> f64) {
        let nodata = self.nodata;
        self.add_as(pixels, |bytes| {
            Some(read(bytes)).filter(|value| *value != 0.0 && Some(*value) != nodata)
        });
    }

    fn add_measured<const N: usize>(&mut self, pixels: &Pixels, read: impl Fn([u8; N]) -> f64) {
        let nodata = self.nodata;
        self.add_as(pixels, |bytes| {
            Some(read(bytes)).filter(|value| value.is_finite() && Some(*value) != nodata)
        });
    }

    fn add_as<const N: usize>(&mut self, pixels: &Pixels, read: impl Fn([u8; N]) -> Option<f64>) {
        let rect = pixels.rect;
        let (plan, bands) = (self.plan, self.bands);
        let row_bytes = rect.width as usize * self.pixel_bytes;
        for (y, row) in (rect.y..).zip(pixels.samples.chunks_exact(row_bytes.max(1))) {
            let to_row = box_of(y, plan.height, plan.level_height) * plan.width as usize;
            for (x, pixel) in (rect.x..).zip(row.chunks_exact(self.pixel_bytes)) {
                let to = (to_row + box_of(x, plan.width, plan.level_width)) * bands;
                let (samples, _) = pixel.as_chunks::<N>();
                for (band, sample) in samples.iter().take(bands).enumerate() {
                    if let Some(value) = read(*sample) {
                        self.sums[to + band] += value;
                        self.counts[to + band] += 1;
                    }
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
        let plan = |longest| preview_plan(&scene(10_980, 10_980, 5), longest);
        let (level, width) = (plan(1024).level, plan(1024).width);
        assert_eq!((level, width), (4, 687));
        assert_eq!((plan(687).level, plan(687).width), (4, 687));
        assert_eq!((plan(1373).level, plan(1373).width), (3, 1373));
        assert_eq!((plan(343).level, plan(343).width), (4, 343));
        assert_eq!((plan(20_000).level, plan(20_000).width), (0, 10_980));
    }

    #[test]
    fn a_long_image_keeps_at_least_a_pixel_across() {
        let plan = preview_plan(&scene(100_000, 3, 1), 1024);
        assert_eq!((plan.width, plan.height), (1024, 1));
    }

    #[test]
    fn what_was_not_measured_does_not_count() {
        let info = RasterInfo { nodata: Some(9.0), ..scene(4, 1, 1) };
        let plan = preview_plan(&info, 2);
        assert_eq!((plan.width, plan.height), (2, 1));
        let mut reducer = Reducer::new(&info, plan);
        let samples: Vec<u8> = [9u16, 5, 0, 9].iter().flat_map(|v| v.to_ne_bytes()).collect();
        reducer.add(&Pixels { rect: info.grid.image(0), samples: samples.into() });
        let values = reducer.finish().values;
        assert_eq!(values[0], 5.0);
        assert!(values[1].is_nan());
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
            let plan = preview_plan(&info, longest);
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
