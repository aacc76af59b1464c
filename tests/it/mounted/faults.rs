//! What programs get, and what the log says, when the server fails.

use std::fs;

use super::*;
use crate::support::server::{Effect, Fault, Meta, Op, Refusal, SECRET_KEY};

const SIZE: u64 = 24 * MIB;

#[test]
fn a_body_that_is_cut_or_reset_is_resumed_where_it_broke() {
    for effect in [Effect::TruncateAfter(100_000), Effect::ResetAfter(300_000)] {
        let Some(server) = server() else { return };
        server.put_pattern(BUCKET, "file", SIZE, 1);
        let mount = mount(&server, &[]);
        let fault = server.fault(Fault::new(effect.clone()).on(Op::Get).key("file").times(5));
        let ((), cost) = cost_of(&server, || reads_whole_pattern(&mount.join("file"), 1));
        assert_eq!(server.fault_hits(fault), 5);
        // What a reset loses on its way is asked for again.
        let lost = if effect == Effect::TruncateAfter(100_000) { 0 } else { 5 * 300_000 };
        assert!((SIZE..=SIZE + lost).contains(&cost.bytes), "{effect:?}: {cost:?}");
        assert_eq!(lines(&mount, "ERROR", ""), [""; 0], "nothing failed in the end");
        mount.end();
    }
}

#[test]
fn passing_faults_are_retried_and_no_program_hears_of_them() {
    for effect in [
        Effect::Refuse(Refusal::SlowDown),
        Effect::Refuse(Refusal::TooManyRequests),
        Effect::Refuse(Refusal::InternalError),
        Effect::Refuse(Refusal::Other(502, "BadGateway")),
        Effect::Drop,
    ] {
        let Some(server) = server() else { return };
        server.put_pattern(BUCKET, "d/file", MIB, 1);
        let mount = mount(&server, &[]);
        let struck = [Op::List, Op::Get]
            .map(|op| server.fault(Fault::new(effect.clone()).on(op).key("d/").times(3)));
        let (read, cost) = cost_of(&server, || fs::read(mount.join("d/file")));
        let read = read.unwrap_or_else(|error| panic!("{effect:?}: {error}: {}", mount.log()));
        assert_pattern(1, 0, &read);
        assert_eq!(struck.map(|fault| server.fault_hits(fault)), [3, 3], "{effect:?}");
        assert_eq!((cost.list, cost.bytes), (4, MIB), "{effect:?}");
        assert_eq!(lines(&mount, "ERROR", ""), [""; 0], "{effect:?}");
        mount.end();
    }
}

#[test]
fn a_listing_that_breaks_off_or_is_cut_is_asked_for_again() {
    let cuts = [Effect::TruncateAfter(2000), Effect::ResetAfter(2000), Effect::ShortenTo(2000)];
    for effect in cuts {
        let Some(server) = server() else { return };
        for n in 0..50 {
            server.put(BUCKET, &format!("d/f{n:02}"), "x");
        }
        let mount = mount(&server, &[]);
        let fault = server.fault(Fault::new(effect.clone()).on(Op::List).key("d/").times(3));
        let (listed, cost) = cost_of(&server, || names(&mount.join("d")));
        assert_eq!(listed.len(), 50, "{effect:?}");
        assert_eq!(server.fault_hits(fault), 3, "{effect:?}");
        assert_eq!(cost.list, 4, "{effect:?}");
        assert_eq!(lines(&mount, "ERROR", ""), [""; 0], "{effect:?}");
        mount.end();
    }
}

#[test]
fn a_listing_that_is_always_cut_is_an_error_and_never_a_shorter_directory() {
    let Some(server) = server() else { return };
    for n in 0..50 {
        server.put(BUCKET, &format!("d/f{n:02}"), "x");
    }
    let mount = mount(&server, &["--request-timeout", "1"]);
    server.fault(Fault::new(Effect::ShortenTo(2000)).on(Op::List).key("d/"));
    let dir = mount.join("d");
    assert_eq!(
        errno(fs::read_dir(&dir).and_then(|entries| entries.collect::<Result<Vec<_>, _>>())),
        libc::EIO
    );
    for name in ["f00", "f49", "missing"] {
        assert_eq!(errno(fs::metadata(dir.join(name))), libc::EIO, "{name}");
    }
    server.clear_faults();
    assert_eq!(names(&dir).len(), 50);
    assert_eq!(errno(fs::metadata(dir.join("missing"))), libc::ENOENT);
    mount.end();
}

