//! One state of an image whose header was read: which siblings it has, how
//! large they are, and the checksums that were worked out so far.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::error::{Reported, ViewError};
use super::guesses::Refused;
use super::layout::{
    JsonLayout, Layout, NoView, NpyLayout, ObjectFacts, PngLayout, TiffLayout, UnitIndex, ViewFact,
};
use super::masked::png_info;
use super::reduce::{PreviewPlan, ShownBands};
use super::{Original, View, ViewKind, ViewSet};
use crate::raster::{Picture, Raster, RasterError, RasterInfo};

/// Kinds that are made without decoding.
const FORMS: usize = ViewKind::ALL.len() - ViewKind::LISTED.len();

/// A layout, or why there is none.
type Planned = Result<Arc<dyn Layout>, NoView>;

/// An image with its siblings.
#[derive(Debug)]
pub(super) struct Image {
    /// Names the original in the caches; cheaper to compare than the original itself.
    pub(super) id: u64,
    original: Original,
    /// What messages call it.
    name: String,
    pub(super) raster: Arc<dyn Raster>,
    pub(super) preview: PreviewPlan,
    /// Which of its pixels are valid.
    pub(super) mask: Option<Arc<Image>>,
    /// Whether it says that of another one.
    pub(super) is_mask: bool,
    layouts: [OnceLock<Planned>; ViewKind::LISTED.len()],
    /// How large the siblings are that are made without decoding, or why they do not exist.
    forms: [OnceLock<Result<u64, NoView>>; FORMS],
    checksums: Mutex<HashMap<(ViewKind, UnitIndex), u32>>,
    packed_sizes: [OnceLock<u64>; ViewKind::LISTED.len()],
    /// What was refused of reads that nobody had asked for, most likely.
    refused: [Refused; ViewKind::LISTED.len()],
    reported: Reported,
    /// Whether the log says which siblings do not exist.
    is_told: AtomicBool,
}

impl Image {
    pub(super) fn new(
        id: u64,
        original: Original,
        name: String,
        raster: Arc<dyn Raster>,
        preview: PreviewPlan,
    ) -> Self {
        Image {
            id,
            original,
            name,
            raster,
            preview,
            mask: None,
            is_mask: false,
            layouts: Default::default(),
            forms: Default::default(),
            checksums: Mutex::default(),
            packed_sizes: Default::default(),
            refused: Default::default(),
            reported: Reported::default(),
            is_told: AtomicBool::new(false),
        }
    }

    /// With an image that says which pixels are valid.
    pub(super) fn with_mask(self, mask: Image) -> Self {
        Image { mask: Some(Arc::new(Image { is_mask: true, ..mask })), ..self }
    }

    /// What it was read from.
    pub(super) fn original(&self) -> &Original {
        &self.original
    }

    pub(super) fn info(&self) -> &RasterInfo {
        self.raster.info()
    }

    /// What decoding it failed with.
    pub(super) fn error(&self, error: RasterError) -> ViewError {
        ViewError::new(&self.name, error, &self.reported)
    }

    /// The layout of a sibling that is made from pixels, or why it does not exist.
    pub(super) fn layout(&self, kind: ViewKind) -> &Planned {
        self.layouts[kind as usize].get_or_init(|| self.plan(kind))
    }

    /// The size of a sibling that is made without decoding, or why it does not exist, if that
    /// is known by now.
    pub(super) fn form_size(&self, kind: ViewKind) -> Option<&Result<u64, NoView>> {
        let place = &self.forms[kind as usize - ViewKind::LISTED.len()];
        if place.get().is_none()
            && let Some(size) = kind.form().and_then(|form| self.raster.form_size(form))
        {
            place.get_or_init(|| Ok(size));
        }
        place.get()
    }

    /// Notes the size of a sibling that was made without decoding, or why it does not exist.
    pub(super) fn note_form(&self, kind: ViewKind, size: Result<u64, NoView>) {
        self.forms[kind as usize - ViewKind::LISTED.len()].get_or_init(|| size);
    }

    /// Says once in the log which of these siblings do not exist, and why.
    pub(super) fn tell_missing(&self, kinds: ViewSet) {
        if self.is_told.swap(true, Ordering::Relaxed) {
            return;
        }
        for kind in kinds.listed() {
            if let Err(reason) = self.layout(kind) {
                let name = self.original.name().escape_debug();
                let page = self.info().extras.page.map(|page| page.number);
                let page = page.and_then(NonZeroU32::new).filter(|page| page.get() > 1);
                let suffix = View { page, kind }.suffix();
                tracing::info!("{name}{suffix} does not exist: {reason}");
            }
        }
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
            ViewKind::Png => self.png().map(shared),
            ViewKind::Npy => NpyLayout::new(info).map(shared),
            ViewKind::Tif => TiffLayout::new(info).map(shared),
            ViewKind::Preview => self.preview_png().map(shared),
            ViewKind::Json => Ok(shared(self.json())),
            form => Err(NoView::new(format!("{} is not made from pixels", form.suffix()))),
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
        let etag = self.original.version().map(|version| {
            version.etag.as_ref().map_or("", |etag| etag.as_str().trim_matches('"'))
        });
        let object = ObjectFacts { etag, bytes: self.original.size() };
        JsonLayout::new(self.info(), object, &ViewKind::LISTED.map(fact))
    }

    /// The PNG of its pixels, with the profile of their colors; with opacity where a mask says
    /// which are valid.
    pub(super) fn png(&self) -> Result<PngLayout, NoView> {
        let profile = self.picture().map_or(&[][..], |picture| &picture.profile);
        Ok(PngLayout::new(&png_info(self.info()))?.with_profile(profile))
    }

    /// The PNG of its preview, the way up that its file says.
    pub(super) fn preview_png(&self) -> Result<PngLayout, NoView> {
        let PreviewPlan { width, height, bands, .. } = self.preview;
        let is_turned = self.picture().is_some_and(Picture::is_turned);
        let (width, height) = if is_turned { (height, width) } else { (width, height) };
        PngLayout::for_preview(width, height, matches!(bands, ShownBands::Rgb(_)))
    }

    /// How its picture is to be shown, where its file says so.
    pub(super) fn picture(&self) -> Option<&Picture> {
        self.raster.picture()
    }

    /// How its preview is to be turned, as EXIF's orientation says it.
    pub(super) fn orientation(&self) -> u8 {
        let mirrored = if self.info().extras.is_bottom_up { 4 } else { 1 };
        self.picture().map_or(mirrored, |picture| picture.orientation)
    }

    /// What was refused of a sibling that is made from pixels.
    pub(super) fn refused(&self, kind: ViewKind) -> &Refused {
        &self.refused[kind as usize]
    }

    /// The size of a compressed PNG, if it was made before.
    pub(super) fn packed_size(&self, kind: ViewKind) -> Option<u64> {
        self.packed_sizes[kind as usize].get().copied()
    }

    pub(super) fn note_packed_size(&self, kind: ViewKind, bytes: u64) {
        self.packed_sizes[kind as usize].get_or_init(|| bytes);
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
