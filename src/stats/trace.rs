//! A file that says what was done when, in the format of Chrome's traces.
//!
//! Contract: a JSON array with one event on each line, written in one piece as it happens. A
//! process that is killed leaves out the last bracket alone, which the format allows. Spans on
//! one track lie within each other or beside each other. The file has a limit; when that is
//! reached nothing begins any more, and what has begun still ends.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::{Value, json};

/// A trace that is being written.
#[derive(Debug)]
pub struct Trace {
    start: Instant,
    out: Mutex<Out>,
}

#[derive(Debug)]
struct Out {
    file: File,
    limit_bytes: u64,
    written_bytes: u64,
    /// Nothing begins any more: the limit is reached, or nothing can be written.
    is_full: bool,
    /// Nothing at all is written any more.
    is_closed: bool,
    groups: HashMap<u32, Group>,
}

/// The tracks of one program, or of the requests.
#[derive(Debug, Default)]
struct Group {
    name: String,
    /// Which of its tracks have a span.
    is_busy: Vec<bool>,
}

impl Trace {
    /// Begins a file, which is its user's alone, in the place of one that is there.
    ///
    /// # Errors
    /// It can't be written.
    pub fn create(path: &Path, limit_bytes: u64) -> io::Result<Arc<Trace>> {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        let start = json!({"name": "trace_begins", "ph": "i", "ts": 0, "pid": std::process::id(),
            "tid": 0, "s": "g", "args": {"version": env!("CARGO_PKG_VERSION")}});
        let text = format!("[\n{start}\n");
        file.write_all(text.as_bytes())?;
        let (written_bytes, groups) = (text.len() as u64, HashMap::new());
        let out =
            Out { file, limit_bytes, written_bytes, is_full: false, is_closed: false, groups };
        Ok(Arc::new(Trace { start: Instant::now(), out: Mutex::new(out) }))
    }

    /// Begins a span of the process `pid`, on a track where none is; `None` if there is no room
    /// for it. The process is called `group`, the facts are shown beside the span.
    pub fn begin(
        self: &Arc<Self>,
        pid: u32,
        group: impl FnOnce() -> String,
        name: &str,
        facts: Facts,
    ) -> Option<Span> {
        let mut out = self.lock();
        if out.is_full {
            return None;
        }
        let track = out.take_track(pid, group);
        let mut span = Span { trace: self.clone(), pid, track, depth: 1, told: Facts::new() };
        out.event(&span.event("B", Some(name), shown(facts)));
        if out.is_full {
            // Nobody has heard of it.
            span.depth = 0;
        }
        drop(out);
        (span.depth > 0).then_some(span)
    }

    /// Ends the file: what happens later is not in it.
    pub fn close(&self) {
        let mut out = self.lock();
        if !std::mem::replace(&mut out.is_closed, true) {
            out.is_full = true;
            // The bracket may be missing.
            let _ = out.file.write_all(b"]\n");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Out> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        self.close();
    }
}

impl Out {
    /// A free track of the process, which is named when it is met first.
    fn take_track(&mut self, pid: u32, name: impl FnOnce() -> String) -> usize {
        let is_new = !self.groups.contains_key(&pid);
        let group = self.groups.entry(pid).or_default();
        if is_new {
            group.name = name();
        }
        let track = group.is_busy.iter().position(|is_busy| !is_busy);
        let track = track.unwrap_or(group.is_busy.len());
        let is_new_track = track == group.is_busy.len();
        match is_new_track {
            true => group.is_busy.push(true),
            false => group.is_busy[track] = true,
        }
        if is_new {
            let name = group.name.clone();
            self.event(&json!({"name": "process_name", "ph": "M", "pid": pid, "tid": 0,
                "args": {"name": name}}));
        }
        if is_new_track {
            let name = format!("at once {:03}", track + 1);
            self.event(&json!({"name": "thread_name", "ph": "M", "pid": pid, "tid": track + 1,
                "args": {"name": name}}));
        }
        track
    }

