//! The formats that the `image` crate decodes.
//!
//! What its decoders expand is expanded exactly: a palette to RGB or RGBA, gray of 1, 2
//! and 4 bits to 8 bits (black is 0, white is 255), RGBE and half floats to 32 bits.
//! Lossy WebP is as exact as its decoder. A GIF gives its first frame, an EXR its
//! display window.

use std::io::{BufRead, Cursor, Seek};

use image::codecs::{bmp, gif, hdr, openexr, png, pnm, qoi, tga, webp};
use image::{ColorType, ImageDecoder, ImageError};

use super::error::corrupt;
use super::{Codec, Color, Header, Limits, RasterError, SampleType, exr};

/// What a parser may allocate for a header, colour profiles and texts included, where it
/// can be told.
const HEADER_BYTES: u64 = 32 << 20;

/// What a header says.
///
/// # Errors
/// Why it says nothing.
pub(super) fn header<R: BufRead + Seek>(
    codec: Codec,
    file: &mut R,
    limits: &Limits,
) -> Result<Header, RasterError> {
    let unsupported = match codec {
        Codec::Pnm => scaled_pnm(file)?,
        _ => None,
    };
    let scratch_bytes = match codec {
        Codec::Exr => exr::scratch_bytes(file)?,
        _ => 0,
    };
    let decoder = decoder(codec, file, limits.decode_bytes.min(HEADER_BYTES)).map_err(broken)?;
    let (width, height) = decoder.dimensions();
    let (bands, sample, color) = match decoder.color_type() {
        ColorType::L8 => (1, SampleType::U8, Color::Gray),
        ColorType::La8 => (2, SampleType::U8, Color::GrayAlpha),
        ColorType::Rgb8 => (3, SampleType::U8, Color::Rgb),
        ColorType::Rgba8 => (4, SampleType::U8, Color::Rgba),
        ColorType::L16 => (1, SampleType::U16, Color::Gray),
        ColorType::La16 => (2, SampleType::U16, Color::GrayAlpha),
        ColorType::Rgb16 => (3, SampleType::U16, Color::Rgb),
        ColorType::Rgba16 => (4, SampleType::U16, Color::Rgba),
        ColorType::Rgb32F => (3, SampleType::F32, Color::Rgb),
        ColorType::Rgba32F => (4, SampleType::F32, Color::Rgba),
        other => return Err(RasterError::Unsupported(format!("{other:?} is not converted"))),
    };
    Ok(Header {
        width,
        height,
        bands,
        sample,
        bit_depth: sample.bytes() as u8 * 8,
        color,
        nodata: None,
        geo: None,
        scratch_bytes,
        unsupported,
    })
}

/// Decodes all of `file` into `pixels`, which have the size that the header says.
///
/// # Errors
/// Why there are no pixels.
pub(super) fn decode(
    codec: Codec,
    file: &[u8],
    limits: &Limits,
    pixels: &mut [u8],
) -> Result<(), RasterError> {
    must_be_whole(codec, file)?;
    let mut decoder = decoder(codec, Cursor::new(file), limits.decode_bytes).map_err(broken)?;
    let mut allowed = image::Limits::no_limits();
    allowed.max_alloc = Some(limits.decode_bytes);
    decoder.set_limits(allowed).map_err(broken)?;
    decoder.read_image_boxed(pixels).map_err(broken)
}

fn decoder<'a, R: BufRead + Seek + 'a>(
    codec: Codec,
    file: R,
    allowed_bytes: u64,
) -> Result<Box<dyn ImageDecoder + 'a>, ImageError> {
    // Others allocate nothing for a header, or cannot be told; see `decoders`.
    let mut allowed = image::Limits::no_limits();
    allowed.max_alloc = Some(allowed_bytes);
    Ok(match codec {
        Codec::Bmp => Box::new(bmp::BmpDecoder::new(file)?),
        Codec::Gif => Box::new(gif::GifDecoder::new(file)?),
        Codec::Hdr => Box::new(hdr::HdrDecoder::new(file)?),
        Codec::Exr => Box::new(openexr::OpenExrDecoder::new(file)?),
        Codec::Png => Box::new(png::PngDecoder::with_limits(file, allowed)?),
        Codec::Pnm => Box::new(pnm::PnmDecoder::new(file)?),
        Codec::Qoi => Box::new(qoi::QoiDecoder::new(file)?),
        Codec::Tga => Box::new(tga::TgaDecoder::new(file)?),
        Codec::Webp | Codec::Jpeg | Codec::Tiff => Box::new(webp::WebPDecoder::new(file)?),
    })
}

/// The decoder stretches samples to 8 or 16 bits if their largest is another.
fn scaled_pnm<R: BufRead + Seek>(file: &mut R) -> Result<Option<String>, RasterError> {
    let decoder = pnm::PnmDecoder::new(&mut *file).map_err(broken)?;
    let (_, header) = decoder.into_inner();
    let largest = header.maximal_sample();
    file.rewind().map_err(|_| corrupt("its header ends early"))?;
    let reason = || format!("PNM with samples up to {largest} is not converted");
    Ok((![1, 255, 65_535].contains(&largest)).then(reason))
}

/// Where a format says how long it is, and its decoder does not mind.
fn must_be_whole(codec: Codec, file: &[u8]) -> Result<(), RasterError> {
    let whole = match codec {
        Codec::Webp => {
            let length = file.get(4..8).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            length.is_some_and(|length| u64::from(length) + 8 <= file.len() as u64)
        }
        // The last number of a plain PGM or PPM has an end only if something follows.
        Codec::Pnm if matches!(file, [b'P', b'2' | b'3', ..]) => {
            file.last().is_some_and(u8::is_ascii_whitespace)
        }
        Codec::Qoi => file.ends_with(&[0, 0, 0, 0, 0, 0, 0, 1]),
        _ => true,
    };
    if whole { Ok(()) } else { Err(corrupt("it ends early")) }
}

fn broken(error: ImageError) -> RasterError {
    match error {
        ImageError::Unsupported(error) => RasterError::Unsupported(error.to_string()),
        ImageError::Limits(error) => corrupt(format!("its decoder wants too much: {error}")),
        error => corrupt(error.to_string()),
    }
}
