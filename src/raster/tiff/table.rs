//! Where the strips or tiles of an image are: the tables of offsets and byte counts, read
//! page by page, since those of a large image are larger than all of its directories.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::compression::Compression;
use super::directory::{Directory, Entry};
use super::geometry::Geometry;
use super::order::Order;
use super::tag;
use crate::raster::RasterError;
use crate::raster::error::corrupt;
use crate::raster::file::File;

/// What is read of a table at once, in bytes.
const PAGE_BYTES: u64 = 64 << 10;
/// Tables that are no further from each other than this come in one request.
const GAP_BYTES: u64 = 64 << 10;
/// Both tables of an image, if they are read as one.
const JOINED_BYTES: u64 = 512 << 10;
/// What is kept of the tables of one image: its last pages.
const PAGES_KEPT: usize = 64;

/// The tables of one image.
#[derive(Debug)]
pub(super) struct Chunks {
    order: Order,
    offsets: Entry,
    counts: Option<Entry>,
    /// What a strip or tile has where no table says it: it is not compressed.
    raw: bool,
    size: u64,
    pages: Mutex<HashMap<u64, Bytes>>,
}

impl Chunks {
    /// The tables that a directory has, for as many chunks as the geometry says.
    ///
    /// # Errors
    /// A table is missing or too short.
    pub(super) fn of(
        file: &File,
        directory: &Directory,
        geometry: &Geometry,
        compression: Compression,
    ) -> Result<Self, RasterError> {
        // Some writers keep the places of tiles in the tags of strips.
        let entry = |tiles, strips| directory.entry(tiles).or_else(|| directory.entry(strips));
        let missing = || corrupt("it does not say where its pixels are");
        let offsets = entry(tag::TILE_OFFSETS, tag::STRIP_OFFSETS).ok_or_else(missing)?.clone();
        let is_inside = |entry: &Entry| {
            entry.range(0..geometry.count()).is_some_and(|range| range.end <= file.size())
        };
        if offsets.count < geometry.count() || !is_inside(&offsets) {
            return Err(corrupt("it has fewer strips or tiles than its size takes"));
        }
        // A table of counts that is too short says nothing, as for libtiff.
        let counts = entry(tag::TILE_BYTE_COUNTS, tag::STRIP_BYTE_COUNTS)
            .filter(|counts| counts.count >= geometry.count() && is_inside(counts))
            .cloned();
        Ok(Chunks {
            order: directory.format().order,
            offsets,
            counts,
            raw: compression == Compression::None,
            size: file.size(),
            pages: Mutex::default(),
        })
    }

    /// What is wrong with the tables, if pixels are found all the same.
    pub(super) fn warning(&self) -> Option<String> {
        let reason = "it does not say how long its strips or tiles are";
        self.counts.is_none().then(|| reason.to_owned())
    }

    /// Where a chunk is; `None` if it has no bytes, and all of its pixels are nodata.
    /// `bytes` is what it has if it is not compressed.
    ///
    /// # Errors
    /// It does not lie in the file; that of the source.
    pub(super) async fn place(
        &self,
        file: &File,
        index: u64,
        bytes: u64,
    ) -> Result<Option<Range<u64>>, RasterError> {
        let offset = self.value(file, &self.offsets, index).await?;
        let count = match &self.counts {
            Some(counts) => match self.value(file, counts, index).await? {
                // Of an image in one piece that is no gap: the writer left it open.
                0 if self.offsets.count == 1 && self.raw => bytes,
                0 if self.offsets.count == 1 => self.up_to_the_next(file, index, offset).await?,
                count => count,
            },
            None if self.raw => bytes,
            None => self.up_to_the_next(file, index, offset).await?,
        };
        if offset == 0 || count == 0 {
            return Ok(None);
        }
        match offset.checked_add(count).filter(|&end| end <= self.size) {
            Some(end) => Ok(Some(offset..end)),
            // Some writers round up what the last one has; what is needed is checked later.
            None if self.raw && offset.checked_add(bytes).is_some_and(|end| end <= self.size) => {
                Ok(Some(offset..self.size))
            }
            None => Err(corrupt("it ends early")),
        }
    }

    /// Without byte counts a chunk goes on to the next one, or to the end of the file.
    async fn up_to_the_next(
        &self,
        file: &File,
        index: u64,
        offset: u64,
    ) -> Result<u64, RasterError> {
        let next = match index + 1 < self.offsets.count {
            true => self.value(file, &self.offsets, index + 1).await?,
            false => self.size,
        };
        let end = if next > offset { next } else { self.size };
        Ok(end.saturating_sub(offset))
    }

    async fn value(&self, file: &File, table: &Entry, index: u64) -> Result<u64, RasterError> {
        let range = table.range(index..index + 1).ok_or_else(|| corrupt("it ends early"))?;
        if let Some(bytes) = file.here(&range) {
            return Ok(self.order.number(&bytes));
        }
        let page = (range.start - table.at) / PAGE_BYTES;
        let at = table.at + page * PAGE_BYTES;
        let bytes = match self.page(at) {
            Some(bytes) => bytes,
            None => self.fetch(file, table, at).await?,
        };
        let from = (range.start - at) as usize;
        let value = bytes.get(from..from + table.width as usize);
        Ok(self.order.number(value.ok_or_else(|| corrupt("it ends early"))?))
    }

    fn page(&self, at: u64) -> Option<Bytes> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner).get(&at).cloned()
    }

    /// Fetches a page; or, if both tables are small and near each other, all of both.
    async fn fetch(&self, file: &File, table: &Entry, at: u64) -> Result<Bytes, RasterError> {
        let end_of =
            |entry: &Entry| entry.at.saturating_add(entry.count.saturating_mul(entry.width));
        let both = self.counts.as_ref().map(|counts| {
            let (first, second) = match self.offsets.at < counts.at {
                true => (&self.offsets, counts),
                false => (counts, &self.offsets),
            };
            let gap = second.at.saturating_sub(end_of(first));
            (gap <= GAP_BYTES).then(|| first.at..end_of(second).min(self.size))
        });
        let read =
            async |range: Range<u64>| file.source.read(range).await.map_err(RasterError::Source);
        if let Some(Some(both)) = both
            && both.end - both.start <= JOINED_BYTES
        {
            let bytes = read(both.clone()).await?;
            for entry in [Some(&self.offsets), self.counts.as_ref()].into_iter().flatten() {
                let mut start = entry.at;
                while start < end_of(entry).min(self.size) {
                    let end = (start + PAGE_BYTES).min(end_of(entry)).min(both.end);
                    let page = (start - both.start) as usize..(end - both.start) as usize;
                    self.keep(start, bytes.slice(page));
                    start += PAGE_BYTES;
                }
            }
            return self.page(at).ok_or_else(|| corrupt("it ends early"));
        }
        let end = (at + PAGE_BYTES).min(end_of(table)).min(self.size);
        let bytes = read(at..end).await?;
        self.keep(at, bytes.clone());
        Ok(bytes)
    }

    fn keep(&self, at: u64, bytes: Bytes) {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        if pages.len() >= PAGES_KEPT {
            pages.clear();
        }
        pages.insert(at, bytes);
    }
}
