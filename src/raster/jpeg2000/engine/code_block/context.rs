//! The contexts of the coding passes: T.800 Tables D.1 to D.4 and D.7.

use super::coded::Orientation;

/// The first of nine contexts for significance (zero coding). The five for signs come behind.
pub(super) const ZERO: u8 = 0;
/// The first of three contexts for magnitude refinement.
pub(super) const MAGNITUDE: u8 = 14;
/// The context for run lengths.
pub(super) const RUN: u8 = 17;
/// The uniform context.
pub(super) const UNIFORM: u8 = 18;
/// How many contexts there are.
pub(super) const COUNT: usize = 19;

/// The context for significance (Table D.1) of a coefficient with so many significant neighbours
/// horizontally (at most 2), vertically (at most 2) and diagonally (at most 4).
pub(super) const fn zero(
    orientation: Orientation,
    horizontal: u32,
    vertical: u32,
    diagonal: u32,
) -> u8 {
    let (h, v, d) = match orientation {
        Orientation::Ll | Orientation::Lh => (horizontal, vertical, diagonal),
        Orientation::Hl => (vertical, horizontal, diagonal),
        Orientation::Hh => {
            let hv = horizontal + vertical;
            return match (diagonal, hv) {
                (0, 0) => 0,
                (0, 1) => 1,
                (0, _) => 2,
                (1, 0) => 3,
                (1, 1) => 4,
                (1, _) => 5,
                (2, 0) => 6,
                (2, _) => 7,
                _ => 8,
            };
        }
    };
    match (h, v, d) {
        (0, 0, 0) => 0,
        (0, 0, 1) => 1,
        (0, 0, _) => 2,
        (0, 1, _) => 3,
        (0, _, _) => 4,
        (1, 0, 0) => 5,
        (1, 0, _) => 6,
        (1, _, _) => 7,
        _ => 8,
    }
}

/// The context for the sign and the bit to turn it by (Tables D.2 and D.3) from the sums of the
/// horizontal and vertical neighbours' contributions: significant and positive is 1, significant
/// and negative -1.
pub(super) const fn sign(horizontal: i32, vertical: i32) -> (u8, u8) {
    const fn clamp(sum: i32) -> i32 {
        if sum > 0 {
            1
        } else if sum < 0 {
            -1
        } else {
            0
        }
    }
    match (clamp(horizontal), clamp(vertical)) {
        (1, 1) => (13, 0),
        (1, 0) => (12, 0),
        (1, _) => (11, 0),
        (0, 1) => (10, 0),
        (0, 0) => (9, 0),
        (0, _) => (10, 1),
        (_, 1) => (11, 1),
        (_, 0) => (12, 1),
        _ => (13, 1),
    }
}
