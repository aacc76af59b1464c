//! CCITT compression of pages in black and white (ITU-T T.4 and T.6; TIFF 6.0, sections 10
//! and 11). The tables of code words are those of the `fax` crate; the modes are here, since
//! TIFF has them in forms that a fax machine never sends.

use fax::BitReader;
use fax::maps::{Mode, black, mode, white};

use super::compression::Compression;
use super::image::Decoding;
use crate::raster::RasterError;
use crate::raster::error::corrupt;

/// Rows are coded in two dimensions where a bit says so (T4Options, bit 0).
const TWO_DIMENSIONS: u64 = 1;
/// Zeros before the 1 of an end-of-line code (T.4, 4.1.2).
const EOL_ZEROS: u32 = 11;

/// The rows that a strip or tile has, one bit for each pixel, 1 for black; fewer than were
/// asked for only if the codes end there.
///
/// # Errors
/// A code that there is none of.
pub(super) fn decode(
    compression: Compression,
    decoding: &Decoding,
    bytes: &[u8],
    columns: u32,
    rows: u32,
) -> Result<Vec<u8>, RasterError> {
    let mut input = Input { bytes, bit: 0 };
    let row_bytes = columns.div_ceil(8) as usize;
    let mut out = Vec::new();
    let mut above = Vec::new();
    for row in 0..rows {
        let line = match compression {
            Compression::FaxGroup4 => two_dimensions(&mut input, &above, columns)?,
            Compression::FaxGroup3 => {
                if !input.skip_to_line(row == 0) {
                    break;
                }
                let is_one = decoding.fax_options & TWO_DIMENSIONS == 0 || input.take_bit();
                match is_one {
                    true => Some(one_dimension(&mut input, columns)?),
                    false => two_dimensions(&mut input, &above, columns)?,
                }
            }
            _ => {
                if input.is_at_end() {
                    break;
                }
                let line = one_dimension(&mut input, columns)?;
                input.bit = input.bit.next_multiple_of(8);
                Some(line)
            }
        };
        let Some(line) = line else { break };
        let start = out.len();
        out.resize(start + row_bytes, 0);
        paint(&mut out[start..], &line, columns);
        above = line;
    }
    Ok(out)
}

/// Where the color changes in a row, which begins white; the last change may be missing.
type Changes = Vec<u32>;

/// Notes a change; two at one place are none.
fn change(changes: &mut Changes, at: u32) {
    if changes.last() == Some(&at) {
        changes.pop();
    } else {
        changes.push(at);
    }
}

/// T.4, 4.1: runs of white and black by turns.
fn one_dimension(input: &mut Input<'_>, columns: u32) -> Result<Changes, RasterError> {
    let (mut changes, mut at, mut is_black) = (Vec::new(), 0, false);
    while at < columns {
        at = run(input, at, is_black, columns)?;
        change(&mut changes, at);
        is_black = !is_black;
    }
    Ok(changes)
}

/// T.4, 4.2, and T.6, 2.2: changes as far as they differ from those of the row above.
/// `None` if the codes end here.
fn two_dimensions(
    input: &mut Input<'_>,
    above: &[u32],
    columns: u32,
) -> Result<Option<Changes>, RasterError> {
    let (mut changes, mut is_black) = (Vec::new(), false);
    // The place before the first pixel, where a row begins, is none.
    let mut at: Option<u32> = None;
    while at.unwrap_or(0) < columns {
        let (b1, b2) = changes_above(above, at, is_black, columns);
        match mode::decode(input) {
            Some(Mode::Pass) => at = Some(b2),
            Some(Mode::Horizontal) => {
                let first = run(input, at.unwrap_or(0), is_black, columns)?;
                let second = run(input, first, !is_black, columns)?;
                change(&mut changes, first);
                change(&mut changes, second);
                at = Some(second);
            }
            Some(Mode::Vertical(by)) => {
                let to = b1.checked_add_signed(by.into()).filter(|&to| to <= columns);
                let to = to.filter(|&to| to >= at.unwrap_or(0)).ok_or_else(broken)?;
                change(&mut changes, to);
                is_black = !is_black;
                at = Some(to);
            }
            Some(Mode::EOF) if at.is_none() => return Ok(None),
            None if at.is_none() && input.is_at_end() => return Ok(None),
            Some(Mode::Extension) => {
                return Err(RasterError::Unsupported(
                    "TIFF with uncompressed stretches in CCITT compression is not converted"
                        .to_owned(),
                ));
            }
            Some(Mode::EOF) | None => return Err(broken()),
        }
    }
    Ok(Some(changes))
}

