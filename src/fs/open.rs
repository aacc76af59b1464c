//! Opening, reading and closing files.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

use super::content::Content;
use super::{FileSystem, FsError, Ino};
use crate::drafts::Draft;
use crate::mem::MemFile;
use crate::names::{Names, Thing};
use crate::publish::process_of;
use crate::reader::{Answer, ReadBytes};
use crate::sync::lock;

/// When its readahead has failed, the kernel asks once more, for the first page alone, and
/// only then tells the program. That page has failed already: asked for again it would
/// fail again, after another timeout and with another line in the log.
const PAGE_BYTES: usize = 4096;
const ASKED_AGAIN_WITHIN: Duration = Duration::from_millis(500);
/// More reads of one handle than the kernel has under way when they fail together.
const FAILED_READS: usize = 64;

/// An open file.
#[derive(Debug)]
pub(super) struct OpenFile {
    pub(super) ino: Ino,
    content: Content,
    /// Whether it was opened to be written to.
    pub(super) writes: bool,
    /// The process that opened it, where that matters; else 0.
    pub(super) opener: u32,
    /// The draft that replaced it when somebody opened it to write.
    pub(super) replaced: OnceLock<Arc<Draft>>,
    failed: Mutex<Vec<FailedRead>>,
}

/// A read that failed a moment ago.
#[derive(Debug)]
struct FailedRead {
    offset: u64,
    when: Instant,
    error: FsError,
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpenHow {
    /// Whether it may be written to.
    pub writes: bool,
    /// Whether it is emptied first.
    pub truncates: bool,
    /// The thread that opens it; 0 if that is not known.
    pub thread: u32,
}

/// A file that was opened.
#[derive(Debug)]
pub struct OpenedFile {
    /// The number that it is known by until it is released.
    pub handle: u64,
    /// Where its bytes are, if they are all in memory and stay there: the kernel may
    /// read and write them by itself.
    pub backing: Option<Arc<MemFile>>,
    /// Whether closing it has to be told, and may fail.
    pub flushes: bool,
}

/// The answer to a read.
pub enum ReadAnswer {
    /// The bytes were here.
    Ready(ReadBytes),
    /// They are on their way.
    Later(BoxFuture<'static, Result<ReadBytes, FsError>>),
}

impl FileSystem {
    /// Opens a file. For reading that costs no request, except for an object in an archive
    /// class, which may have to be restored first. What is in the bucket is copied into
    /// memory before it is written to.
    ///
    /// # Errors
    /// ESTALE when the object was overwritten since the inode was looked up; EROFS where
    /// nothing may be written, ENOSPC where it does not fit into memory.
    pub async fn open_file(&self, ino: Ino, how: OpenHow) -> Result<OpenedFile, FsError> {
        let (thing, _) = self.names.inodes().current(ino)?;
        if thing.folder().is_some() {
            return Err(FsError::IsADirectory);
        }
        if let Thing::Draft(draft) = thing {
            return self.open_draft(draft, how);
        }
        if how.writes || how.truncates {
            let keep = if how.truncates { 0 } else { u64::MAX };
            let draft = self.own_copy(ino, keep).await?;
            return self.open_draft(draft, how);
        }
        let opened = self.readers.open(thing).await;
        if opened.as_ref().is_err_and(FsError::is_outdated) {
            self.names.note_changed(ino);
        }
        Ok(self.opened(ino, opened?))
    }

    pub(super) fn open_draft(
        &self,
        draft: Arc<Draft>,
        how: OpenHow,
    ) -> Result<OpenedFile, FsError> {
        let file = draft.file().ok_or(FsError::NotPermitted)?;
        let writes = how.writes || how.truncates;
        if writes && !self.publishing.may_change(&draft) {
            return Err(FsError::NotPermitted);
        }
        if how.truncates {
            file.resize(0)?;
            self.publishing.note_dirty(&draft);
        }
        // What is sent has to be seen to be written.
        let backing = self.publishing.get().is_none().then(|| file.bytes().clone());
        let flushes = writes && file.progress().is_some();
        let opener = if flushes { process_of(how.thread) } else { 0 };
        let ino = draft.ino();
        let file = OpenFile::new(ino, Content::Draft(draft));
        let handle = self.files.insert(OpenFile { writes, opener, ..file });
        if let Ok(Thing::Object(_)) = self.names.inodes().thing(ino) {
            // Its memory was given back meanwhile; the next look-up finds the object.
            self.files.remove(handle);
            return Err(FsError::Stale);
        }
        Ok(OpenedFile { handle, backing, flushes })
    }

