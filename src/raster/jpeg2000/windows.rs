//! Tiles of ours, cut out of tiles that are too large to be decoded whole ([`giant`]).
//!
//! Contract: only the packets that a window needs are fetched, once the headers of the tile it
//! lies in were read, which is done once; of large packets only what its code-blocks need. The
//! pixels are those of the whole tile. What a window takes, in memory and in bytes, does not
//! grow with the tile, except for 4 bytes for each packet in front of it.
//!
//! The way: [`known`] reads headers and keeps what they say, [`walk`] finds packets that are
//! not listed, which [`walked`] keeps for the next mount, [`Pieces`] holds what was fetched, and
//! [`decode`] decodes.
//!
//! [`giant`]: super::giant
//! [`known`]: super::known
//! [`walk`]: super::walk
//! [`walked`]: super::walked

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio::sync::Mutex;

use super::blocking::blocking;
use super::decode::{self, Job, Output, failed, plan};
use super::engine::{self, Body, Codestream, Options, PacketAt, located, touched};
use super::index::Index;
use super::known::{self, Known, Place};
use super::pieces::Pieces;
use super::walk::{Walked, walk};
use super::walked;
use crate::raster::error::corrupt;
use crate::raster::{Limits, Pixels, RasterError, Rect, TileGrid};

/// Packets up to here are fetched whole.
const WHOLE_PACKET: u32 = 128 << 10;
/// What the header of a larger one probably takes, besides so much for each code-block.
const HEADER_BYTES: u64 = 1 << 10;
const BLOCK_BYTES: u64 = 4;
/// How many of the image's own tiles one of ours is made from at a time.
const TILES_AT_ONCE: usize = 8;
/// What a walk found is remembered whenever it is more than before by one part in so many, and
/// when it is all.
const REMEMBERED_SHARE: usize = 4;
/// How many tiles' headers are read at a time.
const LOCKS: usize = 16;

/// What an image in large tiles has besides its header.
#[derive(Debug)]
pub(super) struct Windows {
    place: Place,
    /// Who reads the headers of a tile, or walks through it, holds its lock.
    locks: [Mutex<()>; LOCKS],
    /// About how many packets a tile has.
    packets: u64,
    /// Whether what an earlier life remembered turned out to be wrong.
    is_distrusted: AtomicBool,
    walk_bytes: u64,
    decode_bytes: u64,
}

/// An image whose tile-parts were found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) codestream: &'a Arc<Codestream>,
    pub(super) grid: &'a TileGrid,
    pub(super) index: &'a Index,
    pub(super) output: &'a Arc<Output>,
}

/// A window of one of the image's own tiles.
#[derive(Debug, Clone, Copy)]
struct Part {
    tile: u32,
    /// Its pixels, in the level's image.
    rect: Rect,
    /// The same on the reference grid of the level.
    window: engine::Rect,
}

/// What is fetched of a packet before its header was read.
#[derive(Debug, Clone, Copy)]
struct Take {
    at: PacketAt,
    /// What its header probably takes; `None`: all of it.
    header: Option<u64>,
}

impl Windows {
    /// Of an image whose tiles have so many packets at most.
    pub(super) fn new(packets: u64, limits: &Limits) -> Self {
        Windows {
            place: Place::new(),
            locks: Default::default(),
            packets,
            is_distrusted: AtomicBool::new(false),
            walk_bytes: limits.walk_bytes,
            decode_bytes: limits.decode_bytes,
        }
    }

    /// Forgets what was found, since the index that it was found by is wrong.
    pub(super) fn clear(&self) {
        self.place.clear();
    }

    /// Whether what an earlier life remembered is believed.
    pub(super) fn trusts(&self) -> bool {
        !self.is_distrusted.load(Ordering::Relaxed)
    }

