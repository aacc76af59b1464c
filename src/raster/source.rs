//! Where the bytes of an image come from.

use std::error::Error;
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

/// Why bytes could not be read; whoever made the source knows what is inside.
pub type SourceError = Arc<dyn Error + Send + Sync>;

/// The bytes of one version of one object.
#[async_trait]
pub trait Source: Send + Sync + Debug {
    /// The object's size in bytes.
    fn size(&self) -> u64;

    /// The bytes of a range that lies within the size; all of them, or an error.
    /// Costs at most one request, so callers ask for neighbours together.
    async fn read(&self, range: Range<u64>) -> Result<Bytes, SourceError>;
}
