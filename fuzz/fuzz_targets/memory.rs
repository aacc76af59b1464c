//! A source in memory, and a runtime to read it with.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use s3mem::raster::jpeg2000::open;
use s3mem::raster::{Limits, Raster, RasterError, Source, SourceError};

#[derive(Debug)]
struct Memory(Bytes);

#[async_trait]
impl Source for Memory {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, SourceError> {
        Ok(self.0.slice(range.start as usize..range.end as usize))
    }
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

/// Opens the bytes as if only the first 64 had been read, with small limits.
pub async fn opened(data: &[u8]) -> Result<Arc<dyn Raster>, RasterError> {
    let bytes = Bytes::copy_from_slice(data);
    let head = bytes.slice(..bytes.len().min(64));
    let limits = Limits {
        image_pixels: 1 << 18,
        tile_samples: 1 << 18,
        decode_bytes: 16 << 20,
        tiles: 4096,
        code_blocks: 1 << 14,
        expansion: 20_000,
    };
    open(Arc::new(Memory(bytes)), head, &limits).await
}
