//! What the system allows a daemon, and what it does to it: limits of memory, threads and open
//! files, signals, a network that goes away, and two dozen mounts at once.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tempfile::TempDir;

use super::*;
use crate::harness::cgroup::Cgroup;
use crate::harness::gate::Gate;
use crate::harness::mounting::{PROGRAM, both};
use crate::harness::shell::{Shell, signal, wait_until};
use crate::harness::stopped::Stopped;
use crate::support::B01_JP2;
use crate::support::server::{ACCESS_KEY, Bandwidth, SECRET_KEY};

/// Nobody is to wait for a stopped daemon for longer, even if the test hangs.
const STOPPED_SECONDS: u32 = 15;
const UPLOAD: [&str; 4] = ["--writes", "upload", "--allow-overwrite", "--allow-delete"];

/// Writes a file, closes it, and gives the error that a program sees.
fn save(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    file.write_all(bytes)?;
    nix::unistd::close(file).map_err(io::Error::from)
}

/// What a writer writes into its file of this number.
fn written(writer: u64, number: u64) -> Vec<u8> {
    // Each eighth goes into the bucket in parts.
    let length = if number % 8 == 7 { 17 * MIB } else { 100_000 + number };
    let mut bytes = vec![(writer * 31 + number) as u8; length as usize];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes
}

/// Programs at work on a mount.
#[derive(Debug, Default)]
struct Load {
    is_over: AtomicBool,
    /// How many files writers have closed, and what is known of each: its name, and how to
    /// make its bytes.
    closed: Mutex<BTreeMap<String, (u64, u64)>>,
    reads: AtomicU64,
    /// How many readers and writers have ended with an error.
    failed: AtomicU64,
}

impl Load {
    /// Four writers in a directory, until it is over or the mount is gone.
    fn write(&self, folder: &Path, writer: u64) {
        for number in 0.. {
            let name = format!("{writer}-{number}");
            if self.is_over.load(Ordering::Relaxed) {
                return;
            }
            if save(&folder.join(&name), &written(writer, number)).is_err() {
                self.failed.fetch_add(1, Ordering::Relaxed);
                return;
            }
            self.closed.lock().unwrap().insert(name, (writer, number));
        }
    }

    /// Reads a file over and over; what is read is right, or an error, and then it ends.
    fn read(&self, path: &Path, seed: u64, size: u64) {
        let mut dice = Dice(seed + 1);
        while !self.is_over.load(Ordering::Relaxed) {
            let at = dice.below(size - 200_000);
            let Ok(bytes) = File::open(path).and_then(|file| part(&file, at..at + 200_000)) else {
                self.failed.fetch_add(1, Ordering::Relaxed);
                return;
            };
            assert_pattern(seed, at, &bytes);
            self.reads.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn count(&self) -> usize {
        self.closed.lock().unwrap().len()
    }

    /// How many files have been closed, and how much has been read.
    fn progress(&self) -> (usize, u64) {
        (self.count(), self.reads.load(Ordering::Relaxed))
    }

    /// Whatever was closed is in the bucket, and nothing that is there is wrong.
    fn is_in_the_bucket(&self, server: &TestServer) {
        for name in self.closed.lock().unwrap().keys() {
            assert!(server.get(BUCKET, &format!("d/{name}")).is_some(), "{name} is lost");
        }
        for key in server.keys(BUCKET) {
            let Some((writer, number)) =
                key.strip_prefix("d/").and_then(|name| name.split_once('-'))
            else {
                continue;
            };
            let object = server.get(BUCKET, &key).unwrap();
            let bytes = object.content.slice(0..object.content.size());
            let right = written(writer.parse().unwrap(), number.parse().unwrap());
            assert!(bytes == right, "{key} has other bytes than were written");
        }
    }
}

/// An image that a decoder in a process of its own reads.
const PNG: &[u8] = include_bytes!("../../support/images/gray16.png");
/// The file that readers read.
const READ: u64 = 64 * MIB;

/// Ends the load, also where a test has failed: its threads are waited for.
struct Ending<'l>(&'l Load, &'l TestServer);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
        self.1.release();
    }
}

