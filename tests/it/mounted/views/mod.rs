//! The virtual siblings of images, held on real mounts of the real program.
//!
//! What their bytes are is known from elsewhere: from the fixtures, whose pixels
//! other programs wrote down, and from decoders of PNG and TIFF that are not ours.
//! Requests and bytes are compared exactly, as in `mounted`.

mod changes;
mod cogs;
mod concurrency;
mod costs;
mod fits;
mod fixtures;
mod forms;
mod giants;
mod guesses;
mod limits;
mod listing;
mod masks;
mod mosaic;
mod naming;
mod packed;
pub(in crate::mounted) mod pages;
mod pixels;
mod previews;
mod ranges;
mod shared;
mod stepping;
mod web;

use std::fs::{self, File};
use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::ImageDecoder;
use image::codecs::png::PngDecoder;
use rustix::fs::{Advice, fadvise};
use tiff::decoder::{Decoder, DecodingResult};

use crate::harness::backend::server;
use crate::harness::cost::{Cost, NOTHING, cost_of};
use crate::harness::dice::Dice;
use crate::harness::files::{MIB, errno, forget_pages, names, part};
use crate::harness::mounting::{BUCKET, Mount, lines, mount};
use crate::harness::waiting::{FOREVER, until};
use crate::support::B01_JP2;

/// The endings of all siblings, in the order in which they are listed.
const ENDINGS: [&str; 5] = [".png", ".preview.png", ".npy", ".tif", ".json"];

/// What is read of an image to know what it is, and its siblings' sizes.
const HEAD_BYTES: u64 = 16 << 10;

/// The path of a sibling.
fn sibling(mount: &Mount, image: &str, ending: &str) -> PathBuf {
    mount.join(format!("{image}{ending}"))
}

/// A file of which the kernel reads what is asked for and nothing ahead.
fn open_random(path: &Path) -> File {
    let file = File::open(path).unwrap();
    fadvise(&file, 0, None, Advice::Random).unwrap();
    file
}

/// What a `.npy` holds.
#[derive(Debug, PartialEq, Eq)]
struct Npy {
    dtype: String,
    shape: Vec<u64>,
    /// Where the samples begin.
    start: u64,
    samples: Vec<u8>,
}

/// Takes a `.npy` apart, as numpy's own description of the format has it.
fn npy(file: &[u8]) -> Npy {
    assert_eq!(&file[..8], b"\x93NUMPY\x01\x00");
    let start = 10 + usize::from(u16::from_le_bytes([file[8], file[9]]));
    assert_eq!(start % 64, 0, "the samples are aligned");
    let header = std::str::from_utf8(&file[10..start]).unwrap();
    let between = |from: &str, to: &str| {
        let rest = &header[header.find(from).unwrap() + from.len()..];
        rest[..rest.find(to).unwrap()].to_owned()
    };
    assert!(header.contains("'fortran_order': False"), "{header}");
    let shape = between("'shape': (", ")");
    let numbers = shape.split(',').map(str::trim).filter(|word| !word.is_empty());
    Npy {
        dtype: between("'descr': '", "'"),
        shape: numbers.map(|number| number.parse().unwrap()).collect(),
        start: start as u64,
        samples: file[start..].to_vec(),
    }
}

/// Columns, rows, and samples in the byte order of the machine.
type Picture = (u32, u32, Vec<u8>);

/// What the `png` crate sees.
fn png(file: &[u8]) -> Picture {
    let decoder = PngDecoder::new(Cursor::new(file)).unwrap();
    let (width, height) = decoder.dimensions();
    let mut samples = vec![0; decoder.total_bytes() as usize];
    decoder.read_image(&mut samples).unwrap();
    (width, height, samples)
}

/// What the `tiff` crate sees of each image in a file: full resolution first.
fn tif(file: &[u8]) -> Vec<Picture> {
    let mut decoder = Decoder::new(Cursor::new(file)).unwrap();
    let mut pictures = Vec::new();
    loop {
        let (width, height) = decoder.dimensions().unwrap();
        let mut result = DecodingResult::U8(Vec::new());
        decoder.read_image_to_buffer(&mut result).unwrap();
        pictures.push((width, height, result.as_buffer(0).as_bytes().to_vec()));
        if !decoder.more_images() {
            return pictures;
        }
        decoder.next_image().unwrap();
    }
}

/// What `X.json` says of each sibling: nothing wrong, or why it does not exist.
fn told_views(json: &str) -> Vec<(String, Option<String>)> {
    let (_, views) = json.split_once("\"views\": {\n").unwrap();
    let (views, _) = views.split_once('}').unwrap();
    let told = views.trim().lines().map(|line| {
        let (name, what) = line.trim().trim_end_matches(',').split_once(": ").unwrap();
        let reason = (what != "true").then(|| what.trim_matches('"').to_owned());
        (format!(".{}", name.trim_matches('"')), reason)
    });
    told.collect()
}

/// How many entries a folder of indexes has.
fn entries(folder: &Path) -> usize {
    let folders = fs::read_dir(folder).unwrap();
    let files = folders.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap());
    files.filter(|file| file.as_ref().unwrap().path().extension().is_none()).count()
}
