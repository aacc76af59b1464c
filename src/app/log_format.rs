//! How events look in the log: for people, as JSON, and with fields for systemd's journal.

use std::fmt::{self, Debug};
use std::path::PathBuf;
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::json::{object, string};
use super::text::printable;
use crate::sys::{self, Severity};

/// The text of an event among its fields.
const MESSAGE: &str = "message";
/// Fields for programs: people read them in the text.
const FOR_PROGRAMS: &[&str] = &["request_id", "status"];

/// How grave an event is for the system's log.
pub(super) fn severity(of: &Metadata<'_>) -> Severity {
    match *of.level() {
        Level::ERROR => Severity::Error,
        Level::WARN => Severity::Warning,
        Level::INFO => Severity::Info,
        Level::DEBUG | Level::TRACE => Severity::Debug,
    }
}

/// The room that an event comes from, or the crate if it is not ours.
fn room<'m>(of: &Metadata<'m>) -> &'m str {
    let target = of.target();
    let inside = target.strip_prefix("s3mem::").unwrap_or(target);
    inside.split("::").next().unwrap_or(inside)
}

/// The fields of an event as people read them: its text, and others behind it.
#[derive(Debug, Clone, Copy)]
pub(super) struct ForPeople;

impl<'w> FormatFields<'w> for ForPeople {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut words = Words { writer, is_first: true, outcome: Ok(()) };
        fields.record(&mut words);
        words.outcome
    }
}

/// Writes fields one after the other.
struct Words<'w> {
    writer: Writer<'w>,
    is_first: bool,
    outcome: fmt::Result,
}

impl Visit for Words<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if self.outcome.is_err() || FOR_PROGRAMS.contains(&field.name()) {
            return;
        }
        let space = if self.is_first { "" } else { " " };
        self.is_first = false;
        self.outcome = match field.name() {
            MESSAGE => write!(self.writer, "{space}{value:?}"),
            name => write!(self.writer, "{space}{name}={value:?}"),
        };
    }
}

/// What an event says, in the order in which it says it.
#[derive(Debug, Default)]
struct Said(Vec<(&'static str, Value)>);

#[derive(Debug)]
enum Value {
    Text(String),
    /// Written as it is in JSON too.
    Plain(String),
}

impl Said {
    fn by(event: &Event<'_>) -> Said {
        let mut said = Said::default();
        event.record(&mut said);
        said
    }

    fn put(&mut self, field: &Field, value: Value) {
        self.0.push((field.name(), value));
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, Value::Text(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::Text(value.to_owned()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::Plain(value.to_string()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::Plain(value.to_string()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::Plain(value.to_string()));
    }
}

/// An object of JSON for each event.
#[derive(Debug, Clone, Copy)]
pub(super) struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let of = event.metadata();
        let time = humantime::format_rfc3339_micros(SystemTime::now()).to_string();
        let known = [
            ("time", string(&time)),
            ("level", string(&of.level().as_str().to_ascii_lowercase())),
            ("room", string(room(of))),
        ];
        let said = Said::by(event).0.into_iter().map(|(name, value)| match value {
            Value::Text(text) => (name, string(&text)),
            Value::Plain(text) => (name, text),
        });
        writeln!(writer, "{}", object(known.into_iter().chain(said)))
    }
}

/// Sends events to the journal of systemd, each with its fields.
#[derive(Debug)]
pub(super) struct Journal(pub(super) PathBuf);

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let of = event.metadata();
        let mut fields = vec![
            ("SYSLOG_PID".to_owned(), std::process::id().to_string()),
            ("S3MEM_ROOM".to_owned(), room(of).to_owned()),
        ];
        fields.extend(Said::by(event).0.into_iter().map(|(name, value)| {
            let (Value::Text(value) | Value::Plain(value)) = value;
            let name = match name {
                MESSAGE => "MESSAGE".to_owned(),
                name => format!("S3MEM_{}", name.to_ascii_uppercase()),
            };
            // Keys may hold anything, and journalctl writes to terminals.
            (name, printable(&value).into_owned())
        }));
        // Nobody can be told that there is no log.
        sys::journal(&self.0, severity(of), &fields);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::os::unix::net::UnixDatagram;

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn the_journal_gets_each_event_with_its_fields() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("socket");
        let journal = UnixDatagram::bind(&socket).unwrap();
        let subscriber = tracing_subscriber::registry().with(Journal(socket));
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!(target: "s3mem::store::s3", request_id = Some("X1"), "a\u{1b}\nb");
        });
        let mut event = [0; 4096];
        let length = journal.recv(&mut event).unwrap();
        let event = String::from_utf8(event[..length].to_vec()).unwrap();
        assert!(event.ends_with('\n'), "{event:?}");
        let pid = format!("SYSLOG_PID={}", std::process::id());
        let expected = [
            "PRIORITY=3",
            "SYSLOG_IDENTIFIER=s3mem",
            &pid,
            "S3MEM_ROOM=store",
            "S3MEM_REQUEST_ID=X1",
            r"MESSAGE=a\u{1b}\nb",
        ];
        assert_eq!(event.lines().collect::<BTreeSet<_>>(), BTreeSet::from(expected));
    }

    #[test]
    fn a_value_with_lines_is_sent_with_its_length() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("socket");
        let journal = UnixDatagram::bind(&socket).unwrap();
        let fields = [("MESSAGE".to_owned(), "a\nb".to_owned())];
        assert!(sys::journal(&socket, Severity::Info, &fields));
        let mut event = [0; 4096];
        let length = journal.recv(&mut event).unwrap();
        let expected = b"PRIORITY=6\nSYSLOG_IDENTIFIER=s3mem\nMESSAGE\n\x03\0\0\0\0\0\0\0a\nb\n";
        assert_eq!(&event[..length], expected);
        drop((journal, dir));
        assert!(!sys::journal(&socket, Severity::Info, &fields), "nobody listens");
    }
}
