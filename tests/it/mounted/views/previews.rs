//! Previews as people see them.

use std::process::Command;

use image::codecs::png::PngEncoder;
use image::{DynamicImage, ExtendedColorType, ImageEncoder, RgbImage};
use moxcms::ColorProfile;

use super::*;

/// An image in the bucket, its mount, and its preview.
fn preview_of(name: &str, bytes: impl Into<Vec<u8>>, flags: &[&str]) -> Option<DynamicImage> {
    let server = server()?;
    server.put(BUCKET, name, bytes.into());
    let mount = mount(&server, flags);
    let path = sibling(&mount, name, ".preview.png");
    let size = fs::metadata(&path).unwrap().len();
    let bytes = fs::read(&path).unwrap();
    assert_eq!(bytes.len() as u64, size);
    mount.end();
    Some(image::load_from_memory(&bytes).unwrap())
}

fn png_of(image: &DynamicImage, profile: Option<&[u8]>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = PngEncoder::new(&mut bytes);
    if let Some(profile) = profile {
        encoder.set_icc_profile(profile.to_vec()).unwrap();
    }
    let color: ExtendedColorType = image.color().into();
    encoder.write_image(image.as_bytes(), image.width(), image.height(), color).unwrap();
    bytes
}

#[test]
fn a_photo_stands_upright_in_its_preview_and_lies_as_it_is_elsewhere() {
    let photo = include_bytes!("../../../support/images/rotated.jpg");
    // What libjpeg decodes, and what `make.py` wrote into the file's EXIF block.
    let pixels = include_bytes!("../../../support/images/rotated.jpg.raw").to_vec();
    let (width, height) = (19, 13);
    let stored = image::RgbImage::from_raw(width, height, pixels).unwrap();
    let mut upright = image::DynamicImage::from(stored);
    let orientation = image::metadata::Orientation::from_exif(6).unwrap();
    upright.apply_orientation(orientation);
    let Some(preview) = preview_of("rotated.jpg", photo.as_slice(), &[]) else { return };
    assert_eq!((preview.width(), preview.height()), (upright.width(), upright.height()));
    let (shown, wanted) = (preview.to_rgb8(), upright.to_rgb8());
    let far = shown.iter().zip(wanted.iter()).filter(|(a, b)| a.abs_diff(**b) > 8).count();
    assert!(far * 100 < shown.len(), "{far} of {} samples are others", shown.len());
    let Some(server) = server() else { return };
    server.put(BUCKET, "rotated.jpg", photo.as_slice());
    let mount = mount(&server, &[]);
    let exact = png(&fs::read(sibling(&mount, "rotated.jpg", ".png")).unwrap());
    assert_eq!((exact.0, exact.1), (width, height));
    mount.end();
}

#[test]
fn a_tiff_stands_upright_in_its_preview_and_carries_its_profile() {
    let scan = include_bytes!("../../../support/images/rotated.tif");
    let pixels = include_bytes!("../../../support/images/rotated.tif.raw").to_vec();
    let mut upright = DynamicImage::from(RgbImage::from_raw(19, 13, pixels.clone()).unwrap());
    upright.apply_orientation(image::metadata::Orientation::from_exif(6).unwrap());
    let Some(preview) = preview_of("scan.tif", scan.as_slice(), &[]) else { return };
    assert_eq!(preview.to_rgb8(), upright.to_rgb8());
    let profile = ColorProfile::new_display_p3();
    let icc = profile.encode().unwrap();
    let tagged = with_tag(scan, 34_675, &icc);
    let Some(server) = server() else { return };
    server.put(BUCKET, "wide.tif", tagged);
    let mount = mount(&server, &[]);
    let exact = fs::read(sibling(&mount, "wide.tif", ".png")).unwrap();
    assert_eq!(png(&exact).2, pixels);
    let carried = PngDecoder::new(Cursor::new(&exact)).unwrap().icc_profile().unwrap();
    assert_eq!(carried.as_deref(), Some(&icc[..]));
    let preview = png(&fs::read(sibling(&mount, "wide.tif", ".preview.png")).unwrap());
    assert!(preview.2 != upright.to_rgb8().into_raw(), "its colors are converted");
    mount.end();
}

/// A little-endian TIFF with another tag, the last one of its first directory.
fn with_tag(file: &[u8], tag: u16, value: &[u8]) -> Vec<u8> {
    let number = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
    let at = number(4);
    let count = usize::from(u16::from_le_bytes(file[at..at + 2].try_into().unwrap()));
    let entries = &file[at + 2..at + 2 + count * 12];
    let mut all = file.to_vec();
    all.resize(all.len().next_multiple_of(2), 0);
    let place = all.len() as u32;
    all.extend(value);
    all.resize(all.len().next_multiple_of(2), 0);
    let directory = all.len() as u32;
    all.extend((count as u16 + 1).to_le_bytes());
    all.extend(entries);
    all.extend([tag.to_le_bytes(), 7u16.to_le_bytes()].concat());
    all.extend([(value.len() as u32).to_le_bytes(), place.to_le_bytes(), [0; 4]].concat());
    all[4..8].copy_from_slice(&directory.to_le_bytes());
    all
}

