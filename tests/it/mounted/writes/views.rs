//! The virtual siblings of files that programs write.

use std::time::{Duration, Instant};

use super::system::Shared;
use super::*;

/// A gray PNG of one value, of this size.
fn picture(width: u32, height: u32, value: u8) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let image = image::GrayImage::from_pixel(width, height, image::Luma([value]));
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// A gray image of one value as binary PGM, whose pixels stand as they are at the end.
fn plain(width: usize, height: usize, value: u8) -> Vec<u8> {
    let mut bytes = format!("P5 {width} {height} 255\n").into_bytes();
    bytes.resize(bytes.len() + width * height, value);
    bytes
}

/// The samples of the `.npy` beside an image.
fn samples(image: &Path) -> Vec<u8> {
    let bytes = fs::read(beside(image, ".npy")).unwrap();
    let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    bytes[start..].to_vec()
}

fn beside(image: &Path, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}{ending}", image.display()))
}

#[test]
fn a_picture_that_is_saved_has_its_siblings_at_once_and_they_change_with_it() {
    each_way(|server, way| {
        server.put(BUCKET, "d/other", "other");
        let mount = way.mount(server, &[]);
        fs::create_dir(mount.join("made")).unwrap();
        for folder in ["", "d", "made"] {
            let path = mount.join(folder).join("new.png");
            // Asked for before there is an image, they must not be remembered as missing.
            assert!(is_gone(&beside(&path, ".npy")));
            for round in 1..20u8 {
                let size = 10 + usize::from(round % 3);
                fs::write(&path, picture(size as u32, 8, round)).unwrap();
                assert_eq!(samples(&path), vec![round; size * 8]);
                let json = fs::read_to_string(beside(&path, ".json")).unwrap();
                assert!(json.contains("\"ETag\": null") || json.contains("null"), "{json}");
                assert!(fs::metadata(beside(&path, ".tif")).unwrap().len() > 80);
            }
            fs::remove_file(&path).unwrap();
            assert!(is_gone(&beside(&path, ".npy")));
        }
        mount.end();
    });
}

#[test]
fn every_format_has_its_siblings_when_it_is_written() {
    let names = ["gray8.png", "uint8.tif", "gray.jpg", "rgb.bmp"];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/images");
    let images = names.map(|name| (name, fs::read(folder.join(name)).unwrap()));
    each_way(|server, way| {
        let mount = way.mount(server, &[]);
        for (name, bytes) in &images {
            let path = mount.join(name);
            fs::write(&path, bytes).unwrap();
            for ending in [".npy", ".json", ".preview.png"] {
                assert!(fs::metadata(beside(&path, ending)).is_ok(), "{name}{ending}");
            }
        }
        mount.end();
    });
}

