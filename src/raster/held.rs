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
