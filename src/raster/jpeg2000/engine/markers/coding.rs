//! COD, COC, QCD, QCC, RGN and POC: how components are coded (A.6), and which of them holds for a
//! component of a tile.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::order::{Order, Volume};
use super::reader::Reader;
use crate::raster::jpeg2000::engine::code_block::Style;
use crate::raster::jpeg2000::engine::error::{Error, Result};
use crate::raster::jpeg2000::engine::wavelet::Kernel;

/// Reads a code-block style (Table A.19 and T.814).
fn block_style(byte: u8) -> Result<Style> {
    if byte & 0x80 != 0 {
        return Err(Error::unsupported(
            "code-blocks of both kinds (T.800 and T.814) in one component",
        ));
    }
    let style = Style {
        bypass: byte & 1 != 0,
        reset: byte & 2 != 0,
        terminate_all: byte & 4 != 0,
        vertically_causal: byte & 8 != 0,
        predictable_termination: byte & 16 != 0,
        segmentation_symbols: byte & 32 != 0,
        ht: byte & 64 != 0,
    };
    if style.ht && byte & 0x37 != 0 {
        return Err(Error::corrupt(
            "a style of high-throughput code-blocks that T.814 does not allow",
        ));
    }
    Ok(style)
}

/// How a component is coded: the SPcod or SPcoc parameters (Table A.15).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CodingStyle {
    /// Decomposition levels, 0 to 32.
    pub levels: u8,
    /// Binary logarithm of the code-blocks' width, 2 to 10.
    pub block_width_exponent: u8,
    /// Binary logarithm of the code-blocks' height.
    pub block_height_exponent: u8,
    /// Code-block style.
    pub blocks: Style,
    /// The wavelet kernel.
    pub kernel: Kernel,
    /// Binary logarithms of the precincts' sizes by resolution; empty: 15 everywhere.
    pub precincts: Vec<(u8, u8)>,
}

impl CodingStyle {
    fn parse(reader: &mut Reader<'_>, own_precincts: bool) -> Result<Self> {
        let levels = reader.u8()?;
        let width = reader.u8()?;
        let height = reader.u8()?;
        if levels > 32 {
            return Err(Error::corrupt(format!("{levels} decomposition levels")));
        }
        if width > 8 || height > 8 || width + height > 8 {
            return Err(Error::corrupt("code-blocks of a size that the standard does not allow"));
        }
        let blocks = block_style(reader.u8()?)?;
        let kernel = match reader.u8()? {
            0 => Kernel::Irreversible97,
            1 => Kernel::Reversible53,
            other => return Err(Error::unsupported(format!("wavelet kernel {other}"))),
        };
        let mut precincts = Vec::new();
        if own_precincts {
            for resolution in 0..=levels {
                let byte = reader.u8()?;
                let size = (byte & 15, byte >> 4);
                if resolution > 0 && (size.0 == 0 || size.1 == 0) {
                    return Err(Error::corrupt("precincts that are narrower than a coefficient"));
                }
                precincts.push(size);
            }
        }
        Ok(Self {
            levels,
            block_width_exponent: width + 2,
            block_height_exponent: height + 2,
            blocks,
            kernel,
            precincts,
        })
    }

    /// Binary logarithms of width and height of the precincts of a resolution.
    #[must_use]
    pub(crate) fn precinct(&self, resolution: u8) -> (u8, u8) {
        self.precincts.get(usize::from(resolution)).copied().unwrap_or((15, 15))
    }
}

/// What COD says of all components of a tile together (Table A.14).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TileStyle {
    /// Progression order.
    pub order: Order,
    /// Quality layers.
    pub layers: u16,
    /// Whether a component transform is applied to the first three components.
    pub component_transform: bool,
    /// Whether SOP marker segments may stand in front of packets.
    pub sop: bool,
    /// Whether EPH markers stand behind packet headers.
    pub eph: bool,
}

/// How the steps of the sub-bands are told (Table A.28).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QuantisationStyle {
    /// No quantisation.
    None,
    /// One step; the others follow from it.
    Derived,
    /// A step for each sub-band.
    Expounded,
}

/// The quantisation of a component: QCD or QCC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Quantisation {
    /// How the steps are told.
    pub style: QuantisationStyle,
    /// Guard bits.
    pub guard_bits: u8,
    /// Exponent and mantissa by sub-band: LL, then HL, LH and HH of each resolution.
    pub steps: Vec<(u8, u16)>,
}

