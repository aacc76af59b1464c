//! The daemons: how each is started in the foreground, watched and ended.
//!
//! Each peer has its own defaults, and the flags by which its manual says that
//! it does without one request for each file.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::Result;
use crate::support::server::{ACCESS_KEY, REGION, SECRET_KEY};
use crate::works::BUCKET;

const START_LIMIT: Duration = Duration::from_secs(20);
const END_LIMIT: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What a mount is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Only to be read.
    Read,
    /// What is written goes into the bucket.
    Upload,
    /// It goes there after its file was closed; the others do that by themselves or not at all.
    Later,
    /// What is written stays in memory; s3mem alone has that.
    Memory,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Daemon {
    S3mem,
    Rclone,
    S3fs,
    Mountpoint,
    Goofys,
}

impl Daemon {
    pub(crate) const ALL: [Daemon; 5] =
        [Daemon::S3mem, Daemon::Rclone, Daemon::S3fs, Daemon::Mountpoint, Daemon::Goofys];

    /// The name of the program, too.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Daemon::S3mem => "s3mem",
            Daemon::Rclone => "rclone",
            Daemon::S3fs => "s3fs",
            Daemon::Mountpoint => "mount-s3",
            Daemon::Goofys => "goofys",
        }
    }

    pub(crate) fn from_name(name: &str) -> Result<Self> {
        Daemon::ALL.into_iter().find(|daemon| daemon.name() == name).ok_or_else(|| {
            let names = Daemon::ALL.map(Daemon::name).join(", ");
            format!("no daemon is called {name}: {names}").into()
        })
    }

    pub(crate) fn is_installed(self) -> bool {
        self.program().is_some()
    }

    /// The program: this package's own, the rclone that scripts/peers.sh has got from PyPI,
    /// one on the PATH, or one that it has built.
    fn program(self) -> Option<PathBuf> {
        if self == Daemon::S3mem {
            return Some(env!("CARGO_BIN_EXE_s3mem").into());
        }
        let on_path = env::var_os("PATH").and_then(|path| {
            env::split_paths(&path)
                .map(|folder| folder.join(self.name()))
                .find(|program| program.is_file())
        });
        let built = cache().map(|cache| cache.join("bin").join(self.name()));
        let built = built.filter(|built| built.is_file());
        match self {
            Daemon::Rclone => built.or(on_path),
            Daemon::S3mem | Daemon::S3fs | Daemon::Mountpoint | Daemon::Goofys => on_path.or(built),
        }
    }

    /// One line: what the program says of itself, or how to get it.
    pub(crate) fn describe(self) -> String {
        let Some(program) = self.program() else {
            return format!(
                "{} is not installed (scripts/peers.sh installs all but goofys)",
                self.name()
            );
        };
        let told = Command::new(program).arg("--version").output();
        let told = told.map(|output| output.stdout).unwrap_or_default();
        let told = String::from_utf8_lossy(&told);
        format!("{}: {}", self.name(), told.lines().next().unwrap_or("tells no version"))
    }

    /// The flags of a cache on disk that outlives the mount; `None` for a daemon without one.
    pub(crate) fn cache_flags(self, cache: &Path) -> Option<Vec<String>> {
        let cache = cache.display();
        let flags = match self {
            Daemon::S3mem => format!("--memory 128M --cache-dir {cache}"),
            Daemon::Rclone => format!("--vfs-cache-mode full --cache-dir {cache}"),
            Daemon::S3fs => format!("-o use_cache={cache}"),
            Daemon::Mountpoint => format!("--cache {cache}"),
            Daemon::Goofys => return None,
        };
        Some(flags.split(' ').map(str::to_owned).collect())
    }

    fn command(
        self,
        endpoint: &str,
        point: &Path,
        scratch: &Path,
        access: Access,
    ) -> Result<Command> {
        let mut command = Command::new(self.program().ok_or("it is not installed")?);
        match self {
            Daemon::S3mem => {
                command.arg("mount").arg(BUCKET).arg(point).args([
                    "--endpoint-url",
                    endpoint,
                    "--path-style",
                    "--region",
                    REGION,
                    "--foreground",
                ]);
                command.args(match access {
                    Access::Read => &[][..],
                    Access::Upload => {
                        &["--writes", "upload", "--allow-overwrite", "--allow-delete"]
                    }
                    Access::Later => &["--writes", "upload", "--on-close", "later"],
                    Access::Memory => &["--writes", "memory"],
                });
            }
            Daemon::Rclone => {
                // Times from the listing instead of one HEAD for each file.
                command.args(["mount", "--use-server-modtime", "--config", ""]);
                match access {
                    Access::Read => command.arg("--read-only"),
                    Access::Upload | Access::Later | Access::Memory => {
                        let cache = scratch.join("cache");
                        command.args(["--vfs-cache-mode", "writes", "--cache-dir"]).arg(cache)
                    }
                };
                command.args(["--s3-provider", "Other", "--s3-env-auth", "--s3-endpoint"]);
                command.args([endpoint, "--s3-region", REGION, "--s3-force-path-style"]);
                command.arg(format!(":s3:{BUCKET}")).arg(point);
            }
            Daemon::S3fs => {
                let secrets = scratch.join("passwd-s3fs");
                fs::write(&secrets, format!("{ACCESS_KEY}:{SECRET_KEY}"))?;
                owner_only(&secrets)?;
                let options = format!(
                    "{},use_path_request_style,url={endpoint},endpoint={REGION},passwd_file={},tmpdir={}",
                    if access == Access::Read { "ro" } else { "rw" },
                    secrets.display(),
                    scratch.display(),
                );
                command.arg(BUCKET).arg(point).args(["-f", "-o", &options]);
            }
            Daemon::Mountpoint => {
                command.arg(BUCKET).arg(point).arg("--foreground");
                command.args(match access {
                    Access::Read => &["--read-only"][..],
                    Access::Upload | Access::Later | Access::Memory => {
                        &["--allow-overwrite", "--allow-delete"]
                    }
                });
                command.args(["--force-path-style", "--region", REGION]);
                command.args(["--endpoint-url", endpoint]);
            }
            Daemon::Goofys => {
                command.args(["-f", "--endpoint", endpoint, "--region", REGION]);
                command.args(match access {
                    Access::Read => &["-o", "ro"][..],
                    Access::Upload | Access::Later | Access::Memory => &[],
                });
                command.arg(BUCKET).arg(point);
            }
        }
        for (name, _) in env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"AWS_") {
                command.env_remove(name);
            }
        }
        command
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        Ok(command)
    }
}

