//! Decoders from elsewhere, one call for each thing that they do, without a thread or
//! a request: what runs in another process if there is one.
//!
//! Contract: a panic is a damaged image; a header is read from the pieces that are
//! here, and whoever calls is told what is missing.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::error::corrupt;
use super::gathered::Gathered;
use super::{Codec, Header, Limits, RasterError, images, jpeg, tiff};

pub use super::gathered::Pieces;

/// What a parser made of the pieces of a file.
#[derive(Debug)]
pub enum Parsed {
    /// What the header says.
    Header(Box<Header>),
    /// It needs the bytes from here on.
    Missing(u64),
}

/// What the header of a file says.
///
/// # Errors
/// Why it says nothing.
pub fn header(codec: Codec, file: Pieces, limits: &Limits) -> Result<Parsed, RasterError> {
    let mut file = Gathered::new(file);
    let parsed = contained(|| match codec {
        Codec::Jpeg => jpeg::header(&mut file),
        Codec::Tiff => tiff::header(&mut file),
        codec => images::header(codec, &mut file, limits),
    });
    match file.missing() {
        Some(at) => Ok(Parsed::Missing(at)),
        None => parsed.map(|header| Parsed::Header(Box::new(header))),
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
            Codec::Jpeg => jpeg::header(&mut Cursor::new(file))?,
            Codec::Tiff => tiff::header(&mut Cursor::new(file))?,
            codec => images::header(codec, &mut Cursor::new(file), limits)?,
        };
        if !again.has_layout_of(header) {
            return Err(corrupt("its header changed"));
        }
        match codec {
            Codec::Jpeg => jpeg::decode(file, header, pixels),
            Codec::Tiff => tiff::decode(file, header, limits, pixels),
            codec => images::decode(codec, file, limits, pixels),
        }
    })
}

/// What `decode` returns; a panic of a decoder is a damaged image.
fn contained<T>(decode: impl FnOnce() -> Result<T, RasterError>) -> Result<T, RasterError> {
    let stopped = |_| corrupt("its decoder could not go on");
    catch_unwind(AssertUnwindSafe(decode)).map_err(stopped)?
}
