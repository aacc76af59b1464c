//! What `s3mem doctor` says of the way to a bucket, and of what is in it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use super::Shell;
use crate::harness::files::MIB;
use crate::harness::missing::has_program;
use crate::harness::proxy::Proxy;
use crate::support::B01_JP2;
use crate::support::server::{Bandwidth, TestServer};

fn server() -> TestServer {
    let server = TestServer::start();
    server.put("tiles", "readme", "hello");
    server
}

/// The finding of one check: its outcome, what it says, and what mends it.
#[track_caller]
fn found(shell: &Shell, check: &str, flags: &[&str]) -> (String, String, Option<String>) {
    let ran = shell.s3mem(&[&["doctor", "tiles", "--json"], flags].concat());
    let told: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
    let all = told["findings"].as_array().unwrap();
    let found = all.iter().find(|found| found["check"] == check);
    let found = found.unwrap_or_else(|| panic!("no {check} in {told:#}"));
    let text = |name: &str| found[name].as_str().map(str::to_owned);
    // Who is no terminal is told the same.
    let plain = shell.s3mem(&[&["doctor", "tiles"], flags].concat()).stdout;
    assert!(plain.contains(&format!(" {check} ")), "{plain}");
    (text("outcome").unwrap(), text("says").unwrap(), text("command"))
}

#[test]
fn a_proxy_that_does_not_answer_is_a_problem_and_one_for_a_near_server_a_surprise() {
    let server = server();
    let shell = || Shell::on(&server);
    let (outcome, says, _) = found(&shell(), "proxy", &[]);
    assert_eq!(outcome, "ok");
    assert!(says.starts_with("none: "), "{says}");
    // Nobody listens at the first port.
    let dead = shell().set("HTTP_PROXY", "http://user:secret@127.0.0.1:1");
    let (outcome, says, command) = found(&dead, "proxy", &["--request-timeout", "1"]);
    assert_eq!(outcome, "problem");
    assert!(says.contains("127.0.0.1:1 (HTTP_PROXY), where nobody answers"), "{says}");
    assert!(!says.contains("secret"), "{says}");
    let command = command.unwrap();
    assert_eq!(command, "export NO_PROXY=\"$NO_PROXY,127.0.0.1\"");
    // What mends it does.
    let mended = dead.set("NO_PROXY", ",127.0.0.1");
    let (outcome, says, _) = found(&mended, "proxy", &[]);
    assert_eq!(outcome, "ok");
    assert!(says.contains("NO_PROXY excepts it from HTTP_PROXY"), "{says}");
    assert_eq!(found(&mended, "list", &[]).0, "ok");
    let proxy = Proxy::start();
    let through = shell().set("HTTP_PROXY", &proxy.url("user:secret@"));
    let (outcome, says, command) = found(&through, "proxy", &[]);
    assert_eq!(outcome, "warning");
    assert!(says.contains("near") && !says.contains("secret"), "{says}");
    assert!(command.is_some());
    let wrong = shell().set("HTTP_PROXY", "ftp://somewhere");
    let (outcome, says, command) = found(&wrong, "proxy", &[]);
    assert_eq!((outcome.as_str(), command.as_deref()), ("warning", Some("unset HTTP_PROXY")));
    assert!(says.contains("no address of a proxy"), "{says}");
}

