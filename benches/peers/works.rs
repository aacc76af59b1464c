//! The works: what a program does on the mount, timed and checked.

use std::fs::{self, File};
use std::hint::black_box;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use bytes::Bytes;

use crate::Result;
use crate::fio::Job;
use crate::support::pattern::{PAGE_BYTES, pattern_bytes, pattern_mismatch};
use crate::support::server::TestServer;

pub(crate) const BUCKET: &str = "peers";

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// What fio's files are called, before their numbers.
pub(crate) const FIO_FILE: &str = "fio";
const FIO_FILES: u64 = 4;

/// Whether all files are a sixteenth of what they should be: to see that all works run.
static IS_SMALL: AtomicBool = AtomicBool::new(false);

/// Has files be small from now on.
pub(crate) fn make_small() {
    IS_SMALL.store(true, Ordering::Relaxed);
}

fn sized(mib: u64) -> u64 {
    mib * MIB / if IS_SMALL.load(Ordering::Relaxed) { 16 } else { 1 }
}

fn whole() -> (&'static str, u64, u64) {
    ("whole.bin", sized(256), 1)
}

fn long() -> (&'static str, u64, u64) {
    ("long.bin", sized(1024), 2)
}

fn huge() -> (&'static str, u64, u64) {
    ("huge.bin", sized(2048), 3)
}

/// The size of each of fio's files, in bytes.
pub(crate) fn fio_bytes() -> u64 {
    sized(512)
}

/// How long a work took, and each of its reads or files, where these are told apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ran {
    pub(crate) seconds: f64,
    pub(crate) p50: Option<f64>,
    pub(crate) p99: Option<f64>,
}

impl Ran {
    fn of(start: Instant, mut each: Vec<f64>) -> Self {
        let seconds = start.elapsed().as_secs_f64();
        each.sort_by(f64::total_cmp);
        let percentile = |of: usize| each.get((each.len() * of / 100).min(each.len().max(1) - 1));
        Ran { seconds, p50: percentile(50).copied(), p99: percentile(99).copied() }
    }
}

/// What a copying program reads at a time.
const BUFFER_BYTES: u64 = MIB;

const SMALL_FILES: u64 = 200;
const SMALL_BYTES: u64 = 20 * KIB;
const MIDDLE_FILES: u64 = 20;
const LISTED: u64 = 2000;
const RANDOM_READS: u64 = 200;
const RANDOM_BYTES: u64 = 64 * KIB;
const SLICES: u64 = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Order,
    Long,
    Random,
    Small,
    Middle,
    List,
    Second,
    First,
    Slices,
    Skip,
    FioOrder,
    FioOrderFour,
    FioRandom,
    FioRandomFour,
}

