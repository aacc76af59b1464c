//! A source in memory that counts, for tests.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;

use crate::raster::{About, Source, SourceError};

#[derive(Debug)]
pub(super) struct Memory {
    bytes: Bytes,
    reads: AtomicUsize,
    read: AtomicU64,
    /// Which bytes were read to be kept.
    kept: Mutex<Vec<bool>>,
    /// Reads one behind the other, if those that are under way at once are one.
    rounds: AtomicUsize,
    waiting: AtomicUsize,
    /// What was told to be remembered.
    remembered: Mutex<HashMap<About, Bytes>>,
}

impl Memory {
    pub(super) fn new(bytes: impl Into<Bytes>) -> Arc<Self> {
        let bytes = bytes.into();
        let kept = Mutex::new(vec![false; bytes.len()]);
        let (reads, read) = (0.into(), 0.into());
        let (rounds, waiting) = (0.into(), 0.into());
        Arc::new(Memory { bytes, reads, read, kept, rounds, waiting, remembered: Mutex::default() })
    }

    /// What a caller of `open` has read.
    pub(super) fn head(&self) -> Bytes {
        self.bytes.slice(..self.bytes.len().min(16 << 10))
    }

    pub(super) fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }

    /// How often somebody had to wait for reads that were under way at once.
    pub(super) fn rounds(&self) -> usize {
        self.rounds.load(Ordering::Relaxed)
    }

    /// Waits for its turn: a read waits as long as every other, so those that began in the same
    /// turn of the runtime end in the same one.
    async fn round(&self) {
        let now = self.rounds.load(Ordering::Relaxed);
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let mut turn = 0;
        while self.rounds.load(Ordering::Relaxed) == now {
            // Nobody else has come for so long: all that will read in this round do.
            turn += 1;
            if turn > 64 && self.waiting.swap(0, Ordering::Relaxed) > 0 {
                self.rounds.store(now + 1, Ordering::Relaxed);
            }
            tokio::task::yield_now().await;
        }
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Source for Memory {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, SourceError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.read.fetch_add(range.end - range.start, Ordering::Relaxed);
        Ok(self.bytes.slice(range.start as usize..range.end as usize))
    }

    async fn read_kept(&self, range: Range<u64>) -> Result<Bytes, SourceError> {
        let place = range.start as usize..range.end as usize;
        let mut is_here = true;
        // One read for each gap, as with the blocks of an object.
        for gap in self.kept.lock().unwrap()[place.clone()].chunk_by_mut(|a, b| a == b) {
            if let [false, ..] = gap {
                self.reads.fetch_add(1, Ordering::Relaxed);
                self.read.fetch_add(gap.len() as u64, Ordering::Relaxed);
                gap.fill(true);
                is_here = false;
            }
        }
        if !is_here {
            self.round().await;
        }
        Ok(self.bytes.slice(place))
    }

    async fn recall(&self, about: About) -> Option<Bytes> {
        self.remembered.lock().unwrap().get(&about).cloned()
    }

    fn remember(&self, about: About, known: Bytes) {
        self.remembered.lock().unwrap().insert(about, known);
    }
}
