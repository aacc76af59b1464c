//! What `s3mem doctor` says of a machine on which buckets are mounted.

use std::fs;

use serde_json::Value;

use super::{Shell, can_mount};
use crate::harness::files::MIB;
use crate::support::server::TestServer;

#[test]
fn what_mounts_have_found_on_the_disk_is_told_and_how_fast_it_is_read() {
    if !can_mount() {
        return;
    }
    let server = TestServer::start();
    server.put_pattern("tiles", "a", 4 * MIB, 1);
    let shell = Shell::on(&server);
    let folder = shell.path("cache");
    let flags = ["--cache-dir", &folder, "--log-file", "log"];
    let read = || {
        shell.mount("tiles", &flags).succeeds();
        assert_eq!(fs::read(shell.mount_point.join("a")).unwrap().len() as u64, 4 * MIB);
    };
    // What is in memory is written when the mount ends, and found by the next one.
    read();
    shell.umount().succeeds();
    read();
    let told = |arguments: &[&str]| -> Value {
        serde_json::from_str(&shell.s3mem(arguments).stdout).unwrap()
    };
    let status = told(&["status", shell.mount_point(), "--json"]);
    let of = |name: &str| status["disk"][name].as_u64().unwrap();
    assert!(of("hits") > 0 && of("read_bytes") >= 4 * MIB, "{status:#}");
    let doctor = told(&["doctor", "tiles", "--cache-dir", &folder, "--json"]);
    let all = doctor["findings"].as_array().unwrap();
    let found = all.iter().find(|found| found["check"] == "cache-disk").unwrap();
    let says = found["says"].as_str().unwrap();
    let (asked, hits) = (of("hits") + of("misses"), of("hits"));
    let part = format!("1 mount asked it {asked} times and found {hits}, took 4 MiB and wrote ");
    assert!(says.contains(&part), "{part}: {says}");
    assert!(says.contains(" in 4 entries; ") && says.contains("it is read at "), "{says}");
    shell.umount().succeeds();
}
