//! The walk from SOT to SOT.
//!
//! Contract: [`Walker::step`] reads one tile-part's header and says where the next one
//! is. [`walk`] goes through all of them, and reads only those that are not known yet;
//! so what others have found in vain or by mistake changes nothing.

use std::collections::HashMap;
use std::ops::Range;

use bytes::Bytes;

use super::listed::MAX_PARTS;
use super::origin::Origin;
use super::sot::{self, LEAST_BYTES, SOT_BYTES};
use super::tile_parts::{Part, TileParts};
use crate::raster::error::corrupt;
use crate::raster::jpeg2000::header::marker;
use crate::raster::jpeg2000::window::u16_at;
use crate::raster::{RasterError, header_pages_end};

/// What a step reads where tile-parts are large: the packets that show the tile at 1/16.
pub(super) const HOP_BYTES: u64 = 8 << 10;
/// What a step reads at most where tile-parts are small, so that one request finds many.
const LONG_HOP_BYTES: u64 = 1 << 20;
/// Where EOC is looked for that ends the last tile-part.
const TAIL_BYTES: u64 = 16;
/// From this length on tile-parts are large.
const LARGE_PART: u64 = 96 << 10;

/// Tile-parts by their offsets.
pub(super) type Found = HashMap<u64, Part>;

/// One walk.
#[derive(Debug)]
pub(super) struct Walker<'a> {
    origin: &'a Origin,
    /// What was read last, and where it is.
    piece: (u64, Bytes),
    step: u64,
}

impl<'a> Walker<'a> {
    pub(super) fn new(origin: &'a Origin) -> Self {
        let piece = (0, origin.head.clone());
        Walker { origin, piece, step: HOP_BYTES }
    }

    /// The tile-part at `at`; `None` if there is EOC, or the end.
    ///
    /// # Errors
    /// There is something else, or it can't be read.
    pub(super) async fn step(&mut self, at: u64) -> Result<Option<Part>, RasterError> {
        let end = self.origin.codestream.end;
        // Behind the last tile-part there is EOC, or nothing: neither is worth a request.
        if at.saturating_add(SOT_BYTES) > end {
            return Ok(None);
        }
        let bytes = match self.held(at..at + SOT_BYTES) {
            Some(bytes) => bytes,
            None => {
                // Whoever steps through the file reads no more of it than this.
                let stop = at.saturating_add(self.step).max(header_pages_end(at));
                let read = self.origin.read(at..stop.min(end)).await?;
                self.piece = (at, read.clone());
                read
            }
        };
        if u16_at(&bytes, 0) == Some(marker::EOC) {
            return Ok(None);
        }
        let length = match sot::length(self.origin, &bytes, at)? {
            Some(length) => length,
            // Up to EOC (A.4.2): without it nobody knows whether bytes are missing. DICOM
            // makes lengths even with a zero behind it.
            None => {
                let tail = self.origin.read(end.saturating_sub(TAIL_BYTES).max(at)..end).await?;
                let padding = tail.iter().rev().take_while(|byte| **byte == 0).count();
                let eoc = tail.len().checked_sub(padding + 2);
                if eoc.and_then(|eoc| u16_at(&tail, eoc)) != Some(marker::EOC) {
                    return Err(corrupt("the codestream ends without EOC"));
                }
                end - padding as u64 - 2 - at
            }
        };
        if length < LEAST_BYTES {
            return Err(corrupt("the last tile-part has no data"));
        }
        // A few small ones are the image's edge; many are small tiles.
        self.step = if length < LARGE_PART { LONG_HOP_BYTES.min(2 * self.step) } else { HOP_BYTES };
        let tile = sot::sot(&bytes).map_or(0, |sot| sot.tile);
        Ok(Some(Part { tile, offset: at, length }))
    }

    fn held(&self, range: Range<u64>) -> Option<Bytes> {
        let (offset, bytes) = &self.piece;
        let holds = *offset <= range.start && range.end <= offset + bytes.len() as u64;
        holds.then(|| bytes.slice((range.start - offset) as usize..))
    }
}

/// All tile-parts, those that were found without reading them again.
pub(super) async fn walk(origin: &Origin, found: &Found) -> Result<TileParts, RasterError> {
    let mut walker = Walker::new(origin);
    let (mut at, mut parts) = (origin.first(), Vec::new());
    loop {
        let part = match found.get(&at) {
            Some(part) => *part,
            None => match walker.step(at).await? {
                Some(part) => part,
                None => break,
            },
        };
        at += part.length;
        parts.push(part);
        if parts.len() > MAX_PARTS {
            return Err(corrupt("there are more than a million tile-parts"));
        }
    }
    TileParts::new(&parts).ok_or_else(|| corrupt("a tile-part is longer than 4 GiB"))
}
