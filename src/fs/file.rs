//! Opening, reading and closing files.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

use super::node::{Sibling, Thing};
use super::sibling::is_changed;
use super::{FileSystem, FsError, Ino};
use crate::reader::{Answer, ReadBytes, Reader};
use crate::store::{ListedObject, StoreErrorKind};
use crate::view::ViewFile;

/// What the first read of an archived object asks for, in bytes: what a program
/// that opens it will read first, so that nothing is fetched twice.
const FIRST_READ_BYTES: usize = 64 << 10;

/// When its readahead has failed, the kernel asks once more, for the first page
/// alone, and only then tells the program. That page has failed already: asked for
/// again it would fail again, after another timeout and with another line in the log.
const PAGE_BYTES: usize = 4096;
const ASKED_AGAIN_WITHIN: Duration = Duration::from_millis(500);
/// More reads of one handle than the kernel has under way when they fail together.
const FAILED_READS: usize = 64;

/// An open file.
#[derive(Debug)]
pub(super) struct OpenFile {
    ino: Ino,
    content: Content,
    failed: Mutex<Vec<FailedRead>>,
}

/// A read that failed a moment ago.
#[derive(Debug)]
struct FailedRead {
    offset: u64,
    when: Instant,
    error: FsError,
}

/// Where an open file's bytes come from: a closed set.
#[derive(Debug)]
enum Content {
    /// The object itself.
    Object(Reader),
    /// A virtual sibling of an image.
    View(ViewFile),
}

/// What is to be opened.
enum Opening {
    Object(ListedObject, Reader),
    View(Sibling),
}

/// The answer to a read.
pub enum ReadAnswer {
    /// The bytes were here.
    Ready(ReadBytes),
    /// They are on their way.
    Later(BoxFuture<'static, Result<ReadBytes, FsError>>),
}

impl FileSystem {
    /// Opens a file and gives its handle. Costs no request, but for an object in
    /// an archive class, which may have to be restored first.
    ///
    /// # Errors
    /// ESTALE when the object was overwritten since the inode was looked up.
    pub async fn open_file(&self, ino: Ino) -> Result<u64, FsError> {
        let content = match self.opening(ino)? {
            Opening::Object(object, reader) => {
                if is_archive_class(&object)
                    && let Answer::Later(answer) = reader.read(0, FIRST_READ_BYTES)
                {
                    answer.await?;
                }
                Content::Object(reader)
            }
            Opening::View(Sibling { original, kind, .. }) => {
                let opened = self.views.open(&original, kind).await;
                if opened.as_ref().is_err_and(is_changed) {
                    self.note_changed(ino);
                }
                Content::View(opened?.ok_or(FsError::NotFound)?)
            }
        };
        Ok(self.files.insert(OpenFile::new(ino, content)))
    }

    /// Opens a file if that needs no request; `None` if it may.
    pub fn open_file_now(&self, ino: Ino) -> Option<Result<u64, FsError>> {
        match self.opening(ino) {
            Err(error) => Some(Err(error)),
            Ok(Opening::View(_)) => None,
            Ok(Opening::Object(object, _)) if is_archive_class(&object) => None,
            Ok(Opening::Object(_, reader)) => {
                Some(Ok(self.files.insert(OpenFile::new(ino, Content::Object(reader)))))
            }
        }
    }

    /// Reads from an open file: `length` bytes, fewer only at its end.
    pub fn read(
        self: &Arc<Self>,
        handle: u64,
        offset: u64,
        length: usize,
    ) -> Result<ReadAnswer, FsError> {
        let file = self.files.get(handle).ok_or(FsError::BadHandle)?;
        if length <= PAGE_BYTES
            && let Some(error) = file.failed_just_now(offset)
        {
            return Err(error);
        }
        match &file.content {
            Content::Object(reader) => match reader.read(offset, length) {
                Answer::Ready(bytes) => Ok(ReadAnswer::Ready(bytes)),
                Answer::Later(answer) => {
                    let answer = async { answer.await.map_err(FsError::from) };
                    Ok(self.later(file, offset, answer))
                }
            },
            Content::View(view) => match view.read_now(offset, length) {
                Some(bytes) => Ok(ReadAnswer::Ready(bytes.into())),
                None => {
                    let opened = file.clone();
                    let answer = async move {
                        let Content::View(view) = &opened.content else {
                            return Err(FsError::BadHandle);
                        };
                        Ok(view.read(offset, length).await?.into())
                    };
                    Ok(self.later(file, offset, answer))
                }
            },
        }
    }

    /// An answer that takes its time, and what its failure is remembered for.
    fn later(
        self: &Arc<Self>,
        file: Arc<OpenFile>,
        offset: u64,
        answer: impl Future<Output = Result<ReadBytes, FsError>> + Send + 'static,
    ) -> ReadAnswer {
        let fs = self.clone();
        ReadAnswer::Later(Box::pin(async move {
            let outcome = answer.await;
            if let Err(error) = &outcome {
                let is_changed = match error {
                    FsError::Store(cause) => {
                        matches!(cause.kind, StoreErrorKind::Changed | StoreErrorKind::NotFound)
                    }
                    other => matches!(other, FsError::Stale),
                };
                if is_changed {
                    fs.note_changed(file.ino);
                }
                file.note_failed(offset, error.clone());
            }
            // The file stays open until its reads are answered.
            drop(file);
            outcome
        }))
    }

    /// Closes a file.
    pub fn release_file(&self, handle: u64) {
        self.files.remove(handle);
    }

    fn opening(&self, ino: Ino) -> Result<Opening, FsError> {
        let object = {
            let inodes = self.inodes();
            if inodes.is_stale(ino) {
                return Err(FsError::Stale);
            }
            match inodes.node(ino).ok_or(FsError::BadHandle)? {
                Thing::Dir(_) => return Err(FsError::IsADirectory),
                Thing::View(view) => return Ok(Opening::View(view.clone())),
                Thing::Object(object) => object.clone(),
            }
        };
        let reader = Reader::open(
            &object.version,
            self.cache.clone(),
            self.store.clone(),
            self.runtime.clone(),
        );
        Ok(Opening::Object(object, reader))
    }
}

impl OpenFile {
    fn new(ino: Ino, content: Content) -> Self {
        OpenFile { ino, content, failed: Mutex::default() }
    }

    fn note_failed(&self, offset: u64, error: FsError) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.retain(|read| read.when.elapsed() < ASKED_AGAIN_WITHIN);
        if failed.len() < FAILED_READS {
            failed.push(FailedRead { offset, when: Instant::now(), error });
        }
    }

    /// What a read from `offset` on has just failed with, told once.
    fn failed_just_now(&self, offset: u64) -> Option<FsError> {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let at = failed.iter().position(|read| read.offset == offset)?;
        let read = failed.swap_remove(at);
        (read.when.elapsed() < ASKED_AGAIN_WITHIN).then_some(read.error)
    }
}

/// Classes whose objects can only be read once restored. A listing does not say
/// whether one has been; a GET does.
pub(super) fn is_archive_class(object: &ListedObject) -> bool {
    matches!(object.storage_class.as_deref(), Some("GLACIER" | "DEEP_ARCHIVE"))
}
