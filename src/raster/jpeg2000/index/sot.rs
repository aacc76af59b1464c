//! SOT, the marker segment that a tile-part starts with (T.800 A.4.2).

use super::origin::Origin;
use crate::raster::RasterError;
use crate::raster::error::corrupt;
use crate::raster::jpeg2000::header::marker;
use crate::raster::jpeg2000::window::{u8_at, u16_at, u32_at};

/// SOT with its parameters.
pub(in crate::raster::jpeg2000) const SOT_BYTES: u64 = 12;
/// The least that a tile-part has: SOT and SOD.
pub(super) const LEAST_BYTES: u64 = SOT_BYTES + 2;

/// What SOT says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::raster::jpeg2000) struct Sot {
    pub(in crate::raster::jpeg2000) tile: u32,
    /// Psot: 0 if the tile-part reaches to EOC.
    pub(in crate::raster::jpeg2000) length: u32,
    /// TNsot: how many tile-parts the tile has; 0 if it is not said.
    pub(in crate::raster::jpeg2000) parts: u8,
}

/// Reads SOT.
pub(in crate::raster::jpeg2000) fn sot(bytes: &[u8]) -> Option<Sot> {
    if u16_at(bytes, 0)? != marker::SOT || u16_at(bytes, 2)? != 10 {
        return None;
    }
    let tile = u32::from(u16_at(bytes, 4)?);
    Some(Sot { tile, length: u32_at(bytes, 6)?, parts: u8_at(bytes, 11)? })
}

/// How long the tile-part at `at` is by its SOT, which `bytes` start with; `None` if it
/// reaches to EOC.
///
/// # Errors
/// There is no tile-part, or none that can be.
pub(super) fn length(origin: &Origin, bytes: &[u8], at: u64) -> Result<Option<u64>, RasterError> {
    let end = origin.codestream.end;
    let Sot { tile, length, .. } = sot(bytes).ok_or_else(|| {
        corrupt(format!("there is no tile-part at byte {at}, where one should be"))
    })?;
    if tile >= origin.tiles {
        return Err(corrupt(format!("there is a tile-part of tile {tile} of {}", origin.tiles)));
    }
    let length = u64::from(length);
    if length == 0 {
        return Ok(None);
    }
    if length < LEAST_BYTES {
        return Err(corrupt(format!("a tile-part of tile {tile} has {length} bytes")));
    }
    if length > end.saturating_sub(at) {
        return Err(corrupt(format!(
            "a tile-part of tile {tile} ends {} bytes behind the codestream",
            length - end.saturating_sub(at)
        )));
    }
    Ok(Some(length))
}
