//! Images whose tiles are too large to be decoded whole: they are given out in tiles of ours,
//! the same at every level.
//!
//! Arithmetic alone.

use super::header::MainHeader;
use crate::raster::TileGrid;

/// Tiles of more samples than this, all components together, are too large.
const LARGE_SAMPLES: u64 = 4 << 20;
/// And those of more columns or rows.
const LARGE_SIDE: u32 = 2048;
/// A tile of ours, in columns and rows.
const SIDE: u32 = 1024;
/// And at most so many bytes of pixels, where there are many bands.
const TILE_BYTES: u64 = 16 << 20;
/// A level that is no larger than this needs none below it.
const SMALL_LEVEL: u32 = 128;

/// Whether the image's own tiles are too large.
pub(super) fn has_large_tiles(header: &MainHeader) -> bool {
    let (grid, image) = (&header.grid, header.grid.image(0));
    let width = grid.tile_size.0.min(image.width);
    let height = grid.tile_size.1.min(image.height);
    let pixels = u64::from(width) * u64::from(height);
    width > LARGE_SIDE
        || height > LARGE_SIDE
        || pixels.saturating_mul(header.components.len() as u64) > LARGE_SAMPLES
}

/// The side of a tile of ours.
pub(super) fn side(pixel_bytes: u64) -> u32 {
    let mut side = SIDE;
    while side > 64 && u64::from(side).pow(2).saturating_mul(pixel_bytes) > TILE_BYTES {
        side /= 2;
    }
    side
}

/// Our tiles at each of so many levels, as many as are worth having.
pub(super) fn grids(grid: &TileGrid, levels: u8, pixel_bytes: u64) -> Vec<TileGrid> {
    let side = side(pixel_bytes);
    let mut grids: Vec<TileGrid> = Vec::new();
    for level in 0..levels.max(1) {
        let image = grid.image(level);
        let is_enough = grids.last().is_some_and(|above: &TileGrid| {
            above.image_end.0 <= SMALL_LEVEL && above.image_end.1 <= SMALL_LEVEL
        });
        if is_enough {
            break;
        }
        grids.push(TileGrid {
            tile_size: (side, side),
            ..TileGrid::whole(image.width, image.height)
        });
    }
    grids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_has_tiles_of_one_size_down_to_one_tile() {
        let all = grids(&TileGrid::whole(30_000, 70_000), 16, 1);
        let sizes: Vec<_> = all.iter().map(|grid| (grid.columns(), grid.rows())).collect();
        let mut expected =
            vec![(30, 69), (15, 35), (8, 18), (4, 9), (2, 5), (1, 3), (1, 2), (1, 1), (1, 1)];
        expected.extend([(1, 1); 2]);
        assert_eq!(sizes, expected);
        assert!(all.iter().all(|grid| grid.tile_size == (1024, 1024)));
        assert_eq!((all[9].image_end, all[10].image_end), ((59, 137), (30, 69)));
        assert_eq!(grids(&TileGrid::whole(30_000, 70_000), 3, 1).len(), 3);
    }

    #[test]
    fn a_tile_of_many_bands_is_small() {
        assert_eq!((side(16), side(17), side(255 * 4), side(1 << 20)), (1024, 512, 128, 64));
    }
}
