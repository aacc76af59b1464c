//! A small picture of 8 bits as a compressed PNG, in one piece.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use crate::raster::Pixels;

/// Each byte of a row is told from the one to its left.
const SUB: u8 = 1;

/// The PNG of pixels with one band of gray, or red, green and blue.
pub(super) fn png(pixels: &Pixels, bands: usize) -> Vec<u8> {
    let (width, height) = (pixels.rect.width, pixels.rect.height);
    let color = if bands == 3 { 2 } else { 0 };
    let mut head = [width.to_be_bytes(), height.to_be_bytes()].concat();
    head.extend([8, color, 0, 0, 0]);
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
    let row_bytes = (width as usize * bands).max(1);
    let mut row = Vec::with_capacity(row_bytes + 1);
    for samples in pixels.samples.chunks_exact(row_bytes) {
        row.clear();
        row.push(SUB);
        row.extend_from_slice(&samples[..bands.min(samples.len())]);
        row.extend(
            samples.iter().zip(&samples[bands..]).map(|(left, own)| own.wrapping_sub(*left)),
        );
        // Writing into a Vec does not fail.
        let _ = packed.write_all(&row);
    }
    let packed = packed.finish().unwrap_or_default();
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in [(b"IHDR", &head), (b"IDAT", &packed), (b"IEND", &Vec::new())] {
        file.extend((data.len() as u32).to_be_bytes());
        let checked = file.len();
        file.extend(kind);
        file.extend(data);
        file.extend(crc32fast::hash(&file[checked..]).to_be_bytes());
    }
    file
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::raster::Rect;

    #[test]
    fn the_rows_are_told_from_their_left_neighbours() {
        for bands in [1, 3] {
            let rect = Rect { x: 0, y: 0, width: 5, height: 4 };
            let samples: Vec<u8> = (0..20 * bands).map(|n| (n * 37 % 251) as u8).collect();
            let file = png(&Pixels { rect, samples: samples.clone().into() }, bands);
            // The head, the length and the name come before the data.
            let data = &file[8 + 25 + 8..file.len() - 12 - 4];
            let mut rows = Vec::new();
            flate2::read::ZlibDecoder::new(data).read_to_end(&mut rows).unwrap();
            let mut found = Vec::new();
            for row in rows.chunks(5 * bands + 1) {
                assert_eq!(row[0], SUB);
                let start = found.len();
                for (at, byte) in row[1..].iter().enumerate() {
                    let left = if at < bands { 0 } else { found[start + at - bands] };
                    found.push(byte.wrapping_add(left));
                }
            }
            assert_eq!(found, samples);
        }
    }
}
