//! A program that waits for a server that says nothing can be ended, whatever it waits for.
//!
//! The deadline of requests is so long here that whoever waits for it fails the test.

use std::fs;
use std::io::Write;
use std::process::{Child, Command, Stdio};

use super::*;
use crate::harness::shell::signal;
use crate::support::server::{Effect, Fault, Meta, Op};

const PATIENT: [&str; 2] = ["--request-timeout", "300"];
const WRITING: [&str; 6] =
    ["--writes", "upload", "--allow-overwrite", "--allow-delete", "--metadata-ttl", "3600"];

fn start(program: &[&str]) -> Child {
    let mut command = Command::new(program[0]);
    command.args(&program[1..]).stdout(Stdio::null()).stderr(Stdio::null());
    command.stdin(Stdio::piped()).spawn().unwrap()
}

/// Interrupts a program, and is sure that it ends by that.
fn ends_on_ctrl_c(mut program: Child, what: &str) {
    let start = Instant::now();
    signal("INT", program.id());
    until(what, || program.try_wait().unwrap().is_some());
    assert!(start.elapsed() < Duration::from_secs(30), "{what}: {:?}", start.elapsed());
}

/// Runs a program until it waits for the server, and interrupts it there.
fn waits_and_ends(server: &TestServer, program: &[&str]) {
    let what = program.join(" ");
    let before = server.in_flight();
    let running = start(program);
    until(&what, || server.in_flight() > before);
    ends_on_ctrl_c(running, &what);
}

#[test]
fn a_program_that_only_looks_ends_on_ctrl_c_and_so_does_its_request() {
    let Some(server) = server() else { return };
    for key in ["known/file", "listed/file", "seen/file"] {
        server.put(BUCKET, key, "contents");
    }
    let archived = Meta { storage_class: Some("GLACIER".to_owned()), ..Meta::default() };
    server.put_with(BUCKET, "known/frozen", "ice", archived);
    let mount = mount(&server, &PATIENT);
    names(&mount.join("known"));
    let path = |name: &str| mount.join(name).to_str().unwrap().to_owned();
    let copy = tempfile::tempdir().unwrap();
    let copied = format!("{}/copy", copy.path().display());
    for op in [Op::List, Op::Head, Op::Get] {
        server.fault(Fault::new(Effect::Hang).on(op));
    }
    for program in [
        &["stat", &path("seen/file")][..],
        &["ls", &path("listed")],
        &["cat", &path("known/file")],
        // Opening it asks whether it was restored.
        &["cat", &path("known/frozen")],
        // The names of its extended attributes.
        &["cp", "--attributes-only", "--preserve=xattr", &path("known/file"), &copied],
        // Past the page cache.
        &["dd", "iflag=direct", "of=/dev/null", &format!("if={}", path("known/file"))],
    ] {
        waits_and_ends(&server, program);
        until("the end of its request", || server.in_flight() == 0);
    }
    server.clear_faults();
    assert_eq!(fs::read(mount.join("seen/file")).unwrap(), b"contents");
    assert_eq!(fs::read(mount.join("known/file")).unwrap(), b"contents");
    assert_eq!(names(&mount.join("listed")), ["file"]);
    assert!(!mount.log().contains("ERROR"), "{}", mount.log());
    mount.end();
}

#[test]
fn a_request_goes_on_as_long_as_somebody_else_waits_for_it() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "d/file", "contents");
    server.fault(Fault::new(Effect::Hang).on(Op::List).key("d/"));
    let mount = mount(&server, &PATIENT);
    // Two names, since the kernel looks up each name once at a time.
    let (path, other) = (mount.join("d/file"), mount.join("d/other"));
    let first = start(&["stat", other.to_str().unwrap()]);
    // That of d/: the one of the root has come and gone.
    until("the listing", || (server.in_flight(), server.counts().list) == (1, 2));
    thread::scope(|scope| {
        let second = scope.spawn(|| fs::metadata(&path).unwrap().len());
        // As long as a look-up takes to reach the daemon.
        thread::sleep(Duration::from_millis(300));
        ends_on_ctrl_c(first, "the first of two");
        assert_eq!((server.in_flight(), server.counts().list), (1, 2), "the root, and d/");
        server.clear_faults();
        server.release();
        assert_eq!(second.join().unwrap(), 8);
    });
    assert_eq!(server.counts().list, 2);
    mount.end();
}

