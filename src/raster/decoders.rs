//! Where decoders from elsewhere run: in this process or in another.
//!
//! Contract: a decoder never runs on an async thread, it has a deadline, and what it
//! asks for it gets at most [`FETCHES`] times. What it does wrong is an error of its
//! image and of nothing else.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::timeout;

use super::error::stopped;
use super::foreign::{self, Parsed, Pieces};
use super::{Codec, Header, Limits, Picture, RasterError, Source, cores};

/// What is fetched first; four times as much each time after.
const FIRST_BYTES: u64 = 64 << 10;
const LARGEST_BYTES: u64 = 4 << 20;
/// A header that needs more than this is none.
const FETCHES: usize = 12;

/// Memory that is counted until this is dropped.
pub trait Counted: Send + Sync + Debug {}

impl<T: Send + Sync + Debug> Counted for T {}

/// Where decoders run.
#[async_trait]
pub trait Decoders: Send + Sync + Debug {
    /// Gets ready for an image whose first bytes are being read.
    fn prepare(&self) {}

    /// Counts memory that an image keeps while nothing of it is decoded.
    fn count(&self, _bytes: u64) -> Box<dyn Counted> {
        Box::new(())
    }

    /// What the header says of a file of which `file` is here, or what else it needs.
    ///
    /// # Errors
    /// Why it says nothing; [`RasterError::Stopped`] if the decoder was stopped.
    async fn header(
        &self,
        codec: Codec,
        file: &Pieces,
        limits: &Limits,
    ) -> Result<Parsed, RasterError>;

    /// All pixels of an image: [`Header::pixel_bytes`] of them, as in
    /// [`Pixels`](super::Pixels). Reads the whole file.
    ///
    /// # Errors
    /// That of the source, or why there are none; never only some.
    async fn pixels(
        &self,
        codec: Codec,
        source: &Arc<dyn Source>,
        header: &Header,
        limits: &Limits,
    ) -> Result<Bytes, RasterError>;

    /// Converts samples of 8 bits, of one band or three, from the colors of an ICC profile to
    /// sRGB.
    ///
    /// # Errors
    /// Why that can't be done.
    async fn to_srgb(
        &self,
        profile: &[u8],
        bands: usize,
        samples: Bytes,
        limits: &Limits,
    ) -> Result<Bytes, RasterError>;
}

/// What a header says, of which `head` is the start; fetches what its parser needs.
/// So a header costs no more than its own ranges, wherever they lie.
pub(super) async fn header(
    decoders: &dyn Decoders,
    codec: Codec,
    source: &dyn Source,
    head: Bytes,
    limits: &Limits,
) -> Result<(Header, Picture), RasterError> {
    let mut file = Pieces { size: source.size(), pieces: vec![(0, head)] };
    let mut step = FIRST_BYTES;
    for _ in 0..FETCHES {
        let missing = match decoders.header(codec, &file, limits).await? {
            Parsed::Header(header, picture) => return Ok((*header, picture)),
            Parsed::Missing(at) => at,
        };
        let end = missing.saturating_add(step).min(source.size());
        if missing >= end {
            break;
        }
        // Whoever decodes the image wants them again.
        let piece = source.read_kept(missing..end).await.map_err(RasterError::Source)?;
        file.pieces.push((missing, piece));
        step = (step * 4).min(LARGEST_BYTES);
    }
    Err(RasterError::Corrupt("its header is spread over too many places".to_owned()))
}

/// Decoders in this process: quick to begin, and only as safe as they are themselves.
/// One that does not end keeps its thread, and after its deadline one core less is left
/// to all others.
#[derive(Debug, Clone, Copy, Default)]
pub struct InProcess;

#[async_trait]
impl Decoders for InProcess {
    async fn header(
        &self,
        codec: Codec,
        file: &Pieces,
        limits: &Limits,
    ) -> Result<Parsed, RasterError> {
        let file = file.clone();
        let permit = cores::permit().await;
        let limits = *limits;
        within(&limits, permit, move || foreign::header(codec, file, &limits)).await
    }

    async fn pixels(
        &self,
        codec: Codec,
        source: &Arc<dyn Source>,
        header: &Header,
        limits: &Limits,
    ) -> Result<Bytes, RasterError> {
        let read = source.read(0..source.size()).await;
        let file = read.map_err(RasterError::Source)?;
        let (header, limits) = (header.clone(), *limits);
        let permit = cores::permit().await;
        let decode = move || {
            let mut pixels = vec![0; header.pixel_bytes() as usize];
            foreign::decode(codec, &file, &header, &limits, &mut pixels)?;
            Ok(pixels.into())
        };
        within(&limits, permit, decode).await
    }

    async fn to_srgb(
        &self,
        profile: &[u8],
        bands: usize,
        samples: Bytes,
        limits: &Limits,
    ) -> Result<Bytes, RasterError> {
        let profile = profile.to_vec();
        let permit = cores::permit().await;
        let convert = move || {
            let mut samples = samples.to_vec();
            foreign::to_srgb(&profile, bands, &mut samples)?;
            Ok(samples.into())
        };
        within(limits, permit, convert).await
    }
}

/// Does `work` on a thread of its own, and waits for it until the deadline.
async fn within<T: Send + 'static>(
    limits: &Limits,
    permit: Option<cores::Core>,
    work: impl FnOnce() -> Result<T, RasterError> + Send + 'static,
) -> Result<T, RasterError> {
    let work = move || {
        let _permit = permit;
        work()
    };
    match timeout(limits.decode_time, tokio::task::spawn_blocking(work)).await {
        Ok(done) => done.unwrap_or_else(|_| Err(stopped("it was cancelled"))),
        Err(_) => Err(RasterError::late(limits)),
    }
}
