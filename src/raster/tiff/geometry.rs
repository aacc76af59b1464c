//! Which strips or tiles ("chunks") an image has, and which of them a tile of ours is made
//! from: arithmetic alone.
//!
//! A tile of ours is one tile of the file, or several neighbours if those are small; of
//! strips it has whole ones, several if they are small; and of strips that are not
//! compressed any rows, since these can be read from anywhere.

use crate::raster::{Rect, TileGrid};

/// A tile of ours has about so many pixels at least, where the file's are smaller.
const TILE_SIDE: u32 = 256;
/// About what a tile of ours has that is made from strips, in bytes.
const STRIPS_BYTES: u64 = 1 << 20;

/// Image, chunks and the grid of our tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::raster) struct Geometry {
    pub(in crate::raster) width: u32,
    pub(in crate::raster) height: u32,
    /// Columns and rows of a chunk.
    pub(in crate::raster) chunk: (u32, u32),
    pub(in crate::raster) is_tiled: bool,
    /// Chunks for each band (PlanarConfiguration 2), or 1.
    pub(in crate::raster) planes: u16,
    /// Our tiles.
    pub(in crate::raster) grid: TileGrid,
}

/// A chunk, or those of its rows that are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::raster) struct Chunk {
    /// Its number in the file's tables.
    pub(in crate::raster) index: u64,
    /// The band that it has, if there is one for each.
    pub(in crate::raster) plane: u16,
    /// Where it is in the image; at the edge a tile reaches beyond.
    pub(in crate::raster) rect: Rect,
}

impl Geometry {
    pub(in crate::raster) fn new(
        (width, height): (u32, u32),
        chunk: (u32, u32),
        is_tiled: bool,
        planes: u16,
    ) -> Self {
        let grid = TileGrid::whole(width, height);
        Geometry { width, height, chunk, is_tiled, planes, grid }
    }

    /// Chooses our tiles, for pixels of so many bytes.
    pub(in crate::raster) fn plan_grid(&mut self, pixel_bytes: usize, is_raw: bool) {
        let size = if self.is_tiled {
            let several = |side: u32, all: u32| {
                let times = (TILE_SIDE / side).max(1);
                side.saturating_mul(times.min(all.div_ceil(side)))
            };
            (several(self.chunk.0, self.width), several(self.chunk.1, self.height))
        } else {
            let row = u64::from(self.width).saturating_mul(pixel_bytes as u64).max(1);
            let wanted = (STRIPS_BYTES / row).clamp(1, self.height.into()) as u32;
            let rows = match is_raw {
                true => wanted,
                false => self.chunk.1.saturating_mul(wanted.div_ceil(self.chunk.1)),
            };
            (self.width, rows.min(self.height))
        };
        self.grid = TileGrid { tile_size: size, ..TileGrid::whole(self.width, self.height) };
    }

    /// How many chunks lie side by side.
    fn columns(&self) -> u64 {
        u64::from(self.width.div_ceil(self.chunk.0))
    }

    fn rows(&self) -> u64 {
        u64::from(self.height.div_ceil(self.chunk.1))
    }

    /// How many chunks there are of all bands.
    pub(in crate::raster) fn count(&self) -> u64 {
        self.columns().saturating_mul(self.rows()).saturating_mul(self.planes.into())
    }

    /// The chunks that have pixels of a rectangle, plane by plane, row by row.
    pub(in crate::raster) fn chunks(&self, rect: Rect) -> Vec<Chunk> {
        let (wide, high) = self.chunk;
        let columns = rect.x / wide..(rect.x + rect.width).div_ceil(wide);
        let rows = rect.y / high..(rect.y + rect.height).div_ceil(high);
        let mut chunks = Vec::new();
        for plane in 0..self.planes {
            let first = u64::from(plane) * self.columns() * self.rows();
            for row in rows.clone() {
                for column in columns.clone() {
                    let index = first + u64::from(row) * self.columns() + u64::from(column);
                    let (x, y) = (column * wide, row * high);
                    // A strip ends where the image does; a tile does not.
                    let height = match self.is_tiled {
                        true => high,
                        false => high.min(self.height - y),
                    };
                    chunks.push(Chunk { index, plane, rect: Rect { x, y, width: wide, height } });
                }
            }
        }
        chunks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_chunks_of_all_tiles_are_all_chunks_once(
            size in (1u32..900, 1u32..900),
            chunk in (1u32..300, 1u32..300),
            is_tiled in any::<bool>(),
            planes in 1u16..4,
            pixel_bytes in 1usize..9,
        ) {
            let chunk = if is_tiled { chunk } else { (size.0, chunk.1.min(size.1)) };
            let mut geometry = Geometry::new(size, chunk, is_tiled, planes);
            geometry.plan_grid(pixel_bytes, false);
            let grid = geometry.grid;
            let mut seen = Vec::new();
            for row in 0..grid.rows() {
                for column in 0..grid.columns() {
                    let tile = grid.tile(0, column, row);
                    for chunk in geometry.chunks(tile) {
                        prop_assert!(!chunk.rect.intersection(&tile).is_empty());
                        seen.push(chunk.index);
                    }
                }
            }
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..geometry.count()).collect::<Vec<_>>());
        }

        #[test]
        fn rows_that_are_not_compressed_are_cut_anywhere(
            size in (1u32..3000, 1u32..3000),
            rows in 1u32..3000,
            at in 0u32..3000,
        ) {
            let mut geometry = Geometry::new(size, (size.0, rows.min(size.1)), false, 1);
            geometry.plan_grid(4, true);
            let row = at % geometry.grid.rows();
            let tile = geometry.grid.tile(0, 0, row);
            prop_assert!(tile.height == 1 || tile.pixels() * 4 <= STRIPS_BYTES);
            let chunks = geometry.chunks(tile);
            let covered = chunks.iter().map(|chunk| chunk.rect.intersection(&tile).height);
            prop_assert_eq!(covered.sum::<u32>(), tile.height);
        }
    }
}
