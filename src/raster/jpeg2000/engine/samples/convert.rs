//! One value at a time: from what the wavelet transformation gives to a sample.

/// The depth of a component (Ssiz, Table A.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Depth {
    /// The number of bits, from 1 on.
    pub bits: u8,
    /// Whether the samples are signed.
    pub signed: bool,
}

/// What the samples of a component may be, before the DC level shift, and that shift.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    low: i32,
    high: i32,
    shift: i32,
}

impl Depth {
    /// The component's range, if samples of type `S` can hold it.
    pub(super) fn range<S: Sample>(self) -> Result<Range, &'static str> {
        let signs = u8::from(S::SIGNED) + u8::from(!self.signed);
        // A signed component needs signed samples; an unsigned one needs a spare bit in those.
        let enough = match signs {
            0 => false,
            2 => self.bits < S::BITS,
            _ => self.bits <= S::BITS,
        };
        if !enough || !(1..=31).contains(&self.bits) {
            return Err("the samples cannot hold the component's depth");
        }
        let half = 1_i32 << (self.bits - 1);
        Ok(Range { low: -half, high: half - 1, shift: if self.signed { 0 } else { half } })
    }
}

/// An integer that the image's samples may be.
pub(crate) trait Sample: Copy + Default + Send + Sync + 'static {
    /// The number of bits.
    const BITS: u8;
    /// Whether the integer is signed.
    const SIGNED: bool;
    /// The sample of a value in its range.
    fn narrow(value: i32) -> Self;
}

macro_rules! sample {
    ($($type:ty, $signed:literal;)*) => {$(
        impl Sample for $type {
            // at most 32
            const BITS: u8 = <$type>::BITS as u8;
            const SIGNED: bool = $signed;
            #[inline(always)]
            // it is in the range
            fn narrow(value: i32) -> Self {
                value as Self
            }
        }
    )*};
}
sample! { u8, false; i8, true; u16, false; i16, true; u32, false; i32, true; }

/// What the wavelet transformation gives: integers (5/3) or `f32` (9/7).
pub(crate) trait Coefficient: Copy + Default + Send + Sync + 'static {
    /// A [`Range`] in the form that suits the type.
    type Range: Copy;
    /// The range in that form.
    fn range(range: Range) -> Self::Range;
    /// Whether [`finish_easily`](Self::finish_easily) is right for all values of the range.
    fn is_easy(range: &Self::Range) -> bool;
    /// Rounds, clamps and shifts.
    fn finish(self, range: &Self::Range) -> i32;
    /// The same, in fewer steps.
    fn finish_easily(self, range: &Self::Range) -> i32;
    /// Undoes the component transformation that goes with the wavelet.
    fn untransform(values: [Self; 3]) -> [Self; 3];
}

impl Coefficient for i32 {
    type Range = Range;

    fn range(range: Range) -> Range {
        range
    }

    #[inline(always)]
    fn is_easy(_: &Range) -> bool {
        true
    }

    #[inline(always)]
    fn finish(self, range: &Range) -> i32 {
        self.max(range.low).min(range.high).wrapping_add(range.shift)
    }

    #[inline(always)]
    fn finish_easily(self, range: &Range) -> i32 {
        self.finish(range)
    }

    /// The reversible transformation (G.2.2).
    #[inline(always)]
    fn untransform([y0, y1, y2]: [i32; 3]) -> [i32; 3] {
        let i1 = y0.wrapping_sub(y1.wrapping_add(y2) >> 2);
        [y2.wrapping_add(i1), i1, y1.wrapping_add(i1)]
    }
}

/// A [`Range`] for `f32` values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FloatRange {
    low: f32,
    high: f32,
    range: Range,
}

/// Adding this to a number below 2^22 in magnitude leaves its nearest integer (halves go to the even one) in the
/// lowest bits of the sum.
const ROUNDER: f32 = 12_582_912.0;

impl Coefficient for f32 {
    type Range = FloatRange;

    // `finish` makes up for it above 24 bits
    fn range(range: Range) -> FloatRange {
        FloatRange { low: range.low as f32, high: range.high as f32, range }
    }

    #[inline(always)]
    fn is_easy(range: &FloatRange) -> bool {
        range.range.high < 1 << 22
    }

    #[inline(always)]
    // the cast saturates
    fn finish(self, range: &FloatRange) -> i32 {
        (self.round_ties_even() as i32).finish(&range.range)
    }

    #[inline(always)]
    fn finish_easily(self, range: &FloatRange) -> i32 {
        // Comparisons that make a NaN the lowest value, and single instructions.
        let value = if self > range.low { self } else { range.low };
        let value = if value < range.high { value } else { range.high };
        let rounded = (value + ROUNDER).to_bits().wrapping_sub(ROUNDER.to_bits());
        rounded.cast_signed().wrapping_add(range.range.shift)
    }

    /// The irreversible transformation (G.3.2).
    #[inline(always)]
    fn untransform([y0, y1, y2]: [f32; 3]) -> [f32; 3] {
        [y0 + 1.402 * y2, y0 - 0.344_13 * y1 - 0.714_14 * y2, y0 + 1.772 * y1]
    }
}
