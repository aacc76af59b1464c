//! What a window takes.

use super::*;
use crate::raster::jpeg2000::engine::code_block::testing::Random;
use crate::raster::jpeg2000::engine::markers::Order;
use crate::raster::jpeg2000::engine::tests::encoder::Spec;
use crate::raster::jpeg2000::engine::{Codestream, tile_parts};

#[test]
fn a_small_window_takes_few_bytes() {
    let mut random = Random(50);
    let mut spec = Spec::new(Rect::new(0, 0, 256, 256), 1, 2);
    spec.order = Order::Rpcl;
    spec.plt = true;
    spec.components[0].style.precincts = vec![(5, 5); 3];
    let bytes = spec.encode(&spec.picture(&mut random), &mut random);
    let codestream = Codestream::parse(&bytes).unwrap();
    let parts = tile_parts(&codestream, &bytes).unwrap();
    let mut tile = Tile::new(&codestream, &[parts[0].header.clone()]).unwrap();
    let length = parts[0].body.len() as u64;
    let bytes_of = |tile: &Tile, request: &Request| -> (u64, u64, usize) {
        let plan = Plan::new(tile, request).unwrap();
        let spans = spans(tile, &plan);
        (plan.packets, spans.iter().map(|s| s.range.end - s.range.start).sum(), spans.len())
    };
    let whole = Request::default();
    // 64x64 in 4 precincts, 128x128 in 16, 256x256 in 64.
    assert_eq!(bytes_of(&tile, &whole), (84, length, 1));
    let window = Request { window: Some(Rect::new(40, 40, 50, 50)), ..Request::default() };
    let (packets, some, _) = bytes_of(&tile, &window);
    assert_eq!(packets, 3);
    assert!(some < length / 10);
    // A reduced picture is a prefix.
    let reduced = Request { reduction: 1, ..Request::default() };
    let (packets, prefix, pieces) = bytes_of(&tile, &reduced);
    assert_eq!((packets, pieces), (20, 1));
    assert!(prefix < length / 2);
    // Nothing is known of the packets: everything.
    tile.forget_lengths();
    assert_eq!(bytes_of(&tile, &window), (3, length, 1));
    // An empty window takes nothing.
    let empty = Request { window: Some(Rect::new(9, 9, 9, 20)), ..Request::default() };
    assert_eq!(bytes_of(&tile, &empty), (0, 0, 0));
    assert!(matches!(
        Plan::new(&tile, &Request { reduction: 3, ..whole.clone() }),
        Err(Error::Unsupported(_))
    ));
    assert!(matches!(
        Plan::new(&tile, &Request { components: Some(vec![1]), ..whole }),
        Err(Error::Unsupported(_))
    ));
}
