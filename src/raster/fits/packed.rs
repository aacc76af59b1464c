//! An image whose tiles are compressed, each in a row of a table (FITS 4.0, 10).

use std::sync::Arc;

use async_trait::async_trait;

use super::cards::Cards;
use super::info::info;
use super::table::Table;
use super::tile::{Coding, Said};
use super::unit::Array;
use super::values::Values;
use crate::raster::error::corrupt;
use crate::raster::fetch::Expected;
use crate::raster::file::File;
use crate::raster::tiff::{Canvas, Chunk, Geometry, Part};
use crate::raster::{Limits, Pixels, Raster, RasterError, RasterInfo, cores};

/// What a value takes while a tile is decompressed, in bytes.
const VALUE_BYTES: u64 = 16;

/// An image in a table.
#[derive(Debug)]
struct Packed {
    info: RasterInfo,
    file: File,
    expected: Expected,
    geometry: Geometry,
    values: Values,
    table: Table,
    coding: Coding,
    held_bytes: u64,
}

/// An image of which only the header is given out.
#[derive(Debug)]
struct HeaderAlone(RasterInfo);

/// The image whose table begins at `start`.
///
/// # Errors
/// Its header is damaged, or a tile is too large.
pub(super) fn open(
    file: File,
    cards: &Cards,
    start: u64,
    limits: &Limits,
) -> Result<Arc<dyn Raster>, RasterError> {
    let mut array = Array::of(cards, "Z")?;
    if array.axes.len() < 2 {
        let reason = "FITS whose compressed image has one axis is not converted".to_owned();
        return Err(RasterError::Unsupported(reason));
    }
    if array.blank.is_none() && array.bitpix > 0 {
        array.blank = cards.whole("ZBLANK")?;
    }
    let values = Values::of(&array);
    let mut info = info(&array, &values, 1)?;
    let side = |axis: u64, usual: u64| match cards.text(&format!("ZTILE{axis}")) {
        Some(_) => cards.count(&format!("ZTILE{axis}")),
        None => Ok(usual),
    };
    let sides = (side(1, array.axes[0])?, side(2, 1)?);
    let depths = (3..=array.axes.len() as u64).map(|axis| side(axis, 1));
    let is_flat = depths.collect::<Result<Vec<_>, _>>()?.iter().all(|depth| *depth <= 1);
    let coding = Coding::of(cards, array.bitpix)?;
    let coding = match (coding, info.unsupported.take()) {
        (_, Some(reason)) | (Err(reason), None) => Err(reason),
        (Ok(_), None) if !is_flat => {
            Err("FITS compressed in tiles of several planes is not converted".to_owned())
        }
        (Ok(coding), None) => Ok(coding),
    };
    let coding = match coding {
        Ok(coding) => coding,
        Err(reason) => {
            info.unsupported = Some(reason);
            return Ok(Arc::new(HeaderAlone(info)));
        }
    };
    let (width, height) = (info.width, info.height);
    let cut = |side: u64, all: u32| side.clamp(1, all.into()) as u32;
    let chunk = (cut(sides.0, width), cut(sides.1, height));
    let mut geometry = Geometry::new((width, height), chunk, true, info.bands);
    geometry.plan_grid(info.pixel_bytes(), false);
    info.grid = geometry.grid;
    let pixels = |(columns, rows): (u32, u32)| u64::from(columns) * u64::from(rows);
    let tile = pixels(info.grid.tile_size).saturating_mul(info.pixel_bytes() as u64);
    let held_bytes = tile.saturating_add(pixels(chunk).saturating_mul(VALUE_BYTES));
    if held_bytes > limits.decode_bytes {
        return Err(RasterError::Limit {
            what: format!("decoding one tile takes {held_bytes} bytes"),
            option: "--max-decode-memory",
            allowed: limits.decode_bytes,
        });
    }
    let table = Table::of(cards, start, file.size())?;
    let expected = Expected::default();
    Ok(Arc::new(Packed { info, file, expected, geometry, values, table, coding, held_bytes }))
}

#[async_trait]
impl Raster for HeaderAlone {
    fn info(&self) -> &RasterInfo {
        &self.0
    }

    fn held_bytes(&self) -> u64 {
        0
    }

    async fn decode_tile(&self, _: u8, _: u32, _: u32) -> Result<Pixels, RasterError> {
        Err(RasterError::Unsupported(self.0.unsupported.clone().unwrap_or_default()))
    }
}

#[async_trait]
impl Raster for Packed {
    fn info(&self) -> &RasterInfo {
        &self.info
    }

    fn held_bytes(&self) -> u64 {
        self.held_bytes
    }

    async fn decode_tile(&self, level: u8, column: u32, row: u32) -> Result<Pixels, RasterError> {
        let grid = &self.info.grid;
        if level != 0 || column >= grid.columns() || row >= grid.rows() {
            let reason = format!("there is no tile {column}, {row} at level {level}");
            return Err(RasterError::Unsupported(reason));
        }
        let rect = grid.tile(0, column, row);
        let chunks = self.geometry.chunks(rect);
        let rows: Vec<_> =
            chunks.iter().map(|chunk| self.table.row(chunk.index)).collect::<Result<_, _>>()?;
        let rows = self.expected.read(&self.file, &rows).await?;
        let (mut said, mut places) = (Vec::new(), Vec::new());
        for (chunk, row) in chunks.into_iter().zip(&rows) {
            let (column, place) = self.table.place(row)?;
            let chunk = self.cut(chunk);
            places.push(place);
            let tile = Said {
                index: chunk.index,
                values: chunk.rect.pixels() as usize,
                column,
                scale: self.table.scale.of(row),
                zero: self.table.zero.of(row).unwrap_or(0.0),
                blank: self.table.blank.of(row),
            };
            said.push((chunk, tile));
        }
        let bytes: u64 = places.iter().map(|place| place.end - place.start).sum();
        if bytes > self.held_bytes.saturating_mul(2) {
            return Err(corrupt("a tile of it has more bytes than pixels"));
        }
        let coded = self.expected.read(&self.file, &places).await?;
        let (coding, values, pixel_bytes) = (self.coding, self.values, self.info.pixel_bytes());
        let permit = cores::permit().await;
        let work = move || {
            let _permit = permit;
            let mut canvas = Canvas::filled(rect, &vec![0; pixel_bytes]);
            let sample_bytes = values.sample.bytes();
            for ((chunk, tile), coded) in said.into_iter().zip(coded) {
                let stored = coding.decode(&coded, tile)?;
                let mut samples = vec![0; tile.values * sample_bytes];
                values.put(&stored, &mut samples, sample_bytes);
                canvas.put(&Part { chunk, samples }, sample_bytes)?;
            }
            Ok(canvas.done())
        };
        let samples = tokio::task::spawn_blocking(work).await;
        let samples = samples.unwrap_or_else(|_| Err(corrupt("it could not be decoded")))?;
        Ok(Pixels { rect, samples: samples.into() })
    }
}

impl Packed {
    /// A tile ends where the image does.
    fn cut(&self, mut chunk: Chunk) -> Chunk {
        chunk.rect.width = chunk.rect.width.min(self.info.width - chunk.rect.x);
        chunk.rect.height = chunk.rect.height.min(self.info.height - chunk.rect.y);
        chunk
    }
}
