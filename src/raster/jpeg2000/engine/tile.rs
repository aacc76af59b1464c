//! A tile: its geometry, how it is coded, and what is known of its tile-parts.

use std::sync::Arc;

use crate::raster::jpeg2000::engine::error::{Error, Result};
use crate::raster::jpeg2000::engine::geometry::{Orientation, Rect, TileComponent};
use crate::raster::jpeg2000::engine::markers::{Codestream, Settings, Siz, TileCoding, TilePart};
use crate::raster::jpeg2000::engine::progression::Packets;
use crate::raster::jpeg2000::engine::quantise::band_steps;

/// What is known of one tile-part of a tile.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// The length of the body behind SOD; `None`: up to the end of the codestream.
    pub body_length: Option<u64>,
    /// The lengths of the first packets.
    pub(crate) lengths: Option<Arc<[u32]>>,
    /// Whether `lengths` are those of all of the tile-part's packets.
    pub(crate) complete: bool,
    /// Packet headers that stand in PPM or PPT.
    pub(crate) packed: Option<Arc<[u8]>>,
}

/// A tile of a codestream. It holds no packets.
#[derive(Debug, Clone)]
pub(crate) struct Tile {
    siz: Arc<Siz>,
    index: u32,
    rect: Rect,
    coding: TileCoding,
    components: Vec<TileComponent>,
    parts: Vec<Part>,
}

impl Tile {
    /// A tile from the headers of its tile-parts, which must be in order and may lack the last ones.
    ///
    /// # Errors
    /// If the headers do not belong together, or what they say contradicts itself.
    pub(crate) fn new(codestream: &Codestream, headers: &[TilePart]) -> Result<Self> {
        let first = headers.first().ok_or_else(|| Error::corrupt("a tile without tile-parts"))?;
        let index = first.tile;
        let rect = codestream
            .tile_rect(index)
            .ok_or_else(|| Error::corrupt(format!("there is no tile {index}")))?;
        let mut settings = Settings::default();
        let mut parts = Vec::with_capacity(headers.len());
        for (number, header) in headers.iter().enumerate() {
            // Their numbers (TPsot) are not believed: some writers leave them 0.
            if header.tile != index {
                return Err(Error::corrupt(format!(
                    "tile-part {number} of tile {index} is one of tile {}",
                    header.tile
                )));
            }
            if number == 0 {
                settings = header.settings.clone();
            } else {
                settings.poc.extend_from_slice(&header.settings.poc);
                settings.check_poc()?;
            }
            parts.push(Part {
                body_length: header.body_length(),
                lengths: header.lengths.clone(),
                complete: header.lengths.is_some() && header.lists_all,
                packed: header.packed.clone(),
            });
        }
        let siz = Arc::clone(&codestream.siz);
        let coding = TileCoding::resolve(&codestream.settings, &settings, siz.components.len())?;
        let components = siz
            .components
            .iter()
            .zip(&coding.components)
            .map(|(size, coding)| {
                TileComponent::new(&rect, size.dx.into(), size.dy.into(), &coding.style)
            })
            .collect();
        let mut tile = Self { siz, index, rect, coding, components, parts };
        tile.check_component_transform()?;
        Ok(tile)
    }

    /// Checks that the first three components agree if there is a component transform (G.2, G.3). Of fewer than three
    /// components there cannot be one, whatever COD says.
    fn check_component_transform(&mut self) -> Result<()> {
        if !self.coding.style.component_transform {
            return Ok(());
        }
        let (Some([a, b, c]), Some([x, y, z])) =
            (self.components.get(..3), self.coding.components.get(..3))
        else {
            self.coding.style.component_transform = false;
            return Ok(());
        };
        let kernel = x.style.kernel;
        if a.rect != b.rect
            || a.rect != c.rect
            || y.style.kernel != kernel
            || z.style.kernel != kernel
        {
            return Err(Error::corrupt("a component transform of components that do not agree"));
        }
        Ok(())
    }

    /// The tile's index.
    #[must_use]
    pub(crate) const fn index(&self) -> u32 {
        self.index
    }

    /// The tile's rectangle on the reference grid.
    #[must_use]
    pub(crate) const fn rect(&self) -> Rect {
        self.rect
    }

    /// Image and component sizes.
    #[must_use]
    pub(crate) fn siz(&self) -> &Siz {
        &self.siz
    }

    /// How the tile is coded.
    #[must_use]
    pub(crate) const fn coding(&self) -> &TileCoding {
        &self.coding
    }

    /// The tile's components.
    #[must_use]
    pub(crate) fn components(&self) -> &[TileComponent] {
        &self.components
    }

    /// The tile-parts.
    #[must_use]
    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The largest reduction that all components allow.
    #[must_use]
    pub(crate) fn most_reduction(&self) -> u8 {
        self.coding.components.iter().map(|coding| coding.style.levels).min().unwrap_or(0)
    }

    /// The tile's packets in the order of the codestream.
    #[must_use]
    pub(crate) fn packets(&self) -> Packets<'_> {
        let style = &self.coding.style;
        Packets::new(self.rect, &self.components, style.order, style.layers, &self.coding.poc)
    }

    /// Sets the length of a tile-part's body whose header does not tell it (Psot 0).
    pub(crate) fn set_body_length(&mut self, part: usize, length: u64) {
        if let Some(part) = self.parts.get_mut(part) {
            part.body_length = Some(length);
        }
    }

    /// Sets the lengths of a tile-part's first packets, as a [`Walker`](crate::raster::jpeg2000::engine::Walker) found them. `complete` says that
    /// the tile-part has no more packets.
    pub(crate) fn set_lengths(
        &mut self,
        part: usize,
        lengths: impl Into<Arc<[u32]>>,
        complete: bool,
    ) {
        if let Some(part) = self.parts.get_mut(part) {
            part.lengths = Some(lengths.into());
            part.complete = complete;
        }
    }

    /// Forgets the lengths that PLT tells, if they are not to be believed.
    pub(crate) fn forget_lengths(&mut self) {
        for part in &mut self.parts {
            part.lengths = None;
            part.complete = false;
        }
    }

    /// The sub-bands of a resolution: rectangle and number of bit-planes.
    pub(crate) fn bands(&self, component: usize, r: usize) -> Result<Vec<(Orientation, Rect, u8)>> {
        let none = || Error::corrupt(format!("there is no component {component}"));
        let geometry = self.components.get(component).ok_or_else(none)?;
        let coding = self.coding.components.get(component).ok_or_else(none)?;
        let depth = self.siz.components.get(component).ok_or_else(none)?.depth;
        let resolution = geometry.resolutions.get(r).ok_or_else(none)?;
        resolution
            .orientations()
            .iter()
            .map(|&orientation| {
                let steps = band_steps(coding, depth, r, orientation)?;
                Ok((orientation, geometry.band(r, orientation), steps.bit_planes))
            })
            .collect()
    }
}
