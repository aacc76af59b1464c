//! Folders of images whose siblings are listed, in the hands of programs that delete and copy
//! all that they see. What counts is what the bucket has afterwards.

use std::path::PathBuf;
use std::process::Command;

use super::*;
use crate::harness::mounting::{both, succeeds};

const ENDINGS: [&str; 5] = [".png", ".preview.png", ".npy", ".tif", ".json"];

/// A gray PNG of one value.
fn picture(value: u8) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let image = image::GrayImage::from_pixel(20, 16, image::Luma([value]));
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// A bucket with a folder of images and other things, and one beside it that nobody may touch.
fn filled(backend: &Backend) -> Vec<String> {
    for (key, bytes) in [
        ("d/a.png", picture(1)),
        ("d/b.png", picture(2)),
        ("d/real.png", picture(3)),
        // What has the name of a sibling is what it is.
        ("d/real.png.npy", b"real".to_vec()),
        ("d/notes.txt", b"notes".to_vec()),
        ("d/lies.png", b"no image".to_vec()),
        ("d/below/c.png", picture(4)),
        ("kept/a.png", picture(5)),
    ] {
        backend.put(key, bytes);
    }
    backend.keys()
}

fn mount_listed(backend: &Backend) -> Mount {
    mount(backend, &["--allow-overwrite", "--allow-delete", "--list-views"])
}

/// Something that deletes a folder and all that is in it.
type Delete = fn(&Path);

fn run(program: &str, arguments: &[&str], path: &Path) {
    let printed = succeeds(Command::new(program).args(arguments).arg(path));
    assert_eq!(printed, "", "{program}");
}

fn rm(path: &Path) {
    // Without -f: a name that is gone before it is deleted would be an error.
    run("rm", &["-r"], path);
}

fn rmtree(path: &Path) {
    // Before 3.13 a name that is gone is an error here, too.
    let script = "import os, sys\n\
        def remove(folder):\n\
        \u{20}   with os.scandir(folder) as entries:\n\
        \u{20}       entries = list(entries)\n\
        \u{20}   for entry in entries:\n\
        \u{20}       if entry.is_dir(follow_symlinks=False):\n\
        \u{20}           remove(entry.path)\n\
        \u{20}       else:\n\
        \u{20}           os.unlink(entry.path)\n\
        \u{20}   os.rmdir(folder)\n\
        remove(sys.argv[1])\n";
    run("python3", &["-c", script], path);
}

fn shutil(path: &Path) {
    run("python3", &["-c", "import shutil, sys; shutil.rmtree(sys.argv[1])"], path);
}

fn find_delete(path: &Path) {
    succeeds(Command::new("find").arg(path).arg("-delete"));
}

/// One name after the other, in this process, in an order of its own.
fn in_order(path: &Path, order: impl Fn(&mut Vec<PathBuf>)) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    order(&mut entries);
    for entry in entries {
        match fs::symlink_metadata(&entry).unwrap().is_dir() {
            true => in_order(&entry, &order as &dyn Fn(&mut Vec<PathBuf>)),
            false => fs::remove_file(&entry).unwrap(),
        }
    }
    fs::remove_dir(path).unwrap();
}

fn images_first(path: &Path) {
    in_order(path, |names| names.sort());
}

fn siblings_first(path: &Path) {
    in_order(path, |names| {
        names.sort();
        names.reverse();
    });
}

fn mixed(path: &Path) {
    in_order(path, |names| {
        names.sort_by_key(|name| {
            let name = name.file_name().unwrap().as_encoded_bytes();
            name.iter().fold(7u32, |hash, byte| hash.wrapping_mul(31).wrapping_add((*byte).into()))
        });
    });
}

#[test]
fn a_folder_is_deleted_with_its_listed_siblings_in_any_order() {
    let ways: [(&str, Delete); 7] = [
        ("rm -r", rm),
        ("scandir and unlink", rmtree),
        ("shutil.rmtree", shutil),
        ("find -delete", find_delete),
        ("images first", images_first),
        ("siblings first", siblings_first),
        ("mixed", mixed),
    ];
    for (way, delete) in ways {
        for backend in backends() {
            println!("{way}");
            filled(&backend);
            let mount = mount_listed(&backend);
            delete(&mount.join("d"));
            assert_eq!(backend.keys(), ["kept/a.png"], "{way}");
            assert_eq!(names_in(mount.path()), ["kept"], "{way}");
            assert_eq!(names_in(&mount.join("kept")).len(), 6, "{way}");
            // An image of an old name has all its siblings again.
            fs::create_dir(mount.join("d")).unwrap();
            save(&mount.join("d/a.png"), &picture(9)).unwrap();
            assert_eq!(names_in(&mount.join("d")).len(), 6, "{way}");
            fs::metadata(mount.join("d/a.png.npy")).unwrap();
            mount.end();
        }
    }
}

