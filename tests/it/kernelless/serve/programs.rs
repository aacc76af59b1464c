//! Programs that nobody here wrote, over HTTP.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{BUCKET, Served, server};
use crate::harness::missing::{has_program, missing};
use crate::support::pattern::pattern_bytes;
use crate::support::B01_JP2;

#[test]
fn curl_goes_on_where_it_stopped() {
    if !has_program("curl") {
        return;
    }
    let server = server();
    server.put_pattern(BUCKET, "a b", 300_000, 4);
    let served = Served::start(&server, &[]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out");
    std::fs::write(&file, pattern_bytes(4, 0..100_000)).unwrap();
    let curl = |arguments: &[&str]| {
        let mut curl = Command::new("curl");
        let ran = curl.args(["-sS", "--fail", "--noproxy", "*"]).args(arguments).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        ran.stdout
    };
    let url = served.url("a%20b");
    curl(&["-C", "-", "-o", file.to_str().unwrap(), &url]);
    assert!(std::fs::read(&file).unwrap() == pattern_bytes(4, 0..300_000));
    assert!(curl(&["-r", "5-9", &url]) == pattern_bytes(4, 5..10));
    let head = String::from_utf8(curl(&["-I", &url])).unwrap().to_lowercase();
    assert!(head.contains("content-length: 300000"), "{head}");
}

#[test]
fn gdal_and_readers_of_ranges_find_the_same_over_http() {
    let path = env::var_os("S3MEM_TEST_PYTHON").map(PathBuf::from);
    let Some(python) = path else {
        return missing("S3MEM_REQUIRE_PROGRAMS", "because S3MEM_TEST_PYTHON is not set");
    };
    let server = server();
    server.put(BUCKET, "tiles/B01.jp2", B01_JP2);
    let served = Served::start(&server, &[]);
    let folder = tempfile::tempdir().unwrap();
    let local = folder.path().join("B01.jp2");
    std::fs::write(&local, B01_JP2).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/over_http.py");
    let mut program = Command::new(python);
    program.arg(script).arg(served.url("tiles/B01.jp2")).arg(local).env("no_proxy", "*");
    let ran = program.output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout) + String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}");
    assert_eq!(served.figure("failed_requests"), 0);
}
