//! Servers, and proxies before them, whose answers differ from AWS's in form.

use std::fs;
use std::io::ErrorKind;

use super::*;
use crate::support::server::{Effect, Fault, IfMatch, Meta, Op, TagStyle};

/// A server that is not AWS, with one file.
fn odd_server() -> Option<TestServer> {
    let server = server()?;
    server.ignore_conditions();
    let meta =
        Meta { metadata: [("name".to_owned(), "value".to_owned())].into(), ..Meta::default() };
    server.put_with(BUCKET, "d/file", "contents", meta);
    Some(server)
}

#[test]
fn headers_that_nobody_needs_may_say_what_they_like() {
    let odd: [(&str, &[u8]); 15] = [
        ("content-disposition", b"attachment; filename=\"caf\xe9.txt\""),
        ("content-language", b"\xff"),
        ("content-encoding", b"\xff"),
        ("cache-control", b"\xff"),
        ("content-type", b"text/\xff"),
        ("x-amz-meta-name", b"caf\xe9"),
        ("x-amz-expiration", b"\xff"),
        ("expires", b"soon"),
        ("x-amz-missing-meta", b"some"),
        ("x-amz-mp-parts-count", b"many"),
        ("x-amz-tagging-count", b"none"),
        ("x-amz-delete-marker", b"perhaps"),
        ("x-amz-server-side-encryption-bucket-key-enabled", b"yes, please"),
        ("x-amz-object-lock-retain-until-date", b"forever"),
        ("last-modified", b"yesterday"),
    ];
    let Some(server) = odd_server() else { return };
    let mount = mount(&server, &["--metadata-ttl", "0"]);
    for (name, value) in odd {
        server.clear_faults();
        server.put(BUCKET, "d/file", name);
        server.fault(Fault::new(Effect::Header(name, value)));
        assert_eq!(fs::read_to_string(mount.join("d/file")).unwrap(), name);
        assert!(xattr_of(&mount.join("d/file"), "user.s3.content-type").is_ok(), "{name}");
    }
    mount.end();
}

/// An extended attribute, as `getfattr` would show it.
fn xattr_of(path: &std::path::Path, name: &str) -> std::io::Result<Vec<u8>> {
    let mut value = vec![0; 256];
    let length = rustix::fs::getxattr(path, name, &mut value)?;
    value.truncate(length);
    Ok(value)
}

#[test]
fn a_listing_with_an_odd_time_or_count_is_a_directory_like_any_other() {
    for odd in [
        Effect::Element("LastModified", Some("Sat, 28 Nov 2026 21:56:10 GMT")),
        Effect::Element("LastModified", Some("2026-11-28T21:56:10+0000")),
        Effect::Element("LastModified", Some("")),
        Effect::Element("LastModified", Some("yesterday")),
        Effect::Element("KeyCount", Some("several")),
        Effect::Element("MaxKeys", Some("unlimited")),
        Effect::Element("IsTruncated", None),
        Effect::Element("ETag", Some("")),
        Effect::Element("StorageClass", None),
    ] {
        let Some(server) = odd_server() else { return };
        server.fault(Fault::new(odd.clone()).on(Op::List));
        let mount = mount(&server, &[]);
        assert_eq!(names(&mount.join("d")), ["file"], "{odd:?}");
        assert_eq!(fs::read_to_string(mount.join("d/file")).unwrap(), "contents", "{odd:?}");
        mount.end();
    }
}

#[test]
fn a_listing_without_sizes_is_an_error_that_names_the_field_and_never_an_empty_file() {
    for odd in [Effect::Element("Size", None), Effect::Element("Size", Some("big"))] {
        let Some(server) = odd_server() else { return };
        let mount = mount(&server, &["--request-timeout", "2"]);
        server.fault(Fault::new(odd).on(Op::List).key("d/"));
        let error = fs::metadata(mount.join("d/file")).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EIO));
        let log = mount.log();
        assert!(log.contains("Size") && log.contains(&server.endpoint()), "{log}");
        mount.end();
    }
}

#[test]
fn a_range_without_the_size_of_the_whole_is_read() {
    let Some(server) = odd_server() else { return };
    server.fault(Fault::new(Effect::Header("content-range", b"bytes 0-7/*")).on(Op::Get));
    let mount = mount(&server, &[]);
    assert_eq!(fs::read_to_string(mount.join("d/file")).unwrap(), "contents");
    mount.end();
}

#[test]
fn a_copy_whose_time_is_odd_is_a_rename() {
    let Some(server) = odd_server() else { return };
    let mount = mount(&server, &["--writes", "upload", "--allow-delete"]);
    server.fault(Fault::new(Effect::Element("LastModified", Some("now"))).on(Op::Put));
    fs::rename(mount.join("d/file"), mount.join("d/other")).unwrap();
    assert_eq!(server.keys(BUCKET), ["d/other"]);
    mount.end();
}

