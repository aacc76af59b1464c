//! The HT cleanup pass: T.814 7.3.
//!
//! A row of quads (two rows of samples) is decoded in two steps: what the MEL and VLC streams tell
//! of the quads, then the magnitudes and signs.

use super::samples::Samples;
use super::streams::{Mel, Stream};
use super::tables::{Entry, FIRST, OTHERS, Table};

/// The most quads in a row, with neighbours beside.
const QUADS: usize = 512 + 4;

const CORRUPT: &str = "an HT code-block's cleanup pass is corrupt";

/// The streams, and what is kept from one row of quads to the next.
#[derive(Debug)]
pub(super) struct Cleanup {
    magnitudes: Stream,
    codes: Stream,
    /// What is known of the quads of a row, the first at 1.
    quads: Box<[Quad; QUADS]>,
    /// Twice the magnitudes less one of a row of quads' lower samples, in pairs, the first at 1.
    lower: Box<[[u32; 2]; QUADS]>,
}

/// What the MEL and VLC streams tell of a quad.
#[derive(Clone, Copy, Debug)]
struct Quad {
    entry: Entry,
    /// The exponent offset.
    offset: u8,
}

impl Quad {
    const NONE: Self = Self { entry: Entry::NONE, offset: 0 };
}

impl Default for Cleanup {
    fn default() -> Self {
        Self {
            magnitudes: Stream::default(),
            codes: Stream::default(),
            quads: Box::new([Quad::NONE; QUADS]),
            lower: Box::new([[0; 2]; QUADS]),
        }
    }
}

/// How to read the exponent offsets of a pair of quads (T.814 7.3.6) by the bits that come next.
#[derive(Clone, Copy)]
struct Offsets {
    /// The length of the prefixes.
    prefix: u8,
    /// The lengths of the suffixes.
    suffixes: [u8; 2],
    /// The offsets without them.
    bases: [u8; 2],
}

/// By which of the quads has an offset. In the first row of quads 3 is for pairs of which the MEL
/// symbol tells that not both are above 2, and 4 for the others.
static OFFSETS: [[Offsets; 64]; 5] = {
    /// The length, the value and the suffix's length of a prefix.
    const fn prefix(bits: usize) -> (u8, u8, u8) {
        match bits & 7 {
            1 | 3 | 5 | 7 => (1, 1, 0),
            2 | 6 => (2, 2, 0),
            4 => (3, 3, 1),
            _ => (3, 5, 5),
        }
    }
    const NONE: Offsets = Offsets { prefix: 0, suffixes: [0; 2], bases: [0; 2] };
    let mut offsets = [[NONE; 64]; 5];
    let mut bits = 0;
    while bits < 64 {
        let (length, value, suffix) = prefix(bits);
        let (second_length, second_value, second_suffix) = prefix(bits >> length);
        let both = Offsets {
            prefix: length + second_length,
            suffixes: [suffix, second_suffix],
            bases: [value, second_value],
        };
        offsets[1][bits] = Offsets { prefix: length, suffixes: [suffix, 0], bases: [value, 0] };
        offsets[2][bits] = Offsets { prefix: length, suffixes: [0, suffix], bases: [0, value] };
        offsets[3][bits] = both;
        offsets[4][bits] = Offsets { bases: [value + 2, second_value + 2], ..both };
        bits += 1;
    }
    offsets
};

/// The same for pairs in the first row of which not both offsets are above 2: if the first is, the
/// second is one bit.
const fn not_both(bits: u64, both: Offsets) -> Offsets {
    if both.bases[0] > 2 {
        Offsets {
            prefix: 4,
            suffixes: [both.suffixes[0], 0],
            bases: [both.bases[0], 1 + (bits >> 3 & 1) as u8],
        }
    } else {
        both
    }
}

/// The part of a row of quads that its first step knows.
struct Row<'a, 'b> {
    mel: &'b mut Mel<'a>,
    codes: &'b Stream,
    /// How many bits of the codes were read.
    position: u32,
}

impl Row<'_, '_> {
    /// What comes next of a quad in this context.
    #[inline(always)]
    fn entry(&mut self, table: &Table, context: u32, bits: u64) -> Entry {
        if context == 0 && !self.mel.symbol() {
            return Entry::NONE;
        }
        table[((context << 7) as usize | (bits & 127) as usize) & 1023]
    }

