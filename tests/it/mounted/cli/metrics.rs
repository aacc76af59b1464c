//! What a mount tells at the address of `--metrics`, beside what the server counted.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Ran, Shell, can_mount, wait_until};
use crate::docs::read;
use crate::harness::missing::has_program;
use crate::harness::waiting::FOREVER;
use crate::support::server::TestServer;

/// The address that the mount's status names.
#[track_caller]
fn address(shell: &Shell) -> String {
    let told = shell.s3mem(&["status", shell.mount_point(), "--json"]).stdout;
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    told["metrics"].as_str().unwrap_or_else(|| panic!("no address in {told}")).to_owned()
}

/// Sends a request as it is; the head of the answer, and its body.
fn ask(address: &str, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    (head.to_owned(), body.to_owned())
}

fn get(address: &str) -> String {
    let (head, body) = ask(address, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("Content-Type: application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
    body
}

/// The samples by their names and labels.
fn samples(text: &str) -> BTreeMap<&str, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name, value.parse().unwrap_or_else(|_| panic!("no number: {line}")))
        })
        .collect()
}

/// A mount of which something was read, with any free port for its metrics.
fn mounted(server: &TestServer, flags: &[&str]) -> Shell {
    server.put_pattern("tiles", "a", 3 << 20, 1);
    let shell = Shell::on(server);
    let always = ["--memory", "256M", "--log-file", "log", "--metrics", "0"];
    shell.mount("tiles", &[&always, flags].concat()).succeeds();
    assert_eq!(fs::read(shell.mount_point.join("a")).unwrap().len(), 3 << 20);
    assert!(server.wait_idle(FOREVER));
    shell
}

#[test]
fn the_metrics_are_what_the_server_counted() {
    if !can_mount() {
        return;
    }
    let server = TestServer::start();
    let shell = mounted(&server, &[]);
    let address = address(&shell);
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    let text = get(&address);
    assert!(text.ends_with("\n# EOF\n"), "{text}");
    let (told, counts) = (samples(&text), server.counts());
    for (name, count) in [
        ("s3mem_requests_total{kind=\"list\"}", counts.list),
        ("s3mem_requests_total{kind=\"get\"}", counts.get),
        ("s3mem_requests_total{kind=\"put\"}", 0),
        ("s3mem_received_bytes_total", counts.body_bytes),
        ("s3mem_class_received_bytes_total{class=\"STANDARD\"}", counts.body_bytes),
        ("s3mem_request_duration_seconds_count{kind=\"get\"}", counts.get),
        ("s3mem_request_duration_seconds_bucket{kind=\"get\",le=\"+Inf\"}", counts.get),
        ("s3mem_read_bytes_total", 3 << 20),
        ("s3mem_open_files", 0),
    ] {
        assert_eq!(told.get(name), Some(&(count as f64)), "{name} in {text}");
    }
    // Steps never fall.
    let steps: Vec<f64> = text
        .lines()
        .filter(|line| line.starts_with("s3mem_request_duration_seconds_bucket{kind=\"get\""))
        .map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
        .collect();
    assert!(steps.len() > 20 && steps.is_sorted(), "{steps:?}");
    // Neither keys nor anything else is told, and asking costs no request.
    assert_eq!(server.counts(), counts);
    let (head, _) = ask(&address, "GET / HTTP/1.1\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
    let (head, body) = ask(&address, "POST /metrics HTTP/1.1\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 405 ") && !body.contains("s3mem_"), "{head}");
    let endless = format!("GET /metrics HTTP/1.1\r\nX: {}", "a".repeat(9000));
    let mut stream = TcpStream::connect(&address).unwrap();
    let _ = stream.write_all(endless.as_bytes());
    let mut answer = Vec::new();
    // Hung up on, with or without what is left unread.
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.is_empty(), "{}", String::from_utf8_lossy(&answer));
    shell.umount().succeeds();
    assert!(TcpStream::connect(&address).is_err(), "somebody still listens");
}

