//! The division of the reference grid into tiles, tile-components, resolutions, sub-bands, precincts
//! and code-blocks (ITU-T T.800, B.2 to B.9).

pub(crate) use crate::raster::jpeg2000::engine::code_block::Orientation;
use crate::raster::jpeg2000::engine::markers::{CodingStyle, Siz};
use crate::raster::jpeg2000::engine::wavelet::Band;
pub(crate) use crate::raster::jpeg2000::engine::wavelet::Rect;

impl Rect {
    /// The least rectangle that contains both.
    #[must_use]
    pub(crate) fn union(&self, other: &Self) -> Self {
        if self.is_empty() {
            return *other;
        }
        if other.is_empty() {
            return *self;
        }
        Self {
            x0: self.x0.min(other.x0),
            y0: self.y0.min(other.y0),
            x1: self.x1.max(other.x1),
            y1: self.y1.max(other.y1),
        }
    }

    /// The rectangle on a grid that is coarser by the given factors (edges rounded up).
    #[must_use]
    pub(crate) fn divided(&self, dx: u32, dy: u32) -> Self {
        Self {
            x0: self.x0.div_ceil(dx.max(1)),
            y0: self.y0.div_ceil(dy.max(1)),
            x1: self.x1.div_ceil(dx.max(1)),
            y1: self.y1.div_ceil(dy.max(1)),
        }
    }

    /// The rectangle on a grid that is coarser by `2^levels` (edges rounded up).
    #[must_use]
    pub(crate) fn reduced(&self, levels: u32) -> Self {
        Self {
            x0: ceil_shift(self.x0, levels),
            y0: ceil_shift(self.y0, levels),
            x1: ceil_shift(self.x1, levels),
            y1: ceil_shift(self.y1, levels),
        }
    }
}

/// `value / 2^shift`, rounded up.
#[must_use]
// the quotient is at most `value`
pub(crate) fn ceil_shift(value: u32, shift: u32) -> u32 {
    if shift == 0 {
        value
    } else if shift > 32 {
        u32::from(value > 0)
    } else {
        ((u64::from(value) + ((1u64 << shift) - 1)) >> shift) as u32
    }
}

/// `value / 2^shift`, rounded down.
#[must_use]
pub(crate) const fn floor_shift(value: u32, shift: u32) -> u32 {
    if shift >= 32 { 0 } else { value >> shift }
}

impl Orientation {
    /// The three sub-bands of a resolution above the lowest, in the order of the codestream.
    pub(crate) const DETAILS: [Self; 3] = [Self::Hl, Self::Lh, Self::Hh];

    /// Whether the sub-band is high-pass horizontally and vertically: `xob` and `yob` of B-15.
    #[must_use]
    pub(crate) const fn high(self) -> (bool, bool) {
        match self {
            Self::Ll => (false, false),
            Self::Hl => (true, false),
            Self::Lh => (false, true),
            Self::Hh => (true, true),
        }
    }

    /// The sub-band's name in the wavelet's room.
    #[must_use]
    pub(crate) const fn band(self) -> Band {
        match self {
            Self::Ll => Band::Ll,
            Self::Hl => Band::Hl,
            Self::Lh => Band::Lh,
            Self::Hh => Band::Hh,
        }
    }

    /// The binary logarithm of the sub-band's gain (Table E.1).
    #[must_use]
    pub(crate) const fn log_gain(self) -> u8 {
        match self {
            Self::Ll => 0,
            Self::Hl | Self::Lh => 1,
            Self::Hh => 2,
        }
    }
}

/// The rectangle of a sub-band of decomposition level `level` (equation B-15).
#[must_use]
pub(crate) fn band_rect(component: &Rect, level: u32, orientation: Orientation) -> Rect {
    let (x_high, y_high) = orientation.high();
    let edge = |value: u32, high: bool| {
        if high && level > 0 {
            let half = 1u32.checked_shl(level - 1).unwrap_or(u32::MAX);
            ceil_shift(value.saturating_sub(half), level)
        } else {
            ceil_shift(value, level)
        }
    };
    Rect {
        x0: edge(component.x0, x_high),
        y0: edge(component.y0, y_high),
        x1: edge(component.x1, x_high),
        y1: edge(component.y1, y_high),
    }
}

