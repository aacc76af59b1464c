//! The siblings of a full-size band, beside GDAL on a local copy of the same file.
//!
//! ```text
//! python3 benches/views/make_scene.py /tmp/scene       a band of 10980 x 10980, once
//! cargo bench --bench views -- /tmp/scene/B04_TLM.jp2 /tmp/scene/B04.jp2
//! cargo bench --bench views -- --delay 0 /tmp/scene/B04.jp2
//! ```
//!
//! Each work is done on a fresh mount, at 30 ms for each request unless told
//! otherwise. The server runs in this process and shares the processors with the
//! daemon; GDAL (from Debian's gdal-bin) has them for itself.

#[expect(dead_code, clippy::unwrap_used, reason = "the integration tests use more of it")]
#[path = "../../tests/support/harness/mounting.rs"]
mod mounting;
#[expect(dead_code, unused_imports, reason = "the integration tests use more of it")]
#[path = "../../tests/support/mod.rs"]
mod support;

use std::error::Error;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use self::mounting::{Mount, Mounting};
use self::support::server::TestServer;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const BUCKET: &str = "scene";
const KEY: &str = "band.jp2";
const MIB: u64 = 1 << 20;
/// What is fetched ahead may still arrive after the last read; it counts too.
const SETTLE_LIMIT: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("views: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: impl Iterator<Item = String>) -> Result<()> {
    let (mut delay, mut bands) = (30, Vec::new());
    let mut arguments = arguments.filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--delay" => delay = arguments.next().ok_or("--delay needs milliseconds")?.parse()?,
            path => bands.push(PathBuf::from(path)),
        }
    }
    if bands.is_empty() {
        return Err(
            "give the path of a JPEG 2000 file; benches/views/make_scene.py makes one".into()
        );
    }
    bands.iter().try_for_each(|band| compare(band, Duration::from_millis(delay)))
}

fn compare(band: &Path, delay: Duration) -> Result<()> {
    let bytes = fs::read(band)?;
    let size = bytes.len() as u64;
    println!("\n{} ({:.1} MB), {} ms a request", band.display(), mb(size), delay.as_millis());
    println!(
        "{:<38} {:>8} {:>6} {:>9} {:>9} {:>9}",
        "", "s", "GETs", "MB", "of object", "peak MiB"
    );
    let server = TestServer::start();
    server.create_bucket(BUCKET);
    server.put(BUCKET, KEY, bytes);
    server.set_delay(delay);
    for suffix in ["png", "preview.png", "npy", "tif", "json"] {
        work(&server, size, &format!("stat of .{suffix}"), |mount| {
            fs::metadata(sibling(mount, suffix))?;
            Ok(())
        })?;
    }
    work(&server, size, ".preview.png", |mount| whole(&sibling(mount, "preview.png")))?;
    work(&server, size, "the first MiB of .png", |mount| {
        let mut start = vec![0; MIB as usize];
        Ok(File::open(sibling(mount, "png"))?.read_exact(&mut start)?)
    })?;
    work(&server, size, ".png, all of it", |mount| whole(&sibling(mount, "png")))?;
    work(&server, size, ".npy, all of it", |mount| whole(&sibling(mount, "npy")))?;
    work(&server, size, "500 x 500 pixels of .tif (GDAL)", |mount| {
        gdal(&["-srcwin", "5000", "5000", "500", "500"], &sibling(mount, "tif"))
    })?;
    work(&server, size, "1/16 overview of .tif (GDAL)", |mount| {
        gdal(&["-outsize", "6.25%", "6.25%"], &sibling(mount, "tif"))
    })?;
    local("GDAL, all of a local copy", &[], band)?;
    local("GDAL, 1/16 of a local copy", &["-outsize", "6.25%", "6.25%"], band)?;
    Ok(())
}

/// Does one work on a fresh mount and prints what it took.
fn work(
    server: &TestServer,
    size: u64,
    name: &str,
    job: impl FnOnce(&Mount) -> Result<()>,
) -> Result<()> {
    let mount = Mounting::of(server, BUCKET).with(["--memory", "200M"]).in_foreground();
    // The listing is not part of the work.
    fs::metadata(mount.join(KEY))?;
    server.wait_idle(SETTLE_LIMIT);
    server.reset_counts();
    let before = children_seconds()?;
    let start = Instant::now();
    job(&mount)?;
    let seconds = start.elapsed().as_secs_f64();
    server.wait_idle(SETTLE_LIMIT);
    let counts = server.counts();
    let peak = mount.memory_bytes("VmHWM") / MIB;
    mount.end();
    println!(
        "{name:<34} {seconds:>8.3} {:>7.2} {:>6} {:>8.2} {:>8.2}% {peak:>9}",
        children_seconds()? - before,
        counts.get,
        mb(counts.body_bytes),
        counts.body_bytes as f64 / size as f64 * 100.0,
    );
    Ok(())
}

fn local(name: &str, options: &[&str], band: &Path) -> Result<()> {
    let before = children_seconds()?;
    let start = Instant::now();
    gdal(options, band)?;
    let seconds = start.elapsed().as_secs_f64();
    println!("{name:<34} {seconds:>8.3} {:>7.2}", children_seconds()? - before);
    Ok(())
}

/// Reads a file as GDAL does, with all processors, and writes it nowhere.
fn gdal(options: &[&str], path: &Path) -> Result<()> {
    let status = Command::new("gdal_translate")
        .args(["-q", "--config", "GDAL_NUM_THREADS", "ALL_CPUS", "-of", "ENVI"])
        .args(options)
        .arg(path)
        .arg("/vsimem/out")
        .status()
        .map_err(|error| format!("gdal_translate (Debian: gdal-bin): {error}"))?;
    if status.success() { Ok(()) } else { Err("gdal_translate failed".into()) }
}

/// Processor seconds of the programs that were started and have ended: of the
/// daemon of a work, and of GDAL where it reads.
fn children_seconds() -> Result<f64> {
    // proc(5): utime and stime of the children, in hundredths, are 16 and 17.
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, behind_name) = stat.rsplit_once(')').ok_or("/proc/self/stat has no name")?;
    let ticks = behind_name.split_whitespace().skip(13).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<std::result::Result<f64, _>>()? / 100.0)
}

fn sibling(mount: &Mount, suffix: &str) -> PathBuf {
    mount.join(format!("{KEY}.{suffix}"))
}

fn whole(path: &Path) -> Result<()> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; MIB as usize];
    while file.read(&mut buffer)? > 0 {}
    Ok(())
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
