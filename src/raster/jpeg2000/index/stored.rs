//! An index as a few bytes that outlive the process, where somebody keeps them
//! ([`Source::remember`]).
//!
//! Contract: what is recalled is an index of this codestream, or nothing. It has to say
//! of the codestream what its header says, and its tile-parts have to fill it. What can't
//! be seen here, a tile-part that is another one's, is seen when its SOT is read.
//!
//! The form, all numbers little-endian: `S3J2`, a version of one byte; start, end and
//! header length of the codestream in 8 bytes each; the end of the last tile-part in 8;
//! tiles and tile-parts in 4 each; then of each tile-part its tile in 2 bytes and its
//! length in 4 (0 if it has 4 GiB or more, as the last one may).
//!
//! [`Source::remember`]: crate::raster::Source::remember

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::listed::MAX_PARTS;
use super::origin::Origin;
use super::sot::LEAST_BYTES;
use super::tile_parts::{Part, TileParts};
use crate::raster::About;

const MAGIC: &[u8; 5] = b"S3J2\x01";

/// The index that is remembered of this version, if there is one and it fits.
pub(super) async fn recall(origin: &Origin) -> Option<TileParts> {
    let bytes = origin.source.recall(About::TileParts).await?;
    parse(origin, &bytes)
}

/// Hands an index to whoever keeps it.
pub(super) fn remember(origin: &Origin, parts: &TileParts) {
    origin.source.remember(About::TileParts, form(origin, parts));
}

fn form(origin: &Origin, parts: &TileParts) -> Bytes {
    let mut bytes = BytesMut::with_capacity(48 + 6 * parts.len());
    bytes.put_slice(MAGIC);
    bytes.put_u64_le(origin.codestream.start);
    bytes.put_u64_le(origin.codestream.end);
    bytes.put_u64_le(origin.header_length);
    bytes.put_u64_le(parts.range().end);
    bytes.put_u32_le(origin.tiles);
    bytes.put_u32_le(parts.len() as u32);
    for part in parts.iter() {
        bytes.put_u16_le(part.tile as u16);
        bytes.put_u32_le(u32::try_from(part.length).unwrap_or(0));
    }
    bytes.freeze()
}

/// The index in these bytes; `None` if they are no index of this codestream.
pub(super) fn parse(origin: &Origin, bytes: &[u8]) -> Option<TileParts> {
    let mut bytes = bytes.strip_prefix(MAGIC)?;
    let said = [bytes.try_get_u64_le().ok()?, bytes.try_get_u64_le().ok()?];
    let header_length = bytes.try_get_u64_le().ok()?;
    let end = bytes.try_get_u64_le().ok()?;
    let tiles = bytes.try_get_u32_le().ok()?;
    let count = bytes.try_get_u32_le().ok()? as usize;
    let stream = &origin.codestream;
    let is_of_it = said == [stream.start, stream.end]
        && header_length == origin.header_length
        && tiles == origin.tiles;
    if !is_of_it || count == 0 || count > MAX_PARTS || bytes.len() != 6 * count {
        return None;
    }
    let mut at = origin.first();
    let mut parts = Vec::with_capacity(count);
    for position in 0..count {
        let tile = u32::from(bytes.try_get_u16_le().ok()?);
        let length = match u64::from(bytes.try_get_u32_le().ok()?) {
            0 if position + 1 == count => end.checked_sub(at)?,
            length => length,
        };
        if tile >= tiles || length < LEAST_BYTES {
            return None;
        }
        parts.push(Part { tile, offset: at, length });
        at = at.checked_add(length)?;
    }
    // Behind the last one there is EOC, or less than another one.
    let rest = stream.end.checked_sub(at)?;
    (at == end && rest < LEAST_BYTES).then(|| TileParts::new(&parts)).flatten()
}
