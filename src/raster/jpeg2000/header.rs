//! The main header of a codestream (T.800 Annex A).
//!
//! Contract: [`parse`] reads the bytes from SOC on up to the first SOT, or says
//! how many it needs; it checks every number that arithmetic elsewhere relies on.
//! Marker segments that only help to find things (TLM, PLM, CRG, COM) are not
//! kept; those that change how packets are decoded are kept word for word.

use bytes::Bytes;

use super::window::{u8_at, u16_at, u32_at};
use crate::raster::error::corrupt;
use crate::raster::{RasterError, TileGrid};

/// Marker codes (Table A.2).
pub(super) mod marker {
    pub(crate) const SOC: u16 = 0xFF4F;
    pub(crate) const CAP: u16 = 0xFF50;
    pub(crate) const SIZ: u16 = 0xFF51;
    pub(crate) const COD: u16 = 0xFF52;
    pub(crate) const COC: u16 = 0xFF53;
    pub(crate) const TLM: u16 = 0xFF55;
    pub(crate) const PLM: u16 = 0xFF57;
    pub(crate) const PLT: u16 = 0xFF58;
    pub(crate) const QCD: u16 = 0xFF5C;
    pub(crate) const QCC: u16 = 0xFF5D;
    pub(crate) const RGN: u16 = 0xFF5E;
    pub(crate) const POC: u16 = 0xFF5F;
    pub(crate) const PPM: u16 = 0xFF60;
    pub(crate) const PPT: u16 = 0xFF61;
    pub(crate) const CRG: u16 = 0xFF63;
    pub(crate) const COM: u16 = 0xFF64;
    pub(crate) const SOT: u16 = 0xFF90;
    pub(crate) const SOD: u16 = 0xFF93;
    pub(crate) const EOC: u16 = 0xFFD9;
}

/// The bit of CAP that stands for T.814 (A.5.2).
const HIGH_THROUGHPUT: u32 = 1 << 17;
/// Main headers longer than this are not read.
const MAX_HEADER_BYTES: usize = 16 << 20;

/// A component of the image (Table A.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Component {
    /// Bits of a sample.
    pub(super) depth: u8,
    /// Whether samples have a sign.
    pub(super) signed: bool,
    /// Sub-sampling (XRsiz, YRsiz).
    pub(super) step: (u8, u8),
}

/// How a component is cut into code-blocks (Table A.15).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Coding {
    /// Decomposition levels: one less than there are resolutions.
    pub(super) levels: u8,
    /// Exponents of a code-block's width and height.
    pub(super) block: (u8, u8),
    /// Exponents of the precincts' width and height, from the lowest resolution.
    pub(super) precincts: Vec<(u8, u8)>,
    /// Whether samples come back exactly (the 5/3 wavelet).
    pub(super) reversible: bool,
}

/// Progression orders (Table A.16).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Layer, resolution, component, position.
    Lrcp,
    /// Resolution, layer, component, position.
    Rlcp,
    /// Resolution, position, component, layer.
    Rpcl,
    /// Those that do not start with layer or resolution.
    Other,
}

/// The defaults of coding (Table A.12).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Defaults {
    pub(super) order: Order,
    pub(super) layers: u16,
    /// Whether a marker follows each packet header.
    pub(super) eph: bool,
    /// Whether the first three components are transformed together.
    pub(super) transforms: bool,
}

/// A tile-part in the index of the main header (Table A.33).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listed {
    /// The tile; where it is not said, the tiles come in order.
    pub(super) tile: Option<u16>,
    /// From SOT to the end of the data.
    pub(super) length: u32,
}

/// What the main header says.
#[derive(Debug, Clone)]
pub(super) struct MainHeader {
    pub(super) grid: TileGrid,
    /// Rsiz, the capabilities a decoder needs.
    pub(super) capabilities: u16,
    pub(super) components: Vec<Component>,
    pub(super) defaults: Defaults,
    pub(super) coding: Coding,
    /// Components with a coding of their own (COC).
    pub(super) own_coding: Vec<(u16, Coding)>,
    /// COD, COC, QCD, QCC, RGN, POC, PPM: marker, and what follows its length.
    pub(super) segments: Vec<(u16, Bytes)>,
    /// The tile-parts as TLM lists them, in order; empty without TLM.
    pub(super) listed: Vec<Listed>,
    /// Whether there is TLM, right or wrong.
    pub(super) has_list: bool,
    /// Where the first SOT is, from SOC on.
    pub(super) length: usize,
    /// What cannot be decoded here, though the header is right.
    pub(super) unsupported: Option<String>,
}

