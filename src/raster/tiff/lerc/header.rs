//! The header of a blob.

use super::bits::Input;
use crate::raster::RasterError;
use crate::raster::SampleType;
use crate::raster::error::corrupt;

/// Key, version and checksum: what the checksum does not cover.
const UNCHECKED_BYTES: usize = 14;
/// The largest side of a block.
const LARGEST_BLOCK: u32 = 1024;

/// What the header of a blob says.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) version: u32,
    pub(super) rows: u32,
    pub(super) columns: u32,
    /// Values of a pixel.
    pub(super) depth: usize,
    pub(super) valid_pixels: usize,
    /// The side of a block.
    pub(super) block: u32,
    /// The size of the blob, header and all.
    pub(super) blob_bytes: usize,
    pub(super) sample: SampleType,
    /// How far a value may be from what was compressed; 0.5 for integers is exact.
    pub(super) max_error: f64,
    pub(super) lowest: f64,
    pub(super) highest: f64,
}

impl Header {
    /// The header at the start of `bytes`, and what of its blob follows.
    pub(super) fn read(bytes: &[u8]) -> Result<(Header, &[u8]), RasterError> {
        let mut input = Input::new(bytes);
        if input.take(6)? != b"Lerc2 " {
            return Err(RasterError::Unsupported(
                "TIFF with LERC of another version than 2 is not converted".to_owned(),
            ));
        }
        let version = input.u32()?;
        if !(2..=6).contains(&version) {
            return Err(RasterError::Unsupported(format!(
                "TIFF with LERC 2 of version {version} is not converted"
            )));
        }
        let checksum = if version >= 3 { Some(input.u32()?) } else { None };
        let (rows, columns) = (input.u32()?, input.u32()?);
        let depth = if version >= 4 { input.u32()? as usize } else { 1 };
        let valid_pixels = input.u32()? as usize;
        let (block, blob_bytes, kind) = (input.u32()?, input.u32()? as usize, input.u32()?);
        let mut passes_nodata = false;
        if version >= 6 {
            let _blobs_behind = input.u32()?;
            passes_nodata = input.take(4)?[0] != 0;
        }
        let (max_error, lowest, highest) = (input.f64()?, input.f64()?, input.f64()?);
        if version >= 6 {
            input.take(16)?;
        }
        if passes_nodata {
            return Err(RasterError::Unsupported(
                "TIFF with nodata within LERC is not converted".to_owned(),
            ));
        }
        let sample = match kind {
            0 => SampleType::I8,
            1 => SampleType::U8,
            2 => SampleType::I16,
            3 => SampleType::U16,
            4 => SampleType::I32,
            5 => SampleType::U32,
            6 => SampleType::F32,
            7 => SampleType::F64,
            _ => return Err(corrupt("a LERC blob of it has an unknown type")),
        };
        let blob = bytes.get(..blob_bytes);
        let blob = blob.ok_or_else(|| corrupt("a LERC blob of it ends early"))?;
        let header_bytes = bytes.len() - input.rest().len();
        let body = blob.get(header_bytes..);
        let body = body.ok_or_else(|| corrupt("a LERC blob of it ends early"))?;
        if checksum.is_some_and(|sum| sum != fletcher_32(&blob[UNCHECKED_BYTES..])) {
            return Err(corrupt("a LERC blob of it has another checksum than it says"));
        }
        let pixels = u64::from(rows) * u64::from(columns);
        let is_sound = depth > 0
            && (1..=LARGEST_BLOCK).contains(&block)
            && valid_pixels as u64 <= pixels
            && max_error >= 0.0;
        if !is_sound {
            return Err(corrupt("a LERC header of it makes no sense"));
        }
        let header = Header {
            version,
            rows,
            columns,
            depth,
            valid_pixels,
            block,
            blob_bytes,
            sample,
            max_error,
            lowest,
            highest,
        };
        Ok((header, body))
    }
}

/// Fletcher's checksum of 32 bits, over words of two bytes, the first one the higher.
fn fletcher_32(bytes: &[u8]) -> u32 {
    let (mut one, mut two) = (0xffff_u64, 0xffff_u64);
    let fold = |sum: u64| (sum & 0xffff) + (sum >> 16);
    for words in bytes.chunks(2 * 359) {
        for word in words.chunks(2) {
            let low = word.get(1).copied().unwrap_or(0);
            one += u64::from(word[0]) << 8 | u64::from(low);
            two += one;
        }
        (one, two) = (fold(one), fold(two));
    }
    let (one, two) = (fold(one), fold(two));
    (two << 16 | one) as u32
}
