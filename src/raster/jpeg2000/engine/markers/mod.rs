//! Marker segments of the main header and the tile-part headers (ITU-T T.800, Annex A; the CAP marker of T.814).

mod coding;
mod main_header;
mod order;
pub(crate) mod plt;
mod reader;
mod siz;
mod tile_part;

pub(crate) use coding::{
    CodingStyle, ComponentCoding, Quantisation, QuantisationStyle, Settings, TileCoding, TileStyle,
};
pub(crate) use main_header::Codestream;
pub(crate) use order::{Order, Volume};
pub(crate) use siz::{ComponentSize, Siz};
pub(crate) use tile_part::{TilePart, TilePartAt, tile_parts};

/// The markers' codes (Table A.2).
pub(crate) mod code {
    pub(crate) const SOC: u16 = 0xff4f;
    pub(crate) const SOT: u16 = 0xff90;
    pub(crate) const SOD: u16 = 0xff93;
    pub(crate) const EOC: u16 = 0xffd9;
    pub(crate) const SIZ: u16 = 0xff51;
    pub(crate) const CAP: u16 = 0xff50;
    pub(crate) const COD: u16 = 0xff52;
    pub(crate) const COC: u16 = 0xff53;
    pub(crate) const RGN: u16 = 0xff5e;
    pub(crate) const QCD: u16 = 0xff5c;
    pub(crate) const QCC: u16 = 0xff5d;
    pub(crate) const POC: u16 = 0xff5f;
    pub(crate) const TLM: u16 = 0xff55;
    pub(crate) const PLM: u16 = 0xff57;
    pub(crate) const PLT: u16 = 0xff58;
    pub(crate) const PPM: u16 = 0xff60;
    pub(crate) const PPT: u16 = 0xff61;
    pub(crate) const EPH: u16 = 0xff92;
}

/// Refuses marker segments of Part 2 (T.801) that change how samples are decoded. Others can be skipped.
pub(crate) fn refuse_extension(marker: u16) -> crate::raster::jpeg2000::engine::Result<()> {
    if (0xff70..=0xff7f).contains(&marker) {
        return Err(crate::raster::jpeg2000::engine::Error::unsupported(format!(
            "marker segment {marker:#06x} of an extension"
        )));
    }
    Ok(())
}

/// A marker segment found in a header.
pub(crate) struct Found<'a> {
    /// The marker's code.
    pub marker: u16,
    /// The segment's content, behind the length; empty for a marker without a segment.
    pub content: &'a [u8],
    /// Where the next marker stands.
    pub next: usize,
}

/// Reads the marker at `at` with its segment. SOC, SOD and EOC have none.
pub(crate) fn next_marker(
    bytes: &[u8],
    at: usize,
) -> crate::raster::jpeg2000::engine::Result<Found<'_>> {
    use crate::raster::jpeg2000::engine::Error;
    let two = |at: usize| -> crate::raster::jpeg2000::engine::Result<u16> {
        match bytes.get(at..at + 2) {
            Some(&[high, low]) => Ok(u16::from_be_bytes([high, low])),
            _ => Err(Error::Incomplete { needed: at as u64 + 2 }),
        }
    };
    let marker = two(at)?;
    if marker < 0xff01 {
        return Err(Error::corrupt(format!(
            "{marker:#06x} where a marker should stand, at byte {at} of the header"
        )));
    }
    if matches!(marker, code::SOC | code::SOD | code::EOC | 0xff30..=0xff3f) {
        return Ok(Found { marker, content: &[], next: at + 2 });
    }
    let length = usize::from(two(at + 2)?);
    if length < 2 {
        return Err(Error::corrupt(format!("marker segment {marker:#06x} has length {length}")));
    }
    let next = at + 2 + length;
    let content = bytes.get(at + 4..next).ok_or(Error::Incomplete { needed: next as u64 })?;
    Ok(Found { marker, content, next })
}

#[cfg(test)]
mod tests;