/// One resolution of a tile-component and its division into precincts (B.5, B.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Resolution {
    /// The resolution's rectangle on its own grid.
    pub rect: Rect,
    /// Decomposition levels above this resolution: `NL - r`.
    pub above: u8,
    /// Binary logarithm of the precincts' width on the resolution's grid.
    pub precinct_width_exponent: u8,
    /// Binary logarithm of the precincts' height.
    pub precinct_height_exponent: u8,
    /// Precincts in a row.
    pub precincts_wide: u32,
    /// Precincts in a column.
    pub precincts_high: u32,
    /// Binary logarithm of the code-blocks' width in this resolution's sub-bands.
    pub block_width_exponent: u8,
    /// Binary logarithm of the code-blocks' height.
    pub block_height_exponent: u8,
    /// Whether this is the lowest resolution, which has one sub-band (LL) and not three.
    pub lowest: bool,
}

impl Resolution {
    /// The number of precincts.
    #[must_use]
    pub(crate) const fn precincts(&self) -> u64 {
        self.precincts_wide as u64 * self.precincts_high as u64
    }

    /// The sub-bands of this resolution.
    #[must_use]
    pub(crate) const fn orientations(&self) -> &'static [Orientation] {
        if self.lowest { &[Orientation::Ll] } else { &Orientation::DETAILS }
    }

    /// Binary logarithms of a precinct's width and height on the grid of a sub-band.
    #[must_use]
    pub(crate) const fn band_precinct_exponents(&self) -> (u32, u32) {
        let less = if self.lowest { 0 } else { 1 };
        (
            (self.precinct_width_exponent as u32).saturating_sub(less),
            (self.precinct_height_exponent as u32).saturating_sub(less),
        )
    }

    /// The index of a precinct's column and row in the whole plane (and not in this resolution).
    fn absolute(&self, precinct: u32) -> (u64, u64) {
        let wide = self.precincts_wide.max(1);
        (
            u64::from(floor_shift(self.rect.x0, self.precinct_width_exponent.into()))
                + u64::from(precinct % wide),
            u64::from(floor_shift(self.rect.y0, self.precinct_height_exponent.into()))
                + u64::from(precinct / wide),
        )
    }

    /// The part of a sub-band that belongs to a precinct, on the sub-band's grid.
    #[must_use]
    pub(crate) fn precinct_band_rect(&self, precinct: u32, band: &Rect) -> Rect {
        let (px, py) = self.absolute(precinct);
        let (xe, ye) = self.band_precinct_exponents();
        let clip = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        Rect {
            x0: clip(px << xe),
            y0: clip(py << ye),
            x1: clip((px + 1) << xe),
            y1: clip((py + 1) << ye),
        }
        .intersection(band)
    }

    /// Where a precinct stands on the reference grid, as the position progressions see it (B.12.1.3 to B.12.1.5):
    /// its upper left corner, or the tile's edge if the precinct begins before it.
    #[must_use]
    pub(crate) fn precinct_position(
        &self,
        precinct: u32,
        tile: &Rect,
        dx: u32,
        dy: u32,
    ) -> (u64, u64) {
        let (px, py) = self.absolute(precinct);
        let x = px << self.precinct_width_exponent;
        let y = py << self.precinct_height_exponent;
        let scale = |value: u64, low: u32, edge: u32, step: u32| {
            if value < u64::from(low) {
                u64::from(edge)
            } else {
                // at most 2^32 * 255 * 2^32 in theory; a value inside the tile fits in 32 bits by B-14
                value
                    .saturating_mul(u64::from(step))
                    .saturating_mul(1u64 << u32::from(self.above).min(40))
            }
        };
        (scale(x, self.rect.x0, tile.x0, dx), scale(y, self.rect.y0, tile.y0, dy))
    }

    /// The precincts (as columns and rows of this resolution) that touch a window of a sub-band.
    #[must_use]
    pub(crate) fn precincts_of(&self, window: &Rect) -> Rect {
        if window.is_empty() || self.precincts() == 0 {
            return Rect::default();
        }
        let (xe, ye) = self.band_precinct_exponents();
        let first_x = floor_shift(self.rect.x0, self.precinct_width_exponent.into());
        let first_y = floor_shift(self.rect.y0, self.precinct_height_exponent.into());
        Rect {
            x0: floor_shift(window.x0, xe).saturating_sub(first_x),
            y0: floor_shift(window.y0, ye).saturating_sub(first_y),
            x1: ceil_shift(window.x1, xe).saturating_sub(first_x).min(self.precincts_wide),
            y1: ceil_shift(window.y1, ye).saturating_sub(first_y).min(self.precincts_high),
        }
    }

    /// The grid of code-blocks over a part of a sub-band: columns and rows in the whole plane (B.7).
    #[must_use]
    pub(crate) fn block_grid(&self, part: &Rect) -> Rect {
        if part.is_empty() {
            return Rect::default();
        }
        let (xe, ye) = (self.block_width_exponent.into(), self.block_height_exponent.into());
        Rect {
            x0: floor_shift(part.x0, xe),
            y0: floor_shift(part.y0, ye),
            x1: ceil_shift(part.x1, xe),
            y1: ceil_shift(part.y1, ye),
        }
    }
}

