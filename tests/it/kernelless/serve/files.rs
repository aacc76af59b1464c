//! Files: bytes, ranges, conditions, versions, and what they cost.

use std::io::Read;
use std::time::{Duration, SystemTime};

use super::{BUCKET, Reply, Served, server};
use crate::support::B01_JP2;
use crate::support::pattern::{pattern_bytes, pattern_mismatch};
use crate::support::server::{Effect, Fault, Meta, Op, Refusal};

const THEN: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const MIB: u64 = 1 << 20;

fn then() -> Meta {
    let written = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    Meta { last_modified: Some(written), ..Meta::default() }
}

#[test]
fn a_file_is_its_bytes_with_what_tells_of_them() {
    let server = server();
    let tag = server.put_with(BUCKET, "a/b c.html", "<p>hello", then());
    server.put(BUCKET, "empty.tif", "");
    let served = Served::start(&server, &[]);
    let get = served.get("/a/b%20c.html");
    assert_eq!((get.status, get.text().as_str()), (200, "<p>hello"));
    assert_eq!(get.header("content-length"), "8");
    assert_eq!(get.header("etag").trim_matches('"'), tag.trim_matches('"'));
    assert_eq!(get.header("last-modified"), THEN);
    assert_eq!(get.header("accept-ranges"), "bytes");
    assert_eq!(get.header("content-type"), "text/html");
    // A page from the bucket does not act in the name of this server.
    assert_eq!(get.header("content-security-policy"), "sandbox");
    assert_eq!(get.header("x-content-type-options"), "nosniff");
    let head = served.ask("HEAD", "/a/b%20c.html", &[]);
    assert_eq!((head.status, head.body.len()), (200, 0));
    let plain = |reply: &Reply| {
        let mut headers = reply.headers.clone();
        headers.retain(|(name, _)| name != "date");
        headers
    };
    assert_eq!(plain(&head), plain(&get));
    let empty = served.get("/empty.tif");
    assert_eq!((empty.status, empty.body.len(), empty.header("content-length")), (200, 0, "0"));
    assert_eq!(served.ask("GET", "/empty.tif", &[("Range", "bytes=0-")]).status, 416);
    assert_eq!(served.get("/a/missing").status, 404);
    assert_eq!(served.get("/empty.tif/").status, 404);
    assert_eq!(served.get("/empty.tif/x").status, 404);
}

#[test]
fn ranges_are_the_bytes_that_were_asked_for() {
    let server = server();
    server.put_pattern(BUCKET, "a", 3 * MIB + 7, 5);
    let served = Served::start(&server, &[]);
    let size = 3 * MIB + 7;
    for (range, start, end) in [
        ("bytes=0-0", 0, 1),
        ("bytes=1048570-2097160", 1_048_570, 2_097_161),
        ("bytes=-9", size - 9, size),
        ("bytes=3145728-", 3_145_728, size),
        ("bytes=5-99999999999999", 5, size),
    ] {
        let reply = served.ask("GET", "/a", &[("Range", range)]);
        assert_eq!(reply.status, 206, "{range}");
        assert_eq!(reply.header("content-range"), format!("bytes {start}-{}/{size}", end - 1));
        assert!(reply.body == pattern_bytes(5, start..end), "{range}");
    }
    let outside = served.ask("GET", "/a", &[("Range", "bytes=99999999-")]);
    assert_eq!((outside.status, outside.header("content-range")), (416, "bytes */3145735"));
    let nonsense = served.ask("GET", "/a", &[("Range", "bytes=9-1")]);
    assert_eq!((nonsense.status, nonsense.body.len() as u64), (200, size));
    let head = served.ask("HEAD", "/a", &[("Range", "bytes=0-0")]);
    assert_eq!((head.status, head.header("content-length")), (200, "3145735"));
}

