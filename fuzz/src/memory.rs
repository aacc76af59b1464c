//! Images in memory, with a runtime to read them and limits that keep runs quick.

use std::cell::OnceCell;
use std::ops::Range;
use std::panic::{PanicHookInfo, set_hook};
use std::path::Path;
use std::process::abort;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};

use crate::raster::foreign::{self, Parsed, Pieces};
use crate::raster::{Codec, Decoders, Header, Limits, RasterError, Source, SourceError};

/// Small, so that a run takes milliseconds.
pub const LIMITS: Limits = Limits {
    image_pixels: 1 << 18,
    tile_samples: 1 << 18,
    decode_bytes: 16 << 20,
    tiles: 4096,
    code_blocks: 1 << 14,
    expansion: 20_000,
    walk_bytes: 1 << 20,
    decode_time: Duration::from_secs(60),
};

#[derive(Debug)]
struct Memory(Bytes);

#[async_trait]
impl Source for Memory {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, SourceError> {
        Ok(self.0.slice(range.start as usize..range.end as usize))
    }
}

/// Decoders on the thread of the fuzzer, which has deadlines of its own.
#[derive(Debug)]
pub struct Here;

#[async_trait]
impl Decoders for Here {
    async fn header(
        &self,
        codec: Codec,
        file: &Pieces,
        limits: &Limits,
    ) -> Result<Parsed, RasterError> {
        foreign::header(codec, file.clone(), limits)
    }

    async fn pixels(
        &self,
        codec: Codec,
        source: &Arc<dyn Source>,
        header: &Header,
        limits: &Limits,
    ) -> Result<Bytes, RasterError> {
        let file = source.read(0..source.size()).await.map_err(RasterError::Source)?;
        let mut pixels = vec![0; header.pixel_bytes() as usize];
        foreign::decode(codec, &file, header, limits, &mut pixels)?;
        Ok(pixels.into())
    }

    async fn to_srgb(
        &self,
        profile: &[u8],
        bands: usize,
        samples: Bytes,
        _limits: &Limits,
    ) -> Result<Bytes, RasterError> {
        let mut samples = samples.to_vec();
        foreign::to_srgb(profile, bands, &mut samples)?;
        Ok(samples.into())
    }
}

/// A source, and its first bytes: few, so that even small inputs are read on.
pub fn source(data: &[u8]) -> (Arc<dyn Source>, Bytes) {
    let bytes = Bytes::copy_from_slice(data);
    let head = bytes.slice(..bytes.len().min(64));
    (Arc::new(Memory(bytes)), head)
}

/// Runs what is async to its end. One runtime for all runs: its threads are kept.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: OnceCell<Runtime> = const { OnceCell::new() };
    }
    let start = || Builder::new_current_thread().build().expect("a runtime starts");
    RUNTIME.with(|runtime| runtime.get_or_init(start).block_on(future))
}

/// The program contains the panics of decoders, so those are no finding, though
/// cargo-fuzz would abort at them. A panic of our own code is one, contained or not.
pub fn let_decoders_panic() {
    fn hook(panic: &PanicHookInfo<'_>) {
        // Only the code of this workspace is compiled under a relative path. What is
        // not contained ends the run all the same.
        if panic.location().is_some_and(|location| Path::new(location.file()).is_relative()) {
            eprintln!("{panic}");
            abort();
        }
    }
    set_hook(Box::new(hook));
}
