//! Quantisation: how many bit-planes a sub-band has, and the size of its steps (ITU-T T.800, Annex E).

use crate::raster::jpeg2000::engine::error::{Error, Result};
use crate::raster::jpeg2000::engine::geometry::Orientation;
use crate::raster::jpeg2000::engine::markers::{ComponentCoding, QuantisationStyle};
use crate::raster::jpeg2000::engine::wavelet::Kernel;

/// The quantisation of one sub-band.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct BandSteps {
    /// Mb, the number of magnitude bit-planes (E-2), and the shift of the region of interest (H.1).
    pub bit_planes: u8,
    /// The size of a step (E-3); 1 if the transform is reversible.
    pub step: f64,
}

/// The quantisation of a sub-band of resolution `r` of a component whose samples have `depth` bits.
pub(crate) fn band_steps(
    coding: &ComponentCoding,
    depth: u8,
    r: usize,
    orientation: Orientation,
) -> Result<BandSteps> {
    let quantisation = &coding.quantisation;
    // LL, then HL, LH and HH of resolution 1, 2 and so on.
    let index = match orientation {
        Orientation::Ll => 0,
        Orientation::Hl => 3 * r.saturating_sub(1) + 1,
        Orientation::Lh => 3 * r.saturating_sub(1) + 2,
        Orientation::Hh => 3 * r.saturating_sub(1) + 3,
    };
    let lacks = || Error::corrupt(format!("there is no quantisation step for sub-band {index}"));
    let (exponent, mantissa) = if quantisation.style == QuantisationStyle::Derived {
        // E-5: the exponent falls with each level from the LL sub-band's.
        let &(exponent, mantissa) = quantisation.steps.first().ok_or_else(lacks)?;
        let fall = u8::try_from(r.saturating_sub(1)).unwrap_or(u8::MAX);
        let exponent = exponent
            .checked_sub(fall)
            .ok_or_else(|| Error::corrupt("a derived step below the least"))?;
        (exponent, mantissa)
    } else {
        quantisation.steps.get(index).copied().ok_or_else(lacks)?
    };
    let mb = (quantisation.guard_bits + exponent).saturating_sub(1);
    let step = match coding.style.kernel {
        Kernel::Reversible53 => 1.0,
        Kernel::Irreversible97 => {
            let range = i32::from(depth) + i32::from(orientation.log_gain());
            (1.0 + f64::from(mantissa) / 2048.0) * f64::from(range - i32::from(exponent)).exp2()
        }
    };
    Ok(BandSteps { bit_planes: mb.saturating_add(coding.roi_shift), step })
}

#[cfg(test)]
mod tests;
