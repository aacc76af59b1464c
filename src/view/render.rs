//! Making units of a sibling from tiles: each tile is decoded once for all who
//! need it, each unit put together once.
//!
//! A unit that is on the shelf is copied from there. Otherwise the tiles under its
//! rectangle are wanted all at once, and each is on the shelf, or being made (and
//! waited for by all who want it), or decoded now. An overview of up to 4 MiB is made
//! whole when it is first touched: its tiles are small, and each would be a request
//! that somebody waits for. If nobody waits any more, the making is dropped, its GETs
//! are cancelled, and a decode that has not begun does not begin.
//!
//! A preview adds tiles to its sums as they arrive, 32 at a time, and is stretched
//! in the end.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt, try_join, try_join_all};
use futures_util::stream::{self, BoxStream, Stream, StreamExt, TryStreamExt};

use super::error::ViewError;
use super::image::Image;
use super::layout::{Layout, UnitData, UnitIndex, UnitInput};
use super::masked::{is_converted, png_pixels};
use super::on_disk::takes_all;
use super::reduce::Reducer;
use super::stretch::stretch;
use super::upright::upright;
use super::{PixelsKey, ViewKind, Views};
use crate::mem::{Counted, OnShelf};
use crate::raster::{Pixels, RasterError, Rect};

/// Decoded pixels, counted while they are held.
pub(super) type Tile = Arc<Counted<Pixels>>;

/// Units that are rendered at once for their checksums alone.
const CHECKSUMS_AT_ONCE: usize = 2;

