//! Opening, reading and closing files.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

use super::last_close::process_of;
use super::node::{Sibling, Thing};
use super::sibling::is_changed;
use super::{FileSystem, FsError, Ino};
use crate::mem::MemFile;
use crate::overlay::Made;
use crate::reader::{Answer, ReadBytes, Reader};
use crate::store::ListedObject;
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
    pub(super) ino: Ino,
    content: Content,
    /// Whether it was opened to be written to.
    writes: bool,
    /// The process that opened it, where that matters; else 0.
    pub(super) opener: u32,
    /// What somebody has made of it since it was opened, by writing to it.
    pub(super) replaced: OnceLock<Arc<Made>>,
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
pub(super) enum Content {
    /// The object itself.
    Object(Reader),
    /// A virtual sibling of an image.
    View(ViewFile),
    /// What a program wrote.
    Made(Arc<Made>),
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpenHow {
    /// Whether it may be written to.
    pub writes: bool,
    /// Whether it loses its bytes first.
    pub truncates: bool,
    /// The thread that opens it; 0 if that is not known.
    pub thread: u32,
}

/// An open file.
#[derive(Debug)]
pub struct Opened {
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
    /// Opens a file. For reading it costs no request, but for an object in an archive
    /// class, which may have to be restored first. What is in the bucket is copied
    /// into memory before it is written to.
    ///
    /// # Errors
    /// ESTALE when the object was overwritten since the inode was looked up; EROFS
    /// where nothing may be written, ENOSPC where it does not fit into memory.
    pub async fn open_file(&self, ino: Ino, how: OpenHow) -> Result<Opened, FsError> {
        if how.writes || how.truncates {
            let keep = if how.truncates { 0 } else { u64::MAX };
            let made = self.own_copy(ino, keep).await?;
            return self.open_made(made, how);
        }
        let thing = self.openable(ino)?;
        if let Thing::Made(made) = thing {
            return self.open_made(made, how);
        }
        let content = self.content(ino, thing).await?;
        Ok(self.opened(ino, content))
    }

    /// Opens a file if that needs no request; `None` if it may.
    pub fn open_file_now(&self, ino: Ino, how: OpenHow) -> Option<Result<Opened, FsError>> {
        match self.openable(ino) {
            Err(error) => Some(Err(error)),
            Ok(Thing::Made(made)) => Some(self.open_made(made, how)),
            Ok(_) if self.overlay.is_none() && (how.writes || how.truncates) => {
                Some(Err(FsError::ReadOnly))
            }
            Ok(Thing::Object(object))
                if !how.writes && !how.truncates && !is_archive_class(&object) =>
            {
                Some(Ok(self.opened(ino, Content::Object(self.reader(&object)))))
            }
            Ok(_) => None,
        }
    }

    pub(super) fn open_made(&self, made: Arc<Made>, how: OpenHow) -> Result<Opened, FsError> {
        let file = made.file().ok_or(FsError::NotPermitted)?;
        let writes = how.writes || how.truncates;
        if writes && let (Some(uploads), Some(remote)) = (self.uploads(), file.remote()) {
            // By now it is an object like any other.
            if remote.settled().is_some()
                && !uploads.config().allow_overwrite
                && !self.is_written(made.ino())
            {
                return Err(FsError::NotPermitted);
            }
        }
        if how.truncates {
            file.resize(0)?;
            self.note_written(&made);
        }
        // What is sent has to be seen to be written.
        let backing = self.uploads().is_none().then(|| file.bytes().clone());
        let flushes = writes && file.remote().is_some();
        let opener = if flushes { process_of(how.thread) } else { 0 };
        let ino = made.ino();
        let file = OpenFile::new(ino, Content::Made(made));
        let handle = self.files.insert(OpenFile { writes, opener, ..file });
        if let Some(Thing::Object(_)) = self.inodes().node(ino) {
            // Its memory was given back meanwhile; the next look-up finds the object.
            self.files.remove(handle);
            return Err(FsError::Stale);
        }
        Ok(Opened { handle, backing, flushes })
    }

