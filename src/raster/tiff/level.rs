//! An image of a file at one size, with the file that it lies in: an overview or a mask may lie
//! in another one than the image.

use std::sync::Arc;

use super::image::{Kind, TiffImage};
use crate::raster::fetch::Expected;
use crate::raster::file::File;

/// A file that images lie in.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) file: File,
    /// What will be read of it soon.
    pub(super) expected: Expected,
}

impl Home {
    pub(super) fn new(file: File) -> Arc<Self> {
        Arc::new(Home { file, expected: Expected::default() })
    }
}

/// An image, or its mask, at one size.
#[derive(Debug, Clone)]
pub(super) struct Level {
    pub(super) image: Arc<TiffImage>,
    pub(super) home: Arc<Home>,
}

impl Level {
    pub(super) fn new(image: TiffImage, home: &Arc<Home>) -> Self {
        Level { image: Arc::new(image), home: home.clone() }
    }

    /// The mask that an image is, if it can be one: each pixel is 0 where another image's is
    /// not valid. It has one band for all bands of `of`, or one for each.
    pub(super) fn mask(mut image: TiffImage, of: &TiffImage, home: &Arc<Home>) -> Option<Self> {
        let is_one = (image.samples == 1 || (image.samples == of.samples && !of.stored.is_complex))
            && image.stored.kind == Kind::Unsigned
            && matches!(image.stored.bits, 1 | 8)
            && image.unsupported.is_none();
        // What is stored is what counts, whichever of the two is called white.
        image.decoding.is_inverted = false;
        image.decoding.is_mask = true;
        is_one.then(|| Level::new(image, home))
    }

    /// Columns and rows.
    pub(super) fn size(&self) -> (u32, u32) {
        (self.image.geometry.width, self.image.geometry.height)
    }
}
