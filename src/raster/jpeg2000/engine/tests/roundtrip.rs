//! What the encoder makes, decoded again.

use std::collections::BTreeMap;

use super::encoder::{Component, Headers, Spec};
use crate::raster::jpeg2000::engine::code_block::Style;
use crate::raster::jpeg2000::engine::code_block::testing::Random;
use crate::raster::jpeg2000::engine::geometry::Rect;
use crate::raster::jpeg2000::engine::markers::CodingStyle;
use crate::raster::jpeg2000::engine::markers::{Order, Volume};
use crate::raster::jpeg2000::engine::wavelet::{Kernel, Plane};
use crate::raster::jpeg2000::engine::{
    Body, Codestream, Decoded, Error, Options, Plan, Request, Result, Row, Tile, TilePartAt,
    decode, decode_pixels, decode_rows, spans, tile_parts,
};

/// Tiles with their tile-parts.
type Tiles = Vec<(Tile, Vec<TilePartAt>)>;

/// A codestream's tiles.
pub(super) fn tiles_of(bytes: &[u8]) -> Result<(Codestream, Tiles)> {
    let codestream = Codestream::parse(bytes)?;
    let mut by_tile: BTreeMap<u32, Vec<TilePartAt>> = BTreeMap::new();
    for part in tile_parts(&codestream, bytes)? {
        by_tile.entry(part.header.tile).or_default().push(part);
    }
    let one = |parts: Vec<TilePartAt>| {
        let headers: Vec<_> = parts.iter().map(|part| part.header.clone()).collect();
        let mut tile = Tile::new(&codestream, &headers)?;
        parts
            .iter()
            .enumerate()
            .for_each(|(n, part)| tile.set_body_length(n, part.body.len() as u64));
        Ok((tile, parts))
    };
    let tiles = by_tile.into_values().map(one).collect::<Result<_>>()?;
    Ok((codestream, tiles))
}

fn tiles(bytes: &[u8]) -> (Codestream, Tiles) {
    tiles_of(bytes).unwrap()
}

fn whole<'a>(bytes: &'a [u8], parts: &[TilePartAt]) -> Body<'a> {
    Body::whole(parts.iter().map(|part| &bytes[part.body.clone()]))
}

fn decode_tile(
    bytes: &[u8],
    tile: &Tile,
    parts: &[TilePartAt],
    request: &Request,
) -> Result<Vec<Decoded<i32>>> {
    let plan = Plan::new(tile, request)?;
    decode(tile, &plan, &whole(bytes, parts), &Options::default())
}

/// The part of a plane.
fn crop(plane: &Plane<i32>, rect: Rect) -> Vec<i32> {
    (rect.y0..rect.y1).flat_map(|y| plane.row(y, rect.x0, rect.x1).unwrap()).copied().collect()
}

