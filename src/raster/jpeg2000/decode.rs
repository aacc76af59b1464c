//! From a re-wrapped codestream to pixels, off the async threads.
//!
//! Contract: at most as many decodes as there are cores run at a time; a decoder
//! that panics is a damaged image, and one that misses packets too. A job whose
//! caller has gone is not started. Samples of the reversible transform are exact;
//! those of the irreversible one are rounded, half to even.
//!
//! The decoder takes a missing packet for zeros without a word. So each tile is
//! decoded with one packet more than it has: a decoder that uses up that packet has
//! missed one before it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};

use super::palette::Palette;
use super::rewrap::Wrapped;
use crate::raster::error::corrupt;
use crate::raster::{RasterError, Rect, SampleType, cores};

/// How samples are given out.
#[derive(Debug, Clone)]
pub(super) struct Output {
    /// The component of each band.
    pub(super) order: Vec<usize>,
    /// Components of the codestream.
    pub(super) components: usize,
    /// Bits of a component's sample.
    pub(super) depth: u8,
    pub(super) signed: bool,
    pub(super) sample: SampleType,
    pub(super) palette: Option<Palette>,
}

/// One tile to decode.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) wrapped: Wrapped,
    /// The size of the codestream's image.
    pub(super) full: (u32, u32),
    /// By how many resolutions the decoder must reduce it, and its size then.
    pub(super) reduce: u8,
    pub(super) size: (u32, u32),
    /// What of the reduced image is wanted.
    pub(super) crop: Rect,
}

/// Tells a job that nobody waits for it.
struct Gone(Arc<AtomicBool>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Decodes; the samples are interleaved, in the byte order of the machine.
pub(super) async fn decode(job: Job, output: Arc<Output>) -> Result<Vec<u8>, RasterError> {
    let gone = Arc::new(AtomicBool::new(false));
    let _guard = Gone(Arc::clone(&gone));
    let permit = cores::permit().await;
    let work = move || {
        let _permit = permit;
        let run = || run(&job, &output, &gone);
        catch_unwind(AssertUnwindSafe(run))
            .unwrap_or_else(|_| Err(corrupt("the decoder gave up on it")))
    };
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(corrupt("the decoder was stopped")))
}

fn run(job: &Job, output: &Output, gone: &AtomicBool) -> Result<Vec<u8>, RasterError> {
    let stopped = || match gone.load(Ordering::Relaxed) {
        true => Err(corrupt("nobody waits for it")),
        false => Ok(()),
    };
    stopped()?;
    // A decoder takes a tile that lacks packets for one that has zeros. One with a
    // packet too many it refuses, before any of the costly work: so each tile is
    // tried with one more than it has.
    if let Some(more) = job.wrapped.with_one_packet_more()
        && components(&more, job, output, |_| ()).is_ok()
    {
        return Err(corrupt("packets are missing"));
    }
    stopped()?;
    components(&job.wrapped.bytes, job, output, |planes| interleave(planes, job, output))?
}

/// Decodes a codestream and hands its components out.
fn components<T>(
    codestream: &[u8],
    job: &Job,
    output: &Output,
    take: impl FnOnce(&[&[f32]]) -> T,
) -> Result<T, RasterError> {
    let target = (job.full.0 >> job.reduce, job.full.1 >> job.reduce);
    let settings = DecodeSettings {
        resolve_palette_indices: false,
        strict: true,
        target_resolution: (job.reduce > 0).then_some(target),
    };
    let broken = |error: hayro_jpeg2000::DecodeError| corrupt(error.to_string());
    let image = Image::new(codestream, &settings).map_err(broken)?;
    if (image.width(), image.height()) != job.size {
        return Err(RasterError::Unsupported(format!(
            "the decoder cannot reduce a tile of {}x{} pixels by 2^{}",
            job.full.0, job.full.1, job.reduce
        )));
    }
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(broken)?;
    let planes: Vec<&[f32]> = decoded.components().iter().map(|plane| plane.samples()).collect();
    let pixels = job.size.0 as usize * job.size.1 as usize;
    if planes.len() != output.components || planes.iter().any(|plane| plane.len() != pixels) {
        return Err(corrupt("the decoder gave other components than the header has"));
    }
    Ok(take(&planes))
}

/// A type of samples.
trait Sample: Copy {
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

sample!(u8, i8, u16, i16);

fn interleave(planes: &[&[f32]], job: &Job, output: &Output) -> Result<Vec<u8>, RasterError> {
    if let Some(palette) = &output.palette {
        return colors(planes.first().copied().unwrap_or_default(), job, output, palette);
    }
    match output.sample {
        SampleType::U8 => Ok(planar::<u8>(planes, job, output)),
        SampleType::I8 => Ok(planar::<i8>(planes, job, output)),
        SampleType::U16 => Ok(planar::<u16>(planes, job, output)),
        SampleType::I16 => Ok(planar::<i16>(planes, job, output)),
        _ => Err(RasterError::Unsupported("samples of more than 16 bits".into())),
    }
}

/// The rows of a plane that are wanted.
fn rows<'a>(plane: &'a [f32], job: &Job) -> impl Iterator<Item = &'a [f32]> {
    let Rect { x, y, width, height } = job.crop;
    let rows = plane.chunks_exact((job.size.0 as usize).max(1));
    rows.skip(y as usize)
        .take(height as usize)
        .filter_map(move |row| row.get(x as usize..x as usize + width as usize))
}

fn planar<S: Sample>(planes: &[&[f32]], job: &Job, output: &Output) -> Vec<u8> {
    let size = size_of::<S>();
    let bands = output.order.len();
    let pixel = size * bands;
    let mut samples = vec![0; job.crop.pixels() as usize * pixel];
    // The decoder shifts signed samples as if they had no sign.
    let shift = if output.signed { 1i32 << (output.depth - 1) } else { 0 };
    let most = ((1i64 << output.depth) - 1) as f32;
    let value = |sample: f32| S::of(sample.round_ties_even().clamp(0.0, most) as i32 - shift);
    for (band, component) in output.order.iter().enumerate() {
        let Some(plane) = planes.get(*component) else { continue };
        let out = samples.chunks_exact_mut((pixel * job.crop.width as usize).max(1));
        for (row, out) in rows(plane, job).zip(out) {
            if bands == 1 {
                for (sample, out) in row.iter().zip(out.chunks_exact_mut(size)) {
                    value(*sample).put(out);
                }
                continue;
            }
            for (sample, out) in row.iter().zip(out.chunks_exact_mut(pixel)) {
                if let Some(out) = out.get_mut(band * size..(band + 1) * size) {
                    value(*sample).put(out);
                }
            }
        }
    }
    samples
}

fn colors(
    plane: &[f32],
    job: &Job,
    output: &Output,
    palette: &Palette,
) -> Result<Vec<u8>, RasterError> {
    let pixel = output.order.len() * output.sample.bytes();
    let mut samples = Vec::with_capacity(job.crop.pixels() as usize * pixel);
    for sample in rows(plane, job).flatten() {
        let index = sample.round_ties_even().max(0.0) as usize;
        let color = palette
            .color(index)
            .ok_or_else(|| corrupt(format!("its palette has no colour {index}")))?;
        for channel in output.order.iter().filter_map(|channel| color.get(*channel)) {
            match output.sample {
                SampleType::U8 => samples.push(*channel as u8),
                _ => samples.extend(channel.to_ne_bytes()),
            }
        }
    }
    Ok(samples)
}
