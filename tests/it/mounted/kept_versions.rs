//! The versions that a bucket keeps, as folders beside the objects (`--versions`).

use std::fs;
use std::os::unix::ffi::OsStrExt;

use super::*;
use crate::harness::backend::{Backend, backends};
use crate::support::bucket::Meta;

const HOUR: [&str; 3] = ["--versions", "--metadata-ttl", "3600"];

/// Has the server keep versions from now on.
fn keep_versions(backend: &Backend) {
    match backend {
        Backend::InProcess(server) => server.keep_versions(BUCKET),
        Backend::Minio(_) => {
            let (client, bucket) = backend.client();
            let status = aws_sdk_s3::types::BucketVersioningStatus::Enabled;
            let how = aws_sdk_s3::types::VersioningConfiguration::builder().status(status).build();
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let call = client.put_bucket_versioning().bucket(bucket).versioning_configuration(how);
            runtime.block_on(call.send()).unwrap();
        }
    }
}

/// An object that was written in the second `at` of 2026-05-01, 09:30.
fn put_at(server: &TestServer, key: &str, bytes: impl Into<Vec<u8>>, at: u64) {
    let written = std::time::UNIX_EPOCH + Duration::from_secs(1_777_627_800 + at);
    let meta = Meta { last_modified: Some(written), ..Meta::default() };
    server.put_with(BUCKET, key, bytes.into(), meta);
}

/// What was asked for since the last reset: listings, lists of versions, HEADs, GETs.
fn asked(server: &TestServer) -> [u64; 4] {
    assert!(server.wait_idle(Duration::from_secs(20)));
    let counts = server.counts();
    let asked = [counts.list, counts.list_versions, counts.head, counts.get];
    assert_eq!(counts.requests(), asked.iter().sum::<u64>(), "{counts:?}");
    server.reset_counts();
    asked
}

fn xattr(path: &Path, name: &str) -> Option<String> {
    let mut value = vec![0; 256];
    let length = rustix::fs::getxattr(path, name, &mut value).ok()?;
    Some(String::from_utf8(value[..length].to_vec()).unwrap())
}

#[test]
fn every_version_is_read_under_its_time_and_no_other_bytes_ever() {
    for backend in backends() {
        backend.put("d/a.txt", "the first");
        keep_versions(&backend);
        for text in ["the second, longer", "the third"] {
            backend.put("d/a.txt", text);
        }
        backend.put("d/a.txt.more", "not a version of it");
        let mount = backend.mount(&HOUR);
        let folder = mount.join("d/a.txt%%versions");
        let listed = names(&folder);
        assert_eq!(listed.len(), 3, "{listed:?}");
        for name in &listed {
            let (time, number) = name.rsplit_once('-').unwrap();
            assert_eq!((time.len(), time.ends_with('Z')), (20, true), "{name}");
            assert!(number.parse::<u32>().unwrap() >= 1, "{name}");
            assert_eq!(names(&folder.join(name)), ["a.txt"]);
        }
        let read = |name: &String| fs::read_to_string(folder.join(name).join("a.txt")).unwrap();
        let all: Vec<String> = listed.iter().map(read).collect();
        assert_eq!(all, ["the first", "the second, longer", "the third"]);
        assert_eq!(fs::read_to_string(mount.join("d/a.txt")).unwrap(), "the third");
        assert_eq!(names(&mount.join("d")), ["a.txt", "a.txt.more"]);
        // What is overwritten later stays what it was, for whoever has it open or not.
        let oldest = folder.join(&listed[0]).join("a.txt");
        let held = File::open(&oldest).unwrap();
        backend.put("d/a.txt", "the fourth");
        assert_eq!(fs::read_to_string(&oldest).unwrap(), "the first");
        assert_eq!(part(&held, 0..9).unwrap(), b"the first");
        assert_eq!(xattr(&oldest, "user.s3.key").as_deref(), Some("d/a.txt"));
        let ids: Vec<_> = listed
            .iter()
            .map(|name| xattr(&folder.join(name).join("a.txt"), "user.s3.version-id").unwrap())
            .collect();
        assert_eq!((ids[0].as_str(), ids[1] == ids[2]), ("null", false), "{ids:?}");
        assert_eq!(xattr(&mount.join("d/a.txt"), "user.s3.version-id"), None);
        assert!(xattr(&oldest, "user.s3.content-type").is_some());
        drop(held);
        mount.end();
    }
}

