//! Whoever finds `--write-memory` full waits for what is on its way to the bucket, and is
//! refused once nothing on its way can make room.

use std::os::unix::fs::FileExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use super::*;
use crate::harness::shell::signal;
use crate::support::server::{Effect, Fault, Op, Refusal, TestServer};

/// As long as a write takes to reach the daemon and find no room there.
const A_MOMENT: Duration = Duration::from_millis(300);
/// Nobody waits for the deadline of a request.
const PATIENT: [&str; 2] = ["--request-timeout", "300"];

/// The bucket, mounted with room for four parts.
fn mount_small(backend: &Backend, flags: &[&str]) -> Mount {
    let small = ["--write-memory", "32M"];
    mount(backend, &[&small, flags].concat())
}

/// A file that is written in order, open, whose parts fill the memory and are on their way.
fn fill(mount: &Mount, server: &TestServer, name: &str) -> File {
    let file = File::create(mount.join(name)).unwrap();
    (&file).write_all(&noise(1, 30 * MIB as usize)).unwrap();
    until("its parts are on their way", || server.in_flight() == 3);
    file
}

fn hang_parts_of(server: &TestServer, name: &str) {
    server.fault(Fault::new(Effect::Hang).on(Op::UploadPart).key(name));
}

#[test]
fn files_that_are_written_side_by_side_wait_for_each_others_parts() {
    let Some(backend) = in_process() else { return };
    let server = backend.server().unwrap();
    let mount = mount_small(&backend, &[]);
    server.fault(Fault::new(Effect::Delay(Duration::from_millis(150))).on(Op::UploadPart));
    thread::scope(|scope| {
        for (number, piece) in [(0, 4 << 10), (1, 64 << 10), (2, 1 << 20)] {
            let path = mount.join(format!("f{number}"));
            scope.spawn(move || {
                let mut file = File::create(path).unwrap();
                for bytes in noise(number, 60 * MIB as usize).chunks(piece) {
                    file.write_all(bytes).unwrap();
                }
                close(file).unwrap();
            });
        }
    });
    for number in 0..3 {
        assert!(backend.has(&format!("f{number}"), &noise(number, 60 * MIB as usize)));
    }
    let counts = server.counts();
    assert_eq!((counts.put, counts.other), (3 * 8, 3 * 2), "each part once");
    mount.end();
}

#[test]
fn a_write_waits_for_the_parts_of_another_file() {
    let Some(backend) = in_process() else { return };
    let server = backend.server().unwrap();
    let mount = mount_small(&backend, &PATIENT);
    hang_parts_of(server, "first");
    let first = fill(&mount, server, "first");
    thread::scope(|scope| {
        let second = scope.spawn(|| save(&mount.join("second"), &noise(2, 20 * MIB as usize)));
        thread::sleep(A_MOMENT);
        assert!(!second.is_finished());
        server.clear_faults();
        server.release();
        second.join().unwrap().unwrap();
    });
    close(first).unwrap();
    assert!(backend.has("first", &noise(1, 30 * MIB as usize)));
    assert!(backend.has("second", &noise(2, 20 * MIB as usize)));
    assert_eq!(server.counts().put, 4 + 3, "each part once");
    mount.end();
}

#[test]
fn a_program_that_waits_for_room_ends_on_ctrl_c() {
    let Some(backend) = in_process() else { return };
    let server = backend.server().unwrap();
    let mount = mount_small(&backend, &PATIENT);
    hang_parts_of(server, "first");
    let first = fill(&mount, server, "first");
    let path = mount.join("second");
    let mut tee: Child = Command::new("dd")
        .args(["if=/dev/zero", "bs=4M", "count=4"])
        .arg(format!("of={}", path.display()))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("it writes", || fs::metadata(&path).is_ok_and(|meta| meta.len() > 0));
    thread::sleep(A_MOMENT);
    assert!(tee.try_wait().unwrap().is_none());
    signal("INT", tee.id());
    until("its end", || tee.try_wait().unwrap().is_some());
    server.clear_faults();
    server.release();
    close(first).unwrap();
    assert!(backend.has("first", &noise(1, 30 * MIB as usize)));
    mount.end();
}

#[test]
fn a_write_is_refused_once_the_parts_that_it_waited_for_can_not_be_sent() {
    let Some(backend) = in_process() else { return };
    let server = backend.server().unwrap();
    let mount = mount_small(&backend, &PATIENT);
    // They hang, are refused in the end, and so are further attempts.
    server.fault(Fault::new(Effect::Hang).on(Op::UploadPart).key("first").times(3));
    let refusal = Effect::Refuse(Refusal::AccessDenied);
    server.fault(Fault::new(refusal).on(Op::UploadPart).key("first"));
    let first = fill(&mount, server, "first");
    thread::scope(|scope| {
        let second = scope.spawn(|| save(&mount.join("second"), &noise(2, 10 * MIB as usize)));
        thread::sleep(A_MOMENT);
        assert!(!second.is_finished());
        server.release();
        assert_eq!(errno(second.join().unwrap()), libc::ENOSPC);
    });
    server.clear_faults();
    // Nothing of the first one is lost.
    close(first).unwrap();
    assert!(backend.has("first", &noise(1, 30 * MIB as usize)));
    until("there is room again", || {
        save(&mount.join("third"), &noise(3, 10 * MIB as usize)).is_ok()
    });
    assert!(backend.has("third", &noise(3, 10 * MIB as usize)));
    mount.end();
}

