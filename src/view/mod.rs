//! Virtual siblings of images: files that are not in the bucket.
//!
//! Contract: a view is a raster poured through a [`layout`]: its exact size is
//! known from the image's header, and reading it decodes only the tiles that a
//! range covers. A view's bytes are the same every time. What an [`Original`] is
//! (an image, none, one that is too large) is found out with one small read and
//! remembered, per version of an object and per state of a file in memory.
//!
//! A raster (tiles of pixels at resolution levels) knows nothing of the formats that
//! it is poured into, and a layout (which bytes of a file follow from which pixels)
//! nothing of those that it is made from. So each image format and each kind of
//! sibling is written once, not once for each combination of them.
//!
//! What an original turned out to be is remembered for the last 20,000 of them; an
//! error of the store is not. Of a file in memory this module knows a number, a
//! generation and a source of its bytes, which is held weakly: a remembered header
//! keeps no more of a file than was read for it (for JPEG 2000 up to 2 MiB, with the
//! index). If the bytes are gone, or the source says [`Changed`], the error is ESTALE;
//! any other error of the source is EIO; neither is remembered. The JSON of such a
//! file has `null` for its ETag.

mod error;
mod file;
mod image;
mod kind;
pub mod layout;
mod original;
mod packed;
pub mod reduce;
mod render;
mod room;
mod source;
pub mod stretch;
#[cfg(test)]
mod tests;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use lru::LruCache;
use tokio::runtime::Handle as Runtime;
use tokio::sync::OnceCell;

pub use error::{Changed, ImageError, ViewError};
pub use file::ViewFile;
pub use kind::{UnknownView, ViewKind, ViewSet, has_image_name};
pub use original::{FileImage, Original};

pub use crate::raster::{Source, SourceError};

use self::image::Image;
use error::Reported;
use layout::UnitIndex;
use room::Room;
use source::{FileSource, ObjectSource};

use crate::mem::{Budget, Reservation, Shelf};
use crate::raster::{self, Decoders, Limits, Pixels, RasterError};
use crate::reader::{BlockCache, ExactReader};
use crate::store::ObjectStore;

/// Settings of [`Views`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewConfig {
    /// Which kinds of siblings there are.
    pub kinds: ViewSet,
    /// Whether directories list them.
    pub are_listed: bool,
    /// The longest side of a preview, in pixels.
    pub preview_size: u32,
    /// Whether `X.png` is compressed.
    pub png_compression: PngCompression,
    /// What may be decoded.
    pub limits: Limits,
}

/// How `X.png` holds its pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PngCompression {
    /// As they are: the size is known from the header, and any range is made from
    /// the rows that it covers.
    #[default]
    Stored,
    /// Deflated: smaller, but made whole before its size is known.
    Fast,
}

impl Default for ViewConfig {
    fn default() -> Self {
        ViewConfig {
            kinds: ViewSet::ALL,
            are_listed: false,
            preview_size: 1024,
            png_compression: PngCompression::default(),
            limits: Limits::default(),
        }
    }
}

/// Originals whose header is remembered.
const VERSIONS: NonZeroUsize = NonZeroUsize::new(20_000).unwrap();
/// About what a header takes in memory.
const VERSION_BYTES: u64 = 1500;
/// Decoded tiles may take one part in so many of the budget, and units of files too.
const PIXELS_SHARE: u64 = 3;
const UNITS_SHARE: u64 = 8;
/// A unit of the largest images still has its place.
const UNITS_BYTES: u64 = 8 << 20;

/// What an original turned out to be.
#[derive(Debug, Clone)]
enum Opened {
    Image(Arc<Image>),
    /// No image, or of a kind whose siblings do not exist.
    Nothing,
    /// An image that is damaged or over a limit.
    Failed(ViewError),
}

#[derive(Debug)]
struct Header {
    opened: OnceCell<Opened>,
    _counted: Reservation,
}

/// Which decoded pixels: of a tile, or of the whole preview.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum PixelsKey {
    /// A tile at a level.
    Tile { image: u64, level: u8, column: u32, row: u32 },
    /// A small level, all of it.
    Level { image: u64, level: u8 },
    /// The preview.
    Preview { image: u64 },
}

/// Which bytes of which sibling.
type UnitKey = (u64, ViewKind, UnitIndex);

/// The siblings of all objects of one bucket, and of files in memory.
#[derive(Debug)]
pub struct Views {
    config: ViewConfig,
    store: Arc<dyn ObjectStore>,
    cache: Arc<BlockCache>,
    budget: Arc<Budget>,
    room: Room,
    decoders: Arc<dyn Decoders>,
    runtime: Runtime,
    cores: usize,
    next_id: AtomicU64,
    headers: Mutex<LruCache<Original, Arc<Header>>>,
    pixels: Arc<Shelf<PixelsKey, Pixels, ViewError>>,
    units: Arc<Shelf<UnitKey, Vec<u8>, ViewError>>,
}