impl MainHeader {
    /// Whether a marker segment is there.
    pub(super) fn has(&self, marker: u16) -> bool {
        self.segments.iter().any(|(found, _)| *found == marker)
    }

    /// Whether it transforms three components together and has fewer: then there is nothing
    /// to transform.
    pub(super) fn transforms_too_few(&self) -> bool {
        self.defaults.transforms && self.components.len() < 3
    }

    /// The coding of a component.
    pub(super) fn coding_of(&self, component: usize) -> &Coding {
        let own = self.own_coding.iter().rev().find(|(index, _)| usize::from(*index) == component);
        own.map_or(&self.coding, |(_, coding)| coding)
    }

    /// Decomposition levels that all components have.
    pub(super) fn common_levels(&self) -> u8 {
        let each = (0..self.components.len()).map(|component| self.coding_of(component).levels);
        each.min().unwrap_or(0)
    }
}

/// How far [`parse`] came.
#[derive(Debug)]
pub(super) enum Parsed {
    Done(Box<MainHeader>),
    /// At least so many bytes from SOC on are needed.
    More(usize),
}

/// Reads a main header; `bytes` start with SOC.
pub(super) fn parse(bytes: &Bytes) -> Result<Parsed, RasterError> {
    if u16_at(bytes, 0).is_some_and(|first| first != marker::SOC) {
        return Err(corrupt("the codestream does not start with SOC"));
    }
    let mut found = Found::default();
    let mut at = 2;
    loop {
        if at > MAX_HEADER_BYTES {
            return Err(corrupt("the main header is longer than 16 MiB"));
        }
        let Some(code) = u16_at(bytes, at) else { return Ok(Parsed::More(at + 4)) };
        if code == marker::SOT {
            break;
        }
        // Without parameters (Table A.1).
        if (0xFF30..=0xFF3F).contains(&code) {
            at += 2;
            continue;
        }
        if code < 0xFF4F || matches!(code, marker::SOC | marker::SOD | marker::EOC) {
            return Err(corrupt(format!("{code:#06X} is no marker of a main header")));
        }
        let Some(length) = u16_at(bytes, at + 2) else { return Ok(Parsed::More(at + 4)) };
        if length < 2 {
            return Err(corrupt(format!("marker segment {code:#06X} has length {length}")));
        }
        let end = at + 2 + usize::from(length);
        if bytes.len() < end {
            return Ok(Parsed::More(end + 2));
        }
        found.segment(code, bytes.slice(at + 4..end))?;
        at = end;
    }
    found.finish(at).map(|header| Parsed::Done(Box::new(header)))
}

/// What was found up to now.
#[derive(Default)]
struct Found {
    size: Option<(TileGrid, u16, Vec<Component>)>,
    cod: Option<(Defaults, Coding)>,
    own_coding: Vec<(u16, Coding)>,
    segments: Vec<(u16, Bytes)>,
    /// TLM segments, each with its number.
    lists: Vec<(u8, Bytes)>,
    unsupported: Option<String>,
}