#[test]
fn every_metric_is_documented_with_its_type_and_no_other_one_is() {
    if !can_mount() {
        return;
    }
    let server = TestServer::start();
    let shell = Shell::new();
    let prices = "date = \"2026-01-31\"\ncurrency = \"EUR\"\n[[region]]\nnames = [\"*\"]\n\
        put_per_1000 = 1.0\nget_per_1000 = 1.0\negress_per_gb = 1.0\n";
    let file = shell.path("prices.toml");
    fs::write(&file, prices).unwrap();
    let cache = shell.path("cache");
    let shared = "--shared-cache=s3://fleet/made";
    let flags = ["--writes", "memory", "--prices", &file, "--cache-dir", &cache, shared];
    let shell = mounted(&server, &flags);
    let text = get(&address(&shell));
    let told: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(|family| family.replacen(' ', ": ", 1))
        .collect();
    let document = read("docs/metrics.md");
    let documented: BTreeSet<String> = document
        .lines()
        .filter_map(|line| line.strip_prefix("| `s3mem_"))
        .map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            format!("s3mem_{}: {}", cells[0].trim_end_matches('`'), cells[1])
        })
        .collect();
    assert_eq!(told, documented);
    for (unit, name) in text
        .lines()
        .filter_map(|line| line.strip_prefix("# UNIT ")?.split_once(' '))
        .map(|(name, unit)| (unit, name))
    {
        assert!(name.ends_with(&format!("_{unit}")), "{name} in {unit}");
    }
    shell.umount().succeeds();
}

#[test]
fn promtool_finds_nothing_wrong_with_the_metrics() {
    if !can_mount() || !has_program("promtool") {
        return;
    }
    let server = TestServer::start();
    let shell = mounted(&server, &[]);
    let text = get(&address(&shell));
    shell.umount().succeeds();
    // It reads the older format, in which a type is of the name of the samples.
    let mut older = String::new();
    for line in text.lines().filter(|line| !line.starts_with("# UNIT") && *line != "# EOF") {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", "TYPE", name, "counter"] => {
                older.push_str(&format!("# TYPE {name}_total counter\n"));
            }
            ["#", "TYPE", name, "info"] => older.push_str(&format!("# TYPE {name}_info gauge\n")),
            ["#", "HELP", name, help] => {
                let is = |kind: &str| text.contains(&format!("# TYPE {name} {kind}\n"));
                let ending = match (is("counter"), is("info")) {
                    (true, _) => "_total",
                    (_, true) => "_info",
                    _ => "",
                };
                older.push_str(&format!("# HELP {name}{ending} {help}\n"));
            }
            _ => older.push_str(&format!("{line}\n")),
        }
    }
    let mut promtool = Command::new("promtool");
    let promtool = promtool.args(["check", "metrics"]).stdin(Stdio::piped());
    let mut child = promtool.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(older.as_bytes()).unwrap();
    let ran = Ran::finish(child);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "", ""), "{older}");
}

/// A Prometheus that asks an address once a second, until it is dropped.
struct Prometheus {
    child: Child,
    address: String,
}

