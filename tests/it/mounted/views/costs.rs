//! What siblings cost, in requests and bytes.

use super::mosaic::{TILE, mosaic};
use super::*;
use std::time::Duration;

use crate::support::server::{Effect, Fault, Meta, Op};

#[test]
fn the_first_stat_of_a_sibling_costs_one_get_of_16_kib_and_those_of_all_others_nothing() {
    for first in ENDINGS {
        let Some(server) = server() else { return };
        server.put(BUCKET, "tile/B01.jp2", B01_JP2);
        let mount = mount(&server, &[]);
        let look = |ending| fs::metadata(sibling(&mount, "tile/B01.jp2", ending)).unwrap().len();
        let (size, cost) = cost_of(&server, || look(first));
        assert_eq!(cost, Cost { list: 1, get: 1, bytes: HEAD_BYTES, ..NOTHING }, "{first}");
        assert!(size > 0);
        let ((), cost) = cost_of(&server, || {
            for _ in 0..3 {
                assert!(ENDINGS.iter().all(|ending| look(ending) > 0));
            }
        });
        assert_eq!(cost, NOTHING, "{first}");
        mount.end();
    }
}

#[test]
fn a_sibling_of_what_is_no_image_is_missing_after_one_get_of_16_kib_at_most() {
    let Some(server) = server() else { return };
    server.put_pattern(BUCKET, "large.bin", 100 * MIB, 1);
    server.put(BUCKET, "small.txt", "no image");
    let mount = mount(&server, &[]);
    for (name, bytes) in [("large.bin", HEAD_BYTES), ("small.txt", 8)] {
        let look = |ending| errno(fs::metadata(sibling(&mount, name, ending)));
        let (missing, cost) = cost_of(&server, || look(".png"));
        assert_eq!(missing, libc::ENOENT);
        assert_eq!(cost, Cost { get: 1, bytes, ..NOTHING }, "{name}");
        let ((), cost) = cost_of(&server, || {
            for _ in 0..3 {
                assert!(ENDINGS.iter().all(|ending| look(ending) == libc::ENOENT));
            }
        });
        assert_eq!(cost, NOTHING, "it is remembered: {name}");
    }
    mount.end();
}

#[test]
fn siblings_of_what_does_not_exist_cost_no_get() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "d/B01.jp2", B01_JP2);
    let mount = mount(&server, &[]);
    let ((), cost) = cost_of(&server, || {
        for ending in ENDINGS {
            let path = sibling(&mount, "d/B02.jp2", ending);
            assert_eq!(errno(fs::metadata(&path)), libc::ENOENT);
            assert_eq!(errno(File::open(&path)), libc::ENOENT);
        }
    });
    assert_eq!(cost, Cost { list: 1, ..NOTHING });
    mount.end();
}

#[test]
fn empty_and_archived_objects_have_no_siblings_and_cost_no_get() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "empty.jp2", "");
    for class in ["GLACIER", "DEEP_ARCHIVE"] {
        let meta = Meta { storage_class: Some(class.to_owned()), ..Meta::default() };
        server.put_with(BUCKET, &format!("{class}.jp2"), B01_JP2, meta);
    }
    let mount = mount(&server, &["--list-views"]);
    let (listed, cost) = cost_of(&server, || {
        for name in ["empty.jp2", "GLACIER.jp2", "DEEP_ARCHIVE.jp2"] {
            for ending in ENDINGS {
                let looked = fs::metadata(sibling(&mount, name, ending));
                assert_eq!(errno(looked), libc::ENOENT, "{name}{ending}");
            }
        }
        names(mount.path())
    });
    assert_eq!(cost, NOTHING);
    assert_eq!(listed, ["DEEP_ARCHIVE.jp2", "GLACIER.jp2", "empty.jp2"]);
    mount.end();
}

#[test]
fn reading_the_json_costs_nothing_beyond_the_header() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "B01.jp2", B01_JP2);
    let mount = mount(&server, &[]);
    let (json, cost) =
        cost_of(&server, || fs::read_to_string(sibling(&mount, "B01.jp2", ".json")).unwrap());
    assert!(json.contains("\"codec\": \"jpeg2000\""), "{json}");
    assert_eq!(cost, Cost { get: 1, bytes: HEAD_BYTES, ..NOTHING });
    mount.end();
}

#[test]
fn a_small_image_costs_one_get_for_all_its_siblings() {
    let Some(server) = server() else { return };
    let image = include_bytes!("../../../support/images/rotated.jpg");
    let bytes = image.len() as u64;
    assert!((HEAD_BYTES..64 << 10).contains(&bytes));
    server.put_many(BUCKET, (0..50).map(|n| (format!("{n}.jpg"), image.as_slice())));
    let mount = mount(&server, &[]);
    let read = || ENDINGS.map(|ending| fs::read(sibling(&mount, "0.jpg", ending)).unwrap());
    let (files, cost) = cost_of(&server, read);
    assert_eq!(cost, Cost { get: 1, bytes, ..NOTHING });
    let (again, cost) = cost_of(&server, read);
    assert!(again == files);
    assert_eq!(cost, NOTHING);
    // As somebody does who trains with them: one array of each.
    let (_, cost) = cost_of(&server, || {
        for n in 1..50 {
            fs::read(sibling(&mount, &format!("{n}.jpg"), ".npy")).unwrap();
        }
    });
    assert_eq!(cost, Cost { get: 49, bytes: 49 * bytes, ..NOTHING });
    mount.end();
}

