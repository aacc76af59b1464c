//! Files that programs wrote, as the originals of siblings.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use async_trait::async_trait;
use bytes::Bytes;

use super::file::is_archive_class;
use super::node::Thing;
use super::{FileSystem, FsError};
use crate::overlay::{MadeFile, State};
use crate::view::{Changed, FileImage, Original, Source, SourceError};

/// One state of a file, as the bytes of an image. It does not keep the file.
#[derive(Debug)]
struct FileState {
    file: Weak<MadeFile>,
    state: State,
}

/// The last state of each file that was looked at as an image.
#[derive(Debug, Default)]
pub(super) struct FileStates(Mutex<HashMap<u64, LastState>>);

/// Its generation, and its bytes.
type LastState = (u64, Arc<dyn Source>);

#[async_trait]
impl Source for FileState {
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

impl FileStates {
    /// The file as an image, in this state.
    fn image(&self, ino: u64, name: &str, file: &Arc<MadeFile>, state: State) -> FileImage {
        let mut states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = states.get(&ino).filter(|(generation, _)| *generation == state.generation);
        let source = match known {
            Some((_, source)) => source.clone(),
            None => {
                let source: Arc<dyn Source> =
                    Arc::new(FileState { file: Arc::downgrade(file), state });
                states.insert(ino, (state.generation, source.clone()));
                source
            }
        };
        FileImage::new(ino, state.generation, name, &source, state.modified)
    }

    /// Forgets a file that is gone.
    pub(super) fn forget(&self, ino: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&ino);
    }
}

impl FileSystem {
    /// What `thing` is as the original of siblings, if it may be one and its state
    /// is known; the outer `None` if it has to be looked at.
    pub(super) fn original_known(
        &self,
        name: &str,
        thing: Option<Thing>,
    ) -> Option<Option<Original>> {
        let Some(Thing::Made(made)) = thing else { return Some(of_bucket(thing)) };
        let Some(file) = made.file() else { return Some(None) };
        let state = file.state_known()?;
        if state.size == 0 {
            return Some(None);
        }
        let image = self.file_states.image(made.ino(), name, file, state);
        Some(Some(Original::File(image)))
    }

    /// What `thing` is as the original of siblings, if it may be one. Of a file the
    /// bytes are looked at, where they may have changed unseen.
    pub(super) async fn original(
        &self,
        name: &str,
        thing: Option<Thing>,
    ) -> Result<Option<Original>, FsError> {
        let Some(Thing::Made(made)) = thing else { return Ok(of_bucket(thing)) };
        let Some(file) = made.file().cloned() else { return Ok(None) };
        let looking = file.clone();
        let state = tokio::task::spawn_blocking(move || looking.state());
        let state = state.await.map_err(std::io::Error::other)??;
        if state.size == 0 {
            return Ok(None);
        }
        Ok(Some(Original::File(self.file_states.image(made.ino(), name, &file, state))))
    }
}

/// The object that it is, if it can be read.
fn of_bucket(thing: Option<Thing>) -> Option<Original> {
    match thing? {
        Thing::Object(object) => (object.version.size > 0 && !is_archive_class(&object))
            .then_some(Original::Object(object.version)),
        Thing::Dir(_) | Thing::View(_) | Thing::Made(_) => None,
    }
}
