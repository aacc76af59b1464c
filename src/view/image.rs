//! One state of an image whose header was read: which siblings it has, how
//! large they are, and the checksums that were worked out so far.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::error::{Reported, ViewError};
use super::layout::{
    JsonLayout, Layout, NoView, NpyLayout, ObjectFacts, PngLayout, TiffLayout, UnitIndex, ViewFact,
};
use super::reduce::{PreviewPlan, preview_is_rgb, preview_plan};
use super::{Original, ViewKind};
use crate::raster::{Raster, RasterError, RasterInfo};

/// A layout, or why there is none.
type Planned = Result<Arc<dyn Layout>, NoView>;

/// An image with its siblings.
#[derive(Debug)]
pub(super) struct Image {
    /// Names the original in the caches; cheaper to compare than the original itself.
    pub(super) id: u64,
    original: Original,
    pub(super) raster: Arc<dyn Raster>,
    pub(super) preview: PreviewPlan,
    layouts: [OnceLock<Planned>; ViewKind::ALL.len()],
    checksums: Mutex<HashMap<(ViewKind, UnitIndex), u32>>,
    packed_size: OnceLock<u64>,
    reported: Reported,
}

impl Image {
    pub(super) fn new(
        id: u64,
        original: Original,
        raster: Arc<dyn Raster>,
        preview_size: u32,
    ) -> Self {
        let preview = preview_plan(raster.info(), preview_size);
        Image {
            id,
            original,
            raster,
            preview,
            layouts: Default::default(),
            checksums: Mutex::default(),
            packed_size: OnceLock::new(),
            reported: Reported::default(),
        }
    }

    pub(super) fn info(&self) -> &RasterInfo {
        self.raster.info()
    }

    /// What decoding it failed with.
    pub(super) fn error(&self, error: RasterError) -> ViewError {
        ViewError::new(self.original.name(), error, &self.reported)
    }

    /// The layout of a sibling, or why it does not exist.
    pub(super) fn layout(&self, kind: ViewKind) -> &Planned {
        self.layouts[kind as usize].get_or_init(|| self.plan(kind))
    }

    fn plan(&self, kind: ViewKind) -> Planned {
        fn shared<L: Layout + 'static>(layout: L) -> Arc<dyn Layout> {
            Arc::new(layout)
        }
        let info = self.info();
        if kind != ViewKind::Json
            && let Some(reason) = &info.unsupported
        {
            return Err(NoView::new(reason.clone()));
        }
        match kind {
            ViewKind::Png => PngLayout::new(info).map(shared),
            ViewKind::Npy => NpyLayout::new(info).map(shared),
            ViewKind::Tif => TiffLayout::new(info).map(shared),
            ViewKind::Preview => {
                let PreviewPlan { width, height, .. } = self.preview;
                PngLayout::for_preview(width, height, preview_is_rgb(info)).map(shared)
            }
            ViewKind::Json => Ok(shared(self.json())),
        }
    }

    fn json(&self) -> JsonLayout {
        let fact = |kind: ViewKind| {
            let missing = match kind {
                ViewKind::Json => None,
                other => self.layout(other).as_ref().err().map(NoView::to_string),
            };
            ViewFact { name: kind.label(), missing }
        };
        let etag = match &self.original {
            Original::Object(_) => {
                Some(self.original.etag().map_or("", |etag| etag.as_str().trim_matches('"')))
            }
            Original::File(_) => None,
        };
        let object = ObjectFacts { etag, bytes: self.original.size() };
        JsonLayout::new(self.info(), object, &ViewKind::ALL.map(fact))
    }

    /// The size of the compressed PNG, if it was made before.
    pub(super) fn packed_size(&self) -> Option<u64> {
        self.packed_size.get().copied()
    }

    pub(super) fn note_packed_size(&self, bytes: u64) {
        self.packed_size.get_or_init(|| bytes);
    }

    /// The checksum of a unit, if it was made before.
    pub(super) fn checksum(&self, kind: ViewKind, unit: UnitIndex) -> Option<u32> {
        self.checksums.lock().unwrap_or_else(PoisonError::into_inner).get(&(kind, unit)).copied()
    }

    pub(super) fn note_checksum(&self, kind: ViewKind, unit: UnitIndex, checksum: u32) {
        let mut known = self.checksums.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert((kind, unit), checksum);
    }
}
