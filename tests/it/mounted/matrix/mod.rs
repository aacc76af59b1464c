//! Every kind of fault in every place: what passes is survived with the right bytes, what lasts is
//! the documented error for that program alone, and afterwards all is well without a new mount.

mod kinds;
mod places;

use std::fs::OpenOptions;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex};

use super::*;
use crate::harness::shell::Shell;
use kinds::{Kind, kinds};
use places::{PLACES, Place};

/// A file that is sent in parts.
static PART_FILE: LazyLock<Vec<u8>> = LazyLock::new(|| noise(4, 18 << 20));
/// Whatever strikes, a program has its answer by then: `--request-timeout`, a few times over
/// where an operation takes several requests, and the time of a busy machine.
const ANSWERED: Duration = Duration::from_secs(60);
/// The most requests that one operation may send while all of them fail.
const REQUESTS: u64 = 200;
/// So many kinds are tried at a time.
const AT_ONCE: usize = 6;

/// One kind in one place.
struct Cell<'c> {
    server: &'c TestServer,
    mount: &'c Mount,
    prefix: String,
    /// For mounts of its own.
    shell: Shell,
    /// Whether the fault stays until somebody lifts it.
    lasts: bool,
}

impl Cell<'_> {
    fn folder(&self) -> PathBuf {
        self.mount.join(&self.prefix)
    }

    /// Fails unless the object has these bytes.
    fn has(&self, name: &str, bytes: &[u8]) {
        let object = self.server.get(BUCKET, &format!("{}/{name}", self.prefix));
        let there = object.map(|object| object.content.slice(0..object.content.size()).to_vec());
        assert!(there.as_deref() == Some(bytes), "the bucket has something else");
    }

    /// The objects of the folder, without the prefix.
    fn keys(&self) -> Vec<String> {
        let own = format!("{}/", self.prefix);
        let keys = self.server.keys(BUCKET);
        keys.iter().filter_map(|key| key.strip_prefix(&own)).map(str::to_owned).collect()
    }
}

/// Writes a file, closes it, and gives the error that a program sees.
fn save(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    file.write_all(bytes)?;
    nix::unistd::close(file).map_err(io::Error::from)
}

/// Bytes that look random, the same for the same seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as u8
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn every_fault_in_every_place_is_survived_or_is_the_error_of_that_program_alone() {
    if server().is_none() {
        return;
    }
    let all = kinds();
    let next = Mutex::new(all.iter());
    let rows = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let kind = next.lock().unwrap().next();
                    let Some(kind) = kind else { return };
                    let told = row(kind);
                    rows.lock().unwrap().extend(told);
                }
            });
        }
    });
    let rows = rows.into_inner().unwrap();
    let failed = rows.iter().filter(|(_, outcome)| outcome.is_err()).count();
    for (cell, outcome) in &rows {
        println!(
            "{cell}: {}",
            match outcome {
                Ok(what) => what,
                Err(why) => why.as_str(),
            }
        );
    }
    println!("{} passed, {failed} failed", rows.len() - failed);
    assert_eq!(failed, 0);
}

type Told = (String, Result<&'static str, String>);

/// One kind in all places, on a mount of its own.
fn row(kind: &Kind) -> Vec<Told> {
    let server = TestServer::start();
    server.create_bucket(BUCKET);
    let places: Vec<&Place> = PLACES.iter().filter(|place| kind.ops.contains(&place.op)).collect();
    for (number, place) in places.iter().enumerate() {
        (place.prepare)(&server, &format!("cell{number}"));
        server.put_pattern(BUCKET, &format!("beside{number}/file"), 1000, 9);
    }
    let flags = ["--writes", "upload", "--allow-overwrite", "--allow-delete"];
    let times = ["--request-timeout", "2", "--metadata-ttl", "3600"];
    let mounting = Mounting::of(&server, BUCKET).with(["--memory", "256M"]);
    let mount = mounting.with(flags).with(times).in_foreground();
    // The root is known, so only what is below it is asked for.
    assert_eq!(names(mount.path()).len(), 2 * places.len());
    let mut told = Vec::new();
    for (number, place) in places.into_iter().enumerate() {
        let prefix = format!("cell{number}");
        let (shell, lasts) = (Shell::on(&server), kind.errno.is_some());
        let cell = Cell { server: &server, mount: &mount, prefix, shell, lasts };
        let tried = catch_unwind(AssertUnwindSafe(|| tried(kind, place, &cell, number)));
        let outcome = tried.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            Err(text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned())
        });
        server.clear_faults();
        server.release();
        server.delete(BUCKET, &format!("{}/new", cell.prefix));
        told.push((format!("{}, {}", kind.name, place.name), outcome));
    }
    mount.end();
    told
}

/// Whether a cell holds: what came of it, or why not.
fn tried(
    kind: &Kind,
    place: &Place,
    cell: &Cell<'_>,
    number: usize,
) -> Result<&'static str, String> {
    let faults: Vec<_> = kind
        .faults(place.op, place.skip, &format!("{}/", cell.prefix))
        .into_iter()
        .map(|fault| cell.server.fault(fault))
        .collect();
    let begun = Instant::now();
    let outcome = (place.act)(cell);
    let took = begun.elapsed();
    let hits = cell.server.fault_hits(faults[0]);
    if hits == 0 {
        return Err("the fault struck nothing".into());
    }
    if took > ANSWERED || hits > REQUESTS {
        return Err(format!("{took:?} and {hits} requests until the answer"));
    }
    let beside = fs::read(cell.mount.join(format!("beside{number}/file")));
    assert_pattern(9, 0, &beside.map_err(|error| format!("another file: {error}"))?);
    match (kind.errno, outcome) {
        (None, Ok(())) => return Ok("survived"),
        (None, Err(error)) => return Err(format!("{error}, though the fault has passed")),
        (Some(errno), Err(error)) if error.raw_os_error() == Some(errno) => {}
        // A command says it in a sentence.
        (Some(_), Err(error)) if place.is_command && error.raw_os_error().is_none() => {}
        (Some(_), outcome) => return Err(format!("{outcome:?} while the fault lasts")),
    }
    cell.server.clear_faults();
    cell.server.release();
    let again = (place.act)(cell);
    again.map_err(|error| format!("{error}, though the fault is over"))?;
    Ok("its error, and well afterwards")
}