/// A component's part of a tile with its resolutions (B.3, B.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TileComponent {
    /// The rectangle in the component's domain.
    pub rect: Rect,
    /// Horizontal distance of the component's samples on the reference grid.
    pub dx: u32,
    /// Vertical distance.
    pub dy: u32,
    /// The resolutions from the lowest.
    pub resolutions: Vec<Resolution>,
}

impl TileComponent {
    /// Divides a tile's component as its coding style says.
    #[must_use]
    pub(crate) fn new(tile: &Rect, dx: u32, dy: u32, style: &CodingStyle) -> Self {
        let rect = tile.divided(dx, dy);
        let levels = style.levels;
        let resolutions = (0..=levels)
            .map(|r| {
                let above = levels - r;
                let own = rect.reduced(above.into());
                let (pw, ph) = style.precinct(r);
                let less = u8::from(r > 0);
                let (wide, high) = if own.is_empty() {
                    (0, 0)
                } else {
                    (
                        ceil_shift(own.x1, pw.into()) - floor_shift(own.x0, pw.into()),
                        ceil_shift(own.y1, ph.into()) - floor_shift(own.y0, ph.into()),
                    )
                };
                Resolution {
                    rect: own,
                    above,
                    precinct_width_exponent: pw,
                    precinct_height_exponent: ph,
                    precincts_wide: wide,
                    precincts_high: high,
                    block_width_exponent: style.block_width_exponent.min(pw.saturating_sub(less)),
                    block_height_exponent: style.block_height_exponent.min(ph.saturating_sub(less)),
                    lowest: r == 0,
                }
            })
            .collect();
        Self { rect, dx, dy, resolutions }
    }

    /// The decomposition level whose sub-bands resolution `r` holds: `nb` of the standard.
    #[must_use]
    pub(crate) fn band_level(&self, r: usize) -> u32 {
        let levels = self.resolutions.len().saturating_sub(1);
        u32::try_from(if r == 0 { levels } else { levels + 1 - r.min(levels + 1) }).unwrap_or(0)
    }

    /// The rectangle of a sub-band of resolution `r` on its own grid.
    #[must_use]
    pub(crate) fn band(&self, r: usize, orientation: Orientation) -> Rect {
        band_rect(&self.rect, self.band_level(r), orientation)
    }
}

/// The rectangle of a tile on the reference grid (equations B-7 to B-10); `None` if there is no such tile.
#[must_use]
pub(crate) fn tile_rect(siz: &Siz, index: u32) -> Option<Rect> {
    let across = siz.tiles_across();
    if across == 0 || u64::from(index) >= siz.tiles() {
        return None;
    }
    let (p, q) = (u64::from(index % across), u64::from(index / across));
    let edge = |origin: u32, size: u32, n: u64, low: u32, high: u32| {
        let at = u64::from(origin) + n * u64::from(size);
        u32::try_from(at.clamp(low.into(), high.into())).unwrap_or(high)
    };
    let (image, tiles) = (&siz.image, &siz.tile_origin);
    Some(Rect {
        x0: edge(tiles.0, siz.tile_width, p, image.x0, image.x1),
        y0: edge(tiles.1, siz.tile_height, q, image.y0, image.y1),
        x1: edge(tiles.0, siz.tile_width, p + 1, image.x0, image.x1),
        y1: edge(tiles.1, siz.tile_height, q + 1, image.y0, image.y1),
    })
}

#[cfg(test)]
pub(crate) mod tests;
