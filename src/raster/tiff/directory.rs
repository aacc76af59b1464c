//! One directory of a file: its entries, and the values that they point to.
//!
//! Contract: what a directory says is believed as far as it lies in the file; an entry of
//! a type that is unknown is left out, as TIFF 6.0 (section 2) asks of readers. Large
//! values are fetched only when somebody asks for them.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;

use super::order::Order;
use crate::raster::RasterError;
use crate::raster::error::corrupt;
use crate::raster::file::File;

/// No directory that makes sense has more entries.
const MOST_ENTRIES: u64 = 4096;
/// What a value may take that is read whole: texts, color maps and the like.
const VALUE_BYTES: u64 = 16 << 20;

/// How offsets and counts are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) order: Order,
    /// BigTIFF.
    pub(super) is_big: bool,
}

/// Where the values of an entry are.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    kind: u16,
    /// How many values it has.
    pub(super) count: u64,
    /// Bytes of one value.
    pub(super) width: u64,
    /// Where they start in the file.
    pub(super) at: u64,
}

/// A directory.
#[derive(Debug, Clone)]
pub(super) struct Directory {
    format: Format,
    entries: BTreeMap<u16, Entry>,
    /// Where the next one is; 0 if there is none.
    pub(super) next: u64,
}

impl Format {
    fn offset_bytes(self) -> u64 {
        if self.is_big { 8 } else { 4 }
    }

    /// What a file's first bytes say, and where its first directory is.
    pub(super) fn of(head: &[u8]) -> Option<(Format, u64)> {
        let (order, rest) = match head.split_at_checked(2)? {
            (b"II", rest) => (Order::Little, rest),
            (b"MM", rest) => (Order::Big, rest),
            _ => return None,
        };
        let number = |from: usize, to: usize| Some(order.number(rest.get(from..to)?));
        match number(0, 2)? {
            42 => Some((Format { order, is_big: false }, number(2, 6)?)),
            43 if number(2, 4)? == 8 => Some((Format { order, is_big: true }, number(6, 14)?)),
            _ => None,
        }
    }
}

impl Entry {
    /// The bytes of the file that have the values `from..to`.
    pub(super) fn range(&self, values: Range<u64>) -> Option<Range<u64>> {
        let start = self.at.checked_add(values.start.checked_mul(self.width)?)?;
        let end = self.at.checked_add(values.end.checked_mul(self.width)?)?;
        Some(start..end)
    }

    fn all(&self) -> Option<Range<u64>> {
        self.range(0..self.count)
    }
}

impl Directory {
    /// Reads the directory at an offset.
    ///
    /// # Errors
    /// It does not lie in the file, or is none; that of the source.
    pub(super) async fn read(file: &File, format: Format, at: u64) -> Result<Self, RasterError> {
        let early = || corrupt("it ends early");
        let (count_bytes, entry_bytes) = if format.is_big { (8, 20) } else { (2, 12) };
        let entries_at = at.checked_add(count_bytes).ok_or_else(early)?;
        let count = format.order.number(&file.read(at..entries_at).await?);
        if count == 0 || count > MOST_ENTRIES {
            return Err(corrupt(format!("it has a directory of {count} entries")));
        }
        let end = entries_at.checked_add(count * entry_bytes).ok_or_else(early)?;
        let bytes = file.read(entries_at..end).await?;
        let mut entries = BTreeMap::new();
        for (number, entry) in bytes.chunks_exact(entry_bytes as usize).enumerate() {
            let place = entries_at + number as u64 * entry_bytes;
            if let Some((tag, entry)) = parse(format, place, entry) {
                // The first of two entries holds, as for libtiff.
                entries.entry(tag).or_insert(entry);
            }
        }
        // Where a file ends behind its last directory, there is no next one.
        let behind = end.saturating_add(format.offset_bytes());
        let next = if behind <= file.size() {
            format.order.number(&file.read(end..behind).await?)
        } else {
            0
        };
        Ok(Directory { format, entries, next })
    }

