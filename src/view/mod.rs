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

mod columns;
mod entity_tag;
mod error;
mod file;
mod form;
mod guesses;
mod image;
mod index_cache;
mod kind;
mod lab;
pub mod layout;
mod masked;
mod on_disk;
mod original;
mod packed;
mod packed_pixels;
mod picture;
mod reading;
pub mod reduce;
mod render;
mod room;
mod rows;
mod shown;
mod source;
pub mod stretch;
#[cfg(test)]
mod tests;
mod upright;
mod watch;
mod windows;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use lru::LruCache;
use tokio::runtime::Handle as Runtime;
use tokio::sync::OnceCell;

pub use error::{Changed, ImageError, ViewError};
pub use file::{RenderedFile, ViewFile};
pub use form::{FormAnswer, FormFile};
pub use index_cache::IndexFolder;
pub use kind::{UnknownView, View, ViewKind, ViewSet, has_image_name};
pub use original::{FileImage, Original};
pub use picture::{PictureFacts, Place, Shot};
pub use reduce::ShownBands;
pub use stretch::Ranges;
pub use watch::Watched;

pub use crate::raster::{Beside, Source, SourceError};

use self::image::Image;
use error::Reported;
use index_cache::IndexCache;
use layout::{NoView, UnitIndex};
use original::Content;
use reduce::preview_plan;
use room::Room;
use source::{FileSource, ObjectSource};

use crate::disk::Ghosts;
use crate::fleet::SharedCache;
use crate::mem::{Budget, Reservation, Shelf, Use};
use crate::raster::{self, Decoders, Limits, Pixels, Raster, RasterError, Spliced};
use crate::reader::{BlockCache, ExactReader, Opener};
use crate::stats::Stats;
use crate::store::ObjectStore;

/// Settings of [`Views`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewConfig {
    /// Which kinds of siblings there are.
    pub kinds: ViewSet,
    /// Which of them directories list.
    pub listed: ViewSet,
    /// The longest side of a preview, in pixels.
    pub preview_size: u32,
    /// The bands that previews of images with many show; by default the first ones.
    pub preview_bands: Option<ShownBands>,
    /// Whether `X.png` and `X.preview.png` are compressed.
    pub png_compression: PngCompression,
    /// What may be decoded.
    pub limits: Limits,
    /// Where the places of tile-parts are kept when the mount has ended.
    pub index_cache: Option<IndexFolder>,
}

/// How `X.png` and `X.preview.png` hold their pixels.
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
            listed: ViewSet::NONE,
            preview_size: 1024,
            preview_bands: None,
            png_compression: PngCompression::default(),
            limits: Limits::default(),
            index_cache: None,
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
/// And the lists of pieces that files without decoding consist of.
const FORMS_SHARE: u64 = 32;
/// And from which value to which bands are shown.
const RANGES_BYTES: u64 = 1 << 20;
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

/// Which decoded pixels.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum PixelsKey {
    /// A tile at a level.
    Tile { image: u64, level: u8, column: u32, row: u32 },
    /// A window of a tile.
    Window { image: u64, level: u8, column: u32, row: u32 },
    /// A small level, all of it.
    Level { image: u64, level: u8 },
    /// The preview.
    Preview { image: u64 },
}

/// The pieces of a file that is cut from the image's own, or why there is none.
type Formed = Result<Spliced, NoView>;

/// Which bytes of which sibling.
type UnitKey = (u64, ViewKind, UnitIndex);

/// The siblings of all objects of one bucket, and of files in memory.
#[derive(Debug)]
pub struct Views {
    config: ViewConfig,
    store: Arc<dyn ObjectStore>,
    cache: Arc<BlockCache>,
    shared: Option<Arc<SharedCache>>,
    objects: Opener,
    indexes: Option<Arc<IndexCache>>,
    budget: Arc<Budget>,
    room: Room,
    decoders: Arc<dyn Decoders>,
    runtime: Runtime,
    cores: usize,
    stats: Arc<Stats>,
    kept: Kept,
}

/// What was found out and made, as long as there is room for it.
#[derive(Debug)]
struct Kept {
    next_id: AtomicU64,
    headers: Mutex<LruCache<Original, Arc<Header>>>,
    /// The pages from 2 on, by the image that is their first one.
    pages: Mutex<LruCache<(u64, u32), Arc<Header>>>,
    pixels: Arc<Shelf<PixelsKey, Pixels, ViewError>>,
    units: Arc<Shelf<UnitKey, Vec<u8>, ViewError>>,
    forms: Arc<Shelf<(u64, ViewKind), Formed, ViewError>>,
    /// From which value to which bands are shown.
    ranges: Arc<Shelf<(u64, ShownBands), Ranges, ViewError>>,
    /// Which units were made, where there is a cache on disk.
    made: Mutex<Ghosts>,
}

