//! What a tile is made of: resolutions, precincts, packets, code-blocks
//! (T.800 B.5 to B.7). Arithmetic alone; components are not sub-sampled here.

use super::header::{Coding, MainHeader};
use crate::raster::TileGrid;

/// A piece of one axis, on the reference grid or at a resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    /// Exclusive.
    pub(super) end: u32,
}

impl Span {
    /// The span with every coordinate divided by `2^by`, rounded up.
    pub(super) fn reduced(self, by: u8) -> Span {
        Span { start: ceil_shift(self.start, by), end: ceil_shift(self.end, by) }
    }

    pub(super) fn length(self) -> u32 {
        self.end.saturating_sub(self.start)
    }

    /// How many cells of `2^exponent` it touches.
    fn cells(self, exponent: u8) -> u64 {
        if self.start >= self.end {
            return 0;
        }
        u64::from(ceil_shift(self.end, exponent) - (self.start >> exponent.min(31)))
    }

    /// The span of a sub-band (B-15): `high` for the high-pass one.
    fn sub_band(self, level: u8, high: bool) -> Span {
        let half = if high { 1u64 << level.saturating_sub(1).min(40) } else { 0 };
        let along =
            |at: u32| u64::from(at).saturating_sub(half).div_ceil(1 << level.min(40)) as u32;
        Span { start: along(self.start), end: along(self.end) }
    }
}

fn ceil_shift(value: u32, by: u8) -> u32 {
    u64::from(value).div_ceil(1 << by.min(32)) as u32
}

/// A tile's columns and rows on the reference grid.
pub(super) fn tile_spans(grid: &TileGrid, column: u32, row: u32) -> (Span, Span) {
    let along = |image: (u32, u32), first: u32, size: u32, index: u32| {
        let from = u64::from(first) + u64::from(index) * u64::from(size);
        let clamp = |at: u64| at.clamp(image.0.into(), image.1.into()) as u32;
        Span { start: clamp(from), end: clamp(from + u64::from(size)) }
    };
    (
        along((grid.image_start.0, grid.image_end.0), grid.tile_start.0, grid.tile_size.0, column),
        along((grid.image_start.1, grid.image_end.1), grid.tile_start.1, grid.tile_size.1, row),
    )
}

/// Packets of a tile up to and with the resolution that is `reduce` below the
/// full one, all layers and components together.
pub(super) fn packets(header: &MainHeader, column: u32, row: u32, reduce: u8) -> u64 {
    let (across, down) = tile_spans(&header.grid, column, row);
    let of_component = |component: usize| {
        let coding = header.coding_of(component);
        let top = coding.levels.saturating_sub(reduce);
        (0..=top).map(|resolution| {
            let (width, height) = precinct(coding, resolution);
            let below = coding.levels - resolution;
            across.reduced(below).cells(width).saturating_mul(down.reduced(below).cells(height))
        })
    };
    let precincts = (0..header.components.len())
        .flat_map(of_component)
        .fold(0u64, |sum, count| sum.saturating_add(count));
    precincts.saturating_mul(header.defaults.layers.into())
}

fn precinct(coding: &Coding, resolution: u8) -> (u8, u8) {
    coding.precincts.get(usize::from(resolution)).copied().unwrap_or((15, 15))
}

/// What a decoder must keep a record of: code-blocks, and precincts of sub-bands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Blocks {
    /// In the whole image.
    pub(super) image: u64,
    /// At most in one tile.
    pub(super) tile: u64,
    /// Packets of one layer, at most in one tile.
    pub(super) packets: u64,
}

