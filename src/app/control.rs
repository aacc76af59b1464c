//! The daemon's socket: a sign of its life, and the way to ask it something.
//!
//! The daemon listens on a socket in its user's runtime folder, named by the mount's
//! device number. A client that sends a line is answered in lines, and then the
//! connection is closed; one that asks to "wait" learns from the kernel when the
//! process has gone. Each side asks the kernel who the other is: the daemon answers
//! root and its own user, and a client believes only the user who mounted.
//!
//! The kernel gives a device number to the next mount at once. So the next daemon puts
//! its socket in the place of whatever is there, and the first stops listening when
//! its mount is gone, however long it goes on sending files; open connections stay,
//! and tell `s3mem umount` when the process has ended. Threads serve them, because
//! threads end with the process and not with the runtime. A server without a mount is named by
//! its process.

use std::fs::{self, Permissions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Handle as Runtime;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::message;
use super::mount_table::Mounted;
use crate::config::Environment;
use crate::mem::is_out_of_files;
use crate::sys;

/// No answer is longer, in bytes.
const ANSWER_BYTES: u64 = 256 << 20;
/// Whoever is silent for this long is taken to be dead.
const SILENCE: Duration = Duration::from_secs(20);
/// How many connections are served at once; others wait for their turn.
const CONNECTIONS: usize = 64;
/// So many open files are set aside for clients, for when the process has as many open as it
/// may: somebody has to be told why nothing else works.
const SET_ASIDE: usize = 4;
/// When it is tried again to set aside what could not be.
const AGAIN: Duration = Duration::from_secs(1);
/// How long to wait before trying again what may go better then, and how often.
const PAUSE: Duration = Duration::from_millis(50);
const ATTEMPTS: u32 = 20;
/// The question that is answered by the end of the process.
const WAIT: &str = "wait";
/// What the names of servers begin with.
const SERVER: &str = "serve-";
/// What the names of sockets end in.
const ENDING: &str = ".sock";

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
    place: Place,
}

/// The file of a socket.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    /// Which file it is: another daemon may have put its own there.
    inode: u64,
}

impl Place {
    /// Takes the file away, unless it is another daemon's by now.
    fn clear(&self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|file| file.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Control {
    /// Shows in `folder`, which is this user's alone, that this process serves the mount
    /// with this device number.
    pub(super) fn announce(folder: &Path, device: &str) -> io::Result<Control> {
        sweep(folder);
        let unnamed = folder.join(format!("{device}.{}.new", std::process::id()));
        let _ = fs::remove_file(&unnamed);
        let listener = UnixListener::bind(&unnamed)?;
        fs::set_permissions(&unnamed, Permissions::from_mode(0o600))?;
        let inode = fs::symlink_metadata(&unnamed)?.ino();
        // The number is ours, so whoever has the name has no mount any more.
        let path = socket_in(folder, device);
        fs::rename(&unnamed, &path)?;
        Ok(Control { listener, place: Place { path, inode } })
    }

    /// As [`Control::announce`], for this process as a server without a mount.
    pub(super) fn announce_server(folder: &Path) -> io::Result<Control> {
        Control::announce(folder, &format!("{SERVER}{}", std::process::id()))
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
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let task = runtime.spawn(async move {
            let mut aside = SetAside::default();
            // Nobody closes the semaphore.
            while let Ok(place) = places.clone().acquire_owned().await {
                let stream = match aside.next_client(&listener).await {
                    Ok(stream) => stream.into_std(),
                    Err(error) => Err(error),
                };
                let answers = answers.clone();
                let talk = move |stream| {
                    // A failure to write means that the client is gone.
                    let _ = talk_to(stream, answers.as_ref());
                    drop(place);
                };
                if stream.and_then(|stream| begin_talk(stream, talk)).is_err() {
                    sleep(PAUSE).await;
                }
            }
        });
        Ok(Listening { task: task.abort_handle(), place: self.place })
    }
}

/// Open files that are nothing, and can be given up for a client.
#[derive(Debug, Default)]
struct SetAside(Vec<OwnedFd>);

impl SetAside {
    /// The next client, in the place of one of these if there is no other.
    async fn next_client(
        &mut self,
        listener: &tokio::net::UnixListener,
    ) -> io::Result<tokio::net::UnixStream> {
        self.fill(listener);
        loop {
            let accepted = match self.0.len() {
                SET_ASIDE => listener.accept().await,
                _ => match timeout(AGAIN, listener.accept()).await {
                    Ok(accepted) => accepted,
                    Err(_) => {
                        self.fill(listener);
                        continue;
                    }
                },
            };
            match accepted {
                // The client waits in line, and has the place at the next attempt.
                Err(error) if is_out_of_files(&error) && self.0.pop().is_some() => {}
                accepted => return accepted.map(|(stream, _)| stream),
            }
        }
    }

    /// Sets aside what there are too few of, if that many files can be open just now.
    fn fill(&mut self, any: &impl AsFd) {
        while self.0.len() < SET_ASIDE {
            let Ok(copy) = any.as_fd().try_clone_to_owned() else { return };
            self.0.push(copy);
        }
    }
}

/// A daemon that can be asked.
#[derive(Debug)]
pub(super) struct Listening {
    task: AbortHandle,
    place: Place,
}

impl Listening {
    /// Stops listening: the kernel gives the number of a mount that is gone to another
    /// one, whose daemon is to be found by it. Connections that exist stay.
    pub(super) fn stop(&self) {
        self.place.clear();
        self.task.abort();
    }
}

/// On a thread of its own, since the runtime's tasks end before the process does.
fn begin_talk(
    stream: UnixStream,
    talk: impl FnOnce(UnixStream) + Send + 'static,
) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    thread::Builder::new().name("control".into()).spawn(move || talk(stream)).map(drop)
}

fn talk_to(mut stream: UnixStream, answers: &dyn Answers) -> io::Result<()> {
    let (me, peer) = (sys::effective_uid(), sys::peer_uid(&stream)?);
    if peer != 0 && peer != me {
        return Ok(());
    }
    // No thread waits for long for somebody who asks nothing, or does not listen.
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(SILENCE))?;
    match message::question(&stream)?.as_deref() {
        Some(WAIT) => {
            stream.set_read_timeout(None)?;
            // Until the client has gone: the answer is the end of this process.
            stream.read(&mut [0]).map(drop)
        }
        Some(question) => answers.answer(question, &mut stream),
        None => Ok(()),
    }
}

