//! What one part of a FITS file (header and data unit) is: an image, or something to step
//! over (FITS 4.0, 4.4.1, 6 and 7).

use super::cards::{BLOCK_BYTES, Cards};
use crate::raster::RasterError;
use crate::raster::error::corrupt;

/// An array of any number of axes; more than so many is none.
const MOST_AXES: u64 = 999;

/// The array of an image as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Array {
    /// Bits of a value; negative for floats.
    pub(super) bitpix: i64,
    /// The length of each axis, columns first.
    pub(super) axes: Vec<u64>,
    /// What stored values are multiplied with.
    pub(super) scale: f64,
    /// What is added to them then.
    pub(super) zero: f64,
    /// The stored whole number that stands for no measurement.
    pub(super) blank: Option<i64>,
}

impl Array {
    /// What a header says, with `prefix` in front of BITPIX and NAXIS.
    ///
    /// # Errors
    /// It does not say it.
    pub(super) fn of(cards: &Cards, prefix: &str) -> Result<Array, RasterError> {
        let keyword = format!("{prefix}BITPIX");
        let bitpix = cards.whole(&keyword)?;
        let bitpix = bitpix.ok_or_else(|| corrupt(format!("it has no {keyword}")))?;
        if !matches!(bitpix, 8 | 16 | 32 | 64 | -32 | -64) {
            return Err(corrupt(format!("{keyword} is {bitpix}, which no value has")));
        }
        let count = cards.count(&format!("{prefix}NAXIS"))?;
        if count > MOST_AXES {
            return Err(corrupt(format!("it has {count} axes")));
        }
        let length = |axis| cards.count(&format!("{prefix}NAXIS{axis}"));
        Ok(Array {
            bitpix,
            axes: (1..=count).map(length).collect::<Result<_, _>>()?,
            scale: cards.number("BSCALE")?.unwrap_or(1.0),
            zero: cards.number("BZERO")?.unwrap_or(0.0),
            blank: if bitpix > 0 { cards.whole("BLANK")? } else { None },
        })
    }

    /// Bytes of a value.
    pub(super) fn value_bytes(&self) -> usize {
        self.bitpix.unsigned_abs() as usize / 8
    }

    /// Values of all axes from the third on: the planes of an image.
    pub(super) fn planes(&self) -> u64 {
        self.axes.iter().skip(2).copied().fold(1, u64::saturating_mul)
    }

    fn values(&self) -> u64 {
        match self.axes.is_empty() {
            true => 0,
            false => self.axes.iter().copied().fold(1, u64::saturating_mul),
        }
    }

    fn is_picture(&self) -> bool {
        self.axes.len() >= 2 && self.values() > 0
    }
}

/// A part of a file.
#[derive(Debug, PartialEq)]
pub(super) enum Unit {
    /// An image as it is.
    Image(Array),
    /// An image that is compressed, in the rows of a table.
    Compressed,
    /// Nothing that is shown.
    Other,
}

impl Unit {
    /// What a part is, by its header; and how many bytes its data have, with their padding.
    ///
    /// # Errors
    /// The header does not say how long they are.
    pub(super) fn of(cards: &Cards) -> Result<(Unit, u64), RasterError> {
        let array = Array::of(cards, "")?;
        let more = |keyword, otherwise| {
            Ok::<_, RasterError>(match cards.text(keyword) {
                Some(_) => cards.count(keyword)?,
                None => otherwise,
            })
        };
        let (parameters, groups) = (more("PCOUNT", 0)?, more("GCOUNT", 1)?);
        // Random groups have an empty first axis (6.1.1).
        let is_grouped = cards.is_true("GROUPS") && array.axes.first() == Some(&0);
        let values = match is_grouped {
            true => array.axes[1..].iter().copied().fold(1, u64::saturating_mul),
            false => array.values(),
        };
        let bytes = groups
            .saturating_mul(parameters.saturating_add(values))
            .saturating_mul(array.value_bytes() as u64);
        let padded = bytes.div_ceil(BLOCK_BYTES).saturating_mul(BLOCK_BYTES);
        let unit = match cards.text("XTENSION") {
            None | Some("IMAGE") if array.is_picture() && !is_grouped => Unit::Image(array),
            Some("BINTABLE") if cards.is_true("ZIMAGE") => Unit::Compressed,
            _ => Unit::Other,
        };
        Ok((unit, padded))
    }
}
