//! DICOM (PS3): an image of one frame or several, which are its pages.
//!
//! Contract: stored values as they are, without rescaling and without window, which only the
//! preview applies; unused bits are cut off; luma and chroma become RGB; a palette stays an
//! index. All else has a reason. The header is walked up to the pixels, and nothing is read of
//! what it steps over. Pixels that are not compressed are read by rows; of others the frame
//! alone, by the decoder of its own format.

mod elements;
mod frames;
mod image;
mod rle;
mod samples;

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use self::elements::{Elements, PixelData};
use self::frames::Frames;
use self::image::{Coding, DicomImage, Photometric};
use super::error::corrupt;
use super::fetch::Expected;
use super::file::File;
use super::{
    Codec, Color, Count, Decoders, Extras, Header, Limits, Page, Pixels, Raster, RasterError,
    RasterInfo, Rect, SampleType, Source, TileGrid, cores, held,
};

/// About what a tile of ours has where rows can be read, in bytes.
const TILE_BYTES: u64 = 1 << 20;

/// An image whose elements were read.
#[derive(Debug)]
struct Dicom {
    info: RasterInfo,
    image: DicomImage,
    file: File,
    expected: Expected,
    pixels: PixelData,
    /// Where the frames are; of all pages together.
    frames: Arc<Frames>,
    /// Which one it is, from 1 on.
    frame: u32,
    is_big_endian: bool,
    decoders: Arc<dyn Decoders>,
    limits: Limits,
}

/// Whether a file that begins like this is one.
pub(super) fn is_dicom(head: &[u8]) -> bool {
    head.get(128..132) == Some(b"DICM")
}

/// Walks through the elements of a file that begins with `head`.
///
/// # Errors
/// They say nothing of an image, or of one that is too large; that of the source.
pub(super) async fn open(
    source: Arc<dyn Source>,
    head: Bytes,
    limits: &Limits,
    decoders: &Arc<dyn Decoders>,
) -> Result<Arc<dyn Raster>, RasterError> {
    let file = File::new(source, head);
    let elements = Elements::read(&file).await?;
    let none = || RasterError::Unsupported("DICOM without pixels is not converted".to_owned());
    let pixels = elements.pixels.ok_or_else(none)?;
    let image = DicomImage::of(&elements, pixels)?;
    let is_big_endian = elements.spelling.is_big_endian;
    let info = info(&elements, &image, pixels, is_big_endian)?;
    let frames = Frames {
        at: pixels.start,
        count: image.frames,
        is_one: image.coding == Coding::Rle,
        extended: elements.extended_table,
        stepped: tokio::sync::Mutex::default(),
    };
    let dicom = Dicom {
        info,
        image,
        file,
        expected: Expected::default(),
        pixels,
        frames: Arc::new(frames),
        frame: 1,
        is_big_endian,
        decoders: decoders.clone(),
        limits: *limits,
    };
    if dicom.info.unsupported.is_none() {
        dicom.check()?;
    }
    Ok(Arc::new(dicom))
}

fn info(
    elements: &Elements,
    image: &DicomImage,
    pixels: PixelData,
    is_big_endian: bool,
) -> Result<RasterInfo, RasterError> {
    let (width, height) = image.size;
    if width == 0 || height == 0 || image.bands == 0 {
        return Err(corrupt("it has no pixels"));
    }
    let mut unsupported = image.unsupported.clone();
    let page = (image.frames > 1).then(|| Page::first(Count::Exactly(image.frames)));
    let color = image::color(elements, image);
    let palette = match color {
        Color::Palette => image::palette(elements)
            .map_err(|what| {
                unsupported.get_or_insert(format!("DICOM {what} is not converted"));
            })
            .ok(),
        _ => None,
    };
    let is_whole = matches!(image.sample, SampleType::F32 | SampleType::F64) || image.is_signed;
    let bit_depth = if is_whole { image.sample.bytes() * 8 } else { image.stored.into() };
    let mut grid = TileGrid::whole(width, height);
    let can_be_cut = image.coding == Coding::Plain
        && image.allocated >= 8
        && !is_swapped(image, pixels, is_big_endian);
    if can_be_cut {
        let row = u64::from(width) * u64::from(image.bands) * image.sample_bytes() as u64;
        grid.tile_size.1 = (TILE_BYTES / row.max(1)).clamp(1, height.into()) as u32;
    }
    let window = (color == Color::Gray).then(|| image::window(elements));
    Ok(RasterInfo {
        codec: "dicom",
        width,
        height,
        bands: image.bands,
        sample: image.sample,
        bit_depth: bit_depth as u8,
        color,
        grid,
        levels: 1,
        nodata: image::nodata(elements, image),
        geo: None,
        unsupported,
        warnings: elements.warnings.clone(),
        ranges: None,
        extras: Extras { palette, page, window, ..Extras::default() },
    })
}

