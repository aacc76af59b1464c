//! The status for people: a line for each thing, and none for what there is not.

use std::time::Duration;

use super::counted::{Counted, FileFigures};
use super::status_facts::{Cost, Decoding, Downloads, Facts, Memory, Uploads};
use super::text::{printable, time};
use super::unsent::why;
use crate::cli::GivenFlag;
use crate::config;
use crate::disk::Figures;
use crate::fleet;
use crate::publish::Pending;
use crate::stats::{Program, Snapshot};

/// So many objects are named, those of which most was read.
const FILES: usize = 5;

pub(super) fn report(facts: &Facts<'_>) -> String {
    let (about, counted) = (facts.about, &facts.counted);
    let mount_point = about.mount_point.display().to_string();
    let mut lines = vec![format!("{} on {}", printable(&about.source), printable(&mount_point))];
    let mut line = |name: &str, text: String| lines.push(format!("  {name:<14} {text}"));
    if let Some(buckets) = &facts.buckets {
        let shown = buckets.iter().map(|of| match of.folder == of.bucket {
            true => format!("{} ({})", of.bucket, of.region),
            false => format!("{} is {} ({})", of.folder, of.bucket, of.region),
        });
        line("buckets", printable(&shown.collect::<Vec<_>>().join(", ")).into_owned());
    }
    line(
        "writes",
        match about.on_unmount {
            Some(way) => format!("{}, on unmount {}", about.writes, way.name()),
            None => about.writes.to_owned(),
        },
    );
    let since = humantime::format_rfc3339_seconds(about.since);
    line("since", format!("{since} ({})", time(facts.mounted_for())));
    if facts.counted_since != about.since {
        line("counted since", humantime::format_rfc3339_seconds(facts.counted_since).to_string());
    }
    if !about.given.is_empty() {
        let flags: Vec<String> = about.given.iter().map(flag).collect();
        line("options", printable(&flags.join(" ")).into_owned());
    }
    if let Some((used, limit)) = facts.memory.written {
        let (used, limit) = (config::show_size(used), config::show_size(limit));
        line("written files", format!("{used} of {limit} of memory"));
    }
    line("memory", memory(&facts.memory));
    line(
        "disk cache",
        match &facts.disk {
            None => "off: no byte of an object goes to disk".to_owned(),
            Some((folder, figures)) => disk(&folder.display().to_string(), figures),
        },
    );
    if let Some((place, figures)) = about.shared_cache.as_deref().zip(counted.shared) {
        line("shared cache", shared(place, &figures));
    }
    line("open files", facts.open_files.to_string());
    line("requests", requests(&counted.all));
    if let Some(text) = latency(counted) {
        line("latency", text);
    }
    if let Some(text) = from_memory(&counted.all) {
        line("from memory", text);
    }
    if counted.ahead.fetched_bytes > 0 {
        let (fetched, used) = (counted.ahead.fetched_bytes, counted.ahead.used_bytes);
        let used = share(used, fetched);
        line("fetched ahead", format!("{}, {used} of it used", config::show_size(fetched)));
    }
    if counted.all.decoded_tiles > 0 {
        let (tiles, decoding) = (counted.all.decoded_tiles, counted.decoding.as_secs_f64());
        line("tiles", format!("{tiles} decoded, {decoding:.1} s in decoders"));
    }
    if let Some(text) = uploads(facts.uploads) {
        line("uploads", text);
    }
    if let Some(of) = &facts.cost {
        line("cost", cost(of));
        if of.downloads.files > 0 {
            line("as downloads", downloads(of));
        }
    }
    line("decoders", decoders(facts));
    match counted.refused {
        0 => {}
        1 => line("refused", "1 change that a flag would allow; the log says which".to_owned()),
        count => {
            line("refused", format!("{count} changes that flags would allow; the log says which"));
        }
    }
    line("log", printable(&about.log).into_owned());
    if let Some(address) = about.metrics {
        line("metrics", format!("http://{address}/metrics"));
    }
    let busiest: Vec<String> =
        counted.files.iter().take(FILES).map(|used| file(facts, used)).collect();
    if !busiest.is_empty() {
        line("busiest files", "by bytes from the bucket, with who opened them last".to_owned());
        lines.extend(busiest);
    }
    let mut line = |name: &str, text: String| lines.push(format!("  {name:<14} {text}"));
    if about.on_unmount.is_some() {
        line(
            "pending",
            match facts.pending.len() {
                0 => "nothing: everything is in the bucket".to_owned(),
                1 => "1 file is not in the bucket yet".to_owned(),
                count => format!("{count} files are not in the bucket yet"),
            },
        );
    }
    lines.extend(facts.pending.iter().map(pending));
    lines.join("\n") + "\n"
}

