//! What siblings are made from, as the bytes of an image.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::FileImage;
use super::error::{Changed, source_error};
use super::index_cache::IndexCache;
use crate::mem::Budget;
use crate::raster::{About, Beside, Kept, Source, SourceError, Take};
use crate::reader::{Answer, ExactReader, Opener};

/// The bytes of one version: what is in the blocks that everybody who reads the object shares
/// is taken from there, and the rest has GETs of its own, or is put there.
#[derive(Debug)]
pub(super) struct ObjectSource {
    pub(super) exact: ExactReader,
    pub(super) blocks: Opener,
    pub(super) indexes: Option<Arc<IndexCache>>,
    /// What lies beside it.
    pub(super) beside: FilesBeside,
    pub(super) budget: Arc<Budget>,
}

/// Files beside an original, and their bytes.
pub(super) type FilesBeside = Vec<(Beside, Arc<dyn Source>)>;

fn find(files: &FilesBeside, wanted: Beside) -> Option<Arc<dyn Source>> {
    files.iter().find(|(which, _)| *which == wanted).map(|(_, source)| source.clone())
}

#[async_trait]
impl Source for ObjectSource {
    fn size(&self) -> u64 {
        self.exact.version().size
    }

    fn beside(&self, which: Beside) -> Option<Arc<dyn Source>> {
        find(&self.beside, which)
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, SourceError> {
        self.exact.read(range).await.map_err(source_error)
    }

    async fn read_kept(&self, range: Range<u64>) -> Result<Bytes, SourceError> {
        // A handle for this read alone: an image is remembered longer than it is read, and
        // dropping the last handle ends the GETs that nobody waits for.
        let reader = self.blocks.open(self.exact.version());
        let bytes = match reader.read_exactly(range) {
            Answer::Ready(bytes) => bytes,
            Answer::Later(answer) => answer.await.map_err(source_error)?,
        };
        Ok(Bytes::from_owner(bytes))
    }

    async fn recall(&self, about: About) -> Option<Bytes> {
        self.indexes.as_ref()?.load(self.exact.version(), &about.to_string()).await
    }

    fn remember(&self, about: About, known: Bytes) {
        if let Some(indexes) = &self.indexes {
            indexes.save(self.exact.version(), &about.to_string(), &known);
        }
    }

    fn count(&self, bytes: u64) -> Option<Kept> {
        Some(Box::new(self.budget.charge(bytes)))
    }

    async fn copy_to(&self, take: &Take) -> Result<(), SourceError> {
        self.exact.copy_to(take).await.map_err(source_error)
    }
}

/// The bytes of one state of a file, which it holds only while it reads.
#[derive(Debug)]
pub(super) struct FileSource {
    pub(super) file: FileImage,
    /// What lies beside it.
    pub(super) beside: FilesBeside,
}

#[async_trait]
impl Source for FileSource {
    fn size(&self) -> u64 {
        self.file.size()
    }

    fn beside(&self, which: Beside) -> Option<Arc<dyn Source>> {
        find(&self.beside, which)
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, SourceError> {
        let changed = || -> SourceError { Arc::new(Changed) };
        let source = self.file.source.upgrade().ok_or_else(changed)?;
        let length = range.end - range.start;
        let bytes = source.read(range).await?;
        // Decoders count on all of the range: a file that was cut is another state.
        if bytes.len() as u64 == length { Ok(bytes) } else { Err(changed()) }
    }
}