#[test]
fn a_sibling_that_is_deleted_alone_is_hidden_and_its_image_stays() {
    for backend in backends() {
        let keys = filled(&backend);
        let mount = mount(&backend, &["--list-views"]);
        let tif = mount.join("d/a.png.tif");
        assert!(fs::metadata(&tif).is_ok());
        // Nothing in the bucket is deleted, so no flag is needed.
        fs::remove_file(&tif).unwrap();
        assert_eq!(errno(fs::metadata(&tif)), libc::ENOENT);
        assert_eq!(errno(fs::remove_file(&tif)), libc::ENOENT);
        assert!(!names_in(&mount.join("d")).contains(&"a.png.tif".to_owned()));
        assert!(names_in(&mount.join("d")).contains(&"a.png.npy".to_owned()));
        assert_eq!(backend.keys(), keys);
        assert!(backend.has("d/a.png", &picture(1)));
        // Somebody's own file of that name is a file.
        save(&tif, b"my own").unwrap();
        assert!(backend.has("d/a.png.tif", b"my own"));
        mount.end();
    }
}

#[test]
fn a_folder_that_may_not_be_deleted_keeps_every_object() {
    for backend in backends() {
        let keys = filled(&backend);
        let mount = mount(&backend, &["--list-views"]);
        let rm = Command::new("rm").arg("-r").arg(mount.join("d")).output().unwrap();
        assert!(!rm.status.success());
        assert!(!both(&rm).contains("No such file"), "{}", both(&rm));
        assert_eq!(backend.keys(), keys);
        mount.end();
    }
}

#[test]
fn who_has_deleted_an_image_alone_finds_its_siblings_names_and_nobody_else_does() {
    for backend in backends() {
        filled(&backend);
        let mount = mount_listed(&backend);
        let image = mount.join("d/a.png");
        assert!(names_in(&mount.join("d")).contains(&"a.png.tif".to_owned()));
        fs::remove_file(&image).unwrap();
        let listed = names_in(&mount.join("d"));
        assert!(!listed.iter().any(|name| name.starts_with("a.png")), "{listed:?}");
        for ending in ENDINGS {
            let sibling = mount.join(format!("d/a.png{ending}"));
            let test = Command::new("test").arg("-e").arg(&sibling).status().unwrap();
            assert!(!test.success(), "another process sees {ending}");
            assert!(fs::read(&sibling).is_err(), "there is nothing to read");
            fs::remove_file(&sibling).unwrap();
            assert_eq!(errno(fs::remove_file(&sibling)), libc::ENOENT);
        }
        mount.end();
    }
}

/// The keys below a folder, without it.
fn below(backend: &Backend, folder: &str) -> Vec<String> {
    let keys = backend.keys();
    keys.iter().filter_map(|key| Some(key.strip_prefix(folder)?.to_owned())).collect()
}

/// That copies have no siblings of their own, nor the copies of copies.
fn has_no_copies_of_copies(mount: &Mount, folder: &str) {
    for name in names_in(&mount.join(folder)) {
        for image in [".png.", ".tif."] {
            let behind = name.split_once(image).map_or("", |(_, behind)| behind);
            assert!(!behind.contains(image), "a sibling of a sibling is listed: {name}");
        }
    }
    for ending in ENDINGS {
        for copy in ["a.png.tif", "a.png.png", "a.png.preview.png"] {
            let path = mount.join(folder).join(format!("{copy}{ending}"));
            assert_eq!(errno(fs::metadata(&path)), libc::ENOENT, "{}", path.display());
        }
    }
}

