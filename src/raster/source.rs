//! Where the bytes of an image come from.

use std::error::Error;
use std::fmt::Debug;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

/// Why bytes could not be read; whoever made the source knows what is inside.
pub type SourceError = Arc<dyn Error + Send + Sync>;

/// What takes bytes as they come: where they belong, and the bytes.
pub type Take = dyn Fn(u64, &[u8]) -> io::Result<()> + Send + Sync;

/// The bytes of one version of one object.
#[async_trait]
pub trait Source: Send + Sync + Debug {
    /// The object's size in bytes.
    fn size(&self) -> u64;

    /// The bytes of a range that lies within the size; all of them, or an error.
    /// Costs at most one request, so callers ask for neighbours together.
    async fn read(&self, range: Range<u64>) -> Result<Bytes, SourceError>;

    /// Hands out all bytes as they come, each piece with its offset, in any order. If this
    /// fails, what was handed out is worth nothing.
    async fn copy_to(&self, take: &Take) -> Result<(), SourceError> {
        let bytes = self.read(0..self.size()).await?;
        take(0, &bytes).map_err(|error| Arc::new(error) as SourceError)
    }
}
