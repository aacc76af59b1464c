//! The high-throughput block decoder: ITU-T T.814 (HTJ2K), clause 7.
//!
//! The cleanup pass codes all bit-planes down to its own at once, the significance propagation and
//! magnitude refinement passes one more.

mod cleanup;
mod refine;
mod samples;
mod streams;
mod tables;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use super::coded::Coded;
use crate::raster::jpeg2000::engine::simd::Simd;
use samples::Samples;

/// The state of one code-block.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    samples: Samples,
    cleanup: cleanup::Cleanup,
    refine: refine::Refine,
    simd: Simd,
}

#[cfg(test)]
impl Scratch {
    pub(super) fn on(&mut self, simd: Simd) {
        self.simd = simd;
    }
}

/// Decodes a code-block whose parameters were checked.
pub(super) fn decode(
    scratch: &mut Scratch,
    coded: &Coded<'_>,
    out: &mut [i32],
) -> Result<(), &'static str> {
    let (width, height) = (coded.width as usize, coded.height as usize);
    let mut segments = coded.segments.iter().filter(|segment| segment.passes > 0);
    let Some(cleanup) = segments.next() else {
        out.fill(0);
        return Ok(());
    };
    let refinement = segments.next();
    if cleanup.passes != 1
        || segments.next().is_some()
        || refinement.is_some_and(|segment| segment.passes > 2)
    {
        return Err("an HT code-block's coding passes are not those of one HT set");
    }
    let lowest = if refinement.is_some() { 2 } else { 1 };
    if coded.bit_planes < lowest {
        return Err("an HT code-block has more coding passes than bit-planes");
    }
    let plane = u32::from(coded.bit_planes) - 1;
    let samples = &mut scratch.samples;
    samples.start(width, height);
    let missing = u32::from(coded.missing_bit_planes);
    let pass = &mut scratch.cleanup;
    scratch.simd.run(
        #[inline(always)]
        || pass.decode(samples, cleanup.data, plane, missing),
    )?;
    if !samples.padding_is_zero() {
        return Err("an HT code-block has samples outside its bounds");
    }
    if let Some(segment) = refinement {
        scratch.refine.decode(samples, segment, plane - 1, coded.style.vertically_causal);
    }
    for (out, values) in
        out.chunks_exact_mut(width).zip(samples.values.chunks_exact(samples.stride))
    {
        for (out, value) in out.iter_mut().zip(values) {
            let sign = value.cast_signed() >> 31;
            *out = ((value & 0x7FFF_FFFF).cast_signed() ^ sign).wrapping_sub(sign);
        }
    }
    Ok(())
}
