//! The file itself, with an index of its tile-parts (TLM) where it has none.
//!
//! Contract: the pixels are those of the original, since nothing but the index is added, in
//! front of the first tile-part; the box around the codestream is made longer by as much. Of
//! a file that has an index it is the original, byte for byte. Its size follows from the
//! header where the first tile-part says that its tile has no other: then the size is that
//! with as many entries as there are tiles. Should there be more or fewer, a comment of the
//! same length takes the place of the index: the size was promised.

use std::sync::Arc;

use bytes::Bytes;

use super::boxes::{Length, has_offsets_behind};
use super::index::{Index, Lazy, Origin, sot};
use super::tlm;
use super::window::Window;
use crate::raster::{Piece, RasterError, Spliced};

/// Why nothing can be moved.
pub(super) const HAS_OFFSETS: &str = "a box says where in the file something is";

/// What is around the codestream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Around {
    pub(super) length: Length,
    /// Whether a box in front of the codestream says where in the file something is.
    pub(super) has_offsets: bool,
}

/// The file's size, if its header tells.
pub(super) fn size_known(lazy: &Lazy, around: Around) -> Option<u64> {
    let origin = lazy.origin();
    let size = origin.source.size();
    if lazy.is_listed() {
        return Some(size);
    }
    // What is behind the codestream may say where in the file something is.
    if origin.codestream.end != size {
        return None;
    }
    let entries = entries_expected(origin)?;
    Some(size + added(origin, around, entries))
}

/// As many tile-parts as there are tiles, if the header says so.
fn entries_expected(origin: &Origin) -> Option<usize> {
    let first = origin.head.get(usize::try_from(origin.first()).ok()?..)?;
    let first = sot(first)?;
    (first.parts == 1).then_some(origin.tiles as usize)
}

/// By how much the file is longer.
fn added(origin: &Origin, around: Around, entries: usize) -> u64 {
    let index = tlm::length(origin.tiles, entries) as u64;
    let (_, header_growth) = box_header(origin, around, index);
    index + header_growth
}

/// The header of the codestream's box with `more` bytes in the box, if it is another one, and
/// by how much it is longer.
fn box_header(origin: &Origin, around: Around, more: u64) -> (Option<Bytes>, u64) {
    let contents = origin.codestream.end - origin.codestream.start + more;
    let long = |growth: u64| {
        let mut bytes = 1u32.to_be_bytes().to_vec();
        bytes.extend(b"jp2c");
        bytes.extend((contents + 16).to_be_bytes());
        (Some(bytes.into()), growth)
    };
    match around.length {
        Length::Raw | Length::ToEnd => (None, 0),
        Length::Long => long(0),
        Length::Short => match u32::try_from(contents + 8) {
            Ok(length) => {
                let mut bytes = length.to_be_bytes().to_vec();
                bytes.extend(b"jp2c");
                (Some(bytes.into()), 0)
            }
            Err(_) => long(8),
        },
    }
}

/// The file.
///
/// # Errors
/// There is none, see [`RasterError::Unsupported`]; or the tile-parts could not be found.
pub(super) async fn file(lazy: &Lazy, around: Around) -> Result<Spliced, RasterError> {
    let origin = lazy.origin();
    let size = origin.source.size();
    let mut file = Spliced::default();
    if lazy.is_listed() {
        file.push(Piece::Original(0..size));
        return Ok(file);
    }
    if origin.codestream.end < size {
        let mut window = Window::new(Arc::clone(&origin.source), Bytes::new());
        if has_offsets_behind(&mut window, origin.codestream.end).await? {
            return Err(RasterError::Unsupported(format!("the JPEG 2000 image: {HAS_OFFSETS}")));
        }
    }
    let index = lazy.get().await?;
    let added = entries(origin, &index)?;
    let (header, _) = box_header(origin, around, added.len() as u64);
    let start = origin.codestream.start;
    let old_header = match around.length {
        Length::Raw | Length::ToEnd => 0,
        Length::Short => 8,
        Length::Long => 16,
    };
    match header {
        Some(header) => {
            file.push(Piece::Original(0..start.saturating_sub(old_header)));
            file.push(Piece::Made(header));
        }
        None => file.push(Piece::Original(0..start)),
    }
    file.push(Piece::Original(start..origin.first()));
    file.push(Piece::Made(added));
    file.push(Piece::Original(origin.first()..size));
    Ok(file)
}

/// The index, or what is in its place.
fn entries(origin: &Origin, index: &Index) -> Result<Bytes, RasterError> {
    let parts: Vec<_> = index.parts().iter().map(|part| (part.tile, part.length)).collect();
    match entries_expected(origin) {
        Some(expected) if expected != parts.len() => {
            Ok(tlm::comment(tlm::length(origin.tiles, expected)))
        }
        _ => tlm::segments(origin.tiles, &parts),
    }
}
