//! Which names are siblings, and of what.

use super::fixtures::fixtures;
use super::*;

/// A small image.
fn image(name: &str) -> Vec<u8> {
    fixtures().into_iter().find(|fixture| fixture.name == name).unwrap().bytes
}

fn exists(path: &Path) -> bool {
    match fs::metadata(path) {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.raw_os_error(), Some(libc::ENOENT), "{}", path.display());
            false
        }
    }
}

#[test]
fn siblings_are_found_by_their_names_and_not_listed() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "d/gray8.j2k", image("gray8.j2k"));
    let mount = mount(&server, &[]);
    assert_eq!(names(&mount.join("d")), ["gray8.j2k"]);
    for ending in ENDINGS {
        let status = fs::metadata(sibling(&mount, "d/gray8.j2k", ending)).unwrap();
        assert!(status.is_file() && status.len() > 0, "{ending}");
    }
    assert_eq!(names(&mount.join("d")), ["gray8.j2k"]);
    mount.end();
}

#[test]
fn an_image_is_known_by_its_content_whatever_its_name() {
    let Some(server) = server() else { return };
    for name in ["no ending", "wrong.txt", "wrong.png"] {
        server.put(BUCKET, name, image("gray8.j2k"));
    }
    server.put(BUCKET, "text.jp2", "no image");
    let mount = mount(&server, &[]);
    for name in ["no ending", "wrong.txt", "wrong.png"] {
        let array = npy(&fs::read(sibling(&mount, name, ".npy")).unwrap());
        assert_eq!(array.shape, [45, 67], "{name}");
    }
    assert!(ENDINGS.iter().all(|ending| !exists(&sibling(&mount, "text.jp2", ending))));
    mount.end();
}

#[test]
fn a_real_object_of_the_name_wins() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "a.j2k", image("gray8.j2k"));
    server.put(BUCKET, "a.j2k.png", "a real object");
    server.put(BUCKET, "a.j2k.json/b", "a real folder");
    server.put(BUCKET, "a.j2k.preview.png", image("rgb8.png"));
    let mount = mount(&server, &["--list-views"]);
    assert_eq!(fs::read(mount.join("a.j2k.png")).unwrap(), b"a real object");
    assert!(fs::metadata(mount.join("a.j2k.json")).unwrap().is_dir());
    assert_eq!(fs::read(mount.join("a.j2k.preview.png")).unwrap(), image("rgb8.png"));
    assert_eq!(npy(&fs::read(mount.join("a.j2k.npy")).unwrap()).shape, [45, 67]);
    // The real preview has siblings of its own.
    assert_eq!(npy(&fs::read(mount.join("a.j2k.preview.png.npy")).unwrap()).shape, [13, 19, 3]);
    let listed = names(mount.path());
    let same = |name: &&String| listed.iter().filter(|other| other == name).count() == 1;
    assert!(listed.iter().all(|name| same(&name)), "{listed:?}");
    mount.end();
}

#[test]
fn a_sibling_has_no_siblings() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "a.j2k", image("gray8.j2k"));
    let mount = mount(&server, &[]);
    for first in ENDINGS {
        for second in ENDINGS {
            assert!(!exists(&mount.join(format!("a.j2k{first}{second}"))), "{first}{second}");
        }
    }
    mount.end();
}

#[test]
fn folders_have_no_siblings_and_siblings_are_no_folders() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "d.j2k/a.j2k", image("gray8.j2k"));
    let mount = mount(&server, &[]);
    for ending in ENDINGS {
        assert!(!exists(&sibling(&mount, "d.j2k", ending)), "{ending}");
        let below = sibling(&mount, "d.j2k/a.j2k", ending).join("file");
        assert_eq!(errno(fs::metadata(below)), libc::ENOTDIR, "{ending}");
    }
    mount.end();
}

