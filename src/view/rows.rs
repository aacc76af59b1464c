//! Reads of a file whose rows of pixels follow one another with nothing in between (NPY),
//! straight from the tiles: who reads a few columns of each row touches the tiles under them
//! and no others, and who reads a few pixels alone may have no more than [a part] of a tile
//! decoded.
//!
//! Where a row of tiles takes more memory than tiles may have, each read would decode it
//! again; such files are made in units instead, as all others are.
//!
//! [a part]: super::windows

use std::ops::Range;
use std::sync::Arc;

use super::Views;
use super::error::ViewError;
use super::image::Image;
use super::layout::{Layout, push_little_endian};
use super::render::{Tile, compose};
use crate::raster::Rect;

/// Where the rows of an image are in a file.
#[derive(Debug)]
pub(super) struct Rows {
    /// Where the first one starts.
    start: u64,
    width: u32,
    pixel_bytes: u64,
    sample_bytes: usize,
}

/// A rectangle that a range of a file has pixels of.
#[derive(Debug, PartialEq, Eq)]
struct Piece {
    rect: Rect,
    /// Which of its bytes are meant.
    bytes: Range<usize>,
}

impl Views {
    /// How a file is read from its tiles, if it is to be.
    pub(super) fn rows_of(&self, image: &Image, layout: &dyn Layout) -> Option<Rows> {
        let start = layout.rows_start()?;
        let info = image.info();
        let pixel_bytes = info.pixel_bytes() as u64;
        let row_of_tiles =
            u64::from(info.width) * u64::from(info.grid.tile_size.1).min(info.height.into());
        let fits = row_of_tiles.saturating_mul(pixel_bytes) <= self.kept.pixels.limit_bytes() / 2;
        let sample_bytes = info.sample.bytes();
        fits.then_some(Rows { start, width: info.width, pixel_bytes, sample_bytes })
    }
}

impl Rows {
    /// The bytes of a range, which lies behind the first row's start, if all tiles under it
    /// are here.
    pub(super) fn read_now(
        &self,
        views: &Views,
        image: &Image,
        range: Range<u64>,
    ) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity((range.end - range.start) as usize);
        for piece in self.pieces(range) {
            let tiles = views.covering_now(image, 0, piece.rect)?;
            self.append(&mut bytes, &piece, &tiles);
        }
        Some(bytes)
    }

    /// The bytes of a range, which lies behind the first row's start; `is_alone` if none
    /// near it may follow.
    ///
    /// # Errors
    /// What fetching or decoding failed with.
    pub(super) async fn read(
        &self,
        views: &Arc<Views>,
        image: &Arc<Image>,
        range: Range<u64>,
        is_alone: bool,
    ) -> Result<Vec<u8>, ViewError> {
        let mut bytes = Vec::with_capacity((range.end - range.start) as usize);
        let pieces = self.pieces(range);
        let rows = pieces.first().zip(pieces.last()).map(|(first, last)| {
            let (y, end) = (first.rect.y, last.rect.y + last.rect.height);
            Rect { x: 0, y, width: self.width, height: end - y }
        });
        for piece in pieces {
            let alone = rows.filter(|_| is_alone);
            let tiles = views.covering(image, 0, piece.rect, alone).await?;
            self.append(&mut bytes, &piece, &tiles);
        }
        Ok(bytes)
    }

    /// Where the first row starts.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// The rectangles that a range of the file has pixels of.
    pub(super) fn rects(&self, range: Range<u64>) -> Vec<Rect> {
        let start = range.start.max(self.start);
        if start >= range.end {
            return Vec::new();
        }
        self.pieces(start..range.end).into_iter().map(|piece| piece.rect).collect()
    }

    fn append(&self, file: &mut Vec<u8>, piece: &Piece, tiles: &[Tile]) {
        let pixels = compose(tiles, piece.rect, self.pixel_bytes as usize);
        let mut bytes = Vec::with_capacity(pixels.samples.len());
        push_little_endian(&mut bytes, &pixels.samples, self.sample_bytes);
        file.extend_from_slice(&bytes[piece.bytes.clone()]);
    }

    /// Part of a row, whole rows, and part of a row.
    fn pieces(&self, range: Range<u64>) -> Vec<Piece> {
        let row_bytes = u64::from(self.width) * self.pixel_bytes;
        let (mut at, end) = (range.start - self.start, range.end - self.start);
        let mut pieces = Vec::new();
        while at < end {
            let (row, within) = (at / row_bytes, at % row_bytes);
            let whole_rows = (end - at) / row_bytes;
            let piece = if within == 0 && whole_rows > 0 {
                let (y, height) = (row as u32, whole_rows as u32);
                let rect = Rect { x: 0, y, width: self.width, height };
                Piece { rect, bytes: 0..(whole_rows * row_bytes) as usize }
            } else {
                let stop = (within + (end - at)).min(row_bytes);
                let x = within / self.pixel_bytes;
                let width = stop.div_ceil(self.pixel_bytes) - x;
                let rect = Rect { x: x as u32, y: row as u32, width: width as u32, height: 1 };
                let skipped = within - x * self.pixel_bytes;
                Piece { rect, bytes: skipped as usize..(skipped + stop - within) as usize }
            };
            at += piece.bytes.len() as u64;
            pieces.push(piece);
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::SampleType;
    use crate::view::layout::check;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_pieces_of_a_range_have_its_bytes_in_order(
            width in 1u32..40,
            height in 1u32..20,
            pixel in 1u16..4,
            from in any::<prop::sample::Index>(),
            to in any::<prop::sample::Index>(),
        ) {
            let info = check::info(width, height, pixel, SampleType::U16);
            let all = check::pixels(&info, 0, info.image(0)).samples;
            let pixel_bytes = info.pixel_bytes() as u64;
            let rows = Rows { start: 128, width, pixel_bytes, sample_bytes: 2 };
            let (from, to) = (from.index(all.len()), to.index(all.len()));
            let range = from.min(to)..from.max(to) + 1;
            let mut found = Vec::new();
            let pieces = rows.pieces(range.start as u64 + 128..range.end as u64 + 128);
            prop_assert!(pieces.len() <= 3);
            for piece in pieces {
                let pixels = check::pixels(&info, 0, piece.rect).samples;
                found.extend_from_slice(&pixels[piece.bytes]);
            }
            prop_assert_eq!(&found[..], &all[range]);
        }
    }
}
