//! The status as a line of JSON. `docs/status.md` has every name; a test compares.

use std::path::Path;

use super::buckets::OpenedBucket;
use super::counted::{Counted, FileFigures};
use super::json::{list, maybe, object, string};
use super::status_facts::{Cost, Decoding, Downloads, Facts, Memory, Uploads};
use super::unsent::why;
use crate::disk::Figures;
use crate::fleet;
use crate::publish::Pending;
use crate::stats::{ClassReads, Distribution, Program, Told};

/// So many objects are named, those of which most was read.
const FILES: usize = 100;
/// The shares of requests whose latency is told.
const SHARES: [(&str, f64); 3] =
    [("p50_seconds", 0.5), ("p90_seconds", 0.9), ("p99_seconds", 0.99)];

pub(super) fn report(facts: &Facts<'_>) -> String {
    let about = facts.about;
    let on_unmount = about.on_unmount.map(|way| string(way.name()));
    let flag = |flag: &crate::cli::GivenFlag| {
        let value = maybe(flag.value.as_deref().map(string));
        let from = maybe(flag.from.as_deref().map(string));
        object([("name", string(&flag.name)), ("value", value), ("from", from)])
    };
    object([
        ("source", string(&about.source)),
        ("mount_point", string(&about.mount_point.to_string_lossy())),
        ("pid", std::process::id().to_string()),
        ("log", string(&about.log)),
        ("metrics", maybe(about.metrics.map(|address| string(&address.to_string())))),
        ("buckets", maybe(facts.buckets.as_ref().map(|all| list(all.iter().map(bucket))))),
        ("since", string(&humantime::format_rfc3339_seconds(about.since).to_string())),
        ("mounted_seconds", seconds(facts.mounted_for().as_secs_f64())),
        (
            "counted_since",
            string(&humantime::format_rfc3339_seconds(facts.counted_since).to_string()),
        ),
        ("options", list(about.given.iter().map(flag))),
        ("refused", facts.counted.refused.to_string()),
        ("writes", string(about.writes)),
        ("on_unmount", maybe(on_unmount)),
        ("write_memory", write_memory(&facts.memory)),
        ("memory", memory(&facts.memory)),
        ("disk", maybe(facts.disk.as_ref().map(|(folder, figures)| disk(folder, figures)))),
        (
            "shared_cache",
            maybe(about.shared_cache.as_deref().zip(facts.counted.shared).map(shared)),
        ),
        ("open_files", facts.open_files.to_string()),
        ("requests", requests(&facts.counted)),
        ("latency", latency(&facts.counted)),
        (
            "storage_classes",
            object(facts.counted.classes.iter().map(|(n, c)| (n.as_str(), class(c)))),
        ),
        ("reads", reads(&facts.counted)),
        ("ahead", ahead(&facts.counted)),
        ("tiles", tiles(&facts.counted)),
        ("uploads", uploads(facts.uploads)),
        ("cost", maybe(facts.cost.as_ref().map(cost))),
        ("files", list(facts.counted.files.iter().take(FILES).map(file))),
        ("slowest", list(facts.slowest.iter().map(slow))),
        ("decoders", decoders(facts)),
        ("pending", list(facts.pending.iter().map(pending))),
    ])
}

fn bucket(of: &OpenedBucket) -> String {
    object([
        ("folder", string(&of.folder)),
        ("bucket", string(&of.bucket)),
        ("region", string(&of.region)),
    ])
}

fn numbers(fields: &[(&str, u64)]) -> String {
    object(fields.iter().map(|(name, number)| (*name, number.to_string())))
}

/// To the microsecond.
fn seconds(seconds: f64) -> String {
    format!("{seconds:.6}")
}

fn write_memory(memory: &Memory) -> String {
    let written = memory.written;
    maybe(written.map(|(used, limit)| numbers(&[("used_bytes", used), ("limit_bytes", limit)])))
}

