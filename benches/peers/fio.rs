//! The reading jobs that AWS publishes for Mountpoint, by fio: 256 KiB at a time, in order
//! and at random, by one thread and by four, each in a file of its own.

use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::works::{FIO_FILE, Ran, fio_bytes};

/// How a job reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) is_random: bool,
    pub(crate) threads: u64,
}

/// Of each file this part is read at random.
const RANDOM_PART: u64 = 4;

impl Job {
    /// How many bytes it reads.
    pub(crate) fn bytes(self) -> u64 {
        self.each_bytes() * self.threads
    }

    fn each_bytes(self) -> u64 {
        if self.is_random { fio_bytes() / RANDOM_PART } else { fio_bytes() }
    }

    /// Has fio do it.
    pub(crate) fn run(self, folder: &Path) -> Result<Ran> {
        let output = Command::new("fio")
            .args(["--name=job", "--bs=256k", "--ioengine=sync", "--thread", "--readonly"])
            .args(["--group_reporting", "--fallocate=none", "--output-format=terse"])
            .arg(format!("--filename_format={FIO_FILE}$jobnum"))
            .arg(format!("--directory={}", folder.display()))
            .arg(format!("--rw={}", if self.is_random { "randread" } else { "read" }))
            .arg(format!("--numjobs={}", self.threads))
            .arg(format!("--size={}", fio_bytes()))
            .arg(format!("--io_size={}", self.each_bytes()))
            .output()
            .map_err(|error| format!("fio: {error}"))?;
        let told = String::from_utf8_lossy(&output.stdout);
        let line = told.lines().find(|line| line.starts_with("3;")).ok_or_else(|| {
            let why = String::from_utf8_lossy(&output.stderr);
            format!("fio: {}", why.lines().last().unwrap_or("it said nothing"))
        })?;
        let fields: Vec<&str> = line.split(';').collect();
        // Its manual, "Terse output": the error, KiB read, and the milliseconds that took.
        let number = |at: usize| -> Result<u64> {
            Ok(fields.get(at).ok_or("fio says too little")?.parse::<u64>()?)
        };
        if number(4)? != 0 {
            return Err(format!("fio failed with errno {}", number(4)?).into());
        }
        if number(5)? * 1024 != self.bytes() {
            return Err(format!("fio has read {} KiB, not {}", number(5)?, self.bytes()).into());
        }
        // How long each read took, in microseconds: "50.000000%=1234".
        let percentile = |wanted: &str| {
            let told =
                fields.iter().find_map(|field| field.strip_prefix(wanted)?.strip_prefix('='));
            told.and_then(|told| told.parse::<f64>().ok()).map(|micros| micros / 1e6)
        };
        let seconds = number(8)?.max(1) as f64 / 1e3;
        Ok(Ran { seconds, p50: percentile("50.000000%"), p99: percentile("99.000000%") })
    }
}
