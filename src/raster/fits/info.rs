//! What is said of an image, however it is stored.

use super::unit::Array;
use super::values::Values;
use crate::raster::error::corrupt;
use crate::raster::{Color, Extras, RasterError, RasterInfo, TileGrid};

/// Bands that an image may have.
const MOST_BANDS: u64 = 255;

/// What a header says, with tiles of ours that have all columns and so many rows.
///
/// # Errors
/// It has no pixels.
pub(super) fn info(array: &Array, values: &Values, rows: u32) -> Result<RasterInfo, RasterError> {
    let side = |axis: usize| {
        let length = array.axes.get(axis).copied();
        let length = length.and_then(|length| u32::try_from(length).ok());
        length.filter(|length| *length > 0).ok_or_else(|| corrupt("it has no pixels, or too many"))
    };
    let (width, height, planes) = (side(0)?, side(1)?, array.planes());
    let reason = || format!("FITS of {planes} planes is not converted");
    let bands = planes.clamp(1, MOST_BANDS) as u16;
    let sample = values.sample;
    Ok(RasterInfo {
        codec: "fits",
        width,
        height,
        bands,
        sample,
        bit_depth: sample.bytes() as u8 * 8,
        color: if bands == 1 { Color::Gray } else { Color::Bands },
        grid: TileGrid { tile_size: (width, rows.max(1)), ..TileGrid::whole(width, height) },
        levels: 1,
        nodata: values.nodata,
        geo: None,
        unsupported: (planes > MOST_BANDS).then(reason),
        warnings: Vec::new(),
        ranges: None,
        extras: Extras { is_bottom_up: true, ..Extras::default() },
    })
}