/// Where the bytes of images are, and what was made of them.
#[derive(Debug)]
pub struct ViewSources {
    /// The objects.
    pub store: Arc<dyn ObjectStore>,
    /// Their bytes that are here.
    pub cache: Arc<BlockCache>,
    /// What other mounts have made.
    pub shared: Option<Arc<SharedCache>>,
}

impl Views {
    /// The siblings of what the store of `sources` holds. What is decoded is counted in `budget`,
    /// and blocks of its cache make room for it; formats that are not ours by `decoders`. How much
    /// that is goes into `stats`.
    pub fn new(
        config: ViewConfig,
        sources: ViewSources,
        budget: Arc<Budget>,
        decoders: Arc<dyn Decoders>,
        runtime: Runtime,
        stats: Arc<Stats>,
    ) -> Arc<Self> {
        let limit = budget.limit_bytes();
        let units = (limit / UNITS_SHARE).max(UNITS_BYTES);
        let ViewSources { store, cache, shared } = sources;
        let indexes = config.index_cache.clone();
        Arc::new(Views {
            indexes: IndexCache::of(indexes, cache.disk(), shared.as_ref(), runtime.clone()),
            shared,
            kept: Kept {
                next_id: AtomicU64::new(0),
                headers: Mutex::new(LruCache::new(VERSIONS)),
                pages: Mutex::new(LruCache::new(VERSIONS)),
                pixels: Shelf::new(budget.clone(), limit / PIXELS_SHARE),
                units: Shelf::new(budget.clone(), units),
                forms: Shelf::new(budget.clone(), limit / FORMS_SHARE),
                ranges: Shelf::new(budget.clone(), RANGES_BYTES),
                made: Mutex::default(),
            },
            cores: thread::available_parallelism().map_or(1, NonZeroUsize::get),
            config,
            objects: Opener::new(cache.clone(), store.clone(), runtime.clone()),
            store,
            cache,
            room: Room::new(budget.clone()),
            budget,
            decoders,
            runtime,
            stats,
        })
    }

    /// The settings.
    pub fn config(&self) -> &ViewConfig {
        &self.config
    }

    /// The size of a sibling in bytes; `None` if it does not exist. Costs a small
    /// GET the first time that an object's version is asked about. That of a reduced
    /// codestream costs the headers of all tile-parts too, and that of an indexed file where
    /// the header does not tell how many there are; that of another page what finding it takes.
    ///
    /// # Errors
    /// What reading it failed with, or why the image can't be decoded.
    pub async fn size(
        self: &Arc<Self>,
        original: &Original,
        view: impl Into<View>,
    ) -> Result<Option<u64>, ViewError> {
        let view = view.into();
        let (opened, kind) = (self.opened(original, view).await?, view.kind);
        if let Opened::Image(image) = &opened {
            image.tell_missing(self.config.kinds);
            if kind.form().is_some() {
                return match image.form_size(kind) {
                    Some(size) => Ok(size.as_ref().ok().copied()),
                    None => Ok(self.form(image, kind).await?.map(|file| file.size())),
                };
            }
            if self.is_packed(image, kind) && image.packed_size(kind).is_none() {
                self.packed(image, kind).await?;
            }
        }
        self.size_of(&opened, kind).unwrap_or(Ok(None))
    }

    /// As [`Views::size`], if no request is needed; `None` if one is. A twin of it, for
    /// listings, which leave a sibling out rather than wait for its image's header.
    pub fn size_known(
        &self,
        original: &Original,
        view: impl Into<View>,
    ) -> Option<Result<Option<u64>, ViewError>> {
        let view = view.into();
        if original.size() == 0 {
            return Some(Ok(None));
        }
        let header = self.lock().get(original).cloned()?;
        match header.opened.get()? {
            Opened::Image(image) if view.number() > 1 => {
                let key = (image.id, view.number());
                let page = lock(&self.kept.pages).get(&key).cloned()?;
                self.size_of(page.opened.get()?, view.kind)
            }
            opened => self.size_of(opened, view.kind),
        }
    }

    /// The size of a sibling, if it has one; `None` if it has to be made first.
    fn size_of(&self, opened: &Opened, kind: ViewKind) -> Option<Result<Option<u64>, ViewError>> {
        match opened {
            Opened::Image(image) if kind.form().is_some() => {
                image.form_size(kind).map(|size| Ok(size.as_ref().ok().copied()))
            }
            Opened::Image(image) if self.is_packed(image, kind) => {
                image.packed_size(kind).map(|size| Ok(Some(size)))
            }
            Opened::Image(image) => {
                Some(Ok(image.layout(kind).as_ref().ok().map(|layout| layout.size())))
            }
            Opened::Nothing => Some(Ok(None)),
            Opened::Failed(error) => Some(Err(error.clone())),
        }
    }

