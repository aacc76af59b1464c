//! Directories that are listed while their names come and go.

use std::collections::BTreeMap;

use super::*;

/// More than a page of a listing, and than the kernel asks for at once.
const MANY: usize = 3000;

/// How often each name is listed, while something is done with each as it comes.
fn listed_while(path: &Path, mut work: impl FnMut(&str)) -> BTreeMap<String, usize> {
    let mut seen = BTreeMap::new();
    for entry in fs::read_dir(path).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        work(&name);
        *seen.entry(name).or_default() += 1;
    }
    seen
}

#[track_caller]
fn assert_once_each(seen: &BTreeMap<String, usize>, wanted: usize) {
    let twice: Vec<_> = seen.iter().filter(|(_, count)| **count != 1).take(5).collect();
    assert!(twice.is_empty(), "listed more than once: {twice:?}");
    assert_eq!(seen.len(), wanted);
}

/// A mount, and a directory in it with [`MANY`] names: half are of the bucket, half are
/// made.
fn filled(server: &TestServer, way: &Way) -> (Mount, PathBuf) {
    server.put_many(BUCKET, (0..MANY / 2).map(|n| (format!("d/object {n}"), "object")));
    let mount = way.mount(server, &[]);
    let d = mount.join("d");
    for n in 0..MANY / 2 {
        fs::write(d.join(format!("made {n}")), "made").unwrap();
    }
    (mount, d)
}

#[test]
fn made_moved_and_hidden_names_are_listed_once_or_not_at_all() {
    each_way(|server, way| {
        server.put(BUCKET, "e/from elsewhere", "e");
        let (mount, d) = filled(server, way);
        fs::rename(mount.join("e/from elsewhere"), d.join("moved here")).unwrap();
        fs::rename(d.join("object 7"), d.join("object 7 moved")).unwrap();
        fs::remove_file(d.join("object 8")).unwrap();
        fs::write(d.join("object 9"), "overwritten").unwrap();
        let seen = listed_while(&d, |_| ());
        assert_once_each(&seen, MANY);
        assert!(seen.contains_key("moved here") && seen.contains_key("object 7 moved"));
        assert!(!seen.contains_key("object 7") && !seen.contains_key("object 8"));
        mount.end();
    });
}

#[test]
fn a_loop_that_deletes_what_it_lists_deletes_all() {
    each_way(|server, way| {
        let (mount, d) = filled(server, way);
        let seen = listed_while(&d, |name| fs::remove_file(d.join(name)).unwrap());
        assert_once_each(&seen, MANY);
        fs::remove_dir(&d).unwrap();
        mount.end();
    });
}

#[test]
fn rm_rf_leaves_nothing() {
    each_way(|server, way| {
        let (mount, d) = filled(server, way);
        fs::create_dir_all(d.join("a/b/c")).unwrap();
        fs::write(d.join("a/b/file"), "deep").unwrap();
        let rm = std::process::Command::new("rm").arg("-rf").arg(&d).status().unwrap();
        assert!(rm.success());
        assert!(is_gone(&d));
        assert_eq!(names(mount.path()), [""; 0]);
        mount.end();
    });
}

#[test]
fn a_loop_that_writes_to_what_it_lists_sees_each_name_once() {
    each_way(|server, way| {
        let (mount, d) = filled(server, way);
        let append = |name: &str| {
            let mut file = OpenOptions::new().append(true).open(d.join(name)).unwrap();
            file.write_all(b" and more").unwrap();
        };
        assert_once_each(&listed_while(&d, append), MANY);
        assert_eq!(fs::read(d.join("object 1499")).unwrap(), b"object and more");
        assert_once_each(&listed_while(&d, |_| ()), MANY);
        mount.end();
    });
}

#[test]
fn a_loop_that_renames_what_it_lists_comes_to_an_end() {
    each_way(|server, way| {
        let (mount, d) = filled(server, way);
        let mut renamed = 0;
        let seen = listed_while(&d, |name| {
            renamed += 1;
            assert!(renamed < 3 * MANY, "the loop goes on for ever");
            fs::rename(d.join(name), d.join(format!("{name}.bak"))).unwrap();
        });
        assert_once_each(&seen, MANY);
        let now = names(&d);
        assert!(now.iter().all(|name| name.ends_with(".bak")) && now.len() == MANY);
        mount.end();
    });
}

#[test]
fn names_that_stay_are_listed_once_while_others_come_and_go() {
    each_way(|server, way| {
        let (mount, d) = filled(server, way);
        let mut number = 0;
        let seen = listed_while(&d, |_| {
            number += 1;
            let name = d.join(format!("passing {number}"));
            fs::write(&name, "x").unwrap();
            // Saved anew, as editors do.
            fs::rename(&name, d.join(format!("object {}", number % 100))).unwrap();
            fs::write(&name, "x").unwrap();
            fs::rename(&name, d.join(format!("made {}", number % 100))).unwrap();
        });
        let stayed = seen.iter().filter(|(name, _)| !name.starts_with("passing"));
        let twice: Vec<_> = stayed.clone().filter(|(_, count)| **count > 1).take(5).collect();
        assert!(twice.is_empty(), "{twice:?}");
        assert_eq!(stayed.count(), MANY);
        assert_eq!(names(&d).len(), MANY);
        mount.end();
    });
}
