//! Windows of tiles have the pixels of the tile, and decode what they need.

use super::*;
use crate::raster::jpeg2000::engine::code_block::testing::Random;
use crate::raster::jpeg2000::engine::geometry::Rect as Area;
use crate::raster::jpeg2000::engine::markers::Order;
use crate::raster::jpeg2000::engine::tests::encoder::Spec;
use crate::raster::jpeg2000::engine::{
    Body, Codestream, Options, Plan, Request, Tile, tile_parts, touched,
};

/// A rectangle somewhere in another.
fn somewhere(random: &mut Random, all: Rect) -> Rect {
    let mut along = |start: u32, length: u32| {
        let from = random.below(length.into()) as u32;
        (start + from, 1 + random.below((length - from).into()) as u32)
    };
    let ((x, width), (y, height)) = (along(all.x, all.width), along(all.y, all.height));
    Rect { x, y, width, height }
}

/// Compares some windows of each tile of a level with the tile; how many there were.
async fn compare(raster: &dyn Raster, level: u8, random: &mut Random, name: &str) -> usize {
    let (info, mut windows) = (raster.info(), 0);
    let (columns, rows) = info.tiles(level);
    for (column, row) in (0..rows).flat_map(|row| (0..columns).map(move |column| (column, row))) {
        let rect = info.tile(level, column, row);
        if rect.is_empty() {
            continue;
        }
        let Ok(tile) = raster.decode_tile(level, column, row).await else { continue };
        let corner = Rect { width: 1, height: 1, ..rect };
        for window in [rect, corner, somewhere(random, rect), somewhere(random, rect)] {
            let found = raster.decode_window(level, window).await;
            let found = found.unwrap_or_else(|why| panic!("{name} {level} {window:?}: {why}"));
            assert!(found == tile.part(window, info.pixel_bytes()), "{name} {level} {window:?}");
            windows += 1;
        }
    }
    windows
}

#[tokio::test]
async fn a_window_of_any_image_is_the_crop_of_its_tile() {
    let expected = std::fs::read_to_string(folder().join("expected.txt")).unwrap();
    let mut names: Vec<_> = expected.lines().filter_map(|line| line.split(' ').next()).collect();
    names.dedup();
    let (mut random, mut windows) = (Random(3), 0);
    for name in names {
        let raster = opened(fixture(name), PIECEMEAL).await.1.unwrap();
        for level in 0..raster.info().levels {
            windows += compare(&*raster, level, &mut random, name).await;
        }
    }
    println!("{windows} windows");
    assert!(windows > 1000, "{windows}");
}

#[tokio::test]
async fn a_window_is_the_crop_whatever_the_tiles_code_blocks_and_precincts_are() {
    let mut random = Random(4);
    for n in 0..60 {
        let (x, y) = (random.below(90) as u32, random.below(90) as u32);
        let end = (x + 40 + random.below(200) as u32, y + 40 + random.below(200) as u32);
        let levels = random.below(5) as u8;
        let mut spec = Spec::new(Area::new(x, y, end.0, end.1), 1 + (n % 3), levels);
        let order = [Order::Lrcp, Order::Rlcp, Order::Rpcl, Order::Pcrl, Order::Cprl];
        spec.order = order[n % 5];
        (spec.layers, spec.parts) = (1 + (n % 2) as u16, 1 + (n % 4));
        (spec.plt, spec.sop, spec.eph) = (n % 3 == 0, n % 4 == 1, n % 5 == 1);
        let origin = (random.below(u64::from(x) + 1) as u32, random.below(u64::from(y) + 1) as u32);
        spec.origin = origin;
        let least = (x - origin.0 + 1, y - origin.1 + 1);
        spec.tile = (least.0 + random.below(90) as u32, least.1 + random.below(90) as u32);
        let exponents = (2 + random.below(5) as u8, 2 + random.below(5) as u8);
        for component in &mut spec.components {
            let style = &mut component.style;
            (style.block_width_exponent, style.block_height_exponent) = exponents;
            if n % 2 == 0 {
                style.precincts = (0..=levels).map(|r| (4 + r % 3, 3 + r % 4)).collect();
            }
        }
        let bytes = spec.encode(&spec.picture(&mut random), &mut random);
        let raster = opened(bytes, USUAL).await.1.unwrap();
        for level in 0..raster.info().levels {
            let windows = compare(&*raster, level, &mut random, &format!("{n}")).await;
            assert!(windows > 0, "{n} {level}");
        }
    }
}

#[tokio::test]
async fn a_window_that_no_tile_has_is_refused() {
    let raster = opened(fixture("gray16_tiles_plt_tlm.jp2"), USUAL).await.1.unwrap();
    let tile = raster.info().tile(0, 0, 0);
    let over = Rect { width: tile.width + 1, ..tile };
    let nothing = Rect { height: 0, ..tile };
    for (level, window) in [(0, over), (0, nothing), (raster.info().levels, tile)] {
        let refused = raster.decode_window(level, window).await;
        assert!(matches!(refused, Err(RasterError::Unsupported(_))), "{refused:?}");
    }
}

/// How many bytes of code-blocks a window takes.
fn coded_bytes(bytes: &[u8], window: Option<Area>) -> u64 {
    let codestream = Codestream::parse(bytes).unwrap();
    let parts = tile_parts(&codestream, bytes).unwrap();
    let headers: Vec<_> = parts.iter().map(|part| part.header.clone()).collect();
    let tile = Tile::new(&codestream, &headers).unwrap();
    let plan = Plan::new(&tile, &Request { window, ..Request::default() }).unwrap();
    let body = Body::whole(parts.iter().map(|part| &bytes[part.body.clone()]));
    let spans = touched(&tile, &plan, &body, &Options::default()).unwrap();
    spans.iter().map(|span| span.range.end - span.range.start).sum()
}

/// What a tile is like that Sentinel-2 has: 1024 x 1024, code-blocks of 64 x 64. Code-blocks are
/// decoded whole, so a window costs those that its filters' support touches.
#[test]
fn a_window_decodes_the_code_blocks_under_it_and_no_others() {
    let mut random = Random(8);
    let mut spec = Spec::new(Area::new(0, 0, 1024, 1024), 1, 4);
    for component in &mut spec.components {
        component.style.block_width_exponent = 6;
        component.style.block_height_exponent = 6;
        component.style.precincts = vec![(8, 8); 5];
    }
    let bytes = spec.encode(&spec.picture(&mut random), &mut random);
    let all = coded_bytes(&bytes, None);
    let share = |start: u32, side: u32| {
        let end = start + side;
        coded_bytes(&bytes, Some(Area::new(start, start, end, end))) as f64 / all as f64
    };
    // Between the edges of code-blocks, and on them, where the support reaches into the next.
    let shares = [share(264, 496), share(256, 512), share(392, 240), share(384, 256)];
    let quarter = |x: u32, y: u32| {
        coded_bytes(&bytes, Some(Area::new(x, y, x + 512, y + 512))) as f64 / all as f64
    };
    let quarters = quarter(0, 0) + quarter(512, 0) + quarter(0, 512) + quarter(512, 512);
    println!("{shares:.3?} of {all}, all quarters {quarters:.3}");
    assert!((1.2..2.0).contains(&quarters), "{quarters}");
    assert!(shares[0] < 0.3 && shares[1] < 0.6, "{shares:?}");
    assert!(shares[2] < 0.16 && shares[3] < 0.27, "{shares:?}");
}
