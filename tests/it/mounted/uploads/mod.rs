//! What `--writes upload` promises, held on real mounts of the real program: what is
//! closed is in the bucket, or the program was told and the file is still there.
//!
//! The bucket is looked at in the server itself or by another client, never through the
//! mount. Whatever needs no count of requests and no failure on command is held on every
//! server that there is.

mod changes;
mod client;
mod disk;
mod failures;
mod few_files;
mod lacking;
mod later;
mod let_go;
mod made;
mod names;
mod room;
mod sending;
mod siblings;
mod traced;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use crate::harness::backend::{Backend, backends, in_process, server};
use crate::harness::files::{MIB, errno, forget_pages, names as names_in};
use crate::harness::mounting::{BUCKET, Mount, Mounting};
use crate::harness::waiting::{FOREVER, until};

/// The bucket, mounted so that new objects can be made.
fn mount(backend: &Backend, flags: &[&str]) -> Mount {
    let writing = ["--memory", "256M", "--writes", "upload", "--metadata-ttl", "3600"];
    // Where requests fail on command they fail soon; MinIO may be slow, on a busy disk.
    let timeout = if backend.server().is_some() { "4" } else { "60" };
    let mounting = backend.mounting().with(writing).with(["--request-timeout", timeout]);
    mounting.with(flags).in_foreground()
}

/// The bucket, mounted so that anything can be changed.
fn mount_free(backend: &Backend) -> Mount {
    mount(backend, &["--allow-overwrite", "--allow-delete"])
}

/// Bytes that look random, the same for the same seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// Writes a new file and closes it, and gives the error that a program sees.
fn save(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    file.write_all(bytes)?;
    close(file)
}

/// Closes a file; unlike a drop it tells what that failed with.
fn close(file: File) -> io::Result<()> {
    nix::unistd::close(file).map_err(io::Error::from)
}
