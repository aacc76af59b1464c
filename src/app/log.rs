//! Where log lines go: the terminal, a file, or the system's log; where there is none, a
//! file in the runtime folder.
//!
//! Contract: a line is one event, whatever is in it: control characters are
//! escaped. Only s3mem's own events are taken below the level "warning": the
//! SDK's and the HTTP client's would print headers, and headers hold credentials.

use std::io::{self, Write};
use std::panic;
use std::path::PathBuf;
use std::sync::Arc;

use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use super::log_file::LogFile;
use super::runtime_folder;
use super::text::{self, tell};
use crate::cli::LogLevel;
use crate::config::{Environment, LogTarget};
use crate::store::SAID_BY_US;
use crate::sys::{self, Severity};

/// A log that nobody else keeps short is begun anew at this size.
const FALLBACK_BYTES: u64 = 16 << 20;
/// Its name in the runtime folder.
const FALLBACK: &str = "s3mem.log";

/// The log file can't be opened.
#[derive(Debug, thiserror::Error)]
#[error("the log file {path} can't be written: {cause}")]
pub(super) struct LogError {
    path: PathBuf,
    cause: io::Error,
}

/// The log that was started.
#[derive(Debug, Clone)]
pub(super) struct Log(Sink);

impl Log {
    /// Goes on in the file that has the log's name now: the one before was renamed.
    pub(super) fn reopen(&self) {
        let Sink::File(file) = &self.0 else { return };
        match file.reopen() {
            Ok(()) => tracing::info!("SIGHUP: the log was opened anew"),
            Err(error) => tracing::warn!(
                "SIGHUP: {} can't be opened, so the log stays where it was: {error}",
                file.path().display()
            ),
        }
    }

    /// Where it goes, for people.
    pub(super) fn place(&self) -> String {
        match &self.0 {
            Sink::Terminal => "standard error".to_owned(),
            Sink::System => "the system's log".to_owned(),
            Sink::File(file) => file.path().display().to_string(),
        }
    }
}

/// Sends events and panics to `target` from now on. With `tell_warnings`, s3mem's own
/// warnings go to standard error as well, for the user who waits for the daemon, until
/// it has left the terminal.
pub(super) fn start(
    target: &LogTarget,
    level: LogLevel,
    tell_warnings: bool,
    environment: &Environment,
) -> Result<Log, LogError> {
    let sink = Sink::open(target, environment)?;
    let log = Log(sink.clone());
    let targets = targets(level);
    let warnings = tell_warnings.then(|| {
        let to_user = fmt::layer().with_ansi(false).with_writer(|| ToUser);
        let plain = to_user.without_time().with_level(false).with_target(false);
        plain.with_filter(Targets::new().with_target("s3mem", LevelFilter::WARN))
    });
    let subscriber =
        tracing_subscriber::registry().with(layer(sink).with_filter(targets)).with(warnings);
    // Somebody else's subscriber in this process (a test's) stays.
    let _ = subscriber.try_init();
    panic::set_hook(Box::new(|panic| tracing::error!("internal error: {panic}")));
    Ok(log)
}

fn targets(level: LogLevel) -> Targets {
    Targets::new()
        .with_target("s3mem", filter(level))
        .with_default(filter(level).min(LevelFilter::WARN))
        .with_targets(SAID_BY_US.map(|target| (target, LevelFilter::OFF)))
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(sink: Sink) -> Box<dyn Layer<S> + Send + Sync> {
    let system = matches!(sink, Sink::System);
    let plain = fmt::layer().with_ansi(false).with_writer(sink);
    if system {
        // The system's log has its own time and level.
        plain.without_time().with_level(false).boxed()
    } else {
        plain.boxed()
    }
}

#[derive(Debug, Clone)]
enum Sink {
    Terminal,
    File(Arc<LogFile>),
    System,
}

impl Sink {
    fn open(target: &LogTarget, environment: &Environment) -> Result<Sink, LogError> {
        let (path, limit) = match target {
            LogTarget::Terminal => return Ok(Sink::Terminal),
            LogTarget::File(path) => (path.clone(), None),
            LogTarget::System => match fallback(environment) {
                Some(path) => (path, Some(FALLBACK_BYTES)),
                None => return Ok(Sink::System),
            },
        };
        match LogFile::open(&path, limit) {
            Ok(file) => Ok(Sink::File(Arc::new(file))),
            Err(cause) => Err(LogError { path, cause }),
        }
    }
}

/// The file that is the log where the system has none.
fn fallback(environment: &Environment) -> Option<PathBuf> {
    if sys::has_syslog() {
        return None;
    }
    runtime_folder::prepare(environment).ok().map(|folder| folder.join(FALLBACK))
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = Event<'a>;

    fn make_writer(&'a self) -> Event<'a> {
        Event { sink: self, severity: Severity::Info }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Event<'a> {
        let severity = match *metadata.level() {
            Level::ERROR => Severity::Error,
            Level::WARN => Severity::Warning,
            Level::INFO => Severity::Info,
            Level::DEBUG | Level::TRACE => Severity::Debug,
        };
        Event { sink: self, severity }
    }
}

/// Writes one event, which arrives as a whole.
#[derive(Debug)]
struct Event<'a> {
    sink: &'a Sink,
    severity: Severity,
}

impl Write for Event<'_> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = text::printable(text.trim_end_matches('\n')).into_owned();
        match self.sink {
            Sink::System => sys::syslog(self.severity, &line),
            // A terminal that was closed has nobody to tell, and a full disk no room: who
            // writes an event must not fail with it.
            Sink::Terminal => drop(io::stderr().lock().write_all((line + "\n").as_bytes())),
            Sink::File(file) => drop(file.append(&(line + "\n"))),
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes an event to standard error, for the user who typed the command.
#[derive(Debug)]
struct ToUser;

impl Write for ToUser {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        tell(String::from_utf8_lossy(event).trim());
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    fn opened(path: &Path) -> Result<Sink, LogError> {
        Sink::open(&LogTarget::File(path.to_owned()), &Environment::default())
    }

    fn logged(level: LogLevel, event: impl FnOnce()) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let sink = opened(&path).unwrap();
        let layer = layer(sink).with_filter(targets(level));
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, event);
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn an_event_is_one_line_whatever_its_key_contains() {
        let text = logged(LogLevel::Info, || tracing::warn!(key = "a\nERROR b\x1b[2J", "gone\r\n"));
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.trim_end().contains(|c: char| c.is_control()), "{text:?}");
        assert!(text.contains("WARN"), "{text}");
    }

    #[test]
    fn other_crates_stay_silent_below_warnings_at_any_level() {
        let text = logged(LogLevel::Trace, || {
            tracing::trace!(target: "aws_sigv4::http_request", "authorization: secret");
            tracing::warn!(target: SAID_BY_US[1], "Stderr: secret");
            tracing::trace!(target: "s3mem::fs", "ours");
        });
        assert!(text.contains("ours") && !text.contains("secret"), "{text}");
    }

    #[test]
    fn a_log_file_that_can_not_be_written_is_named() {
        let error = opened(Path::new("/no-such-folder/log")).unwrap_err();
        assert!(error.to_string().contains("/no-such-folder/log"), "{error}");
    }
}
