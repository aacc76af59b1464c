//! An image as a viewer shows it: small, or in tiles of a few hundred pixels at any zoom.
//!
//! Contract: a picture has as many zooms as it takes to fit into one tile at zoom 0; each further
//! one has twice as many pixels, up to all of them. A tile is made from the level that has just
//! enough pixels, by the same averages and the same stretch as a preview, so that tiles fit
//! together. What is shown from which value to which is the same for all of them. A file's
//! orientation is not applied to tiles: they lie as its pixels do.

use std::num::NonZeroU32;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};

use super::error::ViewError;
use super::image::Image;
use super::packed_pixels::png;
use super::reduce::{PreviewPlan, Reduced, Reducer, ShownBands, preview_plan};
use super::render::{is_small_level, tiles_of};
use super::stretch::{Ranges, fixed_ranges, ranges_of, show};
use super::{Opened, Original, View, ViewKind, Views};
use crate::raster::{Color, Pixels, RasterError, Rect};

/// Tiles are at most as wide and high.
const TILE: u32 = 256;
/// And a small picture.
const SMALL: u32 = 256;
/// Tiles of the image that are decoded at once for one of a picture.
const AT_ONCE: usize = 8;

/// Which picture of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shot {
    /// The page; the first one otherwise.
    pub page: Option<NonZeroU32>,
    /// The bands, if others than a preview shows.
    pub bands: Option<ShownBands>,
}

/// Which tile of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The zoom, from 0 on.
    pub zoom: u8,
    /// The column.
    pub column: u32,
    /// The row.
    pub row: u32,
}

/// What a viewer has to know of a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct PictureFacts {
    /// Pixels at the last zoom.
    pub width: u32,
    /// Pixels at the last zoom.
    pub height: u32,
    /// The last zoom.
    pub zoom: u8,
    /// Samples of a pixel that can be chosen as bands.
    pub bands: u16,
    /// The type of a sample.
    pub sample: &'static str,
    /// Whether others can be chosen than are shown.
    pub choice: bool,
    /// The bands that are shown, counted from 0.
    pub shown: Vec<u16>,
    /// From which value to which each of them is shown; `None` where nothing was measured.
    pub ranges: Ranges,
}

impl Views {
    /// What a viewer has to know; `None` if the file is no image.
    ///
    /// # Errors
    /// Why the image can't be decoded.
    pub async fn picture(
        self: &Arc<Self>,
        original: &Original,
        shot: Shot,
    ) -> Result<Option<PictureFacts>, ViewError> {
        let Some(image) = self.pictured(original, shot).await? else { return Ok(None) };
        let bands = bands_of(&image, shot);
        let ranges = self.ranges(&image, bands).await?;
        let info = image.info();
        Ok(Some(PictureFacts {
            width: info.image(0).width,
            height: info.image(0).height,
            zoom: last_zoom(&image),
            bands: if info.extras.is_complex { info.bands / 2 } else { info.bands },
            sample: info.sample.name(),
            choice: matches!(info.color, Color::Bands | Color::RgbBands),
            shown: bands.all().to_vec(),
            ranges,
        }))
    }

    /// A tile as a PNG; `None` if there is none, or no image. With `stretch` it is shown from
    /// these values to those, else as the whole picture is.
    ///
    /// # Errors
    /// Why the image can't be decoded.
    pub async fn picture_tile(
        self: &Arc<Self>,
        original: &Original,
        shot: Shot,
        place: Place,
        stretch: Option<Ranges>,
    ) -> Result<Option<Vec<u8>>, ViewError> {
        let Some(image) = self.pictured(original, shot).await? else { return Ok(None) };
        let bands = bands_of(&image, shot);
        let Some((plan, from)) = plan_of(&image, place, bands) else { return Ok(None) };
        let ranges = match stretch {
            Some(ranges) => ranges,
            None => self.ranges(&image, bands).await?,
        };
        let reduced = self.reduced(&image, plan, from).await?;
        let work = image.clone();
        let pixels = self.compute(&image, move || show(work.info(), &reduced, &ranges)).await?;
        let pixels = self.colored(&image, pixels, bands).await;
        let count = bands.all().len();
        Ok(Some(self.compute(&image, move || png(&pixels, count)).await?))
    }

    /// The preview, small, as a PNG; `None` if the file is no image.
    ///
    /// # Errors
    /// Why the image can't be decoded.
    pub async fn small_picture(
        self: &Arc<Self>,
        original: &Original,
        shot: Shot,
    ) -> Result<Option<Vec<u8>>, ViewError> {
        let Some(image) = self.pictured(original, shot).await? else { return Ok(None) };
        let preview = self.preview(&image).await?;
        let count = image.preview.bands.all().len();
        let work = move || png(&smaller(&preview, count), count);
        Ok(Some(self.compute(&image, work).await?))
    }

