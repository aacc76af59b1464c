//! Animated WebP: each frame is decoded as an image of its own, and put over those before it
//! exactly as libwebp's own player does (RFC 9649, 2.7.1, and the rounding of its blending).

use std::io::Cursor;

use image::codecs::webp::WebPDecoder;
use image::{ColorType, ImageDecoder};

use super::RasterError;
use super::error::corrupt;

/// What says whether a file is animated: that many of its first bytes.
pub(super) const HEAD_BYTES: usize = 21;

/// Whether a WebP that begins like this is animated (VP8X with the flag for it).
pub(super) fn is_animated(head: &[u8; HEAD_BYTES]) -> bool {
    const ANIMATION: u8 = 2;
    head[12..16] == *b"VP8X" && head[20] & ANIMATION != 0
}

/// A part of the canvas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Area {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

impl Area {
    fn has(&self, x: usize, y: usize) -> bool {
        (self.x..self.x + self.width).contains(&x) && (self.y..self.y + self.height).contains(&y)
    }
}

/// A frame, as its chunk describes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    placed: Placed,
    /// The chunks of its image.
    chunks: &'a [u8],
}

/// Where a frame is put, and what becomes of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed {
    area: Area,
    /// Whether it is cleared before the next one.
    is_cleared: bool,
    /// Whether what is behind it shines through.
    is_blended: bool,
}

impl Placed {
    /// Columns and rows.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.area.width, self.area.height)
    }
}

/// What is shown, after some frames: RGBA.
#[derive(Debug)]
pub(super) struct Player {
    size: (usize, usize),
    canvas: Vec<u8>,
    /// The frame before, and whether it began anew.
    before: Option<(Placed, bool)>,
}

impl Player {
    pub(super) fn new((width, height): (usize, usize)) -> Self {
        Player { size: (width, height), canvas: vec![0; width * height * 4], before: None }
    }

    pub(super) fn shown(&self) -> &[u8] {
        &self.canvas
    }

    /// Puts the next frame on the canvas: RGBA; `has_opacity` says whether it may be anything
    /// but opaque.
    ///
    /// # Errors
    /// It lies outside.
    pub(super) fn put(
        &mut self,
        next: &Placed,
        pixels: &[u8],
        has_opacity: bool,
    ) -> Result<(), RasterError> {
        let ((width, height), canvas, area) = (self.size, &mut self.canvas, next.area);
        let whole = Area { x: 0, y: 0, width, height };
        let is_whole = pixels.len() == area.width * area.height * 4;
        if area.x + area.width > width || area.y + area.height > height || !is_whole {
            return Err(corrupt("a frame of it lies outside"));
        }
        // As libwebp: a frame that does not depend on those before it begins anew.
        let is_key = self.before.is_none_or(|(before, was_key)| {
            let covers = area == whole && (!has_opacity || !next.is_blended);
            covers || (before.is_cleared && (before.area == whole || was_key))
        });
        let cleared = self.before.map(|(before, _)| before).filter(|before| before.is_cleared);
        if is_key {
            canvas.fill(0);
        } else if let Some(before) = &cleared {
            for y in before.area.y..before.area.y + before.area.height {
                let start = (y * width + before.area.x) * 4;
                canvas[start..start + before.area.width * 4].fill(0);
            }
        }
        let rows = pixels.chunks_exact(area.width * 4);
        for (y, row) in (area.y..).zip(rows) {
            let to = &mut canvas[(y * width + area.x) * 4..][..area.width * 4];
            let under = to.as_chunks_mut::<4>().0.iter_mut().zip(row.as_chunks::<4>().0);
            for (x, (under, over)) in (area.x..).zip(under) {
                // Where it was cleared there is nothing to blend with.
                let is_blended = next.is_blended
                    && !is_key
                    && !cleared.is_some_and(|before| before.area.has(x, y));
                *under = if is_blended { blended(*over, *under) } else { *over };
            }
        }
        self.before = Some((*next, is_key));
        Ok(())
    }
}

/// The canvas with the first frame of a file on it: RGBA.
///
/// # Errors
/// The frame is damaged or missing.
pub(super) fn first(file: &[u8], size: (usize, usize)) -> Result<Vec<u8>, RasterError> {
    let mut chunks = chunks(file.get(12..).unwrap_or_default());
    let found = chunks.find(|(kind, _)| kind == b"ANMF");
    let (_, body) = found.ok_or_else(|| corrupt("it has fewer frames"))?;
    let frame = frame_of(body)?;
    let (pixels, has_opacity) = decoded(&frame)?;
    let mut player = Player::new(size);
    player.put(&frame.placed, &pixels, has_opacity)?;
    Ok(player.canvas)
}

/// What some bytes of a file, from the start of a chunk on, have.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The chunk of a frame: so many bytes, and so many to the next one.
    Frame(usize, u64),
    /// Something else: so many bytes.
    Other(u64),
    /// A chunk begins here, and goes on behind these bytes.
    Cut,
}

/// The next chunk.
pub(super) fn next(bytes: &[u8]) -> Next {
    let Some([k0, k1, k2, k3, length @ ..]) = bytes.first_chunk::<8>() else { return Next::Cut };
    let length = u64::from(u32::from_le_bytes(*length));
    let (own, all) = (length + 8, length + 8 + length % 2);
    if [*k0, *k1, *k2, *k3] != *b"ANMF" {
        return Next::Other(all);
    }
    match usize::try_from(own).ok().filter(|own| *own <= bytes.len()) {
        Some(own) => Next::Frame(own, all),
        None => Next::Cut,
    }
}

