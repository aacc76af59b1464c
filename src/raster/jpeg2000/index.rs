//! Where the tile-parts of a codestream are.
//!
//! Contract: [`Lazy::get`] builds the index once, for the first caller that needs it;
//! others that arrive meanwhile wait for the same answer, an error included, and an
//! error is not kept.
//!
//! An object of up to 2 MiB is fetched whole. Otherwise the list in the main header
//! (TLM) is taken if its lengths add up to the codestream exactly. Otherwise `hop`
//! walks from SOT to SOT, 8 KiB each (more where tile-parts are small, so that one GET
//! finds many), and keeps up to 1 MiB of what it read: these are the first packets
//! that a preview needs. A quicker way for old files would be a third branch of
//! [`build`].

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};

use super::header::{Listed, marker};
use super::window::{read, u8_at, u16_at, u32_at};
use crate::raster::error::corrupt;
use crate::raster::{RasterError, Source};

/// Objects up to here are fetched in one request and kept.
pub(super) const SMALL_OBJECT: u64 = 2 << 20;
/// What a hop reads where tile-parts are large: the prefix that shows the tile at
/// 1/16.
const HOP_BYTES: u64 = 8 << 10;
/// What it reads at most where they are small, so that one request finds many.
const LONG_HOP_BYTES: u64 = 1 << 20;
/// From this length on tile-parts are large.
const LARGE_PART: u64 = 96 << 10;
/// Prefixes kept with the index.
const KEPT_PREFIXES: u64 = 1 << 20;
/// Tile-parts of one image.
const MAX_PARTS: usize = 1 << 20;
/// SOT with its parameters.
pub(super) const SOT_BYTES: u64 = 12;

/// One tile-part, from its SOT to the end of its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) tile: u32,
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// All tile-parts, and the bytes that were fetched with them.
#[derive(Debug)]
pub(super) struct Index {
    source: Arc<dyn Source>,
    /// In the order of the tiles, and within a tile as they come in the file.
    parts: Vec<Part>,
    /// First bytes of tile-parts, by offset.
    prefixes: HashMap<u64, Bytes>,
    /// The whole object, if it is small.
    whole: Option<Bytes>,
}

impl Index {
    /// The tile-parts of a tile.
    pub(super) fn of(&self, tile: u32) -> &[Part] {
        let start = self.parts.partition_point(|part| part.tile < tile);
        let end = self.parts.partition_point(|part| part.tile <= tile);
        self.parts.get(start..end).unwrap_or_default()
    }

    /// Bytes of the object.
    pub(super) async fn read(&self, range: Range<u64>) -> Result<Bytes, RasterError> {
        if let Some(whole) = &self.whole {
            let inside = range.start <= range.end && range.end <= whole.len() as u64;
            return match inside {
                true => Ok(whole.slice(range.start as usize..range.end as usize)),
                false => Err(corrupt("a tile-part is beyond the end of the file")),
            };
        }
        read(&*self.source, range).await
    }

    /// The first bytes of a tile-part: `length` of them, or those at hand.
    pub(super) async fn prefix(&self, part: &Part, length: u64) -> Result<Bytes, RasterError> {
        if let Some(prefix) = self.prefixes.get(&part.offset) {
            return Ok(prefix.clone());
        }
        self.read(part.offset..part.offset + length.min(part.length)).await
    }
}

/// What an index is built from.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) source: Arc<dyn Source>,
    /// The first bytes of the object.
    pub(super) head: Bytes,
    /// Where the codestream is.
    pub(super) codestream: Range<u64>,
    /// The length of its main header.
    pub(super) header_length: u64,
    /// What TLM lists.
    pub(super) listed: Vec<Listed>,
    /// Tiles of the image.
    pub(super) tiles: u32,
    /// Up to which size the object is fetched whole.
    pub(super) small_object: u64,
}

type Building = Shared<BoxFuture<'static, Result<Arc<Index>, RasterError>>>;

/// An index that is built when it is first needed.
pub(super) struct Lazy {
    origin: Arc<Origin>,
    building: Mutex<Option<Building>>,
}

impl fmt::Debug for Lazy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lazy").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Lazy {
    pub(super) fn new(origin: Origin) -> Self {
        Lazy { origin: Arc::new(origin), building: Mutex::new(None) }
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The index; built at most once at a time.
    pub(super) async fn get(&self) -> Result<Arc<Index>, RasterError> {
        let lock = || self.building.lock().unwrap_or_else(PoisonError::into_inner);
        let building = lock()
            .get_or_insert_with(|| {
                let origin = Arc::clone(&self.origin);
                async move { build(&origin).await.map(Arc::new) }.boxed().shared()
            })
            .clone();
        let built = building.clone().await;
        if built.is_err() {
            let mut current = lock();
            if current.as_ref().is_some_and(|other| other.ptr_eq(&building)) {
                *current = None;
            }
        }
        built
    }
}

