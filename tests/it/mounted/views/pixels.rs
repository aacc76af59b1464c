//! Siblings have the pixels that other programs see in the image, to the bit.

use super::fixtures::{Fixture, fixtures};
use super::*;
use crate::support::server::TestServer;

/// Images that PNG cannot hold as they are, but for the floats and integers of
/// other widths: too many bands, or two whose meaning nobody says.
const NOT_FOR_PNG: [&str; 4] =
    ["bands5_pcrl.j2k", "bands2_cprl_sop.j2k", "tiled.tif", "planar.tif"];

/// A mount with all fixtures.
fn gallery() -> Option<(TestServer, Mount, Vec<Fixture>)> {
    let server = server()?;
    let fixtures = fixtures();
    server.put_many(BUCKET, fixtures.iter().map(|f| (f.name.clone(), f.bytes.clone())));
    let mount = mount(&server, &[]);
    Some((server, mount, fixtures))
}

fn read(mount: &Mount, fixture: &Fixture, ending: &str) -> Vec<u8> {
    let path = sibling(mount, &fixture.name, ending);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}: {}", path.display(), mount.log()))
}

fn descr(dtype: &str) -> String {
    let bits: u32 = dtype.trim_start_matches(char::is_alphabetic).parse().unwrap();
    let order = if bits == 8 { '|' } else { '<' };
    format!("{order}{}{}", &dtype[..1], bits / 8)
}

/// Images of 8 or 16 unsigned bits in gray or color.
fn suits_png(fixture: &Fixture) -> bool {
    matches!(fixture.dtype.as_str(), "uint8" | "uint16")
        && !NOT_FOR_PNG.contains(&fixture.name.as_str())
}

