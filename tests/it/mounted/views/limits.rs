//! Images that are too large, cut short or damaged.

use std::io::Write;
use std::os::unix::fs::FileExt;

use super::fixtures::{Fixture, fixtures};
use super::mosaic::{TILE, mosaic};
use super::*;

/// Whether something failed as a damaged image does: it is no image, or EIO.
fn is_refused<T: std::fmt::Debug>(outcome: std::io::Result<T>) -> bool {
    matches!(errno(outcome), libc::EIO | libc::ENOENT)
}

fn fixture(name: &str) -> Fixture {
    fixtures().into_iter().find(|fixture| fixture.name == name).unwrap()
}

/// A codestream of 15 KB whose header says 30000x30000 pixels, in tiles of this side.
fn bomb(tile: u32) -> Vec<u8> {
    let mut bytes = fixture("gray8.j2k").bytes;
    // SOC, SIZ, its length, its capabilities; sizes of image and tile, offsets between.
    for (at, side) in [(8, 30_000u32), (12, 30_000), (24, tile), (28, tile)] {
        bytes[at..at + 4].copy_from_slice(&side.to_be_bytes());
    }
    bytes.resize(15_000, 0);
    bytes
}

#[test]
fn a_bomb_is_refused_before_anything_is_decoded_and_the_log_names_the_option_once() {
    // In one tile, of which windows could be decoded; in tiles that are decoded whole.
    for (side, flags, option) in [
        (30_000, &[][..], "--max-expansion"),
        (2000, &[], "--max-image-pixels"),
        (2000, &["--max-image-pixels", "1G"], "--max-expansion"),
        (2000, &["--max-image-pixels", "1G", "--max-tile-samples", "1M"], "--max-tile-samples"),
    ] {
        let Some(server) = server() else { return };
        let bytes = bomb(side);
        server.put(BUCKET, "bomb.j2k", bytes.clone());
        server.put(BUCKET, "good.j2k", fixture("gray8.j2k").bytes);
        let mount = mount(&server, flags);
        let ((), cost) = cost_of(&server, || {
            for ending in ENDINGS {
                let path = sibling(&mount, "bomb.j2k", ending);
                assert_eq!(errno(fs::metadata(&path)), libc::EFBIG, "{ending}");
                assert_eq!(errno(File::open(&path)), libc::EFBIG, "{ending}");
            }
        });
        assert_eq!(cost, Cost { get: 1, bytes: bytes.len() as u64, ..NOTHING });
        let told = lines(&mount, "WARN", "bomb.j2k");
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains(option), "{told:?}");
        assert_eq!(fs::read(mount.join("bomb.j2k")).unwrap(), bytes, "the object is readable");
        assert!(fs::read(sibling(&mount, "good.j2k", ".png")).is_ok());
        assert!(mount.memory_bytes("VmHWM") < 200 * MIB);
        mount.end();
    }
}

#[test]
fn each_limit_has_an_option_that_the_log_names_and_that_moves_it() {
    // A limit that the image is over, and one that it is not.
    for (name, option, low, high) in [
        ("B01.jp2", "--max-image-pixels", "1000", "4M"),
        ("B01.jp2", "--max-tile-samples", "1000", "1M"),
        ("B01.jp2", "--max-decode-memory", "1000", "100M"),
        ("B01.jp2", "--max-tiles", "3", "4"),
        ("B01.jp2", "--max-code-blocks", "1000", "2000"),
        ("rgb8.png", "--max-image-pixels", "100", "1000"),
        ("rgb8.png", "--max-decode-memory", "100", "100K"),
    ] {
        let Some(server) = server() else { return };
        let bytes = if name == "B01.jp2" { B01_JP2.to_vec() } else { fixture(name).bytes };
        server.put(BUCKET, name, bytes.clone());
        let low = mount(&server, &[option, low]);
        for ending in ENDINGS {
            let opened = File::open(sibling(&low, name, ending));
            assert_eq!(errno(opened), libc::EFBIG, "{name} {option} {ending}: {}", low.log());
        }
        let told = lines(&low, "WARN", name);
        assert!(told.len() == 1 && told[0].contains(option), "{option}: {told:?}");
        assert_eq!(fs::read(low.join(name)).unwrap(), bytes);
        low.end();
        let high = mount(&server, &[option, high]);
        let array = npy(&fs::read(sibling(&high, name, ".npy")).unwrap());
        assert!(!array.samples.is_empty(), "{option}");
        high.end();
    }
}

