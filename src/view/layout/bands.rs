//! Cuts the rows of an image into bands that do not cross a row of tiles:
//! arithmetic alone.

use crate::raster::{Rect, TileGrid};

/// The bands of an image, from the top down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RowBands {
    width: u32,
    height: u32,
    /// Rows of the first row of tiles that lie above the image.
    above: u64,
    tile_rows: u64,
    band_rows: u64,
}

impl RowBands {
    /// Bands of at most `band_rows` rows (and at least one), for a grid whose
    /// image has rows.
    pub(super) fn new(grid: &TileGrid, band_rows: u64) -> Self {
        let image = grid.image(0);
        let tile_rows = u64::from(grid.tile_size.1.max(1));
        let above = u64::from(grid.image_start.1.saturating_sub(grid.tile_start.1)) % tile_rows;
        let band_rows = band_rows.clamp(1, tile_rows);
        RowBands { width: image.width, height: image.height, above, tile_rows, band_rows }
    }

    /// How many bands there are.
    pub(super) fn count(&self) -> u64 {
        self.band_of(self.height.saturating_sub(1)) + 1
    }

    /// The band that a row is in.
    pub(super) fn band_of(&self, row: u32) -> u64 {
        self.number(u64::from(row) + self.above) - self.first()
    }

    /// The pixels of a band.
    pub(super) fn rect(&self, band: u64) -> Rect {
        let number = band + self.first();
        let (tile, within) = (number / self.per_tile(), number % self.per_tile());
        let tile_start = tile * self.tile_rows;
        let start = tile_start + within * self.band_rows;
        let end = (start + self.band_rows).min(tile_start + self.tile_rows);
        let row = |at: u64| at.saturating_sub(self.above).min(self.height.into()) as u32;
        Rect { x: 0, y: row(start), width: self.width, height: row(end) - row(start) }
    }

    fn per_tile(&self) -> u64 {
        self.tile_rows.div_ceil(self.band_rows)
    }

    fn first(&self) -> u64 {
        self.number(self.above)
    }

    /// Counted from the start of the first row of tiles.
    fn number(&self, at: u64) -> u64 {
        at / self.tile_rows * self.per_tile() + at % self.tile_rows / self.band_rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bands_cover_each_row_once_and_stay_within_a_row_of_tiles(
            start in 0u32..50,
            height in 1u32..200,
            back in 0u32..50,
            tile in 1u32..70,
            band_rows in 1u64..90,
        ) {
            let grid = TileGrid {
                image_start: (0, start),
                image_end: (1, start + height),
                tile_start: (0, start.saturating_sub(back)),
                tile_size: (1, tile),
            };
            let bands = RowBands::new(&grid, band_rows);
            let mut next = 0;
            for band in 0..bands.count() {
                let rect = bands.rect(band);
                prop_assert_eq!(rect.y, next);
                prop_assert!(rect.height > 0 && u64::from(rect.height) <= band_rows);
                next += rect.height;
                for row in rect.y..next {
                    prop_assert_eq!(bands.band_of(row), band);
                }
                let tile_of = |row: u32| (row + start - grid.tile_start.1) / tile;
                prop_assert_eq!(tile_of(rect.y), tile_of(next - 1));
            }
            prop_assert_eq!(next, height);
        }
    }
}