#[test]
fn a_deletion_is_an_empty_folder_and_what_was_deleted_is_found_by_its_name() {
    for backend in backends() {
        keep_versions(&backend);
        backend.put("gone.txt", "still here");
        backend.put("other", "x");
        backend.delete("gone.txt");
        let mount = backend.mount(&HOUR);
        assert_eq!(names(mount.path()), ["other"]);
        let folder = mount.join("gone.txt%%versions");
        let listed = names(&folder);
        let (marks, versions): (Vec<_>, Vec<_>) =
            listed.iter().partition(|name| name.ends_with("-deleted"));
        assert_eq!((marks.len(), versions.len()), (1, 1), "{listed:?}");
        assert_eq!(names(&folder.join(marks[0])), [""; 0]);
        let file = folder.join(versions[0]).join("gone.txt");
        assert_eq!(fs::read_to_string(file).unwrap(), "still here");
        assert!(!mount.join("never.txt%%versions").exists());
        assert!(!mount.join("gone.txt").exists());
        mount.end();
    }
}

#[test]
fn versions_cost_nothing_until_somebody_looks_and_then_one_request() {
    let Some(server) = server() else { return };
    server.keep_versions(BUCKET);
    for at in 0..5 {
        put_at(&server, "d/a.txt", format!("version {at}"), at);
    }
    let mount = mount(&server, &HOUR);
    asked(&server);
    names(&mount.join("d"));
    fs::read(mount.join("d/a.txt")).unwrap();
    assert_eq!(asked(&server), [1, 0, 0, 1]);
    // That there are any needs no request, where the object is listed.
    let folder = mount.join("d/a.txt%%versions");
    assert!(folder.is_dir());
    assert_eq!(asked(&server), [0; 4]);
    let listed = names(&folder);
    let expected: Vec<String> = (0..5).map(|at| format!("2026-05-01T09:30:0{at}Z-1")).collect();
    assert_eq!(listed, expected);
    assert_eq!(asked(&server), [0, 1, 0, 0]);
    for name in &listed {
        assert_eq!(fs::metadata(folder.join(name).join("a.txt")).unwrap().len(), 9);
    }
    assert_eq!(asked(&server), [0; 4]);
    let third = folder.join("2026-05-01T09:30:02Z-1/a.txt");
    assert_eq!(fs::read_to_string(&third).unwrap(), "version 2");
    assert_eq!(asked(&server), [0, 0, 0, 1]);
    assert_eq!(xattr(&third, "user.s3.version-id").unwrap().get(..7), Some("v000003"));
    // A look at one of an object that nobody has listed is one request, and so is its absence.
    assert!(!mount.join("d/none%%versions").exists());
    assert!(!mount.join("d/none%%versions").exists());
    assert_eq!(asked(&server), [0, 1, 0, 0]);
    mount.end();
}

#[test]
fn without_the_flag_there_is_no_such_name_and_no_request_for_it() {
    let Some(server) = server() else { return };
    server.keep_versions(BUCKET);
    server.put(BUCKET, "a", "1");
    let mount = mount(&server, &["--metadata-ttl", "3600"]);
    names(mount.path());
    asked(&server);
    for name in ["a%%versions", "b%%versions", "a%%versions/x"] {
        assert!(!mount.join(name).exists(), "{name}");
    }
    assert_eq!(asked(&server), [0; 4]);
    mount.end();
}