/// Something random of every feature.
pub(super) fn random_spec(random: &mut Random) -> Spec {
    let mut pick = |n: u64| random.below(n);
    let x0 = pick(40) as u32;
    let y0 = pick(40) as u32;
    let image = Rect::new(x0, y0, x0 + 1 + pick(90) as u32, y0 + 1 + pick(90) as u32);
    let count = 1 + pick(4) as usize;
    let mut spec = Spec::new(image, count, 0);
    if pick(2) == 0 {
        spec.tile = (20 + pick(60) as u32, 20 + pick(60) as u32);
        spec.origin = (x0.saturating_sub(pick(15) as u32), y0.saturating_sub(pick(15) as u32));
    } else {
        spec.tile = (image.x1, image.y1);
    }
    spec.transform = count >= 3 && pick(2) == 0;
    let same = spec.transform;
    let kernel = if pick(3) == 0 { Kernel::Irreversible97 } else { Kernel::Reversible53 };
    let order = |n: u64| Order::from_byte(n as u8).unwrap();
    spec.order = order(pick(5));
    spec.layers = if pick(2) == 0 { 1 } else { 1 + pick(5) as u16 };
    spec.sop = pick(2) == 0;
    spec.eph = pick(2) == 0;
    spec.headers =
        [Headers::InPlace, Headers::InPlace, Headers::Ppm, Headers::Ppt][pick(4) as usize];
    spec.plt = pick(2) == 0;
    spec.parts = 1 + pick(4) as usize;
    spec.open_end = pick(4) == 0;
    spec.upfront = pick(2) == 0;
    spec.derived = pick(2) == 0;
    spec.coc_in_tile = pick(2) == 0;
    for (n, component) in spec.components.iter_mut().enumerate() {
        *component = Component {
            depth: 1 + pick(12) as u8,
            signed: pick(3) == 0,
            dx: 1 + pick(3) as u8,
            dy: 1 + pick(3) as u8,
            style: CodingStyle {
                levels: pick(5) as u8,
                block_width_exponent: 2 + pick(4) as u8,
                block_height_exponent: 2 + pick(4) as u8,
                blocks: Style {
                    bypass: pick(3) == 0,
                    reset: pick(3) == 0,
                    terminate_all: pick(3) == 0,
                    vertically_causal: pick(3) == 0,
                    predictable_termination: pick(3) == 0,
                    segmentation_symbols: pick(3) == 0,
                    ht: false,
                },
                kernel: if same || pick(2) == 0 { kernel } else { Kernel::Reversible53 },
                precincts: Vec::new(),
            },
            roi_shift: 0,
        };
        if pick(6) == 0 {
            let vertically_causal = pick(2) == 0;
            component.style.blocks = Style { ht: true, vertically_causal, ..Style::default() };
        }
        if same && n < 3 {
            (component.dx, component.dy) = (1, 1);
        }
        if pick(2) == 0 {
            component.style.precincts = (0..=component.style.levels)
                .map(|r| (u8::from(r > 0) + pick(6) as u8, u8::from(r > 0) + pick(6) as u8))
                .collect();
        }
        if pick(6) == 0 && component.depth < 6 && !spec.derived && !component.style.blocks.ht {
            component.roi_shift = 15;
        }
    }
    if same {
        let depth = spec.components[0].depth.max(2);
        spec.components.iter_mut().take(3).for_each(|c| c.depth = depth);
    }
    if pick(4) == 0 {
        // Two volumes that overlap, and one with the rest.
        let volume = |o, r: std::ops::Range<u8>, c: std::ops::Range<u16>, layers| Volume {
            order: order(o),
            resolutions: r,
            components: c,
            layers,
        };
        spec.poc = vec![
            volume(
                pick(5),
                0..1 + pick(4) as u8,
                0..count as u16,
                1 + pick(u64::from(spec.layers)) as u16,
            ),
            volume(pick(5), pick(2) as u8..5, 0..1 + pick(count as u64) as u16, spec.layers),
            volume(pick(5), 0..33, 0..count as u16, spec.layers),
        ];
        spec.poc_in_tile = pick(2) == 0;
    }
    spec
}

/// How far a decoded sample may be from the encoded one.
fn tolerance(spec: &Spec, component: usize) -> i32 {
    let touched = spec.transform && component < 3;
    match spec.components[if touched { 0 } else { component }].style.kernel {
        Kernel::Reversible53 => 0,
        Kernel::Irreversible97 => 4,
    }
}

fn check(seed: u64) {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let spec = random_spec(&mut random);
    println!("seed {seed}");
    let planes = spec.picture(&mut random);
    let bytes = spec.encode(&planes, &mut random);
    let (_, tiles) = tiles(&bytes);
    for (tile, parts) in &tiles {
        let all = decode_tile(&bytes, tile, parts, &Request::default())
            .unwrap_or_else(|e| panic!("{seed}: {e}\n{spec:?}"));
        for decoded in &all {
            let c = usize::from(decoded.component);
            let expected = crop(&planes[c], decoded.plane.rect);
            let most = expected
                .iter()
                .zip(&decoded.plane.samples)
                .map(|(a, b)| (a - b).abs())
                .max()
                .unwrap_or(0);
            assert!(
                most <= tolerance(&spec, c),
                "{seed}: component {c} differs by {most}\n{spec:?}"
            );
        }
        for turn in 0..3 {
            let reduction = random.below(u64::from(tile.most_reduction()) + 1) as u8;
            let full = Request { reduction, ..Request::default() };
            let reduced = decode_tile(&bytes, tile, parts, &full).unwrap();
            let area = tile.rect().reduced(reduction.into());
            let (x0, y0) = (
                area.x0 + random.below(u64::from(area.width()) + 1) as u32,
                area.y0 + random.below(u64::from(area.height()) + 1) as u32,
            );
            let window =
                Rect::new(x0, y0, x0 + random.below(30) as u32, y0 + random.below(30) as u32);
            let components =
                (turn == 1).then(|| vec![random.below(spec.components.len() as u64) as u16]);
            let request = Request { reduction, window: Some(window), components, layers: None };
            check_window(&bytes, tile, parts, &reduced, &request, seed);
        }
    }
}

