//! Images within images, whose bytes are here: each is decoded as a file of its format is, in
//! the same place and within the same limits.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::{
    Codec, Decoders, Header, Limits, RasterError, RasterInfo, Rect, Source, SourceError, decoders,
    jpeg2000,
};

/// Bytes in memory as the bytes of an image.
#[derive(Debug)]
pub(super) struct Held(pub(super) Bytes);

#[async_trait]
impl Source for Held {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, SourceError> {
        Ok(self.0.slice(range.start as usize..range.end as usize))
    }
}

/// What the header of an image says, and its pixels; `container` is the format that it lies
/// in, for messages.
///
/// # Errors
/// It can't be decoded, or is too large.
pub(super) async fn whole(
    codec: Codec,
    container: &str,
    bytes: Bytes,
    limits: &Limits,
    decoders: &Arc<dyn Decoders>,
) -> Result<(Header, Bytes), RasterError> {
    let source: Arc<dyn Source> = Arc::new(Held(bytes.clone()));
    let (header, _) = decoders::header(&**decoders, codec, &*source, bytes, limits).await?;
    header.check(source.size(), limits)?;
    if let Some(reason) = &header.unsupported {
        return Err(RasterError::Unsupported(format!("{container} with {reason}")));
    }
    let pixels = decoders.pixels(codec, &source, &header, limits).await?;
    Ok((header, pixels))
}

/// As [`whole`], of JPEG 2000.
///
/// # Errors
/// The same.
pub(super) async fn jpeg2000(
    container: &str,
    bytes: Bytes,
    limits: &Limits,
) -> Result<(RasterInfo, Vec<u8>), RasterError> {
    let source = Arc::new(Held(bytes.clone()));
    let raster = jpeg2000::open(source, bytes, limits).await?;
    let info = raster.info();
    if let Some(reason) = &info.unsupported {
        return Err(RasterError::Unsupported(format!("{container} with {reason}")));
    }
    let pixel_bytes = info.pixel_bytes();
    // Whatever its tiles are, all of them are held here.
    let pixels = u64::from(info.width) * u64::from(info.height);
    let allowed = [
        (pixels, "pixels", "--max-image-pixels", limits.image_pixels),
        (
            pixels.saturating_mul(pixel_bytes as u64),
            "bytes of pixels",
            "--max-decode-memory",
            limits.decode_bytes,
        ),
    ];
    for (value, of, option, allowed) in allowed {
        if value > allowed {
            let what = format!("{container} has {value} {of} in JPEG 2000");
            return Err(RasterError::Limit { what, option, allowed });
        }
    }
    let mut samples = vec![0; info.width as usize * info.height as usize * pixel_bytes];
    for row in 0..info.grid.rows() {
        for column in 0..info.grid.columns() {
            let tile = raster.decode_tile(0, column, row).await?;
            let Rect { x, y, width, .. } = tile.rect;
            let line = width as usize * pixel_bytes;
            for (n, given) in tile.samples.chunks_exact(line.max(1)).enumerate() {
                let at = ((y as usize + n) * info.width as usize + x as usize) * pixel_bytes;
                samples[at..at + line].copy_from_slice(given);
            }
        }
    }
    Ok((info.clone(), samples))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_nested_image_is_held_only_as_far_as_limits_allow() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/jpeg2000/gray8.j2k");
        let right = std::fs::read(path).unwrap();
        let whole = jpeg2000("a test", right.clone().into(), &Limits::default()).await.unwrap();
        assert_eq!(whole.1.len(), 67 * 45);
        // 30,000 x 30,000 in one tile, of which windows could be decoded.
        let mut bomb = right;
        for at in [8, 12, 24, 28] {
            bomb[at..at + 4].copy_from_slice(&30_000u32.to_be_bytes());
        }
        let mut limits = Limits { expansion: u64::MAX, ..Limits::default() };
        for expected in ["--max-image-pixels", "--max-decode-memory"] {
            match jpeg2000("a test", bomb.clone().into(), &limits).await {
                Err(RasterError::Limit { option, .. }) => assert_eq!(option, expected),
                other => panic!("{other:?}"),
            }
            limits.image_pixels = u64::MAX;
        }
    }
}