/// The folder that the scripts keep things in: scripts/lib/common.sh.
fn cache() -> Option<PathBuf> {
    let folder = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    folder("S3MEM_CACHE")
        .or_else(|| Some(folder("XDG_CACHE_HOME")?.join("s3mem")))
        .or_else(|| Some(folder("HOME")?.join(".cache/s3mem")))
}

fn owner_only(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

/// A mount and the daemon behind it. Dropping it ends both.
pub(crate) struct Mounted {
    child: Child,
    point: PathBuf,
    log: PathBuf,
    /// Removed last, when nothing is mounted in it any more.
    _folder: TempDir,
}

impl Mounted {
    /// Mounts, and returns when the bucket is there.
    pub(crate) fn start(daemon: Daemon, endpoint: &str, access: Access) -> Result<Self> {
        Mounted::start_with(daemon, endpoint, access, &[])
    }

    /// As [`Mounted::start`], with more flags.
    pub(crate) fn start_with(
        daemon: Daemon,
        endpoint: &str,
        access: Access,
        flags: &[String],
    ) -> Result<Self> {
        let folder = TempDir::new()?;
        let (point, log) = (folder.path().join("mount"), folder.path().join("log"));
        fs::create_dir(&point)?;
        let child = daemon
            .command(endpoint, &point, folder.path(), access)?
            .args(flags)
            .stderr(fs::File::create(&log)?)
            .spawn()?;
        let mut mounted = Mounted { child, point, log, _folder: folder };
        let start = Instant::now();
        while !mounted.is_mounted()? {
            if let Some(status) = mounted.child.try_wait()? {
                return Err(format!("{status}: {}", mounted.last_words()).into());
            }
            if start.elapsed() > START_LIMIT {
                return Err(format!("no mount: {}", mounted.last_words()).into());
            }
            thread::sleep(LOOK_AGAIN);
        }
        // Some say that they are mounted before they answer.
        fs::metadata(&mounted.point)?;
        Ok(mounted)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.point
    }

    /// The most memory that the daemon has had resident.
    pub(crate) fn peak_bytes(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"))
            .ok_or("the kernel tells no VmHWM")?;
        Ok(kib.trim().parse::<u64>()? * 1024)
    }

    /// The processor time that the daemon has used, in seconds.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // Behind the name, which may hold anything: the state is the third field.
        let (_, behind) = stat.rsplit_once(')').ok_or("the kernel tells no times")?;
        let ticks = behind.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        let ticks = ticks.sum::<std::result::Result<u64, _>>()?;
        Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
    }

    pub(crate) fn kill(&mut self) {
        // Ended already is as good.
        let _ = self.child.kill();
    }

    /// Unmounts and waits for the daemon's end.
    pub(crate) fn end(mut self) -> Result<()> {
        self.unmount(&[])?;
        let start = Instant::now();
        while self.child.try_wait()?.is_none() {
            if start.elapsed() > END_LIMIT {
                return Err("the daemon did not end after the unmount".into());
            }
            thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }

    fn unmount(&self, how: &[&str]) -> Result<()> {
        let mut command = Command::new("fusermount3");
        let done = command.arg("-u").args(how).arg(&self.point).output()?;
        if done.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&done.stderr).into_owned().into())
        }
    }

    fn is_mounted(&self) -> Result<bool> {
        let point = self.point.to_string_lossy();
        let table = fs::read_to_string("/proc/self/mountinfo")?;
        Ok(table.lines().any(|line| line.split(' ').nth(4) == Some(&*point)))
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().last().unwrap_or("it said nothing").to_owned()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) && !self.is_mounted().unwrap_or(false) {
            return;
        }
        // Nobody waits for what it would have said.
        let _ = self.unmount(&["-z"]);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
