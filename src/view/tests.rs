use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;

use super::*;
use crate::key::{ETag, ObjectKey, Prefix};
use crate::raster::InProcess;
use crate::reader::CacheConfig;
use crate::store::{
    BeginRequest, CompleteRequest, CopyPartRequest, CopyRequest, GetBody, GetRequest,
    KeptConditions, KeyOrder, ListPage, ListRequest, ObjectHead, Part, PartRequest, PutRequest,
    Spelling, StoreError, StoreErrorKind, Upload, VersionsPage, VersionsRequest, Written,
};

/// A store that must not be asked: what files are made of is in memory.
#[derive(Debug)]
struct NoStore;

fn refused() -> StoreError {
    StoreError::new(StoreErrorKind::Unreachable, "a request", "nobody should ask")
}

#[async_trait]
impl ObjectStore for NoStore {
    async fn list_page(&self, _: ListRequest) -> Result<ListPage, StoreError> {
        Err(refused())
    }

    async fn head(&self, _: &ObjectKey) -> Result<ObjectHead, StoreError> {
        Err(refused())
    }

    async fn head_part(&self, _: &ObjectKey, _: u32) -> Result<ObjectHead, StoreError> {
        Err(refused())
    }

    async fn get_range(&self, _: GetRequest) -> Result<GetBody, StoreError> {
        Err(refused())
    }

    async fn list_versions(&self, _: VersionsRequest) -> Result<VersionsPage, StoreError> {
        Err(refused())
    }

    async fn put(&self, _: PutRequest) -> Result<Written, StoreError> {
        Err(refused())
    }

    async fn begin_upload(&self, _: BeginRequest) -> Result<Upload, StoreError> {
        Err(refused())
    }

    async fn put_part(&self, _: PartRequest) -> Result<Part, StoreError> {
        Err(refused())
    }

    async fn copy_part(&self, _: CopyPartRequest) -> Result<Part, StoreError> {
        Err(refused())
    }

    async fn complete_upload(&self, _: CompleteRequest) -> Result<Written, StoreError> {
        Err(refused())
    }

    async fn abort_upload(&self, _: &Upload) -> Result<(), StoreError> {
        Err(refused())
    }

    async fn copy(&self, _: CopyRequest) -> Result<Written, StoreError> {
        Err(refused())
    }

    async fn delete(&self, _: &ObjectKey, _: Option<&ETag>) -> Result<(), StoreError> {
        Err(refused())
    }

    fn key_order(&self, _: &Prefix) -> KeyOrder {
        KeyOrder::OfBytes
    }

    fn kept_conditions(&self) -> KeptConditions {
        KeptConditions::OnAllWrites
    }

    fn spelling(&self) -> Spelling {
        Spelling::default()
    }
}

/// The bytes of a file; what reads fail with as long as a test says so.
#[derive(Debug)]
struct File {
    bytes: Vec<u8>,
    fails: AtomicBool,
    failure: SourceError,
}

#[async_trait]
impl Source for File {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, SourceError> {
        if self.fails.load(Ordering::Relaxed) {
            return Err(self.failure.clone());
        }
        let bytes = &self.bytes[range.start as usize..range.end as usize];
        Ok(Bytes::copy_from_slice(bytes))
    }
}

fn file(bytes: impl Into<Vec<u8>>, failure: SourceError) -> Arc<File> {
    Arc::new(File { bytes: bytes.into(), fails: false.into(), failure })
}

fn source(bytes: impl Into<Vec<u8>>) -> Arc<dyn Source> {
    file(bytes, Arc::new(Changed))
}

fn state(generation: u64, source: &Arc<dyn Source>) -> Original {
    let name = "out/X.pgm";
    Original::file(FileImage::new(7, generation, name, source, SystemTime::UNIX_EPOCH))
}

fn gray(pixels: [u8; 4]) -> Vec<u8> {
    [&b"P5 2 2 255\n"[..], &pixels].concat()
}

fn test_image(name: &str) -> Vec<u8> {
    let support = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support");
    fs::read(support.join(name)).unwrap()
}

fn views(png_compression: PngCompression) -> Arc<Views> {
    let budget = Budget::new(256 << 20);
    let cache = BlockCache::new(CacheConfig { budget: budget.clone(), verify: false, disk: None });
    let config = ViewConfig { png_compression, ..ViewConfig::default() };
    let decoders = Arc::new(InProcess);
    let sources = ViewSources { store: Arc::new(NoStore), cache, shared: None };
    Views::new(config, sources, budget, decoders, Runtime::current(), Stats::new())
}

