//! TIFF, BigTIFF and GeoTIFF, read in ranges: the directories, and then only the strips or
//! tiles under what is asked for.
//!
//! Contract: each pixel as the file has it, or a reason why not. Bits of any number become
//! the next larger type, floats of 16 and 24 bits become 32; complex samples are two bands;
//! gray in which white is zero is turned round, with its nodata; a palette stays an index,
//! with its colors apart. Strips and tiles that a file leaves out are nodata, or zero.
//! Overviews are levels, and a mask is an image of its own, in the file or beside it. What an
//! image needs is counted by what a request touches, so the file may have any size.
//!
//! The way of a tile:
//!
//! 1. `chain`, `directory` and `levels` find the image, its overviews and the other pages
//!    ([`open`]); `image` says how it is stored, and whether all of that is decoded here.
//! 2. `geometry` says which strips or tiles our tile is made from, `table` where those are,
//!    and [`fetch`](super::fetch) gets them, neighbours in one request.
//! 3. `decompress`, `fax` and `samples` make samples of them on a thread of its own; those
//!    that are images of their own go to `nested`, and from there to where decoders run.
//! 4. `place` puts the samples where they belong.

mod beside;
mod chain;
mod compression;
mod decompress;
mod directory;
mod fax;
mod geometry;
mod image;
mod lerc;
mod level;
mod levels;
mod nested;
mod order;
mod place;
mod samples;
mod table;
mod tag;
mod ycbcr;

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Mutex;

use self::chain::Chain;
use self::compression::Compression;
use self::decompress::{Size, decompress};
use self::directory::{Directory, Format};
pub(super) use self::geometry::{Chunk, Geometry};
use self::image::TiffImage;
use self::level::{Home, Level};
use self::levels::Found;
pub(super) use self::place::{Canvas, Part};
use self::samples::Rows;
use super::error::corrupt;
use super::file::File;
use super::{
    Carried, Color, Decoders, Extras, GeoTags, Limits, Page, Picture, Pixels, Raster, RasterError,
    RasterInfo, Rect, SampleType, Source, TileGrid, cores,
};

/// Tiles are small: so many neighbours are worth one request.
const TILES_JOINED: u8 = 16;

/// An image whose directories were read.
#[derive(Debug)]
struct Tiff {
    info: RasterInfo,
    picture: Picture,
    levels: Vec<Level>,
    /// Which pixels are valid, at those levels where that is said.
    mask: Option<Arc<Tiff>>,
    /// What pixels are that the file leaves out.
    blank: Vec<u8>,
    held_bytes: u64,
    /// Where the other pages are; `None` for one of those.
    pages: Option<Mutex<Pages>>,
    decoders: Arc<dyn Decoders>,
    limits: Limits,
}

/// The pages that were found, and where to look for more.
#[derive(Debug)]
struct Pages {
    chain: Chain,
    /// What was read last on the way, and nothing else.
    file: Option<File>,
}

/// Whether a file that begins like this is one.
pub(super) fn is_tiff(head: &[u8]) -> bool {
    Format::of(head).is_some()
}

/// Reads the directories of a file that starts with `head`.
///
/// # Errors
/// They say nothing of an image, or of one that is too large; that of the source.
pub(super) async fn open(
    source: Arc<dyn Source>,
    head: Bytes,
    limits: &Limits,
    decoders: &Arc<dyn Decoders>,
) -> Result<Arc<dyn Raster>, RasterError> {
    let (format, first) = Format::of(&head).ok_or(RasterError::NotAnImage)?;
    let home = Home::new(File::new(source.clone(), head));
    let (mut found, chain) = levels::find(&home, format, first).await?;
    beside::add(&*source, &mut found).await?;
    let page = Page::first(chain.count());
    let pages = Pages { chain, file: None };
    let tiff = Tiff::new(found, page, Some(pages), limits, decoders).await?;
    Ok(Arc::new(tiff))
}

/// What decoding one of our tiles takes.
fn held_bytes(image: &TiffImage) -> u64 {
    let geometry = &image.geometry;
    let (columns, rows) = geometry.grid.tile_size;
    let tile = (u64::from(columns) * u64::from(rows)).saturating_mul(image.pixel_bytes() as u64);
    let chunk = match image.compression {
        Compression::None => 0,
        _ => {
            let row = u64::from(geometry.chunk.0).saturating_mul(image.pixel_bytes() as u64);
            let chunk = row.saturating_mul(geometry.chunk.1.into());
            // Its values are worked out as floats of 64 bits.
            let times = if image.compression == Compression::Lerc { 16 } else { 1 };
            chunk.saturating_mul(times)
        }
    };
    tile.saturating_mul(2).saturating_add(chunk)
}

