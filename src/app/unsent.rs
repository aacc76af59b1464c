//! Files that are not in the bucket when the mount is to end: sent first, or lost.
//!
//! Contract: what `--on-unmount` says holds, whoever ends the mount and how. Nothing
//! is lost without a line in the log for each file.
//!
//! - `s3mem umount` asks the daemon before it unmounts. The daemon answers line by
//!   line: a note for the user, an empty line as a sign of life while it sends, then
//!   "go", or "no" and the reason.
//! - After a signal the daemon sends first and unmounts then, so that you can still
//!   look at and copy what can't be sent.
//! - When the mount has gone, by whatever means, it sends what is left and ends. No
//!   handle is open any more, although the kernel may have dropped the last releases:
//!   a file that was closed or synchronised, and failed to be sent then or is to be sent
//!   later, is sent even if it seems to have a handle. A file that was never closed nor synchronised is not:
//!   no program was told that it is safe, and half of a file would look like a whole.
//!
//! Sending runs in tasks that nobody drops. A request that is given up may still
//! happen, and the next attempt would take its object for a stranger's.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Handle as Runtime;
use tokio::time::{sleep, timeout};

use super::signals::EndSignals;
use super::text::printable;
use crate::config::OnUnmount;
use crate::publish::{Pending, Publisher};

/// How long to wait before sending again what failed, while somebody waits for it.
const AGAIN: Duration = Duration::from_secs(3);
/// How often somebody who waits gets a sign of life, at least.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);
/// How long a file that was closed may still look open.
const RELEASE: Duration = Duration::from_secs(1);
/// How long the end waits until the bucket has forgotten the beginnings of files.
const GIVING_UP: Duration = Duration::from_secs(5);
/// How many files a sentence names, at most.
const NAMED: usize = 3;

/// What the daemon answers to `unmount`: go ahead,
pub(super) const GO: &str = "go";
/// do not, and why,
pub(super) const NO: &str = "no ";
/// and what the user should know.
pub(super) const NOTE: &str = "note ";

/// The files of one mount.
#[derive(Debug, Clone)]
pub(super) struct Unsent {
    /// `None` where nothing is put into the bucket.
    publisher: Option<Arc<Publisher>>,
    runtime: Runtime,
    how: OnUnmount,
    mount_point: String,
}

impl Unsent {
    pub(super) fn new(
        publisher: Option<Arc<Publisher>>,
        runtime: Runtime,
        how: OnUnmount,
        mount_point: &Path,
    ) -> Self {
        Unsent { publisher, runtime, how, mount_point: mount_point.display().to_string() }
    }

    /// Answers `unmount`: go ahead or not, as soon as that is decided.
    ///
    /// # Errors
    /// They are gone.
    pub(super) fn before_unmount(&self, to: &mut dyn Write) -> io::Result<()> {
        match self.how {
            OnUnmount::Wait => self.wait(to),
            OnUnmount::Refuse => match &self.closed()[..] {
                [] => writeln!(to, "{GO}"),
                files => say(to, NO, &self.refusal(files)),
            },
            OnUnmount::Discard => {
                let files = self.closed();
                if !files.is_empty() {
                    let text = format!(
                        "lost with the mount, because they are not in the bucket: {}",
                        named(&files)
                    );
                    say(to, NOTE, &text)?;
                }
                writeln!(to, "{GO}")
            }
        }
    }

    fn wait(&self, to: &mut dyn Write) -> io::Result<()> {
        let mut told = 0;
        loop {
            let files = self.sendable();
            if files.is_empty() {
                let conflicts: Vec<Pending> =
                    self.pending().into_iter().filter(Pending::is_conflict).collect();
                return match &conflicts[..] {
                    [] => writeln!(to, "{GO}"),
                    files => say(to, NO, &self.conflict(files)),
                };
            }
            let sent = self.begin_sending();
            while let Err(RecvTimeoutError::Timeout) = sent.recv_timeout(SIGN_OF_LIFE) {
                self.note_waiting(&mut told, to)?;
            }
            self.note_waiting(&mut told, to)?;
            if self.sendable().is_empty() {
                continue;
            }
            thread::sleep(AGAIN);
        }
    }

    /// Names the files that are being waited for, if that has changed; otherwise just
    /// gives a sign of life.
    fn note_waiting(&self, told: &mut usize, to: &mut dyn Write) -> io::Result<()> {
        let files = self.sendable();
        if files.is_empty() || files.len() == *told {
            return writeln!(to);
        }
        *told = files.len();
        let text = format!(
            "waiting until everything is in the bucket (Ctrl-C leaves {} mounted): {}",
            self.mount_point,
            named(&files)
        );
        say(to, NOTE, &text)
    }

    /// Sends everything that can be sent, as often as it takes; `false` if a signal came
    /// before that was done. What programs go on writing meanwhile is left for
    /// [`Unsent::send_after_end`]: they may never stop.
    pub(super) async fn send(&self, signals: &mut EndSignals) -> bool {
        self.send_until(signals, |file| file.problem.is_some()).await
    }