/// The frame of a chunk, with its name and length in front.
///
/// # Errors
/// It ends early.
pub(super) fn frame(chunk: &[u8]) -> Result<Frame<'_>, RasterError> {
    frame_of(chunk.get(8..).unwrap_or_default())
}

/// A pixel over another one, neither multiplied with its opacity.
fn blended(over: [u8; 4], under: [u8; 4]) -> [u8; 4] {
    let opacity = u32::from(over[3]);
    match opacity {
        0 => return under,
        255 => return over,
        _ => {}
    }
    let left = (u32::from(under[3]) * (256 - opacity)) >> 8;
    let sum = opacity + left;
    let scale = (1 << 24) / sum;
    let channel = |n: usize| {
        let mixed = u32::from(over[n]) * opacity + u32::from(under[n]) * left;
        ((u64::from(mixed) * u64::from(scale)) >> 24) as u8
    };
    [channel(0), channel(1), channel(2), sum as u8]
}

/// The frame of which this is the chunk's body.
fn frame_of(body: &[u8]) -> Result<Frame<'_>, RasterError> {
    let number = |at: usize| {
        let bytes = body.get(at..at + 3).ok_or_else(|| corrupt("it ends early"))?;
        Ok::<usize, RasterError>(bytes.iter().rev().fold(0, |all, b| all << 8 | usize::from(*b)))
    };
    let area = Area {
        x: number(0)? * 2,
        y: number(3)? * 2,
        width: number(6)? + 1,
        height: number(9)? + 1,
    };
    let Some([flags, chunks @ ..]) = body.get(15..) else { return Err(corrupt("it ends early")) };
    let placed = Placed { area, is_cleared: flags & 1 != 0, is_blended: flags & 2 == 0 };
    Ok(Frame { placed, chunks })
}

/// The chunks of RIFF, each with its name; the last one as far as it goes.
fn chunks(mut rest: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let ([k0, k1, k2, k3, length @ ..], behind) = rest.split_first_chunk::<8>()?;
        let length = u32::from_le_bytes(*length) as usize;
        let body = &behind[..length.min(behind.len())];
        rest = behind.get(length + length % 2..).unwrap_or_default();
        Some(([*k0, *k1, *k2, *k3], body))
    })
}

/// The pixels of a frame, RGBA, and whether it has any opacity.
fn decoded(frame: &Frame<'_>) -> Result<(Vec<u8>, bool), RasterError> {
    let Area { width, height, .. } = frame.placed.area;
    let broken = |error: image::ImageError| corrupt(format!("a frame of it: {error}"));
    let decoder = WebPDecoder::new(Cursor::new(frame.alone()?)).map_err(broken)?;
    let size = (decoder.dimensions().0 as usize, decoder.dimensions().1 as usize);
    if size != (width, height) {
        return Err(corrupt("a frame of it has another size than its chunk says"));
    }
    let has_opacity = decoder.color_type() == ColorType::Rgba8;
    let mut pixels = vec![0; width * height * if has_opacity { 4 } else { 3 }];
    decoder.read_image(&mut pixels).map_err(broken)?;
    if !has_opacity {
        let colors = pixels.as_chunks::<3>().0.iter();
        pixels = colors.flat_map(|&[r, g, b]| [r, g, b, 255]).collect();
    }
    Ok((pixels, has_opacity))
}

impl Frame<'_> {
    pub(super) fn placed(&self) -> Placed {
        self.placed
    }

    /// A file of this frame alone.
    ///
    /// # Errors
    /// It has no image.
    pub(super) fn alone(&self) -> Result<Vec<u8>, RasterError> {
        const OPACITY: u8 = 0x10;
        let Area { width, height, .. } = self.placed.area;
        let mut body = b"WEBP".to_vec();
        let mut push = |kind: [u8; 4], bytes: &[u8]| {
            body.extend(kind);
            body.extend((bytes.len() as u32).to_le_bytes());
            body.extend(bytes);
            body.resize(body.len().next_multiple_of(2), 0);
        };
        for (kind, bytes) in chunks(self.chunks) {
            match &kind {
                b"ALPH" => {
                    let side = |length: usize| (length as u32 - 1).to_le_bytes();
                    let ([w0, w1, w2, _], [h0, h1, h2, _]) = (side(width), side(height));
                    push(*b"VP8X", &[OPACITY, 0, 0, 0, w0, w1, w2, h0, h1, h2]);
                    push(kind, bytes);
                }
                b"VP8 " | b"VP8L" => {
                    push(kind, bytes);
                    let size = (body.len() as u32).to_le_bytes();
                    return Ok([&b"RIFF"[..], &size, &body].concat());
                }
                _ => {}
            }
        }
        Err(corrupt("a frame of it has no image"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_frames_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut file = b"RIFF\0\0\0\0WEBPANMF\x40\0\0\0".to_vec();
            file.extend(bytes);
            prop_assert!(first(&file, (4, 4)).is_err());
        }
    }

    #[test]
    fn what_covers_hides_what_is_under_it_and_what_is_clear_does_not() {
        assert_eq!(blended([100, 170, 17, 255], [1, 2, 3, 255]), [100, 170, 17, 255]);
        assert_eq!(blended([100, 170, 17, 0], [1, 2, 3, 255]), [1, 2, 3, 255]);
        let [red, _, _, opacity] = blended([200, 0, 0, 128], [100, 0, 0, 255]);
        assert!((149..=150).contains(&red) && opacity == 255, "{red} {opacity}");
    }
}
