//! An open sibling: answers ranges, and decodes ahead of sequential readers.
//!
//! A handle that reads on from where it was (within 1 MiB, since the kernel's
//! requests overtake each other), through two units or more, gets the tiles of the
//! next units decoded: as many as the present unit has, or two for each core, and
//! never more than half of the tile shelf. Closing the handle gives them up. Who seeks away
//! may be back a moment later, as readers of windows are: then those that were begun last are
//! brought to their end, two for each core at most, and the others given up. Fetching one tile
//! overlaps with decoding another. Where a file's tiles are small neighbours (TIFF), they are
//! announced several at a time, so that they come in joined requests, and those under the read
//! itself with them.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use tokio::task::JoinHandle;

use super::error::ViewError;
use super::image::Image;
use super::layout::{Layout, UnitData, UnitIndex, UnitInput};
use super::render::tiles_of;
use super::rows::Rows;
use super::{FormAnswer, FormFile, Opened, Original, PixelsKey, View, ViewKind, Views};
use crate::mem::{Counted, OnShelf};

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

/// One open handle on one sibling.
#[derive(Debug)]
pub enum ViewFile {
    /// Made from pixels.
    Rendered(RenderedFile),
    /// Cut from the image's own file.
    Form(FormFile),
}

/// One open handle on one sibling that is made from pixels.
#[derive(Debug)]
pub struct RenderedFile {
    views: Arc<Views>,
    image: Arc<Image>,
    kind: ViewKind,
    layout: Arc<dyn Layout>,
    /// All of the file, where it is made in one piece.
    whole: Option<Arc<Counted<Vec<u8>>>>,
    /// Where its rows are, where they are taken straight from tiles.
    rows: Option<Rows>,
    progress: Mutex<Progress>,
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
}

/// A tile: its level, column and row.
type Place = (u8, u32, u32);

/// What a read tells.
struct Noted {
    /// The tiles that will be needed next and that nobody has begun.
    next: Vec<Place>,
    /// Whether the reader has come from elsewhere, and may go elsewhere.
    is_alone: bool,
}

impl Progress {
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

impl Views {
    /// Opens a sibling; `None` if it does not exist.
    ///
    /// # Errors
    /// As [`Views::size`].
    pub async fn open(
        self: &Arc<Self>,
        original: &Original,
        view: impl Into<View>,
    ) -> Result<Option<ViewFile>, ViewError> {
        let view = view.into();
        let kind = view.kind;
        let image = match &self.opened(original, view).await? {
            Opened::Image(image) => image.clone(),
            Opened::Nothing => return Ok(None),
            Opened::Failed(error) => return Err(error.clone()),
        };
        let image = &image;
        if kind.form().is_some() {
            return Ok(self.open_form(image, original, kind).await?.map(ViewFile::Form));
        }
        let Ok(layout) = image.layout(kind) else { return Ok(None) };
        let whole = match self.is_packed(image, kind) {
            true => Some(self.packed(image, kind).await?),
            false => None,
        };
        Ok(Some(ViewFile::Rendered(RenderedFile {
            views: self.clone(),
            image: image.clone(),
            kind,
            layout: layout.clone(),
            whole,
            rows: self.rows_of(image, &**layout),
            progress: Mutex::default(),
        })))
    }
}

impl ViewFile {
    /// The bytes of a range; shorter only where the file ends.
    ///
    /// # Errors
    /// What fetching or decoding failed with; never bytes that are partly right.
    pub async fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, ViewError> {
        match self {
            ViewFile::Rendered(file) => file.read(offset, length).await,
            ViewFile::Form(file) => match file.read(offset, length) {
                FormAnswer::Ready(bytes) => Ok(bytes),
                FormAnswer::Later(answer) => answer.await,
            },
        }
    }
}

impl RenderedFile {
    /// The bytes of a range, if they are here; shorter only where the file ends. Apart from
    /// [`RenderedFile::read`], so that a read from memory is answered without a task or a copy of
    /// the handle.
    pub fn read_now(&self, offset: u64, length: usize) -> Option<Vec<u8>> {
        if let Some(whole) = &self.whole {
            let start = usize::try_from(offset).unwrap_or(usize::MAX).min(whole.len());
            let end = start.saturating_add(length).min(whole.len());
            return Some(whole[start..end].to_vec());
        }
        let end = offset.saturating_add(length as u64).min(self.layout.size());
        if offset >= end {
            return Some(Vec::new());
        }
        if let Some(rows) = self.rows.as_ref().filter(|rows| rows.start() <= offset) {
            let bytes = rows.read_now(&self.views, &self.image, offset..end)?;
            self.go_on(self.note_read(offset, end).next);
            return Some(bytes);
        }
        let (first, last) = (self.layout.unit_at(offset), self.layout.unit_at(end - 1));
        let mut bytes = Vec::new();
        for unit in first..=last {
            let held = self.views.kept.units.get(&(self.image.id, self.kind, unit))?;
            self.append(&mut bytes, unit, &held, offset, end);
        }
        self.go_on(self.note_read(offset, end).next);
        Some(bytes)
    }

