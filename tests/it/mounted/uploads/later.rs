//! `--on-close later`: close returns at once, and what was promised holds all the same.

use std::process::{Command, Output};

use super::*;
use crate::harness::mounting::{PROGRAM, succeeds};
use crate::support::server::{Effect, Fault, Op, Refusal, TestServer};

fn mount_later(backend: &Backend) -> Mount {
    mount(backend, &["--on-close", "later"])
}

fn status(mount: &Mount) -> (Option<i32>, String) {
    let Output { status, stdout, .. } =
        Command::new(PROGRAM).arg("status").arg(mount.path()).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap())
}

/// PUTs and copies; deletions and parts of uploads.
fn writes(server: &TestServer) -> (u64, u64) {
    let counts = server.counts();
    (counts.put, counts.other)
}

#[test]
fn close_returns_while_the_upload_waits_and_fsync_does_not() {
    let Some(backend) = in_process() else { return };
    let server = backend.server().unwrap();
    let mount = mount_later(&backend);
    server.fault(Fault::new(Effect::Hang).on(Op::Put).key("later").times(1));
    save(&mount.path().join("later"), b"bytes").unwrap();
    assert!(backend.get("later").is_none());
    assert_eq!(fs::read(mount.path().join("later")).unwrap(), b"bytes");
    let (code, told) = status(&mount);
    assert_eq!(code, Some(3), "{told}");
    assert!(told.contains("later (5 bytes): not sent yet"), "{told}");
    let file = File::create(mount.path().join("synced")).unwrap();
    (&file).write_all(b"now").unwrap();
    file.sync_all().unwrap();
    assert!(backend.has("synced", b"now"));
    server.release();
    until("it is sent", || backend.has("later", b"bytes"));
    until("nothing is pending", || status(&mount).0 == Some(0));
    drop(file);
    mount.end();
}

#[test]
fn many_small_files_are_a_put_each_and_unmounting_waits_for_them() {
    let Some(backend) = in_process() else { return };
    let server = backend.server().unwrap();
    let mount = mount_later(&backend);
    server.reset_counts();
    for n in 0..300 {
        save(&mount.path().join(format!("{n:03}")), &noise(n, 16 << 10)).unwrap();
    }
    mount.end();
    assert_eq!(writes(server), (300, 0));
    for n in 0..300 {
        assert!(backend.has(&format!("{n:03}"), &noise(n, 16 << 10)), "{n}");
    }
}

#[test]
fn a_file_that_is_renamed_right_behind_its_close_is_one_put_under_its_last_name() {
    let Some(backend) = in_process() else { return };
    let server = backend.server().unwrap();
    backend.put("theirs", "before");
    let mount = mount(&backend, &["--on-close", "later", "--allow-overwrite"]);
    server.reset_counts();
    let script = "printf new > .tmp; mv .tmp new; printf other > .theirs~; mv .theirs~ theirs; \
                  printf gone > gone; rm gone; printf 1 > twice; printf 22 > twice";
    succeeds(Command::new("sh").args(["-c", script]).current_dir(mount.path()));
    mount.end();
    assert_eq!(writes(server), (3, 0));
    assert_eq!(server.keys(BUCKET), ["new", "theirs", "twice"]);
    assert!(backend.has("new", b"new") && backend.has("theirs", b"other"));
    assert!(backend.has("twice", b"22"));
}

#[test]
fn sed_in_place_is_one_put_and_no_copy() {
    let Some(backend) = in_process() else { return };
    let server = backend.server().unwrap();
    let mount = mount_later(&backend);
    save(&mount.path().join("text"), b"one two\n").unwrap();
    until("it is sent", || backend.has("text", b"one two\n"));
    server.reset_counts();
    succeeds(Command::new("sed").args(["-i", "s/one/1/", "text"]).current_dir(mount.path()));
    assert_eq!(fs::read(mount.path().join("text")).unwrap(), b"1 two\n");
    mount.end();
    assert_eq!(writes(server), (1, 0));
    assert!(backend.has("text", b"1 two\n"));
}

