//! Images that are decoded in one piece.
//!
//! Contract: one tile, one level, the values as the file has them. What the decoders
//! expand is expanded exactly: a palette to RGB or RGBA, gray of 1, 2 and 4 bits to
//! 8 bits (black is 0, white is 255), RGBE and half floats to 32 bits. Lossy formats
//! (JPEG, lossy WebP) are as exact as their decoder. A GIF gives its first frame, an
//! EXR its display window, a JPEG its pixels as they lie in the file, whatever its
//! EXIF orientation says.
//! Every call of `decode_tile` reads and decodes the file: callers keep the tile.

use std::io::{BufRead, Cursor, Seek};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use image::codecs::{bmp, gif, hdr, openexr, png, pnm, qoi, tga, webp};
use image::{ColorType, ImageDecoder, ImageError, ImageFormat};

use super::error::corrupt;
use super::gathered::{contained, parse_header};
use super::header::Header;
use super::{Color, Limits, Pixels, Raster, RasterError, RasterInfo, SampleType};
use super::{Source, TileGrid, cores, exr, jpeg, tiff};

/// How a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    /// By the `image` crate.
    Image(ImageFormat),
    /// See `jpeg`.
    Jpeg,
    /// See `tiff`.
    Tiff,
}

/// An image in one piece.
#[derive(Debug)]
struct Whole {
    source: Arc<dyn Source>,
    codec: Codec,
    header: Header,
    info: RasterInfo,
    limits: Limits,
}

/// Reads and checks the header, of which `head` is the start.
pub(super) async fn open(
    source: Arc<dyn Source>,
    head: Bytes,
    codec: Codec,
    limits: &Limits,
) -> Result<Arc<dyn Raster>, RasterError> {
    let header = parse_header(&*source, head, |file| match codec {
        Codec::Image(format) => image_header(format, file),
        Codec::Jpeg => jpeg::header(file),
        Codec::Tiff => tiff::header(file),
    })
    .await?;
    check(&header, source.size(), limits)?;
    let info = RasterInfo {
        codec: header.codec,
        width: header.width,
        height: header.height,
        bands: header.bands,
        sample: header.sample,
        bit_depth: header.bit_depth,
        color: header.color,
        grid: TileGrid::whole(header.width, header.height),
        levels: 1,
        nodata: header.nodata,
        geo: header.geo.clone(),
        unsupported: header.unsupported.clone(),
    };
    Ok(Arc::new(Whole { source, codec, header, info, limits: *limits }))
}

#[async_trait]
impl Raster for Whole {
    fn info(&self) -> &RasterInfo {
        &self.info
    }

    async fn decode_tile(&self, level: u8, column: u32, row: u32) -> Result<Pixels, RasterError> {
        if let Some(reason) = &self.header.unsupported {
            return Err(RasterError::Unsupported(reason.clone()));
        }
        if (level, column, row) != (0, 0, 0) {
            return Err(RasterError::Unsupported("the image has one tile only".to_owned()));
        }
        let read = self.source.read(0..self.source.size()).await;
        let file = read.map_err(RasterError::Source)?;
        let (codec, header, limits) = (self.codec, self.header.clone(), self.limits);
        let permit = cores::permit().await;
        let decode = move || {
            let _permit = permit;
            contained(|| decode(codec, &file, &header, &limits))
        };
        let decoded = tokio::task::spawn_blocking(decode).await;
        let samples =
            decoded.map_err(|_| corrupt("its decoder was stopped")).and_then(|done| done)?;
        Ok(Pixels { rect: self.info.grid.image(0), samples })
    }
}

/// Holds the limits before anything is decoded.
fn check(header: &Header, file_bytes: u64, limits: &Limits) -> Result<(), RasterError> {
    let over = |what: String, option, allowed| Err(RasterError::Limit { what, option, allowed });
    if header.width == 0 || header.height == 0 || header.bands == 0 {
        return Err(corrupt("it has no pixels"));
    }
    let pixels = header.pixels();
    if pixels > limits.image_pixels {
        let what = format!("the image has {pixels} pixels");
        return over(what, "--max-image-pixels", limits.image_pixels);
    }
    // The file, its pixels and what its decoder works with are in memory at the same time.
    let bytes = header.bytes().saturating_add(file_bytes).saturating_add(header.scratch_bytes);
    if bytes > limits.decode_bytes {
        let what = format!("decoding the image takes {bytes} bytes");
        return over(what, "--max-decode-memory", limits.decode_bytes);
    }
    // What is no larger than a tile may be is harmless at any compression.
    let expansion = header.samples() / file_bytes.max(1);
    if header.samples() > limits.tile_samples && expansion > limits.expansion {
        let what = format!("the image has {expansion} samples for each byte of the file");
        return over(what, "--max-expansion", limits.expansion);
    }
    Ok(())
}

