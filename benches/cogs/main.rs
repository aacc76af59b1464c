//! The siblings of a large COG beside GDAL: on the mount's plain path, and by itself on its
//! `/vsis3/`, which is its `/vsicurl/` with signatures.
//!
//! ```text
//! cargo bench --bench cogs                          a COG of 2 GB, JPEG, made on the fly
//! cargo bench --bench cogs -- --mb 500 --kind zstd --delay 0
//! ```
//!
//! Python with numpy, imagecodecs and rasterio is the `python3` on the PATH, or the one that
//! S3MEM_TEST_PYTHON names. Each work is done on a fresh mount, at 30 ms for each request
//! unless told otherwise. The server runs in this process and shares the processors with the
//! daemon. Peaks are of resident memory: of the daemon and its decoders together, looked at
//! every 20 ms.

#[expect(dead_code, clippy::unwrap_used, reason = "the integration tests use more of it")]
#[path = "../../tests/support/harness/mounting.rs"]
mod mounting;
#[expect(dead_code, unused_imports, reason = "the integration tests use more of it")]
#[path = "../../tests/support/mod.rs"]
mod support;

use std::env;
use std::error::Error;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tempfile::TempDir;

use self::mounting::{Mount, Mounting};
use self::support::server::{ACCESS_KEY, REGION, SECRET_KEY, TestServer};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const BUCKET: &str = "scene";
const MIB: u64 = 1 << 20;
/// What is fetched ahead may still arrive after the last read; it counts too.
const SETTLE_LIMIT: Duration = Duration::from_secs(5);
/// How much of a PNG is read, in order.
const PNG_BYTES: u64 = 256 * MIB;
const PREVIEWS: usize = 20;

struct Arguments {
    megabytes: f64,
    kind: String,
    delay: u64,
}

fn main() -> ExitCode {
    match arguments().and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cogs: {error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<Arguments> {
    let mut arguments = Arguments { megabytes: 2000.0, kind: "jpeg".to_owned(), delay: 30 };
    let mut words = env::args().skip(1).filter(|word| word != "--bench");
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--mb" => arguments.megabytes = value.parse()?,
            "--kind" => arguments.kind = value,
            "--delay" => arguments.delay = value.parse()?,
            other => return Err(format!("{other} is not known: --mb, --kind, --delay").into()),
        }
    }
    Ok(arguments)
}

fn run(Arguments { megabytes, kind, delay }: Arguments) -> Result<()> {
    let folder = TempDir::new()?;
    let made = folder.path().join("cog.tif");
    let server = TestServer::start();
    let size = megabytes.to_string();
    python(&server, &["make".as_ref(), made.as_os_str(), size.as_ref(), kind.as_ref()])?;
    let file = Bytes::from(fs::read(&made)?);
    let bytes = file.len() as u64;
    drop(folder);
    server.create_bucket(BUCKET);
    for number in 0..PREVIEWS {
        server.put(BUCKET, &key(number), file.clone());
    }
    drop(file);
    server.set_delay(Duration::from_millis(delay));
    println!("{:.0} MB, {kind}, {delay} ms a request", bytes as f64 / 1e6);
    println!(
        "{:<44} {:>7} {:>5} {:>8} {:>9} {:>9}",
        "", "s", "GETs", "MB", "of object", "peak MiB"
    );
    let bench = Bench { server, bytes };
    bench.mounted("header (stat of X.npy)", |mount| {
        let started = Instant::now();
        fs::metadata(path(mount, 0, ".npy"))?;
        Ok(started.elapsed().as_secs_f64())
    })?;
    for (name, work, ending) in [
        ("512 x 512 of X.npy, numpy", "npy", ".npy"),
        ("512 x 512 of X.tif, GDAL", "window", ".tif"),
        ("512 x 512 of X itself, GDAL", "window", ""),
    ] {
        bench.mounted(name, |mount| timed(&bench.server, work, &path(mount, 0, ending)))?;
    }
    let vsis3 = PathBuf::from(format!("/vsis3/{BUCKET}/{}", key(0)));
    bench.alone("512 x 512, GDAL's /vsis3/", || timed(&bench.server, "window", &vsis3))?;
    bench.mounted("X.preview.png", |mount| read(&path(mount, 0, ".preview.png"), u64::MAX))?;
    bench.mounted("1024 x 1024 of X itself, GDAL", |mount| {
        timed(&bench.server, "overview", &path(mount, 0, ""))
    })?;
    bench.alone("1024 x 1024, GDAL's /vsis3/", || timed(&bench.server, "overview", &vsis3))?;
    bench
        .mounted("256 MiB of X.png, in order", |mount| read(&path(mount, 0, ".png"), PNG_BYTES))?;
    bench.mounted("256 MiB of X.tif, from its largest level", |mount| {
        let path = path(mount, 0, ".tif");
        let from = fs::metadata(&path)?.len().saturating_sub(PNG_BYTES);
        read_from(&path, from, PNG_BYTES)
    })?;
    bench.mounted("20 previews at once", |mount| {
        let started = Instant::now();
        thread::scope(|scope| {
            let all: Vec<_> = (0..PREVIEWS)
                .map(|number| path(mount, number, ".preview.png"))
                .map(|path| scope.spawn(move || read(&path, u64::MAX)))
                .collect();
            all.into_iter().try_for_each(|one| one.join().map_err(|_| "a reader broke")?.map(drop))
        })?;
        Ok(started.elapsed().as_secs_f64())
    })
}

