//! JPEG 2000 images of one huge tile: windows and overviews of them through `X.tif`, on a real
//! mount, with the requests that they cost.
//!
//! The giant is made from a small file, `patch.j2k`: a texture in 2048 x 2048 pixels of gray,
//! coded in precincts of which each is as it would be anywhere in a larger image. So its
//! packets are put to many places of one, and all other packets are empty. What the patch
//! looks like is known from the patch itself, which is no giant.

use super::*;

/// Side of the patch, and of the squares of the giant in which there is one, or nothing.
const SQUARE: u32 = 2048;
/// Decomposition levels of both.
const LEVELS: u32 = 6;
const PRECINCT: u32 = 256;

fn patch() -> &'static [u8] {
    include_bytes!("../../../support/jpeg2000/patch.j2k")
}

fn place_of(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes.windows(wanted.len()).position(|window| window == wanted).unwrap()
}

/// The patch's main header, and its packets by resolution, row and column of precincts.
fn packets() -> (Vec<u8>, Vec<Vec<&'static [u8]>>) {
    let bytes = patch();
    let sot = place_of(bytes, &[0xff, 0x90, 0, 10]);
    let plt = sot + 12;
    assert_eq!(bytes[plt..plt + 2], [0xff, 0x58]);
    let end = plt + 2 + usize::from(u16::from_be_bytes([bytes[plt + 2], bytes[plt + 3]]));
    let mut lengths = vec![0];
    for byte in &bytes[plt + 5..end] {
        let last = lengths.last_mut().unwrap();
        *last = *last << 7 | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            lengths.push(0);
        }
    }
    let (mut at, mut lengths) = (end + 2, lengths.into_iter());
    let by_resolution = (0..=LEVELS).map(|r| {
        let across = (SQUARE >> (LEVELS - r)).div_ceil(PRECINCT);
        let own = lengths.by_ref().take((across * across) as usize);
        own.map(|length| {
            at += length;
            &bytes[at - length..at]
        })
        .collect()
    });
    let by_resolution = by_resolution.collect();
    (bytes[..sot].to_vec(), by_resolution)
}

/// Whether there is a patch in a square: in four of nine.
fn has_patch(column: u32, row: u32) -> bool {
    (column + 2 * row + column * row) % 3 != 1
}

/// A giant of one tile, with or without the list of its packets (PLT).
fn giant(width: u32, height: u32, lists_packets: bool) -> Vec<u8> {
    let (mut bytes, patch) = packets();
    for (at, value) in [(8, width), (12, height), (24, width), (28, height)] {
        bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
    }
    let mut all: Vec<&[u8]> = Vec::new();
    for r in 0..=LEVELS {
        let above = LEVELS - r;
        let size = |full: u32| full.div_ceil(1 << above).div_ceil(PRECINCT);
        let in_square = (SQUARE >> above) / PRECINCT;
        for y in 0..size(height) {
            for x in 0..size(width) {
                let square = (x.checked_div(in_square), y.checked_div(in_square));
                let whole = |column: u32, row: u32| {
                    (column + 1) * SQUARE <= width && (row + 1) * SQUARE <= height
                };
                all.push(match square {
                    (Some(column), Some(row)) if has_patch(column, row) && whole(column, row) => {
                        patch[r as usize][(y % in_square * in_square + x % in_square) as usize]
                    }
                    _ => &[0],
                });
            }
        }
    }
    let mut header = Vec::new();
    if lists_packets {
        let mut digits = Vec::new();
        for packet in &all {
            let length = packet.len();
            for shift in [21, 14, 7] {
                if length >> shift > 0 {
                    digits.push((length >> shift & 0x7f) as u8 | 0x80);
                }
            }
            digits.push((length & 0x7f) as u8);
        }
        for (number, piece) in digits.chunks(60_000).enumerate() {
            header.extend([0xff, 0x58]);
            header.extend((piece.len() as u16 + 3).to_be_bytes());
            header.push(number as u8);
            header.extend(piece);
        }
    }
    let body: usize = all.iter().map(|packet| packet.len()).sum();
    bytes.extend([0xff, 0x90, 0, 10, 0, 0]);
    bytes.extend(((14 + header.len() + body) as u32).to_be_bytes());
    bytes.extend([0, 1]);
    bytes.extend(header);
    bytes.extend([0xff, 0x93]);
    all.iter().for_each(|packet| bytes.extend_from_slice(packet));
    bytes.extend([0xff, 0xd9]);
    bytes
}

/// The patch's own pixels at each level, from its file, which is small enough to be decoded
/// whole.
fn textures(mount: &Mount) -> Vec<Vec<u8>> {
    let pictures = tif(&fs::read(sibling(mount, "patch.j2k", ".tif")).unwrap());
    assert_eq!((pictures[0].0, pictures[0].1), (SQUARE, SQUARE));
    pictures.into_iter().map(|(_, _, samples)| samples).collect()
}