fn memory(memory: &Memory) -> String {
    let mut fields = vec![
        ("limit_bytes".to_owned(), memory.limit_bytes),
        ("used_bytes".to_owned(), memory.used_bytes),
    ];
    fields.extend(memory.by_use.iter().map(|(what, n)| (format!("{}_bytes", what.name()), *n)));
    object(fields.iter().map(|(name, number)| (name.as_str(), number.to_string())))
}

fn shared((place, figures): (&str, fleet::Figures)) -> String {
    object([
        ("place", string(place)),
        ("hits", figures.hits.to_string()),
        ("misses", figures.misses.to_string()),
        ("damaged", figures.damaged.to_string()),
        ("written", figures.written.to_string()),
        ("known", figures.known.to_string()),
        ("dropped", figures.dropped.to_string()),
        ("failed", figures.failed.to_string()),
        ("pauses", figures.pauses.to_string()),
        ("get_requests", figures.get_requests.to_string()),
        ("get_bytes", figures.get_bytes.to_string()),
        ("put_requests", figures.put_requests.to_string()),
        ("put_bytes", figures.put_bytes.to_string()),
    ])
}

fn disk(folder: &Path, figures: &Figures) -> String {
    object([
        ("folder", string(&folder.to_string_lossy())),
        ("limit_bytes", figures.limit_bytes.to_string()),
        ("used_bytes", figures.used_bytes.to_string()),
        ("hits", figures.hits.to_string()),
        ("misses", figures.misses.to_string()),
        ("read_bytes", figures.read_bytes.to_string()),
        ("read_seconds", seconds(figures.read_time.as_secs_f64())),
        ("entries", figures.entries.to_string()),
        ("written_bytes", figures.written_bytes.to_string()),
        ("write_seconds", seconds(figures.write_time.as_secs_f64())),
        ("dropped", figures.dropped.to_string()),
        ("failed", figures.failed.to_string()),
        ("evicted", figures.evicted.to_string()),
        ("damaged", figures.damaged.to_string()),
        ("pauses", figures.pauses.to_string()),
        ("paused", figures.is_paused.to_string()),
    ])
}

fn requests(counted: &Counted) -> String {
    let all = &counted.all;
    numbers(&[
        ("list_requests", all.list_requests),
        ("head_requests", all.head_requests),
        ("get_requests", all.get_requests),
        ("get_bytes", all.get_bytes),
        ("put_requests", all.put_requests),
        ("put_bytes", all.put_bytes),
        ("delete_requests", all.delete_requests),
        ("retry_requests", all.retry_requests),
        ("failed_requests", all.failed_requests),
        ("throttled_requests", all.throttled_requests),
    ])
}

fn latency(counted: &Counted) -> String {
    let of = |latency: &Distribution| {
        let shares =
            SHARES.map(|(name, share)| (name, maybe(latency.quantile(share).map(seconds))));
        let total = seconds(latency.total().as_secs_f64());
        let known = [("count", latency.count().to_string()), ("total_seconds", total)];
        object(known.into_iter().chain(shares))
    };
    object(counted.latencies.iter().map(|(kind, latency)| (kind.name(), of(latency))))
}

fn class(reads: &ClassReads) -> String {
    numbers(&[("get_requests", reads.requests), ("get_bytes", reads.bytes)])
}

fn reads(counted: &Counted) -> String {
    let all = &counted.all;
    numbers(&[
        ("read_bytes", all.read_bytes),
        ("object_reads", all.object_reads),
        ("here_object_reads", all.here_object_reads),
        ("sibling_reads", all.sibling_reads),
        ("here_sibling_reads", all.here_sibling_reads),
        ("looked_up_names", all.looked_up_names),
        ("here_looked_up_names", all.here_looked_up_names),
    ])
}

fn ahead(counted: &Counted) -> String {
    let ahead = counted.ahead;
    numbers(&[("fetched_bytes", ahead.fetched_bytes), ("used_bytes", ahead.used_bytes)])
}

