//! The walk over a tile's packets: finds where each one stands, and gathers what the needed ones tell.

use std::collections::HashMap;

use super::bits::BitReader;
use super::precinct::Contribution;
use super::{Chunk, Precinct};
use crate::raster::jpeg2000::engine::body::Body;
use crate::raster::jpeg2000::engine::error::{Error, Result};
use crate::raster::jpeg2000::engine::markers::code;
use crate::raster::jpeg2000::engine::options::Options;
use crate::raster::jpeg2000::engine::progression::{PacketId, Packets};
use crate::raster::jpeg2000::engine::tile::{Part, Tile};
use crate::raster::jpeg2000::engine::window::Plan;

/// A precinct's name: component, resolution, precinct.
pub(crate) type PrecinctId = (u16, u8, u32);

/// What a step of the walk comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A packet.
    Packet {
        /// The tile-part.
        part: usize,
        /// Its length.
        length: u64,
    },
    /// The walk is over.
    End,
    /// The bytes of a packet header are not at hand. The step can be repeated with more of them.
    Wants {
        /// The tile-part.
        part: usize,
        /// Where the packet begins in the tile-part's body.
        offset: u64,
    },
}

/// A walk over a tile's packets.
#[derive(Debug)]
pub(crate) struct Walk<'t> {
    tile: &'t Tile,
    plan: &'t Plan,
    options: &'t Options<'t>,
    packets: Packets<'t>,
    /// The packet that comes next.
    next: Option<PacketId>,
    /// The number of packets so far.
    pub(crate) number: u64,
    /// Needed packets that have not come yet.
    left: u64,
    part: usize,
    /// Packets of the current tile-part so far.
    in_part: usize,
    /// Where the next packet begins in the current tile-part's body.
    at: u64,
    /// Where the next packet header begins in the current tile-part's packed headers.
    header_at: usize,
    precincts: HashMap<PrecinctId, Precinct>,
    contributions: Vec<Contribution>,
    /// Tag tree nodes in `precincts`.
    weight: u64,
    /// Whether packets of known length are skipped even if they are needed.
    skips: bool,
}

/// A packet header that was read.
struct Header {
    /// Bytes in the body, SOP included.
    length: u64,
    /// Bytes of the packet's data.
    data: u64,
    /// Bytes of packed headers.
    packed: usize,
}

impl<'t> Walk<'t> {
    /// Begins at the tile's first packet.
    pub(crate) fn new(tile: &'t Tile, plan: &'t Plan, options: &'t Options) -> Self {
        let mut packets = tile.packets();
        let next = packets.next();
        Self {
            tile,
            plan,
            options,
            packets,
            next,
            number: 0,
            left: plan.packets,
            part: 0,
            in_part: 0,
            at: 0,
            header_at: 0,
            precincts: HashMap::new(),
            contributions: Vec::new(),
            weight: 0,
            skips: false,
        }
    }

    /// Goes past packets of known length without reading them: only the others' lengths are looked for.
    pub(crate) fn skipping(mut self) -> Self {
        self.skips = true;
        self
    }

    /// The precincts that were needed, with what their packets told; those that have only empty packets are left out.
    pub(crate) fn into_precincts(self) -> HashMap<PrecinctId, Precinct> {
        self.precincts
    }

    /// Whether all needed packets have come.
    pub(crate) const fn is_satisfied(&self) -> bool {
        self.left == 0
    }

    /// Whether the current tile-part has no more packets.
    fn part_ends(&self, part: &Part) -> bool {
        if let Some(packed) = &part.packed {
            return self.header_at >= packed.len();
        }
        if let Some(lengths) = part.lengths.as_deref().filter(|_| part.complete) {
            return self.in_part >= lengths.len();
        }
        part.body_length.is_some_and(|length| self.at >= length)
    }