/// What a pixel of a level of the giant is, if its square is all there.
fn expected(textures: &[Vec<u8>], level: u32, x: u32, y: u32) -> u8 {
    let side = SQUARE >> level;
    if has_patch(x / side, y / side) {
        textures[level as usize][(y % side * side + x % side) as usize]
    } else {
        128
    }
}

/// A tile of the level that the decoder is at, as the `tiff` crate reads it.
fn read_tile(decoder: &mut Decoder<File>, column: u32, row: u32) -> Vec<u8> {
    let across = decoder.dimensions().unwrap().0.div_ceil(1024);
    decoder.read_chunk(row * across + column).unwrap().as_buffer(0).as_bytes().to_vec()
}

fn check(tile: &[u8], textures: &[Vec<u8>], level: u32, column: u32, row: u32) {
    assert_eq!(tile.len(), 1 << 20);
    for (n, sample) in tile.iter().enumerate() {
        let (x, y) = (column * 1024 + n as u32 % 1024, row * 1024 + n as u32 / 1024);
        assert_eq!(*sample, expected(textures, level, x, y), "level {level}: {x}, {y}");
    }
}

const WIDTH: u32 = 30_000;
const HEIGHT: u32 = 70_000;

#[test]
fn a_window_of_a_tile_of_30000_by_70000_costs_a_few_requests_and_little_memory() {
    let Some(server) = server() else { return };
    let bytes = giant(WIDTH, HEIGHT, true);
    let size = bytes.len() as u64;
    server.put(BUCKET, "giant.j2k", bytes);
    server.put(BUCKET, "patch.j2k", patch());
    let other = mount(&server, &[]);
    let textures = textures(&other);
    other.end();
    let mount = mount(&server, &[]);
    let before = mount.memory_bytes("VmHWM");
    let path = sibling(&mount, "giant.j2k", ".tif");
    let mut decoder = Decoder::new(open_random(&path)).unwrap();
    decoder.seek_to_image(0).unwrap();
    assert_eq!(
        (decoder.dimensions().unwrap(), decoder.chunk_dimensions()),
        ((WIDTH, HEIGHT), (1024, 1024))
    );
    // The first one reads the list of packets too.
    let (tile, cost) = cost_of(&server, || read_tile(&mut decoder, 1, 2));
    println!("of {size}: the first {cost:?}");
    check(&tile, &textures, 0, 1, 2);
    assert!(cost.get <= 30 && cost.bytes <= 4 * MIB, "{cost:?}");
    for (column, row) in [(18, 42), (19, 43), (22, 61), (27, 66), (10, 3)] {
        let (tile, cost) = cost_of(&server, || read_tile(&mut decoder, column, row));
        println!("{column}, {row}: {cost:?}");
        check(&tile, &textures, 0, column, row);
        assert!(cost.get <= 24 && cost.bytes <= 4 * MIB, "{cost:?}");
    }
    let grown = mount.memory_bytes("VmHWM") - before;
    println!("{} KiB more", grown >> 10);
    assert!(grown < 64 * MIB, "{grown}");
    // Overviews, with patches and without.
    for (level, column, row) in [(1, 5, 12), (2, 3, 11), (3, 2, 5)] {
        decoder.seek_to_image(level).unwrap();
        let (tile, cost) = cost_of(&server, || read_tile(&mut decoder, column, row));
        println!("level {level}: {cost:?}");
        check(&tile, &textures, level as u32, column, row);
        assert!(cost.get <= 24 && cost.bytes <= 4 * MIB, "{cost:?}");
    }
    drop(decoder);
    mount.end();
}

#[test]
fn a_preview_of_a_giant_costs_less_than_a_mebibyte_and_its_overviews_go_down_to_one_tile() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "giant.j2k", giant(WIDTH, HEIGHT, true));
    let mount = mount(&server, &[]);
    let path = sibling(&mount, "giant.j2k", ".preview.png");
    let (preview, cost) = cost_of(&server, || fs::read(&path).unwrap());
    println!("{cost:?}");
    let (width, height, samples) = png(&preview);
    assert_eq!((width, height), (439, 1024));
    assert!(samples.iter().all(|sample| *sample == 128), "the lowest resolutions are empty");
    assert!(cost.bytes < MIB && cost.get <= 10, "{cost:?}");
    let mut decoder = Decoder::new(open_random(&sibling(&mount, "giant.j2k", ".tif"))).unwrap();
    let mut sizes = vec![decoder.dimensions().unwrap()];
    while decoder.more_images() {
        decoder.next_image().unwrap();
        sizes.push(decoder.dimensions().unwrap());
    }
    let halved = |n: u32| (WIDTH.div_ceil(1 << n), HEIGHT.div_ceil(1 << n));
    assert_eq!(sizes, (0..=LEVELS).map(halved).collect::<Vec<_>>());
    let json = fs::read_to_string(sibling(&mount, "giant.j2k", ".json")).unwrap();
    assert!(json.contains("from the packets of each window"), "{json}");
    drop(decoder);
    mount.end();
}

