//! Windows and OS/2 bitmaps of 1 to 8 bits and of 24, with every header that there was;
//! those of 16 and 32 bits are left to the `image` crate.
//!
//! Contract: palettes become RGB. Pixels that run-length coding skips, and those behind an
//! early end of the bitmap, have the first color, as in GDAL and OpenCV. A number that the
//! palette does not have is damage, since readers show different colors for it.

use std::io::{BufRead, Cursor, Read, Seek, SeekFrom};

use super::error::corrupt;
use super::header::Header;
use super::{Codec, Color, Limits, RasterError, SampleType, images};

/// Where the second header is.
const SECOND_HEADER: u64 = 14;

/// How the rows are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Plain,
    /// Run-length coded, of 4 or 8 bits.
    Runs,
}

/// What the headers say of a bitmap that is decoded here.
#[derive(Debug)]
struct Bitmap {
    width: u32,
    height: u32,
    is_top_down: bool,
    bits: u32,
    coding: Coding,
    /// Where the palette is, how many colors it has, and of how many bytes each.
    palette: (u64, u32, u32),
    /// Where the rows are.
    rows: u64,
    /// Why it is not decoded.
    unsupported: Option<String>,
}

/// What the second header says: its length, and its fields.
struct Fields(Vec<u8>);

impl Fields {
    fn u16(&self, at: usize) -> Option<u16> {
        Some(u16::from_le_bytes(*self.0.get(at..)?.first_chunk()?))
    }

    fn u32(&self, at: usize) -> Option<u32> {
        Some(u32::from_le_bytes(*self.0.get(at..)?.first_chunk()?))
    }
}

/// Reads both headers; `None` for a bitmap that is left to the `image` crate.
fn bitmap<R: Read + Seek>(file: &mut R) -> Result<Option<Bitmap>, RasterError> {
    let early = |_| corrupt("its header ends early");
    file.seek(SeekFrom::Start(SECOND_HEADER - 4)).map_err(early)?;
    let mut numbers = [0; 8];
    file.read_exact(&mut numbers).map_err(early)?;
    let [r0, r1, r2, r3, l0, l1, l2, l3] = numbers;
    let rows = u32::from_le_bytes([r0, r1, r2, r3]).into();
    let length = u32::from_le_bytes([l0, l1, l2, l3]);
    if !(12..=124).contains(&length) {
        return Err(corrupt("its second header has no right length"));
    }
    let mut fields = vec![0; length as usize - 4];
    file.read_exact(&mut fields).map_err(early)?;
    file.rewind().map_err(early)?;
    let mut whole = numbers[4..].to_vec();
    whole.extend(fields);
    parse(&Fields(whole), rows)
}

fn parse(fields: &Fields, rows: u64) -> Result<Option<Bitmap>, RasterError> {
    let length = fields.0.len() as u32;
    let short = || corrupt("its second header is too short");
    let is_first = length == 12;
    let (width, height, bits) = if is_first {
        let side = |at| fields.u16(at).map(i32::from).ok_or_else(short);
        (side(4)?, side(6)?, fields.u16(10).ok_or_else(short)?)
    } else {
        let side = |at| fields.u32(at).map(|side| side as i32).ok_or_else(short);
        (side(4)?, side(8)?, fields.u16(14).ok_or_else(short)?)
    };
    if width <= 0 || height == 0 || height == i32::MIN {
        return Err(corrupt("it has no pixels"));
    }
    // Headers of OS/2 end where they like; what is missing is zero.
    let compression = if is_first { 0 } else { fields.u32(16).unwrap_or(0) };
    let used = if is_first { 0 } else { fields.u32(32).unwrap_or(0) };
    let planes = fields.u16(if is_first { 8 } else { 12 });
    let is_windows = matches!(length, 40 | 52 | 56 | 108 | 124);
    if planes != Some(1) || compression > 13 || !matches!(bits, 0 | 1 | 2 | 4 | 8 | 16 | 24 | 32) {
        return Err(corrupt("its second header makes no sense"));
    }
    let (coding, unsupported) = match (compression, bits) {
        (0, 1 | 2 | 4 | 8 | 24) => (Coding::Plain, None),
        (1, 8) | (2, 4) => (Coding::Runs, None),
        (0 | 3, 16 | 32) if is_windows => return Ok(None),
        _ => {
            let coded = format!("of {bits} bits with compression {compression}");
            let whose = if is_windows { "Windows" } else { "OS/2" };
            let why = format!("BMP {coded} of {whose} is not converted");
            (Coding::Plain, Some(why))
        }
    };
    let colors = match (bits, used) {
        (0 | 16..=32, _) => 0,
        (bits, 0) => 1 << bits,
        (bits, used) => used.min(1 << bits),
    };
    Ok(Some(Bitmap {
        width: width.unsigned_abs(),
        height: height.unsigned_abs(),
        is_top_down: height < 0,
        bits: bits.into(),
        coding,
        palette: (SECOND_HEADER + u64::from(length), colors, if is_first { 3 } else { 4 }),
        rows,
        unsupported,
    }))
}

/// What the headers say.
pub(super) fn header<R: BufRead + Seek>(
    file: &mut R,
    limits: &Limits,
) -> Result<Header, RasterError> {
    let bitmap = match bitmap(file) {
        Ok(Some(bitmap)) => bitmap,
        Ok(None) => return images::header(Codec::Bmp, file, limits),
        Err(error) => return Err(error),
    };
    let numbers = u64::from(bitmap.width) * u64::from(bitmap.height);
    Ok(Header {
        width: bitmap.width,
        height: bitmap.height,
        bands: 3,
        sample: SampleType::U8,
        bit_depth: 8,
        color: Color::Rgb,
        nodata: None,
        geo: None,
        frame: 1,
        scratch_bytes: if bitmap.coding == Coding::Runs { numbers } else { 0 },
        unsupported: bitmap.unsupported,
        warnings: Vec::new(),
    })
}

