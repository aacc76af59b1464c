//! Every key has one name in the mount, and gives its own bytes under it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

use super::*;
use crate::harness::backend::{Backend, backends};
use crate::harness::keys::STRANGE;
use crate::support::server::{ACCESS_KEY, SECRET_KEY};

/// All files below a directory by their path from it, with their content.
fn tree(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for name in names(&root.join(&folder)) {
            let path = format!("{folder}{name}");
            if fs::metadata(root.join(&path)).unwrap().is_dir() {
                folders.push(format!("{path}/"));
            } else {
                files.insert(path.clone(), fs::read(root.join(&path)).unwrap());
            }
        }
    }
    files
}

#[test]
fn every_strange_key_is_found_under_its_documented_name_with_its_own_bytes() {
    let Some(server) = server() else { return };
    let keys = STRANGE.iter().map(|(key, _)| *key);
    server.put_many(BUCKET, keys.map(|key| (key, key)));
    server.put(BUCKET, "nul\0byte", "nul\0byte");
    let expected = STRANGE.iter().copied().chain([("nul\0byte", "%%nul%00byte")]);
    let expected: BTreeMap<String, Vec<u8>> =
        expected.map(|(key, name)| (name.to_owned(), key.as_bytes().to_vec())).collect();
    let mount = mount(&server, &[]);
    assert_eq!(tree(mount.path()), expected);
    mount.end();
    // By name alone too, before anything was listed.
    let mount = super::mount(&server, &["--metadata-ttl", "0"]);
    for (name, bytes) in &expected {
        assert_eq!(&fs::read(mount.join(name)).unwrap(), bytes, "{name:?}");
    }
    mount.end();
}

#[test]
fn strange_keys_have_the_same_names_on_every_server() {
    // MinIO keeps objects as files, so some keys it can't hold at all.
    let refused = |key: &str| {
        key.split('/').any(|part| matches!(part, "" | "." | ".."))
            || key == "a"
            || key.contains('\\')
    };
    let expected: BTreeMap<String, Vec<u8>> = STRANGE
        .iter()
        .filter(|(key, _)| !refused(key))
        .map(|(key, name)| ((*name).to_owned(), key.as_bytes().to_vec()))
        .collect();
    assert!(expected.len() >= 20);
    for backend in backends() {
        for (key, _) in STRANGE.iter().filter(|(key, _)| !refused(key)) {
            backend.put(key, *key);
        }
        let mount = backend.mount(&[]);
        assert_eq!(tree(mount.path()), expected, "{}", backend.name());
        mount.end();
        if let Backend::InProcess(server) = &backend {
            assert_eq!(server.counts().put, 0);
        }
    }
}

#[test]
fn names_that_no_key_has_answer_for_none() {
    let Some(server) = server() else { return };
    server.put_many(BUCKET, STRANGE.iter().map(|(key, _)| (*key, *key)));
    let mount = mount(&server, &[]);
    for name in [
        "a%%object%%object",
        "case%%object",
        "a/b%%object",
        "marker%%object",
        "%%case",
        "%%%63ase",
        "cas%65",
        "%%%2e",
        "x%%object",
        "y%%z",
        "y%%%z",
        "u%%v",
        "case%%versions",
        "one+two+three",
        "one%20two+three",
        "CASe",
        "%%%",
        "%",
        "lead",
        "twice",
    ] {
        assert_eq!(errno(fs::metadata(mount.join(name))), libc::ENOENT, "{name}");
    }
    mount.end();
}

#[test]
fn an_object_beside_a_directory_that_stands_a_page_later_has_its_suffix() {
    let Some(server) = server() else { return };
    // `-` comes before `/`, so the directory is on the third page.
    server.put(BUCKET, "d/a", "the object");
    server.put_many(BUCKET, (0..2000).map(|n| (format!("d/a-{n:04}"), "x")));
    server.put(BUCKET, "d/a/b", "below");
    let whole: Vec<String> = ["a", "a%%object"]
        .map(str::to_owned)
        .into_iter()
        .chain((0..2000).map(|n| format!("a-{n:04}")))
        .collect();
    for _ in 0..2 {
        let mount = mount(&server, &[]);
        assert_eq!(fs::read(mount.join("d/a%%object")).unwrap(), b"the object");
        assert_eq!(fs::read(mount.join("d/a/b")).unwrap(), b"below");
        assert!(fs::metadata(mount.join("d/a")).unwrap().is_dir());
        let mut expected = whole.clone();
        expected.sort();
        assert_eq!(names(&mount.join("d")), expected);
        let log = mount.log();
        let warnings = log.lines().filter(|line| line.contains("WARN") && line.contains("d/a"));
        assert_eq!(warnings.count(), 1, "{log}");
        assert!(log.contains("a%%object"), "{log}");
        mount.end();
    }
}

