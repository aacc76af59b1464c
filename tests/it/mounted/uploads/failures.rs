//! Uploads that fail: the program is told, and nothing is lost.

use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use super::*;
use crate::harness::mounting::lines;
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

/// A sign-in page that answers everything, a proxy, a server whose bucket is not there yet.
#[test]
fn what_was_answered_by_pages_is_in_the_bucket_once_the_server_is_back() {
    const PAGE: &str = "<html><body>Please sign in</body></html>";
    let Some(backend) = in_process() else { return };
    let server = backend.server().unwrap();
    let pages = [
        ("200", Effect::Page(200, PAGE), libc::EIO),
        ("200-empty", Effect::Page(200, ""), libc::EIO),
        ("403", Effect::Page(403, PAGE), libc::EACCES),
        ("404", Effect::Page(404, PAGE), libc::EIO),
        ("404-s3", Effect::Refuse(Refusal::Other(404, "NoSuchKey")), libc::EIO),
        ("412-s3", Effect::Refuse(Refusal::Other(412, "PreconditionFailed")), libc::EIO),
    ];
    for (name, ..) in &pages {
        backend.put(&format!("old-{name}"), "old");
    }
    let mount = mount_free(&backend);
    assert_eq!(names_in(mount.path()).len(), pages.len());
    for (name, effect, expected) in &pages {
        // Of what was there, only a HEAD can say that it is still the same.
        let on_put = server.fault(Fault::new(effect.clone()).on(Op::Put));
        for path in [format!("new-{name}"), format!("old-{name}")] {
            let mut file = File::create(mount.path().join(&path)).unwrap();
            file.write_all(b"precious").unwrap();
            assert_eq!(errno(file.sync_all()), *expected, "{path}");
            assert_eq!(errno(close(file)), *expected, "{path}");
            assert!(!backend.has(&path, b"precious"));
        }
        let folder = fs::create_dir(mount.path().join(format!("dir-{name}")));
        assert_eq!(errno(folder), *expected);
        server.clear_fault(on_put);
        if !effect_is_of_s3(effect) {
            let on_all = server.fault(Fault::new(effect.clone()));
            let path = mount.path().join(format!("all-{name}"));
            assert_eq!(errno(save(&path, b"precious")), *expected, "{name}");
            server.clear_fault(on_all);
        }
    }
    for (name, effect, _) in &pages {
        let mut paths = vec![format!("new-{name}"), format!("old-{name}")];
        if !effect_is_of_s3(effect) {
            paths.push(format!("all-{name}"));
        }
        for path in paths {
            until("it is sent again by itself", || backend.has(&path, b"precious"));
        }
        assert!(backend.get(&format!("dir-{name}/")).is_none());
    }
    mount.end();
}

fn effect_is_of_s3(effect: &Effect) -> bool {
    matches!(effect, Effect::Refuse(_))
}

