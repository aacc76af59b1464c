//! TIFF and BigTIFF: the first image of the file, whole.
//!
//! Contract: 8, 16 and 32 bits, signed, unsigned and float (16 bits become 32, and
//! 64 stay), any number of bands, in tiles or strips, contiguous or planar,
//! uncompressed or with LZW, Deflate or PackBits; GeoTIFF's tags and GDAL's nodata.
//! Gray in which white is zero is inverted, as it says of itself. All else has a
//! reason: palettes, CMYK, YCbCr, Lab, JPEG and fax within TIFF, other bit depths,
//! and RGB with further bands, of which the decoder would lose some.

use std::io::{Cursor, Read, Seek};

use tiff::decoder::{Decoder, DecodingResult, DecodingSampleType, Limits as TiffLimits};
use tiff::tags::Tag;
use tiff::{ColorType, TiffError};

use super::error::corrupt;
use super::header::Header;
use super::{Color, GeoTags, Limits, RasterError, SampleType};

/// Compressions that are lossless and whose decoders notice an early end.
const COMPRESSIONS: [u16; 5] = [1, 5, 8, 32_773, 32_946];

/// What the first directory says.
pub(super) fn header<R: Read + Seek>(file: &mut R) -> Result<Header, RasterError> {
    let mut decoder = Decoder::new(file).map_err(broken)?;
    let (width, height) = decoder.dimensions().map_err(broken)?;
    let bands = number(&mut decoder, Tag::SamplesPerPixel).unwrap_or(1);
    let bits = numbers(&mut decoder, Tag::BitsPerSample).first().copied().unwrap_or(1);
    let format = numbers(&mut decoder, Tag::SampleFormat).first().copied().unwrap_or(1);
    let compression = number(&mut decoder, Tag::Compression).unwrap_or(1);
    let photometric = number(&mut decoder, Tag::PhotometricInterpretation).unwrap_or(1);
    let extra = numbers(&mut decoder, Tag::ExtraSamples);
    let sample = match (format, bits) {
        (1, 8) => Ok(SampleType::U8),
        (1, 16) => Ok(SampleType::U16),
        (1, 32) => Ok(SampleType::U32),
        (2, 8) => Ok(SampleType::I8),
        (2, 16) => Ok(SampleType::I16),
        (2, 32) => Ok(SampleType::I32),
        (3, 16 | 32) => Ok(SampleType::F32),
        (3, 64) => Ok(SampleType::F64),
        (1..=3, bits) => Err(format!("TIFF with samples of {bits} bits is not converted")),
        _ => Err("TIFF with samples of no simple type is not converted".to_owned()),
    };
    let color = match photometric {
        3 => Err("TIFF with a palette is not converted".to_owned()),
        _ => decoder.colortype().map_err(|error| format!("TIFF is not converted: {error}")),
    };
    let unassociated = extra == [2];
    let color = color.and_then(|color| match color {
        ColorType::Gray(_) => Ok(Color::Gray),
        ColorType::Multiband { .. } if photometric == 0 => {
            Err("TIFF of several bands in which white is zero is not converted".to_owned())
        }
        ColorType::Multiband { num_samples: 2, .. } if unassociated => Ok(Color::GrayAlpha),
        ColorType::Multiband { .. } => Ok(Color::Bands),
        ColorType::RGB(_) if bands == 3 => Ok(Color::Rgb),
        ColorType::RGBA(_) if bands == 4 && unassociated => Ok(Color::Rgba),
        ColorType::RGBA(_) if bands == 4 => Ok(Color::Bands),
        ColorType::RGB(_) | ColorType::RGBA(_) => {
            Err("TIFF in RGB with further bands is not converted".to_owned())
        }
        other => Err(format!("TIFF in {other:?} is not converted")),
    });
    let inverted = photometric == 0 && format == 2;
    let compressed = if !COMPRESSIONS.contains(&compression) {
        Some(format!("TIFF with compression {compression} is not converted"))
    } else if inverted {
        Some("TIFF with signed samples in which white is zero is not converted".to_owned())
    } else {
        None
    };
    let unsupported = sample.clone().err().or_else(|| color.clone().err()).or(compressed);
    // Planes and half floats are all here before they are put in order; all else is
    // inflated into its place.
    let all = u64::from(width) * u64::from(height) * u64::from(bands);
    let scratch_bytes = match (format, bits) {
        (3, 16) => all.saturating_mul(2),
        _ if is_planar(&mut decoder, bands) => all.saturating_mul(u64::from(bits) / 8),
        _ => 0,
    };
    Ok(Header {
        width,
        height,
        bands,
        sample: sample.unwrap_or(SampleType::U8),
        bit_depth: if format == 3 && bits == 16 { 32 } else { bits.min(64) as u8 },
        color: color.unwrap_or(Color::Bands),
        nodata: nodata(&mut decoder),
        geo: geo_tags(&mut decoder),
        scratch_bytes,
        unsupported,
    })
}

