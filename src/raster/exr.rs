//! What the header of an OpenEXR file says and the `image` crate does not ask.

use std::io::{BufRead, Seek};

use exr::meta::MetaData;

use super::RasterError;
use super::error::corrupt;

/// What decoding takes besides the file and the pixels of the display window: the
/// pixels that are stored, which may be many more than are shown, and one more copy
/// of those that are shown, as the decoder gathers them before it gives them out.
///
/// # Errors
/// [`RasterError::Corrupt`] if there is no such header. The file is rewound.
pub(super) fn scratch_bytes<R: BufRead + Seek>(file: &mut R) -> Result<u64, RasterError> {
    let meta = MetaData::read_from_buffered(&mut *file, false);
    let meta = meta.map_err(|error| corrupt(error.to_string()))?;
    file.rewind().map_err(|_| corrupt("its header ends early"))?;
    let pixels = |size: exr::math::Vec2<usize>| (size.0 as u64).saturating_mul(size.1 as u64);
    let of_layer = |layer: &exr::meta::header::Header| {
        let stored =
            (layer.channels.bytes_per_pixel as u64).saturating_mul(pixels(layer.layer_size));
        let shown = pixels(layer.shared_attributes.display_window.size).saturating_mul(16);
        stored.saturating_add(shown)
    };
    Ok(meta.headers.iter().map(of_layer).fold(0, u64::saturating_add))
}
