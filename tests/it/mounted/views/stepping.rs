//! Programs that step from tile-part to tile-part in the original, as decoders do where a file
//! does not list them.

use std::ops::Range;
use std::time::Duration;

use super::mosaic::{Mosaic, mosaic};
use super::*;
use crate::support::server::TestServer;

/// What a program reads at the front of a tile-part.
const HEADER_BYTES: u64 = 700;
/// What the kernel asks for behind a page that is read to its end.
const READ_ON_BYTES: u64 = 16 << 10;

/// Where the tile-parts are.
fn parts(image: &Mosaic) -> Vec<Range<u64>> {
    let size = image.bytes.len() as u64;
    let count = size / image.part;
    let start = size - 2 - count * image.part;
    (0..count).map(|n| start + n * image.part..start + (n + 1) * image.part).collect()
}

/// The page that a header is in.
fn page(at: u64) -> Range<u64> {
    at / 4096 * 4096..at / 4096 * 4096 + 4096
}

/// Reads the header of a tile-part, as a program with a small buffer does.
fn step(file: &File, image: &Mosaic, part_at: &Range<u64>) {
    let page = page(part_at.start);
    let mut ranges = vec![page.clone()];
    // SOT and PLT go on in the next page: the kernel reads on for a program that does.
    if part_at.start + HEADER_BYTES > page.end {
        ranges.push(page.end..page.end + READ_ON_BYTES);
    }
    for range in ranges {
        let bytes = part(file, range.clone()).unwrap();
        let end = range.end.min(image.bytes.len() as u64);
        assert!(bytes == image.bytes[range.start as usize..end as usize]);
    }
}

/// Waits until nothing was asked for a second: what is found is found in rounds.
fn quiet(server: &TestServer) {
    let (mut before, mut rounds) = (u64::MAX, 0);
    until("an end of requests", || {
        let now = server.counts().get;
        std::thread::sleep(Duration::from_millis(250));
        let is_still = std::mem::replace(&mut before, now) == now && server.in_flight() == 0;
        rounds = if is_still { rounds + 1 } else { 0 };
        rounds == 4
    });
}

/// Opens the file, reads its first page and waits for what comes with it, so that the header is
/// in memory before the first jump, also on a busy machine.
fn opened(server: &TestServer, path: &Path) -> File {
    let file = open_random(path);
    part(&file, 0..4096).unwrap();
    quiet(server);
    file
}

#[test]
fn after_two_steps_all_others_are_in_memory() {
    let Some(server) = server() else { return };
    let image = mosaic(5, 8, false);
    let parts = parts(&image);
    let lies_across = |at: &&Range<u64>| at.start % 4096 + HEADER_BYTES > 4096;
    assert!((3..30).contains(&parts.iter().filter(lies_across).count()));
    let size = image.bytes.len() as u64;
    server.put(BUCKET, "scene.j2k", image.bytes.clone());
    let mount = mount(&server, &[]);
    let mut file = None;
    let ((), cost) = cost_of(&server, || {
        let file = file.insert(opened(&server, &mount.join("scene.j2k")));
        for at in &parts[1..4] {
            step(file, &image, at);
        }
        quiet(&server);
    });
    let (file, found) = (file.unwrap(), cost);
    assert!(found.bytes < size / 5, "{found:?} of {size}");
    // Now they are all there, and so is what a program asks for around each.
    let ((), cost) = cost_of(&server, || parts[4..].iter().for_each(|at| step(&file, &image, at)));
    assert_eq!(cost, NOTHING, "after {found:?}");
    // And the tile that it was looking for is one request.
    let wanted = parts[33].clone();
    let (bytes, cost) = cost_of(&server, || part(&file, wanted.clone()).unwrap());
    assert!(bytes == image.bytes[wanted.start as usize..wanted.end as usize]);
    assert_eq!((cost.list, cost.head, cost.get), (0, 0, 1));
    assert!(cost.bytes < image.part);
    drop(file);
    mount.end();
}

