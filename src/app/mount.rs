//! `s3mem mount`: from arguments to a mount that is served until it ends.

use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::{self, Runtime};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::explain::{Asked, explain};
use super::log::{self, LogError};
use super::mount_table::MountTable;
use super::presence::Presence;
use super::signals::EndSignals;
use super::umount::{self, How, UnmountError};
use super::{AppError, daemonize, mount_point, prerequisites, tell};
use crate::cli::MountArgs;
use crate::config::{self, Environment, MountSettings};
use crate::fs::FileSystem;
use crate::fuse;
use crate::stats::Stats;
use crate::store::{S3, StoreError, production_stack};
use crate::sys;

/// After a signal, programs that still read from the mount get so long.
const GRACE: Duration = Duration::from_secs(5);
/// A first request that takes longer than this is mentioned.
const PATIENCE: Duration = Duration::from_secs(4);

/// Why a mount did not come to be. Each is a sentence for the user.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("{0}")]
    Store(String),
    #[error(
        "the AWS credentials did not arrive within {0} seconds: the service or the program (single \
         sign-on, instance role, credential_process) that gives them does not answer. Check it with \
         'aws sts get-caller-identity', or choose other credentials with --profile"
    )]
    Credentials(f64),
    #[error("{path} can't be mounted on: {reason}{hint}")]
    Mount { path: PathBuf, reason: String, hint: &'static str },
    #[error("the system does not give what s3mem needs to run: {0}")]
    System(#[from] io::Error),
    #[error("the mount on {path} broke: {cause}")]
    Broken { path: PathBuf, cause: io::Error },
}

/// Runs the command.
pub(super) fn run(args: &MountArgs, environment: &Environment) -> Result<(), AppError> {
    let settings = MountSettings::new(args, environment)?;
    if settings.fake {
        return Ok(());
    }
    if !settings.daemon {
        settings.notes.iter().for_each(|note| tell(note));
    }
    if settings.foreground || settings.daemon {
        serve(&settings, environment)
    } else {
        daemonize::start().map_err(AppError::from)
    }
}

/// Mounts, and serves until the mount ends.
fn serve(settings: &MountSettings, environment: &Environment) -> Result<(), AppError> {
    let path = mount_point::claim(&settings.mount_point, environment)?;
    prerequisites::check(settings.mount.allow_other, environment)?;
    log::start(&settings.log_target, settings.log_level, settings.daemon)
        .map_err(StartError::Log)?;
    sys::keep_heap_small();
    // Each file that programs write is one.
    if let Err(error) = sys::allow_many_open_files() {
        tracing::debug!("the limit of open files stays as it is: {error}");
    }
    let runtime =
        runtime::Builder::new_multi_thread().enable_all().build().map_err(StartError::System)?;
    let fs = runtime.block_on(open_with_notice(settings))?;
    let outcome = serve_mounted(settings, environment, &path, &runtime, fs);
    // Requests still in the air have nobody left to answer.
    runtime.shutdown_background();
    outcome.map_err(AppError::from)
}

/// Opens the file system, and says so when that takes long.
async fn open_with_notice(settings: &MountSettings) -> Result<Arc<FileSystem>, StartError> {
    let opening = open(settings);
    tokio::pin!(opening);
    if let Ok(outcome) = timeout(PATIENCE, &mut opening).await {
        return outcome;
    }
    tell(&format!(
        "{} has not answered yet; trying on for up to {} seconds (--request-timeout)",
        settings.endpoint_url.as_deref().unwrap_or("AWS"),
        settings.retry.request_timeout.as_secs_f64()
    ));
    opening.await
}

/// Connects to the bucket and lists its root, which proves that it can be read.
async fn open(settings: &MountSettings) -> Result<Arc<FileSystem>, StartError> {
    let told = |error: &StoreError| {
        tracing::debug!("the mount failed: {error}");
        StartError::Store(explain(error, &Asked::by(settings)))
    };
    let s3 = timeout(settings.retry.request_timeout, S3::connect(settings.s3.clone()))
        .await
        .map_err(|_| StartError::Credentials(settings.retry.request_timeout.as_secs_f64()))?
        .map_err(|error| told(&error))?;
    let store =
        production_stack(s3, settings.retry.clone(), settings.fs.memory_bytes, Stats::new());
    FileSystem::open(store, settings.fs.clone()).await.map_err(|error| told(&error))
}

fn serve_mounted(
    settings: &MountSettings,
    environment: &Environment,
    path: &Path,
    runtime: &Runtime,
    fs: Arc<FileSystem>,
) -> Result<(), StartError> {
    // Before there is a mount: a signal must find somebody who unmounts.
    let mut signals = runtime.block_on(async { EndSignals::catch() })?;
    let mounted =
        fuse::mount(fs, path, &settings.mount).map_err(|error| mount_error(path, &error))?;
    let device = device_on(path);
    match device.as_deref().map(Presence::announce) {
        // Kept until the kernel closes it with everything else: then memory is free,
        // too, and whoever waits can start anew.
        Some(Ok(presence)) => mem::forget(presence),
        Some(Err(error)) => tracing::debug!("'s3mem umount' can't wait for this process: {error}"),
        None => {}
    }
    let (tell_end, mut end) = oneshot::channel();
    // The session blocks a thread of its own: the runtime's threads serve requests.
    thread::Builder::new().name("session".into()).spawn(move || {
        // Nobody listens any more when the process is about to exit.
        let _ = tell_end.send(mounted.wait());
    })?;
    let shown = path.display();
    tracing::info!(
        "s3mem {} has mounted {} on {shown}, with at most {} of memory",
        env!("CARGO_PKG_VERSION"),
        settings.source,
        config::show_size(settings.fs.memory_bytes)
    );
    if settings.daemon && daemonize::report_ready().is_err() {
        tracing::warn!("whoever asked for the mount on {shown} is gone; unmounting");
        leave(path, device.as_deref(), environment);
        return Ok(());
    }
    runtime.block_on(async {
        tokio::select! {
            ended = &mut end => return session_end(path, ended),
            signal = signals.next() => tracing::info!("{signal}: unmounting {shown}"),
        }
        leave(path, device.as_deref(), environment);
        tokio::select! {
            ended = timeout(GRACE, &mut end) => match ended {
                Ok(ended) => return session_end(path, ended),
                Err(_) => tracing::warn!("files in {shown} were still open; they break now"),
            },
            signal = signals.next() => tracing::warn!("{signal} again: not waiting for open files"),
        }
        Ok(())
    })
}

fn session_end(
    path: &Path,
    ended: Result<io::Result<()>, oneshot::error::RecvError>,
) -> Result<(), StartError> {
    let outcome = ended.unwrap_or_else(|_| Err(io::Error::other("the session's thread died")));
    match outcome {
        Ok(()) => {
            tracing::info!("{} is unmounted", path.display());
            Ok(())
        }
        Err(cause) => {
            let error = StartError::Broken { path: path.into(), cause };
            tracing::error!("{error}");
            Err(error)
        }
    }
}

/// Takes our mount out of the tree; in use or not, it is gone afterwards.
fn leave(path: &Path, device: Option<&str>, environment: &Environment) {
    // Somebody may have unmounted ours already, or mounted theirs over it.
    if device.is_some() && device_on(path).as_deref() != device {
        return;
    }
    match umount::unmount(path, How::IfUnused, environment) {
        Ok(()) => return,
        Err(UnmountError::Busy) => {
            tracing::info!(
                "{} is in use; open files can be read for a few seconds more",
                path.display()
            );
        }
        Err(UnmountError::Failed(reason)) => {
            tracing::warn!("unmounting {}: {reason}", path.display())
        }
    }
    if let Err(error) = umount::unmount(path, How::Lazily, environment) {
        let reason = match error {
            UnmountError::Busy => "it is in use".to_owned(),
            UnmountError::Failed(reason) => reason,
        };
        tracing::error!("{} stays mounted: {reason}", path.display());
    }
}

/// The device number of what is mounted on `path`.
fn device_on(path: &Path) -> Option<String> {
    let table = MountTable::read().ok()?;
    table.on(path).map(|mounted| mounted.device.clone())
}

fn mount_error(path: &Path, error: &io::Error) -> StartError {
    let text = error.to_string();
    let hint = if error.kind() == io::ErrorKind::PermissionDenied || text.contains("not permitted")
    {
        ". A container has to be started with --device /dev/fuse --cap-add SYS_ADMIN; elsewhere \
         fusermount3 has to be installed as the system ships it (setuid root, package fuse3)"
    } else {
        ""
    };
    StartError::Mount { path: path.into(), reason: text.trim().to_owned(), hint }
}
