//! Which part of a tile is wanted, and which precincts and packets that takes.

use std::ops::Range;

use crate::raster::jpeg2000::engine::error::{Error, Result};
use crate::raster::jpeg2000::engine::geometry::{Orientation, Rect};
use crate::raster::jpeg2000::engine::options::Options;
use crate::raster::jpeg2000::engine::progression::PacketId;
use crate::raster::jpeg2000::engine::tile::Tile;
use crate::raster::jpeg2000::engine::wavelet::{Needs, needs};

/// The part of a tile that is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Request {
    /// How many of the highest resolutions are left out: the picture shrinks by `2^reduction`.
    pub reduction: u8,
    /// The window on the reference grid divided by `2^reduction` (edges rounded up); `None`: the whole tile.
    pub window: Option<Rect>,
    /// The components wanted; `None`: all.
    pub components: Option<Vec<u16>>,
    /// The number of quality layers; `None`: all.
    pub layers: Option<u16>,
}

/// What of a component a request takes.
#[derive(Debug, Clone)]
pub(crate) struct ComponentPlan {
    /// The component.
    pub component: u16,
    /// Whether the caller wants it, or only the component transform does.
    pub wanted: bool,
    /// The rectangles of resolutions 0, 1 and so on, up to the one that is decoded.
    pub resolutions: Vec<Rect>,
    /// The window on the grid of that resolution.
    pub window: Rect,
    /// What the window needs of the sub-bands.
    pub needs: Needs,
    /// The precincts of each resolution that the window touches, as columns and rows.
    pub precincts: Vec<Rect>,
}

/// What a request takes.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The components in order.
    pub components: Vec<ComponentPlan>,
    /// For each component of the tile, its place in `components`.
    places: Vec<Option<usize>>,
    /// The number of layers.
    pub layers: u16,
    /// The number of packets.
    pub packets: u64,
    /// Whether that is all of the tile's packets.
    pub whole: bool,
}

impl ComponentPlan {
    fn new(tile: &Tile, component: u16, wanted: bool, request: &Request) -> Result<Self> {
        let index = usize::from(component);
        let (Some(geometry), Some(coding)) =
            (tile.components().get(index), tile.coding().components.get(index))
        else {
            return Err(Error::unsupported(format!("there is no component {component}")));
        };
        let levels = coding.style.levels;
        let Some(top) = levels.checked_sub(request.reduction) else {
            return Err(Error::unsupported(format!(
                "a reduction by 2^{} of a component with {levels} decomposition levels",
                request.reduction
            )));
        };
        let resolutions: Vec<Rect> = geometry
            .resolutions
            .iter()
            .take(usize::from(top) + 1)
            .map(|resolution| resolution.rect)
            .collect();
        let all = resolutions.last().copied().unwrap_or_default();
        let window =
            request.window.map_or(all, |w| w.divided(geometry.dx, geometry.dy)).intersection(&all);
        let needs = needs(coding.style.kernel, &resolutions, window);
        let precincts = geometry
            .resolutions
            .iter()
            .take(resolutions.len())
            .enumerate()
            .map(|(r, resolution)| {
                let bands = resolution
                    .orientations()
                    .iter()
                    .map(|&o| resolution.precincts_of(&band_window(&needs, r, o)));
                bands.fold(Rect::default(), |all, one| all.union(&one))
            })
            .collect();
        Ok(Self { component, wanted, resolutions, window, needs, precincts })
    }
}

/// What is needed of a sub-band of resolution `r`.
#[must_use]
pub(crate) fn band_window(needs: &Needs, r: usize, orientation: Orientation) -> Rect {
    let detail =
        || r.checked_sub(1).and_then(|r| needs.details.get(r)).copied().unwrap_or_default();
    match orientation {
        Orientation::Ll => needs.ll,
        Orientation::Hl => detail().hl,
        Orientation::Lh => detail().lh,
        Orientation::Hh => detail().hh,
    }
}

impl Plan {
    /// Works out what a request takes of a tile.
    ///
    /// # Errors
    /// If the request names a component or a resolution that the tile lacks.
    pub(crate) fn new(tile: &Tile, request: &Request) -> Result<Self> {
        let count = u16::try_from(tile.components().len()).unwrap_or(u16::MAX);
        let mut wanted: Vec<u16> =
            request.components.clone().unwrap_or_else(|| (0..count).collect());
        wanted.sort_unstable();
        wanted.dedup();
        let mut taken = wanted.clone();
        if tile.coding().style.component_transform && wanted.iter().any(|&c| c < 3) {
            taken.extend(0..3u16.min(count));
            taken.sort_unstable();
            taken.dedup();
        }
        let mut places = vec![None; usize::from(count)];
        let mut components = Vec::with_capacity(taken.len());
        for component in taken {
            let plan = ComponentPlan::new(
                tile,
                component,
                wanted.binary_search(&component).is_ok(),
                request,
            )?;
            if let Some(place) = places.get_mut(usize::from(component)) {
                *place = Some(components.len());
            }
            components.push(plan);
        }
        let all_layers = tile.coding().style.layers;
        let layers = request.layers.unwrap_or(all_layers).min(all_layers);
        let precincts = components
            .iter()
            .flat_map(|c| &c.precincts)
            .fold(0u64, |n, r| n.saturating_add(r.area()));
        let packets = precincts.saturating_mul(u64::from(layers));
        let total = tile
            .components()
            .iter()
            .flat_map(|c| &c.resolutions)
            .fold(0u64, |n, r| n.saturating_add(r.precincts()));
        let whole = precincts == total && layers == all_layers;
        Ok(Self { components, places, layers, packets, whole })
    }