#[test]
fn the_npy_of_every_format_has_the_pixels_that_other_readers_see() {
    let Some((_server, mount, fixtures)) = gallery() else { return };
    let mut wrong = Vec::new();
    for fixture in fixtures.iter().filter(|fixture| fixture.is_converted) {
        let array = npy(&read(&mount, fixture, ".npy"));
        if array.dtype != descr(&fixture.dtype) || array.shape != fixture.shape() {
            wrong.push(format!("{}: {} {:?}", fixture.name, array.dtype, array.shape));
        } else if !fixture.agrees(&array.samples) {
            wrong.push(format!("{}: other pixels", fixture.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    mount.end();
}

#[test]
fn the_png_has_the_pixels_of_the_npy_wherever_png_can_hold_them() {
    let Some((_server, mount, fixtures)) = gallery() else { return };
    let mut wrong = Vec::new();
    for fixture in fixtures.iter().filter(|fixture| fixture.is_converted) {
        if !suits_png(fixture) {
            let looked = fs::metadata(sibling(&mount, &fixture.name, ".png"));
            assert_eq!(errno(looked), libc::ENOENT, "{}", fixture.name);
            continue;
        }
        let (width, height, samples) = png(&read(&mount, fixture, ".png"));
        let same = (width.into(), height.into()) == fixture.size
            && samples == npy(&read(&mount, fixture, ".npy")).samples;
        if !same {
            wrong.push(&fixture.name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    mount.end();
}

#[test]
fn the_tif_has_the_pixels_of_the_npy() {
    let Some((_server, mount, fixtures)) = gallery() else { return };
    let mut wrong = Vec::new();
    for fixture in fixtures.iter().filter(|fixture| fixture.is_converted) {
        let pictures = tif(&read(&mount, fixture, ".tif"));
        assert_eq!(pictures.len(), 1, "{} is too small for overviews", fixture.name);
        let (width, height, samples) = &pictures[0];
        let same = (u64::from(*width), u64::from(*height)) == fixture.size
            && *samples == npy(&read(&mount, fixture, ".npy")).samples;
        if !same {
            wrong.push(&fixture.name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    mount.end();
}

#[test]
fn a_band_of_1830_pixels_has_the_same_in_all_siblings_and_four_overviews() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "B01.jp2", B01_JP2);
    let mount = mount(&server, &[]);
    let read = |ending| fs::read(sibling(&mount, "B01.jp2", ending)).unwrap();
    let array = npy(&read(".npy"));
    assert_eq!((array.dtype.as_str(), array.shape.as_slice()), ("<u2", [1830, 1830].as_slice()));
    // What `opj_decompress -i B01.jp2 -o B01.rawl` writes: little-endian.
    assert_eq!(crc32fast::hash(&array.samples), 0x1e65_7398);
    let (width, height, samples) = png(&read(".png"));
    assert!((width, height) == (1830, 1830) && samples == array.samples);
    let pictures = tif(&read(".tif"));
    let sizes: Vec<(u32, u32)> = pictures.iter().map(|picture| (picture.0, picture.1)).collect();
    assert_eq!(sizes, [1830, 915, 458, 229, 115].map(|side| (side, side)));
    assert!(pictures[0].2 == array.samples);
    let (width, height, shown) = png(&read(".preview.png"));
    assert_eq!((width, height, shown.len()), (915, 915, 915 * 915));
    mount.end();
}

#[test]
fn the_preview_of_an_8_bit_image_is_the_image_without_its_opacity() {
    let Some((_server, mount, fixtures)) = gallery() else { return };
    for fixture in fixtures.iter().filter(|fixture| fixture.is_converted) {
        let (width, height, shown) = png(&read(&mount, fixture, ".preview.png"));
        assert_eq!((u64::from(width), u64::from(height)), fixture.size, "{}", fixture.name);
        let bands = if fixture.bands < 3 { 1 } else { 3 };
        assert_eq!(shown.len() as u64, fixture.size.0 * fixture.size.1 * bands);
        if fixture.dtype == "uint8" {
            let samples = npy(&read(&mount, fixture, ".npy")).samples;
            let pixels = samples.chunks_exact(fixture.bands as usize);
            let opaque: Vec<u8> =
                pixels.flat_map(|pixel| pixel[..bands as usize].to_vec()).collect();
            assert!(shown == opaque, "{}", fixture.name);
        }
    }
    mount.end();
}

#[test]
fn every_sibling_has_the_size_that_stat_says_before_anything_is_decoded() {
    let Some((_server, mount, fixtures)) = gallery() else { return };
    for fixture in &fixtures {
        for ending in ENDINGS {
            let path = sibling(&mount, &fixture.name, ending);
            match fs::metadata(&path) {
                Ok(status) => {
                    let bytes = read(&mount, fixture, ending);
                    assert_eq!(bytes.len() as u64, status.len(), "{}", path.display());
                    assert_eq!(fs::metadata(&path).unwrap().len(), status.len());
                }
                Err(error) => {
                    assert_eq!(error.raw_os_error(), Some(libc::ENOENT), "{}", path.display());
                }
            }
        }
    }
    mount.end();
}

#[test]
fn the_json_says_which_siblings_exist_and_of_the_others_why_not() {
    let Some((_server, mount, fixtures)) = gallery() else { return };
    for fixture in &fixtures {
        let json = String::from_utf8(read(&mount, fixture, ".json")).unwrap();
        let told = told_views(&json);
        assert_eq!(told.iter().map(|(ending, _)| ending.as_str()).collect::<Vec<_>>(), ENDINGS);
        for (ending, reason) in told {
            let exists = fs::metadata(sibling(&mount, &fixture.name, &ending)).is_ok();
            assert_eq!(exists, reason.is_none(), "{}{ending}: {reason:?}", fixture.name);
        }
        let (width, height) = fixture.size;
        for said in [
            format!("\"width\": {width},"),
            format!("\"height\": {height},"),
            format!("\"bands\": {},", fixture.bands),
            format!("\"bytes\": {}\n", fixture.bytes.len()),
        ] {
            assert!(json.contains(&said), "{}: {said} is not in {json}", fixture.name);
        }
        if fixture.is_converted {
            assert!(json.contains(&format!("\"dtype\": \"{}\",", fixture.dtype)), "{json}");
            assert!(json.contains("\"unsupported\": null,"), "{json}");
        }
    }
    mount.end();
}

#[test]
fn what_cannot_be_converted_exactly_has_a_json_alone_with_the_reason_there_and_in_the_log() {
    let Some((_server, mount, fixtures)) = gallery() else { return };
    for fixture in fixtures.iter().filter(|fixture| !fixture.is_converted) {
        let json = String::from_utf8(read(&mount, fixture, ".json")).unwrap();
        for (ending, reason) in told_views(&json) {
            let reason = reason.unwrap_or_default();
            assert_eq!(ending == ".json", reason.is_empty(), "{}: {json}", fixture.name);
            assert!(reason.is_empty() || reason.contains("not converted"), "{json}");
            let opened = File::open(sibling(&mount, &fixture.name, &ending));
            assert_eq!(opened.is_ok(), reason.is_empty(), "{}{ending}", fixture.name);
        }
        let told = lines(&mount, "INFO", &format!("{}.npy does not exist: ", fixture.name));
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(fs::read(mount.join(&fixture.name)).unwrap(), fixture.bytes);
    }
    mount.end();
}
