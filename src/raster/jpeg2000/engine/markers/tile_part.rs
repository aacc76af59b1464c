//! Tile-part headers: from SOT to SOD (A.4.2 to A.4.4, A.7.3, A.7.5), and how a whole codestream divides into
//! tile-parts.

use std::ops::Range;
use std::sync::Arc;

use super::coding::Settings;
use super::reader::Reader;
use super::{Codestream, code, next_marker, plt, refuse_extension};
use crate::raster::jpeg2000::engine::error::{Error, Result};

/// A tile-part's header.
#[derive(Debug, Clone)]
pub(crate) struct TilePart {
    /// The tile's index: Isot.
    pub tile: u32,
    /// The tile-part's index within the tile: `TPsot`.
    pub index: u8,
    /// The number of the tile's tile-parts: `TNsot`; 0: not told here.
    pub count: u8,
    /// Bytes from SOT to the end of the tile-part: Psot; 0: up to the end of the codestream.
    pub length: u32,
    /// Bytes from SOT up to the first byte behind SOD.
    pub header_length: usize,
    pub(crate) settings: Settings,
    /// Packet lengths from PLT, as far as they can be read.
    pub(crate) lengths: Option<Arc<[u32]>>,
    /// Whether that is all that PLT lists.
    pub(crate) lists_all: bool,
    /// Packet headers from PPT or PPM.
    pub(crate) packed: Option<Arc<[u8]>>,
}

impl TilePart {
    /// Reads a tile-part's header, which begins with SOT. Bytes behind SOD are not looked at; if some are missing the
    /// error is [`Error::Incomplete`].
    ///
    /// `ordinal` is the tile-part's number in the codestream, from 0. It matters only if the codestream
    /// [packs packet headers](Codestream::packs_headers) in its main header.
    ///
    /// # Errors
    /// [`Error::Incomplete`] if bytes are missing, or what is wrong with the header.
    pub(crate) fn parse(
        codestream: &Codestream,
        bytes: &[u8],
        ordinal: Option<usize>,
    ) -> Result<Self> {
        let components = codestream.siz.components.len();
        let first = next_marker(bytes, 0)?;
        if first.marker != code::SOT {
            return Err(Error::corrupt(format!("marker {:#06x} instead of SOT", first.marker)));
        }
        let mut sot = Reader::new(first.content, "SOT");
        let tile = u32::from(sot.u16()?);
        let length = sot.u32()?;
        let (index, count) = (sot.u8()?, sot.u8()?);
        sot.finish()?;
        if u64::from(tile) >= codestream.siz.tiles() {
            return Err(Error::corrupt(format!("tile {tile} of {}", codestream.siz.tiles())));
        }
        let mut settings = Settings::default();
        let mut headers: Vec<(u8, &[u8])> = Vec::new();
        let mut plt: Vec<(u8, &[u8])> = Vec::new();
        let mut lists_all = true;
        let mut at = first.next;
        loop {
            if length != 0 && at + 2 > length as usize {
                return Err(Error::corrupt("a tile-part's header is longer than the tile-part"));
            }
            let found = next_marker(bytes, at)?;
            at = found.next;
            match found.marker {
                code::SOD => break,
                code::POC => settings.poc(found.content, components)?,
                code::PPT => push_numbered(&mut headers, found.content, "PPT")?,
                code::PLT => match found.content {
                    [number, list @ ..] => plt.push((*number, list)),
                    [] => lists_all = false,
                },
                code::COD | code::COC | code::QCD | code::QCC | code::RGN if index != 0 => {
                    return Err(Error::corrupt(
                        "a coding style in a tile-part that is not the tile's first",
                    ));
                }
                code::COD => settings.cod(found.content)?,
                code::COC => settings.coc(found.content, components)?,
                code::QCD => settings.qcd(found.content)?,
                code::QCC => settings.qcc(found.content, components)?,
                code::RGN => settings.rgn(found.content, components)?,
                code::SOC
                | code::SIZ
                | code::SOT
                | code::EOC
                | code::CAP
                | code::PPM
                | code::TLM
                | code::PLM => {
                    return Err(Error::corrupt(format!(
                        "marker {:#06x} in a tile-part's header",
                        found.marker
                    )));
                }
                other => refuse_extension(other)?,
            }
        }
        if length != 0 && at > length as usize {
            return Err(Error::corrupt("a tile-part's header is longer than the tile-part"));
        }
        let packed = if codestream.packs_headers() {
            if !headers.is_empty() {
                return Err(Error::corrupt("both PPM and PPT"));
            }
            let ordinal =
                ordinal.ok_or_else(|| Error::unsupported("PPM without the tile-part's number"))?;
            let packed = codestream.packed_headers(ordinal);
            Some(
                packed
                    .ok_or_else(|| Error::corrupt("PPM has no packet headers for a tile-part"))?,
            )
        } else if headers.is_empty() {
            None
        } else {
            Some(join(headers, "PPT")?.into())
        };
        let listed = plt::listed(&plt);
        lists_all &= listed.is_all;
        let lengths = (!listed.lengths.is_empty()).then(|| listed.lengths.into());
        let header_length = at;
        Ok(Self { tile, index, count, length, header_length, settings, lengths, lists_all, packed })
    }

