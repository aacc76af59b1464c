//! Writing through s3mem beside a tmpfs, rclone, s3fs and mountpoint-s3.
//!
//! ```text
//! cargo bench --bench writes                     every work, once, at 0 and 30 ms
//! cargo bench --bench writes -- 3                the median of three, interleaved
//! cargo bench --bench writes -- --small          a sixteenth of each: do all works run?
//! ```
//!
//! A work ends when its files are closed, which is when they are in the bucket (but
//! for rclone, which uploads later, and for what stays in memory). The server runs in
//! this process and shares the processors with the daemons, so the numbers compare
//! the daemons with each other. A peer that is not installed is named and left out
//! (scripts/peers.sh installs them); what a peer refuses is said in its place.

#[path = "../peers/daemons.rs"]
#[expect(dead_code, reason = "the benchmark of reading uses more of it")]
mod daemons;
mod works;

#[expect(dead_code, unused_imports, reason = "the integration tests use more of it")]
#[path = "../../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use self::daemons::{Access, Daemon, Mounted};
use self::support::server::TestServer;
use self::works::{BUCKET, Work};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// After this long a work is given up.
const WORK_LIMIT: Duration = Duration::from_secs(120);
const DELAYS_MS: [u64; 2] = [0, 30];

/// Whom a work is done on.
const SUBJECTS: [(&str, Option<(Daemon, Access)>); 8] = [
    ("tmpfs", None),
    ("s3mem, memory", Some((Daemon::S3mem, Access::Memory))),
    ("s3mem, upload", Some((Daemon::S3mem, Access::Upload))),
    ("s3mem, later", Some((Daemon::S3mem, Access::Later))),
    ("rclone (writes)", Some((Daemon::Rclone, Access::Upload))),
    ("s3fs", Some((Daemon::S3fs, Access::Upload))),
    ("mount-s3", Some((Daemon::Mountpoint, Access::Upload))),
    ("goofys", Some((Daemon::Goofys, Access::Upload))),
];

fn main() -> ExitCode {
    let repetitions = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(1);
    if std::env::args().any(|word| word == "--small") {
        works::make_small();
    }
    match run(repetitions) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("writes: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(repetitions: usize) -> Result<()> {
    for daemon in Daemon::ALL {
        println!("{}", daemon.describe());
    }
    let mut seconds: BTreeMap<(usize, u64, usize), Vec<f64>> = BTreeMap::new();
    let mut failures = BTreeMap::new();
    for _ in 0..repetitions {
        for (work_at, work) in Work::ALL.into_iter().enumerate() {
            for delay in DELAYS_MS {
                for (subject_at, (_, subject)) in SUBJECTS.into_iter().enumerate() {
                    let is_there = subject.is_none_or(|(daemon, _)| daemon.is_installed());
                    if !is_there {
                        continue;
                    }
                    let place = (work_at, delay, subject_at);
                    match measure(work, subject, Duration::from_millis(delay)) {
                        Ok(took) => seconds.entry(place).or_default().push(took),
                        Err(error) => drop(failures.insert(place, error.to_string())),
                    }
                }
            }
        }
    }
    for (work_at, work) in Work::ALL.into_iter().enumerate() {
        for delay in DELAYS_MS {
            println!("\n{} (+{delay} ms a request)", work.name());
            for (subject_at, (name, _)) in SUBJECTS.into_iter().enumerate() {
                let place = (work_at, delay, subject_at);
                if let Some(took) = seconds.get_mut(&place) {
                    took.sort_by(f64::total_cmp);
                    println!("  {name:<18}{:>9.2} s", took[took.len() / 2]);
                } else if let Some(error) = failures.get(&place) {
                    println!("  {name:<18}{error}");
                }
            }
        }
    }
    Ok(())
}

/// What a daemon does not do is told from what went wrong.
fn said(error: Box<dyn Error + Send + Sync>) -> String {
    const REFUSALS: [i32; 5] =
        [libc::EINVAL, libc::ENOTSUP, libc::ENOSYS, libc::EPERM, libc::EROFS];
    let number = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::raw_os_error)
        .or_else(|| error.downcast_ref::<nix::Error>().map(|&number| number as i32));
    match number {
        Some(number) if REFUSALS.contains(&number) => format!("refused: {error}"),
        _ => format!("failed: {error}"),
    }
}

/// How many seconds a work takes on a fresh mount, or on a tmpfs.
fn measure(work: Work, subject: Option<(Daemon, Access)>, delay: Duration) -> Result<f64> {
    let server = TestServer::start();
    server.create_bucket(BUCKET);
    server.set_delay(delay);
    let Some((daemon, access)) = subject else {
        let folder = tempfile::Builder::new().tempdir_in("/dev/shm")?;
        return work.run(folder.path());
    };
    let mut mounted = Mounted::start(daemon, &server.endpoint(), access)?;
    let folder = mounted.folder().to_owned();
    let (tell, told) = mpsc::channel();
    let working = thread::spawn(move || {
        // Nobody listens once it has been given up.
        let _ = tell.send(work.run(&folder));
    });
    let outcome = told.recv_timeout(WORK_LIMIT);
    if outcome.is_err() {
        mounted.kill();
    }
    working.join().map_err(|_| "the work panicked")?;
    let took = outcome.map_err(|_| "given up after two minutes")?.map_err(said)?;
    // What is still sent is not waited for.
    drop(mounted);
    Ok(took)
}
