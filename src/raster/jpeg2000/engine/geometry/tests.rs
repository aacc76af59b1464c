//! Tiles, sub-bands, precincts and code-blocks divide what they should.

use super::*;
use crate::raster::jpeg2000::engine::code_block::{Style, testing::Random};
use crate::raster::jpeg2000::engine::markers::ComponentSize;
use crate::raster::jpeg2000::engine::wavelet::Kernel;

/// A random tile-component with its tile.
pub(crate) fn component(random: &mut Random) -> (Rect, TileComponent) {
    let mut pick = |n: u64| u32::try_from(random.below(n)).unwrap();
    let (x0, y0) = (pick(200), pick(200));
    let tile = Rect::new(x0, y0, x0 + pick(150), y0 + pick(150));
    let geometry = on(&tile, &mut pick);
    (tile, geometry)
}

fn on(tile: &Rect, pick: &mut impl FnMut(u64) -> u32) -> TileComponent {
    let levels = pick(6) as u8;
    let style = CodingStyle {
        levels,
        block_width_exponent: 2 + pick(5) as u8,
        block_height_exponent: 2 + pick(5) as u8,
        blocks: Style::default(),
        kernel: Kernel::Reversible53,
        precincts: if pick(4) == 0 {
            Vec::new()
        } else {
            (0..=levels)
                .map(|r| (u8::from(r > 0) + pick(7) as u8, u8::from(r > 0) + pick(7) as u8))
                .collect()
        },
    };
    TileComponent::new(tile, 1 + pick(4), 1 + pick(4), &style)
}

/// A random tile with several components.
pub(crate) fn components(
    random: &mut Random,
    count: usize,
    size: u64,
) -> (Rect, Vec<TileComponent>) {
    let mut pick = |n: u64| u32::try_from(random.below(n)).unwrap();
    let (x0, y0) = (pick(100), pick(100));
    let tile = Rect::new(x0, y0, x0 + 1 + pick(size), y0 + 1 + pick(size));
    let components = (0..count).map(|_| on(&tile, &mut pick)).collect();
    (tile, components)
}

#[test]
fn sub_bands_are_the_resolutions_halves() {
    let mut random = Random(5);
    for _ in 0..500 {
        let (_, component) = component(&mut random);
        for r in 1..component.resolutions.len() {
            let whole = component.resolutions[r].rect;
            assert_eq!(
                component.resolutions[r - 1].rect,
                crate::raster::jpeg2000::engine::wavelet::band_rect(
                    whole,
                    crate::raster::jpeg2000::engine::wavelet::Band::Ll
                )
            );
            let mut area = component.resolutions[r - 1].rect.area();
            for orientation in Orientation::DETAILS {
                let band = component.band(r, orientation);
                assert_eq!(
                    band,
                    crate::raster::jpeg2000::engine::wavelet::band_rect(whole, orientation.band())
                );
                area += band.area();
            }
            assert_eq!(area, whole.area());
        }
        assert_eq!(component.band(0, Orientation::Ll), component.resolutions[0].rect);
    }
}

#[test]
fn precincts_and_code_blocks_divide_sub_bands() {
    let mut random = Random(6);
    for _ in 0..300 {
        let (_, component) = component(&mut random);
        for (r, resolution) in component.resolutions.iter().enumerate() {
            for &orientation in resolution.orientations() {
                let band = component.band(r, orientation);
                let mut seen = vec![0u8; usize::try_from(band.area()).unwrap()];
                for precinct in 0..u32::try_from(resolution.precincts()).unwrap() {
                    let part = resolution.precinct_band_rect(precinct, &band);
                    assert!(band.contains(&part));
                    let grid = resolution.block_grid(&part);
                    let (xe, ye) =
                        (resolution.block_width_exponent, resolution.block_height_exponent);
                    for row in grid.y0..grid.y1 {
                        for column in grid.x0..grid.x1 {
                            let cell = Rect::new(
                                column << xe,
                                row << ye,
                                (column + 1) << xe,
                                (row + 1) << ye,
                            );
                            let cell = cell.intersection(&part);
                            assert!(!cell.is_empty());
                            for y in cell.y0..cell.y1 {
                                for x in cell.x0..cell.x1 {
                                    seen[((y - band.y0) * band.width() + x - band.x0) as usize] +=
                                        1;
                                }
                            }
                        }
                    }
                    let touching = resolution.precincts_of(&part);
                    let (px, py) = (
                        precinct % resolution.precincts_wide,
                        precinct / resolution.precincts_wide,
                    );
                    if !part.is_empty() {
                        assert_eq!(touching, Rect::new(px, py, px + 1, py + 1));
                    }
                }
                assert!(seen.iter().all(|&n| n == 1));
            }
        }
    }
}

#[test]
fn tiles_divide_the_image() {
    let mut random = Random(8);
    for _ in 0..200 {
        let mut pick = |n: u64| u32::try_from(random.below(n)).unwrap();
        let (x0, y0) = (pick(50), pick(50));
        let tile_origin = (pick(u64::from(x0) + 1), pick(u64::from(y0) + 1));
        let siz = Siz {
            capabilities: 0,
            image: Rect::new(x0, y0, x0 + 1 + pick(90), y0 + 1 + pick(90)),
            tile_width: x0 - tile_origin.0 + 1 + pick(40),
            tile_height: y0 - tile_origin.1 + 1 + pick(40),
            tile_origin,
            components: vec![ComponentSize { depth: 8, signed: false, dx: 1, dy: 1 }],
        };
        let tiles: Vec<Rect> =
            (0..u32::try_from(siz.tiles()).unwrap()).map(|n| tile_rect(&siz, n).unwrap()).collect();
        assert_eq!(tiles.iter().map(Rect::area).sum::<u64>(), siz.image.area());
        assert!(tiles.iter().all(|tile| siz.image.contains(tile) && !tile.is_empty()));
        for (n, a) in tiles.iter().enumerate() {
            assert!(tiles[n + 1..].iter().all(|b| a.intersection(b).is_empty()));
        }
        assert_eq!(tile_rect(&siz, u32::try_from(siz.tiles()).unwrap()), None);
    }
}

#[test]
fn edges_at_the_end_of_the_grid() {
    assert_eq!(ceil_shift(u32::MAX, 1), 1 << 31);
    assert_eq!(ceil_shift(u32::MAX, 32), 1);
    assert_eq!(ceil_shift(0, 40), 0);
    assert_eq!(floor_shift(u32::MAX, 32), 0);
    let all = Rect::new(0, 0, u32::MAX, u32::MAX);
    assert_eq!(band_rect(&all, 32, Orientation::Hh), Rect::new(0, 0, 1, 1));
    assert_eq!(band_rect(&Rect::new(1, 1, 2, 2), 1, Orientation::Hh), Rect::new(0, 0, 1, 1));
    let style = CodingStyle {
        levels: 32,
        block_width_exponent: 2,
        block_height_exponent: 2,
        blocks: Style::default(),
        kernel: Kernel::Reversible53,
        precincts: Vec::new(),
    };
    let component = TileComponent::new(&all, 1, 1, &style);
    assert_eq!(component.resolutions[32].precincts(), 1 << 34);
    assert_eq!(component.resolutions[0].rect, Rect::new(0, 0, 1, 1));
    let last = component.resolutions[32]
        .precinct_band_rect(u32::MAX, &component.band(32, Orientation::Hl));
    assert!(component.band(32, Orientation::Hl).contains(&last));
}
