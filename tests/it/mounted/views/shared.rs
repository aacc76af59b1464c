//! The cache that mounts share (`--shared-cache`): what one makes the next one finds, and what
//! it costs where it is damaged, forbidden or not there.

use std::process::Command;

use super::mosaic::mosaic;
use super::*;
use crate::harness::backend::{Backend, backends};
use crate::harness::mounting::{PROGRAM, succeeds};
use crate::support::server::{Effect, Fault, Op, Refusal};

/// What `s3mem status --json` says.
fn status(mount: &Mount) -> serde_json::Value {
    let text = succeeds(Command::new(PROGRAM).args(["status", "--json"]).arg(mount.path()));
    serde_json::from_str(&text).unwrap()
}

/// What it says of the shared cache under a name.
fn told(mount: &Mount, name: &str) -> u64 {
    status(mount)["shared_cache"][name].as_u64().unwrap()
}

/// GETs of the bucket that is mounted.
fn gets(mount: &Mount) -> u64 {
    status(mount)["requests"]["get_requests"].as_u64().unwrap()
}

/// The bucket of `backend`, mounted with a shared cache in it.
fn sharing(backend: &Backend, flags: &[&str]) -> Mount {
    let place = format!("--shared-cache=s3://{}/made", backend.client().1);
    backend.mount(&[&[place.as_str()], flags].concat())
}

/// The entries of the shared cache.
fn shared_keys(backend: &Backend) -> Vec<String> {
    let mut keys = backend.keys();
    keys.retain(|key| key.starts_with("made/"));
    keys
}

/// The header of the indexed sibling, which takes the place of every tile-part.
fn indexed(mount: &Mount) -> Vec<u8> {
    let path = sibling(mount, "scene.j2k", ".indexed.j2k");
    fs::metadata(&path).unwrap();
    part(&open_random(&path), 0..4096).unwrap()
}

#[test]
fn an_index_is_searched_once_for_all_machines_and_found_by_one_get() {
    for backend in backends() {
        backend.put("scene.j2k", mosaic(5, 8, false).bytes);
        let first = sharing(&backend, &[]);
        let right = indexed(&first);
        let searched = gets(&first);
        assert!(searched > 10, "{searched}");
        until("the index is there", || told(&first, "written") == 1);
        assert_eq!((told(&first, "get_requests"), told(&first, "put_requests")), (1, 1));
        first.end();
        let keys = shared_keys(&backend);
        assert!(keys.len() == 1 && keys[0].starts_with("made/s3mem-shared-1/"), "{keys:?}");

        let second = sharing(&backend, &[]);
        backend.reset_counts();
        assert!(indexed(&second) == right);
        // The header of the image, which has what the program reads.
        assert_eq!((gets(&second), told(&second, "get_requests")), (1, 1));
        assert_eq!((told(&second, "hits"), told(&second, "put_requests")), (1, 0));
        if let Some(counts) = backend.counts() {
            assert_eq!((counts.get, counts.requests() - counts.list), (2, 2), "{counts:?}");
        }
        let text = succeeds(Command::new(PROGRAM).arg("status").arg(second.path()));
        let line = text.lines().find(|line| line.contains("shared cache")).unwrap();
        assert!(line.contains("100 % of 1 found; 1 GET (") && line.contains("0 PUT (0"), "{line}");
        second.end();

        // Without the flag nobody asks.
        let third = backend.mount(&[]);
        backend.reset_counts();
        assert!(indexed(&third) == right);
        assert_eq!(gets(&third), searched);
        if let Some(counts) = backend.counts() {
            assert_eq!(counts.get, searched);
        }
        assert!(status(&third)["shared_cache"].is_null());
        third.end();
        // Another version of the image is another one.
        backend.put("scene.j2k", mosaic(5, 9, false).bytes);
        let fourth = sharing(&backend, &[]);
        assert!(indexed(&fourth) != right);
        assert_eq!((told(&fourth, "hits"), told(&fourth, "misses")), (0, 1));
        fourth.end();
        assert_eq!(shared_keys(&backend).len(), 2);
    }
}

