//! s3mem beside rclone, s3fs and mountpoint-s3, on one S3 server in this process.
//!
//! ```text
//! cargo bench --bench peers                          every work, once, at 0 and 30 ms
//! cargo bench --bench peers -- --reps 3              the median of three, interleaved
//! cargo bench --bench peers -- --works order,skip --daemons s3mem,rclone --delays 30
//! ```
//!
//! Each work is done on a fresh mount with an empty page cache. The server runs
//! in this process and shares the processors with the daemons, so the numbers
//! compare the daemons with each other; they say little about a network. A peer
//! that is not installed is named and left out; scripts/peers.sh installs them.

#[expect(dead_code, reason = "the benchmark of writing uses more of it")]
mod daemons;
mod report;
mod works;

#[expect(dead_code, unused_imports, reason = "the integration tests use more of it")]
#[path = "../../tests/support/mod.rs"]
mod support;

use std::error::Error;
use std::fs;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use self::daemons::{Access, Daemon, Mounted};
use self::report::{Measured, Outcome};
use self::support::server::TestServer;
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
    let server = TestServer::start();
    works::prepare(&server);
    let mut ours_failed = false;
    for &work in &options.works {
        for &delay in &options.delays {
            let outcomes = compare(&server, work, delay, &present, options.reps);
            ours_failed |= outcomes.iter().any(|(daemon, outcome)| {
                *daemon == Daemon::S3mem && matches!(outcome, Outcome::Failed(_))
            });
            report::print(work, delay, &outcomes);
        }
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
    let seconds = limited(&mut mounted, move || work.run(&folder))?;
    server.wait_idle(SETTLE_LIMIT);
    let counts = server.counts();
    let peak_bytes = mounted.peak_bytes()?;
    server.set_delay(Duration::ZERO);
    mounted.end()?;
    Ok(Measured { seconds, counts, peak_bytes })
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
}

impl Options {
    fn from_args(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Options {
            works: Work::ALL.to_vec(),
            daemons: Daemon::ALL.to_vec(),
            delays: vec![Duration::ZERO, Duration::from_millis(30)],
            reps: 1,
        };
        while let Some(arg) = args.next() {
            // Cargo says it to every bench.
            if arg == "--bench" {
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
                _ => {
                    return Err(format!(
                        "{arg} is none of --works, --daemons, --delays (in ms), --reps"
                    )
                    .into());
                }
            }
        }
        Ok(options)
    }
}
