//! Where a fault can strike: what programs do, and the request that goes wrong.

use std::fs;
use std::io::{self, Cursor};
use std::path::Path;

use tiff::encoder::TiffEncoder;
use tiff::encoder::colortype::Gray8;

use super::{Cell, PART_FILE, noise, save};
use crate::harness::files::names;
use crate::harness::mounting::BUCKET;
use crate::mounted::assert_pattern;
use crate::support::server::{Op, TestServer};

/// What a program does, in a folder of its own.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) name: &'static str,
    /// The request that goes wrong, behind so many of its kind.
    pub(super) op: Op,
    pub(super) skip: u64,
    /// Puts into the bucket what it needs, below a prefix.
    pub(super) prepare: fn(&TestServer, &str),
    /// Does it. Data that is wrong is a panic.
    pub(super) act: fn(&Cell<'_>) -> io::Result<()>,
}

const READ_AHEAD: u64 = 24 << 20;
const SIDE: u32 = 512;

pub(super) const PLACES: [Place; 12] = [
    Place { name: "listing", op: Op::List, skip: 0, prepare: put_three, act: list },
    Place { name: "look-up", op: Op::List, skip: 0, prepare: put_three, act: look_up },
    Place { name: "first range", op: Op::Get, skip: 0, prepare: put_three, act: read },
    Place { name: "readahead", op: Op::Get, skip: 2, prepare: put_large, act: read_large },
    Place { name: "header of a sibling", op: Op::Get, skip: 0, prepare: put_image, act: describe },
    Place { name: "tiles of a sibling", op: Op::Get, skip: 1, prepare: put_image, act: decode },
    Place { name: "upload in one request", op: Op::Put, skip: 0, prepare: put_three, act: write },
    Place {
        name: "begin of an upload",
        op: Op::CreateUpload,
        skip: 0,
        prepare: put_three,
        act: write_large,
    },
    Place {
        name: "part of an upload",
        op: Op::UploadPart,
        skip: 0,
        prepare: put_three,
        act: write_large,
    },
    Place {
        name: "end of an upload",
        op: Op::CompleteUpload,
        skip: 0,
        prepare: put_three,
        act: write_large,
    },
    Place { name: "rename", op: Op::Put, skip: 0, prepare: put_three, act: rename },
    Place { name: "deletion", op: Op::Delete, skip: 0, prepare: put_three, act: delete },
];

fn put_three(server: &TestServer, prefix: &str) {
    for name in ["a", "b", "c"] {
        server.put_pattern(BUCKET, &format!("{prefix}/{name}"), 100_000, 1);
    }
}

fn put_large(server: &TestServer, prefix: &str) {
    server.put_pattern(BUCKET, &format!("{prefix}/large"), READ_AHEAD, 2);
}

fn put_image(server: &TestServer, prefix: &str) {
    let mut file = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut file).unwrap();
    encoder.write_image::<Gray8>(SIDE, SIDE, &pixels()).unwrap();
    server.put(BUCKET, &format!("{prefix}/image.tif"), file.into_inner());
}

fn pixels() -> Vec<u8> {
    noise(3, (SIDE * SIDE) as usize)
}

fn list(cell: &Cell<'_>) -> io::Result<()> {
    // Unlike `names`, this gives the error.
    let listed: Vec<_> = fs::read_dir(cell.folder())?.collect::<io::Result<_>>()?;
    assert_eq!(listed.len(), 3);
    assert_eq!(names(&cell.folder()), ["a", "b", "c"]);
    Ok(())
}

fn look_up(cell: &Cell<'_>) -> io::Result<()> {
    assert_eq!(fs::metadata(cell.folder().join("b"))?.len(), 100_000);
    Ok(())
}

fn read(cell: &Cell<'_>) -> io::Result<()> {
    assert_pattern(1, 0, &whole(&cell.folder().join("b"), 100_000)?);
    Ok(())
}

fn read_large(cell: &Cell<'_>) -> io::Result<()> {
    assert_pattern(2, 0, &whole(&cell.folder().join("large"), READ_AHEAD)?);
    Ok(())
}

/// All of a file: never less.
fn whole(path: &Path, size: u64) -> io::Result<Vec<u8>> {
    let read = fs::read(path)?;
    assert_eq!(read.len() as u64, size);
    Ok(read)
}

fn describe(cell: &Cell<'_>) -> io::Result<()> {
    let json = fs::read_to_string(cell.folder().join("image.tif.json"))?;
    assert!(json.contains("\"width\": 512"), "{json}");
    Ok(())
}

fn decode(cell: &Cell<'_>) -> io::Result<()> {
    let npy = fs::read(cell.folder().join("image.tif.npy"))?;
    assert!(npy.ends_with(&pixels()), "a wrong pixel");
    Ok(())
}

fn write(cell: &Cell<'_>) -> io::Result<()> {
    save(&cell.folder().join("new"), b"what a program wrote")?;
    cell.has("new", b"what a program wrote");
    Ok(())
}

fn write_large(cell: &Cell<'_>) -> io::Result<()> {
    save(&cell.folder().join("new"), &PART_FILE)?;
    cell.has("new", &PART_FILE);
    Ok(())
}

fn rename(cell: &Cell<'_>) -> io::Result<()> {
    fs::rename(cell.folder().join("a"), cell.folder().join("renamed"))?;
    assert_eq!(cell.keys(), ["b", "c", "renamed"]);
    Ok(())
}

fn delete(cell: &Cell<'_>) -> io::Result<()> {
    fs::remove_file(cell.folder().join("a"))?;
    assert_eq!(cell.keys(), ["b", "c"]);
    Ok(())
}