#[test]
fn more_versions_than_a_page_has_are_all_there_under_names_of_their_own() {
    let Some(server) = server() else { return };
    server.keep_versions(BUCKET);
    for number in 0..2500 {
        put_at(&server, "a", format!("{number:04}"), number / 1200);
    }
    server.put(BUCKET, "a/below", "x");
    let mount = mount(&server, &HOUR);
    asked(&server);
    let folder = mount.join("a%%versions");
    let listed = names(&folder);
    assert_eq!(asked(&server), [0, 3, 0, 0]);
    assert_eq!(listed.len(), 2500);
    for (name, text) in [
        ("2026-05-01T09:30:00Z-1", "0000"),
        ("2026-05-01T09:30:00Z-1200", "1199"),
        ("2026-05-01T09:30:01Z-1", "1200"),
        ("2026-05-01T09:30:02Z-100", "2499"),
    ] {
        assert_eq!(fs::read_to_string(folder.join(name).join("a")).unwrap(), text, "{name}");
    }
    assert_eq!(asked(&server), [0, 0, 0, 4]);
    mount.end();
}

#[test]
fn old_images_have_the_siblings_of_their_own_version() {
    let Some(server) = server() else { return };
    let image = fs::read(format!("{}/tests/support/data/B01.jp2", env!("CARGO_MANIFEST_DIR")));
    server.keep_versions(BUCKET);
    put_at(&server, "b.jp2", image.unwrap(), 0);
    put_at(&server, "b.jp2", "not an image any more", 1);
    let mount = mount(&server, &HOUR);
    let old = mount.join("b.jp2%%versions/2026-05-01T09:30:00Z-1");
    let png = fs::read(old.join("b.jp2.preview.png")).unwrap();
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    let json = fs::read_to_string(old.join("b.jp2.json")).unwrap();
    assert!(json.contains("\"width\""), "{json}");
    let new = mount.join("b.jp2%%versions/2026-05-01T09:30:01Z-1/b.jp2.preview.png");
    assert!(fs::read(new).is_err());
    mount.end();
}

#[test]
fn old_versions_are_read_only_and_can_be_copied_back() {
    let Some(server) = server() else { return };
    server.keep_versions(BUCKET);
    put_at(&server, "a.txt", "good", 0);
    put_at(&server, "a.txt", "bad", 1);
    let flags = ["--versions", "--writes", "upload", "--allow-overwrite", "--allow-delete"];
    let mount = mount(&server, &flags);
    let folder = mount.join("a.txt%%versions");
    let old = folder.join("2026-05-01T09:30:00Z-1/a.txt");
    let refused = [
        errno(fs::write(&old, "x")),
        errno(File::options().append(true).open(&old)),
        errno(fs::remove_file(&old)),
        errno(fs::rename(&old, mount.join("b.txt"))),
        errno(fs::rename(mount.join("a.txt"), folder.join("new"))),
        errno(fs::write(folder.join("new"), "x")),
        errno(fs::create_dir(folder.join("new"))),
        errno(fs::remove_dir(&folder)),
        errno(fs::rename(&folder, mount.join("moved"))),
        errno(fs::create_dir(mount.join("new%%versions"))),
        errno(fs::set_permissions(&old, std::os::unix::fs::PermissionsExt::from_mode(0o600))),
    ];
    assert_eq!(refused, [libc::EROFS; 11]);
    assert_eq!(fs::read_to_string(&old).unwrap(), "good");
    fs::copy(&old, mount.join("a.txt")).unwrap();
    mount.end();
    let now = server.get(BUCKET, "a.txt").unwrap();
    assert_eq!(now.content.slice(0..4).as_ref(), b"good");
    assert_eq!(server.version_ids(BUCKET, "a.txt").len(), 3);
}

