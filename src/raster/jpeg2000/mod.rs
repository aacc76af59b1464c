//! JPEG 2000 (T.800): JP2 and JPX files, and raw codestreams.
//!
//! Contract: [`open`] reads headers only, and holds them against the limits. A tile
//! is decoded from a codestream of its own, which is written from the tile's bytes;
//! for a reduced image only the packets of the lower resolutions are fetched, where
//! the order of packets and their listed lengths (PLT) allow it. Pixels are those of
//! the components: no colour is converted except through a palette.
//!
//! Mechanism, top to bottom: [`boxes`] and [`header`] parse, [`info`] describes and
//! checks, [`index`] finds tile-parts, [`fetch`] gets them, [`rewrap`] writes the
//! codestream by the arithmetic of [`geometry`], [`decode`] runs the decoder.
//!
//! Non-goals: writing JPEG 2000, colour management, HTJ2K and other extensions.

mod boxes;
mod decode;
mod fetch;
mod geometry;
mod header;
mod index;
mod info;
#[cfg(test)]
mod memory;
mod palette;
mod rewrap;
#[cfg(test)]
mod tests;
mod window;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::error::corrupt;
use super::{Limits, Pixels, Raster, RasterError, RasterInfo, Rect, Source};
use decode::{Job, Output};
use geometry::packets;
use header::{MainHeader, Parsed, marker};
use index::{Index, Lazy, Origin};
use rewrap::{Frame, Wrapped, may_cut};
use window::Window;

/// Whether these are the first bytes of a JPEG 2000 file or codestream.
pub fn is_jpeg2000(head: &[u8]) -> bool {
    boxes::is_jpeg2000(head)
}

/// Opens an image of which `head`, the first 16 KiB or all, was read already.
///
/// # Errors
/// [`RasterError::NotAnImage`] if it is no JPEG 2000, [`RasterError::Limit`] before
/// anything is decoded, [`RasterError::Corrupt`] or that of the source.
pub async fn open(
    source: Arc<dyn Source>,
    head: Bytes,
    limits: &Limits,
) -> Result<Arc<dyn Raster>, RasterError> {
    open_with(source, head, limits, index::SMALL_OBJECT).await
}

/// [`open`], with the size up to which an object is fetched whole.
async fn open_with(
    source: Arc<dyn Source>,
    head: Bytes,
    limits: &Limits,
    small_object: u64,
) -> Result<Arc<dyn Raster>, RasterError> {
    let mut window = Window::new(Arc::clone(&source), head.clone());
    let container = boxes::walk(&mut window).await?;
    let codestream = container.codestream.clone();
    let available = codestream.end - codestream.start;
    let mut length = 4096;
    let header = loop {
        let bytes = window.at(codestream.start, available.min(length)).await?;
        match header::parse(&bytes)? {
            Parsed::Done(header) => break header,
            Parsed::More(least) if least as u64 > available => {
                return Err(corrupt("the main header is cut short"));
            }
            Parsed::More(least) => length = (least as u64).max(length.saturating_mul(4)),
        }
    };
    // The tile grid is walked below: its size must be checked before that.
    info::check_size(&header, limits)?;
    let (info, output) = info::describe(&container, &header);
    let tile_bytes = info::check(&header, &info, available, limits)?;
    let tiles = header.grid.columns() * header.grid.rows();
    let origin = Origin {
        source: Arc::clone(window.source()),
        head,
        codestream,
        header_length: header.length as u64,
        listed: header.listed.clone(),
        tiles,
        small_object,
    };
    Ok(Arc::new(Jpeg2000 {
        info,
        header: *header,
        output: Arc::new(output),
        index: Lazy::new(origin),
        decode_bytes: limits.decode_bytes,
        tile_bytes,
    }))
}

/// A JPEG 2000 image whose headers were read.
#[derive(Debug)]
struct Jpeg2000 {
    info: RasterInfo,
    header: MainHeader,
    output: Arc<Output>,
    index: Lazy,
    /// Compressed bytes held for one tile stay below this too.
    decode_bytes: u64,
    /// What the pixels of a tile take.
    tile_bytes: u64,
}

#[async_trait]
impl Raster for Jpeg2000 {
    fn info(&self) -> &RasterInfo {
        &self.info
    }

    fn held_bytes(&self) -> u64 {
        self.tile_bytes
    }

