//! The tour's steps about virtual siblings: files that are not in the bucket and
//! are made from an image when they are read.
//!
//! Contract: pixels are compared with what another decoder (OpenJPEG, by way of
//! `opj_decompress`) makes of the same file, PNG and TIFF are read by the decoders
//! of other people, and every file has as many bytes as `stat` said.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use image::{ColorType, ImageFormat};
use md5::{Digest, Md5};
use tiff::decoder::{Decoder, DecodingResult};

use crate::mount::PREVIEW_SIZE;
use crate::support::bucket::hex;
use crate::tour::{Limit, Step, World, bytes, told};
use crate::tree::TILE;

/// The image.
const IMAGE: &str = "B01.jp2";
/// Its width and height.
const SIDE: u32 = 1830;
/// A sample has 16 bits.
const ROW_BYTES: u64 = 2 * SIDE as u64;
/// Reading its header costs this much, and no more.
const HEADER_BYTES: u64 = 16 << 10;
/// What a tile has at most in the bucket, and the way to it.
const TILE_BYTES: u64 = 800 << 10;
/// The side of a tile.
const TILE_SIDE: u32 = 1024;
/// Bytes of a PNG in front of its first row of pixels, and between two rows, which
/// are stored in blocks of their own; every 64 rows there is a new chunk.
const PNG_HEAD: u64 = 33 + 2;
const PNG_ROW: u64 = 5 + 1 + ROW_BYTES;
const PNG_CHUNK: u64 = 12;
const PNG_CHUNK_ROWS: u64 = 64;
/// The rows that the tour looks at, which begin a chunk.
const FIRST_ROW: u64 = 640;
const ROWS: u64 = 16;
/// What is in front of the pixels in the .npy file.
const NPY_HEAD: u64 = 128;

/// MD5 of what `opj_decompress` decodes: of the tile in the lower right corner, of
/// the rows above, and of all pixels, 16 bits little endian.
const TILE_MD5: &str = "268031cc564d9aa9863c9ba44f6cb0fa";
const ROWS_MD5: &str = "390e1c759c8bcd5cd0514662b105fde6";
const PIXELS_MD5: &str = "f39a5fd9860e7b64a611e4eaa46f0920";

/// The steps, in the order in which each finds some of its tiles decoded already.
pub(crate) fn steps() -> Vec<Step> {
    vec![
        Step {
            title: "Five files beside the image that are not in the bucket: \
                    16 KiB of header give the exact size of each",
            command: format!("ls -l {TILE}/{IMAGE}.{{png,preview.png,npy,tif,json}}"),
            run: stat_them,
            limit: Limit { requests: 1, body_bytes: HEADER_BYTES },
        },
        Step {
            title: "What the header says, as JSON",
            command: format!("cat {TILE}/{IMAGE}.json"),
            run: show_the_json,
            limit: Limit::NOTHING,
        },
        Step {
            title: "A picture for people: a lower resolution is decoded, \
                    from the first packets of each tile",
            command: format!("cp {TILE}/{IMAGE}.preview.png /dev/shm/"),
            run: read_the_preview,
            limit: Limit { requests: 12, body_bytes: 320 << 10 },
        },
        Step {
            title: "A tile of the TIFF: the piece of the image that it is made from is fetched, \
                    not all of it",
            command: format!("gdal_translate -srcwin 1024 1024 806 806 {TILE}/{IMAGE}.tif ..."),
            run: read_a_tile,
            // Pages of memory at its edges may belong to a neighbour or an overview.
            limit: Limit { requests: 6, body_bytes: 2 * TILE_BYTES },
        },
        Step {
            title: "Some rows of the PNG: the tiles that these lie in",
            command: format!("python3: rows 640 to 656 of {TILE}/{IMAGE}.png"),
            run: read_some_rows,
            limit: Limit { requests: 3, body_bytes: 3 * TILE_BYTES },
        },
        Step {
            title: "All pixels, mapped by numpy: all siblings share what was decoded, \
                    so only what is missing is fetched",
            command: format!("python3: numpy.load(\"{TILE}/{IMAGE}.npy\", mmap_mode=\"r\")"),
            run: read_the_pixels,
            limit: Limit { requests: 2, body_bytes: 2 * TILE_BYTES },
        },
    ]
}

/// Where a sibling is.
pub(crate) fn sibling(root: &Path, suffix: &str) -> PathBuf {
    root.join(TILE).join(format!("{IMAGE}{suffix}"))
}

/// A whole sibling; as many bytes as `stat` says.
fn read_whole(path: &Path) -> Result<Vec<u8>, String> {
    let size = fs::metadata(path).map_err(|e| told(path, &e))?.len();
    let got = fs::read(path).map_err(|e| told(path, &e))?;
    if got.len() as u64 == size {
        return Ok(got);
    }
    Err(format!("{} has {} bytes, and stat says {size}", path.display(), got.len()))
}

fn stat_them(world: &World<'_>) -> Result<String, String> {
    let image = sibling(world.root, "");
    let of_image = fs::metadata(&image).map_err(|e| told(&image, &e))?;
    let pixels = ROW_BYTES * u64::from(SIDE);
    let chunks = u64::from(SIDE).div_ceil(PNG_CHUNK_ROWS);
    let png = PNG_HEAD + u64::from(SIDE) * PNG_ROW + PNG_CHUNK * (chunks + 1) + 4 + PNG_CHUNK;
    let expected = [
        (".png", Some(png)),
        (".preview.png", None),
        (".npy", Some(NPY_HEAD + pixels)),
        (".tif", None),
        (".json", None),
    ];
    let mut lines = Vec::new();
    for (suffix, wanted) in expected {
        let path = sibling(world.root, suffix);
        let metadata = fs::metadata(&path).map_err(|e| told(&path, &e))?;
        let size = metadata.len();
        if wanted.is_some_and(|wanted| wanted != size) {
            return Err(format!("{} has {size} bytes", path.display()));
        }
        if metadata.modified().ok() != of_image.modified().ok() {
            return Err(format!("{} is not as old as its image", path.display()));
        }
        lines.push(format!("{size:>8}  {IMAGE}{suffix}"));
    }
    Ok(lines.join("\n"))
}

