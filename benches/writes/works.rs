//! What is written: the works that are timed.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::Result;

pub(crate) const BUCKET: &str = "writes";

const MIB: usize = 1 << 20;
const BLOCK: usize = 4096;

/// Whether there is a sixteenth to write of what there should be.
static IS_SMALL: AtomicBool = AtomicBool::new(false);

/// Has works be small from now on.
pub(crate) fn make_small() {
    IS_SMALL.store(true, Ordering::Relaxed);
}

fn sized(count: usize) -> usize {
    count / if IS_SMALL.load(Ordering::Relaxed) { 16 } else { 1 }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// One file of 1 GiB, from its start to its end.
    InOrder,
    /// 1,000 files of 16 KiB, one after the other.
    Small,
    /// 16,384 blocks of 4 KiB in a file of 64 MiB, in no order.
    Random,
}

impl Work {
    pub(crate) const ALL: [Work; 3] = [Work::InOrder, Work::Small, Work::Random];

    pub(crate) fn name(self) -> String {
        match self {
            Work::InOrder => format!("one file of {} MiB, in order", sized(1024)),
            Work::Small => format!("{} files of 16 KiB", sized(1000)),
            Work::Random => format!("random blocks of 4 KiB into {} MiB", sized(64)),
        }
    }

    /// Does it in a folder; how many seconds that took.
    pub(crate) fn run(self, folder: &Path) -> Result<f64> {
        let start = Instant::now();
        match self {
            Work::InOrder => in_order(folder)?,
            Work::Small => small(folder)?,
            Work::Random => random(folder)?,
        }
        Ok(start.elapsed().as_secs_f64())
    }
}

fn in_order(folder: &Path) -> Result<()> {
    let mut file = File::create(folder.join("large"))?;
    let piece = noise(MIB);
    for _ in 0..sized(1024) {
        file.write_all(&piece)?;
    }
    close(file)
}

fn small(folder: &Path) -> Result<()> {
    let bytes = noise(16 << 10);
    for number in 0..sized(1000) {
        let mut file = File::create(folder.join(format!("f{number}")))?;
        file.write_all(&bytes)?;
        close(file)?;
    }
    Ok(())
}

fn random(folder: &Path) -> Result<()> {
    let file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(folder.join("random"))?;
    let block = noise(BLOCK);
    let blocks = sized(64) * MIB / BLOCK;
    // An odd step through a power of two meets every block once.
    let mut at = 0;
    for _ in 0..blocks {
        at = (at + 7919 * 5) % blocks;
        file.write_all_at(&block, (at * BLOCK) as u64)?;
    }
    close(file)
}

/// A close that tells what it failed with.
fn close(file: File) -> Result<()> {
    Ok(nix::unistd::close(file)?)
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as u8
    };
    (0..length).map(|_| next()).collect()
}
