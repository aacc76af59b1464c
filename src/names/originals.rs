//! Drafts as the originals of siblings.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use bytes::Bytes;

use super::error::NameError;
use super::thing::Thing;
use crate::drafts::{Draft, DraftFile, State};
use crate::store::ListedObject;
use crate::sync::{Mutex, Rank};
use crate::view::{Changed, FileImage, Original, Source, SourceError};

/// One state of a file, as the bytes of an image. It does not keep the file.
#[derive(Debug)]
struct DraftState {
    file: Weak<DraftFile>,
    state: State,
}

/// The last state of each file that was looked at as an image.
#[derive(Debug)]
pub(super) struct DraftImages(Mutex<HashMap<u64, LastState>>);

/// Its generation, and its bytes.
type LastState = (u64, Arc<dyn Source>);

#[async_trait]
impl Source for DraftState {
    fn size(&self) -> u64 {
        self.state.size
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, SourceError> {
        let changed = || -> SourceError { Arc::new(Changed) };
        let file = self.file.upgrade().ok_or_else(changed)?;
        let length = (range.end - range.start) as usize;
        let failed = |error: std::io::Error| -> SourceError { Arc::new(error) };
        let bytes = file.read(range.start, length).map_err(failed)?;
        // Looked at afterwards: what was written before is in the bytes.
        let now = file.bytes().stat().map_err(failed)?;
        match (now.size, now.modified) == (self.state.size, self.state.modified) {
            true => Ok(bytes.into()),
            false => Err(changed()),
        }
    }
}

impl Default for DraftImages {
    fn default() -> Self {
        DraftImages(Mutex::new(Rank::Images, HashMap::new()))
    }
}

impl DraftImages {
    /// What `thing` is as the original of siblings, if it may be one. The bytes of a
    /// draft are read where they may have changed unseen.
    ///
    /// # Errors
    /// The bytes can't be read.
    pub(super) async fn original(
        &self,
        name: &str,
        thing: Option<Thing>,
    ) -> Result<Option<Original>, NameError> {
        let Some(Thing::Draft(draft)) = thing else { return Ok(of_bucket(thing)) };
        let Some(file) = draft.file().cloned() else { return Ok(None) };
        let state = match file.state_known() {
            Some(state) => state,
            None => {
                let looking = file.clone();
                let state = tokio::task::spawn_blocking(move || looking.state());
                state.await.map_err(std::io::Error::other)??
            }
        };
        Ok(self.of_draft(&draft, name, &file, state))
    }

    /// As [`DraftImages::original`], of a file whose state is known without reading it.
    pub(super) fn original_known(&self, name: &str, thing: Thing) -> Option<Original> {
        let Thing::Draft(draft) = thing else { return of_bucket(Some(thing)) };
        let file = draft.file().cloned()?;
        let state = file.state_known()?;
        self.of_draft(&draft, name, &file, state)
    }

    fn of_draft(
        &self,
        draft: &Draft,
        name: &str,
        file: &Arc<DraftFile>,
        state: State,
    ) -> Option<Original> {
        (state.size > 0).then(|| Original::file(self.image(draft.ino(), name, file, state)))
    }

    /// The file as an image, in this state.
    fn image(&self, ino: u64, name: &str, file: &Arc<DraftFile>, state: State) -> FileImage {
        let mut states = self.0.lock();
        let known = states.get(&ino).filter(|(generation, _)| *generation == state.generation);
        let source = match known {
            Some((_, source)) => source.clone(),
            None => {
                let source: Arc<dyn Source> =
                    Arc::new(DraftState { file: Arc::downgrade(file), state });
                states.insert(ino, (state.generation, source.clone()));
                source
            }
        };
        FileImage::new(ino, state.generation, name, &source, state.modified)
    }

    /// Forgets a file that is gone.
    pub(super) fn forget(&self, ino: u64) {
        self.0.lock().remove(&ino);
    }
}

/// The object that it is, if it can be read.
fn of_bucket(thing: Option<Thing>) -> Option<Original> {
    match thing? {
        Thing::Object(object) => is_readable(&object).then_some(Original::object(object.version)),
        Thing::Dir(_) | Thing::Sibling(_) | Thing::Draft(_) => None,
    }
}

/// Whether an object has bytes that can be read without restoring it first.
pub(super) fn is_readable(object: &ListedObject) -> bool {
    object.version.size > 0 && !object.is_archived()
}
