//! What `stat`, `statfs` and `getfattr` show.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{StatVfsMountFlags, getxattr, listxattr, statvfs};

use super::*;
use crate::harness::backend::backends;
use crate::harness::missing::not_run;
use crate::support::server::{Effect, Fault, Meta, Op};

#[test]
fn stat_shows_the_objects_size_and_time_and_the_modes_of_the_flags() {
    let Some(server) = server() else { return };
    let written = UNIX_EPOCH + Duration::from_secs(1_449_446_400);
    let meta = Meta { last_modified: Some(written), ..Meta::default() };
    server.put_with(BUCKET, "tiles/B01.jp2", vec![1; 513], meta);
    server.put(BUCKET, "empty", "");
    server.put_pattern(BUCKET, "huge", 5 * GIB, 1);
    let before = SystemTime::now() - Duration::from_secs(1);
    let flags = ["--uid", "1234", "--gid", "567", "--file-mode", "0440", "--dir-mode", "0551"];
    let mount = mount(&server, &flags);

    let file = fs::metadata(mount.join("tiles/B01.jp2")).unwrap();
    assert_eq!((file.size(), file.blocks(), file.nlink()), (513, 2, 1));
    assert_eq!(file.mode(), libc::S_IFREG | 0o440);
    assert_eq!((file.uid(), file.gid()), (1234, 567));
    for time in [file.modified(), file.accessed()] {
        assert_eq!(time.unwrap(), written);
    }
    assert_eq!(file.ctime(), 1_449_446_400);

    for (dir, links) in [("", 2), ("tiles", 2)] {
        let dir = fs::metadata(mount.join(dir)).unwrap();
        assert_eq!((dir.mode(), dir.nlink()), (libc::S_IFDIR | 0o551, links));
        assert_eq!((dir.uid(), dir.gid()), (1234, 567));
        assert!((before..=SystemTime::now()).contains(&dir.modified().unwrap()));
    }
    assert_eq!(fs::metadata(mount.join("empty")).unwrap().blocks(), 0);
    let huge = fs::metadata(mount.join("huge")).unwrap();
    assert_eq!((huge.size(), huge.blocks()), (5 * GIB, 10 << 20));
    mount.end();
}

#[test]
fn files_belong_to_whoever_mounts_and_everybody_may_read_them() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "dir/file", "x");
    let mount = mount(&server, &[]);
    let me = fs::metadata("/proc/self").unwrap();
    for (name, mode) in [("dir", libc::S_IFDIR | 0o755), ("dir/file", libc::S_IFREG | 0o644)] {
        let status = fs::metadata(mount.join(name)).unwrap();
        assert_eq!(status.mode(), mode);
        assert_eq!((status.uid(), status.gid()), (me.uid(), me.gid()));
    }
    mount.end();
}

#[test]
fn inode_numbers_are_unique_and_stay_when_the_kernel_forgets_them() {
    let Some(server) = server() else { return };
    server.put_many(BUCKET, (0..50).map(|n| (format!("dir-{}/{n}", n % 5), "x")));
    let mount = mount(&server, &[]);
    let numbers = || {
        let mut numbers = BTreeMap::new();
        for dir in names(mount.path()) {
            numbers.insert(dir.clone(), fs::metadata(mount.join(&dir)).unwrap().ino());
            for file in fs::read_dir(mount.join(&dir)).unwrap() {
                let file = file.unwrap();
                // What readdir says and what stat says.
                assert_eq!(
                    std::os::unix::fs::DirEntryExt::ino(&file),
                    file.metadata().unwrap().ino()
                );
                let name = format!("{dir}/{}", file.file_name().to_str().unwrap());
                numbers.insert(name, file.metadata().unwrap().ino());
            }
        }
        numbers
    };
    let first = numbers();
    assert_eq!(first.len(), 55);
    let mut unique: Vec<u64> = first.values().copied().collect();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), 55);
    // The kernel forgets names and inodes: only root can ask for it.
    match fs::write("/proc/sys/vm/drop_caches", "2") {
        Ok(()) => assert_eq!(numbers(), first),
        Err(error) => not_run(&format!("to its end, because of drop_caches: {error}")),
    }
    mount.end();
}

