//! The finisher against arithmetic in `i128` and `f64`, on all instruction sets.

use proptest::prelude::*;

use super::*;

/// What a sample must be.
fn expected(value: f64, depth: Depth) -> i64 {
    let half = 1_i64 << (depth.bits - 1);
    let rounded = value.round_ties_even() as i64;
    rounded.clamp(-half, half - 1) + if depth.signed { 0 } else { half }
}

fn put<T: Coefficient, S: Sample>(
    rows: &[Vec<T>],
    transformed: bool,
    depths: &[Depth],
) -> Result<Vec<S>, &'static str> {
    let rows: Vec<&[T]> = rows.iter().map(Vec::as_slice).collect();
    let mut out = vec![S::default(); rows.len() * rows[0].len()];
    Finisher::new().put(&rows, transformed, depths, &mut out)?;
    let mut same = vec![S::default(); out.len()];
    Finisher::on(Simd::baseline()).put(&rows, transformed, depths, &mut same)?;
    assert!(out.iter().zip(&same).all(|(&a, &b)| wide(a) == wide(b)));
    Ok(out)
}

/// The sample as it would print.
fn wide<S: Sample>(sample: S) -> i64 {
    let any: &dyn std::any::Any = &sample;
    None.or(any.downcast_ref::<u8>().map(|&x| i64::from(x)))
        .or(any.downcast_ref::<i8>().map(|&x| i64::from(x)))
        .or(any.downcast_ref::<u16>().map(|&x| i64::from(x)))
        .or(any.downcast_ref::<i16>().map(|&x| i64::from(x)))
        .or(any.downcast_ref::<u32>().map(|&x| i64::from(x)))
        .or(any.downcast_ref::<i32>().map(|&x| i64::from(x)))
        .unwrap()
}

fn check<S: Sample>(rows: &[Vec<i32>], depth: Depth, transformed: bool) {
    let depths = vec![depth; rows.len()];
    let ints = put::<i32, S>(rows, transformed, &depths);
    let floats: Vec<Vec<f32>> =
        rows.iter().map(|row| row.iter().map(|&x| (f64::from(x) / 4.0) as f32).collect()).collect();
    let reals = put::<f32, S>(&floats, transformed, &depths);
    let holds = if depth.signed {
        S::SIGNED && depth.bits <= S::BITS
    } else {
        depth.bits + u8::from(S::SIGNED) <= S::BITS
    };
    assert_eq!(ints.is_ok(), holds && depth.bits < 32);
    assert_eq!(reals.is_ok(), holds && depth.bits < 32);
    let (Ok(ints), Ok(reals)) = (ints, reals) else {
        return;
    };
    let bands = rows.len();
    for at in 0..rows[0].len() {
        let mut pixel: Vec<f64> = rows.iter().map(|row| f64::from(row[at])).collect();
        let mut real: Vec<f64> = floats.iter().map(|row| f64::from(row[at])).collect();
        if transformed {
            let y: Vec<i128> = rows.iter().map(|row| i128::from(row[at])).collect();
            let i1 = y[0] - (y[1] + y[2]).div_euclid(4);
            pixel[..3].copy_from_slice(&[y[2] + i1, i1, y[1] + i1].map(|x| x as f64));
            let y = real.clone();
            real[0] = y[0] + 1.402 * y[2];
            real[1] = y[0] - 0.34413 * y[1] - 0.71414 * y[2];
            real[2] = y[0] + 1.772 * y[1];
        }
        for band in 0..bands {
            assert_eq!(wide(ints[at * bands + band]), expected(pixel[band], depth));
            let (ours, exact) = (wide(reals[at * bands + band]), expected(real[band], depth));
            let slack = if transformed {
                1 + (floats.iter().map(|row| row[at].abs()).fold(0.0, f32::max) / 4e6) as i64
            } else {
                0
            };
            assert!((ours - exact).abs() <= slack, "{ours} {exact} {}", real[band]);
        }
    }
}

fn rows() -> impl Strategy<Value = Vec<Vec<i32>>> {
    (1_usize..7, 0_usize..70, 1_u32..30).prop_flat_map(|(bands, width, bits)| {
        let top = 1_i32 << bits;
        prop::collection::vec(prop::collection::vec(-top..top, width), bands)
    })
}

proptest! {
    #[test]
    fn samples_are_annex_g(rows in rows(), bits in 1_u8..=32, signed: bool, transformed: bool) {
        let transformed = transformed && rows.len() >= 3;
        let depth = Depth { bits, signed };
        check::<u8>(&rows, depth, transformed);
        check::<i8>(&rows, depth, transformed);
        check::<u16>(&rows, depth, transformed);
        check::<i16>(&rows, depth, transformed);
        check::<u32>(&rows, depth, transformed);
        check::<i32>(&rows, depth, transformed);
    }

    #[test]
    fn bands_can_be_put_one_by_one(rows in rows()) {
        let depth = Depth { bits: 12, signed: false };
        let whole = put::<i32, u16>(&rows, false, &vec![depth; rows.len()]).unwrap();
        let mut finisher = Finisher::new();
        let mut out = vec![0; whole.len()];
        for (band, row) in rows.iter().enumerate() {
            finisher.put_band(row, depth, (band, rows.len()), &mut out).unwrap();
        }
        prop_assert_eq!(out, whole);
    }
}

#[test]
fn odd_values_become_samples() {
    let depth = Depth { bits: 8, signed: false };
    let row =
        vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, -0.5, 0.5, 1.5, -128.5, 127.4];
    let out: Vec<u8> = put(&[row], false, &[depth]).unwrap();
    assert_eq!(out, [0, 255, 0, 255, 128, 128, 130, 0, 255]);
    let deep = Depth { bits: 31, signed: false };
    let row = vec![f32::INFINITY, f32::NEG_INFINITY, 0.5, 1e9];
    let out: Vec<u32> = put(&[row], false, &[deep]).unwrap();
    assert_eq!(out, [0x7fff_ffff, 0, 0x4000_0000, 0x4000_0000 + 1_000_000_000]);
    let row = vec![i32::MAX, i32::MIN];
    let out: Vec<u8> = put(&[row], false, &[depth]).unwrap();
    assert_eq!(out, [255, 0]);
}

#[test]
fn arguments_must_fit_together() {
    let depth = Depth { bits: 8, signed: false };
    let mut finisher = Finisher::<u8>::new();
    let row: &[i32] = &[1, 2];
    assert!(finisher.put::<i32>(&[], false, &[], &mut []).is_err());
    assert!(finisher.put(&[row], false, &[depth], &mut [0; 3]).is_err());
    assert!(finisher.put(&[row, row], false, &[depth], &mut [0; 4]).is_err());
    assert!(finisher.put(&[row, row], true, &[depth; 2], &mut [0; 4]).is_err());
    assert!(finisher.put(&[row, &[1]], false, &[depth; 2], &mut [0; 4]).is_err());
    assert!(finisher.put_band(row, depth, (1, 1), &mut [0; 2]).is_err());
    assert!(finisher.put_band(row, depth, (0, 2), &mut [0; 2]).is_err());
}
