//! Directories, and paths that were never meant to lead anywhere.

use std::collections::BTreeMap;

use super::{BUCKET, Served, server};
use crate::harness::keys::STRANGE;

#[test]
fn a_directory_is_a_page_for_people_and_json_for_programs() {
    let server = server();
    server.put(BUCKET, "a/b.jp2", "x");
    server.put(BUCKET, "a/c & <d>.txt", "xyz");
    server.put(BUCKET, "a/e:f/g", "x");
    let served = Served::start(&server, &[]);
    let page = served.get("/a/?format=html");
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    let text = page.text();
    assert!(
        text.contains("<a href=\"./c%20%26%20%3Cd%3E.txt\">c &amp; &lt;d&gt;.txt</a>"),
        "{text}"
    );
    assert!(text.contains("<a href=\"./e%3Af/\">e:f/</a>"), "{text}");
    assert!(text.contains("<a href=\"../\">"), "{text}");
    assert!(!served.get("/?format=html").text().contains("\"../\""));
    let json = served.get("/a/?format=json");
    assert_eq!(json.header("content-type"), "application/json");
    let text = json.text();
    let names: Vec<&str> =
        text.split("\"name\":\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(names, ["b.jp2", "c & \\u003cd>.txt", "e:f"]);
    assert!(text.contains("\"kind\":\"file\",\"bytes\":3,\"modified\":"), "{text}");
    assert!(text.contains("\"image\":true") && text.contains("\"next\":null"), "{text}");
    // Links of a directory are right behind its slash alone, wherever a proxy has it.
    let moved = served.get("/a?format=json");
    assert_eq!((moved.status, moved.header("location")), (301, "./a/?format=json"));
    assert_eq!(served.get("/a/e:f").header("location"), "./e%3Af/");
    assert_eq!(served.get("/nothing/").status, 404);
}

/// The names on a page of a directory, and what comes next.
fn page(text: &str) -> (Vec<String>, Option<String>) {
    let names = text.split("\"name\":\"").skip(1);
    let names = names.map(|rest| rest.split('"').next().unwrap().to_owned()).collect();
    let next = text.rsplit("\"next\":").next().unwrap().trim().trim_end_matches('}');
    (names, (next != "null").then(|| next.trim_matches('"').to_owned()))
}

#[test]
fn a_large_directory_comes_in_pages_each_listed_once() {
    let server = server();
    let names: Vec<String> = (0..5500).map(|n| format!("{n:05}.tif")).collect();
    server.put_many(BUCKET, names.iter().map(|name| (format!("d/{name}"), "x")));
    let served = Served::start(&server, &[]);
    server.reset_counts();
    let (mut found, mut after, mut pages) = (Vec::new(), "0".to_owned(), 0);
    loop {
        let reply = served.get(&format!("/d/?format=json&after={after}&limit=700"));
        assert_eq!(reply.status, 200);
        let (names, next) = page(&reply.text());
        pages += 1;
        found.extend(names);
        match next {
            Some(next) => after = next,
            None => break,
        }
    }
    assert_eq!((found, pages), (names.clone(), 8));
    assert_eq!((server.counts().list, server.counts().requests()), (6, 6));
    // A page in the middle is found by whoever was never there before.
    let fresh = Served::start(&server, &[]);
    let (some, next) = page(&fresh.get("/d/?format=json&after=0&limit=1500").text());
    assert_eq!((some.len(), some.last()), (1500, Some(&names[1499])));
    let next = next.unwrap();
    for _ in 0..2 {
        let (more, _) = page(&fresh.get(&format!("/d/?format=json&after={next}&limit=3")).text());
        assert_eq!(more, names[1500..1503]);
    }
    assert_eq!(fresh.get("/d/?format=json&after=x").status, 400);
    assert_eq!(fresh.get("/d/?format=json&limit=-1").status, 400);
    let (none, next) = page(&fresh.get("/d/?format=json&after=99999999999").text());
    assert_eq!((none.len(), next), (0, None));
    let html = fresh.get("/d/?format=html").text();
    assert!(html.matches("<li>").count() == 1001 && html.contains("rel=\"next\""));
}

#[test]
fn listed_siblings_have_their_sizes() {
    let server = server();
    server.put(BUCKET, "B01.jp2", crate::support::B01_JP2);
    let served = Served::start(&server, &["--list-views=json,npy"]);
    let (names, _) = page(&served.get("/?format=json").text());
    assert_eq!(names, ["B01.jp2", "B01.jp2.npy", "B01.jp2.json"]);
    let size = served.ask("HEAD", "/B01.jp2.json", &[]).header("content-length").to_owned();
    let text = served.get("/?format=json").text();
    assert!(
        text.contains(&format!("\"B01.jp2.json\",\"kind\":\"file\",\"bytes\":{size},")),
        "{text}"
    );
}

#[test]
fn no_path_leads_out_of_the_tree_or_to_another_file() {
    let server = server();
    server.put(BUCKET, "inside/secret", "no");
    server.put(BUCKET, "inside/a", "yes");
    server.put(BUCKET, "inside/...", "dots");
    server.put(BUCKET, "inside/C:\\windows", "name");
    server.put(BUCKET, "inside/\u{7}bell", "bell");
    server.put(BUCKET, "inside/%2e%2e", "percent");
    let served = Served::start(&server, &[]);
    for path in [
        "/..",
        "/../",
        "/../etc/passwd",
        "/inside/../inside/a",
        "/inside/./a",
        "/inside/%2e%2e/inside/a",
        "/inside/.%2E/a",
        "/%2e%2e%2fetc%2fpasswd",
        "/inside%2fa",
        "/inside%2Fsecret",
        "/inside//a",
        "//inside/a",
        "//evil.example/a",
        "/inside/a%00",
        "/inside/a%00.png",
        "/%",
        "/%4",
        "/%zz",
        "/inside/%2e",
        "/inside/a/..",
        "/inside/a//",
        "/inside/..;/a/..",
    ] {
        let reply = served.get(path);
        assert!((400..500).contains(&reply.status), "{path}: {}", reply.status);
        assert!(!reply.text().contains("yes") && !reply.text().contains("no\n"), "{path}");
    }
    for path in [
        "/inside/..%5c..%5ca",
        "/inside/C:",
        "/inside/%c0%ae%c0%ae",
        "/inside/%ff",
        "/inside/a%0a",
        "/inside/%0d%0aSet-Cookie:x",
        "/inside/A",
        "/inside/a%20",
        "/inside/a.",
        "/inside/NUL",
        "/~",
    ] {
        assert_eq!(served.get(path).status, 404, "{path}");
    }
    for (path, text) in [
        ("/inside/a", "yes"),
        ("/%69nside/%61", "yes"),
        ("/inside/a?/../secret", "yes"),
        ("/inside/...", "dots"),
        ("/inside/C%3A%5Cwindows", "name"),
        ("/inside/%07bell", "bell"),
        ("/inside/%252e%252e", "percent"),
    ] {
        let reply = served.get(path);
        assert_eq!((reply.status, reply.text().as_str()), (200, text), "{path}");
    }
    let directory = served.get("/inside/?format=html").text();
    assert!(!directory.contains('\u{7}'), "{directory}");
}

#[test]
fn a_request_that_is_none_is_refused_and_the_next_one_answered() {
    let server = server();
    server.put(BUCKET, "a", "yes");
    let served = Served::start(&server, &[]);
    let long = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(100_000));
    let many = format!("GET /a HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: y\r\n".repeat(500));
    for request in [
        "NONSENSE\r\n\r\n",
        "GET\r\n\r\n",
        "GET a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        "GET /a HTTP/9.9\r\nHost: localhost\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "\u{0}\u{1}\u{2}\r\n\r\n",
        &long,
        &many,
    ] {
        let reply = served.raw(request);
        assert!((400..500).contains(&reply.status), "{}: {}", &request[..10], reply.status);
    }
    // Two on one connection, the first with a body that nobody wants.
    let two = "GET /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabcGET /a HTTP/1.1\r\n\
        Host: localhost\r\nConnection: close\r\n\r\n";
    let reply = served.raw(two);
    assert_eq!(reply.status, 200);
    assert_eq!(reply.text().matches("yes").count(), 2);
}

