//! What tests need and a machine may lack. A test that can't run says so past the
//! harness, which counts it as passed, and writes it into the file that
//! `S3MEM_TEST_NOT_RUN` names, from which `scripts/test.sh` tells how many there were.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Notes that the running test did not run. `why` ends the sentence "1 test was not
/// run ...": "because ...", or "on MinIO, because ..." where it ran on something else.
pub(crate) fn not_run(why: &str) {
    static NOTES: Mutex<Notes> = Mutex::new(Notes(BTreeMap::new()));
    let thread = thread::current();
    // With --test-threads=1 the tests run on the main thread.
    let test = thread.name().filter(|name| *name != "main").unwrap_or("a test");
    let mut notes = NOTES.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(count) = notes.add(test, why) else { return };
    say(&format!("NOT RUN: {test} {why} ({count} so far)"));
    if let Some(path) = env::var_os("S3MEM_TEST_NOT_RUN") {
        let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(format!("{}\n", one_line(why)).as_bytes()).unwrap();
    }
}

/// As [`not_run`]; where `variable` is 1, as in continuous integration, it is a failure.
pub(crate) fn missing(variable: &str, why: &str) {
    assert!(!required(variable), "{variable}=1, and a test is not run {why}");
    not_run(why);
}

/// The tests that were not run in this process, by the reason.
#[derive(Debug, Default)]
pub(crate) struct Notes(BTreeMap<String, Vec<String>>);

impl Notes {
    /// How many tests there are now with that reason; nothing if this one is known.
    pub(crate) fn add(&mut self, test: &str, why: &str) -> Option<usize> {
        let tests = self.0.entry(why.to_owned()).or_default();
        // Tests without a name are not told from each other: each counts.
        if test != "a test" && tests.iter().any(|known| known == test) {
            return None;
        }
        tests.push(test.to_owned());
        Some(tests.len())
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether anything can be mounted here; noted if not.
pub(crate) fn can_mount() -> bool {
    match File::options().read(true).write(true).open("/dev/fuse") {
        Ok(_) => true,
        // Closed to us by its mode, but fusermount3 opens it as root.
        Err(error) if error.raw_os_error() == Some(libc::EACCES) => true,
        Err(error) => {
            missing("S3MEM_REQUIRE_FUSE", &format!("because /dev/fuse can't be opened: {error}"));
            false
        }
    }
}

/// Whether the test may do what root may; noted if not.
pub(crate) fn has_root() -> bool {
    let is_root = is_root();
    if !is_root {
        not_run("because the tests do not run as root");
    }
    is_root
}

/// Whether the tests run as root.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Whether the machine has a file; noted if not.
pub(crate) fn has_file(path: &str) -> bool {
    let is_there = Path::new(path).exists();
    if !is_there {
        not_run(&format!("because {path} does not exist"));
    }
    is_there
}

/// Whether the machine has a program; noted if not.
pub(crate) fn has_program(name: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let is_there = env::split_paths(&path).any(|folder| folder.join(name).is_file());
    if !is_there {
        missing("S3MEM_REQUIRE_PROGRAMS", &format!("because {name} is not installed"));
    }
    is_there
}

fn required(variable: &str) -> bool {
    env::var_os(variable).is_some_and(|value| value == "1")
}

/// To the terminal, past the capture of the test harness.
pub(crate) fn say(sentence: &str) {
    let _ = writeln!(io::stderr(), "{sentence}");
}
