//! The coded bits of a scan (T.81, F.2.2): Huffman codes and the bits behind them.
//!
//! Contract: bits that are not there are an error, never zeros.

use super::walk::Reader;
use crate::raster::RasterError;
use crate::raster::error::corrupt;

/// Codes of up to so many bits are looked up at once.
const FAST_BITS: u32 = 9;

/// A table of codes.
#[derive(Debug, Clone)]
pub(super) struct Codes {
    /// By the next bits: the code's length, and its symbol; 0 if it is longer.
    fast: [u16; 1 << FAST_BITS],
    /// For each length, the largest code and what takes a code to its symbol.
    largest: [i32; 17],
    offset: [i32; 17],
    symbols: Vec<u8>,
}

impl Codes {
    /// From how many codes there are of each length, and their symbols in order.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Codes> {
        let mut codes = Codes {
            fast: [0; 1 << FAST_BITS],
            largest: [-1; 17],
            offset: [0; 17],
            symbols: symbols.to_vec(),
        };
        let (mut code, mut next) = (0u32, 0usize);
        for (length, count) in (1u32..).zip(counts) {
            let count = u32::from(*count);
            if code + count > 1 << length {
                return None;
            }
            codes.offset[length as usize] = next as i32 - code as i32;
            if count > 0 {
                codes.largest[length as usize] = (code + count) as i32 - 1;
            }
            for code in code..code + count {
                let symbol = *symbols.get(next)?;
                next += 1;
                if length <= FAST_BITS {
                    let spare = FAST_BITS - length;
                    let from = (code << spare) as usize;
                    let entry = (length as u16) << 8 | u16::from(symbol);
                    codes.fast[from..from + (1 << spare)].fill(entry);
                }
            }
            code = (code + count) << 1;
        }
        (next == symbols.len()).then_some(codes)
    }
}

/// Reads bits, the highest of each byte first.
#[derive(Debug)]
pub(super) struct Bits<'a> {
    data: &'a [u8],
    /// What is read next into `bits`.
    at: usize,
    /// The next bits, from the top down; `count` of them are right.
    bits: u64,
    count: u32,
}

impl Bits<'_> {
    #[inline]
    fn refill(&mut self) {
        if let Some(next) = self.data.get(self.at..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_be_bytes(*next);
            let zeros = !word;
            let has_marker =
                zeros.wrapping_sub(0x0101_0101_0101_0101) & !zeros & 0x8080_8080_8080_8080 != 0;
            if !has_marker {
                // Bits behind the last whole byte are put there again later, the same.
                self.bits |= word >> self.count;
                let bytes = (63 - self.count) / 8;
                self.at += bytes as usize;
                self.count += 8 * bytes;
                return;
            }
        }
        self.refill_slowly();
    }

    #[cold]
    fn refill_slowly(&mut self) {
        while self.count <= 56 {
            let byte = match self.data.get(self.at..) {
                Some([0xff, 0, ..]) => {
                    self.at += 2;
                    0xff
                }
                Some([byte, ..]) if *byte != 0xff => {
                    self.at += 1;
                    *byte
                }
                _ => return,
            };
            self.bits |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    /// Makes sure that a code and its bits are here, if they are anywhere.
    #[inline]
    fn fill(&mut self) {
        if self.count < 32 {
            self.refill();
        }
    }

    #[inline]
    fn drop(&mut self, bits: u32) -> Result<(), RasterError> {
        let Some(left) = self.count.checked_sub(bits) else {
            return Err(corrupt("a scan ends early"));
        };
        self.count = left;
        self.bits <<= bits;
        Ok(())
    }

    /// The symbol of the next code; the bits behind it are here, too.
    #[inline]
    pub(super) fn symbol(&mut self, codes: &Codes) -> Result<u8, RasterError> {
        self.fill();
        let entry = codes.fast[(self.bits >> (64 - FAST_BITS)) as usize];
        if entry != 0 {
            self.drop(u32::from(entry >> 8))?;
            return Ok(entry as u8);
        }
        for length in FAST_BITS + 1..=16 {
            let code = (self.bits >> (64 - length)) as i32;
            if code <= codes.largest[length as usize] {
                self.drop(length)?;
                let index = usize::try_from(code + codes.offset[length as usize]);
                let symbol = index.ok().and_then(|index| codes.symbols.get(index));
                return symbol.copied().ok_or_else(|| corrupt("a scan has an unknown code"));
            }
        }
        Err(corrupt("a scan has an unknown code"))
    }

    /// So many bits, at most 16.
    #[inline]
    pub(super) fn take(&mut self, bits: u32) -> Result<i32, RasterError> {
        if bits == 0 {
            return Ok(0);
        }
        self.fill();
        let value = (self.bits >> (64 - bits)) as i32;
        self.drop(bits)?;
        Ok(value)
    }

    /// A number of so many bits, at most 16, with its sign (F.2.2.1, EXTEND).
    #[inline]
    pub(super) fn signed(&mut self, bits: u32) -> Result<i32, RasterError> {
        let value = self.take(bits)?;
        let is_negative = bits > 0 && value < 1 << (bits - 1);
        Ok(if is_negative { value - (1 << bits) + 1 } else { value })
    }
}

impl<'a> Reader<'a> for Bits<'a> {
    fn begin(data: &'a [u8], at: usize) -> Self {
        Bits { data, at, bits: 0, count: 0 }
    }

    fn position(&self) -> usize {
        self.at
    }

    fn restart(&mut self, number: u8) -> Result<(), RasterError> {
        self.fill();
        if self.count >= 8 {
            return Err(corrupt("there are bytes before a restart that belong to nothing"));
        }
        while let Some([0xff, 0xff, ..]) = self.data.get(self.at..) {
            self.at += 1;
        }
        match self.data.get(self.at..) {
            Some([0xff, marker, ..]) if *marker == 0xd0 | number & 7 => self.at += 2,
            _ => return Err(corrupt("a restart is missing")),
        }
        (self.bits, self.count) = (0, 0);
        Ok(())
    }
}
