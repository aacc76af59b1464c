//! `s3mem mount`: from arguments to a mount that is served until it ends.

use std::any::Any;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::runtime::{self, Handle, Runtime};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::account;
use super::assemble::{Assembled, Caches, assemble};
use super::blocking::keep_a_thread;
use super::buckets::{Connected, trouble};
use super::control::{Answers, Control, Listening};
use super::daemonize::{self, DaemonError};
use super::deadline::{Deadline, LastActs};
use super::detach::{How, UnmountError, unmount};
use super::ends_with;
use super::explain::{Asked, explain};
use super::handed;
use super::log::{self, Log, LogError};
use super::metrics_server::MetricsServer;
use super::mount_point::{self, MountPointError};
use super::mount_table::MountTable;
use super::namespace;
use super::prerequisites::{self, Missing};
use super::runtime_folder;
use super::signals::EndSignals;
use super::start_lock::StartLock;
use super::status_report::Report;
use super::text::tell;
use super::unsent::Unsent;
use crate::cli::MountArgs;
use crate::config::{self, ConfigError, Environment, MountSettings};
use crate::disk::{Disk, DiskConfig, DiskError};
use crate::fleet::{FleetConfig, SharedCache};
use crate::fs::FileSystem;
use crate::fuse;
use crate::stats::{Stats, Trace};
use crate::store::{S3, StoreError, cache_stack};
use crate::sys;

/// How long programs may go on reading from the mount after a signal.
const GRACE: Duration = Duration::from_secs(5);
/// Whoever looks up credentials for longer than this says so.
const MOMENT: Duration = Duration::from_secs(1);
/// How long a start may take beside its requests.
const START: Duration = Duration::from_secs(10);
/// A first request that takes longer than this is reported to the user.
const PATIENCE: Duration = Duration::from_secs(4);
/// A trace is no larger, in bytes: what is seen in it is a moment, and viewers load all of it.
const TRACE_BYTES: u64 = 256 << 20;

/// Why a mount failed. Each is a sentence for the user.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    MountPoint(#[from] MountPointError),
    #[error(transparent)]
    Prerequisite(#[from] Missing),
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("{0}")]
    Store(String),
    #[error(
        "s3mem does not understand its settings, and says only: {0}. Check the AWS profile, the \
         variables that begin with AWS_ and the address of the server"
    )]
    Panicked(String),
    #[error(
        "the AWS credentials did not arrive within {0} seconds: the service or the program (single \
         sign-on, instance role, credential_process) that gives them does not answer. Check it with \
         'aws sts get-caller-identity', or choose other credentials with --profile"
    )]
    Credentials(f64),
    #[error("{path} can't be mounted on: {reason}{hint}")]
    Mount { path: PathBuf, reason: String, hint: &'static str },
    #[error("the system does not provide what s3mem needs to run: {0}")]
    System(#[from] io::Error),
    #[error("the address {address} of --metrics can't be had: {cause}; choose another port")]
    Metrics { address: SocketAddr, cause: io::Error },
    #[error("the trace {path} (--trace-file) can't be written: {cause}")]
    Trace { path: PathBuf, cause: io::Error },
    #[error("the mount on {path} broke: {cause}")]
    Broken { path: PathBuf, cause: io::Error },
}

/// Runs the command.
pub(super) fn run(args: &MountArgs, environment: &Environment) -> Result<(), StartError> {
    if !args.allow_core_dumps {
        // Before the credentials are looked up. Those in the environment are in it already.
        sys::hide_memory()?;
    }
    if let Some(holder) = args.rootless.enter {
        // Before there is a second thread.
        namespace::join(holder)?;
    }
    if args.ends_with_parent {
        sys::signal_at_parents_end(libc::SIGTERM)?;
    }
    ends_with::watch(&args.rootless.ends_with)?;
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
        let device = handed::descriptor(&settings.mount_point);
        device.map(handed::check).transpose()?;
        daemonize::start(device).map_err(StartError::from)
    }
}

