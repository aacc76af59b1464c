//! Siblings that are cut from the image's own file: `.indexed.jp2` and `.rN.j2k`.

use super::mosaic::{TILE, mosaic};
use super::*;

/// The length of the index that a codestream of so many tiles gets.
fn index_bytes(tiles: u64) -> u64 {
    6 + tiles * if tiles <= 255 { 5 } else { 6 }
}

#[test]
fn the_size_of_an_indexed_file_costs_its_header_and_its_bytes_are_those_of_the_original() {
    let Some(server) = server() else { return };
    let image = mosaic(4, 6, false);
    let bytes = image.bytes;
    server.put(BUCKET, "scene.j2k", bytes.clone());
    let mount = mount(&server, &[]);
    let path = sibling(&mount, "scene.j2k", ".indexed.j2k");
    let (size, cost) = cost_of(&server, || fs::metadata(&path).unwrap().len());
    assert_eq!(cost, Cost { get: 1, bytes: HEAD_BYTES, ..NOTHING });
    assert_eq!(size, bytes.len() as u64 + index_bytes(24));
    let (indexed, cost) = cost_of(&server, || fs::read(&path).unwrap());
    let added = (size - bytes.len() as u64) as usize;
    let start = indexed.iter().zip(&bytes).take_while(|(ours, theirs)| ours == theirs).count();
    // The index begins with a marker as SOT does.
    let start = start - 1;
    assert_eq!(indexed[start..start + 2], [0xFF, 0x55]);
    assert!(indexed[start + added..] == bytes[start..], "nothing else is changed");
    // Of what was read to find the tile-parts a page or three of each come again.
    assert!(cost.bytes <= bytes.len() as u64 + 24 * 12_288, "{cost:?}");
    assert_eq!(errno(fs::metadata(sibling(&mount, "scene.j2k", ".indexed.jp2"))), libc::ENOENT);
    mount.end();
}

#[test]
fn the_indexed_file_of_a_file_with_an_index_is_the_file() {
    let Some(server) = server() else { return };
    let image = mosaic(2, 3, true);
    server.put(BUCKET, "scene.j2k", image.bytes.clone());
    server.put(BUCKET, "B01.jp2", B01_JP2);
    let mount = mount(&server, &[]);
    let read = |name, ending| fs::read(sibling(&mount, name, ending)).unwrap();
    assert!(read("scene.j2k", ".indexed.j2k") == image.bytes);
    // In a box, and without an index.
    let indexed = read("B01.jp2", ".indexed.jp2");
    assert_eq!(indexed.len() as u64, B01_JP2.len() as u64 + index_bytes(4));
    mount.end();
}

#[test]
fn a_window_of_an_indexed_file_costs_its_header_and_its_tile() {
    let Some(server) = server() else { return };
    let image = mosaic(4, 6, false);
    let size = image.bytes.len() as u64;
    server.put(BUCKET, "scene.j2k", image.bytes);
    let mount = mount(&server, &[]);
    let path = sibling(&mount, "scene.j2k", ".indexed.j2k");
    // The index is found by whoever opens it first.
    let (file, cost) = cost_of(&server, || open_random(&path));
    assert!(cost.bytes < size / 6, "{cost:?} of {size}");
    let shift = index_bytes(24);
    let tile = size - 2 - 2 * image.part + shift..size - 2 - image.part + shift;
    let ((), cost) = cost_of(&server, || {
        part(&file, 0..4096).unwrap();
        part(&file, tile.clone()).unwrap();
    });
    assert!(cost.get <= 5 && cost.bytes < image.part + image.part / 4, "{cost:?}");
    drop(file);
    mount.end();
}

#[test]
fn reduced_codestreams_have_the_pixels_of_the_overviews() {
    let Some(server) = server() else { return };
    let image = mosaic(3, 2, false);
    server.put(BUCKET, "scene.j2k", image.bytes);
    let mounting = mount(&server, &[]);
    let overviews = tif(&fs::read(sibling(&mounting, "scene.j2k", ".tif")).unwrap());
    let levels = [(1, ".r2.j2k"), (2, ".r4.j2k"), (3, ".r8.j2k"), (4, ".r16.j2k")];
    for (_, ending) in levels {
        let path = sibling(&mounting, "scene.j2k", ending);
        let bytes = fs::read(&path).unwrap();
        assert_eq!(bytes.len() as u64, fs::metadata(&path).unwrap().len());
        server.put(BUCKET, &format!("again{ending}"), bytes);
    }
    mounting.end();
    // The reduced ones as images of their own.
    let mounting = mount(&server, &[]);
    for (level, ending) in levels {
        let array = fs::read(sibling(&mounting, &format!("again{ending}"), ".npy")).unwrap();
        let (width, height, samples) = &overviews[level];
        let array = npy(&array);
        assert_eq!(array.shape, [u64::from(*height), u64::from(*width)], "{ending}");
        assert!(array.samples == *samples, "{ending}");
        assert_eq!(u64::from(*width), (3 * TILE) >> level);
    }
    mounting.end();
}

