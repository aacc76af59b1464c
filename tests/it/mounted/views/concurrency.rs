//! Many readers, and readers that go away.

use std::io::Read;
use std::thread;
use std::time::Duration;

use super::mosaic::{TILE, mosaic};
use super::*;
use crate::support::server::{Effect, Fault, Op};

#[test]
fn sixteen_readers_of_one_png_fetch_each_tile_once() {
    let Some(server) = server() else { return };
    let image = mosaic(2, 3, true);
    // All but the marker at the end; the first tile begins in what was read as header.
    let bytes = image.bytes.len() as u64 - 2;
    server.put(BUCKET, "scene.j2k", image.bytes);
    let mount = mount(&server, &[]);
    let path = sibling(&mount, "scene.j2k", ".png");
    let (sums, cost) = cost_of(&server, || {
        thread::scope(|scope| {
            let readers: Vec<_> = (0..16)
                .map(|_| scope.spawn(|| crc32fast::hash(&fs::read(&path).unwrap())))
                .collect();
            readers.into_iter().map(|reader| reader.join().unwrap()).collect::<Vec<u32>>()
        })
    });
    assert!(sums.iter().all(|sum| *sum == sums[0]));
    assert_eq!(cost, Cost { get: 7, bytes, ..NOTHING });
    mount.end();
}

#[test]
fn readers_of_all_siblings_at_once_share_the_header_and_the_tiles() {
    let Some(server) = server() else { return };
    let image = mosaic(2, 2, true);
    // All but the marker at the end; the first tile begins in what was read as header.
    let bytes = image.bytes.len() as u64 - 2;
    server.put(BUCKET, "scene.j2k", image.bytes);
    let mount = mount(&server, &[]);
    let ((), cost) = cost_of(&server, || {
        thread::scope(|scope| {
            for ending in [".png", ".npy", ".json"] {
                for _ in 0..4 {
                    scope.spawn(|| fs::read(sibling(&mount, "scene.j2k", ending)).unwrap());
                }
            }
        });
    });
    assert_eq!(cost, Cost { get: 5, bytes, ..NOTHING });
    mount.end();
}

#[test]
fn a_reader_that_closes_early_stops_what_was_fetched_ahead_of_it() {
    let Some(server) = server() else { return };
    let image = mosaic(1, 40, true);
    server.put(BUCKET, "scene.j2k", image.bytes);
    let mount = mount(&server, &[]);
    let path = sibling(&mount, "scene.j2k", ".npy");
    fs::metadata(&path).unwrap();
    let ((), cost) = cost_of(&server, || {
        let mut file = File::open(&path).unwrap();
        let mut buffer = vec![0; MIB as usize];
        file.read_exact(&mut buffer).unwrap();
        file.read_exact(&mut buffer).unwrap();
        drop(file);
        // Long enough for all forty tiles, if somebody still wanted them.
        thread::sleep(Duration::from_secs(3));
    });
    // One tile row and a few ahead, for each core: never the whole.
    let most = 3 + 2 * thread::available_parallelism().unwrap().get() as u64;
    assert!(cost.get <= most.min(39), "{cost:?}");
    mount.end();
}

#[test]
fn a_reader_in_order_is_fetched_ahead_of() {
    let Some(server) = server() else { return };
    let image = mosaic(1, 8, true);
    server.put(BUCKET, "scene.j2k", image.bytes);
    let mount = mount(&server, &[]);
    let path = sibling(&mount, "scene.j2k", ".npy");
    let mut file = File::open(&path).unwrap();
    let (_, cost) = cost_of(&server, || {
        let mut buffer = vec![0; (3 * TILE * TILE) as usize];
        file.read_exact(&mut buffer).unwrap();
        // Long enough for what was begun to be done.
        until("tiles ahead", || server.counts().get >= 2);
    });
    assert!(cost.get >= 2, "{cost:?}");
    let (all, cost) = cost_of(&server, || {
        let mut rest = Vec::new();
        file.read_to_end(&mut rest).unwrap();
        rest.len()
    });
    assert!(all > 0 && cost.get < 8, "{cost:?}");
    drop(file);
    mount.end();
}

#[test]
fn while_one_tile_does_not_come_other_files_and_other_siblings_are_read() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "slow.j2k", mosaic(1, 2, true).bytes);
    server.put(BUCKET, "quick.jp2", B01_JP2);
    let mount = mount(&server, &[]);
    let slow = sibling(&mount, "slow.j2k", ".npy");
    let size = fs::metadata(&slow).unwrap().len();
    let fault = server.fault(Fault::new(Effect::Hang).on(Op::Get).key("slow.j2k").times(1));
    thread::scope(|scope| {
        let reader = scope.spawn(|| fs::read(&slow).unwrap().len() as u64);
        until("a request that hangs", || server.fault_hits(fault) == 1);
        let json = fs::read(sibling(&mount, "slow.j2k", ".json")).unwrap();
        assert!(!json.is_empty());
        let (width, ..) = png(&fs::read(sibling(&mount, "quick.jp2", ".png")).unwrap());
        assert_eq!(width, 1830);
        assert!(names(mount.path()).len() == 2 && !reader.is_finished());
        server.release();
        assert_eq!(reader.join().unwrap(), size);
    });
    assert!(server.wait_idle(FOREVER));
    mount.end();
}

#[test]
fn a_body_that_is_cut_while_a_tile_is_fetched_makes_no_wrong_pixel() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "scene.j2k", mosaic(1, 2, true).bytes);
    let mount = mount(&server, &[]);
    let path = sibling(&mount, "scene.j2k", ".npy");
    fs::metadata(&path).unwrap();
    let fault = Fault::new(Effect::TruncateAfter(50_000)).on(Op::Get).key("scene").times(2);
    let fault = server.fault(fault);
    let array = npy(&fs::read(&path).unwrap());
    assert_eq!(server.fault_hits(fault), 2);
    let (upper, lower) = array.samples.split_at(array.samples.len() / 2);
    assert!(upper == lower, "both tiles are the same");
    mount.end();
}
