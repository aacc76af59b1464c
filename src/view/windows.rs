//! Windows of tiles, for reads of a few pixels here and there: a tile need not be decoded whole
//! for one row of it.
//!
//! Contract: a tile that is here, or being made, is taken. Otherwise the first small read that comes
//! out of the blue decodes what it needs, and some rows around it; a read of other pixels of the
//! same tile decodes the tile. So nothing is decoded more than twice, and nothing more than once for
//! whoever reads much, or from the start.

use std::sync::Arc;

use futures_util::future::try_join_all;

use super::error::ViewError;
use super::image::Image;
use super::render::{Tile, tiles_of};
use super::{PixelsKey, Views};
use crate::raster::Rect;

/// A tile is decoded whole for more than one part in so many of its pixels.
const LEAST_SHARE: u64 = 4;
/// Windows have whole rows of their tile, and begin and end at multiples of so many: what is next to
/// a pixel often comes next, and is of the same code-blocks.
const STEP: u32 = 64;

impl Views {
    /// What covers a rectangle of a level: whole tiles, or windows of them. Of a tile that nobody
    /// has begun a window is made only of a read that goes on nowhere, which is `alone`: all that
    /// it wants.
    pub(super) async fn covering(
        self: &Arc<Self>,
        image: &Arc<Image>,
        level: u8,
        rect: Rect,
        alone: Option<Rect>,
    ) -> Result<Vec<Tile>, ViewError> {
        if !image.raster.decodes_windows() {
            return self.tiles(image, level, rect).await;
        }
        // All are begun before any is waited for: they are fetched at once.
        let of = |at| self.of_tile(image, level, at, rect, alone);
        try_join_all(tiles_of(image, level, rect).into_iter().map(of)).await
    }

    /// As [`Views::covering`], of what is here.
    pub(super) fn covering_now(&self, image: &Image, level: u8, rect: Rect) -> Option<Vec<Tile>> {
        let of = |at| {
            self.kept
                .pixels
                .get(&tile_key(image, level, at))
                .or_else(|| self.window_now(image, level, at, rect))
        };
        tiles_of(image, level, rect).into_iter().map(of).collect()
    }

    /// A window of a tile that is here and has what is wanted of the tile.
    fn window_now(&self, image: &Image, level: u8, at: (u32, u32), rect: Rect) -> Option<Tile> {
        let wanted = image.info().tile(level, at.0, at.1).intersection(&rect);
        let held = self.kept.pixels.get(&window_key(image, level, at));
        held.filter(|window| window.rect.intersection(&wanted) == wanted)
    }

    async fn of_tile(
        self: &Arc<Self>,
        image: &Arc<Image>,
        level: u8,
        at: (u32, u32),
        rect: Rect,
        alone: Option<Rect>,
    ) -> Result<Tile, ViewError> {
        let whole = tile_key(image, level, at);
        if !self.kept.pixels.has(&whole) {
            if let Some(window) = self.window_now(image, level, at, rect) {
                return Ok(window);
            }
            let tile = image.info().tile(level, at.0, at.1);
            let wanted = tile.intersection(&rect);
            // Another reader's window of the same tile may be made now, or fail for its own reason.
            if let Some(window) = alone.map(|all| stepped(tile, tile.intersection(&all)))
                && window.pixels().saturating_mul(LEAST_SHARE) <= tile.pixels()
                && let Ok(made) = self.window(image, level, at, window).await
                && made.rect.intersection(&wanted) == wanted
            {
                return Ok(made);
            }
        }
        self.tile(image, level, at.0, at.1).wait().await
    }

    /// A window of a tile, or another one of the same tile, if there is one.
    async fn window(
        self: &Arc<Self>,
        image: &Arc<Image>,
        level: u8,
        at: (u32, u32),
        rect: Rect,
    ) -> Result<Tile, ViewError> {
        let (views, work) = (self.clone(), image.clone());
        let made = self.kept.pixels.get_or_make(window_key(image, level, at), move || async move {
            let bytes = rect.pixels() * work.info().pixel_bytes() as u64;
            let decoding = work.raster.decode_window(level, rect);
            let pixels = views.decoded(&work, bytes, decoding).await?;
            let weight = pixels.samples.len() as u64;
            Ok((pixels, weight))
        });
        made.wait().await
    }
}

fn tile_key(image: &Image, level: u8, (column, row): (u32, u32)) -> PixelsKey {
    PixelsKey::Tile { image: image.id, level, column, row }
}

fn window_key(image: &Image, level: u8, (column, row): (u32, u32)) -> PixelsKey {
    PixelsKey::Window { image: image.id, level, column, row }
}

/// The rows of a tile that a rectangle in it touches, grown to whole steps.
fn stepped(tile: Rect, wanted: Rect) -> Rect {
    let from = wanted.y - tile.y;
    let first = from / STEP * STEP;
    let end = (from + wanted.height).next_multiple_of(STEP).min(tile.height);
    Rect { y: tile.y + first, height: end - first, ..tile }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_window_grows_within_its_tile(
            start in (0u32..5000, 0u32..5000), size in (1u32..1500, 1u32..1500),
            from in (0.0..1.0, 0.0..1.0), part in (0.0..1.0, 0.0..1.0),
        ) {
            let tile = Rect { x: start.0, y: start.1, width: size.0, height: size.1 };
            let place = |size: u32, from: f64, part: f64| {
                let from = (f64::from(size) * from) as u32;
                (from, 1 + (f64::from(size - from - 1) * part) as u32)
            };
            let (x, width) = place(size.0, from.0, part.0);
            let (y, height) = place(size.1, from.1, part.1);
            let wanted = Rect { x: start.0 + x, y: start.1 + y, width, height };
            let grown = stepped(tile, wanted);
            prop_assert_eq!(grown.intersection(&wanted), wanted);
            prop_assert_eq!(grown.intersection(&tile), grown);
            prop_assert!(grown.height < height + 2 * STEP);
        }
    }
}
