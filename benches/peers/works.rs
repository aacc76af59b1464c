//! The works: what a program does on the mount, timed and checked.

use std::fs::{self, File};
use std::hint::black_box;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::thread;
use std::time::Instant;

use bytes::Bytes;

use crate::Result;
use crate::support::pattern::{PAGE_BYTES, pattern_bytes, pattern_mismatch};
use crate::support::server::TestServer;

pub(crate) const BUCKET: &str = "peers";

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

const WHOLE: (&str, u64, u64) = ("whole.bin", 256 * MIB, 1);
const LONG: (&str, u64, u64) = ("long.bin", 1024 * MIB, 2);
const HUGE: (&str, u64, u64) = ("huge.bin", 2048 * MIB, 3);

/// What a copying program reads at a time.
const BUFFER_BYTES: u64 = MIB;

const SMALL_FILES: u64 = 200;
const SMALL_BYTES: u64 = 20 * KIB;
const LISTED: u64 = 2000;
const RANDOM_READS: u64 = 200;
const RANDOM_BYTES: u64 = 64 * KIB;
const SLICES: u64 = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Order,
    Random,
    Small,
    List,
    Second,
    First,
    Slices,
    Skip,
}

impl Work {
    pub(crate) const ALL: [Work; 8] = [
        Work::Order,
        Work::Random,
        Work::Small,
        Work::List,
        Work::Second,
        Work::First,
        Work::Slices,
        Work::Skip,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Work::Order => "order",
            Work::Random => "random",
            Work::Small => "small",
            Work::List => "list",
            Work::Second => "second",
            Work::First => "first",
            Work::Slices => "slices",
            Work::Skip => "skip",
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Work::Order => "256 MiB in order",
            Work::Random => "200 random reads of 64 KiB in 2 GiB",
            Work::Small => "200 files of 20 KiB",
            Work::List => "ls -l of 2,000 objects",
            Work::Second => "256 MiB for the second time",
            Work::First => "the first 64 KiB of 2 GiB",
            Work::Slices => "256 MiB by four readers, a quarter each",
            Work::Skip => "1 GiB: 4 MiB read, 1 MiB skipped",
        }
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
            Work::Order | Work::Second | Work::Slices => Some(WHOLE.1),
            Work::Skip => Some(skip_runs().map(|(_, length)| length).sum()),
            Work::Random | Work::Small | Work::List | Work::First => None,
        }
    }

    pub(crate) fn has_first_read(self) -> bool {
        self == Work::Second
    }

    /// What comes before the clock starts.
    pub(crate) fn first_read(self, folder: &Path) -> Result<()> {
        let file = Checked::open(folder, WHOLE)?;
        file.read_all(0, WHOLE.1)
    }

    /// Does it; says how many seconds it took.
    pub(crate) fn run(self, folder: &Path) -> Result<f64> {
        let start = Instant::now();
        match self {
            Work::Order | Work::Second => Checked::open(folder, WHOLE)?.read_all(0, WHOLE.1)?,
            Work::Random => random(folder)?,
            Work::Small => small(folder)?,
            Work::List => list(folder)?,
            Work::First => Checked::open(folder, HUGE)?.read(0, 64 * KIB, &mut Vec::new())?,
            Work::Slices => slices(folder)?,
            Work::Skip => {
                let file = Checked::open(folder, LONG)?;
                for (start, length) in skip_runs() {
                    file.read_all(start, length)?;
                }
            }
        }
        Ok(start.elapsed().as_secs_f64())
    }
}

/// Fills the bucket. The large objects are computed when they are read.
pub(crate) fn prepare(server: &TestServer) {
    for (key, size, seed) in [WHOLE, LONG, HUGE] {
        server.put_pattern(BUCKET, key, size, seed);
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

fn random(folder: &Path) -> Result<()> {
    let file = Checked::open(folder, HUGE)?;
    let mut offsets = fastrand::Rng::with_seed(20_151_207);
    let mut buffer = Vec::new();
    for _ in 0..RANDOM_READS {
        let page = offsets.u64(0..(HUGE.1 - RANDOM_BYTES) / PAGE_BYTES);
        file.read(page * PAGE_BYTES, RANDOM_BYTES, &mut buffer)?;
    }
    Ok(())
}

fn small(folder: &Path) -> Result<()> {
    for number in 0..SMALL_FILES {
        let bytes = fs::read(folder.join(format!("small/{number:04}")))?;
        if bytes.len() as u64 != SMALL_BYTES {
            return Err(format!("small file {number} has {} bytes", bytes.len()).into());
        }
        if let Some(at) = pattern_mismatch(100 + number, 0, &bytes) {
            return Err(format!("small file {number} is wrong at byte {at}").into());
        }
    }
    Ok(())
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
    let length = WHOLE.1 / SLICES;
    thread::scope(|scope| {
        let readers: Vec<_> = (0..SLICES)
            .map(|slice| {
                scope.spawn(move || Checked::open(folder, WHOLE)?.read_all(slice * length, length))
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
    (0..LONG.1 / (5 * MIB)).map(|run| (run * 5 * MIB, 4 * MIB))
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
