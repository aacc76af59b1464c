//! Codestreams that lie: they are refused quickly, in little memory, and without panic.

use std::time::{Duration, Instant};

use super::encoder::{Headers, Spec};
use super::roundtrip::{random_spec, tiles_of};
use crate::raster::jpeg2000::engine::code_block::testing::Random;
use crate::raster::jpeg2000::engine::geometry::Rect;
use crate::raster::jpeg2000::engine::markers::{Order, Volume};
use crate::raster::jpeg2000::engine::{
    Body, Codestream, Error, Options, Plan, Request, Result, Row, Tile, TilePart, decode,
    decode_rows, spans,
};

/// A codestream of one tile with a body of its own.
fn lie(spec: &Spec, body: &[u8]) -> Vec<u8> {
    let mut out = spec.main_header();
    out.extend([0xff, 0x90, 0, 10, 0, 0]);
    out.extend((14 + body.len() as u32).to_be_bytes());
    out.extend([0, 1, 0xff, 0x93]);
    out.extend(body);
    out.extend([0xff, 0xd9]);
    out
}

/// What is refused only after all of its work would take hours.
const HANG: Duration = Duration::from_secs(60);

/// Decodes the only tile of a lie; tells how long that took.
fn attempt(bytes: &[u8], request: &Request) -> (Result<()>, Duration) {
    let start = Instant::now();
    let run = || -> Result<()> {
        let codestream = Codestream::parse(bytes)?;
        let at = codestream.header_length;
        let part = TilePart::parse(&codestream, &bytes[at..], Some(0))?;
        let body = &bytes[at + part.header_length..at + part.length as usize];
        let tile = Tile::new(&codestream, &[part])?;
        let plan = Plan::new(&tile, request)?;
        let _ = spans(&tile, &plan);
        decode_rows(&tile, &plan, &Body::whole([body]), &Options::default(), |_: Row<'_, i32>| {
            Ok(())
        })
    };
    let done = run();
    (done, start.elapsed())
}

/// A tile that fills the reference grid.
fn giant(components: usize, levels: u8) -> Spec {
    let mut spec = Spec::new(Rect::new(0, 0, u32::MAX, u32::MAX), components, levels);
    for component in &mut spec.components {
        component.style.block_width_exponent = 2;
        component.style.block_height_exponent = 2;
    }
    spec
}

/// The error of a lie. It takes milliseconds, but the machine may be busy.
fn refused(spec: &Spec, body: &[u8], request: &Request) -> Error {
    let (done, time) = attempt(&lie(spec, body), request);
    let error = done.expect_err("a lie");
    assert!(time < HANG, "{time:?} until {error}");
    error
}

#[test]
fn a_giant_of_few_bytes() {
    let whole = Request::default();
    // One precinct of 2^26 code-blocks, and a packet that is not empty.
    assert!(matches!(
        refused(&giant(1, 0), &[0x80; 40], &whole),
        Error::Limit { what: "code-blocks", .. }
    ));
    // Empty packets, of which there are too few.
    assert_eq!(refused(&giant(1, 5), &[0; 1000], &whole), Error::MissingPackets { found: 1000 });
    // The least precincts, in each order.
    for order in [Order::Lrcp, Order::Rlcp, Order::Rpcl, Order::Pcrl, Order::Cprl] {
        let mut spec = giant(3, 3);
        spec.order = order;
        for component in &mut spec.components {
            component.style.precincts = vec![(0, 15), (1, 15), (15, 1), (15, 15)];
        }
        spec.layers = 65535;
        assert_eq!(refused(&spec, &[0; 5000], &whole), Error::MissingPackets { found: 5000 });
    }
}

#[test]
fn a_window_of_a_giant() {
    // The window is served although the rest could never be.
    let spec = giant(1, 0);
    let window = Some(Rect::new(0, 0, 100, 50));
    let request = Request { window, ..Request::default() };
    let (done, time) = attempt(&lie(&spec, &[0; 3]), &request);
    assert_eq!(done, Ok(()));
    assert!(time < HANG);
    // A window too wide for the memory that is allowed, of empty packets.
    let request = Request { window: Some(Rect::new(0, 0, 1 << 31, 1)), ..Request::default() };
    assert!(matches!(
        refused(&spec, &vec![0; 1 << 17], &request),
        Error::Limit { what: "bytes of memory", .. }
    ));
}