fn attribute(path: &Path, name: &str) -> Result<String, i32> {
    let mut value = [0; 1024];
    let length = getxattr(path, name, &mut value).map_err(|error| error.raw_os_error())?;
    Ok(String::from_utf8(value[..length].to_vec()).unwrap())
}

fn attribute_names(path: &Path) -> Vec<String> {
    let mut list = [0_u8; 4096];
    let length = listxattr(path, &mut list).unwrap();
    let text = std::str::from_utf8(&list[..length]).unwrap();
    let mut names: Vec<_> = text.split_terminator('\0').map(str::to_owned).collect();
    names.sort();
    names
}

#[test]
fn extended_attributes_say_what_every_server_knows_of_an_object() {
    for backend in backends() {
        let metadata = [("instrument", "MSI"), ("cloud-cover", "12.5")];
        let etag = backend.put_with("a dir/B01.jp2", "xy", Some("image/jp2"), &metadata);
        let mount = backend.mount(&[]);
        let path = mount.join("a dir/B01.jp2");
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        let written = humantime::format_rfc3339_seconds(modified).to_string();
        let expected = [
            ("etag", etag.as_str()),
            ("key", "a dir/B01.jp2"),
            ("storage-class", "STANDARD"),
            ("last-modified", &written),
            ("content-type", "image/jp2"),
            ("meta.instrument", "MSI"),
            ("meta.cloud-cover", "12.5"),
        ];
        for (name, value) in expected {
            let got = attribute(&path, &format!("user.s3.{name}"));
            assert_eq!(got.as_deref(), Ok(value), "{name} on {}", backend.name());
        }
        for missing in ["user.s3mem.none", "user.s3.meta.none", "user.s3.none", "user.none"] {
            assert_eq!(attribute(&path, missing), Err(libc::ENODATA), "{missing}");
        }
        let listed: Vec<String> =
            expected.iter().map(|(name, _)| format!("user.s3.{name}")).collect();
        for name in &listed {
            assert!(attribute_names(&path).contains(name), "{name} on {}", backend.name());
        }
        assert_eq!(attribute_names(mount.path()), [""; 0]);
        mount.end();
    }
}

#[test]
fn attributes_of_the_listing_cost_nothing_and_the_others_one_head_for_all() {
    let Some(server) = server() else { return };
    let metadata = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
    let meta = Meta { storage_class: Some("GLACIER_IR".into()), metadata, ..Meta::default() };
    server.put_with(BUCKET, "file", "x", meta);
    let mount = mount(&server, &[]);
    let path = mount.join("file");
    let (class, cost) = cost_of(&server, || {
        for name in ["key", "etag", "last-modified"] {
            attribute(&path, &format!("user.s3.{name}")).unwrap();
        }
        attribute(&path, "user.s3.storage-class").unwrap()
    });
    assert_eq!((class.as_str(), cost), ("GLACIER_IR", NOTHING));
    let (names, cost) = cost_of(&server, || {
        assert_eq!(attribute(&path, "user.s3.content-type").unwrap(), "binary/octet-stream");
        assert_eq!(attribute(&path, "user.s3.meta.a").unwrap(), "1");
        attribute_names(&path)
    });
    assert_eq!(cost, Cost { head: 1, ..NOTHING });
    let expected = ["content-type", "etag", "key", "last-modified", "meta.a", "storage-class"];
    let mut expected: Vec<String> = expected.iter().map(|name| format!("user.s3.{name}")).collect();
    expected.push("user.s3mem.cached".to_owned());
    assert_eq!(names, expected);
    mount.end();
}

