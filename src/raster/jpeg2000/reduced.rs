//! The image at a lower resolution, as a codestream of its own: cut, not decoded.
//!
//! Contract: decoding the file gives what decoding the original at that resolution gives. Its
//! packets are those of the original; SIZ, COD and QCD say what is left (see `rewrap`), each
//! tile-part has a fresh SOT, and an index of all of them (TLM) comes first. Its size is known
//! once the headers of all tile-parts were read, since PLT says there how long packets are.

use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::fetch::{self, Cut};
use super::geometry::packets;
use super::header::{MainHeader, marker};
use super::index::Index;
use super::rewrap::{Frame, cut_refusal, write_tile_part};
use super::tlm;
use crate::raster::{Piece, RasterError, Spliced, TileGrid};

/// Headers that are fetched at once.
const TILES_AT_ONCE: usize = 32;

/// Why there is no such file, as far as the header tells.
pub(super) fn refusal(header: &MainHeader, levels: u8, reduce: u8) -> Option<String> {
    let why = |text: String| Some(format!("the JPEG 2000 image: {text}"));
    if reduce == 0 || reduce >= levels {
        return why(format!("it has no resolution that is reduced by {}", 1u32 << reduce.min(31)));
    }
    if let Some(reason) = cut_refusal(header) {
        return why(reason);
    }
    let divides = |size: u32, count: u32| count == 1 || size.is_multiple_of(1 << reduce.min(31));
    let TileGrid { tile_size, .. } = header.grid;
    if !divides(tile_size.0, header.grid.columns()) || !divides(tile_size.1, header.grid.rows()) {
        return why(format!(
            "its tiles of {} x {} can't be divided by {}",
            tile_size.0,
            tile_size.1,
            1u32 << reduce.min(31)
        ));
    }
    None
}

/// The file.
///
/// # Errors
/// [`RasterError::Unsupported`] if a tile does not say how long its packets are.
pub(super) async fn file(
    header: &MainHeader,
    index: &Index,
    reduce: u8,
) -> Result<Spliced, RasterError> {
    let grid = &header.grid;
    let tiles = (0..grid.columns() * grid.rows()).map(|tile| async move {
        let (column, row) = (tile % grid.columns(), tile / grid.columns());
        let packets = packets(header, column, row, reduce);
        let cuts = fetch::cuts(index, tile, packets, reduce).await?;
        Ok::<_, RasterError>(cuts.map(|cuts| (tile, cuts)))
    });
    let tiles: Vec<Option<(u32, Vec<Cut>)>> =
        stream::iter(tiles).buffered(TILES_AT_ONCE).try_collect().await?;
    let Some(tiles) = tiles.into_iter().collect::<Option<Vec<_>>>() else {
        return Err(RasterError::Unsupported(
            "the JPEG 2000 image: its tiles do not all say how long their packets are (PLT)".into(),
        ));
    };
    let (mut parts, mut lengths) = (Vec::new(), Vec::new());
    for (tile, cuts) in &tiles {
        let count = cuts.len() as u8;
        for (number, cut) in (0u8..).zip(cuts) {
            let (data, number) = (cut.data(), (number, count));
            let length = data.end - data.start;
            let front = write_tile_part(*tile as u16, number, &cut.bytes, &cut.header, length)?;
            lengths.push((*tile, front.len() as u64 + (data.end - data.start)));
            parts.push((front, data));
        }
    }
    let mut main = Frame::whole(header, reduce).main_header(header);
    main.extend(tlm::segments(grid.columns() * grid.rows(), &lengths)?);
    let mut file = Spliced::default();
    file.push(Piece::Made(main.into()));
    for (front, data) in parts {
        file.push(Piece::Made(front));
        file.push(Piece::Original(data));
    }
    file.push(Piece::Made(Bytes::copy_from_slice(&marker::EOC.to_be_bytes())));
    Ok(file)
}
