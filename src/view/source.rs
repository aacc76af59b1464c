//! What siblings are made from, as the bytes of an image.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::FileImage;
use super::error::{Changed, source_error};
use crate::raster::{Source, SourceError, Take};
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

    async fn copy_to(&self, take: &Take) -> Result<(), SourceError> {
        self.0.copy_to(take).await.map_err(source_error)
    }
}

/// The bytes of one state of a file, which it holds only while it reads.
#[derive(Debug)]
pub(super) struct FileSource(pub(super) FileImage);

#[async_trait]
impl Source for FileSource {
    fn size(&self) -> u64 {
        self.0.size()
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, SourceError> {
        let changed = || -> SourceError { Arc::new(Changed) };
        let source = self.0.source.upgrade().ok_or_else(changed)?;
        let length = range.end - range.start;
        let bytes = source.read(range).await?;
        // Decoders count on all of the range: a file that was cut is another state.
        if bytes.len() as u64 == length { Ok(bytes) } else { Err(changed()) }
    }
}
