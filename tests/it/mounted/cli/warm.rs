//! `s3mem warm`: what it fetches is in memory, and what it says of the rest is so.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;

use super::{Ran, S3MEM, Shell, can_mount};
use crate::harness::cost::{NOTHING, cost_of};
use crate::harness::files::{MIB, forget_pages};
use crate::harness::missing::has_program;
use crate::support::server::TestServer;

/// A mount of so many files, each of so many bytes.
fn mounted(server: &TestServer, files: u64, size: u64, memory: &str) -> Shell {
    for number in 0..files {
        server.put_pattern("tiles", &format!("d/{number:02}"), size, number);
    }
    let shell = Shell::on(server);
    shell.mount("tiles", &["--memory", memory, "--metadata-ttl", "forever"]).succeeds();
    shell
}

fn path(shell: &Shell, name: &str) -> String {
    shell.mount_point.join(name).to_str().unwrap().to_owned()
}

/// Reads a file as a program does that finds none of it in the kernel's memory.
fn read(path: &str) -> usize {
    forget_pages(path.as_ref());
    fs::read(path).unwrap().len()
}

#[test]
fn what_was_warmed_is_read_without_a_request() {
    if !can_mount() {
        return;
    }
    let server = TestServer::start();
    let shell = mounted(&server, 12, MIB, "256M");
    let ran = shell.s3mem(&["warm", &path(&shell, "d"), "--jobs", "3"]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), "in memory: 12 files, 12 MiB\n"),
        "{ran:?}"
    );
    // Without a terminal there are plain lines.
    assert!(ran.stderr.ends_with("s3mem: 12 of 12 files, 12 MiB\n"), "{ran:?}");
    assert!(!ran.stderr.contains(['\r', '\u{1b}']), "{ran:?}");
    assert!(ran.stderr.lines().count() <= 10, "{ran:?}");
    let (read, cost) = cost_of(&server, || {
        (0..12).map(|number| read(&path(&shell, &format!("d/{number:02}")))).sum::<usize>()
    });
    assert_eq!((read as u64, cost), (12 * MIB, NOTHING));
    shell.umount().succeeds();
}

#[test]
fn it_stops_where_the_memory_is_full_and_says_what_did_not_fit() {
    if !can_mount() {
        return;
    }
    let server = TestServer::start();
    let shell = mounted(&server, 20, 8 * MIB, "96M");
    let ran = shell.s3mem(&["warm", &path(&shell, "d")]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let told = ran.stdout.strip_prefix("in memory: ").unwrap().split(' ').next().unwrap();
    let warmed: usize = told.parse().unwrap();
    assert!((7..=9).contains(&warmed), "{ran:?}");
    let unfit = format!("s3mem: {} files ({} MiB) did not fit", 20 - warmed, (20 - warmed) * 8);
    assert!(ran.stderr.contains(&unfit), "{unfit:?} is not in {ran:?}");
    let counts = server.counts();
    assert!(counts.body_bytes <= 96 * MIB, "no more was fetched than there is room for");
    let ((), cost) = cost_of(&server, || {
        for number in 0..warmed {
            assert_eq!(read(&path(&shell, &format!("d/{number:02}"))) as u64, 8 * MIB);
        }
    });
    assert_eq!(cost, NOTHING);
    shell.umount().succeeds();
}

#[test]
fn the_siblings_alone_are_made_if_they_are_asked_for() {
    if !can_mount() {
        return;
    }
    let server = TestServer::start();
    let image = fs::read(format!("{}/tests/support/data/B01.jp2", env!("CARGO_MANIFEST_DIR")));
    server.put("tiles", "d/B01.jp2", image.unwrap());
    let shell = mounted(&server, 2, MIB, "256M");
    let ran = shell.s3mem(&["warm", "--siblings", "preview,json", &path(&shell, "d")]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.starts_with("in memory: 2 siblings, "), "{ran:?}");
    let (length, cost) = cost_of(&server, || read(&path(&shell, "d/B01.jp2.preview.png")));
    assert!(length > 100);
    assert_eq!(cost, NOTHING);
    shell
        .s3mem(&["warm", "--siblings", "gif", &path(&shell, "d")])
        .fails_with(&["\"gif\" is not a view"]);
    shell.umount().succeeds();
}

#[test]
fn a_list_is_read_and_what_fails_is_named_beside_what_does_not() {
    if !can_mount() {
        return;
    }
    let server = TestServer::start();
    let shell = mounted(&server, 3, 1000, "64M");
    let list = format!("{}\n\n{}\n", path(&shell, "d/01"), path(&shell, "d/none"));
    let mut warm = shell.command(S3MEM);
    warm.args(["warm", "--from-file", "-", "/tmp"]).stdin(Stdio::piped());
    let mut child = warm.spawn().unwrap();
    child.stdin.take().unwrap().write_all(list.as_bytes()).unwrap();
    let ran = Ran::finish(child);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.starts_with("in memory: 1 files, "), "{ran:?}");
    for part in ["2 could not be read", "/tmp: not in a mount of s3mem", "d/none: No such file"] {
        assert!(ran.stderr.contains(part), "{part:?} is not in {ran:?}");
    }
    shell.s3mem(&["warm", "--from-file", "/no/such/list"]).fails_with(&["the list /no/such/list"]);
    shell.s3mem(&["warm"]).is_misuse_with(&["<PATH>"]);
    shell.umount().succeeds();
}

#[test]
fn a_terminal_shows_a_bar_with_bytes_rate_and_time_left() {
    if !can_mount() || !has_program("script") {
        return;
    }
    let server = TestServer::start();
    let shell = mounted(&server, 4, MIB, "128M").set("TERM", "xterm");
    let log: PathBuf = shell.path("typescript").into();
    let mut script = shell.command("script");
    let command = format!("stty cols 120; \"$S3MEM\" warm '{}'", path(&shell, "d"));
    script.args(["-qec", &command]).arg(&log);
    let ran = Ran::finish(script.stdin(File::open("/dev/null").unwrap()).spawn().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let shown = fs::read_to_string(&log).unwrap();
    for part in [
        "[##",
        "4.00 MiB of 4.00 MiB",
        "MiB/s",
        " left",
        "4 of 4 files",
        "in memory: 4 files, 4 MiB",
    ] {
        assert!(shown.contains(part), "{part:?} is not in {shown:?}");
    }
    shell.umount().succeeds();
}
