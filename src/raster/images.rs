//! The formats that the `image` crate decodes.
//!
//! What its decoders expand is expanded exactly: a palette to RGB or RGBA, gray of 1, 2
//! and 4 bits to 8 bits (black is 0, white is 255), RGBE to 32 bits. Lossy WebP is as
//! exact as its decoder. Of an animation they give the first frame; see `animation`.

use std::io::{BufRead, Cursor, Seek};

use image::codecs::{bmp, gif, hdr, png, pnm, qoi, tga, webp};
use image::{ColorType, ImageDecoder, ImageError};

use super::error::corrupt;
use super::mended::{gif_without_colors, mended};
use super::overlaid::overlaid;
use super::{Codec, Color, Header, Limits, RasterError, SampleType, webp_frames};

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
        Codec::Gif => gif_without_colors(file)?,
        Codec::Pnm => scaled_pnm(file)?,
        _ => None,
    };
    let (pieces, warnings) = mended(codec, file)?;
    let mut head = [0; webp_frames::HEAD_BYTES];
    let is_animated = file.read_exact(&mut head).is_ok() && webp_frames::is_animated(&head);
    file.rewind().map_err(|_| corrupt("its header ends early"))?;
    let allowed = limits.decode_bytes.min(HEADER_BYTES);
    let decoder = decoder(codec, overlaid(file, pieces), allowed).map_err(broken)?;
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
    let canvas = u64::from(width) * u64::from(height) * 4;
    Ok(Header {
        width,
        height,
        bands,
        sample,
        bit_depth: sample.bytes() as u8 * 8,
        color,
        nodata: None,
        geo: None,
        frame: 1,
        // The canvas, and the frame that is put on it.
        scratch_bytes: if codec == Codec::Webp && is_animated { canvas * 2 } else { 0 },
        unsupported,
        warnings,
    })
}

/// Decodes the first frame of `file` into `pixels`, which have the size that the header says.
///
/// # Errors
/// Why there are no pixels.
pub(super) fn decode(
    codec: Codec,
    file: &[u8],
    frame: u32,
    limits: &Limits,
    pixels: &mut [u8],
) -> Result<(), RasterError> {
    must_be_whole(codec, file)?;
    let whole = file;
    let mut file = Cursor::new(file);
    let (pieces, _) = mended(codec, &mut file)?;
    let file = overlaid(file, pieces);
    match codec {
        _ if frame > 1 => return Err(corrupt("it has one frame only")),
        Codec::Webp if whole.first_chunk().is_some_and(webp_frames::is_animated) => {
            let size = decoder(codec, file, limits.decode_bytes).map_err(broken)?.dimensions();
            let size = (size.0 as usize, size.1 as usize);
            return put_rgba(&webp_frames::first(whole, size)?, pixels);
        }
        _ => {}
    }
    let mut decoder = decoder(codec, file, limits.decode_bytes).map_err(broken)?;
    let mut allowed = image::Limits::no_limits();
    allowed.max_alloc = Some(limits.decode_bytes);
    decoder.set_limits(allowed).map_err(broken)?;
    decoder.read_image_boxed(pixels).map_err(broken)?;
    if codec == Codec::Tga && says_opaque(whole) {
        pixels.as_chunks_mut::<4>().0.iter_mut().for_each(|pixel| pixel[3] = 255);
    }
    Ok(())
}

/// Copies RGBA to pixels that have opacity, or not.
pub(super) fn put_rgba(rgba: &[u8], pixels: &mut [u8]) -> Result<(), RasterError> {
    let bands = if rgba.len() == pixels.len() { 4 } else { 3 };
    if rgba.len() / 4 * bands != pixels.len() {
        return Err(corrupt("a frame of it has another size than its header says"));
    }
    for (pixel, given) in pixels.chunks_exact_mut(bands).zip(rgba.as_chunks::<4>().0) {
        pixel.copy_from_slice(&given[..bands]);
    }
    Ok(())
}

/// Whether the extension of a TGA says that the last of four bytes of a color is none
/// (attributes type 0).
fn says_opaque(file: &[u8]) -> bool {
    const ATTRIBUTES_TYPE: usize = 494;
    let has_four_bytes = matches!(file.get(..17), Some([_, _, 2 | 10, .., 32]));
    let extension = file
        .strip_suffix(b"TRUEVISION-XFILE.\0")
        .and_then(|rest| rest.get(rest.len().checked_sub(8)?..))
        .and_then(|footer| footer.first_chunk::<4>())
        .map(|offset| u32::from_le_bytes(*offset) as usize);
    let kind = extension.filter(|at| *at > 0).and_then(|at| file.get(at + ATTRIBUTES_TYPE));
    has_four_bytes && kind == Some(&0)
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
        Codec::Png => Box::new(png::PngDecoder::with_limits(file, allowed)?),
        Codec::Pnm => Box::new(pnm::PnmDecoder::new(file)?),
        Codec::Qoi => Box::new(qoi::QoiDecoder::new(file)?),
        Codec::Tga => Box::new(tga::TgaDecoder::new(file)?),
        Codec::Webp | Codec::Exr | Codec::Jpeg | Codec::Jxl => {
            Box::new(webp::WebPDecoder::new(file)?)
        }
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