    /// Whether a packet is needed.
    #[must_use]
    pub(crate) fn needs(&self, tile: &Tile, packet: PacketId) -> bool {
        let place = self.places.get(usize::from(packet.component)).copied().flatten();
        let precincts = place
            .and_then(|place| self.components.get(place))
            .and_then(|component| component.precincts.get(usize::from(packet.resolution)));
        let Some(precincts) = precincts.filter(|_| packet.layer < self.layers) else {
            return false;
        };
        let wide = tile
            .components()
            .get(usize::from(packet.component))
            .and_then(|component| component.resolutions.get(usize::from(packet.resolution)))
            .map_or(1, |resolution| resolution.precincts_wide.max(1));
        let (x, y) = (packet.precinct % wide, packet.precinct / wide);
        (precincts.x0..precincts.x1).contains(&x) && (precincts.y0..precincts.y1).contains(&y)
    }
}

/// A packet that a plan takes, and where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PacketAt {
    /// Which packet.
    pub packet: PacketId,
    /// The tile-part, counted within the tile.
    pub part: usize,
    /// Where it begins in the tile-part's body.
    pub offset: u64,
    /// Its length.
    pub length: u32,
}

impl PacketAt {
    /// The code-blocks that its header tells of.
    #[must_use]
    pub(crate) fn blocks(&self, tile: &Tile) -> u64 {
        let PacketId { component, resolution, precinct, .. } = self.packet;
        let Some(geometry) = tile.components().get(usize::from(component)) else { return 0 };
        let r = usize::from(resolution);
        let Some(resolution) = geometry.resolutions.get(r) else { return 0 };
        let of = |orientation: &Orientation| {
            let band = geometry.band(r, *orientation);
            resolution.block_grid(&resolution.precinct_band_rect(precinct, &band)).area()
        };
        resolution.orientations().iter().map(of).fold(0, u64::saturating_add)
    }
}

/// The packets that a plan takes, in the order of the codestream; `None` if the lengths of those in front of the last one
/// are not all known.
///
/// # Errors
/// If the caller wants to stop.
pub(crate) fn located(
    tile: &Tile,
    plan: &Plan,
    options: &Options<'_>,
) -> Result<Option<Vec<PacketAt>>> {
    let mut found = Vec::new();
    let mut packets = tile.packets();
    let mut number = 0u64;
    for (part, known) in tile.parts().iter().enumerate() {
        let mut offset = 0u64;
        for &length in known.lengths.as_deref().unwrap_or(&[]) {
            if found.len() as u64 >= plan.packets {
                return Ok(Some(found));
            }
            if number.is_multiple_of(4096) {
                options.check()?;
            }
            number += 1;
            let Some(packet) = packets.next() else { return Ok(None) };
            if plan.needs(tile, packet) {
                found.push(PacketAt { packet, part, offset, length });
            }
            offset = offset.saturating_add(length.into());
        }
        if !known.complete {
            break;
        }
    }
    Ok((found.len() as u64 >= plan.packets).then_some(found))
}

/// Bytes of a tile-part's body, counted from the first byte behind SOD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    /// The tile-part, counted within the tile.
    pub part: usize,
    /// The bytes; a tile-part of unknown length ends at `u64::MAX`.
    pub range: Range<u64>,
}

/// The bytes that a plan takes, as far as the lengths of packets are known; behind the last known packet everything.
#[must_use]
pub(crate) fn spans(tile: &Tile, plan: &Plan) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut add = |part: usize, range: Range<u64>| {
        if range.is_empty() {
            return;
        }
        match spans.last_mut() {
            Some(last) if last.part == part && last.range.end == range.start => {
                last.range.end = range.end
            }
            _ => spans.push(Span { part, range }),
        }
    };
    let mut left = plan.packets;
    let mut packets = tile.packets();
    for (part, known) in tile.parts().iter().enumerate() {
        if left == 0 {
            break;
        }
        let end = known.body_length.unwrap_or(u64::MAX);
        let mut at = 0u64;
        for &length in known.lengths.as_deref().unwrap_or(&[]) {
            if left == 0 {
                break;
            }
            let Some(packet) = packets.next() else { break };
            let next = at.saturating_add(length.into());
            if plan.needs(tile, packet) {
                add(part, at..next);
                left -= 1;
            }
            at = next;
        }
        if left > 0 && !known.complete {
            // Here the packets of this tile-part stop being known, and so those of the ones behind it.
            add(part, at..end);
            for (part, rest) in tile.parts().iter().enumerate().skip(part + 1) {
                add(part, 0..rest.body_length.unwrap_or(u64::MAX));
            }
            break;
        }
    }
    spans
}

#[cfg(test)]
mod tests;
