//! What `s3mem status` counts, beside what the server counted.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::process::Command;

use serde_json::Value;

use super::{Shell, can_mount, wait_until};
use crate::docs::read;
use crate::harness::files::forget_pages;
use crate::harness::waiting::FOREVER;
use crate::support::bucket::Meta;
use crate::support::server::{Effect, Fault, Op, Refusal, TestServer};

const PRICES: &str = r#"
date = "2026-01-31"
currency = "EUR"
[[region]]
names = ["*"]
put_per_1000 = 5.0
get_per_1000 = 4.0
egress_per_gb = 100.0
[region.class.STANDARD_IA]
get_per_1000 = 10.0
retrieval_per_gb = 10.0
"#;

/// What `s3mem status --json` says of the one mount.
#[track_caller]
fn status(shell: &Shell) -> Value {
    let ran = shell.s3mem(&["status", shell.mount_point(), "--json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    assert_eq!(ran.stdout.matches('\n').count(), 1, "not one line: {}", ran.stdout);
    serde_json::from_str(&ran.stdout).unwrap()
}

#[track_caller]
fn number(value: &Value, path: &str) -> u64 {
    let found = path.split('.').fold(value, |value, name| &value[name]);
    found.as_u64().unwrap_or_else(|| panic!("{path} is {found} in {value}"))
}

#[track_caller]
fn money(value: &Value, name: &str) -> f64 {
    value["cost"][name].as_f64().unwrap_or_else(|| panic!("cost.{name} in {value}"))
}

/// A mount with files of two classes and an image, of which much was read and some written.
fn used(server: &TestServer, flags: &[&str]) -> Shell {
    server.put_pattern("tiles", "10/large", 5 << 20, 1);
    let class = Some("STANDARD_IA".to_owned());
    let meta = Meta { storage_class: class, ..Meta::default() };
    server.put_with("tiles", "10/seldom", vec![7; 300_000], meta);
    let image = read_bytes("tests/support/data/B01.jp2");
    server.put("tiles", "10/S/B01.jp2", image);
    let shell = Shell::on(server);
    fs::write(shell.path("prices.toml"), PRICES).unwrap();
    let always = ["--memory", "256M", "--writes", "upload", "--log-file", "log"];
    shell.mount("tiles/10", &[&always, flags].concat()).succeeds();
    let at = |name: &str| shell.mount_point.join(name);
    assert_eq!(fs::read(at("large")).unwrap().len(), 5 << 20);
    assert_eq!(fs::read(at("seldom")).unwrap().len(), 300_000);
    assert!(fs::read(at("S/B01.jp2.npy")).unwrap().starts_with(b"\x93NUMPY"));
    fs::write(at("new"), vec![1; 70_000]).unwrap();
    assert!(fs::metadata(at("nothing")).is_err());
    assert!(server.wait_idle(FOREVER));
    shell
}

fn read_bytes(file: &str) -> Vec<u8> {
    fs::read(format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn the_figures_are_those_of_the_server() {
    if !can_mount() {
        return;
    }
    let server = TestServer::start();
    let shell = used(&server, &["--prices", "prices.toml"]);
    let held = File::open(shell.mount_point.join("seldom")).unwrap();
    let told = status(&shell);
    drop(held);
    let counts = server.counts();
    for (name, counted) in [
        ("list", counts.list),
        ("head", counts.head),
        ("get", counts.get),
        ("put", counts.put),
        ("delete", 0),
    ] {
        assert_eq!(number(&told["requests"], &format!("{name}_requests")), counted, "{name}");
        assert_eq!(number(&told["latency"], &format!("{name}.count")), counted, "{name}");
        let latency = &told["latency"][name];
        assert_eq!(latency["p50_seconds"].is_null(), counted == 0, "{latency}");
        let quantile = |name: &str| latency[name].as_f64().unwrap_or_default();
        assert!(quantile("p50_seconds") <= quantile("p90_seconds"), "{latency}");
        assert!(quantile("p90_seconds") <= quantile("p99_seconds"), "{latency}");
    }
    assert_eq!(number(&told, "requests.get_bytes"), counts.body_bytes);
    assert_eq!(number(&told, "requests.put_bytes"), 70_000);
    assert_eq!(number(&told, "open_files"), 1);
    // By storage class, and by file: all that was read, once.
    let seldom = &told["storage_classes"]["STANDARD_IA"];
    assert_eq!(number(seldom, "get_bytes"), 300_000);
    let standard = &told["storage_classes"]["STANDARD"];
    assert_eq!(number(standard, "get_bytes"), counts.body_bytes - 300_000);
    let of_classes = number(seldom, "get_requests") + number(standard, "get_requests");
    assert_eq!(of_classes, counts.get);
    for file in told["files"].as_array().unwrap() {
        let key = file["key"].as_str().unwrap();
        let asked = counts.ranges.iter().filter(|(of, ..)| of == key);
        let (requests, bytes) = asked.fold((0, 0), |(n, sum), (.., bytes)| (n + 1, sum + bytes));
        assert_eq!(number(file, "get_requests"), requests, "{file}");
        assert_eq!(number(file, "get_bytes"), bytes, "{file}");
    }
    // The costs, worked out by hand.
    let put = (counts.list + counts.put) as f64 * 5.0;
    let get = number(standard, "get_requests") as f64 * 4.0 + counts.head as f64 * 4.0;
    let get = get + number(seldom, "get_requests") as f64 * 10.0;
    let gb = |bytes: u64| bytes as f64 / (1_u64 << 30) as f64;
    for (name, by_hand) in [
        ("requests", (put + get) / 1000.0),
        ("retrieval", gb(300_000) * 10.0),
        ("transfer", gb(counts.body_bytes) * 100.0),
    ] {
        assert!((money(&told, name) - by_hand).abs() < 1e-6, "{name}: {by_hand} in {told}");
    }
    // Each file that was opened, once and whole.
    let opened: Vec<u64> = (told["files"].as_array().unwrap().iter())
        .filter(|file| number(file, "opens") > 0)
        .map(|file| number(file, "size_bytes"))
        .collect();
    let (files, bytes) = (opened.len() as u64, opened.iter().sum::<u64>());
    let image = read_bytes("tests/support/data/B01.jp2").len() as u64;
    assert_eq!((files, bytes), (3, (5 << 20) + 300_000 + image), "{opened:?}");
    let downloads = &told["cost"]["downloads"];
    assert_eq!((number(downloads, "files"), number(downloads, "bytes")), (files, bytes));
    let by_hand = files as f64 * 4.0 / 1000.0 + gb(bytes) * 100.0;
    assert!((downloads["total"].as_f64().unwrap() - by_hand).abs() < 1e-6, "{downloads}");
    assert_eq!(
        (&told["cost"]["currency"], &told["cost"]["prices_of"]),
        (&"EUR".into(), &"2026-01-31".into())
    );
    // Memory adds up.
    let memory = &told["memory"];
    let uses = ["blocks", "listings", "names", "images", "bodies", "other"];
    let sum: u64 = uses.iter().map(|name| number(memory, &format!("{name}_bytes"))).sum();
    assert_eq!(sum, number(memory, "used_bytes"), "{memory}");
    assert!(number(memory, "blocks_bytes") >= 5 << 20 && number(memory, "images_bytes") > 0);
    // Siblings were made of tiles, by decoders.
    assert!(number(&told, "tiles.decoded_tiles") > 0);
    assert!(told["tiles"]["decoders_seconds"].as_f64().unwrap() > 0.0);
    assert!(number(&told, "ahead.used_bytes") <= number(&told, "ahead.fetched_bytes"));
    assert!(number(&told, "ahead.fetched_bytes") <= counts.body_bytes);
    for name in ["object_reads", "sibling_reads", "looked_up_names"] {
        let (all, here) = (number(&told["reads"], name), format!("here_{name}"));
        assert!(all > 0 && number(&told["reads"], &here) <= all, "{name} in {told}");
    }
    shell.umount().succeeds();
}

/// Reads a file as a program does that finds none of it in the kernel's memory.
fn read_anew(shell: &Shell, name: &str) -> usize {
    let path = shell.mount_point.join(name);
    forget_pages(&path);
    fs::read(path).unwrap().len()
}

#[test]
fn hit_rates_are_exact() {
    if !can_mount() {
        return;
    }
    let server = TestServer::start();
    server.put_pattern("tiles", "d/a", 4096, 1);
    server.put("tiles", "d/B01.jp2", read_bytes("tests/support/data/B01.jp2"));
    let shell = Shell::on(&server);
    let flags = ["--memory", "256M", "--metadata-ttl", "forever", "--log-file", "log"];
    shell.mount("tiles", &flags).succeeds();
    // All and those from memory: reads of objects, names, reads of siblings, tiles.
    let rates = || {
        let told = status(&shell);
        let reads = ["object_reads", "looked_up_names", "sibling_reads"];
        let reads = reads.map(|name| {
            let of = |name: &str| number(&told["reads"], name);
            (of(name), of(&format!("here_{name}")))
        });
        let tiles = (number(&told, "tiles.used_tiles"), number(&told, "tiles.here_used_tiles"));
        (reads, tiles)
    };
    assert_eq!(rates(), ([(0, 0); 3], (0, 0)));
    // The root was listed by the mount, the folder was not; then its listing says of any name
    // whether it is there.
    assert_eq!(fs::metadata(shell.mount_point.join("d/a")).unwrap().len(), 4096);
    assert_eq!(rates(), ([(0, 0), (2, 1), (0, 0)], (0, 0)));
    assert!(fs::metadata(shell.mount_point.join("d/none")).is_err());
    let named = (3, 2);
    assert_eq!(rates(), ([(0, 0), named, (0, 0)], (0, 0)));
    // One call of the kernel, for which one request is sent; then one, and no request.
    assert_eq!(read_anew(&shell, "d/a"), 4096);
    assert_eq!(rates(), ([(1, 0), named, (0, 0)], (0, 0)));
    let got = server.counts().get;
    assert_eq!(read_anew(&shell, "d/a"), 4096);
    assert_eq!(rates(), ([(2, 1), named, (0, 0)], (0, 0)));
    assert_eq!(server.counts().get, got);
    // What was made of an image is made once.
    let size = read_anew(&shell, "d/B01.jp2.npy");
    let ([.., (reads, here)], (tiles, tiles_here)) = rates();
    let got = server.counts().get;
    assert!(reads > here && tiles > tiles_here, "{reads} {here} {tiles} {tiles_here}");
    assert_eq!(read_anew(&shell, "d/B01.jp2.npy"), size);
    let ([objects, .., (reads_then, here_then)], (tiles_then, tiles_here_then)) = rates();
    assert!(reads_then > reads);
    // A read that comes while another one has its bytes copied may wait for a moment.
    assert!((here_then - here) * 10 >= (reads_then - reads) * 9, "{reads_then} {here_then}");
    assert_eq!(tiles_then - tiles, tiles_here_then - tiles_here);
    assert_eq!((objects, server.counts().get), ((2, 1), got));
    shell.umount().succeeds();
}

#[test]
fn uploads_are_told_with_their_bytes_and_their_rate() {
    if !can_mount() {
        return;
    }
    let server = TestServer::start();
    server.put("tiles", "old", "x");
    let shell = Shell::on(&server);
    let flags = ["--memory", "256M", "--writes", "upload", "--log-file", "log"];
    shell.mount("tiles", &flags).succeeds();
    let uploads = |told: &Value| {
        let of = |name: &str| number(&told["uploads"], name);
        (of("under_way_requests"), of("under_way_bytes"))
    };
    let told = status(&shell);
    assert_eq!((uploads(&told), told["uploads"]["bytes_per_second"].is_null()), ((0, 0), true));
    server.fault(Fault::new(Effect::Hang).on(Op::Put));
    let path = shell.mount_point.join("new");
    let write = std::thread::spawn(move || fs::write(path, vec![1; 70_000]));
    let asked = || shell.s3mem(&["status", shell.mount_point(), "--json"]).stdout;
    let now = || -> Value { serde_json::from_str(&asked()).unwrap() };
    wait_until("the upload is under way", || uploads(&now()) == (1, 70_000));
    let told = now();
    let put = &told["slowest"].as_array().unwrap().iter().find(|slow| slow["kind"] == "put");
    let put = put.unwrap_or_else(|| panic!("no PUT in {told}"));
    assert_eq!((&put["key"], &put["stage"]), (&"new".into(), &"under way".into()));
    assert!(put["answered_seconds"].is_null() && put["seconds"].as_f64().unwrap() > 0.0, "{put}");
    server.release();
    write.join().unwrap().unwrap();
    let told = status(&shell);
    assert_eq!(uploads(&told), (0, 0));
    assert!(told["uploads"]["bytes_per_second"].as_u64().unwrap() > 0, "{told}");
    let text = shell.s3mem(&["status", shell.mount_point()]).stdout;
    assert!(
        text.contains("  uploads        none under way; ")
            && text.contains("/s in the last 30 s\n")
    );
    let put =
        told["slowest"].as_array().unwrap().iter().find(|slow| slow["kind"] == "put").unwrap();
    assert_eq!((&put["stage"], number(put, "bytes")), (&"done".into(), 70_000));
    shell.umount().succeeds();
}

#[test]
fn after_a_reset_all_is_counted_that_has_come_since_and_nothing_else() {
    if !can_mount() {
        return;
    }
    let server = TestServer::start();
    let shell = used(&server, &["--prices", "prices.toml"]);
    let before = status(&shell);
    let ran = shell.s3mem(&["status", shell.mount_point(), "--json", "--reset"]);
    ran.succeeds();
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    for name in ["requests", "latency", "files", "cost", "counted_since"] {
        assert_eq!(told[name], before[name], "the report is of before");
    }
    assert_eq!(told["counted_since"], told["since"]);
    let told = status(&shell);
    for group in ["requests", "reads", "ahead"] {
        for (name, figure) in told[group].as_object().unwrap() {
            assert_eq!(figure, 0, "{group}.{name}");
        }
    }
    assert_eq!((number(&told, "latency.get.count"), money(&told, "total")), (0, 0.0));
    assert!(told["latency"]["get"]["p50_seconds"].is_null());
    assert_eq!(
        (&told["files"], &told["storage_classes"]),
        (&[0; 0].into(), &serde_json::json!({}))
    );
    // What is held is not counted.
    assert_eq!(told["memory"]["limit_bytes"], before["memory"]["limit_bytes"]);
    assert!(number(&told, "memory.blocks_bytes") >= 5 << 20);
    server.put_pattern("tiles", "10/later/one", 123_456, 3);
    shell.s3mem(&["refresh", shell.mount_point()]).succeeds();
    server.reset_counts();
    assert_eq!(fs::read(shell.mount_point.join("later/one")).unwrap().len(), 123_456);
    assert!(server.wait_idle(FOREVER));
    let (told, counts) = (status(&shell), server.counts());
    for (name, counted) in [("list", counts.list), ("head", counts.head), ("get", counts.get)] {
        assert_eq!(number(&told["requests"], &format!("{name}_requests")), counted, "{name}");
        assert_eq!(number(&told["latency"], &format!("{name}.count")), counted, "{name}");
    }
    assert_eq!(number(&told, "requests.get_bytes"), 123_456);
    let files = told["files"].as_array().unwrap();
    assert_eq!((files.len(), &files[0]["key"]), (1, &"10/later/one".into()));
    assert_eq!(number(&told["storage_classes"]["STANDARD"], "get_requests"), counts.get);
    let text = shell.s3mem(&["status", shell.mount_point()]).stdout;
    assert!(text.contains("  counted since "), "{text}");
    shell.umount().succeeds();
}

#[test]
fn what_is_asked_for_again_or_refused_as_too_much_is_counted() {
    if !can_mount() {
        return;
    }
    let server = TestServer::start();
    server.put("tiles", "a", "hello");
    let shell = Shell::on(&server);
    shell.mount("tiles", &["--memory", "256M", "--log-file", "log"]).succeeds();
    let fault = Fault::new(Effect::Refuse(Refusal::SlowDown)).on(Op::Get).times(2);
    server.fault(fault);
    server.fault(Fault::new(Effect::Refuse(Refusal::InternalError)).on(Op::Get).after(2).times(1));
    assert_eq!(fs::read(shell.mount_point.join("a")).unwrap(), b"hello");
    let requests = &status(&shell)["requests"];
    for (name, count) in [("get", 4), ("retry", 3), ("failed", 3), ("throttled", 2)] {
        assert_eq!(number(requests, &format!("{name}_requests")), count, "{requests}");
    }
    let text = shell.s3mem(&["status", shell.mount_point()]).stdout;
    assert!(text.contains("3 tried again, 3 failed (2 as too many)\n"), "{text}");
    shell.umount().succeeds();
}

#[test]
fn files_are_told_with_the_programs_that_opened_them() {
    if !can_mount() {
        return;
    }
    let server = TestServer::start();
    server.put_pattern("tiles", "one", 900_000, 1);
    server.put_pattern("tiles", "two", 100_000, 2);
    let shell = Shell::on(&server);
    shell.mount("tiles", &["--memory", "256M", "--log-file", "log"]).succeeds();
    let run = |program: &str, file: &str| {
        let path = shell.mount_point.join(file);
        let child = shell.command(program).arg(path).spawn().unwrap();
        let pid = child.id();
        assert!(child.wait_with_output().unwrap().status.success());
        pid
    };
    let (cat, sum) = (run("cat", "one"), run("md5sum", "one"));
    let other = run("wc", "two");
    let told = status(&shell);
    let program = |pid: u32, name: &str| serde_json::json!({"pid": pid, "name": name});
    let file = |at: usize| &told["files"][at];
    assert_eq!((file(0)["key"].as_str(), file(1)["key"].as_str()), (Some("one"), Some("two")));
    assert_eq!(
        file(0)["programs"],
        serde_json::json!([program(sum, "md5sum"), program(cat, "cat")])
    );
    assert_eq!(file(1)["programs"], serde_json::json!([program(other, "wc")]));
    assert_eq!((number(file(0), "opens"), number(file(1), "opens")), (2, 1));
    assert_eq!((number(file(0), "get_bytes"), number(file(1), "get_bytes")), (900_000, 100_000));
    // The kernel gives the second reader what it has kept for the first.
    assert_eq!(number(file(0), "read_bytes"), 900_000);
    assert_eq!(number(&told, "reads.read_bytes"), 1_000_000);
    let text = shell.s3mem(&["status", shell.mount_point()]).stdout;
    let requests = match number(file(0), "get_requests") {
        1 => "1 request".to_owned(),
        count => format!("{count} requests"),
    };
    let line = format!("    one (878.9 KiB in {requests}): md5sum ({sum}), cat ({cat})\n");
    assert!(text.contains(&line), "{line:?} is missing in {text}");
    shell.umount().succeeds();
}

#[test]
fn the_options_that_were_given_are_told_and_no_others() {
    if !can_mount() {
        return;
    }
    let server = TestServer::start();
    server.put("tiles", "a", "hello");
    let shell = Shell::on(&server);
    let upload = ["--memory", "256M", "--writes", "upload", "--memory-only", "a*", "b"];
    let flags = [&upload[..], &["-o", "metadata_ttl=5,allow_delete"]].concat();
    shell.mount("tiles", &flags).succeeds();
    let told = status(&shell);
    let expected = serde_json::json!([
        {"name": "memory", "value": "256M", "from": null},
        {"name": "metadata-ttl", "value": "5", "from": null},
        {"name": "writes", "value": "upload", "from": null},
        {"name": "allow-delete", "value": null, "from": null},
        {"name": "memory-only", "value": "a* b", "from": null},
    ]);
    assert_eq!(told["options"], expected);
    // Not on AWS, and no prices were given.
    assert!(told["cost"].is_null(), "{told}");
    let text = shell.s3mem(&["status", shell.mount_point()]).stdout;
    let line = "--memory 256M --metadata-ttl 5 --writes upload --allow-delete --memory-only a* b\n";
    assert!(text.contains(line) && !text.contains("  cost "), "{text}");
    shell.umount().succeeds();
}

/// The names in a value, as docs/status.md writes them.
fn names(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let name = match path {
                    "latency" => "KIND",
                    "storage_classes" => "CLASS",
                    _ => name,
                };
                let dot = if path.is_empty() { "" } else { "." };
                names(value, &format!("{path}{dot}{name}"), found);
            }
        }
        Value::Array(values) => {
            values.iter().for_each(|value| names(value, &format!("{path}[]"), found));
        }
        _ => drop(found.insert(path.to_owned())),
    }
}

#[test]
fn every_name_in_the_json_is_documented_and_no_other_one_is() {
    if !can_mount() {
        return;
    }
    let server = TestServer::start();
    let outer = tempfile::tempdir().unwrap();
    let cache = outer.path().join("cache");
    let cache = cache.to_str().unwrap();
    let shared = "--shared-cache=s3://fleet/made";
    let flags = ["--prices", "prices.toml", "--egress-free", "--cache-dir", cache, shared];
    let shell = used(&server, &flags);
    server.fault(Fault::new(Effect::Refuse(Refusal::AccessDenied)).on(Op::Put));
    // Fails when it is closed, and is pending from then on.
    let mut write = Command::new("sh");
    write.args(["-c", "echo x > \"$1\"", "sh"]).arg(shell.mount_point.join("pending"));
    let _ = write.output().unwrap();
    let asked = || shell.s3mem(&["status", shell.mount_point(), "--json"]);
    wait_until("a file is pending", || asked().code == Some(3));
    let told: Value = serde_json::from_str(&asked().stdout).unwrap();
    let mut found = BTreeSet::new();
    names(&told, "", &mut found);
    let text = read("docs/status.md");
    let table = text.split("\n## JSON\n").nth(1).unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let documented: BTreeSet<String> = rows.map(str::to_owned).collect();
    assert_eq!(found, documented);
    server.clear_faults();
    wait_until("it is in the bucket", || asked().code == Some(0));
    shell.umount().succeeds();
}

#[test]
fn a_list_of_prices_that_is_none_stops_the_mount_with_its_name() {
    let shell = Shell::new();
    fs::write(shell.path("prices.toml"), "date = 1").unwrap();
    for (file, part) in [("prices.toml", "invalid type"), ("none.toml", "No such file")] {
        let ran = shell.mount("tiles", &["--prices", file]);
        ran.fails_with(&[&shell.path(file), "(--prices) can't be used", part]);
    }
}