    fn opened(&self, ino: Ino, content: Content) -> OpenedFile {
        let handle = self.files.insert(OpenFile::new(ino, content));
        // Whoever has copied it for a writer meanwhile did not find this handle.
        if self.is_writable()
            && let Ok(Thing::Draft(draft)) = self.names.inodes().thing(ino)
            && let Some(open) = self.files.get(handle)
        {
            let _ = open.replaced.set(draft);
        }
        OpenedFile { handle, backing: None, flushes: false }
    }

    /// Reads from an open file: `length` bytes, fewer only at its end.
    pub fn read(&self, handle: u64, offset: u64, length: usize) -> Result<ReadAnswer, FsError> {
        let file = self.files.get(handle).ok_or(FsError::BadHandle)?;
        if length <= PAGE_BYTES
            && let Some(error) = file.failed_just_now(offset)
        {
            return Err(error);
        }
        if let Some(draft) = file.draft() {
            let file = draft.file().ok_or(FsError::BadHandle)?;
            return Ok(ReadAnswer::Ready(file.read(offset, length)?.into()));
        }
        match &file.content {
            Content::Draft(_) => Err(FsError::BadHandle),
            Content::Object(reader) => match reader.read(offset, length) {
                Answer::Ready(bytes) => Ok(ReadAnswer::Ready(bytes)),
                Answer::Later(answer) => {
                    let answer = async { answer.await.map_err(FsError::from) };
                    Ok(file.later(self.names.clone(), offset, answer))
                }
            },
            Content::Sibling(view) => match view.read_now(offset, length) {
                Some(bytes) => Ok(ReadAnswer::Ready(bytes.into())),
                None => {
                    let opened = file.clone();
                    let answer = async move {
                        let Content::Sibling(view) = &opened.content else {
                            return Err(FsError::BadHandle);
                        };
                        Ok(view.read(offset, length).await?.into())
                    };
                    Ok(file.later(self.names.clone(), offset, answer))
                }
            },
        }
    }

    /// Closes a file.
    pub fn release_file(&self, handle: u64) {
        let closed = self.files.remove(handle);
        if let Some(draft) = closed.as_ref().and_then(|file| file.draft()).cloned()
            && let Some(publisher) = self.publishing.get()
        {
            drop(closed);
            publisher.released(draft);
        }
    }
}

impl OpenFile {
    fn new(ino: Ino, content: Content) -> Self {
        let (replaced, failed) = (OnceLock::new(), Mutex::default());
        OpenFile { ino, content, writes: false, opener: 0, replaced, failed }
    }

    /// The draft, if the file was opened to be written to.
    pub(super) fn written(&self) -> Option<Arc<Draft>> {
        self.draft().filter(|_| self.writes).cloned()
    }

    /// The draft that the file is, or was replaced by.
    pub(super) fn draft(&self) -> Option<&Arc<Draft>> {
        match &self.content {
            Content::Draft(draft) => Some(draft),
            Content::Object(_) | Content::Sibling(_) => self.replaced.get(),
        }
    }

    /// An answer that takes its time, and what its failure is remembered for.
    fn later(
        self: Arc<Self>,
        names: Arc<Names>,
        offset: u64,
        answer: impl Future<Output = Result<ReadBytes, FsError>> + Send + 'static,
    ) -> ReadAnswer {
        ReadAnswer::Later(Box::pin(async move {
            let outcome = answer.await;
            if let Err(error) = &outcome {
                if error.is_outdated() {
                    names.note_changed(self.ino);
                }
                self.note_failed(offset, error.clone());
            }
            // The file stays open until its reads are answered.
            drop(self);
            outcome
        }))
    }

    fn note_failed(&self, offset: u64, error: FsError) {
        let mut failed = lock(&self.failed);
        failed.retain(|read| read.when.elapsed() < ASKED_AGAIN_WITHIN);
        if failed.len() < FAILED_READS {
            failed.push(FailedRead { offset, when: Instant::now(), error });
        }
    }

    /// What a read from `offset` on has just failed with, told once.
    fn failed_just_now(&self, offset: u64) -> Option<FsError> {
        let mut failed = lock(&self.failed);
        let at = failed.iter().position(|read| read.offset == offset)?;
        let read = failed.swap_remove(at);
        (read.when.elapsed() < ASKED_AGAIN_WITHIN).then_some(read.error)
    }
}
