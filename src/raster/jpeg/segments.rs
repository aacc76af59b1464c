//! The segments of a JPEG (T.81, annex B), up to the first scan, and each by itself.
//!
//! Bytes between segments that belong to none are stepped over, as every reader does, and
//! said in the warnings.

use std::io::{BufRead, Seek, SeekFrom};

use super::frame::{Component, Frame, Part, Process, Scan};
use crate::raster::RasterError;
use crate::raster::error::corrupt;

/// Bytes of all segments that a header may have.
const MOST_SEGMENTS: usize = 10_000;

/// What comes before the first scan.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) frame: Frame,
    /// Whether a JFIF segment says that color is YCbCr.
    pub(super) is_jfif: bool,
    /// What Adobe's segment says of color.
    pub(super) adobe: Option<u8>,
    /// Whether a JPEG-LS transforms colors in a way that the standard does not have.
    pub(super) is_transformed: bool,
    /// What is wrong, but not with the pixels.
    pub(super) warnings: Vec<String>,
}

/// Reads up to the first scan; further only if the height comes behind it.
pub(super) fn start<R: BufRead + Seek>(file: &mut R) -> Result<Start, RasterError> {
    skip(file, 2)?;
    let mut frame: Option<Frame> = None;
    let (mut is_jfif, mut adobe, mut is_transformed) = (false, None, false);
    let mut warnings = Vec::new();
    let mut stray = 0;
    for _ in 0..MOST_SEGMENTS {
        let marker = next_marker(file, &mut stray)?;
        match marker {
            0x01 | 0xd0..=0xd8 => {}
            0xd9 => return Err(corrupt("there is no scan")),
            0xe0 => {
                let body = body(file)?;
                is_jfif |= body.len() >= 14 && body.starts_with(b"JFIF\0");
            }
            0xe8 => {
                let body = body(file)?;
                is_transformed |= body.starts_with(b"mrfx") && body.get(4) != Some(&0);
            }
            0xee => match &body(file)?[..] {
                [b'A', b'd', b'o', b'b', b'e', _, _, _, _, _, _, transform, ..] => {
                    adobe = Some(*transform);
                }
                body if body.starts_with(b"Adobe") => {
                    warnings.push("Adobe's segment (APP14) is too short to say anything".into());
                }
                _ => {}
            },
            0xdd => {
                let length = body(file)?.len();
                if length > 2 {
                    warnings.push(format!(
                        "the segment of the restart interval (DRI) has {length} bytes instead of 2"
                    ));
                }
            }
            0xda => {
                let mut frame = frame.ok_or_else(|| corrupt("there is no frame header"))?;
                if frame.height == 0 {
                    skip_body(file)?;
                    frame.height = height_behind(file)?;
                }
                if stray > 0 {
                    let text = "before the first scan belong to no segment";
                    warnings.push(format!("{stray} bytes {text}"));
                }
                return Ok(Start { frame, is_jfif, adobe, is_transformed, warnings });
            }
            _ => match Process::of(marker) {
                Some(_) if frame.is_some() => return Err(corrupt("it has two frame headers")),
                Some(process) => {
                    let header = frame_header(process, &body(file)?)?;
                    let is_arithmetic = matches!(marker, 0xc9 | 0xca);
                    frame = Some(Frame { is_arithmetic, ..header });
                }
                None => skip_body(file)?,
            },
        }
    }
    Err(corrupt("it has too many segments"))
}

fn frame_header(process: Process, body: &[u8]) -> Result<Frame, RasterError> {
    let Some(&[precision, h0, h1, w0, w1, count]) = body.first_chunk::<6>() else {
        return Err(corrupt("its frame header is too short"));
    };
    let listed = body[6..].as_chunks::<3>().0;
    let components = listed.iter().map(|[id, sampling, quantisation]| Component {
        id: *id,
        h: u32::from(sampling >> 4),
        v: u32::from(sampling & 15),
        quantisation: *quantisation,
    });
    let components: Vec<Component> = components.take(count.into()).collect();
    if components.len() != usize::from(count) || count == 0 {
        return Err(corrupt("its frame header has too few components"));
    }
    if components.iter().any(|c| !(1..=4).contains(&c.h) || !(1..=4).contains(&c.v)) {
        return Err(corrupt("a component is sampled in a way that there is not"));
    }
    Ok(Frame {
        process,
        is_arithmetic: false,
        precision,
        width: u16::from_be_bytes([w0, w1]).into(),
        height: u16::from_be_bytes([h0, h1]).into(),
        components,
    })
}

