//! The bytes that a walk through a tile asks for; while it reads on, those behind them come at the
//! same time.
//!
//! Contract: the bytes are those of the tile-part from where they were asked for on, one at least,
//! and not always as many. What was fetched is counted once, whoever needs it; what comes ahead is
//! counted when it is given, and never more is fetched than may be.

use std::collections::VecDeque;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesOrdered, StreamExt};
use tokio::sync::mpsc::{Receiver, Sender};

use super::index::Index;
use super::known::Known;
use crate::raster::RasterError;

/// How many pieces come ahead of a walk that reads on.
const AHEAD: usize = 3;

/// Bytes that a walker asks for: tile-part, and where they begin and how many they are.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) part: usize,
    pub(super) offset: u64,
    pub(super) length: u64,
    /// Whether it will go on to ask for those behind, as many at a time.
    pub(super) reads_on: bool,
}

/// Bytes that it is given, and how many were fetched for them.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) bytes: Bytes,
    pub(super) fetched: u64,
}

/// Bytes of a tile-part, with where they begin.
type Piece = (u64, Bytes);

/// Gives a walker what it asks for, of at most `left` bytes together, until it has ended.
///
/// # Errors
/// That of the source.
pub(super) async fn serve(
    index: &Index,
    known: &Known,
    left: u64,
    mut asked: Receiver<Wanted>,
    give: Sender<Given>,
) -> Result<(), RasterError> {
    let mut reading = Reading::new(index, known, left);
    loop {
        let wanted = tokio::select! {
            biased;
            wanted = asked.recv() => wanted,
            Some(piece) = reading.coming.next() => {
                reading.here.push_back(piece);
                continue;
            }
        };
        let Some(wanted) = wanted else { return Ok(()) };
        let given = reading.read(&wanted).await?;
        if give.send(given).await.is_err() {
            return Ok(());
        }
    }
}

/// What was read of a tile-part, and what comes.
struct Reading<'a> {
    index: &'a Index,
    known: &'a Known,
    part: usize,
    /// How many bytes may be fetched yet.
    left: u64,
    /// How many were fetched, or are on their way, and are not counted yet.
    uncounted: u64,
    /// What was given last.
    last: Piece,
    /// What has come ahead, and what is on its way behind that.
    here: VecDeque<Result<Piece, RasterError>>,
    coming: FuturesOrdered<BoxFuture<'a, Result<Piece, RasterError>>>,
    /// Where that ends.
    end: u64,
}

impl<'a> Reading<'a> {
    fn new(index: &'a Index, known: &'a Known, left: u64) -> Self {
        let (here, coming) = (VecDeque::new(), FuturesOrdered::new());
        let last = (0, Bytes::new());
        Reading { index, known, part: 0, left, uncounted: 0, last, here, coming, end: 0 }
    }

    async fn read(&mut self, wanted: &Wanted) -> Result<Given, RasterError> {
        let Wanted { part, offset, length, reads_on } = *wanted;
        let is_ahead = reads_on && part == self.part && (self.last.0..self.end).contains(&offset);
        if !is_ahead {
            self.here.clear();
            self.coming = FuturesOrdered::new();
            (self.part, self.end, self.last) = (part, offset, (offset, Bytes::new()));
        }
        if self.here.is_empty() && self.coming.is_empty() {
            self.end = self.end.min(offset);
            self.go_on(length);
        }
        let bytes = self.bytes(offset).await?;
        self.last = (offset, bytes.clone());
        while reads_on && self.here.len() + self.coming.len() < AHEAD && self.go_on(length) {}
        // What is on its way is counted when it is given.
        let ahead = self.end - offset.saturating_add(bytes.len() as u64).min(self.end);
        let fetched = self.uncounted.saturating_sub(ahead);
        self.uncounted -= fetched;
        Ok(Given { bytes, fetched })
    }

    /// Fetches the bytes behind those that are on their way; whether there are any.
    fn go_on(&mut self, length: u64) -> bool {
        let (index, start) = (self.index, self.end);
        let range = self.known.place(self.part, start..start.saturating_add(length.min(self.left)));
        let bytes = range.end - range.start;
        if bytes == 0 {
            return false;
        }
        self.left -= bytes;
        self.uncounted += bytes;
        self.end += bytes;
        self.coming.push_back(async move { Ok((start, index.more(range).await?)) }.boxed());
        true
    }

    /// The bytes from an offset on, as far as the next piece goes; none if nothing more may be
    /// fetched.
    async fn bytes(&mut self, offset: u64) -> Result<Bytes, RasterError> {
        loop {
            let next = match self.here.pop_front() {
                Some(next) => Some(next),
                None => self.coming.next().await,
            };
            let Some(next) = next else { return Ok(Bytes::new()) };
            let (start, bytes) = next?;
            if let Some(skipped) = offset.checked_sub(start) {
                if skipped < bytes.len() as u64 {
                    return Ok(bytes.slice(skipped as usize..));
                }
                continue;
            }
            // A header that the end of the last piece has the beginning of.
            let (before, tail) = &self.last;
            let tail = tail.slice((offset - before) as usize..);
            return Ok(Bytes::from([&tail[..], &bytes[..]].concat()));
        }
    }
}
