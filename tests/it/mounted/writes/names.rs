//! Names of files: deleted, moved, linked; and what stat shows of them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown, symlink};
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};

use super::*;

fn rename_as(flags: RenameFlags, from: &Path, to: &Path) -> io::Result<()> {
    Ok(renameat_with(CWD, from, CWD, to, flags)?)
}

#[test]
fn a_deleted_file_can_be_read_and_written_while_it_is_open() {
    each_way(|server, way| {
        server.put(BUCKET, "object", "object");
        server.put(BUCKET, "written", "object");
        let mount = way.mount(server, &[]);
        fs::write(mount.join("made"), "object").unwrap();
        for (name, writes) in [("made", true), ("object", false), ("written", true)] {
            let path = mount.join(name);
            let file = OpenOptions::new().read(true).write(writes).open(&path).unwrap();
            fs::remove_file(&path).unwrap();
            assert!(is_gone(&path), "{name}");
            assert!(!names(mount.path()).contains(&name.to_owned()));
            assert_eq!(errno(fs::remove_file(&path)), libc::ENOENT);
            assert_eq!(part(&file, 0..6).unwrap(), b"object");
            if writes {
                assert_eq!(file.metadata().unwrap().nlink(), 0);
                file.write_all_at(b"more", 6).unwrap();
                assert_eq!(part(&file, 0..10).unwrap(), b"objectmore");
            }
            // A new file of the name is another file.
            fs::write(&path, "new").unwrap();
            assert_ne!(file.metadata().unwrap().ino(), ino(&path));
            assert_eq!(part(&file, 0..6).unwrap(), b"object");
            assert_eq!(fs::read(&path).unwrap(), b"new");
        }
        mount.end();
    });
}

#[test]
fn an_object_is_hidden_and_made_again() {
    each_way(|server, way| {
        server.put(BUCKET, "d/object", "of the bucket");
        server.put(BUCKET, "d/other", "other");
        let before = objects(server);
        let mount = way.mount(server, &[]);
        let path = mount.join("d/object");
        for round in 0..3 {
            fs::remove_file(&path).unwrap();
            assert!(is_gone(&path) && names(&mount.join("d")) == ["other"]);
            fs::write(&path, format!("round {round}")).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), format!("round {round}"));
            assert_eq!(names(&mount.join("d")), ["object", "other"]);
        }
        assert_eq!(objects(server), before);
        mount.end();
        let mount = way.mount(server, &[]);
        assert_eq!(fs::read_to_string(mount.join("d/object")).unwrap(), "of the bucket");
        mount.end();
    });
}

#[test]
fn a_file_that_is_moved_stays_the_same_file_for_who_has_it_open() {
    each_way(|server, way| {
        server.put(BUCKET, "d/object", "object");
        let mount = way.mount(server, &[]);
        fs::create_dir(mount.join("e")).unwrap();
        fs::write(mount.join("d/made"), "object").unwrap();
        for name in ["made", "object"] {
            let (from, to) = (mount.join("d").join(name), mount.join("e").join(name));
            let number = ino(&from);
            let reader = File::open(&from).unwrap();
            fs::rename(&from, &to).unwrap();
            assert!(is_gone(&from));
            assert_eq!(ino(&to), number);
            let writer = OpenOptions::new().write(true).open(&to).unwrap();
            writer.write_all_at(b"OB", 0).unwrap();
            drop(writer);
            assert_eq!(part(&reader, 0..6).unwrap(), b"OBject");
            assert_eq!(reader.metadata().unwrap().ino(), ino(&to));
            assert_eq!(fs::read(&to).unwrap(), b"OBject");
            fs::rename(&to, &from).unwrap();
            assert_eq!(fs::read(&from).unwrap(), b"OBject");
        }
        assert_eq!(names(&mount.join("d")), ["made", "object"]);
        mount.end();
    });
}