    async fn pictured(
        self: &Arc<Self>,
        original: &Original,
        shot: Shot,
    ) -> Result<Option<Arc<Image>>, ViewError> {
        let view = View { page: shot.page, kind: ViewKind::Preview };
        // Without siblings nothing is decoded, and no decoder runs anywhere.
        if !self.config.kinds.has(view.kind) {
            return Ok(None);
        }
        match self.opened(original, view).await? {
            // What has no preview has no pixels that could be shown.
            Opened::Image(image) if image.layout(ViewKind::Preview).is_ok() => Ok(Some(image)),
            Opened::Image(_) | Opened::Nothing => Ok(None),
            Opened::Failed(error) => Err(error),
        }
    }

    /// From which values to which these bands are shown, found out once.
    async fn ranges(
        self: &Arc<Self>,
        image: &Arc<Image>,
        bands: ShownBands,
    ) -> Result<Ranges, ViewError> {
        let has_colors = has_colors(image);
        if let Some(ranges) = fixed_ranges(image.info(), has_colors, bands.all().len()) {
            return Ok(ranges);
        }
        let (views, image) = (self.clone(), image.clone());
        let made = self.kept.ranges.get_or_make((image.id, bands), move || async move {
            let longest = views.config.preview_size;
            let plan = preview_plan(image.info(), longest, Some(bands));
            let plan = PreviewPlan { bands, ..plan };
            let all = image.info().image(plan.level);
            let reduced = views.reduced(&image, plan, all).await?;
            let work = image.clone();
            let found = move || ranges_of(work.info(), has_colors, &reduced);
            let ranges = views.compute(&image, found).await?;
            Ok((ranges, 64))
        });
        Ok((**made.wait().await?).clone())
    }

    /// A rectangle of a level, averaged as the plan says.
    async fn reduced(
        self: &Arc<Self>,
        image: &Arc<Image>,
        plan: PreviewPlan,
        from: Rect,
    ) -> Result<Reduced, ViewError> {
        let allowed = self.config.limits.image_pixels;
        if from.pixels() > allowed {
            return Err(image.error(RasterError::Limit {
                what: format!("this picture would take {} pixels", from.pixels()),
                option: "--max-image-pixels",
                allowed,
            }));
        }
        let mut reducer = Reducer::new(image.info(), plan);
        let pixel_bytes = image.info().pixel_bytes();
        if is_small_level(image, plan.level) {
            let level = self.level(image, plan.level).await?;
            let mask = self.mask_under(image, plan.level, level.rect.intersection(&from)).await?;
            reducer.add_masked(&cut(&level, from, pixel_bytes), &mask);
        } else {
            let wanted = tiles_of(image, plan.level, from);
            for group in wanted.chunks(AT_ONCE) {
                self.expect(image, plan.level, group).await;
                let tile =
                    |&(column, row): &(u32, u32)| self.tile(image, plan.level, column, row).wait();
                let mut tiles = stream::iter(group.iter().map(tile)).buffer_unordered(AT_ONCE);
                while let Some(tile) = tiles.next().await {
                    let tile = tile?;
                    let part = tile.rect.intersection(&from);
                    let mask = self.mask_under(image, plan.level, part).await?;
                    reducer.add_masked(&cut(&tile, from, pixel_bytes), &mask);
                }
            }
        }
        self.compute(image, move || reducer.finish()).await
    }

    /// A byte for each pixel of a rectangle, 0 where it is not valid; none without a mask.
    async fn mask_under(
        self: &Arc<Self>,
        image: &Arc<Image>,
        level: u8,
        rect: Rect,
    ) -> Result<Bytes, ViewError> {
        match image.mask {
            Some(_) if !rect.is_empty() => Ok(self.mask_of(image, level, rect).await?.samples),
            _ => Ok(Bytes::new()),
        }
    }

    /// The same pixels in the colors of a screen, where the file says what its colors are.
    async fn colored(&self, image: &Image, pixels: Pixels, bands: ShownBands) -> Pixels {
        let Some(profile) = image.picture().map(|picture| &picture.profile[..]) else {
            return pixels;
        };
        if profile.is_empty() {
            return pixels;
        }
        let (count, limits) = (bands.all().len(), &self.config.limits);
        match self.decoders.to_srgb(profile, count, pixels.samples.clone(), limits).await {
            Ok(samples) => Pixels { samples, ..pixels },
            // The log has it from the preview.
            Err(_) => pixels,
        }
    }
}

fn has_colors(image: &Image) -> bool {
    image.picture().is_some_and(|picture| !picture.profile.is_empty())
}

fn bands_of(image: &Image, shot: Shot) -> ShownBands {
    match shot.bands {
        Some(bands) => ShownBands::of(image.info(), Some(bands)),
        None => image.preview.bands,
    }
}

