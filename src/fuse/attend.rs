//! Waiting for the answer to a call, as long as its program does.
//!
//! Contract: a call that takes longer than [`LOOK_EVERY`] is answered EINTR as soon as the
//! program that made it wants to end. What has not begun to change anything is dropped then:
//! its requests end if nobody else waits for them. What has begun is brought to its end,
//! and its outcome noted when it comes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::runtime::Handle as Runtime;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::caller::Caller;
use super::unfinished::Unfinished;
use crate::fs::{Begun, FsError};

/// How long a program waits before it is asked whether it still does, and how often it is
/// asked again. Nobody feels it, and no call that is answered from memory is asked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often once it has waited for a second: a thousand calls may wait for one server.
const LOOK_LATER: Duration = Duration::from_millis(250);
const SOON: u32 = 10;

/// What a call does, and who hears of it.
pub(super) struct Call<T, R, L> {
    pub(super) caller: Caller,
    pub(super) begun: Begun,
    pub(super) unfinished: Arc<Unfinished>,
    pub(super) work: Pin<Box<dyn Future<Output = Result<T, FsError>> + Send>>,
    /// Answers the program.
    pub(super) reply: R,
    /// Hears the outcome of a call whose program has given up.
    pub(super) late: L,
}

impl<T, R, L> Call<T, R, L>
where
    T: Send + 'static,
    R: FnOnce(Result<T, FsError>) + Send + 'static,
    L: FnOnce(Result<T, FsError>) + Send + 'static,
{
    /// Answers a call on the thread that the kernel asked, as far as nothing is waited for,
    /// since waking another thread takes longer than most answers; the rest in a task.
    pub(super) fn answer(mut self, runtime: &Runtime) {
        let _entered = runtime.enter();
        // The task asks again, with a waker that wakes it. A panic ends the call, as it
        // does in a task, and not the thread: its reply, dropped, is EIO.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            match self.work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(outcome) => (self.reply)(outcome),
                Poll::Pending => self.answer_later(runtime),
            }
        }));
    }

    /// Answers a call from a task.
    pub(super) fn answer_later(self, runtime: &Runtime) {
        runtime.spawn(self.attend());
    }

    async fn attend(mut self) {
        for looks in 0_u32.. {
            let pause = if looks < SOON { LOOK_EVERY } else { LOOK_LATER };
            if let Ok(outcome) = timeout(pause, &mut self.work).await {
                return (self.reply)(outcome);
            }
            // The kernel may keep whoever looks waiting for something that the thread holds
            // until it is answered: no thread that answers may look.
            let caller = self.caller;
            let looking = spawn_blocking(move || caller.wants_to_end());
            tokio::select! {
                biased;
                outcome = &mut self.work => return (self.reply)(outcome),
                wants_to_end = looking => if wants_to_end.unwrap_or(false) { break },
            }
        }
        let hold = self.begun.dirs().map(|dirs| self.unfinished.hold(dirs));
        (self.reply)(Err(FsError::Interrupted));
        if let Some(hold) = hold {
            let outcome = self.work.await;
            if let Err(error) = &outcome {
                // Nobody else says it.
                error.report();
            }
            (self.late)(outcome);
            drop(hold);
        }
    }
}