/// Mounts, and serves until the mount ends.
fn serve(settings: &MountSettings, environment: &Environment) -> Result<(), StartError> {
    let (start_lock, path, device) = match handed::descriptor(&settings.mount_point) {
        Some(descriptor) => (None, settings.mount_point.clone(), Some(handed::take(descriptor)?)),
        None => {
            let start_lock = wait_for_others(settings, environment)?;
            let path = mount_point::claim(&settings.mount_point, environment)?;
            prerequisites::check(settings.mount.allow_other, environment)?;
            (start_lock, path, None)
        }
    };
    // The log and the record of uploads name keys.
    sys::keep_new_files_private();
    let log = log::start(&settings.log, settings.daemon, environment).map_err(StartError::Log)?;
    sys::keep_heap_small();
    // Each file that programs write is one.
    if let Err(error) = sys::allow_many_open_files() {
        tracing::debug!("the limit of open files stays as it is: {error}");
    }
    let runtime =
        runtime::Builder::new_multi_thread().enable_all().build().map_err(StartError::System)?;
    keep_a_thread(&runtime);
    let metrics = settings.metrics.map(listen_for_metrics).transpose()?;
    let stats = Stats::new();
    let traced = stats.clone();
    if let Some(path) = &settings.trace_file {
        begin_trace(path, &stats)?;
    }
    let (parts, server) = runtime.block_on(open_with_notice(settings, &stats))?;
    let (publisher, handle) = (parts.publisher.clone(), runtime.handle().clone());
    let served = Served {
        unsent: Unsent::new(publisher, handle, settings.on_unmount, &path),
        report: Arc::new(Report::new(
            settings,
            path.clone(),
            &parts,
            stats,
            (server, metrics.as_ref()),
            log.place(),
        )),
    };
    if let Some(metrics) = metrics {
        let report = served.report.clone();
        metrics.serve(runtime.handle(), Arc::new(move || report.for_metrics()))?;
    }
    let start = Start { settings, environment, path: &path, runtime: &runtime, log, start_lock };
    let outcome = serve_mounted(start, device, parts.fs.clone(), Arc::new(served));
    runtime.block_on(parts.put_down());
    if let Some(trace) = traced.requests.trace() {
        trace.close();
    }
    // Requests still in the air have nobody left to answer.
    runtime.shutdown_background();
    outcome
}

/// Takes the address of `--metrics`, before there is a mount.
pub(super) fn listen_for_metrics(address: SocketAddr) -> Result<MetricsServer, StartError> {
    MetricsServer::bind(address).map_err(|cause| StartError::Metrics { address, cause })
}

/// Has each call and each request written into a trace from now on.
pub(super) fn begin_trace(path: &Path, stats: &Stats) -> Result<(), StartError> {
    let trace = Trace::create(path, TRACE_BYTES);
    let trace = trace.map_err(|cause| StartError::Trace { path: path.to_owned(), cause })?;
    stats.requests.trace_into(trace);
    Ok(())
}

/// Waits until no other s3mem of this user is starting on the mount point.
fn wait_for_others(
    settings: &MountSettings,
    environment: &Environment,
) -> Result<Option<StartLock>, StartError> {
    let path = mount_point::resolve(&settings.mount_point)?;
    // Nobody else finds one either where there is no such folder.
    let Ok(folder) = runtime_folder::prepare(environment) else { return Ok(None) };
    let limit = settings.retry.request_timeout.saturating_add(START);
    match StartLock::take(&folder, &path, limit) {
        Ok(None) => Err(MountPointError::Starting(path).into()),
        lock => Ok(lock?),
    }
}

/// Opens the file system, and says so when that takes long.
pub(super) async fn open_with_notice(
    settings: &MountSettings,
    stats: &Arc<Stats>,
) -> Result<(Assembled, Connected), StartError> {
    let opening = AssertUnwindSafe(open(settings, stats.clone())).catch_unwind();
    let opening = opening.map(|opened| opened.unwrap_or_else(|panic| Err(panicked(&*panic))));
    tokio::pin!(opening);
    if let Ok(outcome) = timeout(PATIENCE, &mut opening).await {
        return outcome;
    }
    tell(&format!(
        "{} has not answered yet; still trying, for up to {} seconds (--request-timeout)",
        settings.endpoint_url.as_deref().unwrap_or("AWS"),
        settings.retry.request_timeout.as_secs_f64()
    ));
    opening.await
}

/// What somebody below, such as the SDK, has panicked with.
fn panicked(panic: &(dyn Any + Send)) -> StartError {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("nothing");
    let first = text.lines().next().unwrap_or_default();
    StartError::Panicked(first.split(": ").next().unwrap_or_default().to_owned())
}

