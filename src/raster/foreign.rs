//! Decoders from elsewhere, one call for each thing that they do, without a thread or
//! a request: what runs in another process if there is one.
//!
//! Contract: a panic is a damaged image; a header is read from the pieces that are
//! here, and whoever calls is told what is missing.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::error::corrupt;
use super::gathered::Gathered;
use super::{
    Codec, Header, Limits, Picture, RasterError, bmp, exr, images, jpeg, jxl, metadata, srgb,
};

pub use super::gathered::Pieces;

/// What a parser made of the pieces of a file.
#[derive(Debug)]
pub enum Parsed {
    /// What the header says, and how its picture is to be shown.
    Header(Box<Header>, Picture),
    /// It needs the bytes from here on.
    Missing(u64),
}

/// What the header of a file says.
///
/// # Errors
/// Why it says nothing.
pub fn header(codec: Codec, file: Pieces, limits: &Limits) -> Result<Parsed, RasterError> {
    let mut file = Gathered::new(file);
    let parsed = contained(|| {
        let header = match codec {
            Codec::Bmp => bmp::header(&mut file, limits),
            Codec::Exr => exr::header(&mut file),
            Codec::Jpeg => jpeg::header(&mut file),
            Codec::Jxl => jxl::header(&mut file, limits),
            codec => images::header(codec, &mut file, limits),
        }?;
        let picture = metadata::of(codec, &mut file, &header, limits);
        Ok((header, picture))
    });
    match file.missing() {
        Some(at) => Ok(Parsed::Missing(at)),
        None => parsed.map(|(header, picture)| Parsed::Header(Box::new(header), picture)),
    }
}

/// Decodes all of `file` into `pixels`, which are [`Header::pixel_bytes`] long.
///
/// # Errors
/// Why there are no pixels; `pixels` may hold anything then.
pub fn decode(
    codec: Codec,
    file: &[u8],
    header: &Header,
    limits: &Limits,
    pixels: &mut [u8],
) -> Result<(), RasterError> {
    if pixels.len() as u64 != header.pixel_bytes() {
        return Err(corrupt("it has fewer pixels than its header says"));
    }
    contained(|| {
        let again = match codec {
            Codec::Bmp => bmp::header(&mut Cursor::new(file), limits)?,
            Codec::Exr => exr::header(&mut Cursor::new(file))?,
            Codec::Jpeg => jpeg::header(&mut Cursor::new(file))?,
            Codec::Jxl => jxl::header(&mut Cursor::new(file), limits)?,
            codec => images::header(codec, &mut Cursor::new(file), limits)?,
        };
        if !again.has_layout_of(header) {
            return Err(corrupt("its header changed"));
        }
        match codec {
            Codec::Bmp => bmp::decode(file, limits, pixels),
            Codec::Exr => exr::decode(file, header, pixels),
            Codec::Jpeg => jpeg::decode(file, header, pixels),
            Codec::Jxl => jxl::decode(file, header, limits, pixels),
            codec => images::decode(codec, file, header.frame, limits, pixels),
        }
    })
}

/// Converts samples of 8 bits, of one band or three, from the colors of a profile to sRGB.
///
/// # Errors
/// Why that can't be done; `samples` may hold anything then.
pub fn to_srgb(profile: &[u8], bands: usize, samples: &mut [u8]) -> Result<(), RasterError> {
    contained(|| srgb::convert(profile, bands, samples))
}

/// What `decode` returns; a panic of a decoder is a damaged image.
fn contained<T>(decode: impl FnOnce() -> Result<T, RasterError>) -> Result<T, RasterError> {
    let stopped = |_| corrupt("its decoder could not go on");
    catch_unwind(AssertUnwindSafe(decode)).map_err(stopped)?
}