/// Decodes all of `file` into `pixels`, which have the size that the header says.
pub(super) fn decode(file: &[u8], limits: &Limits, pixels: &mut [u8]) -> Result<(), RasterError> {
    let Some(bitmap) = bitmap(&mut Cursor::new(file))? else {
        return images::decode(Codec::Bmp, file, 1, limits, pixels);
    };
    if let Some(reason) = bitmap.unsupported {
        return Err(RasterError::Unsupported(reason));
    }
    let early = || corrupt("it ends early");
    let from = |at: u64| usize::try_from(at).ok().and_then(|at| file.get(at..)).ok_or_else(early);
    let (at, colors, color_bytes) = bitmap.palette;
    let palette = from(at)?.get(..(colors * color_bytes) as usize).ok_or_else(early)?;
    let palette: Vec<[u8; 3]> = palette
        .chunks_exact(color_bytes as usize)
        .filter_map(|color| color.first_chunk::<3>())
        .map(|[blue, green, red]| [*red, *green, *blue])
        .collect();
    let rows = from(bitmap.rows)?;
    let width = bitmap.width as usize;
    let numbers = match bitmap.coding {
        Coding::Runs => Some(runs(&bitmap, rows)?),
        Coding::Plain => None,
    };
    let row_bytes = (u64::from(bitmap.width) * u64::from(bitmap.bits)).div_ceil(32) as usize * 4;
    let per_byte = 8 / bitmap.bits.min(8);
    for (y, out) in pixels.chunks_exact_mut(3 * width).enumerate() {
        let y = if bitmap.is_top_down { y } else { bitmap.height as usize - 1 - y };
        let out = out.as_chunks_mut::<3>().0;
        let row = match &numbers {
            Some(numbers) => &numbers[y * width..(y + 1) * width],
            None => {
                // The last row may lack the bytes that fill it.
                let needed = (width * bitmap.bits as usize).div_ceil(8);
                let start = y.checked_mul(row_bytes).ok_or_else(early)?;
                rows.get(start..).and_then(|row| row.get(..needed)).ok_or_else(early)?
            }
        };
        if bitmap.bits == 24 {
            for (out, [blue, green, red]) in out.iter_mut().zip(row.as_chunks::<3>().0) {
                *out = [*red, *green, *blue];
            }
            continue;
        }
        for (x, out) in out.iter_mut().enumerate() {
            let number = match (&numbers, bitmap.bits) {
                (Some(_), _) | (None, 8) => row[x],
                (None, bits) => {
                    let shift = 8 - bits * (x as u32 % per_byte + 1);
                    row[x / per_byte as usize] >> shift & ((1 << bits) - 1)
                }
            };
            // What its palette lacks is black, to other readers too.
            *out = palette.get(usize::from(number)).copied().unwrap_or_default();
        }
    }
    Ok(())
}

/// The number of each pixel's color, row by row from the lowest.
fn runs(bitmap: &Bitmap, coded: &[u8]) -> Result<Vec<u8>, RasterError> {
    let (width, height) = (bitmap.width as usize, bitmap.height as usize);
    let is_small = bitmap.bits == 4;
    let early = || corrupt("it ends early");
    let mut numbers = vec![0; width * height];
    let (mut x, mut y) = (0, 0);
    let mut rest = coded;
    let mut take = |bytes: usize| -> Option<&[u8]> {
        let (taken, behind) = rest.split_at_checked(bytes)?;
        rest = behind;
        Some(taken)
    };
    loop {
        let [count, value] = *take(2).ok_or_else(early)? else { return Err(early()) };
        let is_run = count > 0;
        let (count, values) = match (count, value) {
            (0, 0) => {
                (x, y) = (0, y + 1);
                continue;
            }
            (0, 1) => return Ok(numbers),
            (0, 2) => {
                let [right, up] = *take(2).ok_or_else(early)? else { return Err(early()) };
                (x, y) = (x + usize::from(right), y + usize::from(up));
                continue;
            }
            (0, count) => {
                let count = usize::from(count);
                let bytes = if is_small { count.div_ceil(2) } else { count };
                (count, take(bytes + bytes % 2).ok_or_else(early)?)
            }
            (count, _) => (usize::from(count), &[value][..]),
        };
        // Some writers leave out the end of a full row, and some fill the last byte of one.
        if x == width {
            (x, y) = (0, y + 1);
        }
        let is_filled = is_small && count > 1 && x + count == width + 1;
        let count = if is_filled { count - 1 } else { count };
        let row = numbers.chunks_exact_mut(width).nth(y);
        let place = row.and_then(|row| row.get_mut(x..x + count));
        let place = place.ok_or_else(|| corrupt("a run is longer than its row"))?;
        for (n, place) in place.iter_mut().enumerate() {
            let byte = match (is_run, is_small) {
                (true, _) => values[0],
                (false, true) => values[n / 2],
                (false, false) => values[n],
            };
            *place = match (is_small, n % 2) {
                (false, _) => byte,
                (true, 0) => byte >> 4,
                (true, _) => byte & 15,
            };
        }
        x += count;
    }
}
