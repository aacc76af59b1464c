//! Samples of pixels as they lie in a frame, as samples that are given out.

use super::image::{DicomImage, Photometric};
use crate::raster::RasterError;
use crate::raster::error::corrupt;

/// The samples of some rows, pixel by pixel, from the bytes of each of their planes, or of
/// them all. Of single bits the first `skipped` are of another frame.
pub(super) fn plain(
    image: &DicomImage,
    parts: &[&[u8]],
    (pixels, skipped): (usize, usize),
    is_big: bool,
) -> Vec<u8> {
    let (bands, size) = (usize::from(image.bands), image.sample_bytes());
    let mut samples = match (parts, image.photometric) {
        ([bits], _) if image.allocated == 1 => {
            let places = skipped..skipped + pixels;
            places.map(|place| bits[place / 8] >> (place % 8) & 1).collect()
        }
        ([pairs], Photometric::YbrHalf) => {
            let pairs = pairs.as_chunks::<4>().0.iter();
            pairs.flat_map(|&[first, second, cb, cr]| [first, cb, cr, second, cb, cr]).collect()
        }
        ([all], _) => all.to_vec(),
        (planes, _) => {
            let mut samples = vec![0; pixels * bands * size];
            for (plane, first) in planes.iter().zip((0..).step_by(size)) {
                let places = samples[first..].chunks_mut(bands * size);
                for (place, given) in places.zip(plane.chunks_exact(size)) {
                    place[..size].copy_from_slice(given);
                }
            }
            samples
        }
    };
    if is_big != cfg!(target_endian = "big") {
        samples.chunks_exact_mut(size).for_each(<[u8]>::reverse);
    }
    samples
}

/// Bytes that lie in words of 16 bits, the high one first, in their order.
pub(super) fn swapped(words: &[u8]) -> Vec<u8> {
    words.as_chunks().0.iter().flat_map(|&[high, low]: &[u8; 2]| [low, high]).collect()
}

/// Samples of a decoder as those that the file promises: in their size, unless they have more
/// bits than that.
///
/// # Errors
/// They have.
pub(super) fn resized(samples: &[u8], from: usize, to: usize) -> Result<Vec<u8>, RasterError> {
    match (from, to) {
        _ if from == to => Ok(samples.to_vec()),
        (1, 2) => Ok(samples.iter().flat_map(|byte| u16::from(*byte).to_ne_bytes()).collect()),
        _ => Err(corrupt("its pixels have other bits than its header says")),
    }
}

/// Leaves the bits that count: what else is stored beside a sample is no part of it.
pub(super) fn keep_stored_bits(image: &DicomImage, samples: &mut [u8]) {
    let (size, stored) = (image.sample_bytes(), u32::from(image.stored));
    let unused = (size as u32 * 8).saturating_sub(stored);
    if unused == 0 || image.allocated == 1 {
        return;
    }
    macro_rules! shift {
        ($signed:ty, $unsigned:ty) => {
            for sample in samples.as_chunks_mut().0 {
                let bits = <$unsigned>::from_ne_bytes(*sample) << unused;
                *sample = match image.is_signed {
                    true => (bits as $signed >> unused).to_ne_bytes(),
                    false => (bits >> unused).to_ne_bytes(),
                };
            }
        };
    }
    match size {
        1 => shift!(i8, u8),
        2 => shift!(i16, u16),
        4 => shift!(i32, u32),
        _ => {}
    }
}

/// RGB of luma and chroma of 8 bits (PS3.3, C.7.6.3.1.2), rounded as pydicom does.
pub(super) fn to_rgb(samples: &mut [u8]) {
    const CB_GREEN: f32 = (-0.114 * 1.772 / 0.587) as f32;
    const CR_GREEN: f32 = (-0.299 * 1.402 / 0.587) as f32;
    for pixel in samples.as_chunks_mut::<3>().0 {
        let [y, cb, cr] = pixel.map(f32::from);
        let (cb, cr) = (cb - 128.0, cr - 128.0);
        let colors = [y + 1.402 * cr, y + CB_GREEN * cb + CR_GREEN * cr, y + 1.772 * cb];
        *pixel = colors.map(|color| (color + 0.5).floor().clamp(0.0, 255.0) as u8);
    }
}

/// A JPEG whose colors its decoder makes RGB as the file says, not as its own markers let
/// guess; `None` if it holds its samples as they are, or says itself what they are.
///
/// # Errors
/// It has no beginning, or a segment of it ends early.
pub(super) fn said_jpeg(image: &DicomImage, jpeg: &[u8]) -> Result<Option<Vec<u8>>, RasterError> {
    let start = jpeg.strip_prefix(b"\xff\xd8");
    let mut rest = start.ok_or_else(|| corrupt("a JPEG of it has no beginning"))?;
    let is_ybr = image.photometric != Photometric::AsStored;
    let mut file = vec![0xff, 0xd8];
    file.extend(b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00");
    file.push(is_ybr.into());
    let mut kept: Vec<u8> = Vec::new();
    loop {
        match rest {
            [0xff, 0xff, ..] => rest = &rest[1..],
            [0xff, marker, high, low, ..] if !matches!(marker, 0xd0..=0xda) => {
                let length = 2 + usize::from(u16::from_be_bytes([*high, *low]));
                let segment = rest.get(..length);
                let segment = segment.ok_or_else(|| corrupt("a JPEG of it ends early"))?;
                // JPEG-LS and lossless JPEG hold what they were given.
                let is_exact = matches!(marker, 0xc3 | 0xf7);
                if is_exact || (*marker == 0xee && segment.len() >= 16 && !is_ybr) {
                    return Ok(None);
                }
                if !matches!(marker, 0xe0 | 0xee) {
                    kept.extend(segment);
                }
                rest = &rest[length..];
            }
            // From the first scan on all is as it is.
            _ => {
                file.extend(kept);
                file.extend(rest);
                return Ok(Some(file));
            }
        }
    }
}