async fn info(found: &Found, page: Page) -> Result<RasterInfo, RasterError> {
    let (main, image, file) = (&found.main, &*found.levels[0].image, &found.levels[0].home.file);
    let bits = image.stored.bits;
    let nodata = main.text(file, tag::GDAL_NODATA).await?;
    let spelled = nodata.clone().filter(|_| !image.decoding.is_inverted);
    let nodata = nodata.and_then(|text| nodata_of(&text));
    let largest = largest(image);
    let masks = found.masks_of_levels();
    let mask = masks.iter().flatten().next();
    let bands = u16::try_from(image.bands());
    let too_many = bands.is_err().then(|| "TIFF of so many bands is not converted".to_owned());
    let extra = main.numbers(file, tag::EXTRA_SAMPLES).await?;
    let color_map = match &image.palette {
        Some(palette) => {
            let values = main.numbers(file, tag::COLOR_MAP).await?;
            let values = values.into_iter().take(3 * palette.len()).map(|value| value as u16);
            let values: Vec<u16> = values.collect();
            // Some writers give them 8 bits, which not every reader of the sibling knows.
            if values.iter().all(|value| *value < 256) { Vec::new() } else { values }
        }
        None => Vec::new(),
    };
    let carried = Carried {
        color_map,
        gdal_metadata: main.text(file, tag::GDAL_METADATA).await?.unwrap_or_default(),
        nodata: spelled.unwrap_or_default(),
        rpc: main.doubles(file, tag::RPC_COEFFICIENTS).await?,
        extra_samples: extra.into_iter().map(|meaning| meaning as u16).collect(),
    };
    Ok(RasterInfo {
        codec: "tiff",
        width: image.geometry.width,
        height: image.geometry.height,
        bands: bands.unwrap_or(u16::MAX),
        sample: image.sample,
        bit_depth: match image.sample.bytes() as u16 * 8 {
            whole if image.stored.kind == image::Kind::Float => whole as u8,
            _ => bits as u8,
        },
        color: image.color,
        grid: image.geometry.grid,
        levels: count(&found.levels),
        nodata: nodata
            .map(|value| if image.decoding.is_inverted { largest - value } else { value }),
        geo: geo_tags(file, main).await?,
        unsupported: image.unsupported.clone().or(too_many),
        ranges: None,
        warnings: image.chunks.warning().into_iter().chain(found.warnings.clone()).collect(),
        extras: Extras {
            overviews: overviews(&found.levels),
            palette: image.palette.clone(),
            is_complex: image.stored.is_complex,
            compression: Some(image.compression.name()),
            page: Some(page),
            is_bottom_up: false,
            window: None,
            masked: masks.iter().map(Option::is_some).collect(),
            has_mask_of_each_band: mask.is_some_and(|mask| mask.image.samples > 1),
            beside: found.beside.clone(),
            carried,
        },
    })
}

/// How many levels are given out.
fn count(levels: &[Level]) -> u8 {
    levels.len().min(usize::from(u8::MAX)) as u8
}

/// The tiles of each level from 1 on.
fn overviews(levels: &[Level]) -> Vec<TileGrid> {
    levels[1..].iter().map(|level| level.image.geometry.grid).collect()
}

/// What is said of a mask with these levels.
fn mask_info(levels: &[Level]) -> RasterInfo {
    let image = &*levels[0].image;
    let color = if image.samples == 1 { Color::Gray } else { Color::Bands };
    RasterInfo {
        codec: "tiff",
        width: image.geometry.width,
        height: image.geometry.height,
        bands: image.samples,
        sample: SampleType::U8,
        bit_depth: 8,
        color,
        grid: image.geometry.grid,
        levels: count(levels),
        nodata: None,
        geo: None,
        unsupported: None,
        warnings: Vec::new(),
        ranges: None,
        extras: Extras {
            overviews: overviews(levels),
            compression: Some(image.compression.name()),
            ..Extras::default()
        },
    }
}