#[test]
fn certificates_that_can_not_be_read_are_told_from_credentials() {
    let server = server();
    let shell = Shell::on(&server);
    assert_eq!(found(&shell, "ca-bundle", &[]).0, "ok");
    let file = shell.path("ca.pem");
    let flags = ["--ca-bundle", &file];
    let (outcome, says, command) = found(&shell, "ca-bundle", &flags);
    assert_eq!((outcome.as_str(), command.is_some()), ("problem", true));
    assert!(says.contains("ca.pem"), "{says}");
    fs::write(&file, "hello").unwrap();
    let variable = Shell::on(&server).set("AWS_CA_BUNDLE", &file);
    let (outcome, says, _) = found(&variable, "ca-bundle", &[]);
    assert_eq!(outcome, "problem");
    assert!(says.contains("no certificates"), "{says}");
    // Nobody was asked with them.
    assert_eq!(found(&variable, "server", &[]).0, "skipped");
    if !has_program("openssl") {
        return;
    }
    let mut make = shell.command("openssl");
    let subject = ["-subj", "/CN=authority", "-keyout", "/dev/null", "-out", &file];
    make.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes"]).args(subject);
    let made = make.output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let (outcome, says, _) = found(&shell, "ca-bundle", &flags);
    assert_eq!(outcome, "ok");
    assert!(says.contains("not needed"), "{says}");
    let tls =
        ["--ca-bundle", &file, "--endpoint-url", "https://127.0.0.1:1", "--request-timeout", "1"];
    let (outcome, says, _) = found(&shell, "ca-bundle", &tls);
    assert_eq!(outcome, "ok");
    assert!(says.starts_with("1 certificate in "), "{says}");
}

#[test]
fn bytes_are_fetched_over_one_connection_and_over_sixteen_and_memory_is_compared_with_that() {
    let server = server();
    server.put_pattern("tiles", "large", 100 * MIB, 1);
    let shell = Shell::on(&server);
    server.set_bandwidth(Bandwidth { per_connection: Some(8 * MIB), total: None });
    server.reset_counts();
    let ran = shell.s3mem(&["doctor", "tiles", "--memory", "64M", "--json"]);
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    let all = told["findings"].as_array().unwrap();
    let speed = all.iter().find(|found| found["check"] == "throughput").unwrap();
    let says = speed["says"].as_str().unwrap();
    assert_eq!(speed["outcome"], "warning", "{says}");
    assert!(says.contains("and it is 64 MiB") && says.contains("16 at once"), "{says}");
    // The connections are all alike, so that each brings more.
    assert!(says.contains("--memory 256 MiB"), "{says}");
    assert_eq!(speed["command"], "s3mem mount --memory 256M ...");
    let counts = server.counts();
    assert_eq!(counts.get, 1 + 1 + 16);
    assert_eq!(counts.body_bytes, 1 + 8 * MIB + 16 * 4 * MIB);
    let (outcome, says, command) = found(&shell, "throughput", &["--memory", "256M"]);
    assert_eq!((outcome.as_str(), command), ("ok", None), "{says}");
    // What is small says nothing.
    server.delete("tiles", "large");
    server.put_pattern("tiles", "small", MIB - 1, 1);
    assert_eq!(found(&shell, "throughput", &[]).0, "skipped");
}

#[test]
fn a_line_that_is_too_slow_is_measured_for_six_seconds_and_no_longer() {
    let server = server();
    server.put_pattern("tiles", "large", 100 * MIB, 1);
    server.set_bandwidth(Bandwidth { per_connection: None, total: Some(256 << 10) });
    let shell = Shell::on(&server);
    let begun = std::time::Instant::now();
    let ran = shell.s3mem(&["doctor", "tiles"]);
    assert!(ran.stdout.contains("throughput       one connection brings "), "{ran:?}");
    // All of it would take five minutes.
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
    assert!(server.counts().body_bytes < 30 * MIB);
}

#[test]
fn keys_that_are_no_paths_are_told_with_the_paths_that_they_have() {
    let server = server();
    let shell = Shell::on(&server);
    let (outcome, says, _) = found(&shell, "keys", &[]);
    assert_eq!(outcome, "ok");
    assert_eq!(says, "the paths of the first 1 objects are their keys");
    let long = "x".repeat(250);
    for key in ["a", "a/b", "c//d", "e/", &long, &format!("{long}/y")] {
        server.put("tiles", key, "hello");
    }
    let (outcome, says, command) = found(&shell, "keys", &[]);
    assert_eq!(outcome, "warning");
    for part in
        ["c//d is c/%%/d", "e/ is e/%%", "a is a%%object", "1 have the name of a folder and no"]
    {
        assert!(says.contains(part), "{part}: {says}");
    }
    let moved = format!("aws s3 mv 's3://tiles/{long}' 's3://tiles/{long}.renamed'");
    assert_eq!(command.as_deref(), Some(moved.as_str()));
    // The root of a prefix is another one.
    let ran = shell.s3mem(&["doctor", "tiles/c", "--json"]);
    assert!(ran.stdout.contains("c//d is %%/d"), "{ran:?}");
}