#[test]
fn progressions_of_nothing() {
    let mut spec = giant(200, 32);
    spec.layers = 65535;
    let one = Volume { order: Order::Lrcp, resolutions: 0..33, components: 0..200, layers: 65535 };
    spec.poc = vec![one; 1000];
    spec.image = Rect::new(0, 0, 1, 1);
    spec.tile = (1, 1);
    let error = refused(&spec, &[0; 100], &Request::default());
    assert!(matches!(error, Error::MissingPackets { .. }), "{error}");
}

#[test]
fn many_components() {
    let mut spec = Spec::new(Rect::new(0, 0, u32::MAX, u32::MAX), 1, 32);
    spec.components = vec![spec.components[0].clone(); 4000];
    let error = refused(&spec, &[0; 100], &Request::default());
    assert!(matches!(error, Error::MissingPackets { found: 100 }), "{error}");
}

#[test]
fn headers_that_end_early_ask_for_more() {
    let mut random = Random(21);
    for headers in [Headers::InPlace, Headers::Ppm, Headers::Ppt] {
        let mut spec = Spec::new(Rect::new(0, 0, 40, 40), 3, 2);
        spec.headers = headers;
        spec.plt = true;
        let bytes = spec.encode(&spec.picture(&mut random), &mut random);
        let codestream = Codestream::parse(&bytes).unwrap();
        for end in 0..codestream.header_length {
            let short = Codestream::parse(&bytes[..end]).err();
            assert!(matches!(short, Some(Error::Incomplete { needed }) if needed > end as u64));
        }
        let rest = &bytes[codestream.header_length..];
        let part = TilePart::parse(&codestream, rest, Some(0)).unwrap();
        assert_eq!(
            TilePart::parse(&codestream, &rest[..part.header_length], Some(0)).unwrap().length,
            part.length
        );
        for end in 0..part.header_length {
            let short = TilePart::parse(&codestream, &rest[..end], Some(0)).err();
            assert!(matches!(short, Some(Error::Incomplete { needed }) if needed > end as u64));
        }
    }
}

/// Decodes everything with small limits; only panics matter.
fn survive(bytes: &[u8], threads: usize) {
    let options = Options {
        threads,
        max_samples: 1 << 18,
        max_code_blocks: 1 << 14,
        max_memory: 1 << 24,
        ..Options::default()
    };
    let Ok((_, tiles)) = tiles_of(bytes) else { return };
    for (tile, parts) in tiles.iter().take(40) {
        let body = Body::whole(parts.iter().map(|part| &bytes[part.body.clone()]));
        for reduction in [0, 1] {
            let Ok(plan) = Plan::new(tile, &Request { reduction, ..Request::default() }) else {
                continue;
            };
            let _ = spans(tile, &plan);
            let _ = decode::<i32>(tile, &plan, &body, &options);
        }
    }
}

fn damage(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let spec = random_spec(&mut random);
        let bytes = spec.encode(&spec.picture(&mut random), &mut random);
        println!("seed {seed}");
        for turn in 0..20 {
            let mut torn = bytes.clone();
            let area = if turn % 2 == 0 { torn.len().min(200) } else { torn.len() };
            for _ in 0..1 + random.below(4) {
                let at = random.below(area as u64) as usize;
                torn[at] = match random.below(3) {
                    0 => random.below(256) as u8,
                    1 => torn[at] ^ 1 << random.below(8),
                    _ => [0, 0xff][random.below(2) as usize],
                };
            }
            if turn % 7 == 0 {
                torn.truncate(random.below(torn.len() as u64) as usize);
            }
            survive(&torn, 1 + turn % 3 / 2);
        }
    }
}

#[test]
fn damage_does_not_panic() {
    damage(0..60);
}

#[test]
#[ignore = "long"]
fn much_damage_does_not_panic() {
    damage(1000..4000);
}