/// Counts the code-blocks and precincts of one component with this coding. Along
/// each axis they are counted apart, since tiles form a grid: a million tiles cost
/// two thousand steps.
pub(super) fn blocks(grid: &TileGrid, coding: &Coding) -> Blocks {
    let columns = (0..grid.columns()).map(|column| tile_spans(grid, column, 0).0);
    let rows = (0..grid.rows()).map(|row| tile_spans(grid, 0, row).1);
    let (columns, rows): (Vec<_>, Vec<_>) = (columns.collect(), rows.collect());
    let mut found = Blocks::default();
    for resolution in 0..=coding.levels {
        let precinct = precinct(coding, resolution);
        // From the first resolution up, a precinct covers half as much of each
        // sub-band, and no code-block is larger (B-17, B-18).
        let lower = u8::from(resolution > 0);
        let block = (
            coding.block.0.min(precinct.0.saturating_sub(lower)),
            coding.block.1.min(precinct.1.saturating_sub(lower)),
        );
        let level = if resolution == 0 { coding.levels } else { coding.levels + 1 - resolution };
        let count = |axis: &[Span], cells: &dyn Fn(Span) -> u64| {
            axis.iter().fold((0u64, 0u64), |(sum, most), span| {
                let cells = cells(*span);
                (sum.saturating_add(cells), most.max(cells))
            })
        };
        let mut add = |x: (u64, u64), y: (u64, u64), times: u64| {
            let product = |a: u64, b: u64| a.saturating_mul(b).saturating_mul(times);
            found.image = found.image.saturating_add(product(x.0, y.0));
            found.tile = found.tile.saturating_add(product(x.1, y.1));
        };
        let below = coding.levels - resolution;
        let x = count(&columns, &|span| span.reduced(below).cells(precinct.0));
        let y = count(&rows, &|span| span.reduced(below).cells(precinct.1));
        add(x, y, if resolution == 0 { 1 } else { 3 });
        found.packets = found.packets.saturating_add(x.1.saturating_mul(y.1));
        let bands: &[(bool, bool)] = match resolution {
            0 => &[(false, false)],
            _ => &[(true, false), (false, true), (true, true)],
        };
        for (right, low) in bands {
            let x = count(&columns, &|span| span.sub_band(level, *right).cells(block.0));
            let y = count(&rows, &|span| span.sub_band(level, *low).cells(block.1));
            add(x, y, 1);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// What re-wrapping rests on: a tile whose coordinates were divided has the
        /// resolutions and sub-bands that the undivided one has below.
        #[test]
        fn dividing_the_grid_keeps_the_lower_resolutions(
            start in 0u32..5000, length in 1u32..3000, levels in 1u8..7, by in 0u8..7,
        ) {
            let by = by.min(levels);
            let full = Span { start, end: start + length };
            let divided = full.reduced(by);
            for resolution in 0..=levels - by {
                prop_assert_eq!(
                    full.reduced(levels - resolution),
                    divided.reduced(levels - by - resolution)
                );
                if resolution > 0 {
                    let level = levels + 1 - resolution;
                    for high in [false, true] {
                        prop_assert_eq!(
                            full.sub_band(level, high), divided.sub_band(level - by, high)
                        );
                    }
                }
            }
        }

        #[test]
        fn cells_cover_the_span_and_none_is_empty(
            start in 0u32..1000, length in 1u32..1000, exponent in 0u8..9,
        ) {
            let span = Span { start, end: start + length };
            let touched = (0..3000u32 >> exponent).filter(|cell| {
                let (from, to) = (cell << exponent, (cell + 1) << exponent);
                from < span.end && to > span.start
            });
            prop_assert_eq!(span.cells(exponent), touched.count() as u64);
        }

        #[test]
        fn low_and_high_bands_share_the_samples_among_them(
            start in 0u32..1000, length in 1u32..1000, level in 1u8..6,
        ) {
            let span = Span { start, end: start + length };
            let both = span.sub_band(level, false).length() + span.sub_band(level, true).length();
            prop_assert_eq!(both, span.reduced(level - 1).length());
        }
    }

    #[test]
    fn a_sentinel_tile_has_the_known_number_of_blocks() {
        let coding =
            Coding { levels: 4, block: (6, 6), precincts: vec![(8, 8); 5], reversible: true };
        let grid = TileGrid::whole(1024, 1024);
        // 256 blocks of 64x64 at each resolution's area, 25 precincts in all with
        // those above the first counted for three sub-bands.
        let blocks = blocks(&grid, &coding);
        assert_eq!(blocks.image, 256 + (1 + 3 * (1 + 1 + 4 + 16)));
        assert_eq!(blocks.image, blocks.tile);
    }
}