async fn build(origin: &Origin) -> Result<Index, RasterError> {
    let size = origin.source.size();
    let mut index = Index {
        source: Arc::clone(&origin.source),
        parts: Vec::new(),
        prefixes: HashMap::new(),
        whole: None,
    };
    if origin.head.len() as u64 == size {
        index.whole = Some(origin.head.clone());
    } else if size <= origin.small_object {
        index.whole = Some(read(&*origin.source, 0..size).await?);
    }
    match listed(origin) {
        Some(parts) if index.whole.is_none() => index.parts = parts,
        _ => hop(origin, &mut index).await?,
    }
    index.parts.sort_by_key(|part| part.tile);
    Ok(index)
}

/// The tile-parts of TLM; `None` if they do not fill the codestream exactly.
fn listed(origin: &Origin) -> Option<Vec<Part>> {
    if origin.listed.is_empty() || origin.listed.len() > MAX_PARTS {
        return None;
    }
    let mut offset = origin.codestream.start.checked_add(origin.header_length)?;
    let mut parts = Vec::with_capacity(origin.listed.len());
    for (number, listed) in origin.listed.iter().enumerate() {
        let tile = listed.tile.map_or(number as u32, u32::from);
        let length = u64::from(listed.length);
        if tile >= origin.tiles || length < SOT_BYTES + 2 {
            return None;
        }
        parts.push(Part { tile, offset, length });
        offset = offset.checked_add(length)?;
    }
    // Behind the last tile-part there is EOC alone.
    (offset.checked_add(2)? == origin.codestream.end).then_some(parts)
}

/// Walks from SOT to SOT.
async fn hop(origin: &Origin, index: &mut Index) -> Result<(), RasterError> {
    let end = origin.codestream.end;
    let mut at = origin.codestream.start.saturating_add(origin.header_length);
    let mut piece = (0, index.whole.clone().unwrap_or_else(|| origin.head.clone()));
    let mut kept = 0;
    let mut step = HOP_BYTES;
    // Behind the last tile-part there is EOC, or nothing: neither is worth a request.
    while at.saturating_add(SOT_BYTES) <= end {
        let held = |piece: &(u64, Bytes)| {
            piece.0 <= at && at + SOT_BYTES <= piece.0 + piece.1.len() as u64
        };
        if !held(&piece) {
            piece = (at, index.read(at..at.saturating_add(step).min(end)).await?);
        }
        let bytes = piece.1.slice((at - piece.0) as usize..);
        if u16_at(&bytes, 0) == Some(marker::EOC) {
            break;
        }
        let part = tile_part(origin, &bytes, at, index).await?;
        let length = HOP_BYTES.min(bytes.len() as u64).min(part.length);
        let enough = length == HOP_BYTES.min(part.length);
        if index.whole.is_none() && enough && kept + length <= KEPT_PREFIXES {
            kept += length;
            index.prefixes.insert(at, Bytes::copy_from_slice(&bytes[..length as usize]));
        }
        // A few small ones are the image's edge; many are small tiles.
        step = if part.length < LARGE_PART { LONG_HOP_BYTES.min(2 * step) } else { HOP_BYTES };
        at += part.length;
        index.parts.push(part);
        if index.parts.len() > MAX_PARTS {
            return Err(corrupt("there are more than a million tile-parts"));
        }
    }
    Ok(())
}

/// The tile-part that starts with these bytes, at `at`.
async fn tile_part(
    origin: &Origin,
    bytes: &[u8],
    at: u64,
    index: &Index,
) -> Result<Part, RasterError> {
    let end = origin.codestream.end;
    let Sot { tile, length, .. } = sot(bytes).ok_or_else(|| {
        corrupt(format!("there is no tile-part at byte {at}, where one should be"))
    })?;
    if tile >= origin.tiles {
        return Err(corrupt(format!("there is a tile-part of tile {tile} of {}", origin.tiles)));
    }
    let length = match length {
        // Up to EOC (A.4.2): without it nobody knows whether bytes are missing.
        0 => {
            let tail = index.read(end.saturating_sub(2).max(at)..end).await?;
            if u16_at(&tail, 0) != Some(marker::EOC) {
                return Err(corrupt("the codestream ends without EOC"));
            }
            end - 2 - at
        }
        length => u64::from(length),
    };
    if length < SOT_BYTES + 2 {
        return Err(corrupt(format!("a tile-part of tile {tile} has {length} bytes")));
    }
    if length > end - at {
        return Err(corrupt(format!(
            "a tile-part of tile {tile} ends {} bytes behind the codestream",
            length - (end - at)
        )));
    }
    Ok(Part { tile, offset: at, length })
}

/// SOT's parameters (A.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sot {
    pub(super) tile: u32,
    /// 0 if the tile-part reaches to EOC.
    pub(super) length: u32,
    /// How many tile-parts the tile has; 0 if it is not said.
    pub(super) parts: u8,
}

/// Reads SOT.
pub(super) fn sot(bytes: &[u8]) -> Option<Sot> {
    if u16_at(bytes, 0)? != marker::SOT || u16_at(bytes, 2)? != 10 {
        return None;
    }
    let tile = u32::from(u16_at(bytes, 4)?);
    Some(Sot { tile, length: u32_at(bytes, 6)?, parts: u8_at(bytes, 11)? })
}
