//! JPEG (T.81) and JPEG-LS (T.87), by our own hands: every sampling that the Independent JPEG Group's library
//! reads, to the bit as libjpeg-turbo gives it.
//!
//! Contract: sequential, progressive and lossless, with Huffman codes, and the first two also in
//! arithmetic coding, 2 to 16 bits; gray,
//! color and CMYK. What is damaged in the coded bytes is an error, and so is what ends
//! early, unless all pixels were there before; what is damaged beside them is a warning. The
//! EXIF orientation is not applied.
//!
//! Mechanism, bottom to top: [`bits`] and [`tables`] read codes, [`arithmetic`] decisions,
//! [`walk`] knows the order of blocks, [`sequential`], [`progressive`], [`decided`], [`lossless`] and [`ls`] what is in a scan,
//! [`transform`] makes samples of coefficients, [`color`] pixels of samples. [`segments`]
//! reads what stands between the scans.

mod arithmetic;
mod bits;
mod color;
mod decided;
mod frame;
mod lossless;
mod ls;
mod progressive;
mod segments;
mod sequential;
mod tables;
mod transform;
mod walk;

use std::io::{BufRead, Cursor, Seek};

use super::error::corrupt;
use super::header::Header;
use super::{Color, RasterError, SampleType};
use color::Model;
use frame::{Component, Frame, Plane, Process, Sample};
use progressive::Progress;
use segments::Start;
use tables::Tables;

/// What comes before the first scan; APP segments are skipped, unless they are about color.
pub(super) fn header<R: BufRead + Seek>(file: &mut R) -> Result<Header, RasterError> {
    let start = segments::start(file)?;
    let frame = &start.frame;
    let held = frame.held_samples();
    let scratch_bytes = held.saturating_mul(match (frame.process, frame.precision) {
        (Process::Progressive, 0..=8) => 3,
        (Process::Progressive, _) => 4,
        (_, 0..=8) => 1,
        _ => 2,
    });
    let bands = frame.components.len() as u16;
    Ok(Header {
        width: frame.width,
        height: frame.height,
        bands,
        sample: if frame.precision > 8 { SampleType::U16 } else { SampleType::U8 },
        bit_depth: frame.precision,
        color: match bands {
            1 => Color::Gray,
            3 => Color::Rgb,
            4 if frame.process != Process::Ls => Color::Cmyk,
            _ => Color::Bands,
        },
        nodata: None,
        geo: None,
        frame: 1,
        scratch_bytes,
        unsupported: unsupported(&start).map(str::to_owned),
        warnings: start.warnings,
    })
}

/// Why it is not decoded.
fn unsupported(start: &Start) -> Option<&'static str> {
    let frame = &start.frame;
    Some(match (frame.process, frame.precision) {
        (Process::Other, _) => {
            "JPEG that is hierarchical, or lossless in arithmetic coding, is not converted"
        }
        _ if !matches!(frame.components.len(), 1 | 3 | 4) => {
            "JPEG of this many components is not converted"
        }
        _ if !color::is_whole(frame) => {
            "JPEG whose components are larger than others by a fraction is not converted"
        }
        (Process::Sequential | Process::Progressive, 8 | 12) => return None,
        (Process::Ls, _) if start.is_transformed => {
            "JPEG-LS with a color transform of its own is not converted"
        }
        (Process::Ls, _) if frame.components.iter().any(|part| (part.h, part.v) != (1, 1)) => {
            "JPEG-LS with components of different sizes is not converted"
        }
        (Process::Ls, 2..=16) => return None,
        (Process::Lossless, 2..=16) => match model(start) {
            Model::YCbCr | Model::Ycck => "lossless JPEG in YCbCr is not converted",
            _ => return None,
        },
        _ => "JPEG of this many bits is not converted",
    })
}

/// What the components mean, as libjpeg guesses it.
fn model(start: &Start) -> Model {
    let ids: Vec<u8> = start.frame.components.iter().map(|component| component.id).collect();
    let is_lossless = start.frame.process == Process::Lossless;
    if start.frame.process == Process::Ls {
        return Model::AsStored;
    }
    match (ids.len(), start.is_jfif, start.adobe) {
        (3, true, _) => Model::YCbCr,
        (3, false, Some(0)) => Model::AsStored,
        (3, false, Some(_)) => Model::YCbCr,
        (3, false, None) if is_lossless || ids == *b"RGB" => Model::AsStored,
        (3, false, None) => Model::YCbCr,
        (4, _, None | Some(0)) => Model::Cmyk,
        (4, _, Some(_)) => Model::Ycck,
        _ => Model::AsStored,
    }
}

