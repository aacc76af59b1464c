//! How one handle reads a sibling: where it is, and what is decoded before it is asked for.
//!
//! A handle that reads on from where it was (within 1 MiB, since the kernel's
//! requests overtake each other), through two units or more, gets the tiles of the
//! next units decoded: as many as the present unit has, or two for each core, and
//! never more than half of the tile shelf; in a file of tiles never more than it has come
//! through, since a window is a run of a few. Closing the handle gives them up. Who seeks away
//! may be back a moment later, as readers of windows are: then those that were begun last are
//! brought to their end, two for each core at most, and the others given up. Fetching one tile
//! overlaps with decoding another. Where a file's tiles are small neighbours (TIFF), they are
//! announced several at a time, so that they come in joined requests, and those under the read
//! itself with them. Who reads a window has taken the same columns from the row of tiles above:
//! [`Columns`] has them fetched at once, too.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use tokio::task::JoinHandle;

use super::columns::{Columns, Place};
use super::image::Image;
use super::layout::{Layout, UnitIndex, UnitInput};
use super::render::{is_small_level, tiles_of};
use super::rows::Rows;
use super::{PixelsKey, ViewKind, Views};
use crate::mem::OnShelf;

/// The kernel's requests of a reader in order may overtake each other by so much.
const SLACK_BYTES: u64 = 1 << 20;
/// A run through so many units will go on, most likely: a window of an image in
/// tiles is fewer.
const UNITS_IN_ORDER: u64 = 2;
/// Who reads so little far from where they were may want no more. The kernel asks for 128 KiB on
/// behalf of a program that reads much, or maps the file.
const ALONE_BYTES: u64 = 64 << 10;
/// How far ahead units are looked at for tiles that will be needed.
const UNITS_AHEAD: u64 = 96;

/// One handle on a sibling that is made from pixels, and where it is in it.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) views: Arc<Views>,
    pub(super) image: Arc<Image>,
    pub(super) kind: ViewKind,
    pub(super) layout: Arc<dyn Layout>,
    /// Where its rows are, where they are taken straight from tiles.
    pub(super) rows: Option<Rows>,
    progress: Mutex<Progress>,
}

/// What a read tells.
struct Noted {
    /// The tiles that will be needed next and that nobody has begun.
    next: Vec<Place>,
    /// Whether the reader has come from elsewhere, and may go elsewhere.
    is_alone: bool,
}

/// Where a reader is, and what is decoded ahead of it.
#[derive(Debug, Default)]
struct Progress {
    /// Where the run of neighbouring reads began.
    start: u64,
    end: u64,
    /// How many bytes of it were read.
    bytes: u64,
    ahead: HashMap<Place, Ahead>,
    /// Those that were begun for a run which has ended, the latest last.
    left: VecDeque<Ahead>,
    columns: Columns,
    /// The rest of a row of tiles, as its reader took it from the one above.
    beside: Vec<Ahead>,
}

impl Progress {
    /// Whether it passes over much more than it takes, as who takes some columns of each row.
    fn skips(&self) -> bool {
        self.bytes < (self.end - self.start) / 2
    }

    /// Ends the run: keeps those tiles going that it would have come to first, `most` of them
    /// with those of earlier runs.
    fn leave(&mut self, most: usize) {
        let mut begun: Vec<_> = self.ahead.drain().filter(|(_, tile)| !tile.is_done()).collect();
        begun.sort_by_key(|((level, column, row), _)| (*level, *row, *column));
        self.left.retain(|tile| !tile.is_done());
        self.left.extend(begun.into_iter().take(most).map(|(_, tile)| tile));
        while self.left.len() > most {
            self.left.pop_front();
        }
    }
}

/// A tile that is decoded because it will be needed; given up when dropped.
#[derive(Debug)]
struct Ahead(JoinHandle<()>);

