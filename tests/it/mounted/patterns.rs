//! What ways of reading large files cost: in order, at random, with skips, shared.

use std::sync::Barrier;

use super::system::Mapping;
use super::*;

#[test]
fn reading_256_mib_in_order_costs_each_byte_once_in_at_most_40_gets() {
    let Some(server) = server() else { return };
    let size = 256 * MIB;
    server.put_pattern(BUCKET, "band", size, 1);
    let mount = mount(&server, &[]);
    let ((), cost) = cost_of(&server, || reads_whole_pattern(&mount.join("band"), 1));
    assert!((1..=40).contains(&cost.get), "{cost:?}");
    assert_eq!(cost, Cost { get: cost.get, bytes: size, ..NOTHING });
    mount.end();
}

#[test]
fn two_hundred_random_reads_cost_200_gets_and_hardly_more_than_their_bytes() {
    let Some(server) = server() else { return };
    let size = 2 * GIB;
    server.put_pattern(BUCKET, "band", size, 2);
    let mount = mount(&server, &[]);
    let length = 64 << 10;
    let mut dice = Dice(0x5eed_0001);
    let ((), cost) = cost_of(&server, || {
        let file = File::open(mount.join("band")).unwrap();
        for _ in 0..200 {
            let at = dice.below(size - length);
            assert_pattern(2, at, &part(&file, at..at + length).unwrap());
        }
    });
    assert_eq!((cost.list, cost.head, cost.get), (0, 0, 200));
    let asked = 200 * length;
    // The kernel reads whole pages: up to one more than asked for.
    assert!((asked..=asked * 11 / 10).contains(&cost.bytes), "{cost:?}");
    mount.end();
}

#[test]
fn runs_with_skips_between_them_cost_about_one_get_each_and_not_the_skips() {
    let Some(server) = server() else { return };
    server.put_pattern(BUCKET, "band", GIB, 3);
    let mount = mount(&server, &[]);
    let (run, skip) = (4 * MIB, MIB);
    let starts: Vec<u64> = (0..GIB).step_by((run + skip) as usize).collect();
    let ((), cost) = cost_of(&server, || {
        let file = File::open(mount.join("band")).unwrap();
        for &start in &starts {
            reads_pattern(&file, 3, start..(start + run).min(GIB));
        }
    });
    println!("runs with skips: {cost:?}");
    let asked: u64 = starts.iter().map(|start| (GIB - start).min(run)).sum();
    assert!((asked..=asked * 21 / 20).contains(&cost.bytes), "{cost:?} for {asked}");
    // A ramp-up from 512 KiB would cost four GETs for each run.
    let runs = starts.len() as u64;
    assert!(cost.get <= runs + runs / 4, "{cost:?} for {runs} runs");
    mount.end();
}

#[test]
fn four_slices_by_four_readers_cost_each_byte_once() {
    let Some(server) = server() else { return };
    server.put_pattern(BUCKET, "band", GIB, 4);
    // A reader can't know where its slice ends: what it fetches ahead of it must
    // still be in memory, where the next reader has put it.
    let mount = mount(&server, &["--memory", "2G"]);
    let path = mount.join("band");
    let ((), cost) = cost_of(&server, || {
        thread::scope(|scope| {
            for slice in 0..4 {
                let path = &path;
                scope.spawn(move || {
                    let file = File::open(path).unwrap();
                    reads_pattern(&file, 4, slice * GIB / 4..(slice + 1) * GIB / 4);
                });
            }
        });
    });
    assert!((GIB..=GIB + GIB / 100).contains(&cost.bytes), "{cost:?}");
    assert!(cost.get <= 4 * 40, "{cost:?}");
    mount.end();
}

#[test]
fn four_slices_cost_each_byte_once_in_little_memory_too() {
    let Some(server) = server() else { return };
    server.put_pattern(BUCKET, "band", GIB, 8);
    // What a reader fetched behind the end of its slice, the next one has read long ago.
    let mount = mount(&server, &["--memory", "256M"]);
    let path = mount.join("band");
    let ((), cost) = cost_of(&server, || {
        thread::scope(|scope| {
            for slice in 0..4 {
                let path = &path;
                scope.spawn(move || {
                    let file = File::open(path).unwrap();
                    reads_pattern(&file, 8, slice * GIB / 4..(slice + 1) * GIB / 4);
                });
            }
        });
    });
    println!("four slices in 256 MiB: {cost:?}");
    assert!((GIB..=GIB + GIB / 100).contains(&cost.bytes), "{cost:?}");
    assert!(cost.get <= 4 * 40, "{cost:?}");
    mount.end();
}

