//! What a file of the cache holds: the name of what it is about, and pieces of its bytes, each
//! with a checksum.
//!
//! An entry: `s3mem cache 1\n`; the length of its name in 4 bytes, and the name; how many pieces
//! there are in 4 bytes; of each its offset in 8 bytes, its length in 4 and its CRC-64/NVME in 8;
//! the CRC-64/NVME of all that in 8 bytes; and the bytes of the pieces, in order. Numbers are
//! little-endian. A file that is longer or shorter than its header says is no entry.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use bytes::{Buf, Bytes};
use crc_fast::CrcAlgorithm;

const MAGIC: &[u8] = b"s3mem cache 1\n";
/// A name is a bucket, a key and a few words.
const MAX_NAME_BYTES: usize = 8 << 10;
/// Of more, the file is not one of ours.
const MAX_PIECES: usize = 1 << 12;
/// What a header takes for each piece.
const PIECE_BYTES: usize = 8 + 4 + 8;
/// So much is read at first: most headers are shorter.
const HEAD_BYTES: usize = 4 << 10;

/// Where a piece of an entry lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// Which of the bytes that the entry is about comes first.
    pub(super) start: u64,
    length: u32,
    sum: u64,
    /// Where it begins in the file.
    place: u64,
}

impl Piece {
    /// Which bytes it has.
    pub(super) fn range(&self) -> Range<u64> {
        self.start..self.start + u64::from(self.length)
    }

    /// Its bytes, if they are those that were written.
    pub(super) fn read(&self, file: &File) -> Option<Vec<u8>> {
        let mut bytes = vec![0; self.length as usize];
        file.read_exact_at(&mut bytes, self.place).ok()?;
        (checksum(&bytes) == self.sum).then_some(bytes)
    }
}

/// What an entry has, in order and without overlaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) pieces: Vec<Piece>,
}

impl Header {
    /// The header of a file, if it is an entry of this name and as long as it says.
    pub(super) fn read(file: &File, name: &str) -> Option<Header> {
        let length = file.metadata().ok()?.len();
        let mut head = vec![0; HEAD_BYTES.min(usize::try_from(length).ok()?)];
        file.read_exact_at(&mut head, 0).ok()?;
        let whole = header_bytes(&head)?;
        if whole > head.len() {
            head = vec![0; whole];
            file.read_exact_at(&mut head, 0).ok()?;
        }
        Header::parse(&head, name, length)
    }

    /// As [`Header::read`], of the first bytes of a file of `length` bytes.
    fn parse(head: &[u8], name: &str, length: u64) -> Option<Header> {
        let whole = header_bytes(head)?;
        let (checked, mut sum) = head.get(..whole)?.split_at_checked(whole.checked_sub(8)?)?;
        if checksum(checked) != sum.try_get_u64_le().ok()? {
            return None;
        }
        let mut rest = checked.strip_prefix(MAGIC)?;
        let said = rest.try_get_u32_le().ok()? as usize;
        let (said, mut rest) = rest.split_at_checked(said)?;
        if said != name.as_bytes() {
            return None;
        }
        let count = rest.try_get_u32_le().ok()?;
        let (mut pieces, mut place, mut end) = (Vec::new(), whole as u64, 0);
        for _ in 0..count {
            let start = rest.try_get_u64_le().ok()?;
            let (length, sum) = (rest.try_get_u32_le().ok()?, rest.try_get_u64_le().ok()?);
            if start < end || length == 0 {
                return None;
            }
            end = start.checked_add(length.into())?;
            pieces.push(Piece { start, length, sum, place });
            place = place.checked_add(length.into())?;
        }
        (place == length && rest.is_empty()).then_some(Header { pieces })
    }

    /// The ranges that it has; pieces that meet are one.
    pub(super) fn ranges(&self) -> Vec<Range<u64>> {
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for range in self.pieces.iter().map(Piece::range) {
            match ranges.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => ranges.push(range),
            }
        }
        ranges
    }

    /// All bytes of a range, if it has them and they are those that were written.
    pub(super) fn bytes(&self, file: &File, range: &Range<u64>) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity((range.end - range.start) as usize);
        let mut at = range.start;
        for piece in self.pieces.iter().filter(|piece| piece.range().end > range.start) {
            if at >= range.end || piece.start > at {
                break;
            }
            let (from, end) = (at - piece.start, piece.range().end.min(range.end) - piece.start);
            bytes.extend_from_slice(piece.read(file)?.get(from as usize..end as usize)?);
            at = piece.start + end;
        }
        (at == range.end).then_some(bytes)
    }

    /// Whether all its bytes are those that were written.
    pub(super) fn is_right(&self, file: &File) -> bool {
        self.pieces.iter().all(|piece| piece.read(file).is_some())
    }

    /// All bytes of an entry that is one run from its beginning on.
    pub(super) fn whole(&self, file: &File) -> Option<Bytes> {
        match &self.ranges()[..] {
            [range] if range.start == 0 => self.bytes(file, range).map(Bytes::from),
            _ => None,
        }
    }
}