impl Views {
    /// The bytes of a unit.
    pub(super) fn unit(
        self: &Arc<Self>,
        image: &Arc<Image>,
        kind: ViewKind,
        layout: &Arc<dyn Layout>,
        unit: UnitIndex,
    ) -> BoxFuture<'static, Result<Arc<Counted<Vec<u8>>>, ViewError>> {
        let key = (image.id, kind, unit);
        let (views, image, layout) = (self.clone(), image.clone(), layout.clone());
        let made = self.kept.units.get_or_make(key, move || async move {
            let bytes = match takes_all(kind, layout.unit_input(unit)) {
                true => views.unit_of_all(&image, kind, &layout, unit).await?,
                false => views.render(&image, kind, &layout, unit).await?,
            };
            let weight = bytes.len() as u64;
            Ok((bytes, weight))
        });
        // Boxed: a unit of checksums is rendered from other units.
        made.wait().boxed()
    }

    /// A unit that takes a whole image: from the cache on disk or the shared one, if they have it.
    async fn unit_of_all(
        self: &Arc<Self>,
        image: &Arc<Image>,
        kind: ViewKind,
        layout: &Arc<dyn Layout>,
        unit: UnitIndex,
    ) -> Result<Vec<u8>, ViewError> {
        let range = layout.unit_range(unit);
        let known = self.kept_unit(image, kind, unit).await;
        if let Some(bytes) = known.filter(|known| known.len() as u64 == range.end - range.start) {
            return Ok(bytes);
        }
        let bytes = self.render(image, kind, layout, unit).await?;
        self.keep_unit(image, kind, unit, &bytes);
        Ok(bytes)
    }

    async fn render(
        self: &Arc<Self>,
        image: &Arc<Image>,
        kind: ViewKind,
        layout: &Arc<dyn Layout>,
        unit: UnitIndex,
    ) -> Result<Vec<u8>, ViewError> {
        match layout.unit_input(unit) {
            UnitInput::Nothing => Ok(layout.encode(unit, UnitData::Nothing)),
            UnitInput::Checksums { of: (first, end) } => {
                let sums = stream::iter(first..end)
                    .map(|unit| self.checksum(image, kind, layout, unit))
                    .buffered(CHECKSUMS_AT_ONCE)
                    .try_collect::<Vec<u32>>()
                    .await?;
                Ok(layout.encode(unit, UnitData::Checksums(&sums)))
            }
            UnitInput::Mask { level, rect } => {
                let mask = self.mask_of(image, level, rect).await?;
                let layout = layout.clone();
                self.compute(image, move || layout.encode(unit, UnitData::Pixels(&mask))).await
            }
            UnitInput::Pixels { rect, .. }
                if kind == ViewKind::Png && is_converted(image.info()) =>
            {
                let pixels = self.png_pixels(image, rect).await?;
                let (layout, work) = (layout.clone(), image.clone());
                let encode = move || {
                    let bytes = layout.encode(unit, UnitData::Pixels(&pixels));
                    work.note_checksum(kind, unit, layout.checksum(unit, &bytes));
                    bytes
                };
                self.compute(image, encode).await
            }
            UnitInput::Pixels { level, rect } => {
                let tiles = match kind {
                    ViewKind::Preview => vec![self.preview(image).await?],
                    _ if is_small_level(image, level) => vec![self.level(image, level).await?],
                    _ => self.tiles(image, level, rect).await?,
                };
                let (layout, work) = (layout.clone(), image.clone());
                let bytes = self
                    .compute(image, move || {
                        let bytes = match &tiles[..] {
                            [whole] if whole.rect == rect => {
                                layout.encode(unit, UnitData::Pixels(whole))
                            }
                            parts => {
                                let pixels = compose(parts, rect, pixel_bytes(&work, kind));
                                layout.encode(unit, UnitData::Pixels(&pixels))
                            }
                        };
                        work.note_checksum(kind, unit, layout.checksum(unit, &bytes));
                        bytes
                    })
                    .await?;
                Ok(bytes)
            }
        }
    }

    async fn checksum(
        self: &Arc<Self>,
        image: &Arc<Image>,
        kind: ViewKind,
        layout: &Arc<dyn Layout>,
        unit: UnitIndex,
    ) -> Result<u32, ViewError> {
        if let Some(sum) = image.checksum(kind, unit) {
            return Ok(sum);
        }
        let bytes = self.unit(image, kind, layout, unit).await?;
        Ok(image.checksum(kind, unit).unwrap_or_else(|| layout.checksum(unit, &bytes)))
    }

    /// The tiles that a rectangle of a level has pixels of.
    pub(super) async fn tiles(
        self: &Arc<Self>,
        image: &Arc<Image>,
        level: u8,
        rect: Rect,
    ) -> Result<Vec<Tile>, ViewError> {
        let wanted = tiles_of(image, level, rect);
        self.expect(image, level, &wanted).await;
        // All are asked for before any is waited for: they are fetched at once.
        let asked: Vec<_> =
            wanted.into_iter().map(|(column, row)| self.tile(image, level, column, row)).collect();
        try_join_all(asked.into_iter().map(OnShelf::wait)).await
    }

    /// Says which tiles will be wanted, as far as they are neither here nor on their way.
    pub(super) async fn expect(&self, image: &Image, level: u8, tiles: &[(u32, u32)]) {
        let is_missing = |&(column, row): &(u32, u32)| {
            let key = PixelsKey::Tile { image: image.id, level, column, row };
            !self.kept.pixels.has(&key)
        };
        let missing: Vec<(u32, u32)> = tiles.iter().copied().filter(is_missing).collect();
        if missing.len() < 2 {
            return;
        }
        let missing = self.not_on_disk(image, level, missing).await;
        // What others have made is not fetched ahead of asking them for it.
        let has_shared = self.shared.as_ref().is_some_and(|shared| shared.has_tiles());
        if missing.len() > 1 && !has_shared {
            image.raster.expect(level, &missing).await;
        }
    }

    /// The pixels of a rectangle of a level.
    pub(super) async fn rectangle(
        self: &Arc<Self>,
        image: &Arc<Image>,
        level: u8,
        rect: Rect,
    ) -> Result<Pixels, ViewError> {
        let tiles = self.tiles(image, level, rect).await?;
        Ok(compose(&tiles, rect, image.info().pixel_bytes()))
    }

    /// One tile, or its decoding.
    pub(super) fn tile(
        self: &Arc<Self>,
        image: &Arc<Image>,
        level: u8,
        column: u32,
        row: u32,
    ) -> OnShelf<Pixels, ViewError> {
        let key = PixelsKey::Tile { image: image.id, level, column, row };
        let (views, image) = (self.clone(), image.clone());
        let tile = self.kept.pixels.get_or_make(key, move || async move {
            if let Some(pixels) = views.kept_tile(&image, (level, column, row)).await {
                let weight = pixels.samples.len() as u64;
                return Ok((pixels, weight));
            }
            let decoding = image.raster.decode_tile(level, column, row);
            let pixels = views.decoded(&image, image.raster.held_bytes(), decoding).await?;
            views.note_tile(&image, (level, column, row), &pixels);
            let weight = pixels.samples.len() as u64;
            Ok((pixels, weight))
        });
        self.stats.used_tiles.add(1);
        self.stats.here_used_tiles.add(matches!(tile, OnShelf::Kept(_)).into());
        tile
    }

    /// Pixels that take so many bytes, once there is room for them.
    pub(super) async fn decoded(
        &self,
        image: &Image,
        bytes: u64,
        decoding: impl Future<Output = Result<Pixels, RasterError>>,
    ) -> Result<Pixels, ViewError> {
        let begun = Instant::now();
        let room = self.room.enter(bytes).await;
        let _room = room.map_err(|error| image.error(error))?;
        self.cache.make_room();
        let pixels = decoding.await.map_err(|error| image.error(error))?;
        let microseconds = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.stats.decoded_tiles.add(1);
        self.stats.tile_microseconds.add(microseconds);
        Ok(pixels)
    }

    /// The pixels of a rectangle as the PNG of an image has them: with opacity, if a mask says
    /// which are valid.
    pub(super) async fn png_pixels(
        self: &Arc<Self>,
        image: &Arc<Image>,
        rect: Rect,
    ) -> Result<Pixels, ViewError> {
        let pixels = self.rectangle(image, 0, rect);
        if !is_converted(image.info()) {
            return pixels.await;
        }
        let (pixels, mask) = match image.mask {
            Some(_) => {
                let (pixels, mask) = try_join(pixels, self.mask_of(image, 0, rect)).await?;
                (pixels, Some(mask))
            }
            None => (pixels.await?, None),
        };
        let work = image.clone();
        self.compute(image, move || png_pixels(work.info(), pixels, mask.as_ref())).await
    }

    /// The mask of a rectangle of a level that has one.
    pub(super) async fn mask_of(
        self: &Arc<Self>,
        image: &Arc<Image>,
        level: u8,
        rect: Rect,
    ) -> Result<Pixels, ViewError> {
        let Some((mask, level)) = image.mask.as_ref().zip(image.info().mask_level(level)) else {
            let none = RasterError::Unsupported("its level has no mask".to_owned());
            return Err(image.error(none));
        };
        match is_small_level(mask, level) {
            true => {
                let pixel_bytes = mask.info().pixel_bytes();
                Ok(compose(&[self.level(mask, level).await?], rect, pixel_bytes))
            }
            false => self.rectangle(mask, level, rect).await,
        }
    }

    /// The pixels of the preview, of 8 bits.
    pub(super) async fn preview(self: &Arc<Self>, image: &Arc<Image>) -> Result<Tile, ViewError> {
        let key = PixelsKey::Preview { image: image.id };
        let (views, image) = (self.clone(), image.clone());
        let made = self.kept.pixels.get_or_make(key, move || async move {
            let plan = image.preview;
            let pixels = image.info().image(plan.level).pixels();
            let allowed = views.config.limits.image_pixels;
            if pixels > allowed {
                return Err(image.error(RasterError::Limit {
                    what: format!("a preview would take all {pixels} pixels"),
                    option: "--max-image-pixels",
                    allowed,
                }));
            }
            if let Some(pixels) = views.shared_preview(&image).await {
                let weight = pixels.samples.len() as u64;
                return Ok((pixels, weight));
            }
            // Its sums, then its pixels; the tiles under it come and go.
            let bytes = u64::from(plan.width) * u64::from(plan.height) * PREVIEW_PIXEL_BYTES;
            let counted = views.room.count(bytes);
            let _counted = counted.map_err(|error| image.error(error))?;
            let mut reducer = Reducer::new(image.info(), plan);
            // Tiles go into the sums as they come; order does not matter to them.
            let mut tiles = views.masked_tiles(&image, plan.level);
            while let Some(tile) = tiles.next().await {
                let (tile, mask) = tile?;
                reducer.add_masked(&tile, &mask);
            }
            drop(tiles);
            let (work, profile) = (image.clone(), views.profile_of(&image));
            let has_colors = profile.is_some();
            let stretched = move || stretch(work.info(), has_colors, &reducer.finish());
            let mut pixels = views.compute(&image, stretched).await?;
            let bands = plan.bands.all().len();
            let mut is_right = true;
            if let Some(profile) = profile {
                let limits = &views.config.limits;
                let samples = pixels.samples.clone();
                match views.decoders.to_srgb(profile, bands, samples, limits).await {
                    Ok(samples) => pixels.samples = samples,
                    Err(error) => {
                        is_right = false;
                        tracing::info!("{}", image.error(error));
                    }
                }
            }
            let orientation = image.orientation();
            let pixels = views.compute(&image, move || upright(pixels, orientation, bands)).await?;
            if is_right {
                views.share_preview(&image, &pixels);
            }
            let weight = pixels.samples.len() as u64;
            Ok((pixels, weight))
        });
        made.wait().await
    }

    /// The profile of an image's colors, if it has one.
    fn profile_of<'i>(&self, image: &'i Image) -> Option<&'i [u8]> {
        let profile = &image.picture()?.profile[..];
        (!profile.is_empty()).then_some(profile)
    }

    /// The pixels of a small level: who reads it tile by tile would otherwise wait
    /// for a request at each.
    pub(super) async fn level(
        self: &Arc<Self>,
        image: &Arc<Image>,
        level: u8,
    ) -> Result<Tile, ViewError> {
        let key = PixelsKey::Level { image: image.id, level };
        let (views, image) = (self.clone(), image.clone());
        let made = self.kept.pixels.get_or_make(key, move || async move {
            let rect = image.info().image(level);
            let mut whole = Canvas::black(rect, image.info().pixel_bytes());
            let mut tiles = views.all_tiles(&image, level);
            while let Some(tile) = tiles.next().await {
                let tile = tile?;
                whole.copy_part(&tile);
            }
            drop(tiles);
            let weight = whole.samples.len() as u64;
            Ok((whole.done(), weight))
        });
        made.wait().await
    }

    /// All tiles of a level, each with the mask of its pixels; an empty one where the image has
    /// none.
    fn masked_tiles(
        self: &Arc<Self>,
        image: &Arc<Image>,
        level: u8,
    ) -> BoxStream<'static, Result<(Tile, Bytes), ViewError>> {
        let (views, of) = (self.clone(), image.clone());
        let masked = move |tile: Result<Tile, ViewError>| {
            let (views, image) = (views.clone(), of.clone());
            async move {
                let tile = tile?;
                let mask = match image.mask {
                    Some(_) => views.mask_of(&image, level, tile.rect).await?.samples,
                    None => Bytes::new(),
                };
                Ok((tile, mask))
            }
        };
        self.all_tiles(image, level).map(masked).buffered(MASKS_AT_ONCE).boxed()
    }

    /// All tiles of a level, as they come.
    fn all_tiles(
        self: &Arc<Self>,
        image: &Arc<Image>,
        level: u8,
    ) -> impl Stream<Item = Result<Tile, ViewError>> + Unpin + Send + use<> {
        let (views, image) = (self.clone(), image.clone());
        let rect = image.info().image(level);
        let tiles = tiles_of(&image, level, rect);
        let groups: Vec<_> = tiles.chunks(TILES_AT_ONCE).map(<[_]>::to_vec).collect();
        let tiles = stream::iter(groups).then(move |group| {
            let (views, image) = (views.clone(), image.clone());
            async move {
                views.expect(&image, level, &group).await;
                let tile = move |(column, row)| views.tile(&image, level, column, row).wait();
                stream::iter(group.into_iter().map(tile))
            }
        });
        Box::pin(tiles.flatten().buffered(TILES_AT_ONCE))
    }

    /// Does work on the processor off the async threads.
    pub(super) async fn compute<T: Send + 'static>(
        &self,
        image: &Image,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ViewError> {
        self.runtime.spawn_blocking(work).await.map_err(|_| {
            let broke = RasterError::Corrupt("putting its pixels together failed".to_owned());
            image.error(broke)
        })
    }
}

