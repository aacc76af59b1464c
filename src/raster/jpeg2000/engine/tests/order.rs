//! The order of packets by the standard's loops (B.12.1), as plain as they stand there.

use std::collections::HashSet;

use crate::raster::jpeg2000::engine::geometry::{Rect, TileComponent};
use crate::raster::jpeg2000::engine::markers::{Order, Volume};
use crate::raster::jpeg2000::engine::progression::PacketId;

/// The packets of a tile in order.
pub(crate) fn packets(
    tile: &Rect,
    components: &[TileComponent],
    order: Order,
    layers: u16,
    poc: &[Volume],
) -> Vec<PacketId> {
    let all = [Volume { order, resolutions: 0..33, components: 0..16384, layers }];
    let volumes = if poc.is_empty() { &all[..] } else { poc };
    let mut seen = HashSet::new();
    let mut list = Vec::new();
    for volume in volumes {
        let mut one = Vec::new();
        one_volume(tile, components, volume, layers, &mut one);
        list.extend(one.into_iter().filter(|packet| seen.insert(*packet)));
    }
    list
}

fn one_volume(
    tile: &Rect,
    components: &[TileComponent],
    volume: &Volume,
    layers: u16,
    list: &mut Vec<PacketId>,
) {
    let cs: Vec<u16> =
        volume.components.clone().filter(|&c| usize::from(c) < components.len()).collect();
    let most = components.iter().map(|c| c.resolutions.len() as u8).max().unwrap();
    let rs: Vec<u8> = volume.resolutions.clone().filter(|&r| r < most).collect();
    let ls: Vec<u16> = (0..volume.layers.min(layers)).collect();
    let resolution = |c: u16, r: u8| components[usize::from(c)].resolutions.get(usize::from(r));
    let count = |c: u16, r: u8| resolution(c, r).map_or(0, |r| r.precincts() as u32);
    // The precinct of a component's resolution that stands at (x, y), if one does.
    let at = |x: u32, y: u32, c: u16, r: u8| -> Option<u32> {
        let component = &components[usize::from(c)];
        let res = resolution(c, r).filter(|r| r.precincts() > 0)?;
        let stands = |v: u32, tile_edge: u32, step: u32, low: u32, exponent: u8| {
            let whole = u64::from(step) << (res.above + exponent);
            u64::from(v) % whole == 0
                || (v == tile_edge
                    && (u64::from(low) << res.above) % (1u64 << (res.above + exponent)) != 0)
        };
        let (xe, ye) = (res.precinct_width_exponent, res.precinct_height_exponent);
        if !stands(y, tile.y0, component.dy, res.rect.y0, ye)
            || !stands(x, tile.x0, component.dx, res.rect.x0, xe)
        {
            return None;
        }
        let index = |v: u32, step: u32, low: u32, exponent: u8| {
            let on_grid = u64::from(v).div_ceil(u64::from(step) << res.above) as u32;
            (on_grid >> exponent) - (low >> exponent)
        };
        Some(
            index(x, component.dx, res.rect.x0, xe)
                + res.precincts_wide * index(y, component.dy, res.rect.y0, ye),
        )
    };
    let mut push = |component, resolution, precinct, layer| {
        list.push(PacketId { component, resolution, precinct, layer });
    };
    match volume.order {
        Order::Lrcp => {
            for &l in &ls {
                for &r in &rs {
                    for &c in &cs {
                        (0..count(c, r)).for_each(|k| push(c, r, k, l));
                    }
                }
            }
        }
        Order::Rlcp => {
            for &r in &rs {
                for &l in &ls {
                    for &c in &cs {
                        (0..count(c, r)).for_each(|k| push(c, r, k, l));
                    }
                }
            }
        }
        Order::Rpcl => {
            for &r in &rs {
                for y in tile.y0..tile.y1 {
                    for x in tile.x0..tile.x1 {
                        for &c in &cs {
                            if let Some(k) = at(x, y, c, r) {
                                ls.iter().for_each(|&l| push(c, r, k, l));
                            }
                        }
                    }
                }
            }
        }
        Order::Pcrl => {
            for y in tile.y0..tile.y1 {
                for x in tile.x0..tile.x1 {
                    for &c in &cs {
                        for &r in &rs {
                            if let Some(k) = at(x, y, c, r) {
                                ls.iter().for_each(|&l| push(c, r, k, l));
                            }
                        }
                    }
                }
            }
        }
        Order::Cprl => {
            for &c in &cs {
                for y in tile.y0..tile.y1 {
                    for x in tile.x0..tile.x1 {
                        for &r in &rs {
                            if let Some(k) = at(x, y, c, r) {
                                ls.iter().for_each(|&l| push(c, r, k, l));
                            }
                        }
                    }
                }
            }
        }
    }
}
