//! Laws of the index for the fuzzer, which sees what no other room may.

use std::sync::Arc;

use bytes::Bytes;

use super::index::{self, Origin};
use crate::raster::{RasterError, Source};

/// A codestream whose first tile-part is at the beginning, of so many tiles.
fn origin(source: Arc<dyn Source>, head: Bytes, tiles: u32) -> Origin {
    Origin {
        codestream: 0..source.size(),
        source,
        head,
        header_length: 0,
        listed: Vec::new(),
        tiles,
        small_object: 0,
    }
}

/// Panics unless many chains find what one walk finds.
pub async fn chains_are_a_walk(source: Arc<dyn Source>, head: Bytes, tiles: u32) {
    let origin = origin(source, head, tiles);
    let one = index::walked(&origin).await;
    let many = index::chained(&origin).await;
    match (one, many) {
        (Ok(one), Ok(many)) => assert_eq!(one, many),
        (Err(RasterError::Corrupt(one)), Err(RasterError::Corrupt(many))) => assert_eq!(one, many),
        other => panic!("{other:?}"),
    }
}

/// Panics unless what is taken for an index that was kept fills the codestream.
pub fn an_index_that_was_kept_fits(source: Arc<dyn Source>, tiles: u32, kept: &[u8]) {
    let size = source.size();
    let origin = origin(source, Bytes::new(), tiles);
    let Some(parts) = index::kept(&origin, kept) else { return };
    let mut at = 0;
    for part in parts.iter() {
        assert!(part.offset == at && part.length >= 14 && part.tile < tiles);
        at += part.length;
    }
    assert!(at <= size && size - at < 14);
}
