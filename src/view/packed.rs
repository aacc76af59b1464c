//! The compressed PNG: made whole before its size is known, then kept as one piece.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt};

use super::error::ViewError;
use super::image::Image;
use super::layout::{PackedPng, PngLayout, UnitIndex, UnitInput};
use super::{PngCompression, ViewKind, Views};
use crate::mem::Counted;
use crate::raster::RasterError;

/// Where the whole file is kept among the units.
const WHOLE: UnitIndex = UnitIndex::MAX;

impl Views {
    /// Whether this sibling's size is only known once it is made.
    pub(super) fn is_packed(&self, image: &Image, kind: ViewKind) -> bool {
        kind == ViewKind::Png
            && self.config.png_compression == PngCompression::Fast
            && image.layout(kind).is_ok()
    }

    /// The compressed PNG of an image, all of it.
    pub(super) async fn packed(
        self: &Arc<Self>,
        image: &Arc<Image>,
    ) -> Result<Arc<Counted<Vec<u8>>>, ViewError> {
        let key = (image.id, ViewKind::Png, WHOLE);
        let (views, image) = (self.clone(), image.clone());
        let made = self.units.get_or_make(key, move || async move {
            let file = views.pack(&image).await?;
            let size = file.len() as u64;
            image.note_packed_size(size);
            Ok((file, size))
        });
        made.wait().await
    }

    async fn pack(self: &Arc<Self>, image: &Arc<Image>) -> Result<Vec<u8>, ViewError> {
        let broken = |reason: String| image.error(RasterError::Unsupported(reason));
        let stored = PngLayout::new(image.info()).map_err(|reason| broken(reason.to_string()))?;
        let png = Arc::new(PackedPng::new(stored));
        let mut bands = stream::iter(png.inputs())
            .map(|(unit, input)| {
                let (views, image, png) = (self.clone(), image.clone(), png.clone());
                async move {
                    let UnitInput::Pixels { level, rect } = input else { return Ok(None) };
                    let pixels = views.rectangle(&image, level, rect).await?;
                    views.compute(&image, move || png.band(unit, &pixels).ok()).await
                }
            })
            .buffered(self.cores * 2);
        let mut file = png.start();
        // It is held in one piece, beside the pixels that it is made of.
        let mut counted = self.budget.charge(0);
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
