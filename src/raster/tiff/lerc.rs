//! LERC 2 (Limited Error Raster Compression, versions 2 to 6 of its blobs), as libtiff keeps
//! it in strips and tiles.
//!
//! Contract: every value as the reference decoder gives it; a pixel that the mask leaves out
//! is NaN for floats, as libtiff reads it, and zero otherwise. Lossless floats in the Huffman
//! mode of version 6 are refused. What is allocated follows from the size of the strip or
//! tile, and a blob that says another size is damaged.
//!
//! Source: the Lerc2 format as Esri publishes it with its library (Apache-2.0).

mod bits;
mod header;
mod huffman;
mod tiles;

use self::bits::Input;
use self::header::Header;
use super::compression::Compression;
use super::decompress::{deflate, zstd};
use super::image::TiffImage;
use crate::raster::RasterError;
use crate::raster::SampleType;
use crate::raster::error::corrupt;

/// What the bytes are compressed with once more (LercParameters, the second number).
const DEFLATE: u64 = 1;
const ZSTD: u64 = 2;

/// The samples of a strip or tile of so many columns and rows, pixel by pixel.
///
/// # Errors
/// The bytes are no blob of that size and type.
pub(super) fn decode(
    image: &TiffImage,
    bytes: &[u8],
    columns: u32,
    rows: u32,
) -> Result<Vec<u8>, RasterError> {
    debug_assert_eq!(image.compression, Compression::Lerc);
    let samples = usize::from(image.chunk_samples());
    let count = columns as usize * rows as usize * samples;
    // A blob is a little larger than its values at most.
    let most = count * image.sample.bytes() * 2 + 4096;
    let expanded;
    let bytes = match image.decoding.lerc_parameters.get(1) {
        Some(&DEFLATE) => {
            expanded = deflate(bytes, most)?;
            &expanded[..]
        }
        Some(&ZSTD) => {
            expanded = zstd(bytes, most)?;
            &expanded[..]
        }
        _ => bytes,
    };
    let mut values = vec![0.0; count];
    let mut valid = vec![true; columns as usize * rows as usize];
    let (mut rest, mut band) = (bytes, 0);
    // One blob has all samples of a pixel, or there is one for each.
    while band < samples {
        let (header, blob) = Header::read(rest)?;
        let depth = header.depth;
        let fits = (header.columns, header.rows) == (columns, rows) && band + depth <= samples;
        if !fits || header.sample != image.sample {
            return Err(corrupt("a LERC blob of it has another size or type"));
        }
        let decoded = blob_values(&header, blob, &mut valid)?;
        for (at, pixel) in decoded.chunks_exact(depth).enumerate() {
            let to = at * samples + band;
            if valid[at] {
                values[to..to + depth].copy_from_slice(pixel);
            } else if matches!(image.sample, SampleType::F32 | SampleType::F64) {
                values[to..to + depth].fill(f64::NAN);
            }
        }
        rest = rest.get(header.blob_bytes..).unwrap_or_default();
        band += depth;
    }
    Ok(to_samples(&values, image.sample))
}

