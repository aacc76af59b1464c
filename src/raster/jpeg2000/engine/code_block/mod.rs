//! Code-blocks: from the bytes of one code-block to its quantised coefficients.
//!
//! Implements ITU-T T.800 Annex C (the MQ arithmetic decoder) and Annex D (the coding passes on
//! bit-planes, with every code-block style of Table A.19), and the shift of T.800 H.1 that undoes a
//! region of interest.

mod coded;
mod context;
mod groups;
pub(crate) mod ht;
mod mq;
mod passes;
mod raw;
#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod plain;
#[cfg(test)]
mod tests;

pub(crate) use coded::{Coded, MAX_BIT_PLANES, Orientation, Segment, Style};
#[cfg(test)]
use coded::{Pass, is_raw, pass_at};

/// Decodes code-blocks, one after another. It keeps its scratch memory from block to block.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    scratch: passes::Scratch,
    ht: ht::Scratch,
}

impl Decoder {
    /// A decoder that runs on the instruction set that the program was compiled for.
    #[cfg(test)]
    fn baseline() -> Self {
        let mut decoder = Self::default();
        decoder.scratch.on(crate::raster::jpeg2000::engine::simd::Simd::baseline());
        decoder.ht.on(crate::raster::jpeg2000::engine::simd::Simd::baseline());
        decoder
    }

    /// Decodes a code-block into `width * height` values, row by row.
    ///
    /// Each value has one fractional bit. A coefficient whose lowest decoded bit-plane is `p` and
    /// whose decoded magnitude is `m` comes out as `sign * (2 * m + 2^p)`: the midpoint of its
    /// interval (T.800 E.1.1 with r = 1/2). Zero stays zero. To get an integer for the reversible
    /// transform, divide by two towards zero; for the irreversible one multiply by half the step.
    ///
    /// # Errors
    ///
    /// Returns what is wrong with the code-block if its bytes or parameters are corrupt.
    pub(crate) fn decode(
        &mut self,
        coded: &Coded<'_>,
        out: &mut [i32],
    ) -> Result<(), &'static str> {
        coded.check(out.len())?;
        if coded.style.ht {
            return ht::decode(&mut self.ht, coded, out);
        }
        passes::decode(&mut self.scratch, coded, out)
    }
}

/// Undoes the shift of a region of interest (T.800 H.1) on values with one fractional bit.
///
/// Coefficients of the region have a magnitude of at least `2^shift`; they move down. The others
/// belong to the background and stay.
pub(crate) fn undo_roi_shift(values: &mut [i32], shift: u8) {
    if shift == 0 || shift >= 31 {
        return;
    }
    let threshold = 1_u64 << (shift + 1);
    for value in values {
        let magnitude = value.unsigned_abs();
        if u64::from(magnitude) >= threshold {
            let moved = (magnitude >> shift).cast_signed();
            *value = if *value < 0 { moved.wrapping_neg() } else { moved };
        }
    }
}
