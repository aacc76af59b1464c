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
    /// How many packets of it somebody keeps who outlives the process.
    pub(super) remembered: usize,
    /// Whether that is where some of it is from.
    pub(super) is_recalled: bool,
}

impl Known {
    /// Where bytes of a tile-part's packets are in the object.
    pub(super) fn place(&self, part: usize, range: Range<u64>) -> Range<u64> {
        let body = self.bodies.get(part).cloned().unwrap_or_default();
        let at = |offset: u64| body.start.saturating_add(offset).min(body.end);
        at(range.start)..at(range.end)
    }

    /// How many packets' lengths are known.
    pub(super) fn packets(&self) -> usize {
        let of = |part: &super::engine::Part| part.lengths.as_ref().map_or(0, |known| known.len());
        self.tile.parts().iter().map(of).sum()
    }

    /// Whether these are all there are.
    pub(super) fn is_complete(&self) -> bool {
        self.tile.parts().iter().all(|part| part.complete)
    }

    fn bytes(&self) -> u64 {
        let of = |part: &super::engine::Part| {
            let lengths = part.lengths.as_ref().map_or(0, |lengths| 4 * lengths.len());
            lengths + part.packed.as_ref().map_or(0, |packed| packed.len()) + 64
        };
        TILE_BYTES + self.tile.parts().iter().map(of).sum::<usize>() as u64
    }
}

