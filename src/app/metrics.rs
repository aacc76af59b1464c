//! The status in the text format of OpenMetrics. `docs/metrics.md` has every name; a test
//! compares.

use std::fmt::{Display, Write};

use super::status_facts::{Cost, Facts};
use super::text::printable;
use crate::disk::Figures;
use crate::fleet;

/// How a figure behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It only grows, as long as the mount lasts.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts in steps.
    Histogram,
    /// A text.
    Info,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Info => "info",
        }
    }

    /// What the names of its samples end in.
    fn ending(self) -> &'static str {
        match self {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram => "",
        }
    }
}

/// The text that is being written.
struct Text(String);

/// One name, with what belongs to it.
struct Family<'t> {
    text: &'t mut String,
    name: &'static str,
    kind: Kind,
}

impl Text {
    /// Begins a name. One with a unit ends in it.
    fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        let text = &mut self.0;
        // Writing into a String does not fail.
        let _ = writeln!(text, "# TYPE {name} {}", kind.name());
        if let Some(unit) = ["seconds", "bytes"].iter().find(|unit| name.ends_with(*unit)) {
            let _ = writeln!(text, "# UNIT {name} {unit}");
        }
        let _ = writeln!(text, "# HELP {name} {help}");
        Family { text, name, kind }
    }

    fn counter(&mut self, name: &'static str, help: &str, count: impl Display) {
        self.family(name, Kind::Counter, help).sample(&[], count);
    }

    fn gauge(&mut self, name: &'static str, help: &str, value: impl Display) {
        self.family(name, Kind::Gauge, help).sample(&[], value);
    }

    /// What was in memory, and what was not.
    fn here_and_all(&mut self, name: &'static str, help: &str, here: u64, all: u64) {
        let mut family = self.family(name, Kind::Counter, help);
        family.sample(&[("from", "memory")], here);
        family.sample(&[("from", "elsewhere")], all.saturating_sub(here));
    }
}

impl Family<'_> {
    fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.named(self.kind.ending(), labels, value);
    }

    fn named(&mut self, ending: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.text, "{}{ending}", self.name);
        let label = |(name, value): &(&str, &str)| format!("{name}=\"{}\"", escaped(value));
        let labels: Vec<String> = labels.iter().map(label).collect();
        let _ = match labels.is_empty() {
            true => writeln!(self.text, " {value}"),
            false => writeln!(self.text, "{{{}}} {value}", labels.join(",")),
        };
    }
}

