//! Images that are decoded in one piece.
//!
//! Contract: one tile, one level, the values as the file has them. Lossy formats are as
//! exact as their decoder. A JPEG gives its pixels as they lie in the file, whatever its
//! EXIF orientation says. Every call of `decode_tile` reads and decodes the file: callers
//! keep the tile. An image that could not be decoded is not decoded again.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;

use super::decoders::{self, Decoders};
use super::{Codec, Header, Limits, Pixels, Raster, RasterError, RasterInfo, Source, TileGrid};

/// An image in one piece.
#[derive(Debug)]
struct Whole {
    source: Arc<dyn Source>,
    decoders: Arc<dyn Decoders>,
    codec: Codec,
    header: Header,
    info: RasterInfo,
    limits: Limits,
    /// Why it can't be decoded, once that was tried.
    failure: OnceLock<RasterError>,
}

/// Reads and checks the header, of which `head` is the start.
pub(super) async fn open(
    source: Arc<dyn Source>,
    head: Bytes,
    codec: Codec,
    limits: &Limits,
    decoders: &Arc<dyn Decoders>,
) -> Result<Arc<dyn Raster>, RasterError> {
    let header = decoders::header(&**decoders, codec, &*source, head, limits).await?;
    header.check(source.size(), limits)?;
    let info = RasterInfo {
        codec: codec.name(),
        width: header.width,
        height: header.height,
        bands: header.bands,
        sample: header.sample,
        bit_depth: header.bit_depth,
        color: header.color,
        grid: TileGrid::whole(header.width, header.height),
        levels: 1,
        nodata: header.nodata,
        geo: header.geo.clone(),
        unsupported: header.unsupported.clone(),
    };
    let (decoders, limits, failure) = (decoders.clone(), *limits, OnceLock::new());
    Ok(Arc::new(Whole { source, decoders, codec, header, info, limits, failure }))
}

#[async_trait]
impl Raster for Whole {
    fn info(&self) -> &RasterInfo {
        &self.info
    }

    fn held_bytes(&self) -> u64 {
        self.header.decode_bytes(self.source.size())
    }

    async fn decode_tile(&self, level: u8, column: u32, row: u32) -> Result<Pixels, RasterError> {
        if let Some(reason) = &self.header.unsupported {
            return Err(RasterError::Unsupported(reason.clone()));
        }
        if (level, column, row) != (0, 0, 0) {
            return Err(RasterError::Unsupported("the image has one tile only".to_owned()));
        }
        if let Some(failure) = self.failure.get() {
            return Err(failure.clone());
        }
        let decoded =
            self.decoders.pixels(self.codec, &self.source, &self.header, &self.limits).await;
        let samples = decoded.inspect_err(|error| {
            if error.is_of_the_image() {
                self.failure.get_or_init(|| error.clone());
            }
        })?;
        Ok(Pixels { rect: self.info.grid.image(0), samples })
    }
}