#[test]
fn a_rename_replaces_keeps_or_exchanges() {
    each_way(|server, way| {
        server.put(BUCKET, "object", "object");
        server.put(BUCKET, "other", "other");
        let before = objects(server);
        let mount = way.mount(server, &[]);
        let at = |name: &str| mount.join(name);
        let text = |name: &str| fs::read_to_string(at(name)).unwrap();
        fs::write(at("made"), "made").unwrap();
        let keep = |from, to| rename_as(RenameFlags::NOREPLACE, &at(from), &at(to));
        let exchange = |from, to| rename_as(RenameFlags::EXCHANGE, &at(from), &at(to));
        assert_eq!(errno(keep("made", "object")), libc::EEXIST);
        assert_eq!(errno(keep("object", "made")), libc::EEXIST);
        assert_eq!(errno(exchange("object", "none")), libc::ENOENT);
        exchange("made", "object").unwrap();
        assert_eq!((text("made"), text("object")), ("object".into(), "made".into()));
        exchange("made", "other").unwrap();
        assert_eq!((text("made"), text("other")), ("other".into(), "object".into()));
        let held = File::open(at("other")).unwrap();
        fs::rename(at("object"), at("other")).unwrap();
        assert_eq!(text("other"), "made");
        assert_eq!(part(&held, 0..6).unwrap(), b"object", "what was replaced can be read");
        keep("other", "new").unwrap();
        assert_eq!(text("new"), "made");
        assert_eq!(names(mount.path()), ["made", "new"]);
        assert_eq!(errno(fs::rename(at("none"), at("new"))), libc::ENOENT);
        drop(held);
        assert_eq!(objects(server), before);
        mount.end();
    });
}

#[test]
fn hard_links_share_their_bytes_and_are_counted() {
    each_way(|server, way| {
        server.put(BUCKET, "object", "object");
        let mount = way.mount(server, &[]);
        fs::write(mount.join("made"), "made").unwrap();
        fs::create_dir(mount.join("d")).unwrap();
        for name in ["made", "object"] {
            let (first, second) = (mount.join(name), mount.join("d").join(name));
            let number = ino(&first);
            let held = File::open(&first).unwrap();
            fs::hard_link(&first, &second).unwrap();
            assert_eq!((ino(&first), ino(&second)), (number, number));
            for path in [&first, &second] {
                assert_eq!(fs::metadata(path).unwrap().nlink(), 2);
            }
            assert_eq!(errno(fs::hard_link(&first, &second)), libc::EEXIST);
            fs::write(&second, "by the second name").unwrap();
            assert_eq!(fs::read_to_string(&first).unwrap(), "by the second name");
            assert_eq!(part(&held, 0..18).unwrap(), b"by the second name");
            // Two names of one file: a rename of one over the other does nothing.
            fs::rename(&first, &second).unwrap();
            assert_eq!(fs::metadata(&first).unwrap().nlink(), 2);
            fs::remove_file(&first).unwrap();
            assert!(is_gone(&first));
            assert_eq!(fs::metadata(&second).unwrap().nlink(), 1);
            assert_eq!(fs::read_to_string(&second).unwrap(), "by the second name");
            fs::remove_file(&second).unwrap();
            assert_eq!(held.metadata().unwrap().nlink(), 0);
            drop(held);
        }
        assert_eq!(errno(fs::hard_link(mount.join("d"), mount.join("e"))), libc::EPERM);
        mount.end();
    });
}

#[test]
fn symbolic_links_lead_where_they_say() {
    each_way(|server, way| {
        server.put(BUCKET, "d/object", "object");
        let mount = way.mount(server, &[]);
        symlink("d/object", mount.join("link")).unwrap();
        symlink("d", mount.join("folder")).unwrap();
        symlink("nowhere", mount.join("d/dangling")).unwrap();
        assert_eq!(fs::read_link(mount.join("link")).unwrap(), Path::new("d/object"));
        assert_eq!(fs::read(mount.join("link")).unwrap(), b"object");
        assert_eq!(fs::read(mount.join("folder/object")).unwrap(), b"object");
        assert_eq!(errno(File::open(mount.join("d/dangling"))), libc::ENOENT);
        let status = fs::symlink_metadata(mount.join("link")).unwrap();
        assert!(status.is_symlink());
        assert_eq!((status.len(), status.mode() & 0o777), (8, 0o777));
        fs::write(mount.join("link"), "through the link").unwrap();
        assert_eq!(fs::read(mount.join("d/object")).unwrap(), b"through the link");
        assert_eq!(errno(symlink("x", mount.join("link"))), libc::EEXIST);
        assert_eq!(errno(fs::read_link(mount.join("d/object"))), libc::EINVAL);
        fs::rename(mount.join("link"), mount.join("moved")).unwrap();
        fs::remove_file(mount.join("moved")).unwrap();
        assert_eq!(fs::read(mount.join("d/object")).unwrap(), b"through the link");
        mount.end();
    });
}

