//! The order of a tile's packets (ITU-T T.800, B.12): the five progressions, and the progression order changes that
//! cut them into volumes.
//!
//! Every step of the walk yields a packet, so that a walk costs no more than the packets it meets: the position
//! progressions merge the precincts of all resolutions by a heap and do not scan the reference grid.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::raster::jpeg2000::engine::geometry::{Rect, TileComponent};
use crate::raster::jpeg2000::engine::markers::{Order, Volume};

/// A packet's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PacketId {
    /// Component.
    pub component: u16,
    /// Resolution, from the lowest.
    pub resolution: u8,
    /// Precinct, in raster order within the resolution.
    pub precinct: u32,
    /// Layer.
    pub layer: u16,
}

/// A resolution of a component that has precincts.
#[derive(Debug, Clone, Copy)]
struct Group {
    component: u16,
    resolution: u8,
    precincts: u32,
}

/// Where the walk stands inside a volume.
#[derive(Debug, Clone)]
enum Cursor {
    /// Between volumes.
    Start,
    /// In LRCP and RLCP: groups in order, of which those of one resolution (or all) are walked layer by layer.
    Layered { first: usize, end: usize, layer: u16, group: usize, precinct: u32 },
    /// In the position progressions: the groups whose precincts are merged, and the packet stack of one precinct.
    Merged { next_group: usize, heap: BinaryHeap<Reverse<Key>>, now: Option<(usize, u32, u16)> },
}

/// Position on the reference grid, then component, resolution, group and precinct.
type Key = (u64, u64, u16, u8, usize, u32);

/// Walks a tile's packets in the order of the codestream.
#[derive(Debug, Clone)]
pub(crate) struct Packets<'t> {
    tile: Rect,
    components: &'t [TileComponent],
    layers: u16,
    volumes: Vec<Volume>,
    /// Whether volumes can overlap, so that it must be remembered which packets were walked.
    remembers: bool,
    walked: HashMap<(u16, u8), Vec<u16>>,
    volume: usize,
    groups: Vec<Group>,
    cursor: Cursor,
}

impl<'t> Packets<'t> {
    /// The packets of a tile with the given rectangle and components. `poc` are its progression order changes; if there
    /// are none, `order` holds for all packets.
    #[must_use]
    pub(crate) fn new(
        tile: Rect,
        components: &'t [TileComponent],
        order: Order,
        layers: u16,
        poc: &[Volume],
    ) -> Self {
        let volumes = if poc.is_empty() {
            vec![Volume { order, resolutions: 0..33, components: 0..16384, layers }]
        } else {
            poc.to_vec()
        };
        let remembers = volumes.len() > 1;
        Self {
            tile,
            components,
            layers,
            volumes,
            remembers,
            walked: HashMap::new(),
            volume: 0,
            groups: Vec::new(),
            cursor: Cursor::Start,
        }
    }

    /// Collects the groups of a volume in the order in which its progression takes them.
    fn enter(&mut self) -> bool {
        let Some(volume) = self.volumes.get(self.volume) else { return false };
        let first = usize::from(volume.components.start);
        let components = self.components.iter().enumerate().skip(first);
        self.groups.clear();
        for (component, geometry) in components.take(volume.components.len()) {
            for (r, resolution) in geometry.resolutions.iter().enumerate() {
                let r = u8::try_from(r).unwrap_or(u8::MAX);
                let precincts = u32::try_from(resolution.precincts()).unwrap_or(u32::MAX);
                if precincts > 0 && volume.resolutions.contains(&r) {
                    let component = u16::try_from(component).unwrap_or(u16::MAX);
                    self.groups.push(Group { component, resolution: r, precincts });
                }
            }
        }
        if !matches!(volume.order, Order::Cprl) {
            self.groups.sort_by_key(|group| (group.resolution, group.component));
        }
        self.cursor = match volume.order {
            Order::Lrcp => Cursor::Layered {
                first: 0,
                end: self.groups.len(),
                layer: 0,
                group: 0,
                precinct: 0,
            },
            Order::Rlcp => Cursor::Layered {
                first: 0,
                end: self.same_resolution(0),
                layer: 0,
                group: 0,
                precinct: 0,
            },
            Order::Rpcl | Order::Pcrl | Order::Cprl => {
                Cursor::Merged { next_group: 0, heap: BinaryHeap::new(), now: None }
            }
        };
        true
    }

    /// The end of the groups that have the same resolution as group `from`.
    fn same_resolution(&self, from: usize) -> usize {
        let Some(group) = self.groups.get(from) else { return from };
        let same = self.groups.iter().skip(from).take_while(|g| g.resolution == group.resolution);
        from + same.count()
    }

