//! Entries of the cache on disk and of the shared one: none that is damaged is found.
#![no_main]

use std::fs::File;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use s3mem_fuzz::entries::{on_disk, shared};

/// A file without a name.
static FILE: LazyLock<File> = LazyLock::new(|| {
    let path = std::env::temp_dir().join(format!("s3mem-fuzz-{}", std::process::id()));
    let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    file
});

fuzz_target!(|input: (&str, u32, u8, &[u8])| {
    let (name, at, with, bytes) = input;
    shared(name, bytes, (at, with));
    on_disk(&FILE, name, bytes, (at, with));
});
