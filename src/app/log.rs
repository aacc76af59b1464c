//! Where log lines go: the terminal, a file, or the system's log; where there is none, a
//! file in the runtime folder.
//!
//! Contract: a line is one event, whatever is in it: control characters are
//! escaped. Only s3mem's own events are taken below the level "warning": the
//! SDK's and the HTTP client's would print headers, and headers hold credentials.

use std::io::{self, Write};
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use super::log_file::LogFile;
use super::log_format::{ForPeople, Journal, JsonLines, severity};
use super::runtime_folder;
use super::text::{self, tell};
use crate::cli::{LogFormat, LogLevel, LogLevels};
use crate::config::{Environment, LogConfig, LogTarget};
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
    config: &LogConfig,
    tell_warnings: bool,
    environment: &Environment,
) -> Result<Log, LogError> {
    let sink = Sink::open(&config.target, environment)?;
    let log = Log(sink.clone());
    let targets = targets(&config.levels);
    let warnings = tell_warnings.then(|| {
        let to_user = fmt::layer().with_ansi(false).fmt_fields(ForPeople).with_writer(|| ToUser);
        let plain = to_user.without_time().with_level(false).with_target(false);
        plain.with_filter(Targets::new().with_target("s3mem", LevelFilter::WARN))
    });
    let subscriber = tracing_subscriber::registry()
        .with(layer(sink, config.format).with_filter(targets))
        .with(warnings);
    // Somebody else's subscriber in this process (a test's) stays.
    let _ = subscriber.try_init();
    panic::set_hook(Box::new(|panic| tracing::error!("internal error: {panic}")));
    Ok(log)
}

fn targets(levels: &LogLevels) -> Targets {
    let all = filter(levels.all);
    let rooms = levels.rooms.iter();
    Targets::new()
        .with_target("s3mem", all)
        .with_targets(rooms.map(|(room, level)| (format!("s3mem::{room}"), filter(*level))))
        .with_default(all.min(LevelFilter::WARN))
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

fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(
    sink: Sink,
    format: LogFormat,
) -> Box<dyn Layer<S> + Send + Sync> {
    let is_system = matches!(sink, Sink::System);
    if is_system && Path::new(sys::JOURNAL).exists() {
        return Journal(PathBuf::from(sys::JOURNAL)).boxed();
    }
    let plain = fmt::layer().with_ansi(false).fmt_fields(ForPeople).with_writer(sink);
    match (format, is_system) {
        (LogFormat::Json, _) => plain.event_format(JsonLines).boxed(),
        // The system's log has its own time and level.
        (LogFormat::Text, true) => plain.without_time().with_level(false).boxed(),
        (LogFormat::Text, false) => plain.boxed(),
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
    if sys::has_syslog() || Path::new(sys::JOURNAL).exists() {
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
        Event { sink: self, severity: severity(metadata) }
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

    fn opened(path: &Path) -> Result<Sink, LogError> {
        Sink::open(&LogTarget::File(path.to_owned()), &Environment::default())
    }

    fn logged(all: LogLevel, event: impl FnOnce()) -> String {
        logged_as(LogFormat::Text, &LogLevels { all, rooms: Vec::new() }, event)
    }

    fn logged_as(format: LogFormat, levels: &LogLevels, event: impl FnOnce()) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let sink = opened(&path).unwrap();
        let layer = layer(sink, format).with_filter(targets(levels));
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
    fn a_room_has_a_level_of_its_own() {
        let rooms = vec![("store".to_owned(), LogLevel::Debug), ("fs".to_owned(), LogLevel::Error)];
        let levels = LogLevels { all: LogLevel::Info, rooms };
        let text = logged_as(LogFormat::Text, &levels, || {
            tracing::debug!(target: "s3mem::store::meter", "one");
            tracing::trace!(target: "s3mem::store", "two");
            tracing::warn!(target: "s3mem::fs::open", "three");
            tracing::error!(target: "s3mem::fs", "four");
            tracing::info!(target: "s3mem::app", "five");
            tracing::debug!(target: "s3mem::app", "six");
        });
        let words = ["one", "two", "three", "four", "five", "six"];
        assert_eq!(words.map(|word| text.contains(word)), [true, false, false, true, true, false]);
    }

    #[test]
    fn json_is_an_object_on_each_line_with_the_fields_of_the_event() {
        let text = logged_as(LogFormat::Json, &LogLevels::default(), || {
            tracing::warn!(target: "s3mem::store", request_id = Some("X1"), key = ?"a\n\u{1b}", "gone\nby");
            tracing::info!(target: "s3mem::app", request_id = None::<&str>, count = 5, "\"there\"");
        });
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2, "{text}");
        let first = &lines[0];
        assert_eq!((&first["level"], &first["room"]), (&"warn".into(), &"store".into()));
        assert_eq!((&first["message"], &first["request_id"]), (&"gone\nby".into(), &"X1".into()));
        assert_eq!(first["key"], "\"a\\n\\u{1b}\"");
        humantime::parse_rfc3339(first["time"].as_str().unwrap()).unwrap();
        assert_eq!((&lines[1]["count"], &lines[1]["message"]), (&5.into(), &"\"there\"".into()));
        assert!(lines[1].get("request_id").is_none());
        // People read it in the text.
        let text = logged(LogLevel::Info, || tracing::warn!(request_id = Some("X1"), key = 7, "x"));
        assert!(!text.contains("X1") && text.trim_end().ends_with(": x key=7"), "{text}");
    }

    #[test]
    fn a_log_file_that_can_not_be_written_is_named() {
        let error = opened(Path::new("/no-such-folder/log")).unwrap_err();
        assert!(error.to_string().contains("/no-such-folder/log"), "{error}");
    }
}