    /// The length of the body, from the first byte behind SOD; `None` if it goes on to the end of the codestream.
    #[must_use]
    pub(crate) fn body_length(&self) -> Option<u64> {
        (self.length != 0).then(|| u64::from(self.length).saturating_sub(self.header_length as u64))
    }

    /// Whether the header tells the packets' lengths (PLT).
    #[must_use]
    pub(crate) const fn tells_lengths(&self) -> bool {
        self.lengths.is_some()
    }
}

fn push_numbered<'a>(
    list: &mut Vec<(u8, &'a [u8])>,
    content: &'a [u8],
    name: &'static str,
) -> Result<()> {
    let mut reader = Reader::new(content, name);
    list.push((reader.u8()?, reader.rest()));
    Ok(())
}

/// Joins marker segments in the order of their numbers.
fn join(mut segments: Vec<(u8, &[u8])>, name: &str) -> Result<Vec<u8>> {
    segments.sort_by_key(|segment| segment.0);
    if segments.iter().enumerate().any(|(n, segment)| n != usize::from(segment.0)) {
        return Err(Error::corrupt(format!("the {name} marker segments are not numbered from 0")));
    }
    Ok(segments.iter().flat_map(|segment| segment.1).copied().collect())
}

/// A tile-part and where it stands in a whole codestream.
#[derive(Debug, Clone)]
pub(crate) struct TilePartAt {
    /// The header.
    pub header: TilePart,
    /// The bytes behind SOD.
    pub body: Range<usize>,
}

/// Divides a whole codestream into its tile-parts. A codestream that lacks its EOC is accepted; one that ends inside a
/// tile-part is not.
///
/// # Errors
/// What is wrong with a tile-part's header, or that the codestream ends inside a tile-part.
pub(crate) fn tile_parts(codestream: &Codestream, bytes: &[u8]) -> Result<Vec<TilePartAt>> {
    let mut parts = Vec::new();
    let mut at = codestream.header_length;
    loop {
        let rest = bytes.get(at..).unwrap_or(&[]);
        if rest.is_empty() || rest.starts_with(&code::EOC.to_be_bytes()) {
            break;
        }
        let cut = |error| match error {
            Error::Incomplete { .. } => {
                Error::corrupt("the codestream ends inside a tile-part's header")
            }
            other => other,
        };
        let header = TilePart::parse(codestream, rest, Some(parts.len())).map_err(cut)?;
        let end = if header.length == 0 {
            // Zeros behind EOC are padding.
            let unpadded = bytes.len() - bytes.iter().rev().take_while(|&&byte| byte == 0).count();
            let ends = bytes
                .get(..unpadded)
                .is_some_and(|bytes| bytes.ends_with(&code::EOC.to_be_bytes()));
            let end = if ends { unpadded - 2 } else { bytes.len() };
            end.max(at + header.header_length)
        } else {
            at + header.length as usize
        };
        if end > bytes.len() {
            return Err(Error::corrupt(format!(
                "the codestream ends {} bytes too early",
                end - bytes.len()
            )));
        }
        let body = at + header.header_length..end;
        at = end;
        parts.push(TilePartAt { header, body });
    }
    Ok(parts)
}
