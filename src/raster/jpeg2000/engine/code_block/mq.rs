//! The MQ arithmetic decoder: T.800 Annex C.
//!
//! The registers of the standard's software decoder, A and C, are here the top of 64-bit words. C
//! has up to 47 bits of the codeword below the 16 that are compared, so that a renormalisation is
//! one shift, and bytes come in four at a time. All the decisions inside a decoding step are made
//! by selection: whether a symbol is the more probable one is what a processor predicts worst.

use std::hint::select_unpredictable;

use super::context;

/// One row of Table C.2: the probability of the less probable symbol, the next states after a more
/// and a less probable symbol, and whether the latter switches the sense of the former.
#[derive(Clone, Copy)]
pub(super) struct State {
    pub(super) qe: u16,
    pub(super) nmps: u8,
    pub(super) nlps: u8,
    pub(super) switch: u8,
}

const fn row(qe: u16, nmps: u8, nlps: u8, switch: u8) -> State {
    State { qe, nmps, nlps, switch }
}

/// Table C.2.
pub(super) const STATES: [State; 47] = [
    row(0x5601, 1, 1, 1),
    row(0x3401, 2, 6, 0),
    row(0x1801, 3, 9, 0),
    row(0x0AC1, 4, 12, 0),
    row(0x0521, 5, 29, 0),
    row(0x0221, 38, 33, 0),
    row(0x5601, 7, 6, 1),
    row(0x5401, 8, 14, 0),
    row(0x4801, 9, 14, 0),
    row(0x3801, 10, 14, 0),
    row(0x3001, 11, 17, 0),
    row(0x2401, 12, 18, 0),
    row(0x1C01, 13, 20, 0),
    row(0x1601, 29, 21, 0),
    row(0x5601, 15, 14, 1),
    row(0x5401, 16, 14, 0),
    row(0x5101, 17, 15, 0),
    row(0x4801, 18, 16, 0),
    row(0x3801, 19, 17, 0),
    row(0x3401, 20, 18, 0),
    row(0x3001, 21, 19, 0),
    row(0x2801, 22, 19, 0),
    row(0x2401, 23, 20, 0),
    row(0x2201, 24, 21, 0),
    row(0x1C01, 25, 22, 0),
    row(0x1801, 26, 23, 0),
    row(0x1601, 27, 24, 0),
    row(0x1401, 28, 25, 0),
    row(0x1201, 29, 26, 0),
    row(0x1101, 30, 27, 0),
    row(0x0AC1, 31, 28, 0),
    row(0x09C1, 32, 29, 0),
    row(0x08A1, 33, 30, 0),
    row(0x0521, 34, 31, 0),
    row(0x0441, 35, 32, 0),
    row(0x02A1, 36, 33, 0),
    row(0x0221, 37, 34, 0),
    row(0x0141, 38, 35, 0),
    row(0x0111, 39, 36, 0),
    row(0x0085, 40, 37, 0),
    row(0x0049, 41, 38, 0),
    row(0x0025, 42, 39, 0),
    row(0x0015, 43, 40, 0),
    row(0x0009, 44, 41, 0),
    row(0x0005, 45, 42, 0),
    row(0x0001, 45, 43, 0),
    row(0x5601, 46, 46, 0),
];

/// The initial state of each context (Table D.7): all symbols are zero, the index is that of
/// Table C.2.
pub(super) const INITIAL: [u8; context::COUNT] = {
    let mut states = [0; context::COUNT];
    states[context::ZERO as usize] = 4;
    states[context::RUN as usize] = 3;
    states[context::UNIFORM as usize] = 46;
    states
};

/// A state in one word: Qe in bits 0 to 15, the symbol that is more probable in bit 16, and from bit
/// 20 where [`NEXT`] has the states that follow.
type Packed = u32;

const MPS: u32 = 16;
const FOLLOWING: u32 = 20;

/// A state of Table C.2 with the sense of its more probable symbol.
const fn packed(index: u8, mps: u8) -> Packed {
    let following = 4 * (2 * index as u32 + mps as u32);
    STATES[index as usize].qe as u32 | (mps as u32) << MPS | following << FOLLOWING
}

/// For each state those that follow: after a more probable symbol by how far A was from being
/// normalised, which is at most 2, and after a less probable symbol.
static NEXT: [Packed; 512] = {
    let mut next = [0; 512];
    let mut index = 0;
    while index < STATES.len() {
        let state = STATES[index];
        let mut mps = 0;
        while mps < 2 {
            let at = 4 * (2 * index + mps as usize);
            next[at] = packed(index as u8, mps);
            next[at + 1] = packed(state.nmps, mps);
            next[at + 2] = next[at + 1];
            next[at + 3] = packed(state.nlps, mps ^ state.switch);
            mps += 1;
        }
        index += 1;
    }
    next
};

/// The adaptive states of all contexts. There are as many as a byte can tell apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contexts([Packed; 256]);

impl Contexts {
    pub(super) fn initial() -> Self {
        let mut states = [packed(0, 0); 256];
        for (state, index) in states.iter_mut().zip(INITIAL) {
            *state = packed(index, 0);
        }
        Self(states)
    }
}

