//! One tile as a codestream of its own.
//!
//! Contract: from a main header and a tile's tile-parts, [`Frame::wrap`] writes a
//! small, complete codestream whose coordinates on the reference grid are those of
//! the original, so that the pixels are the same. Where [`may_cut`] and the
//! tile-parts allow it, only the packets of the lower resolutions are in it, and
//! every coordinate is divided. Pure: bytes in, bytes out.
//!
//! Dividing is right because rounding up twice is rounding up once: the resolutions
//! and sub-bands of a divided tile are the lower ones of the undivided.
//!
//! The lower resolutions can be cut off if their packets come first (RLCP, RPCL, or
//! LRCP with one layer), PLT says how long packets are, and no tile overrides the
//! main header. Otherwise the tile is fetched whole and the decoder reduces it. An
//! image whose packet headers are in the main header (PPM) can't be taken apart, and
//! is one tile.

use std::ops::Range;

use bytes::Bytes;

use super::geometry::{Span, tile_spans};
use super::header::{MainHeader, Order, marker};
use super::index::{Sot, sot};
use super::window::{u8_at, u16_at};
use crate::raster::RasterError;
use crate::raster::error::corrupt;

/// Headers of tile-parts longer than this are not read.
const MAX_PART_HEADER: usize = 8 << 20;

/// The header of a tile-part.
#[derive(Debug)]
pub(super) struct PartHeader {
    pub(super) sot: Sot,
    /// The marker segments that change how packets are decoded.
    segments: Vec<(u16, Range<usize>)>,
    /// The lengths of its packets, if PLT says them.
    pub(super) packets: Option<Vec<u32>>,
    /// Where its data starts.
    pub(super) data: usize,
}

impl PartHeader {
    /// Whether the tile is coded otherwise than the main header says.
    pub(super) fn overrides(&self) -> bool {
        self.segments.iter().any(|(code, _)| *code != marker::RGN)
    }
}

impl PartData {
    /// Whether it changes the order of progression on the way (POC).
    pub(super) fn changes_order(&self) -> bool {
        self.header.segments.iter().any(|(code, _)| *code == marker::POC)
    }
}

/// How far [`part_header`] came.
#[derive(Debug)]
pub(super) enum Parsed {
    Done(PartHeader),
    /// At least so many bytes of the tile-part are needed.
    More(usize),
}

/// Reads the header of a tile-part; `bytes` start with SOT.
pub(super) fn part_header(bytes: &[u8]) -> Result<Parsed, RasterError> {
    let Some(first) = bytes.get(..12) else { return Ok(Parsed::More(12)) };
    let sot = sot(first).ok_or_else(|| corrupt("a tile-part does not start with SOT"))?;
    let mut segments = Vec::new();
    let mut lists: Vec<(u8, Range<usize>)> = Vec::new();
    let mut at = 12;
    loop {
        if at > MAX_PART_HEADER {
            return Err(corrupt("the header of a tile-part is longer than 8 MiB"));
        }
        let Some(code) = u16_at(bytes, at) else { return Ok(Parsed::More(at + 4)) };
        if code == marker::SOD {
            break;
        }
        if (0xFF30..=0xFF3F).contains(&code) {
            at += 2;
            continue;
        }
        let Some(length) = u16_at(bytes, at + 2) else { return Ok(Parsed::More(at + 4)) };
        let end = at + 2 + usize::from(length);
        if length < 2 {
            return Err(corrupt(format!("marker segment {code:#06X} has length {length}")));
        }
        if bytes.len() < end {
            return Ok(Parsed::More(end + 2));
        }
        match code {
            marker::PLT if length >= 3 => {
                lists.push((u8_at(bytes, at + 4).unwrap_or(0), at + 5..end));
            }
            marker::PLT | marker::COM => {}
            marker::COD | marker::COC | marker::QCD | marker::QCC => {
                segments.push((code, at + 4..end));
            }
            marker::RGN | marker::POC | marker::PPT => segments.push((code, at + 4..end)),
            other => {
                return Err(corrupt(format!("{other:#06X} is no marker of a tile-part's header")));
            }
        }
        at = end;
    }
    lists.sort_by_key(|(number, _)| *number);
    let packets = if lists.is_empty() { None } else { packet_lengths(bytes, &lists) };
    Ok(Parsed::Done(PartHeader { sot, segments, packets, data: at + 2 }))
}

/// The lengths in PLT segments (A.7.3): seven bits a byte, the highest saying that
/// more follow.
fn packet_lengths(bytes: &[u8], lists: &[(u8, Range<usize>)]) -> Option<Vec<u32>> {
    let mut lengths = Vec::new();
    let mut length = 0u32;
    let mut open = false;
    for (_, range) in lists {
        for byte in bytes.get(range.clone())? {
            length = length.checked_mul(128)? | u32::from(byte & 0x7F);
            open = byte & 0x80 != 0;
            if !open {
                lengths.push(length);
                length = 0;
            }
        }
    }
    (!open).then_some(lengths)
}