/// The zoom that has all pixels.
fn last_zoom(image: &Image) -> u8 {
    let all = image.info().image(0);
    let side = all.width.max(all.height);
    (0..32).find(|zoom| side.div_ceil(1 << zoom) <= TILE).unwrap_or(31)
}

/// How a tile is made, and from which rectangle of which level; `None` if there is none.
fn plan_of(image: &Image, place: Place, bands: ShownBands) -> Option<(PreviewPlan, Rect)> {
    let info = image.info();
    let halvings = last_zoom(image).checked_sub(place.zoom)?;
    let is_there = |level: &u8| !info.image(*level).is_empty();
    let level = (0..info.levels.max(1).min(halvings.saturating_add(1))).rev().find(is_there)?;
    let image = info.image(level);
    let factor = 1_u32 << (halvings - level);
    let along = |at: u32, length: u32| {
        let first = at.checked_mul(TILE)?;
        let all = length.div_ceil(factor);
        (first < all).then(|| {
            let shown = TILE.min(all - first);
            let start = first * factor;
            (shown, start, (shown * factor).min(length - start))
        })
    };
    let (width, x, level_width) = along(place.column, image.width)?;
    let (height, y, level_height) = along(place.row, image.height)?;
    let plan = PreviewPlan { level, level_width, level_height, width, height, bands };
    Some((plan, Rect { x, y, width: level_width, height: level_height }))
}

/// The part of these pixels that lies in a rectangle, as if that began at (0, 0).
fn cut(pixels: &Pixels, to: Rect, pixel_bytes: usize) -> Pixels {
    let (from, part) = (pixels.rect, pixels.rect.intersection(&to));
    if part.is_empty() {
        let rect = Rect { x: 0, y: 0, width: 0, height: 0 };
        return Pixels { rect, samples: Vec::new().into() };
    }
    let rect = Rect { x: part.x - to.x, y: part.y - to.y, ..part };
    if part == from {
        return Pixels { rect, samples: pixels.samples.clone() };
    }
    let length = part.width as usize * pixel_bytes;
    let mut samples = Vec::with_capacity(length * part.height as usize);
    for y in part.y..part.y + part.height {
        let row = (y - from.y) as usize * from.width as usize + (part.x - from.x) as usize;
        samples.extend_from_slice(&pixels.samples[row * pixel_bytes..][..length]);
    }
    Pixels { rect, samples: samples.into() }
}

/// The same picture of 8 bits, at most [`SMALL`] wide and high.
fn smaller(pixels: &Pixels, bands: usize) -> Pixels {
    let Rect { width, height, .. } = pixels.rect;
    let factor = width.max(height).div_ceil(SMALL).max(1);
    if factor == 1 {
        return pixels.clone();
    }
    let (to_width, to_height) = (width.div_ceil(factor), height.div_ceil(factor));
    let mut sums = vec![0_u32; to_width as usize * to_height as usize * bands];
    let mut counts = vec![0_u32; to_width as usize * to_height as usize];
    for (at, pixel) in pixels.samples.chunks_exact(bands).enumerate() {
        let (x, y) = (at as u32 % width / factor, at as u32 / width / factor);
        let to = (y * to_width + x) as usize;
        counts[to] += 1;
        for (band, value) in pixel.iter().enumerate() {
            sums[to * bands + band] += u32::from(*value);
        }
    }
    let mean = |(at, sum): (usize, &u32)| {
        let count = counts[at / bands].max(1);
        ((sum + count / 2) / count) as u8
    };
    let samples: Vec<u8> = sums.iter().enumerate().map(mean).collect();
    let rect = Rect { x: 0, y: 0, width: to_width, height: to_height };
    Pixels { rect, samples: samples.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(rect: Rect, samples: Vec<u8>) -> Pixels {
        Pixels { rect, samples: samples.into() }
    }

    #[test]
    fn what_is_cut_out_lies_where_it_lay() {
        let rect = Rect { x: 10, y: 20, width: 3, height: 2 };
        let all = pixels(rect, vec![1, 2, 3, 4, 5, 6]);
        let to = Rect { x: 11, y: 0, width: 50, height: 50 };
        let part = cut(&all, to, 1);
        assert_eq!(part.rect, Rect { x: 0, y: 20, width: 2, height: 2 });
        assert_eq!(&part.samples[..], [2, 3, 5, 6]);
        let elsewhere = Rect { x: 0, y: 0, width: 5, height: 5 };
        assert!(cut(&all, elsewhere, 1).rect.is_empty());
    }

    #[test]
    fn a_small_picture_is_the_mean_of_a_large_one() {
        let rect = Rect { x: 0, y: 0, width: 512, height: 1 };
        let small = smaller(&pixels(rect, (0..512).map(|n| (n / 2) as u8).collect()), 1);
        assert_eq!((small.rect.width, small.rect.height), (256, 1));
        assert_eq!(small.samples.to_vec(), (0..=255).collect::<Vec<u8>>());
    }
}
