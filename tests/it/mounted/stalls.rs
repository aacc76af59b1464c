//! While a server is silent about one object, everything else goes on.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::support::server::{Effect, Fault, Op};

const SIZE: u64 = 8 * MIB;

/// A server with `stalled` objects that it is silent about, and others.
fn half_silent_server(stalled: u64, effect: Effect) -> Option<TestServer> {
    let server = server()?;
    for n in 0..stalled {
        server.put_pattern(BUCKET, &format!("stalled/{n}"), SIZE, n);
    }
    server.put_pattern(BUCKET, "fine/file", SIZE, 1000);
    server.put_many(BUCKET, (0..1500).map(|n| (format!("many/{n}"), "x")));
    server.fault(Fault::new(effect).on(Op::Get).key("stalled/"));
    Some(server)
}

/// Looks, lists and reads elsewhere in the mount.
fn others_go_on(mount: &Mount) {
    assert_eq!(names(&mount.join("many")).len(), 1500);
    reads_whole_pattern(&mount.join("fine/file"), 1000);
    assert_eq!(fs::read(mount.join("many/77")).unwrap(), b"x");
    assert_eq!(errno(fs::metadata(mount.join("fine/missing"))), libc::ENOENT);
}

#[test]
fn while_one_object_stalls_listing_and_reading_others_goes_on() {
    for effect in [Effect::Hang, Effect::StallAfter(50_000)] {
        let Some(server) = half_silent_server(1, effect.clone()) else { return };
        // So long that whoever waits for it fails the test.
        let mount = mount(&server, &["--request-timeout", "300"]);
        let path = mount.join("stalled/0");
        thread::scope(|scope| {
            let stalled = scope.spawn(|| reads_whole_pattern(&path, 0));
            until("the stalled read", || server.in_flight() > 0);
            let start = Instant::now();
            others_go_on(&mount);
            assert_eq!(fs::metadata(&path).unwrap().len(), SIZE);
            assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
            assert!(!stalled.is_finished(), "{effect:?}");
            server.clear_faults();
            // A body may stall only now.
            until("the end of the read", || {
                server.release();
                stalled.is_finished()
            });
            stalled.join().unwrap();
        });
        mount.end();
    }
}

#[test]
fn while_a_hundred_reads_stall_listing_and_reading_others_goes_on() {
    for effect in [Effect::Hang, Effect::StallAfter(50_000)] {
        let Some(server) = half_silent_server(100, effect.clone()) else { return };
        let mount = mount(&server, &["--request-timeout", "300"]);
        names(&mount.join("stalled"));
        let done = AtomicU32::new(0);
        thread::scope(|scope| {
            for n in 0..100 {
                let (path, done) = (mount.join(format!("stalled/{n}")), &done);
                scope.spawn(move || {
                    reads_whole_pattern(&path, n);
                    done.fetch_add(1, Ordering::Relaxed);
                });
            }
            until("a hundred stalled reads", || server.in_flight() >= 100);
            let start = Instant::now();
            others_go_on(&mount);
            println!("{effect:?}: others took {:?}", start.elapsed());
            assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
            assert_eq!(done.load(Ordering::Relaxed), 0, "{effect:?}");
            server.clear_faults();
            // Some ask only now, and some bodies stall after the others went on.
            until("the end of all reads", || {
                server.release();
                done.load(Ordering::Relaxed) == 100
            });
        });
        mount.end();
    }
}

#[test]
fn a_listing_that_stalls_holds_up_its_directory_only() {
    let Some(server) = half_silent_server(1, Effect::Hang) else { return };
    server.fault(Fault::new(Effect::Hang).on(Op::List).key("stalled/"));
    let mount = mount(&server, &["--request-timeout", "300"]);
    let (path, folder) = (mount.join("stalled/0"), mount.join("stalled"));
    thread::scope(|scope| {
        let look_ups: Vec<_> =
            (0..20).map(|_| scope.spawn(|| fs::metadata(&path).unwrap().len())).collect();
        let listing = scope.spawn(|| names(&folder));
        until("the stalled listing", || server.in_flight() > 0);
        let start = Instant::now();
        others_go_on(&mount);
        assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
        assert!(!listing.is_finished() && look_ups.iter().all(|one| !one.is_finished()));
        server.clear_faults();
        until("the end of the listing", || {
            server.release();
            listing.is_finished() && look_ups.iter().all(|one| one.is_finished())
        });
        assert!(look_ups.into_iter().all(|one| one.join().unwrap() == SIZE));
        assert_eq!(listing.join().unwrap(), ["0"]);
    });
    mount.end();
}

#[test]
fn a_stall_ends_with_the_request_timeout_and_the_mount_goes_on() {
    let Some(server) = half_silent_server(1, Effect::StallAfter(50_000)) else { return };
    // Once: then it says nothing at all.
    server.fault(Fault::new(Effect::Hang).on(Op::Get).key("stalled/").after(1));
    let mount = mount(&server, &["--request-timeout", "3"]);
    let path = mount.join("stalled/0");
    let start = Instant::now();
    let file = File::open(&path).unwrap();
    // What arrived before the silence is answered: a read waits for its bytes only.
    assert_pattern(0, 0, &part(&file, 0..4096).unwrap());
    assert_eq!(errno(part(&file, 4 * MIB..5 * MIB)), libc::EIO);
    assert!(start.elapsed() < Duration::from_secs(40), "{:?}", start.elapsed());
    others_go_on(&mount);
    server.clear_faults();
    // Who comes at once shares the end of the read before.
    thread::sleep(Duration::from_millis(100));
    reads_whole_pattern(&path, 0);
    drop(file);
    mount.end();
}

#[test]
fn a_program_that_is_killed_while_its_read_stalls_is_gone_at_once() {
    let Some(server) = half_silent_server(1, Effect::Hang) else { return };
    let mount = mount(&server, &["--request-timeout", "300"]);
    let mut command = std::process::Command::new("cat");
    command.arg(mount.join("stalled/0")).stdout(std::process::Stdio::null());
    let mut reader = command.spawn().unwrap();
    until("the stalled read", || server.in_flight() > 0);
    reader.kill().unwrap();
    until("the end of the killed program", || reader.try_wait().unwrap().is_some());
    others_go_on(&mount);
    mount.end();
}

#[test]
fn all_who_read_one_page_that_does_not_come_fail_together() {
    let Some(server) = half_silent_server(1, Effect::Hang) else { return };
    let mount = mount(&server, &["--request-timeout", "3"]);
    let path = mount.join("stalled/0");
    let start = Instant::now();
    thread::scope(|scope| {
        let read = || errno(File::open(&path).unwrap().read_exact_at(&mut [0; 100], 0));
        let readers: Vec<_> = (0..8).map(|_| scope.spawn(read)).collect();
        for reader in readers {
            assert_eq!(reader.join().unwrap(), libc::EIO);
        }
    });
    // In turn they would take 24 seconds.
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    // A later read asks again.
    server.clear_faults();
    server.release();
    until("a read that succeeds", || {
        File::open(&path).unwrap().read_exact_at(&mut [0; 100], 0).is_ok()
    });
    mount.end();
}