#[test]
fn a_drawing_on_transparency_lies_on_white() {
    let mut drawing = image::RgbaImage::from_pixel(30, 20, image::Rgba([0, 0, 0, 0]));
    for x in 0..30 {
        drawing.put_pixel(x, 10, image::Rgba([0, 0, 0, 255]));
        drawing.put_pixel(x, 15, image::Rgba([200, 0, 0, 51]));
    }
    let bytes = png_of(&drawing.into(), None);
    let Some(preview) = preview_of("drawing.png", bytes, &[]) else { return };
    let preview = preview.to_rgb8();
    assert_eq!(preview.get_pixel(3, 3).0, [255, 255, 255]);
    assert_eq!(preview.get_pixel(3, 10).0, [0, 0, 0]);
    assert_eq!(preview.get_pixel(3, 15).0, [244, 204, 204]);
}

#[test]
fn colors_are_those_of_the_profile_which_the_png_carries() {
    // Once: it says when it was made.
    let profile = ColorProfile::new_display_p3().encode().unwrap();
    let pixel = image::Rgb([200, 50, 50]);
    let image: DynamicImage = RgbImage::from_pixel(40, 30, pixel).into();
    for decoders in ["workers", "in-process"] {
        let Some(server) = server() else { return };
        server.put(BUCKET, "wide.png", png_of(&image, Some(&profile)));
        server.put(BUCKET, "plain.png", png_of(&image, None));
        let mount = mount(&server, &["--decoders", decoders]);
        let preview = |name: &str| {
            let bytes = fs::read(sibling(&mount, name, ".preview.png")).unwrap();
            image::load_from_memory(&bytes).unwrap().to_rgb8().get_pixel(5, 5).0
        };
        assert_eq!(preview("plain.png"), [200, 50, 50]);
        // Display P3 in sRGB, as other programs convert it.
        let [red, green, blue] = preview("wide.png");
        assert!(
            red.abs_diff(216) <= 3 && green.abs_diff(24) <= 4 && blue.abs_diff(40) <= 4,
            "{decoders}: {red} {green} {blue}"
        );
        let file = fs::read(sibling(&mount, "wide.png", ".png")).unwrap();
        let mut decoder = PngDecoder::new(Cursor::new(&file)).unwrap();
        assert_eq!(decoder.icc_profile().unwrap().as_ref(), Some(&profile));
        assert!(png(&file).2 == image.as_bytes(), "the pixels are as they were");
        let plain = fs::read(sibling(&mount, "plain.png", ".png")).unwrap();
        assert_eq!(PngDecoder::new(Cursor::new(&plain)).unwrap().icc_profile().unwrap(), None);
        mount.end();
    }
}

#[test]
fn the_bands_of_a_preview_can_be_chosen() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/jpeg2000");
    let bands = fs::read(folder.join("bands5_pcrl.j2k")).unwrap();
    let shown = |flags: &[&str]| preview_of("bands.j2k", bands.clone(), flags);
    let Some(first) = shown(&[]) else { return };
    let last = shown(&["--preview-bands", "5,4,3"]).unwrap().to_rgb8();
    let gray = shown(&["--preview-bands", "3"]).unwrap();
    assert!(matches!(gray, DynamicImage::ImageLuma8(_)));
    let (first, gray) = (first.to_rgb8(), gray.to_luma8());
    assert_eq!(first.dimensions(), gray.dimensions());
    for (x, y, pixel) in gray.enumerate_pixels() {
        // The third band is in each of them.
        assert_eq!(first.get_pixel(x, y).0[2], pixel.0[0]);
        assert_eq!(last.get_pixel(x, y).0[2], pixel.0[0]);
    }
    assert_ne!(first.get_pixel(1, 1).0[0], last.get_pixel(1, 1).0[0]);
}

#[test]
fn compressed_previews_are_small_and_the_same() {
    let photo = include_bytes!("../../../support/images/rotated.jpg");
    let Some(server) = server() else { return };
    server.put(BUCKET, "photo.jpg", photo.as_slice());
    server.put(BUCKET, "B01.jp2", B01_JP2);
    let read = |flags: &[&str]| {
        let mount = mount(&server, flags);
        let files = ["photo.jpg", "B01.jp2"].map(|name| {
            let path = sibling(&mount, name, ".preview.png");
            let size = fs::metadata(&path).unwrap().len();
            let bytes = fs::read(&path).unwrap();
            assert_eq!(bytes.len() as u64, size);
            forget_pages(&path);
            assert!(fs::read(&path).unwrap() == bytes);
            bytes
        });
        mount.end();
        files
    };
    let (stored, packed) = (read(&[]), read(&["--png-compression", "fast"]));
    for (stored, packed) in stored.iter().zip(&packed) {
        assert!(png(stored) == png(packed), "the pixels differ");
        assert!(packed.len() * 4 < stored.len() * 3, "{} of {}", packed.len(), stored.len());
    }
}

#[test]
fn compressed_pictures_are_not_listed_where_programs_write() {
    let Some(server) = server() else { return };
    let point = tempfile::TempDir::new().unwrap();
    let mounting = |flags: &[&str]| {
        let mut command = Command::new(crate::harness::mounting::PROGRAM);
        command.args(["mount", BUCKET]).arg(point.path());
        command.args(["--endpoint-url", &server.endpoint(), "--png-compression", "fast"]);
        command.args(["--writes", "memory"]).args(flags).output().unwrap()
    };
    let refused = mounting(&["--list-views"]);
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success());
    assert!(text.contains("--list-views=npy,tif,json"), "{text}");
}
