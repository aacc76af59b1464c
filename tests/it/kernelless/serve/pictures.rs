//! The gallery, and pictures in tiles.

use image::GenericImageView;

use super::{BUCKET, Reply, Served, server};
use crate::support::B01_JP2;

/// The number behind a name of a flat JSON object.
fn number(text: &str, name: &str) -> u32 {
    let at = text.find(&format!("\"{name}\":")).unwrap_or_else(|| panic!("{name}: {text}"));
    let digits = &text[at + name.len() + 3..];
    digits.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}

#[track_caller]
fn picture(reply: &Reply) -> image::DynamicImage {
    assert_eq!((reply.status, reply.header("content-type")), (200, "image/png"));
    image::load_from_memory(&reply.body).unwrap()
}

#[test]
fn tiles_of_all_zooms_fit_together_to_the_image() {
    let server = server();
    server.put(BUCKET, "B01.jp2", B01_JP2);
    let served = Served::start(&server, &[]);
    let facts = served.get("/B01.jp2?tile=info").text();
    let (width, height) = (number(&facts, "width"), number(&facts, "height"));
    let last = number(&facts, "zoom");
    assert!(width.max(height).div_ceil(1 << last) <= 256, "{facts}");
    assert!(width.max(height).div_ceil(1 << (last - 1)) > 256, "{facts}");
    // All pixels, from 0 to 255 times 40, as the PNG of the image has them.
    let whole = image::load_from_memory(&served.get("/B01.jp2.png").body).unwrap().into_luma16();
    assert_eq!(whole.dimensions(), (width, height));
    let gray = |value: u16| (f64::from(value.min(10_200)) / 10_200.0 * 255.0).round() as u8;
    for row in 0..height.div_ceil(256) {
        for column in 0..width.div_ceil(256) {
            let path = format!("/B01.jp2?tile={last}/{column}/{row}&stretch=0,10200");
            let tile = picture(&served.get(&path)).into_luma8();
            let (x, y) = (column * 256, row * 256);
            assert_eq!(tile.dimensions(), ((width - x).min(256), (height - y).min(256)));
            let differs = tile
                .enumerate_pixels()
                .find(|(dx, dy, pixel)| pixel.0[0] != gray(whole.get_pixel(x + dx, y + dy).0[0]));
            assert!(differs.is_none(), "{path}: {differs:?}");
        }
    }
    // All of it in one tile, as large as is said.
    let small = picture(&served.get("/B01.jp2?tile=0/0/0"));
    assert_eq!(small.dimensions(), (width.div_ceil(1 << last), height.div_ceil(1 << last)));
    let preview = picture(&served.get("/B01.jp2?tile=small"));
    assert!(preview.width().max(preview.height()) <= 256);
    for outside in [format!("{last}/99/0"), format!("{}/0/0", last + 1), "0/0/1".to_owned()] {
        assert_eq!(served.get(&format!("/B01.jp2?tile={outside}")).status, 404, "{outside}");
    }
    assert_eq!(served.get("/B01.jp2?tile=x").status, 400);
}

#[test]
fn what_lies_beside_an_image_is_in_its_pictures() {
    let fixture = |name: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/masks");
        std::fs::read(format!("{folder}/{name}")).unwrap()
    };
    let server = server();
    server.put(BUCKET, "d/beside.tif", fixture("beside.tif"));
    let served = Served::start(&server, &["--metadata-ttl", "0"]);
    let path = "/d/beside.tif?tile=0/0/0&stretch=0,255";
    let alone = served.get(path);
    server.put(BUCKET, "d/beside.tif.msk", fixture("beside.tif.msk"));
    let masked = served.get(path);
    assert_ne!(masked.header("etag"), alone.header("etag"));
    let (alone, masked) = (picture(&alone).into_rgba8(), picture(&masked).into_rgba8());
    assert_eq!(alone.dimensions(), masked.dimensions());
    let mask = fixture("beside.tif.0.mask.raw");
    let (mut hidden, mut shown) = (0, 0);
    for (at, (with, without)) in masked.pixels().zip(alone.pixels()).enumerate() {
        match mask[at] {
            // What is masked is white, as in the preview.
            0 => {
                hidden += 1;
                assert!(with.0 == [255; 4] || with.0[3] == 0, "{at}: {with:?}");
            }
            _ => {
                shown += 1;
                assert_eq!(with, without, "{at}");
            }
        }
    }
    assert!(hidden > 0 && shown > 0, "{hidden} of {} are masked", hidden + shown);
    // Finding out what lies beside it costs nothing where the folder is known.
    let served = Served::start(&server, &[]);
    served.get(path);
    server.reset_counts();
    served.get(path);
    assert_eq!(server.counts().requests(), 0);
}

#[test]
fn what_is_no_image_has_no_picture_and_a_picture_is_sent_once() {
    let server = server();
    server.put(BUCKET, "a.tif", "no image at all");
    server.put(BUCKET, "B01.jp2", B01_JP2);
    let served = Served::start(&server, &[]);
    assert_eq!(served.get("/a.tif?tile=info").text(), "null\n");
    assert_eq!(served.get("/a.tif?tile=small").status, 404);
    assert_eq!(served.get("/missing.tif?tile=small").status, 404);
    let tile = served.get("/B01.jp2?tile=0/0/0");
    let tag = tile.header("etag").to_owned();
    server.reset_counts();
    let again = served.ask("GET", "/B01.jp2?tile=0/0/0", &[("If-None-Match", &tag)]);
    assert_eq!((again.status, again.body.len()), (304, 0));
    let other = served.get("/B01.jp2?tile=0/0/0&stretch=0,1");
    assert_ne!(other.header("etag"), tag);
    assert_ne!(other.body, tile.body);
    assert_eq!(server.counts().requests(), 0, "all of it is in memory");
    let none = Served::start(&server, &["--views", "none"]);
    assert_eq!(none.get("/B01.jp2?tile=0/0/0").status, 404);
}

#[test]
fn a_small_picture_costs_what_the_smallest_level_does() {
    let server = server();
    server.put(BUCKET, "B01.jp2", B01_JP2);
    let served = Served::start(&server, &[]);
    server.reset_counts();
    assert_eq!(served.get("/B01.jp2?tile=0/0/0&stretch=0,10000").status, 200);
    let counts = server.counts();
    assert!(counts.body_bytes < B01_JP2.len() as u64 / 2, "{counts:?}");
}

#[test]
fn the_gallery_is_in_every_directory_with_its_names_in_it() {
    let server = server();
    server.put(BUCKET, "d e/<i>{listing}", "x");
    let served = Served::start(&server, &[]);
    let page = served.get("/d%20e/");
    let text = page.text();
    assert!(text.contains("data-depth=\"1\"") && text.contains("data-source=\"s3://tiles\""));
    assert!(text.contains("<a href=\"./%3Ci%3E%7Blisting%7D\">&lt;i&gt;{listing}</a>"), "{text}");
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    for (name, kind) in [
        ("style.css", "text/css; charset=utf-8"),
        ("gallery.js", "text/javascript; charset=utf-8"),
        ("viewer.js", "text/javascript; charset=utf-8"),
    ] {
        assert!(text.contains(&format!("\"./?asset={name}\"")));
        let asset = served.get(&format!("/d%20e/?asset={name}"));
        assert_eq!((asset.status, asset.header("content-type")), (200, kind));
    }
    assert_eq!(served.get("/?asset=page.html").status, 404);
}
