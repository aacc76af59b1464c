//! Values of 8 bits in Huffman codes, as they are or as differences to their neighbours.

use super::bits::Input;
use super::header::Header;
use crate::raster::RasterError;
use crate::raster::SampleType;
use crate::raster::error::corrupt;

/// How many values there are.
const VALUES: usize = 256;

/// A code's length in bits and its value, for each number that has one.
#[derive(Debug)]
struct Codes {
    /// By length: the smallest code first, with what it stands for.
    by_length: Vec<Vec<(u32, u8)>>,
}

/// Words of 32 bits, read from the highest bit on.
struct Words<'a> {
    bytes: &'a [u8],
    bit: usize,
}

impl Words<'_> {
    fn bit(&mut self) -> Option<u32> {
        let word = self.bit / 32;
        let byte = word * 4 + 3 - self.bit % 32 / 8;
        let bit = self.bytes.get(byte)? >> (7 - self.bit % 8) & 1;
        self.bit += 1;
        Some(bit.into())
    }

    fn bits(&mut self, count: u32) -> Option<u32> {
        (0..count).try_fold(0, |value, _| Some(value << 1 | self.bit()?))
    }
}

pub(super) fn decode(
    header: &Header,
    input: &mut Input<'_>,
    valid: &[bool],
    are_differences: bool,
    values: &mut [f64],
) -> Result<(), RasterError> {
    let codes = Codes::read(input, header.version)?;
    let mut words = Words { bytes: input.rest(), bit: 0 };
    let is_signed = header.sample == SampleType::I8;
    let (columns, depth) = (header.columns as usize, header.depth);
    let mut next = || {
        let value = codes.next(&mut words);
        let value = value.ok_or_else(|| corrupt("a LERC stream of it ends early"))?;
        Ok::<u8, RasterError>(if is_signed { value.wrapping_sub(128) } else { value })
    };
    let float = |byte: u8| if is_signed { f64::from(byte as i8) } else { f64::from(byte) };
    let byte = |value: f64| if is_signed { value as i8 as u8 } else { value as u8 };
    if !are_differences {
        for (pixel, _) in values.chunks_exact_mut(depth).zip(valid).filter(|(_, valid)| **valid) {
            for value in pixel {
                *value = float(next()?);
            }
        }
        return Ok(());
    }
    for band in 0..depth {
        let mut before = 0;
        for (at, _) in valid.iter().enumerate().filter(|(_, valid)| **valid) {
            let has_left = at % columns > 0 && valid[at - 1];
            let has_above = at >= columns && valid[at - columns];
            let near = match has_above && !has_left {
                true => byte(values[(at - columns) * depth + band]),
                false => before,
            };
            before = next()?.wrapping_add(near);
            values[at * depth + band] = float(before);
        }
    }
    Ok(())
}

impl Codes {
    fn read(input: &mut Input<'_>, version: u32) -> Result<Self, RasterError> {
        let broken = || corrupt("a LERC table of codes of it makes no sense");
        let (_version, size) = (input.u32()?, input.u32()? as usize);
        let (first, end) = (input.u32()? as usize, input.u32()? as usize);
        if size == 0 || size > VALUES || first >= end || end - first > size || first >= size {
            return Err(broken());
        }
        let lengths = input.stuffed(end - first, version)?;
        if lengths.len() != end - first || lengths.iter().any(|&length| length > 32) {
            return Err(broken());
        }
        let mut words = Words { bytes: input.rest(), bit: 0 };
        let mut by_length = vec![Vec::new(); 33];
        for (number, &length) in (first..end).zip(&lengths) {
            if length > 0 {
                let code = words.bits(length).ok_or_else(broken)?;
                by_length[length as usize].push((code, (number % size) as u8));
            }
        }
        input.take(words.bit.div_ceil(32) * 4)?;
        by_length.iter_mut().for_each(|codes| codes.sort_unstable());
        Ok(Codes { by_length })
    }

    fn next(&self, words: &mut Words<'_>) -> Option<u8> {
        let mut code = 0;
        for codes in &self.by_length[1..] {
            code = code << 1 | words.bit()?;
            if let Ok(at) = codes.binary_search_by_key(&code, |(code, _)| *code) {
                return Some(codes[at].1);
            }
        }
        None
    }
}
