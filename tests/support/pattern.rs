//! Bytes that are computed, not stored: objects of many GiB that cost nothing.
//!
//! Contract: byte `i` of the pattern of a seed depends on the seed and on `i`
//! alone. No two pages of 4 KiB of one pattern are equal, nor are pages of two
//! seeds: each begins with its own number and a hash of seed and number, so
//! bytes from the wrong place, object or version never pass for the right ones.
//! The rest of a page comes from a pseudo-random block that all patterns share,
//! so computing is one copy and runs at memory speed.

use std::ops::Range;
use std::sync::LazyLock;

use bytes::Bytes;

/// Bytes in one page: the smallest piece that is told apart from every other.
pub const PAGE_BYTES: u64 = 4096;

/// Pages in the block that the bodies of all pages are copied from: 1 MiB.
const BLOCK_PAGES: u64 = 256;

/// Bytes at the head of each page that no other page has.
const HEAD_BYTES: usize = 16;

static BLOCK: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let words = BLOCK_PAGES * PAGE_BYTES / 8;
    (0..words).flat_map(|word| scramble(word ^ 0x5333_4d45_4d21).to_le_bytes()).collect()
});

/// Writes the bytes of `seed`'s pattern from `offset` on into `buf`.
pub fn pattern(seed: u64, offset: u64, buf: &mut [u8]) {
    let mut done = 0;
    for piece in pieces(offset, buf.len()) {
        let target = &mut buf[done..done + piece.length];
        target.copy_from_slice(piece.body(seed));
        piece.write_head(seed, target);
        done += piece.length;
    }
}

/// The bytes of `seed`'s pattern in `range`.
pub fn pattern_bytes(seed: u64, range: Range<u64>) -> Bytes {
    let length = usize::try_from(range.end.saturating_sub(range.start)).expect("fits in memory");
    // Appended, not written over zeros: zeroing would cost as much again.
    let mut bytes = Vec::with_capacity(length);
    for piece in pieces(range.start, length) {
        let start = bytes.len();
        bytes.extend_from_slice(piece.body(seed));
        piece.write_head(seed, &mut bytes[start..]);
    }
    bytes.into()
}

/// Where `bytes` first differs from `seed`'s pattern from `offset` on, as an
/// offset in the object; `None` when all of it is right.
pub fn pattern_mismatch(seed: u64, offset: u64, bytes: &[u8]) -> Option<u64> {
    let mut expected = vec![0; 64 * 1024];
    let mut at = offset;
    for piece in bytes.chunks(expected.len()) {
        let expected = &mut expected[..piece.len()];
        pattern(seed, at, expected);
        if expected != piece {
            let inside = expected.iter().zip(piece).position(|(want, got)| want != got)?;
            return Some(at + inside as u64);
        }
        at += piece.len() as u64;
    }
    None
}

/// The part of a page that a range covers.
struct Piece {
    page: u64,
    /// Bytes of the page in front of the part.
    inside: usize,
    length: usize,
}

impl Piece {
    /// The bytes before the head is written over them.
    fn body(&self, seed: u64) -> &'static [u8] {
        let page = self.page.wrapping_add(scramble(seed)) % BLOCK_PAGES;
        let start = (page * PAGE_BYTES) as usize + self.inside;
        &BLOCK[start..start + self.length]
    }

    /// Writes as much of the page's head as lies in this part.
    fn write_head(&self, seed: u64, target: &mut [u8]) {
        if self.inside < HEAD_BYTES {
            let mut head = [0; HEAD_BYTES];
            head[..8].copy_from_slice(&self.page.to_le_bytes());
            head[8..].copy_from_slice(&scramble(seed ^ scramble(self.page)).to_le_bytes());
            let length = (HEAD_BYTES - self.inside).min(self.length);
            target[..length].copy_from_slice(&head[self.inside..self.inside + length]);
        }
    }
}

/// `length` bytes from `offset` on, page by page.
fn pieces(offset: u64, length: usize) -> impl Iterator<Item = Piece> {
    let end = offset + length as u64;
    (offset / PAGE_BYTES..end.div_ceil(PAGE_BYTES)).map(move |page| {
        let start = offset.max(page * PAGE_BYTES);
        let stop = end.min((page + 1) * PAGE_BYTES);
        let inside = (start % PAGE_BYTES) as usize;
        Piece { page, inside, length: (stop - start) as usize }
    })
}

/// One step of splitmix64: every bit of the result depends on every bit of `x`.
fn scramble(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
