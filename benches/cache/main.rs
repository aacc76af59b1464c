//! The cache on disk of s3mem beside those of rclone, s3fs and mountpoint-s3.
//!
//! ```text
//! cargo bench --bench cache                      at 30 ms a request
//! cargo bench --bench cache -- --small           a sixteenth of each: does it run?
//! ```
//!
//! Each daemon reads a file in order, is unmounted and mounted again on the same cache, and reads
//! it again. Then it reads, three times, a file of twice the memory that s3mem may use. The server
//! runs in this process and shares the processors with the daemons, so the numbers compare the
//! daemons with each other. The page cache is dropped before each read, which takes root. A peer
//! that is not installed is left out (scripts/peers.sh installs them).

#[path = "../peers/daemons.rs"]
#[expect(dead_code, reason = "the other benchmarks use more of it")]
mod daemons;

#[expect(dead_code, unused_imports, reason = "the integration tests use more of it")]
#[path = "../../tests/support/mod.rs"]
mod support;

/// What the daemons mount.
mod works {
    pub(crate) const BUCKET: &str = "cache";
}

use std::error::Error;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use self::daemons::{Access, Daemon, Mounted};
use self::support::pattern::pattern_mismatch;
use self::support::server::TestServer;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const MIB: u64 = 1 << 20;
const DELAY: Duration = Duration::from_millis(30);
/// What is fetched ahead may still arrive after the last read; it counts too.
const SETTLE_LIMIT: Duration = Duration::from_secs(5);

/// What one read took.
struct Took {
    seconds: f64,
    requests: u64,
    bytes: u64,
}

fn main() -> ExitCode {
    let part = if std::env::args().any(|word| word == "--small") { 16 } else { 1 };
    match run(part) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cache: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(part: u64) -> Result<()> {
    let server = TestServer::start();
    let (once, twice) = (64 * MIB / part, 256 * MIB / part);
    server.put_pattern(works::BUCKET, "once", once, 1);
    server.put_pattern(works::BUCKET, "twice", twice, 2);
    println!("{} MiB, then {} MiB three times, at 30 ms a request\n", once / MIB, twice / MIB);
    println!("| daemon | read | seconds | GETs | MiB fetched |");
    println!("|---|---|---|---|---|");
    for daemon in Daemon::ALL {
        if !daemon.is_installed() {
            continue;
        }
        let cache = TempDir::new()?;
        fs::set_permissions(cache.path(), fs::Permissions::from_mode(0o700))?;
        let Some(flags) = daemon.cache_flags(cache.path()) else { continue };
        let mount = || -> Result<Mounted> {
            server.set_delay(Duration::ZERO);
            let mounted = Mounted::start_with(daemon, &server.endpoint(), Access::Read, &flags)?;
            server.set_delay(DELAY);
            Ok(mounted)
        };
        let tell = |what: &str, took: Result<Took>| match took {
            Ok(Took { seconds, requests, bytes }) => {
                let name = daemon.name();
                println!("| {name} | {what} | {seconds:.2} | {requests} | {} |", bytes / MIB);
            }
            Err(error) => println!("| {} | {what} | {error} | | |", daemon.name()),
        };
        let first = match mount() {
            Ok(first) => first,
            Err(error) => {
                println!("| {} | {error} | | | |", daemon.name());
                continue;
            }
        };
        tell("first", read(&server, &first, "once", (once, 1)));
        first.end()?;
        let second = mount()?;
        tell("second, after a remount", read(&server, &second, "once", (once, 1)));
        for what in ["twice the memory, first", "second", "third"] {
            tell(what, read(&server, &second, "twice", (twice, 2)));
        }
        second.end()?;
    }
    Ok(())
}

/// Reads a file in order with an empty page cache.
fn read(
    server: &TestServer,
    mounted: &Mounted,
    name: &str,
    (size, seed): (u64, u64),
) -> Result<Took> {
    let path = mounted.folder().join(name);
    // Needs root; without it the daemons are compared with the pages that they left.
    let _ = fs::write("/proc/sys/vm/drop_caches", "3");
    fs::metadata(&path)?;
    server.reset_counts();
    let begun = Instant::now();
    check(&path, size, seed)?;
    let seconds = begun.elapsed().as_secs_f64();
    server.wait_idle(SETTLE_LIMIT);
    let counts = server.counts();
    Ok(Took { seconds, requests: counts.get, bytes: counts.body_bytes })
}

fn check(path: &Path, size: u64, seed: u64) -> Result<()> {
    let (file, mut buffer) = (File::open(path)?, vec![0; MIB as usize]);
    let mut at = 0;
    while at < size {
        let wanted = (size - at).min(MIB) as usize;
        file.read_exact_at(&mut buffer[..wanted], at)?;
        if let Some(wrong) = pattern_mismatch(seed, at, &buffer[..wanted]) {
            return Err(format!("the byte at {wrong} is wrong").into());
        }
        at += wanted as u64;
    }
    Ok(())
}
