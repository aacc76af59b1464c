//! Large directories, and walking through them in every way.

use std::collections::BTreeSet;
use std::env;
use std::process::Command;

use super::system::DirStream;
use super::*;
use crate::harness::mounting::succeeds;

const MANY: usize = 100_000;

#[test]
fn a_directory_of_100_000_objects_is_listed_completely_in_bounded_memory() {
    let Some(server) = server() else { return };
    server.put_many(BUCKET, (0..MANY).map(|n| (format!("d/tile-{n:06}.tif"), "x")));
    let mount = mount(&server, &["--memory", "64M"]);
    let folder = mount.join("d");
    let shell = |command: &str| {
        let mut shell = Command::new("sh");
        succeeds(shell.args(["-c", command, "sh"]).arg(&folder)).trim().to_owned()
    };
    // A full walk is a listing of 100 pages; `.` and `..` are entries too.
    let (lines, cost) = cost_of(&server, || shell(r#"ls -f "$1" | wc -l"#));
    assert_eq!((lines, cost), ((MANY + 2).to_string(), Cost { list: 100, ..NOTHING }));
    assert_eq!(shell(r#"find "$1" -type f -name 'tile-*' | wc -l"#), MANY.to_string());
    assert_eq!(shell(r#"ls -l "$1" | wc -l"#), (MANY + 1).to_string());
    assert_eq!(shell(r#"find "$1" -size -2 -newermt 2020-01-01 | wc -l"#), (MANY + 1).to_string());
    let glob = r#"set -- "$1"/tile-0999*.tif; echo $#"#;
    assert_eq!(shell(glob), "100");

    let names: BTreeSet<String> = names(&folder).into_iter().collect();
    assert!(
        names.iter().eq((0..MANY).map(|n| format!("tile-{n:06}.tif")).collect::<Vec<_>>().iter())
    );
    let most = mount.memory_bytes("VmHWM");
    println!("100,000 objects: {} MiB at most, with --memory 64M", most / MIB);
    assert!(most <= 128 * MIB, "{most} bytes resident");
    mount.end();
}

#[test]
fn the_first_names_of_a_huge_directory_cost_one_list_and_all_of_them_hardly_more_than_their_pages()
{
    let Some(server) = server() else { return };
    // The full size takes minutes: S3MEM_TEST_FULL_SIZE=1 asks for it.
    let is_full = env::var_os("S3MEM_TEST_FULL_SIZE").is_some_and(|value| value == "1");
    let count = if is_full { 1_000_000 } else { 120_000 };
    server.put_many(BUCKET, (0..count).map(|n| (format!("d/tile-{n:07}.tif"), "x")));
    let mount = mount(&server, &["--memory", "256M"]);
    let folder = mount.join("d");
    let mut stream = DirStream::open(&folder);
    let (first, cost) =
        cost_of(&server, || (0..5).map_while(|_| stream.next()).collect::<Vec<_>>());
    assert_eq!(first[2..], ["tile-0000000.tif", "tile-0000001.tif", "tile-0000002.tif"]);
    assert_eq!(cost, Cost { list: 1, ..NOTHING });
    let (rest, cost) = cost_of(&server, || stream.rest());
    let numbers = rest.iter().map(|name| name[5..12].parse::<usize>().unwrap());
    assert!(numbers.eq(3..count), "{} names", rest.len());
    let pages = count as u64 / 1000;
    println!("{count} names: {cost:?} after the first, {} MiB", mount.memory_bytes("VmHWM") / MIB);
    assert!((pages - 1..=pages + pages / 16 + 8).contains(&cost.list), "{cost:?}");
    drop(stream);
    let most = mount.memory_bytes("VmHWM");
    assert!(most <= 320 * MIB, "{most} bytes resident");
    mount.end();
}

#[test]
fn names_of_a_huge_directory_that_nobody_listed_cost_a_list_each() {
    let Some(server) = server() else { return };
    server.put_many(BUCKET, (0..MANY).map(|n| (format!("d/tile-{n:07}.tif"), "x")));
    let mount = mount(&server, &["--memory", "64M"]);
    let (_, cost) = cost_of(&server, || fs::metadata(mount.join("d/tile-0050000.tif")).unwrap());
    assert!(cost.list <= 3, "the root, the first page, and the name: {cost:?}");
    for n in [7_000, 99_999, 42] {
        let name = format!("d/tile-{n:07}.tif");
        let is_first_page = n < 1000;
        let (_, cost) = cost_of(&server, || fs::metadata(mount.join(&name)).unwrap());
        assert_eq!(cost, Cost { list: u64::from(!is_first_page), ..NOTHING }, "{name}");
    }
    mount.end();
}

#[test]
fn a_directory_of_100_000_directories_is_listed_completely() {
    let Some(server) = server() else { return };
    server.put_many(BUCKET, (0..MANY).map(|n| (format!("d/{n:06}/leaf"), "x")));
    let mount = mount(&server, &["--memory", "64M"]);
    let mut stream = DirStream::open(&mount.join("d"));
    let listed: BTreeSet<String> = stream.rest().into_iter().collect();
    assert_eq!(listed.len(), MANY + 2);
    assert!((0..MANY).all(|n| listed.contains(&format!("{n:06}"))));
    drop(stream);
    mount.end();
}

#[test]
fn a_directory_stream_goes_back_to_any_place_it_told() {
    let Some(server) = server() else { return };
    server.put_many(BUCKET, (0..3456).map(|n| (format!("d/{n:04}"), "x")));
    let mount = mount(&server, &[]);
    let mut stream = DirStream::open(&mount.join("d"));
    let mut whole = Vec::new();
    let mut places = Vec::new();
    loop {
        let place = stream.tell();
        let Some(name) = stream.next() else { break };
        places.push((place, whole.len()));
        whole.push(name);
    }
    assert_eq!(&whole[..2], [".", ".."]);
    assert_eq!(whole.len(), 3458);
    // Backwards and forwards, across pages and past what the kernel has buffered.
    for &(place, number) in places.iter().rev().step_by(491).chain(places.iter().step_by(677)) {
        stream.seek(place);
        assert_eq!(stream.tell(), place);
        let next: Vec<_> = (0..5).map_while(|_| stream.next()).collect();
        assert_eq!(next, whole[number..whole.len().min(number + 5)], "from entry {number} on");
    }
    stream.rewind();
    assert_eq!(stream.rest(), whole);
    drop(stream);
    mount.end();
}

#[test]
fn rewinding_a_stream_shows_what_has_appeared_since() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "d/old", "x");
    let mount = mount(&server, &["--metadata-ttl", "0"]);
    let mut stream = DirStream::open(&mount.join("d"));
    assert_eq!(stream.rest(), [".", "..", "old"]);
    server.put(BUCKET, "d/new", "x");
    stream.rewind();
    assert_eq!(stream.rest(), [".", "..", "new", "old"]);
    drop(stream);
    mount.end();
}

#[test]
fn one_process_lists_one_directory_through_two_streams_at_once() {
    let Some(server) = server() else { return };
    server.put_many(BUCKET, (0..2500).map(|n| (format!("d/{n:04}"), "x")));
    let mount = mount(&server, &[]);
    let (mut one, mut other) =
        (DirStream::open(&mount.join("d")), DirStream::open(&mount.join("d")));
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for _ in 0..1000 {
        first.extend(one.next());
    }
    while let Some(name) = other.next() {
        second.push(name);
        first.extend(one.next());
    }
    first.extend(one.rest());
    assert_eq!(first.len(), 2502);
    assert_eq!(first, second);
    drop((one, other));
    mount.end();
}

#[test]
fn a_prefix_is_mounted_as_the_root_and_nothing_beside_it_is_seen() {
    for source in ["mounted/tiles/10", "s3://mounted/tiles/10/"] {
        let Some(server) = server() else { return };
        for key in ["tiles/10/a", "tiles/10/b/c", "tiles/100/x", "tiles/10", "tiles/1", "y"] {
            server.put(BUCKET, key, key);
        }
        let (mount, cost) = cost_of(&server, || Mounting::of(&server, source).in_foreground());
        assert_eq!(cost, Cost { list: 1, ..NOTHING });
        assert_eq!(names(mount.path()), ["a", "b"]);
        assert_eq!(fs::read(mount.join("a")).unwrap(), b"tiles/10/a");
        assert_eq!(fs::read(mount.join("b/c")).unwrap(), b"tiles/10/b/c");
        assert_eq!(errno(fs::read(mount.join("x"))), libc::ENOENT);
        mount.end();
    }
}

#[test]
fn tar_and_rsync_copy_a_tree_of_thousands_completely() {
    let Some(server) = server() else { return };
    server.put_many(BUCKET, (0..3000).map(|n| (format!("t/{}/{n:04}", n % 7), format!("{n}"))));
    let mount = mount(&server, &[]);
    let copies = tempfile::tempdir().unwrap();
    let script = r#"set -e
        tar -C "$1/t" -cf "$2/t.tar" .
        mkdir "$2/tar"; tar -C "$2/tar" -xf "$2/t.tar"
        diff -r "$1/t" "$2/tar"
        if command -v rsync >/dev/null; then
            rsync -a "$1/t/" "$2/rsync"
            diff -r "$2/tar" "$2/rsync"
        fi
        find "$2/tar" -type f | wc -l"#;
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh"]).arg(mount.path()).arg(copies.path());
    assert_eq!(succeeds(&mut shell).trim(), "3000");
    mount.end();
}
