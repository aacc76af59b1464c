//! FITS (4.0): the first image, in rows that are read where they lie.
//!
//! Contract: whole numbers of 8 to 64 bits and floats of 32 and 64 as they are; unsigned
//! ones by BZERO exactly; other scales give floats, as astropy does ([`values`]). Axes from
//! the third on are bands. The first row is the lowest one of the picture, and so it is
//! given out: who shows it turns it round ([`Extras::is_bottom_up`]). What comes before the
//! image is stepped over; what comes behind it is not looked at. The file may have any size,
//! since only the rows under what is asked for are read. One whose tiles are compressed, in the
//! rows of a table, is read tile by tile ([`packed`]).
//!
//! [`Extras::is_bottom_up`]: super::Extras::is_bottom_up

mod cards;
mod info;
mod packed;
mod rice;
mod table;
mod tile;
mod unit;
mod values;

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use self::cards::Cards;
use self::info::info;
use self::unit::{Array, Unit};
use self::values::Values;
use super::error::corrupt;
use super::fetch::Expected;
use super::file::File;
use super::{Limits, Pixels, Raster, RasterError, RasterInfo, Rect, Source, cores};

/// Parts of a file that are stepped over at most; each may cost a request.
const MOST_UNITS: usize = 200;
/// About what a tile of ours has of each plane, and at most of all planes, in bytes.
const PLANE_BYTES: u64 = 1 << 20;
const TILE_BYTES: u64 = 16 << 20;

/// An image as it lies in its file.
#[derive(Debug)]
struct Fits {
    info: RasterInfo,
    file: File,
    expected: Expected,
    values: Values,
    /// Where its values begin.
    start: u64,
}

/// Whether a file that begins like this is one.
pub(super) fn is_fits(head: &[u8]) -> bool {
    let value = head.strip_prefix(b"SIMPLE  = ").and_then(|rest| rest.get(..20));
    value.is_some_and(|value| value.trim_ascii() == b"T")
}

/// Reads headers up to that of the first image, of a file that begins with `head`.
///
/// # Errors
/// They say nothing of an image, or of one that is too large; that of the source.
pub(super) async fn open(
    source: Arc<dyn Source>,
    head: Bytes,
    limits: &Limits,
) -> Result<Arc<dyn Raster>, RasterError> {
    let file = File::new(source, head);
    let mut at = 0;
    for _ in 0..MOST_UNITS {
        if at >= file.size() {
            break;
        }
        let (cards, start) = Cards::read(&file, at).await?;
        let (unit, bytes) = Unit::of(&cards)?;
        at = start.saturating_add(bytes);
        match unit {
            Unit::Image(array) => return image(file, &array, start, at, limits),
            Unit::Compressed => return packed::open(file, &cards, start, limits),
            Unit::Other => {}
        }
    }
    Err(RasterError::Unsupported("FITS without an image is not converted".to_owned()))
}

fn image(
    file: File,
    array: &Array,
    start: u64,
    end: u64,
    limits: &Limits,
) -> Result<Arc<dyn Raster>, RasterError> {
    let values = Values::of(array);
    let row_bytes = array.axes[0].saturating_mul(values.stored_bytes() as u64);
    let of_all = row_bytes.saturating_mul(array.planes());
    let most = PLANE_BYTES / row_bytes.max(1);
    let rows = most.min(TILE_BYTES / of_all.max(1)).clamp(1, array.axes[1]);
    let mut info = info(array, &values, rows as u32)?;
    if info.unsupported.is_none() {
        let bytes = of_all.saturating_mul(array.axes[1]);
        if start.saturating_add(bytes) > file.size() {
            return Err(corrupt("it ends early"));
        }
        if held_bytes(&info, &values) > limits.decode_bytes {
            return Err(RasterError::Limit {
                what: format!("decoding a row of the image takes {of_all} bytes twice"),
                option: "--max-decode-memory",
                allowed: limits.decode_bytes,
            });
        }
    }
    if end < file.size() {
        info.warnings.push("it goes on behind its first image, and only that is shown".to_owned());
    }
    Ok(Arc::new(Fits { info, file, expected: Expected::default(), values, start }))
}

/// What decoding one tile takes: its stored values, and its pixels.
fn held_bytes(info: &RasterInfo, values: &Values) -> u64 {
    let (columns, rows) = info.grid.tile_size;
    let pixel = info.pixel_bytes() + usize::from(info.bands) * values.stored_bytes();
    (u64::from(columns) * u64::from(rows)).saturating_mul(pixel as u64)
}

#[async_trait]
impl Raster for Fits {
    fn info(&self) -> &RasterInfo {
        &self.info
    }

    fn held_bytes(&self) -> u64 {
        held_bytes(&self.info, &self.values)
    }

    async fn expect(&self, level: u8, tiles: &[(u32, u32)]) {
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
        let planes = self.expected.read(&self.file, &self.ranges(rect)).await?;
        let (values, step) = (self.values, self.info.pixel_bytes());
        let permit = cores::permit().await;
        let work = move || {
            let _permit = permit;
            let mut pixels = vec![0; rect.pixels() as usize * step];
            for (stored, first) in planes.iter().zip((0..).step_by(values.sample.bytes())) {
                values.put(stored, &mut pixels[first..], step);
            }
            pixels
        };
        let samples = tokio::task::spawn_blocking(work).await;
        let samples = samples.map_err(|_| corrupt("it could not be decoded"))?;
        Ok(Pixels { rect, samples: samples.into() })
    }
}

impl Fits {
    /// Where the rows of a tile are, in each plane.
    fn ranges(&self, rect: Rect) -> Vec<Range<u64>> {
        let row = u64::from(self.info.width) * self.values.stored_bytes() as u64;
        let plane = row * u64::from(self.info.height);
        let of = |number: u16| {
            let start = self.start + u64::from(number) * plane + u64::from(rect.y) * row;
            start..start + u64::from(rect.height) * row
        };
        (0..self.info.bands).map(of).collect()
    }
}