/// The registers and the position in the bytes of a codeword segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mq<'a> {
    data: &'a [u8],
    /// The next byte to come in.
    position: usize,
    a: u64,
    /// Below the bits that are there comes a one, which tells how many they are.
    c: u64,
    /// How many of the bits came from behind the segment's end, where the standard has ones.
    made_up: u32,
}

/// What a refill changes.
struct Refilled {
    c: u64,
    position: usize,
    made_up: u32,
}

impl<'a> Mq<'a> {
    /// INITDEC (Figure C.20).
    pub(super) fn new(data: &'a [u8]) -> Self {
        // The first byte is one bit short of the top, and never a stuffed one.
        let first = data.first().copied().unwrap_or(0xFF);
        Self {
            data,
            position: 1,
            a: 0x8000 << 48,
            c: u64::from(first) << 55 | 1 << 54,
            made_up: if data.is_empty() { 8 } else { 0 },
        }
        .refilled()
    }

    fn refilled(mut self) -> Self {
        self.refill();
        self
    }

    /// BYTEIN (Figure C.19), several times.
    #[inline(always)]
    fn refill(&mut self) {
        let Refilled { c, position, made_up } =
            bytes_in(self.data, self.position, self.c, self.made_up);
        (self.c, self.position, self.made_up) = (c, position, made_up);
    }

    /// DECODE (Figures C.15 to C.18).
    #[inline(always)]
    pub(super) fn decide(&mut self, contexts: &mut Contexts, context: u8) -> u32 {
        let state = &mut contexts.0[usize::from(context)];
        let packed = *state;
        let qe = u64::from(packed) << 48;
        let rest = self.a.wrapping_sub(qe);
        let (above, in_lower) = self.c.overflowing_sub(qe);
        let less = in_lower != (rest < qe);
        let range = select_unpredictable(in_lower, qe, rest);
        let shift = range.leading_zeros();
        let event = select_unpredictable(less, 3, shift);
        *state = NEXT[(packed >> FOLLOWING).wrapping_add(event) as usize & 511];
        self.a = range.wrapping_shl(shift);
        self.c = select_unpredictable(in_lower, self.c, above).wrapping_shl(shift);
        if self.c as u32 == 0 {
            self.refill();
        }
        packed >> MPS & 1 ^ u32::from(less)
    }
}

impl Mq<'_> {
    /// Whether the decoder met a marker, which no codeword has.
    pub(super) fn met_marker(&self) -> bool {
        let at = |position: usize| self.data.get(position).copied();
        at(self.position.wrapping_sub(1)) == Some(0xFF)
            && at(self.position).is_some_and(|next| next > 0x8F)
    }

    /// Whether the codeword ends as D.4.2 has it: the encoder wrote the upper bits of its lower bound
    /// and no more, so that what the decoder has left of them is zero.
    pub(super) fn ends_predictably(&self) -> bool {
        let bits = 63 - self.c.trailing_zeros().min(63);
        let Ok(made_up) = i32::try_from(self.made_up) else { return false };
        let left = bits as i32 - made_up;
        // An encoder leaves out an FF at the end, and the decoder makes it up.
        let left = if left < 1 { left + 8 } else { left };
        self.position >= self.data.len() && (1..=16).contains(&left) && self.c >> (64 - left) == 0
    }
}

/// Brings bytes in below what is left of C, until there are at least 40 bits or something has to
/// wait: the carry of a stuffed bit must not come before its time, as it changes higher bits.
#[cold]
#[inline(never)]
fn bytes_in(data: &[u8], mut position: usize, marked: u64, mut made_up: u32) -> Refilled {
    // How many bits of C below the top 16 are there.
    let mut bits = 47 - (marked | 1 << 63).trailing_zeros() as i32;
    let mut c = marked & marked.wrapping_sub(1);
    // Mostly there is no FF among the next bytes and the one before them.
    if let Some(eight) = data.get(position - 1..).and_then(|data| data.first_chunk::<8>()) {
        let eight = u64::from_be_bytes(*eight);
        let full = (!eight).wrapping_sub(0x0101_0101_0101_0101) & eight & 0x8080_8080_8080_8080;
        if full == 0 && bits < 16 {
            let four = eight << 8 >> 32;
            let c = c.wrapping_add((four << 1 | 1).wrapping_shl((15 - bits) as u32));
            return Refilled { c, position: position + 4, made_up };
        }
    }
    while bits < 40 {
        let last = data.get(position.wrapping_sub(1)).copied().unwrap_or(0xFF);
        let next = data.get(position).copied().unwrap_or(0xFF);
        let place = (40 - bits) as u32;
        if last != 0xFF {
            c = c.wrapping_add(u64::from(next).wrapping_shl(place));
            bits += 8;
            position += 1;
            made_up += 8 * u32::from(position > data.len());
        } else if next > 0x8F {
            c = c.wrapping_add(0xFF_u64.wrapping_shl(place));
            bits += 8;
            made_up = made_up.saturating_add(8);
        } else if next < 0x80 || bits < 0 {
            c = c.wrapping_add(u64::from(next).wrapping_shl(place + 1));
            bits += 7;
            position += 1;
        } else {
            break;
        }
    }
    Refilled { c: c | 1_u64.wrapping_shl((47 - bits) as u32), position, made_up }
}