impl Views {
    /// The siblings of what `store` holds. What is decoded is counted in `budget`,
    /// and blocks of `cache` make room for it; formats that are not ours by `decoders`.
    pub fn new(
        config: ViewConfig,
        store: Arc<dyn ObjectStore>,
        cache: Arc<BlockCache>,
        budget: Arc<Budget>,
        decoders: Arc<dyn Decoders>,
        runtime: Runtime,
    ) -> Arc<Self> {
        let limit = budget.limit_bytes();
        let units = (limit / UNITS_SHARE).max(UNITS_BYTES);
        Arc::new(Views {
            pixels: Shelf::new(budget.clone(), limit / PIXELS_SHARE),
            units: Shelf::new(budget.clone(), units),
            cores: thread::available_parallelism().map_or(1, NonZeroUsize::get),
            next_id: AtomicU64::new(0),
            headers: Mutex::new(LruCache::new(VERSIONS)),
            config,
            store,
            cache,
            room: Room::new(budget.clone()),
            budget,
            decoders,
            runtime,
        })
    }

    /// The settings.
    pub fn config(&self) -> &ViewConfig {
        &self.config
    }

    /// The size of a sibling in bytes; `None` if it does not exist. Costs a small
    /// GET the first time that an object's version is asked about.
    ///
    /// # Errors
    /// What reading it failed with, or why the image can't be decoded.
    pub async fn size(
        self: &Arc<Self>,
        original: &Original,
        kind: ViewKind,
    ) -> Result<Option<u64>, ViewError> {
        let header = self.header(original);
        let opened = header.opened.get_or_try_init(|| self.open_image(original)).await?;
        if let Opened::Image(image) = opened
            && self.is_packed(image, kind)
            && image.packed_size().is_none()
        {
            self.packed(image).await?;
        }
        self.size_of(opened, kind).unwrap_or(Ok(None))
    }

    /// As [`Views::size`], if no request is needed; `None` if one is. A twin of it, for
    /// listings, which leave a sibling out rather than wait for its image's header.
    pub fn size_known(
        &self,
        original: &Original,
        kind: ViewKind,
    ) -> Option<Result<Option<u64>, ViewError>> {
        if original.size() == 0 {
            return Some(Ok(None));
        }
        let header = self.lock().get(original).cloned()?;
        self.size_of(header.opened.get()?, kind)
    }

    /// The size of a sibling, if it has one; `None` if it has to be made first.
    fn size_of(&self, opened: &Opened, kind: ViewKind) -> Option<Result<Option<u64>, ViewError>> {
        match opened {
            Opened::Image(image) if self.is_packed(image, kind) => {
                image.packed_size().map(|size| Ok(Some(size)))
            }
            Opened::Image(image) => {
                Some(Ok(image.layout(kind).as_ref().ok().map(|layout| layout.size())))
            }
            Opened::Nothing => Some(Ok(None)),
            Opened::Failed(error) => Some(Err(error.clone())),
        }
    }

    fn header(&self, original: &Original) -> Arc<Header> {
        let mut headers = self.lock();
        let make = || {
            let counted = self.budget.charge(VERSION_BYTES);
            Arc::new(Header { opened: OnceCell::new(), _counted: counted })
        };
        headers.get_or_insert(original.clone(), make).clone()
    }

    async fn open_image(&self, original: &Original) -> Result<Opened, ViewError> {
        if original.size() == 0 {
            return Ok(Opened::Nothing);
        }
        let name = original.name();
        let opened = raster::open(self.source(original), &self.config.limits, &self.decoders).await;
        // What has pixels to give out must have room for them.
        let opened = opened.and_then(|raster| match raster.info().unsupported {
            None => self.room.check(raster.held_bytes()).map(|()| raster),
            Some(_) => Ok(raster),
        });
        match opened {
            Ok(raster) => {
                let id = self.next_id.fetch_add(1, Ordering::Relaxed);
                let image = Image::new(id, original.clone(), raster, self.config.preview_size);
                for kind in self.config.kinds.kinds() {
                    if let Err(reason) = image.layout(kind) {
                        let (name, suffix) = (name.escape_debug(), kind.suffix());
                        tracing::info!("{name}{suffix} does not exist: {reason}");
                    }
                }
                Ok(Opened::Image(Arc::new(image)))
            }
            Err(RasterError::NotAnImage) => Ok(Opened::Nothing),
            Err(RasterError::Unsupported(reason)) => {
                tracing::info!("{} has no views: {reason}", name.escape_debug());
                Ok(Opened::Nothing)
            }
            // Another try may go better: this is not remembered.
            Err(error @ (RasterError::Source(_) | RasterError::NoDecoder(_))) => {
                Err(ViewError::new(name, error, &Reported::default()))
            }
            Err(
                error @ (RasterError::Corrupt(_)
                | RasterError::Limit { .. }
                | RasterError::Stopped(_)),
            ) => Ok(Opened::Failed(ViewError::new(name, error, &Reported::default()))),
        }
    }

    /// The bytes of an original, which a raster may hold on to.
    fn source(&self, original: &Original) -> Arc<dyn Source> {
        match original {
            Original::Object(version) => {
                let bytes = ExactReader::new(version, self.store.clone(), self.budget.clone());
                Arc::new(ObjectSource(bytes))
            }
            Original::File(file) => Arc::new(FileSource(file.clone())),
        }
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<Original, Arc<Header>>> {
        self.headers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
