//! Where the bytes of an open file come from.

use std::sync::Arc;

use tokio::runtime::Handle as Runtime;

use super::error::FsError;
use crate::drafts::Draft;
use crate::names::{Sibling, Thing};
use crate::reader::{Answer, BlockCache, ReadBytes, Reader};
use crate::store::{ListedObject, ObjectStore};
use crate::view::{ViewFile, Views};

/// What the first read of an archived object asks for, in bytes: what a program that opens
/// it will read first, so that nothing is fetched twice.
const FIRST_READ_BYTES: usize = 64 << 10;

/// Where an open file's bytes come from: a closed set.
#[derive(Debug)]
pub(super) enum Content {
    /// The object itself.
    Object(Reader),
    /// A virtual sibling of an image.
    Sibling(ViewFile),
    /// What a program wrote.
    Draft(Arc<Draft>),
}

/// What opens objects and siblings.
#[derive(Debug)]
pub(super) struct Readers {
    pub(super) views: Arc<Views>,
    pub(super) cache: Arc<BlockCache>,
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) runtime: Runtime,
}

impl Readers {
    /// The bytes of a thing. That costs no request, except for an object in an archive
    /// class, which may have to be restored first, and for a sibling of an image that
    /// nobody has looked at.
    ///
    /// # Errors
    /// What the request failed with.
    pub(super) async fn open(&self, thing: Thing) -> Result<Content, FsError> {
        match thing {
            Thing::Dir(_) => Err(FsError::IsADirectory),
            Thing::Draft(draft) => Ok(Content::Draft(draft)),
            Thing::Object(object) => {
                let reader = self.reader(&object);
                if object.is_archived()
                    && let Answer::Later(answer) = reader.read(0, FIRST_READ_BYTES)
                {
                    answer.await?;
                }
                Ok(Content::Object(reader))
            }
            Thing::Sibling(Sibling { original, kind, .. }) => {
                let opened = self.views.open(&original, kind).await?;
                Ok(Content::Sibling(opened.ok_or(FsError::NotFound)?))
            }
        }
    }

    fn reader(&self, object: &ListedObject) -> Reader {
        Reader::open(&object.version, self.cache.clone(), self.store.clone(), self.runtime.clone())
    }
}

impl Content {
    /// The bytes of a range; fewer only at the end.
    ///
    /// # Errors
    /// What fetching or decoding them failed with.
    pub(super) async fn read(&self, offset: u64, length: usize) -> Result<ReadBytes, FsError> {
        match self {
            Content::Object(reader) => match reader.read(offset, length) {
                Answer::Ready(bytes) => Ok(bytes),
                Answer::Later(answer) => Ok(answer.await?),
            },
            Content::Sibling(view) => Ok(view.read(offset, length).await?.into()),
            Content::Draft(draft) => {
                let file = draft.file().ok_or(FsError::BadHandle)?;
                Ok(file.read(offset, length)?.into())
            }
        }
    }
}
