//! s3mem beside rclone, s3fs and mountpoint-s3, on one S3 server in this process.
//!
//! ```text
//! cargo bench --bench peers                          every work, once, at 0 and 30 ms
//! cargo bench --bench peers -- --reps 3              the median of three, interleaved
//! cargo bench --bench peers -- --works order,skip --daemons s3mem,rclone --delays 30
//! cargo bench --bench peers -- --caps 80,100     MB/s a connection, and in all
//! cargo bench --bench peers -- --small           files of a sixteenth: do all works run?
//! cargo bench --bench peers -- --svg peers.svg --history benches/history/peers.jsonl
//! cargo bench --bench peers -- --against benches/history/peers.jsonl
//! ```
//!
//! Each work is done on a fresh mount with an empty page cache. The server runs
//! in this process and shares the processors with the daemons, so the numbers
//! compare the daemons with each other; they say little about a network. A peer
//! that is not installed is named and left out; scripts/peers.sh installs them.

#[expect(dead_code, reason = "the benchmark of writing uses more of it")]
mod daemons;
mod fio;
mod history;
mod report;
mod svg;
mod works;

#[expect(dead_code, unused_imports, reason = "the integration tests use more of it")]
#[path = "../../tests/support/mod.rs"]
mod support;

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use self::daemons::{Access, Daemon, Mounted};
use self::history::Row;
use self::report::{Measured, Outcome};
use self::support::server::{Bandwidth, TestServer};
use self::works::Work;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// After this long a work is given up and the table says so.
const WORK_LIMIT: Duration = Duration::from_secs(180);

/// What is fetched ahead may still arrive after the last read; it counts too.
const SETTLE_LIMIT: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    match Options::from_args(std::env::args().skip(1)).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    for daemon in &options.daemons {
        println!("{}", daemon.describe());
    }
    let present: Vec<_> =
        options.daemons.iter().copied().filter(|daemon| daemon.is_installed()).collect();
    if fs::write("/proc/sys/vm/drop_caches", "3").is_err() {
        println!("not root: the page cache is not dropped, but every mount is a new one");
    }
    // Read first: it may be the file that this run is added to.
    let before = options.against.as_deref().map(|path| history::last(path, options.size()));
    let before = before.transpose()?;
    if options.is_small {
        works::make_small();
    }
    let server = TestServer::start();
    server.set_bandwidth(options.caps);
    works::prepare(&server);
    let mut ours_failed = false;
    let mut rows: Vec<Row> = Vec::new();
    for &work in &options.works {
        if !work.is_possible() {
            println!("\n{}: fio is not installed", work.title());
            continue;
        }
        for &delay in &options.delays {
            let outcomes = compare(&server, work, delay, &present, options.reps);
            ours_failed |= outcomes.iter().any(|(daemon, outcome)| {
                *daemon == Daemon::S3mem && matches!(outcome, Outcome::Failed(_))
            });
            report::print(work, delay, &outcomes);
            rows.extend(report::rows(work, delay, &outcomes));
        }
    }
    if let Some(path) = &options.svg {
        fs::write(path, svg::draw(&rows))?;
    }
    if let Some(path) = &options.history {
        history::append(path, options.size(), &rows)?;
    }
    if let Some(before) = before {
        history::compare(&before, &rows);
    }
    if ours_failed { Err("s3mem failed at a work, see above".into()) } else { Ok(()) }
}

/// One work by each daemon in turn, `reps` times over: what disturbs the machine
/// for a while then disturbs all of them.
fn compare(
    server: &TestServer,
    work: Work,
    delay: Duration,
    daemons: &[Daemon],
    reps: usize,
) -> Vec<(Daemon, Outcome)> {
    let mut runs: Vec<(Daemon, Vec<Result<Measured>>)> =
        daemons.iter().map(|&daemon| (daemon, Vec::new())).collect();
    for _ in 0..reps {
        for (daemon, done) in &mut runs {
            done.push(measure(server, work, delay, *daemon));
        }
    }
    runs.into_iter().map(|(daemon, done)| (daemon, Outcome::median(done))).collect()
}