#[test]
fn without_a_list_of_packets_a_giant_is_walked_once_and_only_as_far_as_allowed() {
    let Some(server) = server() else { return };
    let bytes = giant(20_000, 15_000, false);
    let size = bytes.len() as u64;
    server.put(BUCKET, "giant.j2k", bytes);
    server.put(BUCKET, "patch.j2k", patch());
    assert!(size > 3 * MIB, "{size}");
    let whole = mount(&server, &[]);
    let textures = textures(&whole);
    let mut decoder = Decoder::new(open_random(&sibling(&whole, "giant.j2k", ".tif"))).unwrap();
    let (tile, cost) = cost_of(&server, || read_tile(&mut decoder, 17, 13));
    println!("of {size}: {cost:?}");
    check(&tile, &textures, 0, 17, 13);
    assert!(cost.bytes <= size + size / 4, "{cost:?}");
    let (tile, cost) = cost_of(&server, || read_tile(&mut decoder, 5, 2));
    println!("then {cost:?}");
    check(&tile, &textures, 0, 5, 2);
    assert!(cost.bytes <= MIB, "{cost:?}");
    drop(decoder);
    whole.end();

    let some = mount(&server, &["--max-walk", "1M"]);
    let preview = fs::read(sibling(&some, "giant.j2k", ".preview.png")).unwrap();
    assert_eq!(png(&preview).0, 625);
    let file = open_random(&sibling(&some, "giant.j2k", ".npy"));
    let at = 128 + 20_000 * 14_000;
    let (failed, cost) = cost_of(&server, || part(&file, at..at + 100));
    assert_eq!(errno(failed), libc::EFBIG);
    assert!(cost.bytes <= MIB + 64 * 1024, "{cost:?}");
    let told = lines(&some, "WARN", "--max-walk");
    assert_eq!(told.len(), 1, "{told:?}");
    let told = &told[0];
    assert!(told.contains("PLT") && told.contains("reading"), "{told}");
    drop(file);
    some.end();
}

#[test]
fn what_a_walk_found_is_there_in_the_next_mount() {
    let Some(server) = server() else { return };
    let bytes = giant(20_000, 15_000, false);
    let size = bytes.len() as u64;
    server.put(BUCKET, "giant.j2k", bytes);
    let folder = tempfile::tempdir().unwrap();
    let options = ["--index-cache", folder.path().to_str().unwrap()];
    let last = |mount: &Mount| {
        let file = open_random(&sibling(mount, "giant.j2k", ".tif"));
        read_tile(&mut Decoder::new(file).unwrap(), 17, 13)
    };
    let first = mount(&server, &options);
    let (tile, cost) = cost_of(&server, || last(&first));
    assert!(cost.bytes > size / 2, "{cost:?} of {size}");
    // Where the tile-part is, and its packets.
    until("what was found is kept", || entries(folder.path()) == 2);
    first.end();
    let second = mount(&server, &options);
    let (again, cost) = cost_of(&server, || last(&second));
    println!("then {cost:?}");
    assert!(again == tile);
    assert!(cost.bytes <= MIB && cost.get <= 20, "{cost:?}");
    second.end();
}

#[test]
fn whole_arrays_of_a_giant_are_read_in_order() {
    let Some(server) = server() else { return };
    let bytes = giant(6000, 4500, true);
    let size = bytes.len() as u64;
    server.put(BUCKET, "giant.j2k", bytes);
    server.put(BUCKET, "patch.j2k", patch());
    let mount = mount(&server, &[]);
    let textures = textures(&mount);
    let (file, cost) = cost_of(&server, || fs::read(sibling(&mount, "giant.j2k", ".npy")).unwrap());
    println!("of {size}: {cost:?}");
    let array = npy(&file);
    let end = |x: usize, y: usize| x / 2048 == 2 || y / 2048 == 2;
    for (n, sample) in array.samples.iter().enumerate() {
        let (x, y) = (n % 6000, n / 6000);
        let right = if end(x, y) { 128 } else { expected(&textures, 0, x as u32, y as u32) };
        assert_eq!(*sample, right, "{x}, {y}");
    }
    assert!(cost.bytes <= 2 * size, "{cost:?}");
    let (_, _, samples) = png(&fs::read(sibling(&mount, "giant.j2k", ".png")).unwrap());
    assert!(samples == array.samples);
    mount.end();
}
