//! The lifting steps of the two filters (T.800 F.3.8), on whole rows.
//!
//! All loops run over slices of equal length, so that the compiler turns them into SIMD code. No step
//! contracts a multiplication and an addition, so that every machine gives the same bits.

use super::Kernel;

/// The number of rows that each level holds. A power of two, at least two more than
/// the 9/7 filter's five-row span.
pub(crate) const RING: usize = 8;

/// The samples that the interleaving works on at a time.
const LANES: usize = 8;

/// A filter pair, as a cascade of lifting steps. Odd steps change even samples, and even steps odd samples.
pub(crate) trait Lifting: Copy {
    /// A sample.
    type Sample: Copy + Default + Send + Sync + 'static;
    /// The kernel that this is.
    const KERNEL: Kernel;
    /// The number of lifting steps.
    const STEPS: u8;

    /// The sample `x`, whose two neighbours are `a` and `b`, after lifting step `STEP` (from 1 on).
    fn lift<const STEP: usize>(x: Self::Sample, a: Self::Sample, b: Self::Sample) -> Self::Sample;

    /// The sample that a single high-pass coefficient stands for (F.3.6).
    fn single_odd(x: Self::Sample) -> Self::Sample;

    /// Synthesises one row from its low-pass and high-pass halves.
    fn horizontal(
        low: &[Self::Sample],
        high: &[Self::Sample],
        odd: bool,
        scratch: &mut Scratch<Self::Sample>,
        out: &mut [Self::Sample],
    );

    /// Does all vertical steps that the arrival of an odd row allows, away from the edges. `rows` are, from
    /// the one that has just arrived, that row and those above it.
    fn vertical(rows: &mut [Vec<Self::Sample>; RING]);

    /// Does one vertical step on the row `x` between the rows `a` and `b`.
    fn vertical_step(step: u8, x: &mut [Self::Sample], a: &[Self::Sample], b: &[Self::Sample]);
}

/// Two rows of scratch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scratch<T> {
    low: Vec<T>,
    high: Vec<T>,
}

impl<T: Copy + Default> Scratch<T> {
    /// Scratch for rows with halves of these lengths.
    pub(super) fn new(low: usize, high: usize) -> Self {
        Self { low: vec![T::default(); low], high: vec![T::default(); high] }
    }

    #[cfg(test)]
    pub(super) const fn len(&self) -> usize {
        self.low.len() + self.high.len()
    }
}

/// The reversible 5/3 filter (F.3.8.1).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reversible;

/// The irreversible 9/7 filter (F.3.8.2) but for the scaling by K, which [`gain`](super::gain) stands for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Irreversible;

/// The lifting parameters (Table F.4), as the standard prints them.
#[expect(clippy::excessive_precision, reason = "as the standard prints them")]
mod parameters {
    pub(crate) const ALPHA: f32 = -1.586_134_342_059_924;
    pub(crate) const BETA: f32 = -0.052_980_118_572_961;
    pub(crate) const GAMMA: f32 = 0.882_911_075_530_934;
    pub(crate) const DELTA: f32 = 0.443_506_852_043_971;
}
use parameters::{ALPHA, BETA, DELTA, GAMMA};

/// `x[i] = lift(x[i], neighbours of x[i] in y)`, with a missing neighbour replaced by the other one.
///
/// `leads` tells whether `x` begins before `y` in the interleaved row. `y` must not be empty.
#[inline(always)]
fn step_in_place<L: Lifting, const STEP: usize>(x: &mut [L::Sample], y: &[L::Sample], leads: bool) {
    let (Some(&first), Some(&last)) = (y.first(), y.last()) else {
        return;
    };
    let inner = if leads {
        if let Some(x0) = x.first_mut() {
            *x0 = L::lift::<STEP>(*x0, first, first);
        }
        x.get_mut(1..).unwrap_or_default()
    } else {
        x
    };
    let pairs = y.len() - 1;
    for ((x, &a), &b) in inner.iter_mut().zip(y).zip(&y[1..]) {
        *x = L::lift::<STEP>(*x, a, b);
    }
    if let Some(x) = inner.get_mut(pairs) {
        *x = L::lift::<STEP>(*x, last, last);
    }
}

