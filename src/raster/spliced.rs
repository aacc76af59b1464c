//! Files that are made of an image's own bytes, without decoding it.
//!
//! Contract: a [`Spliced`] file is a row of pieces, each either made or a range of the
//! object; its size is exact, and nothing of the object is held.

use std::ops::Range;

use bytes::{Buf, BufMut, Bytes};

/// Another file of the same image, cut from its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// A JP2 file with an index of its tile-parts.
    IndexedJp2,
    /// A raw codestream with an index of its tile-parts.
    IndexedJ2k,
    /// A raw codestream of the image reduced by `2^n`.
    ReducedJ2k(u8),
}

/// A piece of a [`Spliced`] file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// These bytes.
    Made(Bytes),
    /// The bytes of the object in this range.
    Original(Range<u64>),
}

/// A file of pieces.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Spliced {
    pieces: Vec<Piece>,
    /// Where each of them ends.
    ends: Vec<u64>,
}

impl Piece {
    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Piece::Made(bytes) => bytes.len() as u64,
            Piece::Original(range) => range.end.saturating_sub(range.start),
        }
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A part of it.
    fn cut(&self, from: u64, to: u64) -> Piece {
        match self {
            Piece::Made(bytes) => Piece::Made(bytes.slice(from as usize..to as usize)),
            Piece::Original(range) => Piece::Original(range.start + from..range.start + to),
        }
    }
}

impl Spliced {
    /// Adds a piece at the end; ranges that are neighbours become one.
    pub fn push(&mut self, piece: Piece) {
        if piece.is_empty() {
            return;
        }
        let end = self.size() + piece.len();
        if let (Some(Piece::Original(last)), Piece::Original(next)) =
            (self.pieces.last_mut(), &piece)
            && last.end == next.start
        {
            last.end = next.end;
            self.ends.pop();
        } else {
            self.pieces.push(piece);
        }
        self.ends.push(end);
    }

    /// The size of the file in bytes.
    pub fn size(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// About what it takes in memory, in bytes.
    pub fn held_bytes(&self) -> u64 {
        let made = |piece: &Piece| match piece {
            Piece::Made(bytes) => bytes.len() as u64,
            Piece::Original(_) => 0,
        };
        let each = (size_of::<Piece>() + size_of::<u64>()) as u64;
        self.pieces.iter().map(made).sum::<u64>() + each * self.pieces.len() as u64
    }

    /// The list of pieces as bytes, for whoever keeps it: of each a byte that says what it is,
    /// then 0, its length in 4 bytes and its bytes, or 1, its start and its end in 8 bytes
    /// each; little-endian.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Made(made) => {
                    bytes.put_u8(0);
                    bytes.put_u32_le(made.len() as u32);
                    bytes.put_slice(made);
                }
                Piece::Original(range) => {
                    bytes.put_u8(1);
                    bytes.put_u64_le(range.start);
                    bytes.put_u64_le(range.end);
                }
            }
        }
        bytes
    }

    /// The list that [`Spliced::to_bytes`] made of pieces of an object of `size` bytes; `None`
    /// if it is none.
    pub fn from_bytes(mut bytes: Bytes, size: u64) -> Option<Spliced> {
        let mut file = Spliced::default();
        while !bytes.is_empty() {
            let piece = match bytes.try_get_u8().ok()? {
                0 => {
                    let length = bytes.try_get_u32_le().ok()? as usize;
                    (length <= bytes.len()).then(|| Piece::Made(bytes.split_to(length)))?
                }
                1 => {
                    let (start, end) = (bytes.try_get_u64_le().ok()?, bytes.try_get_u64_le().ok()?);
                    (start <= end && end <= size).then_some(Piece::Original(start..end))?
                }
                _ => return None,
            };
            file.push(piece);
        }
        Some(file).filter(|file| file.size() > 0)
    }

    /// The pieces of a range of the file, as far as it goes.
    pub fn range(&self, range: Range<u64>) -> impl Iterator<Item = Piece> + '_ {
        let first = self.ends.partition_point(|end| *end <= range.start);
        let pieces = self.pieces.iter().zip(&self.ends).skip(first);
        pieces.map_while(move |(piece, end)| {
            let start = end - piece.len();
            let (from, to) = (range.start.max(start), range.end.min(*end));
            (from < to).then(|| piece.cut(from - start, to - start))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_range_is_that_of_the_whole(
            cuts in prop::collection::vec((any::<bool>(), 0u64..40, 0u64..20), 0..12),
            from in 0u64..200,
            length in 0u64..200,
        ) {
            let object: Vec<u8> = (0..60).collect();
            let bytes = |piece: Piece| match piece {
                Piece::Made(bytes) => bytes.to_vec(),
                Piece::Original(range) => object[range.start as usize..range.end as usize].to_vec(),
            };
            let (mut file, mut whole) = (Spliced::default(), Vec::new());
            for (is_made, start, length) in cuts {
                let piece = match is_made {
                    true => Piece::Made(vec![200; length as usize].into()),
                    false => Piece::Original(start..start + length),
                };
                whole.extend(bytes(piece.clone()));
                file.push(piece);
            }
            prop_assert_eq!(file.size(), whole.len() as u64);
            let kept = Bytes::from(file.to_bytes());
            let expected = (file.size() > 0).then(|| file.clone());
            prop_assert_eq!(Spliced::from_bytes(kept.clone(), 60), expected);
            for cut in 1..kept.len() {
                let part = Spliced::from_bytes(kept.slice(..cut), 60);
                prop_assert!(part.is_none_or(|part| part.size() < file.size()));
            }
            let part: Vec<u8> = file.range(from..from + length).flat_map(bytes).collect();
            let end = (from + length).min(whole.len() as u64).max(from.min(whole.len() as u64));
            let start = from.min(whole.len() as u64);
            prop_assert_eq!(&part[..], &whole[start as usize..end as usize]);
        }
    }

    #[test]
    fn pieces_behind_the_end_of_the_object_are_no_file() {
        let mut file = Spliced::default();
        file.push(Piece::Original(10..20));
        assert!(Spliced::from_bytes(file.to_bytes().into(), 20).is_some());
        assert!(Spliced::from_bytes(file.to_bytes().into(), 19).is_none());
        assert!(Spliced::from_bytes(Bytes::from_static(&[2]), 20).is_none());
        assert!(Spliced::from_bytes(Bytes::new(), 20).is_none());
    }
}