/// The least memory that a plan can do with, as the refusal tells.
fn memory_of_rows(tile: &Tile, plan: &Plan, body: &Body<'_>) -> u64 {
    let none = Options { max_memory: 0, ..Options::default() };
    match decode::<i32>(tile, plan, body, &none) {
        Err(Error::Limit { asked, .. }) => asked,
        _ => 0,
    }
}

/// Decodes a window in several ways and compares with the crop of the whole.
fn check_window(
    bytes: &[u8],
    tile: &Tile,
    parts: &[TilePartAt],
    reduced: &[Decoded<i32>],
    request: &Request,
    seed: u64,
) {
    let plan = Plan::new(tile, request).unwrap();
    let expect = |decoded: &[Decoded<i32>]| {
        for one in decoded {
            let full = reduced.iter().find(|full| full.component == one.component).unwrap();
            assert_eq!(one.plane.samples, crop(&full.plane, one.plane.rect), "{seed}: {request:?}");
        }
        assert_eq!(decoded.len(), request.components.as_ref().map_or(reduced.len(), Vec::len));
    };
    let body = whole(bytes, parts);
    expect(&decode(tile, &plan, &body, &Options::default()).unwrap());
    let threads = Options { threads: 3, ..Options::default() };
    expect(&decode(tile, &plan, &body, &threads).unwrap());
    // No memory for whole sub-bands: the threads share rows of code-blocks.
    let tight = Options { max_memory: memory_of_rows(tile, &plan, &body), ..threads };
    expect(&decode(tile, &plan, &body, &tight).unwrap());
    // Only the bytes that the plan takes.
    let mut sparse = Body::new();
    for span in spans(tile, &plan) {
        let part = &bytes[parts[span.part].body.clone()];
        sparse.add(
            span.part,
            span.range.start,
            &part[span.range.start as usize..span.range.end as usize],
        );
    }
    if tile.parts().iter().all(|part| part.lengths.is_some()) {
        expect(&decode(tile, &plan, &sparse, &Options::default()).unwrap());
    }
    for options in [Options::default(), threads] {
        let mut planes: Vec<Decoded<i32>> =
            decode(tile, &plan, &body, &Options::default()).unwrap();
        planes.iter_mut().for_each(|p| p.plane.samples.fill(-7));
        let mut last = 0;
        decode_rows(tile, &plan, &body, &options, |row| {
            let to = planes.iter_mut().find(|p| p.component == row.component).unwrap();
            let rect = to.plane.rect;
            assert_eq!(row.x0, rect.x0);
            to.plane.row_mut(row.y, rect.x0, rect.x1).unwrap().copy_from_slice(row.samples);
            let dy = tile.components()[usize::from(row.component)].dy;
            assert!(row.y * dy + 3 * 3 >= last, "rows are in step");
            last = last.max(row.y * dy);
            Ok(())
        })
        .unwrap();
        expect(&planes);
    }
    check_pixels(tile, &plan, &body, reduced);
    check_walker(bytes, tile, parts, &plan, &expect);
}