impl Work {
    pub(crate) const ALL: [Work; 14] = [
        Work::Order,
        Work::Long,
        Work::Random,
        Work::Small,
        Work::Middle,
        Work::List,
        Work::Second,
        Work::First,
        Work::Slices,
        Work::Skip,
        Work::FioOrder,
        Work::FioOrderFour,
        Work::FioRandom,
        Work::FioRandomFour,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Work::Order => "order",
            Work::Long => "long",
            Work::Random => "random",
            Work::Small => "small",
            Work::Middle => "middle",
            Work::List => "list",
            Work::Second => "second",
            Work::First => "first",
            Work::Slices => "slices",
            Work::Skip => "skip",
            Work::FioOrder => "fio-order",
            Work::FioOrderFour => "fio-order-4",
            Work::FioRandom => "fio-random",
            Work::FioRandomFour => "fio-random-4",
        }
    }

    pub(crate) fn title(self) -> String {
        let mib = |bytes: u64| format!("{} MiB", bytes / MIB);
        match self {
            Work::Order => format!("{} in order", mib(whole().1)),
            Work::Long => format!("{} in order", mib(huge().1)),
            Work::Random => format!("200 random reads of 64 KiB in {}", mib(huge().1)),
            Work::Small => "200 files of 20 KiB".to_owned(),
            Work::Middle => format!("20 files of {} KiB, in no order", middle_bytes() / KIB),
            Work::List => "ls -l of 2,000 objects".to_owned(),
            Work::Second => format!("{} for the second time", mib(whole().1)),
            Work::First => format!("the first 64 KiB of {}", mib(huge().1)),
            Work::Slices => format!("{} by four readers, a quarter each", mib(whole().1)),
            Work::Skip => format!("{}: 4 MiB read, 1 MiB skipped", mib(long().1)),
            Work::FioOrder => format!("fio: {} in order", mib(fio_bytes())),
            Work::FioOrderFour => format!("fio: 4 x {} in order", mib(fio_bytes())),
            Work::FioRandom => format!("fio: 256 KiB at random in {}", mib(fio_bytes())),
            Work::FioRandomFour => format!("fio: 256 KiB at random in 4 x {}", mib(fio_bytes())),
        }
    }

    fn job(self) -> Option<Job> {
        let job = |is_random, threads| Some(Job { is_random, threads });
        match self {
            Work::FioOrder => job(false, 1),
            Work::FioOrderFour => job(false, FIO_FILES),
            Work::FioRandom => job(true, 1),
            Work::FioRandomFour => job(true, FIO_FILES),
            Work::Order | Work::Long | Work::Random | Work::Small | Work::Middle => None,
            Work::List | Work::Second | Work::First | Work::Slices | Work::Skip => None,
        }
    }

    /// Whether what it takes is installed.
    pub(crate) fn is_possible(self) -> bool {
        let is_there = || Command::new("fio").arg("--version").output().is_ok();
        self.job().is_none() || is_there()
    }

    pub(crate) fn from_name(name: &str) -> Result<Self> {
        Work::ALL.into_iter().find(|work| work.name() == name).ok_or_else(|| {
            let names = Work::ALL.map(Work::name).join(", ");
            format!("no work is called {name}: {names}").into()
        })
    }

    /// The bytes that the program gets, for works that are told in MB/s.
    pub(crate) fn bytes(self) -> Option<u64> {
        match self {
            Work::FioOrder | Work::FioOrderFour | Work::FioRandom | Work::FioRandomFour => {
                self.job().map(Job::bytes)
            }
            Work::Order | Work::Second | Work::Slices => Some(whole().1),
            Work::Long => Some(huge().1),
            Work::Middle => Some(MIDDLE_FILES * middle_bytes()),
            Work::Skip => Some(skip_runs().map(|(_, length)| length).sum()),
            Work::Random | Work::Small | Work::List | Work::First => None,
        }
    }

    pub(crate) fn has_first_read(self) -> bool {
        self == Work::Second
    }

    /// What comes before the clock starts.
    pub(crate) fn first_read(self, folder: &Path) -> Result<()> {
        let file = Checked::open(folder, whole())?;
        file.read_all(0, whole().1)
    }

    /// Does it; says how long that took.
    pub(crate) fn run(self, folder: &Path) -> Result<Ran> {
        if let Some(job) = self.job() {
            return job.run(folder);
        }
        let start = Instant::now();
        let mut each = Vec::new();
        match self {
            Work::Order | Work::Second => Checked::open(folder, whole())?.read_all(0, whole().1)?,
            Work::Long => Checked::open(folder, huge())?.read_all(0, huge().1)?,
            Work::Random => each = random(folder)?,
            Work::Middle => each = middle(folder)?,
            Work::Small => each = small(folder)?,
            Work::List => list(folder)?,
            Work::First => Checked::open(folder, huge())?.read(0, 64 * KIB, &mut Vec::new())?,
            Work::Slices => slices(folder)?,
            Work::Skip => {
                let file = Checked::open(folder, long())?;
                for (start, length) in skip_runs() {
                    file.read_all(start, length)?;
                }
            }
            Work::FioOrder | Work::FioOrderFour | Work::FioRandom | Work::FioRandomFour => {}
        }
        Ok(Ran::of(start, each))
    }
}

/// Fills the bucket. The large objects are computed when they are read.
pub(crate) fn prepare(server: &TestServer) {
    for (key, size, seed) in [whole(), long(), huge()] {
        server.put_pattern(BUCKET, key, size, seed);
    }
    for number in 0..FIO_FILES {
        server.put_pattern(BUCKET, &format!("{FIO_FILE}{number}"), fio_bytes(), 10 + number);
    }
    for number in 0..MIDDLE_FILES {
        let (key, size, seed) = middle_file(number);
        server.put_pattern(BUCKET, &key, size, seed);
    }
    let small = (0..SMALL_FILES)
        .map(|number| (format!("small/{number:04}"), pattern_bytes(100 + number, 0..SMALL_BYTES)));
    server.put_many(BUCKET, small);
    let listed = (0..LISTED)
        .map(|number| (format!("listed/{number:04}"), Bytes::from(vec![0; listed_bytes(number)])));
    server.put_many(BUCKET, listed);
}

/// Sizes that differ, so that a listing with the wrong ones is noticed.
fn listed_bytes(number: u64) -> usize {
    usize::try_from(number % 97).unwrap_or(0)
}

