//! Opening, reading and closing files.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

use super::{FileSystem, FsError, Ino};
use crate::catalog::Node;
use crate::reader::{Answer, ReadBytes, Reader};
use crate::store::{ListedObject, StoreErrorKind};

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
        let (object, reader) = self.reader(ino)?;
        if is_archive_class(&object) {
            match reader.read(0, FIRST_READ_BYTES) {
                Answer::Ready(_) => {}
                Answer::Later(answer) => {
                    answer.await?;
                }
            }
        }
        Ok(self.files.insert(OpenFile::new(ino, reader)))
    }

    /// Opens a file if that needs no request; `None` if it does.
    pub fn open_file_now(&self, ino: Ino) -> Option<Result<u64, FsError>> {
        match self.reader(ino) {
            Err(error) => Some(Err(error)),
            Ok((object, _)) if is_archive_class(&object) => None,
            Ok((_, reader)) => Some(Ok(self.files.insert(OpenFile::new(ino, reader)))),
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
        let Content::Object(reader) = &file.content;
        Ok(match reader.read(offset, length) {
            Answer::Ready(bytes) => ReadAnswer::Ready(bytes),
            Answer::Later(answer) => {
                let fs = self.clone();
                ReadAnswer::Later(Box::pin(async move {
                    let outcome = answer.await;
                    if let Err(error) = &outcome {
                        if matches!(error.kind, StoreErrorKind::Changed | StoreErrorKind::NotFound)
                        {
                            fs.note_changed(file.ino);
                        }
                        file.note_failed(offset, error.clone().into());
                    }
                    // The file stays open until its reads are answered.
                    drop(file);
                    Ok(outcome?)
                }))
            }
        })
    }

    /// Closes a file.
    pub fn release_file(&self, handle: u64) {
        self.files.remove(handle);
    }

    fn reader(&self, ino: Ino) -> Result<(ListedObject, Reader), FsError> {
        let object = {
            let inodes = self.inodes();
            if inodes.is_stale(ino) {
                return Err(FsError::Stale);
            }
            match inodes.node(ino).ok_or(FsError::BadHandle)? {
                Node::Dir(_) => return Err(FsError::IsADirectory),
                Node::Object(object) => object.clone(),
            }
        };
        let reader = Reader::open(
            &object.version,
            self.cache.clone(),
            self.store.clone(),
            self.runtime.clone(),
        );
        Ok((object, reader))
    }
}

impl OpenFile {
    fn new(ino: Ino, reader: Reader) -> Self {
        OpenFile { ino, content: Content::Object(reader), failed: Mutex::default() }
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
fn is_archive_class(object: &ListedObject) -> bool {
    matches!(object.storage_class.as_deref(), Some("GLACIER" | "DEEP_ARCHIVE"))
}