/// The same as [`step_in_place`], from `x` into `out`, which has its length.
#[inline(always)]
fn step_into<L: Lifting, const STEP: usize>(
    out: &mut [L::Sample],
    x: &[L::Sample],
    y: &[L::Sample],
    leads: bool,
) {
    let (Some(&first), Some(&last)) = (y.first(), y.last()) else {
        return;
    };
    let (inner_out, inner) = if leads {
        if let (Some(out), Some(&x)) = (out.first_mut(), x.first()) {
            *out = L::lift::<STEP>(x, first, first);
        }
        (out.get_mut(1..).unwrap_or_default(), x.get(1..).unwrap_or_default())
    } else {
        (out, x)
    };
    let pairs = y.len() - 1;
    for (((out, &x), &a), &b) in inner_out.iter_mut().zip(inner).zip(y).zip(&y[1..]) {
        *out = L::lift::<STEP>(x, a, b);
    }
    if let (Some(out), Some(&x)) = (inner_out.get_mut(pairs), inner.get(pairs)) {
        *out = L::lift::<STEP>(x, last, last);
    }
}

/// The last step, from the even samples `low` and the odd ones `high`, and the interleaving of both into `out`.
#[inline(always)]
fn step_interleaved<L: Lifting, const STEP: usize>(
    out: &mut [L::Sample],
    low: &[L::Sample],
    high: &[L::Sample],
    odd: bool,
) {
    let (Some(&first), Some(&last)) = (low.first(), low.last()) else {
        return;
    };
    let (out, high) = if odd {
        if let (Some(out), Some(&x)) = (out.first_mut(), high.first()) {
            *out = L::lift::<STEP>(x, first, first);
        }
        (out.get_mut(1..).unwrap_or_default(), high.get(1..).unwrap_or_default())
    } else {
        (out, high)
    };
    let pairs = low.len() - 1;
    let inner = pairs.min(high.len()).min(out.len() / 2);
    // Whole chunks of lanes, which the compiler keeps in registers, and then the rest.
    let (out_chunks, _) = out.as_chunks_mut::<{ 2 * LANES }>();
    let (high_chunks, _) = high[..inner].as_chunks::<LANES>();
    let (low_chunks, _) = low[..inner].as_chunks::<LANES>();
    let (next_chunks, _) = low.get(1..).unwrap_or_default().as_chunks::<LANES>();
    let chunks = out_chunks.iter_mut().zip(high_chunks).zip(low_chunks).zip(next_chunks);
    for (((out, x), a), b) in chunks {
        // Copies, as the compiler cannot tell that `out` is apart from them.
        let (x, a, b) = (*x, *a, *b);
        let odd: [L::Sample; LANES] = std::array::from_fn(|i| L::lift::<STEP>(x[i], a[i], b[i]));
        *out = std::array::from_fn(|i| if i % 2 == 0 { a[i / 2] } else { odd[i / 2] });
    }
    for i in inner / LANES * LANES..inner {
        out[2 * i] = low[i];
        out[2 * i + 1] = L::lift::<STEP>(high[i], low[i], low[i + 1]);
    }
    if let Some(out) = out.get_mut(2 * pairs) {
        *out = last;
    }
    if let (Some(out), Some(&x)) = (out.get_mut(2 * pairs + 1), high.get(pairs)) {
        *out = L::lift::<STEP>(x, last, last);
    }
}

/// One row of a single sample, or of none.
fn single<L: Lifting>(low: &[L::Sample], high: &[L::Sample], out: &mut [L::Sample]) {
    if let Some(out) = out.first_mut() {
        if let Some(&x) = low.first() {
            *out = x;
        } else if let Some(&x) = high.first() {
            *out = L::single_odd(x);
        }
    }
}

impl Lifting for Reversible {
    type Sample = i32;
    const KERNEL: Kernel = Kernel::Reversible53;
    const STEPS: u8 = 2;

    #[inline(always)]
    fn lift<const STEP: usize>(x: i32, a: i32, b: i32) -> i32 {
        let sum = a.wrapping_add(b);
        if STEP == 1 { x.wrapping_sub(sum.wrapping_add(2) >> 2) } else { x.wrapping_add(sum >> 1) }
    }

    #[inline(always)]
    fn single_odd(x: i32) -> i32 {
        x / 2
    }

