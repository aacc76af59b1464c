//! Mounting the demo's bucket, and the ways in which a machine can't.
//!
//! Contract: everything that goes wrong here is a sentence that says what to do.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use s3mem::app::{Caches, assemble};
use s3mem::config::{FsConfig, Writes};
use s3mem::decoders::Place;
use s3mem::fuse::{MountConfig, Mounted, mount};
use s3mem::key::Prefix;
use s3mem::stats::Stats;
use s3mem::store::{Credentials, RetryConfig, S3, S3Config, StackConfig, production_stack};
use s3mem::view::ViewConfig;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::support::server::{ACCESS_KEY, REGION, SECRET_KEY, TestServer};
use crate::tree::BUCKET;

/// How often to look whether anything has changed.
const GLANCE: Duration = Duration::from_millis(300);

/// The longest side of previews: the README's picture is one of these.
pub(crate) const PREVIEW_SIZE: u32 = 512;

/// Whether this machine can mount at all.
pub(crate) fn check_machine() -> Result<(), String> {
    if !Path::new("/dev/fuse").exists() {
        return Err("this machine has no /dev/fuse, so nothing can be mounted. Load the kernel \
                    module (sudo modprobe fuse); in a container, start it with --device /dev/fuse \
                    --cap-add SYS_ADMIN"
            .to_owned());
    }
    if !is_root() && !is_installed("fusermount3") {
        return Err("fusermount3 is not installed, and without it only root can mount. On Debian \
                    and Ubuntu: sudo apt install fuse3"
            .to_owned());
    }
    Ok(())
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// The directory that the bucket is mounted on; removed in the end if it was made here.
pub(crate) struct MountPoint {
    path: PathBuf,
    is_fresh: bool,
}

impl MountPoint {
    /// The given directory, which has to be there and empty, or a fresh one.
    pub(crate) fn choose(given: Option<&Path>) -> Result<Self, String> {
        let Some(path) = given else {
            let fresh = tempfile::Builder::new().prefix("s3mem-demo-").tempdir();
            let fresh = fresh.map_err(|error| {
                format!("can't make a directory to mount on: {error}. Name one with --mount-point")
            })?;
            return Ok(MountPoint { path: fresh.keep(), is_fresh: true });
        };
        let unusable = |error| format!("can't mount on {}: {error}", path.display());
        if fs::read_dir(path).map_err(unusable)?.next().is_some() {
            return Err(format!("{} is not empty; name an empty directory", path.display()));
        }
        Ok(MountPoint { path: fs::canonicalize(path).map_err(unusable)?, is_fresh: false })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for MountPoint {
    fn drop(&mut self) {
        if self.is_fresh {
            // Not recursive: if it is still mounted, this fails and harms nothing.
            let _ = fs::remove_dir(&self.path);
        }
    }
}

/// Ctrl-C and SIGTERM, which end the demo instead of the process from now on.
pub(crate) struct Signals {
    runtime: Runtime,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Takes the signals over; one that comes early is kept for later.
    pub(crate) fn take_over() -> Result<Self, String> {
        let take = || -> std::io::Result<Self> {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let (interrupt, terminate) = {
                let _inside = runtime.enter();
                (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
            };
            Ok(Signals { runtime, interrupt, terminate })
        };
        take().map_err(|error| format!("can't listen for Ctrl-C: {error}"))
    }

    /// Waits for one of them.
    pub(crate) fn wait(&mut self) {
        while !self.wait_for(GLANCE) {}
    }

    /// Waits for one of them so long at most; says whether one came.
    fn wait_for(&mut self, limit: Duration) -> bool {
        self.runtime.block_on(async {
            tokio::select! {
                _ = self.interrupt.recv() => true,
                _ = self.terminate.recv() => true,
                () = tokio::time::sleep(limit) => false,
            }
        })
    }
}

/// The mounted bucket.
pub(crate) struct DemoMount {
    mounted: Mounted,
    runtime: Runtime,
}

/// Mounts the bucket as `s3mem mount` does.
pub(crate) fn mount_it(server: &TestServer, mount_point: &Path) -> Result<DemoMount, String> {
    let system = |error| format!("the system does not give what s3mem needs: {error}");
    let runtime = Builder::new_multi_thread().enable_all().build().map_err(system)?;
    let refused = |error: &dyn std::fmt::Display| format!("the bucket can't be read: {error}");
    let fs = runtime.block_on(async {
        let config = S3Config {
            endpoint_url: Some(server.endpoint()),
            region: Some(REGION.to_owned()),
            credentials: Some(Credentials {
                access_key_id: ACCESS_KEY.to_owned(),
                secret_access_key: SECRET_KEY.to_owned(),
            }),
            ..S3Config::new(BUCKET.parse().map_err(|error| refused(&error))?)
        };
        let s3 = S3::connect(config).await.map_err(|error| refused(&error))?;
        let retry = RetryConfig::within(Duration::from_secs(60));
        let config = file_system()?;
        let stack = StackConfig::new(retry, config.memory_bytes);
        let stats = Stats::new();
        let store = production_stack(Arc::new(s3), stack, stats.clone());
        let parts = assemble(store, config, Caches::default(), stats)
            .await
            .map_err(|error| refused(&error.error))?;
        Ok::<_, String>(parts.fs)
    })?;
    let config = MountConfig {
        source: format!("s3://{BUCKET}"),
        allow_other: false,
        allow_exec: false,
        security_context: Vec::new(),
    };
    let mounted = mount(fs, mount_point, &config).map_err(|error| {
        format!(
            "{} can't be mounted on: {error}. In a container, start it with --device /dev/fuse \
             --cap-add SYS_ADMIN",
            mount_point.display()
        )
    })?;
    Ok(DemoMount { mounted, runtime })
}

/// The program's own defaults, but for the memory (any machine has this much) and
/// the previews.
fn file_system() -> Result<FsConfig, String> {
    let me = fs::metadata("/proc/self").map_err(|error| format!("/proc/self: {error}"))?;
    Ok(FsConfig {
        prefix: Prefix::root(),
        top: None,
        versions: false,
        metadata_ttl: Duration::from_secs(60),
        verify: false,
        uid: me.uid(),
        gid: me.gid(),
        file_mode: 0o444,
        dir_mode: 0o555,
        memory_bytes: 512 << 20,
        views: ViewConfig { preview_size: PREVIEW_SIZE, ..ViewConfig::default() },
        // Workers run the program s3mem, and this is another one.
        decoders: Place::InProcess,
        writes: Writes::Deny,
    })
}

impl DemoMount {
    /// Waits for a signal, or until somebody else has unmounted.
    pub(crate) fn stay(&self, signals: &mut Signals) {
        while !self.mounted.is_over() && !signals.wait_for(GLANCE) {}
    }

    /// Unmounts, once no program is in the mount any more or at the next signal.
    pub(crate) fn unmount(self, mount_point: &Path, signals: &mut Signals) -> Result<(), String> {
        let mut told = false;
        while !self.mounted.is_over() && !take_away(mount_point, false) {
            if !told {
                println!("A program is still in the mount; waiting for it, until Ctrl-C.");
                told = true;
            }
            if signals.wait_for(GLANCE) {
                return if take_away(mount_point, true) { Ok(()) } else { Err(stuck(mount_point)) };
            }
        }
        let ended = self.mounted.wait();
        self.runtime.shutdown_background();
        ended.map_err(|error| format!("the mount broke: {error}"))
    }
}

/// Takes the mount out of the tree, if nothing uses it or if `lazily`; says
/// whether that worked.
fn take_away(mount_point: &Path, lazily: bool) -> bool {
    let (program, option) = unmounter(lazily);
    let mut command = Command::new(program);
    command.arg(option).arg(mount_point).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The program that may unmount, and the option with which it does.
fn unmounter(lazily: bool) -> (&'static str, &'static str) {
    match (is_root(), lazily) {
        (true, false) => ("umount", "-n"),
        (true, true) => ("umount", "-l"),
        (false, false) => ("fusermount3", "-u"),
        (false, true) => ("fusermount3", "-uz"),
    }
}

fn stuck(mount_point: &Path) -> String {
    let (path, (program, option)) = (mount_point.display(), unmounter(true));
    format!("{path} stays mounted. Close what uses it, then: {program} {option} {path}")
}
