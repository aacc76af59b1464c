//! How far a long work is: a bar on a terminal, and plain lines elsewhere.

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

use super::text::tell;
use crate::config::show_size;

const BAR: &str =
    "[{bar:30}] {bytes} of {total_bytes}, {binary_bytes_per_sec}, {eta} left, {msg} files";
/// Without a terminal a line is written whenever so many more in a hundred are done.
const STEP: u64 = 10;

/// The progress of a work on files, shown on standard error.
#[derive(Debug)]
pub(super) struct Progress {
    /// Nothing is drawn of it where there is no terminal.
    bar: ProgressBar,
    is_terminal: bool,
    files: usize,
    done: AtomicU64,
    /// The last step that was told.
    told: AtomicU64,
}

impl Progress {
    pub(super) fn start(files: usize, bytes: u64) -> Progress {
        let is_terminal = io::stderr().is_terminal();
        let bar = if is_terminal { ProgressBar::new(bytes) } else { ProgressBar::hidden() };
        bar.set_length(bytes);
        if let Ok(style) = ProgressStyle::with_template(BAR) {
            bar.set_style(style.progress_chars("##-"));
        }
        bar.set_message(format!("0 of {files}"));
        let (done, told) = (AtomicU64::new(0), AtomicU64::new(0));
        Progress { bar, is_terminal, files, done, told }
    }

    /// So many bytes more are to come than it seemed.
    pub(super) fn more(&self, bytes: u64) {
        self.bar.inc_length(bytes);
    }

    /// So many bytes more have come.
    pub(super) fn bytes(&self, count: u64) {
        self.bar.inc(count);
    }

    /// One file more is done.
    pub(super) fn file_done(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        self.bar.set_message(format!("{done} of {}", self.files));
        let step = done * 100 / (self.files as u64).max(1) / STEP;
        if !self.is_terminal && self.told.fetch_max(step, Ordering::Relaxed) < step {
            tell(&format!("{done} of {} files, {}", self.files, show_size(self.bar.position())));
        }
    }

    /// All is done, so far as it can be.
    pub(super) fn end(&self) {
        self.bar.abandon();
    }
}
