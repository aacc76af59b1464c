//! Pixels that are no measurements, as the values that a preview shows of them: the colors of
//! a palette, the magnitude of a complex value, the light that inks leave.

use std::sync::Arc;

use super::lab;
use crate::raster::{Color, Pixels, RasterInfo, SampleType};

/// What a preview makes of pixels before it averages them.
#[derive(Debug, Clone)]
pub(super) enum Shown {
    /// What they are.
    AsTheyAre,
    /// Red, green and blue of an index.
    Colors { palette: Arc<[[u8; 3]]>, sample: SampleType },
    /// The magnitude of each pair, as a float of 64 bits.
    Magnitudes(SampleType),
    /// Red, green and blue of L*, a* and b*.
    Lab(SampleType),
    /// Red, green and blue of cyan, magenta, yellow and black, of 8 bits.
    Inks,
}

impl Shown {
    pub(super) fn of(info: &RasterInfo) -> Self {
        match (&info.extras.palette, info.color) {
            (Some(palette), Color::Palette) => {
                Shown::Colors { palette: palette.clone(), sample: info.sample }
            }
            (_, Color::Lab) => Shown::Lab(info.sample),
            (_, Color::Cmyk) if info.sample == SampleType::U8 => Shown::Inks,
            _ if info.extras.is_complex => Shown::Magnitudes(info.sample),
            _ => Shown::AsTheyAre,
        }
    }

    /// The type of a shown sample, and the bytes of a shown pixel.
    pub(super) fn sizes(&self, info: &RasterInfo) -> (SampleType, usize) {
        match self {
            Shown::AsTheyAre => (info.sample, info.pixel_bytes()),
            Shown::Colors { .. } | Shown::Inks | Shown::Lab(_) => (SampleType::U8, 3),
            Shown::Magnitudes(_) => (SampleType::F64, usize::from(info.bands) / 2 * 8),
        }
    }

    /// What is shown of pixels; `None` if it is the pixels themselves.
    pub(super) fn pixels(&self, pixels: &Pixels) -> Option<Pixels> {
        let samples: Vec<u8> = match self {
            Shown::AsTheyAre => return None,
            Shown::Colors { palette, sample } => {
                let color = |index: usize| palette.get(index).copied().unwrap_or_default();
                match sample {
                    SampleType::U16 => {
                        let indexes = pixels.samples.as_chunks::<2>().0.iter();
                        indexes.flat_map(|i| color(u16::from_ne_bytes(*i).into())).collect()
                    }
                    _ => pixels.samples.iter().flat_map(|&i| color(i.into())).collect(),
                }
            }
            Shown::Lab(sample) => lab::rgb(&pixels.samples, sample.bytes()),
            Shown::Magnitudes(sample) => magnitudes(&pixels.samples, *sample),
            Shown::Inks => {
                let light = |ink: u8, black: u8| {
                    let product = u32::from(255 - ink) * u32::from(255 - black);
                    ((product + 127) / 255) as u8
                };
                let inks = pixels.samples.as_chunks::<4>().0.iter();
                inks.flat_map(|&[c, m, y, k]| [light(c, k), light(m, k), light(y, k)]).collect()
            }
        };
        Some(Pixels { rect: pixels.rect, samples: samples.into() })
    }
}

fn magnitudes(samples: &[u8], sample: SampleType) -> Vec<u8> {
    macro_rules! pairs {
        ($number:ty, $twice:expr) => {{
            let part = |bytes: &[u8]| {
                let bytes = bytes.first_chunk().copied().unwrap_or_default();
                <$number>::from_ne_bytes(bytes) as f64
            };
            let pairs = samples.as_chunks::<$twice>().0.iter();
            let magnitude = |pair: &[u8; $twice]| {
                let (real, imaginary) = pair.split_at($twice / 2);
                part(real).hypot(part(imaginary)).to_ne_bytes()
            };
            pairs.flat_map(magnitude).collect()
        }};
    }
    match sample {
        SampleType::I16 => pairs!(i16, 4),
        SampleType::I32 => pairs!(i32, 8),
        SampleType::F32 => pairs!(f32, 8),
        SampleType::F64 => pairs!(f64, 16),
        // No other type comes in pairs.
        _ => vec![0; samples.len() / sample.bytes() * 4],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::Rect;
    use crate::view::layout::check;

    fn shown(info: &RasterInfo, samples: &[u8]) -> Vec<u8> {
        let rect = Rect { x: 0, y: 0, width: info.width, height: info.height };
        let pixels = Pixels { rect, samples: samples.to_vec().into() };
        Shown::of(info).pixels(&pixels).unwrap().samples.to_vec()
    }

    #[test]
    fn an_index_is_shown_as_its_color_and_one_without_as_black() {
        let mut info = check::info(3, 1, 1, SampleType::U8);
        info.color = Color::Palette;
        info.extras.palette = Some(vec![[1, 2, 3], [4, 5, 6]].into());
        assert_eq!(shown(&info, &[1, 0, 2]), [4, 5, 6, 1, 2, 3, 0, 0, 0]);
    }

    #[test]
    fn a_complex_value_is_shown_as_its_magnitude() {
        let mut info = check::info(1, 1, 2, SampleType::F32);
        info.extras.is_complex = true;
        let pair = [3f32.to_ne_bytes(), 4f32.to_ne_bytes()].concat();
        assert_eq!(shown(&info, &pair), 5f64.to_ne_bytes());
    }

    #[test]
    fn inks_are_shown_as_the_light_that_they_leave() {
        let mut info = check::info(3, 1, 4, SampleType::U8);
        info.color = Color::Cmyk;
        let inks = [0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 255];
        assert_eq!(shown(&info, &inks), [255, 255, 255, 0, 255, 255, 0, 0, 0]);
    }
}
