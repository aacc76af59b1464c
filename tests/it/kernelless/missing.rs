//! A test that could not run is counted and said.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::harness::missing::Notes;

#[test]
fn a_test_counts_once_for_each_reason() {
    let mut notes = Notes::default();
    assert_eq!(notes.add("one", "because of fuse"), Some(1));
    assert_eq!(notes.add("two", "because of fuse"), Some(2));
    assert_eq!(notes.add("two", "because of fuse"), None);
    assert_eq!(notes.add("two", "on MinIO"), Some(1));
    assert_eq!(notes.add("a test", "on MinIO"), Some(2));
    assert_eq!(notes.add("a test", "on MinIO"), Some(3));
}

#[test]
fn the_script_says_at_the_end_how_many_tests_did_not_run_and_why() {
    let folder = TempDir::new().unwrap();
    let notes = folder.path().join("notes");
    let tell = |lines: &str| {
        fs::write(&notes, lines).unwrap();
        let mut bash = Command::new("bash");
        let script = "set -euo pipefail; source scripts/lib/common.sh; tell_not_run \"$0\"";
        bash.args(["-c", script]).arg(&notes).env("S3MEM_CACHE", folder.path());
        let told = bash.current_dir(Path::new(env!("CARGO_MANIFEST_DIR"))).output().unwrap();
        assert!(told.status.success(), "{told:?}");
        String::from_utf8(told.stdout).unwrap()
    };
    assert_eq!(tell(""), "");
    let lines = "because of fuse\non MinIO, because\nbecause of fuse\n";
    let sentences = "NOT TESTED: 2 tests because of fuse\nNOT TESTED: 1 test on MinIO, because\n";
    assert_eq!(tell(lines), sentences);
}