    /// Forgets what was found if some of it was remembered, since it does not fit the file: the
    /// packets are looked for again. Says whether there was such.
    pub(super) fn distrust(&self) -> bool {
        let was_recalled = self.place.clear();
        self.is_distrusted.fetch_or(was_recalled, Ordering::Relaxed);
        was_recalled
    }

    /// Decodes a rectangle of a level.
    ///
    /// # Errors
    /// As [`Raster::decode_tile`].
    ///
    /// [`Raster::decode_tile`]: crate::raster::Raster::decode_tile
    pub(super) async fn decode(
        &self,
        scene: Scene<'_>,
        level: u8,
        rect: Rect,
    ) -> Result<Pixels, RasterError> {
        let parts = parts(scene.grid, level, rect);
        if let [part] = &parts[..]
            && part.rect == rect
        {
            let samples = self.part(scene, level, *part).await?;
            return Ok(Pixels { rect, samples: samples.into() });
        }
        let pixel = scene.output.order.len() * scene.output.sample.bytes();
        let mut samples = vec![0; rect.width as usize * rect.height as usize * pixel];
        let mut decoded = stream::iter(parts)
            .map(|part| async move {
                Ok::<_, RasterError>((part, self.part(scene, level, part).await?))
            })
            .buffer_unordered(TILES_AT_ONCE);
        while let Some((part, from)) = decoded.try_next().await? {
            let length = part.rect.width as usize * pixel;
            for (y, row) in (part.rect.y - rect.y..).zip(from.chunks_exact(length.max(1))) {
                let column = y as usize * rect.width as usize + (part.rect.x - rect.x) as usize;
                if let Some(to) = samples.get_mut(column * pixel..column * pixel + length) {
                    to.copy_from_slice(row);
                }
            }
        }
        drop(decoded);
        Ok(Pixels { rect, samples: samples.into() })
    }

    async fn part(&self, scene: Scene<'_>, level: u8, part: Part) -> Result<Vec<u8>, RasterError> {
        let (known, takes) = self.find(scene, level, part).await?;
        let mut pieces = Pieces::default();
        // Headers of large packets are guessed to have so many times what is usual.
        let mut times = 1;
        loop {
            let ranges: Vec<_> = takes.iter().map(|take| range_of(&known, take, times)).collect();
            self.check(&ranges, &pieces)?;
            pieces.fetch(scene.index, ranges).await?;
            let is_whole = |take: &Take| {
                take.header
                    .is_none_or(|header| header.saturating_mul(times) >= take.at.length.into())
            };
            if takes.iter().all(is_whole) {
                break;
            }
            match chunks(&known, level, part.window, placed(&known, &pieces)).await? {
                Some(ranges) => {
                    self.check(&ranges, &pieces)?;
                    pieces.fetch(scene.index, ranges).await?;
                    break;
                }
                None => times *= 4,
            }
        }
        let job = Job {
            pieces: placed(&known, &pieces),
            tile: known.tile,
            reduction: level,
            window: Some(part.window),
            rect: part.rect,
            is_padded: false,
        };
        decode::decode(job, Arc::clone(scene.output)).await
    }

    /// The tile of a window, and what is to be fetched of it first.
    async fn find(
        &self,
        scene: Scene<'_>,
        level: u8,
        part: Part,
    ) -> Result<(Known, Vec<Take>), RasterError> {
        let tile = part.tile;
        if let Some(known) = self.place.get(tile)
            && let Some(takes) = takes(&known, level, part.window).await?
        {
            return Ok((known, takes));
        }
        let lock = self.locks.get(tile as usize % LOCKS);
        let _lock = match lock {
            Some(lock) => Some(lock.lock().await),
            None => None,
        };
        // Somebody may have found it meanwhile.
        let known = match self.place.get(tile) {
            Some(known) => known,
            None => self.first(scene, level, part).await?,
        };
        if let Some(takes) = takes(&known, level, part.window).await? {
            return Ok((known, takes));
        }
        if known.walked >= self.walk_bytes {
            return Err(too_far(&known, self.walk_bytes));
        }
        let Walked { mut known, is_done } =
            walk(scene.index, &known, level, part.window, self.walk_bytes).await?;
        let is_more = known.packets() > known.remembered + known.remembered / REMEMBERED_SHARE;
        if is_more || known.is_complete() {
            walked::remember(scene.index, tile, &known).await;
            known.remembered = known.packets();
        }
        self.place.put(tile, &known, scene.index);
        let is_done = is_done?;
        match takes(&known, level, part.window).await? {
            Some(takes) => Ok((known, takes)),
            None if is_done => {
                Err(corrupt("packets are missing: the tile ends before its last one"))
            }
            None => Err(too_far(&known, self.walk_bytes)),
        }
    }

