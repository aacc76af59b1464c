//! Which levels a TIFF has and in which tiles each is cut: arithmetic alone.

use crate::raster::{RasterInfo, Rect};

/// TIFF wants tile sides that are multiples of this.
const MULTIPLE: u32 = 16;
/// Tiles smaller than this make long tables; the source's are then not taken over.
const SMALLEST: u32 = 64;
/// A tile is made in one piece.
const TILE_BYTES: u64 = 16 << 20;
/// GDAL halves an image until both sides are at most this.
const OVERVIEW_STOP: u32 = 128;

/// One image of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) level: u8,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) tile: (u32, u32),
    pub(super) pixel_bytes: usize,
    /// Whether it says which pixels of the level are valid.
    pub(super) is_mask: bool,
}

impl Level {
    pub(super) fn columns(&self) -> u64 {
        u64::from(self.width.div_ceil(self.tile.0))
    }

    pub(super) fn tiles(&self) -> u64 {
        self.columns() * u64::from(self.height.div_ceil(self.tile.1))
    }

    /// The pixels of a tile that lie in the image.
    pub(super) fn rect(&self, tile: u64) -> Rect {
        let x = (tile % self.columns()) as u32 * self.tile.0;
        let y = (tile / self.columns()) as u32 * self.tile.1;
        let width = self.tile.0.min(self.width.saturating_sub(x));
        let height = self.tile.1.min(self.height.saturating_sub(y));
        Rect { x, y, width, height }
    }
}

/// The full resolution and its overviews: as many as GDAL sees in a JPEG 2000. Behind each that
/// has one comes its mask.
pub(super) fn levels(info: &RasterInfo) -> Vec<Level> {
    let mut levels: Vec<Level> = Vec::new();
    for level in 0..info.levels.max(1) {
        let image = info.image(level);
        let enough = levels
            .last()
            .is_some_and(|above| above.width <= OVERVIEW_STOP && above.height <= OVERVIEW_STOP);
        let is_own = usize::from(level) <= info.extras.overviews.len();
        if image.is_empty() || (enough && !is_own) {
            break;
        }
        let tile = tile_size(info, level, image);
        let Rect { width, height, .. } = image;
        let pixel_bytes = info.pixel_bytes();
        let own = Level { level, width, height, tile, pixel_bytes, is_mask: false };
        levels.push(own);
        if info.mask_level(level).is_some() {
            levels.push(Level { is_mask: true, pixel_bytes: info.mask_bytes(), ..own });
        }
    }
    levels
}

/// The source's tile at a level where a TIFF can have it, or a square.
fn tile_size(info: &RasterInfo, level: u8, image: Rect) -> (u32, u32) {
    let (grid, halvings) = info.grid_of(level);
    let regular = grid.tile_start == (0, 0) && grid.image_start == (0, 0);
    let many = grid.columns() > 1 || grid.rows() > 1;
    let unit = u64::from(MULTIPLE) << halvings.min(32);
    let halved = |side: u32| {
        let fits = u64::from(side) % unit == 0 && side >> halvings.min(31) >= SMALLEST;
        fits.then(|| side >> halvings)
    };
    let bytes = |width: u32, height: u32| {
        u128::from(width) * u128::from(height) * info.pixel_bytes() as u128
    };
    if let (true, true, Some(width), Some(height)) =
        (regular, many, halved(grid.tile_size.0), halved(grid.tile_size.1))
        && bytes(width, height) <= TILE_BYTES.into()
    {
        return (width, height);
    }
    let mut side = match image.width.max(image.height) {
        ..=128 => 128,
        129..=1024 => 256,
        _ => 512,
    };
    while side > MULTIPLE && bytes(side, side) > TILE_BYTES.into() {
        side /= 2;
    }
    (side, side)
}

#[cfg(test)]
mod tests {
    use super::super::super::check;
    use super::*;
    use crate::raster::{SampleType, TileGrid};

    fn scene(tile: u32) -> RasterInfo {
        let grid = TileGrid { tile_size: (tile, tile), ..TileGrid::whole(10_980, 10_980) };
        RasterInfo { grid, levels: 5, ..check::info(10_980, 10_980, 1, SampleType::U16) }
    }

    #[test]
    fn the_tiles_are_those_of_the_source_at_each_level() {
        let levels = levels(&scene(1024));
        let tiles: Vec<u32> = levels.iter().map(|level| level.tile.0).collect();
        assert_eq!(tiles, [1024, 512, 256, 128, 64]);
        assert!(levels.iter().all(|level| level.tiles() == 121));
        assert_eq!((levels[4].width, levels[4].height), (687, 687));
    }

    #[test]
    fn tiles_that_tiff_cannot_have_are_replaced() {
        let tiles = |tile| levels(&scene(tile)).iter().map(|l| l.tile.0).collect::<Vec<_>>();
        assert_eq!(tiles(1000), [512, 512, 512, 512, 256]);
        assert_eq!(tiles(8), [512, 512, 512, 512, 256]);
        assert_eq!(tiles(192), [192, 96, 512, 512, 256]);
        assert_eq!(tiles(10_980), [512, 512, 512, 512, 256]);
        let mut shifted = scene(1024);
        shifted.grid.image_start = (3, 0);
        assert_eq!(levels(&shifted)[0].tile, (512, 512));
    }

    #[test]
    fn overviews_end_where_gdal_ends_them() {
        let mut info = check::info(300, 100, 1, SampleType::U8);
        info.levels = 6;
        let widths: Vec<u32> = levels(&info).iter().map(|level| level.width).collect();
        assert_eq!(widths, [300, 150, 75]);
    }

    #[test]
    fn a_mask_comes_behind_its_level_in_the_same_tiles() {
        let mut info = scene(1024);
        info.extras.masked = vec![true, false, true, true, true];
        let levels = levels(&info);
        let masks: Vec<_> = levels.iter().map(|level| (level.level, level.is_mask)).collect();
        let plain = [(0, false), (0, true), (1, false), (2, false), (2, true)];
        assert_eq!(masks[..5], plain);
        assert_eq!((levels[1].tile, levels[1].width), (levels[0].tile, levels[0].width));
    }

    #[test]
    fn a_tile_of_many_bands_is_small() {
        let info = check::info(5000, 5000, 4000, SampleType::F64);
        assert_eq!(levels(&info)[0].tile, (16, 16));
    }
}