#[test]
fn an_ending_alone_and_other_letters_are_no_siblings() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "a.j2k", image("gray8.j2k"));
    let mount = mount(&server, &[]);
    for name in [".png", ".json", "a.j2k.PNG", "a.j2k.gif", "a.j2k.tiff", "a.j2kpng", "a.png"] {
        assert!(!exists(&mount.join(name)), "{name}");
    }
    mount.end();
}

#[test]
fn views_chooses_which_siblings_there_are() {
    for (flag, there) in [
        ("png,npy", &[".png", ".npy"][..]),
        ("preview", &[".preview.png"]),
        ("all", &ENDINGS),
        ("none", &[]),
    ] {
        let Some(server) = server() else { return };
        server.put(BUCKET, "a.j2k", image("gray8.j2k"));
        let mount = mount(&server, &["--views", flag, "--list-views"]);
        for ending in ENDINGS {
            let wanted = there.contains(&ending);
            assert_eq!(exists(&sibling(&mount, "a.j2k", ending)), wanted, "{flag}: {ending}");
        }
        assert_eq!(names(mount.path()).len(), 1 + there.len(), "{flag}");
        mount.end();
    }
}

#[test]
fn without_views_a_name_that_could_be_a_sibling_costs_no_get() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "a.j2k", image("gray8.j2k"));
    let mount = mount(&server, &["--views", "none"]);
    let ((), cost) = cost_of(&server, || {
        assert!(ENDINGS.iter().all(|ending| !exists(&sibling(&mount, "a.j2k", ending))));
    });
    assert_eq!(cost, NOTHING);
    mount.end();
}

#[test]
fn objects_with_strange_keys_have_siblings_under_their_names_in_the_mount() {
    let Some(server) = server() else { return };
    let long = format!("{}.j2k", "x".repeat(230));
    let keys = ["a", "a/b", "//twice.j2k", "c//d", "..", "new\nline", "日本/ü.j2k", &long];
    let bytes = image("gray8.j2k");
    server.put_many(BUCKET, keys.map(|key| (key, bytes.clone())));
    let mount = mount(&server, &[]);
    for name in [
        "a%%object",
        "a/b",
        "%%/%%/twice.j2k",
        "c/%%/d",
        "%%%2E%2E",
        "new\nline",
        "日本/ü.j2k",
        &long,
    ] {
        assert_eq!(fs::read(mount.join(name)).unwrap(), bytes, "{name}");
        for ending in ENDINGS {
            let path = sibling(&mount, name, ending);
            let size = fs::metadata(&path).map(|status| status.len());
            let size = size.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert_eq!(fs::read(&path).unwrap().len() as u64, size, "{}", path.display());
        }
    }
    mount.end();
}

#[test]
fn siblings_in_a_directory_of_3000_objects_cost_few_listings() {
    let Some(server) = server() else { return };
    let bytes = image("gray8.j2k");
    server.put_many(BUCKET, (0..3000).map(|n| (format!("d/{n:04}.j2k"), bytes.clone())));
    let mount = mount(&server, &[]);
    let look = |name: &str| fs::metadata(mount.join(name)).map(|status| status.len());
    // The first page does not reach so far: one more listing, of this name alone,
    // which shows also that there is no object of the sibling's.
    let (size, cost) = cost_of(&server, || look("d/2500.j2k.png").unwrap());
    assert!(size > 0);
    let small = bytes.len() as u64;
    assert_eq!(cost, Cost { list: 2, get: 1, bytes: small, ..NOTHING });
    let ((), cost) = cost_of(&server, || {
        for ending in ENDINGS {
            assert!(look(&format!("d/2500.j2k{ending}")).is_ok(), "{ending}");
        }
    });
    assert_eq!(cost, NOTHING);
    // Once all of it was listed, nothing is asked of any name.
    assert_eq!(names(&mount.join("d")).len(), 3000);
    let ((), cost) = cost_of(&server, || {
        for n in 0..100 {
            assert!(look(&format!("d/{:04}.j2k.npy", n * 29)).is_ok());
        }
    });
    assert_eq!(cost, Cost { get: 100, bytes: 100 * small, ..NOTHING });
    mount.end();
}
