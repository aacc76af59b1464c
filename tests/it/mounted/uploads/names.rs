//! Deleting, renaming, folders, and what stays in memory.

use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};

use super::*;

#[test]
fn an_object_is_deleted_only_with_the_flag() {
    for backend in backends() {
        backend.put("a", "x");
        let careful = mount(&backend, &[]);
        assert_eq!(errno(fs::remove_file(careful.path().join("a"))), libc::EPERM);
        assert!(backend.has("a", b"x"));
        careful.end();
        let free = mount_free(&backend);
        fs::remove_file(free.path().join("a")).unwrap();
        assert!(backend.get("a").is_none());
        assert_eq!(errno(fs::metadata(free.path().join("a"))), libc::ENOENT);
        assert!(names_in(free.path()).is_empty());
        free.end();
    }
}

#[test]
fn an_object_that_others_changed_is_not_deleted() {
    for backend in backends() {
        backend.put("a", "before");
        let mount = mount_free(&backend);
        fs::metadata(mount.path().join("a")).unwrap();
        backend.put("a", "theirs");
        assert_eq!(errno(fs::remove_file(mount.path().join("a"))), libc::ESTALE);
        assert!(backend.has("a", b"theirs"));
        mount.end();
    }
}

#[test]
fn a_rename_neither_moves_nor_replaces_an_object_that_others_changed() {
    for backend in backends() {
        for key in ["changed", "kept", "replaced"] {
            backend.put(key, "before");
        }
        let mount = mount_free(&backend);
        assert_eq!(names_in(mount.path()), ["changed", "kept", "replaced"]);
        for key in ["changed", "made", "replaced"] {
            backend.put(key, "theirs");
        }
        for (old, new) in [("kept", "replaced"), ("kept", "made"), ("changed", "moved")] {
            let renamed = fs::rename(mount.join(old), mount.join(new));
            assert!(renamed.is_err(), "{old} became {new} on {}", backend.name());
            assert_eq!(errno(renamed), libc::ESTALE, "{old} to {new}");
        }
        assert_eq!(backend.keys(), ["changed", "kept", "made", "replaced"]);
        assert!(backend.has("kept", b"before"));
        for key in ["changed", "made", "replaced"] {
            assert!(backend.has(key, b"theirs"), "{key}");
        }
        mount.end();
    }
}

#[test]
fn a_file_that_is_deleted_before_it_is_closed_never_gets_into_the_bucket() {
    for backend in backends() {
        let mount = mount(&backend, &[]);
        let path = mount.path().join("temporary");
        let mut file = File::create(&path).unwrap();
        file.write_all(b"x").unwrap();
        fs::remove_file(&path).unwrap();
        close(file).unwrap();
        assert!(backend.keys().is_empty());
        mount.end();
    }
}

#[test]
fn a_rename_is_a_copy_on_the_server_and_a_deletion() {
    for backend in backends() {
        backend.put("a", "x");
        backend.put("d/b", "y");
        let careful = mount(&backend, &[]);
        assert_eq!(
            errno(fs::rename(careful.path().join("a"), careful.path().join("c"))),
            libc::EPERM
        );
        careful.end();
        let free = mount_free(&backend);
        fs::metadata(free.path().join("a")).unwrap();
        fs::metadata(free.path().join("d/b")).unwrap();
        backend.reset_counts();
        fs::rename(free.path().join("a"), free.path().join("d/moved")).unwrap();
        if let Some(counts) = backend.counts() {
            assert_eq!((counts.put, counts.other, counts.get), (1, 1, 0), "{counts:?}");
        }
        assert_eq!(backend.keys(), ["d/b", "d/moved"]);
        assert_eq!(fs::read(free.path().join("d/moved")).unwrap(), b"x");
        // Over another object, and of one that was just written.
        save(&free.path().join("new"), b"z").unwrap();
        fs::rename(free.path().join("new"), free.path().join("d/b")).unwrap();
        assert!(backend.has("d/b", b"z"));
        assert_eq!(backend.keys(), ["d/b", "d/moved"]);
        assert_eq!(fs::read(free.path().join("d/b")).unwrap(), b"z");
        free.end();
    }
}

#[test]
fn a_file_that_is_renamed_while_it_is_open_is_sent_under_its_new_name_alone() {
    for backend in backends() {
        let mount = mount(&backend, &[]);
        let mut file = File::create(mount.path().join("part")).unwrap();
        file.write_all(b"all of it").unwrap();
        fs::rename(mount.path().join("part"), mount.path().join("whole")).unwrap();
        close(file).unwrap();
        assert_eq!(backend.keys(), ["whole"]);
        assert!(backend.has("whole", b"all of it"));
        mount.end();
    }
}

#[test]
fn a_folder_is_its_marker() {
    for backend in backends() {
        let mount = mount_free(&backend);
        let folder = mount.path().join("folder");
        fs::create_dir(&folder).unwrap();
        assert!(backend.has("folder/", b""));
        assert_eq!(errno(fs::create_dir(&folder)), libc::EEXIST);
        save(&folder.join("a"), b"x").unwrap();
        assert!(backend.has("folder/a", b"x"));
        assert_eq!(names_in(&folder), ["a"]);
        assert_eq!(errno(fs::remove_dir(&folder)), libc::ENOTEMPTY);
        fs::remove_file(folder.join("a")).unwrap();
        fs::remove_dir(&folder).unwrap();
        assert!(backend.keys().is_empty());
        assert_eq!(errno(fs::metadata(&folder)), libc::ENOENT);
        mount.end();
    }
}

