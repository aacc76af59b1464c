//! Mounts by the real program, for every test that goes through the kernel.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::mount::{UnmountFlags, unmount};
use tempfile::TempDir;

use crate::support::server::{ACCESS_KEY, REGION, SECRET_KEY, TestServer};

/// The program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_s3mem");
/// How long a mount may take to come and to go on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);
/// The bucket of most tests.
pub(crate) const BUCKET: &str = "mounted";

/// The bucket, mounted with these flags.
pub(crate) fn mount(server: &TestServer, flags: &[&str]) -> Mount {
    // A budget, so that two tests of a kind do not take the machine's memory.
    Mounting::of(server, BUCKET).with(["--memory", "512M"]).with(flags).in_foreground()
}

/// What is to be mounted, and how.
#[derive(Debug, Clone)]
pub(crate) struct Mounting {
    sources: Vec<String>,
    endpoint: String,
    access_key: String,
    secret_key: String,
    arguments: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    program: PathBuf,
}

impl Mounting {
    /// `source` (a bucket, or a bucket and a prefix) on the server in the process.
    pub(crate) fn of(server: &TestServer, source: &str) -> Self {
        Mounting::at(&server.endpoint(), ACCESS_KEY, SECRET_KEY, source)
    }

    /// `source` on any server that wants the bucket in the path.
    pub(crate) fn at(endpoint: &str, access_key: &str, secret_key: &str, source: &str) -> Self {
        Mounting {
            sources: vec![source.to_owned()],
            endpoint: endpoint.to_owned(),
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
            arguments: Vec::new(),
            variables: Vec::new(),
            program: PROGRAM.into(),
        }
    }

    /// By this copy of the program, for users who can't reach the original.
    pub(crate) fn by(mut self, program: &Path) -> Self {
        self.program = program.to_owned();
        self
    }

    /// These as well, each as a folder.
    pub(crate) fn beside(mut self, sources: &[&str]) -> Self {
        self.sources.extend(sources.iter().map(|source| (*source).to_owned()));
        self
    }

    /// With these flags too.
    pub(crate) fn with<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// With this environment variable.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Mounts as a user does: the command returns when the mount is usable.
    pub(crate) fn in_background(&self) -> Mount {
        let point = TempDir::new().unwrap();
        succeeds(&mut self.command(point.path()));
        Mount { point, mounted: true, daemon: None, program: self.program.clone() }
    }

    /// Mounts with the daemon as a child of the test, so that its log can be
    /// read and its memory be looked at.
    pub(crate) fn in_foreground(&self) -> Mount {
        let (point, folder) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let log = folder.path().join("log");
        let mut command = self.command(point.path());
        command.args(["--foreground", "--log-file"]).arg(&log);
        command.stdout(Stdio::null());
        command.stderr(File::create(folder.path().join("stderr")).unwrap());
        let outside = device_of(point.path());
        let child = spawn(&mut command);
        let daemon = Daemon { child, folder };
        let program = self.program.clone();
        let mut mount = Mount { point, mounted: true, daemon: Some(daemon), program };
        let start = Instant::now();
        while device_of(mount.path()) == outside {
            let ended = mount.daemon.as_mut().unwrap().child.try_wait().unwrap();
            assert!(ended.is_none(), "s3mem ended: {}", mount.log());
            assert!(start.elapsed() < PATIENCE, "no mount after a minute: {}", mount.log());
            thread::sleep(Duration::from_millis(5));
        }
        mount
    }