#[test]
fn several_ranges_come_in_parts_that_say_which_they_are() {
    let server = server();
    server.put_pattern(BUCKET, "a.tif", 2 * MIB, 6);
    let served = Served::start(&server, &[]);
    let reply = served.ask("GET", "/a.tif", &[("Range", "bytes=0-9,1000000-1200000,-1")]);
    assert_eq!(reply.status, 206);
    assert_eq!(reply.header("content-length"), reply.body.len().to_string());
    let kind = reply.header("content-type");
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").unwrap();
    let mut wanted = Vec::new();
    for (number, (start, end)) in
        [(0, 10), (1_000_000, 1_200_001), (2 * MIB - 1, 2 * MIB)].into_iter().enumerate()
    {
        let before = if number == 0 { "" } else { "\r\n" };
        let head = format!(
            "{before}--{boundary}\r\nContent-Type: image/tiff\r\nContent-Range: bytes {start}-{}/{}\r\n\r\n",
            end - 1,
            2 * MIB
        );
        wanted.extend(head.into_bytes());
        wanted.extend(pattern_bytes(6, start..end));
    }
    wanted.extend(format!("\r\n--{boundary}--\r\n").into_bytes());
    assert!(reply.body == wanted);
}

#[test]
fn conditions_are_kept() {
    let server = server();
    let tag = server.put_with(BUCKET, "a", "hello", then());
    let tag = format!("\"{}\"", tag.trim_matches('"'));
    let served = Served::start(&server, &[]);
    let status = |name: &str, value: &str| served.ask("GET", "/a", &[(name, value)]).status;
    assert_eq!(status("If-None-Match", &tag), 304);
    assert_eq!(status("If-None-Match", "\"x\""), 200);
    assert_eq!(status("If-Modified-Since", THEN), 304);
    assert_eq!(status("If-Modified-Since", BEFORE), 200);
    assert_eq!(status("If-Match", &tag), 200);
    assert_eq!(status("If-Match", "\"x\""), 412);
    assert_eq!(status("If-Unmodified-Since", BEFORE), 412);
    let fresh = served.ask("GET", "/a", &[("If-None-Match", &tag)]);
    assert_eq!((fresh.header("etag"), fresh.body.len()), (&tag[..], 0));
    for (value, status) in [(&tag[..], 206), (THEN, 206), ("\"x\"", 200), (BEFORE, 200)] {
        let headers = [("If-Range", value), ("Range", "bytes=1-2")];
        assert_eq!(served.ask("GET", "/a", &headers).status, status, "{value}");
    }
}

#[test]
fn a_file_costs_what_it_costs_in_a_mount() {
    let server = server();
    server.put_pattern(BUCKET, "a/large", 64 * MIB, 7);
    let served = Served::start(&server, &[]);
    server.reset_counts();
    for _ in 0..3 {
        assert_eq!(served.ask("HEAD", "/a/large", &[]).status, 200);
    }
    // The listing of its folder answers for every name in it, and for those that are missing.
    assert_eq!(served.get("/a/missing").status, 404);
    let counts = server.counts();
    assert_eq!((counts.list, counts.requests()), (1, 1), "{counts:?}");
    for _ in 0..3 {
        served.ask("GET", "/a/large", &[("Range", "bytes=20000000-20000099")]);
    }
    let counts = server.counts();
    assert_eq!((counts.get, counts.requests()), (1, 2), "{counts:?}");
    assert!(counts.body_bytes <= MIB / 8, "{counts:?}");
    // Whoever has it already fetches nothing.
    let tag = served.ask("HEAD", "/a/large", &[]).header("etag").to_owned();
    assert_eq!(served.ask("GET", "/a/large", &[("If-None-Match", &tag)]).status, 304);
    assert_eq!(server.counts().requests(), 2);
}

#[test]
fn a_sibling_of_an_image_is_a_file_like_any_other() {
    let server = server();
    server.put(BUCKET, "B01.jp2", B01_JP2);
    let served = Served::start(&server, &[]);
    let preview = served.get("/B01.jp2.preview.png");
    assert_eq!((preview.status, preview.header("content-type")), (200, "image/png"));
    assert_eq!(&preview.body[..8], b"\x89PNG\r\n\x1a\n");
    let json = served.get("/B01.jp2.json");
    assert_eq!(json.header("content-type"), "application/json");
    let tags = [&preview, &json].map(|reply| reply.header("etag").to_owned());
    assert!(tags[0] != tags[1] && tags.iter().all(|tag| tag.starts_with('"')), "{tags:?}");
    let range = served.ask("GET", "/B01.jp2.tif", &[("Range", "bytes=0-3")]);
    assert_eq!((range.status, &range.body[..2]), (206, &b"II"[..]));
    let again = served.ask("GET", "/B01.jp2.preview.png", &[("If-None-Match", &tags[0])]);
    assert_eq!(again.status, 304);
    assert_eq!(served.get("/B01.jp2.gif").status, 404);
}

