//! `s3mem status --watch`: lines where there is no terminal, and a screen where there is one.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::{Ran, S3MEM, Shell, can_mount, wait_until};
use crate::harness::files::MIB;
use crate::harness::missing::has_program;
use crate::support::server::TestServer;

fn mounted(server: &TestServer) -> Shell {
    (0..4)
        .for_each(|number| drop(server.put_pattern("tiles", &format!("d/{number}"), MIB, number)));
    let shell = Shell::on(server);
    shell.mount("tiles", &["--memory", "128M", "--log-file", "log"]).succeeds();
    shell
}

#[test]
fn without_a_terminal_there_are_lines_until_nobody_reads_them() {
    if !can_mount() {
        return;
    }
    let server = TestServer::start();
    let shell = mounted(&server);
    let mut watch = shell.command(S3MEM);
    watch.args(["status", shell.mount_point(), "--watch"]);
    let mut child = watch.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(
        first.contains(&format!(" {}: programs got 0 bytes/s, ", shell.mount_point())),
        "{first}"
    );
    assert!(!first.contains('\u{1b}'), "{first:?}");
    assert_eq!(fs::read(shell.mount_point.join("d/1")).unwrap().len() as u64, MIB);
    // All of it came between two lines, or three.
    let busy = lines.by_ref().map(Result::unwrap).find(|line| line.contains("; busiest d/1 ("));
    assert!(busy.is_some_and(|line| !line.contains("bucket gave 0 bytes/s")));
    drop(lines);
    let ended = Ran::finish(child);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    shell.umount().succeeds();
}

#[test]
fn json_is_told_again_and_again_until_the_mount_ends() {
    if !can_mount() {
        return;
    }
    let server = TestServer::start();
    let shell = mounted(&server);
    let mut watch = shell.command(S3MEM);
    watch.args(["status", "--watch=1", "--json", shell.mount_point()]);
    let mut child = watch.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    let (first, second) = (next(), next());
    let time = |told: &Value| told["mounted_seconds"].as_f64().unwrap();
    assert!(time(&second) >= time(&first) + 0.9, "{first} {second}");
    assert_eq!(first["mount_point"], shell.mount_point());
    let all = || (server.counts().list, server.counts().get, server.counts().head);
    let requests = all();
    shell.umount().succeeds();
    // Asking cost no request.
    assert_eq!(all(), requests);
    lines.for_each(drop);
    let ended = Ran::finish(child);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let known =
        ["does not answer", "is not in a mount"].iter().any(|part| ended.stderr.contains(part));
    assert!(known, "{ended:?}");
}

#[test]
fn a_terminal_shows_a_screen_and_keys_work() {
    if !can_mount() || !has_program("script") {
        return;
    }
    let server = TestServer::start();
    let shell = mounted(&server).set("TERM", "xterm-256color");
    assert_eq!(fs::read(shell.mount_point.join("d/2")).unwrap().len() as u64, MIB);
    let log: PathBuf = shell.path("typescript").into();
    let mut script = shell.command("script");
    let at = shell.mount_point();
    let command = format!("stty cols 100 rows 30; exec \"$S3MEM\" status --watch '{at}'");
    script.args(["-qefc", &command]).arg(&log);
    let mut child = script.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut keys = child.stdin.take().unwrap();
    let shown = || String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
    let mut press = |key: &str| {
        keys.write_all(key.as_bytes()).unwrap();
        keys.flush().unwrap();
    };
    wait_until("the files are shown", || shown().contains("d/2"));
    press("p");
    wait_until("it is paused", || shown().contains("PAUSED"));
    press("h");
    wait_until("keys are explained", || shown().contains("hold"));
    press("h");
    press("p");
    thread::sleep(Duration::from_millis(300));
    press("q");
    let ended = Ran::finish(child);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let shown = shown();
    // What is shown first is who is asked; no frame is without a title.
    let title = shown.find("s3mem: asking ").expect("nobody was asked");
    assert!(title < shown.find("programs").expect("nothing was told"), "{shown:?}");
    for part in ["s3mem:", "programs", "memory", "slowest", "\u{1b}[?1049h", "\u{1b}[?1049l"] {
        assert!(shown.contains(part), "{part:?} is not in {shown:?}");
    }
    shell.umount().succeeds();
}

#[test]
fn what_is_watched_is_not_reset() {
    let ran = Shell::new().s3mem(&["status", "--watch", "--reset"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
}