/// How its picture is to be shown. A profile is read if it may be of such colors.
async fn picture(file: &File, main: &Directory, info: &RasterInfo) -> Result<Picture, RasterError> {
    let orientation = main.number(file, tag::ORIENTATION).await?.unwrap_or(1);
    let orientation = u8::try_from(orientation).unwrap_or(1);
    let may_have = matches!(info.color, Color::Gray | Color::GrayAlpha | Color::Rgb | Color::Rgba)
        && matches!(info.sample, SampleType::U8 | SampleType::U16)
        && info.unsupported.is_none();
    let entry = main.entry(tag::ICC_PROFILE).filter(|entry| may_have && entry.width == 1);
    let profile = match entry.map(|entry| entry.count) {
        Some(0..=MAX_PROFILE_BYTES) => main.bytes(file, tag::ICC_PROFILE).await?.to_vec(),
        _ => Vec::new(),
    };
    Ok(Picture { orientation, profile }.of_colors(info.color, info.sample))
}

/// The largest color profile that is read, in bytes.
const MAX_PROFILE_BYTES: u64 = 1 << 20;

/// Nodata as GDAL writes it, also as its builds for Windows did.
fn nodata_of(text: &str) -> Option<f64> {
    let text = text.trim();
    match text.to_ascii_lowercase().as_str() {
        "1.#qnan" | "-1.#qnan" | "1.#ind" | "-1.#ind" | "-nan" => Some(f64::NAN),
        "1.#inf" => Some(f64::INFINITY),
        "-1.#inf" => Some(f64::NEG_INFINITY),
        _ => text.parse().ok(),
    }
}

/// A pixel that holds no measurement, or one that is stored as zero.
fn blank(info: &RasterInfo, image: &TiffImage) -> Vec<u8> {
    let zero = if image.decoding.is_inverted { largest(image) } else { 0.0 };
    info.sample.value(info.nodata.unwrap_or(zero)).repeat(info.bands.into())
}

/// The largest value that an unsigned sample can have as it is stored.
fn largest(image: &TiffImage) -> f64 {
    (u64::MAX >> (64 - u32::from(image.stored.bits.clamp(1, 64)))) as f64
}

async fn geo_tags(file: &File, main: &Directory) -> Result<Option<GeoTags>, RasterError> {
    let keys = main.numbers(file, tag::GEO_KEY_DIRECTORY).await?;
    let geo = GeoTags {
        pixel_scale: main.doubles(file, tag::MODEL_PIXEL_SCALE).await?,
        tiepoints: main.doubles(file, tag::MODEL_TIEPOINT).await?,
        transformation: main.doubles(file, tag::MODEL_TRANSFORMATION).await?,
        key_directory: keys.into_iter().map(|key| key as u16).collect(),
        double_params: main.doubles(file, tag::GEO_DOUBLE_PARAMS).await?,
        ascii_params: main.text(file, tag::GEO_ASCII_PARAMS).await?.unwrap_or_default(),
    };
    Ok((geo != GeoTags::default()).then_some(geo))
}

#[async_trait]
impl Raster for Tiff {
    fn info(&self) -> &RasterInfo {
        &self.info
    }

    fn held_bytes(&self) -> u64 {
        self.held_bytes
    }

    fn picture(&self) -> Option<&Picture> {
        Some(&self.picture)
    }

    async fn page(&self, number: u32) -> Result<Option<Arc<dyn Raster>>, RasterError> {
        let Some(pages) = &self.pages else { return Ok(None) };
        let mut pages = pages.lock().await;
        let Pages { chain, file } = &mut *pages;
        let own = &self.levels[0].home.file;
        while chain.page(number).is_none() && chain.goes_on() {
            let file = file.get_or_insert_with(|| own.again());
            chain.step(file).await?;
            file.keep_last();
        }
        let Some(at) = chain.page(number) else { return Ok(None) };
        // What was read on the way has this directory, or what was read to open the file.
        let way = file.as_ref().filter(|file| file.here(&(at..at.saturating_add(2))).is_some());
        let (file, format) = (way.unwrap_or(own).again(), chain.format());
        drop(pages);
        let found = levels::page(&Home::new(file), format, at).await?;
        let page = self.info.extras.page.map(|first| Page { number, ..first });
        let Some(page) = page else { return Ok(None) };
        let tiff = Tiff::new(found, page, None, &self.limits, &self.decoders).await?;
        Ok(Some(Arc::new(tiff)))
    }

    fn mask(&self) -> Option<Arc<dyn Raster>> {
        self.mask.clone().map(|mask| mask as Arc<dyn Raster>)
    }

    fn expect_no_more(&self) {
        for level in &self.levels {
            level.home.expected.forget_all();
        }
    }

    fn tiles_joined(&self) -> u8 {
        TILES_JOINED
    }

