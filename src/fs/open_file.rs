//! An open file, and the reads of it that failed a moment ago.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

use super::content::Content;
use super::error::FsError;
use crate::drafts::Draft;
use crate::names::{Ino, Names};
use crate::reader::ReadBytes;
use crate::sync::lock;

/// When its readahead has failed, the kernel asks once more, for the first page alone, and
/// only then tells the program. That page has failed already: asked for again it would
/// fail again, after another timeout and with another line in the log.
pub(super) const PAGE_BYTES: usize = 4096;
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
        OpenFile { ino, content, writes: false, opener: 0, replaced, failed }
    }

    /// The same file, opened by the process `opener`, to write to it or not.
    pub(super) fn opened_by(self, opener: u32, writes: bool) -> Self {
        OpenFile { writes, opener, ..self }
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

    /// What a read from `offset` on has just failed with, told once.
    pub(super) fn failed_just_now(&self, offset: u64) -> Option<FsError> {
        let mut failed = lock(&self.failed);
        let at = failed.iter().position(|read| read.offset == offset)?;
        let read = failed.swap_remove(at);
        (read.when.elapsed() < ASKED_AGAIN_WITHIN).then_some(read.error)
    }
}