    /// What the headers of a tile say, and what is remembered of it if they do not say where the
    /// packets of a window are.
    async fn first(&self, scene: Scene<'_>, level: u8, part: Part) -> Result<Known, RasterError> {
        let Part { tile, window, .. } = part;
        let (limit, packets) = (self.decode_bytes, self.packets);
        let mut known = known::read(scene.codestream, scene.index, tile, packets, limit).await?;
        if self.trusts()
            && takes(&known, level, window).await?.is_none()
            && let Some(recalled) = walked::recall(scene.index, tile, &known).await
        {
            known = recalled;
        }
        self.place.put(tile, &known, scene.index);
        Ok(known)
    }

    /// Whether so many compressed bytes may be held.
    fn check(&self, ranges: &[Range<u64>], pieces: &Pieces) -> Result<(), RasterError> {
        let more =
            ranges.iter().fold(0u64, |sum, range| sum.saturating_add(range.end - range.start));
        let total = more.saturating_add(pieces.bytes());
        if total > self.decode_bytes {
            return Err(RasterError::Limit {
                what: format!("the packets of a window have {total} bytes"),
                option: "--max-decode-memory",
                allowed: self.decode_bytes,
            });
        }
        Ok(())
    }
}

/// The sentence for a window whose packets were not found.
fn too_far(known: &Known, allowed: u64) -> RasterError {
    let all = known.bodies.iter().fold(0u64, |sum, body| sum.saturating_add(body.end - body.start));
    RasterError::Limit {
        what: format!(
            "the tile does not list how long its packets are (PLT), and those of the window are \
             behind its first {} bytes; finding them may take reading {all} bytes once",
            known.walked
        ),
        option: "--max-walk",
        allowed,
    }
}

/// Where a rectangle of a level is on the reference grid of that level.
pub(super) fn placed_at(grid: &TileGrid, level: u8, rect: Rect) -> engine::Rect {
    let (x, y) = grid.image_start;
    let start = engine::Rect { x0: x, y0: y, x1: x, y1: y }.reduced(level.into());
    let (x0, y0) = (start.x0 + rect.x, start.y0 + rect.y);
    engine::Rect { x0, y0, x1: x0 + rect.width, y1: y0 + rect.height }
}

/// The image's own tiles that a rectangle of a level has pixels of.
fn parts(grid: &TileGrid, level: u8, rect: Rect) -> Vec<Part> {
    let touches = |along: Rect| !along.intersection(&rect).is_empty();
    let row = |tile: Rect| Rect { y: rect.y, height: rect.height, ..tile };
    let column = |tile: Rect| Rect { x: rect.x, width: rect.width, ..tile };
    let columns: Vec<u32> =
        (0..grid.columns()).filter(|&c| touches(row(grid.tile(level, c, 0)))).collect();
    let rows = (0..grid.rows()).filter(|&r| touches(column(grid.tile(level, 0, r))));
    let mut parts = Vec::new();
    for r in rows {
        for &c in &columns {
            let rect = grid.tile(level, c, r).intersection(&rect);
            let window = placed_at(grid, level, rect);
            parts.push(Part { tile: r * grid.columns() + c, rect, window });
        }
    }
    parts
}

