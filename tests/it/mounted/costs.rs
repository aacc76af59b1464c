//! What opening, listing and looking around costs, in requests and bytes.

use std::fs::{self, File};
use std::io::Read;
use std::process::Command;

use super::*;
use crate::harness::mounting::succeeds;

/// The names that GDAL and its drivers look for beside `B01.jp2`.
const SIDECARS: [&str; 14] = [
    "B01.jp2.aux.xml",
    "B01.jp2.aux",
    "B01.jp2.AUX",
    "B01.jp2.msk",
    "B01.jp2.MSK",
    "B01.jp2.ovr",
    "B01.jp2.OVR",
    "B01.aux",
    "B01.AUX",
    "B01.j2w",
    "B01.J2W",
    "B01.jp2w",
    "B01.wld",
    "B01.tab",
];

#[test]
fn mounting_costs_one_listing_however_large_the_bucket_is() {
    let Some(server) = server() else { return };
    server.put_many(BUCKET, (0..2500).map(|n| (format!("{n:04}"), "x")));
    let (mount, cost) = cost_of(&server, || mount(&server, &[]));
    assert_eq!(cost, Cost { list: 1, ..NOTHING });
    mount.end();
}

#[test]
fn reading_a_file_three_directories_deep_costs_a_listing_of_each_and_one_get() {
    let Some(server) = server() else { return };
    let bytes = vec![7; 16 << 10];
    server.put(BUCKET, "tiles/10/S/preview.jpg", bytes.clone());
    let mount = mount(&server, &[]);
    let path = mount.join("tiles/10/S/preview.jpg");
    let (read, cost) = cost_of(&server, || fs::read(&path).unwrap());
    assert_eq!(read, bytes);
    assert_eq!(cost, Cost { list: 3, head: 0, get: 1, bytes: 16 << 10 });
    let (again, cost) = cost_of(&server, || fs::read(&path).unwrap());
    assert_eq!(again, bytes);
    assert_eq!(cost, NOTHING);
    mount.end();
}

#[test]
fn opening_and_closing_costs_nothing_once_the_directory_is_listed() {
    let Some(server) = server() else { return };
    server.put_pattern(BUCKET, "big", GIB, 1);
    let mount = mount(&server, &[]);
    let (size, cost) =
        cost_of(&server, || File::open(mount.join("big")).unwrap().metadata().unwrap().len());
    assert_eq!(size, GIB);
    assert_eq!(cost, NOTHING);
    mount.end();
}

#[test]
fn ls_of_2500_objects_costs_three_listings_and_nothing_more_for_each_name() {
    let Some(server) = server() else { return };
    server.put_many(BUCKET, (0..2500).map(|n| (format!("d/{n:04}.tif"), "12345")));
    let mount = mount(&server, &[]);
    let (listed, cost) =
        cost_of(&server, || succeeds(Command::new("ls").arg("-l").arg(mount.join("d"))));
    // The first line is the total.
    assert_eq!(listed.lines().count(), 2501);
    assert!(listed.lines().skip(1).all(|line| line.split_whitespace().nth(4) == Some("5")));
    assert_eq!(cost, Cost { list: 3, ..NOTHING });
    let ((), cost) = cost_of(&server, || {
        for n in 0..2500 {
            let status = fs::metadata(mount.join(format!("d/{n:04}.tif"))).unwrap();
            assert_eq!(status.len(), 5);
        }
        assert_eq!(names(&mount.join("d")).len(), 2500);
    });
    assert_eq!(cost, NOTHING);
    mount.end();
}

#[test]
fn two_hundred_small_files_of_one_directory_cost_one_listing_and_a_get_each() {
    let Some(server) = server() else { return };
    server.put_many(BUCKET, (0..200).map(|n| (format!("d/{n:03}"), vec![n as u8; 16 << 10])));
    let mount = mount(&server, &[]);
    let ((), cost) = cost_of(&server, || {
        for n in 0..200 {
            assert_eq!(fs::read(mount.join(format!("d/{n:03}"))).unwrap(), [n as u8; 16 << 10]);
        }
    });
    assert_eq!(cost, Cost { list: 1, head: 0, get: 200, bytes: 200 * (16 << 10) });
    mount.end();
}

#[test]
fn a_second_whole_read_costs_nothing_with_and_without_the_kernels_cache() {
    let Some(server) = server() else { return };
    let size = 100 * MIB + 12_345;
    server.put_pattern(BUCKET, "band", size, 3);
    let mount = mount(&server, &["--memory", "256M"]);
    let path = mount.join("band");
    let ((), cost) = cost_of(&server, || reads_whole_pattern(&path, 3));
    assert_eq!((cost.list, cost.head, cost.bytes), (0, 0, size));
    let ((), cost) = cost_of(&server, || reads_whole_pattern(&path, 3));
    assert_eq!(cost, NOTHING, "from the kernel's cache");
    forget_pages(&path);
    let ((), cost) = cost_of(&server, || reads_whole_pattern(&path, 3));
    assert_eq!(cost, NOTHING, "from the daemon's memory");
    mount.end();
}