/// Reads the headers of a tile's tile-parts, of at most `limit` bytes each; the tile has about so
/// many `packets`.
///
/// # Errors
/// What is wrong with them, or reading failed with.
pub(super) async fn read(
    codestream: &Codestream,
    index: &Index,
    tile: u32,
    packets: u64,
    limit: u64,
) -> Result<Known, RasterError> {
    let parts = index.of(tile);
    if parts.is_empty() {
        return Err(corrupt(format!("tile {tile} is missing")));
    }
    let packets = packets.div_ceil(parts.len() as u64);
    let mut headers = Vec::with_capacity(parts.len());
    for some in parts.chunks(HEADERS_AT_ONCE) {
        let read = some.iter().map(|part| header(codestream, index, part, packets, limit));
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
    let (tile, bodies) = (Arc::new(tile), bodies.into());
    Ok(Known { tile, bodies, walked: 0, remembered: 0, is_recalled: false })
}

async fn header(
    codestream: &Codestream,
    index: &Index,
    part: &Part,
    packets: u64,
    limit: u64,
) -> Result<TilePart, RasterError> {
    let ordinal = || index.parts().iter().take_while(|other| other.offset < part.offset).count();
    let ordinal = codestream.packs_headers().then(ordinal);
    let mut bytes: Bytes = index.prefix(part, FIRST_BYTES).await?;
    let header = loop {
        match TilePart::parse(codestream, &bytes, ordinal) {
            Ok(header) => break header,
            Err(Error::Incomplete { needed }) => {
                // PLT comes in segments of 64 KiB at most, one behind the other: how many there
                // are is guessed once.
                let least = needed.max(2 * bytes.len() as u64);
                let guess = guessed(packets, part.length).min(limit);
                let length = least.max(guess).min(part.length);
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

/// How long the header of a tile-part is that lists the lengths of so many packets, if they are
/// nearly of one length: seven bits a byte. Most are shorter than the mean.
fn guessed(packets: u64, length: u64) -> u64 {
    let mean = length / packets.max(1);
    let bytes = u64::from((u64::BITS - mean.leading_zeros()).div_ceil(7).max(1));
    packets.saturating_mul(bytes).saturating_add(FIRST_BYTES / 8)
}

/// A tile that is kept, with what counts it.
#[derive(Debug)]
struct Entry {
    known: Known,
    bytes: u64,
    _counted: Option<Kept>,
}

/// What is kept of all images, up to a limit: what was not used for longest goes first.
#[derive(Debug)]
struct Shelf {
    entries: LruCache<(u64, u32), Entry>,
    bytes: u64,
    limit: u64,
}

impl Shelf {
    fn new(limit: u64) -> Self {
        Shelf { entries: LruCache::new(KEPT_TILES), bytes: 0, limit }
    }

    fn get(&mut self, key: (u64, u32)) -> Option<Known> {
        self.entries.get(&key).map(|entry| entry.known.clone())
    }

    /// Keeps a tile, whose bytes are `counted`, in place of what was known of it before.
    fn put(&mut self, key: (u64, u32), known: &Known, counted: Option<Kept>) {
        let bytes = known.bytes();
        if bytes > self.limit {
            self.take(key);
            return;
        }
        let entry = Entry { known: known.clone(), bytes, _counted: counted };
        self.bytes += bytes;
        if let Some((_, before)) = self.entries.push(key, entry) {
            self.bytes = self.bytes.saturating_sub(before.bytes);
        }
        while self.bytes > self.limit
            && let Some((_, oldest)) = self.entries.pop_lru()
        {
            self.bytes = self.bytes.saturating_sub(oldest.bytes);
        }
    }

    fn take(&mut self, key: (u64, u32)) {
        if let Some(entry) = self.entries.pop(&key) {
            self.bytes = self.bytes.saturating_sub(entry.bytes);
        }
    }

    /// The tiles of an image that are kept.
    fn of(&self, image: u64) -> Vec<(u64, u32)> {
        self.entries.iter().map(|(key, _)| *key).filter(|key| key.0 == image).collect()
    }
}

static SHELF: LazyLock<Mutex<Shelf>> = LazyLock::new(|| Mutex::new(Shelf::new(KEPT_BYTES)));

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
        shelf().get((self.0, tile))
    }

    /// Keeps what is known of a tile in place of what was known before.
    pub(super) fn put(&self, tile: u32, known: &Known, index: &Index) {
        let counted = index.count(known.bytes());
        shelf().put((self.0, tile), known, counted);
    }

    /// Forgets all of the image; says whether some of it was recalled.
    pub(super) fn clear(&self) -> bool {
        let mut shelf = shelf();
        let mut was_recalled = false;
        for key in shelf.of(self.0) {
            was_recalled |= shelf.get(key).is_some_and(|known| known.is_recalled);
            shelf.take(key);
        }
        was_recalled
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::jpeg2000::engine::code_block::testing::Random;
    use crate::raster::jpeg2000::engine::geometry::Rect;
    use crate::raster::jpeg2000::engine::tests::encoder::Spec;
    use crate::raster::jpeg2000::engine::tile_parts;

    /// A tile of which so many packets are known.
    fn known(packets: usize) -> Known {
        let spec = Spec::new(Rect::new(0, 0, 20, 20), 1, 1);
        let bytes = spec.encode(&spec.picture(&mut Random(1)), &mut Random(1));
        let codestream = Codestream::parse(&bytes).unwrap();
        let headers = [tile_parts(&codestream, &bytes).unwrap()[0].header.clone()];
        let mut tile = Tile::new(&codestream, &headers).unwrap();
        tile.set_lengths(0, vec![1; packets], false);
        let bodies = std::iter::once(0..10).collect();
        Known { tile: Arc::new(tile), bodies, walked: 0, remembered: 0, is_recalled: false }
    }

    #[test]
    fn what_was_not_used_for_longest_gives_way_and_is_no_longer_counted() {
        let one = known(1000);
        let (bytes, counted) = (one.bytes(), Arc::new(()));
        assert!((8000..9000).contains(&bytes), "{bytes}");
        let mut shelf = Shelf::new(3 * bytes);
        let put = |shelf: &mut Shelf, key, known: &Known| {
            shelf.put(key, known, Some(Box::new(Arc::clone(&counted))));
        };
        let has = |shelf: &Shelf| (0..6).map(|tile| shelf.entries.contains(&(1, tile))).collect();
        for tile in 0..3 {
            put(&mut shelf, (1, tile), &one);
        }
        assert!(shelf.get((1, 0)).is_some());
        put(&mut shelf, (1, 3), &one);
        let kept: Vec<bool> = has(&shelf);
        assert_eq!(kept, [true, false, true, true, false, false]);
        assert_eq!((shelf.bytes, Arc::strong_count(&counted)), (3 * bytes, 4));
        // More of one that is there: two of the others go.
        put(&mut shelf, (1, 3), &known(4000));
        let kept: Vec<bool> = has(&shelf);
        assert_eq!(kept, [false, false, false, true, false, false]);
        assert_eq!(shelf.get((1, 3)).unwrap().packets(), 4000);
        // What is too large for all of it is not kept, nor what was known before.
        put(&mut shelf, (2, 0), &one);
        put(&mut shelf, (1, 3), &known(9000));
        assert_eq!((shelf.bytes, shelf.of(1), shelf.of(2)), (bytes, vec![], vec![(2, 0)]));
        assert_eq!(Arc::strong_count(&counted), 2);
        shelf.take((2, 0));
        assert_eq!((shelf.bytes, Arc::strong_count(&counted)), (0, 1));
    }

    #[test]
    fn the_length_of_a_list_is_guessed_from_what_it_lists() {
        // 43,000 packets of 24 KB, of 3 KB, of a byte: 3, 2 and 1 bytes each.
        let guess = |bytes: u64| guessed(43_000, 43_000 * bytes) - FIRST_BYTES / 8;
        assert_eq!([24_000, 3000, 1].map(guess), [129_000, 86_000, 43_000]);
        assert_eq!(guessed(0, 100), FIRST_BYTES / 8);
    }
}