#[test]
fn declared_pixels_are_held_against_compressed_bytes() {
    let Some(server) = server() else { return };
    // More white pixels than a tile may have, in a few bytes.
    let mut file = Vec::new();
    let white = image::GrayImage::from_pixel(5000, 5000, image::Luma([255]));
    white.write_to(&mut Cursor::new(&mut file), image::ImageFormat::Png).unwrap();
    server.put(BUCKET, "white.png", file.clone());
    let expansion = 25_000_000 / file.len() as u64;
    let low = mount(&server, &["--max-expansion", &(expansion - 1).to_string()]);
    assert_eq!(errno(File::open(low.join("white.png.npy"))), libc::EFBIG);
    assert_eq!(lines(&low, "WARN", "--max-expansion").len(), 1, "{}", low.log());
    low.end();
    let high = mount(&server, &["--max-expansion", &expansion.to_string()]);
    let array = npy(&fs::read(high.join("white.png.npy")).unwrap());
    assert!(array.samples.iter().all(|sample| *sample == 255));
    high.end();
}

#[test]
fn an_image_cut_short_gives_nothing_that_differs_from_the_whole_one() {
    let Some(server) = server() else { return };
    // Without its last bytes a TGA is one of the first version, in which opacity counts.
    let may_be_cut = |f: &Fixture| f.is_converted && !f.name.starts_with("unused");
    let whole: Vec<Fixture> = fixtures().into_iter().filter(may_be_cut).collect();
    for fixture in &whole {
        let length = fixture.bytes.len();
        server.put(BUCKET, &format!("whole/{}", fixture.name), fixture.bytes.clone());
        for (cut, kept) in cuts(length) {
            let bytes = fixture.bytes[..kept].to_vec();
            server.put(BUCKET, &format!("{cut}/{}", fixture.name), bytes);
        }
    }
    let mount = mount(&server, &[]);
    let (mut refused, mut wrong) = (0, Vec::new());
    for fixture in &whole {
        for (cut, kept) in cuts(fixture.bytes.len()) {
            let name = format!("{cut}/{}", fixture.name);
            // The JSON is of the header, and says how long the object is.
            for ending in &ENDINGS[..4] {
                let path = sibling(&mount, &name, ending);
                match fs::read(&path) {
                    Err(error) => {
                        assert!(is_refused(Err::<(), _>(error)), "{}", path.display());
                        refused += 1;
                    }
                    Ok(bytes) => {
                        let whole = sibling(&mount, &format!("whole/{}", fixture.name), ending);
                        if !fs::read(whole).is_ok_and(|whole| whole == bytes) {
                            wrong.push(format!("{name}{ending}"));
                        }
                    }
                }
            }
            let object = fs::read(mount.join(&name)).unwrap();
            assert!(object == fixture.bytes[..kept], "{name}");
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(refused > 3 * whole.len() * 4, "{refused}");
    mount.end();
}

/// Where an image is cut: folder, and bytes that are kept.
fn cuts(length: usize) -> [(&'static str, usize); 5] {
    [
        ("tenth", length / 10),
        ("half", length / 2),
        ("most", length * 9 / 10),
        ("all but 12", length.saturating_sub(12)),
        ("all but 1", length - 1),
    ]
}

#[test]
fn a_band_cut_short_is_eio_with_one_line_in_the_log_and_others_are_served_on() {
    let Some(server) = server() else { return };
    let cut = &B01_JP2[..1_500_000];
    server.put(BUCKET, "cut.jp2", cut);
    server.put(BUCKET, "whole.jp2", B01_JP2);
    let mount = mount(&server, &[]);
    for _ in 0..2 {
        for ending in &ENDINGS[..4] {
            let read = fs::read(sibling(&mount, "cut.jp2", ending));
            assert_eq!(errno(read), libc::EIO, "{ending}: {}", mount.log());
        }
    }
    let told = lines(&mount, "WARN", "cut.jp2");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(fs::read(mount.join("cut.jp2")).unwrap(), cut);
    assert!(fs::read(sibling(&mount, "whole.jp2", ".png")).is_ok());
    mount.end();
}

#[test]
fn a_damaged_tile_fails_its_own_rows_and_no_others() {
    let Some(server) = server() else { return };
    let mut image = mosaic(1, 4, true);
    let first = image.bytes.len() as u64 - 2 - 4 * image.part;
    // The SOT of the second tile says that it is another.
    image.bytes[(first + image.part + 5) as usize] = 0;
    server.put(BUCKET, "scene.j2k", image.bytes);
    let mount = mount(&server, &[]);
    let file = open_random(&sibling(&mount, "scene.j2k", ".npy"));
    let tile = TILE * TILE * 2;
    let upper = part(&file, 4096..8192).unwrap();
    let lower = part(&file, 2 * tile + 4096..2 * tile + 8192).unwrap();
    assert_eq!(upper, lower, "the first and the third tile are the same");
    assert_eq!(errno(part(&file, tile + 4096..tile + 8192)), libc::EIO);
    // A range that begins well and ends in the damaged tile fails as a whole, page
    // by page as the kernel asks for it.
    let mut buffer = vec![0; 16 << 10];
    if let Ok(length) = file.read_at(&mut buffer, tile + 128 - (8 << 10)) {
        assert!(length <= 8 << 10, "{length}");
    }
    assert_eq!(lines(&mount, "WARN", "scene.j2k").len(), 1, "{}", mount.log());
    drop(file);
    mount.end();
}

#[test]
fn damage_of_any_byte_ends_in_pixels_or_an_error_and_never_in_a_dead_mount() {
    let Some(server) = server() else { return };
    let mut dice = Dice(0x1234_5678_9abc_def1);
    let mut names = Vec::new();
    for fixture in fixtures().into_iter().filter(|fixture| fixture.is_converted) {
        for turn in 0..3 {
            let mut bytes = fixture.bytes.clone();
            for _ in 0..=turn {
                let at = dice.below(bytes.len() as u64) as usize;
                bytes[at] = dice.below(256) as u8;
            }
            let name = format!("{turn}/{}", fixture.name);
            server.put(BUCKET, &name, bytes);
            names.push(name);
        }
    }
    let mount = mount(&server, &[]);
    for name in &names {
        for ending in ENDINGS {
            let path = sibling(&mount, name, ending);
            match (fs::metadata(&path), fs::read(&path)) {
                (Ok(status), Ok(bytes)) => {
                    assert_eq!(bytes.len() as u64, status.len(), "{}", path.display());
                }
                (_, Err(error)) => {
                    let number = error.raw_os_error().unwrap();
                    let known = [libc::EIO, libc::ENOENT, libc::EFBIG].contains(&number);
                    assert!(known, "{}: {error}", path.display());
                }
                (Err(error), Ok(_)) => panic!("{}: {error}", path.display()),
            }
        }
    }
    assert!(!mount.log().contains("ERROR"), "{}", mount.log());
    mount.end();
}

#[test]
fn a_header_whose_comment_is_longer_than_the_first_read_is_read_and_holds_nobody_up() {
    let Some(server) = server() else { return };
    let pixels: Vec<u8> = (0..12).collect();
    for (magic, samples) in [("P5", 12), ("P6", 36), ("P4", 3)] {
        let mut file = format!("{magic}\n#").into_bytes();
        file.extend(std::iter::repeat_n(b'c', 20_000));
        let largest = if magic == "P4" { "" } else { "255\n" };
        file.extend(format!("\n4 3\n{largest}").into_bytes());
        file.extend(pixels.iter().cycle().take(samples));
        server.put(BUCKET, &format!("{magic}.pnm"), file);
    }
    // One whose comment never ends.
    let mut endless = b"P5\n#".to_vec();
    endless.resize(100_000, b'c');
    server.put(BUCKET, "endless.pgm", endless);
    server.put(BUCKET, "object", vec![7; 1000]);
    let mount = mount(&server, &[]);
    for magic in ["P5", "P6", "P4"] {
        let name = format!("{magic}.pnm");
        assert!(fs::metadata(sibling(&mount, &name, ".json")).unwrap().len() > 0, "{name}");
        assert_eq!(npy(&fs::read(sibling(&mount, &name, ".npy")).unwrap()).shape[..2], [3, 4]);
    }
    let array = npy(&fs::read(sibling(&mount, "P5.pnm", ".npy")).unwrap());
    assert_eq!(array.samples, pixels);
    for ending in ENDINGS {
        assert!(is_refused(fs::metadata(sibling(&mount, "endless.pgm", ending))), "{ending}");
    }
    assert_eq!(fs::read(mount.join("object")).unwrap(), [7; 1000]);
    mount.end();
}

#[test]
fn a_colour_profile_that_inflates_to_a_gibibyte_takes_no_memory() {
    let Some(server) = server() else { return };
    let chunk = |kind: &[u8], data: &[u8]| {
        let body = [kind, data].concat();
        let (length, sum) = (data.len() as u32, crc32fast::hash(&body));
        [&length.to_be_bytes()[..], &body, &sum.to_be_bytes()].concat()
    };
    let deflated = |bytes: usize| {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        let zeros = vec![0; MIB as usize];
        (0..bytes.div_ceil(zeros.len())).for_each(|_| encoder.write_all(&zeros).unwrap());
        encoder.finish().unwrap()
    };
    let profile = [&b"bomb\0\0"[..], &deflated(1 << 30)].concat();
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    png.extend(chunk(b"IHDR", &[0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0]));
    png.extend(chunk(b"iCCP", &profile));
    let row = flate2::write::ZlibEncoder::new(vec![], flate2::Compression::best());
    let row = {
        let mut row = row;
        row.write_all(&[0, 9]).unwrap();
        row.finish().unwrap()
    };
    png.extend(chunk(b"IDAT", &row));
    png.extend(chunk(b"IEND", &[]));
    server.put(BUCKET, "bomb.png", png);
    for flags in [&["--decoders", "workers"][..], &["--decoders", "in-process"]] {
        let mount = mount(&server, flags);
        let _ = fs::metadata(sibling(&mount, "bomb.png", ".json"));
        let peak = mount.memory_bytes("VmHWM");
        assert!(peak < 150 * MIB, "{flags:?}: {} MiB", peak / MIB);
        mount.end();
    }
}

#[test]
fn an_image_that_memory_has_no_room_for_is_refused_and_objects_are_read() {
    let Some(server) = server() else { return };
    // 72 MB of pixels, more than half of the memory.
    let image = image::RgbImage::from_fn(6000, 4000, |x, y| image::Rgb([x as u8, y as u8, 3]));
    let mut file = Cursor::new(Vec::new());
    image.write_to(&mut file, image::ImageFormat::Png).unwrap();
    server.put(BUCKET, "large.png", file.into_inner());
    // 24 MB, which have room.
    let image = image::GrayImage::from_fn(6000, 4000, |x, y| image::Luma([(x / 7 + y / 3) as u8]));
    let mut file = Cursor::new(Vec::new());
    image.write_to(&mut file, image::ImageFormat::Png).unwrap();
    server.put(BUCKET, "fits.png", file.into_inner());
    let object: Vec<u8> = (0..90u32 << 18).flat_map(u32::to_le_bytes).collect();
    server.put(BUCKET, "object", object.clone());
    let mount = mount(&server, &["--memory", "64M"]);
    for ending in ENDINGS {
        assert_eq!(errno(File::open(sibling(&mount, "large.png", ending))), libc::EFBIG);
    }
    let told = lines(&mount, "WARN", "large.png");
    assert!(told.len() == 1 && told[0].contains("--memory"), "{told:?}");
    let array = npy(&fs::read(sibling(&mount, "fits.png", ".npy")).unwrap());
    assert!(array.samples == image.into_raw());
    // Its pixels are still held while all of an object goes through.
    let held = File::open(sibling(&mount, "fits.png", ".npy")).unwrap();
    assert!(fs::read(mount.join("object")).unwrap() == object);
    assert_eq!(part(&held, 1 << 20..(1 << 20) + 100).unwrap().len(), 100);
    drop(held);
    mount.end();
}
