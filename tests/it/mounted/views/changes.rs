//! Siblings of an image that others overwrite or delete.

use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use super::mosaic::{TILE, mosaic};
use super::*;
use crate::support::server::Meta;

/// The bytes of a row of the npy of a mosaic of one column.
const ROW: u64 = TILE * 2;

#[test]
fn overwriting_the_image_is_estale_on_the_open_sibling_and_a_new_file_afterwards() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "scene.j2k", mosaic(1, 4, true).bytes);
    // A TTL in which nobody would look again by himself.
    let mount = mount(&server, &["--metadata-ttl", "3600"]);
    let path = sibling(&mount, "scene.j2k", ".npy");
    let old = open_random(&path);
    let status = old.metadata().unwrap();
    let first = part(&old, 0..4096).unwrap();
    assert_eq!(npy(&first).shape, [4 * TILE, TILE]);

    server.put(BUCKET, "scene.j2k", mosaic(1, 3, true).bytes);
    let unread = part(&old, 3 * TILE * ROW..3 * TILE * ROW + 4096);
    assert_eq!(errno(unread), libc::ESTALE);
    assert_eq!(part(&old, 0..4096).unwrap(), first, "what was read stays readable");

    let new = open_random(&path);
    let now = new.metadata().unwrap();
    assert_ne!(now.ino(), status.ino());
    assert_eq!(status.len() - now.len(), TILE * ROW);
    let array = npy(&fs::read(&path).unwrap());
    assert_eq!(array.shape, [3 * TILE, TILE]);
    let tile = (TILE * ROW) as usize;
    assert!(array.samples[..tile] == array.samples[2 * tile..]);
    assert_eq!(errno(part(&old, 2 * TILE * ROW..2 * TILE * ROW + 4096)), libc::ESTALE);
    drop((old, new));
    mount.end();
}

#[test]
fn an_image_overwritten_before_its_sibling_is_looked_up_shows_the_new_one() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "scene.j2k", mosaic(1, 2, true).bytes);
    let mount = mount(&server, &["--metadata-ttl", "3600"]);
    fs::metadata(mount.join("scene.j2k")).unwrap();
    server.put(BUCKET, "scene.j2k", mosaic(1, 1, true).bytes);
    // The listing is believed, so the first GET finds this out.
    let path = sibling(&mount, "scene.j2k", ".npy");
    until("the new version", || match fs::read(&path) {
        Ok(bytes) => {
            assert_eq!(npy(&bytes).shape, [TILE, TILE]);
            true
        }
        Err(error) => {
            assert_eq!(error.raw_os_error(), Some(libc::ESTALE));
            false
        }
    });
    mount.end();
}

#[test]
fn siblings_of_a_deleted_image_do_not_exist_any_more() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "scene.j2k", mosaic(1, 4, true).bytes);
    let mount = mount(&server, &["--metadata-ttl", "3600"]);
    let path = sibling(&mount, "scene.j2k", ".png");
    let old = open_random(&path);
    part(&old, 0..64).unwrap();
    server.delete(BUCKET, "scene.j2k");
    let size = old.metadata().unwrap().len();
    assert_eq!(errno(part(&old, size - 4096..size)), libc::ENOENT);
    assert_eq!(errno(File::open(&path)), libc::ENOENT);
    assert_eq!(errno(fs::metadata(&path)), libc::ENOENT);
    drop(old);
    mount.end();
}

#[test]
fn a_sibling_has_the_time_of_its_image_and_a_number_of_its_own_that_stays() {
    let Some(server) = server() else { return };
    let when = SystemTime::UNIX_EPOCH + Duration::from_secs(1_449_489_600);
    let meta = || Meta { last_modified: Some(when), ..Meta::default() };
    server.put_with(BUCKET, "a.jp2", B01_JP2, meta());
    server.put_with(BUCKET, "b.jp2", B01_JP2, meta());
    let mount = mount(&server, &["--metadata-ttl", "0", "--file-mode", "0440"]);
    let look = || {
        let mut seen = Vec::new();
        for name in ["a.jp2", "b.jp2"] {
            for ending in [""].into_iter().chain(ENDINGS) {
                let status = fs::metadata(sibling(&mount, name, ending)).unwrap();
                assert_eq!(status.modified().unwrap(), when, "{name}{ending}");
                assert_eq!(status.mode() & 0o777, 0o440, "{name}{ending}");
                assert_eq!(status.blocks(), status.len().div_ceil(512), "{name}{ending}");
                seen.push(status.ino());
            }
        }
        seen
    };
    let seen = look();
    assert_eq!(look(), seen, "looked up again");
    let mut different = seen.clone();
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), 12, "{seen:?}");
    mount.end();
}

#[test]
fn siblings_cannot_be_written_or_deleted() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "a.jp2", B01_JP2);
    let mount = mount(&server, &[]);
    for ending in ENDINGS {
        let path = sibling(&mount, "a.jp2", ending);
        assert_eq!(errno(File::options().write(true).open(&path)), libc::EROFS, "{ending}");
        assert_eq!(errno(fs::remove_file(&path)), libc::EROFS, "{ending}");
    }
    mount.end();
}