    fn opened(&self, ino: Ino, content: Content) -> Opened {
        let handle = self.files.insert(OpenFile::new(ino, content));
        // Whoever has copied it for a writer meanwhile did not find this handle.
        if self.overlay.is_some()
            && let Some(Thing::Made(made)) = self.inodes().node(ino).cloned()
            && let Some(open) = self.files.get(handle)
        {
            let _ = open.replaced.set(made);
        }
        Opened { handle, backing: None, flushes: false }
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
        if let Some(made) = file.made() {
            let file = made.file().ok_or(FsError::BadHandle)?;
            return Ok(ReadAnswer::Ready(file.read(offset, length)?.into()));
        }
        match &file.content {
            Content::Made(_) => Err(FsError::BadHandle),
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
                if error.is_outdated() {
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
    pub fn release_file(self: &Arc<Self>, handle: u64) {
        let closed = self.files.remove(handle);
        if let Some(made) = closed.as_ref().and_then(|file| file.made()).cloned() {
            drop(closed);
            self.after_release(made);
        }
    }

    /// The open file that can be written to behind a handle.
    pub(super) fn writable(&self, handle: u64) -> Result<Arc<Made>, FsError> {
        let file = self.files.get(handle).ok_or(FsError::BadHandle)?;
        file.made().cloned().ok_or(FsError::BadHandle)
    }

    /// What an inode stands for, if it can be opened.
    fn openable(&self, ino: Ino) -> Result<Thing, FsError> {
        let inodes = self.inodes();
        if inodes.is_stale(ino) {
            return Err(FsError::Stale);
        }
        let thing = inodes.node(ino).ok_or(FsError::BadHandle)?;
        match thing.folder() {
            Some(_) => Err(FsError::IsADirectory),
            None => Ok(thing.clone()),
        }
    }

    /// The bytes of what is not made yet.
    pub(super) async fn content(&self, ino: Ino, thing: Thing) -> Result<Content, FsError> {
        match thing {
            Thing::Dir(_) => Err(FsError::IsADirectory),
            Thing::Made(made) => Ok(Content::Made(made)),
            Thing::Object(object) => {
                let reader = self.reader(&object);
                if is_archive_class(&object)
                    && let Answer::Later(answer) = reader.read(0, FIRST_READ_BYTES)
                {
                    answer.await?;
                }
                Ok(Content::Object(reader))
            }
            Thing::View(Sibling { original, kind, .. }) => {
                let opened = self.views.open(&original, kind).await;
                if opened.as_ref().is_err_and(is_changed) {
                    self.note_changed(ino);
                }
                Ok(Content::View(opened?.ok_or(FsError::NotFound)?))
            }
        }
    }

    fn reader(&self, object: &ListedObject) -> Reader {
        Reader::open(&object.version, self.cache.clone(), self.store.clone(), self.runtime.clone())
    }
}

impl Content {
    /// The bytes of a range; fewer only at the end.
    pub(super) async fn read(&self, offset: u64, length: usize) -> Result<ReadBytes, FsError> {
        match self {
            Content::Object(reader) => match reader.read(offset, length) {
                Answer::Ready(bytes) => Ok(bytes),
                Answer::Later(answer) => Ok(answer.await?),
            },
            Content::View(view) => Ok(view.read(offset, length).await?.into()),
            Content::Made(made) => {
                let file = made.file().ok_or(FsError::BadHandle)?;
                Ok(file.read(offset, length)?.into())
            }
        }
    }
}

impl OpenFile {
    fn new(ino: Ino, content: Content) -> Self {
        let (replaced, failed) = (OnceLock::new(), Mutex::default());
        OpenFile { ino, content, writes: false, opener: 0, replaced, failed }
    }

    /// The file, if it was opened to be written to.
    pub(super) fn written(&self) -> Option<Arc<Made>> {
        self.made().filter(|_| self.writes).cloned()
    }

    /// What a program wrote, if that is what the file is by now.
    pub(super) fn made(&self) -> Option<&Arc<Made>> {
        match &self.content {
            Content::Made(made) => Some(made),
            Content::Object(_) | Content::View(_) => self.replaced.get(),
        }
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
