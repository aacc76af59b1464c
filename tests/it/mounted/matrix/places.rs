//! Where a fault can strike: what programs do, and the request that goes wrong.

use std::fs;
use std::io::{self, BufRead, BufReader, Cursor};
use std::path::Path;

use tiff::encoder::TiffEncoder;
use tiff::encoder::colortype::Gray8;

use super::{Cell, PART_FILE, noise, save};
use crate::harness::files::names;
use crate::harness::mounting::BUCKET;
use crate::harness::shell::{S3MEM, signal};
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
    /// Whether it is a command of s3mem.
    pub(super) is_command: bool,
}

/// A place among three files.
const FILES: Place =
    Place { name: "", op: Op::List, skip: 0, prepare: put_three, act: list, is_command: false };

const READ_AHEAD: u64 = 24 << 20;
const SIDE: u32 = 512;

pub(super) const PLACES: [Place; 14] = [
    Place { name: "mount", op: Op::List, act: mount, is_command: true, ..FILES },
    Place { name: "listing", op: Op::List, act: list, ..FILES },
    Place { name: "look-up", op: Op::List, act: look_up, ..FILES },
    Place { name: "first range", op: Op::Get, act: read, ..FILES },
    Place { name: "readahead", op: Op::Get, skip: 2, prepare: put_large, act: read_large, ..FILES },
    Place { name: "header of a sibling", op: Op::Get, prepare: put_image, act: describe, ..FILES },
    Place {
        name: "tiles of a sibling",
        op: Op::Get,
        skip: 1,
        prepare: put_image,
        act: decode,
        ..FILES
    },
    Place { name: "upload in one request", op: Op::Put, act: write, ..FILES },
    Place { name: "begin of an upload", op: Op::CreateUpload, act: write_large, ..FILES },
    Place { name: "part of an upload", op: Op::UploadPart, act: write_large, ..FILES },
    Place { name: "end of an upload", op: Op::CompleteUpload, act: write_large, ..FILES },
    Place { name: "rename", op: Op::Put, act: rename, ..FILES },
    Place { name: "deletion", op: Op::Delete, act: delete, ..FILES },
    Place { name: "unmount", op: Op::Put, act: unmount, is_command: true, ..FILES },
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

fn mount(cell: &Cell<'_>) -> io::Result<()> {
    let source = format!("{BUCKET}/{}", cell.prefix);
    let ran = cell.shell.mount(&source, &["--memory", "64M", "--request-timeout", "2"]);
    if ran.code != Some(0) {
        ran.fails_with(&[]);
        assert!(!cell.shell.is_mounted());
        return Err(io::Error::other(ran.stderr));
    }
    assert_eq!(names(&cell.shell.mount_point), ["a", "b", "c"]);
    cell.shell.umount().succeeds();
    Ok(())
}

fn unmount(cell: &Cell<'_>) -> io::Result<()> {
    let (shell, text) = (&cell.shell, b"what a program wrote");
    let is_first = !shell.is_mounted();
    if is_first {
        let source = format!("{BUCKET}/{}", cell.prefix);
        let writes = ["--writes", "upload", "--on-close", "later"];
        let flags = [&writes[..], &["--memory", "128M", "--request-timeout", "2"]].concat();
        shell.mount(&source, &flags).succeeds();
        save(&shell.mount_point.join("new"), text)?;
    }
    if cell.lasts && is_first {
        let mut waiting = shell.command(S3MEM).args(["umount", shell.mount_point()]).spawn()?;
        let mut said = String::new();
        BufReader::new(waiting.stderr.take().unwrap()).read_line(&mut said)?;
        assert!(said.contains("waiting until everything is in the bucket"), "{said}");
        // Whoever ends the one that waits leaves the mount as it is.
        signal("TERM", waiting.id());
        waiting.wait()?;
        assert!(shell.is_mounted());
        assert_eq!(fs::read(shell.mount_point.join("new"))?, text);
        return Err(io::Error::other(said));
    }
    let ran = shell.umount();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!shell.is_mounted());
    cell.has("new", text);
    Ok(())
}
