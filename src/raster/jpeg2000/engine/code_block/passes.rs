//! The coding passes of T.800 Annex D, made for speed.
//!
//! A stripe is four rows high. Two views of what is significant are kept:
//!
//! - For 16 columns of a stripe, which are a group, one 64-bit set, column by column as the passes
//!   scan. Which coefficients a pass has to code comes out of such sets for a whole group at a
//!   time, and a pass visits nothing else.
//! - For each column of a stripe a word with the significance of its four coefficients and all
//!   their neighbours (bit `3 * (row + 1) + column`, rows -1 to 4, columns 0 to 2), and 18 bits
//!   further up whether they are negative. The contexts come from there, through tables.
//!
//! Words and sets of a stripe have one more at their end, which is the border to the left of the
//! next stripe too.

use crate::raster::jpeg2000::engine::simd::Simd;

use super::coded::{Coded, Orientation, Pass, is_raw, pass_at};
use super::context;
use super::groups::{AHEAD, GROUPS, Place, Shape, TOP};
use super::mq::{Contexts, Mq};
use super::raw::Raw;

const NEGATIVE: u32 = 18;

/// The most words of a code-block with its borders.
const WORDS: usize = 4096;

/// What decides the bits of the significance propagation and magnitude refinement passes.
trait Source: Copy {
    /// Whether a coefficient becomes significant.
    fn significance(&mut self, contexts: &mut Contexts, context: u8) -> bool;
    /// Whether it is negative.
    fn sign(&mut self, contexts: &mut Contexts, word: u64) -> u64;
    /// The next bit of its magnitude.
    fn magnitude(&mut self, contexts: &mut Contexts, context: u8) -> u32;
}

impl Source for Mq<'_> {
    #[inline(always)]
    fn significance(&mut self, contexts: &mut Contexts, context: u8) -> bool {
        self.decide(contexts, context) == 1
    }

    #[inline(always)]
    fn sign(&mut self, contexts: &mut Contexts, word: u64) -> u64 {
        let neighbours = word & 0xAA | word >> (NEGATIVE + 1) & 0x55;
        let entry = SIGN[(neighbours & 0xFF) as usize];
        let bit = self.decide(contexts, entry & 31);
        u64::from(bit ^ u32::from(entry >> 7))
    }

    #[inline(always)]
    fn magnitude(&mut self, contexts: &mut Contexts, context: u8) -> u32 {
        self.decide(contexts, context)
    }
}

impl Source for Raw<'_> {
    #[inline(always)]
    fn significance(&mut self, _: &mut Contexts, _: u8) -> bool {
        self.bit() == 1
    }

    #[inline(always)]
    fn sign(&mut self, _: &mut Contexts, _: u64) -> u64 {
        u64::from(self.bit())
    }

    #[inline(always)]
    fn magnitude(&mut self, _: &mut Contexts, _: u8) -> u32 {
        self.bit()
    }
}

/// The contexts for significance by the nine bits of a coefficient and its neighbours.
type ZeroTable = [u8; 512];

const fn zero_table(orientation: Orientation) -> ZeroTable {
    let mut table = [0; 512];
    let mut bits = 0;
    while bits < 512 {
        let n = bits as u32;
        let horizontal = (n >> 3 & 1) + (n >> 5 & 1);
        let vertical = (n >> 1 & 1) + (n >> 7 & 1);
        let diagonal = (n & 1) + (n >> 2 & 1) + (n >> 6 & 1) + (n >> 8 & 1);
        table[bits] = context::zero(orientation, horizontal, vertical, diagonal);
        bits += 1;
    }
    table
}

static ZERO_LL_LH: ZeroTable = zero_table(Orientation::Ll);
static ZERO_HL: ZeroTable = zero_table(Orientation::Hl);
static ZERO_HH: ZeroTable = zero_table(Orientation::Hh);