/// Rows of pixels, in narrower samples.
fn check_pixels(tile: &Tile, plan: &Plan, body: &Body<'_>, reduced: &[Decoded<i32>]) {
    for threads in [1, 2] {
        let options = Options { threads, ..Options::default() };
        let mut pixels: Vec<i16> = Vec::new();
        let mut rows = 0;
        let done = decode_pixels(tile, plan, body, &options, |row: Row<'_, i16>| {
            pixels.extend_from_slice(row.samples);
            rows += 1;
            Ok(())
        });
        let wanted: Vec<_> = plan.components.iter().filter(|c| c.wanted).collect();
        if wanted.iter().any(|c| c.window != wanted[0].window) {
            assert!(matches!(done, Err(Error::Unsupported(_))));
            continue;
        }
        done.unwrap();
        assert_eq!(rows, wanted[0].window.height());
        for (n, component) in wanted.iter().enumerate() {
            let full = reduced.iter().find(|full| full.component == component.component).unwrap();
            let mine: Vec<i32> =
                pixels.iter().skip(n).step_by(wanted.len()).map(|&s| s.into()).collect();
            assert_eq!(mine, crop(&full.plane, component.window));
        }
    }
}

/// Finds the packets without PLT, with few bytes at a time, then decodes from just what is needed.
fn check_walker(
    bytes: &[u8],
    tile: &Tile,
    parts: &[TilePartAt],
    plan: &Plan,
    expect: &dyn Fn(&[Decoded<i32>]),
) {
    let options = Options::default();
    let mut bare = tile.clone();
    bare.forget_lengths();
    let mut walker = crate::raster::jpeg2000::engine::Walker::new(&bare, plan, &options);
    let mut at = (0, 0, 5);
    loop {
        let mut body = Body::new();
        if let Some(part) = parts.get(at.0) {
            let part = &bytes[part.body.clone()];
            let from = at.1.min(part.len());
            body.add(at.0, from as u64, &part[from..(from + at.2).min(part.len())]);
        }
        match walker.advance(&body, 3).unwrap() {
            crate::raster::jpeg2000::engine::Progress::Done => break,
            crate::raster::jpeg2000::engine::Progress::Paused => {}
            crate::raster::jpeg2000::engine::Progress::Wants { part, offset } => {
                let more = if (part, offset as usize) == (at.0, at.1) { at.2 * 2 } else { 5 };
                assert!(more < 1 << 20);
                at = (part, offset as usize, more);
            }
        }
    }
    let lengths = walker.into_lengths();
    let mut told = tile.clone();
    told.forget_lengths();
    for (part, (lengths, complete)) in lengths.into_iter().enumerate() {
        told.set_lengths(part, lengths, complete);
    }
    let mut sparse = Body::new();
    for span in spans(&told, plan) {
        let part = &bytes[parts[span.part].body.clone()];
        sparse.add(
            span.part,
            span.range.start,
            &part[span.range.start as usize..span.range.end as usize],
        );
    }
    expect(&decode(&told, plan, &sparse, &options).unwrap());
}

#[test]
fn fewer_layers_are_fewer_passes() {
    let mut random = Random(4);
    for seed in 0..20 {
        let mut spec = Spec::new(Rect::new(3, 5, 70, 60), 1, 2);
        spec.layers = 5;
        spec.plt = seed % 2 == 0;
        spec.components[0].style.blocks.terminate_all = seed % 3 == 0;
        let picture = spec.picture(&mut random);
        let same = random.clone();
        let bytes = spec.encode(&picture, &mut random);
        for layers in 1..=5 {
            // The same without the passes of the other layers.
            let mut cut = spec.clone();
            cut.kept_layers = Some(layers);
            let expected = cut.encode(&picture, &mut same.clone());
            let (_, tiles_cut) = tiles(&expected);
            let (_, tiles_all) = tiles(&bytes);
            let all = decode_tile(&expected, &tiles_cut[0].0, &tiles_cut[0].1, &Request::default())
                .unwrap();
            let request = Request { layers: Some(layers), ..Request::default() };
            let some = decode_tile(&bytes, &tiles_all[0].0, &tiles_all[0].1, &request).unwrap();
            assert_eq!(all[0].plane.samples, some[0].plane.samples);
        }
    }
}

