//! Images in tiles that are too large to be decoded whole: windows of them have the pixels of
//! the whole, and cost what they need.

use std::ops::Range;

use super::*;
use crate::raster::About;
use crate::raster::jpeg2000::engine::code_block::testing::Random;
use crate::raster::jpeg2000::engine::geometry::Rect as Area;
use crate::raster::jpeg2000::engine::markers::{Order, Volume};
use crate::raster::jpeg2000::engine::tests::encoder::{Headers, Spec};
use crate::raster::jpeg2000::engine::{
    Body, Codestream, Decoded, Options, Plan, Request, Tile, decode, tile_parts,
};

const ORDERS: [Order; 5] = [Order::Lrcp, Order::Rlcp, Order::Rpcl, Order::Pcrl, Order::Cprl];

/// The pixels of a codestream of one tile that is decoded whole, interleaved, of 8 bits.
pub(super) fn whole(bytes: &[u8], reduction: u8) -> Vec<u8> {
    let codestream = Codestream::parse(bytes).unwrap();
    let parts = tile_parts(&codestream, bytes).unwrap();
    let headers: Vec<_> = parts.iter().map(|part| part.header.clone()).collect();
    let mut tile = Tile::new(&codestream, &headers).unwrap();
    for (n, part) in parts.iter().enumerate() {
        tile.set_body_length(n, part.body.len() as u64);
    }
    tile.forget_lengths();
    let request = Request { reduction, ..Request::default() };
    let plan = Plan::new(&tile, &request).unwrap();
    let body = Body::whole(parts.iter().map(|part| &bytes[part.body.clone()]));
    let planes: Vec<Decoded<i32>> = decode(&tile, &plan, &body, &Options::default()).unwrap();
    let area = tile.rect().reduced(reduction.into());
    let mut pixels = Vec::new();
    for y in area.y0..area.y1 {
        for x in area.x0..area.x1 {
            for (plane, size) in planes.iter().zip(&tile.siz().components) {
                let rect = plane.plane.rect;
                let y = (y / u32::from(size.dy)).clamp(rect.y0, rect.y1 - 1);
                let x = (x / u32::from(size.dx)).clamp(rect.x0, rect.x1 - 1);
                pixels.push(plane.plane.row(y, x, x + 1).unwrap()[0] as u8);
            }
        }
    }
    pixels
}

