//! A fleet of mounts on one bucket, simulated: what a thousand of them ask of it at once.
//!
//! ```text
//! cargo bench --bench scale
//! ```
//!
//! Nothing is measured and no server is asked: a prefix of a bucket answers so many requests a
//! second, as Amazon S3 says of one that it has not split yet, and refuses the rest (503). Mounts
//! do with that what `src/store/retry.rs` does: they try again after a pause that doubles, with
//! jitter, until their deadline. The figures are those of docs/scale.md; each run prints the same.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What one prefix answers in a second.
const READS_PER_SECOND: u64 = 5500;
const WRITES_PER_SECOND: u64 = 3500;
/// How finely that is counted.
const BIN: u64 = 100_000;
/// Times are in microseconds. How long an answer takes.
const LATENCY: u64 = 30_000;
/// Of `src/store/retry.rs`, and `--request-timeout`.
const FIRST_PAUSE: u64 = 50_000;
const LONGEST_PAUSE: u64 = 5_000_000;
const DEADLINE: u64 = 30_000_000;
const SECOND: u64 = 1_000_000;

/// Of Amazon S3 in us-east-1: dollars for one request.
const GET_PRICE: f64 = 0.0004 / 1000.0;
const WRITE_PRICE: f64 = 0.005 / 1000.0;

/// What the search for the tile-parts of a JPEG 2000 file without TLM takes: a band of Sentinel-2.
const SEARCH_GETS: u32 = 130;
/// So many of them are under way at once.
const SEARCH_AT_ONCE: u32 = 32;

/// Where a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// To the bucket that is mounted.
    Read,
    /// To the shared cache.
    SharedRead,
    /// Put there in the background.
    SharedWrite,
}

/// So many requests of a kind, of which so many are under way at once; the next step begins when
/// all are answered.
#[derive(Debug, Clone, Copy)]
struct Step {
    kind: Kind,
    requests: u32,
    at_once: u32,
}

const fn step(kind: Kind, requests: u32, at_once: u32) -> Step {
    Step { kind, requests, at_once }
}

/// The random numbers of xorshift: the same in each run.
struct Dice(u64);

