//! The answers of `s3mem serve` beside those of nginx, for the same file.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use tempfile::TempDir;

use super::{BUCKET, Reply, Served, ask, server};
use crate::harness::missing::has_program;
use crate::harness::waiting::until;
use crate::support::bucket::Meta;

const NGINX: &str = "nginx";
const SECONDS: u64 = 1_777_627_800;
const SIZE: usize = 1000;

/// A server of the files of a folder.
struct Nginx {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Nginx {
    fn of(name: &str, bytes: &[u8]) -> Nginx {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir(&root).unwrap();
        fs::write(root.join(name), bytes).unwrap();
        let file = File::options().write(true).open(root.join(name)).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(SECONDS)).unwrap();
        // Its workers are another user's.
        let all: std::fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(folder.path(), all).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let here = folder.path().display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|of| format!("{of}_temp_path {here}/{of};"));
        let config = format!(
            "daemon off; master_process off; pid {here}/pid; error_log stderr;
             events {{}}
             http {{
                 access_log off; {}
                 server {{ listen {address}; root {here}/root; }}
             }}",
            temporary.concat()
        );
        let path = folder.path().join("nginx.conf");
        fs::write(&path, config).unwrap();
        let mut nginx = Command::new(NGINX);
        nginx.arg("-p").arg(folder.path()).arg("-c").arg(&path).stderr(Stdio::null());
        let child = nginx.spawn().unwrap();
        until("nginx", || TcpStream::connect(address).is_ok());
        Nginx { child, address, _folder: folder }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What two servers have to agree on: the status, and of what was asked for the ranges, the
/// lengths and the bytes.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    status: u16,
    range: Option<String>,
    length: Option<String>,
    parts: Vec<(Option<String>, Vec<u8>)>,
}

impl Told {
    fn of(reply: &Reply) -> Told {
        let kind = reply.find("content-type").unwrap_or_default();
        let of_parts = kind.strip_prefix("multipart/byteranges; boundary=");
        let range = reply.find("content-range").map(str::to_owned);
        let is_answer = matches!(reply.status, 200 | 206);
        let parts = match of_parts {
            Some(boundary) if !reply.body.is_empty() => parts(&reply.body, boundary),
            Some(_) => Vec::new(),
            None if is_answer => vec![(range.clone(), reply.body.clone())],
            // The words of a refusal are everybody's own.
            None => Vec::new(),
        };
        let length = reply.find("content-length").map(str::to_owned);
        let length = length.filter(|_| is_answer && of_parts.is_none());
        Told { status: reply.status, range, length, parts }
    }
}

/// The parts of a body, each with its range.
fn parts(body: &[u8], boundary: &str) -> Vec<(Option<String>, Vec<u8>)> {
    let text = String::from_utf8(body.to_vec()).unwrap();
    let mut parts = text.split(&format!("--{boundary}")).skip(1).collect::<Vec<_>>();
    assert_eq!(parts.pop().map(str::trim), Some("--"), "{text}");
    let part = |part: &str| {
        let (head, bytes) = part.split_once("\r\n\r\n").unwrap();
        let range = head.lines().find_map(|line| line.strip_prefix("Content-Range: "));
        (range.map(str::to_owned), bytes.strip_suffix("\r\n").unwrap().as_bytes().to_vec())
    };
    parts.into_iter().map(part).collect()
}