/// A mount for writing, whose folder `d` is known.
fn writing_mount(server: &TestServer) -> Mount {
    server.put(BUCKET, "d/a", "contents of a");
    let mount = mount(server, &[&PATIENT[..], &WRITING[..]].concat());
    names(&mount.join("d"));
    mount
}

#[test]
fn a_change_that_was_given_up_is_noted_when_it_is_done() {
    let Some(server) = server() else { return };
    let mount = writing_mount(&server);
    let path = |name: &str| mount.join(name).to_str().unwrap().to_owned();
    let is_there = |name: &str| fs::symlink_metadata(mount.join(name)).is_ok();
    for (op, program, gone, made) in [
        (Op::Put, &["mkdir", &path("d/new")][..], None, Some("d/new")),
        (Op::Put, &["mv", &path("d/a"), &path("d/b")], Some("d/a"), Some("d/b")),
        (Op::Delete, &["rm", &path("d/b")], Some("d/b"), None),
        (Op::Delete, &["rmdir", &path("d/new")], Some("d/new"), None),
    ] {
        let what = program.join(" ");
        server.fault(Fault::new(Effect::Hang).on(op));
        waits_and_ends(&server, program);
        thread::scope(|scope| {
            // Nobody else changes names in the folder before that is done.
            let later = mount.join("d/later");
            let file = scope.spawn(move || drop(File::create(&later).unwrap()));
            thread::sleep(Duration::from_millis(300));
            assert!(!file.is_finished(), "{what}");
            server.clear_faults();
            server.release();
            file.join().unwrap();
        });
        if let Some(name) = gone {
            until(&what, || !is_there(name));
            assert!(server.get(BUCKET, name).is_none(), "{what}");
        }
        if let Some(name) = made {
            until(&what, || is_there(name));
        }
        fs::remove_file(mount.join("d/later")).unwrap();
    }
    // The same for whoever looks anew.
    assert_eq!(names(&mount.join("d")), [""; 0]);
    assert_eq!(server.keys(BUCKET), [""; 0]);
    mount.end();
}

#[test]
fn what_was_written_is_sent_although_its_program_was_ended_while_it_closed() {
    let Some(server) = server() else { return };
    let mount = writing_mount(&server);
    let path = |name: &str| mount.join(name).to_str().unwrap().to_owned();
    server.fault(Fault::new(Effect::Hang).on(Op::Put));
    // In close(2).
    waits_and_ends(&server, &["sh", "-c", &format!("echo precious > {}", path("d/closed"))]);
    // In the middle of writing: the kernel closes the file of a program that has ended.
    let mut tee = start(&["tee", &path("d/open")]);
    tee.stdin.as_mut().unwrap().write_all(b"precious").unwrap();
    until("what it wrote", || fs::metadata(mount.join("d/open")).is_ok_and(|meta| meta.len() == 8));
    ends_on_ctrl_c(tee, "a program that has a file open");
    // Else what is sent of it would be taken for what the next program waits for.
    until("what was open is sent", || server.in_flight() == 2);
    // While it becomes shorter: what has begun is done.
    waits_and_ends(&server, &["truncate", "-s", "3", &path("d/a")]);
    assert_eq!(fs::read(mount.join("d/open")).unwrap(), b"precious");
    server.clear_faults();
    server.release();
    let has = |key: &str, bytes: &[u8]| {
        let sent = server.get(BUCKET, key);
        sent.is_some_and(|object| object.content.slice(0..object.content.size()) == bytes)
    };
    until("what was closed", || has("d/closed", b"precious\n"));
    until("what was open", || has("d/open", b"precious"));
    until("what was cut", || has("d/a", b"con"));
    mount.end();
}

#[test]
fn a_file_whose_copy_was_given_up_is_as_it_was() {
    let Some(server) = server() else { return };
    let mount = writing_mount(&server);
    server.fault(Fault::new(Effect::Hang).on(Op::Get));
    let file = mount.join("d/a").to_str().unwrap().to_owned();
    for program in [&["truncate", "-s", "3", &file][..], &["sh", "-c", &format!("echo >> {file}")]]
    {
        waits_and_ends(&server, program);
        until("the end of its request", || server.in_flight() == 0);
    }
    server.clear_faults();
    assert_eq!(fs::read(&file).unwrap(), b"contents of a");
    assert_eq!(server.counts().put, 0);
    mount.end();
}