#[test]
fn a_folder_that_others_filled_meanwhile_is_not_deleted() {
    for backend in backends() {
        backend.put("folder/", "");
        let mount = mount_free(&backend);
        assert!(names_in(&mount.path().join("folder")).is_empty());
        backend.put("folder/theirs", "x");
        assert_eq!(errno(fs::remove_dir(mount.path().join("folder"))), libc::ENOTEMPTY);
        assert_eq!(backend.keys(), ["folder/", "folder/theirs"]);
        mount.end();
    }
}

#[test]
fn a_folder_is_renamed_only_up_to_the_size_that_the_flag_says() {
    for backend in backends() {
        for key in ["d/a", "d/b/c", "d/b/d", "e"] {
            backend.put(key, key.to_owned());
        }
        let plain = mount_free(&backend);
        let rename = |mount: &Mount| fs::rename(mount.path().join("d"), mount.path().join("new"));
        assert_eq!(errno(rename(&plain)), libc::EXDEV);
        plain.end();
        let few = mount(&backend, &["--allow-delete", "--rename-directories", "2"]);
        assert_eq!(errno(rename(&few)), libc::EXDEV);
        few.end();
        let enough = mount(&backend, &["--allow-delete", "--rename-directories", "3"]);
        assert_eq!(names_in(&enough.path().join("d")), ["a", "b"]);
        rename(&enough).unwrap();
        assert_eq!(backend.keys(), ["e", "new/a", "new/b/c", "new/b/d"]);
        assert_eq!(names_in(enough.path()), ["e", "new"]);
        assert_eq!(fs::read(enough.path().join("new/b/c")).unwrap(), b"d/b/c");
        enough.end();
    }
}

