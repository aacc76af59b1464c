//! Images that are decoded in one piece.
//!
//! Contract: one tile, one level, the values as the file has them. Lossy formats are as
//! exact as their decoder. A JPEG gives its pixels as they lie in the file, whatever its
//! EXIF orientation says. Every call of `decode_tile` reads and decodes the file: callers
//! keep the tile. An image that could not be decoded is not decoded again.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;

use super::animation::{Animation, Projector};
use super::decoders::{self, Decoders};
use super::images::put_rgba;
use super::{
    Codec, Count, Extras, Header, Limits, Page, Picture, Pixels, Raster, RasterError, RasterInfo,
    Source, TileGrid, frames,
};

/// An image in one piece.
#[derive(Debug)]
struct Whole {
    source: Arc<dyn Source>,
    decoders: Arc<dyn Decoders>,
    codec: Codec,
    header: Header,
    picture: Picture,
    info: RasterInfo,
    limits: Limits,
    /// What all frames of the file are played by.
    animation: Arc<Animation>,
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
    let (header, picture) =
        decoders::header(&**decoders, codec, &*source, head.clone(), limits).await?;
    header.check(source.size(), limits)?;
    let frames = frames::count(codec, &head, source.size()).map(Page::first);
    let whole = Whole::new(source, decoders.clone(), codec, (header, picture), frames, limits);
    Ok(Arc::new(whole))
}

fn info(codec: Codec, header: &Header, page: Option<Page>) -> RasterInfo {
    RasterInfo {
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
        warnings: header.warnings.clone(),
        ranges: None,
        extras: Extras { page, ..Extras::default() },
    }
}

impl Whole {
    /// The pixels of a frame behind the first one.
    async fn frame(&self, number: u32) -> Result<Bytes, RasterError> {
        let projector = Projector {
            codec: self.codec,
            source: &self.source,
            header: &self.header,
            limits: &self.limits,
            decoders: &self.decoders,
        };
        let shown = self.animation.shown(&projector, number).await?;
        let mut pixels = vec![0; self.header.pixel_bytes() as usize];
        put_rgba(&shown, &mut pixels)?;
        Ok(pixels.into())
    }

    /// All pixels with opacity, of 8 bits.
    fn canvas_bytes(&self) -> u64 {
        u64::from(self.header.width) * u64::from(self.header.height) * 4
    }

    fn new(
        source: Arc<dyn Source>,
        decoders: Arc<dyn Decoders>,
        codec: Codec,
        (header, picture): (Header, Picture),
        page: Option<Page>,
        limits: &Limits,
    ) -> Self {
        let info = info(codec, &header, page);
        let (limits, failure, animation) = (*limits, OnceLock::new(), Arc::default());
        Whole { source, decoders, codec, header, picture, info, limits, animation, failure }
    }
}

#[async_trait]
impl Raster for Whole {
    fn info(&self) -> &RasterInfo {
        &self.info
    }

    /// A frame of an animation, as it is shown after those before it. How many there are costs
    /// all of the file.
    async fn page(&self, number: u32) -> Result<Option<Arc<dyn Raster>>, RasterError> {
        let Some(first) = self.info.extras.page.filter(|page| !page.lacks(number)) else {
            return Ok(None);
        };
        let size = self.source.size();
        // The canvas, and the frame that is put on it.
        let scratch_bytes = self.header.pixel_bytes().max(self.canvas_bytes()).saturating_mul(3);
        let header = Header { frame: number, scratch_bytes, ..self.header.clone() };
        header.check(size, &self.limits)?;
        if let Count::AtLeast(_) = first.of {
            let file = self.source.read_kept(0..size).await.map_err(RasterError::Source)?;
            let count = frames::count(self.codec, &file, size).map(Page::first);
            if count.is_none_or(|page| page.lacks(number)) {
                return Ok(None);
            }
        }
        let (decoders, parsed) = (self.decoders.clone(), (header, self.picture.clone()));
        let page = Some(Page { number, ..first });
        let (source, codec) = (self.source.clone(), self.codec);
        let whole = Whole::new(source, decoders, codec, parsed, page, &self.limits);
        Ok(Some(Arc::new(Whole { animation: self.animation.clone(), ..whole })))
    }

    fn picture(&self) -> Option<&Picture> {
        Some(&self.picture)
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
        let decoded = match self.header.frame {
            1 => self.decoders.pixels(self.codec, &self.source, &self.header, &self.limits).await,
            frame => self.frame(frame).await,
        };
        let samples = decoded.inspect_err(|error| {
            if error.is_of_the_image() {
                self.failure.get_or_init(|| error.clone());
            }
        })?;
        Ok(Pixels { rect: self.info.grid.image(0), samples })
    }
}