/// Whether bytes lie in words of the other order (PS3.5, 8.2).
fn is_swapped(image: &DicomImage, pixels: PixelData, is_big_endian: bool) -> bool {
    is_big_endian && pixels.is_words && image.allocated <= 8
}

#[async_trait]
impl Raster for Dicom {
    fn info(&self) -> &RasterInfo {
        &self.info
    }

    fn held_bytes(&self) -> u64 {
        let (columns, rows) = self.info.grid.tile_size;
        let pixels = u64::from(columns) * u64::from(rows);
        let times = if self.image.coding == Coding::Plain { 3 } else { 4 };
        pixels.saturating_mul(self.info.pixel_bytes() as u64).saturating_mul(times)
    }

    async fn page(&self, number: u32) -> Result<Option<Arc<dyn Raster>>, RasterError> {
        let Some(first) = self.info.extras.page.filter(|page| !page.lacks(number)) else {
            return Ok(None);
        };
        let page = Some(Page { number, ..first });
        let extras = Extras { page, ..self.info.extras.clone() };
        let dicom = Dicom {
            info: RasterInfo { extras, ..self.info.clone() },
            image: self.image.clone(),
            file: self.file.again(),
            expected: Expected::default(),
            pixels: self.pixels,
            frames: self.frames.clone(),
            frame: number,
            is_big_endian: self.is_big_endian,
            decoders: self.decoders.clone(),
            limits: self.limits,
        };
        if dicom.info.unsupported.is_none() {
            dicom.check()?;
        }
        Ok(Some(Arc::new(dicom)))
    }

    async fn expect(&self, level: u8, tiles: &[(u32, u32)]) {
        if self.image.coding != Coding::Plain || self.info.unsupported.is_some() {
            return;
        }
        let rows = self.info.grid.rows();
        let tiles = tiles.iter().filter(|(column, row)| (level, *column) == (0, 0) && *row < rows);
        let ranges: Vec<_> = tiles
            .flat_map(|&(column, row)| self.ranges(self.info.grid.tile(0, column, row)))
            .collect();
        self.expected.note(&ranges);
    }

    async fn decode_tile(&self, level: u8, column: u32, row: u32) -> Result<Pixels, RasterError> {
        if let Some(reason) = &self.info.unsupported {
            return Err(RasterError::Unsupported(reason.clone()));
        }
        if (level, column) != (0, 0) || row >= self.info.grid.rows() {
            let reason = format!("there is no tile {column}, {row} at level {level}");
            return Err(RasterError::Unsupported(reason));
        }
        let rect = self.info.grid.tile(0, column, row);
        let samples = match self.image.coding {
            Coding::Plain => self.plain(rect).await?,
            coding => self.compressed(coding).await?,
        };
        Ok(Pixels { rect, samples: samples.into() })
    }
}