/// The values of one blob, `depth` for each pixel, and which pixels have any.
fn blob_values(header: &Header, blob: &[u8], valid: &mut [bool]) -> Result<Vec<f64>, RasterError> {
    let mut input = Input::new(blob);
    read_mask(header, &mut input, valid)?;
    let pixels = header.columns as usize * header.rows as usize;
    let depth = header.depth;
    let mut values = vec![0.0; pixels * depth];
    if header.valid_pixels == 0 {
        return Ok(values);
    }
    if header.lowest == header.highest {
        values.fill(header.lowest);
        return Ok(values);
    }
    let mut highest = vec![header.highest; depth];
    if header.version >= 4 {
        let mut lowest = vec![0.0; depth];
        for value in lowest.iter_mut().chain(&mut highest) {
            *value = input.value(header.sample)?;
        }
        if lowest == highest {
            values.chunks_exact_mut(depth).for_each(|pixel| pixel.copy_from_slice(&lowest));
            return Ok(values);
        }
    }
    let in_one_sweep = input.byte()? != 0;
    if in_one_sweep {
        for (pixel, _) in values.chunks_exact_mut(depth).zip(&*valid).filter(|(_, valid)| **valid) {
            for value in pixel {
                *value = input.value(header.sample)?;
            }
        }
        return Ok(values);
    }
    let is_lossless_byte = matches!(header.sample, SampleType::U8 | SampleType::I8)
        && (header.max_error - 0.5).abs() < 1e-5;
    let is_lossless_float = header.version >= 6
        && matches!(header.sample, SampleType::F32 | SampleType::F64)
        && header.max_error == 0.0;
    if is_lossless_byte || is_lossless_float {
        match (input.byte()?, is_lossless_float) {
            (0, _) => {}
            (mode @ (1 | 2), false) => {
                huffman::decode(header, &mut input, valid, mode == 1, &mut values)?;
                return Ok(values);
            }
            (_, true) => {
                return Err(RasterError::Unsupported(
                    "TIFF with lossless floats of LERC 2.6 is not converted".to_owned(),
                ));
            }
            _ => return Err(corrupt("a LERC blob of it has an unknown mode")),
        }
    }
    tiles::decode(header, &mut input, valid, &highest, &mut values)?;
    Ok(values)
}

/// Runs of bytes, a bit for each pixel. Where no mask is written though some pixels are
/// missing, that of the blob before holds.
fn read_mask(
    header: &Header,
    input: &mut Input<'_>,
    valid: &mut [bool],
) -> Result<(), RasterError> {
    let bytes = input.u32()? as usize;
    let pixels = valid.len();
    if header.valid_pixels == pixels || header.valid_pixels == 0 {
        valid.fill(header.valid_pixels != 0);
        return if bytes == 0 { Ok(()) } else { Err(corrupt("a LERC mask of it is of no use")) };
    }
    if bytes == 0 {
        let known = valid.iter().filter(|valid| **valid).count();
        let fits = known == header.valid_pixels;
        return if fits { Ok(()) } else { Err(corrupt("a LERC mask of it is missing")) };
    }
    let mut runs = Input::new(input.take(bytes)?);
    let mut mask = Vec::with_capacity(pixels.div_ceil(8));
    while mask.len() < pixels.div_ceil(8) {
        let count = runs.u16()? as i16;
        if count >= 0 {
            mask.extend_from_slice(runs.take(count as usize)?);
        } else {
            let byte = runs.byte()?;
            mask.resize(mask.len() + usize::from(count.unsigned_abs()), byte);
        }
        if mask.len() > pixels.div_ceil(8) {
            return Err(corrupt("a LERC mask of it is too long"));
        }
    }
    for (at, valid) in valid.iter_mut().enumerate() {
        *valid = mask[at / 8] & (0x80 >> (at % 8)) != 0;
    }
    let known = valid.iter().filter(|valid| **valid).count();
    if known == header.valid_pixels { Ok(()) } else { Err(corrupt("a LERC mask of it is wrong")) }
}

fn to_samples(values: &[f64], sample: SampleType) -> Vec<u8> {
    macro_rules! all {
        ($number:ty) => {
            values.iter().flat_map(|value| (*value as $number).to_ne_bytes()).collect()
        };
    }
    match sample {
        SampleType::U8 => all!(u8),
        SampleType::I8 => all!(i8),
        SampleType::U16 => all!(u16),
        SampleType::I16 => all!(i16),
        SampleType::U32 => all!(u32),
        SampleType::I32 => all!(i32),
        SampleType::U64 => all!(u64),
        SampleType::I64 => all!(i64),
        SampleType::F32 => all!(f32),
        SampleType::F64 => all!(f64),
    }
}