/// A picture of which something stands in every column, wide enough to be a giant.
fn spec(n: u64, random: &mut Random) -> Spec {
    let image = Area::new(random.below(40) as u32, 3, 2100 + random.below(60) as u32, 22);
    let mut spec = Spec::new(image, 1 + (n % 3) as usize, 3);
    spec.order = ORDERS[(n % 5) as usize];
    spec.plt = n.is_multiple_of(2);
    spec.layers = if n % 4 < 2 { 1 } else { 3 };
    spec.parts = 1 + (n % 3) as usize;
    spec.headers =
        [Headers::InPlace, Headers::Ppt, Headers::InPlace, Headers::Ppm][(n / 5 % 4) as usize];
    spec.sop = n.is_multiple_of(3);
    spec.eph = n.is_multiple_of(7);
    spec.open_end = n.is_multiple_of(6);
    spec.coc_in_tile = n % 8 == 1;
    for (number, component) in spec.components.iter_mut().enumerate() {
        if n % 4 != 3 {
            let exponent = |r: u8| (5 + r % 2, 4 + (n % 2) as u8);
            component.style.precincts = (0..=3).map(exponent).collect();
        }
        if n % 9 == 4 && number > 0 {
            (component.dx, component.dy) = (2 + (n % 2) as u8, 2);
        }
    }
    if n % 10 == 7 {
        let all = spec.components.len() as u16;
        let volume = |order, resolutions: Range<u8>, layers| Volume {
            order,
            resolutions,
            components: 0..all,
            layers,
        };
        spec.poc = vec![
            volume(Order::Rlcp, 0..2, spec.layers.min(2)),
            volume(Order::Lrcp, 0..4, 1),
            volume(Order::Cprl, 0..33, spec.layers),
        ];
        spec.poc_in_tile = n % 20 == 7;
    }
    spec
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_have_the_pixels_of_the_whole_whatever_the_coding() {
    let mut random = Random(77);
    for n in 0..40 {
        let spec = spec(n, &mut random);
        let bytes = spec.encode(&spec.picture(&mut random), &mut random);
        for how in [USUAL, PIECEMEAL] {
            let (_, raster) = opened(bytes.clone(), how).await;
            let raster = raster.unwrap();
            assert!(raster.info().unsupported.is_none(), "{n}: {:?}", raster.info().unsupported);
            assert_eq!((raster.info().levels, raster.info().tiles(0).0), (4, 3), "{n}");
            // From the last one: what is found for one window has to be right for another.
            for at in [3, 0, 2, 1] {
                let pixels = level(&*raster, at).await;
                let pixels = pixels.unwrap_or_else(|error| panic!("{n}, level {at}: {error}"));
                assert!(pixels == whole(&bytes, at), "{n}, level {at} {how:?}: {spec:?}");
            }
            let fresh = opened(bytes.clone(), how).await.1.unwrap();
            let last = fresh.decode_tile(0, 2, 0).await.unwrap();
            assert_eq!(last, raster.decode_tile(0, 2, 0).await.unwrap(), "{n}");
            let Rect { x, y, width, height } = last.rect;
            let window =
                Rect { x: x + width / 3, y: y + 5, width: 1 + width / 3, height: height - 7 };
            let fresh = opened(bytes.clone(), how).await.1.unwrap();
            let part = fresh.decode_window(0, window).await.unwrap();
            assert_eq!(part, last.part(window, raster.info().pixel_bytes()), "{n}");
        }
    }
}

/// A wide picture, coded in one layer, with more bytes than one read has.
fn scene(plt: bool, order: Order) -> Vec<u8> {
    let mut random = Random(5);
    let mut spec = Spec::new(Area::new(0, 0, 4400, 96), 1, 4);
    spec.plt = plt;
    spec.order = order;
    spec.components[0].style.precincts = vec![(6, 6); 5];
    spec.components[0].style.block_width_exponent = 5;
    spec.components[0].style.block_height_exponent = 5;
    spec.encode(&spec.picture(&mut random), &mut random)
}

#[tokio::test]
async fn a_window_costs_its_packets_once_the_list_of_them_was_read() {
    let (source, raster) = opened(scene(true, Order::Pcrl), PIECEMEAL).await;
    let raster = raster.unwrap();
    let bytes = |from: u64| source.bytes_read() - from;
    let start = source.bytes_read();
    raster.decode_tile(4, 0, 0).await.unwrap();
    let (reads, before) = (source.reads(), source.bytes_read());
    println!("{} of {}", bytes(start), source.size());
    // Positions come first: a quarter of the image is a quarter of the bytes, in one read.
    raster.decode_tile(0, 2, 0).await.unwrap();
    assert_eq!(source.reads() - reads, 1);
    assert!(bytes(before) < source.size() * 2 / 5, "{} of {}", bytes(before), source.size());
    // What is next to it shares the precincts at its edge.
    let before = source.bytes_read();
    raster.decode_tile(0, 3, 0).await.unwrap();
    assert!(bytes(before) < source.size() * 2 / 5);
    let before = source.bytes_read();
    raster.decode_tile(0, 2, 0).await.unwrap();
    assert_eq!(source.bytes_read(), before, "what was read is in memory");
}

#[tokio::test]
async fn without_a_list_of_packets_a_walk_finds_them_once_and_within_its_limit() {
    let bytes = scene(false, Order::Rpcl);
    let size = bytes.len() as u64;
    let open = async |walk_bytes: u64| {
        let source = Memory::new(bytes.clone());
        let head = source.head().slice(..200);
        let limits = Limits { walk_bytes, ..Limits::default() };
        (source.clone(), open_with(source, head, &limits, 0).await.unwrap())
    };
    // The lowest resolutions come first: a walk as far as they reach finds them.
    let (source, raster) = open(1 << 20).await;
    let low = raster.decode_tile(3, 0, 0).await.unwrap();
    assert!(low.samples.to_vec() == whole(&bytes, 3));
    assert!(source.bytes_read() < size / 2, "{} of {size}", source.bytes_read());
    let last = raster.decode_tile(0, 4, 0).await.unwrap();
    let before = source.bytes_read();
    for column in 0..4 {
        raster.decode_tile(0, column, 0).await.unwrap();
    }
    println!("{size}: {before}, then {}", source.bytes_read() - before);
    assert!(source.bytes_read() <= 2 * size, "{}", source.bytes_read());
    // With less, what lies in front is found and the rest is not; which costs nothing again.
    let (source, raster) = open(size / 2).await;
    assert_eq!(raster.decode_tile(3, 0, 0).await.unwrap(), low);
    let refused = raster.decode_tile(0, 4, 0).await.unwrap_err();
    match &refused {
        RasterError::Limit { what, option: "--max-walk", allowed } => {
            assert!(what.contains("PLT") && what.contains("bytes once"), "{what}");
            assert_eq!(*allowed, size / 2);
        }
        other => panic!("{other:?}"),
    }
    let before = source.bytes_read();
    assert!(matches!(raster.decode_tile(0, 4, 0).await, Err(RasterError::Limit { .. })));
    assert_eq!(source.bytes_read(), before);
    assert_eq!(raster.decode_tile(3, 0, 0).await.unwrap(), low);
    assert!(raster.decode_tile(0, 0, 0).await.is_ok() || source.bytes_read() < size);
    let (_, raster) = open(size).await;
    assert_eq!(raster.decode_tile(0, 4, 0).await.unwrap(), last);
}

/// What a walk found is remembered for the next mount: a file of it costs no walk any more, and
/// what is remembered wrongly changes no pixel.
#[tokio::test]
async fn what_a_walk_found_is_remembered_and_a_wrong_memory_changes_nothing() {
    for (order, layers) in [(Order::Rpcl, 1), (Order::Pcrl, 2), (Order::Lrcp, 2)] {
        let mut random = Random(5);
        let mut spec = Spec::new(Area::new(0, 0, 4400, 56), 1, 3);
        (spec.order, spec.layers, spec.parts) = (order, layers, 2);
        spec.components[0].style.precincts = vec![(5, 5); 4];
        let bytes = spec.encode(&spec.picture(&mut random), &mut random);
        let open = async |known: Option<Vec<u8>>| {
            let source = Memory::new(bytes.clone());
            if let Some(known) = known {
                source.remember(About::Packets(0), known.into());
            }
            let head = source.head().slice(..200);
            (source.clone(), open_with(source, head, &Limits::default(), 0).await.unwrap())
        };
        let (source, raster) = open(None).await;
        let right = raster.decode_tile(0, 4, 0).await.unwrap();
        let walked = source.bytes_read();
        assert!(walked > source.size() * 3 / 4, "{order:?}: {walked}");
        let known = source.recall(About::Packets(0)).await.unwrap().to_vec();
        assert!(known.len() < 8000, "{}", known.len());
        let (source, raster) = open(Some(known.clone())).await;
        assert_eq!(raster.decode_tile(0, 4, 0).await.unwrap(), right);
        let read = source.bytes_read();
        println!("{order:?}: {walked} of {}, then {read}", source.size());
        // In the order of positions the window's packets come last; in the others they lie everywhere,
        // and close together.
        match order {
            Order::Pcrl => assert!(read < walked / 2, "{read}"),
            _ => assert!(read <= walked, "{read}"),
        }
        // What is remembered of one window is right for all.
        assert!(level(&*raster, 0).await.unwrap() == whole(&bytes, 0));

        let mut wrong = vec![known[..known.len() - 1].to_vec(), [&known[..], &[0]].concat()];
        for at in (0..known.len()).step_by(known.len() / 20 + 1) {
            let mut one = known.clone();
            one[at] ^= 1 << (at % 8);
            wrong.push(one);
        }
        // Two lengths in each other's place: they add up.
        let twice = (60..known.len() - 2).find(|at| {
            known[*at..at + 2].iter().all(|byte| *byte < 0x80) && known[*at] != known[at + 1]
        });
        if let Some(at) = twice {
            let mut one = known.clone();
            one.swap(at, at + 1);
            wrong.push(one);
        }
        for known in wrong {
            let (_, raster) = open(Some(known)).await;
            assert_eq!(raster.decode_tile(0, 4, 0).await.unwrap(), right);
        }
    }
}

/// Tile-parts that end with a resolution, as many writers make them: a walk ends with one, and
/// another goes on behind it.
#[tokio::test]
async fn a_walk_goes_on_in_the_next_tile_part() {
    let mut random = Random(6);
    for (order, layers) in [(Order::Rlcp, 2), (Order::Rpcl, 2), (Order::Lrcp, 1), (Order::Lrcp, 2)]
    {
        let mut spec = Spec::new(Area::new(0, 0, 2100, 16), 1, 3);
        (spec.order, spec.layers, spec.parts) = (order, layers, 4);
        let bytes = spec.encode(&spec.picture(&mut random), &mut random);
        let raster = opened(bytes.clone(), PIECEMEAL).await.1.unwrap();
        for at in [3, 2, 1, 0] {
            let pixels = level(&*raster, at).await;
            let pixels = pixels.unwrap_or_else(|error| panic!("{order:?} {at}: {error}"));
            assert!(pixels == whole(&bytes, at), "{order:?} {at}");
        }
    }
}

#[tokio::test]
async fn of_large_packets_only_what_the_window_needs_is_fetched() {
    // One packet for each resolution, of some hundred KiB.
    let mut random = Random(9);
    let mut spec = Spec::new(Area::new(0, 0, 8000, 64), 1, 1);
    spec.order = Order::Rlcp;
    spec.plt = true;
    spec.components[0].style.block_width_exponent = 6;
    spec.components[0].style.block_height_exponent = 5;
    let bytes = spec.encode(&spec.picture(&mut random), &mut random);
    let (source, raster) = opened(bytes.clone(), PIECEMEAL).await;
    let raster = raster.unwrap();
    let tile = raster.decode_tile(0, 5, 0).await.unwrap();
    println!("{} of {}", source.bytes_read(), source.size());
    assert!(source.size() > 300_000, "{}", source.size());
    let all = whole(&bytes, 0);
    let expected: Vec<u8> =
        all.chunks(8000).flat_map(|row| &row[5 * 1024..6 * 1024]).copied().collect();
    assert!(tile.samples == expected);
    assert!(
        source.bytes_read() < source.size() / 2,
        "{} of {}",
        source.bytes_read(),
        source.size()
    );
}

#[tokio::test]
async fn a_list_of_packets_that_is_wrong_is_no_wrong_pixel() {
    let bytes = scene(true, Order::Rpcl);
    let plt = bytes.windows(2).position(|two| two == [0xff, 0x58]).unwrap();
    let right = whole(&bytes, 0);
    let mut refused = 0;
    for at in 0..60 {
        let mut lying = bytes.clone();
        lying[plt + 5 + at * 5] ^= 1 + (at as u8 & 3);
        let (_, raster) = opened(lying, PIECEMEAL).await;
        match level(&*raster.unwrap(), 0).await {
            Ok(pixels) => assert!(pixels == right, "{at}"),
            Err(RasterError::Corrupt(_)) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    println!("{refused} refused");
}

#[tokio::test]
async fn a_list_of_packets_that_ends_early_is_walked_on_from() {
    let whole_list = scene(true, Order::Rpcl);
    let mut bytes = whole_list.clone();
    let sot = bytes.windows(4).position(|four| four == [0xff, 0x90, 0, 10]).unwrap();
    // Half of it is left.
    let plt = sot + 12;
    assert_eq!(bytes[plt..plt + 2], [0xff, 0x58]);
    let end = plt + 2 + usize::from(u16::from_be_bytes([bytes[plt + 2], bytes[plt + 3]]));
    let middle = (plt + end) / 2;
    let half = (middle..end).find(|at| bytes[at - 1] < 0x80).unwrap();
    bytes.drain(half..end);
    bytes[plt + 2..plt + 4].copy_from_slice(&((half - plt - 2) as u16).to_be_bytes());
    let psot = u32::from_be_bytes(bytes[sot + 6..sot + 10].try_into().unwrap());
    bytes[sot + 6..sot + 10].copy_from_slice(&(psot - (end - half) as u32).to_be_bytes());
    for walk_bytes in [bytes.len() as u64, 100] {
        let source = Memory::new(bytes.clone());
        let head = source.head().slice(..200);
        let limits = Limits { walk_bytes, ..Limits::default() };
        let raster = open_with(source.clone(), head, &limits, 0).await.unwrap();
        // What is listed needs no walk.
        assert!(level(&*raster, 3).await.unwrap() == whole(&whole_list, 3));
        let (read, last) = (source.bytes_read(), raster.decode_tile(0, 4, 0).await);
        match last {
            Ok(last) => {
                let (_, right) = opened(whole_list.clone(), PIECEMEAL).await;
                assert_eq!(last, right.unwrap().decode_tile(0, 4, 0).await.unwrap());
                println!("{} of {}", source.bytes_read() - read, source.size());
                assert!(walk_bytes > 100);
            }
            Err(RasterError::Limit { option, .. }) => {
                assert_eq!((option, walk_bytes), ("--max-walk", 100));
            }
            Err(other) => panic!("{other}"),
        }
    }
}

/// A list in more segments than can be numbered, and one whose numbers are no order.
#[tokio::test]
async fn a_list_of_packets_in_segments_of_any_number_gives_the_same_pixels() {
    let bytes = scene(true, Order::Rpcl);
    let right = whole(&bytes, 0);
    let sot = bytes.windows(4).position(|four| four == [0xff, 0x90, 0, 10]).unwrap();
    let (mut at, mut list) = (sot + 12, Vec::new());
    while bytes[at..at + 2] == [0xff, 0x58] {
        let length = usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
        list.extend_from_slice(&bytes[at + 5..at + 2 + length]);
        at += 2 + length;
    }
    let numbered = |number: &dyn Fn(usize) -> u8| {
        let mut header = Vec::new();
        for (n, piece) in list.chunks(list.len() / 290).enumerate() {
            header.extend([0xff, 0x58, 0, piece.len() as u8 + 3, number(n)]);
            header.extend(piece);
        }
        let mut made = [&bytes[..sot + 12], &header, &bytes[at..]].concat();
        let psot = u32::from_be_bytes(bytes[sot + 6..sot + 10].try_into().unwrap());
        let psot = psot - (at - sot - 12) as u32 + header.len() as u32;
        made[sot + 6..sot + 10].copy_from_slice(&psot.to_be_bytes());
        made
    };
    let cost = async |made: Vec<u8>| {
        let (source, raster) = opened(made, PIECEMEAL).await;
        let raster = raster.unwrap();
        raster.decode_tile(0, 2, 0).await.unwrap();
        let cost = source.bytes_read();
        assert!(level(&*raster, 0).await.unwrap() == right);
        cost
    };
    let wrapped = cost(numbered(&|n| n as u8)).await;
    let stuck = cost(numbered(&|n| n.min(255) as u8)).await;
    let neither = cost(numbered(&|n| (n % 7) as u8)).await;
    println!("{wrapped}, {stuck}, {neither} of {}", bytes.len());
    assert_eq!(wrapped, stuck);
    // What is not believed is looked for.
    assert!(wrapped < neither, "{wrapped} {neither}");
}

#[tokio::test]
async fn what_is_damaged_fails_where_it_is_and_nowhere_else() {
    let bytes = scene(true, Order::Pcrl);
    let right = opened(bytes.clone(), PIECEMEAL).await.1.unwrap();
    let mut damaged = bytes.clone();
    // Packets of the second quarter, by their places.
    let from = bytes.len() * 35 / 100;
    damaged[from..from + 4000].fill(0xff);
    let raster = opened(damaged, PIECEMEAL).await.1.unwrap();
    let mut failed = Vec::new();
    for column in 0..5 {
        match raster.decode_tile(0, column, 0).await {
            Ok(tile) => assert_eq!(tile, right.decode_tile(0, column, 0).await.unwrap()),
            Err(RasterError::Corrupt(_)) => failed.push(column),
            Err(other) => panic!("{other}"),
        }
    }
    assert!(!failed.is_empty() && failed.len() <= 2, "{failed:?}");
}
