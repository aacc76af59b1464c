//! Numbers and bit fields of a blob, little endian.

use crate::raster::RasterError;
use crate::raster::SampleType;
use crate::raster::error::corrupt;

/// The bytes of a blob that are not read yet.
#[derive(Debug)]
pub(super) struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Input { rest: bytes }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn take(&mut self, bytes: usize) -> Result<&'a [u8], RasterError> {
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or_else(early)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], RasterError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(early)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, RasterError> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16, RasterError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, RasterError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn f64(&mut self) -> Result<f64, RasterError> {
        Ok(f64::from_le_bytes(self.array()?))
    }

    /// A value of a type.
    pub(super) fn value(&mut self, sample: SampleType) -> Result<f64, RasterError> {
        Ok(match sample {
            SampleType::U8 => f64::from(self.byte()?),
            SampleType::I8 => f64::from(self.byte()? as i8),
            SampleType::U16 => f64::from(self.u16()?),
            SampleType::I16 => f64::from(self.u16()? as i16),
            SampleType::U32 => f64::from(self.u32()?),
            SampleType::I32 => f64::from(self.u32()? as i32),
            SampleType::F32 => f64::from(f32::from_bits(self.u32()?)),
            SampleType::F64 => self.f64()?,
            SampleType::U64 | SampleType::I64 => return Err(corrupt("LERC has no such type")),
        })
    }

    /// Numbers of a few bits each, at most `most` of them (`BitStuffer2`).
    pub(super) fn stuffed(&mut self, most: usize, version: u32) -> Result<Vec<u32>, RasterError> {
        let head = self.byte()?;
        let count = match head >> 6 {
            0 => self.u32()? as usize,
            1 => usize::from(self.u16()?),
            2 => usize::from(self.byte()?),
            _ => return Err(corrupt("a LERC blob of it has no count")),
        };
        if count > most {
            return Err(corrupt("a LERC block of it has too many values"));
        }
        let bits = u32::from(head & 31);
        if head & 32 == 0 {
            return self.fields(count, bits, version);
        }
        // Indexes of a table, of which the first value is 0.
        let entries = usize::from(self.byte()?).checked_sub(1).filter(|&n| n > 0 && bits > 0);
        let entries = entries.ok_or_else(|| corrupt("a LERC table of it is empty"))?;
        let mut table = vec![0];
        table.extend(self.fields(entries, bits, version)?);
        let index_bits = usize::BITS - entries.leading_zeros();
        let indexes = self.fields(count, index_bits, version)?;
        let value = |index: u32| table.get(index as usize).copied();
        let values: Option<Vec<u32>> = indexes.into_iter().map(value).collect();
        values.ok_or_else(|| corrupt("a LERC table of it has no such entry"))
    }

    fn fields(&mut self, count: usize, bits: u32, version: u32) -> Result<Vec<u32>, RasterError> {
        if bits == 0 {
            return Ok(vec![0; count]);
        }
        let bytes = self.take((count * bits as usize).div_ceil(8))?;
        let mut words = Vec::with_capacity(bytes.len().div_ceil(4));
        for chunk in bytes.chunks(4) {
            let mut word = [0; 4];
            match version {
                // The bytes that a last word lacks are its lowest before version 3.
                0..=2 => word[4 - chunk.len()..].copy_from_slice(chunk),
                _ => word[..chunk.len()].copy_from_slice(chunk),
            }
            words.push(u64::from(u32::from_le_bytes(word)));
        }
        let word = |at: usize| words.get(at).copied().unwrap_or(0);
        let field = |number: usize| {
            let start = number * bits as usize;
            let (at, within) = (start / 32, (start % 32) as u32);
            let value = match version {
                0..=2 => (word(at) << 32 | word(at + 1)) << within >> (64 - bits),
                _ => (word(at + 1) << 32 | word(at)) >> within & ((1 << bits) - 1),
            };
            value as u32
        };
        Ok((0..count).map(field).collect())
    }
}

fn early() -> RasterError {
    corrupt("a LERC blob of it ends early")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_taken_from_the_lowest_bit_on() {
        // Three values of 3 bits: 5, 2, 7.
        let bytes = [0b1000_0011, 3, 0b1101_0101, 0b1];
        let values = Input::new(&bytes).stuffed(3, 4).unwrap();
        assert_eq!(values, [5, 2, 7]);
        assert!(Input::new(&bytes).stuffed(2, 4).is_err());
        assert!(Input::new(&bytes[..3]).stuffed(3, 4).is_err());
    }

    #[test]
    fn a_table_begins_with_zero() {
        // Two entries, 9 and 4, and the indexes 0, 2, 1 of 2 bits each.
        let bytes = [0b1010_0100, 3, 3, 0b0100_1001, 0b01_10_00];
        assert_eq!(Input::new(&bytes).stuffed(9, 4).unwrap(), [0, 4, 9]);
    }
}
