//! Extended attributes of what stays in memory, and what no file here can do.

use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;

use rustix::fs::{XattrFlags, getxattr, listxattr, removexattr, setxattr};

use super::*;

fn set(path: &Path, name: &str, value: &str, how: XattrFlags) -> io::Result<()> {
    Ok(setxattr(path, name, value.as_bytes(), how)?)
}

fn value(path: &Path, name: &str) -> io::Result<String> {
    let mut bytes = [0; 256];
    let length = getxattr(path, name, &mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
}

fn all(path: &Path) -> String {
    let mut bytes = [0; 256];
    let length = listxattr(path, &mut bytes).unwrap();
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

const ALWAYS: XattrFlags = XattrFlags::empty();

#[test]
fn attributes_of_the_user_stay_with_what_programs_make_in_memory() {
    each_way(|server, way| {
        server.put(BUCKET, "object", "theirs");
        let mount = way.mount(server, &[]);
        let (file, folder) = (mount.join("file"), mount.join("folder"));
        fs::write(&file, "x").unwrap();
        fs::create_dir(&folder).unwrap();
        for path in [&file, &folder] {
            set(path, "user.colour", "red", XattrFlags::CREATE).unwrap();
            assert!(errno_is(set(path, "user.colour", "b", XattrFlags::CREATE), libc::EEXIST));
            set(path, "user.colour", "blue", XattrFlags::REPLACE).unwrap();
            assert!(errno_is(set(path, "user.size", "s", XattrFlags::REPLACE), libc::ENODATA));
            set(path, "user.empty", "", ALWAYS).unwrap();
            assert_eq!(value(path, "user.colour").unwrap(), "blue");
            assert_eq!(all(path), "user.colour\0user.empty\0");
        }
        fs::rename(&file, mount.join("moved")).unwrap();
        let file = mount.join("moved");
        assert_eq!(value(&file, "user.colour").unwrap(), "blue");
        removexattr(&file, "user.colour").unwrap();
        assert!(errno_is(value(&file, "user.colour"), libc::ENODATA));
        assert!(errno_is(removexattr(&file, "user.colour").map_err(Into::into), libc::ENODATA));
        let long = "v".repeat(60_000);
        set(&file, "user.long", &long, ALWAYS).unwrap();
        assert!(errno_is(set(&file, "user.more", &long, ALWAYS), libc::ENOSPC));
        // What is S3's own, and what is in the bucket, has no others.
        assert!(errno_is(set(&file, "user.s3.key", "x", ALWAYS), libc::EOPNOTSUPP));
        assert!(errno_is(set(&file, "user.s3mem.cached", "x", ALWAYS), libc::EOPNOTSUPP));
        assert!(errno_is(set(&mount.join("object"), "user.x", "y", ALWAYS), libc::EOPNOTSUPP));
        assert_eq!(value(&mount.join("object"), "user.s3.key").unwrap(), "object");
        mount.end();
    });
}

#[test]
fn unnamed_files_and_clones_are_refused_so_that_programs_do_without() {
    each_way(|server, way| {
        let mount = way.mount(server, &[]);
        let unnamed =
            OpenOptions::new().write(true).custom_flags(libc::O_TMPFILE).open(mount.path());
        assert!(errno_is(unnamed, libc::EOPNOTSUPP));
        fs::write(mount.join("a"), "bytes").unwrap();
        let copy = |how: &str, to: &str| {
            let mut cp = Command::new("cp");
            cp.arg(format!("--reflink={how}")).args([mount.join("a"), mount.join(to)]);
            cp.output().unwrap().status.success()
        };
        assert!(!copy("always", "clone"));
        assert!(copy("auto", "copy"));
        assert_eq!(fs::read(mount.join("copy")).unwrap(), b"bytes");
        mount.end();
    });
}
