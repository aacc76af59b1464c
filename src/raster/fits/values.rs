//! Stored values as samples (FITS 4.0, 4.4.2.5 and 5): exactly where whole numbers are only
//! shifted into an unsigned type or out of one, otherwise worked out in the precision that
//! astropy uses: 32 bits for floats of 32 bits and for whole numbers up to 16, else 64.

use super::unit::Array;
use crate::raster::SampleType;

/// How stored values become samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Values {
    stored: i64,
    pub(super) sample: SampleType,
    way: Way,
    /// What holds no measurement, as a sample.
    pub(super) nodata: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    /// In another order of bytes; the sign turned round if that is set.
    Exact { is_shifted: bool },
    /// Times the scale, plus the zero.
    Scaled { scale: f64, zero: f64, blank: Option<i64> },
}

impl Values {
    pub(super) fn of(array: &Array) -> Values {
        let Array { bitpix, scale, zero, blank, .. } = *array;
        let (plain, shifted, by) = match bitpix {
            8 => (SampleType::U8, Some(SampleType::I8), -128.0),
            16 => (SampleType::I16, Some(SampleType::U16), 32_768.0),
            32 => (SampleType::I32, Some(SampleType::U32), 2_147_483_648.0),
            64 => (SampleType::I64, Some(SampleType::U64), 9_223_372_036_854_775_808.0),
            -32 => (SampleType::F32, None, 0.0),
            _ => (SampleType::F64, None, 0.0),
        };
        let (sample, way) = match shifted {
            _ if (scale, zero) == (1.0, 0.0) => (plain, Way::Exact { is_shifted: false }),
            Some(shifted) if (scale, zero) == (1.0, by) => {
                (shifted, Way::Exact { is_shifted: true })
            }
            _ => {
                let is_short = matches!(bitpix, 8 | 16 | -32);
                let sample = if is_short { SampleType::F32 } else { SampleType::F64 };
                (sample, Way::Scaled { scale, zero, blank })
            }
        };
        let nodata = blank.and_then(|blank| match way {
            Way::Scaled { .. } => Some(f64::NAN),
            Way::Exact { is_shifted } => {
                let add = if is_shifted { by as i128 } else { 0 };
                let value = i128::from(blank) + add;
                Some(value as f64).filter(|float| *float as i128 == value)
            }
        });
        Values { stored: bitpix, sample, way, nodata }
    }

    /// Bytes of a stored value.
    pub(super) fn stored_bytes(&self) -> usize {
        self.stored.unsigned_abs() as usize / 8
    }

    /// Puts the samples of stored values into `pixels`, one each `step` bytes.
    pub(super) fn put(&self, stored: &[u8], pixels: &mut [u8], step: usize) {
        let size = self.sample.bytes();
        let given = stored.chunks_exact(self.stored_bytes());
        let places = pixels.chunks_mut(step);
        match self.way {
            Way::Exact { is_shifted } => {
                let sign = if is_shifted { 0x80 } else { 0 };
                for (given, place) in given.zip(places) {
                    let place = &mut place[..size];
                    place.copy_from_slice(given);
                    place[0] ^= sign;
                    if cfg!(target_endian = "little") {
                        place.reverse();
                    }
                }
            }
            Way::Scaled { scale, zero, blank } => {
                for (given, place) in given.zip(places) {
                    let sample = self.scaled(given, scale, zero, blank);
                    place[..size].copy_from_slice(&self.sample.value(sample));
                }
            }
        }
    }

    /// One value, in the precision of its sample.
    fn scaled(&self, given: &[u8], scale: f64, zero: f64, blank: Option<i64>) -> f64 {
        let bits = given.iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
        let whole = match self.stored {
            8 => bits as i64,
            16 => i64::from(bits as u16 as i16),
            32 => i64::from(bits as u32 as i32),
            _ => bits as i64,
        };
        if self.stored > 0 && blank == Some(whole) {
            return f64::NAN;
        }
        match self.stored {
            8 | 16 => in_short(whole as f32, scale, zero),
            -32 => in_short(f32::from_bits(bits as u32), scale, zero),
            -64 => in_long(f64::from_bits(bits), scale, zero),
            _ => in_long(whole as f64, scale, zero),
        }
    }
}

/// A step that changes nothing is left out: `-0 + 0` is not `-0`.
fn in_short(value: f32, scale: f64, zero: f64) -> f64 {
    let scaled = if scale == 1.0 { value } else { value * scale as f32 };
    f64::from(if zero == 0.0 { scaled } else { scaled + zero as f32 })
}

fn in_long(value: f64, scale: f64, zero: f64) -> f64 {
    let scaled = if scale == 1.0 { value } else { value * scale };
    if zero == 0.0 { scaled } else { scaled + zero }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(bitpix: i64, scale: f64, zero: f64, blank: Option<i64>) -> Values {
        Values::of(&Array { bitpix, axes: vec![1, 1], scale, zero, blank })
    }

    fn sample(values: &Values, stored: &[u8]) -> Vec<u8> {
        let mut sample = vec![0; values.sample.bytes()];
        let step = sample.len();
        values.put(stored, &mut sample, step);
        sample
    }

    #[test]
    fn unsigned_numbers_and_signed_bytes_are_exact_with_their_nodata() {
        let short = values(16, 1.0, 32_768.0, Some(-32_768));
        assert_eq!((short.sample, short.nodata), (SampleType::U16, Some(0.0)));
        assert_eq!(sample(&short, &(-1i16).to_be_bytes()), 32_767u16.to_ne_bytes());
        let byte = values(8, 1.0, -128.0, Some(7));
        assert_eq!((byte.sample, byte.nodata), (SampleType::I8, Some(-121.0)));
        assert_eq!(sample(&byte, &[3]), (-125i8).to_ne_bytes());
        let long = values(64, 1.0, 9_223_372_036_854_775_808.0, None);
        assert_eq!(sample(&long, &5i64.to_be_bytes()), (5u64 + (1 << 63)).to_ne_bytes());
    }

    #[test]
    fn other_scales_give_floats_in_which_blank_is_nan() {
        let short = values(16, 0.1, 5.0, Some(-1));
        assert_eq!(short.sample, SampleType::F32);
        let expected = 7f32 * 0.1f32 + 5.0;
        assert_eq!(sample(&short, &7i16.to_be_bytes()), expected.to_ne_bytes());
        let blank = sample(&short, &(-1i16).to_be_bytes());
        assert!(f32::from_ne_bytes(blank.try_into().unwrap()).is_nan());
        let long = values(32, 0.1, 5.0, None);
        assert_eq!(long.sample, SampleType::F64);
        assert_eq!(sample(&long, &7i32.to_be_bytes()), (7.0 * 0.1 + 5.0f64).to_ne_bytes());
        // A number that no double holds is no nodata.
        assert_eq!(values(64, 1.0, 0.0, Some(i64::MAX)).nodata, None);
    }
}
