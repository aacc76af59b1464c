//! Tile-parts as the parts that a program steps through ([`FileParts`]).

use std::ops::Range;

use async_trait::async_trait;

use super::index::{Lazy, SOT_BYTES, sot};
use crate::raster::{FileParts, RasterError};

#[async_trait]
impl FileParts for Lazy {
    fn first(&self) -> u64 {
        self.origin().first()
    }

    fn end(&self) -> u64 {
        self.origin().source.size()
    }

    fn length(&self, front: &[u8]) -> Option<u64> {
        let length = u64::from(sot(front)?.length);
        (length > SOT_BYTES).then_some(length)
    }

    fn front(&self) -> u64 {
        SOT_BYTES
    }

    fn are_known(&self) -> bool {
        self.known().is_some() || self.is_listed()
    }

    fn at(&self, offset: u64) -> Option<Range<u64>> {
        let part = self.known()?.parts().at(offset)?;
        Some(part.offset..part.offset + part.length)
    }

    async fn find(&self) -> Result<(), RasterError> {
        self.get().await.map(|_| ())
    }
}