    /// Goes on by one packet.
    pub(crate) fn step(&mut self, body: &Body<'_>) -> Result<Step> {
        let Some(packet) = self.next else {
            return self.finish(body).map(|()| Step::End);
        };
        let part = loop {
            let Some(part) = self.tile.parts().get(self.part) else {
                return Err(Error::MissingPackets { found: self.number });
            };
            if !self.part_ends(part) {
                break part;
            }
            self.check_rest(body, part)?;
            self.part += 1;
            self.in_part = 0;
            self.at = 0;
            self.header_at = 0;
        };
        let needed = self.plan.needs(self.tile, packet);
        let known = part
            .lengths
            .as_deref()
            .and_then(|lengths| lengths.get(self.in_part))
            .map(|&n| u64::from(n));
        let room = part.body_length.map_or(u64::MAX, |length| length.saturating_sub(self.at));
        let truncated = Error::TruncatedPacket { packet: self.number };
        if known.is_some_and(|length| length > room) {
            return Err(truncated);
        }
        let length = match known {
            Some(length) if (!needed || self.skips) && part.packed.is_none() => length,
            _ => {
                let limit = known.unwrap_or(room);
                let mut bytes = body.from(self.part, self.at);
                let full = bytes.len() as u64 >= limit;
                if full {
                    bytes =
                        bytes.get(..usize::try_from(limit).unwrap_or(usize::MAX)).unwrap_or(bytes);
                }
                let header = match self.read(packet, part, bytes, full, known.filter(|_| !needed)) {
                    Ok(header) => header,
                    Err(Error::Incomplete { .. }) if full => return Err(truncated),
                    Err(Error::Incomplete { .. }) => {
                        return Ok(Step::Wants { part: self.part, offset: self.at });
                    }
                    Err(other) => return Err(other),
                };
                if known.is_some_and(|length| length != header.length) {
                    return Err(Error::corrupt(format!(
                        "packet {} has {} bytes, but PLT says otherwise",
                        self.number, header.length
                    )));
                }
                if header.length > room {
                    return Err(truncated);
                }
                self.header_at += header.packed;
                let last = packet.layer + 1 >= self.tile.coding().style.layers;
                self.keep(packet, needed, last, self.at + (header.length - header.data))?;
                header.length
            }
        };
        self.left = self.left.saturating_sub(u64::from(needed));
        self.at += length;
        self.number += 1;
        self.in_part += 1;
        self.next = self.packets.next();
        Ok(Step::Packet { part: self.part, length })
    }

    /// Notes the contributions of a packet whose data begin at `offset`, or forgets the precinct if it is done with.
    fn keep(&mut self, packet: PacketId, needed: bool, last: bool, offset: u64) -> Result<()> {
        let id = (packet.component, packet.resolution, packet.precinct);
        if self.plan.needs(self.tile, PacketId { layer: 0, ..packet }) {
            if let Some(precinct) = self.precincts.get_mut(&id).filter(|_| needed) {
                precinct.attach(
                    &self.contributions,
                    u32::try_from(self.part).unwrap_or(u32::MAX),
                    offset,
                )?;
            }
        } else if last && let Some(precinct) = self.precincts.remove(&id) {
            self.weight = self.weight.saturating_sub(precinct.weight());
        }
        Ok(())
    }

    /// Reads a packet's header. `full` says that there are no more bytes than `bytes` in the tile-part; if it is false
    /// and the bytes run out, the precinct stays as it was. `skipped` is the length of a packet whose body may not be at
    /// hand.
    fn read(
        &mut self,
        packet: PacketId,
        part: &Part,
        bytes: &[u8],
        full: bool,
        skipped: Option<u64>,
    ) -> Result<Header> {
        if full {
            return self.read_once(packet, part, bytes, full, skipped);
        }
        let id = (packet.component, packet.resolution, packet.precinct);
        let (before, weight) = (self.precincts.get(&id).cloned(), self.weight);
        let read = self.read_once(packet, part, bytes, full, skipped);
        if let Err(Error::Incomplete { .. }) = read {
            match before {
                Some(before) => self.precincts.insert(id, before),
                None => self.precincts.remove(&id),
            };
            self.weight = weight;
        }
        read
    }

    fn read_once(
        &mut self,
        packet: PacketId,
        part: &Part,
        bytes: &[u8],
        full: bool,
        skipped: Option<u64>,
    ) -> Result<Header> {
        self.contributions.clear();
        let style = &self.tile.coding().style;
        // Whether the packet begins with SOP can be seen, or else told from its length.
        let unseen = skipped.filter(|_| style.sop && part.packed.is_some());
        let mut used =
            if style.sop && part.packed.is_none() { self.sop(bytes, full, false)? } else { 0 };
        let (mut headers, packed) = match &part.packed {
            Some(packed) => (packed.get(self.header_at..).unwrap_or(&[]), true),
            None => (bytes.get(used..).unwrap_or(&[]), false),
        };
        let mut bits = BitReader::new(headers);
        let read = self.read_bits(packet, &mut bits);
        let (data, header) = match read.and_then(|data| Ok((data, bits.finish()?))) {
            Err(Error::Incomplete { .. }) if packed => {
                return Err(Error::corrupt("the packed packet headers end inside a packet header"));
            }
            other => other?,
        };
        if packed && style.sop {
            used = match unseen {
                Some(length) => usize::from(length.checked_sub(data) == Some(6)) * 6,
                None => self.sop(bytes, full, data == 0)?,
            };
        }
        headers = headers.get(header..).unwrap_or(&[]);
        let mut header = header;
        if style.eph {
            match headers {
                [high, low, ..] if [*high, *low] == code::EPH.to_be_bytes() => header += 2,
                [] | [_] if !full && !packed => return Err(Error::Incomplete { needed: 0 }),
                _ => {
                    return Err(Error::corrupt(format!(
                        "there is no EPH behind the header of packet {}",
                        self.number
                    )));
                }
            }
        }
        let (in_body, packed) = if packed { (used, header) } else { (used + header, 0) };
        Ok(Header { length: data.saturating_add(in_body as u64), data, packed })
    }

