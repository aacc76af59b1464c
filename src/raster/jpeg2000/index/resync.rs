//! Finds tile-parts in many places at once.
//!
//! Contract: what [`chains`] finds are tile-parts *if* a walk from the first one comes to
//! where they are, which [`hop::walk`] settles. A pattern in a comment or a box that looks
//! like SOT costs a few reads and changes nothing.
//!
//! The codestream is cut into as many stretches as there are chains. Each looks for the
//! first SOT in its stretch (its marker and its constant length, `FF 90 00 0A`, which the
//! data of packets can't hold: everything above `FF 8F` is a marker there, B.10.1), and
//! believes it if there is another SOT or EOC where it says that it ends. From there it
//! walks, until it is in the stretch of the next chain. If all tile-parts may be of one
//! length, it looks first where one would be then.
//!
//! [`hop::walk`]: super::hop::walk

use std::ops::Range;

use futures_util::future::try_join_all;

use super::hop::{Found, Walker};
use super::listed::MAX_PARTS;
use super::origin::Origin;
use super::sot::{self, SOT_BYTES};
use super::tile_parts::Part;
use crate::raster::RasterError;

/// How many chains there are at most.
const CHAINS: u64 = 16;
/// A chain is for so many tile-parts or more: finding the first of them costs about as
/// much as a step, and half a tile-part's bytes.
const PARTS_OF_A_CHAIN: u64 = 7;
/// What is read at a time to find a SOT.
const SCAN_BYTES: u64 = 256 << 10;
/// What is read first where one is expected, and from how far in front of that.
const GUESS_BYTES: u64 = 16 << 10;
const GUESS_SLACK: u64 = 4 << 10;
/// Patterns that turn out to be none before a chain gives up.
const MISTAKES: usize = 64;

/// Tile-parts, most of them, or none where one walk finds them as well.
///
/// # Errors
/// What reading failed with.
pub(super) async fn chains(origin: &Origin) -> Result<Found, RasterError> {
    let (start, end) = (origin.first(), origin.codestream.end);
    let count = (u64::from(origin.tiles) / PARTS_OF_A_CHAIN).min(CHAINS);
    if count < 2 || end <= start {
        return Ok(Found::new());
    }
    let border = |chain: u64| {
        start + (u128::from(end - start) * u128::from(chain) / u128::from(count)) as u64
    };
    let step = equal_parts(origin);
    let chains = (0..count).map(|chain| {
        let chain = Chain { origin, from: border(chain), to: border(chain + 1), step };
        chain.run()
    });
    let found = try_join_all(chains).await?;
    Ok(found.into_iter().flatten().map(|part| (part.offset, part)).collect())
}

/// The length of every tile-part, if it may be one and the same.
fn equal_parts(origin: &Origin) -> Option<u64> {
    let start = origin.first();
    let first = origin.head.get(usize::try_from(start).ok()?..)?;
    let first = sot::length(origin, first, start).ok()??;
    let mean = (origin.codestream.end - start) / u64::from(origin.tiles.max(1));
    (first.abs_diff(mean) <= mean / 64).then_some(mean)
}

/// One of the walks.
struct Chain<'a> {
    origin: &'a Origin,
    from: u64,
    /// Where the next one begins.
    to: u64,
    /// The distance of tile-parts, if it may be a constant.
    step: Option<u64>,
}

impl Chain<'_> {
    async fn run(self) -> Result<Vec<Part>, RasterError> {
        let mut parts = Vec::new();
        let start = self.origin.first();
        if self.from == start {
            self.walk(start, &mut parts).await?;
            return Ok(parts);
        }
        if let Some(step) = self.step {
            let expected = start + (self.from - start).next_multiple_of(step.max(1));
            let from = expected.saturating_sub(GUESS_SLACK).max(self.from);
            if self.scan(from..from + GUESS_BYTES, GUESS_BYTES, &mut parts).await? {
                return Ok(parts);
            }
        }
        self.scan(self.from..self.to, SCAN_BYTES, &mut parts).await?;
        Ok(parts)
    }

    /// Looks for a SOT that starts in a range, and walks from it. Says whether there was one.
    async fn scan(
        &self,
        range: Range<u64>,
        piece_bytes: u64,
        parts: &mut Vec<Part>,
    ) -> Result<bool, RasterError> {
        let range = range.start..range.end.min(self.to);
        let (mut at, mut mistakes) = (range.start, 0);
        while at < range.end {
            // A SOT may lie across the end of a piece.
            let end = (at + piece_bytes).min(range.end) + SOT_BYTES - 1;
            let piece = self.origin.read(at..end.min(self.origin.codestream.end)).await?;
            let mut looked = 0;
            while let Some(hit) = next_hit(&piece, looked) {
                looked = hit + 1;
                if self.walk(at + hit as u64, parts).await? {
                    return Ok(true);
                }
                mistakes += 1;
                if mistakes == MISTAKES {
                    return Ok(false);
                }
            }
            at += piece_bytes;
        }
        Ok(false)
    }

    /// Walks from `at` to the end of the stretch; says whether that may have been tile-parts,
    /// two in a row at least, or the last one.
    async fn walk(&self, at: u64, parts: &mut Vec<Part>) -> Result<bool, RasterError> {
        let mut walker = Walker::new(self.origin);
        let (mut next, known) = (at, parts.len());
        loop {
            let is_through = next >= self.to && parts.len() > known + 1;
            if is_through || parts.len() > MAX_PARTS {
                return Ok(true);
            }
            match walker.step(next).await {
                Ok(Some(part)) if next < self.to => {
                    next += part.length;
                    parts.push(part);
                }
                // The next chain's; it confirms the one in front of it.
                Ok(Some(_)) => return Ok(true),
                Ok(None) => return Ok(parts.len() > known),
                Err(RasterError::Corrupt(_)) => {
                    // The one in front of this is not where it says that it ends.
                    parts.truncate(known.max(parts.len().saturating_sub(1)));
                    return Ok(parts.len() > known);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// The next place where a SOT may start.
fn next_hit(piece: &[u8], from: usize) -> Option<usize> {
    let rest = piece.get(from..)?;
    let is_sot = |window: &[u8]| window == [0xFF, 0x90, 0x00, 0x0A];
    let hit = rest.windows(4).position(is_sot)?;
    Some(from + hit)
}
