//! A codestream of the lower resolutions of another.
//!
//! Contract: from a main header and the headers of tile-parts, [`Frame`] and
//! [`write_tile_part`] write those of a smaller, complete codestream: every coordinate is
//! divided, and what follows are the first packets of each tile-part as they are. Pure: bytes
//! in, bytes out.
//!
//! Dividing is right because rounding up twice is rounding up once: the resolutions
//! and sub-bands of a divided tile are the lower ones of the undivided.
//!
//! The lower resolutions can be cut off if their packets come first (RLCP, RPCL, or
//! LRCP with one layer), PLT says how long packets are, and no tile overrides the
//! main header ([`cut_refusal`]).

use std::ops::Range;

use bytes::Bytes;

use super::engine::markers::plt;
use super::geometry::Span;
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
    let lists: Vec<(u8, &[u8])> =
        lists.into_iter().filter_map(|(number, range)| Some((number, bytes.get(range)?))).collect();
    let listed = plt::listed(&lists);
    let packets = (!lists.is_empty() && listed.is_all).then_some(listed.lengths);
    Ok(Parsed::Done(PartHeader { sot, segments, packets, data: at + 2 }))
}

/// Why the lower resolutions can't be cut off, as far as the main header tells: `None` if
/// their packets come first in every tile, and nothing in the main header would have to be
/// rewritten that is not.
pub(super) fn cut_refusal(header: &MainHeader) -> Option<String> {
    let layers = header.defaults.layers;
    match header.defaults.order {
        Order::Lrcp if layers > 1 => {
            return Some(format!("its packets are in the order of {layers} quality layers (LRCP)"));
        }
        Order::Other => {
            return Some("its packets are in the order of positions or components".into());
        }
        Order::Lrcp | Order::Rlcp | Order::Rpcl => {}
    }
    let named =
        [(marker::COC, "COC"), (marker::QCC, "QCC"), (marker::POC, "POC"), (marker::PPM, "PPM")];
    let found = named.iter().find(|(code, _)| header.has(*code));
    found.map(|(_, name)| format!("parts of it are coded in other ways ({name})"))
}

/// The image that a re-wrapped codestream is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    /// Columns and rows of the reference grid.
    pub(super) image: (Span, Span),
    tile_start: (u32, u32),
    tile_size: (u32, u32),
    /// By how many resolutions the codestream is cut.
    cut: u8,
}

impl Frame {
    /// All tiles, every coordinate divided by `2^cut`; a tile's size has to be divisible by
    /// that where there is another tile beside it.
    pub(super) fn whole(header: &MainHeader, cut: u8) -> Frame {
        let grid = &header.grid;
        let image = |start, end| Span { start, end }.reduced(cut);
        let along = |start: u32, size: u32| {
            // A tile that reaches behind the image may have any size.
            let tile = Span { start, end: start.saturating_add(size) }.reduced(cut);
            (tile.start, tile.length().max(1))
        };
        let across = along(grid.tile_start.0, grid.tile_size.0);
        let down = along(grid.tile_start.1, grid.tile_size.1);
        Frame {
            image: (
                image(grid.image_start.0, grid.image_end.0),
                image(grid.image_start.1, grid.image_end.1),
            ),
            tile_start: (across.0, down.0),
            tile_size: (across.1, down.1),
            cut,
        }
    }

    /// SOC, SIZ and the kept segments.
    pub(super) fn main_header(&self, header: &MainHeader) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1024);
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
        segment(&mut bytes, marker::SIZ, &size);
        for (code, body) in &header.segments {
            match *code {
                marker::COD if self.cut > 0 => segment(&mut bytes, *code, &self.cut_coding(body)),
                marker::QCD if self.cut > 0 => {
                    let levels = header.coding.levels.saturating_sub(self.cut);
                    segment(&mut bytes, *code, cut_steps(body, levels));
                }
                _ => segment(&mut bytes, *code, body),
            }
        }
        if header.components.len() < 3 {
            clear_transforms(&mut bytes, 2);
        }
        bytes
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

/// Takes the transformation of three components out of each COD of a header that has
/// segments from `at` on.
fn clear_transforms(bytes: &mut [u8], mut at: usize) {
    while let (Some(code), Some(length)) = (u16_at(bytes, at), u16_at(bytes, at + 2)) {
        if code == marker::SOD {
            break;
        }
        if code == marker::COD
            && let Some(transform) = bytes.get_mut(at + 8)
        {
            *transform = 0;
        }
        at += 2 + usize::from(length);
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

/// SOT without its length, the kept segments of a header, and SOD.
fn front_of_tile_part(to: &mut Vec<u8>, tile: u16, bytes: &[u8], header: &PartHeader) {
    to.extend(marker::SOT.to_be_bytes());
    to.extend([0, 10]);
    to.extend(tile.to_be_bytes());
    // Its length, its number and how many there are come last.
    to.extend([0; 6]);
    for (code, range) in &header.segments {
        if let Some(body) = bytes.get(range.clone()) {
            segment(to, *code, body);
        }
    }
    to.extend(marker::SOD.to_be_bytes());
}

/// A tile-part as far as its data, of which there are `data` bytes. Of the header in `bytes`
/// what changes how packets are decoded is kept. It is tile-part `number`, from 0 on, `of` so many.
///
/// # Errors
/// It is longer than a tile-part can be.
pub(super) fn write_tile_part(
    tile: u16,
    (number, of): (u8, u8),
    bytes: &[u8],
    header: &PartHeader,
    data: u64,
) -> Result<Bytes, RasterError> {
    let mut front = Vec::new();
    front_of_tile_part(&mut front, tile, bytes, header);
    let length = u32::try_from(front.len() as u64 + data);
    let length = length.map_err(|_| corrupt("a tile-part is longer than 4 GiB"))?;
    set_length(&mut front, 6, length);
    if let Some(place) = front.get_mut(10..12) {
        place.copy_from_slice(&[number, of]);
    }
    Ok(front.into())
}

fn set_length(bytes: &mut [u8], at: usize, length: u32) {
    if let Some(place) = bytes.get_mut(at..at + 4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

#[cfg(test)]
mod tests;
