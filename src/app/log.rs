//! Where log lines go: the terminal, a file, or the system's log.
//!
//! Contract: a line is one event, whatever is in it: control characters are
//! escaped. Only s3mem's own events are taken below the level "warning": the
//! SDK's and the HTTP client's would print headers, and headers hold credentials.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::panic;
use std::path::PathBuf;

use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use super::text::{self, tell};
use crate::cli::LogLevel;
use crate::config::LogTarget;
use crate::store::SAID_BY_US;
use crate::sys::{self, Severity};

/// The log file can't be opened.
#[derive(Debug, thiserror::Error)]
#[error("the log file {path} can't be written: {cause}")]
pub(super) struct LogError {
    path: PathBuf,
    cause: io::Error,
}

/// Sends events and panics to `target` from now on. With `tell_warnings`, s3mem's own
/// warnings go to standard error as well, for the user who waits for the daemon, until
/// it has left the terminal.
pub(super) fn start(
    target: &LogTarget,
    level: LogLevel,
    tell_warnings: bool,
) -> Result<(), LogError> {
    let sink = Sink::open(target)?;
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
    Ok(())
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

#[derive(Debug)]
enum Sink {
    Terminal,
    File(File),
    System,
}

impl Sink {
    fn open(target: &LogTarget) -> Result<Sink, LogError> {
        match target {
            LogTarget::Terminal => Ok(Sink::Terminal),
            LogTarget::System => Ok(Sink::System),
            LogTarget::File(path) => OpenOptions::new()
                .append(true)
                .create(true)
                .open(path)
                .map(Sink::File)
                .map_err(|cause| LogError { path: path.clone(), cause }),
        }
    }
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
            // In one call, so that lines of several threads never mix.
            Sink::Terminal => io::stderr().lock().write_all((line + "\n").as_bytes())?,
            Sink::File(file) => (&*file).write_all((line + "\n").as_bytes())?,
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

    fn logged(level: LogLevel, event: impl FnOnce()) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let sink = Sink::open(&LogTarget::File(path.clone())).unwrap();
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
        let error = Sink::open(&LogTarget::File("/no-such-folder/log".into())).unwrap_err();
        assert!(error.to_string().contains("/no-such-folder/log"), "{error}");
    }
}