fn decode(
    codec: Codec,
    file: &[u8],
    header: &Header,
    limits: &Limits,
) -> Result<Vec<u8>, RasterError> {
    let samples = match codec {
        Codec::Image(format) => image_pixels(format, file, header, limits)?,
        Codec::Jpeg => jpeg::decode(file, header)?,
        Codec::Tiff => tiff::decode(file, header, limits)?,
    };
    if samples.len() as u64 != header.bytes() {
        return Err(corrupt("it has fewer pixels than its header says"));
    }
    Ok(samples)
}

fn image_header<R: BufRead + Seek>(
    format: ImageFormat,
    file: &mut R,
) -> Result<Header, RasterError> {
    let unsupported = match format {
        ImageFormat::Pnm => scaled_pnm(file)?,
        _ => None,
    };
    let scratch_bytes = match format {
        ImageFormat::OpenExr => exr::scratch_bytes(file)?,
        _ => 0,
    };
    let decoder = decoder(format, file).map_err(broken)?;
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
        codec: name(format),
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

fn image_pixels(
    format: ImageFormat,
    file: &[u8],
    header: &Header,
    limits: &Limits,
) -> Result<Vec<u8>, RasterError> {
    must_be_whole(format, file)?;
    if image_header(format, &mut Cursor::new(file))? != *header {
        return Err(corrupt("its header changed"));
    }
    let mut decoder = decoder(format, Cursor::new(file)).map_err(broken)?;
    let mut allowed = image::Limits::no_limits();
    allowed.max_alloc = Some(limits.decode_bytes);
    decoder.set_limits(allowed).map_err(broken)?;
    let mut samples = vec![0; header.bytes() as usize];
    decoder.read_image_boxed(&mut samples).map_err(broken)?;
    Ok(samples)
}

fn decoder<'a, R: BufRead + Seek + 'a>(
    format: ImageFormat,
    file: R,
) -> Result<Box<dyn ImageDecoder + 'a>, ImageError> {
    Ok(match format {
        ImageFormat::Bmp => Box::new(bmp::BmpDecoder::new(file)?),
        ImageFormat::Gif => Box::new(gif::GifDecoder::new(file)?),
        ImageFormat::Hdr => Box::new(hdr::HdrDecoder::new(file)?),
        ImageFormat::OpenExr => Box::new(openexr::OpenExrDecoder::new(file)?),
        ImageFormat::Png => Box::new(png::PngDecoder::new(file)?),
        ImageFormat::Pnm => Box::new(pnm::PnmDecoder::new(file)?),
        ImageFormat::Qoi => Box::new(qoi::QoiDecoder::new(file)?),
        ImageFormat::Tga => Box::new(tga::TgaDecoder::new(file)?),
        _ => Box::new(webp::WebPDecoder::new(file)?),
    })
}

fn name(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Bmp => "bmp",
        ImageFormat::Gif => "gif",
        ImageFormat::Hdr => "hdr",
        ImageFormat::OpenExr => "exr",
        ImageFormat::Png => "png",
        ImageFormat::Pnm => "pnm",
        ImageFormat::Qoi => "qoi",
        ImageFormat::Tga => "tga",
        _ => "webp",
    }
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
fn must_be_whole(format: ImageFormat, file: &[u8]) -> Result<(), RasterError> {
    let whole = match format {
        ImageFormat::WebP => {
            let length = file.get(4..8).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            length.is_some_and(|length| u64::from(length) + 8 <= file.len() as u64)
        }
        // The last number of a plain PGM or PPM has an end only if something follows.
        ImageFormat::Pnm if matches!(file, [b'P', b'2' | b'3', ..]) => {
            file.last().is_some_and(u8::is_ascii_whitespace)
        }
        ImageFormat::Qoi => file.ends_with(&[0, 0, 0, 0, 0, 0, 0, 1]),
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
