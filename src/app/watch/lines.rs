//! What stands in the lines of the screen, and the lines where there is no screen.

use std::time::Duration;

use serde_json::Value;

use super::model::{self, File, Flow, Model, Order, Slow, number, real, text};
use crate::app::text::{printable, time};
use crate::config::show_size;

/// A rate with its unit.
pub(super) fn rate(flow: Flow, rate: f64) -> String {
    match flow {
        Flow::Requests if rate < 10.0 => format!("{rate:.1}/s"),
        Flow::Requests => format!("{rate:.0}/s"),
        _ => show_size(rate.round() as u64) + "/s",
    }
}

/// A time in the two largest units that it has.
pub(super) fn age(seconds: f64) -> String {
    time(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

/// The programs that opened a file last.
pub(super) fn programs(file: &File) -> String {
    let name = |program: &model::Program| match program.pid {
        0 => "another container".to_owned(),
        pid => format!("{} {pid}", printable(&program.name)),
    };
    file.programs.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// How a request has ended, and when.
pub(super) fn end(slow: &Slow) -> String {
    match slow.stage.as_str() {
        "under way" => "under way".to_owned(),
        stage => format!("{} {} ago", printable(stage), age(slow.ended_seconds_ago)),
    }
}

/// What is told in a line each, with its name.
pub(super) fn facts(status: &Value) -> Vec<(&'static str, String)> {
    vec![
        ("memory", memory(status)),
        ("from memory", from_memory(status)),
        ("latency", latency(status)),
        ("so far", requests(status)),
        ("besides", others(status)),
    ]
}

fn count(status: &Value, path: &str) -> u64 {
    number(status, path).unwrap_or_default()
}

fn memory(status: &Value) -> String {
    let of = |name: &str| count(status, &format!("memory.{name}_bytes"));
    let (used, limit) = (show_size(of("used")), show_size(of("limit")));
    let mut uses = ["blocks", "listings", "names", "images", "bodies"].map(|name| (of(name), name));
    uses.sort_unstable_by(|one, other| other.cmp(one));
    let uses = uses.iter().filter(|(bytes, _)| *bytes > 0);
    let uses: Vec<String> =
        uses.map(|(bytes, name)| format!("{name} {}", show_size(*bytes))).collect();
    format!("{used} of {limit}: {}", uses.join(", "))
}

fn from_memory(status: &Value) -> String {
    let names = [
        ("object_reads", "reads"),
        ("looked_up_names", "look-ups"),
        ("sibling_reads", "siblings"),
        ("used_tiles", "tiles"),
    ];
    let known =
        names.iter().filter_map(|(name, shown)| Some((model::from_memory(status, name)?, shown)));
    let told: Vec<String> =
        known.map(|(percent, shown)| format!("{percent} % of {shown}")).collect();
    if told.is_empty() { "nothing was asked for yet".to_owned() } else { told.join(", ") }
}

fn latency(status: &Value) -> String {
    let kinds = ["list", "head", "get", "put", "delete"].iter().filter_map(|kind| {
        let of = |share: &str| {
            let seconds = real(status, &format!("latency.{kind}.{share}_seconds"))?;
            let decimals = usize::from(seconds < 0.01);
            Some(format!("{:.decimals$}", seconds * 1e3))
        };
        Some(format!("{} {}, {}, {}", kind.to_uppercase(), of("p50")?, of("p90")?, of("p99")?))
    });
    let kinds: Vec<String> = kinds.collect();
    match kinds.is_empty() {
        true => "no request has ended yet".to_owned(),
        false => format!("{} ms (50, 90, 99 %)", kinds.join("; ")),
    }
}

fn requests(status: &Value) -> String {
    let of = |name: &str| count(status, &format!("requests.{name}_requests"));
    format!(
        "{} GET, {} LIST, {} HEAD, {} PUT, {} DELETE; {} tried again, {} failed",
        of("get"),
        of("list"),
        of("head"),
        of("put"),
        of("delete"),
        of("retry"),
        of("failed")
    )
}

/// Open files, what is on its way, what is pending, what it has cost.
fn others(status: &Value) -> String {
    let mut told = vec![match count(status, "open_files") {
        1 => "1 open file".to_owned(),
        files => format!("{files} open files"),
    }];
    if let requests @ 1.. = count(status, "uploads.under_way_requests") {
        let bytes = show_size(count(status, "uploads.under_way_bytes"));
        told.push(format!("{requests} uploads under way ({bytes})"));
    }
    if let pending @ 1.. = status["pending"].as_array().map_or(0, Vec::len) {
        told.push(format!("{pending} not in the bucket yet"));
    }
    if let Some(total) = real(status, "cost.total") {
        let currency = printable(text(status, "cost.currency").unwrap_or_default());
        told.push(format!("{total:.6} {currency}"));
    }
    told.join(", ")
}

/// All of it in a line, for a program or a file that takes the place of a screen.
pub(super) fn plain(told: &Model, time: &str) -> String {
    let status = &told.status;
    let of = |flow| rate(flow, told.rate(flow));
    let mut line = format!(
        "{time} {}: programs got {}, bucket gave {} and took {}, requests {}; {}; {}",
        printable(text(status, "mount_point").unwrap_or_default()),
        of(Flow::Read),
        of(Flow::Fetched),
        of(Flow::Sent),
        of(Flow::Requests),
        memory(status),
        others(status),
    );
    if let Some(file) = told.files(Order::Rate).first().filter(|file| file.rate > 0.0) {
        let programs = programs(file);
        let by = if programs.is_empty() { programs } else { format!(" by {programs}") };
        let rate = rate(Flow::Fetched, file.rate);
        line += &format!("; busiest {} ({rate}{by})", printable(&file.key));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::super::samples::told;
    use super::*;

    #[test]
    fn rates_and_times_have_units() {
        assert_eq!(rate(Flow::Read, 1536.0), "1.5 KiB/s");
        assert_eq!(rate(Flow::Requests, 1.26), "1.3/s");
        assert_eq!(rate(Flow::Requests, 1234.5), "1234/s");
        assert_eq!((age(59.9), age(3_720.0)), ("59 s".to_owned(), "1 h 2 min".to_owned()));
    }

    #[test]
    fn a_line_tells_the_rates_and_the_busiest_file() {
        let mut model = Model::default();
        told().into_iter().for_each(|status| model.take(status).unwrap());
        let line = plain(&model, "12:00:00");
        let busiest = model.files(Order::Rate)[0];
        for part in [
            format!("12:00:00 {}: programs got ", text(&model.status, "mount_point").unwrap()),
            format!("; busiest {} (", busiest.key),
            format!(" by {}", busiest.programs[0].name),
        ] {
            assert!(line.contains(&part), "{part:?} is not in {line:?}");
        }
        assert_eq!(line.lines().count(), 1);
    }

    #[test]
    fn what_there_is_not_is_not_told() {
        assert_eq!(from_memory(&Value::Null), "nothing was asked for yet");
        assert_eq!(latency(&Value::Null), "no request has ended yet");
        assert_eq!(others(&Value::Null), "0 open files");
    }
}