#[test]
fn the_second_machine_of_a_fleet_decodes_nothing_that_the_first_one_did() {
    for backend in backends() {
        backend.put("B01.jp2", B01_JP2);
        let read = |mount: &Mount| {
            ["B01.jp2.preview.png", "B01.jp2.tif", "B01.jp2.npy"]
                .map(|name| fs::read(mount.join(name)).unwrap())
        };
        let decoded = |mount: &Mount| status(mount)["tiles"]["decoded_tiles"].as_u64().unwrap();
        let first = sharing(&backend, &["--shared-cache-tiles"]);
        let right = read(&first);
        assert!(decoded(&first) >= 4);
        // What is still on its way is waited for.
        first.end();
        let entries = shared_keys(&backend).len();
        assert!(entries > 4, "{entries}");
        let second = sharing(&backend, &["--shared-cache-tiles"]);
        assert!(read(&second) == right);
        assert_eq!((decoded(&second), told(&second, "put_requests")), (0, 0));
        // The header of the image alone.
        assert_eq!(gets(&second), 1);
        second.end();
        // Tiles are an option, previews are not.
        let third = sharing(&backend, &[]);
        assert!(fs::read(third.join("B01.jp2.preview.png")).unwrap() == right[0]);
        assert_eq!((decoded(&third), gets(&third), told(&third, "get_requests")), (0, 1, 1));
        assert!(fs::read(third.join("B01.jp2.npy")).unwrap() == right[2]);
        assert!(decoded(&third) > 0);
        third.end();
        let fourth = sharing(&backend, &["--preview-size=100"]);
        assert!(fs::read(fourth.join("B01.jp2.preview.png")).unwrap() != right[0]);
        fourth.end();
        assert_eq!(shared_keys(&backend).len(), entries + 1);
    }
}

#[test]
fn bytes_of_objects_never_go_there() {
    for backend in backends() {
        backend.put("B01.jp2", B01_JP2);
        backend.put("plain", vec![7; 3 << 20]);
        let mount = sharing(&backend, &["--shared-cache-tiles", "--writes=memory"]);
        assert!(fs::read(mount.join("B01.jp2")).unwrap() == B01_JP2);
        assert_eq!(fs::read(mount.join("plain")).unwrap().len(), 3 << 20);
        // Nor does what is made of a file that nobody has uploaded.
        fs::write(mount.join("new.jp2"), B01_JP2).unwrap();
        assert!(!fs::read(mount.join("new.jp2.preview.png")).unwrap().is_empty());
        assert_eq!((told(&mount, "get_requests"), told(&mount, "put_requests")), (0, 0));
        mount.end();
        assert_eq!(shared_keys(&backend), Vec::<String>::new());
    }
}

#[test]
fn junk_in_the_place_of_entries_costs_a_get_each_and_is_replaced() {
    for backend in backends() {
        backend.put("B01.jp2", B01_JP2);
        let preview = |mount: &Mount| fs::read(mount.join("B01.jp2.preview.png")).unwrap();
        let first = sharing(&backend, &[]);
        let right = preview(&first);
        first.end();
        // The index, and the preview.
        let keys = shared_keys(&backend);
        assert_eq!(keys.len(), 2);
        let size = |key: &&String| backend.get(key).unwrap().len();
        let key = keys.iter().max_by_key(size).unwrap();
        let entry = backend.get(key).unwrap();
        let mut flipped = entry.clone();
        flipped[entry.len() / 2] ^= 1;
        let version = [b"s3mem shared 2\n", &entry[15..]].concat();
        let junk = [flipped, version, entry[..entry.len() - 1].to_vec(), b"<html>".to_vec()];
        for junk in junk {
            backend.put(key, junk);
            let mount = sharing(&backend, &[]);
            assert!(preview(&mount) == right);
            assert_eq!((told(&mount, "damaged"), told(&mount, "hits")), (1, 1));
            mount.end();
            assert!(backend.has(key, &entry), "it is mended");
        }
    }
}

