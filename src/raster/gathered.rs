//! A file of which only some ranges were read, for parsers of headers.
//!
//! Mechanism: a parser reads until it meets a byte that is not there, which is
//! noted; the range behind it is fetched, more each time, and the parser starts
//! again. So a header costs no more than its own ranges, wherever they lie.

use std::io::{BufRead, Error, ErrorKind, Read, Result as IoResult, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;

use super::{RasterError, Source};

/// What is fetched first; four times as much each time after.
const FIRST_BYTES: u64 = 64 << 10;
const LARGEST_BYTES: u64 = 4 << 20;
/// A header that needs more than this is none.
const FETCHES: usize = 12;

/// Ranges of a file, as something to read from.
#[derive(Debug)]
pub(super) struct Gathered {
    size: u64,
    pieces: Vec<(u64, Bytes)>,
    position: u64,
    missing: Option<u64>,
}

impl Gathered {
    fn new(size: u64, head: Bytes) -> Self {
        Gathered { size, pieces: vec![(0, head)], position: 0, missing: None }
    }

    /// The bytes from `at` on, as far as they are there in one piece.
    fn from(&self, at: u64) -> Option<&[u8]> {
        self.pieces.iter().rev().find_map(|(start, piece)| {
            let within = usize::try_from(at.checked_sub(*start)?).ok()?;
            piece.get(within..).filter(|rest| !rest.is_empty())
        })
    }
}

impl BufRead for Gathered {
    fn fill_buf(&mut self) -> IoResult<&[u8]> {
        if self.position >= self.size {
            return Ok(&[]);
        }
        if self.from(self.position).is_none() {
            self.missing.get_or_insert(self.position);
            return Err(Error::new(ErrorKind::UnexpectedEof, "not read yet"));
        }
        Ok(self.from(self.position).unwrap_or_default())
    }

    fn consume(&mut self, bytes: usize) {
        self.position = self.position.saturating_add(bytes as u64);
    }
}

impl Read for Gathered {
    fn read(&mut self, buffer: &mut [u8]) -> IoResult<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let there = self.fill_buf()?;
        let bytes = there.len().min(buffer.len());
        buffer[..bytes].copy_from_slice(&there[..bytes]);
        self.consume(bytes);
        Ok(bytes)
    }
}

impl Seek for Gathered {
    fn seek(&mut self, to: SeekFrom) -> IoResult<u64> {
        let to = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = to.ok_or_else(|| Error::from(ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}

/// What `parse` says of a header, of which `head` is the start; fetches what it
/// needs. A panic within is a damaged image.
pub(super) async fn parse_header<T>(
    source: &dyn Source,
    head: Bytes,
    mut parse: impl FnMut(&mut Gathered) -> Result<T, RasterError>,
) -> Result<T, RasterError> {
    let mut file = Gathered::new(source.size(), head);
    let mut step = FIRST_BYTES;
    for _ in 0..FETCHES {
        file.position = 0;
        let parsed = contained(|| parse(&mut file));
        let Some(missing) = file.missing.take() else { return parsed };
        let end = missing.saturating_add(step).min(source.size());
        let piece = source.read(missing..end).await.map_err(RasterError::Source)?;
        file.pieces.push((missing, piece));
        step = (step * 4).min(LARGEST_BYTES);
    }
    Err(RasterError::Corrupt("its header is spread over too many places".to_owned()))
}

/// What `decode` returns; a panic of a decoder is a damaged image.
pub(super) fn contained<T>(
    decode: impl FnOnce() -> Result<T, RasterError>,
) -> Result<T, RasterError> {
    let stopped = |_| RasterError::Corrupt("its decoder could not go on".to_owned());
    catch_unwind(AssertUnwindSafe(decode)).map_err(stopped)?
}
