//! What the daemon says about its mount, for people and for programs.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

use super::assemble::Assembled;
use super::text::printable;
use super::unsent::why;
use crate::config::{self, MountSettings, OnUnmount, Writes};
use crate::decoders::Workers;
use crate::drafts::Drafts;
use crate::fs::{FileSystem, Web};
use crate::publish::{Pending, Publisher};
use crate::stats::{Snapshot, Stats};

/// What the daemon reports about its mount.
#[derive(Debug)]
pub(super) struct Report {
    source: String,
    mount_point: PathBuf,
    writes: &'static str,
    on_unmount: Option<OnUnmount>,
    drafts: Option<Arc<Drafts>>,
    publisher: Option<Arc<Publisher>>,
    workers: Option<Arc<Workers>>,
    stats: Arc<Stats>,
    fs: Arc<FileSystem>,
    /// Where the log goes.
    log: String,
}

impl Report {
    pub(super) fn new(
        settings: &MountSettings,
        mount_point: PathBuf,
        parts: &Assembled,
        stats: Arc<Stats>,
        log: String,
    ) -> Self {
        let (writes, on_unmount) = match settings.fs.writes {
            Writes::Deny => ("deny", None),
            Writes::Memory { .. } => ("memory", None),
            Writes::Upload { .. } => ("upload", Some(settings.on_unmount)),
        };
        let (drafts, publisher) = (parts.drafts.clone(), parts.publisher.clone());
        let (source, workers) = (settings.source.to_string(), parts.workers.clone());
        Report {
            source,
            mount_point,
            writes,
            on_unmount,
            drafts,
            publisher,
            workers,
            stats,
            fs: parts.fs.clone(),
            log,
        }
    }

    fn pending(&self) -> Vec<Pending> {
        self.publisher.as_ref().map_or_else(Vec::new, |publisher| publisher.pending())
    }

    /// What written files take, and may take, in bytes; `None` where nothing may be written.
    fn write_memory(&self) -> Option<(u64, u64)> {
        let arena = self.drafts.as_ref()?.arena();
        Some((arena.used_bytes(), arena.limit_bytes()))
    }

    /// A line with the number of files that are not in the bucket yet, then the report.
    pub(super) fn for_people(&self) -> String {
        let pending = self.pending();
        let mount_point = self.mount_point.display().to_string();
        let mut lines = vec![
            pending.len().to_string(),
            format!("{} on {}", printable(&self.source), printable(&mount_point)),
        ];
        lines.push(match self.on_unmount {
            Some(way) => format!("  writes         {}, on unmount {}", self.writes, way.name()),
            None => format!("  writes         {}", self.writes),
        });
        if let Some((used, limit)) = self.write_memory() {
            let (used, limit) = (config::show_size(used), config::show_size(limit));
            lines.push(format!("  written files  {used} of {limit} of memory"));
        }
        let counts = self.stats.snapshot();
        lines.push(format!("  requests       {}", requests(&counts)));
        lines.push(format!("  decoders       {}", self.decoders(&counts)));
        lines.extend(match self.fs.refused_count() {
            0 => None,
            1 => {
                Some("  refused        1 change that a flag would allow; the log says which".into())
            }
            count => Some(format!(
                "  refused        {count} changes that flags would allow; the log says which"
            )),
        });
        lines.push(format!("  log            {}", printable(&self.log)));
        if self.on_unmount.is_some() {
            lines.push(match pending.len() {
                0 => "  pending        nothing: everything is in the bucket".to_owned(),
                1 => "  pending        1 file is not in the bucket yet".to_owned(),
                count => format!("  pending        {count} files are not in the bucket yet"),
            });
        }
        let show = |file: &Pending| {
            let (path, why) = (printable(&file.path).into_owned(), why(file));
            format!("    {path} ({}): {}", config::show_size(file.bytes), printable(&why))
        };
        lines.extend(pending.iter().map(show));
        lines.join("\n") + "\n"
    }

    /// Where images are decoded, how safely, and how often that was stopped.
    fn decoders(&self, counts: &Snapshot) -> String {
        let place = match self.workers.as_ref().map(|workers| workers.confinement()) {
            None => "in this process",
            Some(None) => "in processes of their own",
            Some(Some(said)) if said.is_complete() => {
                "in processes of their own, without files, network or children"
            }
            Some(Some(_)) => "in processes of their own, which this system does not confine",
        };
        match counts.decoders_stopped {
            0 => place.to_owned(),
            1 => format!("{place}; 1 was stopped"),
            stopped => format!("{place}; {stopped} were stopped"),
        }
    }