    /// Where the values of a tag are.
    pub(super) fn entry(&self, tag: u16) -> Option<&Entry> {
        self.entries.get(&tag)
    }

    pub(super) fn has(&self, tag: u16) -> bool {
        self.entries.contains_key(&tag)
    }

    /// How many entries it has.
    pub(super) fn entry_count(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// The bytes of a tag's values; none if it is missing or does not lie in the file.
    pub(super) async fn bytes(&self, file: &File, tag: u16) -> Result<Bytes, RasterError> {
        let Some(entry) = self.entries.get(&tag) else { return Ok(Bytes::new()) };
        match entry.all() {
            Some(range) if range.end <= file.size() && range.end - range.start <= VALUE_BYTES => {
                file.read(range).await
            }
            _ => Ok(Bytes::new()),
        }
    }

    /// The values of a tag as unsigned numbers; none if it is missing or has others.
    pub(super) async fn numbers(&self, file: &File, tag: u16) -> Result<Vec<u64>, RasterError> {
        let Some(entry) = self.entries.get(&tag) else { return Ok(Vec::new()) };
        // BYTE, SHORT, LONG, IFD, LONG8, IFD8, and signed ones that should be none.
        if !matches!(entry.kind, 1 | 3 | 4 | 6 | 8 | 9 | 13 | 16 | 17 | 18) {
            return Ok(Vec::new());
        }
        let bytes = self.bytes(file, tag).await?;
        let order = self.format.order;
        Ok(bytes.chunks_exact(entry.width as usize).map(|value| order.number(value)).collect())
    }

    /// The first of a tag's numbers.
    pub(super) async fn number(&self, file: &File, tag: u16) -> Result<Option<u64>, RasterError> {
        Ok(self.numbers(file, tag).await?.first().copied())
    }

    /// The values of a tag as floats; none if it is missing or has others.
    pub(super) async fn doubles(&self, file: &File, tag: u16) -> Result<Vec<f64>, RasterError> {
        let Some(entry) = self.entries.get(&tag) else { return Ok(Vec::new()) };
        let bytes = self.bytes(file, tag).await?;
        let order = self.format.order;
        let values = bytes.chunks_exact(entry.width as usize).map(|value| order.number(value));
        Ok(match entry.kind {
            5 => {
                let parts = bytes.as_chunks::<8>().0.iter().map(|fraction| fraction.split_at(4));
                parts.map(|(a, b)| order.number(a) as f64 / order.number(b) as f64).collect()
            }
            12 => values.map(f64::from_bits).collect(),
            11 => values.map(|bits| f64::from(f32::from_bits(bits as u32))).collect(),
            1 | 3 | 4 | 16 => values.map(|value| value as f64).collect(),
            _ => Vec::new(),
        })
    }

    /// The values of a tag as a text, up to its first NUL.
    pub(super) async fn text(&self, file: &File, tag: u16) -> Result<Option<String>, RasterError> {
        let Some(2 | 1 | 7) = self.entries.get(&tag).map(|entry| entry.kind) else {
            return Ok(None);
        };
        let bytes = self.bytes(file, tag).await?;
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        Ok(Some(String::from_utf8_lossy(&bytes[..end]).into_owned()))
    }
}

/// The tag of an entry that starts at `place`, and where its values are.
fn parse(format: Format, place: u64, entry: &[u8]) -> Option<(u16, Entry)> {
    let number = |from: usize, to: usize| entry.get(from..to).map(|b| format.order.number(b));
    let tag = number(0, 2)? as u16;
    let kind = number(2, 4)? as u16;
    let width = match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16 | 17 | 18 => 8,
        _ => return None,
    };
    let value = if format.is_big { 12 } else { 8 };
    let count = number(4, value)?;
    let value_bytes = format.offset_bytes();
    let at = match count.checked_mul(width)? <= value_bytes {
        true => place + value as u64,
        false => number(value, value + value_bytes as usize)?,
    };
    Some((tag, Entry { kind, count, width, at }))
}