    /// Decodes what the MEL and VLC streams tell of a row of quads.
    #[inline(always)]
    fn decode(&mut self, quads: &mut [Quad; QUADS], count: usize, first: bool) {
        let table = if first { &FIRST } else { &OTHERS };
        // What a quad's context has from its left.
        let mut left = 0;
        // The pattern of the quad above to the left.
        let mut corner = 0;
        for at in (1..=count).step_by(2) {
            let Some([one, two, three]) =
                quads.get_mut(at..).and_then(|quads| quads.first_chunk_mut())
            else {
                return;
            };
            let mut bits = self.codes.peek(self.position);
            let mut used = 0;
            let above =
                [one.entry.significant(), two.entry.significant(), three.entry.significant()];
            let up = |corner: u32, above: u32, next: u32| {
                if first {
                    0
                } else {
                    (corner >> 3 | above >> 1) & 1 | (above >> 3 | next >> 1) << 2 & 4
                }
            };
            let side = |pattern: u32| {
                if first {
                    (pattern | pattern >> 1) & 1 | pattern >> 1 & 6
                } else {
                    (pattern >> 2 | pattern >> 3) << 1 & 2
                }
            };
            one.entry = self.entry(table, left | up(corner, above[0], above[1]), bits);
            bits >>= one.entry.length();
            used += one.entry.length();
            left = side(one.entry.significant());
            if at < count {
                two.entry = self.entry(table, left | up(above[0], above[1], above[2]), bits);
                bits >>= two.entry.length();
                used += two.entry.length();
                left = side(two.entry.significant());
            } else {
                two.entry = Entry::NONE;
            }
            corner = above[1];
            let mode =
                usize::from(one.entry.has_offset()) | usize::from(two.entry.has_offset()) << 1;
            let mut offsets = OFFSETS[mode][(bits & 63) as usize];
            if first && mode == 3 {
                offsets = if self.mel.symbol() {
                    OFFSETS[4][(bits & 63) as usize]
                } else {
                    not_both(bits, offsets)
                };
            }
            bits >>= offsets.prefix;
            let suffix = |bits: u64, length: u8| (bits & ((1 << length) - 1)) as u8;
            one.offset = offsets.bases[0] + suffix(bits, offsets.suffixes[0]);
            bits >>= offsets.suffixes[0];
            two.offset = offsets.bases[1] + suffix(bits, offsets.suffixes[1]);
            used += u32::from(offsets.prefix + offsets.suffixes[0] + offsets.suffixes[1]);
            self.position = self.position.saturating_add(used);
        }
    }
}

impl Cleanup {
    /// Decodes the pass in this segment. `missing` is how many bit-planes are above that of the pass.
    #[inline(always)]
    pub(super) fn decode(
        &mut self,
        samples: &mut Samples,
        segment: &[u8],
        plane: u32,
        missing: u32,
    ) -> Result<(), &'static str> {
        let [.., low, high] = *segment else { return Err(CORRUPT) };
        let suffix = usize::from(high) << 4 | usize::from(low & 15);
        if suffix < 2 || suffix > segment.len() || suffix > 4079 {
            return Err(CORRUPT);
        }
        let (prefix, suffix) = segment.split_at(segment.len() - suffix);
        self.magnitudes.forward(prefix, 0xFF).ok_or(CORRUPT)?;
        let nibble = low >> 4;
        let nibble_bits = if nibble & 7 == 7 { 3 } else { 4 };
        let code_bytes = &suffix[..suffix.len() - 2];
        let available = self.codes.backward(code_bytes, (nibble, nibble_bits), low | 15 > 0x8F);
        let mut mel = Mel::new(suffix);
        let mut row = Row { mel: &mut mel, codes: &self.codes, position: 0 };
        let count = samples.width.div_ceil(2);
        self.quads[..count + 3].fill(Quad::NONE);
        self.lower[..count + 3].fill([0; 2]);
        let mut position = 0;
        // All magnitudes together, with one bit more: the highest tells whether one is too large.
        let mut all = 0;
        for y in (0..samples.height).step_by(2) {
            row.decode(&mut self.quads, count, y == 0);
            let (upper, lower) = samples.rows(y);
            let quads = self.quads[1..]
                .iter()
                .zip(upper.chunks_exact_mut(2))
                .zip(lower.chunks_exact_mut(2));
            let mut before = [0; 2];
            let mut above = self.lower[1];
            for (((quad, upper), lower), at) in quads.take(count).zip(1_usize..) {
                let pattern = quad.entry.significant();
                let after = self.lower.get(at + 1).copied().unwrap_or([0; 2]);
                let largest = before[1] | above[0] | above[1] | after[0];
                before = above;
                above = after;
                // At least 1, and the largest exponent above less one if several are significant.
                let least = if pattern & pattern.wrapping_sub(1) == 0 { 0 } else { largest };
                let exponent = (31 - (least | 1).leading_zeros()).max(1);
                let bound = exponent + u32::from(quad.offset);
                let mut next = [0; 4];
                let mut values = [0; 4];
                if bound > missing + 2 {
                    all = u32::MAX;
                }
                for index in 0..4 {
                    let there = (pattern >> index & 1).wrapping_neg();
                    let known = quad.entry.known() >> index & 1;
                    let length = (bound - known) & 31 & there;
                    let bits = self.magnitudes.peek(position) as u32 & ((1 << length) - 1);
                    let one = quad.entry.known_one() >> index & 1;
                    let magnitude = bits | one << length;
                    position += length;
                    next[index] = (magnitude | 1) & there;
                    let value = (magnitude | 1).wrapping_add(2) & there;
                    all |= value;
                    values[index] = value.wrapping_shl(plane) | (magnitude << 31) & there;
                }
                if let ([a, b], [c, d]) = (upper, lower) {
                    (*a, *c, *b, *d) = (values[0], values[1], values[2], values[3]);
                }
                if let Some(lower) = self.lower.get_mut(at) {
                    *lower = [next[1], next[3]];
                }
            }
        }
        if row.position > available || all.checked_shr(missing + 2).unwrap_or(0) != 0 {
            return Err(CORRUPT);
        }
        Ok(())
    }
}
