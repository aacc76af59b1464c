//! Blocks of a few pixels, each with an offset and small differences to it.

use super::bits::Input;
use super::header::Header;
use crate::raster::RasterError;
use crate::raster::SampleType;
use crate::raster::error::corrupt;

/// A block, and which of the values of a pixel are meant.
struct Block {
    rows: std::ops::Range<usize>,
    columns: std::ops::Range<usize>,
    band: usize,
}

/// All blocks, row by row.
pub(super) fn decode(
    header: &Header,
    input: &mut Input<'_>,
    valid: &[bool],
    highest: &[f64],
    values: &mut [f64],
) -> Result<(), RasterError> {
    let (rows, columns) = (header.rows as usize, header.columns as usize);
    let side = header.block as usize;
    for top in (0..rows).step_by(side) {
        for left in (0..columns).step_by(side) {
            for (band, &highest) in highest.iter().enumerate() {
                let block = Block {
                    rows: top..(top + side).min(rows),
                    columns: left..(left + side).min(columns),
                    band,
                };
                one(header, input, valid, highest, &block, values)?;
            }
        }
    }
    Ok(())
}

fn one(
    header: &Header,
    input: &mut Input<'_>,
    valid: &[bool],
    highest: f64,
    block: &Block,
    values: &mut [f64],
) -> Result<(), RasterError> {
    let head = input.byte()?;
    // From version 5 on a block may have differences to the values before it in the pixel.
    let is_difference = header.version >= 5 && head & 4 != 0;
    let checked = if header.version >= 5 { 14 } else { 15 };
    if (head >> 2) & checked != ((block.columns.start >> 3) as u8) & checked
        || (is_difference && block.band == 0)
    {
        return Err(corrupt("a LERC block of it is out of place"));
    }
    let (columns, depth) = (header.columns as usize, header.depth);
    let area = block.rows.len() * block.columns.len();
    let places = block
        .rows
        .clone()
        .flat_map(|row| block.columns.clone().map(move |column| row * columns + column));
    let places = places.filter(|&at| valid[at]).map(|at| at * depth + block.band);
    let before = |values: &[f64], at: usize| if is_difference { values[at - 1] } else { 0.0 };
    match head & 3 {
        0 => {
            if is_difference {
                return Err(corrupt("a LERC block of it makes no sense"));
            }
            for at in places {
                values[at] = input.value(header.sample)?;
            }
        }
        2 => {
            for at in places {
                values[at] = before(values, at);
            }
        }
        mode => {
            let is_whole = !matches!(header.sample, SampleType::F32 | SampleType::F64);
            let sample = if is_difference && is_whole { SampleType::I32 } else { header.sample };
            let offset = input.value(narrowed(sample, head >> 6)?)?;
            let stuffed = match mode {
                1 => Some(input.stuffed(area, header.version)?),
                _ => None,
            };
            let step = 2.0 * header.max_error;
            for (number, at) in places.enumerate() {
                let value = match &stuffed {
                    None => offset,
                    Some(stuffed) => {
                        let field = stuffed.get(number).copied();
                        let field = field.ok_or_else(|| corrupt("a LERC block ends early"))?;
                        offset + f64::from(field) * step
                    }
                };
                let value = value + before(values, at);
                values[at] = match mode {
                    1 => typed(value.min(highest), header.sample),
                    _ => typed(value, header.sample),
                };
            }
        }
    }
    Ok(())
}

/// As the type holds it: later values may be differences to it.
fn typed(value: f64, sample: SampleType) -> f64 {
    match sample {
        SampleType::F32 => f64::from(value as f32),
        SampleType::F64 => value,
        _ => value.trunc(),
    }
}

/// The type that the offset of a block is written in.
fn narrowed(sample: SampleType, by: u8) -> Result<SampleType, RasterError> {
    use SampleType::{F32, F64, I8, I16, I32, U8, U16, U32};
    Ok(match (sample, by) {
        (sample, 0) => sample,
        (I16, 1) => U8,
        (I16, 2) => I8,
        (U16, 1) => U8,
        (I32, 1) => U16,
        (I32, 2) => I16,
        (I32, 3) => U8,
        (U32, 1) => U16,
        (U32, 2) => U8,
        (F32, 1) => I16,
        (F32, _) => U8,
        (F64, 1) => F32,
        (F64, 2) => I32,
        (F64, _) => I16,
        (U8 | I8, _) => sample,
        _ => return Err(corrupt("a LERC block of it has an unknown type")),
    })
}
