//! The tour: what a mounted bucket does, step by step, and what each step costs.
//!
//! Contract: a step reads through the mount alone, checks what it read against
//! what was put into the bucket, and states a limit on what it may cost; the
//! costs shown are the server's own counts. To add a step, add one to [`steps`].

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use md5::{Digest, Md5};

use crate::siblings;
use crate::support::B01_JP2;
use crate::support::bucket::hex;
use crate::support::pattern::pattern_mismatch;
use crate::support::server::{Counts, TestServer};
use crate::tree::{BIG_BYTES, BIG_KEY, BIG_SEED, TILE, strange_body, strange_keys};

/// What a tour walks through.
pub(crate) struct World<'a> {
    /// The server, for its counts.
    pub(crate) server: &'a TestServer,
    /// Where the bucket is mounted.
    pub(crate) root: &'a Path,
}

/// One thing to see.
pub(crate) struct Step {
    /// What is to be seen, in a sentence.
    pub(crate) title: &'static str,
    /// The shell line that does the same, from inside the mount.
    pub(crate) command: String,
    /// Does it; the text says what came of it, an error what is wrong.
    pub(crate) run: fn(&World<'_>) -> Result<String, String>,
    /// The most that it may cost.
    pub(crate) limit: Limit,
}

/// The most that a step may cost.
pub(crate) struct Limit {
    /// Requests of any kind.
    pub(crate) requests: u64,
    /// Bytes of objects.
    pub(crate) body_bytes: u64,
}

impl Limit {
    /// No request.
    pub(crate) const NOTHING: Limit = Limit { requests: 0, body_bytes: 0 };
}

/// Slices that the tour reads are this long: 1 MiB.
const SLICE_BYTES: u64 = 1 << 20;
/// Where the slice starts: in the middle of nowhere.
const SLICE_AT: u64 = 700 << 20;
/// How much of the big object is streamed: a quarter of it.
const STREAM_BYTES: u64 = BIG_BYTES / 4;
/// The names that GDAL looks for beside a JPEG 2000 file.
const SIDECARS: [&str; 14] = [
    "B01.jp2.aux.xml",
    "B01.aux",
    "B01.AUX",
    "B01.jp2.aux",
    "B01.jp2.AUX",
    "B01.jp2.ovr",
    "B01.jp2.OVR",
    "B01.jp2.msk",
    "B01.jp2.MSK",
    "B01.j2w",
    "B01.J2W",
    "B01.jp2w",
    "B01.wld",
    "B01.tab",
];

fn steps() -> Vec<Step> {
    let slice_at = SLICE_AT >> 20;
    let stream = STREAM_BYTES >> 20;
    let mut steps = vec![
        Step {
            title: "List a directory eight levels down: one request for each level, and no more",
            command: format!("ls -l {TILE}"),
            run: list_the_tile,
            limit: Limit { requests: 12, body_bytes: 0 },
        },
        Step {
            title: "Read an image: a path, no download, each byte fetched once",
            command: format!("md5sum {TILE}/B01.jp2"),
            run: read_the_band,
            limit: Limit { requests: 4, body_bytes: B01_JP2.len() as u64 },
        },
        Step {
            title: "Read it again: it is in memory, so S3 is not asked at all",
            command: format!("md5sum {TILE}/B01.jp2"),
            run: read_the_band,
            limit: Limit::NOTHING,
        },
        Step {
            title: "Look for fourteen files that do not exist, as GDAL does: the listing knows",
            command: format!("ls {TILE}/B01.jp2.aux.xml {TILE}/B01.jp2.ovr ..."),
            run: look_for_sidecars,
            limit: Limit::NOTHING,
        },
    ];
    steps.extend(siblings::steps());
    steps.extend([
        Step {
            title: "Read a slice from the middle of 1 GiB: only about that much is fetched",
            command: format!("dd if={BIG_KEY} bs=1M skip={slice_at} count=1 | md5sum"),
            run: read_a_slice,
            limit: Limit { requests: 12, body_bytes: 4 * SLICE_BYTES },
        },
        Step {
            title: "Stream a large file: in order, fetched ahead in parallel",
            command: format!("head -c {stream}M {BIG_KEY} > /dev/null"),
            run: stream_the_big_one,
            limit: Limit { requests: 60, body_bytes: STREAM_BYTES + (64 << 20) },
        },
        Step {
            title: "Ask what S3 knows of an object: extended attributes",
            command: format!("getfattr -d {TILE}/B04.jp2"),
            run: show_attributes,
            limit: Limit { requests: 2, body_bytes: 0 },
        },
        Step {
            title: "Keys that are awkward as file names: each one can be opened",
            command: "grep -rl 'I am' . --exclude-dir={tiles,products,mosaics}".to_owned(),
            run: find_strange_keys,
            limit: Limit { requests: 200, body_bytes: 1 << 20 },
        },
    ]);
    steps
}

/// Walks through all steps and prints them; says how many went wrong.
pub(crate) fn tour(world: &World<'_>) -> usize {
    println!("$ cd {}", world.root.display());
    let steps = steps();
    steps.iter().enumerate().filter(|(index, step)| !show(world, index + 1, step)).count()
}

/// Runs one step and prints it; says whether all was well.
fn show(world: &World<'_>, number: usize, step: &Step) -> bool {
    println!("\n{number}. {}", step.title);
    println!("   $ {}", step.command);
    world.server.wait_idle(Duration::from_secs(5));
    world.server.reset_counts();
    let start = Instant::now();
    let outcome = (step.run)(world);
    let seconds = start.elapsed().as_secs_f64();
    // What is fetched ahead belongs to the step that made it worth while.
    world.server.wait_idle(Duration::from_secs(5));
    let counts = world.server.counts();
    let outcome = outcome.and_then(|text| step.limit.hold(&counts).map(|()| text));
    let well = outcome.is_ok();
    match outcome {
        Ok(text) => text.lines().for_each(|line| println!("   {line}")),
        Err(problem) => println!("   WRONG: {problem}"),
    }
    println!("   took {}; cost {}", duration(seconds), cost(&counts));
    well
}

impl Limit {
    fn hold(&self, counts: &Counts) -> Result<(), String> {
        if counts.requests() > self.requests {
            return Err(format!("at most {} requests were to be sent", self.requests));
        }
        if counts.body_bytes > self.body_bytes {
            return Err(format!("at most {} were to be fetched", bytes(self.body_bytes)));
        }
        Ok(())
    }
}

/// What requests arrived at the server, in words.
pub(crate) fn cost(counts: &Counts) -> String {
    let kinds = [
        (counts.list, "LIST"),
        (counts.head + counts.head_bucket, "HEAD"),
        (counts.get, "GET"),
        (counts.put + counts.other, "other"),
    ];
    let sent = kinds.iter().filter(|(count, _)| *count > 0);
    let sent: Vec<String> = sent.map(|(count, kind)| format!("{count} {kind}")).collect();
    match (sent.is_empty(), counts.body_bytes) {
        (true, _) => "nothing: no request".to_owned(),
        (false, 0) => sent.join(", "),
        (false, fetched) => format!("{}, {} fetched", sent.join(", "), bytes(fetched)),
    }
}

fn list_the_tile(world: &World<'_>) -> Result<String, String> {
    let directory = world.root.join(TILE);
    let (mut names, mut total) = (BTreeSet::new(), 0);
    for entry in fs::read_dir(&directory).map_err(|e| told(&directory, &e))? {
        let entry = entry.map_err(|e| told(&directory, &e))?;
        let metadata = entry.metadata().map_err(|e| told(&entry.path(), &e))?;
        names.insert(entry.file_name());
        total += if metadata.is_file() { metadata.len() } else { 0 };
        let is_band = entry.path().extension().is_some_and(|extension| extension == "jp2");
        if is_band && metadata.len() != B01_JP2.len() as u64 {
            return Err(format!("{} has {} bytes", entry.path().display(), metadata.len()));
        }
    }
    if names.len() != 18 {
        return Err(format!("{} names instead of 18: {names:?}", names.len()));
    }
    Ok(format!("13 bands, 2 texts, 3 directories, {} in all", bytes(total)))
}

fn read_the_band(world: &World<'_>) -> Result<String, String> {
    let path = world.root.join(TILE).join("B01.jp2");
    let got = fs::read(&path).map_err(|e| told(&path, &e))?;
    if got != B01_JP2 {
        return Err(format!("{} is not what was put into the bucket", path.display()));
    }
    Ok(format!("{}  ({}, as it was put)", hex(&Md5::digest(&got)), bytes(got.len() as u64)))
}

fn look_for_sidecars(world: &World<'_>) -> Result<String, String> {
    for name in SIDECARS {
        let path = world.root.join(TILE).join(name);
        match fs::symlink_metadata(&path) {
            Ok(_) => return Err(format!("{} exists", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(told(&path, &error)),
        }
    }
    Ok("14 times: No such file or directory".to_owned())
}

fn read_a_slice(world: &World<'_>) -> Result<String, String> {
    let path = world.root.join(BIG_KEY);
    let file = File::open(&path).map_err(|e| told(&path, &e))?;
    let size = file.metadata().map_err(|e| told(&path, &e))?.len();
    if size != BIG_BYTES {
        return Err(format!("{} has {size} bytes", path.display()));
    }
    let mut slice = vec![0; SLICE_BYTES as usize];
    file.read_exact_at(&mut slice, SLICE_AT).map_err(|e| told(&path, &e))?;
    check(&slice, SLICE_AT)?;
    Ok(format!("{}  ({}, the right ones)", hex(&Md5::digest(&slice)), bytes(SLICE_BYTES)))
}

fn stream_the_big_one(world: &World<'_>) -> Result<String, String> {
    let path = world.root.join(BIG_KEY);
    let mut file = File::open(&path).map_err(|e| told(&path, &e))?;
    let mut buffer = vec![0; SLICE_BYTES as usize];
    let (mut at, mut reading) = (0, Duration::ZERO);
    while at < STREAM_BYTES {
        let start = Instant::now();
        file.read_exact(&mut buffer).map_err(|e| told(&path, &e))?;
        reading += start.elapsed();
        check(&buffer, at)?;
        at += buffer.len() as u64;
    }
    let rate = STREAM_BYTES as f64 / 1e6 / reading.as_secs_f64();
    Ok(format!("{}, all of them right, {rate:.0} MB/s", bytes(STREAM_BYTES)))
}

fn show_attributes(world: &World<'_>) -> Result<String, String> {
    let path = world.root.join(TILE).join("B04.jp2");
    let expected = [
        ("user.s3.key", format!("{TILE}/B04.jp2")),
        ("user.s3.etag", format!("\"{}\"", hex(&Md5::digest(B01_JP2)))),
        ("user.s3.content-type", "image/jp2".to_owned()),
        ("user.s3.meta.resolution", "60".to_owned()),
    ];
    let mut lines = Vec::new();
    for (name, wanted) in expected {
        let mut value = vec![0; 1024];
        let length = rustix::fs::getxattr(&path, name, &mut value[..])
            .map_err(|error| format!("{name}: {error}"))?;
        let value = String::from_utf8_lossy(&value[..length]).into_owned();
        if value.trim_matches('"') != wanted.trim_matches('"') {
            return Err(format!("{name} is {value} instead of {wanted}"));
        }
        lines.push(format!("{name}={value}"));
    }
    Ok(lines.join("\n"))
}

fn find_strange_keys(world: &World<'_>) -> Result<String, String> {
    let mut found = BTreeMap::new();
    let mut directories = vec![world.root.to_owned()];
    while let Some(directory) = directories.pop() {
        for path in children(&directory)? {
            let metadata = fs::symlink_metadata(&path).map_err(|e| told(&path, &e))?;
            let is_ordinary =
                ["tiles", "products", "mosaics"].iter().any(|top| path.ends_with(top));
            if metadata.is_dir() && !is_ordinary {
                directories.push(path);
            } else if metadata.is_file() {
                let body = fs::read_to_string(&path).map_err(|e| told(&path, &e))?;
                if body.starts_with("I am") && found.insert(body, path.clone()).is_some() {
                    return Err(format!("{} is there under two names", path.display()));
                }
            }
        }
    }
    let mut lines = vec![format!("{:40}  name in the mount", "key")];
    for key in strange_keys() {
        let path = found.get(&strange_body(&key)).ok_or_else(|| format!("{key:?} is nowhere"))?;
        let name = path.strip_prefix(world.root).unwrap_or(path).to_string_lossy();
        let shown = if name == key { "the same".to_owned() } else { on_a_line(&name) };
        lines.push(format!("{:40}  {shown}", on_a_line(&key)));
    }
    Ok(lines.join("\n"))
}

/// A key or a name so that it fits on a line.
fn on_a_line(text: &str) -> String {
    let text = text.escape_debug().to_string();
    let count = text.chars().count();
    if count <= 40 {
        return text;
    }
    let head: String = text.chars().take(22).collect();
    let tail: String = text.chars().skip(count - 13).collect();
    format!("{head} ... {tail}")
}

fn children(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(directory).map_err(|e| told(directory, &e))?;
    entries.map(|entry| Ok(entry.map_err(|e| told(directory, &e))?.path())).collect()
}

/// Compares bytes of the big object with what they have to be.
fn check(got: &[u8], at: u64) -> Result<(), String> {
    match pattern_mismatch(BIG_SEED, at, got) {
        Some(offset) => Err(format!("{BIG_KEY} is wrong at byte {offset}")),
        None => Ok(()),
    }
}

/// An error of the system, with the path.
pub(crate) fn told(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

fn duration(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.1} ms", seconds * 1e3) } else { format!("{seconds:.2} s") }
}

/// A number of bytes as people write it.
pub(crate) fn bytes(count: u64) -> String {
    match count {
        0..10_000 => format!("{count} bytes"),
        10_000..1_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        _ => format!("{:.1} MB", count as f64 / 1e6),
    }
}
