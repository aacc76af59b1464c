//! Strips and tiles that are images of their own: JPEG, WebP, JPEG 2000 and JPEG XL within TIFF.
//! Each is decoded as a file of its format is, in the same place and within the same limits.

use std::sync::Arc;

use bytes::Bytes;

use super::compression::Compression;
use super::image::TiffImage;
use super::samples;
use crate::raster::error::corrupt;
use crate::raster::{Codec, Decoders, Limits, RasterError, held};

/// Photometric interpretation (tag 262): the decoder is to make RGB of it.
const YCBCR: u64 = 6;

/// The columns and rows of a strip or tile, and its samples, pixel by pixel.
///
/// # Errors
/// It can't be decoded, or is not of the kind that the directory says.
pub(super) async fn decode(
    image: &TiffImage,
    bytes: Bytes,
    limits: &Limits,
    decoders: &Arc<dyn Decoders>,
) -> Result<(u32, u32, Vec<u8>), RasterError> {
    let (codec, bytes) = match image.compression {
        Compression::Jpeg => {
            let file = jpeg_file(&image.decoding.jpeg_tables, &bytes, image)?;
            (Codec::Jpeg, file.into())
        }
        Compression::Webp => (Codec::Webp, bytes),
        Compression::Jxl => (Codec::Jxl, bytes),
        _ => return codestream(image, bytes, limits).await,
    };
    let (header, pixels) = held::whole(codec, "TIFF", bytes, limits, decoders).await?;
    let bits = u64::from(image.stored.bits);
    let (given, wanted) = (header.bands, image.chunk_samples());
    let lacks_opacity = (codec, given, wanted) == (Codec::Webp, 3, 4);
    let is_stored = header.sample == image.sample && u64::from(header.bit_depth) == bits;
    if !is_stored || (given != wanted && !lacks_opacity) {
        return Err(corrupt("a strip or tile has other samples than its directory says"));
    }
    let mut samples: Vec<u8> = match lacks_opacity {
        // An encoder leaves opacity out where all of it is 255.
        true => pixels.chunks_exact(3).flat_map(|p| [p[0], p[1], p[2], 255]).collect(),
        false => pixels.to_vec(),
    };
    if (codec, given) == (Codec::Jpeg, 4) {
        // A file has full ink as 0, and its decoder turns it round; a TIFF has it as it is.
        samples::invert(&mut samples, image.sample, image.stored.bits);
    }
    Ok((header.width, header.height, samples))
}

async fn codestream(
    image: &TiffImage,
    bytes: Bytes,
    limits: &Limits,
) -> Result<(u32, u32, Vec<u8>), RasterError> {
    let (info, samples) = held::jpeg2000("TIFF", bytes, limits).await?;
    if (info.sample, info.bands) != (image.sample, image.chunk_samples()) {
        return Err(corrupt("a strip or tile has other samples than its directory says"));
    }
    Ok((info.width, info.height, samples))
}

/// A whole JPEG file: the tables of the directory, and the strip or tile; and in front what
/// says whether its colors are YCbCr, which in TIFF the directory alone says.
fn jpeg_file(tables: &[u8], strip: &[u8], image: &TiffImage) -> Result<Vec<u8>, RasterError> {
    let mut file = vec![0xff, 0xd8];
    if image.chunk_samples() == 3 {
        let transform = u8::from(image.decoding.photometric == YCBCR);
        file.extend(b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00");
        file.push(transform);
    }
    for part in [tables, strip] {
        if part.is_empty() {
            continue;
        }
        let start = part.strip_prefix(b"\xff\xd8");
        let mut rest = start.ok_or_else(|| corrupt("a JPEG stream of it has no beginning"))?;
        loop {
            match rest {
                [0xff, 0xff, ..] => rest = &rest[1..],
                [0xff, 0xd9, ..] | [] => break,
                // From the first scan on all is as it is.
                [0xff, 0xda, ..] => {
                    file.extend(rest);
                    break;
                }
                [0xff, marker, high, low, ..] => {
                    let length = 2 + usize::from(u16::from_be_bytes([*high, *low]));
                    let segment = rest.get(..length);
                    let segment = segment.ok_or_else(|| corrupt("a JPEG stream ends early"))?;
                    // What a writer says of the colors does not count (technical note 2).
                    if !matches!(marker, 0xe0 | 0xee) {
                        file.extend(segment);
                    }
                    rest = &rest[length..];
                }
                _ => return Err(corrupt("a JPEG stream of it has no marker")),
            }
        }
    }
    Ok(file)
}
