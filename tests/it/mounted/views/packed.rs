//! `--png-compression fast`.

use super::*;

#[test]
fn a_compressed_png_has_the_same_pixels_and_the_size_that_stat_says() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "B01.jp2", B01_JP2);
    let stored = mount(&server, &[]);
    let as_it_is = fs::read(sibling(&stored, "B01.jp2", ".png")).unwrap();
    stored.end();
    let mount = mount(&server, &["--png-compression", "fast"]);
    let path = sibling(&mount, "B01.jp2", ".png");
    let size = fs::metadata(&path).unwrap().len();
    let packed = fs::read(&path).unwrap();
    assert_eq!(packed.len() as u64, size);
    assert!(size < as_it_is.len() as u64 * 3 / 4, "{size} of {}", as_it_is.len());
    let pixels = |file: &[u8]| image::load_from_memory(file).unwrap().into_bytes();
    assert!(pixels(&packed) == pixels(&as_it_is), "the pixels differ");
    // Parts of it, and a second time: the same bytes.
    let file = File::open(&path).unwrap();
    assert_eq!(part(&file, size - 1000..size).unwrap(), packed[packed.len() - 1000..]);
    drop(file);
    forget_pages(&path);
    assert!(fs::read(&path).unwrap() == packed);
    mount.end();
}
