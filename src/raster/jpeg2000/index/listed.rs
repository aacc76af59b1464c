//! The index that the file has itself: TLM (T.800 A.7.1).

use super::origin::Origin;
use super::sot::LEAST_BYTES;
use super::tile_parts::{Part, TileParts};

/// Tile-parts of one image.
pub(super) const MAX_PARTS: usize = 1 << 20;

/// The tile-parts of TLM; `None` if there is none, or if they do not fill the codestream
/// exactly.
pub(super) fn tile_parts(origin: &Origin) -> Option<TileParts> {
    if origin.listed.is_empty() || origin.listed.len() > MAX_PARTS {
        return None;
    }
    let mut offset = origin.codestream.start.checked_add(origin.header_length)?;
    let mut parts = Vec::with_capacity(origin.listed.len());
    for (number, listed) in origin.listed.iter().enumerate() {
        let tile = listed.tile.map_or(number as u32, u32::from);
        let length = u64::from(listed.length);
        if tile >= origin.tiles || length < LEAST_BYTES {
            return None;
        }
        parts.push(Part { tile, offset, length });
        offset = offset.checked_add(length)?;
    }
    // Behind the last tile-part there is EOC alone.
    if offset.checked_add(2)? != origin.codestream.end {
        return None;
    }
    TileParts::new(&parts)
}
