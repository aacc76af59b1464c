//! Gets the bytes of one tile: its tile-parts whole, or only their first packets.
//!
//! Contract: what is returned lies within the tile-parts as SOT and the index say
//! it, and they agree; a tile of which a tile-part is missing is damaged. Tile-parts
//! that are neighbours come in one request.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::index::{Index, Part};
use super::rewrap::{Parsed, PartHeader, part_header};
use crate::raster::RasterError;
use crate::raster::error::corrupt;

/// A tile-part whose packets were fetched, all or the first ones.
#[derive(Debug)]
pub(super) struct PartData {
    /// Where its SOT is, in the object.
    pub(super) offset: u64,
    /// How long it is, with all its packets.
    pub(super) length: u64,
    /// From SOT on.
    pub(super) bytes: Bytes,
    /// The packets, in `bytes`.
    pub(super) data: Range<usize>,
}

/// The first packets of a tile-part, of which the header was read.
#[derive(Debug)]
pub(super) struct Cut {
    part: Part,
    /// From SOT on: the header and what came with it.
    pub(super) bytes: Bytes,
    pub(super) header: PartHeader,
    /// How long the tile-part is up to the end of these packets.
    length: u64,
}

impl Cut {
    /// Where the packets are, in the object.
    pub(super) fn data(&self) -> Range<u64> {
        self.part.offset + self.header.data as u64..self.part.offset + self.length
    }
}

/// Where the first `packets` packets of a tile are. `None` if its tile-parts do not say how
/// long packets are, or are coded otherwise than the main header says.
pub(super) async fn cuts(
    index: &Index,
    tile: u32,
    packets: u64,
    reduce: u8,
) -> Result<Option<Vec<Cut>>, RasterError> {
    let mut left = packets;
    let mut found = Vec::new();
    for part in index.of(tile) {
        if left == 0 {
            break;
        }
        let mut bytes = index.prefix(&part, guess(part.length, reduce)).await?;
        let header = loop {
            match part_header(&bytes)? {
                Parsed::Done(header) => break header,
                Parsed::More(least) => {
                    let least = (least as u64).max(2 * bytes.len() as u64);
                    bytes = grow(index, &part, bytes, least.min(part.length)).await?;
                }
            }
        };
        check(&header, &part)?;
        let Some(lengths) = header.packets.as_deref().filter(|_| !header.overrides()) else {
            return Ok(None);
        };
        let all = lengths.iter().fold(0u64, |sum, length| sum + u64::from(*length));
        if all != part.length.saturating_sub(header.data as u64) {
            return Ok(None);
        }
        let taken = left.min(lengths.len() as u64);
        let kept = lengths.iter().take(taken as usize).fold(0u64, |sum, n| sum + u64::from(*n));
        let length = header.data as u64 + kept;
        left -= taken;
        found.push(Cut { part, bytes, header, length });
    }
    Ok((left == 0).then_some(found))
}

/// The first `packets` packets of a tile, as [`cuts`] finds them.
pub(super) async fn prefix(
    index: &Index,
    tile: u32,
    packets: u64,
    reduce: u8,
) -> Result<Option<Vec<PartData>>, RasterError> {
    let Some(cuts) = cuts(index, tile, packets, reduce).await? else { return Ok(None) };
    let mut found = Vec::with_capacity(cuts.len());
    for Cut { part, mut bytes, header, length } in cuts {
        if (bytes.len() as u64) < length {
            bytes = grow(index, &part, bytes, length).await?;
        }
        let data = header.data..length as usize;
        found.push(PartData { offset: part.offset, length: part.length, bytes, data });
    }
    Ok(Some(found))
}

/// How much of a tile-part the resolutions below `reduce` probably take. Each has a
/// quarter of the samples of the one above, and more bits for each: on satellite
/// images 1.05, 1.13, 1.27 and 1.62 times their share at 1/2 to 1/16 on average. This
/// is 1.15 to 2.2 times, and 2 KiB for the header.
fn guess(length: u64, reduce: u8) -> u64 {
    let share = length >> (2 * u32::from(reduce)).min(63);
    2048 + share + (share * 3 / 40) * (1 << reduce.min(16))
}

/// `bytes`, read on up to `length`.
pub(super) async fn grow(
    index: &Index,
    part: &Part,
    bytes: Bytes,
    length: u64,
) -> Result<Bytes, RasterError> {
    let have = bytes.len() as u64;
    if length <= have {
        return Err(corrupt(format!("a tile-part of tile {} is cut short", part.tile)));
    }
    let more = index.more(part.offset + have..part.offset + length).await?;
    let mut both = BytesMut::with_capacity(length as usize);
    both.extend_from_slice(&bytes);
    both.extend_from_slice(&more);
    Ok(both.freeze())
}

/// Whether SOT and the index say the same.
fn check(header: &PartHeader, part: &Part) -> Result<(), RasterError> {
    let length = u64::from(header.sot.length);
    if header.sot.tile != part.tile || (length != part.length && length != 0) {
        return Err(corrupt(format!(
            "the index has a tile-part of tile {} where there is another",
            part.tile
        )));
    }
    Ok(())
}

/// All of a tile; at most `limit` bytes. They stay in memory if they are to be `kept`.
pub(super) async fn whole(
    index: &Index,
    tile: u32,
    limit: u64,
    kept: bool,
) -> Result<Vec<PartData>, RasterError> {
    let parts = index.of(tile);
    let total = parts.iter().fold(0u64, |sum, part| sum.saturating_add(part.length));
    if parts.is_empty() {
        return Err(corrupt(format!("tile {tile} is missing")));
    }
    if total > limit {
        return Err(RasterError::Limit {
            what: format!("tile {tile} has {total} compressed bytes"),
            option: "--max-decode-memory",
            allowed: limit,
        });
    }
    let mut found = Vec::with_capacity(parts.len());
    let joined = |a: &Part, b: &Part| a.offset.checked_add(a.length) == Some(b.offset);
    for run in parts.chunk_by(joined) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
        let range = first.offset..last.offset + last.length;
        let bytes = if kept { index.more(range).await? } else { index.read(range).await? };
        for part in run {
            let start = (part.offset - first.offset) as usize;
            let bytes = bytes.slice(start..start + part.length as usize);
            let Parsed::Done(header) = part_header(&bytes)? else {
                return Err(corrupt(format!("a tile-part of tile {tile} has no data")));
            };
            check(&header, part)?;
            let said = usize::from(header.sot.parts);
            if said > parts.len() {
                return Err(corrupt(format!(
                    "tile {tile} has {} of {said} tile-parts",
                    parts.len()
                )));
            }
            let data = header.data..bytes.len();
            let Part { offset, length, .. } = *part;
            found.push(PartData { offset, length, bytes, data });
        }
    }
    Ok(found)
}
