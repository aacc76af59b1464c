//! Turning a preview the way up that its file says.

use crate::raster::{Pixels, Rect};

/// The pixels, turned and mirrored as EXIF's orientation says, from 1 (as they are) to 8.
pub(super) fn upright(pixels: Pixels, orientation: u8, pixel_bytes: usize) -> Pixels {
    let (width, height) = (pixels.rect.width as usize, pixels.rect.height as usize);
    let is_turned = orientation >= 5;
    let (to_width, to_height) = if is_turned { (height, width) } else { (width, height) };
    if !(2..=8).contains(&orientation) {
        return pixels;
    }
    let mut samples = Vec::with_capacity(pixels.samples.len());
    for y in 0..to_height {
        for x in 0..to_width {
            // Where this pixel was: EXIF 2.3, table 6.
            let (from_x, from_y) = match orientation {
                2 => (width - 1 - x, y),
                3 => (width - 1 - x, height - 1 - y),
                4 => (x, height - 1 - y),
                5 => (y, x),
                6 => (y, height - 1 - x),
                7 => (width - 1 - y, height - 1 - x),
                _ => (width - 1 - y, x),
            };
            let at = (from_y * width + from_x) * pixel_bytes;
            samples.extend_from_slice(&pixels.samples[at..at + pixel_bytes]);
        }
    }
    let rect = Rect { x: 0, y: 0, width: to_width as u32, height: to_height as u32 };
    Pixels { rect, samples: samples.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    // Under another name: `image` is hidden from this room's code.
    use ::image as other;
    use other::{DynamicImage, RgbImage, metadata::Orientation};

    #[test]
    fn each_orientation_is_what_another_program_makes_of_it() {
        let (width, height) = (5, 3);
        let samples: Vec<u8> = (0..width * height * 3).map(|n| n as u8).collect();
        for orientation in 1..=8 {
            let mut image: DynamicImage =
                RgbImage::from_raw(width, height, samples.clone()).unwrap().into();
            image.apply_orientation(Orientation::from_exif(orientation).unwrap());
            let rect = Rect { x: 0, y: 0, width, height };
            let pixels = Pixels { rect, samples: samples.clone().into() };
            let turned = upright(pixels, orientation, 3);
            assert_eq!((turned.rect.width, turned.rect.height), (image.width(), image.height()));
            assert_eq!(turned.samples, image.as_bytes(), "{orientation}");
        }
    }
}