#[test]
fn a_server_that_only_fails_gives_eio_within_the_request_timeout() {
    for effect in [Effect::Refuse(Refusal::SlowDown), Effect::Drop, Effect::Hang] {
        let Some(server) = server() else { return };
        server.put_pattern(BUCKET, "file", SIZE, 1);
        server.put(BUCKET, "d/file", "x");
        let mount = mount(&server, &["--request-timeout", "2"]);
        server.fault(Fault::new(effect.clone()));
        let start = Instant::now();
        assert_eq!(errno(fs::read(mount.join("file"))), libc::EIO, "{effect:?}");
        assert_eq!(errno(fs::metadata(mount.join("d/file"))), libc::EIO, "{effect:?}");
        assert!(start.elapsed() < Duration::from_secs(2 * 2 + 30), "{:?}", start.elapsed());
        assert!(server.counts().requests() >= 4, "tried again inside the timeout");
        // And not for another timeout, though the kernel asks for the first page
        // once more after its readahead has failed.
        assert_eq!(lines(&mount, "ERROR", "GET file").len(), 1, "{}", mount.log());
        server.clear_faults();
        server.release();
        reads_whole_pattern(&mount.join("file"), 1);
        assert_eq!(fs::read(mount.join("d/file")).unwrap(), b"x");
        mount.end();
    }
}

#[test]
fn a_server_that_is_gone_gives_eio_and_a_mount_that_still_answers() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "file", "content");
    server.put_pattern(BUCKET, "big", GIB, 1);
    let mount = mount(&server, &["--request-timeout", "1"]);
    assert_eq!(fs::read(mount.join("file")).unwrap(), b"content");
    drop(server);
    assert_eq!(errno(fs::read(mount.join("big"))), libc::EIO);
    // What was listed and read is still here.
    assert_eq!(names(mount.path()), ["big", "file"]);
    assert_eq!(fs::read(mount.join("file")).unwrap(), b"content");
    mount.end();
}

#[test]
fn a_refusal_is_eacces_for_its_object_and_nobody_else() {
    let Some(server) = server() else { return };
    server.put_pattern(BUCKET, "secret/file", SIZE, 1);
    server.put_pattern(BUCKET, "public/file", SIZE, 2);
    server.put(BUCKET, "hidden/file", "x");
    let mount = mount(&server, &[]);
    let deny = || Fault::new(Effect::Refuse(Refusal::AccessDenied));
    server.fault(deny().on(Op::Get).key("secret/"));
    server.fault(deny().on(Op::List).key("hidden/"));
    assert_eq!(fs::metadata(mount.join("secret/file")).unwrap().len(), SIZE);
    assert_eq!(errno(fs::read(mount.join("secret/file"))), libc::EACCES);
    assert_eq!(
        errno(fs::read_dir(mount.join("hidden")).and_then(|mut dir| dir.next().unwrap())),
        libc::EACCES
    );
    assert_eq!(errno(fs::metadata(mount.join("hidden/file"))), libc::EACCES);
    reads_whole_pattern(&mount.join("public/file"), 2);
    server.clear_faults();
    reads_whole_pattern(&mount.join("secret/file"), 1);
    assert_eq!(fs::read(mount.join("hidden/file")).unwrap(), b"x");
    mount.end();
}

#[test]
fn a_failed_read_is_logged_once_with_key_and_request_id() {
    let Some(server) = server() else { return };
    server.put_pattern(BUCKET, "d/denied", SIZE, 1);
    let mount = mount(&server, &[]);
    server.fault(Fault::new(Effect::Refuse(Refusal::AccessDenied)).on(Op::Get));
    let (error, cost) = cost_of(&server, || errno(fs::read(mount.join("d/denied"))));
    assert_eq!(error, libc::EACCES);
    let logged = lines(&mount, "ERROR", "");
    assert_eq!(logged.len(), 1, "{cost:?}: {logged:#?}");
    assert!(logged[0].contains("GET d/denied"), "{logged:#?}");
    assert!(logged[0].contains("AccessDenied"), "{logged:#?}");
    let id = logged[0].split("(request id ").nth(1).and_then(|rest| rest.split(')').next());
    assert!(id.is_some_and(|id| id.len() >= 8), "{logged:#?}");
    mount.end();
}

