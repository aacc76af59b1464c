//! TIFFs with masks and overviews, in the file and beside it; see `tests/support/masks/make.py`.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt;

use super::*;

const SIZE: (u32, u32) = (101, 75);

fn fixture(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/support/masks");
    fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Puts a fixture, and what lies beside it.
fn put(server: &crate::support::server::TestServer, name: &str) {
    for ending in [".ovr", ".msk.ovr", ".msk", ""] {
        let file = format!("{name}{ending}");
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/support/masks");
        if let Ok(bytes) = fs::read(folder.join(&file)) {
            server.put(BUCKET, &file, bytes);
        }
    }
}

/// NewSubfileType, columns, rows and samples of each image of an `X.tif`.
fn images(file: &[u8]) -> Vec<(u32, u32, u32, Vec<u8>)> {
    let number = |at: usize, bytes: usize| {
        let of_file = file[at..at + bytes].iter().rev();
        of_file.fold(0, |all, byte| all << 8 | usize::from(*byte))
    };
    let (mut found, mut at) = (Vec::new(), number(4, 4));
    while at != 0 {
        let count = number(at, 2);
        // The values of a tag: of 2 bytes or of 4, in the entry or where it says.
        let tag = |wanted: usize| -> Vec<usize> {
            let entry = (0..count).map(|n| at + 2 + 12 * n).find(|at| number(*at, 2) == wanted);
            let entry = entry.unwrap_or_else(|| panic!("no tag {wanted}"));
            let (size, values) =
                (if number(entry + 2, 2) == 3 { 2 } else { 4 }, number(entry + 4, 4));
            let start = if size * values <= 4 { entry + 8 } else { number(entry + 8, 4) };
            (0..values).map(|n| number(start + n * size, size)).collect()
        };
        let (width, height, tile) = (tag(256)[0], tag(257)[0], (tag(322)[0], tag(323)[0]));
        let pixel = tag(277)[0] * tag(258)[0] / 8;
        let mut samples = Vec::new();
        let (offsets, across) = (tag(324), width.div_ceil(tile.0));
        for y in 0..height {
            for column in 0..across {
                let start = offsets[y / tile.1 * across + column] + y % tile.1 * tile.0 * pixel;
                let columns = tile.0.min(width - column * tile.0);
                samples.extend_from_slice(&file[start..start + columns * pixel]);
            }
        }
        found.push((tag(254)[0] as u32, width as u32, height as u32, samples));
        at = number(at + 2 + 12 * count, 4);
    }
    found
}

#[test]
fn a_mask_is_opacity_in_png_white_in_the_preview_and_a_mask_in_tif() {
    let Some(server) = server() else { return };
    for name in ["inside.tif", "bytes.tif", "palette.tif", "beside.tif"] {
        put(&server, name);
    }
    for flags in [&[][..], &["--png-compression", "fast"]] {
        let mount = mount(&server, flags);
        for (name, bands, size, colors) in [
            ("inside.tif", 3, 1, None),
            ("bytes.tif", 1, 2, None),
            ("beside.tif", 1, 2, None),
            ("palette.tif", 1, 1, Some(3)),
        ] {
            let (pixels, mask) =
                (fixture(&format!("{name}.0.raw")), fixture(&format!("{name}.0.mask.raw")));
            let array = npy(&fs::read(sibling(&mount, name, ".npy")).unwrap());
            assert!(array.samples == pixels, "{name}");
            let (width, height, samples) = png(&fs::read(sibling(&mount, name, ".png")).unwrap());
            assert_eq!((width, height), SIZE);
            let shown = colors.unwrap_or(bands);
            let of_pixel = samples.chunks_exact((shown + 1) * size);
            assert_eq!(of_pixel.len(), mask.len());
            for (n, pixel) in of_pixel.enumerate() {
                let (colored, opacity) = pixel.split_at(shown * size);
                let is_opaque = opacity.iter().all(|byte| *byte == 255);
                assert!(is_opaque || opacity.iter().all(|byte| *byte == 0));
                assert_eq!(is_opaque, mask[n] != 0, "{name} {n}");
                match colors {
                    Some(_) => {
                        let index = u32::from(pixels[n]);
                        // As make.py chooses them.
                        let color = [index * 16, 255 - index * 8, index * index];
                        assert_eq!(colored, color.map(|part| part as u8), "{name} {n}");
                    }
                    None => assert_eq!(colored, &pixels[n * bands * size..][..bands * size]),
                }
            }
            let (_, _, shown) = png(&fs::read(sibling(&mount, name, ".preview.png")).unwrap());
            let of_pixel = shown.chunks_exact(shown.len() / mask.len());
            let mut dark = 0;
            for (pixel, valid) in of_pixel.zip(&mask) {
                assert!(*valid != 0 || pixel.iter().all(|part| *part == 255), "{name}");
                dark += u32::from(*valid != 0 && pixel.iter().any(|part| *part < 200));
            }
            assert!(dark > 1000, "{name}: what is valid is shown");
        }
        mount.end();
    }
}

#[test]
fn the_tif_of_an_image_with_a_mask_has_the_mask_behind_each_level_that_has_one() {
    let Some(server) = server() else { return };
    for name in ["inside.tif", "beside.tif", "both.tif", "levels.tif", "bands.tif", "apart.tif"] {
        put(&server, name);
    }
    let mount = mount(&server, &[]);
    for (name, kinds) in [
        ("inside.tif", &[0, 4, 1, 5, 1, 5][..]),
        ("beside.tif", &[0, 4]),
        ("both.tif", &[0, 4, 1, 1]),
        ("levels.tif", &[0, 4, 1, 5, 1, 5]),
        ("bands.tif", &[0, 4]),
        ("apart.tif", &[0, 4, 1, 5, 1, 5]),
    ] {
        let images = images(&fs::read(sibling(&mount, name, ".tif")).unwrap());
        let found: Vec<u32> = images.iter().map(|(kind, ..)| *kind).collect();
        assert_eq!(found, kinds, "{name}");
        let mut level = 0;
        for (n, (kind, width, height, samples)) in images.iter().enumerate() {
            level += u32::from(n > 0 && *kind & 4 == 0);
            let ending = if kind & 4 == 0 { "raw" } else { "mask.raw" };
            assert!(*samples == fixture(&format!("{name}.{level}.{ending}")), "{name} {n}");
            assert_eq!(
                (*width, *height),
                (SIZE.0.div_ceil(1 << level), SIZE.1.div_ceil(1 << level))
            );
        }
        let json = fs::read_to_string(sibling(&mount, name, ".json")).unwrap();
        assert!(json.contains("\"mask\": true"), "{json}");
        let is_apart = ["bands.tif", "apart.tif"].contains(&name);
        assert_eq!(json.contains("\"mask_of_each_band\": true"), is_apart, "{json}");
    }
    mount.end();
}

#[test]
fn a_pixel_is_opaque_if_one_of_its_bands_is_valid_and_the_preview_leaves_out_the_others() {
    let Some(server) = server() else { return };
    put(&server, "bands.tif");
    let mount = mount(&server, &[]);
    let (pixels, mask) = (fixture("bands.tif.0.raw"), fixture("bands.tif.0.mask.raw"));
    let (_, _, samples) = png(&fs::read(sibling(&mount, "bands.tif", ".png")).unwrap());
    let (_, _, shown) = png(&fs::read(sibling(&mount, "bands.tif", ".preview.png")).unwrap());
    let mut seen = [0; 4];
    for (n, mask) in mask.chunks_exact(3).enumerate() {
        let (stored, shown) = (&pixels[3 * n..][..3], &shown[3 * n..][..3]);
        let valid = mask.iter().filter(|valid| **valid != 0).count();
        seen[valid] += 1;
        let opacity = if valid > 0 { 255 } else { 0 };
        assert_eq!(samples[4 * n..][..4], [stored, &[opacity]].concat(), "{n}");
        for band in 0..3 {
            let expected = match (valid, mask[band]) {
                (0, _) => 255,
                (_, 0) => 0,
                _ => stored[band],
            };
            assert_eq!(shown[band], expected, "{n} {band}");
        }
    }
    assert!(seen.iter().all(|count| *count > 100), "{seen:?}");
    mount.end();
}

#[test]
fn overviews_of_a_mask_in_a_file_of_their_own_cost_that_file_and_no_look() {
    let Some(server) = server() else { return };
    put(&server, "levels.tif");
    let mount = mount(&server, &["--preview-size", "32"]);
    fs::metadata(mount.join("levels.tif")).unwrap();
    let files = ["", ".ovr", ".msk", ".msk.ovr"].map(|ending| format!("levels.tif{ending}"));
    let bytes = files.iter().map(|file| fixture(file).len() as u64).sum();
    let (json, cost) =
        cost_of(&server, || fs::read_to_string(sibling(&mount, "levels.tif", ".json")).unwrap());
    assert_eq!(cost, Cost { get: 4, bytes, ..NOTHING });
    assert!(json.contains("\"beside\": [\".ovr\", \".msk\", \".msk.ovr\"]"), "{json}");
    // The preview is the second overview, which has a mask.
    let (preview, cost) =
        cost_of(&server, || png(&fs::read(sibling(&mount, "levels.tif", ".preview.png")).unwrap()));
    assert_eq!(((preview.0, preview.1), cost), ((26, 19), NOTHING));
    let (pixels, mask) = (fixture("levels.tif.2.raw"), fixture("levels.tif.2.mask.raw"));
    let shown = |(pixel, valid): (&u8, &u8)| if *valid == 0 { 255 } else { *pixel };
    assert!(preview.2.iter().copied().eq(pixels.iter().zip(&mask).map(shown)));
    mount.end();
}

#[test]
fn overviews_beside_an_image_are_its_levels_and_looking_for_them_costs_nothing() {
    let Some(server) = server() else { return };
    for name in ["overviews.tif", "other.tif"] {
        put(&server, name);
    }
    server.put(BUCKET, "plain.tif", fixture("overviews.tif"));
    let mount = mount(&server, &["--preview-size", "32"]);
    fs::metadata(mount.join("plain.tif")).unwrap();
    let own = fixture("overviews.tif").len() as u64;
    let (_, cost) =
        cost_of(&server, || fs::read_to_string(sibling(&mount, "plain.tif", ".json")).unwrap());
    assert_eq!(cost, Cost { get: 1, bytes: own, ..NOTHING });
    let ovr = fixture("overviews.tif.ovr").len() as u64;
    let (json, cost) =
        cost_of(&server, || fs::read_to_string(sibling(&mount, "overviews.tif", ".json")).unwrap());
    assert_eq!(cost, Cost { get: 2, bytes: own + ovr, ..NOTHING });
    assert!(json.contains("\"levels\": [[101, 75], [51, 38], [26, 19]]"), "{json}");
    assert!(json.contains("\"beside\": [\".ovr\"]"), "{json}");
    let (preview, cost) = cost_of(&server, || {
        png(&fs::read(sibling(&mount, "overviews.tif", ".preview.png")).unwrap())
    });
    // It is the second overview, of which nothing has to be fetched again.
    assert_eq!((preview, cost), ((26, 19, fixture("overviews.tif.2.raw")), NOTHING));
    let images = images(&fs::read(sibling(&mount, "overviews.tif", ".tif")).unwrap());
    assert_eq!(images.len(), 3);
    assert!(images[1].3 == fixture("overviews.tif.1.raw"));
    let json = fs::read_to_string(sibling(&mount, "other.tif", ".json")).unwrap();
    assert!(json.contains("\"levels\": [[101, 75]]"), "{json}");
    assert!(json.contains("the .ovr beside it is left out: its images are of other bands"));
    mount.end();
}

#[test]
fn what_lies_beside_an_image_is_of_one_version_and_a_new_one_makes_previews_anew() {
    let Some(server) = server() else { return };
    put(&server, "overviews.tif");
    let mount = mount(&server, &["--preview-size", "32", "--metadata-ttl", "3600"]);
    let path = sibling(&mount, "overviews.tif", ".preview.png");
    let mut old = File::open(&path).unwrap();
    let before = old.metadata().unwrap();
    // The header is known; what it says is of a version that is gone.
    let mut other = fixture("overviews.tif.ovr");
    let places: Vec<usize> =
        (0..other.len() - 4).filter(|at| other[*at..].starts_with(b"II*\0")).collect();
    assert_eq!(places, [0]);
    other.extend(b"another version");
    server.put(BUCKET, "overviews.tif.ovr", other);
    let mut bytes = Vec::new();
    match old.read_to_end(&mut bytes) {
        // All of the small file came with its header.
        Ok(_) => assert_eq!(png(&bytes).2, fixture("overviews.tif.2.raw")),
        Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ESTALE)),
    }
    // Whoever sees the new file sees what is made with it.
    server.delete(BUCKET, "overviews.tif.ovr");
    drop(old);
    mount.end();
    let mount = super::mount(&server, &["--preview-size", "32", "--metadata-ttl", "0"]);
    let path = sibling(&mount, "overviews.tif", ".preview.png");
    let alone = fs::metadata(&path).unwrap();
    assert_eq!(png(&fs::read(&path).unwrap()).0, 32, "made from the image itself");
    server.put(BUCKET, "overviews.tif.ovr", fixture("overviews.tif.ovr"));
    until("the overviews are seen", || png(&fs::read(&path).unwrap()).0 == 26);
    let now = fs::metadata(&path).unwrap();
    assert_ne!(now.ino(), alone.ino());
    assert_eq!(now.len(), before.len());
    server.delete(BUCKET, "overviews.tif.ovr");
    until("they are gone", || png(&fs::read(&path).unwrap()).0 == 32);
    mount.end();
}

