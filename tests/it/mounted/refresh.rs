//! What another client has changed is seen at once after `s3mem refresh`.

use std::fs;
use std::process::Command;

use super::*;
use crate::harness::missing::{has_root, not_run};
use crate::harness::shell::{Ran, S3MEM, Shell};

const HOUR: [&str; 2] = ["--metadata-ttl", "3600"];

fn refresh(paths: &[&Path]) -> Ran {
    Ran::finish(Shell::new().command(S3MEM).arg("refresh").args(paths).spawn().unwrap())
}

/// The size of a file, or the error that says why there is none.
fn size(mount: &Mount, name: &str) -> Result<u64, i32> {
    let status = fs::metadata(mount.join(name));
    status.map(|status| status.len()).map_err(|error| error.raw_os_error().unwrap())
}

const MISSING: Result<u64, i32> = Err(libc::ENOENT);

#[test]
fn a_tree_that_is_refreshed_shows_what_others_have_changed() {
    let Some(server) = server() else { return };
    for name in ["d/a", "d/b", "d/s/x", "e/a"] {
        server.put(BUCKET, name, "1");
    }
    let mount = mount(&server, &HOUR);
    let held = File::open(mount.join("d/a")).unwrap();
    let seen = |mount: &Mount| {
        ["d/a", "d/b", "d/new", "d/s/x", "d/s/y", "e/a", "top"].map(|name| size(mount, name))
    };
    let before = [Ok(1), Ok(1), MISSING, Ok(1), MISSING, Ok(1), MISSING];
    assert_eq!(seen(&mount), before);
    assert_eq!(names(&mount.join("d")), ["a", "b", "s"]);
    for name in ["d/a", "d/new", "d/s/y", "e/a", "top"] {
        server.put(BUCKET, name, "22");
    }
    server.delete(BUCKET, "d/b");
    server.delete(BUCKET, "d/s/x");
    assert_eq!(seen(&mount), before);
    refresh(&[&mount.join("d")]).succeeds();
    let after = [Ok(2), MISSING, Ok(2), MISSING, Ok(2), Ok(1), MISSING];
    assert_eq!(seen(&mount), after);
    assert_eq!(names(&mount.join("d")), ["a", "new", "s"]);
    assert_eq!(fs::read(mount.join("d/a")).unwrap(), b"22");
    // Whoever has the old version open goes on with that.
    assert_eq!(held.metadata().unwrap().len(), 1);
    refresh(&[mount.path()]).succeeds();
    assert_eq!(seen(&mount), [Ok(2), MISSING, Ok(2), MISSING, Ok(2), Ok(2), Ok(2)]);
    drop(held);
    mount.end();
}

#[test]
fn a_file_that_is_refreshed_is_the_new_one_with_its_siblings() {
    let Some(server) = server() else { return };
    let image = fs::read(format!("{}/tests/support/data/B01.jp2", env!("CARGO_MANIFEST_DIR")));
    server.put(BUCKET, "d/image.jp2", "no image yet");
    server.put(BUCKET, "d/other", "1");
    let mount = mount(&server, &HOUR);
    assert!(size(&mount, "d/image.jp2.npy").is_err());
    assert_eq!(size(&mount, "d/other"), Ok(1));
    server.put(BUCKET, "d/image.jp2", image.unwrap());
    refresh(&[&mount.join("d/image.jp2")]).succeeds();
    assert!(size(&mount, "d/image.jp2").unwrap() > 1000);
    assert!(size(&mount, "d/image.jp2.npy").unwrap() > 1000);
    mount.end();
}

#[test]
fn a_file_that_did_not_exist_can_be_refreshed_by_its_name() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "d/a", "1");
    let mount = mount(&server, &HOUR);
    assert_eq!(size(&mount, "d/new"), MISSING);
    refresh(&[&mount.join("d/new")])
        .fails_with(&["d/new does not exist; what was known of its folder"]);
    server.put(BUCKET, "d/new", "22");
    assert_eq!(size(&mount, "d/new"), MISSING);
    refresh(&[&mount.join("d/new")]).succeeds();
    assert_eq!(size(&mount, "d/new"), Ok(2));
    mount.end();
}

#[test]
fn to_refresh_costs_no_request_but_the_look_up_of_its_name() {
    let Some(server) = server() else { return };
    server.put_pattern(BUCKET, "d/a", MIB, 1);
    let mount = mount(&server, &HOUR);
    reads_whole_pattern(&mount.join("d/a"), 1);
    let (ran, cost) = cost_of(&server, || refresh(&[mount.path()]));
    ran.succeeds();
    assert_eq!(cost, NOTHING);
    let (ran, cost) = cost_of(&server, || refresh(&[&mount.join("d")]));
    ran.succeeds();
    // The path is looked up before, and d again behind it.
    assert_eq!(cost, Cost { list: 2, ..NOTHING });
    // The bytes of a version that is still the same have stayed.
    let ((), cost) = cost_of(&server, || reads_whole_pattern(&mount.join("d/a"), 1));
    assert_eq!(cost, Cost { list: 1, ..NOTHING });
    mount.end();
}

#[test]
fn whoever_stands_in_a_folder_that_is_refreshed_still_knows_where() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "d/s/a", "1");
    let mount = mount(&server, &HOUR);
    let folder = mount.join("d/s");
    let mut shell = Shell::new().command("sh");
    shell.args(["-c", "\"$S3MEM\" refresh . && \"$S3MEM\" refresh .. && pwd -P && cat a"]);
    let ran = Ran::finish(shell.current_dir(&folder).spawn().unwrap());
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    assert_eq!(ran.stdout, format!("{}\n1", folder.canonicalize().unwrap().display()));
    mount.end();
}

#[test]
fn what_is_in_no_mount_of_ours_is_refused_by_name_and_the_rest_is_refreshed() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "a", "1");
    let mount = mount(&server, &HOUR);
    let path = mount.join("a");
    assert_eq!(size(&mount, "a"), Ok(1));
    server.put(BUCKET, "a", "22");
    refresh(&[Path::new("/proc/self/status")]).fails_with(&["/proc/self/status is not in a mount"]);
    let ran = refresh(&[Path::new("/no/such/file"), &path, Path::new("/tmp")]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    for part in ["/no/such/file does not exist", "/tmp is not in a mount", "not all paths"] {
        assert!(ran.stderr.contains(part), "{part:?} is not in {ran:?}");
    }
    assert_eq!(size(&mount, "a"), Ok(2));
    mount.end();
}

#[test]
fn every_user_who_may_read_may_refresh() {
    let Some(server) = server() else { return };
    if !has_root() {
        return;
    }
    server.put(BUCKET, "a", "1");
    let mount = mount(&server, &[HOUR[0], HOUR[1], "--allow-other"]);
    assert_eq!(size(&mount, "a"), Ok(1));
    server.put(BUCKET, "a", "22");
    let mut nobody = Command::new("setpriv");
    nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--", "getfattr"]);
    nobody.args(["-n", "user.s3mem.refresh"]).arg(mount.join("a"));
    match nobody.output() {
        Ok(ran) if ran.status.success() => assert_eq!(size(&mount, "a"), Ok(2)),
        ran => not_run(&format!("with setpriv and getfattr: {ran:?}")),
    }
    mount.end();
}