#[test]
fn what_is_in_memory_of_a_file_is_told_without_a_request() {
    let Some(server) = server() else { return };
    let image = fs::read(format!("{}/tests/support/data/B01.jp2", env!("CARGO_MANIFEST_DIR")));
    server.put_pattern(BUCKET, "file", 3 * MIB, 1);
    server.put(BUCKET, "image.jp2", image.unwrap());
    server.put(BUCKET, "none.jp2", "no image");
    server.put(BUCKET, "empty.png", "");
    let mount = mount(&server, &[]);
    let told = |name: &str, what: &str| {
        let path = mount.join(name);
        let (value, cost) = cost_of(&server, || attribute(&path, &format!("user.s3mem.{what}")));
        assert_eq!(cost, NOTHING, "{name} {what}");
        value
    };
    names(mount.path());
    assert_eq!(told("file", "cached").as_deref(), Ok("0"));
    reads_whole_pattern(&mount.join("file"), 1);
    assert_eq!(told("file", "cached"), Ok((3 * MIB).to_string()));
    // Another version is not in memory.
    server.put_pattern(BUCKET, "file", 2 * MIB, 2);
    rustix::fs::getxattr(mount.join("file"), "user.s3mem.refresh", &mut [0; 1]).unwrap();
    fs::metadata(mount.join("file")).unwrap();
    assert_eq!(told("file", "cached").as_deref(), Ok("0"));
    assert_eq!(told("file", "siblings"), Err(libc::ENODATA));
    for name in ["image.jp2", "none.jp2"] {
        assert_eq!(told(name, "siblings").as_deref(), Ok("unknown"), "{name}");
        let _ = fs::metadata(mount.join(format!("{name}.json")));
    }
    let known = told("image.jp2", "siblings").unwrap();
    for kind in ["png", "preview.png", "npy", "tif", "json"] {
        assert!(known.split(',').any(|known| known == kind), "{kind} is not in {known}");
    }
    assert_eq!(told("empty.png", "siblings").as_deref(), Ok("none"));
    // It is among what getfattr -d asks for.
    let listed = attribute_names(&mount.join("image.jp2"));
    assert!(listed.contains(&"user.s3mem.siblings".to_owned()), "{listed:?}");
    mount.end();
}

#[test]
fn headers_without_an_etag_are_of_another_object_if_their_size_is() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "file", "x");
    let mount = mount(&server, &[]);
    let path = mount.join("file");
    server.fault(Fault::new(Effect::WithoutETag).on(Op::Head));
    // By the path the kernel would look for the new object.
    let file = fs::File::open(&path).unwrap();
    let told = || rustix::fs::fgetxattr(&file, "user.s3.content-type", &mut [0; 64]);
    server.put(BUCKET, "file", "a page of somebody's");
    assert_eq!(told().map_err(|error| error.raw_os_error()), Err(libc::ESTALE));
    server.put(BUCKET, "file", "x");
    assert!(attribute(&path, "user.s3.content-type").is_ok());
    drop(file);
    mount.end();
}

#[test]
fn an_attribute_that_does_not_fit_is_refused_and_its_size_is_told() {
    let Some(server) = server() else { return };
    server.put(BUCKET, "file", "x");
    let mount = mount(&server, &[]);
    let path = mount.join("file");
    let length = |room: &mut [u8]| {
        getxattr(&path, "user.s3.key", room).map_err(|error| error.raw_os_error())
    };
    assert_eq!(rustix::fs::getxattr_query(&path, "user.s3.key").unwrap(), 4);
    assert_eq!(length(&mut [0; 3]), Err(libc::ERANGE));
    assert_eq!(length(&mut [0; 4]), Ok(4));
    mount.end();
}

#[test]
fn statfs_says_read_only_large_and_full() {
    let Some(server) = server() else { return };
    let (mount, _) = cost_of(&server, || mount(&server, &[]));
    let (status, cost) = cost_of(&server, || statvfs(mount.path()).unwrap());
    assert_eq!(cost, NOTHING);
    assert!(status.f_flag.contains(StatVfsMountFlags::RDONLY));
    assert!(status.f_flag.contains(StatVfsMountFlags::NOSUID | StatVfsMountFlags::NODEV));
    assert_eq!(status.f_namemax, 255);
    assert_eq!((status.f_bfree, status.f_bavail), (0, 0));
    assert!(status.f_blocks * status.f_frsize >= 1 << 50);
    mount.end();
}