#[test]
fn siblings_follow_what_is_stored_through_a_mapping_within_two_seconds() {
    // Where the kernel does not write by itself it keeps what is stored for a while,
    // unless the program says that it be written.
    each_way(|server, way| {
        let mount = way.mount(server, &[]);
        let path = mount.join("mapped.pgm");
        let bytes = plain(100, 100, 1);
        fs::write(&path, &bytes).unwrap();
        let file = open_both(&path);
        let mut mapping = Shared::of(&file, bytes.len());
        for value in 2..5 {
            assert_eq!(samples(&path), vec![value - 1; 10_000]);
            let start = bytes.len() - 10_000;
            mapping[start..].fill(value);
            if matches!(way, Way::Ordinary(_)) {
                mapping.sync();
            }
            let since = Instant::now();
            while samples(&path) != vec![value; 10_000] {
                assert!(since.elapsed() < Duration::from_secs(10), "the sibling is behind");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        drop((file, mapping));
        mount.end();
    });
}

#[test]
fn siblings_of_an_object_that_is_overwritten_moved_or_deleted_follow_at_once() {
    each_way(|server, way| {
        let image = |n: usize| (format!("{n}.png"), picture(10, 8, 1));
        server.put_many(BUCKET, (0..120).map(image));
        let mount = way.mount(server, &[]);
        for n in 0..120 {
            let path = mount.join(format!("{n}.png"));
            assert_eq!(samples(&path), vec![1; 80]);
            match n % 4 {
                0 => {
                    fs::write(&path, picture(12, 8, 2)).unwrap();
                    assert_eq!(samples(&path), vec![2; 96]);
                }
                1 => {
                    fs::remove_file(&path).unwrap();
                    assert!(is_gone(&beside(&path, ".npy")), "{n}");
                }
                2 => {
                    let to = mount.join(format!("{n} moved.png"));
                    fs::rename(&path, &to).unwrap();
                    assert!(is_gone(&beside(&path, ".npy")), "{n}");
                    assert_eq!(samples(&to), vec![1; 80]);
                }
                _ => {
                    let new = mount.join("new");
                    fs::write(&new, picture(12, 8, 3)).unwrap();
                    fs::rename(&new, &path).unwrap();
                    assert_eq!(samples(&path), vec![3; 96]);
                }
            }
        }
        mount.end();
    });
}

#[test]
fn writing_to_a_siblings_name_makes_a_real_file_and_deleting_it_hides_it() {
    each_way(|server, way| {
        server.put(BUCKET, "object.png", picture(10, 8, 1));
        let mount = way.mount(server, &[]);
        fs::write(mount.join("made.png"), picture(10, 8, 1)).unwrap();
        for name in ["object.png", "made.png"] {
            let path = mount.join(name);
            let json = beside(&path, ".json");
            let told = fs::read(&json).unwrap();
            // Appending keeps what the sibling had.
            OpenOptions::new().append(true).open(&json).unwrap().write_all(b"more").unwrap();
            assert_eq!(fs::read(&json).unwrap(), [told.as_slice(), b"more"].concat());
            assert!(names(mount.path()).contains(&format!("{name}.json")));
            fs::write(beside(&path, ".npy"), "real").unwrap();
            assert_eq!(fs::read(beside(&path, ".npy")).unwrap(), b"real");
            fs::write(&path, picture(10, 8, 2)).unwrap();
            assert_eq!(fs::read(beside(&path, ".npy")).unwrap(), b"real", "no sibling any more");
            let tif = beside(&path, ".tif");
            fs::metadata(&tif).unwrap();
            fs::remove_file(&tif).unwrap();
            assert!(is_gone(&tif));
            fs::remove_file(beside(&path, ".npy")).unwrap();
            assert!(is_gone(&beside(&path, ".npy")));
            // A sibling is copied to be moved, as between file systems.
            let preview = beside(&path, ".preview.png");
            assert_eq!(errno(fs::rename(&preview, mount.join("kept.png"))), libc::EXDEV);
            let mut mv = std::process::Command::new("mv");
            assert!(mv.arg(&preview).arg(mount.join("kept.png")).status().unwrap().success());
            assert!(is_gone(&preview));
            assert!(fs::read(mount.join("kept.png")).unwrap().starts_with(b"\x89PNG"));
        }
        mount.end();
    });
}

#[test]
fn listed_siblings_are_those_of_what_is_there_now() {
    each_way(|server, way| {
        server.put(BUCKET, "object.png", picture(10, 8, 1));
        server.put(BUCKET, "gone.png", picture(10, 8, 1));
        let mount = way.mount(server, &["--list-views"]);
        fs::remove_file(mount.join("gone.png")).unwrap();
        fs::write(mount.join("made.png"), picture(10, 8, 1)).unwrap();
        fs::write(mount.join("made.png.npy"), "real").unwrap();
        fs::remove_file(mount.join("object.png.json")).unwrap();
        let ls = || {
            let mut ls = std::process::Command::new("ls");
            let listed = crate::harness::mounting::succeeds(ls.arg("-l").arg(mount.path()));
            listed
                .lines()
                .skip(1)
                .map(|line| line.split_whitespace().last().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        let wanted = [
            "made.png",
            "made.png.json",
            "made.png.npy",
            "made.png.preview.png",
            "made.png.tif",
            "object.png",
            "object.png.npy",
            "object.png.preview.png",
            "object.png.tif",
        ];
        let mut listed = ls();
        listed.sort();
        listed.retain(|name| !name.ends_with(".png.png"));
        assert_eq!(listed, wanted);
        mount.end();
    });
}

/// Deletes all that a folder lists, in an order, and then the folder.
fn delete_in_order(folder: &Path, order: fn(&mut Vec<String>)) {
    let mut listed = names(folder);
    order(&mut listed);
    for name in listed {
        fs::remove_file(folder.join(name)).unwrap();
    }
    fs::remove_dir(folder).unwrap();
}

#[test]
fn a_folder_is_deleted_with_its_listed_siblings_in_any_order() {
    each_way(|server, way| {
        for n in 0..4 {
            server.put(BUCKET, &format!("{n}/object.png"), picture(10, 8, 1));
            server.put(BUCKET, &format!("{n}/object.png.npy"), "real");
            server.put(BUCKET, &format!("{n}/lies.png"), "no image");
        }
        let mount = way.mount(server, &["--list-views"]);
        for n in 0..4 {
            let folder = mount.join(n.to_string());
            fs::write(folder.join("made.png"), picture(10, 8, 1)).unwrap();
            fs::create_dir(mount.join("made")).unwrap();
            fs::write(mount.join("made/too.png"), picture(10, 8, 1)).unwrap();
            for folder in [folder, mount.join("made")] {
                match n {
                    0 => {
                        let mut rm = std::process::Command::new("rm");
                        crate::harness::mounting::succeeds(rm.arg("-r").arg(&folder));
                    }
                    1 => delete_in_order(&folder, |names| names.sort()),
                    2 => delete_in_order(&folder, |names| names.reverse()),
                    _ => delete_in_order(&folder, |names| {
                        names.sort_by_key(|name| (name.len() * 7 % 5, name.clone()));
                    }),
                }
                assert!(is_gone(&folder), "{n}");
            }
        }
        assert_eq!(names(mount.path()), [""; 0]);
        // An image of an old name has all its siblings.
        fs::create_dir(mount.join("1")).unwrap();
        fs::write(mount.join("1/made.png"), picture(10, 8, 1)).unwrap();
        assert_eq!(names(&mount.join("1")).len(), 6);
        mount.end();
    });
}

#[test]
fn the_pages_of_a_stack_that_is_written_change_and_go_with_it() {
    use crate::mounted::views::pages::{page_values, stack};
    const SIZE: (u32, u32) = (40, 30);
    each_way(|server, way| {
        let mount = way.mount(server, &[]);
        let path = mount.join("stack.tif");
        let page = |number: u32| PathBuf::from(format!("{}.page-{number}", path.display()));
        assert!(is_gone(&beside(&page(2), ".npy")));
        for round in 1..6u8 {
            fs::write(&path, stack(3, SIZE, round)).unwrap();
            for number in 1..4 {
                assert_eq!(samples(&page(number)), page_values(number - 1, SIZE, round));
            }
            assert!(is_gone(&beside(&page(4), ".npy")));
            fs::write(&path, stack(1, SIZE, round)).unwrap();
            assert!(is_gone(&beside(&page(2), ".npy")));
        }
        // One that was deleted comes back with the next image, and not before.
        fs::write(&path, stack(3, SIZE, 7)).unwrap();
        fs::remove_file(beside(&page(2), ".npy")).unwrap();
        assert!(is_gone(&beside(&page(2), ".npy")));
        assert_eq!(samples(&page(3)), page_values(2, SIZE, 7));
        fs::remove_file(&path).unwrap();
        assert!(is_gone(&beside(&page(3), ".npy")));
        fs::write(&path, stack(3, SIZE, 8)).unwrap();
        assert_eq!(samples(&page(2)), page_values(1, SIZE, 8));
        // They follow their image to another name.
        let moved = mount.join("moved.tif");
        fs::rename(&path, &moved).unwrap();
        assert!(is_gone(&beside(&page(2), ".npy")));
        assert_eq!(
            samples(&PathBuf::from(format!("{}.page-2", moved.display()))),
            page_values(1, SIZE, 8)
        );
        mount.end();
    });
}