#[test]
fn torn_tiles_are_told_apart() {
    let mut random = Random(9);
    for plt in [false, true] {
        let mut spec = Spec::new(Rect::new(0, 0, 64, 64), 1, 2);
        spec.order = Order::Rpcl;
        spec.plt = plt;
        let bytes = spec.encode(&spec.picture(&mut random), &mut random);
        let (_, tiles) = tiles(&bytes);
        let (tile, parts) = &tiles[0];
        let body = &bytes[parts[0].body.clone()];
        let plan = Plan::new(tile, &Request::default()).unwrap();
        let with = |body: &[u8], zeros: bool| {
            let mut tile = tile.clone();
            tile.set_body_length(0, body.len() as u64);
            let options = Options { allow_trailing_zeros: zeros, ..Options::default() };
            decode::<i32>(&tile, &plan, &Body::whole([body]), &options).map(|_| ())
        };
        assert_eq!(with(body, false), Ok(()));
        assert_eq!(with(&body[..body.len() - 1], false), Err(Error::TruncatedPacket { packet: 2 }));
        assert_eq!(
            with(&[], false),
            Err(if plt {
                Error::TruncatedPacket { packet: 0 }
            } else {
                Error::MissingPackets { found: 0 }
            })
        );
        let mut longer = body.to_vec();
        longer.extend([0, 0, 0]);
        assert_eq!(with(&longer, false), Err(Error::LeftOver { part: 0, bytes: 3 }));
        assert_eq!(with(&longer, true), Ok(()));
        longer.push(1);
        assert_eq!(with(&longer, true), Err(Error::LeftOver { part: 0, bytes: 4 }));
        // A window that does not need the last packet does not mind.
        let low = Plan::new(tile, &Request { reduction: 1, ..Request::default() }).unwrap();
        assert!(
            decode::<i32>(tile, &low, &Body::whole([&body[..body.len() - 9]]), &Options::default())
                .is_ok()
        );
        let short = decode::<i32>(
            tile,
            &plan,
            &Body::whole([&body[..body.len() - 9]]),
            &Options::default(),
        );
        assert!(matches!(short, Err(Error::Absent { part: 0, .. })));
    }
}

#[test]
fn work_can_be_cancelled() {
    use std::sync::atomic::{AtomicU32, Ordering};
    let mut random = Random(10);
    let spec = Spec::new(Rect::new(0, 0, 100, 100), 1, 3);
    let bytes = spec.encode(&spec.picture(&mut random), &mut random);
    let (_, tiles) = tiles(&bytes);
    let (tile, parts) = &tiles[0];
    let plan = Plan::new(tile, &Request::default()).unwrap();
    for threads in [1, 2] {
        for after in [0, 1, 5, 30] {
            let asked = AtomicU32::new(0);
            let cancel = || asked.fetch_add(1, Ordering::Relaxed) >= after;
            let options = Options { threads, cancel: Some(&cancel), ..Options::default() };
            assert_eq!(
                decode::<i32>(tile, &plan, &whole(&bytes, parts), &options).err(),
                Some(Error::Cancelled)
            );
            assert!(asked.into_inner() <= after + 3);
        }
    }
}

#[test]
fn samples_must_hold_the_depth() {
    let mut random = Random(11);
    let mut spec = Spec::new(Rect::new(0, 0, 10, 10), 1, 1);
    spec.components[0].depth = 9;
    let bytes = spec.encode(&spec.picture(&mut random), &mut random);
    let (_, tiles) = tiles(&bytes);
    let (tile, parts) = &tiles[0];
    let plan = Plan::new(tile, &Request::default()).unwrap();
    let body = whole(&bytes, parts);
    assert!(matches!(
        decode::<u8>(tile, &plan, &body, &Options::default()),
        Err(Error::Unsupported(_))
    ));
    assert!(decode::<u16>(tile, &plan, &body, &Options::default()).is_ok());
    let few = Options { max_samples: 99, ..Options::default() };
    assert_eq!(
        decode::<u16>(tile, &plan, &body, &few).err(),
        Some(Error::Limit { what: "samples", asked: 100, allowed: 99 })
    );
}

#[test]
fn random_codestreams_come_back() {
    for seed in 0..150 {
        check(seed);
    }
}

#[test]
#[ignore = "long"]
fn many_random_codestreams_come_back() {
    for seed in 1000..4000 {
        check(seed);
    }
}
