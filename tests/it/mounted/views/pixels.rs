//! Siblings have the pixels that other programs see in the image, to the bit.

use super::fixtures::{Fixture, fixtures};
use super::*;
use crate::support::server::TestServer;

/// Images that PNG cannot hold as they are, but for the floats and integers of
/// other widths: too many bands, or two whose meaning nobody says.
const NOT_FOR_PNG: [&str; 15] = [
    "bands5_pcrl.j2k",
    "gdal_bands300.jp2",
    "bands2_cprl_sop.j2k",
    "tiled.tif",
    "planar.tif",
    "planar_tiled_partial_rows.tif",
    "planar_tiled_partial_cols.tif",
    "cmyk.tif",
    "jpeg_cmyk.tif",
    "jpeg_four.tif",
    "cmyk.jpg",
    "cmyk_420.jpg",
    "ycck_420.jpg",
    "ls_four_0.jls",
    "ls_four_3.jls",
];

/// What the `tiff` crate, which reads siblings here, does not read, or not all bands of. The
/// programs read these.
const NOT_FOR_THE_TIFF_CRATE: [&str; 4] =
    ["palette.dcm", "complex64.tif", "palette.tif", "rgb_and_more.tif"];

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
            && samples == as_png_readers_see(&mount, fixture);
        if !same {
            wrong.push(&fixture.name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    mount.end();
}

/// The samples of the `.npy`, with what PNG readers make of them: the colors of a palette,
/// gray of few bits from black to white, and the first three bands of RGB.
fn as_png_readers_see(mount: &Mount, fixture: &Fixture) -> Vec<u8> {
    let json = String::from_utf8(read(mount, fixture, ".json")).unwrap();
    let samples = upright(npy(&read(mount, fixture, ".npy")).samples, fixture, &json);
    match (fixture.color.as_str(), number(&json, "bit_depth")) {
        ("palette", _) => {
            let (_, colors) = json.split_once("\"palette\": ").unwrap();
            let digits = colors.split(|c: char| !c.is_ascii_digit());
            let values: Vec<u8> = digits.filter_map(|word| word.parse().ok()).collect();
            let colors: Vec<&[u8]> = values.chunks(3).collect();
            samples.iter().flat_map(|&index| colors[usize::from(index)].to_vec()).collect()
        }
        ("rgb_bands", _) => {
            let bytes = samples.len() / (fixture.size.0 * fixture.size.1) as usize;
            let kept = bytes / fixture.bands as usize * 3;
            samples.chunks_exact(bytes).flat_map(|pixel| pixel[..kept].to_vec()).collect()
        }
        ("gray", bits @ (1 | 2 | 4)) => {
            samples.iter().map(|sample| sample * (255 / ((1u16 << bits) - 1) as u8)).collect()
        }
        _ => samples,
    }
}

/// Rows of which the first is the lowest, from the highest on.
fn upright(samples: Vec<u8>, fixture: &Fixture, json: &str) -> Vec<u8> {
    if !json.contains("\"rows\": \"bottom up\"") {
        return samples;
    }
    let row = samples.len() / fixture.size.1 as usize;
    samples.chunks_exact(row).rev().flatten().copied().collect()
}

/// A number of an image's JSON.
fn number(json: &str, name: &str) -> u64 {
    let (_, value) = json.split_once(&format!("\"{name}\": ")).unwrap();
    value[..value.find(',').unwrap()].parse().unwrap()
}

#[test]
fn the_tif_has_the_pixels_of_the_npy() {
    let Some((_server, mount, fixtures)) = gallery() else { return };
    let mut wrong = Vec::new();
    let others = |fixture: &&Fixture| !NOT_FOR_THE_TIFF_CRATE.contains(&fixture.name.as_str());
    for fixture in fixtures.iter().filter(|fixture| fixture.is_converted).filter(others) {
        let pictures = tif(&read(&mount, fixture, ".tif"));
        let is_small = fixture.size.0.max(fixture.size.1) <= 256;
        assert!(pictures.len() == 1 || !is_small, "{} is too small for overviews", fixture.name);
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
fn the_preview_of_an_8_bit_image_is_the_image_on_white() {
    let Some((_server, mount, fixtures)) = gallery() else { return };
    // Of larger ones it is a lower resolution.
    let fits = |fixture: &&Fixture| fixture.size.0.max(fixture.size.1) <= 1024;
    for fixture in fixtures.iter().filter(|fixture| fixture.is_converted).filter(fits) {
        let (width, height, shown) = png(&read(&mount, fixture, ".preview.png"));
        if fixture.name.starts_with("rotated.") {
            // Upright, as a test of its own compares.
            assert_eq!((u64::from(height), u64::from(width)), fixture.size);
            continue;
        }
        assert_eq!((u64::from(width), u64::from(height)), fixture.size, "{}", fixture.name);
        let is_rgb = fixture.bands >= 3 || fixture.color == "palette";
        let bands = if is_rgb { 3 } else { 1 };
        assert_eq!(shown.len() as u64, fixture.size.0 * fixture.size.1 * bands);
        let json = String::from_utf8(read(&mount, fixture, ".json")).unwrap();
        // Colors are looked up, inks are mixed and few bits are stretched; see `view::shown`.
        let is_as_it_is = !matches!(fixture.color.as_str(), "palette" | "cmyk")
            && number(&json, "bit_depth") == 8;
        if fixture.dtype == "uint8" && is_as_it_is {
            let samples = npy(&read(&mount, fixture, ".npy")).samples;
            let samples = upright(samples, fixture, &json);
            let pixels = samples.chunks_exact(fixture.bands as usize);
            let on_white = |pixel: &[u8]| {
                let opacity = match pixel.len() {
                    2 | 4 if fixture.color != "bands" => f64::from(pixel[pixel.len() - 1]) / 255.0,
                    _ => 1.0,
                };
                let shown = move |value: u8| {
                    (f64::from(value) * opacity + 255.0 * (1.0 - opacity)).round() as u8
                };
                pixel[..bands as usize].iter().map(|value| shown(*value)).collect::<Vec<u8>>()
            };
            let wanted: Vec<u8> = pixels.flat_map(on_white).collect();
            assert!(shown == wanted, "{}", fixture.name);
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
        // Of a complex band the pixels have two samples.
        let parts = if json.contains("\"complex\": true") { 2 } else { 1 };
        for said in [
            format!("\"width\": {width},"),
            format!("\"height\": {height},"),
            format!("\"bands\": {},", fixture.bands / parts),
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