#[test]
fn a_copied_folder_has_each_name_once_however_often_it_is_copied() {
    for backend in backends() {
        backend.put("d/a.png", picture(1));
        backend.put("d/notes.txt", "notes");
        let mount = mount_listed(&backend);
        let mut all = vec!["a.png".to_owned(), "notes.txt".to_owned()];
        all.extend(ENDINGS.map(|ending| format!("a.png{ending}")));
        all.sort();
        // Out of the mount and back, again and again: as rsync, Python, cp and tar do it.
        let outside = tempfile::TempDir::new().unwrap();
        let (mut from, mut number) = (mount.join("d"), 0);
        let mut copy = |program: &str, arguments: &[&str]| {
            let (to, back) = (outside.path().join(number.to_string()), number.to_string());
            for to in [to, mount.join(back)] {
                let source = match program {
                    "rsync" => format!("{}/", from.display()).into(),
                    _ => from.clone(),
                };
                succeeds(Command::new(program).args(arguments).arg(source).arg(&to));
                from = to;
            }
            assert_eq!(names_in(&from), all, "{program}");
            let folder = format!("{number}/");
            let held = below(&backend, &folder);
            assert!(held.iter().all(|key| key.is_empty() || all.contains(key)), "{held:?}");
            for name in ["a.png", "notes.txt"] {
                assert!(held.contains(&name.to_owned()), "{program}: {held:?}");
            }
            assert_eq!(backend.get(&format!("{number}/a.png")).unwrap(), picture(1));
            has_no_copies_of_copies(&mount, &number.to_string());
            number += 1;
        };
        copy("rsync", &["-a"]);
        copy("rsync", &["-a"]);
        let tree = "import shutil, sys; shutil.copytree(sys.argv[1], sys.argv[2])";
        copy("python3", &["-c", tree]);
        for _ in 0..3 {
            copy("cp", &["-r"]);
            copy("cp", &["-a"]);
        }
        let tar = "mkdir \"$2\" && tar -C \"$1\" -cf - . | tar -C \"$2\" -xf -";
        copy("sh", &["-c", tar, "sh"]);
        mount.end();
    }
}

#[test]
fn a_folder_is_copied_within_the_mount() {
    for backend in backends() {
        for n in 0..5 {
            backend.put(&format!("d/{n}.png"), picture(n));
        }
        backend.put("d/a.png", picture(1));
        let mount = mount_listed(&backend);
        let tree = "import shutil, sys; shutil.copytree(sys.argv[1], sys.argv[2])";
        for (number, program, arguments) in [
            (1, "cp", vec!["-r"]),
            (2, "cp", vec!["-a"]),
            (3, "rsync", vec!["-a"]),
            (4, "python3", vec!["-c", tree]),
        ] {
            let (from, to) = (mount.join("d"), mount.join(number.to_string()));
            let from = match program {
                "rsync" => format!("{}/", from.display()).into(),
                _ => from,
            };
            succeeds(Command::new(program).args(&arguments).arg(from).arg(&to));
            let listed = names_in(&to);
            assert_eq!(listed.len(), 6 * 6, "{program}: {listed:?}");
            assert_eq!(listed, names_in(&mount.join("d")), "{program}");
            assert_eq!(backend.get(&format!("{number}/a.png")).unwrap(), picture(1));
            has_no_copies_of_copies(&mount, &number.to_string());
        }
        mount.end();
    }
}

#[test]
fn git_adds_what_is_listed_and_finds_no_more_afterwards() {
    for backend in backends() {
        backend.put("d/a.png", picture(1));
        let mount = mount_listed(&backend);
        let git = |arguments: &[&str]| {
            let mut git = Command::new("git");
            git.current_dir(mount.join("d")).env("HOME", "/nonexistent");
            git.args(["-c", "safe.directory=*", "-c", "user.name=n", "-c", "user.email=e@e"]);
            succeeds(git.args(["-c", "core.symlinks=false"]).args(arguments))
        };
        git(&["init", "-q"]);
        git(&["add", "."]);
        git(&["commit", "-q", "-m", "all"]);
        let tracked = git(&["ls-files"]);
        assert_eq!(tracked.lines().count(), 6, "{tracked}");
        assert_eq!(git(&["status", "--porcelain"]), "", "it finds nothing new");
        let pictures = below(&backend, "d/").into_iter().filter(|key| !key.starts_with(".git/"));
        assert_eq!(pictures.collect::<Vec<_>>(), ["a.png"]);
        // Checked out elsewhere, they are files, and have no siblings of their own.
        succeeds(
            Command::new("git")
                .args(["-c", "safe.directory=*", "clone", "-q"])
                .arg(mount.join("d"))
                .arg(mount.join("clone")),
        );
        let listed = names_in(&mount.join("clone"));
        assert_eq!(listed.len(), 1 + 6, "{listed:?}");
        has_no_copies_of_copies(&mount, "clone");
        mount.end();
    }
}

#[test]
fn a_file_of_another_size_than_the_sibling_is_an_image_of_its_own() {
    for backend in backends() {
        backend.put("d/a.png", picture(1));
        backend.put("d/a.png.png", picture(2));
        let mount = mount_listed(&backend);
        let own = mount.join("d/a.png.png.npy");
        assert_ne!(fs::metadata(mount.join("d/a.png")).unwrap().len(), 0);
        let npy = fs::read(&own).unwrap();
        assert!(npy.ends_with(&[2; 20 * 16]));
        let listed = names_in(&mount.join("d"));
        assert!(listed.contains(&"a.png.png.npy".to_owned()), "{listed:?}");
        mount.end();
    }
}
