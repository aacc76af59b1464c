//! What is written is on no disk: strace says which files the daemon opens to write.
//!
//! A file that nobody opens for writing gets no bytes, whichever call would write them;
//! so what counts is the calls that open.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use tempfile::TempDir;

use super::*;
use crate::harness::missing::{missing, not_run};
use crate::harness::mounting::PROGRAM;

/// More than one part, so that what is begun is written down too.
const SIZE: usize = 40 << 20;
/// The log, and the list of what is being sent, which is in /run.
const NOTES_BYTES: u64 = 64 << 10;
/// A file in memory that has no name, as strace shows it: in a tmpfs, and a memfd.
const IN_MEMORY: [&str; 2] = ["/#", "/memfd:"];

#[test]
fn the_daemon_writes_to_its_log_alone_while_a_program_saves() {
    for flags in [["--writes", "memory"], ["--writes", "upload"]] {
        let Some(server) = server() else { return };
        if !can_trace() {
            return;
        }
        let folder = TempDir::new().unwrap();
        let program = folder.path().join("s3mem");
        let script = format!("#!/bin/sh\nexec {} '{PROGRAM}' \"$@\"\n", strace(folder.path()));
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let mounting = Mounting::of(&server, BUCKET).with(["--memory", "256M"]).with(flags);
        let mount = mounting.by(&program).in_foreground().ended_by(Path::new(PROGRAM));
        let bytes = noise(7, SIZE);
        save(&mount.path().join("result.bin"), &bytes).unwrap();
        assert!(fs::read(mount.path().join("result.bin")).unwrap() == bytes);
        mount.end();

        let seen = Seen::below(folder.path());
        assert!(seen.in_memory > 0, "{flags:?}: no file in memory was made: {seen:?}");
        let (notes, others): (Vec<_>, Vec<_>) = seen.opened.iter().partition(|path| is_note(path));
        assert!(others.is_empty(), "{flags:?}: the daemon opened {others:?} to write");
        assert!(!notes.is_empty(), "{flags:?}: strace did not see that the log was opened");
        let on_disk = |path: &str| path.starts_with('/') && !path.starts_with("/dev/");
        let is_memory = |path: &str| IN_MEMORY.iter().any(|start| path.starts_with(start));
        let count = |wanted: &dyn Fn(&str) -> bool| -> u64 {
            seen.written.iter().filter(|(path, _)| wanted(path)).map(|(_, bytes)| bytes).sum()
        };
        let to_files = count(&|path| on_disk(path) && !is_memory(path));
        assert!(to_files <= NOTES_BYTES, "{flags:?}: {:?}", seen.written);
        if flags.contains(&"upload") {
            // All of it goes through the daemon here, and so strace sees it.
            assert_eq!(count(&is_memory), SIZE as u64, "{:?}", seen.written);
        }
    }
}

#[test]
fn what_is_written_to_a_disk_is_noticed() {
    if !can_trace() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    let command = format!("{} dd if=/dev/zero bs=1000 count=3 of=file", strace(folder.path()));
    let told = Command::new("sh").args(["-c", &command]).current_dir(folder.path()).output();
    assert!(told.unwrap().status.success());
    let seen = Seen::below(folder.path());
    assert_eq!(seen.opened, BTreeSet::from([file.to_str().unwrap().to_owned()]));
    assert_eq!(seen.written.get(file.to_str().unwrap()), Some(&3000));
}

fn is_note(path: &str) -> bool {
    let path = Path::new(path);
    path.ends_with("log") || path.starts_with("/run/s3mem") && !path.is_dir()
}

/// Whether strace is here and may look at a program; noted if not.
fn can_trace() -> bool {
    match Command::new("strace").args(["-o", "/dev/null", "true"]).output() {
        Ok(told) if told.status.success() => return true,
        Ok(told) => not_run(&format!("because {}", String::from_utf8_lossy(&told.stderr).trim())),
        Err(_) => missing("S3MEM_REQUIRE_PROGRAMS", "because strace is not installed"),
    }
    false
}

/// The words that have strace write what each thread opens and writes into a folder.
fn strace(folder: &Path) -> String {
    let calls = "open,openat,openat2,creat,fsmount,memfd_create,\
                 write,pwrite64,writev,pwritev,pwritev2";
    format!("strace -ff -y -qq -s 0 -e trace={calls} -o '{}/trace'", folder.display())
}

/// What a program was seen to do.
#[derive(Debug, Default)]
struct Seen {
    /// Files with a name that were opened or made to be written, but for devices.
    opened: BTreeSet<String>,
    /// How many files without a name were made in memory.
    in_memory: u64,
    /// How many bytes were written to what.
    written: BTreeMap<String, u64>,
}

impl Seen {
    fn below(folder: &Path) -> Self {
        let mut text = String::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().to_str().unwrap().starts_with("trace.") {
                text += &fs::read_to_string(path).unwrap();
            }
        }
        // A tmpfs that is mounted nowhere is known by its descriptor alone.
        let of_fsmount = |line: &str| {
            let outcome = line.strip_prefix("fsmount(")?.rsplit_once(" = ")?.1;
            outcome.split_once('<').map(|(number, _)| format!("openat({number}<"))
        };
        let homes: Vec<String> = text.lines().filter_map(of_fsmount).collect();
        let mut seen = Seen::default();
        for line in text.lines() {
            let Some((call, outcome)) = line.rsplit_once(" = ") else { continue };
            let Some((name, rest)) = call.split_once('(') else { continue };
            let is_open = ["open", "openat", "openat2", "creat"].contains(&name);
            if outcome.starts_with("-1") {
                continue;
            } else if name == "memfd_create" || homes.iter().any(|home| line.starts_with(home)) {
                seen.in_memory += 1;
            } else if is_open && (name == "creat" || !call.contains("O_RDONLY")) {
                let path = between(outcome).to_owned();
                if !path.starts_with("/dev/") {
                    seen.opened.insert(path);
                }
            } else if name.contains("write") {
                let bytes: u64 = outcome.split(' ').next().unwrap().parse().unwrap();
                *seen.written.entry(between(rest).to_owned()).or_default() += bytes;
            }
        }
        seen
    }
}

/// What strace says that a descriptor is: `5</a/path>`.
fn between(descriptor: &str) -> &str {
    let rest = descriptor.split_once('<').unwrap().1;
    rest.split_once('>').unwrap().0
}
