//! Which pixels a tile has at a resolution level: arithmetic alone.
//!
//! The reference grid is that of JPEG 2000 (T.800 B.2 to B.5): image and tiles
//! have corners on it, and a level halves every coordinate, rounding up. An image
//! in one piece is a grid of one tile.

use std::ops::Range;

/// A rectangle of pixels, relative to the upper left corner of its level's image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rect {
    /// The first column.
    pub x: u32,
    /// The first row.
    pub y: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Rect {
    /// Columns times rows.
    pub fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// Whether there is no pixel in it.
    pub fn is_empty(&self) -> bool {
        self.width == 0 || self.height == 0
    }

    /// What two rectangles share; may be empty.
    pub fn intersection(&self, other: &Rect) -> Rect {
        let overlap = |a: u32, a_len: u32, b: u32, b_len: u32| {
            let start = a.max(b);
            let end = (u64::from(a) + u64::from(a_len)).min(u64::from(b) + u64::from(b_len));
            (start, end.saturating_sub(u64::from(start)) as u32)
        };
        let (x, width) = overlap(self.x, self.width, other.x, other.width);
        let (y, height) = overlap(self.y, self.height, other.y, other.height);
        Rect { x, y, width, height }
    }
}

/// Image and tiles on the reference grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TileGrid {
    /// The image's left and upper edge (XOsiz, YOsiz).
    pub image_start: (u32, u32),
    /// Its right and lower edge, exclusive (Xsiz, Ysiz).
    pub image_end: (u32, u32),
    /// Where the first tile starts (XTOsiz, YTOsiz): not behind the image's start.
    pub tile_start: (u32, u32),
    /// A tile's width and height (XTsiz, YTsiz); never 0.
    pub tile_size: (u32, u32),
}

impl TileGrid {
    /// The grid of an image in one piece.
    pub fn whole(width: u32, height: u32) -> Self {
        TileGrid {
            image_start: (0, 0),
            image_end: (width, height),
            tile_start: (0, 0),
            tile_size: (width.max(1), height.max(1)),
        }
    }

    /// How many tiles lie side by side.
    pub fn columns(&self) -> u32 {
        (self.image_end.0 - self.tile_start.0).div_ceil(self.tile_size.0)
    }

    /// How many tiles lie one below the other.
    pub fn rows(&self) -> u32 {
        (self.image_end.1 - self.tile_start.1).div_ceil(self.tile_size.1)
    }

    /// The image at a level; it starts at (0, 0).
    pub fn image(&self, level: u8) -> Rect {
        let along = |start, end| reduced(end, level) - reduced(start, level);
        Rect {
            x: 0,
            y: 0,
            width: along(self.image_start.0, self.image_end.0),
            height: along(self.image_start.1, self.image_end.1),
        }
    }

    /// The pixels of a tile at a level. Empty if the tile has none there.
    pub fn tile(&self, level: u8, column: u32, row: u32) -> Rect {
        let (start, end) = (self.image_start, self.image_end);
        let (first, size) = (self.tile_start, self.tile_size);
        let (x, width) = span(start.0..end.0, first.0, size.0, column, level);
        let (y, height) = span(start.1..end.1, first.1, size.1, row, level);
        Rect { x, y, width, height }
    }

    /// The tile that has all pixels of a rectangle of a level: its column and row. `None` if none
    /// has, or if there are none.
    pub fn around(&self, level: u8, rect: Rect) -> Option<(u32, u32)> {
        // The last one that begins in front of it: those that begin there too are empty.
        let column = last(self.columns(), |at| self.tile(level, at, 0).x <= rect.x);
        let row = last(self.rows(), |at| self.tile(level, 0, at).y <= rect.y);
        let is_in_it = self.tile(level, column, row).intersection(&rect) == rect;
        (is_in_it && !rect.is_empty()).then_some((column, row))
    }
}

/// The last of so many that something holds for, which holds for all before it; 0 if for none.
fn last(count: u32, holds: impl Fn(u32) -> bool) -> u32 {
    let (mut low, mut high) = (0, count);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// A coordinate at a level (T.800 B-14, B-15).
fn reduced(coordinate: u32, level: u8) -> u32 {
    u64::from(coordinate).div_ceil(1 << level.min(32)) as u32
}

/// Where tile `index` lies along one axis, and how long it is, at a level.
fn span(image: Range<u32>, first: u32, size: u32, index: u32, level: u8) -> (u32, u32) {
    let clamp = |at: u64| at.clamp(image.start.into(), image.end.into()) as u32;
    let from = u64::from(first) + u64::from(index) * u64::from(size);
    let start = reduced(clamp(from), level);
    let end = reduced(clamp(from + u64::from(size)), level);
    (start - reduced(image.start, level), end - start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_tile_is_cut_by_the_image_and_the_last_by_its_end() {
        let grid = TileGrid {
            image_start: (5, 7),
            image_end: (25, 17),
            tile_start: (2, 3),
            tile_size: (10, 10),
        };
        assert_eq!((grid.columns(), grid.rows()), (3, 2));
        assert_eq!(grid.image(0), Rect { x: 0, y: 0, width: 20, height: 10 });
        assert_eq!(grid.tile(0, 0, 0), Rect { x: 0, y: 0, width: 7, height: 6 });
        assert_eq!(grid.tile(0, 2, 1), Rect { x: 17, y: 6, width: 3, height: 4 });
        assert_eq!(grid.image(1), Rect { x: 0, y: 0, width: 10, height: 5 });
        assert_eq!(grid.tile(1, 0, 0), Rect { x: 0, y: 0, width: 3, height: 3 });
    }

    proptest! {
        #[test]
        fn tiles_cover_each_pixel_of_each_level_once(
            start in (0u32..40, 0u32..40),
            size in (1u32..60, 1u32..60),
            back in (0u32..40, 0u32..40),
            tile in (1u32..30, 1u32..30),
            level in 0u8..5,
        ) {
            let tile_start = (start.0.saturating_sub(back.0), start.1.saturating_sub(back.1));
            let image_end = (start.0 + size.0, start.1 + size.1);
            let grid = TileGrid { image_start: start, image_end, tile_start, tile_size: tile };
            let image = grid.image(level);
            let mut seen = vec![0u8; image.pixels() as usize];
            for row in 0..grid.rows() {
                for column in 0..grid.columns() {
                    let tile = grid.tile(level, column, row);
                    let corner =
                        Rect { x: tile.x + tile.width / 2, y: tile.y, width: 1, height: 1 };
                    let own = (!tile.is_empty()).then_some((column, row));
                    prop_assert_eq!(grid.around(level, tile), own);
                    if own.is_some() {
                        prop_assert_eq!(grid.around(level, corner), own);
                        let over = Rect { height: tile.height + 1, ..tile };
                        prop_assert_eq!(grid.around(level, over), None);
                    }
                    for y in tile.y..tile.y + tile.height {
                        for x in tile.x..tile.x + tile.width {
                            seen[(y * image.width + x) as usize] += 1;
                        }
                    }
                }
            }
            prop_assert!(seen.iter().all(|&times| times == 1));
        }
    }
}