/// Takes away the sockets of daemons that were killed.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let path = entry.path();
        let is_socket = name.to_str().is_some_and(|name| name.ends_with(ENDING));
        if is_socket && is_refused(&path) {
            let _ = fs::remove_file(path);
        }
    }
}

fn is_refused(path: &Path) -> bool {
    sys::connect_at_once(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

fn socket_in(folder: &Path, device: &str) -> PathBuf {
    folder.join(format!("{device}{ENDING}"))
}

/// Somebody else's daemon, to be asked or waited for.
#[derive(Debug)]
pub(super) struct Daemon(UnixStream);

impl Daemon {
    /// The daemon that serves a mount; `None` if it shows no sign of life, because it is
    /// dead or lives in another container, or its folder is not where it is looked for.
    pub(super) fn of(mounted: &Mounted, environment: &Environment) -> Option<Daemon> {
        let user = mounted.user?;
        let folders = environment.runtime_folders(user);
        folders.iter().find_map(|folder| Daemon::at(&socket_in(folder, &mounted.device), user))
    }

    /// The servers without a mount of the user who asks, those that show signs of life.
    pub(super) fn servers(environment: &Environment) -> Vec<Daemon> {
        let sockets = Daemon::server_sockets(environment);
        sockets.iter().filter_map(|socket| Daemon::server(socket)).collect()
    }

    /// Where servers without a mount of the user who asks listen, or have listened.
    pub(super) fn server_sockets(environment: &Environment) -> Vec<PathBuf> {
        let folders = environment.runtime_folders(sys::effective_uid());
        let files = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
        let mut paths: Vec<PathBuf> = files.flatten().map(|entry| entry.path()).collect();
        paths.retain(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with(SERVER) && name.ends_with(ENDING)
        });
        paths.sort();
        paths
    }

    /// The server at a socket, if it shows signs of life.
    pub(super) fn server(socket: &Path) -> Option<Daemon> {
        Daemon::at(socket, sys::effective_uid())
    }

    /// The daemon that listens at `path`, if `user` started it: whoever else could put a
    /// socket there is not believed.
    fn at(path: &Path, user: u32) -> Option<Daemon> {
        for _ in 0..ATTEMPTS {
            match sys::connect_at_once(path) {
                Ok(stream) => {
                    let is_theirs = sys::peer_uid(&stream).is_ok_and(|peer| peer == user);
                    return is_theirs.then_some(Daemon(stream));
                }
                // Many ask at once.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(PAUSE),
                Err(_) => return None,
            }
        }
        None
    }

    /// Asks the daemon something; the answer arrives line by line. A line is an error
    /// when the daemon was silent for too long, or took longer than `limit` in all.
    pub(super) fn ask(
        self,
        question: &str,
        limit: Duration,
    ) -> io::Result<impl Iterator<Item = io::Result<String>> + use<>> {
        let mut stream = self.0;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.set_write_timeout(Some(SILENCE))?;
        writeln!(stream, "{question}")?;
        let start = Instant::now();
        let lines = BufReader::new(stream.take(ANSWER_BYTES)).lines();
        Ok(lines.map(move |line| match start.elapsed() > limit {
            true => Err(io::Error::from(io::ErrorKind::TimedOut)),
            false => line,
        }))
    }

    /// Says that somebody waits for the daemon's end.
    pub(super) fn watch(self) -> io::Result<Watched> {
        let mut stream = self.0;
        stream.set_write_timeout(Some(SILENCE))?;
        writeln!(stream, "{WAIT}")?;
        Ok(Watched(stream))
    }
}

/// A daemon whose end is waited for.
#[derive(Debug)]
pub(super) struct Watched(UnixStream);

impl Watched {
    /// Waits until the daemon has ended; `false` when it has not by then.
    pub(super) fn wait(mut self, timeout: Duration) -> bool {
        if self.0.set_read_timeout(Some(timeout)).is_err() {
            return false;
        }
        let in_time = |error: io::Error| {
            !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
        };
        // An end or a reset is all that can come.
        self.0.read_exact(&mut [0]).err().is_none_or(in_time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileTypeExt;

    const MOMENT: Duration = Duration::from_millis(10);
    const LONG: Duration = Duration::from_secs(10);

    struct Echo;

    impl Answers for Echo {
        fn answer(&self, question: &str, to: &mut dyn Write) -> io::Result<()> {
            writeln!(to, "you said\n{question}")
        }
    }

    fn of(folder: &Path) -> Option<Daemon> {
        Daemon::at(&socket_in(folder, "0:45"), sys::effective_uid())
    }

    fn asked(folder: &Path, question: &str) -> Vec<String> {
        of(folder).unwrap().ask(question, LONG).unwrap().map(Result::unwrap).collect()
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
    }

    #[test]
    fn a_daemon_is_waited_for_until_it_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path();
        assert!(of(folder).is_none());
        let control = Control::announce(folder, "0:45").unwrap();
        assert!(!of(folder).unwrap().watch().unwrap().wait(MOMENT));
        let waiting = of(folder).unwrap().watch().unwrap();
        drop(control);
        assert!(waiting.wait(LONG));
        assert!(of(folder).is_none());
    }

    #[test]
    fn who_asks_is_answered_while_others_wait() {
        let (dir, runtime) = (tempfile::tempdir().unwrap(), runtime());
        let folder = dir.path();
        let control = Control::announce(folder, "0:45").unwrap();
        let listening = control.serve(runtime.handle(), Arc::new(Echo)).unwrap();
        let waiting = of(folder).unwrap().watch().unwrap();
        for question in ["status", ""] {
            assert_eq!(asked(folder, question), ["you said", question]);
        }
        listening.stop();
        // The name is free for another, and who waits still waits.
        assert!(of(folder).is_none());
        let _another = Control::announce(folder, "0:45").unwrap();
        assert!(!waiting.wait(MOMENT));
    }

    #[test]
    fn a_daemon_takes_the_name_of_one_that_was_killed_or_has_lost_its_mount() {
        let (dir, runtime) = (tempfile::tempdir().unwrap(), runtime());
        let folder = dir.path();
        let first = Control::announce(folder, "0:45").unwrap();
        let first = first.serve(runtime.handle(), Arc::new(Echo)).unwrap();
        // A socket that nobody listens on, as a killed daemon leaves it.
        drop(UnixListener::bind(socket_in(folder, "0:46")).unwrap());
        let second = Control::announce(folder, "0:45").unwrap();
        assert!(!socket_in(folder, "0:46").exists());
        let second = second.serve(runtime.handle(), Arc::new(Echo)).unwrap();
        // What the first takes away is not the second's.
        first.stop();
        assert_eq!(asked(folder, "x"), ["you said", "x"]);
        second.stop();
        assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
    }

    #[test]
    fn only_the_user_who_mounted_is_believed() {
        let dir = tempfile::tempdir().unwrap();
        let _control = Control::announce(dir.path(), "0:45").unwrap();
        let socket = socket_in(dir.path(), "0:45");
        assert!(Daemon::at(&socket, sys::effective_uid()).is_some());
        assert!(Daemon::at(&socket, sys::effective_uid() + 1).is_none());
        let file = fs::symlink_metadata(socket).unwrap();
        assert!(file.file_type().is_socket() && file.mode() & 0o777 == 0o600);
    }

    #[test]
    fn so_many_connections_are_served_and_the_others_wait_for_their_turn() {
        let (dir, runtime) = (tempfile::tempdir().unwrap(), runtime());
        let control = Control::announce(dir.path(), "0:45").unwrap();
        let _listening = control.serve(runtime.handle(), Arc::new(Echo)).unwrap();
        let mut waiting: Vec<Watched> =
            (0..CONNECTIONS).map(|_| of(dir.path()).unwrap().watch().unwrap()).collect();
        let next = of(dir.path()).unwrap();
        let mut answer = next.ask("turn", LONG).unwrap();
        thread::sleep(PAUSE);
        // A client that goes makes room.
        waiting.pop();
        assert_eq!(answer.next().unwrap().unwrap(), "you said");
        assert!(!waiting.pop().unwrap().wait(MOMENT));
    }
}
