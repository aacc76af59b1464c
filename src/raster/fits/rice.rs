//! Rice compression (FITS 4.0, 10.4.1): differences of neighbours, in blocks that each say how
//! many of their low bits are stored as they are.

/// The numbers of a tile, of `bytes` bytes each (1, 2 or 4); `None` if it ends early.
pub(super) fn decode(coded: &[u8], count: usize, block: usize, bytes: usize) -> Option<Vec<i32>> {
    // How many bits say the number of low bits, and which number says that all are stored.
    let (front, most) = match bytes {
        1 => (3, 6),
        2 => (4, 14),
        4 => (5, 25),
        _ => return None,
    };
    let (first, rest) = coded.split_at_checked(bytes)?;
    let mut last = first.iter().fold(0u32, |number, byte| number << 8 | u32::from(*byte));
    let mut bits = Bits { bytes: rest, position: 0 };
    let mut numbers = Vec::with_capacity(count.min(coded.len().saturating_mul(block.max(1))));
    let kept = u32::MAX >> (32 - 8 * bytes as u32);
    while numbers.len() < count {
        let low = bits.take(front)?;
        for _ in 0..block.min(count - numbers.len()) {
            let difference = match low {
                0 => 0,
                low if low - 1 == most => bits.take(8 * bytes as u32)?,
                low => bits.zeros()?.checked_shl(low - 1)? | bits.take(low - 1)?,
            };
            // Even ones are positive, odd ones negative.
            let signed = if difference & 1 == 0 { difference >> 1 } else { !(difference >> 1) };
            last = last.wrapping_add(signed) & kept;
            numbers.push(match bytes {
                1 => last as i32,
                2 => i32::from(last as u16 as i16),
                _ => last as i32,
            });
        }
    }
    Some(numbers)
}

/// Bits, the highest of a byte first.
struct Bits<'b> {
    bytes: &'b [u8],
    position: usize,
}

impl Bits<'_> {
    /// A number of so many bits, at most 32.
    fn take(&mut self, count: u32) -> Option<u32> {
        let mut number = 0u64;
        let mut left = count as usize;
        while left > 0 {
            let byte = u64::from(*self.bytes.get(self.position / 8)?);
            let here = (8 - self.position % 8).min(left);
            let low = 8 - self.position % 8 - here;
            number = number << here | byte >> low & ((1 << here) - 1);
            self.position += here;
            left -= here;
        }
        Some(number as u32)
    }

    /// How many zeros come before the next one, which is taken too.
    fn zeros(&mut self) -> Option<u32> {
        let mut zeros = 0;
        loop {
            let rest = *self.bytes.get(self.position / 8)? << (self.position % 8);
            let here = 8 - (self.position % 8) as u32;
            let found = rest.leading_zeros().min(here);
            zeros += found;
            self.position += found as usize;
            if found < here {
                self.position += 1;
                return Some(zeros);
            }
        }
    }
}
