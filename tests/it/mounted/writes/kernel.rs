//! What the kernel does by itself, and what it forgets.

use super::*;
use crate::support::pattern::pattern_bytes;

/// Whether this kernel can be given files to read and write by itself.
fn has_passthrough() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let has = is_root() && version >= (6, 9);
    if !has {
        not_run("because files that the kernel writes by itself take root and Linux 6.9");
    }
    has
}

#[test]
fn the_daemon_does_not_see_the_bytes_of_large_writes_and_reads() {
    if !has_passthrough() {
        return;
    }
    let Some(server) = server() else { return };
    server.put(BUCKET, "object", "content");
    let mount = Way::Own.mount(&server, &["--allow-core-dumps"]);
    let piece = vec![7; MIB as usize];
    for name in ["made", "object"] {
        let path = mount.join(name);
        let before = mount.read_bytes();
        let mut file = File::create(&path).unwrap();
        for _ in 0..100 {
            file.write_all(&piece).unwrap();
        }
        drop(file);
        assert!(fs::read(&path).unwrap().len() as u64 == 100 * MIB);
        let seen = mount.read_bytes() - before;
        assert!(seen < MIB, "the daemon saw {seen} bytes");
    }
    mount.end();
}

#[test]
fn a_file_goes_through_the_daemon_only_while_somebody_reads_the_object_that_it_was() {
    if !has_passthrough() {
        return;
    }
    let Some(server) = server() else { return };
    server.put(BUCKET, "object", pattern_bytes(1, 0..MIB));
    let mount = Way::Own.mount(&server, &["--allow-core-dumps"]);
    let path = mount.join("object");
    let seen_while_writing = || {
        let before = mount.read_bytes();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(&vec![7; 10 * MIB as usize], 0).unwrap();
        mount.read_bytes() - before
    };
    let reader = File::open(&path).unwrap();
    part(&reader, 0..10).unwrap();
    assert!(seen_while_writing() >= 10 * MIB);
    assert_eq!(part(&reader, 9 * MIB..9 * MIB + 2).unwrap(), [7, 7]);
    drop(reader);
    // The kernel closes files when it comes to it.
    until("writing past the daemon", || seen_while_writing() < MIB);
    mount.end();
}

#[test]
fn what_the_kernel_forgets_is_not_lost() {
    each_way(|server, way| {
        server.put_many(BUCKET, (0..20).map(|n| (format!("d/{n}"), "object")));
        let mount = way.mount(server, &[]);
        fs::create_dir_all(mount.join("made/below")).unwrap();
        fs::write(mount.join("made/below/file"), "content").unwrap();
        fs::write(mount.join("d/1"), "overwritten").unwrap();
        fs::rename(mount.join("d/2"), mount.join("made/2")).unwrap();
        fs::hard_link(mount.join("d/1"), mount.join("d/link")).unwrap();
        fs::remove_file(mount.join("d/3")).unwrap();
        fs::set_permissions(mount.join("d/4"), fs::Permissions::from_mode(0o600)).unwrap();
        let numbers =
            || ["made", "made/below/file", "d/1", "d/link"].map(|name| ino(&mount.join(name)));
        let before = numbers();
        for _ in 0..3 {
            forget_all(mount.path());
            assert_eq!(numbers(), before);
            assert_eq!(fs::read(mount.join("made/below/file")).unwrap(), b"content");
            assert_eq!(fs::read(mount.join("d/1")).unwrap(), b"overwritten");
            assert_eq!(fs::read(mount.join("made/2")).unwrap(), b"object");
            assert_eq!(fs::metadata(mount.join("d/1")).unwrap().nlink(), 2);
            assert!(is_gone(&mount.join("d/3")) && is_gone(&mount.join("d/2")));
            assert_eq!(fs::metadata(mount.join("d/4")).unwrap().mode() & 0o777, 0o600);
            assert_eq!(names(&mount.join("d")).len(), 19);
        }
        mount.end();
    });
}

/// Makes the kernel forget what it knows of the mount: by root's command for all
/// file systems, or, of files that nobody uses, by asking for their pages to go.
fn forget_all(path: &Path) {
    if fs::write("/proc/sys/vm/drop_caches", "2").is_err() {
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            match entry.file_type().unwrap().is_dir() {
                true => forget_all(&entry.path()),
                false => forget_pages(&entry.path()),
            }
        }
    }
}