#[test]
fn a_key_keeps_out_what_is_not_signed_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let key = |name: &str, byte: u8| {
        let file = folder.path().join(name);
        fs::write(&file, [byte; 32]).unwrap();
        format!("--shared-cache-key={}", file.display())
    };
    let (one, two) = (key("one", 1), key("two", 2));
    for backend in backends() {
        backend.put("scene.j2k", mosaic(5, 8, false).bytes);
        let mut right = None;
        for (flags, hits) in [(&[][..], 0), (&[one.as_str()], 0), (&[&one], 1), (&[&two], 0)] {
            let mount = sharing(&backend, flags);
            let found = indexed(&mount);
            assert!(*right.get_or_insert(found.clone()) == found);
            assert_eq!(told(&mount, "hits"), hits, "{flags:?}");
            mount.end();
        }
        assert_eq!(shared_keys(&backend).len(), 3);
    }
}

#[test]
fn who_may_not_write_there_reads_what_others_have_made() {
    let Some(server) = server() else { return };
    let backend = Backend::InProcess(server);
    let server = backend.server().unwrap();
    server.put(BUCKET, "scene.j2k", mosaic(5, 8, false).bytes);
    server.put(BUCKET, "B01.jp2", B01_JP2);
    let writer = sharing(&backend, &[]);
    let right = indexed(&writer);
    writer.end();
    let refuse = Effect::Refuse(Refusal::AccessDenied);
    let refused = server.fault(Fault::new(refuse).on(Op::Put).bucket(BUCKET));
    let reader = sharing(&backend, &["--log-level=info"]);
    assert!(indexed(&reader) == right);
    assert_eq!(told(&reader, "hits"), 1);
    assert!(!fs::read(reader.join("B01.jp2.preview.png")).unwrap().is_empty());
    until("it is refused", || server.fault_hits(refused) == 1);
    assert!(!fs::read(sibling(&reader, "scene.j2k", ".preview.png")).unwrap().is_empty());
    until("it is told", || {
        !lines(&reader, "INFO", "you may not write to s3://mounted/made").is_empty()
    });
    assert_eq!((server.fault_hits(refused), told(&reader, "failed")), (1, 1), "tried once");
    reader.end();
}

#[test]
fn a_shared_cache_in_trouble_costs_two_requests_and_a_line_in_the_log() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "scene.j2k", mosaic(5, 8, false).bytes);
    let names = ["a.jp2", "b.jp2", "c.jp2", "d.jp2"];
    names.iter().for_each(|name| drop(server.put(BUCKET, name, B01_JP2)));
    let read = |mount: &Mount| {
        let preview = |name: &&str| fs::read(mount.join(format!("{name}.preview.png"))).unwrap();
        (indexed(mount), names.iter().map(preview).collect::<Vec<_>>())
    };
    let plain = mount(&server, &[]);
    let right = read(&plain);
    let plainly = gets(&plain);
    plain.end();
    let check = |place: &str, what: &str| {
        let sharing = mount(&server, &[&format!("--shared-cache={place}")]);
        assert!(read(&sharing) == right, "{what}");
        assert_eq!(gets(&sharing), plainly, "{what}");
        assert_eq!((told(&sharing, "get_requests"), told(&sharing, "pauses")), (2, 1), "{what}");
        assert!(told(&sharing, "put_requests") <= 6, "{what}");
        let told = lines(&sharing, "WARN", "--shared-cache");
        assert!((1..=2).contains(&told.len()), "{told:?}");
        sharing.end();
    };
    check("s3://no-such-bucket/made", "there is no such bucket");
    server.create_bucket("fleet");
    for effect in [Effect::Refuse(Refusal::InternalError), Effect::Drop, Effect::Hang] {
        let what = format!("{effect:?}");
        server.fault(Fault::new(effect).bucket("fleet"));
        check("s3://fleet/made", &what);
        server.release();
        server.clear_faults();
    }
}