/// What a preview takes for each of its pixels while it is summed up.
const PREVIEW_PIXEL_BYTES: u64 = 40;
/// The prefixes of so many tiles are fetched at once.
const TILES_AT_ONCE: usize = 32;
/// And the masks of so many.
const MASKS_AT_ONCE: usize = 8;
/// A level of an overview up to this size is fetched and decoded at its first touch.
const SMALL_LEVEL_BYTES: u64 = 4 << 20;

pub(super) fn is_small_level(image: &Image, level: u8) -> bool {
    let pixels = image.info().image(level).pixels();
    level > 0 && pixels * image.info().pixel_bytes() as u64 <= SMALL_LEVEL_BYTES
}

/// The tiles with pixels in a rectangle of a level, row by row.
pub(super) fn tiles_of(image: &Image, level: u8, rect: Rect) -> Vec<(u32, u32)> {
    let info = image.info();
    let (all_columns, all_rows) = info.tiles(level);
    let covers = |from: u32, length: u32, start: u32, wanted: u32| {
        from < start + wanted && start < from + length
    };
    let columns: Vec<u32> = (0..all_columns)
        .filter(|&column| {
            let tile = info.tile(level, column, 0);
            covers(tile.x, tile.width, rect.x, rect.width)
        })
        .collect();
    let rows = (0..all_rows).filter(|&row| {
        let tile = info.tile(level, 0, row);
        covers(tile.y, tile.height, rect.y, rect.height)
    });
    rows.flat_map(|row| columns.iter().map(move |&column| (column, row)).collect::<Vec<_>>())
        .collect()
}

