//! Compressed PNGs: made whole before their size is known, then kept as one piece.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt};

use super::error::ViewError;
use super::image::Image;
use super::layout::{PackedPng, UnitIndex, UnitInput};
use super::{PngCompression, ViewKind, Views};
use crate::mem::{Counted, Use};
use crate::raster::{Pixels, RasterError, Rect};

/// Where the whole file is kept among the units.
const WHOLE: UnitIndex = UnitIndex::MAX;

impl Views {
    /// Whether this sibling's size is only known once it is made.
    pub(super) fn is_packed(&self, image: &Image, kind: ViewKind) -> bool {
        matches!(kind, ViewKind::Png | ViewKind::Preview)
            && self.config.png_compression == PngCompression::Fast
            && image.layout(kind).is_ok()
    }

    /// The compressed PNG of an image or of its preview, all of it.
    pub(super) async fn packed(
        self: &Arc<Self>,
        image: &Arc<Image>,
        kind: ViewKind,
    ) -> Result<Arc<Counted<Vec<u8>>>, ViewError> {
        let key = (image.id, kind, WHOLE);
        let (views, image) = (self.clone(), image.clone());
        let made = self.kept.units.get_or_make(key, move || async move {
            let file = match views.kept_unit(&image, kind, WHOLE).await {
                Some(file) => file,
                None => {
                    let file = views.pack(&image, kind).await?;
                    views.keep_unit(&image, kind, WHOLE, &file);
                    file
                }
            };
            let size = file.len() as u64;
            image.note_packed_size(kind, size);
            Ok((file, size))
        });
        made.wait().await
    }

    async fn pack(
        self: &Arc<Self>,
        image: &Arc<Image>,
        kind: ViewKind,
    ) -> Result<Vec<u8>, ViewError> {
        let broken = |reason: String| image.error(RasterError::Unsupported(reason));
        let stored = match kind {
            ViewKind::Preview => image.preview_png(),
            _ => image.png(),
        };
        let png = Arc::new(PackedPng::new(stored.map_err(|reason| broken(reason.to_string()))?));
        let mut bands = stream::iter(png.inputs())
            .map(|(unit, input)| {
                let (views, image, png) = (self.clone(), image.clone(), png.clone());
                async move {
                    let UnitInput::Pixels { rect, .. } = input else { return Ok(None) };
                    let pixels = match kind {
                        ViewKind::Preview => rows_of(&*views.preview(&image).await?, rect),
                        _ => views.png_pixels(&image, rect).await?,
                    };
                    views.compute(&image, move || png.band(unit, &pixels).ok()).await
                }
            })
            .buffered(self.cores * 2);
        let mut file = png.start();
        // It is held in one piece, beside the pixels that it is made of.
        let mut counted = self.budget.charge(0).of(Use::Images);
        let mut made = Vec::new();
        while let Some(band) = bands.next().await {
            let mut band = band?.ok_or_else(|| broken("it could not be compressed".to_owned()))?;
            file.append(&mut band.chunk);
            let size = file.len() as u64;
            self.room.check(size.saturating_mul(2)).map_err(|error| image.error(error))?;
            counted.resize(size);
            made.push(band);
        }
        file.extend(png.end(&made));
        Ok(file)
    }
}

/// Some whole rows of a picture.
fn rows_of(pixels: &Pixels, rect: Rect) -> Pixels {
    let row_bytes = pixels.samples.len() / pixels.rect.height.max(1) as usize;
    let (start, end) = (rect.y as usize, (rect.y + rect.height) as usize);
    Pixels { rect, samples: pixels.samples.slice(start * row_bytes..end * row_bytes) }
}