/// b1 and b2 of T.4, 4.2.1.1: the first change above that lies behind `at` and goes to the
/// other color, and the one behind it.
fn changes_above(above: &[u32], at: Option<u32>, is_black: bool, columns: u32) -> (u32, u32) {
    let mut first = above.partition_point(|&change| at.is_some_and(|at| change <= at));
    // Those with even numbers go from white to black.
    if (first % 2 == 1) != is_black {
        first += 1;
    }
    let of = |number: usize| above.get(number).copied().unwrap_or(columns);
    (of(first), of(first + 1))
}

/// Where a run ends: make-up codes, and a code of less than 64 pixels.
fn run(
    input: &mut Input<'_>,
    mut at: u32,
    is_black: bool,
    columns: u32,
) -> Result<u32, RasterError> {
    loop {
        let code = if is_black { black::decode(input) } else { white::decode(input) };
        let length = code.ok_or_else(broken)?;
        at += u32::from(length);
        if at > columns {
            return Err(broken());
        }
        if length < 64 {
            return Ok(at);
        }
    }
}

fn broken() -> RasterError {
    corrupt("its CCITT codes")
}

/// Sets the bits of black pixels.
fn paint(row: &mut [u8], changes: &[u32], columns: u32) {
    for run in changes.chunks(2) {
        let (from, to) = (run[0], run.get(1).copied().unwrap_or(columns));
        for pixel in from..to {
            row[pixel as usize / 8] |= 0x80 >> (pixel % 8);
        }
    }
}

/// Bytes as bits, the highest first, with zeros behind the end.
struct Input<'a> {
    bytes: &'a [u8],
    bit: usize,
}

impl Input<'_> {
    fn is_at_end(&self) -> bool {
        self.bit >= self.bytes.len() * 8
    }

    fn take_bit(&mut self) -> bool {
        let bit = self.peek(1) == Some(1);
        self.bit += 1;
        bit
    }

    /// Passes the end-of-line code before a row, with zeros that fill it up. The first row may
    /// lack it. `false` if there is no further row.
    fn skip_to_line(&mut self, is_first: bool) -> bool {
        let start = self.bit;
        let mut zeros = 0;
        while !self.is_at_end() {
            if self.take_bit() {
                if zeros >= EOL_ZEROS {
                    // Two in a row are the end of the page.
                    return self.peek(12) != Some(1) || is_first;
                }
                self.bit = start;
                return is_first;
            }
            zeros += 1;
        }
        false
    }
}

impl BitReader for Input<'_> {
    type Error = ();

    fn peek(&self, bits: u8) -> Option<u16> {
        let (byte, within) = (self.bit / 8, self.bit % 8);
        let at = |n: usize| u32::from(self.bytes.get(byte + n).copied().unwrap_or(0));
        let three = at(0) << 16 | at(1) << 8 | at(2);
        let value = three >> (24 - within - usize::from(bits)) & ((1 << bits) - 1);
        Some(value as u16)
    }

    fn consume(&mut self, bits: u8) -> Result<(), ()> {
        self.bit += usize::from(bits);
        if self.bit > self.bytes.len() * 8 { Err(()) } else { Ok(()) }
    }

    fn bits_to_byte_boundary(&self) -> u8 {
        (self.bit.next_multiple_of(8) - self.bit) as u8
    }
}