/// A value of a label, fit for a terminal too.
fn escaped(text: &str) -> String {
    // The format has its own way to write the end of a line.
    let lines: Vec<_> = text.split('\n').map(printable).collect();
    lines.join("\n").replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// What may be said to whoever can reach the address: no key, and no name of a file.
pub(super) fn text(facts: &Facts<'_>) -> String {
    let mut text = Text(String::new());
    about(facts, &mut text);
    requests(facts, &mut text);
    memory(facts, &mut text);
    if let Some((_, figures)) = &facts.disk {
        disk(figures, &mut text);
    }
    if let Some(figures) = &facts.counted.shared {
        shared(figures, &mut text);
    }
    reads(facts, &mut text);
    images(facts, &mut text);
    if let Some(known) = &facts.cost {
        cost(known, &mut text);
    }
    text.0 + "# EOF\n"
}

fn about(facts: &Facts<'_>, text: &mut Text) {
    let about = facts.about;
    let mount_point = about.mount_point.to_string_lossy();
    let mut family = text.family("s3mem_mount", Kind::Info, "What is mounted where.");
    family.sample(
        &[
            ("source", &about.source),
            ("mount_point", &mount_point),
            ("writes", about.writes),
            ("version", env!("CARGO_PKG_VERSION")),
        ],
        1,
    );
    let age = facts.mounted_for().as_secs_f64();
    text.gauge("s3mem_mounted_seconds", "How long it has been mounted.", age);
    text.gauge("s3mem_open_files", "Files that are open, each handle counted.", facts.open_files);
    let pending = facts.pending.len();
    text.gauge("s3mem_pending_files", "Files that are not in the bucket yet.", pending);
    let refused = facts.counted.refused;
    text.counter("s3mem_refused_changes", "Changes that a flag would have allowed.", refused);
}

fn requests(facts: &Facts<'_>, text: &mut Text) {
    let all = &facts.counted.all;
    let help = "Requests sent, each attempt counted.";
    let mut family = text.family("s3mem_requests", Kind::Counter, help);
    for (kind, count) in [
        ("list", all.list_requests),
        ("head", all.head_requests),
        ("get", all.get_requests),
        ("put", all.put_requests),
        ("delete", all.delete_requests),
    ] {
        family.sample(&[("kind", kind)], count);
    }
    let (got, sent) = (all.get_bytes, all.put_bytes);
    text.counter("s3mem_received_bytes", "Bytes of objects that arrived.", got);
    text.counter("s3mem_sent_bytes", "Bytes that the server took.", sent);
    let help = "Requests and bodies that were tried again.";
    text.counter("s3mem_retried_requests", help, all.retry_requests);
    text.counter("s3mem_failed_requests", "Attempts that failed.", all.failed_requests);
    let help = "Attempts that the server refused as too many.";
    text.counter("s3mem_throttled_requests", help, all.throttled_requests);
    let help = "How long attempts took until their answers began.";
    let mut family = text.family("s3mem_request_duration_seconds", Kind::Histogram, help);
    for (kind, latency) in &facts.counted.latencies {
        let kind = ("kind", kind.name());
        for (end, count) in latency.up_to() {
            family.named("_bucket", &[kind, ("le", &format!("{end:?}"))], count);
        }
        family.named("_bucket", &[kind, ("le", "+Inf")], latency.count());
        family.named("_count", &[kind], latency.count());
        family.named("_sum", &[kind], latency.total().as_secs_f64());
    }
    let classes = &facts.counted.classes;
    let help = "GETs that were answered, by storage class.";
    let mut family = text.family("s3mem_answered_requests", Kind::Counter, help);
    classes.iter().for_each(|(name, class)| family.sample(&[("class", name)], class.requests));
    let help = "Bytes of objects that arrived, by storage class.";
    let mut family = text.family("s3mem_class_received_bytes", Kind::Counter, help);
    classes.iter().for_each(|(name, class)| family.sample(&[("class", name)], class.bytes));
    let uploads = facts.uploads;
    let help = "Requests that send a body now.";
    text.gauge("s3mem_uploads_under_way", help, uploads.requests);
    text.gauge("s3mem_uploads_under_way_bytes", "The bytes of these bodies.", uploads.bytes);
}

fn memory(facts: &Facts<'_>, text: &mut Text) {
    let memory = &facts.memory;
    let help = "What --memory allows, less --write-memory.";
    text.gauge("s3mem_memory_limit_bytes", help, memory.limit_bytes);
    let mut family = text.family("s3mem_memory_bytes", Kind::Gauge, "What counts in it, by use.");
    memory.by_use.iter().for_each(|(what, bytes)| family.sample(&[("use", what.name())], bytes));
    if let Some((used, limit)) = memory.written {
        let help = "What written files may take.";
        text.gauge("s3mem_written_files_limit_bytes", help, limit);
        text.gauge("s3mem_written_files_bytes", "What written files take.", used);
    }
}

fn disk(figures: &Figures, text: &mut Text) {
    let help = "What the cache on disk may hold, for all mounts that share it.";
    text.gauge("s3mem_disk_limit_bytes", help, figures.limit_bytes);
    text.gauge("s3mem_disk_bytes", "What it holds.", figures.used_bytes);
    let help = "Questions to the cache on disk.";
    let mut family = text.family("s3mem_disk_questions", Kind::Counter, help);
    family.sample(&[("found", "yes")], figures.hits);
    family.sample(&[("found", "no")], figures.misses);
    text.counter("s3mem_disk_read_bytes", "Bytes taken from it.", figures.read_bytes);
    let seconds = figures.read_time.as_secs_f64();
    text.counter("s3mem_disk_reading_seconds", "How long that took.", seconds);
    text.counter("s3mem_disk_written_entries", "Entries written.", figures.entries);
    text.counter("s3mem_disk_written_bytes", "Bytes written.", figures.written_bytes);
    let seconds = figures.write_time.as_secs_f64();
    text.counter("s3mem_disk_writing_seconds", "How long that took.", seconds);
    let help = "What was not written since too much was waiting.";
    text.counter("s3mem_disk_dropped_writes", help, figures.dropped);
    text.counter("s3mem_disk_failed_writes", "What could not be written.", figures.failed);
    text.counter("s3mem_disk_evicted_entries", "Entries deleted for room.", figures.evicted);
    text.counter("s3mem_disk_damaged_entries", "Entries found damaged.", figures.damaged);
    let help = "Whether it is not read, since it is slower than the network.";
    text.gauge("s3mem_disk_paused", help, u8::from(figures.is_paused));
}

fn shared(figures: &fleet::Figures, text: &mut Text) {
    let help = "Questions to the shared cache.";
    let mut family = text.family("s3mem_shared_cache_questions", Kind::Counter, help);
    family.sample(&[("found", "yes")], figures.hits);
    family.sample(&[("found", "no")], figures.misses);
    let help = "Requests to it.";
    let mut family = text.family("s3mem_shared_cache_requests", Kind::Counter, help);
    family.sample(&[("kind", "get")], figures.get_requests);
    family.sample(&[("kind", "put")], figures.put_requests);
    let help = "Bytes taken from it.";
    text.counter("s3mem_shared_cache_read_bytes", help, figures.get_bytes);
    let help = "Bytes put there.";
    text.counter("s3mem_shared_cache_written_bytes", help, figures.put_bytes);
    let help = "Entries put there.";
    text.counter("s3mem_shared_cache_written_entries", help, figures.written);
    let help = "Entries that somebody else had put there meanwhile.";
    text.counter("s3mem_shared_cache_known_entries", help, figures.known);
    let help = "What was not put there since too much was waiting.";
    text.counter("s3mem_shared_cache_dropped_writes", help, figures.dropped);
    let help = "What could not be put there.";
    text.counter("s3mem_shared_cache_failed_writes", help, figures.failed);
    let help = "Objects in the place of an entry that are none.";
    text.counter("s3mem_shared_cache_damaged_entries", help, figures.damaged);
    let help = "How often it was left alone since it was in trouble.";
    text.counter("s3mem_shared_cache_pauses", help, figures.pauses);
}

fn reads(facts: &Facts<'_>, text: &mut Text) {
    let (all, ahead) = (&facts.counted.all, facts.counted.ahead);
    text.counter("s3mem_read_bytes", "Bytes that programs were given.", all.read_bytes);
    let (here, reads) = (all.here_object_reads, all.object_reads);
    text.here_and_all("s3mem_object_reads", "Reads of objects by the kernel.", here, reads);
    let (here, reads) = (all.here_sibling_reads, all.sibling_reads);
    text.here_and_all("s3mem_sibling_reads", "Reads of siblings by the kernel.", here, reads);
    let (here, names) = (all.here_looked_up_names, all.looked_up_names);
    text.here_and_all("s3mem_looked_up_names", "Names looked up in the bucket.", here, names);
    let help = "Bytes that came before a program had asked for them.";
    text.counter("s3mem_fetched_ahead_bytes", help, ahead.fetched_bytes);
    let help = "Those of them that one has asked for since.";
    text.counter("s3mem_used_ahead_bytes", help, ahead.used_bytes);
}

fn images(facts: &Facts<'_>, text: &mut Text) {
    let all = &facts.counted.all;
    let (here, used) = (all.here_used_tiles, all.used_tiles);
    text.here_and_all("s3mem_used_tiles", "Tiles that siblings needed.", here, used);
    text.counter("s3mem_decoded_tiles", "Tiles that were decoded.", all.decoded_tiles);
    let seconds = facts.counted.decoding.as_secs_f64();
    text.counter("s3mem_decoders_seconds", "How long decoders worked, all cores.", seconds);
    text.counter("s3mem_stopped_decoders", "Decoders that were stopped.", all.decoders_stopped);
}

fn cost(cost: &Cost, text: &mut Text) {
    let (bill, currency) = (&cost.bill, cost.pricing.list.currency.as_str());
    let help = "What it has cost by the list of prices, in its currency.";
    let mut family = text.family("s3mem_cost", Kind::Gauge, help);
    for (part, amount) in
        [("requests", bill.requests), ("retrieval", bill.retrieval), ("transfer", bill.transfer)]
    {
        family.sample(&[("part", part), ("currency", currency)], amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_keeps_its_line() {
        let mut text = Text(String::new());
        text.family("x", Kind::Info, "y").sample(&[("a", "b\"\\\nc"), ("d", "")], 1);
        assert_eq!(text.0, "# TYPE x info\n# HELP x y\nx_info{a=\"b\\\"\\\\\\nc\",d=\"\"} 1\n");
    }

    #[test]
    fn a_name_that_ends_in_a_unit_says_so() {
        let mut text = Text(String::new());
        text.counter("x_bytes", "y", 5);
        assert_eq!(
            text.0,
            "# TYPE x_bytes counter\n# UNIT x_bytes bytes\n# HELP x_bytes y\nx_bytes_total 5\n"
        );
    }
}
