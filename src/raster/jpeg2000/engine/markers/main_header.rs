//! The main header: everything in front of the first SOT (A.4.1, A.5, A.7, A.9).

use std::sync::Arc;

use super::coding::{Settings, TileCoding};
use super::reader::Reader;
use super::{Siz, code, next_marker, refuse_extension};
use crate::raster::jpeg2000::engine::error::{Error, Result};
use crate::raster::jpeg2000::engine::geometry::{Rect, tile_rect};

/// The bit of Pcap that stands for T.814, Part 15 (T.800 A.5.2).
const HT_PART: u32 = 1 << (32 - 15);

/// A codestream's main header.
#[derive(Debug, Clone)]
pub(crate) struct Codestream {
    /// Image, tile and component sizes.
    pub siz: Arc<Siz>,
    pub(crate) settings: Settings,
    /// Packed packet headers by tile-part, in the order of the tile-parts in the codestream; `None`: no PPM.
    packed: Option<Vec<Arc<[u8]>>>,
    /// Bytes from SOC up to the first SOT.
    pub header_length: usize,
    /// Whether CAP says that there are high-throughput code-blocks (T.814).
    pub ht: bool,
}

impl Codestream {
    /// Reads a main header, which begins with SOC. Bytes behind it are not looked at; if some are missing the error
    /// is [`Error::Incomplete`].
    ///
    /// # Errors
    /// [`Error::Incomplete`] if bytes are missing, or what is wrong with the header.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let first = next_marker(bytes, 0)?;
        if first.marker != code::SOC {
            return Err(Error::corrupt("there is no SOC at the start"));
        }
        let second = next_marker(bytes, first.next)?;
        if second.marker != code::SIZ {
            return Err(Error::corrupt("SIZ does not follow SOC"));
        }
        let siz = Siz::parse(second.content)?;
        let components = siz.components.len();
        let mut settings = Settings::default();
        let mut packed: Vec<(u8, &[u8])> = Vec::new();
        let mut ht = false;
        let mut at = second.next;
        loop {
            let found = next_marker(bytes, at)?;
            match found.marker {
                code::SOT => break,
                code::COD => settings.cod(found.content)?,
                code::COC => settings.coc(found.content, components)?,
                code::QCD => settings.qcd(found.content)?,
                code::QCC => settings.qcc(found.content, components)?,
                code::RGN => settings.rgn(found.content, components)?,
                code::POC => settings.poc(found.content, components)?,
                code::CAP => {
                    let parts = Reader::new(found.content, "CAP").u32()?;
                    if parts & !HT_PART != 0 {
                        return Err(Error::unsupported(format!("capabilities {parts:#010x}")));
                    }
                    ht |= parts & HT_PART != 0;
                }
                code::PPM => {
                    let mut reader = Reader::new(found.content, "PPM");
                    packed.push((reader.u8()?, reader.rest()));
                }
                code::SIZ | code::SOC | code::SOD | code::EOC | code::PLT | code::PPT => {
                    return Err(Error::corrupt(format!(
                        "marker {:#06x} in the main header",
                        found.marker
                    )));
                }
                // TLM, PLM, CRG, COM and what other parts of the standard add.
                other => refuse_extension(other)?,
            }
            at = found.next;
        }
        let packed = if packed.is_empty() { None } else { Some(unpack(packed)?) };
        let codestream = Self { siz: Arc::new(siz), settings, packed, header_length: at, ht };
        codestream.coding()?;
        Ok(codestream)
    }

    /// What holds for a tile whose own headers say nothing.
    ///
    /// # Errors
    /// If there is no COD or QCD.
    pub(crate) fn coding(&self) -> Result<TileCoding> {
        TileCoding::resolve(&self.settings, &Settings::default(), self.siz.components.len())
    }

    /// The rectangle of a tile on the reference grid; `None` if there is no such tile.
    #[must_use]
    pub(crate) fn tile_rect(&self, index: u32) -> Option<Rect> {
        tile_rect(&self.siz, index)
    }

    /// Whether the packet headers stand in the main header (PPM). Then a tile-part must be told its number.
    #[must_use]
    pub(crate) const fn packs_headers(&self) -> bool {
        self.packed.is_some()
    }

    /// The packet headers of the tile-part that is number `ordinal` in the codestream.
    #[must_use]
    pub(crate) fn packed_headers(&self, ordinal: usize) -> Option<Arc<[u8]>> {
        self.packed.as_ref()?.get(ordinal).cloned()
    }
}

/// Joins the PPM marker segments and divides them by tile-part (A.7.4).
fn unpack(mut segments: Vec<(u8, &[u8])>) -> Result<Vec<Arc<[u8]>>> {
    segments.sort_by_key(|segment| segment.0);
    if segments.iter().enumerate().any(|(n, segment)| n != usize::from(segment.0)) {
        return Err(Error::corrupt("the PPM marker segments are not numbered from 0"));
    }
    let joined: Vec<u8> = segments.iter().flat_map(|segment| segment.1).copied().collect();
    let mut reader = Reader::new(&joined, "PPM");
    let mut parts = Vec::new();
    while !reader.is_empty() {
        let length = reader.u32()?;
        parts.push(Arc::from(reader.take(length as usize)?));
    }
    Ok(parts)
}