#[test]
fn what_fails_later_is_told_by_status_and_by_the_next_close_and_fsync() {
    let Some(backend) = in_process() else { return };
    let server = backend.server().unwrap();
    let mount = mount_later(&backend);
    let path = mount.path().join("refused");
    server.fault(Fault::new(Effect::Refuse(Refusal::AccessDenied)).on(Op::Put));
    save(&path, b"precious").unwrap();
    until("it has failed", || status(&mount).1.contains("Access Denied"));
    assert_eq!(status(&mount).0, Some(3));
    assert_eq!(errno(save(&path, b"precious")), libc::EACCES);
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    assert_eq!(errno(file.sync_all()), libc::EACCES);
    assert_eq!(errno(close(file)), libc::EACCES);
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    server.clear_faults();
    until("it is sent again by itself", || backend.has("refused", b"precious"));
    until("nothing is pending", || status(&mount).0 == Some(0));
    save(&path, b"and goes on").unwrap();
    mount.end();
    assert!(backend.has("refused", b"and goes on"));
}

#[test]
fn somebody_elses_object_is_never_replaced_later_either() {
    let Some(backend) = in_process() else { return };
    let mount = mount_later(&backend);
    assert!(names_in(mount.path()).is_empty());
    backend.put("a", "theirs");
    save(&mount.path().join("a"), b"ours").unwrap();
    let has_failed =
        |told: &str| ["bytes): not sent yet", "bytes): open"].iter().all(|why| !told.contains(why));
    until("it has failed", || has_failed(&status(&mount).1));
    assert_eq!(status(&mount).0, Some(3));
    assert_eq!(errno(save(&mount.path().join("a"), b"ours")), libc::ESTALE);
    assert!(backend.has("a", b"theirs"));
    fs::remove_file(mount.path().join("a")).unwrap();
    mount.end();
}

#[test]
fn a_killed_daemon_loses_what_was_not_sent_and_nothing_that_was_synchronised() {
    let Some(backend) = in_process() else { return };
    let server = backend.server().unwrap();
    let mut mount = mount_later(&backend);
    server.fault(Fault::new(Effect::Hang).on(Op::Put).key("lost"));
    save(&mount.path().join("lost"), b"bytes").unwrap();
    let file = File::create(mount.path().join("kept")).unwrap();
    (&file).write_all(b"now").unwrap();
    file.sync_all().unwrap();
    mount.kill();
    drop(file);
    assert_eq!(server.keys(BUCKET), ["kept"]);
}

#[test]
fn more_files_than_may_wait_are_all_sent() {
    let Some(backend) = in_process() else { return };
    let mount = mount_later(&backend);
    for n in 0..1500 {
        save(&mount.path().join(format!("{n:04}")), b"x").unwrap();
    }
    mount.end();
    assert_eq!(backend.server().unwrap().keys(BUCKET).len(), 1500);
}

#[test]
fn files_that_do_not_fit_into_memory_together_make_room_for_each_other() {
    let Some(backend) = in_process() else { return };
    let mount = mount(&backend, &["--on-close", "later", "--write-memory", "32M"]);
    for n in 0..20 {
        save(&mount.path().join(format!("{n:02}")), &noise(n, 4 << 20)).unwrap();
    }
    mount.end();
    for n in 0..20 {
        assert!(backend.has(&format!("{n:02}"), &noise(n, 4 << 20)), "{n}");
    }
}