fn random(folder: &Path) -> Result<Vec<f64>> {
    let file = Checked::open(folder, huge())?;
    let mut each = Vec::new();
    let mut offsets = fastrand::Rng::with_seed(20_151_207);
    let mut buffer = Vec::new();
    for _ in 0..RANDOM_READS {
        let page = offsets.u64(0..(huge().1 - RANDOM_BYTES) / PAGE_BYTES);
        let begun = Instant::now();
        file.read(page * PAGE_BYTES, RANDOM_BYTES, &mut buffer)?;
        each.push(begun.elapsed().as_secs_f64());
    }
    Ok(each)
}

fn middle_bytes() -> u64 {
    sized(4)
}

fn middle_file(number: u64) -> (String, u64, u64) {
    (format!("middle/{number:04}"), middle_bytes(), 1000 + number)
}

/// Pictures, say, as somebody picks them.
fn middle(folder: &Path) -> Result<Vec<f64>> {
    let mut numbers: Vec<u64> = (0..MIDDLE_FILES).collect();
    fastrand::Rng::with_seed(20_151_207).shuffle(&mut numbers);
    let read = |number| {
        let begun = Instant::now();
        let (key, size, seed) = middle_file(number);
        Checked::open(folder, (&key, size, seed))?.read_all(0, size)?;
        Ok(begun.elapsed().as_secs_f64())
    };
    numbers.into_iter().map(read).collect()
}

fn small(folder: &Path) -> Result<Vec<f64>> {
    let mut each = Vec::new();
    for number in 0..SMALL_FILES {
        let begun = Instant::now();
        let bytes = fs::read(folder.join(format!("small/{number:04}")))?;
        if bytes.len() as u64 != SMALL_BYTES {
            return Err(format!("small file {number} has {} bytes", bytes.len()).into());
        }
        if let Some(at) = pattern_mismatch(100 + number, 0, &bytes) {
            return Err(format!("small file {number} is wrong at byte {at}").into());
        }
        each.push(begun.elapsed().as_secs_f64());
    }
    Ok(each)
}

fn list(folder: &Path) -> Result<()> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder.join("listed"))? {
        names.push(entry?.path());
    }
    names.sort();
    if names.len() as u64 != LISTED {
        return Err(format!("{} names were listed, not {LISTED}", names.len()).into());
    }
    for (number, path) in (0..).zip(&names) {
        let found = fs::symlink_metadata(path)?;
        black_box((found.mode(), found.mtime()));
        if found.len() != listed_bytes(number) as u64 {
            return Err(format!("{} has {} bytes", path.display(), found.len()).into());
        }
    }
    Ok(())
}

fn slices(folder: &Path) -> Result<()> {
    let length = whole().1 / SLICES;
    thread::scope(|scope| {
        let readers: Vec<_> = (0..SLICES)
            .map(|slice| {
                scope
                    .spawn(move || Checked::open(folder, whole())?.read_all(slice * length, length))
            })
            .collect();
        for reader in readers {
            reader.join().map_err(|_| "a reader panicked")??;
        }
        Ok(())
    })
}

/// The runs of the skip pattern: where each starts and how long it is.
fn skip_runs() -> impl Iterator<Item = (u64, u64)> {
    (0..long().1 / (5 * MIB)).map(|run| (run * 5 * MIB, 4 * MIB))
}

/// An open file whose every read is checked: wrong bytes are never fast.
struct Checked {
    file: File,
    seed: u64,
}

impl Checked {
    fn open(folder: &Path, (name, size, seed): (&str, u64, u64)) -> Result<Self> {
        let file = File::open(folder.join(name))?;
        let found = file.metadata()?.len();
        if found != size {
            return Err(format!("{name} has {found} bytes, not {size}").into());
        }
        Ok(Checked { file, seed })
    }

    fn read_all(&self, start: u64, length: u64) -> Result<()> {
        let mut buffer = Vec::new();
        let mut done = 0;
        while done < length {
            let part = BUFFER_BYTES.min(length - done);
            self.read(start + done, part, &mut buffer)?;
            done += part;
        }
        Ok(())
    }

    /// Reads a range; checks its first page and its last, since checking each
    /// would take longer than reading.
    fn read(&self, offset: u64, length: u64, buffer: &mut Vec<u8>) -> Result<()> {
        buffer.resize(usize::try_from(length)?, 0);
        self.file.read_exact_at(buffer, offset)?;
        let page = usize::try_from(PAGE_BYTES)?;
        let last = buffer.len().saturating_sub(page);
        for at in [0, last] {
            let bytes = buffer.get(at..buffer.len().min(at + page)).unwrap_or_default();
            if let Some(wrong) = pattern_mismatch(self.seed, offset + at as u64, bytes) {
                return Err(format!("byte {wrong} is wrong").into());
            }
        }
        Ok(())
    }
}