#[test]
fn pipes_and_sockets_can_be_made_and_devices_can_not() {
    each_way(|server, way| {
        let mount = way.mount(server, &[]);
        let mode = Mode::RUSR | Mode::WUSR;
        mknodat(CWD, mount.join("pipe"), FileType::Fifo, mode, 0).unwrap();
        assert!(fs::metadata(mount.join("pipe")).unwrap().file_type().is_fifo());
        let writer = std::thread::spawn({
            let path = mount.join("pipe");
            move || fs::write(path, "through the pipe").unwrap()
        });
        assert_eq!(fs::read(mount.join("pipe")).unwrap(), b"through the pipe");
        writer.join().unwrap();
        let listener = std::os::unix::net::UnixListener::bind(mount.join("socket")).unwrap();
        std::os::unix::net::UnixStream::connect(mount.join("socket")).unwrap();
        drop(listener);
        let device = mknodat(CWD, mount.join("null"), FileType::CharacterDevice, mode, 259);
        assert_eq!(device, Err(rustix::io::Errno::PERM));
        mount.end();
    });
}

#[test]
fn permissions_owners_and_times_can_be_set_on_anything() {
    each_way(|server, way| {
        server.put(BUCKET, "d/object", "object");
        let mount = way.mount(server, &[]);
        fs::write(mount.join("made"), "made").unwrap();
        fs::create_dir(mount.join("folder")).unwrap();
        let owner = fs::metadata(mount.join("made")).unwrap().uid();
        for name in ["d/object", "d", "made", "folder"] {
            let path = mount.join(name);
            let number = ino(&path);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();
            let may_give_away = chown(&path, Some(12), Some(34));
            match owner {
                0 => may_give_away.unwrap(),
                _ => assert_eq!(errno(may_give_away), libc::EPERM),
            }
            let (accessed, modified) = (1_000_000_000, 1_449_515_520);
            let time = |seconds| SystemTime::UNIX_EPOCH + Duration::new(seconds, 123_456_789);
            let times =
                fs::FileTimes::new().set_accessed(time(accessed)).set_modified(time(modified));
            File::open(&path).unwrap().set_times(times).unwrap();
            let status = fs::metadata(&path).unwrap();
            assert_eq!(status.mode() & 0o7777, 0o750, "{name}");
            if owner == 0 {
                assert_eq!((status.uid(), status.gid()), (12, 34), "{name}");
            }
            assert_eq!((status.atime(), status.atime_nsec()), (accessed as i64, 123_456_789));
            assert_eq!((status.mtime(), status.mtime_nsec()), (modified as i64, 123_456_789));
            assert!(status.ctime() > status.mtime(), "{name}");
            assert_eq!(ino(&path), number);
        }
        // What is written later keeps them, but for the time.
        let file = OpenOptions::new().write(true).open(mount.join("d/object")).unwrap();
        let status = file.metadata().unwrap();
        assert_eq!((status.mode() & 0o7777, status.mtime()), (0o750, 1_449_515_520));
        file.write_all_at(b"x", 0).unwrap();
        assert!(file.metadata().unwrap().mtime() > 1_449_515_520);
        drop(file);
        fs::rename(mount.join("d"), mount.join("e")).unwrap();
        let status = fs::metadata(mount.join("e/object")).unwrap();
        assert_eq!(status.mode() & 0o7777, 0o750);
        mount.end();
    });
}

#[test]
fn names_that_no_file_can_have_are_refused() {
    each_way(|server, way| {
        let mount = way.mount(server, &[]);
        let long = "x".repeat(255);
        fs::write(mount.join(&long), "fits").unwrap();
        assert_eq!(names(mount.path()), [long]);
        assert_eq!(errno(File::create(mount.join("x".repeat(256)))), libc::ENAMETOOLONG);
        assert_eq!(errno(fs::metadata(mount.join("x".repeat(256)))), libc::ENAMETOOLONG);
        let broken = mount.join(OsStr::from_bytes(b"not \xff UTF-8"));
        assert_eq!(errno(File::create(&broken)), libc::EILSEQ);
        assert_eq!(errno(fs::create_dir(&broken)), libc::EILSEQ);
        assert_eq!(errno(fs::metadata(&broken)), libc::ENOENT);
        fs::write(mount.join("Ünïcödé \u{1f30d}\t\\ %2F"), "any other").unwrap();
        assert_eq!(names(mount.path()).len(), 2);
        mount.end();
    });
}