impl Ahead {
    fn is_done(&self) -> bool {
        self.0.is_finished()
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Reading {
    pub(super) fn new(
        views: Arc<Views>,
        image: Arc<Image>,
        kind: ViewKind,
        layout: Arc<dyn Layout>,
    ) -> Self {
        let rows = views.rows_of(&image, &*layout);
        Reading { views, image, kind, layout, rows, progress: Mutex::default() }
    }

    /// Notes a read of what is here, and has decoded what will be needed next.
    pub(super) fn note_here(&self, offset: u64, end: u64) {
        self.go_on(self.note_read(offset, end).next);
        self.lock().columns.note(&self.under(offset..end));
    }

    /// Notes a read, and has decoded what will be needed next; waits until it is known how that
    /// will be fetched, so that what this read itself waits for comes with it. Returns whether the
    /// reader has come from elsewhere, and may go elsewhere.
    pub(super) async fn note(&self, offset: u64, end: u64) -> bool {
        let Noted { next, is_alone } = self.note_read(offset, end);
        self.announce(next).await;
        let beside = self.lock().columns.note(&self.under(offset..end));
        if let Some(mut beside) = beside {
            beside.retain(|place| self.is_missing(place));
            tell(&self.image, &beside).await;
            let begun = self.begin(&beside, std::future::ready(()));
            self.lock().beside = begun.into_iter().map(|(_, tile)| tile).collect();
        }
        is_alone
    }

    /// Has all of a range decoded, without waiting.
    pub(super) fn begin_all(&self, range: Range<u64>) {
        let mut wanted = self.under(range);
        wanted.retain(|place| self.is_missing(place));
        let (image, tiles) = (self.image.clone(), wanted.clone());
        let begun = self.begin(&wanted, async move { tell(&image, &tiles).await });
        self.lock().beside = begun.into_iter().map(|(_, tile)| tile).collect();
    }

    /// Whether the handle reads on and on.
    pub(super) fn is_in_order(&self) -> bool {
        let progress = self.lock();
        let end = progress.end.saturating_sub(1);
        let crossed = self.layout.unit_at(end) - self.layout.unit_at(progress.start.min(end));
        !progress.skips() && crossed >= UNITS_IN_ORDER
    }

    /// Where the run of its reads has come to.
    pub(super) fn end(&self) -> u64 {
        self.lock().end
    }

    /// How many tiles would have to be decoded for a range that is not empty.
    pub(super) fn missing(&self, range: Range<u64>) -> usize {
        if self.rows.is_some() {
            return self.under(range).iter().filter(|place| self.is_missing(place)).count();
        }
        let units = self.layout.unit_at(range.start)..=self.layout.unit_at(range.end - 1);
        let made =
            |unit: &UnitIndex| !self.views.kept.units.has(&(self.image.id, self.kind, *unit));
        let tiles = units.filter(made).flat_map(|unit| self.under_unit(unit));
        tiles.filter(|place| self.is_missing(place)).count()
    }

    fn is_missing(&self, &(level, column, row): &Place) -> bool {
        let key = PixelsKey::Tile { image: self.image.id, level, column, row };
        !self.views.kept.pixels.has(&key)
    }

    /// The tiles that a range has pixels of, as far as they are made one by one.
    fn under(&self, range: Range<u64>) -> Vec<Place> {
        let Some(rows) = &self.rows else {
            let units = self.layout.unit_at(range.start)..=self.layout.unit_at(range.end - 1);
            return units.flat_map(|unit| self.under_unit(unit)).collect();
        };
        let rects = rows.rects(range);
        let tiles = rects.into_iter().flat_map(|rect| tiles_of(&self.image, 0, rect));
        tiles.map(|(column, row)| (0, column, row)).collect()
    }

    fn under_unit(&self, unit: UnitIndex) -> Vec<Place> {
        match self.layout.unit_input(unit) {
            UnitInput::Pixels { level, rect } if !is_small_level(&self.image, level) => {
                let tiles = tiles_of(&self.image, level, rect);
                tiles.into_iter().map(|(column, row)| (level, column, row)).collect()
            }
            _ => Vec::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has these tiles decoded, without waiting.
    fn go_on(&self, next: Vec<Place>) {
        if next.is_empty() {
            return;
        }
        let (image, tiles) = (self.image.clone(), next.clone());
        self.start(&next, async move { tell(&image, &tiles).await });
    }

    /// Has these tiles decoded, and waits until it is known how they will be fetched.
    async fn announce(&self, next: Vec<Place>) {
        if next.is_empty() {
            return;
        }
        tell(&self.image, &next).await;
        self.start(&next, std::future::ready(()));
    }

    /// Has tiles of the run decoded once `told` has ended.
    fn start(&self, next: &[Place], told: impl Future<Output = ()> + Send + 'static) {
        let known: Vec<Place> = self.lock().ahead.keys().copied().collect();
        let fresh: Vec<Place> = next.iter().copied().filter(|at| !known.contains(at)).collect();
        let begun = self.begin(&fresh, told);
        self.lock().ahead.extend(begun);
    }

    /// Begins to decode those tiles that are not here, once `told` has ended.
    fn begin(
        &self,
        tiles: &[Place],
        told: impl Future<Output = ()> + Send + 'static,
    ) -> Vec<(Place, Ahead)> {
        let told = told.boxed().shared();
        let mut begun = Vec::new();
        for &(level, column, row) in tiles {
            if let OnShelf::Making(making) = self.views.tile(&self.image, level, column, row) {
                let told = told.clone();
                let task = self.views.runtime.spawn(async move {
                    told.await;
                    // Who reads the tile is told what it failed with.
                    let _ = making.await;
                });
                begun.push(((level, column, row), Ahead(task)));
            }
        }
        begun
    }

    /// Notes where the reader is.
    fn note_read(&self, offset: u64, end: u64) -> Noted {
        let mut progress = self.lock();
        let near = offset.abs_diff(progress.end) <= SLACK_BYTES;
        if near {
            progress.end = progress.end.max(end);
            progress.bytes += end - offset;
        } else {
            (progress.start, progress.end, progress.bytes) = (offset, end, end - offset);
        }
        let is_alone = !near && end - offset <= ALONE_BYTES;
        Noted { next: self.next_tiles(&mut progress), is_alone }
    }

    /// The tiles that a reader will need next and that nobody has begun.
    fn next_tiles(&self, progress: &mut Progress) -> Vec<Place> {
        let unit = self.layout.unit_at(progress.end - 1);
        let crossed = unit - self.layout.unit_at(progress.start);
        // Directories and gaps are many small units: who reads them may go anywhere.
        let has_pixels = matches!(self.layout.unit_input(unit), UnitInput::Pixels { .. });
        if crossed < UNITS_IN_ORDER
            || progress.skips()
            || !has_pixels
            || self.kind == ViewKind::Preview
        {
            if !progress.ahead.is_empty() {
                self.image.raster.expect_no_more();
            }
            progress.leave(self.views.cores * 2);
            return Vec::new();
        }
        let (next, own) = self.tiles_ahead(unit, crossed);
        progress.ahead.retain(|tile, _| next.contains(tile));
        let is_new = |tile: &Place| !progress.ahead.contains_key(tile) && self.is_missing(tile);
        let fresh: Vec<Place> = next.iter().copied().filter(is_new).collect();
        // A few at a time: one alone has no neighbour that it could come with.
        let is_waited_for = next[..own].iter().any(is_new);
        let joined = usize::from(self.image.raster.tiles_joined());
        if !is_waited_for && fresh.len() < (joined / 2).min(next.len() - own) {
            return Vec::new();
        }
        fresh
    }

    /// The tiles that units from `unit` on need, as many as may be decoded ahead:
    /// those of the unit itself, how many these are, and a row of tiles or two for each core,
    /// or as many as come in one request; in a file of tiles no more than it has `crossed` units.
    fn tiles_ahead(&self, unit: UnitIndex, crossed: u64) -> (Vec<Place>, usize) {
        let info = self.image.info();
        let tile_bytes = u64::from(info.grid.tile_size.0)
            * u64::from(info.grid.tile_size.1)
            * info.pixel_bytes() as u64;
        let most = (self.views.kept.pixels.limit_bytes() / 2 / tile_bytes.max(1)) as usize;
        let joined = usize::from(self.image.raster.tiles_joined());
        let run = match self.kind {
            ViewKind::Tif => usize::try_from(crossed).unwrap_or(usize::MAX),
            _ => usize::MAX,
        };
        let mut own = None;
        let mut tiles = Vec::new();
        for unit in unit..self.layout.units().min(unit.saturating_add(UNITS_AHEAD)) {
            let UnitInput::Pixels { level, rect } = self.layout.unit_input(unit) else { continue };
            for (column, row) in tiles_of(&self.image, level, rect) {
                if !tiles.contains(&(level, column, row)) {
                    tiles.push((level, column, row));
                }
            }
            let own = *own.get_or_insert(tiles.len());
            if tiles.len() >= own + own.max(self.views.cores * 2).max(joined).min(run) {
                break;
            }
        }
        let own = own.unwrap_or(0);
        tiles.truncate(most.max(own));
        (tiles, own)
    }
}

/// Says which tiles will be decoded, level by level; one alone comes alone anyway.
async fn tell(image: &Image, next: &[Place]) {
    for same in next.chunk_by(|one, other| one.0 == other.0) {
        let tiles: Vec<(u32, u32)> = same.iter().map(|tile| (tile.1, tile.2)).collect();
        if tiles.len() > 1 {
            image.raster.expect(same[0].0, &tiles).await;
        }
    }
}
