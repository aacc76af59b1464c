//! A PNG whose size is known before anything is decoded.
//!
//! Contract: the image's values as they are, in 16 bits or fewer, and the profile of their
//! colors, if there is one; no scaling, no text, no time; of RGB with further bands red, green
//! and blue. An image whose first row is the lowest is turned round. Mechanism: deflate's *stored* blocks (RFC 1951, 3.2.4), at least one a
//! row, so that the file's size and the place of every row follow from the header;
//! an IDAT chunk for each band of 64 rows, with a CRC of its own; and the Adler-32
//! of all rows in an IDAT of its own at the end, combined from those of the bands.
//! Not here: which pixels a preview has.

use std::io::Write;
use std::ops::Range;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::png_rows::PngRows;
use super::{Layout, MAX_FILE_BYTES, NoView, UnitData, UnitIndex, UnitInput};
use crate::raster::{RasterInfo, Rect};

/// The rows of an IDAT chunk, unless it would be larger than [`BAND_BYTES`].
const BAND_ROWS: u64 = 64;
/// What a chunk of several rows may have: a unit is made in one piece.
const BAND_BYTES: u64 = 16 << 20;
/// PNG's largest width, height and chunk.
const PNG_MAX: u64 = (1 << 31) - 1;
/// What a stored block can hold.
const BLOCK_BYTES: u64 = 65_535;
/// Its header: the final bit, the length, and the length inverted.
const BLOCK_HEADER: u64 = 5;
/// Length, type and CRC of a chunk.
const CHUNK: u64 = 12;
/// Signature and IHDR, behind which a profile comes, before a palette.
const BEFORE_PROFILE: usize = 8 + CHUNK as usize + 13;
/// Deflate, a window of 32 KiB, no dictionary, fastest.
pub(super) const ZLIB_HEADER: [u8; 2] = [0x78, 0x01];
/// The Adler-32's chunk.
const SUM: u64 = CHUNK + 4;

const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

/// The layout of a PNG.
#[derive(Debug, Clone)]
pub struct PngLayout {
    width: u32,
    height: u32,
    rows: PngRows,
    /// All that comes before the pixels.
    head: Vec<u8>,
    /// Filter byte and samples of a row.
    row_bytes: u64,
    /// The same within deflate's blocks.
    stored_row_bytes: u64,
    band_rows: u64,
    /// Whether the first row of the file is the last one of the image.
    is_turned: bool,
}

impl PngLayout {
    /// The PNG that has an image's pixels.
    ///
    /// # Errors
    /// If PNG cannot hold them as they are.
    pub fn new(info: &RasterInfo) -> Result<Self, NoView> {
        let rows = PngRows::new(info)?;
        let mut chunks = Vec::new();
        if let (3, Some(palette)) = (rows.color_type, &info.extras.palette) {
            // An index that the palette lacks would make the file invalid.
            let all = palette.iter().copied().chain(std::iter::repeat([0; 3]));
            let colors: Vec<u8> = all.take(1 << rows.bits).flatten().collect();
            push_chunk(&mut chunks, b"PLTE", &colors);
        }
        let layout = PngLayout::of(info.width, info.height, rows, &chunks)?;
        Ok(PngLayout { is_turned: info.extras.is_bottom_up, ..layout })
    }

    /// The PNG of a preview: 8 bits, gray or RGB.
    ///
    /// # Errors
    /// If there is no pixel, or a side is longer than PNG allows.
    pub fn for_preview(width: u32, height: u32, rgb: bool) -> Result<Self, NoView> {
        PngLayout::of(width, height, PngRows::plain(rgb), &[])
    }

    /// With `chunks` between the header and the pixels.
    fn of(width: u32, height: u32, rows: PngRows, chunks: &[u8]) -> Result<Self, NoView> {
        if width == 0 || height == 0 {
            return Err(NoView::new("the image has no pixels"));
        }
        let row_bytes = 1 + rows.row_bytes(width);
        let stored_row_bytes = row_bytes + BLOCK_HEADER * row_bytes.div_ceil(BLOCK_BYTES);
        let longest = u64::from(width.max(height)).max(stored_row_bytes + 2);
        let bytes = stored_row_bytes.checked_mul(height.into());
        if longest > PNG_MAX || bytes.is_none_or(|bytes| bytes > MAX_FILE_BYTES / 2) {
            return Err(NoView::new("the image is larger than PNG allows"));
        }
        let band_rows = (BAND_BYTES / stored_row_bytes).clamp(1, BAND_ROWS);
        let mut head = SIGNATURE.to_vec();
        let mut ihdr = [width.to_be_bytes(), height.to_be_bytes()].concat();
        ihdr.extend([rows.bits, rows.color_type, 0, 0, 0]);
        push_chunk(&mut head, b"IHDR", &ihdr);
        head.extend(chunks);
        let is_turned = false;
        Ok(PngLayout {
            width,
            height,
            rows,
            head,
            row_bytes,
            stored_row_bytes,
            band_rows,
            is_turned,
        })
    }