fn show_the_json(world: &World<'_>) -> Result<String, String> {
    let path = sibling(world.root, ".json");
    let text = String::from_utf8(read_whole(&path)?).map_err(|e| e.to_string())?;
    let facts = [
        "\"width\": 1830,",
        "\"height\": 1830,",
        "\"bands\": 1,",
        "\"dtype\": \"uint16\",",
        "\"bit_depth\": 15,",
        "\"tile\": [1024, 1024],",
        "\"epsg\": 32632,",
        "\"transform\": [600000, 60, 0, 4900020, 0, -60],",
    ];
    match facts.into_iter().find(|fact| !text.contains(fact)) {
        Some(fact) => Err(format!("{} does not say {fact}", path.display())),
        None => Ok(text),
    }
}

fn read_the_preview(world: &World<'_>) -> Result<String, String> {
    let path = sibling(world.root, ".preview.png");
    let got = read_whole(&path)?;
    if !got.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Err(format!("{} is no PNG", path.display()));
    }
    // Checks every checksum in the file too.
    let picture = image::load_from_memory_with_format(&got, ImageFormat::Png)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    // A quarter of the image: the largest resolution that is small enough.
    let side = SIDE.div_ceil(4);
    let (width, height, color) = (picture.width(), picture.height(), picture.color());
    if side > PREVIEW_SIZE || (width, height, color) != (side, side, ColorType::L8) {
        return Err(format!("{} is {width}x{height} in {color:?}", path.display()));
    }
    let gray = picture.to_luma8();
    let share =
        |value| gray.iter().filter(|&&gray| gray == value).count() as f64 / gray.len() as f64;
    let (black, white) = (share(0), share(255));
    // The image's corner holds no measurement (12.7 %); beyond that 2 % are cut at each end.
    if !(0.12..0.17).contains(&black) || !(0.005..0.04).contains(&white) {
        return Err(format!("{:.1} % black, {:.1} % white", black * 100.0, white * 100.0));
    }
    Ok(format!("{width}x{height} gray pixels of 8 bits, {}", bytes(got.len() as u64)))
}

fn read_a_tile(world: &World<'_>) -> Result<String, String> {
    let path = sibling(world.root, ".tif");
    let broken = |error: tiff::TiffError| format!("{}: {error}", path.display());
    let file = File::open(&path).map_err(|e| told(&path, &e))?;
    let mut decoder = Decoder::new(file).map_err(broken)?;
    let size = decoder.dimensions().map_err(broken)?;
    if size != (SIDE, SIDE) || decoder.chunk_dimensions() != (TILE_SIDE, TILE_SIDE) {
        return Err(format!("{} has another size or other tiles", path.display()));
    }
    let DecodingResult::U16(tile) = decoder.read_chunk(3).map_err(broken)? else {
        return Err(format!("{} does not have 16 bits", path.display()));
    };
    let tile: Vec<u8> = tile.into_iter().flat_map(u16::to_le_bytes).collect();
    compare("the tile", &tile, TILE_MD5)
}

fn read_some_rows(world: &World<'_>) -> Result<String, String> {
    let path = sibling(world.root, ".png");
    let file = File::open(&path).map_err(|e| told(&path, &e))?;
    let at = PNG_HEAD + FIRST_ROW * PNG_ROW + PNG_CHUNK * (FIRST_ROW / PNG_CHUNK_ROWS);
    let mut chunk = vec![0; (8 + ROWS * PNG_ROW) as usize];
    file.read_exact_at(&mut chunk, at).map_err(|e| told(&path, &e))?;
    let (head, rows) = chunk.split_at(8);
    if !head.ends_with(b"IDAT") {
        return Err(format!("{} has no chunk at byte {at}", path.display()));
    }
    // Behind a block's header and the row's filter there are 16 bits, big endian.
    let rows = rows.chunks_exact(PNG_ROW as usize).flat_map(|row| row[6..].chunks_exact(2));
    let samples: Vec<u8> = rows.flat_map(|sample| [sample[1], sample[0]]).collect();
    compare("the rows", &samples, ROWS_MD5)
}

fn read_the_pixels(world: &World<'_>) -> Result<String, String> {
    let path = sibling(world.root, ".npy");
    let got = read_whole(&path)?;
    let (head, pixels) = got.split_at(got.len().min(NPY_HEAD as usize));
    let dict = b"{'descr': '<u2', 'fortran_order': False, 'shape': (1830, 1830), }";
    if !head.starts_with(b"\x93NUMPY\x01\x00")
        || !head.get(10..).is_some_and(|head| head.starts_with(dict))
    {
        return Err(format!("{} does not start as numpy's files do", path.display()));
    }
    let said = compare("the pixels", pixels, PIXELS_MD5)?;
    Ok(format!("{}\n{said}", String::from_utf8_lossy(dict)))
}

/// Compares pixels with those that OpenJPEG decodes.
fn compare(what: &str, pixels: &[u8], wanted: &str) -> Result<String, String> {
    let sum = hex(&Md5::digest(pixels));
    if sum != wanted {
        return Err(format!("{what} are not those that opj_decompress gives: {sum}"));
    }
    Ok(format!("{sum}  ({}, as opj_decompress gives them)", bytes(pixels.len() as u64)))
}
