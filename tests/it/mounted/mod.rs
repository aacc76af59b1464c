//! What a mount promises, held on real mounts of the real program: through the
//! kernel, from a server that counts what it is asked and fails on command.
//!
//! Requests and bytes are compared exactly. Times are not, but for bounds that
//! are generous to a busy machine where nothing may hang.

mod attributes;
mod away;
mod buckets;
mod changes;
mod cli;
mod costs;
mod dask;
mod directories;
mod disk;
mod faults;
mod four_nodes;
mod hostile_keys;
mod howto;
mod in_order;
mod interrupts;
mod kept_versions;
mod limits;
mod matrix;
mod memory;
mod odd_servers;
mod packages;
mod patterns;
mod posix;
mod programs;
mod refresh;
mod soak;
mod spelling;
mod stalls;
mod strange_keys;
mod system;
mod uploads;
mod verify;
mod views;
mod writes;

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::backend::server;
use crate::harness::cost::{Cost, NOTHING, cost_of};
use crate::harness::dice::Dice;
use crate::harness::files::{MIB, errno, forget_pages, names, part};
use crate::harness::mounting::{BUCKET, Mount, Mounting, lines, mount};
use crate::harness::waiting::until;
use crate::support::pattern::pattern_mismatch;
use crate::support::server::TestServer;

const GIB: u64 = 1 << 30;

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
