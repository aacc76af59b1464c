//! Four works on a JPEG 2000 band, by a program that nobody changed, through each path that
//! s3mem has for it and through every other mount that is found.
//!
//! ```text
//! python3 benches/views/make_scene.py /tmp/scene       a band of 10980 x 10980, once
//! cargo bench --bench jp2 -- /tmp/scene                B04.jp2 and B04_TLM.jp2 in it
//! cargo bench --bench jp2 -- /tmp/scene --rounds 3 --svg docs/jpeg2000.svg
//! ```
//!
//! The program is rasterio (`pip install rasterio` for the `python3` on the PATH, or for the one
//! that S3MEM_TEST_PYTHON names). Each work is done on a fresh mount, so nothing is known of the
//! file, except where a row says "again": then the header was read before, by another program.
//! Seconds are medians. The server waits 0 or 30 ms before it answers, and either sends as fast
//! as it can or 80 MB/s on a connection and 100 MB/s in all.

#[expect(dead_code, reason = "the other benchmarks use more of it")]
#[path = "../peers/daemons.rs"]
mod daemons;
#[expect(dead_code, unused_imports, reason = "the integration tests use more of it")]
#[path = "../../tests/support/mod.rs"]
mod support;
mod svg;
mod works {
    //! What the daemons mount.

    pub(crate) const BUCKET: &str = "scene";
}

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use self::daemons::{Access, Daemon, Mounted};
use self::support::server::{ACCESS_KEY, Bandwidth, REGION, SECRET_KEY, TestServer};
use self::works::BUCKET;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// What is fetched ahead may still arrive after the last read; it counts too.
const SETTLE_LIMIT: Duration = Duration::from_secs(10);
const WORKS: [&str; 4] = ["header", "crop", "overview", "whole"];

/// Which file, through which path.
#[derive(Debug, Clone, Copy)]
struct Subject {
    name: &'static str,
    through: Through,
    /// The key of the object, and what is behind it in the path.
    key: &'static str,
    ending: &'static str,
    /// Whether the file was opened before.
    again: bool,
    /// The one work that it is for, if not for all.
    only: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Through {
    Mount(Daemon),
    /// GDAL by itself.
    Vsis3,
}

const OLD: &str = "B04.jp2";
const NEW: &str = "B04_TLM.jp2";
const COG: &str = "B04.tif";

fn subjects() -> Vec<Subject> {
    let of = |name, through, key, ending| Subject {
        name,
        through,
        key,
        ending,
        again: false,
        only: None,
    };
    let s3mem = Through::Mount(Daemon::S3mem);
    let mut all = vec![
        of("s3mem, B04.jp2", s3mem, OLD, ""),
        of("s3mem, B04.jp2.indexed.jp2", s3mem, OLD, ".indexed.jp2"),
        Subject { again: true, ..of("the same, again", s3mem, OLD, ".indexed.jp2") },
        of("s3mem, B04.jp2.tif", s3mem, OLD, ".tif"),
        Subject { again: true, ..of("the same, again", s3mem, OLD, ".tif") },
        Subject { only: Some("overview"), ..of("s3mem, B04.jp2.r16.j2k", s3mem, OLD, ".r16.j2k") },
        of("s3mem, B04.jp2 with TLM", s3mem, NEW, ""),
        of("s3mem, B04.jp2.tif with TLM", s3mem, NEW, ".tif"),
        of("s3mem, a COG", s3mem, COG, ""),
    ];
    for daemon in Daemon::ALL {
        if daemon != Daemon::S3mem && daemon.is_installed() {
            all.push(of(daemon.name(), Through::Mount(daemon), OLD, ""));
        }
    }
    all.push(of("GDAL's /vsis3/", Through::Vsis3, OLD, ""));
    all.push(of("GDAL's /vsis3/ with TLM", Through::Vsis3, NEW, ""));
    all.push(of("GDAL's /vsis3/, a COG", Through::Vsis3, COG, ""));
    all
}

/// What one work took.
#[derive(Debug, Clone, Copy)]
struct Taken {
    seconds: f64,
    gets: u64,
    bytes: u64,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("jp2: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Arguments {
    scene: PathBuf,
    rounds: usize,
    svg: Option<PathBuf>,
    /// Only works and subjects whose names contain one of these.
    works: Vec<String>,
    conditions: Vec<(u64, bool)>,
}

fn arguments() -> Result<Arguments> {
    let (mut scene, mut rounds, mut svg, mut works) = (None, 1, None, Vec::new());
    let mut conditions = vec![(30, true), (30, false), (0, true), (0, false)];
    let mut words = env::args().skip(1).filter(|word| word != "--bench");
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--rounds" => rounds = value()?.parse()?,
            "--svg" => svg = Some(value()?.into()),
            "--work" => works.push(value()?),
            "--capped" => conditions = vec![(value()?.parse()?, true)],
            path => scene = Some(PathBuf::from(path)),
        }
    }
    let scene = scene.ok_or("give the folder of a scene; benches/views/make_scene.py makes one")?;
    Ok(Arguments { scene, rounds, svg, works, conditions })
}