    async fn expect(&self, level: u8, tiles: &[(u32, u32)]) {
        let Some(level) = self.levels.get(usize::from(level)) else { return };
        let grid = &level.image.geometry.grid;
        let mut all = Vec::new();
        for &(column, row) in tiles.iter().filter(|at| at.0 < grid.columns() && at.1 < grid.rows())
        {
            // Whoever decodes a tile is told what is wrong with it.
            if let Ok((_, ranges)) = self.places(level, grid.tile(0, column, row)).await {
                all.extend(ranges);
            }
        }
        level.home.expected.note(&all);
    }

    async fn decode_tile(&self, level: u8, column: u32, row: u32) -> Result<Pixels, RasterError> {
        if let Some(reason) = &self.info.unsupported {
            return Err(RasterError::Unsupported(reason.clone()));
        }
        let here = self.levels.get(usize::from(level)).filter(|level| {
            let grid = &level.image.geometry.grid;
            column < grid.columns() && row < grid.rows()
        });
        let here = here.ok_or_else(|| {
            RasterError::Unsupported(format!("there is no tile {column}, {row} at level {level}"))
        })?;
        let Level { image, home } = here;
        let rect = image.geometry.grid.tile(0, column, row);
        let (chunks, ranges) = self.places(here, rect).await?;
        let bytes = home.expected.read(&home.file, &ranges).await?;
        let chunks: Vec<(Chunk, Bytes)> = chunks.into_iter().zip(bytes).collect();
        let parts = match image.compression.is_nested() {
            true => Ok(self.nested(image, &chunks).await?),
            false => Err(chunks),
        };
        let (image, blank) = (image.clone(), self.blank.clone());
        let permit = cores::permit().await;
        let work = move || {
            let _permit = permit;
            pixels(&image, rect, &blank, parts)
        };
        let samples = tokio::task::spawn_blocking(work).await;
        let samples = samples.unwrap_or_else(|_| Err(corrupt("it could not be decoded")))?;
        Ok(Pixels { rect, samples: samples.into() })
    }
}

impl Tiff {
    /// The image that was found, if it is within the limits.
    async fn new(
        found: Found,
        page: Page,
        pages: Option<Pages>,
        limits: &Limits,
        decoders: &Arc<dyn Decoders>,
    ) -> Result<Self, RasterError> {
        let info = info(&found, page).await?;
        let picture = picture(&found.levels[0].home.file, &found.main, &info).await?;
        let blank = blank(&info, &found.levels[0].image);
        let masks: Vec<Level> = found.masks_of_levels().into_iter().flatten().collect();
        let tiff = Tiff::of(info, found.levels, blank, limits, decoders)?;
        let mask = match masks.is_empty() {
            true => None,
            false => {
                let info = mask_info(&masks);
                let blank = vec![0; info.pixel_bytes()];
                Some(Arc::new(Tiff::of(info, masks, blank, limits, decoders)?))
            }
        };
        Ok(Tiff { picture, mask, pages: pages.map(Mutex::new), ..tiff })
    }

    /// An image with these levels, if it is within the limits.
    fn of(
        info: RasterInfo,
        levels: Vec<Level>,
        blank: Vec<u8>,
        limits: &Limits,
        decoders: &Arc<dyn Decoders>,
    ) -> Result<Self, RasterError> {
        let held_bytes = levels.iter().map(|level| held_bytes(&level.image)).max().unwrap_or(0);
        if info.unsupported.is_none() && held_bytes > limits.decode_bytes {
            return Err(RasterError::Limit {
                what: format!("decoding one tile or strip takes {held_bytes} bytes"),
                option: "--max-decode-memory",
                allowed: limits.decode_bytes,
            });
        }
        Ok(Tiff {
            info,
            picture: Picture { orientation: 1, ..Picture::default() },
            levels,
            mask: None,
            blank,
            held_bytes,
            pages: None,
            decoders: decoders.clone(),
            limits: *limits,
        })
    }

