//! The cache on disk (`--cache-dir`): what a mount leaves there, who finds it, and what it costs
//! when it is damaged, full or somebody else's.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::*;
use crate::harness::missing::not_run;
use crate::harness::mounting::{PROGRAM, both, succeeds};
use crate::support::B01_JP2;

/// A folder that is not there yet, in one that goes with the test.
fn folder() -> (TempDir, PathBuf) {
    let outer = TempDir::new().unwrap();
    let folder = outer.path().join("cache");
    (outer, folder)
}

/// The bucket, mounted with a cache.
fn cached(server: &TestServer, folder: &Path, flags: &[&str]) -> Mount {
    let dir = folder.to_str().unwrap();
    let flags = [&["--cache-dir", dir, "--cache-size", "256M"], flags].concat();
    mount(server, &flags)
}

/// The entries in a cache, and their bytes.
fn entries(folder: &Path) -> (usize, u64) {
    let Ok(folders) = fs::read_dir(folder.join("s3mem-cache-1")) else { return (0, 0) };
    let folders = folders.map(|folder| folder.unwrap().path()).filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap());
    let files = files.filter_map(|file| file.unwrap().metadata().ok());
    files.fold((0, 0), |(count, bytes), file| (count + 1, bytes + file.len()))
}

/// What `s3mem status --json` says of the disk under a name.
fn told(mount: &Mount, name: &str) -> u64 {
    let text = succeeds(Command::new(PROGRAM).args(["status", "--json"]).arg(mount.path()));
    let status: serde_json::Value = serde_json::from_str(&text).unwrap();
    status["disk"][name].as_u64().unwrap()
}

#[test]
fn what_a_mount_has_read_the_next_one_takes_from_the_disk() {
    let Some(server) = server() else { return };
    let (size, (_outer, folder)) = (20 * MIB, folder());
    server.put_pattern(BUCKET, "big", size, 3);
    server.put_pattern(BUCKET, "other", size, 4);
    let first = cached(&server, &folder, &[]);
    let (_, cost) = cost_of(&server, || reads_whole_pattern(&first.join("big"), 3));
    assert_eq!(cost.bytes, size);
    assert_eq!(entries(&folder).0, 0, "what was read once is not written at once");
    first.end();
    let (count, bytes) = entries(&folder);
    assert!(count == 20 && (size..size + 20 * 5000).contains(&bytes), "{count}, {bytes}");
    let second = cached(&server, &folder, &[]);
    fs::metadata(second.join("big")).unwrap();
    let (_, cost) = cost_of(&server, || reads_whole_pattern(&second.join("big"), 3));
    assert_eq!(cost, NOTHING);
    assert_eq!((told(&second, "read_bytes"), told(&second, "damaged")), (size, 0));
    let (_, cost) = cost_of(&server, || reads_whole_pattern(&second.join("other"), 4));
    assert_eq!(cost.bytes, size);
    // Another version of it is another object.
    server.put_pattern(BUCKET, "big", size, 5);
    second.end();
    let third = cached(&server, &folder, &[]);
    let (_, cost) = cost_of(&server, || reads_whole_pattern(&third.join("big"), 5));
    assert_eq!(cost.bytes, size);
    let (_, cost) = cost_of(&server, || reads_whole_pattern(&third.join("other"), 4));
    assert_eq!(cost, NOTHING);
    third.end();
}

#[test]
fn two_mounts_share_a_folder_and_what_one_reads_twice_the_other_one_does_not_fetch() {
    let Some(server) = server() else { return };
    let (size, (_outer, folder)) = (4 * MIB, folder());
    server.put_pattern(BUCKET, "file", size, 3);
    let mounts = [cached(&server, &folder, &[]), cached(&server, &folder, &[])];
    let path = mounts[0].join("file");
    reads_whole_pattern(&path, 3);
    forget_pages(&path);
    reads_whole_pattern(&path, 3);
    until("it is written", || entries(&folder).0 == 4 && told(&mounts[0], "written_bytes") > size);
    fs::metadata(mounts[1].join("file")).unwrap();
    let (_, cost) = cost_of(&server, || reads_whole_pattern(&mounts[1].join("file"), 3));
    assert_eq!(cost, NOTHING);
    for mount in mounts {
        mount.end();
    }
}

