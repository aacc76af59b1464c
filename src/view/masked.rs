//! An image that PNG holds otherwise than it is: with opacity, where a mask says which pixels
//! are valid; CIE L*a*b* of 8 bits in red, green and blue.
//!
//! Contract: a pixel that is valid is as opaque as the image says, one that is not is
//! transparent; the samples stay what they are. Where each band has a mask of its own, a pixel is
//! valid if one of its bands is that is shown. A palette becomes its colors, and of RGB with
//! further bands red, green and blue are left, as without a mask.

use std::borrow::Cow;

use super::lab;
use crate::raster::{Color, Extras, Pixels, RasterInfo, SampleType};

/// What a PNG of an image is told of it.
pub(super) fn png_info(info: &RasterInfo) -> Cow<'_, RasterInfo> {
    let is_masked = !info.extras.masked.is_empty();
    let shown = match bands_shown(info) {
        Some(1) => (Color::GrayAlpha, 2),
        Some(_) if is_masked => (Color::Rgba, 4),
        Some(_) => (Color::Rgb, 3),
        None => return Cow::Borrowed(info),
    };
    Cow::Owned(RasterInfo {
        color: shown.0,
        bands: shown.1,
        bit_depth: info.sample.bytes() as u8 * 8,
        extras: Extras { palette: None, ..info.extras.clone() },
        ..info.clone()
    })
}

/// Whether a PNG has other samples than the image.
pub(super) fn is_converted(info: &RasterInfo) -> bool {
    bands_shown(info).is_some()
}

/// How many bands a PNG shows beside opacity; none if it has the samples of the image.
fn bands_shown(info: &RasterInfo) -> Option<usize> {
    if (info.color, info.bands, info.sample) == (Color::Lab, 3, SampleType::U8) {
        return Some(3);
    }
    if info.extras.masked.is_empty() || !matches!(info.sample, SampleType::U8 | SampleType::U16) {
        return None;
    }
    match (info.color, info.bands) {
        (Color::Gray | Color::Bands, 1) | (Color::GrayAlpha, 2) => Some(1),
        (Color::Rgb | Color::Bands, 3) | (Color::RgbBands, 4..) | (Color::Rgba, 4) => Some(3),
        (Color::Palette, 1) if info.sample == SampleType::U8 => Some(3),
        _ => None,
    }
}

/// Pixels as [`png_info`] describes them, of a rectangle that the mask has too, if there is one.
pub(super) fn png_pixels(info: &RasterInfo, mut pixels: Pixels, mask: Option<&Pixels>) -> Pixels {
    let Some(shown) = bands_shown(info) else { return pixels };
    if info.color == Color::Lab {
        pixels.samples = lab::rgb(&pixels.samples, 1).into();
    }
    let Some(mask) = mask else { return pixels };
    let size = info.sample.bytes();
    let palette = info.extras.palette.as_ref().filter(|_| info.color == Color::Palette);
    let opacity = match info.color {
        Color::GrayAlpha => Some(size),
        Color::Rgba => Some(3 * size),
        _ => None,
    };
    let pixel_count = pixels.samples.len() / info.pixel_bytes().max(1);
    let mut samples = Vec::with_capacity(pixel_count * (shown + 1) * size);
    let masks = mask.samples.chunks_exact(info.mask_bytes().max(1));
    for (pixel, mask) in pixels.samples.chunks_exact(info.pixel_bytes()).zip(masks) {
        let is_valid = mask.iter().take(shown).any(|valid| *valid != 0);
        match palette {
            Some(colors) => {
                samples.extend(colors.get(usize::from(pixel[0])).copied().unwrap_or_default());
            }
            None => samples.extend_from_slice(&pixel[..shown * size]),
        }
        match (is_valid, opacity) {
            (false, _) => samples.extend([0; 2].iter().take(size)),
            (_, Some(at)) => samples.extend_from_slice(&pixel[at..at + size]),
            (_, None) => samples.extend([255; 2].iter().take(size)),
        }
    }
    Pixels { rect: pixels.rect, samples: samples.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::Rect;
    use crate::view::layout::check;

    /// An image of two pixels, of which the second is not valid.
    fn shown(
        color: Color,
        bands: u16,
        sample: SampleType,
        samples: &[u8],
    ) -> (Color, u16, Vec<u8>) {
        let mut info = RasterInfo { color, ..check::info(2, 1, bands, sample) };
        info.extras.masked = vec![true];
        info.extras.palette = Some(vec![[9, 8, 7], [6, 5, 4]].into());
        let rect = Rect { x: 0, y: 0, width: 2, height: 1 };
        let mask = Pixels { rect, samples: vec![1, 0].into() };
        let told = png_info(&info);
        let pixels = Pixels { rect, samples: samples.to_vec().into() };
        let pixels = png_pixels(&info, pixels, Some(&mask));
        assert_eq!(pixels.samples.len(), 2 * told.pixel_bytes());
        (told.color, told.bands, pixels.samples.to_vec())
    }

    #[test]
    fn what_is_not_valid_is_transparent_and_all_else_as_opaque_as_it_was() {
        use Color::{Bands, Cmyk, Gray, GrayAlpha, Palette, Rgb, RgbBands, Rgba};
        let byte = SampleType::U8;
        assert_eq!(shown(Gray, 1, byte, &[5, 6]), (GrayAlpha, 2, vec![5, 255, 6, 0]));
        let wide = shown(Bands, 1, SampleType::U16, &[1, 2, 3, 4]);
        assert_eq!(wide, (GrayAlpha, 2, vec![1, 2, 255, 255, 3, 4, 0, 0]));
        let soft = shown(GrayAlpha, 2, byte, &[5, 77, 6, 78]);
        assert_eq!(soft, (GrayAlpha, 2, vec![5, 77, 6, 0]));
        let rgb = shown(Rgb, 3, byte, &[1, 2, 3, 4, 5, 6]);
        assert_eq!(rgb, (Rgba, 4, vec![1, 2, 3, 255, 4, 5, 6, 0]));
        let many = shown(RgbBands, 5, byte, &[1, 2, 3, 0, 0, 4, 5, 6, 0, 0]);
        assert_eq!(many.2, [1, 2, 3, 255, 4, 5, 6, 0]);
        assert_eq!(shown(Palette, 1, byte, &[1, 0]).2, [6, 5, 4, 255, 9, 8, 7, 0]);
        // A pixel is valid if one of the bands that are shown is.
        let mut info = RasterInfo { color: RgbBands, ..check::info(2, 1, 4, byte) };
        info.extras.masked = vec![true];
        info.extras.has_mask_of_each_band = true;
        let rect = Rect { x: 0, y: 0, width: 2, height: 1 };
        let pixels = Pixels { rect, samples: vec![1, 2, 3, 0, 4, 5, 6, 0].into() };
        let mask = Pixels { rect, samples: vec![0, 1, 0, 0, 0, 0, 0, 1].into() };
        let apart = png_pixels(&info, pixels, Some(&mask)).samples;
        assert_eq!(apart[..], [1, 2, 3, 255, 4, 5, 6, 0]);
        // What PNG can't hold stays what it is.
        assert_eq!(shown(Cmyk, 4, byte, &[1; 8]), (Cmyk, 4, vec![1; 8]));
        assert_eq!(shown(Gray, 1, SampleType::F32, &[1; 8]), (Gray, 1, vec![1; 8]));
    }
}
