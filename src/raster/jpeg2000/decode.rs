//! From a tile's packets to pixels, off the async threads.
//!
//! Contract: at most as many cores work as there are; a large tile takes those that are idle.
//! A tile that lacks packets is an error. A job whose caller has gone is not started, and
//! ends within a few code-blocks. Samples of the reversible transform are exact; those of the irreversible one
//! are rounded, half to even.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::blocking::blocking;
use super::engine::geometry::TileComponent;
use super::engine::{self, Body, Options, Plan, Request, Row, Tile, samples};
use super::palette::Palette;
use super::sycc;
use crate::raster::error::corrupt;
use crate::raster::{RasterError, Rect, SampleType, cores};

/// How samples are given out.
#[derive(Debug, Clone)]
pub(super) struct Output {
    /// The component of each band.
    pub(super) order: Vec<usize>,
    pub(super) sample: SampleType,
    pub(super) palette: Option<Palette>,
    /// The bits of a sample, where what was coded is sYCC.
    pub(super) sycc_depth: Option<u8>,
    /// Whether samples are those that were coded, and not near them.
    pub(super) exact: bool,
    /// What a decoder may take for its coefficients, in bytes.
    pub(super) memory: u64,
}

/// A tile, or a window of one, takes another core for each so many of its samples, about 64 code-blocks of
/// 64 x 64.
const SAMPLES_FOR_A_CORE: u64 = 256 << 10;

/// One tile to decode, or a window of it.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) tile: Arc<Tile>,
    /// The packets as far as they are needed: tile-part, place among its packets, bytes.
    pub(super) pieces: Vec<(usize, u64, Bytes)>,
    /// By how many resolutions it is reduced.
    pub(super) reduction: u8,
    /// What of it is wanted, on the reference grid of that reduction; `None`: all.
    pub(super) window: Option<engine::Rect>,
    /// The pixels that are given out.
    pub(super) rect: Rect,
    /// Whether zeros behind the last packet are nothing to mind.
    pub(super) is_padded: bool,
}

/// Decodes; the samples are interleaved, in the byte order of the machine.
pub(super) async fn decode(job: Job, output: Arc<Output>) -> Result<Vec<u8>, RasterError> {
    let samples = job.rect.pixels().saturating_mul(output.order.len() as u64);
    let permits = cores::permits(samples / SAMPLES_FOR_A_CORE).await;
    blocking(move |gone| run(&job, &output, permits.len().max(1), gone)).await
}

/// What a window of a tile takes, or all of it.
///
/// # Errors
/// The tile has no such resolution.
pub(super) fn plan(
    tile: &Tile,
    reduction: u8,
    window: Option<engine::Rect>,
) -> engine::Result<Plan> {
    let request =
        Request { reduction, window: window.map(|w| widened(tile, w)), ..Request::default() };
    let mut plan = Plan::new(tile, &request)?;
    // What is behind the last packet is of no concern to a window.
    plan.whole &= window.is_none();
    Ok(plan)
}

/// A window with the samples that its first columns and rows are repeated from, where
/// components are sub-sampled.
fn widened(tile: &Tile, window: engine::Rect) -> engine::Rect {
    let components = || tile.components().iter();
    let dx = components().map(|component| component.dx).max().unwrap_or(1).max(1);
    let dy = components().map(|component| component.dy).max().unwrap_or(1).max(1);
    let (x0, y0) = (window.x0.saturating_sub(dx - 1), window.y0.saturating_sub(dy - 1));
    engine::Rect { x0, y0, ..window }
}

fn run(
    job: &Job,
    output: &Output,
    threads: usize,
    gone: &AtomicBool,
) -> Result<Vec<u8>, RasterError> {
    let is_gone = || gone.load(Ordering::Relaxed);
    let options = Options {
        threads,
        max_memory: output.memory,
        allow_trailing_zeros: job.is_padded,
        cancel: Some(&is_gone),
        ..Options::default()
    };
    let plan = plan(&job.tile, job.reduction, job.window).map_err(failed)?;
    let decoding = Decoding { job, output, plan, options };
    if let Some(palette) = &output.palette {
        return decoding.colors(palette);
    }
    let mut samples = match output.sample {
        SampleType::U8 => decoding.samples::<u8>(),
        SampleType::I8 => decoding.samples::<i8>(),
        SampleType::U16 => decoding.samples::<u16>(),
        SampleType::I16 => decoding.samples::<i16>(),
        SampleType::U32 => decoding.samples::<u32>(),
        SampleType::I32 => decoding.samples::<i32>(),
        _ => Err(RasterError::Unsupported("samples of more than 32 bits".into())),
    }?;
    if let Some(depth) = output.sycc_depth {
        sycc::to_rgb(&mut samples, output.sample, output.order.len(), depth);
    }
    Ok(samples)
}

/// What an error of the decoder is to whoever reads the image.
pub(super) fn failed(error: engine::Error) -> RasterError {
    match error {
        engine::Error::Unsupported(what) => {
            RasterError::Unsupported(format!("the JPEG 2000 image: {what}"))
        }
        engine::Error::Limit { what, asked, allowed } => RasterError::Limit {
            what: format!("decoding a tile takes {asked} {what}"),
            option: "--max-decode-memory",
            allowed,
        },
        engine::Error::Cancelled => corrupt("nobody waits for it"),
        engine::Error::MissingPackets { .. } | engine::Error::TruncatedPacket { .. } => {
            corrupt(format!("packets are missing: {error}"))
        }
        other => corrupt(other.to_string()),
    }
}