    /// With the ICC profile of the image's colors; an empty one is none.
    #[must_use]
    pub fn with_profile(mut self, profile: &[u8]) -> Self {
        if !profile.is_empty() {
            // PNG 11.3.2.3: a name, 0 for deflate, and the profile as a zlib stream.
            let mut packed = ZlibEncoder::new(b"ICC profile\0\0".to_vec(), Compression::fast());
            let written = packed.write_all(profile).and_then(|()| packed.finish());
            let mut chunk = Vec::new();
            // Writing into memory does not fail; without a profile the pixels are as right.
            if let Ok(bytes) = written {
                push_chunk(&mut chunk, b"iCCP", &bytes);
            }
            self.head.splice(BEFORE_PROFILE..BEFORE_PROFILE, chunk);
        }
        self
    }

    /// How a row becomes one of the file.
    pub(super) fn png_rows(&self) -> PngRows {
        self.rows
    }

    /// The samples of the rows of a band, in the order that the file has them.
    pub(super) fn in_order<'s>(
        &self,
        samples: &'s [u8],
    ) -> Box<dyn Iterator<Item = &'s [u8]> + 's> {
        let rows = samples.chunks_exact(self.width as usize * self.rows.given_bytes());
        match self.is_turned {
            true => Box::new(rows.rev()),
            false => Box::new(rows),
        }
    }

    fn head_bytes(&self) -> u64 {
        self.head.len() as u64
    }

    fn bands(&self) -> u64 {
        u64::from(self.height).div_ceil(self.band_rows)
    }

    /// The rows of a band; its unit is one more.
    fn band_rows_of(&self, band: u64) -> Range<u64> {
        let start = band * self.band_rows;
        start..(start + self.band_rows).min(self.height.into())
    }

    /// Where a band's chunk starts; for the number of bands, where the Adler-32 does.
    fn band_start(&self, band: u64) -> u64 {
        let rows = (band * self.band_rows).min(self.height.into());
        let zlib = if band > 0 { ZLIB_HEADER.len() as u64 } else { 0 };
        self.head_bytes() + zlib + band * CHUNK + rows * self.stored_row_bytes
    }

    fn encode_band(&self, unit: UnitIndex, samples: &[u8]) -> Vec<u8> {
        let band = unit - 1;
        let rows = self.band_rows_of(band);
        let range = self.unit_range(unit);
        let bytes = (range.end - range.start) as usize;
        let mut chunk = Vec::with_capacity(bytes);
        chunk.extend(((bytes as u64 - CHUNK) as u32).to_be_bytes());
        chunk.extend(b"IDAT");
        if band == 0 {
            chunk.extend(ZLIB_HEADER);
        }
        let mut line = Vec::with_capacity(self.row_bytes as usize);
        for (row, samples) in rows.zip(self.in_order(samples)) {
            line.clear();
            line.push(0); // no filter
            self.rows.push(&mut line, samples);
            let mut blocks = line.chunks(BLOCK_BYTES as usize).peekable();
            while let Some(block) = blocks.next() {
                let last = row + 1 == u64::from(self.height) && blocks.peek().is_none();
                let length = block.len() as u16;
                chunk.push(last.into());
                chunk.extend(length.to_le_bytes());
                chunk.extend((!length).to_le_bytes());
                chunk.extend(block);
            }
        }
        let crc = crc32fast::hash(&chunk[4..]);
        chunk.extend(crc.to_be_bytes());
        chunk
    }

    /// The Adler-32 of all rows from those of the bands.
    fn encode_sum(&self, sums: &[u32]) -> Vec<u8> {
        let sum = sums.iter().zip(0..self.bands()).fold(1, |sum, (&next, band)| {
            let rows = self.band_rows_of(band);
            combine(sum, next, (rows.end - rows.start) * self.row_bytes)
        });
        let mut chunk = Vec::with_capacity(SUM as usize);
        push_chunk(&mut chunk, b"IDAT", &sum.to_be_bytes());
        chunk
    }
}

