//! Writes the index of tile-parts, TLM (T.800 A.7.1).

use bytes::Bytes;

use super::header::marker;
use crate::raster::RasterError;

/// The longest marker segment behind its marker.
const MAX_SEGMENT: usize = 65_535;
/// Its length, its number, and how its entries are written.
const SEGMENT_HEADER: usize = 4;
/// Ztlm has one byte.
const MAX_SEGMENTS: usize = 256;

/// How entries are written: the tile in one byte or in two, the length in four.
fn entry_bytes(tiles: u32) -> usize {
    // The highest number of one byte is 254 (Table A.34).
    if tiles <= 255 { 5 } else { 6 }
}

fn entries_of_a_segment(tiles: u32) -> usize {
    (MAX_SEGMENT - SEGMENT_HEADER) / entry_bytes(tiles)
}

/// How long the index of `parts` tile-parts of an image of `tiles` tiles is, in bytes.
pub(super) fn length(tiles: u32, parts: usize) -> usize {
    let segments = parts.div_ceil(entries_of_a_segment(tiles));
    segments * (2 + SEGMENT_HEADER) + parts * entry_bytes(tiles)
}

/// The index of tile-parts, each with its tile and its length, in the order of the codestream.
///
/// # Errors
/// There are more than the standard has room for, or one has 4 GiB.
pub(super) fn segments(tiles: u32, parts: &[(u32, u64)]) -> Result<Bytes, RasterError> {
    let refused = |why: &str| RasterError::Unsupported(format!("the JPEG 2000 image: {why}"));
    let mut bytes = Vec::with_capacity(length(tiles, parts.len()));
    for (number, entries) in parts.chunks(entries_of_a_segment(tiles)).enumerate() {
        if number == MAX_SEGMENTS {
            return Err(refused("it has more tile-parts than an index can list"));
        }
        let body = SEGMENT_HEADER + entries.len() * entry_bytes(tiles);
        bytes.extend(marker::TLM.to_be_bytes());
        bytes.extend((body as u16).to_be_bytes());
        // SP is 1, lengths of four bytes; ST is 1 or 2, tiles of as many.
        let is_short = entry_bytes(tiles) == 5;
        bytes.extend([number as u8, if is_short { 0x50 } else { 0x60 }]);
        for (tile, length) in entries {
            let length = u32::try_from(*length);
            let length = length.map_err(|_| refused("a tile-part is longer than 4 GiB"))?;
            match is_short {
                true => bytes.push(*tile as u8),
                false => bytes.extend((*tile as u16).to_be_bytes()),
            }
            bytes.extend(length.to_be_bytes());
        }
    }
    Ok(bytes.into())
}

/// A comment (COM, A.9.2) in the place of an index that is so long, since there is none that
/// fits.
pub(super) fn comment(length: usize) -> Bytes {
    const TEXT: &[u8] =
        b"There is no index of tile-parts: there are not as many as there are tiles.";
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        // What is left behind a full segment has to be one, too: at least 6 bytes.
        let left = length - bytes.len();
        let whole = match left {
            left if left <= MAX_SEGMENT => left,
            left => MAX_SEGMENT.min(left - 6),
        };
        bytes.extend(marker::COM.to_be_bytes());
        bytes.extend((whole as u16 - 2).to_be_bytes());
        // Latin text.
        bytes.extend(1u16.to_be_bytes());
        bytes.extend(TEXT.iter().copied().chain(std::iter::repeat(b' ')).take(whole - 6));
    }
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::jpeg2000::window::u16_at;

    /// The marker segments in these bytes, each with its marker and all of its length.
    fn segments_in(bytes: &[u8]) -> Vec<(u16, usize)> {
        let (mut at, mut found) = (0, Vec::new());
        while at < bytes.len() {
            let whole = 2 + usize::from(u16_at(bytes, at + 2).unwrap());
            found.push((u16_at(bytes, at).unwrap(), whole));
            at += whole;
        }
        assert_eq!(at, bytes.len(), "segments follow one another");
        found
    }

    #[test]
    fn an_index_is_as_long_as_was_said_however_many_tile_parts_there_are() {
        for (tiles, parts) in [(1, 1), (121, 121), (255, 300), (256, 256), (60_000, 60_000)] {
            let listed: Vec<_> = (0..parts).map(|n| (n as u32 % tiles, 14 + n as u64)).collect();
            let bytes = segments(tiles, &listed).unwrap();
            assert_eq!(bytes.len(), length(tiles, parts), "{tiles} {parts}");
            assert!(segments_in(&bytes).iter().all(|(code, _)| *code == marker::TLM));
        }
        assert!(segments(1, &[(0, 1 << 32)]).is_err());
        assert!(segments(1, &vec![(0, 14); 256 * 13_106 + 1]).is_err());
    }

    #[test]
    fn a_comment_has_any_length_that_an_index_may_have() {
        for parts in [1, 2, 121, 13_105, 13_106, 13_107, 13_108, 60_000] {
            let length = length(255, parts);
            let bytes = comment(length);
            assert_eq!(bytes.len(), length);
            for (code, whole) in segments_in(&bytes) {
                assert!(code == marker::COM && whole >= 6);
            }
        }
    }
}
