//! Programs that nobody here wrote, over HTTP.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{BUCKET, Served, server};
use crate::harness::missing::{has_file, has_program, missing};
use crate::support::B01_JP2;
use crate::support::pattern::pattern_bytes;

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

#[test]
fn pandas_xarray_and_ffmpeg_read_urls_and_each_byte_is_fetched_once() {
    let path = env::var_os("S3MEM_TEST_PYTHON").map(PathBuf::from);
    let Some(python) = path else {
        return missing("S3MEM_REQUIRE_PROGRAMS", "because S3MEM_TEST_PYTHON is not set");
    };
    if !has_program("ffmpeg") {
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/tables_over_http.py");
    let run = |arguments: &[&str]| {
        let mut program = Command::new(&python);
        let ran = program.arg(&script).args(arguments).env("no_proxy", "*").output().unwrap();
        let said = String::from_utf8_lossy(&ran.stdout) + String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{said}");
    };
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().to_str().unwrap();
    run(&["make", here]);
    let (server, mut all) = (server(), 0);
    for name in ["table.parquet", "table.csv", "grid.nc", "film.mp4"] {
        let bytes = std::fs::read(folder.path().join(name)).unwrap();
        all += bytes.len() as u64;
        server.put(BUCKET, &format!("d/{name}"), bytes);
    }
    let served = Served::start(&server, &[]);
    run(&["read", &served.url("d/"), here]);
    assert_eq!(served.figure("failed_requests"), 0);
    let counts = server.counts();
    assert!(counts.body_bytes <= all, "{} of {all} bytes: {counts:?}", counts.body_bytes);
    assert_eq!((counts.head, counts.list), (0, 2), "{counts:?}");
}

#[test]
fn a_browser_shows_a_folder_and_an_image_and_asks_nobody_else() {
    const CHROMIUM: &str = "/usr/bin/chromium";
    if !has_file(CHROMIUM) {
        return;
    }
    let server = server();
    server.put(BUCKET, "d/B01.jp2", B01_JP2);
    server.put(BUCKET, "d/<b>&\".txt", "x");
    let served = Served::start(&server, &[]);
    let folder = tempfile::tempdir().unwrap();
    let mut browser = Command::new(CHROMIUM);
    browser.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom"]);
    // Its own clock: it goes on when nothing is under way any more.
    browser.args(["--virtual-time-budget=20000", "--enable-logging=stderr"]);
    // Any other server than ours is none.
    browser.arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1");
    browser.arg(format!("--user-data-dir={}", folder.path().display()));
    let ran = browser.arg(served.url("d/#B01.jp2")).output().unwrap();
    let (page, log) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert_eq!(page.matches("class=\"item").count(), 2, "{page}");
    assert!(page.contains("&lt;b&gt;&amp;"), "{page}");
    // The tiles of the image are in the page, and what its header says.
    let last = served.get("/d/B01.jp2?tile=info").text();
    assert!(page.contains("?tile=") && page.contains("<td>32632</td>"), "{last}\n{page}");
    let wrong: Vec<&str> = log.lines().filter(|line| line.contains(":CONSOLE")).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}