/// How many bytes a header has that begins so.
fn header_bytes(head: &[u8]) -> Option<usize> {
    let mut rest = head.strip_prefix(MAGIC)?;
    let name = rest.try_get_u32_le().ok()? as usize;
    let mut behind = rest.get(name..).filter(|_| name <= MAX_NAME_BYTES)?;
    let count = behind.try_get_u32_le().ok()? as usize;
    let pieces = (count <= MAX_PIECES).then_some(count * PIECE_BYTES)?;
    Some(MAGIC.len() + 4 + name + 4 + pieces + 8)
}

/// The bytes before the pieces of an entry with these, which are in order and do not overlap;
/// `None` if no entry has such a name or so many.
pub(super) fn header(name: &str, pieces: &[(u64, &[u8])]) -> Option<Vec<u8>> {
    if name.len() > MAX_NAME_BYTES || pieces.len() > MAX_PIECES {
        return None;
    }
    let mut bytes = MAGIC.to_vec();
    bytes.extend((name.len() as u32).to_le_bytes());
    bytes.extend(name.as_bytes());
    bytes.extend((pieces.len() as u32).to_le_bytes());
    for (start, piece) in pieces {
        bytes.extend(start.to_le_bytes());
        bytes.extend(u32::try_from(piece.len()).ok()?.to_le_bytes());
        bytes.extend(checksum(piece).to_le_bytes());
    }
    bytes.extend(checksum(&bytes).to_le_bytes());
    Some(bytes)
}

/// Writes an entry into a new file.
pub(super) fn write(file: &File, header: &[u8], pieces: &[(u64, &[u8])]) -> io::Result<()> {
    file.write_all_at(header, 0)?;
    let mut place = header.len() as u64;
    for (_, piece) in pieces {
        file.write_all_at(piece, place)?;
        place += piece.len() as u64;
    }
    Ok(())
}

fn checksum(bytes: &[u8]) -> u64 {
    crc_fast::checksum(CrcAlgorithm::Crc64Nvme, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const NAME: &str = "aws/b\nk\n\"1\"\n9\nbytes 0";

    fn entry(pieces: &[(u64, &[u8])]) -> Vec<u8> {
        let mut bytes = header(NAME, pieces).unwrap();
        pieces.iter().for_each(|(_, piece)| bytes.extend_from_slice(piece));
        bytes
    }

    /// What is found in a file of these bytes: pieces that are right.
    fn found(path: &std::path::Path, bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
        fs::write(path, bytes).unwrap();
        let file = File::open(path).unwrap();
        let Some(header) = Header::read(&file, NAME) else { return Vec::new() };
        let right = |piece: &Piece| Some((piece.start, piece.read(&file)?));
        header.pieces.iter().filter_map(right).collect()
    }

    #[test]
    fn an_entry_says_what_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("e");
        fs::write(&path, entry(&[(0, b"abcd"), (4, b"ef"), (10, b"xyz")])).unwrap();
        let file = File::open(&path).unwrap();
        let header = Header::read(&file, NAME).unwrap();
        assert_eq!(header.ranges(), [0..6, 10..13]);
        let bytes = |range: Range<u64>| header.bytes(&file, &range);
        assert_eq!(bytes(0..6).unwrap(), b"abcdef");
        assert_eq!(bytes(3..5).unwrap(), b"de");
        assert_eq!(bytes(11..13).unwrap(), b"yz");
        for missing in [5..7, 6..8, 9..11, 12..14, 20..21] {
            assert_eq!(bytes(missing.clone()), None, "{missing:?}");
        }
        assert_eq!(header.whole(&file), None, "it has a gap");
        assert_eq!(Header::read(&file, "another"), None);
    }

    #[test]
    fn no_byte_can_be_flipped_cut_or_added_without_being_found_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("e");
        let pieces: [(u64, &[u8]); 2] = [(0, b"some bytes"), (20, b"of an object")];
        let right: Vec<_> = pieces.iter().map(|(at, piece)| (*at, piece.to_vec())).collect();
        let whole = entry(&pieces);
        assert_eq!(found(&path, &whole), right);
        for at in 0..whole.len() {
            assert!(found(&path, &whole[..at]).is_empty(), "cut at {at}");
            for bit in 0..8 {
                let mut damaged = whole.clone();
                damaged[at] ^= 1 << bit;
                let found = found(&path, &damaged);
                assert!(found.len() < 2, "bit {bit} of byte {at}");
                assert!(found.iter().all(|piece| right.contains(piece)), "byte {at}");
            }
            let mut holes = whole.clone();
            holes[at..].fill(0);
            assert!(found(&path, &holes).len() < 2 || holes == whole, "zeros from {at}");
        }
        assert!(found(&path, &[&whole[..], b"x"].concat()).is_empty());
        assert!(found(&path, &[&whole[..], &whole[..]].concat()).is_empty());
    }

    #[test]
    fn numbers_that_nobody_wrote_cost_no_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("e");
        for number in [u32::MAX, 1 << 30, 8193] {
            let name = [MAGIC, &number.to_le_bytes(), &[0; 64]].concat();
            assert!(found(&path, &name).is_empty());
            let count = [MAGIC, &0u32.to_le_bytes(), &number.to_le_bytes(), &[0; 64]].concat();
            assert!(found(&path, &count).is_empty());
        }
        assert_eq!(header(&"n".repeat(9000), &[]), None);
    }
}
