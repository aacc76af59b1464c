//! The walk against the standard's loops.

use super::*;
use crate::raster::jpeg2000::engine::code_block::testing::Random;
use crate::raster::jpeg2000::engine::geometry::tests::components;
use crate::raster::jpeg2000::engine::tests::order;

const ORDERS: [Order; 5] = [Order::Lrcp, Order::Rlcp, Order::Rpcl, Order::Pcrl, Order::Cprl];

#[test]
fn all_orders_are_those_of_the_standard() {
    let mut random = Random(31);
    for _ in 0..60 {
        let count = 1 + random.below(4) as usize;
        let (tile, components) = components(&mut random, count, 60);
        let layers = 1 + random.below(3) as u16;
        for order in ORDERS {
            let walked: Vec<_> = Packets::new(tile, &components, order, layers, &[]).collect();
            assert_eq!(walked, order::packets(&tile, &components, order, layers, &[]));
        }
    }
}

#[test]
fn changes_of_order_take_each_packet_once() {
    let mut random = Random(32);
    for _ in 0..60 {
        let count = 1 + random.below(4) as usize;
        let (tile, components) = components(&mut random, count, 40);
        let layers = 1 + random.below(4) as u16;
        let poc: Vec<Volume> = (0..1 + random.below(5))
            .map(|_| {
                let (r, c) = (random.below(4) as u8, random.below(count as u64) as u16);
                Volume {
                    order: ORDERS[random.below(5) as usize],
                    resolutions: r..r + 1 + random.below(5) as u8,
                    components: c..c + 1 + random.below(4) as u16,
                    layers: 1 + random.below(u64::from(layers)) as u16,
                }
            })
            .collect();
        let walked: Vec<_> = Packets::new(tile, &components, Order::Lrcp, layers, &poc).collect();
        assert_eq!(walked, order::packets(&tile, &components, Order::Lrcp, layers, &poc));
    }
}

#[test]
fn an_empty_tile_has_no_packets() {
    let (_, mut components) = components(&mut Random(1), 3, 9);
    for component in &mut components {
        for resolution in &mut component.resolutions {
            (resolution.precincts_wide, resolution.precincts_high) = (0, 0);
        }
    }
    for order in ORDERS {
        assert_eq!(Packets::new(Rect::default(), &components, order, 65535, &[]).next(), None);
    }
}