#[test]
fn who_opens_the_file_again_steps_through_memory() {
    let Some(server) = server() else { return };
    let image = mosaic(5, 8, false);
    let parts = parts(&image);
    server.put(BUCKET, "scene.j2k", image.bytes.clone());
    let mount = mount(&server, &[]);
    let path = mount.join("scene.j2k");
    let run = || {
        let file = opened(&server, &path);
        parts[1..].iter().for_each(|at| step(&file, &image, at));
    };
    run();
    quiet(&server);
    forget_pages(&path);
    let ((), cost) = cost_of(&server, run);
    assert_eq!(cost, NOTHING);
    mount.end();
}

#[test]
fn a_listed_tile_is_one_request_and_the_next_ones_in_order_come_with_it() {
    let Some(server) = server() else { return };
    let image = mosaic(5, 8, true);
    let parts = parts(&image);
    server.put(BUCKET, "scene.j2k", image.bytes.clone());
    let mount = mount(&server, &[]);
    let file = opened(&server, &mount.join("scene.j2k"));
    let read = |wanted: &Range<u64>| {
        let bytes = part(&file, wanted.clone()).unwrap();
        assert!(bytes == image.bytes[wanted.start as usize..wanted.end as usize]);
    };
    // The first jump shows what the file is.
    read(&parts[20]);
    let ((), cost) = cost_of(&server, || read(&parts[30]));
    assert_eq!((cost.list, cost.head, cost.get), (0, 0, 1));
    // In whole pages.
    assert!((image.part..image.part + 8192).contains(&cost.bytes), "{cost:?}");
    let ((), cost) = cost_of(&server, || parts[31..39].iter().for_each(read));
    assert!(cost.get <= 5 && cost.bytes <= 9 * image.part, "{cost:?}");
    drop(file);
    mount.end();
}

#[test]
fn who_reads_the_beginning_of_each_tile_does_not_pay_for_the_rest() {
    let Some(server) = server() else { return };
    let image = mosaic(5, 8, true);
    let parts = parts(&image);
    server.put(BUCKET, "scene.j2k", image.bytes.clone());
    let mount = mount(&server, &[]);
    let file = opened(&server, &mount.join("scene.j2k"));
    let read = |wanted: &Range<u64>| {
        for at in (0..64 << 10).step_by(16 << 10) {
            part(&file, wanted.start + at..wanted.start + at + (16 << 10)).unwrap();
        }
    };
    let ((), cost) = cost_of(&server, || parts.iter().for_each(read));
    assert!(cost.bytes < 5 * image.part + 40 * (100 << 10), "{cost:?}");
    drop(file);
    mount.end();
}

#[test]
fn what_is_fetched_for_a_program_that_steps_is_verified_too() {
    let Some(server) = server() else { return };
    let image = mosaic(5, 8, false);
    server.put(BUCKET, "scene.j2k", image.bytes.clone());
    let mount = mount(&server, &["--verify"]);
    let path = mount.join("scene.j2k");
    let file = opened(&server, &path);
    parts(&image)[1..].iter().for_each(|at| step(&file, &image, at));
    quiet(&server);
    // Neighbouring gaps come with one GET, which brings what is between them again.
    for at in parts(&image) {
        let bytes = part(&file, at.clone()).unwrap();
        assert!(bytes == image.bytes[at.start as usize..at.end as usize]);
    }
    drop(file);
    mount.end();
}

#[test]
fn a_copy_of_the_file_is_read_as_any_other() {
    let Some(server) = server() else { return };
    let image = mosaic(5, 8, false);
    server.put(BUCKET, "scene.j2k", image.bytes.clone());
    server.put(BUCKET, "scene.bin", vec![7; image.bytes.len()]);
    let mount = mount(&server, &[]);
    let (copy, cost) = cost_of(&server, || fs::read(mount.join("scene.j2k")).unwrap());
    assert!(copy == image.bytes);
    let (_, other) = cost_of(&server, || fs::read(mount.join("scene.bin")).unwrap());
    assert_eq!((cost.get, cost.bytes), (other.get, other.bytes));
    mount.end();
}
