//! The tables: one for each work and delay.

use std::time::Duration;

use crate::Result;
use crate::daemons::Daemon;
use crate::history::Row;
use crate::support::server::Counts;
use crate::works::{Ran, Work};

const MIB: f64 = 1024.0 * 1024.0;

/// One run of a work.
pub(crate) struct Measured {
    pub(crate) ran: Ran,
    pub(crate) counts: Counts,
    pub(crate) peak_bytes: u64,
    pub(crate) cpu_seconds: f64,
}

/// What is told of a daemon at a work.
pub(crate) enum Outcome {
    Done(Measured),
    Failed(String),
}

impl Outcome {
    /// The run with the median time, whole, so that its counts belong to it. One
    /// failure among the runs is a failure.
    pub(crate) fn median(runs: Vec<Result<Measured>>) -> Self {
        match runs.into_iter().collect::<Result<Vec<_>>>() {
            Err(error) => Outcome::Failed(error.to_string()),
            Ok(mut done) => {
                done.sort_by(|a, b| a.ran.seconds.total_cmp(&b.ran.seconds));
                let middle = done.len() / 2;
                done.into_iter()
                    .nth(middle)
                    .map_or_else(|| Outcome::Failed("no run".to_owned()), Outcome::Done)
            }
        }
    }
}

/// The same for a file.
pub(crate) fn rows(work: Work, delay: Duration, outcomes: &[(Daemon, Outcome)]) -> Vec<Row> {
    let row = |(daemon, outcome): &(Daemon, Outcome)| match outcome {
        Outcome::Failed(_) => None,
        Outcome::Done(run) => Some(Row {
            work: work.name().to_owned(),
            delay_ms: u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
            daemon: daemon.name().to_owned(),
            seconds: run.ran.seconds,
            cpu_seconds: run.cpu_seconds,
            requests: run.counts.list + run.counts.head + run.counts.head_bucket + run.counts.get,
            bytes: run.counts.body_bytes,
            peak_bytes: run.peak_bytes,
        }),
    };
    outcomes.iter().filter_map(row).collect()
}

pub(crate) fn print(work: Work, delay: Duration, outcomes: &[(Daemon, Outcome)]) {
    let unit = if work.bytes().is_some() { "MB/s" } else { "seconds" };
    println!("\n{}, {} ms of delay", work.title(), delay.as_millis());
    println!(
        "{:<10} {unit:>9} {:>8} {:>8} {:>6} {:>6} {:>6} {:>6} {:>12} {:>9} {:>13}",
        "",
        "p50 ms",
        "p99 ms",
        "CPU s",
        "LIST",
        "HEAD",
        "GET",
        "MiB fetched",
        "peak MiB",
        "to best peer",
    );
    let best_peer = outcomes
        .iter()
        .filter(|(daemon, _)| *daemon != Daemon::S3mem)
        .filter_map(|(_, outcome)| match outcome {
            Outcome::Done(run) => Some(run.ran.seconds),
            Outcome::Failed(_) => None,
        })
        .min_by(f64::total_cmp);
    for (daemon, outcome) in outcomes {
        match outcome {
            Outcome::Failed(reason) => println!("{:<10} failed: {reason}", daemon.name()),
            Outcome::Done(run) => print_run(*daemon, work, run, best_peer),
        }
    }
}

fn print_run(daemon: Daemon, work: Work, run: &Measured, best_peer: Option<f64>) {
    let speed = match work.bytes() {
        Some(bytes) => format!("{:.0}", bytes as f64 / 1e6 / run.ran.seconds),
        None => format!("{:.4}", run.ran.seconds),
    };
    // Over 1 is faster than the best peer, whatever the unit.
    let ratio =
        best_peer.map_or_else(String::new, |best| format!("{:.2} x", best / run.ran.seconds));
    let counts = &run.counts;
    let ms = |seconds: Option<f64>| {
        seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{:.2}", seconds * 1e3))
    };
    println!(
        "{:<10} {speed:>9} {:>8} {:>8} {:>6.2} {:>6} {:>6} {:>6} {:>12.2} {:>9.0} {ratio:>13}",
        daemon.name(),
        ms(run.ran.p50),
        ms(run.ran.p99),
        run.cpu_seconds,
        counts.list,
        counts.head + counts.head_bucket,
        counts.get,
        counts.body_bytes as f64 / MIB,
        run.peak_bytes as f64 / MIB,
    );
}