    /// Writes an event in one piece. Ends of spans are written beyond the limit.
    fn event(&mut self, event: &Value) {
        if self.is_closed {
            return;
        }
        let line = format!(",{event}\n");
        self.written_bytes += line.len() as u64;
        let is_end = event["ph"] == "E";
        if !is_end && self.written_bytes > self.limit_bytes {
            self.is_full = true;
            tracing::warn!("--trace-file: the file is as large as it may be; the trace ends here");
            return;
        }
        if let Err(error) = self.file.write_all(line.as_bytes()) {
            if !self.is_full {
                tracing::warn!("--trace-file: nothing more can be written: {error}");
            }
            self.is_full = true;
        }
    }
}

/// Something that takes time, until it is dropped.
#[derive(Debug)]
pub struct Span {
    trace: Arc<Trace>,
    pid: u32,
    track: usize,
    /// How many spans within each other have begun.
    depth: usize,
    /// What is known at its end.
    told: Facts,
}

/// What is told of a span, by names.
pub type Facts = Vec<(&'static str, Fact)>;

/// A fact about a span.
#[derive(Debug, Clone)]
pub enum Fact {
    /// A text.
    Text(String),
    /// A number.
    Number(u64),
}

impl From<&str> for Fact {
    fn from(text: &str) -> Fact {
        Fact::Text(text.to_owned())
    }
}

impl From<String> for Fact {
    fn from(text: String) -> Fact {
        Fact::Text(text)
    }
}

impl From<u64> for Fact {
    fn from(number: u64) -> Fact {
        Fact::Number(number)
    }
}

/// Facts as an event has them; `null` if there are none.
fn shown(facts: Facts) -> Value {
    if facts.is_empty() {
        return Value::Null;
    }
    let value = |fact| match fact {
        Fact::Text(text) => Value::from(text),
        Fact::Number(number) => Value::from(number),
    };
    facts.into_iter().map(|(name, fact)| (name, value(fact))).collect()
}

impl Span {
    /// Begins a step within it, at whose beginning the one before ends.
    pub fn step(&mut self, name: &str) {
        self.end_steps(1);
        self.depth += 1;
        self.write("B", Some(name), Value::Null);
    }

    /// Notes something that is shown beside it.
    pub fn tell(&mut self, name: &'static str, fact: impl Into<Fact>) {
        self.told.push((name, fact.into()));
    }

    /// Ends all within it that are deeper than this.
    fn end_steps(&mut self, depth: usize) {
        while self.depth > depth {
            self.depth -= 1;
            let told = match self.depth {
                0 => shown(std::mem::take(&mut self.told)),
                _ => Value::Null,
            };
            self.write("E", None, told);
        }
    }

    fn write(&self, phase: &str, name: Option<&str>, args: Value) {
        let mut out = self.trace.lock();
        // The time is taken where it is written: on a track time only goes on.
        let event = self.event(phase, name, args);
        out.event(&event);
    }

    fn event(&self, phase: &str, name: Option<&str>, args: Value) -> Value {
        let ts = self.trace.start.elapsed().as_micros() as u64;
        let mut event = json!({"ph": phase, "ts": ts, "pid": self.pid, "tid": self.track + 1});
        if let Some(name) = name {
            event["name"] = name.into();
        }
        if !args.is_null() {
            event["args"] = args;
        }
        event
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        self.end_steps(0);
        let mut out = self.trace.lock();
        if let Some(group) = out.groups.get_mut(&self.pid) {
            group.is_busy[self.track] = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(path: &Path) -> Vec<Value> {
        let text = std::fs::read_to_string(path).unwrap();
        // As those who read a trace of a process that was killed do.
        let whole = if text.ends_with("]\n") { text } else { text + "]" };
        serde_json::from_str(&whole).unwrap()
    }

    fn begin(trace: &Arc<Trace>, pid: u32, name: &str) -> Option<Span> {
        trace.begin(pid, || format!("program {pid}"), name, vec![("path", "a\n\"b\"".into())])
    }

    /// Takes the spans of a file apart, track by track: how deep each name is in others.
    #[track_caller]
    fn nested(events: &[Value]) -> Vec<(String, usize)> {
        let mut stacks: HashMap<(u64, u64), Vec<(String, u64)>> = HashMap::new();
        let mut found = Vec::new();
        for event in events {
            let of = |name: &str| event[name].as_u64().unwrap();
            let stack = stacks.entry((of("pid"), of("tid"))).or_default();
            match event["ph"].as_str().unwrap() {
                "B" => {
                    let name = event["name"].as_str().unwrap().to_owned();
                    found.push((name.clone(), stack.len()));
                    stack.push((name, of("ts")));
                }
                "E" => {
                    let (name, begun) = stack.pop().expect("an end without a beginning");
                    assert!(of("ts") >= begun, "{name} ends before it begins");
                }
                _ => {}
            }
        }
        found
    }

    #[test]
    fn spans_of_one_program_that_overlap_are_on_tracks_of_their_own() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trace");
        let trace = Trace::create(&path, 1 << 20).unwrap();
        let mut first = begin(&trace, 7, "first").unwrap();
        let second = begin(&trace, 7, "second").unwrap();
        first.step("wait");
        first.step("body");
        first.tell("bytes", 5_u64);
        drop(first);
        drop(second);
        drop(begin(&trace, 7, "third"));
        drop(begin(&trace, 8, "other"));
        // It is whole at any moment but for the bracket.
        let open = events(&path);
        drop(trace);
        let all = events(&path);
        assert_eq!(all, open);
        let names: Vec<(String, usize)> = nested(&all);
        let expected =
            [("first", 0), ("second", 0), ("wait", 1), ("body", 1), ("third", 0), ("other", 0)];
        assert_eq!(names, expected.map(|(name, depth)| (name.to_owned(), depth)));
        let track = |name: &str| all.iter().find(|event| event["name"] == name).unwrap();
        assert_eq!(
            (track("first")["tid"].as_u64(), track("second")["tid"].as_u64()),
            (Some(1), Some(2))
        );
        assert_eq!(track("third")["tid"], 1, "a free track is taken again");
        assert_eq!(track("first")["args"]["path"], "a\n\"b\"");
        let told = all.iter().filter(|event| event["args"]["bytes"] == 5 && event["ph"] == "E");
        assert_eq!(told.count(), 1);
        let named = all.iter().filter(|event| event["name"] == "process_name");
        let named: Vec<&Value> = named.map(|event| &event["args"]["name"]).collect();
        assert_eq!(named, ["program 7", "program 8"]);
    }

    #[test]
    fn a_full_file_is_still_one_that_can_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trace");
        let trace = Trace::create(&path, 2000).unwrap();
        let held: Vec<Option<Span>> = (0..100).map(|_| begin(&trace, 7, "x")).collect();
        let begun = held.iter().flatten().count();
        assert!((1..20).contains(&begun), "{begun}");
        drop(held);
        assert!(begin(&trace, 7, "late").is_none());
        drop(trace);
        assert!(std::fs::metadata(&path).unwrap().len() < 4000);
        let all = events(&path);
        let ends = all.iter().filter(|event| event["ph"] == "E").count();
        assert_eq!((nested(&all).len(), ends), (begun, begun));
    }
}