fn measure(server: &TestServer, work: Work, delay: Duration, daemon: Daemon) -> Result<Measured> {
    // Writes back nothing and needs root; said once in `run`.
    let _ = fs::write("/proc/sys/vm/drop_caches", "3");
    server.set_delay(Duration::ZERO);
    let mut mounted = Mounted::start(daemon, &server.endpoint(), Access::Read)?;
    let folder = mounted.folder().to_owned();
    server.set_delay(delay);
    if work.has_first_read() {
        limited(&mut mounted, {
            let folder = folder.clone();
            move || work.first_read(&folder)
        })?;
        server.wait_idle(SETTLE_LIMIT);
    }
    server.reset_counts();
    let cpu_before = mounted.cpu_seconds()?;
    let ran = limited(&mut mounted, move || work.run(&folder))?;
    server.wait_idle(SETTLE_LIMIT);
    let counts = server.counts();
    let peak_bytes = mounted.peak_bytes()?;
    let cpu_seconds = mounted.cpu_seconds()? - cpu_before;
    server.set_delay(Duration::ZERO);
    mounted.end()?;
    Ok(Measured { ran, counts, peak_bytes, cpu_seconds })
}

/// Does it in a thread; after [`WORK_LIMIT`] the daemon is ended, which ends
/// the reads that wait for it.
fn limited<T: Send + 'static>(
    mounted: &mut Mounted,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || tell.send(work()));
    told.recv_timeout(WORK_LIMIT).unwrap_or_else(|_| {
        mounted.kill();
        Err(format!("not done after {} s", WORK_LIMIT.as_secs()).into())
    })
}

struct Options {
    works: Vec<Work>,
    daemons: Vec<Daemon>,
    delays: Vec<Duration>,
    reps: usize,
    /// How fast the server may send.
    caps: Bandwidth,
    is_small: bool,
    svg: Option<PathBuf>,
    history: Option<PathBuf>,
    against: Option<PathBuf>,
}

impl Options {
    /// What the history calls the size of the files.
    fn size(&self) -> &'static str {
        if self.is_small { "small" } else { "full" }
    }

    fn from_args(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Options {
            works: Work::ALL.to_vec(),
            daemons: Daemon::ALL.to_vec(),
            delays: vec![Duration::ZERO, Duration::from_millis(30)],
            reps: 1,
            caps: Bandwidth::default(),
            is_small: false,
            svg: None,
            history: None,
            against: None,
        };
        while let Some(arg) = args.next() {
            // Cargo says it to every bench.
            if arg == "--bench" {
                continue;
            }
            if arg == "--small" {
                options.is_small = true;
                continue;
            }
            let value = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
            let values = value.split(',');
            match arg.as_str() {
                "--works" => options.works = values.map(Work::from_name).collect::<Result<_>>()?,
                "--daemons" => {
                    options.daemons = values.map(Daemon::from_name).collect::<Result<_>>()?;
                }
                "--delays" => {
                    options.delays = values
                        .map(|ms| Ok(Duration::from_millis(ms.parse()?)))
                        .collect::<Result<_>>()?;
                }
                "--reps" => options.reps = value.parse::<usize>()?.max(1),
                "--caps" => {
                    let (connection, all) =
                        value.split_once(',').ok_or("--caps is two numbers, such as 80,100")?;
                    let bytes = |text: &str| {
                        Ok::<_, std::num::ParseIntError>(text.parse::<u64>()? * 1_000_000)
                    };
                    options.caps = Bandwidth {
                        per_connection: Some(bytes(connection)?),
                        total: Some(bytes(all)?),
                    };
                }
                "--svg" => options.svg = Some(value.into()),
                "--history" => options.history = Some(value.into()),
                "--against" => options.against = Some(value.into()),
                _ => {
                    return Err(format!(
                        "{arg} is none of --works, --daemons, --delays (in ms), --reps, --caps, \
                         --small, --svg, --history, --against"
                    )
                    .into());
                }
            }
        }
        Ok(options)
    }
}