/// The contexts for signs, with the bit to turn them by in bit 7. The index has the significance
/// of the neighbours above, left, right and below in bits 1, 3, 5 and 7, and in the bit below each
/// whether it is negative.
static SIGN: [u8; 256] = {
    const fn contribution(bits: usize, bit: u32) -> i32 {
        match bits >> bit & 3 {
            2 => 1,
            3 => -1,
            _ => 0,
        }
    }
    let mut table = [0; 256];
    let mut bits = 0;
    while bits < 256 {
        let vertical = contribution(bits, 0) + contribution(bits, 6);
        let horizontal = contribution(bits, 2) + contribution(bits, 4);
        let (context, flip) = context::sign(horizontal, vertical);
        table[bits] = context | flip << 7;
        bits += 1;
    }
    table
};

/// The state of one code-block.
#[derive(Debug)]
pub(super) struct Scratch {
    words: Box<[u64; WORDS]>,
    /// For each word four coefficients: magnitudes with one fractional bit, the sign in the top bit.
    values: Box<[u32; 4 * WORDS]>,
    groups: Box<[Group; GROUPS]>,
    places: Vec<Place>,
    contexts: Contexts,
    simd: Simd,
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            words: boxed(0),
            values: boxed(0),
            groups: boxed(Group::default()),
            places: Vec::new(),
            contexts: Contexts::initial(),
            simd: Simd::detect(),
        }
    }
}

#[cfg(test)]
impl Scratch {
    pub(super) fn on(&mut self, simd: Simd) {
        self.simd = simd;
    }
}

/// An array made on the heap.
fn boxed<T: Copy, const N: usize>(value: T) -> Box<[T; N]> {
    Box::new([value; N])
}

/// The sets of a group, bit `4 * column + row`.
#[derive(Clone, Copy, Debug, Default)]
struct Group {
    /// The coefficients that are significant.
    significant: u64,
    /// Those that this bit-plane's significance propagation coded.
    visited: u64,
    /// Those that were significant when this bit-plane began.
    refined: u64,
}

/// What the coding passes of one code-block need to know.
struct Block<'s> {
    words: &'s mut [u64; WORDS],
    values: &'s mut [u32; 4 * WORDS],
    groups: &'s mut [Group; GROUPS],
    places: &'s [Place],
    shape: Shape,
    zero: &'static ZeroTable,
    /// The rows below a stripe that its contexts may know.
    below: u64,
    /// For each row, how far away the words are that have it as row -1 or 4 of another stripe, and
    /// what moves a mark to there. Zero for rows that no other stripe sees.
    vertical: [(usize, u64); 4],
}

