//! From stored bytes to samples: the predictor undone, bits unpacked, the byte order of
//! the machine.

use super::image::{Kind, Stored};
use crate::raster::SampleType;

/// The rows of a strip or tile, as they are stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows {
    /// Pixels of a row.
    pub(super) columns: usize,
    /// Samples of a pixel; a complex one counts as two.
    pub(super) samples: usize,
    pub(super) stored: Stored,
    /// What samples are given out as.
    pub(super) sample: SampleType,
}

impl Rows {
    fn per_row(&self) -> usize {
        self.columns * self.samples
    }

    fn row_bytes(&self) -> usize {
        (self.per_row() * usize::from(self.stored.bits)).div_ceil(8)
    }

    /// Undoes the predictor (tag 317) and puts samples of whole bytes into the order of the
    /// machine.
    pub(super) fn undo(&self, bytes: &mut [u8], predictor: u64) {
        let width = usize::from(self.stored.bits) / 8;
        let order = self.stored.order;
        if !self.stored.bits.is_multiple_of(8) || matches!(width, 0 | 3 | 5..=7) {
            if predictor == 3 {
                self.undo_floats(bytes, width);
            }
            return;
        }
        match predictor {
            2 => {
                order.to_native(bytes, width);
                for row in bytes.chunks_mut(self.row_bytes().max(1)) {
                    add_up(row, self.samples, width);
                }
            }
            3 => self.undo_floats(bytes, width),
            _ => order.to_native(bytes, width),
        }
    }

    /// Adobe's TIFF technical note 3: each row has the first bytes of all of its floats, the
    /// highest ones, then the second ones; and each byte has the difference to its neighbour.
    fn undo_floats(&self, bytes: &mut [u8], width: usize) {
        let mut sorted = vec![0; self.row_bytes()];
        for row in bytes.chunks_mut(self.row_bytes().max(1)) {
            add_up(row, self.samples, 1);
            let count = row.len() / width;
            for (n, value) in sorted.chunks_exact_mut(width).take(count).enumerate() {
                for (byte, place) in value.iter_mut().enumerate() {
                    // The highest byte comes first in the file.
                    let from = if cfg!(target_endian = "big") { byte } else { width - 1 - byte };
                    *place = row[from * count + n];
                }
            }
            let length = count * width;
            row[..length].copy_from_slice(&sorted[..length]);
        }
    }

    /// The samples of rows that [`Rows::undo`] has seen, as they are given out; the predictor
    /// is that which was undone.
    pub(super) fn unpack(&self, bytes: Vec<u8>, predictor: u64) -> Vec<u8> {
        let Stored { kind, bits, order, .. } = self.stored;
        match (kind, bits) {
            (_, 8 | 16 | 32 | 64) if (kind, bits) != (Kind::Float, 16) => bytes,
            (Kind::Float, 16) => {
                let halves = bytes.as_chunks::<2>().0.iter();
                let floats = halves.map(|&half| half::f16::from_ne_bytes(half).to_f32());
                floats.flat_map(f32::to_ne_bytes).collect()
            }
            (Kind::Float, _) => {
                // After predictor 3 they are in the order of the machine already.
                let is_little = match predictor {
                    3 => cfg!(target_endian = "little"),
                    _ => order == super::order::Order::Little,
                };
                let float = |&[a, b, c]: &[u8; 3]| {
                    let (high, middle, low) = if is_little { (c, b, a) } else { (a, b, c) };
                    from_24_bits(u32::from(high) << 16 | u32::from(middle) << 8 | u32::from(low))
                };
                bytes.as_chunks::<3>().0.iter().flat_map(|b| float(b).to_ne_bytes()).collect()
            }
            _ => self.unpack_bits(&bytes),
        }
    }

    /// Samples that are no power of two of bytes: the highest bit first, each row from a byte
    /// on (TIFF 6.0, section 3), whatever the byte order. That holds for 24 bits too: writers
    /// of such files, and GDAL, take them for bits and not for bytes.
    fn unpack_bits(&self, bytes: &[u8]) -> Vec<u8> {
        let bits = usize::from(self.stored.bits);
        let width = self.sample.bytes();
        let rows = bytes.chunks_exact(self.row_bytes().max(1));
        let mut out = Vec::with_capacity(rows.len() * self.per_row() * width);
        for row in rows {
            let (mut held, mut have) = (0u128, 0);
            let mut rest = row.iter();
            for _ in 0..self.per_row() {
                while have < bits {
                    held = held << 8 | u128::from(rest.next().copied().unwrap_or(0));
                    have += 8;
                }
                have -= bits;
                let value = (held >> have) as u64 & (u64::MAX >> (64 - bits));
                push(&mut out, value, width);
                held &= (1u128 << have) - 1;
            }
        }
        out
    }
}

fn push(out: &mut Vec<u8>, value: u64, width: usize) {
    match width {
        1 => out.push(value as u8),
        2 => out.extend((value as u16).to_ne_bytes()),
        4 => out.extend((value as u32).to_ne_bytes()),
        _ => out.extend(value.to_ne_bytes()),
    }
}

