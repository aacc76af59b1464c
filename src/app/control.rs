//! The daemon's socket: a sign of its life, and the way to ask it something.
//!
//! The daemon listens on a socket with an abstract name (no file; the kernel
//! forgets it with the process) made of the mount's device number. A client that
//! connects and says nothing learns from the kernel when the process has gone. A
//! client that sends a line is answered in lines, and then the connection is closed.
//! Only root and the daemon's own user get an answer.
//!
//! The kernel gives a device number to the next mount at once. So the daemon stops
//! listening when its mount is gone, however long it goes on sending files; open
//! connections stay, and tell `s3mem umount` when the process has ended. Threads
//! serve them, because threads end with the process and not with the runtime.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle as Runtime;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use crate::sys;

/// What an answer to somebody who may not ask begins with.
pub(super) const STRANGER: &str = "stranger ";
/// No question is longer, in bytes.
const QUESTION_BYTES: u64 = 64;
/// A daemon that is silent for this long is taken to be dead.
const SILENCE: Duration = Duration::from_secs(20);
/// How long to wait before trying again to get a name or a descriptor, and how often.
const PAUSE: Duration = Duration::from_millis(50);
const ATTEMPTS: u32 = 20;

/// Answers the questions of those who may ask.
pub(super) trait Answers: Send + Sync + 'static {
    /// Writes the answer to one question.
    ///
    /// # Errors
    /// Nobody listens any more.
    fn answer(&self, question: &str, to: &mut dyn Write) -> io::Result<()>;
}

/// Where a daemon can be found for as long as this lives.
#[derive(Debug)]
pub(super) struct Control {
    listener: UnixListener,
}

impl Control {
    /// Shows that this process serves the mount with this device number.
    pub(super) fn announce(device: &str) -> io::Result<Control> {
        for _ in 0..ATTEMPTS {
            match UnixListener::bind_addr(&name(device)?) {
                // Somebody's mount that had the number has only just gone.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => thread::sleep(PAUSE),
                outcome => return Ok(Control { listener: outcome? }),
            }
        }
        Ok(Control { listener: UnixListener::bind_addr(&name(device)?)? })
    }

    /// Answers from now on, on the runtime. Connections stay open until the process ends:
    /// only the kernel closes them, after the memory is free as well, so that whoever
    /// waits can mount again.
    pub(super) fn serve(
        self,
        runtime: &Runtime,
        answers: Arc<dyn Answers>,
    ) -> io::Result<Listening> {
        self.listener.set_nonblocking(true)?;
        let _inside = runtime.enter();
        let listener = tokio::net::UnixListener::from_std(self.listener)?;
        let task = runtime.spawn(async move {
            loop {
                let stream = match listener.accept().await {
                    Ok((stream, _)) => stream.into_std(),
                    Err(error) => Err(error),
                };
                if stream.and_then(|stream| begin_talk(stream, answers.clone())).is_err() {
                    sleep(PAUSE).await;
                }
            }
        });
        Ok(Listening(task.abort_handle()))
    }
}

/// A daemon that can be asked.
#[derive(Debug)]
pub(super) struct Listening(AbortHandle);

impl Listening {
    /// Stops listening: the kernel gives the number of a mount that is gone to another
    /// one, whose daemon wants the name. Connections that exist stay.
    pub(super) fn stop(&self) {
        self.0.abort();
    }
}

/// On a thread of its own, since the runtime's tasks end before the process does.
fn begin_talk(stream: UnixStream, answers: Arc<dyn Answers>) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    // A failure to write means that the client is gone.
    let talk = move || drop(talk_to(stream, answers.as_ref()));
    thread::Builder::new().name("control".into()).spawn(talk).map(drop)
}

fn talk_to(mut stream: UnixStream, answers: &dyn Answers) -> io::Result<()> {
    let (me, peer) = (sys::effective_uid(), sys::peer_uid(&stream)?);
    let is_stranger = peer != 0 && peer != me;
    if is_stranger {
        // No thread waits for a stranger for long.
        stream.set_read_timeout(Some(SILENCE))?;
    }
    let mut question = String::new();
    BufReader::new((&stream).take(QUESTION_BYTES)).read_line(&mut question)?;
    match question.strip_suffix('\n') {
        Some(_) if is_stranger => writeln!(
            stream,
            "{STRANGER}the mount belongs to the user with the ID {me}; only they and root may ask"
        ),
        Some(question) => answers.answer(question, &mut stream),
        None => Ok(()),
    }
}

/// Somebody else's daemon, to wait for.
#[derive(Debug)]
pub(super) struct Daemon(UnixStream);

impl Daemon {
    /// The daemon that serves the mount with this device number; `None` if it shows
    /// no sign of life, because it is dead or lives in another container.
    pub(super) fn of(device: &str) -> Option<Daemon> {
        UnixStream::connect_addr(&name(device).ok()?).ok().map(Daemon)
    }

    /// Asks the daemon something; the answer arrives line by line. A line is an error
    /// when the daemon was silent for too long.
    pub(super) fn ask(
        self,
        question: &str,
    ) -> io::Result<impl Iterator<Item = io::Result<String>> + use<>> {
        let mut stream = self.0;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.set_write_timeout(Some(SILENCE))?;
        writeln!(stream, "{question}")?;
        Ok(BufReader::new(stream).lines())
    }

    /// Waits until the daemon has ended; `false` when it has not by then.
    pub(super) fn wait(mut self, timeout: Duration) -> bool {
        if self.0.set_read_timeout(Some(timeout)).is_err() {
            return false;
        }
        let in_time = |error: io::Error| {
            !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
        };
        // Nothing was asked: an end or a reset is all that can come.
        self.0.read_exact(&mut [0]).err().is_none_or(in_time)
    }
}

fn name(device: &str) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(format!("s3mem/mount/{device}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Echo;

    impl Answers for Echo {
        fn answer(&self, question: &str, to: &mut dyn Write) -> io::Result<()> {
            writeln!(to, "you said\n{question}")
        }
    }

    #[test]
    fn a_daemon_is_waited_for_until_it_is_gone() {
        let device = format!("test:{}", std::process::id());
        assert!(Daemon::of(&device).is_none());
        let control = Control::announce(&device).unwrap();
        assert!(!Daemon::of(&device).unwrap().wait(Duration::from_millis(10)));
        let waiting = Daemon::of(&device).unwrap();
        drop(control);
        assert!(waiting.wait(Duration::from_secs(10)));
        assert!(Daemon::of(&device).is_none());
    }

    #[test]
    fn who_asks_is_answered_while_others_wait() {
        let device = format!("test-ask:{}", std::process::id());
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let control = Control::announce(&device).unwrap();
        let listening = control.serve(runtime.handle(), Arc::new(Echo)).unwrap();
        let waiting = Daemon::of(&device).unwrap();
        for question in ["status", ""] {
            let lines = Daemon::of(&device).unwrap().ask(question).unwrap();
            let lines: Vec<String> = lines.map(Result::unwrap).collect();
            assert_eq!(lines, ["you said", question]);
        }
        listening.stop();
        // The name is free for another, and who waits still waits.
        let _another = Control::announce(&device).unwrap();
        assert!(!waiting.wait(Duration::from_millis(10)));
    }
}