#[test]
fn overviews_that_a_program_writes_beside_an_image_are_used_at_once() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "overviews.tif", fixture("overviews.tif"));
    let mount = mount(&server, &["--preview-size", "32", "--writes", "memory"]);
    let path = sibling(&mount, "overviews.tif", ".preview.png");
    assert_eq!(png(&fs::read(&path).unwrap()).0, 32);
    fs::write(mount.join("overviews.tif.ovr"), fixture("overviews.tif.ovr")).unwrap();
    assert_eq!(png(&fs::read(&path).unwrap()), (26, 19, fixture("overviews.tif.2.raw")));
    fs::remove_file(mount.join("overviews.tif.ovr")).unwrap();
    assert_eq!(png(&fs::read(&path).unwrap()).0, 32);
    fs::write(mount.join("mine.tif"), fixture("beside.tif")).unwrap();
    fs::write(mount.join("mine.tif.msk"), fixture("beside.tif.msk")).unwrap();
    let images = images(&fs::read(sibling(&mount, "mine.tif", ".tif")).unwrap());
    assert_eq!(images.iter().map(|image| image.0).collect::<Vec<_>>(), [0, 4]);
    for ending in ["", ".ovr", ".msk"] {
        let bytes = fixture(&format!("levels.tif{ending}"));
        fs::write(mount.join(format!("levels.tif{ending}")), bytes).unwrap();
    }
    let kinds = || {
        let images = self::images(&fs::read(sibling(&mount, "levels.tif", ".tif")).unwrap());
        images.iter().map(|image| image.0).collect::<Vec<_>>()
    };
    assert_eq!(kinds(), [0, 4, 1, 1]);
    fs::write(mount.join("levels.tif.msk.ovr"), fixture("levels.tif.msk.ovr")).unwrap();
    assert_eq!(kinds(), [0, 4, 1, 5, 1, 5]);
    mount.end();
}

