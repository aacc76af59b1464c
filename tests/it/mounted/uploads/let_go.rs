//! A file that the bucket has is let go for its object when memory is short, also while
//! something else is done to it: nothing that is written to it afterwards is lost.

use std::os::unix::fs::FileExt;
use std::thread;
use std::time::Duration;

use super::*;
use crate::support::server::{Effect, Fault, Op};

const SIZE: u64 = 20 * MIB;

/// A mount with room for a file of that size, and not for another one beside it. What hangs
/// here does so for as long as the rest takes.
fn mount(backend: &Backend, flags: &[&str]) -> Mount {
    let writing = ["--writes", "upload", "--write-memory", "32M", "--request-timeout", "60"];
    let mounting = backend.mounting().with(writing).with(["--allow-overwrite", "--allow-delete"]);
    mounting.with(flags).in_foreground()
}

/// A file of a folder of its own: the kernel has nobody make a name beside one that is renamed.
fn filler(mount: &Mount) -> File {
    let folder = mount.path().join("other");
    if !folder.exists() {
        fs::create_dir(&folder).unwrap();
    }
    File::create(folder.join("filler")).unwrap()
}

/// Writes more than there is memory beside a file that the bucket has.
fn fill_memory(file: File) {
    for at in 0..40 {
        let piece = noise(at, MIB as usize);
        with_room(|| file.write_all_at(&piece, at * MIB));
    }
    close(file).unwrap();
}

/// Does something that may find no room while the parts of another file are on their way, and
/// is refused then: again, until it is done.
fn with_room(mut work: impl FnMut() -> io::Result<()>) {
    until("there is room", || match work() {
        Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => false,
        outcome => {
            outcome.unwrap();
            true
        }
    });
}

#[test]
fn what_is_written_to_a_file_that_was_renamed_while_memory_was_short_is_sent() {
    let Some(backend) = in_process() else { return };
    let server = backend.server().unwrap();
    let mount = mount(&backend, &[]);
    let path = |name: &str| mount.path().join(name);
    save(&path("before"), &noise(1, SIZE as usize)).unwrap();
    let full = filler(&mount);
    server.fault(Fault::new(Effect::Hang).on(Op::Put).key("after"));
    thread::scope(|scope| {
        let renaming = scope.spawn(|| fs::rename(path("before"), path("after")).unwrap());
        until("the copy", || server.in_flight() == 1);
        fill_memory(full);
        server.clear_faults();
        server.release();
        renaming.join().unwrap();
    });
    assert!(backend.has("after", &noise(1, SIZE as usize)));
    save(&path("after"), b"written since").unwrap();
    assert!(backend.has("after", b"written since"), "{}", mount.log());
    assert_eq!(fs::read(path("after")).unwrap(), b"written since");
    // The memory of what was renamed is not lost.
    fill_memory(filler(&mount));
    assert!(!mount.log().contains("ERROR"), "{}", mount.log());
    mount.end();
}

#[test]
fn a_file_that_is_let_go_while_it_waits_to_be_renamed_or_deleted_is_renamed_or_deleted() {
    let Some(backend) = in_process() else { return };
    let server = backend.server().unwrap();
    for deletes in [false, true] {
        let mount = mount(&backend, &["--metadata-ttl", "0"]);
        let path = |name: &str| mount.path().join(name);
        let bytes = noise(2, SIZE as usize);
        save(&path("before"), &bytes).unwrap();
        let full = filler(&mount);
        // Before anything is sent, its name is looked for.
        server.fault(Fault::new(Effect::Delay(Duration::from_millis(1500))).on(Op::List));
        thread::scope(|scope| {
            let changing = scope.spawn(|| match deletes {
                true => fs::remove_file(path("before")).unwrap(),
                false => fs::rename(path("before"), path("after")).unwrap(),
            });
            fill_memory(full);
            changing.join().unwrap();
        });
        server.clear_faults();
        assert!(server.get(BUCKET, "before").is_none());
        if !deletes {
            assert!(backend.has("after", &bytes));
            save(&path("after"), b"written since").unwrap();
            assert!(backend.has("after", b"written since"), "{}", mount.log());
            fs::remove_file(path("after")).unwrap();
        }
        save(&path("before"), b"made again").unwrap();
        assert!(backend.has("before", b"made again"), "{}", mount.log());
        for name in ["before", "other/filler"] {
            fs::remove_file(path(name)).unwrap();
        }
        mount.end();
    }
}

#[test]
fn a_file_that_is_cut_or_emptied_while_memory_is_short_is_sent_as_it_is_then() {
    let Some(backend) = in_process() else { return };
    let mount = mount(&backend, &[]);
    let path = mount.path().join("file");
    let bytes = noise(3, MIB as usize);
    for round in 0..20_u64 {
        with_room(|| save(&path, &bytes));
        thread::scope(|scope| {
            scope.spawn(|| fill_memory(filler(&mount)));
            thread::sleep(Duration::from_millis(round * 7));
            match round % 2 {
                0 => {
                    let file = OpenOptions::new().write(true).truncate(true).open(&path).unwrap();
                    with_room(|| file.write_all_at(b"short", 0));
                    close(file).unwrap();
                    assert!(backend.has("file", b"short"), "{round}");
                }
                _ => {
                    with_room(|| Ok(nix::unistd::truncate(&path, 1000)?));
                    assert!(backend.has("file", &bytes[..1000]), "{round}");
                }
            }
        });
    }
    assert!(!mount.log().contains("ERROR"), "{}", mount.log());
    mount.end();
}