#[test]
fn a_write_is_refused_at_once_where_nothing_on_its_way_can_make_room() {
    let Some(backend) = in_process() else { return };
    let server = backend.server().unwrap();
    let mount = mount_small(&backend, &PATIENT);
    let random = File::create(mount.join("random")).unwrap();
    random.write_all_at(&noise(1, 15 * MIB as usize), 15 * MIB).unwrap();
    random.write_all_at(&noise(2, 15 * MIB as usize), 0).unwrap();
    assert_eq!(errno(save(&mount.join("other"), &noise(3, 10 * MIB as usize))), libc::ENOSPC);
    assert_eq!(server.in_flight(), 0);
    drop(random);
    mount.end();
}

#[test]
fn an_object_that_is_copied_into_memory_waits_for_the_parts_of_another_file() {
    let Some(backend) = in_process() else { return };
    let server = backend.server().unwrap();
    backend.put("object", noise(2, 20 * MIB as usize));
    let mount = mount_small(&backend, &[&PATIENT[..], &["--allow-overwrite"]].concat());
    assert_eq!(names_in(mount.path()), ["object"]);
    hang_parts_of(server, "first");
    let first = fill(&mount, server, "first");
    thread::scope(|scope| {
        let path = mount.join("object");
        let cut = scope.spawn(move || {
            let file = OpenOptions::new().write(true).open(path)?;
            file.set_len(19 * MIB)?;
            close(file)
        });
        thread::sleep(A_MOMENT);
        assert!(!cut.is_finished());
        server.clear_faults();
        server.release();
        cut.join().unwrap().unwrap();
    });
    close(first).unwrap();
    assert!(backend.has("object", &noise(2, 20 * MIB as usize)[..19 * MIB as usize]));
    assert!(backend.has("first", &noise(1, 30 * MIB as usize)));
    mount.end();
}

#[test]
fn an_allocation_waits_for_the_parts_of_another_file() {
    let Some(backend) = in_process() else { return };
    let server = backend.server().unwrap();
    let mount = mount_small(&backend, &PATIENT);
    hang_parts_of(server, "first");
    let first = fill(&mount, server, "first");
    thread::scope(|scope| {
        let path = mount.join("second");
        let allocated = scope.spawn(move || {
            let file = File::create(path).unwrap();
            let none = rustix::fs::FallocateFlags::empty();
            rustix::fs::fallocate(&file, none, 0, 16 * MIB).unwrap();
            close(file)
        });
        thread::sleep(A_MOMENT);
        assert!(!allocated.is_finished());
        server.clear_faults();
        server.release();
        allocated.join().unwrap().unwrap();
    });
    close(first).unwrap();
    assert!(backend.has("second", &vec![0; 16 * MIB as usize]));
    mount.end();
}

#[test]
fn a_write_waits_for_files_that_are_sent_after_their_close() {
    let Some(backend) = in_process() else { return };
    let server = backend.server().unwrap();
    let mount = mount_small(&backend, &[&PATIENT[..], &["--on-close", "later"]].concat());
    server.fault(Fault::new(Effect::Hang).on(Op::Put).key("early"));
    for number in 0..3 {
        save(&mount.join(format!("early {number}")), &noise(number, 10 * MIB as usize)).unwrap();
    }
    thread::scope(|scope| {
        let next = scope.spawn(|| save(&mount.join("next"), &noise(7, 20 * MIB as usize)));
        until("they are on their way", || server.in_flight() == 3);
        thread::sleep(A_MOMENT);
        assert!(!next.is_finished());
        server.clear_faults();
        server.release();
        next.join().unwrap().unwrap();
    });
    mount.end();
    assert!(backend.has("next", &noise(7, 20 * MIB as usize)));
    assert_eq!(server.counts().put, 3 + 3, "each file and each part once");
}

#[test]
fn a_write_waits_for_a_file_that_is_being_closed() {
    let Some(backend) = in_process() else { return };
    let server = backend.server().unwrap();
    let mount = mount_small(&backend, &PATIENT);
    server.fault(Fault::new(Effect::Hang).on(Op::CompleteUpload).key("first"));
    thread::scope(|scope| {
        let first = scope.spawn(|| save(&mount.join("first"), &noise(1, 30 * MIB as usize)));
        until("it is closed", || server.in_flight() == 1 && server.counts().put == 4);
        let second = scope.spawn(|| save(&mount.join("second"), &noise(2, 20 * MIB as usize)));
        thread::sleep(A_MOMENT);
        assert!(!first.is_finished() && !second.is_finished());
        server.clear_faults();
        server.release();
        first.join().unwrap().unwrap();
        second.join().unwrap().unwrap();
    });
    assert!(backend.has("first", &noise(1, 30 * MIB as usize)));
    assert!(backend.has("second", &noise(2, 20 * MIB as usize)));
    let counts = server.counts();
    assert_eq!((counts.put, counts.other), (4 + 3, 4), "nothing is sent again");
    assert_eq!(backend.open_uploads("first"), 0);
    mount.end();
}
