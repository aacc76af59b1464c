//! Where the tile-parts of a codestream are, found as cheaply as the file allows.
//!
//! Contract: [`Lazy::get`] builds the index once, for the first caller that needs it;
//! others that arrive meanwhile wait for the same answer, an error included, and an
//! error is not kept. Whichever way it was found, the index is what a walk from SOT to
//! SOT finds.
//!
//! The ways, the first that is allowed: a walk through the whole object, if it has up to
//! 2 MiB ([`hop`]); the list in the main header ([`listed`]); what the source remembers of
//! the version ([`stored`]); many walks at once, each from where it has found a SOT
//! ([`resync`]); one walk. What they read stays in memory as long as there is room ([`Source::read_kept`]):
//! these are the first packets that a reduced image needs, and the headers that a program
//! looks for that reads the file by itself.

mod hop;
mod listed;
mod origin;
mod resync;
mod sot;
mod stored;
mod tile_parts;

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};

use super::header::marker;
use super::window::{read, read_kept, u16_at};
use crate::raster::{About, Kept, RasterError, Source};
use hop::HOP_BYTES;

pub(super) use origin::Origin;
pub(super) use sot::{SOT_BYTES, Sot, sot};
pub(super) use tile_parts::{Part, TileParts};

/// Objects up to here are fetched in one request.
pub(super) const SMALL_OBJECT: u64 = 2 << 20;

/// All tile-parts, and a way to their bytes.
#[derive(Debug)]
pub(super) struct Index {
    source: Arc<dyn Source>,
    parts: TileParts,
    /// Whether all of the object is kept, since it is small.
    is_small: bool,
    /// Whether the first bytes of each tile-part are kept, since they were read.
    has_prefixes: bool,
    /// Whether it is what was remembered, and not what was found now.
    is_recalled: bool,
}

impl Index {
    /// The tile-parts of a tile.
    pub(super) fn of(&self, tile: u32) -> Vec<Part> {
        self.parts.of(tile)
    }

    /// All of them.
    pub(super) fn parts(&self) -> &TileParts {
        &self.parts
    }

    /// Whether EOC follows the last tile-part.
    pub(super) async fn is_closed(&self) -> Result<bool, RasterError> {
        let end = self.parts.range().end;
        if end.saturating_add(2) > self.source.size() {
            return Ok(false);
        }
        let behind = read_kept(&*self.source, end..end + 2).await?;
        Ok(u16_at(&behind, 0) == Some(marker::EOC))
    }

    /// Bytes of the object.
    pub(super) async fn read(&self, range: Range<u64>) -> Result<Bytes, RasterError> {
        match self.is_small {
            true => read_kept(&*self.source, range).await,
            false => read(&*self.source, range).await,
        }
    }

    /// The first bytes of a tile-part: `length` of them, or those at hand.
    pub(super) async fn prefix(&self, part: &Part, length: u64) -> Result<Bytes, RasterError> {
        let length = if self.has_prefixes { HOP_BYTES } else { length };
        self.more(part.offset..part.offset + length.min(part.length)).await
    }

    /// Counts memory that is kept about the file, until what is returned is dropped.
    pub(super) fn count(&self, bytes: u64) -> Option<Kept> {
        self.source.count(bytes)
    }

    /// What is remembered of the file.
    pub(super) async fn recall(&self, about: About) -> Option<Bytes> {
        self.source.recall(about).await
    }

    /// Hands what was found to whoever keeps it.
    pub(super) fn remember(&self, about: About, known: Bytes) {
        self.source.remember(about, known);
    }

    /// Bytes that follow a prefix.
    pub(super) async fn more(&self, range: Range<u64>) -> Result<Bytes, RasterError> {
        read_kept(&*self.source, range).await
    }
}

type Building = Shared<BoxFuture<'static, Result<Arc<Index>, RasterError>>>;

/// An index that is built when it is first needed.
pub(super) struct Lazy {
    origin: Arc<Origin>,
    is_listed: OnceLock<bool>,
    /// Whether what is remembered turned out to be wrong.
    is_distrusted: AtomicBool,
    building: Mutex<Option<Building>>,
}

impl fmt::Debug for Lazy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lazy").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Lazy {
    pub(super) fn new(origin: Origin) -> Self {
        Lazy {
            origin: Arc::new(origin),
            is_listed: OnceLock::new(),
            is_distrusted: AtomicBool::new(false),
            building: Mutex::new(None),
        }
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Whether the main header has an index that can be right.
    pub(super) fn is_listed(&self) -> bool {
        *self.is_listed.get_or_init(|| listed::tile_parts(&self.origin).is_some())
    }

    /// The index, if it is built, or can be without a request.
    pub(super) fn known(&self) -> Option<Arc<Index>> {
        let lock = self.building.lock().unwrap_or_else(PoisonError::into_inner);
        lock.as_ref()?.peek()?.as_ref().ok().cloned()
    }

    /// Lets go of an index that was remembered, since it does not fit the file: the next one is
    /// found. Says whether there was one.
    pub(super) fn distrust(&self) -> bool {
        if !self.known().is_some_and(|index| index.is_recalled) {
            return false;
        }
        self.is_distrusted.store(true, Ordering::Relaxed);
        *self.building.lock().unwrap_or_else(PoisonError::into_inner) = None;
        true
    }

    /// The index; built at most once at a time.
    pub(super) async fn get(&self) -> Result<Arc<Index>, RasterError> {
        let lock = || self.building.lock().unwrap_or_else(PoisonError::into_inner);
        let building = lock()
            .get_or_insert_with(|| {
                let origin = Arc::clone(&self.origin);
                let recalls = !self.is_distrusted.load(Ordering::Relaxed);
                async move { build(&origin, recalls).await.map(Arc::new) }.boxed().shared()
            })
            .clone();
        let built = building.clone().await;
        if built.is_err() {
            let mut current = lock();
            if current.as_ref().is_some_and(|other| other.ptr_eq(&building)) {
                *current = None;
            }
        }
        built
    }
}

/// What one walk finds.
#[cfg(fuzzing)]
pub(super) async fn walked(origin: &Origin) -> Result<TileParts, RasterError> {
    hop::walk(origin, &hop::Found::new()).await
}

/// What many chains find.
#[cfg(fuzzing)]
pub(super) async fn chained(origin: &Origin) -> Result<TileParts, RasterError> {
    hop::walk(origin, &resync::chains(origin).await?).await
}

/// What these bytes are as an index that was kept.
#[cfg(fuzzing)]
pub(super) fn kept(origin: &Origin, bytes: &[u8]) -> Option<TileParts> {
    stored::parse(origin, bytes)
}

async fn build(origin: &Origin, recalls: bool) -> Result<Index, RasterError> {
    let size = origin.source.size();
    let is_small = size <= origin.small_object;
    let index = |parts, has_prefixes| Index {
        source: Arc::clone(&origin.source),
        parts,
        is_small,
        has_prefixes: has_prefixes && !is_small,
        is_recalled: false,
    };
    if is_small {
        if (origin.head.len() as u64) < size {
            read_kept(&*origin.source, 0..size).await?;
        }
        return Ok(index(hop::walk(origin, &hop::Found::new()).await?, true));
    }
    if let Some(parts) = listed::tile_parts(origin) {
        return Ok(index(parts, false));
    }
    if recalls && let Some(parts) = stored::recall(origin).await {
        return Ok(Index { is_recalled: true, ..index(parts, false) });
    }
    let parts = hop::walk(origin, &resync::chains(origin).await?).await?;
    stored::remember(origin, &parts);
    Ok(index(parts, true))
}