    fn header(&self, original: &Original) -> Arc<Header> {
        self.lock().get_or_insert(original.clone(), || self.new_header()).clone()
    }

    fn new_header(&self) -> Arc<Header> {
        let counted = self.budget.charge(VERSION_BYTES).of(Use::Images);
        Arc::new(Header { opened: OnceCell::new(), _counted: counted })
    }

    /// The image that a sibling is of: a page of what the original is.
    async fn opened(
        self: &Arc<Self>,
        original: &Original,
        view: View,
    ) -> Result<Opened, ViewError> {
        let header = self.header(original);
        let first = header.opened.get_or_try_init(|| self.open_image(original)).await?;
        let number = view.number();
        match first {
            Opened::Image(image) if number > 1 => {
                let key = (image.id, number);
                let page = lock(&self.kept.pages).get_or_insert(key, || self.new_header()).clone();
                let open = || self.open_page(image, number);
                page.opened.get_or_try_init(open).await.cloned()
            }
            opened => Ok(opened.clone()),
        }
    }

    async fn open_image(&self, original: &Original) -> Result<Opened, ViewError> {
        if original.size() == 0 {
            return Ok(Opened::Nothing);
        }
        let opened = raster::open(self.source(original), &self.config.limits, &self.decoders).await;
        self.image_of(original, 1, opened)
    }

    async fn open_page(&self, first: &Image, number: u32) -> Result<Opened, ViewError> {
        match first.raster.page(number).await {
            Ok(None) => Ok(Opened::Nothing),
            Ok(Some(raster)) => self.image_of(first.original(), number, Ok(raster)),
            Err(error) => self.image_of(first.original(), number, Err(error)),
        }
    }

    /// What opening an original, or a page of it, is remembered as.
    fn image_of(
        &self,
        original: &Original,
        page: u32,
        opened: Result<Arc<dyn Raster>, RasterError>,
    ) -> Result<Opened, ViewError> {
        let name = match page {
            1 => original.name().to_owned(),
            page => format!("{}, page {page}", original.name()),
        };
        // What has pixels to give out must have room for them.
        let opened = opened.and_then(|raster| match raster.info().unsupported {
            None => self.room.check(raster.held_bytes()).map(|()| raster),
            Some(_) => Ok(raster),
        });
        match opened {
            Ok(raster) => {
                let id = self.kept.next_id.fetch_add(1, Ordering::Relaxed);
                let ViewConfig { preview_size, preview_bands, .. } = self.config;
                let image = |id: u64, raster: Arc<dyn Raster>| {
                    let plan = preview_plan(raster.info(), preview_size, preview_bands);
                    Image::new(id, original.clone(), name.clone(), raster, plan)
                };
                let mask = raster.mask();
                let opened = image(id, raster);
                Ok(Opened::Image(Arc::new(match mask {
                    Some(mask) => {
                        let id = self.kept.next_id.fetch_add(1, Ordering::Relaxed);
                        opened.with_mask(image(id, mask))
                    }
                    None => opened,
                })))
            }
            Err(RasterError::NotAnImage) => Ok(Opened::Nothing),
            Err(RasterError::Unsupported(reason)) => {
                tracing::info!("{} has no views: {reason}", name.escape_debug());
                Ok(Opened::Nothing)
            }
            // Another try may go better: this is not remembered.
            Err(error @ (RasterError::Source(_) | RasterError::NoDecoder(_))) => {
                Err(ViewError::new(&name, error, &Reported::default()))
            }
            Err(
                error @ (RasterError::Corrupt(_)
                | RasterError::Limit { .. }
                | RasterError::Stopped(_)),
            ) => Ok(Opened::Failed(ViewError::new(&name, error, &Reported::default()))),
        }
    }

    /// The bytes of an original, which a raster may hold on to.
    fn source(&self, original: &Original) -> Arc<dyn Source> {
        let beside = original.beside().iter();
        let beside = beside.map(|(which, file)| (*which, self.source(file))).collect();
        match &original.content {
            Content::Object(version) => {
                let exact = ExactReader::new(version, self.store.clone(), self.cache.clone());
                let (blocks, indexes) = (self.objects.clone(), self.indexes.clone());
                let budget = self.budget.clone();
                Arc::new(ObjectSource { exact, blocks, indexes, beside, budget })
            }
            Content::File(file) => Arc::new(FileSource { file: file.clone(), beside }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<Original, Arc<Header>>> {
        lock(&self.kept.headers)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
