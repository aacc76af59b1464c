//! Objects that others change too: no update is ever lost.

use std::os::unix::fs::FileExt;

use super::*;

#[test]
fn an_object_is_overwritten_only_with_the_flag() {
    for backend in backends() {
        backend.put("a", "before");
        let mount = mount(&backend, &[]);
        let path = mount.path().join("a");
        assert_eq!(errno(save(&path, b"after")), libc::EPERM);
        assert_eq!(errno(OpenOptions::new().append(true).open(&path)), libc::EPERM);
        assert_eq!(errno(OpenOptions::new().write(true).open(&path)), libc::EPERM);
        assert!(backend.has("a", b"before"));
        assert_eq!(fs::read(&path).unwrap(), b"before");
        mount.end();
    }
}

#[test]
fn an_overwritten_object_is_the_new_one_for_all() {
    for backend in backends() {
        backend.put("a", "before");
        let mount = mount_free(&backend);
        let path = mount.path().join("a");
        backend.reset_counts();
        save(&path, b"after").unwrap();
        assert!(backend.has("a", b"after"));
        if let Some(counts) = backend.counts() {
            assert_eq!(counts.get, 0, "what is replaced is not fetched");
        }
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b" all").unwrap();
        close(file).unwrap();
        assert!(backend.has("a", b"after all"));
        mount.end();
    }
}

#[test]
fn a_part_of_an_object_is_changed_in_place() {
    for backend in backends() {
        let mut bytes = noise(1, 3 * MIB as usize);
        backend.put("a", bytes.clone());
        let mount = mount_free(&backend);
        let file = OpenOptions::new().write(true).open(mount.path().join("a")).unwrap();
        file.write_all_at(b"changed", 1_000_000).unwrap();
        close(file).unwrap();
        bytes[1_000_000..1_000_007].copy_from_slice(b"changed");
        assert!(backend.has("a", &bytes));
        mount.end();
    }
}

#[test]
fn opening_an_object_for_writing_without_writing_sends_nothing() {
    let Some(backend) = in_process() else { return };
    backend.put("a", "as it is");
    let mount = mount_free(&backend);
    backend.reset_counts();
    let path = mount.path().join("a");
    close(OpenOptions::new().read(true).write(true).open(&path).unwrap()).unwrap();
    assert_eq!(backend.counts().unwrap().put, 0);
    mount.end();
}

#[test]
fn an_object_that_others_made_meanwhile_is_not_replaced() {
    for backend in backends() {
        let mount = mount_free(&backend);
        let path = mount.path().join("new");
        let mut file = File::create(&path).unwrap();
        file.write_all(b"ours").unwrap();
        backend.put("new", "theirs");
        assert_eq!(errno(close(file)), libc::ESTALE);
        assert!(backend.has("new", b"theirs"));
        assert_eq!(fs::read(&path).unwrap(), b"ours", "ours is still there, to be copied away");
        // Deleting it gives ours up, and theirs shows again.
        fs::remove_file(&path).unwrap();
        assert!(backend.has("new", b"theirs"));
        assert_eq!(fs::read(&path).unwrap(), b"theirs");
        mount.end();
    }
}

#[test]
fn an_object_that_others_changed_since_it_was_opened_is_not_replaced() {
    for backend in backends() {
        backend.put("a", "before");
        let mount = mount_free(&backend);
        let path = mount.path().join("a");
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        backend.put("a", "theirs");
        file.write_all(b" ours").unwrap();
        assert_eq!(errno(close(file)), libc::ESTALE);
        assert!(backend.has("a", b"theirs"));
        assert_eq!(fs::read(&path).unwrap(), b"before ours");
        fs::remove_file(&path).unwrap();
        assert!(backend.has("a", b"theirs"), "ours alone is given up");
        mount.end();
    }
}

#[test]
fn an_object_that_others_deleted_since_it_was_opened_is_not_made_again() {
    for backend in backends() {
        backend.put("a", "before");
        let mount = mount_free(&backend);
        let path = mount.path().join("a");
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        backend.delete("a");
        file.write_all(b" ours").unwrap();
        assert_eq!(errno(close(file)), libc::ESTALE);
        assert!(backend.get("a").is_none());
        fs::remove_file(&path).unwrap();
        mount.end();
    }
}

#[test]
fn two_writers_of_one_file_make_one_object_of_what_both_wrote() {
    for backend in backends() {
        let mount = mount_free(&backend);
        let path = mount.path().join("shared");
        let one = File::create(&path).unwrap();
        let two = OpenOptions::new().write(true).open(&path).unwrap();
        one.write_all_at(b"one", 0).unwrap();
        two.write_all_at(b"two", 3).unwrap();
        close(one).unwrap();
        two.write_all_at(b"!", 6).unwrap();
        close(two).unwrap();
        assert!(backend.has("shared", b"onetwo!"));
        mount.end();
    }
}

#[test]
fn of_two_mounts_that_write_one_object_one_is_told() {
    for backend in backends() {
        backend.put("a", "before");
        let (one, two) = (mount_free(&backend), mount_free(&backend));
        let open =
            |mount: &Mount| OpenOptions::new().append(true).open(mount.path().join("a")).unwrap();
        let (mut first, mut second) = (open(&one), open(&two));
        first.write_all(b" first").unwrap();
        second.write_all(b" second").unwrap();
        close(first).unwrap();
        assert_eq!(errno(close(second)), libc::ESTALE);
        assert!(backend.has("a", b"before first"));
        fs::remove_file(two.path().join("a")).unwrap();
        assert!(backend.has("a", b"before first"));
        one.end();
        two.end();
    }
}

#[test]
fn a_reader_keeps_reading_what_is_written_through_the_mount() {
    for backend in backends() {
        backend.put("a", "before");
        let mount = mount_free(&backend);
        let path = mount.path().join("a");
        let reader = File::open(&path).unwrap();
        let mut start = [0; 6];
        reader.read_exact_at(&mut start, 0).unwrap();
        let writer = OpenOptions::new().write(true).open(&path).unwrap();
        writer.write_all_at(b"AFTER!", 0).unwrap();
        close(writer).unwrap();
        reader.read_exact_at(&mut start, 0).unwrap();
        assert_eq!(&start, b"AFTER!");
        drop(reader);
        mount.end();
    }
}

#[test]
fn what_others_change_is_seen_once_the_listing_is_old() {
    for backend in backends() {
        let mount = mount(&backend, &["--metadata-ttl", "1"]);
        let path = mount.path().join("a");
        save(&path, b"ours").unwrap();
        backend.put("a", "theirs, later");
        until("theirs is seen", || fs::read(&path).is_ok_and(|bytes| bytes == b"theirs, later"));
        mount.end();
    }
}
