//! Decoding a file as the program does for its siblings: tile by tile, or windows of them, as
//! many at once as there are cores.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use s3mem::raster::{Limits, Rect, Source, SourceError, jpeg2000};

use super::Result;

/// A square of pixels at full resolution.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) left: u32,
    pub(crate) top: u32,
    pub(crate) edge: u32,
}

impl Window {
    /// In the middle of a tile of 1,024 pixels near the middle of the image, or as near as it
    /// can be.
    pub(crate) fn in_a_tile(side: u32, edge: u32) -> Window {
        let start = (side / 2) / 1024 * 1024 + (1024 - edge.min(1024)) / 2;
        Window { left: start, top: start, edge }
    }

    pub(crate) fn words(self) -> Vec<String> {
        [self.left, self.top, self.edge].map(|number| number.to_string()).to_vec()
    }

    pub(crate) fn parse(words: &[String]) -> Result<Option<Window>> {
        match words {
            [] => Ok(None),
            [left, top, edge] => {
                Ok(Some(Window { left: left.parse()?, top: top.parse()?, edge: edge.parse()? }))
            }
            _ => Err("a window is three numbers: left, top, edge".into()),
        }
    }
}

#[derive(Debug)]
struct Local(File, u64);

#[async_trait]
impl Source for Local {
    fn size(&self) -> u64 {
        self.1
    }

    async fn read(&self, range: Range<u64>) -> std::result::Result<Bytes, SourceError> {
        let mut bytes = vec![0; (range.end - range.start) as usize];
        let read = self.0.read_exact_at(&mut bytes, range.start);
        read.map(|()| bytes.into()).map_err(|error| Arc::new(error) as SourceError)
    }
}

/// Decodes a window, or all, tile by tile, and forgets it.
///
/// # Errors
/// What can't be read or decoded.
pub(crate) fn decode(path: &Path, window: Option<Window>) -> Result<()> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        let source: Arc<dyn Source> = Arc::new(Local(file, size));
        let head = source.read(0..size.min(16 << 10)).await?;
        let limits = Limits { tile_samples: 64 << 20, ..Limits::default() };
        let raster = jpeg2000::open(source, head, &limits).await?;
        let info = raster.info();
        let wanted = window.map_or(info.image(0), |window| Rect {
            x: window.left,
            y: window.top,
            width: window.edge,
            height: window.edge,
        });
        let (columns, rows) = info.tiles(0);
        let all = (0..rows).flat_map(|row| (0..columns).map(move |column| (column, row)));
        let pieces = all
            .map(|(column, row)| info.tile(0, column, row).intersection(&wanted))
            .filter(|piece| !piece.is_empty());
        let cores = available_parallelism()?.get();
        let decoded = stream::iter(pieces)
            .map(|piece| raster.decode_window(0, piece))
            .buffer_unordered(cores);
        decoded.try_for_each(|_| async { Ok(()) }).await?;
        Ok(())
    })
}
