//! A daemon that may have few files open: they are shared out, and what nobody needs is
//! given back.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};
use std::thread;

use tempfile::TempDir;

use super::*;
use crate::harness::mounting::{PROGRAM, both, lines};
use crate::support::server::{Effect, Fault, Op, Refusal};

/// What the daemon may have open in all.
const OPEN_FILES: usize = 64;
/// How long a hanging request is waited for: longer than the test takes on a busy machine.
const PATIENCE: &str = "300";

/// A mount whose daemon may have so few files open, and the folder of the script that sees
/// to that.
fn mount_with_few(backend: &Backend, flags: &[&str]) -> (Mount, TempDir) {
    let folder = TempDir::new().unwrap();
    let script = folder.path().join("s3mem");
    let text = format!("#!/bin/sh\nulimit -n {OPEN_FILES}\nexec '{PROGRAM}' \"$@\"\n");
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let writing = ["--memory", "256M", "--writes", "upload", "--metadata-ttl", "3600"];
    let mounting =
        backend.mounting().with(writing).with(["--request-timeout", PATIENCE]).with(flags);
    (mounting.by(&script).in_foreground(), folder)
}

fn status(mount: &Mount) -> Output {
    Command::new("timeout").args(["20", PROGRAM, "status"]).arg(mount.path()).output().unwrap()
}

fn answers(mount: &Mount) -> bool {
    both(&status(mount)).contains("written files")
}

#[test]
fn files_that_the_bucket_has_make_room_for_others() {
    let Some(backend) = in_process() else { return };
    let (mount, _folder) = mount_with_few(&backend, &[]);
    let count = 4 * OPEN_FILES;
    backend.reset_counts();
    for number in 0..count {
        save(&mount.join(number.to_string()), format!("file {number}").as_bytes()).unwrap();
    }
    assert_eq!(backend.counts().unwrap().put, count as u64, "one PUT for each");
    assert!(status(&mount).status.success());
    for number in 0..count {
        let text = fs::read_to_string(mount.join(number.to_string())).unwrap();
        assert_eq!(text, format!("file {number}"));
        assert!(backend.has(&number.to_string(), text.as_bytes()));
    }
    // Each becomes a file in memory again, and so makes room.
    for number in 0..count {
        let mut file =
            OpenOptions::new().append(true).open(mount.join(number.to_string())).unwrap();
        file.write_all(b", and more").unwrap();
        close(file).unwrap();
    }
    assert!(backend.has("7", b"file 7, and more"));
    mount.end();
}

#[test]
fn many_writers_at_once_get_on_with_few_open_files() {
    let Some(backend) = in_process() else { return };
    let (mount, _folder) = mount_with_few(&backend, &[]);
    thread::scope(|scope| {
        for writer in 0..12 {
            let mount = &mount;
            scope.spawn(move || {
                for number in 0..20 {
                    save(&mount.join(format!("{writer}-{number}")), b"x").unwrap();
                }
            });
        }
    });
    assert_eq!(backend.keys().len(), 12 * 20);
    mount.end();
}

#[test]
fn files_that_are_sent_later_make_room_for_new_ones() {
    let Some(backend) = in_process() else { return };
    let (mount, _folder) = mount_with_few(&backend, &["--on-close", "later"]);
    let count = 4 * OPEN_FILES;
    for number in 0..count {
        save(&mount.join(number.to_string()), format!("file {number}").as_bytes()).unwrap();
    }
    for number in 0..count {
        let path = mount.join(number.to_string());
        save(&path, b"again").unwrap();
        assert_eq!(fs::read(path).unwrap(), b"again");
    }
    mount.end();
    assert!((0..count).all(|number| backend.has(&number.to_string(), b"again")));
}

/// Makes files as long as there may be any; those, and why not more.
fn fill<T>(make: impl Fn(usize) -> io::Result<T>) -> (Vec<T>, io::Error) {
    let mut made = Vec::new();
    loop {
        match make(made.len()) {
            Ok(file) => made.push(file),
            Err(error) => return (made, error),
        }
        assert!(made.len() < OPEN_FILES);
    }
}

#[test]
fn files_that_stay_open_have_their_share_and_no_more() {
    let Some(backend) = in_process() else { return };
    let (mount, _folder) = mount_with_few(&backend, &[]);
    let (open, refused) = fill(|number| File::create(mount.join(format!("open {number}"))));
    assert_eq!(refused.raw_os_error(), Some(libc::ENOSPC));
    assert_eq!(open.len(), OPEN_FILES / 2);
    assert!(answers(&mount));
    assert_eq!(lines(&mount, "WARN", "ulimit -n").len(), 1, "{}", mount.log());
    for mut file in open {
        file.write_all(b"x").unwrap();
        close(file).unwrap();
    }
    save(&mount.join("another"), b"y").unwrap();
    assert!(backend.has("open 3", b"x") && backend.has("another", b"y"));
    mount.end();
}

#[test]
fn a_daemon_whose_open_files_are_all_taken_still_answers() {
    let Some(backend) = in_process() else { return };
    let keys: Vec<String> = (0..OPEN_FILES).map(|number| format!("read/{number}")).collect();
    keys.iter().for_each(|key| drop(backend.put(key, vec![1; 100_000])));
    let (mount, _folder) = mount_with_few(&backend, &[]);
    assert_eq!(names_in(&mount.join("read")).len(), OPEN_FILES);
    let server = backend.server().unwrap();
    // Files that can't be sent stay, whoever has closed them.
    server.fault(Fault::new(Effect::Refuse(Refusal::AccessDenied)).on(Op::Put));
    let unsent = |number: usize| mount.join(unsent_key(number));
    let (made, _) = fill(|number| {
        let file = File::create(unsent(number))?;
        assert_eq!(errno(close(file)), libc::EACCES);
        Ok(number)
    });
    assert_eq!(made.len(), OPEN_FILES / 2);
    server.clear_faults();
    let hang = server.fault(Fault::new(Effect::Hang).on(Op::Get).key("read/"));
    thread::scope(|scope| {
        // Connections take what is left.
        for key in &keys {
            let path = mount.join(key);
            scope.spawn(move || fs::read(path).unwrap());
        }
        until("all files are open", || mount.open_files() >= OPEN_FILES - 1);
        assert!(answers(&mount), "{}", both(&status(&mount)));
        server.clear_fault(hang);
        until("all are read", || {
            server.release();
            server.in_flight() == 0
        });
    });
    // Without the pauses of the clock, which grow while requests fail.
    mount.end();
    assert!((0..made.len()).all(|number| backend.has(&unsent_key(number), b"")));
}

fn unsent_key(number: usize) -> String {
    format!("unsent {number}")
}