    fn command(&self, point: &Path) -> Command {
        let mut command = s3mem(&self.program, "mount");
        command
            .args(&self.sources)
            .arg(point)
            .args(["--endpoint-url", &self.endpoint, "--path-style", "--region", REGION])
            .args(&self.arguments)
            .env("AWS_ACCESS_KEY_ID", &self.access_key)
            .env("AWS_SECRET_ACCESS_KEY", &self.secret_key)
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// A mount by the real program; dropped without [`Mount::end`] it goes away too.
#[derive(Debug)]
pub(crate) struct Mount {
    point: TempDir,
    mounted: bool,
    daemon: Option<Daemon>,
    program: PathBuf,
}

/// A daemon in the foreground.
#[derive(Debug)]
struct Daemon {
    child: Child,
    /// Where its log is, and what it said on standard error.
    folder: TempDir,
}

impl Mount {
    /// Has another copy of the program unmount it.
    pub(crate) fn ended_by(mut self, program: &Path) -> Self {
        self.program = program.to_owned();
        self
    }

    /// The mount point.
    pub(crate) fn path(&self) -> &Path {
        self.point.path()
    }

    /// The path of a name in the mount.
    pub(crate) fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.point.path().join(name)
    }

    /// Everything that a daemon in the foreground has said so far.
    pub(crate) fn log(&self) -> String {
        let folder = self.daemon.as_ref().unwrap().folder.path();
        // Lossy: the test is to show what is there, whatever it is.
        let text = |name| fs::read(folder.join(name)).unwrap_or_default();
        String::from_utf8_lossy(&[text("log"), text("stderr")].concat()).into_owned()
    }

    /// A number of bytes from `/proc/PID/status` of a daemon in the foreground,
    /// such as `VmRSS` or `VmHWM`.
    pub(crate) fn memory_bytes(&self, name: &str) -> u64 {
        let kib = self.told("status", name);
        kib.strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }

    /// How many bytes a daemon in the foreground has read so far, from whatever it
    /// has open: what the kernel hands to it is among them.
    pub(crate) fn read_bytes(&self) -> u64 {
        self.told("io", "rchar").parse().unwrap()
    }

    /// How many bytes a daemon in the foreground has caused to be written to disks.
    pub(crate) fn disk_bytes(&self) -> u64 {
        self.told("io", "write_bytes").parse().unwrap()
    }

    /// The number of the process of a daemon in the foreground.
    pub(crate) fn process(&self) -> u32 {
        self.daemon.as_ref().unwrap().child.id()
    }

    /// How many files a daemon in the foreground has open.
    pub(crate) fn open_files(&self) -> usize {
        let pid = self.process();
        fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
    }

    /// What a daemon in the foreground has open, each by what it is.
    pub(crate) fn what_is_open(&self) -> Vec<PathBuf> {
        let pid = self.process();
        let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
        open.filter_map(|file| fs::read_link(file.path()).ok()).collect()
    }

    /// What `/proc/PID/FILE` says of a name.
    fn told(&self, file: &str, name: &str) -> String {
        let pid = self.process();
        let text = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap().trim().to_owned()
    }

    /// Kills a daemon in the foreground, as a crash or the system does when memory is
    /// short. The dead mount goes away with this.
    pub(crate) fn kill(&mut self) {
        let daemon = self.daemon.as_mut().unwrap();
        daemon.child.kill().unwrap();
        daemon.child.wait().unwrap();
    }

    /// Unmounts; a program that still holds a file open would make it fail.
    pub(crate) fn end(mut self) {
        succeeds(s3mem(&self.program, "umount").arg(self.point.path()));
        self.has_ended();
    }

    /// Unmounts without a word to the daemon, as root may.
    pub(crate) fn end_at_once(mut self) {
        let start = Instant::now();
        // A program that another test starts has this one's open files until it is executed.
        while let Err(error) = unmount(self.point.path(), UnmountFlags::empty()) {
            assert_eq!(error, rustix::io::Errno::BUSY);
            assert!(start.elapsed() < PATIENCE, "still busy after a minute");
            thread::yield_now();
        }
        self.has_ended();
    }

    fn has_ended(&mut self) {
        self.mounted = false;
        if let Some(daemon) = &mut self.daemon {
            let status = daemon.child.wait().unwrap();
            assert!(status.success(), "the daemon ended with {status}:\n{}", self.log());
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if self.mounted {
            // The test has failed already: whatever holds it, it must not stay.
            let _ = Command::new("fusermount3").arg("-uz").arg(self.point.path()).output();
            if let Some(daemon) = &mut self.daemon {
                let _ = daemon.child.kill();
                let _ = daemon.child.wait();
            }
        }
    }
}

/// The lines of a mount's log at a level that mention something.
pub(crate) fn lines(mount: &Mount, level: &str, part: &str) -> Vec<String> {
    let log = mount.log();
    let lines = log.lines().filter(|line| line.contains(level) && line.contains(part));
    lines.map(str::to_owned).collect()
}

/// The program, without what the person who runs the tests has configured.
fn s3mem(program: &Path, command: &str) -> Command {
    let mut program = Command::new(program);
    for (name, _) in env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"AWS_") {
            program.env_remove(name);
        }
    }
    program
        .arg(command)
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::null());
    program
}

/// Starts a program that may have been written just now: until its exec, a process that
/// another test starts meanwhile has our descriptors, and the kernel says ETXTBSY.
fn spawn(command: &mut Command) -> Child {
    let start = Instant::now();
    loop {
        match command.spawn() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {
                assert!(start.elapsed() < PATIENCE, "{command:?}: {error}");
                thread::sleep(Duration::from_millis(5));
            }
            started => return started.unwrap(),
        }
    }
}

/// Runs a command that must succeed; gives what it printed.
pub(crate) fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, both(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// What a command printed, on either stream.
pub(crate) fn both(output: &Output) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&text).into_owned()
}

fn device_of(path: &Path) -> u64 {
    fs::metadata(path).unwrap().dev()
}
