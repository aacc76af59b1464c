//! The pieces of a file that its headers or directories are in, each fetched once.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::error::corrupt;
use super::{RasterError, Source};

/// What is fetched at least, the first time; four times as much each time after, where that
/// goes on from what was fetched. Directories are one behind the other, or each beside its
/// image.
const FIRST_BYTES: u64 = 16 << 10;
const LARGEST_BYTES: u64 = 1 << 20;
/// All directories of a file, with the values that they point to.
const MOST_BYTES: u64 = 32 << 20;

/// What is read of any object, image or not.
const HEAD_BYTES: u64 = 16 << 10;
/// An object of up to this size is read whole at once: what it costs more takes a millisecond
/// or two, and the request that it saves whoever wants pixels takes thirty.
const SMALL_BYTES: u64 = 64 << 10;

/// What is read first of a file of so many bytes.
pub(super) fn head_bytes(size: u64) -> u64 {
    if size <= SMALL_BYTES { size } else { HEAD_BYTES }
}

/// A file, and what of it is here.
#[derive(Debug)]
pub(super) struct File {
    pub(super) source: Arc<dyn Source>,
    here: Mutex<Here>,
}

#[derive(Debug)]
struct Here {
    pieces: Vec<(u64, Bytes)>,
    step: u64,
    fetched: u64,
    requests: u32,
}

impl Here {
    fn new(pieces: Vec<(u64, Bytes)>) -> Self {
        Here { pieces, step: FIRST_BYTES, fetched: 0, requests: 0 }
    }

    /// Whether a range begins within what was fetched last, or not far from it.
    fn goes_on(&self, range: &Range<u64>) -> bool {
        self.pieces.last().is_some_and(|(start, piece)| {
            let (near, end) = (self.step, start + piece.len() as u64);
            range.start >= start.saturating_sub(near) && range.start <= end.saturating_add(near)
        })
    }
}

impl File {
    /// A file that begins with `head`.
    pub(super) fn new(source: Arc<dyn Source>, head: Bytes) -> Self {
        File { source, here: Mutex::new(Here::new(vec![(0, head)])) }
    }

    /// The same file, to be read from another place on: it has what is here already, and may
    /// fetch as much as any.
    pub(super) fn again(&self) -> Self {
        let pieces = self.here.lock().unwrap_or_else(PoisonError::into_inner).pieces.clone();
        File { source: self.source.clone(), here: Mutex::new(Here::new(pieces)) }
    }

    /// Forgets all that is here but the piece that was fetched last.
    pub(super) fn keep_last(&self) {
        let mut here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        let last = here.pieces.pop();
        *here = Here { pieces: Vec::from_iter(last), fetched: 0, ..*here };
    }

    pub(super) fn size(&self) -> u64 {
        self.source.size()
    }

    /// The bytes of a range, if they are here in one piece.
    pub(super) fn here(&self, range: &Range<u64>) -> Option<Bytes> {
        let here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        here.pieces.iter().find_map(|(start, piece)| {
            let from = usize::try_from(range.start.checked_sub(*start)?).ok()?;
            let to = usize::try_from(range.end.checked_sub(*start)?).ok()?;
            (from <= to && to <= piece.len()).then(|| piece.slice(from..to))
        })
    }

    /// The bytes of a range, and more of what follows it for later.
    ///
    /// # Errors
    /// The range does not lie in the file, or too much was asked for; that of the source.
    pub(super) async fn read(&self, range: Range<u64>) -> Result<Bytes, RasterError> {
        if range.start > range.end || range.end > self.size() {
            return Err(corrupt("it ends early"));
        }
        if let Some(bytes) = self.here(&range) {
            return Ok(bytes);
        }
        let step = {
            let mut here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
            if here.fetched.saturating_add(range.end - range.start) > MOST_BYTES {
                return Err(corrupt("its headers are too large"));
            }
            let step = if here.goes_on(&range) { here.step } else { FIRST_BYTES };
            here.step = (step * 4).min(LARGEST_BYTES);
            step
        };
        // A directory at the end of the file has its values before it.
        let end = range.end.max(range.start.saturating_add(step)).min(self.size());
        let start = range.start.min(end.saturating_sub(step));
        let piece = self.source.read(start..end).await.map_err(RasterError::Source)?;
        let bytes = piece.slice((range.start - start) as usize..(range.end - start) as usize);
        let mut here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        here.fetched += end - start;
        here.requests += 1;
        here.pieces.push((start, piece));
        Ok(bytes)
    }

    /// How many bytes were fetched behind the head.
    pub(super) fn fetched(&self) -> u64 {
        self.here.lock().unwrap_or_else(PoisonError::into_inner).fetched
    }

    /// How many requests that took.
    pub(super) fn requests(&self) -> u32 {
        self.here.lock().unwrap_or_else(PoisonError::into_inner).requests
    }
}
