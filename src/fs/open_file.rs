//! An open file, and the reads of it that failed a moment ago.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

use super::content::Content;
use super::error::FsError;
use super::passed::Passed;
use crate::drafts::Draft;
use crate::names::{Ino, Names};
use crate::reader::ReadBytes;
use crate::stats::FileUse;
use crate::sync::lock;

/// When its readahead has failed, the kernel asks once more, for the first page alone, and
/// only then tells the program. That page has failed already: asked for again it would
/// fail again, after another timeout and with another line in the log.
const ASKED_AGAIN_WITHIN: Duration = Duration::from_millis(500);
/// More reads of one handle than the kernel has under way when they fail together.
const FAILED_READS: usize = 64;

/// An open file.
#[derive(Debug)]
pub(super) struct OpenFile {
    pub(super) ino: Ino,
    pub(super) content: Content,
    /// Whether it was opened to be written to.
    pub(super) writes: bool,
    /// The process that opened it, where that matters; else 0.
    pub(super) opener: u32,
    was_read: AtomicBool,
    /// The draft that replaced it when somebody opened it to write.
    pub(super) replaced: OnceLock<Arc<Draft>>,
    failed: Mutex<Vec<FailedRead>>,
    noted: Noted,
}

/// What is noted of an open file elsewhere.
#[derive(Debug, Default)]
struct Noted {
    /// As one of the files of a directory.
    passed: Option<Arc<Passed>>,
    /// Of the object that it is, or is made of.
    used: Option<Arc<FileUse>>,
}

/// A read that failed a moment ago.
#[derive(Debug)]
struct FailedRead {
    offset: u64,
    when: Instant,
    error: FsError,
}

/// The answer to a read.
pub enum ReadAnswer {
    /// The bytes were here.
    Ready(ReadBytes),
    /// They are on their way.
    Later(BoxFuture<'static, Result<ReadBytes, FsError>>),
}

impl OpenFile {
    pub(super) fn new(ino: Ino, content: Content) -> Self {
        let (replaced, failed) = (OnceLock::new(), Mutex::default());
        let was_read = AtomicBool::new(false);
        OpenFile {
            ino,
            content,
            writes: false,
            opener: 0,
            was_read,
            replaced,
            failed,
            noted: Noted::default(),
        }
    }

    /// The same file, opened by the process `opener`, to write to it or not.
    pub(super) fn opened_by(self, opener: u32, writes: bool) -> Self {
        OpenFile { writes, opener, ..self }
    }

    /// The same file, as one of a directory.
    pub(super) fn passed(mut self, passed: Option<Arc<Passed>>) -> Self {
        self.noted.passed = passed;
        self
    }

    /// The same file, whose use is counted.
    pub(super) fn counted(mut self, used: Option<Arc<FileUse>>) -> Self {
        self.noted.used = used;
        self
    }

    /// What is counted of the object that it is, or is made of.
    pub(super) fn used(&self) -> Option<&Arc<FileUse>> {
        self.noted.used.as_ref()
    }

    /// Notes that something is read of it.
    pub(super) fn note_read(&self) {
        self.was_read.store(true, Ordering::Relaxed);
    }

    /// Notes a read of an object; returns it as one of the files of its directory if that is
    /// where somebody begins to read it.
    pub(super) fn note_begun(&self, offset: u64, length: usize) -> Option<&Arc<Passed>> {
        self.noted.passed.as_ref().filter(|passed| passed.note_read(offset, length))
    }

    /// Whether anything was read of it.
    pub(super) fn was_read(&self) -> bool {
        self.was_read.load(Ordering::Relaxed)
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
    pub(super) fn later(
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

    /// What a read of `length` bytes from `offset` on has just failed with, told once; the
    /// kernel's pages have `page_bytes`.
    pub(super) fn failed_just_now(
        &self,
        offset: u64,
        length: usize,
        page_bytes: usize,
    ) -> Option<FsError> {
        if length > page_bytes {
            return None;
        }
        let mut failed = lock(&self.failed);
        let at = failed.iter().position(|read| read.offset == offset)?;
        let read = failed.swap_remove(at);
        (read.when.elapsed() < ASKED_AGAIN_WITHIN).then_some(read.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drafts::{Attributes, Body};

    #[test]
    fn the_page_that_the_kernel_asks_for_again_has_failed_already_whatever_its_size() {
        let body = Draft::new(7, Body::Fifo, Attributes::new(0o644, 0, 0));
        let file = OpenFile::new(7, Content::Draft(body));
        for page in [4 << 10, 16 << 10, 64 << 10] {
            file.note_failed(page as u64, FsError::NoSpace);
            assert!(file.failed_just_now(0, page, page).is_none(), "another place");
            assert!(
                file.failed_just_now(page as u64, 2 * page, page).is_none(),
                "more than a page"
            );
            assert!(file.failed_just_now(page as u64, page, page).is_some());
            assert!(file.failed_just_now(page as u64, page, page).is_none(), "told once");
        }
    }
}
