//! Large JPEG 2000 images that lie in no file: the first tile of `B01.jp2`, again
//! and again. T.800 allows it, since a tile whose sides are whole precincts is coded
//! the same wherever it lies.

use super::B01_JP2;

/// Pixels along a side of a tile.
pub(super) const TILE: u64 = 1024;

/// A codestream of tiles that are all the same.
pub(super) struct Mosaic {
    pub(super) bytes: Vec<u8>,
    /// Bytes of each tile-part.
    pub(super) part: u64,
}

/// A mosaic of so many tiles, with or without the list of tile-parts (TLM).
pub(super) fn mosaic(columns: u32, rows: u32, lists_parts: bool) -> Mosaic {
    let start = position(B01_JP2, &[0xff, 0x4f, 0xff, 0x51]);
    let main_end = start + position(&B01_JP2[start..], &[0xff, 0x90, 0, 10]);
    let length = u32::from_be_bytes(B01_JP2[main_end + 6..main_end + 10].try_into().unwrap());
    let part = &B01_JP2[main_end..main_end + length as usize];
    let mut bytes = B01_JP2[start..main_end].to_vec();
    // SOC, SIZ, its length, its capabilities: then the size, in columns and rows.
    bytes[8..12].copy_from_slice(&(columns * TILE as u32).to_be_bytes());
    bytes[12..16].copy_from_slice(&(rows * TILE as u32).to_be_bytes());
    let tiles = columns * rows;
    if lists_parts {
        bytes.extend([0xff, 0x55]);
        bytes.extend((4 + 6 * tiles as u16).to_be_bytes());
        // The first such list; tiles in two bytes, lengths in four.
        bytes.extend([0, 0x60]);
        for tile in 0..tiles as u16 {
            bytes.extend(tile.to_be_bytes());
            bytes.extend(length.to_be_bytes());
        }
    }
    for tile in 0..tiles as u16 {
        let from = bytes.len();
        bytes.extend(part);
        bytes[from + 4..from + 6].copy_from_slice(&tile.to_be_bytes());
    }
    bytes.extend([0xff, 0xd9]);
    Mosaic { bytes, part: u64::from(length) }
}

fn position(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes.windows(wanted.len()).position(|window| window == wanted).unwrap()
}
