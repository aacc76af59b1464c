//! A file of which only some ranges are here, for parsers of headers.
//!
//! Mechanism: a parser reads until it meets a byte that is not here, which is noted.
//! Whoever called it fetches that and what follows, and the parser starts again.

use std::io::{BufRead, Error, ErrorKind, Read, Result as IoResult, Seek, SeekFrom};
use std::panic::resume_unwind;

use bytes::Bytes;

/// A parser that is told so often that a byte is not here does not listen: it is
/// stopped, since it may go on asking for ever.
const REFUSALS: u32 = 100;

/// Ranges of a file.
#[derive(Debug, Clone)]
pub struct Pieces {
    /// The size of the whole file in bytes.
    pub size: u64,
    /// Where each piece begins, and its bytes.
    pub pieces: Vec<(u64, Bytes)>,
}

/// Ranges of a file, as something to read from.
#[derive(Debug)]
pub(super) struct Gathered {
    file: Pieces,
    position: u64,
    missing: Option<u64>,
    refusals: u32,
}

impl Gathered {
    pub(super) fn new(file: Pieces) -> Self {
        Gathered { file, position: 0, missing: None, refusals: 0 }
    }

    /// The first byte that was asked for and is not here.
    pub(super) fn missing(&self) -> Option<u64> {
        self.missing
    }

    /// The bytes from `at` on, as far as they are here in one piece.
    fn from(&self, at: u64) -> Option<&[u8]> {
        self.file.pieces.iter().rev().find_map(|(start, piece)| {
            let within = usize::try_from(at.checked_sub(*start)?).ok()?;
            piece.get(within..).filter(|rest| !rest.is_empty())
        })
    }
}

impl BufRead for Gathered {
    fn fill_buf(&mut self) -> IoResult<&[u8]> {
        if self.position >= self.file.size {
            return Ok(&[]);
        }
        if self.from(self.position).is_none() {
            self.missing.get_or_insert(self.position);
            self.refusals += 1;
            if self.refusals > REFUSALS {
                resume_unwind(Box::new("a parser does not take no for an answer"));
            }
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
            SeekFrom::End(by) => self.file.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = to.ok_or_else(|| Error::from(ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}
