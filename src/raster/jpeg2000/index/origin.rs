//! What an index is built from.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::raster::jpeg2000::header::Listed;
use crate::raster::jpeg2000::window::read_kept;
use crate::raster::{RasterError, Source};

/// A page of most kernels. Where they are larger, a program waits for the rest of each.
const PAGE_BYTES: u64 = 4096;

/// What an index is built from.
#[derive(Debug)]
pub(in crate::raster::jpeg2000) struct Origin {
    pub(in crate::raster::jpeg2000) source: Arc<dyn Source>,
    /// The first bytes of the object.
    pub(in crate::raster::jpeg2000) head: Bytes,
    /// Where the codestream is.
    pub(in crate::raster::jpeg2000) codestream: Range<u64>,
    /// The length of its main header.
    pub(in crate::raster::jpeg2000) header_length: u64,
    /// What TLM lists.
    pub(in crate::raster::jpeg2000) listed: Vec<Listed>,
    /// Tiles of the image.
    pub(in crate::raster::jpeg2000) tiles: u32,
    /// Up to which size the object is fetched whole.
    pub(in crate::raster::jpeg2000) small_object: u64,
}

impl Origin {
    /// Where the first tile-part is.
    pub(in crate::raster::jpeg2000) fn first(&self) -> u64 {
        self.codestream.start.saturating_add(self.header_length)
    }

    /// Bytes of the object, those of its head without a request. All of the pages that they
    /// are in are kept: that is what a program asks for that looks for the same headers.
    pub(super) async fn read(&self, range: Range<u64>) -> Result<Bytes, RasterError> {
        if range.end <= self.head.len() as u64 && range.start <= range.end {
            return Ok(self.head.slice(range.start as usize..range.end as usize));
        }
        let start = range.start / PAGE_BYTES * PAGE_BYTES;
        let end = range.end.next_multiple_of(PAGE_BYTES).min(self.source.size()).max(range.end);
        let pages = read_kept(&*self.source, start..end).await?;
        Ok(pages.slice((range.start - start) as usize..(range.end - start) as usize))
    }
}