impl Dicom {
    /// Holds the limits, and what a file of pixels that are not compressed must have.
    fn check(&self) -> Result<(), RasterError> {
        let (width, height) = self.image.size;
        if self.image.coding == Coding::Plain {
            let whole = Rect { x: 0, y: 0, width, height };
            let end = self.ranges(whole).last().map_or(0, |range| range.end);
            let given =
                self.pixels.bytes.map_or(0, |bytes| self.pixels.start.saturating_add(bytes));
            if end > given || end > self.file.size() {
                return Err(corrupt("it ends early"));
            }
        } else {
            let pixels = u64::from(width) * u64::from(height);
            if pixels > self.limits.image_pixels {
                return Err(RasterError::Limit {
                    what: format!("the image has {pixels} pixels"),
                    option: "--max-image-pixels",
                    allowed: self.limits.image_pixels,
                });
            }
        }
        if self.held_bytes() > self.limits.decode_bytes {
            return Err(RasterError::Limit {
                what: format!("decoding the image takes {} bytes", self.held_bytes()),
                option: "--max-decode-memory",
                allowed: self.limits.decode_bytes,
            });
        }
        Ok(())
    }

    /// Where the rows of a rectangle are: in one range, or one for each plane.
    fn ranges(&self, rect: Rect) -> Vec<Range<u64>> {
        let (image, start) = (&self.image, self.pixels.start);
        let (width, height) = (u64::from(image.size.0), u64::from(image.size.1));
        let is_swapped = is_swapped(image, self.pixels, self.is_big_endian);
        let before = u64::from(self.frame.saturating_sub(1));
        if image.allocated == 1 {
            // Frames follow each other bit by bit.
            let bits = width * height;
            let (first, last) = (before * bits / 8, ((before + 1) * bits).div_ceil(8));
            let all = match is_swapped {
                true => start + first / 2 * 2..start + last.next_multiple_of(2),
                false => start + first..start + last,
            };
            return Vec::from([all]);
        }
        let (planes, samples) = match (image.photometric, image.is_planar && image.bands > 1) {
            (Photometric::YbrHalf, _) => (1, 2),
            (_, true) => (u64::from(image.bands), 1),
            (_, false) => (1, u64::from(image.bands)),
        };
        let row = width * samples * image.sample_bytes() as u64;
        let frame = start.saturating_add(before.saturating_mul(planes * row * height));
        let of = |plane: u64| {
            let from = frame.saturating_add(plane * row * height + u64::from(rect.y) * row);
            from..from.saturating_add(u64::from(rect.height) * row)
        };
        let mut ranges: Vec<_> = (0..planes).map(of).collect();
        if is_swapped {
            if let Some(first) = ranges.first_mut() {
                first.start -= (first.start - start) % 2;
            }
            if let Some(last) = ranges.last_mut() {
                last.end = last.end.saturating_add((last.end - start) % 2);
            }
        }
        ranges
    }

    /// How many bits of what [`Dicom::ranges`] gives are of another frame, in front.
    fn skipped_bits(&self, rect: Rect) -> usize {
        let (image, start) = (&self.image, self.pixels.start);
        let is_swapped = is_swapped(image, self.pixels, self.is_big_endian);
        let before = u64::from(self.frame.saturating_sub(1));
        let begun = self.ranges(rect).first().map_or(0, |range| range.start - start) * 8;
        let pixels = u64::from(image.size.0) * u64::from(image.size.1);
        let bits = match image.photometric {
            _ if image.allocated == 1 => before * pixels,
            _ if !is_swapped => begun,
            Photometric::YbrHalf => before * pixels * 16,
            _ => before * pixels * 8 * u64::from(image.bands),
        };
        (bits - begun) as usize
    }