#[test]
fn what_does_not_fit_into_memory_is_fetched_again_once_the_kernel_forgot_it() {
    let Some(server) = server() else { return };
    server.put_pattern(BUCKET, "band", 200 * MIB, 4);
    let mount = mount(&server, &["--memory", "64M"]);
    let path = mount.join("band");
    reads_whole_pattern(&path, 4);
    // Machines that are short of memory, or think ahead, drop some pages at any time.
    let costs_nothing = |_| cost_of(&server, || reads_whole_pattern(&path, 4)).1 == NOTHING;
    assert!((0..10).any(costs_nothing), "the kernel never has it");
    forget_pages(&path);
    let ((), cost) = cost_of(&server, || reads_whole_pattern(&path, 4));
    assert!((136 * MIB..=200 * MIB).contains(&cost.bytes), "{cost:?}");
    mount.end();
}

#[test]
fn fourteen_probes_for_missing_sidecars_cost_nothing_beyond_the_listing() {
    let Some(server) = server() else { return };
    server.put_pattern(BUCKET, "tiles/B01.jp2", MIB, 5);
    let mount = mount(&server, &[]);
    let folder = mount.join("tiles");
    let (_, cost) = cost_of(&server, || fs::metadata(folder.join("B01.jp2")).unwrap());
    assert_eq!(cost, Cost { list: 1, ..NOTHING });
    let ((), cost) = cost_of(&server, || {
        for name in SIDECARS {
            assert_eq!(errno(fs::metadata(folder.join(name))), libc::ENOENT, "{name}");
            assert_eq!(errno(File::open(folder.join(name))), libc::ENOENT, "{name}");
        }
    });
    assert_eq!(cost, NOTHING);
    mount.end();
}

#[test]
fn probes_for_the_sidecars_of_a_file_in_a_large_directory_come_with_the_file() {
    let Some(server) = server() else { return };
    server.put_many(BUCKET, (0..5000).map(|n| (format!("d/{n:04}/B01.jp2"), "x")));
    server.put_many(BUCKET, (0..5000).map(|n| (format!("e/{n:04}.jp2"), "x")));
    let mount = mount(&server, &[]);
    let look = |name: &str| fs::metadata(mount.join(name)).map(|status| status.len());
    // The first page does not reach so far: one more listing, of this name alone.
    let (size, cost) = cost_of(&server, || look("e/4000.jp2").unwrap());
    assert_eq!((size, cost), (1, Cost { list: 2, ..NOTHING }));
    let ((), cost) = cost_of(&server, || {
        for suffix in [".aux.xml", ".aux", ".msk", ".ovr", ".OVR"] {
            assert_eq!(errno(look(&format!("e/4000.jp2{suffix}"))), libc::ENOENT);
        }
    });
    assert_eq!(cost, NOTHING);
    let (missing, cost) = cost_of(&server, || look("e/4000.j2w"));
    assert_eq!((errno(missing), cost), (libc::ENOENT, Cost { list: 1, ..NOTHING }));
    // A directory far behind the first page: as much, and a listing of its own.
    let (size, cost) = cost_of(&server, || look("d/4999/B01.jp2").unwrap());
    assert_eq!((size, cost), (1, Cost { list: 3, ..NOTHING }));
    mount.end();
}

#[test]
fn the_first_64_kib_of_a_gibibyte_cost_one_get_of_at_most_128_kib() {
    let Some(server) = server() else { return };
    server.put_pattern(BUCKET, "big", GIB, 6);
    let mount = mount(&server, &[]);
    let (bytes, cost) = cost_of(&server, || {
        let mut bytes = vec![0; 64 << 10];
        File::open(mount.join("big")).unwrap().read_exact(&mut bytes).unwrap();
        bytes
    });
    assert_pattern(6, 0, &bytes);
    assert_eq!((cost.list, cost.head, cost.get), (0, 0, 1));
    assert!((64 << 10..=128 << 10).contains(&cost.bytes), "{cost:?}");
    mount.end();
}

#[test]
fn probes_for_acls_and_labels_cost_nothing() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "file", "x");
    let mount = mount(&server, &[]);
    let ((), cost) = cost_of(&server, || {
        for name in [
            "security.selinux",
            "security.capability",
            "security.ima",
            "system.posix_acl_access",
            "system.posix_acl_default",
            "trusted.overlay.opaque",
            "user.xdg.origin.url",
        ] {
            for path in [mount.path(), &mount.join("file")] {
                let mut value = [0; 64];
                let error = rustix::fs::getxattr(path, name, &mut value).unwrap_err();
                let answers = [libc::ENODATA, libc::EOPNOTSUPP];
                assert!(answers.contains(&error.raw_os_error()), "{name}: {error}");
            }
        }
    });
    assert_eq!(cost, NOTHING);
    mount.end();
}
