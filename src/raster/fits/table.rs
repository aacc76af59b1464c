//! The table that a compressed image lies in (FITS 4.0, 7.3 and 10.1): a row for each tile,
//! which says where its bytes are in the heap behind the table.

use std::ops::Range;

use super::cards::Cards;
use crate::raster::RasterError;
use crate::raster::error::corrupt;

/// Columns of a table (7.3.1).
const MOST_COLUMNS: u64 = 999;

/// Where tiles are, and what is said of each.
#[derive(Debug, Clone)]
pub(super) struct Table {
    start: u64,
    heap: u64,
    end: u64,
    pub(super) row_bytes: u64,
    rows: u64,
    /// Where in a row it is said where bytes are: compressed as the header says, by gzip, or
    /// not at all.
    places: [Option<Place>; 3],
    pub(super) scale: Number,
    pub(super) zero: Number,
    pub(super) blank: Number,
}

/// Where a row says where bytes are.
#[derive(Debug, Clone, Copy)]
struct Place {
    at: usize,
    /// Whether numbers of 64 bits say it, instead of 32.
    is_long: bool,
    /// Bytes of what is counted.
    unit: u64,
}

/// A number that is the same for all tiles, or in a column.
#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    Missing,
    Same(f64),
    Double(usize),
    Long(usize),
}

impl Number {
    /// That of a row.
    pub(super) fn of(self, row: &[u8]) -> Option<f64> {
        match self {
            Number::Missing => None,
            Number::Same(number) => Some(number),
            Number::Double(at) => Some(f64::from_be_bytes(*row.get(at..)?.first_chunk()?)),
            Number::Long(at) => Some(f64::from(i32::from_be_bytes(*row.get(at..)?.first_chunk()?))),
        }
    }
}

impl Table {
    /// The table whose data begin at `start`.
    ///
    /// # Errors
    /// The header does not say how it lies, or that it lies outside of the file.
    pub(super) fn of(cards: &Cards, start: u64, file_bytes: u64) -> Result<Table, RasterError> {
        let (row_bytes, rows) = (cards.count("NAXIS1")?, cards.count("NAXIS2")?);
        let table = row_bytes.saturating_mul(rows);
        let heap = match cards.text("THEAP") {
            Some(_) => cards.count("THEAP")?,
            None => table,
        };
        let end = start.saturating_add(table).saturating_add(cards.count("PCOUNT")?);
        if end > file_bytes {
            return Err(corrupt("it ends early"));
        }
        let number = |keyword| {
            Ok::<_, RasterError>(match cards.number(keyword)? {
                Some(number) => Number::Same(number),
                None => Number::Missing,
            })
        };
        let heap = start.saturating_add(heap);
        let mut found = Table {
            start,
            heap,
            end,
            row_bytes,
            rows,
            places: [None; 3],
            scale: number("ZSCALE")?,
            zero: number("ZZERO")?,
            blank: number("ZBLANK")?,
        };
        found.columns(cards)?;
        Ok(found)
    }

    fn columns(&mut self, cards: &Cards) -> Result<(), RasterError> {
        let mut at = 0usize;
        for column in 1..=cards.count("TFIELDS")?.min(MOST_COLUMNS) {
            let form = cards.text(&format!("TFORM{column}")).unwrap_or_default();
            let digits = form.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(form.len());
            let times: usize = form[..digits].parse().unwrap_or(1);
            let mut letters = form[digits..].chars();
            let (kind, counted) = (letters.next().unwrap_or(' '), letters.next().unwrap_or(' '));
            let is_long = kind == 'Q';
            let unit = match counted {
                'I' => 2,
                'J' | 'E' => 4,
                'K' | 'D' => 8,
                _ => 1,
            };
            let place = matches!(kind, 'P' | 'Q').then_some(Place { at, is_long, unit });
            let number = match kind {
                'D' => Number::Double(at),
                'J' => Number::Long(at),
                _ => Number::Missing,
            };
            match cards.text(&format!("TTYPE{column}")).unwrap_or_default() {
                "COMPRESSED_DATA" => self.places[0] = place,
                "GZIP_COMPRESSED_DATA" => self.places[1] = place,
                "UNCOMPRESSED_DATA" => self.places[2] = place,
                "ZSCALE" => self.scale = number,
                "ZZERO" => self.zero = number,
                "ZBLANK" => self.blank = number,
                _ => {}
            }
            let bytes = match kind {
                'X' => times.div_ceil(8),
                'I' => times.saturating_mul(2),
                'J' | 'E' => times.saturating_mul(4),
                'K' | 'D' | 'C' | 'P' => times.saturating_mul(8),
                'M' | 'Q' => times.saturating_mul(16),
                _ => times,
            };
            at = at.saturating_add(bytes);
        }
        match self.places[0] {
            Some(_) if at as u64 == self.row_bytes => Ok(()),
            _ => Err(corrupt("the table of its tiles is damaged")),
        }
    }

    /// Where the row of a tile is.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn row(&self, tile: u64) -> Result<Range<u64>, RasterError> {
        if tile >= self.rows {
            return Err(corrupt("the table of its tiles ends early"));
        }
        let at = self.start + tile * self.row_bytes;
        Ok(at..at + self.row_bytes)
    }

    /// Which of the three ways a tile is stored in, and where.
    ///
    /// # Errors
    /// Nowhere.
    pub(super) fn place(&self, row: &[u8]) -> Result<(usize, Range<u64>), RasterError> {
        for (way, place) in self.places.iter().enumerate() {
            let Some(place) = place else { continue };
            let number = |at: usize| -> Option<u64> {
                Some(match place.is_long {
                    true => u64::from_be_bytes(*row.get(place.at + at * 8..)?.first_chunk()?),
                    false => {
                        u32::from_be_bytes(*row.get(place.at + at * 4..)?.first_chunk()?).into()
                    }
                })
            };
            let (Some(count), Some(offset)) = (number(0), number(1)) else { continue };
            if count == 0 {
                continue;
            }
            let start = self.heap.saturating_add(offset);
            let end = start.saturating_add(count.saturating_mul(place.unit));
            return match end <= self.end {
                true => Ok((way, start..end)),
                false => Err(corrupt("a tile of it lies outside of the file")),
            };
        }
        Err(corrupt("a tile of it is missing"))
    }
}
