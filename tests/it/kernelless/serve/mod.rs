//! `s3mem serve`: the real program, asked over a socket by a client that has no opinion.

mod access;
mod conformance;
mod directories;
mod files;
mod pictures;
mod programs;
mod slow;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use crate::harness::shell::{S3MEM, Shell, signal};
use crate::harness::waiting::{FOREVER, until};
use crate::support::server::{Effect, Fault, Op, TestServer};

const BUCKET: &str = "tiles";

/// A server with an empty bucket.
fn server() -> TestServer {
    let server = TestServer::start();
    server.create_bucket(BUCKET);
    server
}

/// A server of HTTP that runs until this is dropped.
struct Served {
    child: Child,
    address: SocketAddr,
    _shell: Shell,
}

impl Served {
    fn start(server: &TestServer, flags: &[&str]) -> Served {
        Served::start_of(server, &[BUCKET], flags)
    }

    /// Serves these, each as a folder if there are several.
    fn start_of(server: &TestServer, sources: &[&str], flags: &[&str]) -> Served {
        let shell = Shell::on(server);
        let mut command: Command = shell.command(S3MEM);
        command
            .arg("serve")
            .args(sources)
            .args(["--listen", "127.0.0.1:0", "--memory", "256M"])
            .args(flags);
        let mut child = command.stderr(Stdio::inherit()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").and_then(|rest| rest.strip_suffix('/'));
        let address = address.unwrap_or_else(|| panic!("no address: {line:?}")).parse().unwrap();
        Served { child, address, _shell: shell }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// Sends these bytes, and gives the connection.
    fn send(&self, request: &str) -> TcpStream {
        send(self.address, request)
    }

    /// Asks, and reads until the connection ends.
    fn raw(&self, request: &str) -> Reply {
        raw(self.address, request)
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
        ask(self.address, method, path, headers)
    }

    fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[])
    }

    /// What the server says of itself: the number behind a name.
    fn figure(&self, name: &str) -> u64 {
        let text = self.get("/?figures").text();
        let at = text.find(&format!("\"{name}\": ")).unwrap_or_else(|| panic!("{name}: {text}"));
        let digits = text[at..].split(": ").nth(1).unwrap();
        digits.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
    }
}

/// Sends these bytes to a server, and gives the connection.
fn send(address: SocketAddr, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(FOREVER)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

/// Asks a server, and reads until the connection ends.
fn raw(address: SocketAddr, request: &str) -> Reply {
    let mut bytes = Vec::new();
    // A body that breaks off ends with an error.
    let _ = send(address, request).read_to_end(&mut bytes);
    Reply::parse(&bytes)
}

fn ask(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
    let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "Host") {
        request += &format!("Host: {address}\r\n");
    }
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    raw(address, &(request + "\r\n"))
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer.
#[derive(Debug)]
struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Reply {
    fn parse(bytes: &[u8]) -> Reply {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no head: {:?}", String::from_utf8_lossy(bytes)));
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        });
        Reply { status, headers: headers.collect(), body: bytes[end + 4..].to_vec() }
    }

    #[track_caller]
    fn header(&self, name: &str) -> &str {
        self.find(name).unwrap_or_else(|| panic!("no {name}: {:?}", self.headers))
    }

    fn find(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

#[test]
fn a_signal_ends_it_and_what_was_begun_is_brought_to_its_end() {
    let server = server();
    server.put_pattern(BUCKET, "a", 1 << 20, 1);
    for name in ["TERM", "INT"] {
        let mut served = Served::start(&server, &[]);
        let request = "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let mut stream = served.send(request);
        let mut first = [0; 1];
        stream.read_exact(&mut first).unwrap();
        signal(name, served.child.id());
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        let reply = Reply::parse(&[&first[..], &rest].concat());
        assert_eq!(reply.body.len(), 1 << 20, "SIG{name}");
        let mut ended = None;
        until("the end of the server", || {
            ended = served.child.try_wait().unwrap();
            ended.is_some()
        });
        assert!(ended.unwrap().success(), "SIG{name}: {ended:?}");
    }
}

#[test]
fn what_can_not_be_served_is_said_in_one_sentence() {
    let server = server();
    let shell = Shell::on(&server);
    shell
        .s3mem(&["serve", "no-such-bucket", "--listen", "127.0.0.1:0"])
        .fails_with(&["no-such-bucket"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    shell.s3mem(&["serve", BUCKET, "--listen", &address]).fails_with(&[&address, "--listen"]);
    shell
        .s3mem(&["serve", BUCKET, "--listen", "0.0.0.0:0"])
        .fails_with(&["--token", "--allow-anyone"]);
    shell.s3mem(&["serve", BUCKET, "--writes", "memory"]).fails_with(&["changes nothing"]);
}

#[test]
fn status_shows_a_server_while_it_runs() {
    let server = server();
    let served = Served::start(&server, &[]);
    let line = format!("s3://{BUCKET} on http://{}/", served.address);
    let shows = |arguments: &[&str], text: &str| {
        let ran = Shell::new().s3mem(arguments);
        ran.stdout.contains(text)
    };
    assert!(shows(&["status"], &line));
    assert!(shows(
        &["status", "--json"],
        &format!("\"mount_point\": \"http://{}/\"", served.address)
    ));
    signal("TERM", served.child.id());
    until("the end of the server", || !shows(&["status"], &line));
}

#[test]
fn who_goes_away_fetches_nothing_more() {
    let server = server();
    server.put(BUCKET, "B01.jp2", crate::support::B01_JP2);
    server.put_pattern(BUCKET, "large", 64 << 20, 1);
    let served = Served::start(&server, &[]);
    for (path, first) in [("/B01.jp2?tile=3/0/0", "/B01.jp2?tile=info&x"), ("/large", "/?figures")]
    {
        // What is known by then is in memory.
        assert_eq!(served.get(first).status, 200);
        let hanging = server.fault(Fault::new(Effect::Hang).on(Op::Get));
        let client = served.send(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        until("a request to the bucket", || server.fault_hits(hanging) > 0);
        drop(client);
        until("the end of all requests", || server.in_flight() == 0);
        server.clear_fault(hanging);
        server.release();
    }
}
