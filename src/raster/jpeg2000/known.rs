//! Tiles whose headers were read: how they are coded, and where each of their packets is, as
//! far as that was found.
//!
//! What was found is kept as long as there is room, [`KEPT_BYTES`] for all images, and counted
//! in the memory of whoever owns the source.

use std::fmt::Debug;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::future::try_join_all;
use lru::LruCache;

use super::decode::failed;
use super::engine::{Codestream, Error, Tile, TilePart};
use super::fetch::grow;
use super::index::{Index, Part};
use crate::raster::error::corrupt;
use crate::raster::{Kept, RasterError};

/// What may be kept of all images, in bytes.
const KEPT_BYTES: u64 = 32 << 20;
/// And of how many tiles.
const KEPT_TILES: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
/// What a tile takes besides its packets.
const TILE_BYTES: u64 = 4 << 10;
/// How many headers are read at a time.
const HEADERS_AT_ONCE: usize = 16;
/// What is read first of a tile-part.
const FIRST_BYTES: u64 = 16 << 10;

/// A tile whose headers were read.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) tile: Arc<Tile>,
    /// Where the packets of each tile-part are, in the object.
    pub(super) bodies: Arc<[Range<u64>]>,
    /// How many bytes were read to find packets.
    pub(super) walked: u64,
}

impl Known {
    /// Where bytes of a tile-part's packets are in the object.
    pub(super) fn place(&self, part: usize, range: Range<u64>) -> Range<u64> {
        let body = self.bodies.get(part).cloned().unwrap_or_default();
        let at = |offset: u64| body.start.saturating_add(offset).min(body.end);
        at(range.start)..at(range.end)
    }

    fn bytes(&self) -> u64 {
        let of = |part: &super::engine::Part| {
            let lengths = part.lengths.as_ref().map_or(0, |lengths| 4 * lengths.len());
            lengths + part.packed.as_ref().map_or(0, |packed| packed.len()) + 64
        };
        TILE_BYTES + self.tile.parts().iter().map(of).sum::<usize>() as u64
    }
}

/// Reads the headers of a tile's tile-parts, of at most `limit` bytes each.
///
/// # Errors
/// What is wrong with them, or reading failed with.
pub(super) async fn read(
    codestream: &Codestream,
    index: &Index,
    tile: u32,
    limit: u64,
) -> Result<Known, RasterError> {
    let parts = index.of(tile);
    if parts.is_empty() {
        return Err(corrupt(format!("tile {tile} is missing")));
    }
    let mut headers = Vec::with_capacity(parts.len());
    for some in parts.chunks(HEADERS_AT_ONCE) {
        let read = some.iter().map(|part| header(codestream, index, part, limit));
        headers.extend(try_join_all(read).await?);
    }
    let body = |(part, header): (&Part, &TilePart)| {
        part.offset + header.header_length as u64..part.offset + part.length
    };
    let bodies: Vec<_> = parts.iter().zip(&headers).map(body).collect();
    let mut tile = Tile::new(codestream, &headers).map_err(failed)?;
    let mut is_wrong = false;
    for (number, (header, body)) in headers.iter().zip(&bodies).enumerate() {
        let length = body.end.saturating_sub(body.start);
        tile.set_body_length(number, length);
        let Some(lengths) = &header.lengths else { continue };
        let sum = lengths.iter().fold(0u64, |sum, length| sum + u64::from(*length));
        is_wrong |= sum > length;
        tile.set_lengths(number, Arc::clone(lengths), sum == length);
    }
    // What contradicts the tile-parts is not believed.
    if is_wrong {
        tile.forget_lengths();
    }
    Ok(Known { tile: Arc::new(tile), bodies: bodies.into(), walked: 0 })
}

async fn header(
    codestream: &Codestream,
    index: &Index,
    part: &Part,
    limit: u64,
) -> Result<TilePart, RasterError> {
    let ordinal = || index.parts().iter().take_while(|other| other.offset < part.offset).count();
    let ordinal = codestream.packs_headers().then(ordinal);
    let mut bytes: Bytes = index.prefix(part, FIRST_BYTES).await?;
    let header = loop {
        match TilePart::parse(codestream, &bytes, ordinal) {
            Ok(header) => break header,
            Err(Error::Incomplete { needed }) => {
                // PLT comes in segments of 64 KiB at most, one behind the other.
                let length = needed.max(2 * bytes.len() as u64).min(part.length);
                if length > limit {
                    return Err(RasterError::Limit {
                        what: format!("the header of a tile-part has {length} bytes or more"),
                        option: "--max-decode-memory",
                        allowed: limit,
                    });
                }
                bytes = grow(index, part, bytes, length).await?;
            }
            Err(error) => return Err(failed(error)),
        }
    };
    let said = u64::from(header.length);
    if header.tile != part.tile || (said != part.length && said != 0) {
        return Err(corrupt(format!(
            "the index has a tile-part of tile {} where there is another",
            part.tile
        )));
    }
    Ok(header)
}

/// A tile that is kept, with what counts it.
#[derive(Debug)]
struct Entry {
    known: Known,
    bytes: u64,
    _counted: Option<Kept>,
}

#[derive(Debug)]
struct Shelf {
    entries: LruCache<(u64, u32), Entry>,
    bytes: u64,
}

static SHELF: LazyLock<Mutex<Shelf>> =
    LazyLock::new(|| Mutex::new(Shelf { entries: LruCache::new(KEPT_TILES), bytes: 0 }));

fn shelf() -> MutexGuard<'static, Shelf> {
    SHELF.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An image's place on the shelf, for as long as the image is open.
#[derive(Debug)]
pub(super) struct Place(u64);

impl Place {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Place(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// What is known of a tile.
    pub(super) fn get(&self, tile: u32) -> Option<Known> {
        shelf().entries.get(&(self.0, tile)).map(|entry| entry.known.clone())
    }

    /// Keeps what is known of a tile in place of what was known before.
    pub(super) fn put(&self, tile: u32, known: &Known, index: &Index) {
        let bytes = known.bytes();
        if bytes > KEPT_BYTES {
            return;
        }
        let entry = Entry { known: known.clone(), bytes, _counted: index.count(bytes) };
        let mut shelf = shelf();
        shelf.bytes += bytes;
        if let Some((_, before)) = shelf.entries.push((self.0, tile), entry) {
            shelf.bytes = shelf.bytes.saturating_sub(before.bytes);
        }
        while shelf.bytes > KEPT_BYTES
            && let Some((_, oldest)) = shelf.entries.pop_lru()
        {
            shelf.bytes = shelf.bytes.saturating_sub(oldest.bytes);
        }
    }

    /// Forgets all of the image.
    pub(super) fn clear(&self) {
        let mut shelf = shelf();
        let own = shelf.entries.iter().map(|(key, _)| *key).filter(|key| key.0 == self.0);
        for key in own.collect::<Vec<_>>() {
            if let Some(entry) = shelf.entries.pop(&key) {
                shelf.bytes = shelf.bytes.saturating_sub(entry.bytes);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.clear();
    }
}