impl Found {
    fn segment(&mut self, code: u16, body: Bytes) -> Result<(), RasterError> {
        let short = || corrupt(format!("marker segment {code:#06X} is too short"));
        if self.size.is_none() && code != marker::SIZ {
            return Err(corrupt("SIZ is not the first marker segment"));
        }
        match code {
            marker::SIZ if self.size.is_some() => return Err(corrupt("SIZ is there twice")),
            marker::SIZ => self.size = Some(size(&body)?),
            marker::COD => {
                let (defaults, coding) = self.cod(&body)?;
                self.cod = Some((defaults, coding));
            }
            marker::COC => {
                let wide = self.wide();
                let component = component_at(&body, wide).ok_or_else(short)?;
                let at = if wide { 2 } else { 1 };
                let style = u8_at(&body, at).ok_or_else(short)?;
                let coding = self.coding(&body, at + 1, style & 1 != 0)?;
                self.check_component(component)?;
                self.own_coding.push((component, coding));
            }
            marker::QCC | marker::RGN => {
                let component = component_at(&body, self.wide()).ok_or_else(short)?;
                self.check_component(component)?;
            }
            marker::TLM => {
                self.lists.push((u8_at(&body, 0).ok_or_else(short)?, body));
                return Ok(());
            }
            marker::PLM | marker::CRG | marker::COM => return Ok(()),
            marker::QCD | marker::POC | marker::PPM => {}
            // Of other parts of the standard than the one on high throughput (T.814).
            marker::CAP if u32_at(&body, 0).is_none_or(|parts| parts & !HIGH_THROUGHPUT != 0) => {
                self.refuse("it uses extensions (CAP) other than high-throughput coding");
                return Ok(());
            }
            marker::CAP => {}
            other => {
                self.refuse(&format!("it uses an extension (marker {other:#06X})"));
                return Ok(());
            }
        }
        if code != marker::SIZ {
            self.segments.push((code, body));
        }
        Ok(())
    }

    /// Whether a component's number takes two bytes.
    fn wide(&self) -> bool {
        self.size.as_ref().is_some_and(|(_, _, components)| components.len() >= 257)
    }

    fn check_component(&self, component: u16) -> Result<(), RasterError> {
        let count = self.size.as_ref().map_or(0, |(_, _, components)| components.len());
        if usize::from(component) >= count {
            return Err(corrupt(format!("there is no component {component}")));
        }
        Ok(())
    }

    fn refuse(&mut self, why: &str) {
        self.unsupported.get_or_insert_with(|| format!("the JPEG 2000 image: {why}"));
    }

    fn cod(&mut self, body: &[u8]) -> Result<(Defaults, Coding), RasterError> {
        let short = || corrupt("COD is too short");
        let style = u8_at(body, 0).ok_or_else(short)?;
        let order = match u8_at(body, 1).ok_or_else(short)? {
            0 => Order::Lrcp,
            1 => Order::Rlcp,
            2 => Order::Rpcl,
            3 | 4 => Order::Other,
            other => return Err(corrupt(format!("there is no progression order {other}"))),
        };
        let layers = u16_at(body, 2).ok_or_else(short)?;
        if layers == 0 {
            return Err(corrupt("COD has no layers"));
        }
        let transform = u8_at(body, 4).ok_or_else(short)?;
        if transform > 1 {
            self.refuse("it uses a transformation of components from an extension");
        }
        let coding = self.coding(body, 5, style & 1 != 0)?;
        let (eph, transforms) = (style & 4 != 0, transform == 1);
        Ok((Defaults { order, layers, eph, transforms }, coding))
    }

    fn coding(&mut self, body: &[u8], at: usize, listed: bool) -> Result<Coding, RasterError> {
        let short = || corrupt("a coding style is too short");
        let field = |index: usize| u8_at(body, at + index).ok_or_else(short);
        let levels = field(0)?;
        if levels > 32 {
            return Err(corrupt(format!("there are {levels} decomposition levels")));
        }
        if levels > 16 {
            self.refuse("it has more than 16 decomposition levels");
        }
        let (width, height) = (field(1)?.saturating_add(2), field(2)?.saturating_add(2));
        if width > 10 || height > 10 || width + height > 12 {
            return Err(corrupt(format!("code-blocks of 2^{width} x 2^{height} samples")));
        }
        if field(3)? & 0x80 != 0 {
            self.refuse("it mixes the code-blocks of T.800 and T.814");
        }
        if field(4)? > 1 {
            self.refuse("it uses a wavelet from an extension");
        }
        let mut precincts = vec![(15, 15); usize::from(levels) + 1];
        if listed {
            for (resolution, precinct) in precincts.iter_mut().enumerate() {
                let both = field(5 + resolution)?;
                *precinct = (both & 15, both >> 4);
                if resolution > 0 && (precinct.0 == 0 || precinct.1 == 0) {
                    return Err(corrupt("a precinct has no width or no height"));
                }
            }
        }
        let reversible = field(4)? == 1;
        Ok(Coding { levels, block: (width, height), precincts, reversible })
    }

