//! An open sibling: answers ranges, and decodes ahead of sequential readers.
//!
//! A handle that reads on from where it was (within 1 MiB, since the kernel's
//! requests overtake each other), through two units or more, gets the tiles of the
//! next units decoded: as many as the present unit has, or two for each core, and
//! never more than half of the tile shelf. Closing the handle or seeking away gives
//! them up. Fetching one tile overlaps with decoding another.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinHandle;

use super::error::ViewError;
use super::image::Image;
use super::layout::{Layout, UnitIndex, UnitInput};
use super::render::tiles_of;
use super::{Opened, Original, ViewKind, Views};
use crate::mem::{Counted, OnShelf};

/// The kernel's requests of a reader in order may overtake each other by so much.
const SLACK_BYTES: u64 = 1 << 20;
/// A run through so many units will go on, most likely: a window of an image in
/// tiles is fewer.
const UNITS_IN_ORDER: u64 = 2;
/// How far ahead units are looked at for tiles that will be needed.
const UNITS_AHEAD: u64 = 96;

/// One open handle on one sibling.
#[derive(Debug)]
pub struct ViewFile {
    views: Arc<Views>,
    image: Arc<Image>,
    kind: ViewKind,
    layout: Arc<dyn Layout>,
    /// All of the file, where it is made in one piece.
    whole: Option<Arc<Counted<Vec<u8>>>>,
    progress: Mutex<Progress>,
}

/// Where a reader is, and what is decoded ahead of it.
#[derive(Debug, Default)]
struct Progress {
    /// Where the run of neighbouring reads began.
    start: u64,
    end: u64,
    ahead: HashMap<(u8, u32, u32), Ahead>,
}

/// A tile that is decoded because it will be needed; given up when dropped.
#[derive(Debug)]
struct Ahead(JoinHandle<()>);

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
        kind: ViewKind,
    ) -> Result<Option<ViewFile>, ViewError> {
        let header = self.header(original);
        let opened = header.opened.get_or_try_init(|| self.open_image(original)).await?;
        let image = match opened {
            Opened::Image(image) => image,
            Opened::Nothing => return Ok(None),
            Opened::Failed(error) => return Err(error.clone()),
        };
        let Ok(layout) = image.layout(kind) else { return Ok(None) };
        let whole = match self.is_packed(image, kind) {
            true => Some(self.packed(image).await?),
            false => None,
        };
        Ok(Some(ViewFile {
            views: self.clone(),
            image: image.clone(),
            kind,
            layout: layout.clone(),
            whole,
            progress: Mutex::default(),
        }))
    }
}

impl ViewFile {
    /// The bytes of a range, if they are here; shorter only where the file ends. Apart from
    /// [`ViewFile::read`], so that a read from memory is answered without a task or a copy of
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
        let (first, last) = (self.layout.unit_at(offset), self.layout.unit_at(end - 1));
        let mut bytes = Vec::new();
        for unit in first..=last {
            let held = self.views.units.get(&(self.image.id, self.kind, unit))?;
            self.append(&mut bytes, unit, &held, offset, end);
        }
        self.note_read(offset, end);
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
        self.note_read(offset, end);
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

    /// Notes where the reader is, and sets going what it will need next.
    fn note_read(&self, offset: u64, end: u64) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let near = offset.abs_diff(progress.end) <= SLACK_BYTES;
        if near {
            progress.end = progress.end.max(end);
        } else {
            (progress.start, progress.end) = (offset, end);
        }
        let unit = self.layout.unit_at(progress.end - 1);
        let crossed = unit - self.layout.unit_at(progress.start);
        // Directories and gaps are many small units: who reads them may go anywhere.
        let has_pixels = matches!(self.layout.unit_input(unit), UnitInput::Pixels { .. });
        if crossed < UNITS_IN_ORDER || !has_pixels || self.kind == ViewKind::Preview {
            progress.ahead.clear();
            return;
        }
        let next = self.tiles_ahead(unit);
        progress.ahead.retain(|tile, _| next.contains(tile));
        for tile in next {
            let Entry::Vacant(place) = progress.ahead.entry(tile) else { continue };
            let (level, column, row) = tile;
            if let OnShelf::Making(making) = self.views.tile(&self.image, level, column, row) {
                let task = self.views.runtime.spawn(async move {
                    // Who reads the tile is told what it failed with.
                    let _ = making.await;
                });
                place.insert(Ahead(task));
            }
        }
    }

    /// The tiles that units from `unit` on need, as many as may be decoded ahead:
    /// those of the unit itself, and a row of tiles or two for each core.
    fn tiles_ahead(&self, unit: UnitIndex) -> Vec<(u8, u32, u32)> {
        let info = self.image.info();
        let tile_bytes = u64::from(info.grid.tile_size.0)
            * u64::from(info.grid.tile_size.1)
            * info.pixel_bytes() as u64;
        let most = (self.views.pixels.limit_bytes() / 2 / tile_bytes.max(1)) as usize;
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
            if tiles.len() >= own + own.max(self.views.cores * 2) {
                break;
            }
        }
        tiles.truncate(most.max(own.unwrap_or(0)));
        tiles
    }
}