    #[inline(always)]
    fn horizontal(
        low: &[i32],
        high: &[i32],
        odd: bool,
        scratch: &mut Scratch<i32>,
        out: &mut [i32],
    ) {
        if out.len() < 2 {
            return single::<Self>(low, high, out);
        }
        step_into::<Self, 1>(&mut scratch.low, low, high, !odd);
        step_interleaved::<Self, 2>(out, &scratch.low, high, odd);
    }

    #[inline(always)]
    fn vertical(rows: &mut [Vec<i32>; RING]) {
        let [r0, r1, r2, r3, ..] = rows;
        vertical_53(r0, r1, r2, r3);
    }

    #[inline(always)]
    fn vertical_step(step: u8, x: &mut [i32], a: &[i32], b: &[i32]) {
        match step {
            1 => vertical_one::<Self, 1>(x, a, b),
            _ => vertical_one::<Self, 2>(x, a, b),
        }
    }
}

impl Lifting for Irreversible {
    type Sample = f32;
    const KERNEL: Kernel = Kernel::Irreversible97;
    const STEPS: u8 = 4;

    #[inline(always)]
    fn lift<const STEP: usize>(x: f32, a: f32, b: f32) -> f32 {
        let factor = match STEP {
            1 => DELTA,
            2 => GAMMA,
            3 => BETA,
            _ => ALPHA,
        };
        x - factor * (a + b)
    }

    #[inline(always)]
    fn single_odd(x: f32) -> f32 {
        x
    }

    #[inline(always)]
    fn horizontal(
        low: &[f32],
        high: &[f32],
        odd: bool,
        scratch: &mut Scratch<f32>,
        out: &mut [f32],
    ) {
        if out.len() < 2 {
            return single::<Self>(low, high, out);
        }
        step_into::<Self, 1>(&mut scratch.low, low, high, !odd);
        step_into::<Self, 2>(&mut scratch.high, high, &scratch.low, odd);
        step_in_place::<Self, 3>(&mut scratch.low, &scratch.high, !odd);
        step_interleaved::<Self, 4>(out, &scratch.low, &scratch.high, odd);
    }

    #[inline(always)]
    fn vertical(rows: &mut [Vec<f32>; RING]) {
        let [r0, r1, r2, r3, r4, r5, ..] = rows;
        vertical_97(r0, r1, r2, r3, r4, r5);
    }

    #[inline(always)]
    fn vertical_step(step: u8, x: &mut [f32], a: &[f32], b: &[f32]) {
        match step {
            1 => vertical_one::<Self, 1>(x, a, b),
            2 => vertical_one::<Self, 2>(x, a, b),
            3 => vertical_one::<Self, 3>(x, a, b),
            _ => vertical_one::<Self, 4>(x, a, b),
        }
    }
}

/// One step on one row.
#[inline(always)]
fn vertical_one<L: Lifting, const STEP: usize>(
    x: &mut [L::Sample],
    a: &[L::Sample],
    b: &[L::Sample],
) {
    for ((x, &a), &b) in x.iter_mut().zip(a).zip(b) {
        *x = L::lift::<STEP>(*x, a, b);
    }
}

/// Both steps of the 5/3 filter: row 1 is even, and row 0 has just arrived.
#[inline(always)]
fn vertical_53(r0: &[i32], r1: &mut [i32], r2: &mut [i32], r3: &[i32]) {
    for (((&r0, r1), r2), &r3) in r0.iter().zip(r1).zip(r2).zip(r3) {
        let even = Reversible::lift::<1>(*r1, *r2, r0);
        *r2 = Reversible::lift::<2>(*r2, r3, even);
        *r1 = even;
    }
}

/// All four steps of the 9/7 filter: rows 1, 3 and 5 are even, and row 0 has just arrived.
#[inline(always)]
fn vertical_97(
    r0: &[f32],
    r1: &mut [f32],
    r2: &mut [f32],
    r3: &mut [f32],
    r4: &mut [f32],
    r5: &[f32],
) {
    let rows = r0.iter().zip(r1).zip(r2).zip(r3).zip(r4).zip(r5);
    for (((((&r0, r1), r2), r3), r4), &r5) in rows {
        let even = Irreversible::lift::<1>(*r1, *r2, r0);
        let odd = Irreversible::lift::<2>(*r2, *r3, even);
        let even_out = Irreversible::lift::<3>(*r3, *r4, odd);
        *r4 = Irreversible::lift::<4>(*r4, r5, even_out);
        *r3 = even_out;
        *r2 = odd;
        *r1 = even;
    }
}
