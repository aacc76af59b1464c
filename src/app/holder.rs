//! The process that holds the mounts of `s3mem mount --rootless` open.
//!
//! Contract: other programs of its user reach the mount through its `/proc/PID/root`, which
//! the kernel allows because it has no secrets: it is started with an empty environment,
//! never sees credentials, and may be looked into. It asks the daemon to end when it is
//! asked to, and ends when the daemon does. Then it removes what was made for the mount: a
//! folder, a link.
//!
//! The daemon is not its child, nor started in its mounts, but enters them. A user may look
//! into whatever was started in a namespace that is theirs; so the daemon's memory has to
//! belong to the one outside.

use std::env;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::thread;

use super::deadline::Deadline;
use super::namespace;
use super::signals::EndSignals;
use crate::sys::{self, Process};

/// The first argument of a process that holds mounts open.
pub const HOLDER: &str = "hold-mounts";
const READY: u8 = b'+';
/// The argument that says that the holder is to have mounts of its own.
const APART: &str = "apart";

/// What a holder removes in the end.
#[derive(Debug, Default)]
pub(super) struct Leftovers<'p> {
    /// A folder that was made for the mount.
    pub(super) folder: Option<&'p Path>,
    /// A link, if it still leads to the files.
    pub(super) link: Option<&'p Path>,
    /// Where the files are, as the holder sees it.
    pub(super) path: Option<&'p Path>,
}

/// A process that holds mounts open. It ends with this one, until it knows the daemon.
#[derive(Debug)]
pub(super) struct Holder {
    id: u32,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Holder {
    /// Starts it, in mounts of its own if it is to be apart. The inner error is the kernel's
    /// refusal.
    pub(super) fn start(
        is_apart: bool,
        leftovers: &Leftovers<'_>,
    ) -> io::Result<Result<Holder, io::Error>> {
        let program = env::current_exe().ok().filter(|path| path.is_file());
        sys::keep_descriptors_from_children(None);
        let or_none = |path: Option<&Path>| path.map_or_else(OsString::new, OsString::from);
        let mut child = Command::new(program.unwrap_or_else(|| "/proc/self/exe".into()))
            .arg0("s3mem")
            .args([HOLDER, if is_apart { APART } else { "" }])
            .args([leftovers.folder, leftovers.link, leftovers.path].map(or_none))
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let mut holder = Holder { id: child.id(), to, from: BufReader::new(from) };
        let mut refusal = String::new();
        holder.from.read_line(&mut refusal)?;
        Ok(match refusal.trim().parse() {
            Ok(0) => Ok(holder),
            Ok(number) => Err(io::Error::from_raw_os_error(number)),
            Err(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
        })
    }

    /// Its number.
    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// Tells it which daemon serves its mounts. From now on it lasts as long as that one.
    pub(super) fn hold_for(mut self, daemon: u32) -> io::Result<()> {
        writeln!(self.to, "{daemon}")?;
        self.from.read_exact(&mut [0])
    }
}

/// What the holder does; `arguments` are those behind its first.
pub fn hold(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    sys::name_process(c"s3mem-holder");
    let is_apart = arguments.next().is_some_and(|word| word == APART);
    let mut next = || arguments.next().filter(|path| !path.is_empty()).map(PathBuf::from);
    let (folder, link, path) = (next(), next(), next());
    // While there is one thread.
    let refusal = if is_apart { namespace::leave().err() } else { None };
    let number = refusal.as_ref().map_or(0, |error| error.raw_os_error().unwrap_or(libc::EPERM));
    let told = writeln!(io::stdout(), "{number}").and_then(|()| io::stdout().flush());
    if refusal.is_some() || told.is_err() || hold_until_the_end().is_err() {
        return ExitCode::FAILURE;
    }
    let path = path.map(|path| if is_apart { through(std::process::id(), &path) } else { path });
    if let (Some(link), Some(path)) = (link, path)
        && fs::read_link(&link).is_ok_and(|to| to == path)
    {
        let _ = fs::remove_file(link);
    }
    if let Some(folder) = folder {
        // A daemon that was killed leaves a dead mount there.
        let _ = sys::unmount(&folder, true);
        let _ = fs::remove_dir(folder);
    }
    ExitCode::SUCCESS
}

fn hold_until_the_end() -> io::Result<()> {
    // Before anybody knows this process: a signal must find who passes it on.
    let mut signals = EndSignals::catch(Deadline::default(), || ())?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    // Nothing, where the daemon did not start.
    let id: u32 = line.trim().parse().map_err(io::Error::other)?;
    let (daemon, ending) = (Process::open(id)?, Process::open(id)?);
    io::stdout().write_all(&[READY])?;
    io::stdout().flush()?;
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    for stream in 0..=1 {
        sys::replace_stream(stream, &null)?;
    }
    // No folder that somebody may want to delete is kept in use.
    env::set_current_dir("/")?;
    sys::start_session()?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    thread::Builder::new().name("pass-on".into()).spawn(move || {
        runtime.block_on(async {
            loop {
                signals.next().await;
                let _ = ending.terminate();
            }
        });
    })?;
    while !daemon.wait(None)? {}
    Ok(())
}

/// Where others find what process `holder` sees at `path`.
pub(super) fn through(holder: u32, path: &Path) -> PathBuf {
    let root = PathBuf::from(format!("/proc/{holder}/root"));
    root.join(path.strip_prefix("/").unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_leads_through_the_holder() {
        assert_eq!(through(12, Path::new("/tmp/x")), Path::new("/proc/12/root/tmp/x"));
    }
}