impl Quantisation {
    fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        let byte = reader.u8()?;
        let style = match byte & 31 {
            0 => QuantisationStyle::None,
            1 => QuantisationStyle::Derived,
            2 => QuantisationStyle::Expounded,
            other => return Err(Error::unsupported(format!("quantisation style {other}"))),
        };
        let mut steps = Vec::new();
        while !reader.is_empty() {
            if style == QuantisationStyle::None {
                steps.push((reader.u8()? >> 3, 0));
            } else {
                let step = reader.u16()?;
                steps.push((((step >> 11) & 31) as u8, step & 0x7ff));
            }
        }
        if steps.is_empty() {
            return Err(Error::corrupt("a quantisation without steps"));
        }
        Ok(Self { style, guard_bits: byte >> 5, steps })
    }
}

/// The marker segments of a main header or a tile's header that say how components are coded.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    cod: Option<(TileStyle, Arc<CodingStyle>)>,
    coc: BTreeMap<u16, Arc<CodingStyle>>,
    qcd: Option<Arc<Quantisation>>,
    qcc: BTreeMap<u16, Arc<Quantisation>>,
    rgn: BTreeMap<u16, u8>,
    /// Progression order changes.
    pub poc: Vec<Volume>,
}

/// Keeps a marker segment of which there may be one.
fn once<T>(slot: &mut Option<T>, value: T, name: &str) -> Result<()> {
    if slot.replace(value).is_some() {
        return Err(Error::corrupt(format!("two {name} marker segments in one header")));
    }
    Ok(())
}

impl Settings {
    /// Reads COD.
    ///
    /// # Errors
    /// If the segment breaks a rule or uses something unsupported.
    pub(crate) fn cod(&mut self, bytes: &[u8]) -> Result<()> {
        let mut reader = Reader::new(bytes, "COD");
        let scod = reader.u8()?;
        if scod & !7 != 0 {
            return Err(Error::unsupported(format!("coding style {scod:#x}")));
        }
        let order = Order::from_byte(reader.u8()?)?;
        let layers = reader.u16()?;
        let transform = reader.u8()?;
        if layers == 0 {
            return Err(Error::corrupt("no layers"));
        }
        if transform > 1 {
            return Err(Error::unsupported(format!("component transform {transform}")));
        }
        let style = CodingStyle::parse(&mut reader, scod & 1 != 0)?;
        reader.finish()?;
        let tile = TileStyle {
            order,
            layers,
            component_transform: transform == 1,
            sop: scod & 2 != 0,
            eph: scod & 4 != 0,
        };
        once(&mut self.cod, (tile, Arc::new(style)), "COD")
    }

    /// Reads COC.
    ///
    /// # Errors
    /// If the segment breaks a rule or uses something unsupported.
    pub(crate) fn coc(&mut self, bytes: &[u8], components: usize) -> Result<()> {
        let mut reader = Reader::new(bytes, "COC");
        let component = known(reader.component(components)?, components)?;
        let scoc = reader.u8()?;
        let style = CodingStyle::parse(&mut reader, scoc & 1 != 0)?;
        reader.finish()?;
        insert_once(&mut self.coc, component, Arc::new(style), "COC")
    }

    /// Reads QCD.
    ///
    /// # Errors
    /// If the segment breaks a rule or uses something unsupported.
    pub(crate) fn qcd(&mut self, bytes: &[u8]) -> Result<()> {
        let quantisation = Quantisation::parse(&mut Reader::new(bytes, "QCD"))?;
        once(&mut self.qcd, Arc::new(quantisation), "QCD")
    }

    /// Reads QCC.
    ///
    /// # Errors
    /// If the segment breaks a rule or uses something unsupported.
    pub(crate) fn qcc(&mut self, bytes: &[u8], components: usize) -> Result<()> {
        let mut reader = Reader::new(bytes, "QCC");
        let component = known(reader.component(components)?, components)?;
        let quantisation = Quantisation::parse(&mut reader)?;
        insert_once(&mut self.qcc, component, Arc::new(quantisation), "QCC")
    }

    /// Reads RGN.
    ///
    /// # Errors
    /// If the segment breaks a rule or uses something unsupported.
    pub(crate) fn rgn(&mut self, bytes: &[u8], components: usize) -> Result<()> {
        let mut reader = Reader::new(bytes, "RGN");
        let component = known(reader.component(components)?, components)?;
        let style = reader.u8()?;
        let shift = reader.u8()?;
        reader.finish()?;
        if style != 0 {
            return Err(Error::unsupported(format!("region of interest style {style}")));
        }
        insert_once(&mut self.rgn, component, shift, "RGN")
    }

