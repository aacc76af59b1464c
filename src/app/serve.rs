//! `s3mem serve`: from arguments to a server that answers until it is told to end.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{self, Handle};

use super::blocking::keep_a_thread;
use super::control::{Answers, Control, Listening};
use super::deadline::Deadline;
use super::log::{self, LogError};
use super::mount::{StartError, begin_trace, listen_for_metrics, open_with_notice};
use super::runtime_folder;
use super::serve_figures;
use super::signals::EndSignals;
use super::status_report::Report;
use super::text::tell;
use crate::cli::ServeArgs;
use crate::config::{self, ConfigError, Environment, MountSettings, Writes};
use crate::serve::Server;
use crate::stats::Stats;
use crate::sys;

/// How long answers may go on after a signal.
const GRACE: Duration = Duration::from_secs(5);

/// Why nothing is served. Each is a sentence for the user.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServeError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("nobody can listen on {address}: {cause}; choose another address with --listen")]
    Listen { address: SocketAddr, cause: io::Error },
    #[error("the system does not provide what s3mem needs to run: {0}")]
    System(#[from] io::Error),
}

/// Runs the command.
pub(super) fn run(args: &ServeArgs, environment: &Environment) -> Result<(), ServeError> {
    if !args.mount.allow_core_dumps {
        // Before the credentials are looked up.
        sys::hide_memory()?;
    }
    let settings = MountSettings::new(&args.mount, environment)?;
    if settings.fs.writes != Writes::Deny {
        return Err(ConfigError::ServeWrites.into());
    }
    let config = config::serve_config(&args.listen, environment, settings.source.to_string());
    let config = config.map_err(|error| error.placed(&args.mount.given))?;
    settings.notes.iter().for_each(|note| tell(note));
    let (address, is_open) = (config.listen, config.token.is_none());
    let server = Server::bind(config).map_err(|cause| ServeError::Listen { address, cause })?;
    sys::keep_new_files_private();
    let log = log::start(&settings.log, false, environment)?;
    sys::keep_heap_small();
    // Each connection is one.
    if let Err(error) = sys::allow_many_open_files() {
        tracing::debug!("the limit of open files stays as it is: {error}");
    }
    let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
    keep_a_thread(&runtime);
    let metrics = settings.metrics.map(listen_for_metrics).transpose()?;
    let stats = Stats::new();
    let traced = stats.clone();
    if let Some(path) = &settings.trace_file {
        begin_trace(path, &stats)?;
    }
    let (parts, server_of_buckets) = runtime.block_on(open_with_notice(&settings, &stats))?;
    let (deadline, log_place) = (Deadline::default(), log.place());
    let mut signals = EndSignals::catch(deadline.clone(), move || log.reopen())?;
    deadline.watch(Vec::new)?;
    let address = server.address();
    if is_open && !address.ip().is_loopback() {
        tell(&format!("everybody who can reach {address} can read {}", settings.source));
    }
    let url = format!("http://{address}/");
    let known = (server_of_buckets, metrics.as_ref());
    let report = Report::new(&settings, url.into(), &parts, stats.clone(), known, log_place);
    let report = Arc::new(report);
    if let Some(metrics) = metrics {
        let report = report.clone();
        metrics.serve(runtime.handle(), Arc::new(move || report.for_metrics()))?;
    }
    // Whoever is told that it is ready finds it.
    let listening = listen(environment, runtime.handle(), report);
    say_ready(address);
    tracing::info!(
        "s3mem {} serves {} at http://{address}/, with at most {} of memory",
        env!("CARGO_PKG_VERSION"),
        settings.source,
        config::show_size(settings.fs.memory_bytes)
    );
    let outcome = runtime.block_on(async {
        let fs = parts.fs.clone();
        let figures = Arc::new(move || serve_figures::figures(&stats, &fs));
        let (tell_end, ended) = tokio::sync::oneshot::channel::<()>();
        let end = async {
            // The sender sends nothing: it goes.
            let _ = ended.await;
        };
        let twice = async {
            let signal = signals.next().await;
            tracing::info!("{signal}: ending");
            drop(tell_end);
            let signal = signals.next().await;
            tracing::warn!("{signal} again: not waiting for answers");
        };
        tokio::select! {
            outcome = server.run(parts.fs.clone(), figures, end, GRACE) => outcome,
            () = twice => Ok(()),
        }
    });
    if let Some(listening) = listening {
        listening.stop();
    }
    runtime.block_on(parts.put_down());
    if let Some(trace) = traced.requests.trace() {
        trace.close();
    }
    // Requests still in the air have nobody left to answer.
    runtime.shutdown_background();
    Ok(outcome?)
}

/// What `s3mem status` is told.
struct Asked(Arc<Report>);

impl Answers for Asked {
    fn answer(&self, question: &str, to: &mut dyn Write) -> io::Result<()> {
        match self.0.answer(question) {
            Some(text) => to.write_all(text.as_bytes()),
            None => writeln!(to, "this question is unknown"),
        }
    }
}

/// Lets `s3mem status` ask this process from now on.
fn listen(environment: &Environment, runtime: &Handle, report: Arc<Report>) -> Option<Listening> {
    let begin = || {
        let folder = runtime_folder::prepare(environment)?;
        Control::announce_server(&folder)?.serve(runtime, Arc::new(Asked(report)))
    };
    let listening = begin();
    listening.map_err(|error| tracing::debug!("'s3mem status' can't ask this: {error}")).ok()
}

/// Tells whoever has started this where it answers.
fn say_ready(address: SocketAddr) {
    let mut out = io::stdout().lock();
    // Whoever does not read it knows the address already.
    let _ = writeln!(out, "http://{address}/").and_then(|()| out.flush());
}