/// Runs writers and readers on a mount until `end` has done its work, in which they are ended.
fn under_load(server: &TestServer, root: &Path, end: impl FnOnce(&Load)) -> Load {
    let load = Load::default();
    thread::scope(|scope| {
        let _ending = Ending(&load, server);
        for worker in 0..4 {
            let load = &load;
            scope.spawn(move || load.write(&root.join("d"), worker));
            scope.spawn(move || load.read(&root.join("big"), 3, READ));
        }
        // Each has begun, and some files go in parts.
        wait_until("all are at work", || {
            load.count() > 40 && load.reads.load(Ordering::Relaxed) > 40
        });
        end(&load);
    });
    load
}

fn server_for_load() -> Option<TestServer> {
    let server = server()?;
    server.put_pattern(BUCKET, "big", READ, 3);
    server.put(BUCKET, "d/first", "x");
    Some(server)
}

#[test]
fn a_kill_under_load_loses_nothing_that_was_closed_and_the_next_mount_is_well() {
    let Some(server) = server_for_load() else { return };
    let shell = Shell::on(&server);
    let flags = [&UPLOAD[..], &["--memory", "256M", "--log-file", "log"]].concat();
    shell.mount(BUCKET, &flags).succeeds();
    let load = under_load(&server, &shell.mount_point, |_| {
        signal("KILL", shell.daemon().unwrap());
    });
    assert!(server.wait_idle(Duration::from_secs(30)));
    load.is_in_the_bucket(&server);
    // Over the dead one, without another word.
    let ran = shell.mount(BUCKET, &flags);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    reads_whole_pattern(&shell.mount_point.join("big"), 3);
    for (name, (writer, number)) in &*load.closed.lock().unwrap() {
        let read = fs::read(shell.mount_point.join("d").join(name)).unwrap();
        assert!(read == written(*writer, *number), "{name}");
    }
    save(&shell.mount_point.join("d/first"), b"again").unwrap();
    shell.umount().succeeds();
}

#[test]
fn a_signal_under_load_ends_the_mount_when_all_that_was_closed_is_in_the_bucket() {
    let Some(server) = server_for_load() else { return };
    let shell = Shell::on(&server);
    let flags = [&UPLOAD[..], &["--memory", "256M", "--on-close", "later", "--log-file", "log"]];
    shell.mount(BUCKET, &flags.concat()).succeeds();
    let daemon = shell.daemon().unwrap();
    let load = under_load(&server, &shell.mount_point, |_| {
        signal("TERM", daemon);
        wait_until("the daemon has ended", || shell.daemon().is_none());
    });
    assert!(!shell.is_mounted());
    load.is_in_the_bucket(&server);
    assert_eq!(server.open_uploads(BUCKET), [""; 0]);
    assert_eq!(names(&shell.mount_point), [""; 0], "something was written below the mount");
    let log = fs::read_to_string(shell.path("log")).unwrap();
    assert!(!log.contains("is lost"), "{log}");
}

#[test]
fn a_daemon_that_is_stopped_again_and_again_goes_on_where_it_was() {
    let Some(server) = server_for_load() else { return };
    let flags = [&UPLOAD[..], &["--memory", "256M"]].concat();
    let mount = Mounting::of(&server, BUCKET).with(&flags).in_foreground();
    let load = under_load(&server, mount.path(), |load| {
        for _ in 0..3 {
            let stopped = Stopped::at_most(STOPPED_SECONDS, mount.process());
            // What the kernel has by itself is read; then everybody waits.
            thread::sleep(Duration::from_millis(500));
            let before = load.progress();
            thread::sleep(Duration::from_millis(1000));
            assert_eq!(load.progress(), before, "somebody has answered");
            drop(stopped);
            wait_until("all are at work again", || {
                let (closed, reads) = load.progress();
                closed > before.0 + 40 && reads > before.1 + 40
            });
        }
    });
    assert_eq!(load.failed.load(Ordering::Relaxed), 0, "{}", mount.log());
    load.is_in_the_bucket(&server);
    for (name, (writer, number)) in &*load.closed.lock().unwrap() {
        let read = fs::read(mount.join("d").join(name)).unwrap();
        assert!(read == written(*writer, *number), "{name}");
    }
    reads_whole_pattern(&mount.join("big"), 3);
    assert_eq!(server.open_uploads(BUCKET), [""; 0]);
    assert_eq!(lines(&mount, "ERROR", ""), [""; 0]);
    mount.end();
}