#[test]
fn a_working_set_larger_than_memory_is_written_when_it_is_fetched_a_second_time() {
    let Some(server) = server() else { return };
    let (size, (_outer, folder)) = (128 * MIB, folder());
    server.put_pattern(BUCKET, "big", size, 3);
    let dir = folder.to_str().unwrap();
    let mounting = Mounting::of(&server, BUCKET).with([
        "--memory",
        "64M",
        "--cache-dir",
        dir,
        "--cache-size",
        "512M",
    ]);
    let mount = mounting.in_foreground();
    let path = mount.join("big");
    let pass = || {
        forget_pages(&path);
        cost_of(&server, || reads_whole_pattern(&path, 3)).1.bytes
    };
    assert_eq!(pass(), size);
    assert_eq!(told(&mount, "entries"), 0, "one pass wears no disk");
    assert!(pass() > size / 2);
    // On a busy machine the queue drops much of each pass.
    for _ in 0..20 {
        pass();
        if told(&mount, "written_bytes") > size * 3 / 4 {
            break;
        }
    }
    assert!(told(&mount, "written_bytes") > size * 3 / 4);
    let (fetched, found) = (pass(), told(&mount, "read_bytes"));
    assert!(fetched < size / 2 && found > size / 4, "{fetched} fetched, {found} found");
    mount.end();
}

#[test]
fn siblings_that_were_made_are_made_once_for_all_mounts() {
    let Some(server) = server() else { return };
    let (_outer, folder) = folder();
    server.put(BUCKET, "B01.jp2", B01_JP2);
    let names = ["B01.jp2.tif", "B01.jp2.preview.png", "B01.jp2.npy"];
    let read = |mount: &Mount| names.map(|name| fs::read(mount.join(name)).unwrap());
    let first = cached(&server, &folder, &[]);
    let right = read(&first);
    first.end();
    let second = cached(&server, &folder, &[]);
    let (again, cost) = cost_of(&server, || read(&second));
    assert!(again == right);
    assert_eq!(cost, NOTHING);
    let text = succeeds(Command::new(PROGRAM).args(["status", "--json"]).arg(second.path()));
    let status: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(status["tiles"]["decoded_tiles"], 0);
    second.end();
    // A preview of another size is another one.
    let third = cached(&server, &folder, &["--preview-size", "100"]);
    assert!(fs::read(third.join(names[1])).unwrap() != right[1]);
    assert!(fs::read(third.join(names[0])).unwrap() == right[0]);
    third.end();
}

#[test]
fn a_mount_that_is_killed_leaves_nothing_that_the_next_one_could_take_for_bytes() {
    let Some(server) = server() else { return };
    let (size, (_outer, folder)) = (24 * MIB, folder());
    server.put_pattern(BUCKET, "file", size, 3);
    for moment in 0..4 {
        let mut mount = cached(&server, &folder, &[]);
        let path = mount.join("file");
        reads_whole_pattern(&path, 3);
        forget_pages(&path);
        reads_whole_pattern(&path, 3);
        until("something is written", || entries(&folder).0 > moment * 3);
        mount.kill();
    }
    let mount = cached(&server, &folder, &[]);
    let (_, cost) = cost_of(&server, || reads_whole_pattern(&mount.join("file"), 3));
    assert!(cost.bytes < size, "{cost:?}");
    mount.end();
}