#[test]
fn a_sample_of_images_is_told_with_what_each_lacks_and_why() {
    let server = server();
    let shell = Shell::on(&server);
    assert_eq!(found(&shell, "siblings", &[]).0, "skipped");
    server.put("tiles", "B01.jp2", B01_JP2);
    server.reset_counts();
    let (outcome, says, _) = found(&shell, "siblings", &[]);
    assert_eq!(outcome, "ok", "{says}");
    assert_eq!(says, "1 of 1 images that were looked at have all siblings");
    server.put("tiles", "B02.jp2", &B01_JP2[..300]);
    server.put("tiles", "x.png", "hello");
    server.put("tiles", "y.bmp", bitmap_of_a_jpeg());
    let (outcome, says, _) = found(&shell, "siblings", &[]);
    assert_eq!(outcome, "warning");
    for part in
        ["1 of 4 images", "x.png is no image", "B02.jp2", "y.bmp has no ", "with compression 4"]
    {
        assert!(says.contains(part), "{part}: {says}");
    }
    assert_eq!(found(&shell, "siblings", &["--views", "none"]).0, "skipped");
}

/// A bitmap whose pixels are said to be a JPEG (compression 4), which s3mem does not convert.
fn bitmap_of_a_jpeg() -> Vec<u8> {
    let mut bytes = b"BM".to_vec();
    for number in [200_u32, 0, 54, 40, 8, 8] {
        bytes.extend(number.to_le_bytes());
    }
    // One plane, 24 bits.
    bytes.extend([1, 0, 24, 0, 4, 0, 0, 0]);
    bytes.resize(200, 0);
    bytes
}

#[test]
fn the_folder_of_the_cache_is_looked_at_and_nothing_in_it_changes_without_a_write_test() {
    let server = server();
    let shell = Shell::on(&server);
    let folder = shell.path("cache");
    let flags = ["--cache-dir", &folder, "--cache-size", "16M"];
    let is_memory = |says: &str| says.contains("tmpfs");
    let (outcome, says, _) = found(&shell, "cache-disk", &flags);
    assert!(outcome == "ok" || is_memory(&says), "{says}");
    assert!(says.contains("is made by the first mount"), "{says}");
    assert!(!Path::new(&folder).exists());
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let (outcome, says, command) = found(&shell, "cache-disk", &flags);
    assert_eq!(
        (outcome.as_str(), command),
        ("problem", Some(format!("chmod 700 '{folder}'"))),
        "{says}"
    );
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    let (outcome, says, _) = found(&shell, "cache-disk", &flags);
    assert!(outcome == "ok" || is_memory(&says), "{says}");
    assert!(says.contains("holds 0 bytes of 16 MiB in 0 entries"), "{says}");
    let (_, says, _) = found(&shell, "cache-disk", &[&flags[..], &["--write-test"]].concat());
    assert!(says.contains("it is written at "), "{says}");
    // A file in its place, and more than there is room for.
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    let large = ["--cache-dir", &folder, "--cache-size", "900000G"];
    let (outcome, says, command) = found(&shell, "cache-disk", &large);
    assert_eq!(outcome, "warning");
    assert!(is_memory(&says) || says.contains("the disk has room for "), "{says}");
    assert!(command.is_some());
    let file = shell.path("file");
    fs::write(&file, "").unwrap();
    let inside = format!("{file}/cache");
    let (outcome, says, command) = found(&shell, "cache-disk", &["--cache-dir", &inside]);
    assert_eq!((outcome.as_str(), command.is_some()), ("problem", true), "{says}");
}