/// All pixels of the first image, into `pixels`.
pub(super) fn decode(
    file: &[u8],
    header: &Header,
    limits: &Limits,
    pixels: &mut [u8],
) -> Result<(), RasterError> {
    let mut allowed = TiffLimits::default();
    let bytes = usize::try_from(limits.decode_bytes).unwrap_or(usize::MAX);
    allowed.decoding_buffer_size = bytes;
    allowed.intermediate_buffer_size = bytes;
    let mut decoder = Decoder::new(Cursor::new(file)).map_err(broken)?.with_limits(allowed);
    must_lie_inside(&mut decoder, file.len() as u64)?;
    let planar = is_planar(&mut decoder, header.bands);
    let layout = decoder.image_buffer_layout().map_err(broken)?;
    let has_halves = layout.sample_type == Some(DecodingSampleType::F16);
    let expected = if has_halves { pixels.len() / 2 } else { pixels.len() };
    if layout.complete_len != expected {
        return Err(corrupt("it has other pixels than its header says"));
    }
    if has_halves {
        let mut result = DecodingResult::F16(Vec::new());
        decoder.read_image_to_buffer(&mut result).map_err(broken)?;
        let DecodingResult::F16(halves) = result else {
            return Err(corrupt("its samples changed"));
        };
        let at = |n: usize| if planar { interleaved(n, halves.len(), header.bands) } else { n };
        for (n, half) in halves.iter().enumerate() {
            let start = at(n) * 4;
            pixels[start..start + 4].copy_from_slice(&half.to_f32().to_ne_bytes());
        }
    } else if planar {
        let mut planes = vec![0; pixels.len()];
        decoder.read_image_bytes(&mut planes).map_err(broken)?;
        interleave(&planes, header.bands.into(), header.sample.bytes(), pixels);
    } else {
        decoder.read_image_bytes(pixels).map_err(broken)?;
    }
    Ok(())
}

/// Plane by plane to pixel by pixel.
fn interleave(planes: &[u8], bands: usize, sample_bytes: usize, pixels: &mut [u8]) {
    let plane_bytes = planes.len() / bands;
    let mut samples = pixels.chunks_exact_mut(sample_bytes);
    for at in (0..plane_bytes).step_by(sample_bytes) {
        for band in 0..bands {
            let start = band * plane_bytes + at;
            if let Some(sample) = samples.next() {
                sample.copy_from_slice(&planes[start..start + sample_bytes]);
            }
        }
    }
}

/// Where the sample `n` of `samples` in planes belongs among those of pixels.
fn interleaved(n: usize, samples: usize, bands: u16) -> usize {
    let (bands, plane) = (usize::from(bands), samples / usize::from(bands));
    (n % plane) * bands + n / plane
}

fn is_planar<R: Read + Seek>(decoder: &mut Decoder<R>, bands: u16) -> bool {
    number(decoder, Tag::PlanarConfiguration) == Some(2) && bands > 1
}

/// Tiles and strips that are behind the end of the file, or are not there.
fn must_lie_inside<R: Read + Seek>(decoder: &mut Decoder<R>, size: u64) -> Result<(), RasterError> {
    for (offsets, counts) in
        [(Tag::StripOffsets, Tag::StripByteCounts), (Tag::TileOffsets, Tag::TileByteCounts)]
    {
        let mut table = |tag| match decoder.find_tag(tag).map_err(broken)? {
            Some(value) => value.into_u64_vec().map_err(broken),
            None => Ok(Vec::new()),
        };
        for (offset, count) in table(offsets)?.into_iter().zip(table(counts)?) {
            if offset.checked_add(count).is_none_or(|end| end > size) {
                return Err(corrupt("it ends early"));
            }
            if count == 0 {
                return Err(RasterError::Unsupported("sparse TIFF is not converted".to_owned()));
            }
        }
    }
    Ok(())
}

fn geo_tags<R: Read + Seek>(decoder: &mut Decoder<R>) -> Option<GeoTags> {
    let geo = GeoTags {
        pixel_scale: doubles(decoder, 33_550),
        tiepoints: doubles(decoder, 33_922),
        transformation: doubles(decoder, 34_264),
        key_directory: numbers(decoder, Tag::from_u16_exhaustive(34_735)),
        double_params: doubles(decoder, 34_736),
        ascii_params: text(decoder, 34_737).unwrap_or_default(),
    };
    (geo != GeoTags::default()).then_some(geo)
}

fn nodata<R: Read + Seek>(decoder: &mut Decoder<R>) -> Option<f64> {
    text(decoder, 42_113)?.trim().parse().ok()
}

fn text<R: Read + Seek>(decoder: &mut Decoder<R>, tag: u16) -> Option<String> {
    let text = decoder.get_tag_ascii_string(Tag::from_u16_exhaustive(tag)).ok()?;
    Some(text.trim_end_matches('\0').to_owned())
}

fn doubles<R: Read + Seek>(decoder: &mut Decoder<R>, tag: u16) -> Vec<f64> {
    decoder.get_tag_f64_vec(Tag::from_u16_exhaustive(tag)).unwrap_or_default()
}

fn numbers<R: Read + Seek>(decoder: &mut Decoder<R>, tag: Tag) -> Vec<u16> {
    decoder.find_tag_unsigned_vec(tag).ok().flatten().unwrap_or_default()
}

fn number<R: Read + Seek>(decoder: &mut Decoder<R>, tag: Tag) -> Option<u16> {
    decoder.find_tag_unsigned(tag).ok().flatten()
}

fn broken(error: TiffError) -> RasterError {
    match error {
        TiffError::UnsupportedError(error) => RasterError::Unsupported(error.to_string()),
        error => corrupt(error.to_string()),
    }
}