impl Prometheus {
    fn start(shell: &Shell, metrics: &str) -> Prometheus {
        let config = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n  - job_name: s3mem\n    \
             static_configs: [{{targets: [\"{metrics}\"]}}]\n"
        );
        let (file, data) = (shell.path("prometheus.yml"), shell.path("prometheus"));
        fs::write(&file, config).unwrap();
        // Prometheus does not say which one it has taken if it is given none.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let log = fs::File::create(shell.path("prometheus.log")).unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={file}"))
            .arg(format!("--storage.tsdb.path={data}"))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Prometheus { child, address }
    }

    /// The answer to a query; `None` as long as nobody answers.
    fn try_query(&self, query: &str) -> Option<serde_json::Value> {
        let query = utf8_percent_encode(query, NON_ALPHANUMERIC);
        let mut stream = TcpStream::connect(&self.address).ok()?;
        // Of HTTP/1.0, so that the body comes in one piece.
        write!(stream, "GET /api/v1/query?query={query} HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
    }

    /// The values of what a query finds.
    #[track_caller]
    fn query(&self, query: &str) -> Vec<f64> {
        let told = self.try_query(query).unwrap_or_else(|| panic!("no answer to {query}"));
        assert_eq!(told["status"], "success", "{query}: {told}");
        let found = told["data"]["result"].as_array().unwrap();
        found.iter().map(|one| one["value"][1].as_str().unwrap().parse().unwrap()).collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn prometheus_reads_the_metrics_and_answers_every_question_of_the_dashboard() {
    if !can_mount() || !has_program("prometheus") {
        return;
    }
    let server = TestServer::start();
    let shell = mounted(&server, &[]);
    let prometheus = Prometheus::start(&shell, &address(&shell));
    // Three times, so that there is a rate.
    let times = "count_over_time(up{job=\"s3mem\"}[1m])";
    wait_until("Prometheus has asked", || {
        let told = prometheus.try_query(times);
        let count = told
            .and_then(|told| told["data"]["result"][0]["value"][1].as_str()?.parse::<f64>().ok());
        count.is_some_and(|count| count >= 3.0)
    });
    assert_eq!(prometheus.query("min_over_time(up{job=\"s3mem\"}[1m])"), [1.0]);
    let counts = server.counts();
    for (query, value) in [
        ("s3mem_requests_total{kind=\"get\"}", counts.get),
        ("s3mem_received_bytes_total", counts.body_bytes),
        ("s3mem_read_bytes_total", 3 << 20),
        ("s3mem_request_duration_seconds_count{kind=\"get\"}", counts.get),
    ] {
        assert_eq!(prometheus.query(query), [value as f64], "{query}");
    }
    // What prices, written files and a cache on disk would tell is not there without them.
    let absent = ["s3mem_cost", "s3mem_disk_"];
    let dashboard: serde_json::Value = serde_json::from_str(&read("docs/grafana.json")).unwrap();
    for expression in expressions(&dashboard) {
        let asked = expression.replace("$instance", ".+").replace("$__rate_interval", "1m");
        let found = prometheus.query(&asked);
        let is_absent = absent.iter().any(|name| expression.contains(name));
        assert_eq!(found.is_empty(), is_absent, "{asked}: {found:?}");
    }
    drop(prometheus);
    shell.umount().succeeds();
}

#[test]
fn an_address_that_somebody_has_stops_the_mount() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let server = TestServer::start();
    server.put("tiles", "a", "hello");
    if !can_mount() {
        return;
    }
    let shell = Shell::on(&server);
    shell.mount("tiles", &["--metrics", &address]).fails_with(&[&address, "--metrics", "in use"]);
    assert!(!shell.is_mounted());
    for wrong in ["localhost", "9310x", "127.0.0.1", "99999", ""] {
        let ran = shell.mount("tiles", &["--metrics", wrong]);
        ran.fails_with(&["--metrics", "127.0.0.1:9310"]);
    }
}

/// The samples that docs/metrics.md documents, with what their labels may be.
fn documented_samples() -> BTreeMap<String, String> {
    let document = read("docs/metrics.md");
    let rows = document.lines().filter(|line| line.starts_with("| `s3mem_"));
    let samples = rows.flat_map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let (name, labels) = (cells[1].trim_matches('`').to_owned(), cells[3].to_owned());
        let endings: &[&str] = match cells[2] {
            "counter" => &["_total"],
            "info" => &["_info"],
            "gauge" => &[""],
            "histogram" => &["_bucket", "_count", "_sum"],
            other => panic!("{other} in {row}"),
        };
        endings.iter().map(move |ending| (format!("{name}{ending}"), labels.clone()))
    });
    samples.collect()
}

/// The expressions in a dashboard.
fn expressions(dashboard: &serde_json::Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_dashboard_names_metrics_and_labels_that_there_are() {
    let dashboard: serde_json::Value = serde_json::from_str(&read("docs/grafana.json")).unwrap();
    let known = documented_samples();
    let mut used = BTreeSet::new();
    for expression in expressions(&dashboard) {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        for (at, _) in expression.match_indices("s3mem_") {
            let rest = &expression[at..];
            let name = rest.split(|c| !is_part(c)).next().unwrap();
            let labels = known.get(name);
            let labels = labels.unwrap_or_else(|| panic!("{name} of {expression} is no metric"));
            let selector = rest[name.len()..].strip_prefix('{').unwrap_or_default();
            for matcher in selector.split('}').next().unwrap().split(',') {
                let label = matcher.split(['=', '!', '~']).next().unwrap();
                let is_known = label == "instance" || labels.contains(&format!("`{label}`"));
                assert!(is_known || label == "le", "{label} of {expression} is no label");
            }
            used.insert(name.to_owned());
        }
    }
    assert!(used.len() >= 20, "{used:?}");
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
}
