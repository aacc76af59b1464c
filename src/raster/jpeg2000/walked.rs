//! What a walk found as a few bytes that outlive the process, where somebody keeps them
//! ([`Source::remember`]).
//!
//! Contract: what is recalled are lengths of packets of this tile, or nothing: the entry has to say
//! of the codestream and of the tile-parts what is known of them, and the packets have to fit into
//! them. What can't be seen here, lengths that are other packets', is seen when the packets are
//! read: a header that says another length is damage, and then nothing is recalled any more
//! ([`Windows::distrust`]).
//!
//! The form, all numbers little-endian: `S3JP`, a version of one byte; the tile in 4 bytes; how far
//! was read in 8; tile-parts in 4; then of each tile-part where its packets start and end in 8 bytes
//! each, 1 if all of them are known and else 0, how many are known in 4, and their lengths, seven bits
//! a byte as in PLT.
//!
//! [`Source::remember`]: crate::raster::Source::remember
//! [`Windows::distrust`]: super::windows::Windows::distrust

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::blocking::blocking;
use super::engine::Tile;
use super::index::Index;
use super::known::Known;
use crate::raster::About;

const MAGIC: &[u8; 5] = b"S3JP\x01";
/// What one of an entry's packets takes at least.
const LEAST_BYTES: usize = 1;

/// What is known of a tile with what an earlier walk found, if that is more.
pub(super) async fn recall(index: &Index, number: u32, known: &Known) -> Option<Known> {
    let bytes = index.recall(About::Packets(number)).await?;
    let known = known.clone();
    blocking(move |_| Ok(parse(number, &known, &bytes))).await.ok()?
}

/// Hands what is known of a tile to whoever keeps it.
pub(super) async fn remember(index: &Index, number: u32, known: &Known) {
    let known = known.clone();
    // There are up to some millions of them.
    if let Ok(bytes) = blocking(move |_| Ok(form(number, &known))).await {
        index.remember(About::Packets(number), bytes);
    }
}

fn form(number: u32, known: &Known) -> Bytes {
    let mut bytes = BytesMut::with_capacity(64 + 2 * known.packets());
    bytes.put_slice(MAGIC);
    bytes.put_u32_le(number);
    bytes.put_u64_le(known.walked);
    bytes.put_u32_le(known.bodies.len() as u32);
    for (part, body) in known.tile.parts().iter().zip(known.bodies.iter()) {
        let lengths = part.lengths.as_deref().unwrap_or_default();
        bytes.put_u64_le(body.start);
        bytes.put_u64_le(body.end);
        bytes.put_u8(part.complete.into());
        bytes.put_u32_le(lengths.len() as u32);
        for length in lengths {
            for shift in [28, 21, 14, 7] {
                if length >> shift > 0 {
                    bytes.put_u8((length >> shift & 0x7f) as u8 | 0x80);
                }
            }
            bytes.put_u8((length & 0x7f) as u8);
        }
    }
    bytes.freeze()
}

fn parse(number: u32, known: &Known, bytes: &[u8]) -> Option<Known> {
    let mut bytes = bytes.strip_prefix(MAGIC)?;
    let tile = bytes.try_get_u32_le().ok()?;
    let walked = bytes.try_get_u64_le().ok()?;
    let parts = bytes.try_get_u32_le().ok()? as usize;
    let all = known.bodies.iter().fold(0u64, |sum, body| sum.saturating_add(body.end - body.start));
    if tile != number || parts != known.bodies.len() || walked > all {
        return None;
    }
    let mut found = Tile::clone(&known.tile);
    for (part, body) in known.bodies.iter().enumerate() {
        let said = bytes.try_get_u64_le().ok()?..bytes.try_get_u64_le().ok()?;
        let is_all = match bytes.try_get_u8().ok()? {
            0 => false,
            1 => true,
            _ => return None,
        };
        let count = bytes.try_get_u32_le().ok()? as usize;
        if said != *body || count > bytes.len() / LEAST_BYTES {
            return None;
        }
        let lengths = (0..count).map(|_| length(&mut bytes)).collect::<Option<Vec<u32>>>()?;
        let sum = lengths.iter().fold(0u64, |sum, length| sum + u64::from(*length));
        let room = body.end - body.start;
        if sum > room || (is_all && sum != room) {
            return None;
        }
        let before = known.tile.parts().get(part)?;
        let known = before.lengths.as_ref().map_or(0, |lengths| lengths.len());
        if count > known || (count == known && is_all && !before.complete) {
            found.set_lengths(part, lengths, is_all);
        }
    }
    let mut found = Known { tile: Arc::new(found), walked, is_recalled: true, ..known.clone() };
    found.remembered = found.packets();
    (bytes.is_empty() && found.remembered > known.packets()).then_some(found)
}

/// A length of seven bits a byte.
fn length(bytes: &mut &[u8]) -> Option<u32> {
    let mut value = 0u32;
    loop {
        let byte = bytes.try_get_u8().ok()?;
        if value >> 25 != 0 {
            return None;
        }
        value = value << 7 | u32::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
}
