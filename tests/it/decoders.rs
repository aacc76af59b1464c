//! The processes that decode images: what they can do, and what they cost.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use s3mem::decoders::{Workers, WorkersConfig};
use s3mem::mem::Budget;
use s3mem::raster::foreign::{Parsed, Pieces};
use s3mem::raster::{
    self, Codec, Decoders, Header, InProcess, Limits, RasterError, Source, SourceError,
};
use s3mem::stats::Stats;
use tokio::runtime::Builder;

#[derive(Debug)]
struct Memory {
    bytes: Bytes,
    reads: AtomicUsize,
}

#[async_trait]
impl Source for Memory {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, SourceError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        Ok(self.bytes.slice(range.start as usize..range.end as usize))
    }
}

fn memory(bytes: impl Into<Bytes>) -> Arc<Memory> {
    Arc::new(Memory { bytes: bytes.into(), reads: AtomicUsize::new(0) })
}

fn run<T>(future: impl Future<Output = T>) -> T {
    Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn workers() -> (Arc<Workers>, Arc<Stats>) {
    let (budget, stats) = (Budget::new(1 << 30), Stats::new());
    let program = PathBuf::from(env!("CARGO_BIN_EXE_s3mem"));
    let decode_bytes = Limits::default().decode_bytes;
    let config = WorkersConfig { program, decode_bytes, at_once: 2, budget, stats: stats.clone() };
    (Workers::new(config), stats)
}

/// The header and the pixels of an image, as something to compare.
async fn read(
    source: Arc<dyn Source>,
    limits: &Limits,
    decoders: Arc<dyn Decoders>,
) -> Result<(String, Option<Bytes>), RasterError> {
    let raster = raster::open(source, limits, &decoders).await?;
    let info = format!("{:?}", raster.info());
    match raster.decode_tile(0, 0, 0).await {
        Ok(pixels) => Ok((info, Some(pixels.samples))),
        Err(RasterError::Unsupported(_)) => Ok((info, None)),
        Err(error) => Err(error),
    }
}

fn images() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/images");
    let mut images: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    images.retain(|path| {
        path.extension().is_some_and(|e| !["raw", "txt", "py"].iter().any(|x| e == *x))
    });
    images.sort();
    assert!(images.len() > 40);
    images
}

#[test]
fn a_worker_can_open_no_file_no_socket_and_no_child() {
    run(async {
        let (workers, stats) = workers();
        let file = memory(std::fs::read(&images()[0]).unwrap());
        let _ = read(file, &Limits::default(), workers.clone()).await;
        let confinement = workers.confinement().expect("one of them has begun");
        assert!(confinement.is_complete(), "{confinement:?}");
        assert_eq!(stats.snapshot().decoders_stopped, 0);
    });
}

#[test]
fn workers_give_what_decoders_in_the_process_give_for_as_few_reads() {
    run(async {
        let (workers, stats) = workers();
        for path in images() {
            let bytes = Bytes::from(std::fs::read(&path).unwrap());
            let (here, there) = (memory(bytes.clone()), memory(bytes));
            let limits = Limits::default();
            let ours = read(here.clone(), &limits, Arc::new(InProcess)).await;
            let theirs = read(there.clone(), &limits, workers.clone()).await;
            let (ours, theirs) =
                (ours.map_err(|e| e.to_string()), theirs.map_err(|e| e.to_string()));
            assert_eq!(ours, theirs, "{}", path.display());
            let reads = |file: &Memory| file.reads.load(Ordering::Relaxed);
            assert_eq!(reads(&here), reads(&there), "{}", path.display());
        }
        assert_eq!(stats.snapshot().decoders_stopped, 0);
    });
}

/// Workers that have time for a header, and next to none for pixels.
#[derive(Debug)]
struct Hasty(Arc<Workers>);

#[async_trait]
impl Decoders for Hasty {
    async fn header(
        &self,
        codec: Codec,
        file: &Pieces,
        limits: &Limits,
    ) -> Result<Parsed, RasterError> {
        self.0.header(codec, file, limits).await
    }

    async fn pixels(
        &self,
        codec: Codec,
        source: &Arc<dyn Source>,
        header: &Header,
        limits: &Limits,
    ) -> Result<Bytes, RasterError> {
        let limits = Limits { decode_time: Duration::from_millis(10), ..*limits };
        self.0.pixels(codec, source, header, &limits).await
    }

    async fn to_srgb(
        &self,
        profile: &[u8],
        bands: usize,
        samples: Bytes,
        limits: &Limits,
    ) -> Result<Bytes, RasterError> {
        self.0.to_srgb(profile, bands, samples, limits).await
    }
}

#[test]
fn a_decoder_that_takes_longer_than_it_may_is_stopped_and_not_tried_again() {
    run(async {
        let (workers, stats) = workers();
        // 200 million white pixels take a tenth of a second or more.
        let image = image::GrayImage::from_pixel(14_000, 14_000, image::Luma([255]));
        let mut bytes = std::io::Cursor::new(Vec::new());
        image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        let source = memory(bytes.into_inner());
        let limits = Limits { expansion: u64::MAX, ..Limits::default() };
        let decoders: Arc<dyn Decoders> = Arc::new(Hasty(workers));
        let raster = raster::open(source.clone(), &limits, &decoders).await.unwrap();
        for _ in 0..3 {
            let error = raster.decode_tile(0, 0, 0).await.unwrap_err();
            assert!(error.to_string().contains("--decode-timeout"), "{error}");
        }
        assert_eq!(stats.snapshot().decoders_stopped, 1, "it was tried once");
        assert_eq!(source.reads.load(Ordering::Relaxed), 2, "the head, and the file");
    });
}

#[test]
fn a_worker_that_has_read_a_small_header_decodes_a_large_file_next() {
    run(async {
        let (budget, stats) = (Budget::new(1 << 30), Stats::new());
        let config = WorkersConfig {
            program: PathBuf::from(env!("CARGO_BIN_EXE_s3mem")),
            decode_bytes: Limits::default().decode_bytes,
            at_once: 1,
            budget,
            stats: stats.clone(),
        };
        let workers = Workers::new(config);
        // 140 MB in the file and as many in the pixels: neither fits into what a header may take.
        let (width, height) = (14_000u32, 10_000u32);
        let mut bytes = format!("P5 {width} {height} 255\n").into_bytes();
        bytes.extend((0..width * height / 4).flat_map(u32::to_le_bytes));
        let expected = Bytes::from(bytes.split_off(bytes.len() - (width * height) as usize));
        bytes.extend_from_slice(&expected);
        let (_, pixels) = read(memory(bytes), &Limits::default(), workers).await.unwrap();
        assert!(pixels.unwrap() == expected);
        assert_eq!(stats.snapshot().decoders_stopped, 0);
    });
}