    /// The bytes of a range; shorter only where the file ends.
    ///
    /// # Errors
    /// What fetching or decoding failed with; never bytes that are partly right.
    pub async fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, ViewError> {
        let end = offset.saturating_add(length as u64).min(self.layout.size());
        let mut bytes = Vec::with_capacity(end.saturating_sub(offset) as usize);
        if offset >= end {
            return Ok(bytes);
        }
        // What is announced is fetched together: also what this read waits for.
        let Noted { next, is_alone } = self.note_read(offset, end);
        self.announce(next).await;
        if let Some(rows) = &self.rows
            && end > rows.start()
        {
            let head = self.layout.encode(0, UnitData::Nothing);
            let start = offset.max(rows.start());
            bytes.extend_from_slice(&head[(offset as usize).min(head.len())..]);
            bytes.extend(rows.read(&self.views, &self.image, start..end, is_alone).await?);
            return Ok(bytes);
        }
        for unit in self.layout.unit_at(offset)..=self.layout.unit_at(end - 1) {
            let held = self.views.unit(&self.image, self.kind, &self.layout, unit).await?;
            self.append(&mut bytes, unit, &held, offset, end);
        }
        Ok(bytes)
    }

    fn append(&self, bytes: &mut Vec<u8>, unit: UnitIndex, held: &[u8], offset: u64, end: u64) {
        let range = self.layout.unit_range(unit);
        let from = offset.max(range.start) - range.start;
        let to = end.min(range.end) - range.start;
        bytes.extend_from_slice(&held[from as usize..to as usize]);
    }

    /// Has these tiles decoded, without waiting.
    fn go_on(&self, next: Vec<Place>) {
        if next.is_empty() {
            return;
        }
        let (views, image) = (self.views.clone(), self.image.clone());
        let tiles = next.clone();
        self.start(&next, async move { tell(&views, &image, &tiles).await });
    }

    /// Has these tiles decoded, and waits until it is known how they will be fetched.
    async fn announce(&self, next: Vec<Place>) {
        if next.is_empty() {
            return;
        }
        tell(&self.views, &self.image, &next).await;
        self.start(&next, std::future::ready(()));
    }

    /// Begins to decode tiles once `told` has ended.
    fn start(&self, next: &[Place], told: impl Future<Output = ()> + Send + 'static) {
        let told = told.boxed().shared();
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        for &(level, column, row) in next {
            let Entry::Vacant(place) = progress.ahead.entry((level, column, row)) else { continue };
            if let OnShelf::Making(making) = self.views.tile(&self.image, level, column, row) {
                let told = told.clone();
                let task = self.views.runtime.spawn(async move {
                    told.await;
                    // Who reads the tile is told what it failed with.
                    let _ = making.await;
                });
                place.insert(Ahead(task));
            }
        }
    }

    /// Notes where the reader is.
    fn note_read(&self, offset: u64, end: u64) -> Noted {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
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
        // Who takes some columns of each row passes over much more than that.
        let skips = progress.bytes < (progress.end - progress.start) / 2;
        let unit = self.layout.unit_at(progress.end - 1);
        let crossed = unit - self.layout.unit_at(progress.start);
        // Directories and gaps are many small units: who reads them may go anywhere.
        let has_pixels = matches!(self.layout.unit_input(unit), UnitInput::Pixels { .. });
        if crossed < UNITS_IN_ORDER || skips || !has_pixels || self.kind == ViewKind::Preview {
            if !progress.ahead.is_empty() {
                self.image.raster.expect_no_more();
            }
            progress.leave(self.views.cores * 2);
            return Vec::new();
        }
        let (next, own) = self.tiles_ahead(unit);
        progress.ahead.retain(|tile, _| next.contains(tile));
        let is_new = |tile: &Place| {
            let (level, column, row) = *tile;
            let key = PixelsKey::Tile { image: self.image.id, level, column, row };
            !progress.ahead.contains_key(tile) && !self.views.kept.pixels.has(&key)
        };
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
    /// or as many as come in one request.
    fn tiles_ahead(&self, unit: UnitIndex) -> (Vec<Place>, usize) {
        let info = self.image.info();
        let tile_bytes = u64::from(info.grid.tile_size.0)
            * u64::from(info.grid.tile_size.1)
            * info.pixel_bytes() as u64;
        let most = (self.views.kept.pixels.limit_bytes() / 2 / tile_bytes.max(1)) as usize;
        let joined = usize::from(self.image.raster.tiles_joined());
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
            if tiles.len() >= own + own.max(self.views.cores * 2).max(joined) {
                break;
            }
        }
        let own = own.unwrap_or(0);
        tiles.truncate(most.max(own));
        (tiles, own)
    }
}

/// Says which tiles will be decoded, level by level.
async fn tell(views: &Views, image: &Image, next: &[Place]) {
    let mut rest = next;
    while let Some(&(level, ..)) = rest.first() {
        let same = rest.iter().take_while(|tile| tile.0 == level).count();
        let tiles: Vec<(u32, u32)> = rest[..same].iter().map(|tile| (tile.1, tile.2)).collect();
        views.expect(image, level, &tiles).await;
        rest = &rest[same..];
    }
}