fn pixel_bytes(image: &Image, kind: ViewKind) -> usize {
    match kind {
        ViewKind::Preview => image.preview.bands.all().len(),
        _ => image.info().pixel_bytes(),
    }
}

/// A rectangle that is put together.
struct Canvas {
    rect: Rect,
    samples: Vec<u8>,
    pixel_bytes: usize,
}

impl Canvas {
    fn black(rect: Rect, pixel_bytes: usize) -> Self {
        let samples = vec![0; rect.width as usize * rect.height as usize * pixel_bytes];
        Canvas { rect, samples, pixel_bytes }
    }

    /// Copies the pixels that both have.
    fn copy_part(&mut self, from: &Pixels) {
        let (to, pixel_bytes) = (self.rect, self.pixel_bytes);
        let part = from.rect.intersection(&to);
        let length = part.width as usize * pixel_bytes;
        let place = |rect: Rect, y: u32| {
            let row = (y - rect.y) as usize * rect.width as usize;
            (row + (part.x - rect.x) as usize) * pixel_bytes
        };
        if part.is_empty() {
            return;
        }
        for y in part.y..part.y + part.height {
            let (start, end) = (place(from.rect, y), place(to, y));
            self.samples[end..end + length].copy_from_slice(&from.samples[start..start + length]);
        }
    }

    fn done(self) -> Pixels {
        Pixels { rect: self.rect, samples: self.samples.into() }
    }
}

/// A rectangle cut out of the tiles that cover it.
pub(super) fn compose(tiles: &[Tile], rect: Rect, pixel_bytes: usize) -> Pixels {
    let mut whole = Canvas::black(rect, pixel_bytes);
    for tile in tiles {
        whole.copy_part(tile);
    }
    whole.done()
}
