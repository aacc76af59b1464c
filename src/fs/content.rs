//! Where the bytes of an open file come from.

use std::sync::Arc;

use super::ahead::Ahead;
use super::error::FsError;
use crate::drafts::Draft;
use crate::names::{Names, Sibling, Thing};
use crate::reader::{Answer, Opener, ReadBytes};
use crate::stats::Stats;
use crate::view::{ViewFile, Views, Watched};

/// What the first read of an archived object asks for, in bytes: what a program that opens
/// it will read first, so that nothing is fetched twice.
const FIRST_READ_BYTES: usize = 64 << 10;

/// Where an open file's bytes come from: a closed set.
#[derive(Debug)]
pub(super) enum Content {
    /// The object itself.
    Object(Watched),
    /// A virtual sibling of an image.
    Sibling(ViewFile),
    /// What a program wrote.
    Draft(Arc<Draft>),
}

/// What opens objects and siblings.
#[derive(Debug)]
pub(super) struct Readers {
    pub(super) views: Arc<Views>,
    pub(super) objects: Opener,
    /// What is fetched ahead of who goes through a directory in order.
    pub(super) ahead: Ahead,
    /// Where reads are counted.
    pub(super) stats: Arc<Stats>,
}

impl Readers {
    /// What opens objects and siblings, of which `names` knows what comes next. What is read is
    /// counted in `stats`.
    pub(super) fn new(
        names: Arc<Names>,
        views: Arc<Views>,
        objects: Opener,
        stats: Arc<Stats>,
    ) -> Self {
        let ahead = Ahead::new(names, views.clone(), objects.clone());
        Readers { views, objects, ahead, stats }
    }

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
                let reader = self.objects.open(&object.version);
                if object.is_archived()
                    && let Answer::Later(answer) = reader.read(0, FIRST_READ_BYTES)
                {
                    answer.await?;
                }
                Ok(Content::Object(self.views.watch(reader)))
            }
            Thing::Sibling(Sibling { original, view, .. }) => {
                let opened = self.views.open(&original, view).await?;
                Ok(Content::Sibling(opened.ok_or(FsError::NotFound)?))
            }
        }
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
