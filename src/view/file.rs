//! An open sibling: answers ranges, from units or straight from tiles.

use std::sync::{Arc, Mutex, PoisonError};

use super::error::ViewError;
use super::guesses::Hunch;
use super::layout::{UnitData, UnitIndex};
use super::reading::Reading;
use super::{FormAnswer, FormFile, Opened, Original, View, Views};
use crate::mem::{Counted, page_bytes};

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
    reading: Reading,
    /// All of the file, where it is made in one piece.
    whole: Option<Arc<Counted<Vec<u8>>>>,
    hunch: Mutex<Hunch>,
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
        let reading = Reading::new(self.clone(), image.clone(), kind, layout.clone());
        let hunch = Mutex::default();
        Ok(Some(ViewFile::Rendered(RenderedFile { reading, whole, hunch })))
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
        let end = offset.saturating_add(length as u64).min(self.reading.layout.size());
        if offset >= end {
            return Some(Vec::new());
        }
        let Reading { views, image, kind, rows, .. } = &self.reading;
        if let Some(rows) = rows.as_ref().filter(|rows| rows.start() <= offset) {
            let bytes = rows.read_now(views, image, offset..end)?;
            self.reading.note_here(offset, end);
            return Some(bytes);
        }
        let (first, last) =
            (self.reading.layout.unit_at(offset), self.reading.layout.unit_at(end - 1));
        let mut bytes = Vec::new();
        for unit in first..=last {
            let held = views.kept.units.get(&(image.id, *kind, unit))?;
            self.append(&mut bytes, unit, &held, offset, end);
        }
        self.reading.note_here(offset, end);
        Some(bytes)
    }

    /// The bytes of a range; shorter only where the file ends.
    ///
    /// # Errors
    /// What fetching or decoding failed with; never bytes that are partly right.
    pub async fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, ViewError> {
        let end = offset.saturating_add(length as u64).min(self.reading.layout.size());
        let mut bytes = Vec::with_capacity(end.saturating_sub(offset) as usize);
        if offset >= end {
            return Ok(bytes);
        }
        let is_alone = self.reading.note(offset, end).await;
        let Reading { views, image, kind, layout, rows, .. } = &self.reading;
        if let Some(rows) = rows
            && end > rows.start()
        {
            let head = self.reading.layout.encode(0, UnitData::Nothing);
            let start = offset.max(rows.start());
            bytes.extend_from_slice(&head[(offset as usize).min(head.len())..]);
            bytes.extend(rows.read(views, image, start..end, is_alone).await?);
            return Ok(bytes);
        }
        for unit in self.reading.layout.unit_at(offset)..=self.reading.layout.unit_at(end - 1) {
            let held = views.unit(image, *kind, layout, unit).await?;
            self.append(&mut bytes, unit, &held, offset, end);
        }
        Ok(bytes)
    }

    /// Whether to refuse a read of the kernel's page cache: one that it makes on its own account,
    /// most likely, and for which tiles would be decoded that nobody wants. It then asks for the
    /// page that a program waits for, and that is never refused. `guesses` has the evidence.
    pub fn refuses(&self, offset: u64, length: usize) -> bool {
        let end = offset.saturating_add(length as u64).min(self.reading.layout.size());
        if self.whole.is_some() || !self.reading.kind.has_windows() || offset >= end {
            return false;
        }
        let range = offset..end;
        let mut hunch = self.hunch.lock().unwrap_or_else(PoisonError::into_inner);
        if length <= page_bytes() {
            let wanted = hunch.note_page(offset);
            drop(hunch);
            if let Some(wanted) = wanted {
                self.reading.begin_all(wanted);
            }
            return false;
        }
        let Some(guess) = hunch.guess(&range, self.reading.end()) else { return false };
        if self.reading.is_in_order() {
            return false;
        }
        let is_needless = match self.reading.missing(range.clone()) {
            0 => false,
            // Whichever of its pages is wanted, it would take the same tile.
            1 => guess.is_near,
            _ => true,
        };
        let is_refused = is_needless && self.reading.image.refused(self.reading.kind).note(&range);
        if is_refused {
            hunch.note_refused(range, guess);
        }
        is_refused
    }

    fn append(&self, bytes: &mut Vec<u8>, unit: UnitIndex, held: &[u8], offset: u64, end: u64) {
        let range = self.reading.layout.unit_range(unit);
        let from = offset.max(range.start) - range.start;
        let to = end.min(range.end) - range.start;
        bytes.extend_from_slice(&held[from as usize..to as usize]);
    }
}
