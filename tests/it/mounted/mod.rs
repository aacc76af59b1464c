//! What a mount promises, held on real mounts of the real program: through the
//! kernel, from a server that counts what it is asked and fails on command.
//!
//! Requests and bytes are compared exactly. Times are not, but for bounds that
//! are generous to a busy machine where nothing may hang.

mod attributes;
mod changes;
mod costs;
mod directories;
mod faults;
mod memory;
mod patterns;
mod posix;
mod stalls;
mod strange_keys;
mod system;

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Advice, fadvise};

use crate::mounting::{Mount, Mounting, can_mount};
use crate::support::pattern::pattern_mismatch;
use crate::support::server::TestServer;

pub(crate) const BUCKET: &str = "mounted";
pub(crate) const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Nothing here takes as long as this, unless it hangs.
pub(crate) const FOREVER: Duration = Duration::from_secs(60);

/// A server with an empty bucket; nothing where nothing can be mounted.
pub(crate) fn server() -> Option<TestServer> {
    can_mount().then(|| {
        let server = TestServer::start();
        server.create_bucket(BUCKET);
        server
    })
}

/// The bucket, mounted with these flags.
pub(crate) fn mount(server: &TestServer, flags: &[&str]) -> Mount {
    // A budget, so that two tests of a kind do not take the machine's memory.
    Mounting::of(server, BUCKET).with(["--memory", "512M"]).with(flags).in_foreground()
}

/// What the server was asked for, and what it sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) list: u64,
    pub(crate) head: u64,
    pub(crate) get: u64,
    /// Bytes of objects.
    pub(crate) bytes: u64,
}

pub(crate) const NOTHING: Cost = Cost { list: 0, head: 0, get: 0, bytes: 0 };

/// Does something, and says what it cost.
pub(crate) fn cost_of<T>(server: &TestServer, work: impl FnOnce() -> T) -> (T, Cost) {
    assert!(server.wait_idle(FOREVER), "requests of before are still under way");
    server.reset_counts();
    let outcome = work();
    assert!(server.wait_idle(FOREVER), "requests are still under way");
    let counts = server.counts();
    let cost =
        Cost { list: counts.list, head: counts.head, get: counts.get, bytes: counts.body_bytes };
    assert_eq!(counts.requests(), cost.list + cost.head + cost.get, "{counts:?}");
    (outcome, cost)
}

/// The bytes of a range of a file.
pub(crate) fn part(file: &File, range: Range<u64>) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; (range.end - range.start) as usize];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes)
}

/// Reads a range in order, in pieces, as the pattern of `seed` has it.
fn reads_pattern(file: &File, seed: u64, range: Range<u64>) {
    let mut buffer = vec![0; MIB as usize];
    let mut at = range.start;
    while at < range.end {
        let wanted = (range.end - at).min(MIB) as usize;
        file.read_exact_at(&mut buffer[..wanted], at).unwrap();
        assert_pattern(seed, at, &buffer[..wanted]);
        at += wanted as u64;
    }
}

/// Reads a whole file in order, as the pattern of `seed` has it.
fn reads_whole_pattern(path: &Path, seed: u64) {
    let file = File::open(path).unwrap();
    let size = file.metadata().unwrap().len();
    reads_pattern(&file, seed, 0..size);
}

fn assert_pattern(seed: u64, offset: u64, bytes: &[u8]) {
    let wrong = pattern_mismatch(seed, offset, bytes);
    assert_eq!(wrong, None, "the byte at this offset is wrong; the read began at {offset}");
}

/// Makes the kernel drop what it has cached of a file, so that the next read
/// reaches the daemon.
pub(crate) fn forget_pages(path: &Path) {
    fadvise(File::open(path).unwrap(), 0, None, Advice::DontNeed).unwrap();
}

/// Waits until something has come about.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < FOREVER, "{what} did not come about");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The errno that something failed with.
pub(crate) fn errno<T: std::fmt::Debug>(outcome: io::Result<T>) -> i32 {
    outcome.unwrap_err().raw_os_error().unwrap()
}

/// The names in a directory, sorted.
pub(crate) fn names(path: &Path) -> Vec<String> {
    let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = fs::read_dir(path).unwrap().map(name).collect();
    names.sort();
    names
}

/// The lines of a mount's log at a level that mention something.
pub(crate) fn lines(mount: &Mount, level: &str, part: &str) -> Vec<String> {
    let log = mount.log();
    let lines = log.lines().filter(|line| line.contains(level) && line.contains(part));
    lines.map(str::to_owned).collect()
}

/// Numbers that look random and are the same in every run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