    fn finish(mut self, length: usize) -> Result<MainHeader, RasterError> {
        let missing = |what| corrupt(format!("the main header has no {what}"));
        let (grid, capabilities, components) = self.size.take().ok_or_else(|| missing("SIZ"))?;
        let (defaults, coding) = self.cod.take().ok_or_else(|| missing("COD"))?;
        if !self.segments.iter().any(|(code, _)| *code == marker::QCD) {
            return Err(missing("QCD"));
        }
        self.lists.sort_by_key(|(number, _)| *number);
        Ok(MainHeader {
            grid,
            capabilities,
            components,
            defaults,
            coding,
            own_coding: self.own_coding,
            segments: self.segments,
            has_list: !self.lists.is_empty(),
            listed: listed(&self.lists).unwrap_or_default(),
            length,
            unsupported: self.unsupported,
        })
    }
}

/// SIZ (A.5.1), checked as B.2 and B.3 demand.
fn size(body: &[u8]) -> Result<(TileGrid, u16, Vec<Component>), RasterError> {
    let short = || corrupt("SIZ is too short");
    let capabilities = u16_at(body, 0).ok_or_else(short)?;
    let number = |index: usize| u32_at(body, 2 + 4 * index).ok_or_else(short);
    let pair = |index: usize| Ok::<_, RasterError>((number(index)?, number(index + 1)?));
    let grid = TileGrid {
        image_end: pair(0)?,
        image_start: pair(2)?,
        tile_size: pair(4)?,
        tile_start: pair(6)?,
    };
    let axis_is_right = |start: u32, end: u32, tile: u32, first: u32| {
        start < end
            && tile > 0
            && first <= start
            && u64::from(first) + u64::from(tile) > u64::from(start)
    };
    let (start, end, tile, first) =
        (grid.image_start, grid.image_end, grid.tile_size, grid.tile_start);
    if !axis_is_right(start.0, end.0, tile.0, first.0)
        || !axis_is_right(start.1, end.1, tile.1, first.1)
    {
        return Err(corrupt("the sizes of image and tiles contradict each other"));
    }
    let count = u16_at(body, 34).ok_or_else(short)?;
    if count == 0 || count > 16_384 {
        return Err(corrupt(format!("there are {count} components")));
    }
    let mut components = Vec::with_capacity(count.into());
    for index in 0..usize::from(count) {
        let field = |offset: usize| u8_at(body, 36 + 3 * index + offset).ok_or_else(short);
        let (depth, step) = (field(0)?, (field(1)?, field(2)?));
        if depth & 0x7F > 37 || step.0 == 0 || step.1 == 0 {
            return Err(corrupt(format!("component {index} has no right depth or step")));
        }
        components.push(Component { depth: (depth & 0x7F) + 1, signed: depth & 0x80 != 0, step });
    }
    Ok((grid, capabilities, components))
}

/// A component's number at the start of a segment.
fn component_at(body: &[u8], wide: bool) -> Option<u16> {
    if wide { u16_at(body, 0) } else { u8_at(body, 0).map(u16::from) }
}

/// The entries of all TLM segments; none if any is not as A.7.1 has it.
fn listed(lists: &[(u8, Bytes)]) -> Option<Vec<Listed>> {
    let mut all = Vec::new();
    for (_, body) in lists {
        let sizes = u8_at(body, 1)?;
        let tile_bytes = usize::from(sizes >> 4 & 3);
        let length_bytes = if sizes & 0x40 == 0 { 2 } else { 4 };
        if tile_bytes == 3 {
            return None;
        }
        let entries = body.get(2..)?.chunks_exact(tile_bytes + length_bytes);
        if !entries.remainder().is_empty() {
            return None;
        }
        for entry in entries {
            let tile = match tile_bytes {
                0 => None,
                1 => u8_at(entry, 0).map(u16::from),
                _ => u16_at(entry, 0),
            };
            let length = match length_bytes {
                2 => u16_at(entry, tile_bytes).map(u32::from),
                _ => u32_at(entry, tile_bytes),
            };
            all.push(Listed { tile, length: length? });
        }
    }
    Some(all)
}

#[cfg(test)]
mod tests;