#[test]
fn ranges_and_conditions_are_answered_as_nginx_answers_them() {
    if !has_program(NGINX) {
        return;
    }
    let text: String = (0..SIZE).map(|at| char::from(b'a' + (at % 26) as u8)).collect();
    let server = server();
    let then = UNIX_EPOCH + Duration::from_secs(SECONDS);
    let meta = Meta { last_modified: Some(then), ..Meta::default() };
    server.put_with(BUCKET, "a.bin", text.clone(), meta);
    let served = Served::start(&server, &[]);
    let nginx = Nginx::of("a.bin", text.as_bytes());
    let both = [served.address, nginx.address];
    let tags = both.map(|address| {
        let head = ask(address, "HEAD", "/a.bin", &[]);
        (head.header("etag").to_owned(), head.header("last-modified").to_owned())
    });
    assert_eq!(tags[0].1, tags[1].1);
    const BEFORE: &str = "Fri, 01 May 2020 09:30:00 GMT";
    const BEHIND: &str = "Sun, 01 May 2033 09:30:00 GMT";
    let range = |range: &'static str| vec![("Range", range)];
    let mut all: Vec<Vec<(&str, &str)>> = vec![
        vec![],
        range("bytes=0-9"),
        range("bytes=990-"),
        range("bytes=-5"),
        range("bytes=-5000"),
        range("bytes=0-"),
        range("bytes=0-5000"),
        range("bytes=999-999"),
        range("bytes=1000-"),
        range("bytes=1000-1010"),
        range("bytes=5000-"),
        range("bytes=0-9,20-29"),
        range("bytes=0-0,-1"),
        range("bytes=0-9, 990-"),
        range("bytes=0-9,5000-"),
        range("bytes=5000-,6000-"),
        range("items=0-9"),
    ];
    for condition in [
        ("If-None-Match", "TAG"),
        ("If-None-Match", "\"x\""),
        ("If-None-Match", "\"x\", TAG"),
        ("If-None-Match", "W/TAG"),
        ("If-None-Match", "*"),
        ("If-Match", "TAG"),
        ("If-Match", "\"x\""),
        ("If-Match", "*"),
        ("If-Modified-Since", "TIME"),
        ("If-Modified-Since", BEFORE),
        ("If-Unmodified-Since", "TIME"),
        ("If-Unmodified-Since", BEFORE),
        ("If-Unmodified-Since", BEHIND),
    ] {
        all.push(vec![condition]);
        all.push(vec![condition, ("Range", "bytes=1-3")]);
    }
    for value in ["TAG", "\"x\"", "TIME", BEFORE] {
        all.push(vec![("If-Range", value), ("Range", "bytes=1-3")]);
    }
    all.push(vec![("If-None-Match", "\"x\""), ("If-Modified-Since", "TIME")]);
    all.push(vec![("If-Match", "TAG"), ("If-None-Match", "TAG")]);
    let mut differ = Vec::new();
    for headers in &all {
        let has_range = headers.iter().any(|(name, _)| *name == "Range");
        for (method, path) in [("GET", "/a.bin"), ("HEAD", "/a.bin"), ("GET", "/none")] {
            // See below.
            if method == "HEAD" && has_range {
                continue;
            }
            let [ours, theirs] = [0, 1].map(|at| {
                let (tag, time) = &tags[at];
                let own = headers
                    .iter()
                    .map(|(name, value)| (*name, value.replace("TAG", tag).replace("TIME", time)));
                let own: Vec<(&str, String)> = own.collect();
                let own: Vec<(&str, &str)> =
                    own.iter().map(|(name, value)| (*name, value.as_str())).collect();
                Told::of(&ask(both[at], method, path, &own))
            });
            if ours != theirs {
                differ.push(format!("{method} {path} {headers:?}\n  {ours:?}\n  {theirs:?}"));
            }
        }
    }
    assert!(differ.is_empty(), "{} differ:\n{}", differ.len(), differ.join("\n"));
    // Where nginx does other than RFC 9110 says: a range means something to a GET only, and a
    // time nothing beside a tag.
    let head = served.ask("HEAD", "/a.bin", &[("Range", "bytes=0-9")]);
    assert_eq!((head.status, head.header("content-length")), (200, "1000"));
    let headers = [("If-None-Match", tags[0].0.as_str()), ("If-Modified-Since", BEFORE)];
    assert_eq!(served.ask("GET", "/a.bin", &headers).status, 304);
}