#[test]
fn a_tag_that_a_proxy_rewrites_is_still_the_same_version() {
    for told in ["W/\"TAG\"", "TAG", "\"TAG-gzip\"", "W/\"TAG-gzip\""] {
        let Some(server) = odd_server() else { return };
        server.set_tags(TagStyle { told, ..TagStyle::default() });
        let mount = mount(&server, &["--writes", "upload", "--allow-delete", "--allow-overwrite"]);
        assert_eq!(fs::read_to_string(mount.join("d/file")).unwrap(), "contents", "{told}");
        fs::rename(mount.join("d/file"), mount.join("d/other")).unwrap();
        fs::write(mount.join("d/other"), "new").unwrap();
        fs::write(mount.join("d/other"), "newer").unwrap();
        assert_eq!(server.get(BUCKET, "d/other").unwrap().content.slice(0..5), "newer", "{told}");
        fs::remove_file(mount.join("d/other")).unwrap();
        assert_eq!(server.keys(BUCKET), [""; 0], "{told}");
        mount.end();
    }
}

#[test]
fn a_server_that_wants_tags_without_quotes_gets_them_so() {
    let Some(server) = odd_server() else { return };
    server.set_tags(TagStyle { if_match: IfMatch::Bare, ..TagStyle::default() });
    server.put(BUCKET, "second", "x");
    let mount = mount(&server, &["--writes", "upload", "--allow-delete", "--allow-overwrite"]);
    assert_eq!(fs::read_to_string(mount.join("d/file")).unwrap(), "contents");
    // From then on nothing is refused.
    let (read, cost) = cost_of(&server, || fs::read_to_string(mount.join("second")));
    assert_eq!((read.unwrap().as_str(), cost.get, cost.head), ("x", 1, 0));
    fs::rename(mount.join("d/file"), mount.join("d/other")).unwrap();
    fs::write(mount.join("second"), "new").unwrap();
    assert_eq!(server.get(BUCKET, "second").unwrap().content.slice(0..3), "new");
    fs::remove_file(mount.join("d/other")).unwrap();
    assert_eq!(server.keys(BUCKET), ["second"]);
    mount.end();
}

#[test]
fn a_server_that_refuses_its_own_tags_can_be_read_and_begins_nothing_that_it_cannot_finish() {
    let Some(server) = odd_server() else { return };
    server.set_tags(TagStyle { if_match: IfMatch::Never, ..TagStyle::default() });
    let mount = mount(&server, &["--writes", "upload", "--allow-delete", "--allow-overwrite"]);
    assert_eq!(fs::read_to_string(mount.join("d/file")).unwrap(), "contents");
    assert_eq!(lines(&mount, "WARN", "refuses the ETags").len(), 1);
    let error = fs::rename(mount.join("d/file"), mount.join("d/other")).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EIO));
    assert_eq!(server.keys(BUCKET), ["d/file"], "no copy is left");
    // An overwritten object still is another version.
    let open = fs::File::open(mount.join("d/file")).unwrap();
    server.put(BUCKET, "d/file", "CONTENTS and more");
    drop(open);
    fs::remove_file(mount.join("d/file")).unwrap_err();
    assert_eq!(server.keys(BUCKET), ["d/file"]);
    mount.end();
}

#[test]
fn an_overwritten_object_is_stale_on_a_server_that_refuses_its_own_tags() {
    let Some(server) = odd_server() else { return };
    server.set_tags(TagStyle { if_match: IfMatch::Never, ..TagStyle::default() });
    let mount = mount(&server, &[]);
    fs::metadata(mount.join("d/file")).unwrap();
    server.put(BUCKET, "d/file", "CONTENTS");
    let error = fs::read(mount.join("d/file")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StaleNetworkFileHandle);
    assert_eq!(fs::read_to_string(mount.join("d/file")).unwrap(), "CONTENTS");
    mount.end();
}

#[test]
fn other_bytes_than_were_asked_for_are_given_to_nobody() {
    // Asked for are bytes 0-7 of 8. The last of these is a size that the object does not have.
    for told in ["bytes 1-8/9", "bytes 0-3/8", "bytes 0-8/9", "bytes 0-7/7", "bytes 0-7/9"] {
        let Some(server) = odd_server() else { return };
        let mount = mount(&server, &["--writes", "upload", "--allow-overwrite"]);
        server.fault(Fault::new(Effect::Header("content-range", told.as_bytes())).on(Op::Get));
        let path = mount.join("d/file");
        let errors = [libc::EIO, libc::ESTALE];
        // A reader, a sibling, and who goes on writing to it.
        assert!(errors.contains(&errno(fs::read(&path))), "{told}");
        assert!(errors.contains(&errno(fs::read(mount.join("d/file.json")))), "{told}");
        let append = fs::OpenOptions::new().append(true).open(&path);
        assert!(errors.contains(&errno(append)), "{told}");
        if told != "bytes 0-7/9" {
            assert!(!lines(&mount, "ERROR", told).is_empty(), "{told}: {}", mount.log());
        }
        server.clear_faults();
        assert_eq!(fs::read_to_string(&path).unwrap(), "contents", "{told}");
        mount.end();
    }
}