/// Adds to each sample of a row that of the pixel before it.
fn add_up(row: &mut [u8], samples: usize, width: usize) {
    macro_rules! add {
        ($number:ty) => {{
            let (values, _) = row.as_chunks_mut::<{ size_of::<$number>() }>();
            for at in samples..values.len() {
                let before = <$number>::from_ne_bytes(values[at - samples]);
                let value = <$number>::from_ne_bytes(values[at]).wrapping_add(before);
                values[at] = value.to_ne_bytes();
            }
        }};
    }
    match width {
        1 => add!(u8),
        2 => add!(u16),
        4 => add!(u32),
        _ => add!(u64),
    }
}

/// A float of 24 bits (TIFF technical note 3): 7 bits of exponent, biased by 63, and 16 of
/// mantissa.
fn from_24_bits(bits: u32) -> f32 {
    let sign = (bits >> 23) << 31;
    let (exponent, mantissa) = (bits >> 16 & 0x7f, bits & 0xffff);
    let wide = match (exponent, mantissa) {
        (0, 0) => 0,
        (0, small) => {
            // Too small for an exponent there, but not here.
            let shift = small.leading_zeros() - 15;
            let exponent = 127 - 62 - shift;
            exponent << 23 | (small << (shift + 7) & 0x7f_ffff)
        }
        (0x7f, _) => 0xff << 23 | mantissa << 7,
        _ => (exponent + 127 - 63) << 23 | mantissa << 7,
    };
    f32::from_bits(sign | wide)
}

/// Turns white-is-zero round: the largest value of so many bits becomes zero.
pub(super) fn invert(samples: &mut [u8], sample: SampleType, bits: u16) {
    let largest = u64::MAX >> (64 - u32::from(bits.clamp(1, 64)));
    macro_rules! turn {
        ($number:ty) => {{
            let largest = largest as $number;
            for value in samples.as_chunks_mut::<{ size_of::<$number>() }>().0 {
                *value = largest.wrapping_sub(<$number>::from_ne_bytes(*value)).to_ne_bytes();
            }
        }};
    }
    match sample.bytes() {
        1 => turn!(u8),
        2 => turn!(u16),
        4 => turn!(u32),
        _ => turn!(u64),
    }
}

#[cfg(test)]
mod tests {
    use super::super::order::Order;
    use super::*;

    fn rows(kind: Kind, bits: u16, order: Order, columns: usize, samples: usize) -> Rows {
        let stored = Stored { kind, bits, is_complex: false, order };
        let sample = match (kind, bits) {
            (Kind::Float, ..=32) => SampleType::F32,
            (_, ..=8) => SampleType::U8,
            (_, ..=16) => SampleType::U16,
            (_, ..=32) => SampleType::U32,
            _ => SampleType::U64,
        };
        Rows { columns, samples, stored, sample }
    }

    #[test]
    fn bits_are_unpacked_from_the_highest_one_and_rows_begin_at_bytes() {
        let rows = rows(Kind::Unsigned, 4, Order::Little, 3, 1);
        assert_eq!(rows.unpack(vec![0x12, 0x3f, 0x45, 0x6f], 1), [1, 2, 3, 4, 5, 6]);
        let rows = self::rows(Kind::Unsigned, 12, Order::Little, 2, 1);
        let values = rows.unpack(vec![0xab, 0xcd, 0xef], 1);
        assert_eq!(values, [0xabcu16.to_ne_bytes(), 0xdefu16.to_ne_bytes()].concat());
    }

    #[test]
    fn whole_words_follow_the_byte_order_and_other_bytes_are_bits() {
        for order in [Order::Little, Order::Big] {
            let rows = rows(Kind::Unsigned, 24, order, 1, 1);
            assert_eq!(rows.unpack(vec![1, 2, 3], 1), 0x0001_0203u32.to_ne_bytes());
        }
        let rows = rows(Kind::Unsigned, 16, Order::Big, 2, 1);
        let mut bytes = vec![0, 1, 0, 1];
        rows.undo(&mut bytes, 2);
        assert_eq!(bytes, [1u16.to_ne_bytes(), 2u16.to_ne_bytes()].concat());
    }

    #[test]
    fn floats_of_fewer_bits_become_the_same_floats_of_32() {
        assert_eq!(from_24_bits(0x3f_0000), 1.0);
        assert_eq!(from_24_bits(0xbf_8000), -1.5);
        assert_eq!(from_24_bits(0), 0.0);
        assert_eq!(from_24_bits(0x00_8000), 2f32.powi(-63));
        assert_eq!(from_24_bits(0x00_0001), 2f32.powi(-78));
        assert_eq!(from_24_bits(0x7f_0000), f32::INFINITY);
        assert!(from_24_bits(0x7f_0001).is_nan());
    }

    #[test]
    fn the_bytes_of_floats_are_put_together_again() {
        let rows = rows(Kind::Float, 32, Order::Little, 2, 1);
        // 1.0 is 3f800000, and 2.0 is 40000000: bytes sorted, then differences.
        let sorted = [0x3f, 0x40, 0x80, 0x00, 0, 0, 0, 0u8];
        let mut bytes: Vec<u8> = sorted.to_vec();
        for at in (1..bytes.len()).rev() {
            bytes[at] = bytes[at].wrapping_sub(bytes[at - 1]);
        }
        rows.undo(&mut bytes, 3);
        assert_eq!(bytes, [1f32.to_ne_bytes(), 2f32.to_ne_bytes()].concat());
    }
}
