//! Steps and bit-planes by hand.

use std::sync::Arc;

use super::*;
use crate::raster::jpeg2000::engine::code_block::Style;
use crate::raster::jpeg2000::engine::markers::{CodingStyle, Quantisation};

fn coding(
    kernel: Kernel,
    style: QuantisationStyle,
    steps: &[(u8, u16)],
    roi_shift: u8,
) -> ComponentCoding {
    let coding = CodingStyle {
        levels: 3,
        block_width_exponent: 6,
        block_height_exponent: 6,
        blocks: Style::default(),
        kernel,
        precincts: Vec::new(),
    };
    let quantisation = Quantisation { style, guard_bits: 2, steps: steps.to_vec() };
    ComponentCoding { style: Arc::new(coding), quantisation: Arc::new(quantisation), roi_shift }
}

#[test]
fn reversible_steps_are_one() {
    let steps: Vec<(u8, u16)> = (8..18).map(|n| (n, 0)).collect();
    let coding = coding(Kernel::Reversible53, QuantisationStyle::None, &steps, 5);
    assert_eq!(
        band_steps(&coding, 8, 0, Orientation::Ll),
        Ok(BandSteps { bit_planes: 8 + 1 + 5, step: 1.0 })
    );
    assert_eq!(
        band_steps(&coding, 8, 2, Orientation::Hh),
        Ok(BandSteps { bit_planes: 14 + 1 + 5, step: 1.0 })
    );
    assert!(matches!(band_steps(&coding, 8, 4, Orientation::Hl), Err(Error::Corrupt(_))));
}

#[test]
fn expounded_steps_have_their_own_exponents() {
    let steps: Vec<(u8, u16)> = (8..18).map(|n| (n, 1024)).collect();
    let coding = coding(Kernel::Irreversible97, QuantisationStyle::Expounded, &steps, 0);
    assert_eq!(
        band_steps(&coding, 9, 0, Orientation::Ll),
        Ok(BandSteps { bit_planes: 9, step: 3.0 })
    );
    // 2^(9 + 2 - 11) * 1.5
    assert_eq!(
        band_steps(&coding, 9, 1, Orientation::Hh),
        Ok(BandSteps { bit_planes: 12, step: 1.5 })
    );
}

#[test]
fn derived_steps_follow_from_the_first() {
    let coding = coding(Kernel::Irreversible97, QuantisationStyle::Derived, &[(10, 0)], 0);
    assert_eq!(
        band_steps(&coding, 8, 0, Orientation::Ll),
        Ok(BandSteps { bit_planes: 11, step: 0.25 })
    );
    assert_eq!(
        band_steps(&coding, 8, 1, Orientation::Hl),
        Ok(BandSteps { bit_planes: 11, step: 0.5 })
    );
    assert_eq!(
        band_steps(&coding, 8, 3, Orientation::Hh),
        Ok(BandSteps { bit_planes: 9, step: 4.0 })
    );
}
