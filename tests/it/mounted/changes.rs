//! What is seen of a bucket that others change while it is mounted.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::harness::backend::backends;
use crate::support::pattern::pattern_bytes;

const SIZE: u64 = 32 * MIB;

#[test]
fn an_object_overwritten_while_open_is_stale_and_the_next_open_sees_the_new_one() {
    for backend in backends() {
        backend.put("file", pattern_bytes(1, 0..SIZE));
        // A TTL in which nobody would look again by himself.
        let mount = backend.mount(&["--metadata-ttl", "3600"]);
        let path = mount.join("file");
        let old = File::open(&path).unwrap();
        assert_pattern(1, 0, &part(&old, 0..4096).unwrap());
        let old_inode = old.metadata().unwrap().ino();

        backend.put("file", pattern_bytes(2, 0..SIZE + 1));
        let unread = part(&old, SIZE - MIB..SIZE);
        assert_eq!(errno(unread), libc::ESTALE, "{}", backend.name());
        assert_pattern(1, 0, &part(&old, 0..4096).unwrap());

        let new = File::open(&path).unwrap();
        let status = new.metadata().unwrap();
        assert_eq!(status.len(), SIZE + 1, "{}", backend.name());
        assert_ne!(status.ino(), old_inode);
        reads_pattern(&new, 2, 0..SIZE + 1);
        assert_eq!(errno(part(&old, SIZE - MIB..SIZE)), libc::ESTALE);
        assert_eq!(fs::metadata(&path).unwrap().ino(), status.ino());
        drop((old, new));
        mount.end();
    }
}

#[test]
fn an_object_overwritten_before_it_is_opened_is_stale_once_and_then_new() {
    let Some(server) = server() else { return };
    server.put_pattern(BUCKET, "file", SIZE, 1);
    let mount = mount(&server, &["--metadata-ttl", "3600"]);
    let path = mount.join("file");
    fs::metadata(&path).unwrap();
    server.put_pattern(BUCKET, "file", SIZE, 2);
    // The listing is believed, so this is found out by the first read.
    let read = File::open(&path).and_then(|file| part(&file, 0..4096));
    assert_eq!(errno(read), libc::ESTALE);
    let file = File::open(&path).unwrap();
    reads_pattern(&file, 2, 0..SIZE);
    drop(file);
    mount.end();
}

#[test]
fn a_stream_of_overwrites_never_gives_mixed_bytes() {
    let Some(server) = server() else { return };
    server.put_pattern(BUCKET, "file", SIZE, 0);
    let mount = mount(&server, &["--memory", "64M", "--metadata-ttl", "1"]);
    let path = mount.join("file");
    let (whole, mut stale) = (AtomicU32::new(0), 0);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for seed in 1..=30 {
                thread::sleep(Duration::from_millis(40));
                server.put_pattern(BUCKET, "file", SIZE, seed);
                // However slow the machine is, some readers get to the end.
                if seed % 10 == 0 {
                    let before = whole.load(Ordering::Relaxed);
                    until("a whole read", || whole.load(Ordering::Relaxed) > before);
                }
            }
        });
        while !writer.is_finished() {
            let Ok(file) = File::open(&path) else { continue };
            let Ok(first) = part(&file, 0..MIB) else {
                stale += 1;
                continue;
            };
            let seed = (0..=30).find(|&seed| pattern_mismatch(seed, 0, &first).is_none());
            let seed = seed.expect("the first bytes are those of one version");
            let mut at = MIB;
            while at < SIZE {
                match part(&file, at..at + MIB) {
                    Ok(bytes) => assert_pattern(seed, at, &bytes),
                    Err(error) => {
                        assert_eq!(error.raw_os_error(), Some(libc::ESTALE));
                        stale += 1;
                        break;
                    }
                }
                at += MIB;
            }
            whole.fetch_add(u32::from(at >= SIZE), Ordering::Relaxed);
        }
    });
    assert!(stale > 0, "no reader met an overwrite");
    // Once the last listing of before is too old.
    until("the last version", || {
        File::open(&path)
            .and_then(|file| part(&file, 0..SIZE))
            .is_ok_and(|bytes| pattern_mismatch(30, 0, &bytes).is_none())
    });
    mount.end();
}

#[test]
fn an_object_deleted_while_open_does_not_exist_any_more() {
    for backend in backends() {
        backend.put("file", pattern_bytes(1, 0..SIZE));
        backend.put("other", "x");
        let mount = backend.mount(&["--metadata-ttl", "3600"]);
        let path = mount.join("file");
        let file = File::open(&path).unwrap();
        assert_pattern(1, 0, &part(&file, 0..4096).unwrap());
        backend.delete("file");
        assert_eq!(errno(part(&file, SIZE - MIB..SIZE)), libc::ENOENT, "{}", backend.name());
        assert_eq!(errno(File::open(&path)), libc::ENOENT, "{}", backend.name());
        assert_eq!(names(mount.path()), ["other"]);
        drop(file);
        mount.end();
    }
}