    async fn plain(&self, rect: Rect) -> Result<Vec<u8>, RasterError> {
        let parts = self.expected.read(&self.file, &self.ranges(rect)).await?;
        let (image, is_big) = (self.image.clone(), self.is_big_endian);
        let is_swapped = is_swapped(&image, self.pixels, is_big);
        let pixels = rect.pixels() as usize;
        let skipped = self.skipped_bits(rect);
        in_the_background(move || {
            let turned: Vec<Vec<u8>> = match is_swapped {
                true => {
                    let mut bytes = samples::swapped(&parts.concat());
                    // Of single bits the rest is skipped below.
                    bytes.drain(..skipped / 8);
                    vec![bytes]
                }
                false => Vec::new(),
            };
            let skipped = if is_swapped { skipped % 8 } else { skipped };
            let mut parts: Vec<&[u8]> = match is_swapped {
                true => turned.iter().map(Vec::as_slice).collect(),
                false => parts.iter().map(|part| &part[..]).collect(),
            };
            let plane = pixels * image.sample_bytes();
            if is_swapped && image.is_planar && image.bands > 1 {
                parts = turned[0].chunks_exact(plane).take(image.bands.into()).collect();
            }
            let mut samples = samples::plain(&image, &parts, (pixels, skipped), is_big);
            samples.truncate(plane * usize::from(image.bands));
            samples::keep_stored_bits(&image, &mut samples);
            if image.photometric != Photometric::AsStored {
                samples::to_rgb(&mut samples);
            }
            Ok(samples)
        })
        .await
    }

    /// All pixels of the frame.
    async fn compressed(&self, coding: Coding) -> Result<Vec<u8>, RasterError> {
        let image = &self.image;
        let fragments = self.frames.fragments(&self.file, self.frame).await?;
        let bytes: u64 = fragments.iter().map(|fragment| fragment.end - fragment.start).sum();
        if bytes > self.limits.decode_bytes {
            return Err(RasterError::Limit {
                what: format!("a frame has {bytes} compressed bytes"),
                option: "--max-decode-memory",
                allowed: self.limits.decode_bytes,
            });
        }
        let frame: Bytes = match &self.expected.read(&self.file, &fragments).await?[..] {
            [one] => one.clone(),
            several => several.concat().into(),
        };
        let (image, limits) = (image.clone(), &self.limits);
        let (width, height, bands) = (image.size.0, image.size.1, image.bands);
        let pixels = width as usize * height as usize;
        // The samples, and the bytes of each.
        let mut is_rgb = image.photometric == Photometric::AsStored;
        let (decoded, size) = match coding {
            Coding::Rle => {
                let size = image.sample_bytes();
                let decode = move || rle::decode(&frame, pixels, bands.into(), size);
                (in_the_background(decode).await?, size)
            }
            Coding::Jpeg2000 => {
                let (info, samples) = held::jpeg2000("DICOM", frame, limits).await?;
                is_promised(&image, (info.width, info.height), info.bands)?;
                (samples, info.sample.bytes())
            }
            Coding::Image(codec) => {
                let said = match codec {
                    Codec::Jpeg if bands == 3 => samples::said_jpeg(&image, &frame)?,
                    _ => None,
                };
                is_rgb |= said.is_some();
                let file = said.map_or(frame, Bytes::from);
                let (header, samples) =
                    held::whole(codec, "DICOM", file, limits, &self.decoders).await?;
                let Header { width, height, bands, sample, .. } = header;
                is_promised(&image, (width, height), bands)?;
                if matches!(sample, SampleType::F32 | SampleType::F64) {
                    return Err(corrupt("its pixels are floats, which its header does not say"));
                }
                (samples.to_vec(), sample.bytes())
            }
            Coding::Plain => return Err(corrupt("its pixels are not compressed")),
        };
        in_the_background(move || {
            let mut samples = samples::resized(&decoded, size, image.sample_bytes())?;
            samples::keep_stored_bits(&image, &mut samples);
            if !is_rgb {
                samples::to_rgb(&mut samples);
            }
            Ok(samples)
        })
        .await
    }
}

/// Whether what was decoded is what the elements promise.
fn is_promised(image: &DicomImage, size: (u32, u32), bands: u16) -> Result<(), RasterError> {
    match (size, bands) == (image.size, image.bands) {
        true => Ok(()),
        false => Err(corrupt("its frame has another size than its header says")),
    }
}

async fn in_the_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RasterError> + Send + 'static,
) -> Result<T, RasterError> {
    let permit = cores::permit().await;
    let work = move || {
        let _permit = permit;
        work()
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(corrupt("it could not be decoded")))
}