/// A tile-part as it goes into a codestream.
#[derive(Debug)]
pub(super) struct PartData {
    /// From SOT on.
    pub(super) bytes: Bytes,
    pub(super) header: PartHeader,
    /// The packets to keep, in `bytes`.
    pub(super) data: Range<usize>,
}

/// Whether the packets of lower resolutions come first in every tile, and nothing
/// in the main header would have to be rewritten that is not.
pub(super) fn may_cut(header: &MainHeader) -> bool {
    let in_front = match header.defaults.order {
        Order::Rlcp | Order::Rpcl => true,
        Order::Lrcp => header.defaults.layers == 1,
        Order::Other => false,
    };
    let plain = [marker::COC, marker::QCC, marker::POC, marker::PPM];
    in_front && !plain.iter().any(|code| header.has(*code))
}

/// The image that a re-wrapped codestream is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    /// Columns and rows of the reference grid.
    pub(super) image: (Span, Span),
    tile_start: (u32, u32),
    tile_size: (u32, u32),
    /// The number of the tile in it.
    tile: u16,
    /// By how many resolutions the codestream is cut.
    cut: u8,
}

impl Frame {
    /// One tile, every coordinate divided by `2^cut`.
    pub(super) fn tile(header: &MainHeader, column: u32, row: u32, cut: u8) -> Frame {
        let (across, down) = tile_spans(&header.grid, column, row);
        let image = (across.reduced(cut), down.reduced(cut));
        Frame {
            image,
            tile_start: (image.0.start, image.1.start),
            tile_size: (image.0.length().max(1), image.1.length().max(1)),
            tile: 0,
            cut,
        }
    }

    /// One tile, and as many empty neighbours as make the image `least` wide and
    /// high: a decoder that takes a reduction as a size needs room for it.
    pub(super) fn with_neighbours(header: &MainHeader, column: u32, row: u32, least: u64) -> Frame {
        let grid = &header.grid;
        let along = |index: u32, count: u32, span: &dyn Fn(u32) -> Span| {
            let (mut first, mut last) = (index, index);
            let length = |first, last| u64::from(span(last).end.saturating_sub(span(first).start));
            while length(first, last) < least && (first > 0 || last + 1 < count) {
                if first > 0 {
                    first -= 1;
                } else {
                    last += 1;
                }
            }
            (first, last, Span { start: span(first).start, end: span(last).end })
        };
        let x = along(column, grid.columns(), &|column| tile_spans(grid, column, row).0);
        let y = along(row, grid.rows(), &|row| tile_spans(grid, column, row).1);
        let start = |first: u32, index: u32, size: u32| {
            u64::from(first).saturating_add(u64::from(index) * u64::from(size)) as u32
        };
        let tile = u64::from(row - y.0) * u64::from(x.1 - x.0 + 1) + u64::from(column - x.0);
        Frame {
            image: (x.2, y.2),
            tile_start: (
                start(grid.tile_start.0, x.0, grid.tile_size.0),
                start(grid.tile_start.1, y.0, grid.tile_size.1),
            ),
            tile_size: grid.tile_size,
            tile: tile as u16,
            cut: 0,
        }
    }

    /// Writes the codestream.
    pub(super) fn wrap(&self, header: &MainHeader, parts: &[PartData]) -> Wrapped {
        let data: usize = parts.iter().map(|part| part.data.len() + 64).sum();
        let mut bytes = Vec::with_capacity(data + 1024);
        self.main_header(header, &mut bytes);
        // The decoder takes the first tile's word for all.
        if let (true, Some(part)) = (self.tile > 0, parts.first()) {
            let kept = |code: u16| !matches!(code, marker::PPT | marker::POC);
            tile_part(&mut bytes, 0, part, 0..0, kept);
        }
        let mut last_length = None;
        for part in parts {
            last_length = Some(bytes.len() + 6);
            tile_part(&mut bytes, self.tile, part, part.data.clone(), |_| true);
        }
        let apart = header.has(marker::PPM)
            || parts.iter().flat_map(|part| &part.header.segments).any(|(c, _)| *c == marker::PPT);
        // A tile may ask for EPH where the image does not.
        let eph = |(code, range): &(u16, Range<usize>), part: &PartData| {
            *code == marker::COD && part.bytes.get(range.start).is_some_and(|style| style & 4 != 0)
        };
        let eph = header.defaults.eph
            || parts.iter().any(|part| part.header.segments.iter().any(|s| eph(s, part)));
        let last_length = last_length.filter(|_| !apart);
        let end = bytes.len();
        bytes.extend(marker::EOC.to_be_bytes());
        Wrapped { bytes, last_length, end, eph }
    }