#[test]
fn an_archived_object_has_a_size_and_asks_to_be_restored_in_one_line() {
    for class in ["GLACIER", "DEEP_ARCHIVE"] {
        let Some(server) = server() else { return };
        let meta = || Meta { storage_class: Some(class.into()), ..Meta::default() };
        server.put_with(BUCKET, "old/scene.tif", vec![1; 100_000], meta());
        server.put(BUCKET, "old/other.tif", "here");
        let mount = mount(&server, &[]);
        let path = mount.join("old/scene.tif");
        let (size, cost) = cost_of(&server, || fs::metadata(&path).unwrap().len());
        assert_eq!((size, cost.get), (100_000, 0));
        assert_eq!(names(&mount.join("old")), ["other.tif", "scene.tif"]);
        assert_eq!(errno(File::open(&path)), libc::EACCES, "{class}");
        let logged = lines(&mount, "", "old/scene.tif");
        assert_eq!(logged.len(), 1, "{logged:#?}");
        assert!(logged[0].contains("WARN") && logged[0].contains("restore"), "{logged:#?}");
        assert_eq!(fs::read(mount.join("old/other.tif")).unwrap(), b"here");
        // Restored, it is an object like any other.
        server.put(BUCKET, "old/scene.tif", vec![1; 100_000]);
        mount.end();
        let mount = super::mount(&server, &[]);
        assert_eq!(fs::read(mount.join("old/scene.tif")).unwrap(), vec![1; 100_000]);
        mount.end();
    }
}

#[test]
fn an_object_of_an_archive_class_that_can_be_read_costs_no_more_than_another() {
    let Some(server) = server() else { return };
    // Instant retrieval is no archive in this sense.
    let meta = Meta { storage_class: Some("GLACIER_IR".into()), ..Meta::default() };
    server.put_with(BUCKET, "file", vec![1; 10_000], meta);
    let mount = mount(&server, &[]);
    let (bytes, cost) = cost_of(&server, || fs::read(mount.join("file")).unwrap());
    assert_eq!(bytes.len(), 10_000);
    assert_eq!(cost, Cost { get: 1, bytes: 10_000, ..NOTHING });
    mount.end();
}

#[test]
fn no_credential_reaches_the_log_at_any_level_however_requests_fail() {
    let Some(server) = server() else { return };
    let token = "FwoGZXIvYXdzEXAMPLEsessionTOKENthatNobodyMaySee//////////wEaDA";
    server.put_pattern(BUCKET, "d/file", SIZE, 1);
    let effects = [
        Effect::Refuse(Refusal::AccessDenied),
        Effect::Refuse(Refusal::InvalidAccessKeyId),
        Effect::Refuse(Refusal::ExpiredToken),
        Effect::Refuse(Refusal::WrongRegion("eu-north-1".into())),
        Effect::Refuse(Refusal::SlowDown),
        Effect::Refuse(Refusal::Other(400, "InvalidToken")),
        Effect::Drop,
    ];
    for n in 0..effects.len() {
        server.put_pattern(BUCKET, &format!("{n}"), SIZE, 1);
    }
    let mount = Mounting::of(&server, BUCKET)
        .with(["--log-level", "trace", "--request-timeout", "1"])
        .env("AWS_SESSION_TOKEN", token)
        .env("RUST_LOG", "trace")
        .in_foreground();
    reads_whole_pattern(&mount.join("d/file"), 1);
    for (n, effect) in effects.into_iter().enumerate() {
        let fault = server.fault(Fault::new(effect.clone()).on(Op::Get));
        assert_ne!(errno(fs::read(mount.join(format!("{n}")))), libc::ENOENT, "{effect:?}");
        server.clear_fault(fault);
    }
    let log = mount.log();
    assert_eq!(log.lines().filter(|line| line.contains("ERROR")).count(), 7, "{log}");
    for secret in [SECRET_KEY, token, "Signature=", "EXAMPLEsessionTOKEN"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
    mount.end();
}
