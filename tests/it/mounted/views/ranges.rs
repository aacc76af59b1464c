//! Any range, in any order, by any number of readers: the same bytes.

use std::os::unix::fs::FileExt;
use std::thread;

use super::fixtures::fixtures;
use super::*;

/// Reads each sibling whole on one mount, and at random on another.
fn random_ranges_are_those_of_the_whole(images: &[(&str, &[u8])], flags: &[&str], reads: u64) {
    let Some(server) = server() else { return };
    server.put_many(BUCKET, images.iter().map(|(name, bytes)| (*name, bytes.to_vec())));
    let in_order = mount(&server, &[]);
    let at_random = mount(&server, flags);
    for (name, _) in images {
        let existing = ENDINGS.into_iter().filter_map(|ending| {
            let whole = fs::read(sibling(&in_order, name, ending)).ok()?;
            Some((ending, whole))
        });
        let wholes: Vec<(&str, Vec<u8>)> = existing.collect();
        assert!(wholes.len() >= 4, "{name}");
        let (at_random, wholes) = (&at_random, &wholes);
        thread::scope(|scope| {
            for reader in 1..=4 {
                scope.spawn(move || {
                    let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ (reader << 17));
                    for _ in 0..reads {
                        let (ending, whole) = &wholes[dice.below(wholes.len() as u64) as usize];
                        let path = sibling(at_random, name, ending);
                        let size = whole.len() as u64;
                        let start = dice.below(size);
                        let end = size.min(start + 1 + dice.below(200_000));
                        if dice.below(8) == 0 {
                            forget_pages(&path);
                        }
                        let bytes = part(&File::open(&path).unwrap(), start..end).unwrap();
                        let wanted = &whole[start as usize..end as usize];
                        assert!(bytes == wanted, "{name}{ending}: {start}..{end}");
                    }
                });
            }
        });
    }
    in_order.end();
    at_random.end();
}

#[test]
fn random_ranges_of_every_sibling_of_a_band_are_those_of_the_whole_file() {
    random_ranges_are_those_of_the_whole(&[("B01.jp2", B01_JP2)], &[], 60);
}

#[test]
fn random_ranges_are_those_of_the_whole_file_when_memory_is_short() {
    random_ranges_are_those_of_the_whole(&[("B01.jp2", B01_JP2)], &["--memory", "64M"], 30);
}

#[test]
fn random_ranges_are_those_of_the_whole_file_for_other_formats_offsets_and_bands() {
    let wanted = [
        "rgb12_offsets.j2k",
        "gray16_tiles_plt_tlm.jp2",
        "gdal_rgba.jp2",
        "rgba16.png",
        "rgb.exr",
        "tiled.tif",
        "rgb420.jpg",
        "rgb8_rlcp_parts.jp2",
        "float64.tif",
    ];
    let fixtures = fixtures();
    let found = fixtures.iter().filter(|fixture| wanted.contains(&fixture.name.as_str()));
    let images: Vec<(&str, &[u8])> =
        found.map(|fixture| (fixture.name.as_str(), fixture.bytes.as_slice())).collect();
    assert_eq!(images.len(), wanted.len());
    random_ranges_are_those_of_the_whole(&images, &[], 40);
}

#[test]
fn a_read_beyond_the_end_gives_nothing() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "B01.jp2", B01_JP2);
    let mount = mount(&server, &[]);
    for ending in ENDINGS {
        let file = open_random(&sibling(&mount, "B01.jp2", ending));
        let size = file.metadata().unwrap().len();
        let mut buffer = [0; 64];
        assert_eq!(file.read_at(&mut buffer, size).unwrap(), 0, "{ending}");
        assert_eq!(file.read_at(&mut buffer, size - 1).unwrap(), 1, "{ending}");
        assert_eq!(file.read_at(&mut buffer, size + (1 << 40)).unwrap(), 0, "{ending}");
    }
    mount.end();
}