impl Block<'_> {
    #[inline(always)]
    fn significant(&self, group: usize) -> u64 {
        self.groups[group & (GROUPS - 1)].significant
    }

    /// The coefficients of a group with a significant neighbour.
    #[inline(always)]
    fn neighbours(&self, group: usize) -> u64 {
        self.shape.neighbours(group, self.below, |group| self.significant(group))
    }

    /// Notes that a coefficient is significant.
    #[inline(always)]
    fn spread(&mut self, place: Place, bit: u32, negative: u64, fresh: u32) {
        let at = place.word.wrapping_add(bit as usize >> 2);
        let row = bit & 3;
        let mark = 1 | negative << NEGATIVE;
        let here = mark.wrapping_shl(3 * row + 3);
        let mut put = |at: usize, marks: u64| self.words[at & (WORDS - 1)] |= marks;
        put(at.wrapping_sub(1), here << 2);
        put(at, here << 1);
        put(at.wrapping_add(1), here);
        let (away, factor) = self.vertical[row as usize];
        let there = mark.wrapping_mul(factor);
        let at = at.wrapping_add(away);
        put(at.wrapping_sub(1), there << 2);
        put(at, there << 1);
        put(at.wrapping_add(1), there);
        let value = place.word.wrapping_mul(4).wrapping_add(bit as usize);
        self.values[value & (4 * WORDS - 1)] = fresh | (negative as u32) << 31;
    }

    /// The word of the column that a bit of a group's set belongs to, shifted so that the bit's
    /// coefficient is in the middle of the nine lowest.
    #[inline(always)]
    fn near(&self, place: Place, bit: u32) -> u64 {
        let word = self.words[place.word.wrapping_add(bit as usize >> 2) & (WORDS - 1)];
        word.wrapping_shr(3 * (bit & 3))
    }

    /// The significance propagation pass (D.3.1).
    #[inline(always)]
    fn significance<S: Source>(&mut self, state: &mut S, contexts: &mut Contexts, plane: u32) {
        let mut source = *state;
        let fresh = 3_u32.wrapping_shl(plane);
        for &place in self.places {
            let mut significant = self.significant(place.group);
            let open = place.there & !significant;
            let mut candidates = self.neighbours(place.group) & open;
            let mut visited = candidates;
            while candidates != 0 {
                let bit = candidates.trailing_zeros();
                candidates &= candidates.wrapping_sub(1);
                let near = self.near(place, bit);
                let context = self.zero[(near & 511) as usize];
                if source.significance(contexts, context) {
                    let negative = source.sign(contexts, near);
                    self.spread(place, bit, negative, fresh);
                    significant |= 1_u64.wrapping_shl(bit);
                    let more = AHEAD[(bit & 3) as usize].wrapping_shl(bit) & open;
                    candidates |= more;
                    visited |= more;
                }
            }
            let group = &mut self.groups[place.group & (GROUPS - 1)];
            group.significant = significant;
            group.visited = visited;
        }
        *state = source;
    }

    /// The magnitude refinement pass (D.3.3).
    #[inline(always)]
    fn refinement<S: Source>(&mut self, state: &mut S, contexts: &mut Contexts, plane: u32) {
        let mut source = *state;
        // The old midpoint was a one in this bit-plane; the new one is just below.
        let (half, whole) = (1_u32.wrapping_shl(plane), 2_u32.wrapping_shl(plane));
        for &place in self.places {
            let group = &mut self.groups[place.group & (GROUPS - 1)];
            let mut set = group.significant & !group.visited;
            let refined = group.refined;
            group.refined = set;
            if set == 0 {
                continue;
            }
            let lonely = !self.neighbours(place.group) & !refined;
            let first = place.word.wrapping_mul(4) & (4 * WORDS - 1);
            let Some(values) = self.values[first..].first_chunk_mut::<64>() else { continue };
            while set != 0 {
                let bit = set.trailing_zeros();
                set &= set.wrapping_sub(1);
                let context = context::MAGNITUDE + 1 + (refined.wrapping_shr(bit) & 1) as u8
                    - (lonely.wrapping_shr(bit) & 1) as u8;
                let one = source.magnitude(contexts, context);
                let value = &mut values[bit as usize & 63];
                *value = value.wrapping_sub(half).wrapping_add(whole & one.wrapping_neg());
            }
        }
        *state = source;
    }

    /// The cleanup pass (D.3.4).
    #[inline(always)]
    fn cleanup(&mut self, state: &mut Mq<'_>, contexts: &mut Contexts, plane: u32) {
        let mut mq = *state;
        let fresh = 3_u32.wrapping_shl(plane);
        for &place in self.places {
            let group = &mut self.groups[place.group & (GROUPS - 1)];
            let mut significant = group.significant;
            let mut candidates = place.there & !significant & !group.visited;
            group.visited = 0;
            while candidates != 0 {
                let mut bit = candidates.trailing_zeros();
                let mut near = self.near(place, bit);
                let becomes = if near == 0 && place.full && bit & 3 == 0 {
                    // Nothing near the whole column is significant.
                    candidates &= !15_u64.wrapping_shl(bit);
                    if mq.decide(contexts, context::RUN) == 0 {
                        continue;
                    }
                    let high = mq.decide(contexts, context::UNIFORM);
                    let low = mq.decide(contexts, context::UNIFORM);
                    let row = 2 * high + low;
                    candidates |= (15_u64 & 14_u64.wrapping_shl(row)).wrapping_shl(bit);
                    bit += row;
                    near = 0;
                    true
                } else {
                    candidates &= candidates.wrapping_sub(1);
                    let context = self.zero[(near & 511) as usize];
                    mq.significance(contexts, context)
                };
                if becomes {
                    let negative = mq.sign(contexts, near);
                    self.spread(place, bit, negative, fresh);
                    significant |= 1_u64.wrapping_shl(bit);
                }
            }
            self.groups[place.group & (GROUPS - 1)].significant = significant;
        }
        *state = mq;
    }
}