/// Connects to the bucket and lists its root, which proves that it can be read. Of several
/// buckets some may be in trouble, which is said.
async fn open(
    settings: &MountSettings,
    stats: Arc<Stats>,
) -> Result<(Assembled, Connected), StartError> {
    let told = |(name, error): (&str, &StoreError)| {
        tracing::debug!("the mount failed: {error}");
        let folders = settings.source.folders();
        let source = settings.source.one().or_else(|| folders.get(name));
        StartError::Store(explain(error, &Asked::about(settings, source)))
    };
    let s3 = connect_with_notice(settings).await?.map_err(|error| told(("", &error)))?;
    let disk = settings.disk.clone().map(|config| open_disk(config, settings, &s3)).transpose()?;
    let shared = settings.fleet.clone().map(|config| open_shared(config, settings, &s3));
    let shared = shared.transpose().map_err(|error| told(("", &error)))?;
    let (server, store) = Connected::new(s3, settings, &stats);
    let parts = assemble(store, settings.fs.clone(), Caches { disk, shared }, stats).await;
    let parts = parts.map_err(|refused| told((&refused.folder, &refused.error)))?;
    for refused in &parts.refused {
        let error = &*refused.error;
        let told = trouble((&refused.folder, error), settings, |source| {
            explain(error, &Asked::about(settings, source))
        });
        tracing::warn!("{told}");
    }
    Ok((parts, server))
}

/// Opens the cache on disk, for the account that asks.
fn open_disk(
    config: DiskConfig,
    settings: &MountSettings,
    s3: &S3,
) -> Result<Arc<Disk>, DiskError> {
    let owner = settings.s3.expected_bucket_owner.as_deref();
    let account = account::name(owner, s3.credentials().as_ref(), !settings.s3.is_own_server);
    let place = format!("{} {account}", config.place);
    Disk::open(DiskConfig { place, ..config }, Handle::current())
}

/// Opens the cache that mounts share. Whether it is there is not asked: a mount works without it.
fn open_shared(
    config: FleetConfig,
    settings: &MountSettings,
    s3: &S3,
) -> Result<Arc<SharedCache>, StoreError> {
    let (bucket, stats) = (s3.to_own_bucket(&config.bucket)?, Stats::new());
    let store = cache_stack(Arc::new(bucket), settings.fs.memory_bytes, stats.clone());
    Ok(SharedCache::new(store, stats, config, Handle::current()))
}

/// Looks up the credentials, and says so when that takes longer than a moment.
async fn connect_with_notice(
    settings: &MountSettings,
) -> Result<Result<S3, StoreError>, StartError> {
    let limit = settings.retry.request_timeout;
    let connecting = timeout(limit, S3::connect(settings.s3.clone()));
    tokio::pin!(connecting);
    if limit <= MOMENT {
        return connecting.await.map_err(|_| StartError::Credentials(limit.as_secs_f64()));
    }
    // The moment comes first: the SDK too gives a metadata service one second, and begins
    // to count a little later.
    let outcome = tokio::select! {
        biased;
        () = sleep(MOMENT) => {
            tell(
                "still looking for AWS credentials and the region (a profile's program, single \
                 sign-on, or this machine's metadata service)",
            );
            connecting.await
        }
        outcome = &mut connecting => outcome,
    };
    outcome.map_err(|_| StartError::Credentials(limit.as_secs_f64()))
}

/// What the daemon is asked about.
struct Served {
    unsent: Unsent,
    report: Arc<Report>,
}

impl Answers for Served {
    fn answer(&self, question: &str, to: &mut dyn Write) -> io::Result<()> {
        if question == "unmount" {
            return self.unsent.before_unmount(to);
        }
        match self.report.answer(question) {
            Some(text) => to.write_all(text.as_bytes()),
            None => writeln!(to, "this question is unknown"),
        }
    }
}

/// What a mount is made with.
struct Start<'s> {
    settings: &'s MountSettings,
    environment: &'s Environment,
    path: &'s Path,
    runtime: &'s Runtime,
    log: Log,
    start_lock: Option<StartLock>,
}

