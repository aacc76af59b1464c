//! Clients that take their time, and that go away.

use std::fs;
use std::io::Read;
use std::net::TcpStream;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{BUCKET, Served, server};
use crate::harness::waiting::until;
use crate::support::pattern::pattern_bytes;

const CLIENTS: usize = 1000;
const MIB: u64 = 1 << 20;

#[test]
fn a_thousand_clients_that_read_slowly_hold_little_and_leave_nothing() {
    // Each is an open file here.
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let server = server();
    server.put_pattern(BUCKET, "large", 64 * MIB, 3);
    let served = Served::start(&server, &["--memory", "128M"]);
    let request = "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut clients: Vec<TcpStream> = (0..CLIENTS).map(|_| served.send(request)).collect();
    for client in &mut clients {
        client.read_exact(&mut [0; 9]).unwrap();
    }
    assert_eq!(served.figure("open_connections"), CLIENTS as u64 + 1);
    // Nobody waits behind them.
    let range = served.ask("GET", "/large", &[("Range", "bytes=30000000-30000099")]);
    assert!(range.body == pattern_bytes(3, 30_000_000..30_000_100));
    let status = fs::read_to_string(format!("/proc/{}/status", served.child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    // The memory that was allowed, the program, and less than half a megabyte for each.
    assert!(peak < (128 + 64 + 512) << 10, "{peak} kB");
    drop(clients);
    until("the end of all connections", || served.figure("open_connections") == 1);
    // What they had open is closed, but for what was read in ranges a moment ago: the object and
    // the root are all that is remembered.
    until("the end of what was looked up", || served.figure("inodes") == 2);
    assert!(served.get("/large").body.len() as u64 == 64 * MIB);
}