/// What is to be fetched first; `None` if it is not known where all packets are.
async fn takes(
    known: &Known,
    level: u8,
    window: engine::Rect,
) -> Result<Option<Vec<Take>>, RasterError> {
    let tile = Arc::clone(&known.tile);
    blocking(move |gone| {
        let is_gone = || gone.load(Ordering::Relaxed);
        let options = Options { cancel: Some(&is_gone), ..Options::default() };
        let plan = plan(&tile, level, Some(window)).map_err(failed)?;
        let Some(packets) = located(&tile, &plan, &options).map_err(failed)? else {
            return Ok(None);
        };
        let take = |at: PacketAt| {
            let header =
                || HEADER_BYTES.saturating_add(BLOCK_BYTES.saturating_mul(at.blocks(&tile)));
            Take { at, header: (at.length > WHOLE_PACKET).then(header) }
        };
        Ok(Some(packets.into_iter().map(take).collect()))
    })
    .await
}

fn range_of(known: &Known, take: &Take, times: u64) -> Range<u64> {
    let PacketAt { part, offset, length, .. } = take.at;
    let length = match take.header {
        Some(header) => header.saturating_mul(times).min(length.into()),
        None => length.into(),
    };
    known.place(part, offset..offset.saturating_add(length))
}

/// The bytes that a window's code-blocks have; `None` if not all headers are here.
async fn chunks(
    known: &Known,
    level: u8,
    window: engine::Rect,
    pieces: Vec<(usize, u64, Bytes)>,
) -> Result<Option<Vec<Range<u64>>>, RasterError> {
    let own = known.clone();
    blocking(move |gone| {
        let is_gone = || gone.load(Ordering::Relaxed);
        let options = Options { cancel: Some(&is_gone), ..Options::default() };
        let plan = plan(&own.tile, level, Some(window)).map_err(failed)?;
        let mut body = Body::new();
        for (part, offset, bytes) in &pieces {
            body.add(*part, *offset, bytes);
        }
        match touched(&own.tile, &plan, &body, &options) {
            Ok(spans) => {
                Ok(Some(spans.into_iter().map(|span| own.place(span.part, span.range)).collect()))
            }
            Err(engine::Error::Absent { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    })
    .await
}

/// Where pieces are among the packets of the tile-parts.
fn placed(known: &Known, pieces: &Pieces) -> Vec<(usize, u64, Bytes)> {
    let of = |(part, body): (usize, &Range<u64>)| {
        let start = body.start;
        pieces
            .within(body.clone())
            .map(move |(at, bytes)| (part, at - start, bytes))
            .collect::<Vec<_>>()
    };
    known.bodies.iter().enumerate().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Our tiles have each pixel of the image's own tiles once.
        #[test]
        fn parts_cover_a_rectangle_once(
            start in (0u32..40, 0u32..40), size in (1u32..90, 1u32..90),
            tile in (1u32..50, 1u32..50), level in 0u8..4, cut in 1u32..40,
        ) {
            let grid = TileGrid {
                image_start: start,
                image_end: (start.0 + size.0, start.1 + size.1),
                tile_start: (start.0.saturating_sub(tile.0 - 1), start.1.saturating_sub(tile.1 / 2)),
                tile_size: tile,
            };
            let image = grid.image(level);
            let mut seen = vec![0u8; image.pixels() as usize];
            let ours = TileGrid {
                tile_size: (cut, cut), ..TileGrid::whole(image.width, image.height)
            };
            for row in 0..ours.rows() {
                for column in 0..ours.columns() {
                    for part in parts(&grid, level, ours.tile(0, column, row)) {
                        prop_assert!(!part.rect.is_empty());
                        for y in part.rect.y..part.rect.y + part.rect.height {
                            for x in part.rect.x..part.rect.x + part.rect.width {
                                seen[(y * image.width + x) as usize] += 1;
                            }
                        }
                    }
                }
            }
            prop_assert!(seen.iter().all(|&times| times == 1));
        }
    }
}