    async fn decode_tile(&self, level: u8, column: u32, row: u32) -> Result<Pixels, RasterError> {
        if let Some(reason) = &self.info.unsupported {
            return Err(RasterError::Unsupported(reason.clone()));
        }
        let grid = &self.info.grid;
        if level >= self.info.levels || column >= grid.columns() || row >= grid.rows() {
            return Err(RasterError::Unsupported(format!(
                "there is no tile {column}, {row} at level {level}"
            )));
        }
        let rect = grid.tile(level, column, row);
        if self.header.has(marker::PPM) {
            let wrapped = self.whole_image().await?;
            let image = grid.image(0);
            let job = Job {
                wrapped,
                full: (image.width, image.height),
                reduce: level,
                size: (rect.width, rect.height),
                crop: rect,
            };
            let samples = decode::decode(job, Arc::clone(&self.output)).await?;
            return Ok(Pixels { rect, samples: samples.into() });
        }
        let index = self.index.get().await?;
        if level > 0
            && may_cut(&self.header)
            && let Some(job) = self.cut(&index, level, (column, row)).await?
        {
            match decode::decode(job, Arc::clone(&self.output)).await {
                Ok(samples) => return Ok(Pixels { rect, samples: samples.into() }),
                // PLT may be wrong where the packets are right.
                Err(RasterError::Corrupt(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let (job, changes_order) = self.uncut(&index, level, (column, row)).await?;
        match decode::decode(job, Arc::clone(&self.output)).await {
            Ok(samples) => Ok(Pixels { rect, samples: samples.into() }),
            // Not every decoder follows every change; nobody says that it is damaged.
            Err(RasterError::Corrupt(_)) if changes_order => Err(RasterError::Unsupported(
                "the JPEG 2000 image: its order of progression changes (POC) in a way that \
                 the decoder does not follow"
                    .into(),
            )),
            Err(error) => Err(error),
        }
    }
}

impl Jpeg2000 {
    fn tile_number(&self, (column, row): (u32, u32)) -> u32 {
        row * self.header.grid.columns() + column
    }

    /// The lower resolutions of a tile alone, if its packets' lengths are known.
    async fn cut(
        &self,
        index: &Index,
        level: u8,
        at: (u32, u32),
    ) -> Result<Option<Job>, RasterError> {
        let packets = packets(&self.header, at.0, at.1, level);
        let parts = fetch::prefix(index, self.tile_number(at), packets, level).await?;
        Ok(parts.map(|parts| {
            let frame = Frame::tile(&self.header, at.0, at.1, level);
            let size = (frame.image.0.length(), frame.image.1.length());
            Job {
                wrapped: frame.wrap(&self.header, &parts),
                full: size,
                reduce: 0,
                size,
                crop: Rect { x: 0, y: 0, width: size.0, height: size.1 },
            }
        }))
    }

    /// A tile with all its packets, which the decoder reduces; and whether their
    /// order changes on the way.
    async fn uncut(
        &self,
        index: &Index,
        level: u8,
        at: (u32, u32),
    ) -> Result<(Job, bool), RasterError> {
        let parts = fetch::whole(index, self.tile_number(at), self.decode_bytes).await?;
        let frame = match level {
            0 => Frame::tile(&self.header, at.0, at.1, 0),
            level => Frame::with_neighbours(&self.header, at.0, at.1, 1 << level),
        };
        let (across, down) = frame.image;
        let (image_x, image_y) = (across.reduced(level), down.reduced(level));
        let tile = Frame::tile(&self.header, at.0, at.1, level).image;
        let changes_order =
            self.header.has(marker::POC) || parts.iter().any(|part| part.changes_order());
        let job = Job {
            wrapped: frame.wrap(&self.header, &parts),
            full: (across.length(), down.length()),
            reduce: level,
            size: (image_x.length(), image_y.length()),
            crop: Rect {
                x: tile.0.start.saturating_sub(image_x.start),
                y: tile.1.start.saturating_sub(image_y.start),
                width: tile.0.length(),
                height: tile.1.length(),
            },
        };
        Ok((job, changes_order))
    }

    /// The whole codestream, for images that cannot be taken apart.
    async fn whole_image(&self) -> Result<Wrapped, RasterError> {
        let origin = self.index.origin();
        let start = origin.codestream.start + origin.header_length;
        let range = start..origin.codestream.end;
        if range.end.saturating_sub(range.start) > self.decode_bytes {
            return Err(RasterError::Limit {
                what: format!("it cannot be taken apart and has {} bytes", range.end - start),
                option: "--max-decode-memory",
                allowed: self.decode_bytes,
            });
        }
        // All tile-parts are walked, so that none is cut short or missing.
        let index = self.index.get().await?;
        if let Some(tile) = (0..origin.tiles).find(|tile| index.of(*tile).is_empty()) {
            return Err(corrupt(format!("tile {tile} is missing")));
        }
        Ok(Wrapped::whole(&self.header, &index.read(range).await?))
    }
}
