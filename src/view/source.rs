//! An object version as the bytes of an image.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;

use super::error::source_error;
use crate::raster::{Source, SourceError};
use crate::reader::ExactReader;

/// The bytes of one version, each range with a GET of its own.
#[derive(Debug)]
pub(super) struct ObjectSource(pub(super) ExactReader);

#[async_trait]
impl Source for ObjectSource {
    fn size(&self) -> u64 {
        self.0.version().size
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, SourceError> {
        self.0.read(range).await.map_err(source_error)
    }
}
