//! Directories that list the siblings.

use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::process::Command;

use super::fixtures::fixtures;
use super::*;
use crate::harness::mounting::succeeds;
use crate::support::server::{Effect, Fault, Op, Refusal};

#[test]
fn list_views_shows_each_sibling_that_exists_with_its_size_and_no_other() {
    let Some(server) = server() else { return };
    let mut wanted = Vec::new();
    for fixture in fixtures() {
        wanted.push(fixture.name.clone());
        server.put(BUCKET, &format!("d/{}", fixture.name), fixture.bytes);
    }
    server.put(BUCKET, "d/notes.txt", "no image");
    server.put(BUCKET, "d/lies.jp2", "no image either");
    let mount = mount(&server, &["--list-views"]);
    let listed = succeeds(Command::new("ls").arg("-l").arg(mount.join("d")));
    let told: Vec<(String, u64)> = listed
        .lines()
        .skip(1)
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            (words[8..].join(" "), words[4].parse().unwrap())
        })
        .collect();
    for (name, size) in &told {
        let path = mount.join("d").join(name);
        assert_eq!(fs::metadata(&path).unwrap().len(), *size, "{name}");
        assert_eq!(fs::read(&path).unwrap().len() as u64, *size, "{name}");
    }
    let is_told = |name: &String| told.iter().any(|(other, _)| other == name);
    for name in wanted {
        assert!(is_told(&name));
        for ending in ENDINGS {
            let exists = fs::metadata(sibling(&mount, &format!("d/{name}"), ending)).is_ok();
            assert_eq!(is_told(&format!("{name}{ending}")), exists, "{name}{ending}");
        }
    }
    assert!(is_told(&"notes.txt".to_owned()) && is_told(&"lies.jp2".to_owned()));
    assert!(!told.iter().any(|(name, _)| name.starts_with("notes.txt.")), "{listed}");
    assert!(!told.iter().any(|(name, _)| name.starts_with("lies.jp2.")), "{listed}");
    mount.end();
}

#[test]
fn ls_of_500_images_with_their_siblings_costs_a_small_get_each_and_decodes_nothing() {
    let Some(server) = server() else { return };
    server.put_many(BUCKET, (0..500).map(|n| (format!("d/{n:03}.jp2"), B01_JP2)));
    let mount = mount(&server, &["--list-views"]);
    let ls = || succeeds(Command::new("ls").arg("-l").arg(mount.join("d")));
    let (listed, cost) = cost_of(&server, ls);
    assert_eq!(listed.lines().count(), 1 + 6 * 500);
    assert_eq!(cost, Cost { list: 1, get: 500, bytes: 500 * HEAD_BYTES, ..NOTHING });
    let (again, cost) = cost_of(&server, ls);
    assert_eq!(again, listed);
    assert_eq!(cost, NOTHING);
    mount.end();
}

#[test]
fn names_alone_are_listed_without_a_get() {
    let Some(server) = server() else { return };
    server.put_many(BUCKET, (0..50).map(|n| (format!("d/{n:03}.jp2"), B01_JP2)));
    let mount = mount(&server, &["--views", "none", "--list-views"]);
    let (listed, cost) = cost_of(&server, || names(&mount.join("d")));
    assert_eq!(listed.len(), 50);
    assert_eq!(cost, Cost { list: 1, ..NOTHING });
    mount.end();
}

#[test]
fn a_listed_sibling_is_the_file_that_is_found_by_its_name() {
    let Some(server) = server() else { return };
    server.put_many(BUCKET, (0..70).map(|n| (format!("d/{n:02}.jp2"), B01_JP2)));
    let mount = mount(&server, &["--list-views"]);
    let entries: Vec<fs::DirEntry> =
        fs::read_dir(mount.join("d")).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(entries.len(), 6 * 70);
    for entry in entries {
        assert!(entry.file_type().unwrap().is_file());
        assert_eq!(fs::metadata(entry.path()).unwrap().ino(), entry.ino());
    }
    mount.end();
}

#[test]
fn an_image_that_fails_does_not_keep_the_others_from_being_listed() {
    let Some(server) = server() else { return };
    for name in ["a.jp2", "b.jp2", "c.jp2"] {
        server.put(BUCKET, &format!("d/{name}"), B01_JP2);
    }
    server.fault(Fault::new(Effect::Refuse(Refusal::AccessDenied)).on(Op::Get).key("d/b.jp2"));
    let mount = mount(&server, &["--list-views"]);
    let listed = succeeds(Command::new("ls").arg("-l").arg(mount.join("d")));
    // Those of `b.jp2` have no size that could be told.
    assert_eq!(listed.lines().count(), 1 + 3 + 2 * 5, "{listed}");
    mount.end();
}