/// Mounts, or serves the `handed` device that somebody else has mounted, until that ends.
fn serve_mounted(
    start: Start<'_>,
    handed: Option<OwnedFd>,
    fs: Arc<FileSystem>,
    served: Arc<Served>,
) -> Result<(), StartError> {
    let Start { settings, environment, path, runtime, log, start_lock } = start;
    // Before there is a mount: a signal must find somebody who unmounts.
    let deadline = Deadline::default();
    let mut signals = EndSignals::catch(deadline.clone(), move || log.reopen())?;
    let is_ours = handed.is_none();
    let mounted = match handed {
        Some(device) => fuse::serve_device(fs, device).map_err(|error| {
            let hint = ". Whoever has opened it has to mount it before it is handed over";
            StartError::Mount { path: path.into(), reason: error.to_string(), hint }
        }),
        None => fuse::mount(fs, path, &settings.mount).map_err(|error| mount_error(path, &error)),
    }?;
    if is_ours
        && !settings.follow_symlinks
        && let Err(error) = sys::forbid_symlinks(path)
    {
        tracing::warn!("the mount option \"nosymfollow\" is ignored: {error}");
    }
    let device = match handed::descriptor(path) {
        Some(descriptor) => handed::device(descriptor),
        None => device_on(path),
    };
    drop(start_lock);
    let acts = last_acts(path, device.as_deref(), environment, &served.unsent);
    deadline.watch(move || acts)?;
    let listening = listen(device.as_deref(), environment, runtime, served.clone());
    let (tell_end, mut end) = oneshot::channel();
    // The session blocks a thread of its own: the runtime's threads serve requests.
    thread::Builder::new().name("session".into()).spawn(move || {
        let ended = mounted.wait();
        deadline.set();
        if let Some(listening) = &listening {
            listening.stop();
        }
        // Nobody listens any more when the process is about to exit.
        let _ = tell_end.send(ended);
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
    let unsent = &served.unsent;
    let mut is_patient = true;
    let outcome = runtime.block_on(async {
        tokio::select! {
            ended = &mut end => {
                let outcome = session_end(path, ended);
                if outcome.is_err() {
                    // Whoever looks into it would wait for an answer.
                    leave(path, device.as_deref(), environment);
                }
                unsent.send_after_end(&mut signals).await;
                return outcome;
            }
            signal = signals.next() => tracing::info!("{signal}: unmounting {shown}"),
        }
        // While the mount is there: what can't be sent can still be looked at and copied.
        is_patient = unsent.send(&mut signals).await;
        leave(path, device.as_deref(), environment);
        if !is_patient {
            return Ok(());
        }
        let outcome = tokio::select! {
            // What we don't unmount has no reason to end now.
            ended = timeout(if is_ours { GRACE } else { Duration::ZERO }, &mut end) => match ended {
                Ok(ended) => session_end(path, ended),
                Err(_) => {
                    if is_ours {
                        tracing::warn!("files in {shown} are still open; they stop working now");
                    }
                    unsent.send_after_end(&mut signals).await;
                    return Ok(());
                }
            },
            signal = signals.next() => {
                tracing::warn!("{signal} again: not waiting for open files");
                is_patient = false;
                return Ok(());
            }
        };
        unsent.send_after_end(&mut signals).await;
        outcome
    });
    unsent.log_lost();
    if is_patient {
        runtime.block_on(unsent.give_up(&mut signals));
    }
    outcome
}

/// What is tried when the process has not ended in time: to say what is lost, and to leave
/// no mount behind.
fn last_acts(
    path: &Path,
    device: Option<&str>,
    environment: &Environment,
    unsent: &Unsent,
) -> LastActs {
    let (path, device) = (path.to_path_buf(), device.map(str::to_owned));
    let (environment, unsent) = (environment.clone(), unsent.clone());
    let say = move || {
        tracing::error!("a part of s3mem hangs, so it ends without waiting any longer");
        unsent.log_lost();
    };
    // Without a word: the log may be what hangs.
    let leave = move || {
        if handed::descriptor(&path).is_none() && device_on(&path) == device {
            let _ = unmount(&path, How::Lazily, &environment);
        }
    };
    vec![Box::new(say), Box::new(leave)]
}

/// Lets `s3mem status` and `s3mem umount` ask this process from now on.
fn listen(
    device: Option<&str>,
    environment: &Environment,
    runtime: &Runtime,
    served: Arc<Served>,
) -> Option<Listening> {
    let begin = || {
        let device = device.ok_or_else(|| io::Error::other("the table of mounts lacks it"))?;
        let folder = runtime_folder::prepare(environment)?;
        Control::announce(&folder, device)?.serve(runtime.handle(), served)
    };
    let listening = begin().map_err(|error| {
        tracing::warn!("'s3mem umount' and 's3mem status' can't ask this process: {error}");
    });
    listening.ok()
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
    if handed::descriptor(path).is_some() {
        tracing::info!("whoever has mounted this unmounts it");
        return;
    }
    // Somebody may have unmounted ours already, or mounted theirs over it.
    if device.is_some() && device_on(path).as_deref() != device {
        return;
    }
    match unmount(path, How::IfUnused, environment) {
        Ok(()) => return,
        Err(UnmountError::Busy) => {
            tracing::info!(
                "{} is in use; open files can be read for a few more seconds",
                path.display()
            );
        }
        Err(UnmountError::Failed(reason)) => {
            tracing::warn!("unmounting {}: {reason}", path.display())
        }
    }
    if let Err(error) = unmount(path, How::Lazily, environment) {
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
