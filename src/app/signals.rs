//! The signals that a daemon understands, on a thread of their own.
//!
//! SIGTERM and SIGINT ask it to end, and set its deadline. SIGHUP has it open its log
//! anew. SIGUSR1 and SIGUSR2 would end the process, and do nothing instead. The thread
//! needs nothing of the runtime that serves requests: a daemon whose threads all wait for
//! something ends as well.

use std::io;
use std::thread;

use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::deadline::{Deadline, Lifted};

/// The signals that ask the daemon to end, as they come.
#[derive(Debug)]
pub(super) struct EndSignals {
    names: UnboundedReceiver<&'static str>,
    deadline: Deadline,
}

impl EndSignals {
    /// Catches all signals from now on: each would end the process without unmounting.
    pub(super) fn catch(
        deadline: Deadline,
        on_hangup: impl Fn() + Clone + Send + 'static,
    ) -> io::Result<EndSignals> {
        let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
        let caught = runtime.block_on(async { Caught::new() })?;
        let (tell, names) = unbounded_channel();
        let ending = deadline.clone();
        thread::Builder::new()
            .name("signals".into())
            .spawn(move || runtime.block_on(caught.pass_on(&ending, &tell, on_hangup)))?;
        Ok(EndSignals { names, deadline })
    }

    /// Waits for the next signal, and returns its name.
    pub(super) async fn next(&mut self) -> &'static str {
        match self.names.recv().await {
            Some(name) => name,
            // The thread only ends when nobody listens.
            None => std::future::pending().await,
        }
    }

    /// Takes the time that it takes, until a second signal comes.
    pub(super) fn untimed(&self) -> Lifted {
        self.deadline.lift()
    }
}

#[derive(Debug)]
struct Caught {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// Caught, and that is all.
    _users: [Signal; 2],
}

impl Caught {
    fn new() -> io::Result<Caught> {
        Ok(Caught {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            _users: [signal(SignalKind::user_defined1())?, signal(SignalKind::user_defined2())?],
        })
    }

    async fn pass_on(
        mut self,
        deadline: &Deadline,
        tell: &UnboundedSender<&'static str>,
        on_hangup: impl Fn() + Clone + Send + 'static,
    ) {
        let mut is_ending = false;
        loop {
            let name = tokio::select! {
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.interrupt.recv() => "SIGINT",
                _ = self.hangup.recv() => {
                    // On another thread: to open a file may take for ever.
                    let act = on_hangup.clone();
                    let _ = thread::Builder::new().name("hangup".into()).spawn(act);
                    continue;
                }
            };
            if is_ending {
                deadline.set_at_once()
            } else {
                deadline.set()
            }
            is_ending = true;
            if tell.send(name).is_err() {
                return;
            }
        }
    }
}