/// All of a sibling, whose size must be what was said of it before.
async fn whole(
    views: &Arc<Views>,
    original: &Original,
    kind: ViewKind,
) -> Result<Vec<u8>, ViewError> {
    let size = views.size(original, kind).await?.unwrap();
    let view = views.open(original, kind).await?.unwrap();
    let bytes = match rendered(&view).read_now(0, usize::MAX) {
        Some(bytes) => bytes,
        None => view.read(0, usize::MAX).await?,
    };
    assert_eq!(bytes.len() as u64, size);
    Ok(bytes)
}

#[tokio::test]
async fn a_file_in_memory_has_the_siblings_of_an_image() {
    for compression in [PngCompression::Stored, PngCompression::Fast] {
        let views = views(compression);
        let bytes = source(gray([1, 2, 3, 4]));
        let original = state(1, &bytes);
        assert!(views.size_known(&original, ViewKind::Npy).is_none(), "nothing was read yet");
        for kind in ViewKind::LISTED {
            assert!(!whole(&views, &original, kind).await.unwrap().is_empty(), "{kind:?}");
            assert!(matches!(views.size_known(&original, kind), Some(Ok(Some(_)))), "{kind:?}");
        }
        let npy = whole(&views, &original, ViewKind::Npy).await.unwrap();
        assert!(npy.ends_with(&[1, 2, 3, 4]));
        let json = whole(&views, &original, ViewKind::Json).await.unwrap();
        let json = String::from_utf8(json).unwrap();
        assert!(json.ends_with("  \"etag\": null,\n  \"bytes\": 15\n}\n"), "{json}");
        // What was made is itself an image with the same pixels.
        let png = source(whole(&views, &original, ViewKind::Png).await.unwrap());
        let again = whole(&views, &state(2, &png), ViewKind::Npy).await.unwrap();
        assert!(again.ends_with(&[1, 2, 3, 4]));
    }
}

#[tokio::test]
async fn pixels_of_png_and_jpeg_2000_are_those_of_the_file() {
    let views = views(PngCompression::Stored);
    let images = [
        ("images/gray8.png", "images/gray8.png.raw"),
        ("images/rgb8.png", "images/rgb8.png.raw"),
        ("jpeg2000/lossy53.jp2", "jpeg2000/lossy53.jp2.0.raw"),
    ];
    for (generation, (image, raw)) in (0..).zip(images) {
        let bytes = source(test_image(image));
        let npy = whole(&views, &state(generation, &bytes), ViewKind::Npy).await.unwrap();
        assert!(npy.ends_with(&test_image(raw)), "{image}");
    }
}

#[tokio::test]
async fn two_states_of_a_file_are_two_images() {
    let views = views(PngCompression::Stored);
    let (old, new) = (source(gray([1, 2, 3, 4])), source(gray([5, 6, 7, 8])));
    let (first, second) = (state(1, &old), state(2, &new));
    assert_ne!(first, second);
    assert_eq!(first, state(1, &new), "a state is known by its numbers alone");
    for _ in 0..2 {
        let npy = whole(&views, &first, ViewKind::Npy).await.unwrap();
        assert!(npy.ends_with(&[1, 2, 3, 4]));
        let npy = whole(&views, &second, ViewKind::Npy).await.unwrap();
        assert!(npy.ends_with(&[5, 6, 7, 8]));
    }
}

#[tokio::test]
async fn a_file_is_not_kept_and_one_that_is_gone_has_changed() {
    let views = views(PngCompression::Stored);
    let bytes = source(gray([1, 2, 3, 4]));
    let original = state(1, &bytes);
    let view = views.open(&original, ViewKind::Npy).await.unwrap().unwrap();
    assert_eq!(Arc::strong_count(&bytes), 1, "neither a header nor a handle holds it");
    let unseen = state(2, &bytes);
    drop(bytes);
    assert!(matches!(view.read(0, usize::MAX).await, Err(ViewError::Changed(_))));
    let failed = views.size(&unseen, ViewKind::Npy).await;
    assert!(matches!(failed, Err(ViewError::Changed(_))), "{failed:?}");
    assert!(views.size_known(&unseen, ViewKind::Npy).is_none(), "it is not remembered");
}

