//! Windows of siblings, read by programs that tell the kernel nothing: what it reads ahead and
//! around on its own account costs nothing.

use std::os::unix::fs::{FileExt, OpenOptionsExt};

use super::cogs::{TILE_BYTES, cog, values};
use super::*;
use crate::mounted::system::Mapping;

/// Bytes of a row of the image that is 16,384 pixels wide.
const ROW: u64 = 16_384 * 2;
const NPY_HEAD: u64 = 128;
/// What the kernel reads ahead.
const READ_AHEAD: usize = 128 << 10;

fn wide() -> Option<(crate::support::server::TestServer, Mount)> {
    let server = server()?;
    server.put(BUCKET, "wide.tif", cog(16_384, 1024));
    let mount = mount(&server, &[]);
    fs::metadata(sibling(&mount, "wide.tif", ".npy")).unwrap();
    Some((server, mount))
}

#[test]
fn a_window_of_the_tif_costs_its_tiles_in_a_request_less_than_there_are() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "scene.tif", cog(4096, 4096));
    let mount = mount(&server, &[]);
    let path = sibling(&mount, "scene.tif", ".tif");
    let mut decoder = Decoder::new(File::open(&path).unwrap()).unwrap();
    let (tiles, cost) = cost_of(&server, || {
        [27, 28, 35, 36]
            .map(|tile| decoder.read_chunk(tile).unwrap().as_buffer(0).as_bytes().to_vec())
    });
    // The second row is read like the first, so its two tiles come together.
    assert_eq!(cost, Cost { get: 3, bytes: 4 * TILE_BYTES, ..NOTHING });
    for (tile, (column, row)) in tiles.iter().zip([(3, 3), (4, 3), (3, 4), (4, 4)]) {
        let (x, y) = (column * 512, row * 512);
        assert!(*tile == values(0, x..x + 512, y..y + 512), "{column}, {row}");
    }
    drop(decoder);
    mount.end();
}

#[test]
fn a_window_of_a_mapped_npy_costs_the_tiles_under_its_pages() {
    let Some((server, mount)) = wide() else { return };
    let file = File::open(sibling(&mount, "wide.tif", ".npy")).unwrap();
    let length = file.metadata().unwrap().len();
    // 512 columns of rows in both rows of tiles, as numpy.memmap touches them.
    let (window, cost) = cost_of(&server, || {
        let mapping = Mapping::of(&file, length as usize);
        let row = |y: u64| {
            let start = (NPY_HEAD + y * ROW + 4096 * 2) as usize;
            mapping[start..start + 1024].to_vec()
        };
        (400..624).flat_map(row).collect::<Vec<u8>>()
    });
    assert!(window == values(0, 4096..4608, 400..624));
    // A page has 2048 columns, from 64 before these on: five tiles.
    assert_eq!(cost, Cost { get: 2, bytes: 10 * TILE_BYTES, ..NOTHING });
    drop(file);
    mount.end();
}

#[test]
fn who_looks_at_the_header_of_a_npy_costs_the_tiles_under_its_first_page() {
    let Some((server, mount)) = wide() else { return };
    let file = File::open(sibling(&mount, "wide.tif", ".npy")).unwrap();
    let mut head = [0; 4096];
    let ((), cost) = cost_of(&server, || file.read_exact_at(&mut head, 0).unwrap());
    assert_eq!(head[..6], *b"\x93NUMPY");
    assert!(head[NPY_HEAD as usize..] == values(0, 0..1984, 0..1));
    assert_eq!(cost, Cost { get: 1, bytes: 4 * TILE_BYTES, ..NOTHING });
    drop(file);
    mount.end();
}

#[test]
fn a_program_that_reads_as_much_as_the_kernel_reads_ahead_gets_all_of_it_at_once() {
    let Some((server, mount)) = wide() else { return };
    let file = File::open(sibling(&mount, "wide.tif", ".npy")).unwrap();
    // From the middle of the first pixels of a row on; four rows are READ_AHEAD.
    for y in [600, 40] {
        let mut bytes = vec![0; READ_AHEAD];
        let at = y * ROW;
        let ((), cost) = cost_of(&server, || file.read_exact_at(&mut bytes, at).unwrap());
        let first = values(0, 16_384 - 64..16_384, y as u32 - 1..y as u32);
        let rest = values(0, 0..16_384, y as u32..y as u32 + 4);
        assert!(bytes[..128] == first);
        assert!(bytes[128..] == rest[..READ_AHEAD - 128]);
        assert_eq!(cost.bytes, 32 * TILE_BYTES);
        assert!(cost.get <= 6, "{cost:?}");
    }
    drop(file);
    mount.end();
}

#[test]
fn reads_around_the_page_cache_are_answered_whatever_they_look_like() {
    let Some((_server, mount)) = wide() else { return };
    let path = sibling(&mount, "wide.tif", ".npy");
    let file = fs::OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(path).unwrap();
    for y in [600u32, 604, 40, 0] {
        let mut bytes = vec![0; READ_AHEAD];
        file.read_exact_at(&mut bytes, u64::from(y) * ROW).unwrap();
        let rest = values(0, 0..16_384, y..y + 4);
        assert!(bytes[128..] == rest[..READ_AHEAD - 128], "{y}");
    }
    drop(file);
    mount.end();
}

#[test]
fn whoever_opens_a_file_whose_pages_were_refused_gets_their_bytes() {
    let Some((_server, mount)) = wide() else { return };
    let path = sibling(&mount, "wide.tif", ".npy");
    let length = fs::metadata(&path).unwrap().len() as usize;
    let first = File::open(&path).unwrap();
    let mapping = Mapping::of(&first, length);
    // Each touch leaves refused pages around it.
    for y in (0..1024).step_by(8) {
        let start = NPY_HEAD as usize + y * ROW as usize + 8192;
        assert!(mapping[start..start + 2] == values(0, 4096..4097, y as u32..y as u32 + 1));
    }
    let whole = fs::read(&path).unwrap();
    assert!(whole[NPY_HEAD as usize..] == values(0, 0..16_384, 0..1024));
    drop(mapping);
    drop(first);
    mount.end();
}