/// The number of lines that follows the first scan (DNL, B.2.5).
fn height_behind<R: BufRead + Seek>(file: &mut R) -> Result<u32, RasterError> {
    loop {
        let marker = marker_behind_scan(file)?;
        if marker != 0xdc {
            return Err(corrupt("it has no height"));
        }
        if let [high, low] = body(file)?[..] {
            return Ok(u16::from_be_bytes([high, low]).into());
        }
    }
}

/// The first marker behind the coded bytes of a scan.
fn marker_behind_scan<R: BufRead + Seek>(file: &mut R) -> Result<u8, RasterError> {
    loop {
        let mut stray = 0;
        let marker = next_marker(file, &mut stray)?;
        if !matches!(marker, 0xd0..=0xd7) {
            return Ok(marker);
        }
    }
}

/// A scan header.
pub(super) fn scan_header(frame: &Frame, body: &[u8]) -> Result<Scan, RasterError> {
    let damaged = || corrupt("a scan header is damaged");
    let (count, rest) = body.split_first().ok_or_else(damaged)?;
    let (listed, rest) = rest.split_at_checked(2 * usize::from(*count)).ok_or_else(damaged)?;
    let mut parts: Vec<Part> = Vec::new();
    for [id, tables] in listed.as_chunks::<2>().0 {
        // Some writers give several components one number: each is taken once.
        let free = |index: &usize| parts.iter().all(|part| part.component != *index);
        let of_id = |index: &usize| frame.components[*index].id == *id;
        let found = (0..frame.components.len()).find(|index| of_id(index) && free(index));
        let component = found.ok_or_else(|| corrupt("a scan has an unknown component"))?;
        parts.push(Part { component, dc: tables >> 4, ac: tables & 15 });
    }
    let [first, last, shift, ..] = *rest else { return Err(damaged()) };
    if parts.is_empty() || parts.len() > 4 {
        return Err(damaged());
    }
    Ok(Scan { parts, first, last, high: shift >> 4, low: shift & 15 })
}

/// The next marker; bytes before it that belong to nothing are counted.
pub(super) fn next_marker<R: BufRead>(file: &mut R, stray: &mut u64) -> Result<u8, RasterError> {
    loop {
        let here = file.fill_buf().map_err(|_| early())?;
        if here.is_empty() {
            return Err(early());
        }
        let before = here.iter().position(|byte| *byte == 0xff).unwrap_or(here.len());
        let is_found = before < here.len();
        file.consume(before);
        *stray += before as u64;
        if !is_found {
            continue;
        }
        let mut byte = 0xff;
        while byte == 0xff {
            [byte] = take(file)?;
        }
        match byte {
            0 => *stray += 2,
            marker => return Ok(marker),
        }
    }
}

/// What a segment holds.
pub(super) fn body<R: BufRead>(file: &mut R) -> Result<Vec<u8>, RasterError> {
    let mut bytes = vec![0; length(file)?];
    file.read_exact(&mut bytes).map_err(|_| early())?;
    Ok(bytes)
}

/// Steps over a segment.
pub(super) fn skip_body<R: BufRead + Seek>(file: &mut R) -> Result<(), RasterError> {
    let length = length(file)?;
    skip(file, length as i64)
}

fn length<R: BufRead>(file: &mut R) -> Result<usize, RasterError> {
    let length = usize::from(u16::from_be_bytes(take(file)?));
    length.checked_sub(2).ok_or_else(|| corrupt("a segment has no length"))
}

fn take<R: BufRead, const N: usize>(file: &mut R) -> Result<[u8; N], RasterError> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes).map_err(|_| early())?;
    Ok(bytes)
}

pub(super) fn skip<R: Seek>(file: &mut R, bytes: i64) -> Result<(), RasterError> {
    file.seek(SeekFrom::Current(bytes)).map(|_| ()).map_err(|_| early())
}

fn early() -> RasterError {
    corrupt("it ends early")
}