/// All pixels of a JPEG, into `pixels`.
pub(super) fn decode(file: &[u8], header: &Header, pixels: &mut [u8]) -> Result<(), RasterError> {
    let start = segments::start(&mut Cursor::new(file))?;
    if let Some(reason) = unsupported(&start) {
        return Err(RasterError::Unsupported(reason.into()));
    }
    match header.sample {
        SampleType::U8 => decode_as::<u8>(file, &start, pixels),
        _ => decode_as::<u16>(file, &start, pixels),
    }
}

fn decode_as<S: Sample>(file: &[u8], start: &Start, pixels: &mut [u8]) -> Result<(), RasterError> {
    let planes = planes::<S>(file, &start.frame)?;
    color::write(&start.frame, &planes, model(start), pixels)
        .ok_or_else(|| corrupt("its components do not fit together"))
}

/// The samples of all components, from all scans.
fn planes<S: Sample>(file: &[u8], frame: &Frame) -> Result<Vec<Plane<S>>, RasterError> {
    let mut tables = Tables::usual();
    let mut preset = ls::Preset::default();
    let mut progress = match frame.process {
        Process::Progressive => Some(Progress::new(frame)),
        _ => None,
    };
    let plane = |component: &Component| Plane::<S>::new(frame, component);
    let mut planes: Vec<Plane<S>> = match progress {
        Some(_) => Vec::new(),
        None => frame.components.iter().map(plane).collect(),
    };
    let mut is_done = vec![false; planes.len()];
    let mut input = Cursor::new(file);
    segments::skip(&mut input, 2)?;
    loop {
        let is_whole = match &progress {
            Some(progress) => progress.is_complete(),
            None => is_done.iter().all(|done| *done),
        };
        let marker = match segments::next_marker(&mut input, &mut 0) {
            // Nothing is missing but the end.
            Err(_) if is_whole => 0xd9,
            marker => marker?,
        };
        match marker {
            0x01 | 0xd0..=0xd8 => {}
            0xd9 if is_whole => break,
            0xd9 => return Err(incomplete(progress.as_ref())),
            0xc4 | 0xcc | 0xdb | 0xdd => tables.define(marker, &segments::body(&mut input)?)?,
            0xf8 if frame.process == Process::Ls => {
                preset.define(&segments::body(&mut input)?)?;
            }
            0xda => {
                let scan = segments::scan_header(frame, &segments::body(&mut input)?)?;
                let from = (file, input.position() as usize);
                let end = match &mut progress {
                    Some(progress) => progress.scan(frame, &scan, &tables, from)?,
                    None => {
                        for part in &scan.parts {
                            if std::mem::replace(&mut is_done[part.component], true) {
                                return Err(corrupt("a component has two scans"));
                            }
                        }
                        match frame.process {
                            Process::Lossless => {
                                lossless::scan(frame, &scan, &tables, from, &mut planes)?
                            }
                            Process::Ls if tables.restart_interval > 0 => {
                                return Err(RasterError::Unsupported(
                                    "JPEG-LS with restarts is not converted".into(),
                                ));
                            }
                            Process::Ls => ls::scan(frame, &scan, &preset, from, &mut planes)?,
                            _ if frame.is_arithmetic => {
                                decided::scan(frame, &scan, &tables, from, &mut planes)?
                            }
                            _ => sequential::scan(frame, &scan, &tables, from, &mut planes)?,
                        }
                    }
                };
                input.set_position(end as u64);
            }
            // Whatever follows is of no use once all pixels are here.
            _ => match segments::skip_body(&mut input) {
                Err(_) if is_whole => break,
                skipped => skipped?,
            },
        }
    }
    match progress {
        Some(progress) => progress.planes(frame),
        None => Ok(planes),
    }
}

fn incomplete(progress: Option<&Progress>) -> RasterError {
    match progress {
        Some(progress) if progress.has_begun() => RasterError::Unsupported(
            "the JPEG leaves out the last bits of some coefficients, which every reader fills \
             in differently"
                .into(),
        ),
        _ => corrupt("it ends early"),
    }
}