#[test]
fn cielab_is_shown_in_colors_and_kept_as_it_is_stored() {
    let Some(server) = server() else { return };
    for name in ["lab8.tif", "lab16.tif"] {
        put(&server, name);
    }
    let mount = mount(&server, &[]);
    for (name, has_png) in [("lab8", true), ("lab16", false)] {
        let image = format!("{name}.tif");
        let (stored, shown) =
            (fixture(&format!("{image}.0.raw")), fixture(&format!("{name}.rgb.raw")));
        assert!(npy(&fs::read(sibling(&mount, &image, ".npy")).unwrap()).samples == stored);
        let copied = images(&fs::read(sibling(&mount, &image, ".tif")).unwrap());
        assert!(copied[0].3 == stored, "{name}");
        let agrees = |ending| {
            let (_, _, samples) = png(&fs::read(sibling(&mount, &image, ending)).unwrap());
            samples.len() == shown.len()
                && samples.iter().zip(&shown).all(|(a, b)| a.abs_diff(*b) <= 1)
        };
        assert!(agrees(".preview.png"), "{name}");
        match has_png {
            true => assert!(agrees(".png")),
            false => assert_eq!(errno(File::open(sibling(&mount, &image, ".png"))), libc::ENOENT),
        }
    }
    mount.end();
}