#[test]
fn a_full_disk_costs_nothing_but_the_cache() {
    let Some(server) = server() else { return };
    let disk = TempDir::new().unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=6m,mode=0700", "tmpfs"])
        .arg(disk.path())
        .output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        return not_run("because no small file system can be mounted here");
    }
    let size = 20 * MIB;
    server.put_pattern(BUCKET, "file", size, 3);
    let mount = cached(&server, disk.path(), &[]);
    let path = mount.join("file");
    for _ in 0..3 {
        reads_whole_pattern(&path, 3);
        forget_pages(&path);
    }
    until("it is full", || told(&mount, "failed") > 0);
    // It is counted before it is said.
    let said = || lines(&mount, "WARN", "--cache-dir: nothing can be written");
    until("it is said", || !said().is_empty());
    mount.end();
    let again = cached(&server, disk.path(), &[]);
    let (_, cost) = cost_of(&server, || reads_whole_pattern(&again.join("file"), 3));
    assert!(cost.bytes < size, "{cost:?}");
    again.end();
    succeeds(Command::new("umount").arg(disk.path()));
}

#[test]
fn a_folder_that_others_can_get_into_is_refused_with_a_sentence() {
    let Some(server) = server() else { return };
    let (outer, folder) = folder();
    server.put(BUCKET, "file", "x");
    fs::create_dir(&folder).unwrap();
    let refused = |part: &str| {
        let point = TempDir::new().unwrap();
        let output = Command::new(PROGRAM)
            .args(["mount", BUCKET])
            .arg(point.path())
            .args(["--endpoint-url", &server.endpoint(), "--path-style", "--region", "us-east-1"])
            .arg("--cache-dir")
            .arg(&folder)
            .env("AWS_ACCESS_KEY_ID", crate::support::server::ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", crate::support::server::SECRET_KEY)
            .output()
            .unwrap();
        assert!(!output.status.success());
        assert!(both(&output).contains(part), "{}", both(&output));
    };
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o750)).unwrap();
    refused("is open to other users (its mode is 0750): make it yours alone with: chmod 700");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&folder, Some(12345), None).unwrap();
        refused("belongs to the user with the ID 12345, not to 0");
    }
    drop(outer);
}

#[test]
fn without_the_flag_nothing_goes_to_disk_and_with_it_no_written_file_does() {
    let Some(server) = server() else { return };
    let (_outer, folder) = folder();
    server.put_pattern(BUCKET, "file", 3 * MIB, 3);
    let plain = mount(&server, &[]);
    let text = succeeds(Command::new(PROGRAM).arg("status").arg(plain.path()));
    assert!(text.contains("disk cache     off: no byte of an object goes to disk"), "{text}");
    plain.end();
    let mount = cached(&server, &folder, &["--writes", "memory"]);
    let secret = b"a secret that is never written down".repeat(3000);
    fs::write(mount.join("draft"), &secret).unwrap();
    for _ in 0..2 {
        assert!(fs::read(mount.join("draft")).unwrap() == secret);
        forget_pages(&mount.join("draft"));
        reads_whole_pattern(&mount.join("file"), 3);
        forget_pages(&mount.join("file"));
    }
    let text = succeeds(Command::new(PROGRAM).arg("status").arg(mount.path()));
    let line = text.lines().find(|line| line.contains("disk cache")).unwrap();
    assert!(line.contains(&format!("of 256 MiB in {}", folder.display())), "{line}");
    mount.end();
    let mut found = BTreeSet::new();
    let mut folders = vec![folder];
    while let Some(inside) = folders.pop() {
        for path in fs::read_dir(inside).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = fs::read(&path).unwrap();
            assert!(!bytes.windows(35).any(|window| window == &secret[..35]));
            found.insert(path);
        }
    }
    assert_eq!(found.len(), 3 + 1, "the object's entries and the lock");
}

#[test]
fn with_verify_what_the_disk_has_is_compared_too() {
    let Some(server) = server() else { return };
    let (size, (_outer, folder)) = (3 * MIB, folder());
    let writer = mount(&server, &["--writes", "upload"]);
    let bytes: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
    fs::write(writer.join("file"), &bytes).unwrap();
    writer.end();
    for expected in [size, 0] {
        let mount = cached(&server, &folder, &["--verify"]);
        let path = mount.join("file");
        let (read, cost) = cost_of(&server, || fs::read(&path).unwrap());
        assert!(read == bytes);
        assert_eq!((cost.head, cost.bytes), (1, expected));
        mount.end();
    }
}