    /// Reads POC; the volumes of several POCs in the headers of one tile follow each other.
    ///
    /// # Errors
    /// If the segment breaks a rule or uses something unsupported.
    pub(crate) fn poc(&mut self, bytes: &[u8], components: usize) -> Result<()> {
        let mut reader = Reader::new(bytes, "POC");
        while !reader.is_empty() {
            let resolution_start = reader.u8()?;
            let component_start = reader.component(components)?;
            let layer_end = reader.u16()?;
            let resolution_end = reader.u8()?;
            let component_end = match reader.component(components)? {
                0 => 16384,
                end => end,
            };
            let order = Order::from_byte(reader.u8()?)?;
            if resolution_end <= resolution_start || component_end <= component_start {
                return Err(Error::corrupt("POC: a progression of nothing"));
            }
            self.poc.push(Volume {
                order,
                resolutions: resolution_start..resolution_end,
                components: component_start..component_end,
                layers: layer_end,
            });
        }
        self.check_poc()
    }

    /// Refuses more progression order changes than any encoder writes.
    ///
    /// # Errors
    /// If there are too many.
    pub(crate) fn check_poc(&self) -> Result<()> {
        if self.poc.len() > MAX_VOLUMES {
            return Err(Error::Limit {
                what: "progression order changes",
                asked: self.poc.len() as u64,
                allowed: MAX_VOLUMES as u64,
            });
        }
        Ok(())
    }
}

/// Progression order changes that are believed.
const MAX_VOLUMES: usize = 1024;

fn known(component: u16, components: usize) -> Result<u16> {
    if usize::from(component) < components {
        Ok(component)
    } else {
        Err(Error::corrupt(format!("a marker segment for component {component} of {components}")))
    }
}

fn insert_once<T>(map: &mut BTreeMap<u16, T>, component: u16, value: T, name: &str) -> Result<()> {
    if map.insert(component, value).is_some() {
        return Err(Error::corrupt(format!(
            "two {name} marker segments for component {component} in one header"
        )));
    }
    Ok(())
}

/// What holds for one component of a tile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ComponentCoding {
    /// Its coding style.
    pub style: Arc<CodingStyle>,
    /// Its quantisation.
    pub quantisation: Arc<Quantisation>,
    /// Max-shift of its region of interest; 0: there is none.
    pub roi_shift: u8,
}

/// What holds for a tile.
#[derive(Debug, Clone)]
pub(crate) struct TileCoding {
    /// What holds for all components together.
    pub style: TileStyle,
    /// What holds for each.
    pub components: Vec<ComponentCoding>,
    /// Progression order changes; empty: the one order of `style`.
    pub poc: Vec<Volume>,
}

impl TileCoding {
    /// Lets a tile's header override the main header: tile COC before tile COD before main COC before main COD (A.6.1).
    ///
    /// # Errors
    /// If there is no COD or QCD.
    pub(crate) fn resolve(main: &Settings, tile: &Settings, components: usize) -> Result<Self> {
        let lacks = |name: &str| Error::corrupt(format!("there is no {name} marker segment"));
        let cod = tile.cod.as_ref().or(main.cod.as_ref()).ok_or_else(|| lacks("COD"))?;
        let of = |index: u16| -> Result<ComponentCoding> {
            let style = tile
                .coc
                .get(&index)
                .or_else(|| tile.cod.as_ref().map(|c| &c.1))
                .or_else(|| main.coc.get(&index))
                .unwrap_or(&cod.1);
            let quantisation = tile
                .qcc
                .get(&index)
                .or(tile.qcd.as_ref())
                .or_else(|| main.qcc.get(&index))
                .or(main.qcd.as_ref())
                .ok_or_else(|| lacks("QCD"))?;
            let roi = tile.rgn.get(&index).or_else(|| main.rgn.get(&index)).copied().unwrap_or(0);
            Ok(ComponentCoding {
                style: Arc::clone(style),
                quantisation: Arc::clone(quantisation),
                roi_shift: roi,
            })
        };
        let components = (0..components)
            .map(|c| of(u16::try_from(c).unwrap_or(u16::MAX)))
            .collect::<Result<Vec<_>>>()?;
        let poc = if tile.poc.is_empty() { main.poc.clone() } else { tile.poc.clone() };
        Ok(Self { style: cod.0, components, poc })
    }
}
