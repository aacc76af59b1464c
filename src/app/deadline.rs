//! The end of the process, which comes even if a part of it hangs.
//!
//! Contract: once a deadline is set, the process ends by then, whatever its other threads
//! wait for: a log that nobody reads, a server, a lock. Sending files takes the time that
//! it takes, so the deadline is lifted meanwhile, except after a second signal. What is
//! still to be said and done then is tried for a moment.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::sys;

/// How long the end may take after a signal, or after the mount has gone.
const END: Duration = Duration::from_secs(15);
/// How long it may take when it is to come at once.
const AT_ONCE: Duration = Duration::from_secs(5);
/// How long it may take to do what is still to be done.
const LAST: Duration = Duration::from_secs(3);

/// What is still to be done; each runs on a thread of its own, since each may hang.
pub(super) type LastActs = Vec<Box<dyn FnOnce() + Send>>;

/// When the process ends at the latest. Clones are one.
#[derive(Debug, Clone, Default)]
pub(super) struct Deadline(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    due: Mutex<Due>,
    changed: Condvar,
}

#[derive(Debug, Default, Clone, Copy)]
struct Due {
    at: Option<Instant>,
    /// Nothing lifts it any more.
    is_final: bool,
    /// How many tasks lift it now.
    lifted: u32,
}

impl Deadline {
    /// The end has begun.
    pub(super) fn set(&self) {
        self.change(|due| {
            if !due.is_final {
                due.at = Some(Instant::now() + END);
            }
        });
    }

    /// The end is to come at once, whatever is under way.
    pub(super) fn set_at_once(&self) {
        self.change(|due| {
            if !due.is_final {
                *due = Due { at: Some(Instant::now() + AT_ONCE), is_final: true, ..*due };
            }
        });
    }

    /// No deadline for as long as the returned value lives.
    pub(super) fn lift(&self) -> Lifted {
        self.change(|due| due.lifted += 1);
        Lifted(self.clone())
    }

    /// From now on, ends the process when it is due. Only a thread that waits for nothing
    /// else can do that.
    pub(super) fn watch(
        &self,
        acts: impl FnOnce() -> LastActs + Send + 'static,
    ) -> std::io::Result<()> {
        let deadline = self.clone();
        let watch = move || {
            deadline.wait();
            finish(acts(), LAST);
            sys::exit_at_once(1);
        };
        thread::Builder::new().name("deadline".into()).spawn(watch).map(drop)
    }

    fn wait(&self) {
        let mut due = self.lock();
        loop {
            let left = due.at.filter(|_| due.is_final || due.lifted == 0);
            let left = left.map(|at| at.saturating_duration_since(Instant::now()));
            due = match left {
                Some(Duration::ZERO) => return,
                Some(left) => {
                    let waited = self.0.changed.wait_timeout(due, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.0.changed.wait(due).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn change(&self, change: impl FnOnce(&mut Due)) {
        change(&mut self.lock());
        self.0.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Due> {
        self.0.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lifts a deadline while it lives.
#[derive(Debug)]
pub(super) struct Lifted(Deadline);

impl Drop for Lifted {
    fn drop(&mut self) {
        self.0.change(|due| due.lifted -= 1);
        if self.0.lock().at.is_some() {
            self.0.set();
        }
    }
}

/// Does all of it at once, and waits for it no longer than `patience`.
fn finish(acts: LastActs, patience: Duration) {
    let (tell, done) = mpsc::channel();
    let start = Instant::now();
    let mut begun = 0;
    for act in acts {
        let tell = tell.clone();
        let act = move || {
            act();
            // Nobody waits for it any more if it took too long.
            let _ = tell.send(());
        };
        begun += u32::from(thread::Builder::new().spawn(act).is_ok());
    }
    for _ in 0..begun {
        if done.recv_timeout(patience.saturating_sub(start.elapsed())).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn left(deadline: &Deadline) -> Option<Duration> {
        deadline.lock().at.map(|at| at.saturating_duration_since(Instant::now()))
    }

    #[test]
    fn a_second_signal_brings_the_end_nearer_and_nothing_lifts_it_then() {
        let deadline = Deadline::default();
        assert_eq!(left(&deadline), None);
        deadline.set();
        assert!(left(&deadline).unwrap() > AT_ONCE);
        deadline.set_at_once();
        drop(deadline.lift());
        deadline.set();
        assert!(left(&deadline).unwrap() <= AT_ONCE);
    }

    #[test]
    fn while_it_is_lifted_it_does_not_come() {
        let deadline = Deadline::default();
        let lifted = deadline.lift();
        deadline.change(|due| due.at = Some(Instant::now()));
        let waiting = deadline.clone();
        let thread = thread::spawn(move || waiting.wait());
        thread::sleep(Duration::from_millis(50));
        assert!(!thread.is_finished());
        // The time begins anew.
        drop(lifted);
        assert!(left(&deadline).unwrap() > AT_ONCE);
        deadline.change(|due| due.at = Some(Instant::now()));
        thread.join().unwrap();
    }

    #[test]
    fn what_hangs_at_the_end_keeps_nothing_else_from_being_done() {
        let done = Arc::new(AtomicBool::new(false));
        let (hold, held) = mpsc::channel::<()>();
        let tell = done.clone();
        let acts: LastActs = vec![
            Box::new(move || held.recv().unwrap_or_default()),
            Box::new(move || tell.store(true, Ordering::SeqCst)),
        ];
        let start = Instant::now();
        finish(acts, Duration::from_millis(200));
        assert!(start.elapsed() < Duration::from_secs(10));
        assert!(done.load(Ordering::SeqCst));
        drop(hold);
    }
}
