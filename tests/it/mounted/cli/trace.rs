//! `--trace-file` and the log for programs: what was done when, as others read it.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::{Shell, can_mount, signal, wait_until};
use crate::harness::files::MIB;
use crate::harness::waiting::FOREVER;
use crate::support::server::{Effect, Fault, Op, Refusal, TestServer};

/// The events of a trace, whose last bracket may be missing.
#[track_caller]
fn events(shell: &Shell, name: &str) -> Vec<Value> {
    let text = fs::read_to_string(shell.path(name)).unwrap();
    let whole = if text.ends_with("]\n") { text } else { text + "]" };
    serde_json::from_str(&whole).unwrap()
}

/// The spans: their names, how deep they are in others, and what is told at their beginning and
/// their end. Each that ends has begun before, on the same track.
#[track_caller]
fn spans(events: &[Value]) -> Vec<(String, usize, Value, Option<Value>)> {
    let mut stacks: HashMap<(u64, u64), Vec<usize>> = HashMap::new();
    let mut last: HashMap<(u64, u64), u64> = HashMap::new();
    let mut found: Vec<(String, usize, Value, Option<Value>)> = Vec::new();
    for event in events {
        let track = (event["pid"].as_u64().unwrap(), event["tid"].as_u64().unwrap());
        let stack = stacks.entry(track).or_default();
        match event["ph"].as_str().unwrap() {
            "B" => {
                let name = event["name"].as_str().unwrap().to_owned();
                stack.push(found.len());
                found.push((name, stack.len() - 1, event["args"].clone(), None));
            }
            "E" => {
                let ended = stack.pop().unwrap();
                found[ended].3 = Some(event["args"].clone());
            }
            _ => continue,
        }
        let time = event["ts"].as_u64().unwrap();
        assert!(last.insert(track, time).is_none_or(|before| before <= time), "{event}");
    }
    found
}

