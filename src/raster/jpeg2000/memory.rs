//! A source in memory that counts, for tests.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;

use crate::raster::{Source, SourceError};

#[derive(Debug)]
pub(super) struct Memory {
    bytes: Bytes,
    reads: AtomicUsize,
    read: AtomicU64,
}

impl Memory {
    pub(super) fn new(bytes: impl Into<Bytes>) -> Arc<Self> {
        Arc::new(Memory { bytes: bytes.into(), reads: 0.into(), read: 0.into() })
    }

    /// What a caller of `open` has read.
    pub(super) fn head(&self) -> Bytes {
        self.bytes.slice(..self.bytes.len().min(16 << 10))
    }

    pub(super) fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
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
}
