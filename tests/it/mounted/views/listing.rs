//! Directories that list the siblings.

use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::process::Command;

use super::fixtures::fixtures;
use super::*;
use crate::harness::missing::has_program;
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

/// What a shell makes of a script in a folder.
fn bash(folder: &Path, script: &str) -> String {
    succeeds(Command::new("bash").args(["-c", script]).current_dir(folder))
}

#[test]
fn a_plain_listing_costs_no_get_and_one_with_sizes_one_for_each_image() {
    let Some(server) = server() else { return };
    server.put_many(BUCKET, (0..300).map(|n| (format!("d/{n:03}.jp2"), B01_JP2)));
    let mount = mount(&server, &["--list-views=tif,preview"]);
    let d = mount.join("d");
    let (listed, cost) = cost_of(&server, || names(&d));
    assert_eq!(listed.len(), 3 * 300);
    assert_eq!(listed[..3], ["000.jp2", "000.jp2.preview.png", "000.jp2.tif"]);
    assert_eq!(cost, Cost { list: 1, ..NOTHING });
    for script in ["echo *.tif | wc -w", "ls -f | grep -c 'tif$'", "compgen -G '*.jp2.tif' | wc -l"]
    {
        let (found, cost) = cost_of(&server, || bash(&d, script));
        assert_eq!((found.trim(), cost), ("300", NOTHING), "{script}");
    }
    // What the Tab key shows.
    let (shown, cost) = cost_of(&server, || bash(&d, "compgen -f 007.jp2.t"));
    assert_eq!((shown.as_str(), cost), ("007.jp2.tif\n", NOTHING));
    let ls = || succeeds(Command::new("ls").arg("-l").arg(&d));
    let (listed, cost) = cost_of(&server, ls);
    assert_eq!(listed.lines().count(), 1 + 3 * 300);
    assert_eq!(cost, Cost { get: 300, bytes: 300 * HEAD_BYTES, ..NOTHING });
    let (_, cost) = cost_of(&server, ls);
    assert_eq!(cost, NOTHING);
    mount.end();
}

#[test]
fn what_turns_out_not_to_exist_is_gone_from_the_next_listing() {
    let Some(server) = server() else { return };
    let float = include_bytes!("../../../support/images/float32.tif");
    server.put(BUCKET, "d/float.tif", float.as_slice());
    server.put(BUCKET, "d/lies.jp2", "no image");
    let mount = mount(&server, &["--list-views=png,npy"]);
    let d = mount.join("d");
    let all =
        ["float.tif", "float.tif.npy", "float.tif.png", "lies.jp2", "lies.jp2.npy", "lies.jp2.png"];
    assert_eq!(names(&d), all);
    assert_eq!(errno(fs::metadata(d.join("float.tif.png"))), libc::ENOENT);
    assert_eq!(errno(File::open(d.join("lies.jp2.npy"))), libc::ENOENT);
    assert_eq!(names(&d), ["float.tif", "float.tif.npy", "lies.jp2"]);
    mount.end();
}

#[test]
fn gdal_builds_a_mosaic_of_what_a_shell_pattern_names() {
    if !has_program("gdalbuildvrt") {
        return;
    }
    let Some(server) = server() else { return };
    server.put_many(BUCKET, (0..4).map(|n| (format!("d/T{n}.jp2"), B01_JP2)));
    server.put(BUCKET, "d/notes.txt", "notes");
    let mount = mount(&server, &["--list-views=tif"]);
    let folder = tempfile::TempDir::new().unwrap();
    let mosaic = folder.path().join("m.vrt");
    let script = format!("gdalbuildvrt -q '{}' T?.jp2.tif", mosaic.display());
    let (_, cost) = cost_of(&server, || bash(&mount.join("d"), &script));
    // GDAL asks for no pixel, so the headers are all that it costs.
    assert_eq!(cost, Cost { list: 1, get: 4, bytes: 4 * HEAD_BYTES, ..NOTHING });
    let text = fs::read_to_string(&mosaic).unwrap();
    for n in 0..4 {
        assert!(text.contains(&format!("d/T{n}.jp2.tif</SourceFilename>")), "{text}");
    }
    let pixels = |file: &Path| {
        succeeds(Command::new("gdalinfo").arg("-checksum").arg(file))
            .lines()
            .find_map(|line| line.trim().strip_prefix("Checksum=").map(str::to_owned))
            .unwrap()
    };
    // All four lie at one place.
    assert_eq!(pixels(&mosaic), pixels(&mount.join("d/T1.jp2")));
    mount.end();
}

#[test]
fn kinds_that_are_not_named_are_found_by_name_and_not_listed() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "d/B01.jp2", B01_JP2);
    let mount = mount(&server, &["-o", "list_views=json"]);
    let d = mount.join("d");
    assert_eq!(names(&d), ["B01.jp2", "B01.jp2.json"]);
    assert!(fs::metadata(d.join("B01.jp2.tif")).is_ok());
    assert_eq!(names(&d), ["B01.jp2", "B01.jp2.json"]);
    mount.end();
}