#[test]
fn what_was_written_in_a_folder_goes_with_it_when_it_is_renamed() {
    for backend in backends() {
        backend.put("d/object", "x");
        let flags = ["--allow-overwrite", "--allow-delete", "--rename-directories", "10"];
        let mount = mount(&backend, &flags);
        let [old, new] = ["d", "new"].map(|name| mount.path().join(name));
        fs::create_dir(old.join("below")).unwrap();
        save(&old.join("below/a"), b"one").unwrap();
        let mut open = File::create(old.join("open")).unwrap();
        open.write_all(b"first").unwrap();
        open.sync_all().unwrap();
        let modes = [("object", 0o640), ("below", 0o750), ("below/a", 0o755), ("open", 0o600)];
        for (name, mode) in modes {
            fs::set_permissions(old.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::rename(&old, &new).unwrap();
        for (name, mode) in modes {
            assert_eq!(mode_of(&new.join(name)), mode, "{name}");
        }
        // What is written from now on gets to where it is by now.
        let mut again = OpenOptions::new().append(true).open(new.join("below/a")).unwrap();
        again.write_all(b" two").unwrap();
        close(again).unwrap();
        open.write_all(b" second").unwrap();
        close(open).unwrap();
        assert_eq!(backend.keys(), ["new/below/", "new/below/a", "new/object", "new/open"]);
        assert!(backend.has("new/below/a", b"one two"));
        assert!(backend.has("new/open", b"first second"));
        assert_eq!(fs::read(new.join("below/a")).unwrap(), b"one two");
        // A folder that is made in its place has nothing of the old one.
        fs::create_dir(&old).unwrap();
        fs::create_dir(old.join("below")).unwrap();
        assert_eq!(mode_of(&old.join("below")), 0o755);
        assert!(names_in(&old.join("below")).is_empty());
        mount.end();
    }
}

#[test]
fn a_rename_of_a_folder_that_was_interrupted_goes_on() {
    for backend in backends() {
        for key in ["d/a", "d/b", "new/a"] {
            backend.put(key, key[key.len() - 1..].to_owned());
        }
        let mount = mount(&backend, &["--allow-delete", "--rename-directories", "10"]);
        fs::rename(mount.path().join("d"), mount.path().join("new")).unwrap();
        assert_eq!(backend.keys(), ["new/a", "new/b"]);
        mount.end();
    }
}

#[test]
fn what_a_bucket_cannot_hold_is_refused() {
    for backend in backends() {
        backend.put("a", "x");
        let mount = mount_free(&backend);
        let path = mount.path();
        assert_eq!(errno(symlink("a", path.join("link"))), libc::EPERM);
        assert_eq!(errno(fs::hard_link(path.join("a"), path.join("second"))), libc::EPERM);
        for name in ["%%strange%zz", "a%%b", "a%%versions"] {
            assert_eq!(errno(File::create(path.join(name))), libc::EINVAL, "{name}");
        }
        assert_eq!(backend.keys(), ["a"]);
        mount.end();
    }
}

#[test]
fn names_of_the_patterns_stay_in_memory() {
    for backend in backends() {
        backend.put("image.tif", "x");
        let mount =
            mount(&backend, &["--memory-only", "*.aux.xml", ".~lock*", "--memory-only", "tmp"]);
        let path = mount.path();
        for name in ["image.tif.aux.xml", ".~lock.a#"] {
            save(&path.join(name), name.as_bytes()).unwrap();
            save(&path.join(name), b"again").unwrap();
            assert_eq!(fs::read(path.join(name)).unwrap(), b"again");
        }
        fs::create_dir(path.join("tmp")).unwrap();
        save(&path.join("tmp/scratch"), b"x").unwrap();
        symlink("scratch", path.join("tmp/link")).unwrap();
        fs::remove_file(path.join(".~lock.a#")).unwrap();
        assert_eq!(backend.keys(), ["image.tif"]);
        // A file that was made in memory becomes an object by its name.
        fs::rename(path.join("tmp/scratch"), path.join("result")).unwrap();
        assert_eq!(backend.keys(), ["image.tif", "result"]);
        assert!(backend.has("result", b"x"));
        mount.end();
    }
}

#[test]
fn permissions_and_times_are_kept_for_the_life_of_the_mount() {
    for backend in backends() {
        let mount = mount(&backend, &[]);
        let path = mount.path().join("script");
        save(&path, b"#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        File::open(&path).unwrap().set_modified(time).unwrap();
        let meta = fs::metadata(&path).unwrap();
        assert_eq!(meta.permissions().mode() & 0o777, 0o755);
        assert_eq!(meta.modified().unwrap(), time);
        assert!(backend.has("script", b"#!/bin/sh\n"));
        mount.end();
    }
}

#[test]
fn a_folder_has_the_permissions_that_it_is_made_with() {
    for backend in backends() {
        let mount = mount_free(&backend);
        let path = mount.path().join("folder");
        let make = |mode| fs::DirBuilder::new().mode(mode).create(&path).unwrap();
        make(0o700);
        assert_eq!(mode_of(&path), 0o700);
        fs::remove_dir(&path).unwrap();
        make(0o755);
        assert_eq!(mode_of(&path), 0o755);
        mount.end();
    }
}

#[test]
fn permissions_and_times_outlive_the_listing_and_the_bytes_in_memory() {
    for backend in backends() {
        let mount = mount(&backend, &["--metadata-ttl", "1", "--allow-delete"]);
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        let changed = mount.path().join("changed");
        save(&changed, b"x").unwrap();
        fs::set_permissions(&changed, fs::Permissions::from_mode(0o755)).unwrap();
        File::open(&changed).unwrap().set_modified(time).unwrap();
        let made = mount.path().join("made");
        close(OpenOptions::new().write(true).create_new(true).mode(0o700).open(&made).unwrap())
            .unwrap();
        let number = |path: &Path| fs::metadata(path).unwrap().ino();
        let before = [&changed, &made].map(|path| number(path));
        until("both are objects of the listing", || {
            number(&changed) != before[0] && number(&made) != before[1]
        });
        let is_kept = |changed: &Path, made: &Path| {
            assert_eq!((mode_of(changed), mode_of(made)), (0o755, 0o700));
            assert_eq!(fs::metadata(changed).unwrap().modified().unwrap(), time);
        };
        is_kept(&changed, &made);
        let [other_changed, other_made] = ["other", "another"].map(|name| mount.path().join(name));
        fs::rename(&changed, &other_changed).unwrap();
        fs::rename(&made, &other_made).unwrap();
        is_kept(&other_changed, &other_made);
        mount.end();
    }
}

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_picture_that_is_saved_has_siblings() {
    for backend in backends() {
        let mount = mount(&backend, &[]);
        let picture = include_bytes!("../../../support/images/rgb8.png");
        save(&mount.path().join("p.png"), picture).unwrap();
        assert!(fs::read(mount.path().join("p.png.npy")).unwrap().starts_with(b"\x93NUMPY"));
        assert_eq!(backend.keys(), ["p.png"]);
        assert_eq!(errno(fs::remove_file(mount.path().join("p.png.npy"))), libc::EPERM);
        mount.end();
    }
}

#[test]
fn attributes_are_kept_by_what_stays_in_memory_and_by_no_object() {
    let Some(backend) = in_process() else { return };
    let mount = mount(&backend, &["--memory-only", "*.tmp"]);
    let set = |name: &str| {
        let path = mount.join(name);
        save(&path, b"x").unwrap();
        let no_flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(&path, "user.colour", b"red", no_flags).map_err(io::Error::from)
    };
    set("a.tmp").unwrap();
    assert_eq!(errno(set("object")), libc::EOPNOTSUPP);
    fs::create_dir(mount.join("folder")).unwrap();
    let no_flags = rustix::fs::XattrFlags::empty();
    let refused = rustix::fs::setxattr(mount.join("folder"), "user.x", b"y", no_flags);
    assert_eq!(errno(refused.map_err(io::Error::from)), libc::EOPNOTSUPP);
    assert_eq!(backend.keys(), ["folder/", "object"]);
    mount.end();
}