fn flag(flag: &GivenFlag) -> String {
    match &flag.value {
        Some(value) => format!("--{} {value}", flag.name),
        None => format!("--{}", flag.name),
    }
}

fn memory(memory: &Memory) -> String {
    let (used, limit) =
        (config::show_size(memory.used_bytes), config::show_size(memory.limit_bytes));
    let mut by_use = memory.by_use.clone();
    by_use.retain(|(_, bytes)| *bytes > 0);
    by_use.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let of = |(what, bytes): &(crate::mem::Use, u64)| {
        format!("{} {}", what.name(), config::show_size(*bytes))
    };
    let uses: Vec<String> = by_use.iter().map(of).collect();
    match uses.is_empty() {
        true => format!("{used} of {limit}"),
        false => format!("{used} of {limit}: {}", uses.join(", ")),
    }
}

fn disk(folder: &str, figures: &Figures) -> String {
    let (used, limit) =
        (config::show_size(figures.used_bytes), config::show_size(figures.limit_bytes));
    let speed = |bytes: u64, time: Duration| {
        let megabytes = bytes as f64 / 1e6 / time.as_secs_f64().max(1e-6);
        format!("{} at {megabytes:.0} MB/s", config::show_size(bytes))
    };
    let asked = figures.hits + figures.misses;
    let mut text = format!("{used} of {limit} in {}", printable(folder));
    if asked > 0 {
        text += &format!("; {} of {asked} found", share(figures.hits, asked));
    }
    if figures.read_bytes > 0 {
        text += &format!("; read {}", speed(figures.read_bytes, figures.read_time));
    }
    if figures.entries > 0 {
        text += &format!("; wrote {}", speed(figures.written_bytes, figures.write_time));
    }
    for (count, what) in [
        (figures.dropped, "not written, too much waited"),
        (figures.failed, "could not be written"),
        (figures.damaged, "were damaged"),
    ] {
        if count > 0 {
            text += &format!("; {count} {what}");
        }
    }
    if figures.is_paused {
        text += "; slower than the network, so it is not read for a while";
    }
    text
}

fn shared(place: &str, figures: &fleet::Figures) -> String {
    let mut text = printable(place).into_owned();
    let asked = figures.hits + figures.misses;
    if asked > 0 {
        text += &format!("; {} of {asked} found", share(figures.hits, asked));
    }
    text += &format!(
        "; {} GET ({}), {} PUT ({})",
        figures.get_requests,
        config::show_size(figures.get_bytes),
        figures.put_requests,
        config::show_size(figures.put_bytes)
    );
    for (count, what) in [
        (figures.dropped, "not put there, too much waited"),
        (figures.failed, "could not be put there"),
        (figures.damaged, "were no entries"),
    ] {
        if count > 0 {
            text += &format!("; {count} {what}");
        }
    }
    text
}

fn requests(counts: &Snapshot) -> String {
    let mut text = format!(
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
    );
    if counts.throttled_requests > 0 {
        text += &format!(" ({} as too many)", counts.throttled_requests);
    }
    text
}

/// How long half, 90 % and 99 % of each kind took at most.
fn latency(counted: &Counted) -> Option<String> {
    let of = |share: f64| {
        let (milliseconds, decimals) = (share * 1e3, usize::from(share < 0.01));
        format!("{milliseconds:.decimals$}")
    };
    let kinds: Vec<String> = counted
        .latencies
        .iter()
        .filter_map(|(kind, latency)| {
            let [half, most, nearly] =
                [0.5, 0.9, 0.99].map(|share| latency.quantile(share).map(of));
            Some(format!("{} {}, {}, {}", kind.name().to_uppercase(), half?, most?, nearly?))
        })
        .collect();
    (!kinds.is_empty()).then(|| format!("{} ms (50, 90, 99 %)", kinds.join("; ")))
}