#[test]
fn what_was_read_of_a_deleted_object_can_be_read_again_by_who_has_it_open() {
    let Some(server) = server() else { return };
    server.put_pattern(BUCKET, "file", SIZE, 1);
    let mount = mount(&server, &[]);
    let path = mount.join("file");
    reads_whole_pattern(&path, 1);
    let file = File::open(&path).unwrap();
    server.delete(BUCKET, "file");
    forget_pages(&path);
    let ((), cost) = cost_of(&server, || reads_pattern(&file, 1, 0..SIZE));
    assert_eq!(cost, NOTHING);
    drop(file);
    mount.end();
}

#[test]
fn with_a_ttl_of_0_everything_is_seen_at_once() {
    for backend in backends() {
        backend.put("d/old", "old");
        let mount = backend.mount(&["--metadata-ttl", "0"]);
        let path = mount.join("d/new");
        assert_eq!(errno(fs::read(&path)), libc::ENOENT);
        for content in ["new", "newer", "the newest"] {
            backend.put("d/new", content);
            assert_eq!(fs::read(&path).unwrap(), content.as_bytes(), "{}", backend.name());
            assert_eq!(names(&mount.join("d")), ["new", "old"], "{}", backend.name());
        }
        backend.delete("d/new");
        assert_eq!(errno(fs::read(&path)), libc::ENOENT, "{}", backend.name());
        assert_eq!(names(&mount.join("d")), ["old"], "{}", backend.name());
        mount.end();
    }
}

/// Looks up what is there and what is not, and lists.
fn look_around(mount: &Mount) -> (u64, Option<u64>, Vec<String>) {
    let size = |name: &str| fs::metadata(mount.join(name)).map(|status| status.len());
    (size("d/old").unwrap(), size("d/new").ok(), names(&mount.join("d")))
}

#[test]
fn a_listing_is_believed_for_its_ttl_and_for_ever_with_forever() {
    for ttl in ["60", "forever"] {
        let Some(server) = server() else { return };
        server.put(BUCKET, "d/old", "x");
        let mount = mount(&server, &["--metadata-ttl", ttl]);
        let before = (1, None, vec!["old".to_owned()]);
        let (seen, cost) = cost_of(&server, || look_around(&mount));
        assert_eq!((seen, cost), (before.clone(), Cost { list: 1, ..NOTHING }));
        server.put(BUCKET, "d/new", "new");
        // Longer than any shorter time would be that somebody confused with it.
        thread::sleep(Duration::from_millis(1500));
        let (seen, cost) = cost_of(&server, || look_around(&mount));
        assert_eq!((seen, cost), (before, NOTHING), "--metadata-ttl {ttl}");
        mount.end();
    }
}

#[test]
fn after_its_ttl_a_listing_is_asked_for_again_once() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "d/old", "x");
    let mount = mount(&server, &["--metadata-ttl", "3"]);
    let (seen, cost) = cost_of(&server, || look_around(&mount));
    assert_eq!((seen.1, cost), (None, Cost { list: 1, ..NOTHING }));
    server.put(BUCKET, "d/new", "new");
    thread::sleep(Duration::from_millis(3100));
    let (seen, cost) = cost_of(&server, || look_around(&mount));
    assert_eq!(seen, (1, Some(3), vec!["new".to_owned(), "old".to_owned()]));
    // That of the root, in which `d` is looked up again, and that of `d`.
    assert_eq!(cost, Cost { list: 2, ..NOTHING });
    mount.end();
}

#[test]
fn an_unchanged_object_stays_the_same_file_when_its_listing_is_renewed() {
    let Some(server) = server() else { return };
    server.put_pattern(BUCKET, "d/file", 3 * MIB, 1);
    let mount = mount(&server, &["--metadata-ttl", "1"]);
    let path = mount.join("d/file");
    reads_whole_pattern(&path, 1);
    let inode = fs::metadata(&path).unwrap().ino();
    thread::sleep(Duration::from_millis(1100));
    let ((), cost) = cost_of(&server, || reads_whole_pattern(&path, 1));
    assert_eq!((cost.get, cost.bytes), (0, 0), "its pages and blocks are kept");
    assert!(cost.list > 0, "{cost:?}");
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
    mount.end();
}
