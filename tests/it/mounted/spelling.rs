//! Servers that write keys in their listings in another way than AWS.

use std::fs;

use super::*;
use crate::support::server::ListingStyle;

const BARE_PLUS: ListingStyle =
    ListingStyle { etags: true, space_as_plus: false, bare_plus: true, is_silent: false };
const SILENT: ListingStyle =
    ListingStyle { etags: true, space_as_plus: true, bare_plus: false, is_silent: true };

/// Keys in whose writing servers differ.
const KEYS: [&str; 7] = ["a+b", "c d", "50%", "%2B", "%", "e%20f", "plain"];

/// A server that is not AWS, with these keys in folders of the same names.
fn server_with(style: ListingStyle, keys: &[&str]) -> Option<TestServer> {
    let server = server()?;
    server.ignore_conditions();
    server.set_listing(style);
    for key in keys {
        server.put(BUCKET, key, (*key).to_owned());
        server.put(BUCKET, &format!("d/{key}/file"), (*key).to_owned());
    }
    Some(server)
}

fn sorted(keys: &[&str]) -> Vec<String> {
    let mut keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
    keys.sort();
    keys
}

/// Whether all is there under its right name, with its own bytes.
fn is_right(mount: &Mount, keys: &[&str]) -> bool {
    names(&mount.join("d")) == sorted(keys)
        && keys.iter().all(|key| {
            let is_it =
                |path: String| fs::read(mount.join(path)).is_ok_and(|b| b == key.as_bytes());
            is_it((*key).to_owned()) && is_it(format!("d/{key}/file"))
        })
}

#[test]
fn whatever_else_is_listed_shows_how_keys_are_written_and_nothing_is_asked() {
    // A space as digits; a sign that encoding would have changed.
    let unsaid = ListingStyle { is_silent: true, ..ListingStyle::default() };
    for (style, keys) in [(BARE_PLUS, &KEYS[..]), (ListingStyle::default(), &KEYS[..])] {
        let Some(server) = server_with(style, keys) else { return };
        let mount = mount(&server, &[]);
        let (right, cost) = cost_of(&server, || is_right(&mount, keys));
        assert!(right, "{style:?}");
        assert_eq!((cost.head, server.counts().status_4xx), (0, 0), "{style:?}");
        mount.end();
    }
    // Nothing needs digits here: read as it stands, which is right.
    let Some(server) = server_with(unsaid, &["plain", "a-b_c.d"]) else { return };
    let mount = mount(&server, &[]);
    let (right, cost) = cost_of(&server, || is_right(&mount, &["plain", "a-b_c.d"]));
    assert!(right && cost.head == 0);
    mount.end();
}

#[test]
fn the_first_file_that_is_not_there_as_listed_shows_how_keys_are_written() {
    for (style, keys, listed) in [
        (BARE_PLUS, &["a+b", "plain"][..], "a b"),
        (SILENT, &["50%", "plain"][..], "50%25"),
        (SILENT, &["c d", "plain"][..], "c+d"),
    ] {
        // That a plus stands for a space without a word shows by digits only.
        let keys = if listed == "c+d" { &["c d", "50%", "plain"][..] } else { keys };
        let Some(server) = server_with(style, keys) else { return };
        let mount = mount(&server, &["--metadata-ttl", "3600"]);
        let wrong = if listed == "c+d" { "50%25" } else { listed };
        assert!(names(mount.path()).contains(&wrong.to_owned()), "{listed}");
        let (read, cost) = cost_of(&server, || fs::read(mount.join(wrong)));
        assert_eq!(errno(read), libc::ENOENT);
        assert_eq!((cost.get, cost.head), (1, 1), "{listed}: one question");
        until(listed, || is_right(&mount, keys));
        assert_eq!(lines(&mount, "INFO", "keys are read so from now on").len(), 1, "{listed}");
        mount.end();
    }
}

#[test]
fn the_first_folder_that_is_empty_against_its_listing_shows_it_too() {
    for (style, key, listed) in [(BARE_PLUS, "a+b", "a b"), (SILENT, "50%", "50%25")] {
        let Some(server) = server_with(style, &[key]) else { return };
        let mount = mount(&server, &["--metadata-ttl", "3600"]);
        assert_eq!(names(&mount.join("d")), [listed]);
        let (_, cost) = cost_of(&server, || names(&mount.join("d").join(listed)));
        assert_eq!((cost.list, cost.head), (2, 0), "the folder, and one question");
        until(key, || names(&mount.join("d")) == [key]);
        assert!(is_right(&mount, &[key]), "{key}");
        mount.end();
    }
}

#[test]
fn a_key_that_is_really_gone_is_asked_for_a_few_times_at_most_and_never_on_aws() {
    for is_aws in [true, false] {
        let Some(server) = server() else { return };
        if !is_aws {
            server.ignore_conditions();
        }
        for n in 0..20 {
            server.put(BUCKET, &format!("gone {n}"), "x");
        }
        let mount = mount(&server, &["--metadata-ttl", "3600"]);
        assert_eq!(names(mount.path()).len(), 20);
        for n in 0..20 {
            server.delete(BUCKET, &format!("gone {n}"));
        }
        let (_, cost) = cost_of(&server, || {
            for n in 0..20 {
                let read = fs::read(mount.join(format!("gone {n}")));
                assert_eq!(errno(read), libc::ENOENT);
            }
        });
        assert_eq!(cost.head, if is_aws { 0 } else { 8 });
        assert_eq!(lines(&mount, "INFO", "keys are read so").len(), 0);
        mount.end();
    }
}