impl Layout for PngLayout {
    fn size(&self) -> u64 {
        self.band_start(self.bands()) + SUM + CHUNK
    }

    fn units(&self) -> u64 {
        self.bands() + 3
    }

    fn unit_at(&self, offset: u64) -> UnitIndex {
        let bands = self.bands();
        if offset < self.head_bytes() {
            return 0;
        }
        let behind = self.band_start(bands);
        if offset >= behind {
            return bands + 1 + u64::from(offset >= behind + SUM);
        }
        // All bands but the last are as long as the first, less the zlib header.
        let band_bytes = CHUNK + self.band_rows * self.stored_row_bytes;
        1 + (offset - self.head_bytes()).saturating_sub(ZLIB_HEADER.len() as u64) / band_bytes
    }

    fn unit_range(&self, unit: UnitIndex) -> Range<u64> {
        let bands = self.bands();
        let behind = self.band_start(bands);
        match unit {
            0 => 0..self.head_bytes(),
            unit if unit <= bands => self.band_start(unit - 1)..self.band_start(unit),
            unit if unit == bands + 1 => behind..behind + SUM,
            _ => behind + SUM..self.size(),
        }
    }

    fn unit_input(&self, unit: UnitIndex) -> UnitInput {
        let bands = self.bands();
        if (1..=bands).contains(&unit) {
            let rows = self.band_rows_of(unit - 1);
            let first = match self.is_turned {
                true => u64::from(self.height) - rows.end,
                false => rows.start,
            };
            let (y, height) = (first as u32, (rows.end - rows.start) as u32);
            UnitInput::Pixels { level: 0, rect: Rect { x: 0, y, width: self.width, height } }
        } else if unit == bands + 1 {
            UnitInput::Checksums { of: (1, bands + 1) }
        } else {
            UnitInput::Nothing
        }
    }

    fn encode(&self, unit: UnitIndex, data: UnitData<'_>) -> Vec<u8> {
        match data {
            UnitData::Pixels(pixels) => self.encode_band(unit, &pixels.samples),
            UnitData::Checksums(sums) => self.encode_sum(sums),
            UnitData::Nothing if unit == 0 => self.head.clone(),
            UnitData::Nothing => {
                let mut end = Vec::with_capacity(CHUNK as usize);
                push_chunk(&mut end, b"IEND", &[]);
                end
            }
        }
    }

    /// The Adler-32 of a band's rows: what is within the blocks.
    fn checksum(&self, unit: UnitIndex, encoded: &[u8]) -> u32 {
        let head = if unit == 1 { 8 + ZLIB_HEADER.len() } else { 8 };
        let mut sum = simd_adler32::Adler32::new();
        let stored = &encoded[head..encoded.len() - 4];
        for row in stored.chunks(self.stored_row_bytes as usize) {
            for block in row.chunks((BLOCK_HEADER + BLOCK_BYTES) as usize) {
                sum.write(&block[BLOCK_HEADER as usize..]);
            }
        }
        sum.finish()
    }
}

pub(super) fn push_chunk(file: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    file.extend((data.len() as u32).to_be_bytes());
    let checked = file.len();
    file.extend(kind);
    file.extend(data);
    let crc = crc32fast::hash(&file[checked..]);
    file.extend(crc.to_be_bytes());
}

/// The Adler-32 of two stretches, one behind the other, from that of each and the
/// length of the second (RFC 1950, 8.2: two sums modulo 65521, the first from 1).
pub(super) fn combine(first: u32, second: u32, second_bytes: u64) -> u32 {
    const BASE: u64 = 65_521;
    let halves = |sum: u32| (u64::from(sum & 0xffff), u64::from(sum >> 16));
    let ((a1, b1), (a2, b2)) = (halves(first), halves(second));
    let a = (a1 + a2 + BASE - 1) % BASE;
    let b = (b1 + b2 + (second_bytes % BASE) * (a1 + BASE - 1)) % BASE;
    (b as u32) << 16 | a as u32
}

#[cfg(test)]
mod tests;
