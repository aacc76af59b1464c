//! Which image is it? Known by its first bytes, never by its name.

use std::sync::Arc;

use bytes::Bytes;
use image::ImageFormat;

use super::file::head_bytes;
use super::{
    Codec, Decoders, Limits, Raster, RasterError, Source, dicom, fits, jpeg2000, tiff, whole,
};

/// Opens an image: reads its first 16 KiB, or all of it if it is small, and more only if its
/// header is longer. Of JPEG 2000, TIFF, FITS and DICOM the headers are read here, of other formats by
/// `decoders`.
///
/// # Errors
/// [`RasterError::NotAnImage`] after that one read; the other kinds if it is one.
pub async fn open(
    source: Arc<dyn Source>,
    limits: &Limits,
    decoders: &Arc<dyn Decoders>,
) -> Result<Arc<dyn Raster>, RasterError> {
    let size = source.size();
    if size == 0 {
        return Err(RasterError::NotAnImage);
    }
    decoders.prepare();
    let read = source.read_kept(0..head_bytes(size)).await;
    let head = read.map_err(RasterError::Source)?;
    match recognise(&head, size).ok_or(RasterError::NotAnImage)? {
        Kind::Jpeg2000 => jpeg2000::open(source, head, limits).await,
        Kind::Dicom => dicom::open(source, head, limits, decoders).await,
        Kind::Fits => fits::open(source, head, limits).await,
        Kind::Tiff => tiff::open(source, head, limits, decoders).await,
        Kind::Whole(codec) => whole::open(source, head, codec, limits, decoders).await,
        Kind::Perhaps(codec) => match whole::open(source, head, codec, limits, decoders).await {
            Err(RasterError::Corrupt(_) | RasterError::Unsupported(_)) => {
                Err(RasterError::NotAnImage)
            }
            opened => opened,
        },
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Dicom,
    Fits,
    Jpeg2000,
    Tiff,
    Whole(Codec),
    /// The signature is short: an image only if the rest of the header is right.
    Perhaps(Codec),
}

fn recognise(head: &Bytes, size: u64) -> Option<Kind> {
    let starts = |magic: &[u8]| head.starts_with(magic);
    if starts(b"\0\0\0\x0cjP  \r\n\x87\n") || starts(b"\xff\x4f\xff\x51") {
        return Some(Kind::Jpeg2000);
    }
    if starts(b"\xff\x0a") || starts(b"\0\0\0\x0cJXL \r\n\x87\n") {
        return Some(if starts(b"\xff") {
            Kind::Perhaps(Codec::Jxl)
        } else {
            Kind::Whole(Codec::Jxl)
        });
    }
    if dicom::is_dicom(head) {
        return Some(Kind::Dicom);
    }
    if fits::is_fits(head) {
        return Some(Kind::Fits);
    }
    if tiff::is_tiff(head) {
        return Some(Kind::Tiff);
    }
    match image::guess_format(head).ok() {
        Some(ImageFormat::Jpeg) => Some(Kind::Whole(Codec::Jpeg)),
        Some(ImageFormat::Png) => Some(Kind::Whole(Codec::Png)),
        Some(ImageFormat::Gif) => Some(Kind::Whole(Codec::Gif)),
        Some(ImageFormat::WebP) => Some(Kind::Whole(Codec::Webp)),
        Some(ImageFormat::Hdr) => Some(Kind::Whole(Codec::Hdr)),
        Some(ImageFormat::OpenExr) => Some(Kind::Whole(Codec::Exr)),
        Some(ImageFormat::Qoi) => Some(Kind::Whole(Codec::Qoi)),
        Some(ImageFormat::Pnm) => {
            let space = head.get(2).is_some_and(u8::is_ascii_whitespace);
            space.then_some(Kind::Perhaps(Codec::Pnm))
        }
        Some(ImageFormat::Bmp) => {
            let bitmap = is_bmp(head);
            bitmap.then_some(Kind::Perhaps(Codec::Bmp))
        }
        Some(_) => None,
        None => {
            let targa = is_tga(head, size);
            targa.then_some(Kind::Perhaps(Codec::Tga))
        }
    }
}

/// Two letters are few: the length of the second header has to be a known one.
fn is_bmp(head: &[u8]) -> bool {
    head.get(14..18).is_some_and(|length| matches!(length, [12 | 16..=64 | 108 | 124, 0, 0, 0]))
}

/// TGA has no signature: every field of its header has to make sense, and the pixels
/// or runs of an image of that size have to fit into the file.
fn is_tga(head: &[u8], size: u64) -> bool {
    let Some(&[id, mapped, kind, m0, m1, l0, l1, entry, _, _, _, _, w0, w1, h0, h1, depth, flags]) =
        head.first_chunk::<18>()
    else {
        return false;
    };
    let short = |low, high| u64::from(u16::from_le_bytes([low, high]));
    let (first, entries) = (short(m0, m1), short(l0, l1));
    let (width, height) = (short(w0, w1), short(h0, h1));
    let opacity = flags & 0x0f;
    let map = match mapped {
        0 => first == 0 && entries == 0 && entry == 0,
        1 => entries > 0 && matches!(entry, 15 | 16 | 24 | 32),
        _ => false,
    };
    let pixel = match (kind, mapped, depth) {
        (1 | 9, 1, 8 | 16) => opacity == 0 || opacity == 8,
        (2 | 10, 0, 15 | 16) => opacity <= 1,
        (2 | 10, 0, 24) | (3 | 11, 0, 8) => opacity == 0,
        (2 | 10, 0, 32) => opacity == 0 || opacity == 8,
        (3 | 11, 0, 16) => opacity == 8,
        _ => false,
    };
    let map_bytes = entries * u64::from(entry).div_ceil(8);
    let pixel_bytes = u64::from(depth).div_ceil(8);
    let pixels = if kind < 8 {
        width * height * pixel_bytes
    } else {
        (width * height).div_ceil(128) * (1 + pixel_bytes) // runs of 128
    };
    let fits = 18 + u64::from(id) + map_bytes + pixels <= size;
    map && pixel && flags & 0xc0 == 0 && width > 0 && height > 0 && fits
}

#[cfg(test)]
mod tests;