#[test]
fn an_empty_marker_makes_an_empty_directory_and_no_file() {
    for backend in backends() {
        backend.put("empty/", "");
        backend.put("full/", "");
        backend.put("full/x", "x");
        let mount = backend.mount(&[]);
        assert_eq!(names(mount.path()), ["empty", "full"], "{}", backend.name());
        assert_eq!(names(&mount.join("empty")), [""; 0], "{}", backend.name());
        assert_eq!(names(&mount.join("full")), ["x"], "{}", backend.name());
        mount.end();
    }
}

#[test]
fn segments_of_300_and_900_bytes_are_reached_through_directories_of_their_parts() {
    let Some(server) = server() else { return };
    let (long, longer) = ("L".repeat(300), "M".repeat(900));
    let letters = "é".repeat(200);
    let keys = [
        long.clone(),
        format!("{long}X"),
        format!("{longer}/below"),
        format!("dir/{longer}"),
        format!("{letters}!"),
        "L".repeat(255),
        "L".repeat(252),
        // As long as a name may be, and too long when it is escaped.
        format!("{}%%", "P".repeat(253)),
    ];
    server.put_many(BUCKET, keys.iter().map(|key| (key.clone(), key.clone())));
    let mount = mount(&server, &[]);
    let found = tree(mount.path());
    assert_eq!(found.len(), keys.len());
    for (path, bytes) in &found {
        assert!(path.split('/').all(|name| name.len() <= 255), "{path}");
        // The documented way back: what stands between the marks, put together.
        let key: String = path
            .split_inclusive('/')
            .map(|name| match name.strip_prefix("%%") {
                Some(rest) => rest.strip_suffix("%/").unwrap_or(rest).replace("%25", "%"),
                None => name.to_owned(),
            })
            .collect();
        assert_eq!(key.as_bytes(), bytes, "{path}");
    }
    assert!(found.contains_key(&"L".repeat(255)));
    assert!(found.contains_key(&format!("%%{}%/{}", "L".repeat(252), "L".repeat(48))));
    mount.end();
}

#[test]
fn a_key_that_is_no_utf_8_is_named_in_a_warning_and_hides_nobody() {
    if server().is_none() {
        return;
    }
    let endpoint = lists_a_key_in_latin_1();
    let mount = Mounting::at(&endpoint, ACCESS_KEY, SECRET_KEY, BUCKET).in_foreground();
    assert_eq!(names(mount.path()), ["before", "zebra"]);
    let log = mount.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("caf%E9.tif")).collect();
    assert!(
        matches!(lines[..], [line] if line.contains("WARN") && line.contains("UTF-8")),
        "{log}"
    );
    mount.end();
}

/// A server that knows one listing, in which a key is no UTF-8: a bucket in Rust
/// has no such key. Gives its address.
fn lists_a_key_in_latin_1() -> String {
    let entry = |key: &str| {
        format!(
            "<Contents><Key>{key}</Key><LastModified>2020-01-01T00:00:00.000Z</LastModified>\
             <ETag>&quot;1&quot;</ETag><Size>1</Size><StorageClass>STANDARD</StorageClass></Contents>"
        )
    };
    let page = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>{BUCKET}</Name>\
         <Prefix></Prefix><KeyCount>3</KeyCount><MaxKeys>1000</MaxKeys><Delimiter>%2F</Delimiter>\
         <EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>{}{}{}</ListBucketResult>",
        entry("before"),
        entry("caf%E9.tif"),
        entry("zebra")
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // The client may have gone: then there is nobody to answer.
            let _ = answer(stream, &page);
        }
    });
    format!("http://{address}")
}

fn answer(mut stream: TcpStream, page: &str) -> io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let length = page.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{page}"
    )
}