#[test]
fn two_streams_on_one_handle_cost_each_byte_once() {
    let Some(server) = server() else { return };
    let size = 256 * MIB;
    server.put_pattern(BUCKET, "band", size, 9);
    let mount = mount(&server, &[]);
    let ((), cost) = cost_of(&server, || {
        let file = File::open(mount.join("band")).unwrap();
        for at in (0..size / 2).step_by(MIB as usize) {
            reads_pattern(&file, 9, at..at + MIB);
            reads_pattern(&file, 9, size / 2 + at..size / 2 + at + MIB);
        }
    });
    println!("two streams on one handle: {cost:?}");
    assert!((size..=size + size / 100).contains(&cost.bytes), "{cost:?}");
    assert!(cost.get <= 2 * 40, "{cost:?}");
    mount.end();
}

#[test]
fn touches_of_a_mapping_at_random_cost_what_the_kernel_asks_for() {
    let Some(server) = server() else { return };
    let size = 2 * GIB;
    server.put_pattern(BUCKET, "band", size, 10);
    let mount = mount(&server, &[]);
    let touches = 300;
    let mut dice = Dice(0x5eed_0003);
    let ((), cost) = cost_of(&server, || {
        let file = File::open(mount.join("band")).unwrap();
        let mapping = Mapping::of(&file, size as usize);
        for _ in 0..touches {
            let at = dice.below(size - 16);
            assert_pattern(10, at, &mapping[at as usize..at as usize + 16]);
        }
    });
    println!("{touches} touches of a mapping: {cost:?}");
    // Around a touch the kernel reads its 128 KiB; after a hundred misses, only the page, of
    // which we make 64 KiB.
    assert!(cost.bytes <= touches * (128 << 10), "{cost:?}");
    assert!(cost.get <= touches + touches / 50, "{cost:?}");
    mount.end();
}

#[test]
fn eight_readers_of_one_file_cost_each_byte_once() {
    let Some(server) = server() else { return };
    let size = 256 * MIB;
    server.put_pattern(BUCKET, "band", size, 5);
    let mount = mount(&server, &[]);
    let path = mount.join("band");
    let together = Barrier::new(8);
    let ((), cost) = cost_of(&server, || {
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    together.wait();
                    reads_whole_pattern(&path, 5);
                });
            }
        });
    });
    assert_eq!((cost.list, cost.head, cost.bytes), (0, 0, size));
    // The readers share the kernel's cache, so that each sees gaps; even so they
    // do better than the kernel's requests of 128 KiB.
    println!("eight readers: {cost:?}");
    assert!(cost.get <= size / (256 << 10), "{cost:?}");
    mount.end();
}

#[test]
fn a_file_that_is_read_backwards_costs_each_byte_once() {
    let Some(server) = server() else { return };
    let size = 64 * MIB;
    server.put_pattern(BUCKET, "band", size, 6);
    let mount = mount(&server, &[]);
    let ((), cost) = cost_of(&server, || {
        let file = File::open(mount.join("band")).unwrap();
        for end in (1..=size / MIB).rev() {
            reads_pattern(&file, 6, (end - 1) * MIB..end * MIB);
        }
    });
    assert!((size..=size + size / 50).contains(&cost.bytes), "{cost:?}");
    mount.end();
}

#[test]
fn closing_a_file_ends_what_was_fetched_ahead_for_it() {
    let Some(server) = server() else { return };
    server.put_pattern(BUCKET, "band", GIB, 7);
    let mount = mount(&server, &[]);
    let ((), cost) = cost_of(&server, || {
        let file = File::open(mount.join("band")).unwrap();
        reads_pattern(&file, 7, 0..32 * MIB);
    });
    // What was read, and at most one window of 32 MiB.
    assert!((32 * MIB..=66 * MIB).contains(&cost.bytes), "{cost:?}");
    mount.end();
}