    /// SOC, SIZ and the kept segments.
    fn main_header(&self, header: &MainHeader, bytes: &mut Vec<u8>) {
        bytes.extend(marker::SOC.to_be_bytes());
        let mut size = header.capabilities.to_be_bytes().to_vec();
        let (across, down) = self.image;
        let (start, tile) = (self.tile_start, self.tile_size);
        for number in
            [across.end, down.end, across.start, down.start, tile.0, tile.1, start.0, start.1]
        {
            size.extend(number.to_be_bytes());
        }
        size.extend((header.components.len() as u16).to_be_bytes());
        for component in &header.components {
            let sign = u8::from(component.signed) << 7;
            size.extend([(component.depth - 1) | sign, component.step.0, component.step.1]);
        }
        segment(bytes, marker::SIZ, &size);
        for (code, body) in &header.segments {
            match *code {
                marker::COD if self.cut > 0 => segment(bytes, *code, &self.cut_coding(body)),
                marker::QCD if self.cut > 0 => {
                    let levels = header.coding.levels.saturating_sub(self.cut);
                    segment(bytes, *code, cut_steps(body, levels));
                }
                _ => segment(bytes, *code, body),
            }
        }
    }

    /// COD with fewer decomposition levels, and the precincts of those left.
    fn cut_coding(&self, body: &[u8]) -> Vec<u8> {
        let mut cut = body.to_vec();
        if let Some(levels) = cut.get_mut(5) {
            *levels = levels.saturating_sub(self.cut);
            // Scod, SGcod and SPcod have 10 bytes, then there is one a resolution.
            let listed = body.first().is_some_and(|style| style & 1 != 0);
            let length = if listed { 10 + usize::from(*levels) + 1 } else { 10 };
            cut.truncate(length);
        }
        cut
    }
}

/// QCD with the steps of `levels` decomposition levels.
fn cut_steps(body: &[u8], levels: u8) -> &[u8] {
    let bands = 3 * usize::from(levels) + 1;
    let length = match body.first().map_or(0, |style| style & 0x1F) {
        0 => 1 + bands,
        1 => 3,
        _ => 1 + 2 * bands,
    };
    body.get(..length).unwrap_or(body)
}

/// Writes a marker segment.
fn segment(bytes: &mut Vec<u8>, code: u16, body: &[u8]) {
    bytes.extend(code.to_be_bytes());
    bytes.extend((body.len() as u16 + 2).to_be_bytes());
    bytes.extend(body);
}

/// Writes a tile-part with a fresh SOT.
fn tile_part(
    bytes: &mut Vec<u8>,
    tile: u16,
    part: &PartData,
    data: Range<usize>,
    kept: impl Fn(u16) -> bool,
) {
    let start = bytes.len();
    bytes.extend(marker::SOT.to_be_bytes());
    bytes.extend([0, 10]);
    bytes.extend(tile.to_be_bytes());
    // Its length comes last; decoders count the parts themselves.
    bytes.extend([0; 6]);
    for (code, range) in &part.header.segments {
        if let (true, Some(body)) = (kept(*code), part.bytes.get(range.clone())) {
            segment(bytes, *code, body);
        }
    }
    bytes.extend(marker::SOD.to_be_bytes());
    bytes.extend(part.bytes.get(data).unwrap_or_default());
    let length = (bytes.len() - start) as u32;
    set_length(bytes, start + 6, length);
}

fn set_length(bytes: &mut [u8], at: usize, length: u32) {
    if let Some(place) = bytes.get_mut(at..at + 4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

/// A codestream to be decoded.
#[derive(Debug)]
pub(super) struct Wrapped {
    pub(super) bytes: Vec<u8>,
    /// Where the length of the last tile-part is; `None` if its packets' headers
    /// are elsewhere.
    last_length: Option<usize>,
    /// Where its data ends.
    end: usize,
    eph: bool,
}

impl Wrapped {
    /// The rest of a codestream from its first tile-part on, with a main header
    /// that decoders know.
    pub(super) fn whole(header: &MainHeader, rest: &[u8]) -> Wrapped {
        let grid = &header.grid;
        let span = |start, end| Span { start, end };
        let frame = Frame {
            image: (
                span(grid.image_start.0, grid.image_end.0),
                span(grid.image_start.1, grid.image_end.1),
            ),
            tile_start: grid.tile_start,
            tile_size: grid.tile_size,
            tile: 0,
            cut: 0,
        };
        let mut bytes = Vec::with_capacity(rest.len() + 1024);
        frame.main_header(header, &mut bytes);
        bytes.extend(rest);
        Wrapped { end: bytes.len(), bytes, last_length: None, eph: false }
    }

    /// The same codestream with one more packet, an empty one. If there is room for
    /// it, a packet is missing: a decoder that takes it must not be believed.
    pub(super) fn with_one_packet_more(&self) -> Option<Vec<u8>> {
        let at = self.last_length?;
        let packet: &[u8] = if self.eph { &[0, 0xFF, 0x92] } else { &[0] };
        let mut bytes = Vec::with_capacity(self.bytes.len() + packet.len());
        bytes.extend(self.bytes.get(..self.end)?);
        bytes.extend(packet);
        bytes.extend(self.bytes.get(self.end..)?);
        let length = (self.end - (at - 6) + packet.len()) as u32;
        set_length(&mut bytes, at, length);
        Some(bytes)
    }
}

#[cfg(test)]
mod tests;