#[test]
fn a_write_waits_for_the_memory_of_a_file_that_is_being_closed() {
    let Some(backend) = in_process() else { return };
    let mount = mount(&backend, &["--on-close", "later", "--write-memory", "32M"]);
    let sent = mount.path().join("sent");
    save(&sent, &noise(1, 24 << 20)).unwrap();
    let reader = File::open(&sent).unwrap();
    until("it is sent", || backend.has("sent", &noise(1, 24 << 20)));
    let closing = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(300));
        drop(reader);
    });
    save(&mount.path().join("next"), &noise(2, 24 << 20)).unwrap();
    closing.join().unwrap();
    mount.end();
    assert!(backend.has("next", &noise(2, 24 << 20)));
}

#[test]
fn a_file_is_allocated_in_the_memory_of_one_that_was_sent() {
    let Some(backend) = in_process() else { return };
    let mount = mount(&backend, &["--on-close", "later", "--write-memory", "32M"]);
    save(&mount.path().join("sent"), &noise(1, 24 << 20)).unwrap();
    let next = File::create(mount.path().join("next")).unwrap();
    rustix::fs::fallocate(&next, rustix::fs::FallocateFlags::empty(), 0, 24 << 20).unwrap();
    let too_large = rustix::fs::fallocate(&next, rustix::fs::FallocateFlags::empty(), 0, 64 << 20);
    assert_eq!(too_large.unwrap_err(), rustix::io::Errno::NOSPC);
    close(next).unwrap();
    mount.end();
    assert!(backend.has("sent", &noise(1, 24 << 20)));
    assert!(backend.has("next", &vec![0; 24 << 20]));
}

fn mount_renaming(backend: &Backend) -> Mount {
    mount(backend, &["--on-close", "later", "--allow-delete", "--rename-directories", "100"])
}

#[test]
fn a_directory_is_renamed_right_behind_the_last_close_in_it() {
    let Some(backend) = in_process() else { return };
    let server = backend.server().unwrap();
    let mount = mount_renaming(&backend);
    server.reset_counts();
    fs::create_dir(mount.path().join(".new")).unwrap();
    fs::create_dir(mount.path().join(".new/below")).unwrap();
    for n in 0..20 {
        let folder = if n % 2 == 0 { ".new" } else { ".new/below" };
        save(&mount.path().join(folder).join(n.to_string()), &noise(n, 5000)).unwrap();
    }
    fs::rename(mount.path().join(".new"), mount.path().join("new")).unwrap();
    let bytes = |n: u64| {
        let folder = if n.is_multiple_of(2) { "new" } else { "new/below" };
        fs::read(mount.path().join(folder).join(n.to_string())).unwrap()
    };
    assert!((0..20).all(|n| bytes(n) == noise(n, 5000)));
    save(&mount.path().join("new/more"), b"more").unwrap();
    mount.end();
    assert_eq!(server.keys(BUCKET).len(), 20 + 2 + 1);
    assert!(server.keys(BUCKET).iter().all(|key| key.starts_with("new/")));
    assert!(backend.has("new/below/7", &noise(7, 5000)) && backend.has("new/more", b"more"));
}

#[test]
fn a_directory_is_not_renamed_while_a_file_in_it_is_written_or_can_not_be_sent() {
    let Some(backend) = in_process() else { return };
    let server = backend.server().unwrap();
    let mount = mount_renaming(&backend);
    fs::create_dir(mount.path().join("a")).unwrap();
    let rename = || fs::rename(mount.path().join("a"), mount.path().join("b"));
    let open = File::create(mount.path().join("a/open")).unwrap();
    (&open).write_all(b"x").unwrap();
    assert_eq!(errno(rename()), libc::EXDEV);
    close(open).unwrap();
    let refused =
        server.fault(Fault::new(Effect::Refuse(Refusal::AccessDenied)).on(Op::Put).key("a/open"));
    assert_eq!(errno(rename()), libc::EXDEV);
    assert_eq!(fs::read(mount.path().join("a/open")).unwrap(), b"x");
    server.clear_fault(refused);
    until("it is sent and renamed", || rename().is_ok());
    mount.end();
    assert_eq!(server.keys(BUCKET), ["b/", "b/open"]);
}