impl Dice {
    /// From 0.5 to 1.5.
    fn jitter(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        0.5 + (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// How many requests a prefix has had in this tenth of a second.
#[derive(Debug, Default, Clone, Copy)]
struct Bucket {
    bin: u64,
    used: u64,
}

impl Bucket {
    fn takes(&mut self, now: u64, per_second: u64) -> bool {
        if self.bin != now / BIN {
            *self = Bucket { bin: now / BIN, used: 0 };
        }
        self.used += 1;
        self.used <= per_second * BIN / SECOND
    }
}

/// A request that is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    at: u64,
    mount: usize,
    kind: Kind,
    tries: u32,
    since: u64,
}

/// Where a mount is.
#[derive(Debug, Clone, Copy, Default)]
struct Mount {
    step: usize,
    /// Requests of the step that are not sent yet, and those that are under way.
    left: u32,
    under_way: u32,
    ready: Option<u64>,
    has_failed: bool,
}

/// What came of it.
#[derive(Debug, Default)]
struct Outcome {
    requests: u64,
    refused: u64,
    /// The most requests that were sent in one second.
    peak: u64,
    /// When mounts were ready, in order.
    ready: Vec<u64>,
    failed: usize,
    /// PUTs.
    writes: u64,
}

impl Outcome {
    /// When so many of a hundred were ready.
    fn share(&self, percent: usize) -> String {
        let wanted = (self.ready.len() + self.failed) * percent / 100;
        match self.ready.get(wanted.saturating_sub(1)) {
            Some(at) => format!("{:.1} s", *at as f64 / SECOND as f64),
            None => "never".to_owned(),
        }
    }
}

/// Mounts that start within `spread` microseconds and do these steps.
fn simulate(mounts: usize, spread: u64, steps: &[Step]) -> Outcome {
    let (mut outcome, mut dice) = (Outcome::default(), Dice(0x9E37_79B9_7F4A_7C15));
    let mut states = vec![Mount::default(); mounts];
    let mut events: BinaryHeap<Reverse<Event>> = BinaryHeap::new();
    let mut buckets = [Bucket::default(); 3];
    let mut seconds: Vec<u64> = Vec::new();
    let begin = |state: &mut Mount, mount: usize, at: u64, events: &mut BinaryHeap<_>| {
        let Step { kind, requests, at_once } = steps[state.step];
        (state.under_way, state.left) = (requests.min(at_once), requests.saturating_sub(at_once));
        for _ in 0..state.under_way {
            events.push(Reverse(Event { at, mount, kind, tries: 0, since: at }));
        }
    };
    for (mount, state) in states.iter_mut().enumerate() {
        let start = spread * mount as u64 / mounts as u64;
        begin(state, mount, start, &mut events);
    }
    while let Some(Reverse(event)) = events.pop() {
        let Event { at, mount, kind, tries, since } = event;
        outcome.requests += 1;
        outcome.writes += u64::from(kind == Kind::SharedWrite);
        let second = (at / SECOND) as usize;
        seconds.resize(seconds.len().max(second + 1), 0);
        seconds[second] += 1;
        let (bucket, limit) = match kind {
            Kind::Read => (0, READS_PER_SECOND),
            Kind::SharedRead => (1, READS_PER_SECOND),
            Kind::SharedWrite => (2, WRITES_PER_SECOND),
        };
        let done = at + LATENCY;
        let state = &mut states[mount];
        if !buckets[bucket].takes(at, limit) {
            outcome.refused += 1;
            // What goes to the shared cache is never tried again.
            if kind == Kind::Read {
                let pause = (FIRST_PAUSE << tries.min(10)).min(LONGEST_PAUSE);
                let next = done + (pause as f64 * dice.jitter()) as u64;
                match next < since + DEADLINE {
                    true => events.push(Reverse(Event { at: next, tries: tries + 1, ..event })),
                    false => state.has_failed = true,
                }
                continue;
            }
        }
        if state.left > 0 {
            state.left -= 1;
            events.push(Reverse(Event { at: done, mount, kind, tries: 0, since: done }));
            continue;
        }
        state.under_way -= 1;
        if state.under_way > 0 {
            continue;
        }
        state.step += 1;
        // What is put in the background is not waited for.
        let is_ready = steps.get(state.step).is_none_or(|next| next.kind == Kind::SharedWrite);
        if is_ready && state.ready.is_none() {
            state.ready = Some(done - spread * mount as u64 / mounts as u64);
        }
        if state.step < steps.len() {
            begin(state, mount, done, &mut events);
        }
    }
    outcome.peak = seconds.into_iter().max().unwrap_or_default();
    outcome.ready = states.iter().filter_map(|state| state.ready).collect();
    outcome.ready.sort_unstable();
    outcome.failed = states.iter().filter(|state| state.ready.is_none()).count();
    outcome
}

/// A mount that opens one JPEG 2000 file without TLM and reads a window.
fn opening() -> [(&'static str, Vec<Step>); 3] {
    let (list, header) = (step(Kind::Read, 1, 1), step(Kind::Read, 1, 1));
    let search = step(Kind::Read, SEARCH_GETS, SEARCH_AT_ONCE);
    let (window, shared) = (step(Kind::Read, 5, 5), step(Kind::SharedRead, 1, 1));
    let put = step(Kind::SharedWrite, 1, 1);
    [
        ("no shared cache", vec![list, header, search, window]),
        ("shared, empty: all miss at once", vec![list, header, shared, search, window, put]),
        ("shared, one mount was first", vec![list, header, shared, window]),
    ]
}

fn cold_starts() {
    println!(
        "Each lists a folder, opens the same JPEG 2000 file without TLM and reads a window.\n"
    );
    println!("| mounts | start within | | requests | refused | half ready | all ready | failed |");
    println!("|---|---|---|---|---|---|---|---|");
    for (mounts, spread) in
        [(100, 0), (1000, 0), (1000, 60 * SECOND), (10_000, 0), (10_000, 60 * SECOND)]
    {
        for (what, steps) in opening() {
            let outcome = simulate(mounts, spread, &steps);
            let within = spread / SECOND;
            println!(
                "| {mounts} | {within} s | {what} | {} | {} | {} | {} | {} |",
                outcome.requests,
                outcome.refused,
                outcome.share(50),
                outcome.share(100),
                outcome.failed
            );
        }
    }
}

/// Mounts whose programs look into one folder all the time, with a listing that is believed for
/// a minute: one round of listings.
fn listings() {
    println!("\nA round of listings of one folder (a page), once in each `--metadata-ttl`.\n");
    println!("| mounts | expire within | LISTs in the worst second | refused | all answered |");
    println!("|---|---|---|---|---|");
    for mounts in [1000, 10_000] {
        for spread in [0, SECOND, 60 * SECOND] {
            let outcome = simulate(mounts, spread, &[step(Kind::Read, 1, 1)]);
            println!(
                "| {mounts} | {} s | {} | {} | {} |",
                spread / SECOND,
                outcome.peak,
                outcome.refused,
                outcome.share(100)
            );
        }
    }
}

/// Mounts that read one object at the same time, in GETs of 8 MiB.
fn hot_object() {
    println!("\nAll read one object of 1 GiB, each in 128 GETs of 8 MiB, 16 at once.\n");
    println!("| mounts | GETs | refused | all have it | failed |");
    println!("|---|---|---|---|---|");
    for mounts in [10, 100, 1000] {
        let outcome = simulate(mounts, 0, &[step(Kind::Read, 128, 16)]);
        println!(
            "| {mounts} | {} | {} | {} | {} |",
            outcome.requests,
            outcome.refused,
            outcome.share(100),
            outcome.failed
        );
    }
}

fn costs() {
    println!("\nDollars a day for 1,000 mounts, by the list price of us-east-1.\n");
    println!("| what | requests a day | dollars a day |");
    println!("|---|---|---|");
    let line = |what: &str, requests: f64, price: f64| {
        println!("| {what} | {requests:.0} | {:.2} |", requests * price);
    };
    let (mounts, files) = (1000.0, 100.0);
    for ttl in [60.0, 600.0] {
        let what = format!("one folder looked at all the time, TTL of {ttl:.0} s: LIST");
        line(&what, mounts * 86_400.0 / ttl, WRITE_PRICE);
    }
    let opened = mounts * files;
    line(
        "100 files without TLM each, searched by each mount: GET",
        opened * f64::from(SEARCH_GETS),
        GET_PRICE,
    );
    line("the same with a shared cache: GET", opened, GET_PRICE);
    line("and what is put there, once for all: PUT", files, WRITE_PRICE);
    line("the worst case, all at once and all put: PUT", opened, WRITE_PRICE);
}

fn main() {
    cold_starts();
    listings();
    hot_object();
    costs();
}
