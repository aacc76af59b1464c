//! What is wrong with a file beside its pixels, and the bytes that its decoder needs instead.

use std::io::{Read, Seek, SeekFrom};

use super::error::corrupt;
use super::{Codec, RasterError};

/// Chunks that are looked at.
const MOST_CHUNKS: usize = 10_000;

/// Bytes to replace, each piece from its offset on.
pub(super) type Pieces = Vec<(u64, Vec<u8>)>;

/// The bytes that the decoder of `codec` needs instead of those in `file`, and what to say of
/// them. The file is rewound.
///
/// # Errors
/// A byte is missing, or not read yet.
pub(super) fn mended<R: Read + Seek>(
    codec: Codec,
    file: &mut R,
) -> Result<(Pieces, Vec<String>), RasterError> {
    let found = match codec {
        Codec::Gif => first_frame(file)?.mended(),
        Codec::Png => transparent_gray(file)?,
        Codec::Webp => promised_chunks(file)?,
        _ => Default::default(),
    };
    file.rewind().map_err(|_| corrupt("it ends early"))?;
    Ok(found)
}

/// A GIF up to its first frame (GIF89a, 18 to 20).
#[derive(Debug, Default)]
struct FirstFrame {
    screen: [u8; 4],
    /// Columns and rows that the frame needs, from the corner of the screen on.
    extent: [u16; 2],
    /// Whether the file or the frame has a table of colors.
    has_colors: bool,
    /// Where the labels of extensions of no known kind are.
    unknown: Vec<u64>,
}

/// Why a GIF can't be given out: which colors it has is said nowhere.
///
/// # Errors
/// A byte is missing, or not read yet.
pub(super) fn gif_without_colors<R: Read + Seek>(
    file: &mut R,
) -> Result<Option<String>, RasterError> {
    let first = first_frame(file)?;
    file.rewind().map_err(|_| corrupt("it ends early"))?;
    let is_missing = first.extent != [0, 0] && !first.has_colors;
    Ok(is_missing.then(|| "GIF without a table of colors is not converted".to_owned()))
}

fn first_frame<R: Read + Seek>(file: &mut R) -> Result<FirstFrame, RasterError> {
    let colors = |flags: u8| if flags & 0x80 != 0 { 3 << ((flags & 7) + 1) } else { 0 };
    let head: [u8; 13] = take(file)?;
    let mut first = FirstFrame::default();
    first.screen.copy_from_slice(&head[6..10]);
    first.has_colors = colors(head[10]) > 0;
    let mut at = 13 + colors(head[10]);
    for _ in 0..MOST_CHUNKS {
        seek(file, at)?;
        match take(file)? {
            [0x21] => {
                let [label] = take(file)?;
                if !matches!(label, 0x01 | 0xf9 | 0xfe | 0xff) {
                    first.unknown.push(at + 1);
                }
                at += 2;
                loop {
                    let [length] = take(file)?;
                    at += 1 + u64::from(length);
                    if length == 0 {
                        break;
                    }
                    seek(file, at)?;
                }
            }
            [0x2c] => {
                let frame: [u8; 9] = take(file)?;
                let number = |at: usize| u16::from_le_bytes([frame[at], frame[at + 1]]);
                let behind = |start: usize| number(start).saturating_add(number(start + 4));
                first.extent = [behind(0), behind(2)];
                first.has_colors |= colors(frame[8]) > 0;
                break;
            }
            _ => break,
        }
    }
    Ok(first)
}

impl FirstFrame {
    /// The screen holds at least the first frame, as for other readers; and an extension of no
    /// known kind is a comment.
    fn mended(self) -> (Pieces, Vec<String>) {
        let (mut pieces, mut warnings) = (Pieces::new(), Vec::new());
        for label in self.unknown {
            pieces.push((label, vec![0xfe]));
        }
        if !pieces.is_empty() {
            warnings.push("it has extensions of no known kind".to_owned());
        }
        let [w0, w1, h0, h1] = self.screen;
        let screen = [u16::from_le_bytes([w0, w1]), u16::from_le_bytes([h0, h1])];
        let sides = [screen[0].max(self.extent[0]), screen[1].max(self.extent[1])];
        if sides != screen {
            warnings.push("its first frame is larger than its screen".to_owned());
            pieces.push((6, sides.iter().flat_map(|side| side.to_le_bytes()).collect()));
        }
        (pieces, warnings)
    }
}

