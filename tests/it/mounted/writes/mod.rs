//! What `--writes memory` promises, held on real mounts of the real program.
//!
//! Most tests run twice: on a mount whose files the kernel reads and writes by
//! itself, and on one of an ordinary user, where all of it goes through the daemon.
//! Either must be like any other file system, and the bucket must never change.

mod bucket;
mod directories;
mod files;
mod kernel;
mod listing;
mod names;
mod room;
mod system;
mod threads;
mod views;
mod xattrs;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;

use tempfile::TempDir;

use crate::harness::backend::server;
use crate::harness::cost::{Cost, NOTHING, cost_of};
use crate::harness::files::{MIB, errno, forget_pages, names, part};
use crate::harness::missing::{is_root, not_run, say};
use crate::harness::mounting::{BUCKET, Mount, Mounting, PROGRAM};
use crate::harness::waiting::until;
use crate::support::server::TestServer;

use self::system::{become_nobody, open_fuse_to_all};

/// Who mounts.
#[derive(Debug, Clone)]
enum Way {
    /// Whoever runs the tests; root has the kernel read and write files by itself.
    Own,
    /// An ordinary user, with a copy of the program that they can reach.
    Ordinary(PathBuf),
}

impl Way {
    /// The bucket, mounted so that anything can be written.
    fn mount(&self, server: &TestServer, flags: &[&str]) -> Mount {
        let mounting = writable(server).with(flags);
        mounting.by(self.program()).in_foreground()
    }

    /// As [`Way::mount`], by a shell that does something and then becomes the program.
    fn mount_by(&self, script: &str, server: &TestServer) -> Mount {
        let folder = TempDir::new().unwrap();
        let program = folder.path().join("s3mem");
        let text = format!("#!/bin/sh\n{script} '{}' \"$@\"\n", self.program().display());
        fs::write(&program, text).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        writable(server).by(&program).in_foreground().ended_by(self.program())
    }

    fn program(&self) -> &Path {
        match self {
            Way::Own => Path::new(PROGRAM),
            Way::Ordinary(program) => program,
        }
    }
}

fn writable(server: &TestServer) -> Mounting {
    let flags = ["--memory", "512M", "--writes", "memory", "--metadata-ttl", "3600"];
    Mounting::of(server, BUCKET).with(flags)
}

/// Runs a test on a mount of each kind that this machine can have, each with a server
/// of its own; afterwards the bucket must be as the test left it.
fn each_way(test: impl Fn(&TestServer, &Way) + Sync) {
    let Some(server) = server() else { return };
    unchanged(&server, || test(&server, &Way::Own));
    if !is_root() {
        not_run("on a mount of an ordinary user, because the tests do not run as root");
        return;
    }
    let folder = TempDir::new().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = folder.path().join("s3mem");
    fs::copy(PROGRAM, &program).unwrap();
    let server = crate::harness::backend::server().unwrap();
    let way = Way::Ordinary(program);
    thread::scope(|scope| {
        let ordinary = scope.spawn(|| {
            open_fuse_to_all(folder.path());
            become_nobody();
            unchanged(&server, || test(&server, &way));
        });
        if let Err(panic) = ordinary.join() {
            say("this is about a mount of an ordinary user");
            std::panic::resume_unwind(panic);
        }
    });
}

/// Does something that must not ask the server to change anything.
fn unchanged(server: &TestServer, work: impl FnOnce()) {
    work();
    // `cost_of` resets the counts, and looks for itself that only reads were asked.
    let counts = server.counts();
    assert_eq!((counts.put, counts.other), (0, 0), "{counts:?}");
}

/// All objects of the bucket: key, ETag and bytes.
fn objects(server: &TestServer) -> Vec<(String, String, Vec<u8>)> {
    let object = |key: String| {
        let object = server.get(BUCKET, &key).unwrap();
        let bytes = object.content.slice(0..object.content.size()).to_vec();
        (key, object.etag.clone(), bytes)
    };
    server.keys(BUCKET).into_iter().map(object).collect()
}

/// A file opened for reading and writing, made if it is not there.
fn open_both(path: &Path) -> File {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).open(path).unwrap()
}

/// The inode number of a path.
fn ino(path: &Path) -> u64 {
    fs::symlink_metadata(path).unwrap().ino()
}

/// Whether there is nothing of this name.
fn is_gone(path: &Path) -> bool {
    errno_is(fs::symlink_metadata(path), libc::ENOENT)
}

fn errno_is<T: std::fmt::Debug>(outcome: io::Result<T>, wanted: i32) -> bool {
    outcome.is_err_and(|error| error.raw_os_error() == Some(wanted))
}