    /// The strips or tiles that have pixels of a rectangle, and where their bytes are: those
    /// that the file has.
    async fn places(
        &self,
        Level { image, home }: &Level,
        rect: Rect,
    ) -> Result<(Vec<Chunk>, Vec<Range<u64>>), RasterError> {
        let (mut chunks, mut ranges, mut total) = (Vec::new(), Vec::new(), 0u64);
        for mut chunk in image.geometry.chunks(rect) {
            let row_bytes = image.stored_row_bytes(chunk.rect.width);
            let all = image.stored_bytes(chunk.rect.width, chunk.rect.height);
            let place = image.chunks.place(&home.file, chunk.index, all).await?;
            let Some(mut place) = place else { continue };
            if image.is_raw() {
                let wanted = chunk.rect.intersection(&rect);
                let skipped = u64::from(wanted.y - chunk.rect.y) * row_bytes;
                let bytes = u64::from(wanted.height) * row_bytes;
                chunk.rect.y = wanted.y;
                chunk.rect.height = wanted.height;
                if place.end - place.start < skipped + bytes {
                    return Err(corrupt("a strip or tile of it ends early"));
                }
                place = place.start + skipped..place.start + skipped + bytes;
            }
            total = total.saturating_add(place.end - place.start);
            chunks.push(chunk);
            ranges.push(place);
        }
        if total > self.limits.decode_bytes {
            return Err(RasterError::Limit {
                what: format!("a tile or strip has {total} compressed bytes"),
                option: "--max-decode-memory",
                allowed: self.limits.decode_bytes,
            });
        }
        Ok((chunks, ranges))
    }

    async fn nested(
        &self,
        image: &TiffImage,
        chunks: &[(Chunk, Bytes)],
    ) -> Result<Vec<Part>, RasterError> {
        let mut parts = Vec::with_capacity(chunks.len());
        for (chunk, bytes) in chunks {
            let decoded =
                nested::decode(image, bytes.clone(), &self.limits, &self.decoders).await?;
            let (columns, rows, samples) = decoded;
            let mut chunk = *chunk;
            if columns < chunk.rect.width.min(image.geometry.width - chunk.rect.x) {
                return Err(corrupt("a strip or tile has fewer columns than its directory says"));
            }
            (chunk.rect.width, chunk.rect.height) = (columns, rows.min(chunk.rect.height));
            parts.push(Part { chunk, samples });
        }
        Ok(parts)
    }
}

/// The pixels of a rectangle, from decoded parts or from bytes that are to be decoded.
fn pixels(
    image: &TiffImage,
    rect: Rect,
    blank: &[u8],
    parts: Result<Vec<Part>, Vec<(Chunk, Bytes)>>,
) -> Result<Vec<u8>, RasterError> {
    let mut canvas = Canvas::filled(rect, blank);
    let parallel = if image.stored.is_complex { 2 } else { 1 };
    let part_bytes = usize::from(image.chunk_samples()) * parallel * image.sample.bytes();
    let mut put = |mut part: Part| {
        if image.decoding.is_inverted {
            samples::invert(&mut part.samples, image.sample, image.stored.bits);
        }
        if image.decoding.is_mask && image.stored.bits == 1 {
            part.samples.iter_mut().for_each(|valid| *valid *= 255);
        }
        canvas.put(&part, part_bytes)
    };
    match parts {
        Ok(parts) => parts.into_iter().try_for_each(&mut put)?,
        Err(chunks) => {
            for (chunk, bytes) in chunks {
                put(Part { chunk, samples: decoded(image, &chunk, &bytes)? })?;
            }
        }
    }
    Ok(canvas.done())
}

/// The samples of a strip or tile, as far as its bytes go.
fn decoded(image: &TiffImage, chunk: &Chunk, bytes: &[u8]) -> Result<Vec<u8>, RasterError> {
    let Rect { width, height, .. } = chunk.rect;
    if image.compression == Compression::Lerc {
        let mut samples = lerc::decode(image, bytes, width, height)?;
        // libtiff swaps the bytes of samples before it compresses them.
        image.stored.order.to_native(&mut samples, image.sample.bytes());
        return Ok(samples);
    }
    let row_bytes = image.stored_row_bytes(width);
    let size = Size {
        bytes: usize::try_from(image.stored_bytes(width, height)).unwrap_or(usize::MAX),
        columns: width,
        rows: height,
    };
    let mut bytes = decompress(image.compression, &image.decoding, bytes, size)?;
    if let Some(ycbcr) = image.decoding.ycbcr.as_ref().filter(|ycbcr| ycbcr.sampling != (1, 1)) {
        return Ok(ycbcr.rgb(&bytes, width, height));
    }
    bytes.truncate(bytes.len() - bytes.len() % row_bytes.max(1) as usize);
    let parts = if image.stored.is_complex { 2 } else { 1 };
    let rows = Rows {
        columns: width as usize,
        samples: usize::from(image.chunk_samples()) * parts,
        stored: image.stored,
        sample: image.sample,
    };
    rows.undo(&mut bytes, image.decoding.predictor);
    Ok(match &image.decoding.ycbcr {
        Some(ycbcr) => ycbcr.rgb(&bytes, width, height),
        None => rows.unpack(bytes, image.decoding.predictor),
    })
}