    /// Sends until no file that could be sent is still to do.
    async fn send_until(
        &self,
        signals: &mut EndSignals,
        is_to_do: impl Fn(&Pending) -> bool,
    ) -> bool {
        if self.how == OnUnmount::Discard {
            return true;
        }
        if self.pending().is_empty() {
            return true;
        }
        let _untimed = signals.untimed();
        let mut told = 0;
        while !self.pending().is_empty() {
            let files = self.sendable();
            if !files.is_empty() && files.len() != told {
                told = files.len();
                tracing::info!(
                    "sending what is not in the bucket yet; a signal ends this at once: {}",
                    named(&files)
                );
            }
            let Some(publisher) = self.publisher.clone() else { break };
            // A task of its own, which goes on when nobody waits for it any more: a
            // request that is dropped may have happened.
            let sending = self.runtime.spawn(async move { publisher.send_pending().await });
            let attempt = async {
                // It can only fail to be joined by a panic, which is logged.
                let _ = sending.await;
                let is_done = !self.sendable().iter().any(&is_to_do);
                if !is_done {
                    sleep(AGAIN).await;
                }
                is_done
            };
            tokio::select! {
                is_done = attempt => if is_done { break },
                signal = signals.next() => {
                    tracing::warn!("{signal}: not waiting for files that are not in the bucket");
                    return false;
                }
            }
        }
        if told > 0 {
            tracing::info!("everything that could be sent is in the bucket now");
        }
        true
    }

    /// Like [`Unsent::send`], once the mount is gone and nobody has a file open any more.
    pub(super) async fn send_after_end(&self, signals: &mut EndSignals) -> bool {
        if let Some(publisher) = &self.publisher {
            publisher.note_ended();
        }
        self.send_until(signals, |_| true).await
    }

    /// Has the bucket forget what was sent of files that are lost: their parts would be billed.
    /// Not for long: the next mount can do it too.
    pub(super) async fn give_up(&self, signals: &mut EndSignals) {
        let Some(publisher) = self.publisher.clone().filter(|p| !p.pending().is_empty()) else {
            return;
        };
        // A task of its own, as above. It can only fail to be joined by a panic, which is logged.
        let giving_up = self.runtime.spawn(async move { publisher.give_up().await });
        let stay = "what was sent of lost files stays in the bucket until the next mount of it";
        tokio::select! {
            done = timeout(GIVING_UP, giving_up) => if done.is_err() { tracing::warn!("{stay}") },
            signal = signals.next() => tracing::warn!("{signal}: {stay}"),
        }
    }

    /// Writes a line to the log for each file that is lost.
    pub(super) fn log_lost(&self) {
        for file in self.pending() {
            tracing::error!(
                "\"{}\" ({} bytes) is lost: it is not in the bucket: {}",
                file.path.escape_debug(),
                file.bytes,
                why(&file)
            );
        }
    }

    /// Starts sending on the runtime; the receiver gets a message when all was tried.
    fn begin_sending(&self) -> mpsc::Receiver<()> {
        let (tell, sent) = mpsc::channel();
        let publisher = self.publisher.clone();
        self.runtime.spawn(async move {
            if let Some(publisher) = publisher {
                publisher.send_pending().await;
            }
            // Whoever waited for it may be gone.
            let _ = tell.send(());
        });
        sent
    }

    fn pending(&self) -> Vec<Pending> {
        self.publisher.as_ref().map_or_else(Vec::new, |publisher| publisher.pending())
    }

    fn sendable(&self) -> Vec<Pending> {
        self.pending().into_iter().filter(Pending::can_be_sent).collect()
    }

    /// Open files keep the mount busy, which is another reason not to unmount. Those
    /// that were closed just now are waited for: the kernel tells of it behind close(2).
    fn closed(&self) -> Vec<Pending> {
        let start = Instant::now();
        let mut files = self.pending();
        while files.iter().any(|file| file.is_open) && start.elapsed() < RELEASE {
            thread::sleep(RELEASE / 20);
            files = self.pending();
        }
        files.into_iter().filter(|file| !file.is_open).collect()
    }

    fn refusal(&self, files: &[Pending]) -> String {
        format!(
            "{} stays mounted (--on-unmount refuse), because not everything is in the bucket yet: {}. \
             s3mem keeps retrying: try again later, or copy these files elsewhere and delete them; \
             's3mem status' lists them all",
            self.mount_point,
            named(files)
        )
    }

    fn conflict(&self, files: &[Pending]) -> String {
        format!(
            "{mount} stays mounted, because somebody else has changed objects that were also written \
             here, so these can't be sent: {}. Copy them elsewhere, delete them and try again; \
             'fusermount3 -u {mount}' unmounts without them",
            named(files),
            mount = self.mount_point
        )
    }
}

/// Why a file is not in the bucket.
pub(super) fn why(file: &Pending) -> String {
    match (&file.problem, file.is_open) {
        (Some(error), false) => error.chain(),
        (Some(error), true) => format!("open; the last attempt failed: {}", error.chain()),
        (None, true) => "open".to_owned(),
        (None, false) => "not sent yet".to_owned(),
    }
}

/// How many files, and the first of them: `2 files: a (not sent yet), b (open)`.
fn named(files: &[Pending]) -> String {
    let count = match files.len() {
        1 => "1 file".to_owned(),
        count => format!("{count} files"),
    };
    let show = |file: &Pending| format!("\"{}\" ({})", file.path.escape_debug(), why(file));
    let names: Vec<String> = files.iter().take(NAMED).map(show).collect();
    let others = match files.len().saturating_sub(NAMED) {
        0 => String::new(),
        others => format!(" and {others} more"),
    };
    format!("{count}: {}{others}", names.join(", "))
}

/// One line of an answer.
fn say(to: &mut dyn Write, what: &str, sentence: &str) -> io::Result<()> {
    writeln!(to, "{what}{}", printable(sentence))
}