#[test]
fn a_daemon_that_is_stopped_for_longer_than_a_request_may_take_fails_nobody() {
    let Some(server) = server_for_load() else { return };
    for n in 0..8 {
        server.put_pattern(BUCKET, &format!("slow/{n}"), 4 * MIB, n);
    }
    let flags = [&UPLOAD[..], &["--memory", "256M", "--request-timeout", "6"]].concat();
    let mount = Mounting::of(&server, BUCKET).with(&flags).in_foreground();
    let load = under_load(&server, mount.path(), |_| {
        // Some wait for headers, some are within a body, some are sending.
        server.set_bandwidth(Bandwidth { per_connection: Some(4 * MIB), total: None });
        server.set_delay(Duration::from_millis(300));
        thread::scope(|scope| {
            for n in 0..8 {
                let path = mount.join(format!("slow/{n}"));
                scope.spawn(move || reads_whole_pattern(&path, n));
            }
            until("requests are under way", || server.in_flight() >= 8);
            let stopped = Stopped::at_most(STOPPED_SECONDS, mount.process());
            thread::sleep(Duration::from_secs(8));
            drop(stopped);
        });
    });
    assert_eq!(load.failed.load(Ordering::Relaxed), 0, "{}", mount.log());
    load.is_in_the_bucket(&server);
    assert_eq!(lines(&mount, "ERROR", ""), [""; 0]);
    mount.end();
}

/// A script that runs the program after these lines.
fn behind(lines: &str) -> (PathBuf, TempDir) {
    let folder = TempDir::new().unwrap();
    let script = folder.path().join("s3mem");
    fs::write(&script, format!("#!/bin/sh\n{lines}\nexec '{PROGRAM}' \"$@\"\n")).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    (script, folder)
}

/// A mount in a group of processes; the command that unmounts it is in none.
fn mount_in(group: &Cgroup, server: &TestServer, flags: &[&str]) -> (Mount, TempDir) {
    let (script, folder) =
        behind(&format!("[ $1 = umount ] || echo $$ >'{}'", group.tasks().display()));
    let mounting = Mounting::of(server, BUCKET).with(flags).by(&script);
    (mounting.in_foreground(), folder)
}

#[test]
fn a_group_with_the_memory_that_was_asked_for_and_64_mib_is_enough_for_any_load() {
    let Some(server) = server_for_load() else { return };
    let budget = 128 * MIB;
    let Some(group) = Cgroup::with_memory(budget + 64 * MIB) else { return };
    for n in 0..32 {
        server.put_pattern(BUCKET, &format!("{n}"), 16 * MIB, n);
    }
    server.put_many(BUCKET, (0..20_000).map(|n| (format!("many/{n:05}"), "x")));
    server.put(BUCKET, "i/a.jp2", B01_JP2);
    let flags = [&UPLOAD[..], &["--memory", "128M"]].concat();
    let (mount, _folder) = mount_in(&group, &server, &flags);
    let load = under_load(&server, mount.path(), |_| {
        thread::scope(|scope| {
            for n in 0..32 {
                let path = mount.join(format!("{n}"));
                scope.spawn(move || reads_whole_pattern(&path, n));
            }
            scope.spawn(|| assert_eq!(names(&mount.join("many")).len(), 20_000));
            scope.spawn(|| {
                for ending in ["png", "tif", "npy", "preview.png", "json"] {
                    fs::read(mount.join(format!("i/a.jp2.{ending}"))).unwrap();
                }
            });
        });
    });
    load.is_in_the_bucket(&server);
    let most = mount.memory_bytes("VmHWM");
    println!("--memory 128M in a group of 192 MiB: {} MiB at most", most / MIB);
    assert_eq!(group.killed(), 0, "{}", mount.log());
    let tasks = fs::read_to_string(group.tasks()).unwrap();
    assert!(tasks.lines().count() > 0 && most > budget / 2, "{tasks:?}, {most}");
    mount.end();
}