/// A type of samples.
trait Sample: samples::Sample {
    fn of(value: i32) -> Self;
    fn put(self, to: &mut [u8]);
}

macro_rules! sample {
    ($($name:ty),*) => {$(
        impl Sample for $name {
            fn of(value: i32) -> Self {
                value as $name
            }
            fn put(self, to: &mut [u8]) {
                to.copy_from_slice(&self.to_ne_bytes());
            }
        }
    )*};
}

sample!(u8, i8, u16, i16, u32, i32);

/// A tile being decoded.
struct Decoding<'j> {
    job: &'j Job,
    output: &'j Output,
    plan: Plan,
    options: Options<'j>,
}

impl Decoding<'_> {
    fn body(&self) -> Body<'_> {
        let mut body = Body::new();
        for (part, offset, bytes) in &self.job.pieces {
            body.add(*part, *offset, bytes);
        }
        body
    }

    fn size(&self) -> (u32, u32) {
        (self.job.rect.width, self.job.rect.height)
    }

    /// Whether each component has a sample for each pixel, in the order of the bands.
    fn is_plain(&self) -> bool {
        let natural = self.output.order.iter().enumerate().all(|(band, from)| band == *from);
        let windows = &self.plan.components;
        let is_full = |component: &TileComponent| (component.dx, component.dy) == (1, 1);
        natural
            && self.job.tile.components().iter().all(is_full)
            && windows.len() == self.output.order.len()
            && windows.iter().all(|c| (c.window.width(), c.window.height()) == self.size())
    }

    fn samples<S: Sample>(&self) -> Result<Vec<u8>, RasterError> {
        if !self.is_plain() {
            return self.by_planes::<S>();
        }
        let (width, height) = self.size();
        let length = width as usize * self.output.order.len() * size_of::<S>();
        let mut out = vec![0; length * height as usize];
        let top = self.plan.components.first().map_or(0, |component| component.window.y0);
        let put = |row: Row<'_, S>| {
            let start = (row.y - top) as usize * length;
            let to = out.get_mut(start..start + length).unwrap_or_default();
            for (sample, to) in row.samples.iter().zip(to.chunks_exact_mut(size_of::<S>())) {
                sample.put(to);
            }
            Ok(())
        };
        engine::decode_pixels(&self.job.tile, &self.plan, &self.body(), &self.options, put)
            .map_err(failed)?;
        Ok(out)
    }

    /// Each component by itself; the samples of those that have fewer are repeated.
    fn by_planes<S: Sample>(&self) -> Result<Vec<u8>, RasterError> {
        let planes = self.planes()?;
        let (width, height) = self.size();
        let size = size_of::<S>();
        let pixel = size * self.output.order.len();
        let mut out = vec![0; pixel * width as usize * height as usize];
        // Where it begins on the reduced reference grid.
        let tile = || self.job.tile.rect().reduced(self.job.reduction.into());
        let rect = self.job.window.unwrap_or_else(tile);
        for (band, component) in self.output.order.iter().enumerate() {
            let missing = || corrupt("the decoder gave other components than the header has");
            let plane = planes.get(*component).ok_or_else(missing)?;
            let steps = self.job.tile.siz().components.get(*component).ok_or_else(missing)?;
            let window = plane.plane.rect;
            if window.is_empty() {
                return Err(missing());
            }
            let along = |at: u32, step: u8, start: u32, end: u32| {
                (at / u32::from(step.max(1))).clamp(start, end - 1)
            };
            for y in 0..height {
                let from = along(rect.y0 + y, steps.dy, window.y0, window.y1);
                let row = plane.plane.row(from, window.x0, window.x1).ok_or_else(missing)?;
                let to = y as usize * width as usize * pixel;
                for x in 0..width {
                    let from = along(rect.x0 + x, steps.dx, window.x0, window.x1) - window.x0;
                    let at = to + x as usize * pixel + band * size;
                    if let (Some(sample), Some(to)) =
                        (row.get(from as usize), out.get_mut(at..at + size))
                    {
                        S::of(*sample).put(to);
                    }
                }
            }
        }
        Ok(out)
    }

    fn planes(&self) -> Result<Vec<engine::Decoded<i32>>, RasterError> {
        engine::decode(&self.job.tile, &self.plan, &self.body(), &self.options).map_err(failed)
    }

    fn colors(&self, palette: &Palette) -> Result<Vec<u8>, RasterError> {
        let planes = self.planes()?;
        let Some(numbers) = planes.first() else { return Err(corrupt("it has no component")) };
        let pixel = self.output.order.len() * self.output.sample.bytes();
        let mut samples = Vec::with_capacity(self.job.rect.pixels() as usize * pixel);
        // Near the last colour may be behind it.
        let last = if self.output.exact { usize::MAX } else { palette.last() };
        for number in &numbers.plane.samples {
            let index = usize::try_from(*number).unwrap_or(0).min(last);
            let color = palette
                .color(index)
                .ok_or_else(|| corrupt(format!("its palette has no colour {index}")))?;
            for channel in self.output.order.iter().filter_map(|channel| color.get(*channel)) {
                match self.output.sample {
                    SampleType::U8 => samples.push(*channel as u8),
                    _ => samples.extend(channel.to_ne_bytes()),
                }
            }
        }
        Ok(samples)
    }
}