    /// The next packet of the volume, walked before or not.
    fn step(&mut self) -> Option<PacketId> {
        let volume = self.volumes.get(self.volume)?;
        let (order, layers) = (volume.order, volume.layers.min(self.layers));
        if layers == 0 {
            return None;
        }
        let mut cursor = std::mem::replace(&mut self.cursor, Cursor::Start);
        let packet = match &mut cursor {
            Cursor::Start => None,
            Cursor::Layered { first, end, layer, group, precinct } => {
                self.step_layered(order, layers, (first, end), layer, group, precinct)
            }
            Cursor::Merged { next_group, heap, now } => {
                self.step_merged(order, layers, next_group, heap, now)
            }
        };
        self.cursor = cursor;
        packet
    }

    fn step_layered(
        &self,
        order: Order,
        layers: u16,
        (first, end): (&mut usize, &mut usize),
        layer: &mut u16,
        group: &mut usize,
        precinct: &mut u32,
    ) -> Option<PacketId> {
        loop {
            if *group < *end {
                let here = self.groups.get(*group)?;
                let packet = PacketId {
                    component: here.component,
                    resolution: here.resolution,
                    precinct: *precinct,
                    layer: *layer,
                };
                *precinct += 1;
                if *precinct >= here.precincts {
                    *precinct = 0;
                    *group += 1;
                }
                return Some(packet);
            }
            *layer += 1;
            if *layer >= layers {
                if order == Order::Lrcp || *end >= self.groups.len() {
                    return None;
                }
                *layer = 0;
                *first = *end;
                *end = self.same_resolution(*first);
            }
            if *first >= *end {
                return None;
            }
            *group = *first;
        }
    }

    fn step_merged(
        &self,
        order: Order,
        layers: u16,
        next_group: &mut usize,
        heap: &mut BinaryHeap<Reverse<Key>>,
        now: &mut Option<(usize, u32, u16)>,
    ) -> Option<PacketId> {
        if now.is_none() {
            if heap.is_empty() {
                let start = *next_group;
                let together = self.groups.get(start..)?.iter().take_while(|group| match order {
                    Order::Rpcl => {
                        self.groups.get(start).is_some_and(|g| g.resolution == group.resolution)
                    }
                    Order::Cprl => {
                        self.groups.get(start).is_some_and(|g| g.component == group.component)
                    }
                    _ => true,
                });
                *next_group = start + together.count();
                heap.extend(
                    (start..*next_group).filter_map(|group| self.key(group, 0)).map(Reverse),
                );
            }
            let Reverse((_, _, _, _, group, precinct)) = heap.pop()?;
            if let Some(key) = self.key(group, precinct + 1) {
                heap.push(Reverse(key));
            }
            *now = Some((group, precinct, 0));
        }
        let (group, precinct, layer) = (*now)?;
        *now = (layer + 1 < layers).then_some((group, precinct, layer + 1));
        let here = self.groups.get(group)?;
        Some(PacketId { component: here.component, resolution: here.resolution, precinct, layer })
    }

    /// Where a precinct stands in a position progression.
    fn key(&self, index: usize, precinct: u32) -> Option<Key> {
        let group = self.groups.get(index).filter(|group| precinct < group.precincts)?;
        let component = self.components.get(usize::from(group.component))?;
        let resolution = component.resolutions.get(usize::from(group.resolution))?;
        let (x, y) = resolution.precinct_position(precinct, &self.tile, component.dx, component.dy);
        Some((y, x, group.component, group.resolution, index, precinct))
    }

    /// Notes that a packet is met; `false` if it was met before.
    fn note(&mut self, packet: PacketId) -> bool {
        if !self.remembers {
            return true;
        }
        let precincts = self.walked.entry((packet.component, packet.resolution)).or_default();
        let at = packet.precinct as usize;
        if at >= precincts.len() {
            precincts.resize(at + 1, 0);
        }
        match precincts.get_mut(at) {
            Some(layers) if *layers <= packet.layer => {
                *layers = packet.layer + 1;
                true
            }
            _ => false,
        }
    }
}

impl Iterator for Packets<'_> {
    type Item = PacketId;

    fn next(&mut self) -> Option<PacketId> {
        loop {
            if matches!(self.cursor, Cursor::Start) && !self.enter() {
                return None;
            }
            match self.step() {
                Some(packet) if self.note(packet) => return Some(packet),
                Some(_) => {}
                None => {
                    self.volume += 1;
                    self.cursor = Cursor::Start;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