/// What needed neither a request nor a decoder.
fn from_memory(counts: &Snapshot) -> Option<String> {
    let of = [
        (counts.here_object_reads, counts.object_reads, "reads"),
        (counts.here_looked_up_names, counts.looked_up_names, "look-ups"),
        (counts.here_sibling_reads, counts.sibling_reads, "reads of siblings"),
        (counts.here_used_tiles, counts.used_tiles, "tiles"),
    ];
    let told = of.iter().filter(|(_, all, _)| *all > 0);
    let told: Vec<String> =
        told.map(|(here, all, what)| format!("{} of {all} {what}", share(*here, *all))).collect();
    (!told.is_empty()).then(|| told.join(", "))
}

/// In whole percent, rounded down: 100 % is all.
fn share(part: u64, whole: u64) -> String {
    let percent = u128::from(part) * 100 / u128::from(whole.max(1));
    format!("{percent} %")
}

/// What is on its way, and how fast the last bodies went.
fn uploads(uploads: Uploads) -> Option<String> {
    let rate = uploads.bytes_per_second.map(|rate| config::show_size(rate as u64) + "/s");
    let under_way = match (uploads.requests, config::show_size(uploads.bytes)) {
        (0, _) if rate.is_none() => return None,
        (0, _) => "none under way".to_owned(),
        (requests, bytes) => format!("{requests} under way ({bytes})"),
    };
    Some(match rate {
        Some(rate) => format!("{under_way}; {rate} in the last 30 s"),
        None => under_way,
    })
}

fn cost(cost: &Cost) -> String {
    let (bill, list) = (&cost.bill, &cost.pricing.list);
    let currency = printable(&list.currency);
    let transfer = match cost.pricing.is_egress_free {
        true => "transfer free".to_owned(),
        false => format!("transfer {:.6}", bill.transfer),
    };
    let named = |region: &String| match list.knows(region) {
        true => printable(region).into_owned(),
        false => format!("{}, which it does not name", printable(region)),
    };
    let regions = cost.regions.iter().map(named).collect::<Vec<_>>().join(" and ");
    format!(
        "{:.6} {currency}: requests {:.6}, retrieval {:.6}, {transfer}; by the list of {} for {regions}",
        bill.total(),
        bill.requests,
        bill.retrieval,
        printable(&list.date),
    )
}

fn downloads(cost: &Cost) -> String {
    let Downloads { files, bytes, bill } = &cost.downloads;
    let currency = printable(&cost.pricing.list.currency);
    let what = match files {
        1 => "the file that was opened, once and whole".to_owned(),
        files => format!("the {files} files that were opened, once and whole"),
    };
    format!("{:.6} {currency} for {what} ({})", bill.total(), config::show_size(*bytes))
}

/// Where images are decoded, how safely, and how often that was stopped.
fn decoders(facts: &Facts<'_>) -> String {
    let place = match facts.decoding {
        Decoding::InProcess => "in this process",
        Decoding::Workers(None) => "in processes of their own",
        Decoding::Workers(Some(true)) => {
            "in processes of their own, without files, network or children"
        }
        Decoding::Workers(Some(false)) => {
            "in processes of their own, which this system does not confine"
        }
    };
    match facts.counted.all.decoders_stopped {
        0 => place.to_owned(),
        1 => format!("{place}; 1 was stopped"),
        stopped => format!("{place}; {stopped} were stopped"),
    }
}

fn file(facts: &Facts<'_>, used: &FileFigures) -> String {
    let path = used.key.strip_prefix(facts.about.prefix.as_str()).unwrap_or(&used.key);
    let program = |program: &Program| match program.pid {
        0 => "a program of another container".to_owned(),
        pid => format!("{} ({pid})", printable(&program.name)),
    };
    let programs: Vec<String> = used.programs.iter().map(program).collect();
    let requests = match used.get_requests {
        1 => "1 request".to_owned(),
        count => format!("{count} requests"),
    };
    let by = if programs.is_empty() { String::new() } else { format!(": {}", programs.join(", ")) };
    let bytes = config::show_size(used.get_bytes);
    format!("    {} ({bytes} in {requests}){by}", printable(path))
}

fn pending(file: &Pending) -> String {
    let (path, why) = (printable(&file.path).into_owned(), why(file));
    format!("    {path} ({}): {}", config::show_size(file.bytes), printable(&why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_percent_is_all() {
        for (part, whole, text) in [(999, 1000, "99 %"), (5, 5, "100 %"), (0, 0, "0 %")] {
            assert_eq!(share(part, whole), text);
        }
    }
}