#[test]
fn a_reduced_codestream_costs_the_first_packets_of_each_tile() {
    let Some(server) = server() else { return };
    let image = mosaic(4, 4, true);
    let size = image.bytes.len() as u64;
    server.put(BUCKET, "scene.j2k", image.bytes);
    let mount = mount(&server, &[]);
    let path = sibling(&mount, "scene.j2k", ".r16.j2k");
    let (length, cost) = cost_of(&server, || fs::metadata(&path).unwrap().len());
    // The first tile begins in what was read of the file's header.
    assert_eq!((cost.list, cost.head, cost.get), (0, 0, 16));
    let headers = cost.bytes;
    let (bytes, cost) = cost_of(&server, || fs::read(&path).unwrap());
    assert_eq!(bytes.len() as u64, length);
    // What came with the headers is enough.
    assert_eq!(cost, NOTHING);
    assert!(headers < size / 50, "{headers} of {size}");
    // At 1/4 each tile costs one GET more, and nothing twice.
    let path = sibling(&mount, "scene.j2k", ".r4.j2k");
    let (bytes, cost) = cost_of(&server, || fs::read(&path).unwrap());
    assert_eq!((cost.list, cost.head, cost.get), (0, 0, 16));
    assert!(cost.bytes < bytes.len() as u64 && headers + cost.bytes < size / 10, "{cost:?}");
    mount.end();
}

#[test]
fn these_siblings_are_found_by_name_and_never_listed() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "B01.jp2", B01_JP2);
    let mounting = mount(&server, &["--list-views"]);
    let listed = names(mounting.path());
    assert_eq!(listed.len(), 1 + ENDINGS.len(), "{listed:?}");
    assert!(fs::metadata(sibling(&mounting, "B01.jp2", ".r2.j2k")).is_ok());
    mounting.end();
    let mounting = mount(&server, &["--views", "png,indexed"]);
    assert!(fs::metadata(sibling(&mounting, "B01.jp2", ".indexed.jp2")).is_ok());
    assert_eq!(errno(fs::metadata(sibling(&mounting, "B01.jp2", ".r2.j2k"))), libc::ENOENT);
    mounting.end();
}

#[test]
fn a_file_that_a_program_writes_has_them_too() {
    let Some(server) = server() else { return };
    let mount = mount(&server, &["--writes", "memory"]);
    let image = mosaic(2, 3, false);
    fs::write(mount.join("new.j2k"), &image.bytes).unwrap();
    let indexed = fs::read(sibling(&mount, "new.j2k", ".indexed.j2k")).unwrap();
    assert_eq!(indexed.len() as u64, image.bytes.len() as u64 + index_bytes(6));
    let reduced = fs::read(sibling(&mount, "new.j2k", ".r8.j2k")).unwrap();
    assert!(reduced.len() < image.bytes.len() / 20);
    mount.end();
}

#[test]
fn an_index_is_found_once_for_all_mounts_that_share_its_folder() {
    let Some(server) = server() else { return };
    let image = mosaic(5, 8, false);
    let size = image.bytes.len() as u64;
    server.put(BUCKET, "scene.j2k", image.bytes);
    let folder = tempfile::tempdir().unwrap();
    let options = ["--index-cache", folder.path().to_str().unwrap()];
    let open = |mount: &Mount| {
        let path = sibling(mount, "scene.j2k", ".indexed.j2k");
        fs::metadata(&path).unwrap();
        part(&open_random(&path), 0..4096).unwrap()
    };
    let first = mount(&server, &options);
    let (head, cost) = cost_of(&server, || open(&first));
    assert!(cost.get > 10 && cost.bytes > size / 50, "{cost:?}");
    until("the index is kept", || entries(folder.path()) == 1);
    first.end();
    let second = mount(&server, &options);
    let (again, cost) = cost_of(&server, || open(&second));
    assert!(again == head);
    assert!(cost.get <= 2 && cost.bytes < 128 << 10, "{cost:?}");
    second.end();
    // What a reduced codestream is made of is kept, too.
    let stat = |mount: &Mount| fs::metadata(sibling(mount, "scene.j2k", ".r8.j2k")).unwrap().len();
    let third = mount(&server, &options);
    let (length, cost) = cost_of(&server, || stat(&third));
    assert!(cost.get >= 40, "the headers of all tiles: {cost:?}");
    until("the pieces are kept", || entries(folder.path()) == 2);
    third.end();
    let fourth = mount(&server, &options);
    let (again, cost) = cost_of(&server, || stat(&fourth));
    assert_eq!(again, length);
    assert_eq!(cost, Cost { get: 1, bytes: HEAD_BYTES, ..NOTHING });
    fourth.end();
}
