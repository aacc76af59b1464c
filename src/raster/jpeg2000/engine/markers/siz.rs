//! SIZ: image, tile and component sizes (A.5.1).

use super::reader::Reader;
use crate::raster::jpeg2000::engine::error::{Error, Result};
use crate::raster::jpeg2000::engine::geometry::Rect;

/// Size and precision of one component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ComponentSize {
    /// Bits of a sample, the sign included: 1 to 38.
    pub depth: u8,
    /// Whether samples are signed.
    pub signed: bool,
    /// Horizontal distance of samples on the reference grid.
    pub dx: u8,
    /// Vertical distance.
    pub dy: u8,
}

/// The SIZ marker segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Siz {
    /// Rsiz: the capabilities that a decoder needs.
    pub capabilities: u16,
    /// The image area on the reference grid.
    pub image: Rect,
    /// Width of a tile on the reference grid.
    pub tile_width: u32,
    /// Height of a tile.
    pub tile_height: u32,
    /// Upper left corner of the first tile.
    pub tile_origin: (u32, u32),
    /// The components.
    pub components: Vec<ComponentSize>,
}

impl Siz {
    /// Reads the segment's content and checks it.
    ///
    /// # Errors
    /// If the sizes contradict each other.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, "SIZ");
        let capabilities = reader.u16()?;
        let (x1, y1) = (reader.u32()?, reader.u32()?);
        let (x0, y0) = (reader.u32()?, reader.u32()?);
        let (tile_width, tile_height) = (reader.u32()?, reader.u32()?);
        let tile_origin = (reader.u32()?, reader.u32()?);
        let count = usize::from(reader.u16()?);
        let image = Rect { x0, y0, x1, y1 };
        if image.is_empty() || tile_width == 0 || tile_height == 0 {
            return Err(Error::corrupt("SIZ: the image or its tiles are empty"));
        }
        let first_ends_behind = |origin: u32, size: u32, low: u32| {
            origin <= low && u64::from(origin) + u64::from(size) > u64::from(low)
        };
        if !first_ends_behind(tile_origin.0, tile_width, x0)
            || !first_ends_behind(tile_origin.1, tile_height, y0)
        {
            return Err(Error::corrupt("SIZ: the first tile does not contain the image's corner"));
        }
        if count == 0 || count > 16384 {
            return Err(Error::corrupt(format!("SIZ: {count} components")));
        }
        let mut components = Vec::with_capacity(count.min(bytes.len() / 3));
        for index in 0..count {
            let (ssiz, dx, dy) = (reader.u8()?, reader.u8()?, reader.u8()?);
            let depth = (ssiz & 0x7f) + 1;
            if depth > 38 || dx == 0 || dy == 0 {
                return Err(Error::corrupt(format!(
                    "SIZ: component {index} has depth {depth} and steps {dx}x{dy}"
                )));
            }
            components.push(ComponentSize { depth, signed: ssiz & 0x80 != 0, dx, dy });
        }
        reader.finish()?;
        let siz = Self { capabilities, image, tile_width, tile_height, tile_origin, components };
        if siz.tiles() > 65535 {
            return Err(Error::corrupt(format!("SIZ: {} tiles", siz.tiles())));
        }
        Ok(siz)
    }

    /// Tiles in a row.
    #[must_use]
    pub(crate) const fn tiles_across(&self) -> u32 {
        (self.image.x1 - self.tile_origin.0).div_ceil(self.tile_width)
    }

    /// Tiles in a column.
    #[must_use]
    pub(crate) const fn tiles_down(&self) -> u32 {
        (self.image.y1 - self.tile_origin.1).div_ceil(self.tile_height)
    }

    /// The number of tiles.
    #[must_use]
    pub(crate) const fn tiles(&self) -> u64 {
        self.tiles_across() as u64 * self.tiles_down() as u64
    }
}
