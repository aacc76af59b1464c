//! The inverse cosine transform of a block, to the bit that of the Independent JPEG
//! Group's `jidctint.c`, which nearly every reader uses.
//!
//! Mechanism: the butterfly of Loeffler, Ligtenberg and Moschytz, in integers, columns
//! first; each step is done for eight columns at once.

use super::frame::Sample;

const CONST_BITS: i32 = 13;

type Lanes = [i32; 8];

#[inline(always)]
fn each(a: &Lanes, b: &Lanes, f: impl Fn(i32, i32) -> i32) -> Lanes {
    std::array::from_fn(|n| f(a[n], b[n]))
}

#[inline(always)]
fn add(a: &Lanes, b: &Lanes) -> Lanes {
    each(a, b, i32::wrapping_add)
}

#[inline(always)]
fn sub(a: &Lanes, b: &Lanes) -> Lanes {
    each(a, b, i32::wrapping_sub)
}

#[inline(always)]
fn times(a: &Lanes, factor: i32) -> Lanes {
    a.map(|value| value.wrapping_mul(factor))
}

#[inline(always)]
fn rounded(a: &Lanes, shift: i32) -> Lanes {
    a.map(|value| value.wrapping_add(1 << (shift - 1)) >> shift)
}

#[inline(always)]
fn pass(rows: &[Lanes; 8], shift: i32) -> [Lanes; 8] {
    let z1 = times(&add(&rows[2], &rows[6]), 4433);
    let tmp2 = add(&z1, &times(&rows[6], -15137));
    let tmp3 = add(&z1, &times(&rows[2], 6270));
    let tmp0 = add(&rows[0], &rows[4]).map(|value| value.wrapping_shl(CONST_BITS as u32));
    let tmp1 = sub(&rows[0], &rows[4]).map(|value| value.wrapping_shl(CONST_BITS as u32));
    let (tmp10, tmp13) = (add(&tmp0, &tmp3), sub(&tmp0, &tmp3));
    let (tmp11, tmp12) = (add(&tmp1, &tmp2), sub(&tmp1, &tmp2));

    let z1 = add(&rows[7], &rows[1]);
    let z2 = add(&rows[5], &rows[3]);
    let z3 = add(&rows[7], &rows[3]);
    let z4 = add(&rows[5], &rows[1]);
    let z5 = times(&add(&z3, &z4), 9633);
    let z1 = times(&z1, -7373);
    let z2 = times(&z2, -20995);
    let z3 = add(&times(&z3, -16069), &z5);
    let z4 = add(&times(&z4, -3196), &z5);
    let tmp0 = add(&times(&rows[7], 2446), &add(&z1, &z3));
    let tmp1 = add(&times(&rows[5], 16819), &add(&z2, &z4));
    let tmp2 = add(&times(&rows[3], 25172), &add(&z2, &z3));
    let tmp3 = add(&times(&rows[1], 12299), &add(&z1, &z4));

    [
        rounded(&add(&tmp10, &tmp3), shift),
        rounded(&add(&tmp11, &tmp2), shift),
        rounded(&add(&tmp12, &tmp1), shift),
        rounded(&add(&tmp13, &tmp0), shift),
        rounded(&sub(&tmp13, &tmp0), shift),
        rounded(&sub(&tmp12, &tmp1), shift),
        rounded(&sub(&tmp11, &tmp2), shift),
        rounded(&sub(&tmp10, &tmp3), shift),
    ]
}

#[inline(always)]
fn transposed(rows: &[Lanes; 8]) -> [Lanes; 8] {
    std::array::from_fn(|x| std::array::from_fn(|y| rows[y][x]))
}

/// The samples of a block, to `plane` from `at` on, a row each `stride`.
pub(super) fn inverse<S: Sample>(
    coefficients: &[i16; 64],
    quantisation: &[u16; 64],
    precision: u8,
    plane: &mut [S],
    at: usize,
    stride: usize,
) {
    let center = 1 << (precision - 1);
    let most = (1 << precision) - 1;
    let mut put = |y: usize, row: &Lanes| {
        let from = at + y * stride;
        if let Some(to) = plane.get_mut(from..from + 8) {
            for (to, value) in to.iter_mut().zip(row) {
                *to = S::of(value.wrapping_add(center).clamp(0, most));
            }
        }
    };
    if coefficients[1..].iter().all(|coefficient| *coefficient == 0) {
        let dc = i32::from(coefficients[0]) * i32::from(quantisation[0]);
        let row = [dc.wrapping_add(4) >> 3; 8];
        (0..8).for_each(|y| put(y, &row));
        return;
    }
    // A bit more is kept between the passes where there is room for it.
    let kept = if precision <= 8 { 2 } else { 1 };
    let rows: [Lanes; 8] = std::array::from_fn(|y| {
        std::array::from_fn(|x| {
            i32::from(coefficients[8 * y + x]).wrapping_mul(quantisation[8 * y + x].into())
        })
    });
    let columns = pass(&rows, CONST_BITS - kept);
    let rows = transposed(&pass(&transposed(&columns), CONST_BITS + kept + 3));
    for (y, row) in rows.iter().enumerate() {
        put(y, row);
    }
}
