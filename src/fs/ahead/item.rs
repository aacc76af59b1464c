//! What was fetched ahead, and what keeps it going.

use tokio::task::JoinHandle;

use crate::reader::Reader;

/// Something that is fetched ahead.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) name: String,
    /// What it may cost in vain: bytes of files, or one.
    pub(super) stake: u64,
    pub(super) held: Held,
}

/// What keeps it going.
#[derive(Debug)]
pub(super) enum Held {
    /// The GETs of a file end with its last handle.
    Reader { _open: Reader },
    /// A listing, or an image that is looked at.
    Task(Task),
}

/// A task that ends when nobody needs it any more.
#[derive(Debug)]
pub(super) struct Task(Option<JoinHandle<()>>);

impl Task {
    pub(super) fn new(task: Option<JoinHandle<()>>) -> Self {
        Task(task)
    }

    /// Whether it has come to its end.
    pub(super) fn is_done(&self) -> bool {
        self.0.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Lets it run to its end.
    pub(super) fn detach(mut self) {
        self.0 = None;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.abort();
        }
    }
}