#[test]
fn a_version_that_was_destroyed_is_gone_and_never_another_one() {
    let Some(server) = server() else { return };
    server.keep_versions(BUCKET);
    for (at, text) in [(0, "first"), (0, "other"), (1, "third")] {
        put_at(&server, "a", text, at);
    }
    let mount = mount(&server, &["--versions", "--metadata-ttl", "0"]);
    let at = |name: &str| mount.join("a%%versions").join(name).join("a");
    let held = File::open(at("2026-05-01T09:30:00Z-1")).unwrap();
    let first = server.version_ids(BUCKET, "a")[0].clone();
    server.destroy_version(BUCKET, "a", &first);
    // Its name is the next one's by now; whoever has it open never gets the bytes of that.
    assert_eq!(fs::read_to_string(at("2026-05-01T09:30:00Z-1")).unwrap(), "other");
    let mut bytes = [0; 5];
    assert!(held.read_at(&mut bytes, 0).is_err(), "{bytes:?}");
    assert!(!at("2026-05-01T09:30:00Z-2").exists());
    drop(held);
    mount.end();
}

#[test]
fn strange_keys_have_versions_and_none_is_taken_for_another_object() {
    let Some(server) = server() else { return };
    server.keep_versions(BUCKET);
    let long = "L".repeat(300);
    let keys = ["x%%versions", "with space+plus", "é", "a", "a/b", "c//d", "m/", long.as_str()];
    for key in keys {
        put_at(&server, key, format!("of {key}"), 0);
    }
    // Where versions are shown, a key with the mark that we use has no name.
    server.put(BUCKET, "a\u{FFFF}%%versions/2026-05-01T09:30:00Z-1/a", "an impostor");
    let mount = mount(&server, &HOUR);
    let time = "2026-05-01T09:30:00Z-1";
    for (folder, file, key) in [
        ("%%x%25%25versions%%versions", "%%x%25%25versions", "x%%versions"),
        ("with space+plus%%versions", "with space+plus", "with space+plus"),
        ("é%%versions", "é", "é"),
        ("a%%versions", "a", "a"),
        ("a/b%%versions", "b", "a/b"),
        ("c/%%/d%%versions", "d", "c//d"),
        ("m/%%%%versions", "%%", "m/"),
    ] {
        let read = fs::read_to_string(mount.join(folder).join(time).join(file));
        assert_eq!(read.unwrap(), format!("of {key}"), "{folder}");
    }
    let (part, rest) = (format!("%%{}%", "L".repeat(252)), "L".repeat(48));
    let file = mount.join(&part).join(format!("{rest}%%versions")).join(time);
    let file = file.join(&part).join(&rest);
    assert_eq!(fs::read_to_string(file).unwrap(), format!("of {long}"));
    for none in ["%%versions", "a%%versions/b%%versions", "a%%object%%versions"] {
        assert!(!mount.join(none).exists(), "{none}");
    }
    let listed = fs::read_dir(mount.path()).unwrap();
    let marked = listed.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.as_bytes().windows(3).any(|bytes| bytes == "\u{FFFF}".as_bytes())
    });
    assert_eq!(marked.count(), 0);
    let escaped = mount.join("%%a\u{FFFF}%25%25versions");
    assert!(!escaped.exists());
    mount.end();
}

#[test]
fn versions_of_several_buckets_are_those_of_each() {
    let Some(server) = server() else { return };
    for bucket in ["one", "two"] {
        server.create_bucket(bucket);
        server.keep_versions(bucket);
        server.put(bucket, "p/a", format!("old in {bucket}"));
        server.put(bucket, "p/a", format!("new in {bucket}"));
    }
    let mount = Mounting::of(&server, "one").beside(&["two/p"]).with(HOUR).in_foreground();
    for (folder, text) in [("one/p/a%%versions", "old in one"), ("p/a%%versions", "old in two")] {
        let listed = names(&mount.join(folder));
        let read = fs::read_to_string(mount.join(folder).join(&listed[0]).join("a"));
        assert_eq!((listed.len(), read.unwrap().as_str()), (2, text));
    }
    assert!(!mount.join("one%%versions").exists());
    mount.end();
}