    /// A line with the number of files that are not in the bucket yet, then a line of JSON.
    pub(super) fn for_programs(&self) -> String {
        let pending = self.pending();
        let memory = self.write_memory().map_or("null".to_owned(), |(used, limit)| {
            object([("used_bytes", used.to_string()), ("limit_bytes", limit.to_string())])
        });
        let on_unmount = self.on_unmount.map_or("null".to_owned(), |way| string(way.name()));
        let counts = self.stats.snapshot();
        let stopped = ("stopped", counts.decoders_stopped.to_string());
        let confinement = self.workers.as_ref().map(|workers| workers.confinement());
        let decoders = object(match confinement {
            None => vec![("place", string("in-process")), stopped],
            Some(said) => {
                let is_complete = said.map_or("null".to_owned(), |c| c.is_complete().to_string());
                vec![("place", string("workers")), ("confined", is_complete), stopped]
            }
        });
        let file = |file: &Pending| {
            object([
                ("path", string(&file.path)),
                ("bytes", file.bytes.to_string()),
                ("open", file.is_open.to_string()),
                ("conflict", file.is_conflict().to_string()),
                ("why", string(&why(file))),
            ])
        };
        let files: Vec<String> = pending.iter().map(file).collect();
        let text = object([
            ("source", string(&self.source)),
            ("mount_point", string(&self.mount_point.to_string_lossy())),
            ("pid", std::process::id().to_string()),
            ("log", string(&self.log)),
            ("refused", self.fs.refused_count().to_string()),
            ("writes", string(self.writes)),
            ("on_unmount", on_unmount),
            ("write_memory", memory),
            ("requests", object(requests_by_name(&counts))),
            ("decoders", decoders),
            ("pending", format!("[{}]", files.join(", "))),
        ]);
        format!("{}\n{text}\n", pending.len())
    }
}

/// The counters and the memory of a server, as a JSON object.
pub(super) fn figures(stats: &Stats, fs: &FileSystem) -> String {
    let counts = stats.snapshot();
    let (used, limit) = Web::of(fs).memory();
    let memory = [("used_bytes", used.to_string()), ("limit_bytes", limit.to_string())];
    object([
        ("requests", object(requests_by_name(&counts))),
        ("memory", object(memory)),
        ("inodes", fs.inode_count().to_string()),
        ("decoders_stopped", counts.decoders_stopped.to_string()),
    ])
}

fn requests(counts: &Snapshot) -> String {
    format!(
        "{} LIST, {} HEAD, {} GET ({}), {} PUT ({}), {} DELETE; {} tried again, {} failed",
        counts.list_requests,
        counts.head_requests,
        counts.get_requests,
        config::show_size(counts.get_bytes),
        counts.put_requests,
        config::show_size(counts.put_bytes),
        counts.delete_requests,
        counts.retry_requests,
        counts.failed_requests
    )
}

/// The counters of requests and their bytes.
fn requests_by_name(counts: &Snapshot) -> Vec<(&'static str, String)> {
    let mut named = counts.named();
    named.retain(|(name, _)| !name.starts_with("decoders"));
    named.into_iter().map(|(name, count)| (name, count.to_string())).collect()
}

fn object<'n>(fields: impl IntoIterator<Item = (&'n str, String)>) -> String {
    let field = |(name, value): (&str, String)| format!("{}: {value}", string(name));
    format!("{{{}}}", fields.into_iter().map(field).collect::<Vec<_>>().join(", "))
}

/// A text as JSON writes it; all that could end a line or move a cursor is escaped.
fn string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if *printable(c.encode_utf8(&mut [0; 4])) == *c.encode_utf8(&mut [0; 4]) => {
                quoted.push(c);
            }
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing into a String does not fail.
                    let _ = write!(quoted, "\\u{unit:04x}");
                }
            }
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_one_line_whatever_a_name_contains() {
        assert_eq!(string("a\"\\\n\u{1}ü\u{202e}"), "\"a\\\"\\\\\\u000a\\u0001ü\\u202e\"");
        assert_eq!(object([("a", "1".to_owned()), ("b", string("c"))]), r#"{"a": 1, "b": "c"}"#);
    }
}