/// PNG of 1, 2 or 4 bits whose transparent gray (tRNS) has higher bits: only the low ones
/// count (PNG 3rd edition, 11.3.1.1).
fn transparent_gray<R: Read + Seek>(file: &mut R) -> Result<(Pieces, Vec<String>), RasterError> {
    let head: [u8; 26] = take(file)?;
    let (bits, is_gray) = (head[24], head[25] == 0);
    if !is_gray || !matches!(bits, 1 | 2 | 4) {
        return Ok(Default::default());
    }
    let mut at = 33;
    for _ in 0..MOST_CHUNKS {
        seek(file, at)?;
        let [l0, l1, l2, l3, kind @ ..] = take::<_, 8>(file)?;
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        match &kind {
            b"tRNS" if length == 2 => {
                let value = take::<_, 2>(file)?;
                let low = [0, value[1] & ((1 << bits) - 1)];
                let mut chunk = kind.to_vec();
                chunk.extend(low);
                let sum = crc32fast::hash(&chunk);
                let mut piece = low.to_vec();
                piece.extend(sum.to_be_bytes());
                let warning = format!("its transparent gray has more than {bits} bits");
                let is_right = value == low;
                return Ok(match is_right {
                    true => Default::default(),
                    false => (vec![(at + 8, piece)], vec![warning]),
                });
            }
            b"IDAT" | b"IEND" => break,
            _ => at += 12 + u64::from(length),
        }
    }
    Ok(Default::default())
}

/// WebP that promises EXIF or XMP and has none.
fn promised_chunks<R: Read + Seek>(file: &mut R) -> Result<(Pieces, Vec<String>), RasterError> {
    const PROMISES: [(&[u8; 4], u8); 2] = [(b"EXIF", 0x08), (b"XMP ", 0x04)];
    let head: [u8; 21] = take(file)?;
    let (is_extended, flags) = (&head[12..16] == b"VP8X", head[20]);
    let promised = |flags: u8| PROMISES.iter().filter(move |(_, flag)| flags & flag != 0);
    if !is_extended || promised(flags).next().is_none() {
        return Ok(Default::default());
    }
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte));
    let end = 8 + number(&head[4..8]);
    let mut missing = flags;
    let mut at = 12;
    for _ in 0..MOST_CHUNKS {
        if at + 8 > end {
            break;
        }
        seek(file, at)?;
        let header: [u8; 8] = match take(file) {
            Ok(header) => header,
            // What is not here yet is fetched; what is behind the end is not there.
            Err(_) => break,
        };
        for (kind, flag) in PROMISES {
            if header[..4] == *kind {
                missing &= !flag;
            }
        }
        let length = number(&header[4..]);
        at += 8 + length + length % 2;
    }
    let (mut right, mut warnings) = (flags, Vec::new());
    for (kind, flag) in promised(missing) {
        right &= !flag;
        let kind = String::from_utf8_lossy(*kind);
        warnings.push(format!("it promises {} and has none", kind.trim_end()));
    }
    if warnings.is_empty() {
        return Ok(Default::default());
    }
    Ok((vec![(20, vec![right])], warnings))
}

fn take<R: Read, const N: usize>(file: &mut R) -> Result<[u8; N], RasterError> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes).map_err(|_| corrupt("its header ends early"))?;
    Ok(bytes)
}

fn seek<R: Seek>(file: &mut R, at: u64) -> Result<(), RasterError> {
    file.seek(SeekFrom::Start(at)).map(|_| ()).map_err(|_| corrupt("its header ends early"))
}