#[test]
fn a_body_never_has_bytes_of_two_versions() {
    let server = server();
    let size = 64 * MIB;
    server.put_pattern(BUCKET, "a", size, 1);
    let served = Served::start(&server, &["--metadata-ttl", "0"]);
    let mut stream = served.send("GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let mut first = vec![0; 1000];
    stream.read_exact(&mut first).unwrap();
    server.put_pattern(BUCKET, "a", size, 2);
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    let broken = Reply::parse(&[first, rest].concat());
    assert!((broken.body.len() as u64) < size, "it broke off");
    assert_eq!(pattern_mismatch(1, 0, &broken.body), None);
    let tag = broken.header("etag").to_owned();
    // Whoever goes on where it broke off gets the new version, all of it.
    let range = format!("bytes={}-", broken.body.len());
    let headers = [("Range", range.as_str()), ("If-Range", tag.as_str())];
    let new = served.ask("GET", "/a", &headers);
    assert_eq!((new.status, new.body.len() as u64), (200, size));
    assert_eq!(pattern_mismatch(2, 0, &new.body), None);
    assert_ne!(new.header("etag"), tag);
}

#[test]
fn old_versions_are_folders_that_are_served_too() {
    let server = server();
    server.keep_versions(BUCKET);
    server.put_with(BUCKET, "a.txt", "old", then());
    server.put(BUCKET, "a.txt", "new");
    let served = Served::start(&server, &["--versions"]);
    let listed = served.get("/a.txt%25%25versions/?format=json").text();
    let at = listed.find("Z-1").unwrap_or_else(|| panic!("{listed}"));
    let old = listed[..at + 3].rsplit('"').next().unwrap();
    let reply = served.get(&format!("/a.txt%25%25versions/{old}/a.txt"));
    assert_eq!((reply.status, reply.text().as_str()), (200, "old"));
    assert_eq!(served.get("/a.txt").text(), "new");
    assert_eq!(served.get("/b.txt%25%25versions/").status, 404);
    let plain = Served::start(&server, &[]);
    assert_eq!(plain.get("/a.txt%25%25versions/").status, 404);
}

#[test]
fn what_goes_wrong_in_the_bucket_has_a_status() {
    let server = server();
    server.put(BUCKET, "a", "hello");
    server.put(BUCKET, "b", "hello");
    let served = Served::start(&server, &["--request-timeout", "2"]);
    assert_eq!(served.ask("HEAD", "/a", &[]).status, 200);
    let denied = server.fault(Fault::new(Effect::Refuse(Refusal::AccessDenied)).on(Op::Get));
    assert_eq!(served.get("/a").status, 403);
    server.clear_fault(denied);
    let hanging = server.fault(Fault::new(Effect::Hang).on(Op::Get));
    assert_eq!(served.get("/a").status, 504);
    server.clear_fault(hanging);
    server.release();
    // Deleted since it was listed.
    server.delete(BUCKET, "b");
    assert_eq!(served.get("/b").status, 404);
    assert_eq!(served.get("/a").text(), "hello");
}

#[test]
fn ranges_one_behind_the_other_are_read_ahead_as_in_a_mount() {
    let server = server();
    let size = 32 * MIB;
    server.put_pattern(BUCKET, "a", size, 8);
    let served = Served::start(&server, &[]);
    server.reset_counts();
    let step = 256 << 10;
    for start in (0..size).step_by(step) {
        let end = start + step as u64;
        let range = format!("bytes={start}-{}", end - 1);
        let reply = served.ask("GET", "/a", &[("Range", &range)]);
        assert!(reply.body == pattern_bytes(8, start..end), "{range}");
    }
    let counts = server.counts();
    // Far fewer requests than ranges, and nothing twice.
    assert!(counts.get <= 24, "{counts:?}");
    assert_eq!(counts.body_bytes, size, "{counts:?}");
}