#[test]
fn nothing_is_deleted_or_renamed_by_a_page() {
    let Some(backend) = in_process() else { return };
    let server = backend.server().unwrap();
    backend.put("a", "precious");
    let mount = mount_free(&backend);
    let path = mount.path().join("a");
    let page = Effect::Page(200, "<html><body>Please sign in</body></html>");
    server.fault(Fault::new(page.clone()).on(Op::Put));
    server.fault(Fault::new(page.clone()).on(Op::Delete));
    server.fault(Fault::new(page).on(Op::Head));
    assert_eq!(errno(fs::remove_file(&path)), libc::EIO);
    assert_eq!(errno(fs::rename(&path, mount.path().join("b"))), libc::EIO);
    let told = rustix::fs::getxattr(&path, "user.s3.content-type", &mut [0; 64]);
    assert_eq!(told.unwrap_err().raw_os_error(), libc::EIO);
    server.clear_faults();
    assert!(backend.has("a", b"precious") && backend.get("b").is_none());
    fs::rename(&path, mount.path().join("b")).unwrap();
    fs::remove_file(mount.path().join("b")).unwrap();
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
fn an_upload_whose_beginning_was_not_answered_is_named_and_nobody_elses_is_aborted() {
    let Some(backend) = in_process() else { return };
    let server = backend.server().unwrap();
    let mut mount = mount(&backend, &[]);
    let bytes = noise(4, 20 * MIB as usize);
    server.fault(Fault::new(Effect::DropAnswer).on(Op::CreateUpload).times(1));
    save(&mount.join("begun twice"), &bytes).unwrap();
    assert!(backend.has("begun twice", &bytes));
    assert_eq!(server.open_uploads(BUCKET), ["begun twice"], "the one that nobody knows");
    assert_eq!(lines(&mount, "INFO", "\"begun twice\" was not answered").len(), 1);
    server.fault(Fault::new(Effect::DropAnswer).on(Op::CreateUpload));
    assert_eq!(errno(save(&mount.join("never told"), &bytes)), libc::EIO);
    mount.kill();
    drop(mount);
    server.clear_faults();
    let open_uploads = || {
        let mut keys = server.open_uploads(BUCKET);
        keys.sort();
        keys
    };
    let begun = open_uploads();
    let next = self::mount(&backend, &[]);
    until("it is named", || !lines(&next, "WARN", "\"never told\" may have been left").is_empty());
    save(&next.join("other"), &bytes).unwrap();
    assert_eq!(open_uploads(), begun, "another client's may be among them");
    next.end();
    let last = self::mount(&backend, &[]);
    save(&last.join("last"), b"x").unwrap();
    assert!(lines(&last, "WARN", "may have been left").is_empty(), "it is said once");
    last.end();
}

#[test]
fn a_stalled_upload_holds_up_nobody_else() {
    let Some(backend) = in_process() else { return };
    let server = backend.server().unwrap();
    backend.put("other", "x");
    let mount = mount(&backend, &[]);
    let stall = server.fault(Fault::new(Effect::Hang).on(Op::Put).key("slow"));
    let slow = mount.path().join("slow");
    let writer = std::thread::spawn(move || save(&slow, b"x"));
    until("the upload stalls", || server.fault_hits(stall) > 0);
    assert_eq!(fs::read(mount.path().join("other")).unwrap(), b"x");
    save(&mount.path().join("quick"), b"y").unwrap();
    assert!(backend.has("quick", b"y"));
    server.clear_faults();
    server.release();
    writer.join().unwrap().unwrap();
    assert!(server.wait_idle(FOREVER));
    mount.end();
}

#[test]
fn a_file_whose_upload_can_not_be_begun_is_closed_after_one_timeout() {
    let Some(backend) = in_process() else { return };
    let server = backend.server().unwrap();
    let mount = mount(&backend, &[]);
    server.fault(Fault::new(Effect::Hang).on(Op::CreateUpload));
    // Parts that are ready while it is written want an upload, and so does the close.
    let mut file = File::create(mount.join("film")).unwrap();
    file.write_all(&noise(1, 40 * MIB as usize)).unwrap();
    let start = Instant::now();
    assert_eq!(errno(file.sync_all()), libc::EIO);
    // A timeout is 4 seconds; one that had just begun is waited for as well. Each part in
    // turn would take 20 more.
    assert!(start.elapsed() < Duration::from_secs(18), "{:?}", start.elapsed());
    drop(file);
    server.clear_faults();
    server.release();
    fs::remove_file(mount.join("film")).unwrap();
    mount.end();
}

#[test]
fn a_byte_that_is_written_exabytes_away_is_refused_at_close_and_holds_up_nobody() {
    let Some(backend) = in_process() else { return };
    let mount = mount_free(&backend);
    let path = mount.path().join("far");
    let file = File::create(&path).unwrap();
    for far in [1 << 62, (1 << 63) - 2] {
        file.write_all_at(b"x", far).unwrap();
    }
    save(&mount.path().join("near"), b"y").unwrap();
    // No server takes so many parts.
    assert_eq!(errno(close(file)), libc::ENOSPC);
    assert!(mount.memory_bytes("VmHWM") < 200 * MIB, "{}", mount.memory_bytes("VmHWM"));
    fs::remove_file(&path).unwrap();
    assert_eq!(backend.keys(), ["near"]);
    mount.end();
}