/// Decodes a code-block whose parameters were checked.
pub(super) fn decode(
    scratch: &mut Scratch,
    coded: &Coded<'_>,
    out: &mut [i32],
) -> Result<(), &'static str> {
    let (width, height) = (coded.width as usize, coded.height as usize);
    let shape = Shape::new(width, height);
    shape.list(&mut scratch.places);
    let used = ((height.div_ceil(4) + 2) * shape.stride + 1).min(WORDS);
    scratch.words[..used].fill(0);
    scratch.values[..4 * used].fill(0);
    let used = ((height.div_ceil(4) + 2) * shape.group_stride + 1).min(GROUPS);
    scratch.groups[..used].fill(Group::default());
    let (below, seen_above) = if coded.style.vertically_causal { (0, 0) } else { (TOP, 1 << 15) };
    scratch.contexts = Contexts::initial();
    let mut block = Block {
        words: &mut scratch.words,
        values: &mut scratch.values,
        shape,
        zero: match coded.orientation {
            Orientation::Ll | Orientation::Lh => &ZERO_LL_LH,
            Orientation::Hl => &ZERO_HL,
            Orientation::Hh => &ZERO_HH,
        },
        groups: &mut scratch.groups,
        places: &scratch.places,
        below,
        vertical: [(shape.stride.wrapping_neg(), seen_above), (0, 0), (0, 0), (shape.stride, 1)],
    };
    let simd = scratch.simd;
    let contexts = &mut scratch.contexts;
    let mut number = 0;
    for segment in coded.segments {
        if segment.passes == 0 {
            continue;
        }
        let passes = number..number + usize::from(segment.passes);
        number = passes.end;
        let raw = is_raw(coded.style, passes.start);
        if passes.clone().any(|number| is_raw(coded.style, number) != raw) {
            return Err("a codeword segment mixes raw and arithmetic coding passes");
        }
        let mut mq = Mq::new(if raw { &[] } else { segment.data });
        let mut bits = Raw::new(segment.data);
        for number in passes {
            let (pass, depth) = pass_at(number);
            let plane = u32::from(coded.bit_planes).wrapping_sub(1).wrapping_sub(depth as u32) & 31;
            match (pass, raw) {
                (Pass::Significance, false) => {
                    simd.run(
                        #[inline(always)]
                        || block.significance(&mut mq, contexts, plane),
                    );
                }
                (Pass::Significance, true) => {
                    simd.run(
                        #[inline(always)]
                        || block.significance(&mut bits, contexts, plane),
                    );
                }
                (Pass::Refinement, false) => {
                    simd.run(
                        #[inline(always)]
                        || block.refinement(&mut mq, contexts, plane),
                    );
                }
                (Pass::Refinement, true) => {
                    simd.run(
                        #[inline(always)]
                        || block.refinement(&mut bits, contexts, plane),
                    );
                }
                (Pass::Cleanup, _) => {
                    simd.run(
                        #[inline(always)]
                        || block.cleanup(&mut mq, contexts, plane),
                    );
                    if coded.style.segmentation_symbols {
                        for expected in [1, 0, 1, 0] {
                            if mq.decide(contexts, context::UNIFORM) != expected {
                                return Err("a code-block's segmentation symbol is wrong");
                            }
                        }
                    }
                }
            }
            if coded.style.reset {
                *contexts = Contexts::initial();
            }
        }
        if if raw { bits.met_marker() } else { mq.met_marker() } {
            return Err("a code-block has a marker among its bytes");
        }
        let terminated = coded.ends_segment(number - 1);
        let predictable = if raw { bits.ends_predictably() } else { mq.ends_predictably() };
        if coded.style.predictable_termination && terminated && !predictable {
            return Err("a code-block's codeword does not end as it should");
        }
    }
    for (y, row) in out.chunks_exact_mut(width).enumerate() {
        let first = 4 * ((y / 4 + 1) * shape.stride + 1);
        let Some(values) = block.values.get(first..first + 4 * width) else { break };
        for (out, four) in row.iter_mut().zip(values.chunks_exact(4)) {
            let value = four[y % 4];
            let sign = (value as i32) >> 31;
            *out = ((value & 0x7FFF_FFFF) as i32 ^ sign).wrapping_sub(sign);
        }
    }
    Ok(())
}
