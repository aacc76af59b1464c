//! The bytes of a file, as far as they were read: a header is parsed from here.
//!
//! Contract: [`Window::at`] gives any range that lies within the object and asks
//! the source at most once for it; what was read stays, so that the neighbours of
//! a box cost nothing. The number of requests and of bytes is bounded, whatever
//! the file says. Big-endian numbers are read by the functions below.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::raster::error::corrupt;
use crate::raster::{RasterError, Source, SourceError};

/// What one request asks for at least: most headers fit into it.
const READ_BYTES: u64 = 16 << 10;
/// Requests that a header may cost.
const MAX_READS: usize = 24;
/// Bytes that a header may cost.
const MAX_BYTES: u64 = 64 << 20;

/// What was read of a source.
#[derive(Debug)]
pub(super) struct Window {
    source: Arc<dyn Source>,
    /// Each with its offset.
    pieces: Vec<(u64, Bytes)>,
    bytes_read: u64,
}

impl Window {
    /// Starts with the first bytes of the source.
    pub(super) fn new(source: Arc<dyn Source>, head: Bytes) -> Self {
        Window { source, pieces: vec![(0, head)], bytes_read: 0 }
    }

    /// The object's size.
    pub(super) fn size(&self) -> u64 {
        self.source.size()
    }

    /// The source itself.
    pub(super) fn source(&self) -> &Arc<dyn Source> {
        &self.source
    }

    /// `length` bytes from `offset` on, at most as many as there are.
    pub(super) async fn at(&mut self, offset: u64, length: u64) -> Result<Bytes, RasterError> {
        let end = offset.saturating_add(length).min(self.size());
        if offset >= end {
            return Ok(Bytes::new());
        }
        let holds = |(start, piece): &&(u64, Bytes)| {
            *start <= offset && end <= start.saturating_add(piece.len() as u64)
        };
        if let Some((start, piece)) = self.pieces.iter().find(holds) {
            return Ok(piece.slice((offset - start) as usize..(end - start) as usize));
        }
        let read_end = end.max(offset.saturating_add(READ_BYTES)).min(self.size());
        self.bytes_read = self.bytes_read.saturating_add(read_end - offset);
        if self.pieces.len() > MAX_READS || self.bytes_read > MAX_BYTES {
            return Err(RasterError::Unsupported(format!(
                "the image's headers are strewn over more than {MAX_READS} places or {} MiB",
                MAX_BYTES >> 20
            )));
        }
        let piece = read(&*self.source, offset..read_end).await?;
        self.pieces.push((offset, piece.clone()));
        Ok(piece.slice(..(end - offset) as usize))
    }
}

/// Reads a range that must lie within the object, and checks that all of it came.
pub(super) async fn read(source: &dyn Source, range: Range<u64>) -> Result<Bytes, RasterError> {
    let length = within(source, &range)?;
    all_of(length, source.read(range).await)
}

/// As [`read`], and leaves the bytes in memory, see [`Source::read_kept`].
pub(super) async fn read_kept(
    source: &dyn Source,
    range: Range<u64>,
) -> Result<Bytes, RasterError> {
    let length = within(source, &range)?;
    all_of(length, source.read_kept(range).await)
}

/// The length of a range that lies within the object.
fn within(source: &dyn Source, range: &Range<u64>) -> Result<u64, RasterError> {
    if range.start > range.end || range.end > source.size() {
        return Err(corrupt(format!(
            "bytes {} to {} are beyond the end of the file",
            range.start, range.end
        )));
    }
    Ok(range.end - range.start)
}

fn all_of(length: u64, read: Result<Bytes, SourceError>) -> Result<Bytes, RasterError> {
    let bytes = read.map_err(RasterError::Source)?;
    if bytes.len() as u64 != length {
        return Err(corrupt(format!("{} bytes came where {length} were asked", bytes.len())));
    }
    Ok(bytes)
}

/// A byte.
pub(super) fn u8_at(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

/// A number of two bytes.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let word = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes(word.try_into().ok()?))
}

/// A number of four bytes.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(word.try_into().ok()?))
}

/// A number of eight bytes.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let word = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_be_bytes(word.try_into().ok()?))
}