#[test]
fn every_request_and_every_call_is_in_the_trace_with_its_time() {
    if !can_mount() {
        return;
    }
    let server = TestServer::start();
    server.put_pattern("tiles", "d/one", 3 * MIB, 1);
    server.put_pattern("tiles", "d/two", MIB, 2);
    let shell = Shell::on(&server);
    let flags = ["--memory", "128M", "--trace-file", "trace.json", "--writes", "upload"];
    shell.mount("tiles", &flags).succeeds();
    let cat = shell.command("cat").arg(shell.mount_point.join("d/one")).output().unwrap();
    assert_eq!(cat.stdout.len() as u64, 3 * MIB);
    assert!(fs::metadata(shell.mount_point.join("d/none")).is_err());
    fs::write(shell.mount_point.join("new"), b"hello").unwrap();
    assert!(server.wait_idle(FOREVER));
    let counts = server.counts();
    shell.umount().succeeds();
    let mode = fs::metadata(shell.path("trace.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = fs::read_to_string(shell.path("trace.json")).unwrap();
    assert!(text.ends_with("\n]\n"), "a mount that ends well ends its trace");
    let events = events(&shell, "trace.json");
    let spans = spans(&events);
    assert!(spans.iter().all(|(.., end)| end.is_some()), "all has ended");
    // Requests, as the server counted them.
    let of = |kind: &'static str| {
        let is_one = move |name: &str| name.split(' ').next() == Some(kind);
        spans.iter().filter(move |(name, depth, ..)| *depth == 0 && is_one(name))
    };
    for (kind, counted) in [("GET", counts.get), ("LIST", counts.list), ("PUT", counts.put)] {
        assert_eq!(of(kind).count() as u64, counted, "{kind}");
    }
    let bytes = |span: &(String, usize, Value, Option<Value>)| {
        span.3.as_ref().unwrap()["bytes"].as_u64().unwrap()
    };
    assert_eq!(of("GET").map(bytes).sum::<u64>(), counts.body_bytes);
    assert!(of("GET").all(|(.., told, end)| {
        told["key"] == "d/one" && end.as_ref().unwrap()["outcome"] == "done"
    }));
    let waits =
        spans.iter().filter(|(name, depth, ..)| name == "wait for the answer" && *depth == 1);
    let all = counts.get + counts.list + counts.put + counts.head;
    assert_eq!(waits.count() as u64, all);
    // Calls, with the programs that made them.
    let reads = of("read").filter(|(.., told, _)| told["path"] == "d/one");
    let asked: u64 = reads.map(|(.., told, _)| told["asked_bytes"].as_u64().unwrap()).sum();
    assert!(asked >= 3 * MIB, "{asked}");
    let missing = of("lookup").find(|(.., told, _)| told["path"] == "d/none").unwrap();
    assert!(missing.3.is_some());
    for call in ["open", "release", "create", "flush"] {
        assert!(of(call).count() > 0, "{call}");
    }
    let programs = events.iter().filter(|event| event["name"] == "process_name");
    let programs: Vec<&str> = programs.map(|e| e["args"]["name"].as_str().unwrap()).collect();
    assert!(programs.contains(&"s3mem: requests to the bucket"), "{programs:?}");
    assert!(programs.iter().any(|name| name.starts_with("cat (")), "{programs:?}");
}

#[test]
fn the_trace_of_a_daemon_that_was_killed_can_be_read_and_shows_what_hung() {
    if !can_mount() {
        return;
    }
    let server = TestServer::start();
    server.put_pattern("tiles", "a", MIB, 1);
    server.put("tiles", "b", "hello");
    let shell = Shell::on(&server);
    shell.mount("tiles", &["--memory", "128M", "--trace-file", "trace.json"]).succeeds();
    assert_eq!(fs::read(shell.mount_point.join("a")).unwrap().len() as u64, MIB);
    server.fault(Fault::new(Effect::Hang).on(Op::Get));
    let mut cat = shell.command("cat").arg(shell.mount_point.join("b")).spawn().unwrap();
    let text = || fs::read_to_string(shell.path("trace.json")).unwrap();
    wait_until("the request is in the trace", || text().contains("GET b"));
    signal("KILL", shell.daemon().unwrap());
    let _ = cat.wait();
    assert!(!text().ends_with("]\n"));
    let spans = spans(&events(&shell, "trace.json"));
    let open: Vec<&str> =
        spans.iter().filter(|(.., end)| end.is_none()).map(|(name, ..)| name.as_str()).collect();
    for name in ["GET b", "wait for the answer", "read b"] {
        assert!(open.contains(&name), "{name} is not in {open:?}");
    }
    // The daemon is gone, and can't say whether all was sent.
    assert_eq!(shell.umount().code, Some(0));
}

#[test]
fn a_trace_that_can_not_be_written_stops_the_mount_with_its_name() {
    if !can_mount() {
        return;
    }
    let server = TestServer::start();
    server.put("tiles", "a", "hello");
    let shell = Shell::on(&server);
    let ran = shell.mount("tiles", &["--trace-file", "/no-such-folder/trace"]);
    ran.fails_with(&["/no-such-folder/trace (--trace-file) can't be written"]);
    let inside = shell.mount_point.join("trace");
    let ran = shell.mount("tiles", &["--trace-file", inside.to_str().unwrap()]);
    ran.fails_with(&["lies inside the mount point"]);
}

#[test]
fn the_log_is_json_on_demand_with_the_servers_id_of_a_request() {
    if !can_mount() {
        return;
    }
    let server = TestServer::start();
    server.put("tiles", "a", "hello");
    let shell = Shell::on(&server);
    let flags = ["--log-file", "log", "--log-format", "json", "--log-level", "warn,store=debug"];
    shell.mount("tiles", &flags).succeeds();
    server.fault(Fault::new(Effect::Refuse(Refusal::AccessDenied)).on(Op::Get).times(1));
    assert!(fs::read(shell.mount_point.join("a")).is_err());
    assert_eq!(fs::read(shell.mount_point.join("a")).unwrap(), b"hello");
    shell.umount().succeeds();
    let log = fs::read_to_string(shell.path("log")).unwrap();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let refused: Vec<&Value> = lines.iter().filter(|line| line["level"] == "error").collect();
    assert_eq!(refused.len(), 1, "{log}");
    let id = refused[0]["request_id"].as_str().unwrap();
    assert!(refused[0]["message"].as_str().unwrap().contains(id), "{log}");
    let answered = lines.iter().filter(|line| line["request_id"] == id).count();
    assert_eq!(answered, 2, "the answer, and the error: {log}");
    let of = |room: &str| lines.iter().filter(|line| line["room"] == room).count();
    assert!(of("store") > 3, "{log}");
    assert_eq!(of("app"), 0, "its events are below warnings: {log}");
}