    /// Reads SOP, if it is there (A.8.1). If the packet has no bytes of its own in the body (`empty`), the SOP found may be
    /// that of a packet behind it.
    fn sop(&self, bytes: &[u8], full: bool, empty: bool) -> Result<usize> {
        match bytes {
            [0xff, 0x91, 0, 4, high, low, ..] => {
                let number = u64::from(u16::from_be_bytes([*high, *low]));
                if number == self.number & 0xffff {
                    Ok(6)
                } else if empty {
                    Ok(0)
                } else {
                    Err(Error::corrupt(format!(
                        "SOP says {number} in front of packet {}",
                        self.number
                    )))
                }
            }
            _ if bytes.len() < 6 && !full => Err(Error::Incomplete { needed: 0 }),
            _ => Ok(0),
        }
    }

    /// Reads the bits of a packet's header; returns the length of its data.
    fn read_bits(&mut self, packet: PacketId, bits: &mut BitReader<'_>) -> Result<u64> {
        if !bits.bit()? {
            return Ok(0);
        }
        let component = usize::from(packet.component);
        let coding = self.tile.coding().components.get(component);
        let style = coding.map(|coding| coding.style.blocks).unwrap_or_default();
        let id = (packet.component, packet.resolution, packet.precinct);
        if !self.precincts.contains_key(&id) {
            let r = usize::from(packet.resolution);
            let bands = self.tile.bands(component, r)?;
            let resolution =
                self.tile.components().get(component).and_then(|c| c.resolutions.get(r));
            let resolution =
                resolution.ok_or_else(|| Error::corrupt("a packet of no resolution"))?;
            let weight = Precinct::weigh(resolution, packet.precinct, &bands);
            let asked = self.weight.saturating_add(weight);
            if asked > self.options.max_code_blocks {
                return Err(Error::Limit {
                    what: "code-blocks",
                    asked,
                    allowed: self.options.max_code_blocks,
                });
            }
            self.weight = asked;
            self.precincts.insert(id, Precinct::new(resolution, packet.precinct, &bands));
        }
        let Some(precinct) = self.precincts.get_mut(&id) else { return Ok(0) };
        precinct.read_header(bits, packet.layer, style, &mut self.contributions)
    }

    /// Checks that nothing is left over behind the last packet.
    fn finish(&self, body: &Body<'_>) -> Result<()> {
        for (index, part) in self.tile.parts().iter().enumerate().skip(self.part) {
            let at = if index == self.part { self.at } else { 0 };
            self.check_rest_from(body, index, at, part)?;
        }
        Ok(())
    }

    fn check_rest(&self, body: &Body<'_>, part: &Part) -> Result<()> {
        self.check_rest_from(body, self.part, self.at, part)
    }

    fn check_rest_from(&self, body: &Body<'_>, index: usize, at: u64, part: &Part) -> Result<()> {
        let left = part.body_length.unwrap_or(at).saturating_sub(at);
        if left == 0 {
            return Ok(());
        }
        let zeros = || {
            let rest = body.from(index, at);
            rest.len() as u64 >= left
                && rest.iter().take(usize::try_from(left).unwrap_or(usize::MAX)).all(|&b| b == 0)
        };
        if self.options.allow_trailing_zeros && zeros() {
            return Ok(());
        }
        Err(Error::LeftOver { part: index, bytes: left })
    }
}

/// The bytes of a chunk.
pub(crate) fn chunk_bytes<'a>(body: &Body<'a>, chunk: &Chunk) -> Result<&'a [u8]> {
    let part = chunk.part as usize;
    body.get(part, chunk.offset, chunk.length).ok_or_else(|| Error::Absent {
        part,
        range: chunk.offset..chunk.offset.saturating_add(chunk.length.into()),
    })
}
