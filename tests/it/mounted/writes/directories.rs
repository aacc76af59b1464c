//! Directories: made, emptied, deleted, moved with all that is below.

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::*;

#[test]
fn a_directory_is_deleted_only_when_it_is_empty() {
    each_way(|server, way| {
        server.put(BUCKET, "d/one", "1");
        server.put(BUCKET, "d/two", "2");
        let before = objects(server);
        let mount = way.mount(server, &[]);
        let d = mount.join("d");
        assert_eq!(errno(fs::create_dir(&d)), libc::EEXIST);
        assert_eq!(errno(fs::remove_dir(&d)), libc::ENOTEMPTY);
        fs::remove_file(d.join("one")).unwrap();
        assert_eq!(errno(fs::remove_dir(&d)), libc::ENOTEMPTY, "the bucket's names count");
        fs::rename(d.join("two"), mount.join("moved")).unwrap();
        fs::write(d.join("made"), "made").unwrap();
        assert_eq!(errno(fs::remove_dir(&d)), libc::ENOTEMPTY);
        fs::remove_file(d.join("made")).unwrap();
        assert_eq!(names(&d), [""; 0]);
        fs::remove_dir(&d).unwrap();
        assert!(is_gone(&d));
        assert_eq!(names(mount.path()), ["moved"]);
        // What is made in its place has nothing of it.
        fs::create_dir(&d).unwrap();
        assert_eq!(names(&d), [""; 0]);
        fs::write(d.join("one"), "new").unwrap();
        assert_eq!(names(&d), ["one"]);
        assert_eq!(errno(fs::remove_dir(mount.join("moved"))), libc::ENOTDIR);
        assert_eq!(errno(fs::remove_file(&d)), libc::EISDIR);
        fs::remove_dir_all(&d).unwrap();
        assert_eq!(objects(server), before);
        mount.end();
    });
}

#[test]
fn moving_an_object_costs_nothing_and_moving_a_directory_moves_all_that_is_below() {
    each_way(|server, way| {
        server.put(BUCKET, "from/object", "object");
        server.put_many(BUCKET, (0..30).map(|n| (format!("from/dir/{}/{n}", n % 3), "below")));
        server.put(BUCKET, "to/there", "there");
        let before = objects(server);
        let mount = way.mount(server, &[]);
        let (from, to) = (mount.join("from"), mount.join("to"));
        let ((), cost) =
            cost_of(server, || fs::rename(from.join("object"), to.join("object")).unwrap());
        // Both directories had to be listed, to know what the names stand for.
        assert_eq!(cost, Cost { list: 2, ..NOTHING });
        let number = ino(&from.join("dir"));
        let ((), cost) = cost_of(server, || fs::rename(from.join("dir"), to.join("dir")).unwrap());
        assert_eq!(cost, NOTHING);
        assert_eq!(ino(&to.join("dir")), number);
        assert!(is_gone(&from.join("dir")) && is_gone(&from.join("object")));
        assert_eq!(names(&from), [""; 0]);
        assert_eq!(names(&to), ["dir", "object", "there"]);
        for n in 0..30 {
            let path = to.join(format!("dir/{}/{n}", n % 3));
            assert_eq!(fs::read(path).unwrap(), b"below");
        }
        // Also what programs made in it goes with it, there and back.
        fs::write(to.join("dir/1/made"), "made").unwrap();
        fs::remove_file(to.join("dir/1/4")).unwrap();
        fs::rename(to.join("dir"), mount.join("dir")).unwrap();
        fs::rename(mount.join("dir"), from.join("dir")).unwrap();
        assert_eq!(fs::read(from.join("dir/1/made")).unwrap(), b"made");
        assert!(is_gone(&from.join("dir/1/4")));
        assert_eq!(names(&from.join("dir/1")).len(), 10);
        assert_eq!(objects(server), before);
        mount.end();
    });
}

#[test]
fn a_directory_replaces_an_empty_one_and_no_other() {
    each_way(|server, way| {
        server.put(BUCKET, "bucket/object", "object");
        server.put(BUCKET, "full/object", "object");
        let mount = way.mount(server, &[]);
        let at = |name: &str| mount.join(name);
        fs::create_dir(at("empty")).unwrap();
        fs::create_dir(at("made")).unwrap();
        fs::write(at("made/file"), "made").unwrap();
        fs::write(at("file"), "file").unwrap();
        let rename = |from: &str, to: &str| fs::rename(at(from), at(to));
        assert_eq!(errno(rename("made", "full")), libc::ENOTEMPTY);
        assert_eq!(errno(rename("bucket", "made")), libc::ENOTEMPTY);
        assert_eq!(errno(rename("made", "file")), libc::ENOTDIR);
        assert_eq!(errno(rename("file", "empty")), libc::EISDIR);
        assert_eq!(errno(rename("made", "made/below")), libc::EINVAL);
        rename("bucket", "empty").unwrap();
        assert_eq!(names(&at("empty")), ["object"]);
        fs::remove_file(at("full/object")).unwrap();
        rename("made", "full").unwrap();
        assert_eq!(names(&at("full")), ["file"]);
        assert_eq!(names(mount.path()), ["empty", "file", "full"]);
        renameat_with(CWD, at("empty"), CWD, at("full"), RenameFlags::EXCHANGE).unwrap();
        assert_eq!(names(&at("full")), ["object"]);
        assert_eq!(names(&at("empty")), ["file"]);
        renameat_with(CWD, at("empty"), CWD, at("file"), RenameFlags::EXCHANGE).unwrap();
        assert_eq!(fs::read(at("empty")).unwrap(), b"file");
        assert_eq!(fs::read(at("file/file")).unwrap(), b"made");
        mount.end();
    });
}

#[test]
fn a_directory_has_the_time_of_its_last_change_and_knows_its_parent() {
    each_way(|server, way| {
        server.put(BUCKET, "d/object", "object");
        let mount = way.mount(server, &[]);
        fs::create_dir(mount.join("made")).unwrap();
        for name in ["d", "made"] {
            let path = mount.join(name);
            let time = || {
                let status = fs::metadata(&path).unwrap();
                (status.mtime(), status.mtime_nsec())
            };
            let changes: [&dyn Fn(); 4] = [
                &|| fs::write(path.join("new"), "new").unwrap(),
                &|| fs::rename(path.join("new"), path.join("old")).unwrap(),
                &|| fs::remove_file(path.join("old")).unwrap(),
                &|| fs::create_dir(path.join("below")).unwrap(),
            ];
            for change in changes {
                let before = time();
                std::thread::sleep(std::time::Duration::from_millis(20));
                change();
                assert!(time() > before, "{name}");
            }
            assert_eq!(ino(&path.join("below/..")), ino(&path));
            fs::rename(path.join("below"), mount.join("moved")).unwrap();
            assert_eq!(ino(&mount.join("moved/..")), ino(mount.path()));
            fs::remove_dir(mount.join("moved")).unwrap();
        }
        mount.end();
    });
}
