//! Puts the samples of strips and tiles where they belong among the pixels of a tile.

use super::geometry::Chunk;
use crate::raster::RasterError;
use crate::raster::Rect;
use crate::raster::error::corrupt;

/// The decoded samples of a chunk, or of those rows of it that were wanted.
#[derive(Debug)]
pub(in crate::raster) struct Part {
    /// Which chunk they are of; `rect` has the columns and rows that are here.
    pub(in crate::raster) chunk: Chunk,
    /// Row by row, sample by sample within a pixel.
    pub(in crate::raster) samples: Vec<u8>,
}

/// The pixels of a rectangle.
#[derive(Debug)]
pub(in crate::raster) struct Canvas {
    rect: Rect,
    pixel_bytes: usize,
    samples: Vec<u8>,
}

impl Canvas {
    /// All pixels have this value: one pixel, or zeros.
    pub(in crate::raster) fn filled(rect: Rect, pixel: &[u8]) -> Self {
        let pixels = rect.width as usize * rect.height as usize;
        let samples = match pixel.iter().all(|&byte| byte == 0) {
            true => vec![0; pixels * pixel.len()],
            false => pixel.repeat(pixels),
        };
        Canvas { rect, pixel_bytes: pixel.len(), samples }
    }

    /// Copies what lies in the rectangle; a part of one plane fills its band of each pixel,
    /// `part_bytes` for a pixel of the part.
    ///
    /// # Errors
    /// The part has fewer rows than that takes.
    pub(in crate::raster) fn put(
        &mut self,
        part: &Part,
        part_bytes: usize,
    ) -> Result<(), RasterError> {
        let from = part.chunk.rect;
        let shared = from.intersection(&self.rect);
        let band = usize::from(part.chunk.plane) * part_bytes;
        for y in shared.y..shared.y + shared.height {
            let row = (y - from.y) as usize * from.width as usize + (shared.x - from.x) as usize;
            let length = shared.width as usize * part_bytes;
            let given = part.samples.get(row * part_bytes..row * part_bytes + length);
            let given = given.ok_or_else(|| corrupt("a strip or tile of it ends early"))?;
            let to = (y - self.rect.y) as usize * self.rect.width as usize
                + (shared.x - self.rect.x) as usize;
            let to = &mut self.samples[to * self.pixel_bytes..];
            if part_bytes == self.pixel_bytes {
                to[..length].copy_from_slice(given);
                continue;
            }
            let pixels = to.chunks_exact_mut(self.pixel_bytes);
            for (pixel, sample) in pixels.zip(given.chunks_exact(part_bytes)) {
                pixel[band..band + part_bytes].copy_from_slice(sample);
            }
        }
        Ok(())
    }

    pub(in crate::raster) fn done(self) -> Vec<u8> {
        self.samples
    }
}