#[test]
fn where_no_thread_can_be_started_reads_go_on_and_afterwards_all_is_well() {
    let Some(server) = server_for_load() else { return };
    let Some(group) = Cgroup::with_threads() else { return };
    server.put(BUCKET, "i/a.jp2", B01_JP2);
    server.put(BUCKET, "i/b.png", PNG);
    let flags = [&UPLOAD[..], &["--memory", "256M", "--metadata-ttl", "3600"]].concat();
    let (mount, _folder) = mount_in(&group, &server, &flags);
    reads_whole_pattern(&mount.join("big"), 3);
    forget_pages(&mount.join("big"));
    // Not one more than there are.
    group.forbid_threads();
    let right = fs::read(mount.join("i/a.jp2"));
    let right = right.unwrap_or_else(|error| panic!("{error}: {}", mount.log()));
    assert!(right == B01_JP2);
    reads_whole_pattern(&mount.join("big"), 3);
    let saved = save(&mount.join("d/new"), b"written without a thread to spare");
    saved.unwrap_or_else(|error| panic!("{error}: {}", mount.log()));
    for name in ["i/a.jp2.npy", "i/a.jp2.json", "i/b.png.npy"] {
        // The file or an error, and not for ever.
        let read = Command::new("timeout").args(["50", "cat"]).arg(mount.join(name)).output();
        assert_ne!(read.unwrap().status.code(), Some(124), "{name} hangs");
    }
    let status = Command::new("timeout").args(["50", PROGRAM, "status"]).arg(mount.path()).output();
    assert_ne!(status.unwrap().status.code(), Some(124), "the status hangs");
    assert!(group.refused_threads() > 0, "nothing was ever refused");
    group.allow_threads();
    for name in ["i/a.jp2.npy", "i/b.png.npy"] {
        until("there are threads again", || {
            fs::read(mount.join(name)).is_ok_and(|bytes| bytes.starts_with(b"\x93NUMPY"))
        });
    }
    let status = Command::new(PROGRAM).arg("status").arg(mount.path()).output().unwrap();
    assert!(both(&status).contains("is in the bucket"), "{}", both(&status));
    mount.end();
}

#[test]
fn a_daemon_that_may_have_64_files_open_reads_hundreds_at_once() {
    let Some(server) = server() else { return };
    for n in 0..300 {
        server.put_pattern(BUCKET, &format!("{n}"), MIB, n);
    }
    server.put(BUCKET, "a.jp2", B01_JP2);
    let (script, _folder) = behind("ulimit -n 64");
    let mounting = Mounting::of(&server, BUCKET).with(["--memory", "256M"]).by(&script);
    let mount = mounting.in_foreground();
    let files: Vec<File> =
        (0..300).map(|n| File::open(mount.join(format!("{n}"))).unwrap()).collect();
    thread::scope(|scope| {
        for (seed, file) in files.iter().enumerate() {
            scope.spawn(move || reads_pattern(file, seed as u64, 0..MIB));
        }
    });
    assert!(fs::read(mount.join("a.jp2.png")).unwrap().starts_with(b"\x89PNG"));
    assert_eq!(lines(&mount, "ERROR", ""), [""; 0]);
    drop(files);
    let status = Command::new("timeout").args(["15", PROGRAM, "status"]).arg(mount.path()).output();
    let told = both(&status.unwrap());
    assert!(told.contains("open files"), "{told:?} with open {:?}", mount.what_is_open());
    mount.end();
}

