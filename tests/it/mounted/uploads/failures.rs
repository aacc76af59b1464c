//! Uploads that fail: the program is told, and nothing is lost.

use std::time::Duration;

use super::*;
use crate::support::server::{Effect, Fault, Op, Refusal};

#[test]
fn a_refused_upload_is_the_error_of_the_close_and_the_file_stays() {
    let Some(backend) = in_process() else { return };
    let server = backend.server().unwrap();
    let mount = mount(&backend, &[]);
    let path = mount.path().join("a");
    server.fault(Fault::new(Effect::Refuse(Refusal::AccessDenied)).on(Op::Put));
    assert_eq!(errno(save(&path, b"precious")), libc::EACCES);
    assert!(backend.get("a").is_none());
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    assert_eq!(names_in(mount.path()), ["a"]);
    server.clear_faults();
    until("it is sent again by itself", || backend.has("a", b"precious"));
    mount.end();
}

#[test]
fn a_server_that_fails_for_long_is_eio_and_one_that_fails_for_a_moment_is_nothing() {
    let Some(backend) = in_process() else { return };
    let server = backend.server().unwrap();
    let mount = mount(&backend, &[]);
    let fault = Fault::new(Effect::Refuse(Refusal::SlowDown)).on(Op::Put);
    server.fault(fault.clone().times(2));
    save(&mount.path().join("a"), b"x").unwrap();
    assert!(backend.has("a", b"x"));
    server.fault(fault);
    assert_eq!(errno(save(&mount.path().join("b"), b"y")), libc::EIO);
    assert_eq!(fs::read(mount.path().join("b")).unwrap(), b"y");
    server.clear_faults();
    until("it is sent again by itself", || backend.has("b", b"y"));
    mount.end();
}

#[test]
fn an_error_at_any_step_of_an_upload_in_parts_is_told_and_the_file_stays() {
    let Some(backend) = in_process() else { return };
    let server = backend.server().unwrap();
    let mount = mount(&backend, &[]);
    let bytes = noise(1, 20 * MIB as usize);
    for op in [Op::CreateUpload, Op::UploadPart, Op::CompleteUpload] {
        let name = format!("{op:?}");
        let path = mount.path().join(&name);
        server.fault(Fault::new(Effect::Refuse(Refusal::AccessDenied)).on(op));
        assert_eq!(errno(save(&path, &bytes)), libc::EACCES, "{name}");
        assert!(backend.get(&name).is_none());
        assert!(fs::read(&path).unwrap() == bytes, "{name}");
        server.clear_faults();
        until("it is sent again by itself", || backend.has(&name, &bytes));
        assert!(server.open_uploads(BUCKET).is_empty(), "{name}");
    }
    mount.end();
}

#[test]
fn a_lost_answer_at_any_step_is_no_error_and_one_object() {
    let Some(backend) = in_process() else { return };
    let server = backend.server().unwrap();
    let mount = mount(&backend, &[]);
    let bytes = noise(2, 20 * MIB as usize);
    for op in [Op::UploadPart, Op::CompleteUpload, Op::Put] {
        let name = format!("{op:?}");
        server.fault(Fault::new(Effect::DropAnswer).on(op).times(1));
        let bytes = if op == Op::Put { &bytes[..1000] } else { &bytes };
        save(&mount.path().join(&name), bytes).unwrap();
        assert!(backend.has(&name, bytes), "{name}");
    }
    mount.end();
}

#[test]
fn a_failed_file_can_be_written_again_and_is_sent_as_it_is_then() {
    let Some(backend) = in_process() else { return };
    let server = backend.server().unwrap();
    let mount = mount(&backend, &[]);
    let path = mount.path().join("a");
    let refused = server.fault(Fault::new(Effect::Refuse(Refusal::AccessDenied)).on(Op::Put));
    assert_eq!(errno(save(&path, b"first")), libc::EACCES);
    server.clear_fault(refused);
    save(&path, b"second").unwrap();
    assert!(backend.has("a", b"second"));
    mount.end();
}

#[test]
fn a_crash_leaves_parts_that_the_next_mount_throws_away() {
    for backend in backends() {
        let mut mount = mount(&backend, &[]);
        let mut file = File::create(mount.path().join("large")).unwrap();
        file.write_all(&noise(3, 40 * MIB as usize)).unwrap();
        until("parts are sent ahead", || backend.kept_parts("large") > 0);
        mount.kill();
        drop(file);
        drop(mount);
        assert!(backend.kept_parts("large") > 0);
        let next = self::mount(&backend, &[]);
        until("they are thrown away", || backend.open_uploads("large") == 0);
        assert!(backend.get("large").is_none());
        next.end();
    }
}

#[test]
fn a_stalled_upload_holds_up_nobody_else() {
    let Some(backend) = in_process() else { return };
    let server = backend.server().unwrap();
    backend.put("other", "x");
    let mount = mount(&backend, &[]);
    server.fault(Fault::new(Effect::Hang).on(Op::Put).key("slow"));
    let slow = mount.path().join("slow");
    let writer = std::thread::spawn(move || save(&slow, b"x"));
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(fs::read(mount.path().join("other")).unwrap(), b"x");
    save(&mount.path().join("quick"), b"y").unwrap();
    assert!(backend.has("quick", b"y"));
    server.clear_faults();
    server.release();
    writer.join().unwrap().unwrap();
    assert!(server.wait_idle(FOREVER));
    mount.end();
}