/// A picture of noise, which takes as much as its pixels do.
fn noise(width: u32, height: u32) -> Vec<u8> {
    let mut dice = Dice(7);
    let pixels: Vec<u8> = (0..width * height * 3).map(|_| dice.below(256) as u8).collect();
    let image = image::RgbImage::from_raw(width, height, pixels).unwrap();
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

#[test]
fn an_image_costs_its_bytes_once_whoever_reads_them_first() {
    let Some(server) = server() else { return };
    let image = noise(1200, 900);
    let bytes = image.len() as u64;
    server.put(BUCKET, "a.png", image.clone());
    server.put(BUCKET, "b.png", image.clone());
    server.put(BUCKET, "c.png", image.clone());
    let mount = mount(&server, &[]);
    // Its header, and then all behind it.
    let (array, cost) = cost_of(&server, || fs::read(sibling(&mount, "a.png", ".npy")).unwrap());
    assert_eq!(cost, Cost { get: 2, bytes, ..NOTHING });
    // The object, and then a sibling.
    let (read, cost) = cost_of(&server, || fs::read(mount.join("b.png")).unwrap());
    assert!(read == image && cost.bytes == bytes, "{cost:?}");
    let (same, cost) = cost_of(&server, || fs::read(sibling(&mount, "b.png", ".npy")).unwrap());
    assert!(same == array);
    assert_eq!(cost, NOTHING);
    // A part of it, and then what is missing.
    let file = open_random(&mount.join("c.png"));
    let (_, cost) = cost_of(&server, || part(&file, MIB..bytes).unwrap());
    assert_eq!((cost.bytes, cost.list, cost.head), (bytes - MIB, 0, 0), "{cost:?}");
    let (same, cost) = cost_of(&server, || fs::read(sibling(&mount, "c.png", ".npy")).unwrap());
    assert!(same == array);
    assert_eq!((cost.bytes, cost.list, cost.head), (MIB, 0, 0), "{cost:?}");
    drop(file);
    mount.end();
}

#[test]
fn tiles_of_an_image_that_was_read_cost_nothing() {
    let Some(server) = server() else { return };
    let image = mosaic(2, 2, true);
    server.put(BUCKET, "scene.j2k", image.bytes.clone());
    let mount = mount(&server, &[]);
    assert!(fs::read(mount.join("scene.j2k")).unwrap() == image.bytes);
    let (_, cost) = cost_of(&server, || {
        let mut decoder = Decoder::new(open_random(&sibling(&mount, "scene.j2k", ".tif"))).unwrap();
        for tile in 0..4 {
            decoder.read_chunk(tile).unwrap();
        }
    });
    assert_eq!(cost, NOTHING);
    mount.end();
}

#[test]
fn tiles_that_were_begun_when_a_reader_jumps_are_fetched_once() {
    let Some(server) = server() else { return };
    let image = mosaic(4, 3, true);
    // All but the header, which tells the size, and the marker at the end.
    let bytes = image.bytes.len() as u64 - HEAD_BYTES - 2;
    server.put(BUCKET, "scene.j2k", image.bytes);
    let mount = mount(&server, &[]);
    let path = sibling(&mount, "scene.j2k", ".tif");
    fs::metadata(&path).unwrap();
    // So that the tiles ahead are under way when the reader goes elsewhere.
    server.fault(Fault::new(Effect::Delay(Duration::from_millis(300))).on(Op::Get).times(100));
    let ((), cost) = cost_of(&server, || {
        let mut decoder = Decoder::new(open_random(&path)).unwrap();
        // Windows of three tiles and more, row by row and back again.
        for tile in [0, 1, 2, 8, 3, 4, 5, 11, 6, 7, 9, 10] {
            decoder.read_chunk(tile).unwrap();
        }
    });
    assert_eq!(cost, Cost { get: 12, bytes, ..NOTHING });
    mount.end();
}

#[test]
fn a_band_of_the_png_costs_the_tiles_that_it_covers_and_a_second_read_nothing() {
    let Some(server) = server() else { return };
    let image = mosaic(2, 6, true);
    server.put(BUCKET, "scene.j2k", image.bytes);
    let mount = mount(&server, &[]);
    let path = sibling(&mount, "scene.j2k", ".png");
    let size = fs::metadata(&path).unwrap().len();
    // A row is so long: its filter, its samples, and the header of its deflate block.
    let row = 1 + 2 * TILE * 2 + 5;
    assert!((6 * TILE * row..6 * TILE * row + 4096).contains(&size));
    let within = 2 * TILE * row + 3 * MIB;
    let length = 200_000;
    let (bytes, cost) = cost_of(&server, || part(&open_random(&path), within..within + length));
    let bytes = bytes.unwrap();
    assert_eq!(cost, Cost { get: 2, bytes: 2 * image.part, ..NOTHING });
    forget_pages(&path);
    let (again, cost) = cost_of(&server, || part(&open_random(&path), within..within + length));
    assert!(again.unwrap() == bytes);
    assert_eq!(cost, NOTHING, "from memory");
    mount.end();
}

#[test]
fn rows_of_the_npy_cost_the_tiles_that_they_cover() {
    let Some(server) = server() else { return };
    let image = mosaic(2, 4, true);
    server.put(BUCKET, "scene.j2k", image.bytes);
    let mount = mount(&server, &[]);
    let file = open_random(&sibling(&mount, "scene.j2k", ".npy"));
    // The header, and then the samples of both tiles side by side.
    let row = 2 * TILE * 2;
    let rows = 128 + (3 * TILE + 100) * row..128 + (3 * TILE + 120) * row;
    let (bytes, cost) = cost_of(&server, || part(&file, rows).unwrap());
    assert_eq!(cost, Cost { get: 2, bytes: 2 * image.part, ..NOTHING });
    for row in bytes.chunks_exact(row as usize) {
        let (left, right) = row.split_at(row.len() / 2);
        assert!(left == right, "both tiles are the same");
    }
    drop(file);
    mount.end();
}

#[test]
fn one_tile_of_the_tif_costs_one_tile_of_the_image() {
    let Some(server) = server() else { return };
    let image = mosaic(3, 3, true);
    server.put(BUCKET, "scene.j2k", image.bytes);
    let mount = mount(&server, &[]);
    let path = sibling(&mount, "scene.j2k", ".tif");
    fs::metadata(&path).unwrap();
    let read = || {
        let mut decoder = Decoder::new(open_random(&path)).unwrap();
        assert_eq!(decoder.chunk_dimensions(), (TILE as u32, TILE as u32));
        decoder.read_chunk(5).unwrap().as_buffer(0).as_bytes().to_vec()
    };
    let (tile, cost) = cost_of(&server, read);
    assert_eq!(tile.len() as u64, TILE * TILE * 2);
    assert_eq!(cost, Cost { get: 1, bytes: image.part, ..NOTHING });
    forget_pages(&path);
    let (again, cost) = cost_of(&server, read);
    assert!(again == tile);
    assert_eq!(cost, NOTHING, "from memory");
    mount.end();
}

#[test]
fn a_preview_costs_the_first_packets_of_each_tile_only() {
    let Some(server) = server() else { return };
    let image = mosaic(4, 4, true);
    let size = image.bytes.len() as u64;
    server.put(BUCKET, "scene.j2k", image.bytes);
    let mount = mount(&server, &[]);
    let path = sibling(&mount, "scene.j2k", ".preview.png");
    fs::metadata(&path).unwrap();
    let (preview, cost) = cost_of(&server, || fs::read(&path).unwrap());
    // At 1/4: of each tile the packets' lengths and those of three resolutions.
    let (width, height, _) = png(&preview);
    assert_eq!((width, height), (1024, 1024));
    assert_eq!((cost.list, cost.head, cost.get), (0, 0, 16));
    assert!(cost.bytes < size / 8, "{cost:?} of {size}");
    let all = cost;
    forget_pages(&path);
    let (again, cost) = cost_of(&server, || fs::read(&path).unwrap());
    assert!(again == preview);
    assert_eq!(cost, NOTHING, "after {all:?}");
    mount.end();
}

#[test]
fn a_preview_of_a_band_without_a_list_of_its_tile_parts_hops_to_them_once() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "B01.jp2", B01_JP2);
    let mount = mount(&server, &["--preview-size", "128"]);
    let path = sibling(&mount, "B01.jp2", ".preview.png");
    fs::metadata(&path).unwrap();
    let (preview, cost) = cost_of(&server, || fs::read(&path).unwrap());
    let (width, height, _) = png(&preview);
    assert_eq!((width, height), (115, 115));
    // Three hops of 8 KiB in whole pages, since the first tile-part begins in the header's
    // 16 KiB, and two more where a header lies across two pages; they show the image at 1/16.
    assert_eq!(cost, Cost { get: 3, bytes: 3 * 12_288 + 8192, ..NOTHING });
    mount.end();
}

#[test]
fn the_siblings_of_one_version_share_its_tiles() {
    let Some(server) = server() else { return };
    let image = mosaic(2, 2, true);
    // All but the marker at the end; the first tile begins in what was read as header.
    let bytes = image.bytes.len() as u64 - 2;
    server.put(BUCKET, "scene.j2k", image.bytes);
    let mount = mount(&server, &[]);
    let read = |ending| fs::read(sibling(&mount, "scene.j2k", ending)).unwrap();
    let (array, cost) = cost_of(&server, || npy(&read(".npy")));
    assert_eq!(cost, Cost { get: 5, bytes, ..NOTHING });
    let (picture, cost) = cost_of(&server, || png(&read(".png")));
    assert!(picture.2 == array.samples);
    assert_eq!(cost, NOTHING);
    mount.end();
}