fn run() -> Result<()> {
    let arguments = arguments()?;
    let server = TestServer::start();
    server.create_bucket(BUCKET);
    let cog = arguments.scene.join(COG);
    if !cog.exists() {
        let old = arguments.scene.join(OLD);
        python(&server, &["cog".as_ref(), old.as_os_str(), cog.as_os_str()])?;
    }
    for key in [OLD, NEW, COG] {
        let bytes = fs::read(arguments.scene.join(key))?;
        println!("{key}: {:.1} MB", bytes.len() as f64 / 1e6);
        server.put(BUCKET, key, bytes);
    }
    for daemon in Daemon::ALL {
        println!("{}", daemon.describe());
    }
    let mut drawn = Vec::new();
    for (delay, is_capped) in arguments.conditions.clone() {
        server.set_delay(Duration::from_millis(delay));
        server.set_bandwidth(match is_capped {
            true => Bandwidth { per_connection: Some(80_000_000), total: Some(100_000_000) },
            false => Bandwidth::default(),
        });
        let speed = if is_capped { "80 MB/s a connection, 100 MB/s in all" } else { "no cap" };
        println!("\n{delay} ms a request, {speed}: seconds, GETs, MB");
        print!("{:<30}", "");
        WORKS.iter().for_each(|work| print!(" {work:>20}"));
        println!();
        for subject in subjects() {
            print!("{:<30}", subject.name);
            for work in WORKS {
                let is_wanted =
                    arguments.works.is_empty() || arguments.works.iter().any(|name| name == work);
                if !is_wanted || subject.only.is_some_and(|only| only != work) {
                    print!(" {:>20}", "");
                    continue;
                }
                let taken = median(&server, subject, work, arguments.rounds)?;
                print!(" {:>8.2} {:>4} {:>6.2}", taken.seconds, taken.gets, mb(taken.bytes));
                if (delay, is_capped) == (30, true) {
                    drawn.push((work, subject.name, subject.again, taken.seconds, taken.bytes));
                }
            }
            println!();
        }
    }
    if let Some(path) = arguments.svg {
        fs::write(path, svg::draw(&drawn))?;
    }
    Ok(())
}

fn median(server: &TestServer, subject: Subject, work: &str, rounds: usize) -> Result<Taken> {
    let mut all = Vec::new();
    for _ in 0..rounds.max(1) {
        all.push(once(server, subject, work)?);
    }
    all.sort_by(|one, other| one.seconds.total_cmp(&other.seconds));
    all.get(all.len() / 2).copied().ok_or_else(|| "there were no rounds".into())
}

fn once(server: &TestServer, subject: Subject, work: &str) -> Result<Taken> {
    let name = format!("{}{}", subject.key, subject.ending);
    let (mounted, path) = match subject.through {
        Through::Vsis3 => (None, PathBuf::from(format!("/vsis3/{BUCKET}/{name}"))),
        Through::Mount(daemon) => {
            let mounted = Mounted::start(daemon, &server.endpoint(), Access::Read)?;
            let path = mounted.folder().join(&name);
            // The listing is not part of the work.
            fs::metadata(mounted.folder().join(subject.key))?;
            (Some(mounted), path)
        }
    };
    if subject.again {
        // Another part of it was read before.
        python(server, &["overview".as_ref(), path.as_os_str()])?;
        forget_pages(&path)?;
    }
    server.wait_idle(SETTLE_LIMIT);
    server.reset_counts();
    let seconds = python(server, &[work.as_ref(), path.as_os_str()])?.trim().parse()?;
    server.wait_idle(SETTLE_LIMIT);
    let counts = server.counts();
    if let Some(mounted) = mounted {
        mounted.end()?;
    }
    Ok(Taken { seconds, gets: counts.get, bytes: counts.body_bytes })
}

/// What read.py prints.
fn python(server: &TestServer, arguments: &[&std::ffi::OsStr]) -> Result<String> {
    let python = env::var_os("S3MEM_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let endpoint = server.endpoint();
    let output = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/jp2/read.py"))
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
        return Err(told.lines().last().unwrap_or("read.py failed").to_owned().into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Makes the kernel drop what it has of a file.
fn forget_pages(path: &Path) -> Result<()> {
    let file = fs::File::open(path)?;
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    Ok(())
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