#[tokio::test]
async fn what_a_source_fails_with_is_not_remembered() {
    let other = || -> SourceError { Arc::new(std::io::Error::other("the disk is gone")) };
    let changed = || -> SourceError { Arc::new(Changed) };
    for (failure, is_change) in [(changed(), true), (other(), false)] {
        let views = views(PngCompression::Stored);
        let file = file(gray([1, 2, 3, 4]), failure);
        let bytes: Arc<dyn Source> = file.clone();
        let original = state(1, &bytes);
        file.fails.store(true, Ordering::Relaxed);
        match views.size(&original, ViewKind::Npy).await.unwrap_err() {
            ViewError::Changed(_) => assert!(is_change),
            ViewError::Image(error) => assert!(!is_change && error.is_unread(), "{error}"),
            ViewError::Store(error) => panic!("{error}"),
        }
        assert!(views.size_known(&original, ViewKind::Npy).is_none());
        file.fails.store(false, Ordering::Relaxed);
        let view = views.open(&original, ViewKind::Npy).await.unwrap().unwrap();
        // The header is known now; of the pixels the same holds.
        file.fails.store(true, Ordering::Relaxed);
        assert!(view.read(0, usize::MAX).await.is_err());
        file.fails.store(false, Ordering::Relaxed);
        assert!(view.read(0, usize::MAX).await.unwrap().ends_with(&[1, 2, 3, 4]));
    }
}

#[tokio::test]
async fn what_is_no_image_or_empty_has_no_siblings() {
    let views = views(PngCompression::Stored);
    for (generation, bytes) in (0..).zip([Vec::new(), b"just a text".to_vec()]) {
        let bytes = source(bytes);
        let original = state(generation, &bytes);
        assert_eq!(views.size(&original, ViewKind::Json).await.unwrap(), None);
        assert!(views.open(&original, ViewKind::Json).await.unwrap().is_none());
        assert!(matches!(views.size_known(&original, ViewKind::Json), Some(Ok(None))));
    }
}

fn rendered(view: &ViewFile) -> &RenderedFile {
    match view {
        ViewFile::Rendered(view) => view,
        ViewFile::Form(_) => panic!("made from pixels"),
    }
}

/// Reads of rows here and there decode windows, once for each tile; who reads on, or from the
/// start, has tiles decoded whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_read_of_a_row_alone_decodes_no_whole_tile() {
    let bytes = test_image("jpeg2000/patch.j2k");
    let side = 2048;
    let row = |y: usize| 128 + side * y;
    let source = source(bytes);
    let original = state(1, &source);
    let open = async || {
        let views = views(PngCompression::Stored);
        let Some(ViewFile::Rendered(file)) = views.open(&original, ViewKind::Npy).await.unwrap()
        else {
            panic!("it is no array")
        };
        (views, file)
    };
    let has = |views: &Views, is_window: bool| {
        let image = 0;
        views.kept.pixels.has(&match is_window {
            true => PixelsKey::Window { image, level: 0, column: 0, row: 0 },
            false => PixelsKey::Tile { image, level: 0, column: 0, row: 0 },
        })
    };
    let (views, file) = open().await;
    let all = file.read(0, row(side)).await.unwrap();
    assert_eq!((all.len(), has(&views, true), has(&views, false)), (row(side), false, true));
    // In order, in pieces.
    let (views, file) = open().await;
    for at in (0..all.len()).step_by(100_000) {
        assert_eq!(file.read(at as u64, 100_000).await.unwrap()[..50], all[at..][..50]);
    }
    assert!(!has(&views, true));

    let (views, file) = open().await;
    let read = async |at: usize, length: usize| {
        assert_eq!(file.read(at as u64, length).await.unwrap(), all[at..at + length], "{at}");
    };
    read(row(1500), side).await;
    assert_eq!((has(&views, true), has(&views, false)), (true, false));
    // The rows around it are there.
    let now = file.read_now(row(1501) as u64 + 7, 2 * side).unwrap();
    assert_eq!(now, all[row(1501) + 7..][..2 * side]);
    assert_eq!(file.read_now(row(1600) as u64, side), None);
    read(row(1490) + 3, 3 * side).await;
    assert!(!has(&views, false));
    // Others, from elsewhere: the tile.
    read(row(400), 10).await;
    assert_eq!((has(&views, true), has(&views, false)), (true, true));
    read(row(1000) + 5, 5 * side).await;

    // Much at a time: a program that reads on.
    let (views, file) = open().await;
    let most = file.read(row(1000) as u64, 128 << 10).await.unwrap();
    assert_eq!(most, all[row(1000)..][..128 << 10]);
    assert_eq!((has(&views, true), has(&views, false)), (false, true));
}