#[test]
fn several_buckets_and_all_of_them_are_folders() {
    let server = server();
    server.put(BUCKET, "one", "of tiles");
    server.put("other", "2024/one", "of other");
    for (sources, path) in
        [(&[BUCKET, "other/2024"][..], "2024/one"), (&["--all-buckets"], "other/2024/one")]
    {
        let served = Served::start_of(&server, sources, &[]);
        assert_eq!(served.get(&format!("/{BUCKET}/one")).text(), "of tiles");
        assert_eq!(served.get(&format!("/{path}")).text(), "of other");
        let listed = served.get("/?format=json").text();
        let folder = path.split('/').next().unwrap();
        for name in [BUCKET, folder] {
            assert!(listed.contains(&format!("\"{name}\"")), "{name}: {listed}");
        }
        assert_eq!(served.get("/no-such-bucket/x").status, 404);
    }
}

/// A text as a name in a URL.
fn encoded(name: &str) -> String {
    name.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn every_strange_key_is_served_under_its_name_and_found_by_the_links() {
    let server = server();
    server.put_many(BUCKET, STRANGE.iter().map(|(key, _)| (*key, *key)));
    let served = Served::start(&server, &[]);
    let mut by_name = BTreeMap::new();
    for (key, name) in STRANGE {
        let path: Vec<String> = name.split('/').map(encoded).collect();
        let reply = served.get(&format!("/{}", path.join("/")));
        assert_eq!((reply.status, reply.body.as_slice()), (200, key.as_bytes()), "{key:?}");
        by_name.insert((*name).to_owned(), reply.body);
    }
    // As a browser goes: from link to link, each relative to where it stands.
    let (mut by_link, mut by_json) = (BTreeMap::new(), BTreeMap::new());
    let mut folders = vec![("/".to_owned(), String::new())];
    while let Some((url, name)) = folders.pop() {
        let page = served.get(&format!("{url}?format=html")).text();
        let obeyed = |c: char| c.is_control() && c != '\n';
        assert!(!page.contains(obeyed), "{page:?}");
        // The link up begins with two dots.
        let links = page.split("<li><a href=\"./").skip(1);
        let links: Vec<&str> = links.map(|item| item.split('"').next().unwrap()).collect();
        let json = served.get(&format!("{url}?format=json")).text();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let entries = json["entries"].as_array().unwrap();
        assert_eq!(entries.len(), links.len(), "{page} {json}");
        for (link, entry) in links.iter().zip(entries) {
            let path = format!("{name}{}", entry["name"].as_str().unwrap());
            let url = format!("{url}{link}");
            if entry["kind"] == "file" {
                by_json.insert(path.clone(), served.get(&url).body);
                by_link.insert(path, url);
            } else {
                assert!(link.ends_with('/'), "{link}");
                folders.push((url, path + "/"));
            }
        }
    }
    assert_eq!(by_link.len(), STRANGE.len());
    assert_eq!(by_json, by_name);
}

#[test]
fn keys_of_1024_bytes_and_of_a_thousand_levels_are_served() {
    let server = server();
    let deep = ("/".repeat(1000) + "x", "%25%25/".repeat(1000) + "x");
    let dots = ("../".repeat(341) + "x", "%25%25%252E%252E/".repeat(341) + "x");
    for (key, path) in [deep, dots, ("a/".repeat(511) + "xy", "a/".repeat(511) + "xy")] {
        server.put(BUCKET, &key, "the bottom");
        let served = Served::start(&server, &[]);
        server.reset_counts();
        let reply = served.get(&format!("/{path}"));
        assert_eq!((reply.status, reply.text().as_str()), (200, "the bottom"), "{path}");
        let deep = path.matches('/').count() as u64;
        assert_eq!((server.counts().list, server.counts().get), (deep, 1));
        assert!(server.delete(BUCKET, &key));
    }
}