#[test]
fn a_server_that_was_away_is_found_again_and_who_could_wait_notices_nothing() {
    let Some(server) = server_for_load() else { return };
    let mut gate = Gate::to(&server.endpoint());
    let at = || Mounting::at(&gate.endpoint(), ACCESS_KEY, SECRET_KEY, BUCKET);
    let flags = [&UPLOAD[..], &["--memory", "256M", "--on-close", "later"]].concat();
    let patient = at().with(&flags).with(["--request-timeout", "60"]).in_foreground();
    let short = at().with(&flags).with(["--request-timeout", "2"]).in_foreground();
    let mut started = Vec::new();
    for mount in [&patient, &short] {
        let file = File::open(mount.join("big")).unwrap();
        reads_pattern(&file, 3, 0..MIB);
        started.push(file);
    }
    let [waiting, giving_up] = [0, 1].map(|n| &started[n]);
    gate.close();
    thread::scope(|scope| {
        let waits = scope.spawn(|| reads_pattern(waiting, 3, 0..READ));
        assert_eq!(errno(part(giving_up, 50 * MIB..51 * MIB)), libc::EIO);
        assert_eq!(errno(fs::metadata(short.join("d/none"))), libc::EIO);
        for (n, mount) in [&patient, &short].into_iter().enumerate() {
            save(&mount.join(format!("written {n}")), b"meanwhile").unwrap();
        }
        assert!(!waits.is_finished());
        gate.open();
        waits.join().unwrap();
    });
    reads_pattern(giving_up, 3, 0..READ);
    assert_eq!(errno(fs::metadata(short.join("d/none"))), libc::ENOENT);
    drop(started);
    patient.end();
    short.end();
    for n in 0..2 {
        let object = server.get(BUCKET, &format!("written {n}")).unwrap();
        assert_eq!(object.content.slice(0..object.content.size()), b"meanwhile"[..]);
    }
}

#[test]
fn two_dozen_mounts_at_once_each_have_their_own_files() {
    const MOUNTS: u64 = 24;
    let Some(server) = server() else { return };
    for n in 0..MOUNTS {
        server.put_pattern(BUCKET, &format!("{n}/file"), 4 * MIB, n);
        server.put(BUCKET, &format!("{n}/only in {n}"), "x");
    }
    let mount = |n: u64| {
        let mounting = Mounting::of(&server, &format!("{BUCKET}/{n}")).with(UPLOAD);
        mounting.with(["--memory", "128M"]).in_foreground()
    };
    let mounts: Vec<Mount> = thread::scope(|scope| {
        let starting: Vec<_> = (0..MOUNTS).map(|n| scope.spawn(move || mount(n))).collect();
        starting.into_iter().map(|start| start.join().unwrap()).collect()
    });
    thread::scope(|scope| {
        for (n, mount) in (0..).zip(&mounts) {
            scope.spawn(move || {
                assert_eq!(names(mount.path()), ["file".to_owned(), format!("only in {n}")]);
                reads_whole_pattern(&mount.join("file"), n);
                save(&mount.join("written"), format!("by {n}").as_bytes()).unwrap();
            });
        }
    });
    let status = Command::new(PROGRAM).arg("status").output().unwrap();
    let told = both(&status);
    for mount in &mounts {
        assert!(told.contains(&format!(" on {}\n", mount.path().display())), "{told}");
    }
    thread::scope(|scope| {
        for mount in mounts {
            scope.spawn(|| mount.end());
        }
    });
    for n in 0..MOUNTS {
        let object = server.get(BUCKET, &format!("{n}/written")).unwrap();
        let bytes = object.content.slice(0..object.content.size());
        assert_eq!(bytes, format!("by {n}").as_bytes());
    }
}