fn tiles(counted: &Counted) -> String {
    let all = &counted.all;
    object([
        ("used_tiles", all.used_tiles.to_string()),
        ("here_used_tiles", all.here_used_tiles.to_string()),
        ("decoded_tiles", all.decoded_tiles.to_string()),
        ("waited_seconds", seconds(all.tile_microseconds as f64 / 1e6)),
        ("decoders_seconds", seconds(counted.decoding.as_secs_f64())),
    ])
}

fn uploads(uploads: Uploads) -> String {
    let rate = uploads.bytes_per_second.map(|rate| format!("{rate:.0}"));
    object([
        ("under_way_requests", uploads.requests.to_string()),
        ("under_way_bytes", uploads.bytes.to_string()),
        ("bytes_per_second", maybe(rate)),
    ])
}

fn slow(request: &Told) -> String {
    let range = request.range.as_ref();
    let answered = request.answered_after.map(|after| seconds(after.as_secs_f64()));
    object([
        ("kind", string(request.kind.name())),
        ("key", string(&request.key)),
        ("first_byte", maybe(range.map(|range| range.start.to_string()))),
        ("end_byte", maybe(range.map(|range| range.end.to_string()))),
        ("bytes", request.bytes.to_string()),
        ("answered_seconds", maybe(answered)),
        ("seconds", seconds(request.took.as_secs_f64())),
        ("stage", string(request.stage.name())),
        ("ended_seconds_ago", seconds(request.ended_ago.as_secs_f64())),
    ])
}

fn cost(cost: &Cost) -> String {
    let money = |amount: f64| format!("{amount:.9}");
    let (bill, prices) = (&cost.bill, &cost.pricing.list);
    let are_listed = cost.regions.iter().all(|region| prices.knows(region));
    object([
        ("currency", string(&prices.currency)),
        ("prices_of", string(&prices.date)),
        ("regions", list(cost.regions.iter().map(|region| string(region)))),
        ("regions_are_listed", are_listed.to_string()),
        ("egress_free", cost.pricing.is_egress_free.to_string()),
        ("requests", money(bill.requests)),
        ("retrieval", money(bill.retrieval)),
        ("transfer", money(bill.transfer)),
        ("total", money(bill.total())),
        ("downloads", downloads(cost)),
    ])
}

/// What the files that were opened would have cost as downloads.
fn downloads(cost: &Cost) -> String {
    let Downloads { files, bytes, bill } = &cost.downloads;
    object([
        ("files", files.to_string()),
        ("bytes", bytes.to_string()),
        ("total", format!("{:.9}", bill.total())),
    ])
}

fn file(used: &FileFigures) -> String {
    let program = |program: &Program| {
        object([("pid", program.pid.to_string()), ("name", string(&program.name))])
    };
    object([
        ("key", string(&used.key)),
        ("get_requests", used.get_requests.to_string()),
        ("get_bytes", used.get_bytes.to_string()),
        ("opens", used.opens.to_string()),
        ("size_bytes", used.size_bytes.to_string()),
        ("read_bytes", used.read_bytes.to_string()),
        ("programs", list(used.programs.iter().map(program))),
    ])
}

fn decoders(facts: &Facts<'_>) -> String {
    let stopped = ("stopped", facts.counted.all.decoders_stopped.to_string());
    match facts.decoding {
        Decoding::InProcess => object([("place", string("in-process")), stopped]),
        Decoding::Workers(is_confined) => {
            let confined = maybe(is_confined.map(|is| is.to_string()));
            object([("place", string("workers")), ("confined", confined), stopped])
        }
    }
}

fn pending(file: &Pending) -> String {
    object([
        ("path", string(&file.path)),
        ("bytes", file.bytes.to_string()),
        ("open", file.is_open.to_string()),
        ("conflict", file.is_conflict().to_string()),
        ("why", string(&why(file))),
    ])
}
