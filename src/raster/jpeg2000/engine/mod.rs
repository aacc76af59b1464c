//! A JPEG 2000 decoder (ITU-T T.800 and T.814): a window at a resolution level is the unit of work.
//!
//! [`Codestream`] reads the main header, [`TilePart`] the headers of tile-parts, and [`Tile`] puts them together. A
//! [`Request`] names a window of a tile at a reduction; [`Plan`] tells what it takes, [`spans`] which bytes these are,
//! and [`decode`] turns the bytes into samples.

mod body;
pub(crate) mod code_block;
mod decode;
mod error;
pub(crate) mod geometry;
pub(crate) mod markers;
mod options;
pub(crate) mod packet;
mod pool;
pub(crate) mod progression;
mod quantise;
pub(crate) mod samples;
mod simd;
mod strip;
mod tag_tree;
mod tile;
mod walker;
pub(crate) mod wavelet;
mod window;

pub(crate) use body::Body;
pub(crate) use decode::{Decoded, Row, decode, decode_pixels, decode_rows, touched};
pub(crate) use error::{Error, Result};
pub(crate) use geometry::Rect;
pub(crate) use markers::{Codestream, TilePart, TilePartAt, tile_parts};
pub(crate) use options::Options;
pub(crate) use tile::{Part, Tile};
pub(crate) use walker::{Progress, Walker};
pub(crate) use window::{
    ComponentPlan, PacketAt, Plan, Request, Span, band_window, located, spans,
};

#[cfg(test)]
pub(in crate::raster::jpeg2000) mod tests;
