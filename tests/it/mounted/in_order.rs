//! What programs cost that go through directories in order.

use std::process::Command;

use super::*;
use crate::harness::mounting::succeeds;

const SIZE: u64 = 16 << 10;

fn bytes_of(n: u64) -> Vec<u8> {
    vec![n as u8; SIZE as usize]
}

/// A mount of a bucket with a directory `d` of `count` files.
fn mount_of(count: u64) -> Option<(TestServer, Mount)> {
    let server = server()?;
    server.put_many(BUCKET, (0..count).map(|n| (format!("d/{n:04}"), bytes_of(n))));
    let mount = mount(&server, &[]);
    Some((server, mount))
}

/// What a shell's command costs, in the folder of the mount.
fn cost_of_shell(server: &TestServer, mount: &Mount, command: &str) -> (String, Cost) {
    cost_of(server, || succeeds(Command::new("sh").args(["-c", command]).current_dir(mount.path())))
}

#[test]
fn programs_that_read_a_directory_file_by_file_fetch_each_byte_once() {
    let whole = Cost { list: 1, head: 0, get: 300, bytes: 300 * SIZE };
    for command in [
        "cat d/* | cksum",
        "tar cf - d | cksum",
        "grep -rc nothing d | wc -l",
        "for file in d/*; do cat $file; done | cksum",
        "ls -U d | xargs -n 7 -P 3 -I {} cat d/{} | wc -c",
    ] {
        let Some((server, mount)) = mount_of(300) else { return };
        assert_eq!(cost_of_shell(&server, &mount, command).1, whole, "{command}");
        mount.end();
    }
}

#[test]
fn a_copy_of_a_directory_has_all_bytes_and_fetches_each_once() {
    let Some((server, mount)) = mount_of(300) else { return };
    let copies = tempfile::tempdir().unwrap();
    let command = format!("cp -r d {}", copies.path().display());
    let (_, cost) = cost_of_shell(&server, &mount, &command);
    assert_eq!(cost, Cost { list: 1, head: 0, get: 300, bytes: 300 * SIZE });
    for n in 0..300 {
        assert_eq!(fs::read(copies.path().join(format!("d/{n:04}"))).unwrap(), bytes_of(n));
    }
    mount.end();
}

#[test]
fn who_stops_half_way_has_cost_a_tenth_more_at_most() {
    let Some((server, mount)) = mount_of(400) else { return };
    let (_, cost) =
        cost_of_shell(&server, &mount, "ls d | head -200 | sed s,^,d/, | xargs cat | wc -c");
    assert!((200..=220).contains(&cost.get), "{cost:?}");
    assert_eq!(cost, Cost { list: 1, head: 0, get: cost.get, bytes: cost.get * SIZE });
    mount.end();
}

#[test]
fn who_opens_files_at_random_costs_what_he_reads() {
    let Some((server, mount)) = mount_of(400) else { return };
    let mut dice = Dice(0x5eed_0e03);
    let mut names: Vec<u64> = (0..400).collect();
    for at in (1..names.len()).rev() {
        names.swap(at, dice.below(at as u64 + 1) as usize);
    }
    let ((), cost) = cost_of(&server, || {
        for n in &names[..200] {
            assert_eq!(fs::read(mount.join(format!("d/{n:04}"))).unwrap(), bytes_of(*n));
        }
    });
    assert_eq!(cost, Cost { list: 1, head: 0, get: 200, bytes: 200 * SIZE });
    mount.end();
}

#[test]
fn a_walk_through_a_hundred_directories_lists_each_once() {
    let Some(server) = server() else { return };
    let keys = (0..100).flat_map(|dir| (0..3).map(move |file| format!("w/{dir:03}/{file}")));
    server.put_many(BUCKET, keys.map(|key| (key, "x")));
    for command in ["find w", "ls -lR w", "ls -UR w", "du -a w"] {
        let mount = mount(&server, &[]);
        let (_, cost) = cost_of_shell(&server, &mount, command);
        assert_eq!(cost, Cost { list: 101, ..NOTHING }, "{command}");
        mount.end();
    }
}