struct Bench {
    server: TestServer,
    /// Of the COG.
    bytes: u64,
}

impl Bench {
    /// Does one work on a fresh mount, and prints what it took.
    fn mounted(&self, name: &str, job: impl FnOnce(&Mount) -> Result<f64>) -> Result<()> {
        let mount = Mounting::of(&self.server, BUCKET).in_foreground();
        // The listing is not part of the work.
        fs::metadata(path(&mount, 0, ""))?;
        let (done, peak) = (AtomicBool::new(false), AtomicU64::new(0));
        let outcome = thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    peak.fetch_max(resident_bytes(), Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(20));
                }
            });
            let outcome = self.counted(|| job(&mount));
            done.store(true, Ordering::Relaxed);
            outcome
        });
        mount.end();
        self.print(name, outcome?, Some(peak.into_inner()));
        Ok(())
    }

    /// Does one work without a mount.
    fn alone(&self, name: &str, job: impl FnOnce() -> Result<f64>) -> Result<()> {
        let taken = self.counted(job)?;
        self.print(name, taken, None);
        Ok(())
    }

    /// Seconds, GETs and bytes.
    fn counted(&self, job: impl FnOnce() -> Result<f64>) -> Result<(f64, u64, u64)> {
        self.server.wait_idle(SETTLE_LIMIT);
        self.server.reset_counts();
        let seconds = job()?;
        self.server.wait_idle(SETTLE_LIMIT);
        let counts = self.server.counts();
        Ok((seconds, counts.get, counts.body_bytes))
    }

    fn print(&self, name: &str, (seconds, gets, bytes): (f64, u64, u64), peak: Option<u64>) {
        let share = bytes as f64 / self.bytes as f64 * 100.0;
        let peak = peak.map_or(String::new(), |bytes| (bytes / MIB).to_string());
        let megabytes = bytes as f64 / 1e6;
        println!("{name:<44} {seconds:>7.2} {gets:>5} {megabytes:>8.2} {share:>8.3}% {peak:>9}");
    }
}

fn key(number: usize) -> String {
    format!("cog{number}.tif")
}

fn path(mount: &Mount, number: usize, ending: &str) -> PathBuf {
    mount.join(format!("{}{ending}", key(number)))
}

fn read(path: &Path, most: u64) -> Result<f64> {
    read_from(path, 0, most)
}

/// Reads so many bytes in order; seconds.
fn read_from(path: &Path, from: u64, most: u64) -> Result<f64> {
    use std::io::{Seek, SeekFrom};
    let started = Instant::now();
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let (mut file, mut buffer) = (file.take(most), vec![0; MIB as usize]);
    while file.read(&mut buffer)? > 0 {}
    Ok(started.elapsed().as_secs_f64())
}

fn timed(server: &TestServer, work: &str, path: &Path) -> Result<f64> {
    Ok(python(server, &[work.as_ref(), path.as_os_str()])?.trim().parse()?)
}

/// What cog.py prints.
fn python(server: &TestServer, arguments: &[&OsStr]) -> Result<String> {
    let python = env::var_os("S3MEM_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let endpoint = server.endpoint();
    let output = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/cogs/cog.py"))
        .args(arguments)
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .env("AWS_REGION", REGION)
        .env("AWS_S3_ENDPOINT", endpoint.trim_start_matches("http://"))
        .env("AWS_HTTPS", "NO")
        .env("AWS_VIRTUAL_HOSTING", "FALSE")
        .output()?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        return Err(told.lines().last().unwrap_or("cog.py failed").to_owned().into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What all s3mem processes that this one has started have resident, in bytes.
fn resident_bytes() -> u64 {
    let Ok(processes) = fs::read_dir("/proc") else { return 0 };
    let status = |process: fs::DirEntry| {
        let id: u32 = process.file_name().to_str()?.parse().ok()?;
        let text = fs::read_to_string(process.path().join("status")).ok()?;
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        let is_ours = text.starts_with("Name:\ts3mem");
        Some((id, field("PPid:")? as u32, is_ours.then(|| field("VmRSS:")).flatten()))
    };
    let all: Vec<_> = processes.flatten().filter_map(status).collect();
    let mut family = vec![std::process::id()];
    let mut bytes = 0;
    while let Some(parent) = family.pop() {
        for (id, _, resident) in all.iter().filter(|(_, of, _)| *of == parent) {
            if let Some(kib) = resident {
                bytes += kib * 1024;
                family.push(*id);
            }
        }
    }
    bytes
}
