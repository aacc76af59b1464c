//! JPEG, strictly: the frame header read by our own hands, the pixels by a decoder
//! that is told to accept no errors, and a walk over all segments before, since a
//! decoder notices a missing end only at the next row.
//!
//! Baseline and progressive, 8 bits, gray and color are decoded. The inverse DCT and
//! the upsampling of chroma are the decoder's: other decoders differ by a few steps.

use std::io::{Read, Seek, SeekFrom};

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::error::corrupt;
use super::header::Header;
use super::{Color, RasterError, SampleType};

/// What the start of frame says; APP segments are skipped, not read.
pub(super) fn header<R: Read + Seek>(file: &mut R) -> Result<Header, RasterError> {
    skip(file, 2)?;
    loop {
        let marker = next_marker(file)?;
        if matches!(marker, 0x01 | 0xd0..=0xd8) {
            continue;
        }
        let length = u16::from_be_bytes(take(file)?);
        let frame = matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc);
        if frame {
            let [bits, h0, h1, w0, w1, components] = take(file)?;
            let height = u16::from_be_bytes([h0, h1]);
            let width = u16::from_be_bytes([w0, w1]);
            return Ok(frame_header(marker, bits, width, height, components));
        }
        if matches!(marker, 0xd9 | 0xda) {
            return Err(corrupt("there is no frame header"));
        }
        let behind = length.checked_sub(2).ok_or_else(|| corrupt("a segment has no length"))?;
        skip(file, behind.into())?;
    }
}

fn frame_header(marker: u8, bits: u8, width: u16, height: u16, components: u8) -> Header {
    let unsupported = match (marker, bits, components) {
        (0xc0..=0xc2, 8, 1 | 3) => None,
        (0xc0..=0xc2, 8, 4) => Some("JPEG in CMYK is not converted"),
        (0xc0..=0xc2, 8, _) => Some("JPEG of this many components is not converted"),
        (0xc0..=0xc2, ..) => Some("JPEG of more than 8 bits is not converted"),
        _ => Some("JPEG that is lossless, hierarchical or arithmetic is not converted"),
    };
    let color = match components {
        1 => Color::Gray,
        3 => Color::Rgb,
        _ => Color::Bands,
    };
    Header {
        width: width.into(),
        height: height.into(),
        bands: components.into(),
        sample: if bits > 8 { SampleType::U16 } else { SampleType::U8 },
        bit_depth: bits,
        color,
        nodata: None,
        geo: None,
        scratch_bytes: 0,
        unsupported: unsupported.map(str::to_owned),
    }
}

/// All pixels of a JPEG, into `pixels`.
pub(super) fn decode(file: &[u8], header: &Header, pixels: &mut [u8]) -> Result<(), RasterError> {
    must_end(file)?;
    let space = if header.bands == 1 { ColorSpace::Luma } else { ColorSpace::RGB };
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(header.width as usize)
        .set_max_height(header.height as usize)
        .jpeg_set_out_colorspace(space);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(file), options);
    decoder.decode_headers().map_err(|error| corrupt(error.to_string()))?;
    if decoder.output_buffer_size() != Some(pixels.len()) {
        return Err(corrupt("its frame header changed"));
    }
    decoder.decode_into(pixels).map_err(|error| corrupt(error.to_string()))
}

/// Whether segments and scans follow one another until the end of image.
fn must_end(file: &[u8]) -> Result<(), RasterError> {
    let early = || corrupt("it ends early");
    let mut at = 2;
    loop {
        // To the next marker: behind a scan, behind its entropy-coded bytes.
        let rest = file.get(at..).ok_or_else(early)?;
        let pair = rest.windows(2).position(|pair| {
            pair[0] == 0xff && !matches!(pair[1], 0x00 | 0x01 | 0xd0..=0xd7 | 0xff)
        });
        at += pair.ok_or_else(early)?;
        if file.get(at + 1) == Some(&0xd9) {
            return Ok(());
        }
        let length = file.get(at + 2..at + 4).ok_or_else(early)?;
        at += 2 + usize::from(u16::from_be_bytes([length[0], length[1]]));
    }
}

fn next_marker<R: Read>(file: &mut R) -> Result<u8, RasterError> {
    let [mut byte] = take(file)?;
    if byte != 0xff {
        return Err(corrupt("a marker is missing"));
    }
    while byte == 0xff {
        [byte] = take(file)?;
    }
    Ok(byte)
}

fn take<R: Read, const N: usize>(file: &mut R) -> Result<[u8; N], RasterError> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes).map_err(|_| corrupt("its header ends early"))?;
    Ok(bytes)
}

fn skip<R: Seek>(file: &mut R, bytes: i64) -> Result<(), RasterError> {
    let moved = file.seek(SeekFrom::Current(bytes));
    moved.map(|_| ()).map_err(|_| corrupt("its header ends early"))
}
